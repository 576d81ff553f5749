/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward agent: serves the jobs of other users. */
#include "cmd.h"
#include "src/agent/agent.h"

static const struct kw_option options[] = {
    {"status", '\0', NULL, "ask a running agent how it goes (with --json: one object)"},
    {"metrics", '\0', NULL, "the same as metrics in the text format of Prometheus"},
    {"job", '\0', NULL, "serve one job over descriptor 3: how the agent starts its own processes"},
    {NULL, '\0', NULL, NULL},
};

static int print(const struct kw_cli *cli, enum kw_agent_want want, struct kw_err *err)
{
    static struct kw_config c; /* large */
    int r = kw_cli_config(cli, &c, err);
    if (r == 0 && c.agent_socket[0] == '\0')
        r = kw_fail(err, KW_USAGE,
                    "where is the agent? Set [agent] socket, or KEYWARD_AGENT_SOCKET");
    if (r == 0)
        r = kw_client_print(&c, want, cli->json, err);
    kw_config_free(&c);
    return r;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    bool status = kw_arg(args, "status") != NULL, metrics = kw_arg(args, "metrics") != NULL;
    bool job = kw_arg(args, "job") != NULL;
    if (status + metrics + job > 1)
        return kw_fail(err, KW_USAGE, "--status, --metrics and --job exclude each other");
    if (status || metrics)
        return print(cli, metrics ? KW_WANT_METRICS : KW_WANT_STATUS, err);
    return job ? kw_agent_serve(err) : kw_agent(cli, err);
}

const struct kw_command kw_cmd_agent = {
    .name = "agent",
    .operands = "",
    .min_operands = 0,
    .max_operands = 0,
    .summary = "serves run, request and sign of other users' jobs",
    .text =
        "Runs until it is stopped, as a user of its own that alone may use the PKCS#11 token. A "
        "job whose configuration has [agent] socket holds neither token nor PIN nor client secret: "
        "it brings the JWT that says who it is, the agent judges that by [policy], obtains the "
        "session and serves that job, and nobody else, until it ends. Each job has processes, a "
        "login and a session key of its own; [agent] spare of them are kept ready.\n"
        "It listens on the socket that systemd passes (keyward-agent.socket), else on [agent] "
        "socket. SIGHUP reads the configuration again: jobs go on with what they began with. "
        "SIGTERM stops it: no more jobs, those that are there get [agent] grace seconds; a "
        "second one ends them at once. After a PIN that was refused nothing logs in again, and it "
        "ends with exit code 4 when the jobs have ended.\n"
        "The configuration needs [policy NAME] issuer in each profile that is served, and "
        "pin_source and client_secret_source that can be read again: file:/PATH or "
        "credential:NAME.\n\n"
        "Example:\n  keyward --config /etc/keyward/agent.ini agent\n"
        "  KEYWARD_AGENT_SOCKET=/run/keyward/agent.sock keyward agent --status",
    .options = options,
    .run = run,
};
