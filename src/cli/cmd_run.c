/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward run -- CMD: an unmodified tool, with stand-ins for credentials. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "src/run/run.h"

static const struct kw_option options[] = {
    {"cloud", '\0', "NAME", "oci or google, where the profile has both"},
    {"isolation", '\0', "HOW",
     "required, auto or off: see [run] isolation in keyward.ini(5), which it goes before"},
    {"egress", '\0', "LIST",
     "host:port pairs, separated by spaces, that CMD may reach besides, passed on untouched; "
     "instead of [run] egress"},
    {"keep-env", '\0', "NAME,...", "variables that CMD gets although they may carry credentials"},
    {"share-home", '\0', NULL, "CMD sees the user's home, and with it credentials in files there"},
    {"explain", '\0', NULL, "say for each request what was decided (nothing secret)"},
    {NULL, '\0', NULL, NULL},
};

static int isolation(const char *word, struct kw_config *c, struct kw_err *err)
{
    static const char *const words[] = {"required", "auto", "off"};
    for (unsigned i = 0; word != NULL; i++) {
        if (i == sizeof words / sizeof words[0])
            return kw_fail(err, KW_USAGE, "--isolation=%s is none of required, auto, off", word);
        if (strcmp(word, words[i]) != 0)
            continue;
        c->isolation = i;
        break;
    }
    return 0;
}

static int configure(const struct kw_cli *cli, const struct kw_args *args, struct kw_config *c,
                     struct kw_err *err)
{
    int r = kw_cli_config(cli, c, err);
    const char *egress = kw_arg(args, "egress");
    if (r == 0 && c->agent_socket[0] != '\0')
        r = kw_config_cloud_named(c, kw_arg(args, "cloud"), err);
    else if (r == 0)
        r = kw_config_choose_cloud(c, kw_arg(args, "cloud"), err);
    if (r == 0 && egress != NULL && c->agent_socket[0] != '\0')
        r = kw_fail(err, KW_USAGE,
                    "what CMD may reach besides says the agent's [run] egress, not --egress");
    if (r == 0)
        r = isolation(kw_arg(args, "isolation"), c, err);
    if (r == 0 && egress != NULL &&
        (size_t)snprintf(c->egress, sizeof c->egress, "%s", egress) >= sizeof c->egress)
        r = kw_fail(err, KW_USAGE, "--egress is too long");
    if (r == 0 && c->agent_socket[0] != '\0' && c->isolation != KW_ISOLATION_OFF)
        r = kw_launch_can_hide(c->agent_socket, err);
    return r;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    static struct kw_config c; /* large */
    int code = KW_RUN_FAILED;
    int r = configure(cli, args, &c, err);
    const char *keep = kw_arg(args, "keep-env");
    const struct kw_run want = {
        .config = &c,
        .explain = kw_arg(args, "explain") != NULL,
        .json = cli->json,
        .want = {.isolation = (enum kw_isolation)c.isolation,
                 .share_home = kw_arg(args, "share-home") != NULL,
                 .keep_env = keep != NULL ? keep : "",
                 .argv = args->operands,
                 .config = &c},
    };
    if (r == 0)
        r = c.agent_socket[0] != '\0' ? kw_run_by_agent(&want, &code, err)
                                      : kw_run(&want, &code, err);
    kw_config_free(&c);
    if (r == 0)
        err->text[0] = '\0'; /* CMD's code is no error of ours */
    return code;
}

const struct kw_command kw_cmd_run = {
    .name = "run",
    .operands = "-- CMD ARG...",
    .min_operands = 1,
    .max_operands = 1 << 20,
    .takes_command = true,
    .summary = "runs a tool that can use the cloud but holds nothing worth stealing",
    .text =
        "Obtains a session and runs CMD with stand-ins for credentials: a key and a token that "
        "look right and are worthless, a proxy that is the only way out of a network namespace "
        "of CMD's own, and the run's own CA in every bundle that tools read. Requests to hosts "
        "in [policy] sign.host are checked against the stand-in, judged by policy and signed "
        "again in the PKCS#11 token (at Google: given the real access token); all others are "
        "refused unless [run] egress names them. Credentials of the user (files in the home, "
        "variables, sockets of agents) are not visible to CMD unless asked for.\n"
        "The session is renewed before it ends. A line at the end says how many requests were "
        "signed and refused; --explain says it of each.\n"
        "The exit code is CMD's; 128+N if signal N ended it; 125 keyward failed; 126 CMD can't "
        "be executed; 127 there is no CMD.\n\n"
        "Example:\n  keyward run -- oci os ns get\n  keyward run --profile prod -- terraform plan",
    .options = options,
    .run = run,
};
