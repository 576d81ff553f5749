/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward doctor: runs the steps of a real session one by one and goes on behind a
 * failure where the rest does not depend on it. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cmd.h"
#include "src/session/session.h"
#include "src/session/state.h"
#include "src/setup/setup.h"
#include "src/wire/jwt.h"

struct report {
    const struct kw_cli *cli;
    json_t *steps;
    int worst;      /* exit code: see tell() */
    json_t *claims; /* of the subject token, once there was one */
};

static void tell(struct report *rep, const char *name, int r, const char *text)
{
    /* A PIN that was refused comes before all else: whoever restarts on this exit code
     * must not cost the token another try. */
    if (r > 0 && (rep->worst == 0 || r == KW_PIN))
        rep->worst = r;
    if (rep->cli->json)
        (void)json_array_append_new(rep->steps,
                                    json_pack("{s:s,s:s,s:i,s:s}", "step", name, "result",
                                              r == 0  ? "ok"
                                              : r > 0 ? "failed"
                                                      : "not tried",
                                              "code", r > 0 ? r : 0, "text", text));
    else
        (void)printf("%-4s %s%s%s\n",
                     r == 0  ? "ok"
                     : r > 0 ? "FAIL"
                             : "-",
                     name, text[0] != '\0' ? ": " : "", text);
    (void)fflush(stdout);
}

/* The token is gone after the exchange; what it said is of use then. */
static void keep_claims(const struct kw_session *s, struct report *rep)
{
    struct kw_jwt jwt;
    if (rep->claims != NULL || s->subject == NULL ||
        kw_jwt_decode(kw_secret_bytes(s->subject), kw_secret_len(s->subject), "subject token",
                      KW_SUBJECT, &jwt, NULL) != 0)
        return;
    rep->claims = json_incref(jwt.claims);
    kw_jwt_free(&jwt);
}

static void run_steps(struct kw_session *s, struct report *rep)
{
    unsigned done = 0;
    size_t n;
    const struct kw_session_step *steps = kw_session_steps(s->config, &n);
    for (size_t i = 0; i < n && steps[i].probe; i++) {
        const struct kw_session_step *step = &steps[i];
        struct kw_err err = {0};
        char text[2048] = ""; /* all parts of a description at their longest */
        if ((step->needs & done) != step->needs) {
            tell(rep, step->name, -1, "not tried: an earlier step failed");
            continue;
        }
        int r = step->run(s, &err);
        keep_claims(s, rep);
        if (r == 0) {
            done |= 1u << i;
            if (step->tell != NULL)
                step->tell(s, text, sizeof text);
        }
        tell(rep, step->name, r, r == 0 ? text : err.text);
        if (kw_interrupted())
            return;
    }
}

static void tell_system(struct report *rep)
{
    struct utsname u;
    char text[256] = "";
    if (uname(&u) == 0)
        (void)snprintf(text, sizeof text, "Linux %.64s %.32s; secrets in %s", u.release, u.machine,
                       kw_secret_kind());
    tell(rep, "system", 0, text);
}

static const struct kw_option options[] = {
    {"cloud", '\0', "NAME", "oci or google, where the profile has both"},
    {"admin-profile", '\0', "NAME",
     "OCI: look at the trust as well, with the rights of this profile of ~/.oci/config"},
    {"admin-key", '\0', "URI", "the same by an API key in the PKCS#11 token (pkcs11:object=...)"},
    {"admin-key-id", '\0', "ID", "that key's TENANCY/USER/FINGERPRINT"},
    {"admin-token-file", '\0', "FILE",
     "the same at either cloud by an access token: a 0600 FILE, fd:N, or credential:NAME"},
    {"admin-token-command", '\0', "COMMAND", "the same, as COMMAND prints it"},
    {NULL, '\0', NULL, NULL},
};

static void told(void *arg, const char *name, int r, const char *text)
{
    tell(arg, name, r, text);
}

/* What is at the cloud, if somebody's rights to look at it were given. */
static void look_at_cloud(const struct kw_cli *cli, const struct kw_args *args, struct kw_config *c,
                          struct report *rep)
{
    struct kw_err err = {0};
    const struct kw_setup_ear ear = {.tell = told, .arg = rep};
    bool asked = kw_arg(args, "admin-profile") != NULL || kw_arg(args, "admin-key") != NULL ||
                 kw_arg(args, "admin-token-file") != NULL ||
                 kw_arg(args, "admin-token-command") != NULL;
    if (!asked || kw_interrupted())
        return;
    int r = kw_setup_examine(cli, args, c, rep->claims, &ear, &err);
    if (r != 0)
        tell(rep, "cloud", r, err.text);
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct report rep = {.cli = cli, .steps = json_array()};
    struct kw_config c;
    tell_system(&rep);
    int r = kw_cli_config(cli, &c, err);
    if (r == 0)
        r = kw_config_choose_cloud(&c, kw_arg(args, "cloud"), err);
    if (r != 0)
        tell(&rep, "configuration", r, err->text);
    else {
        struct kw_session s = {.config = &c, .caller = "doctor", .purpose = KW_FOR_PROBE};
        struct kw_err at_end = {0};
        run_steps(&s, &rep);
        int ended = kw_session_close(&s, NULL, &at_end);
        /* Behind a step that failed, the end is no news, but a broken fence always is. */
        if (ended == KW_SANDBOX || (ended != 0 && rep.worst == 0))
            tell(&rep, "end", ended, at_end.text);
        look_at_cloud(cli, args, &c, &rep);
    }
    err->text[0] = '\0'; /* told above, with the rest */
    if (cli->json) {
        r = kw_cli_result(json_pack("{s:b,s:O}", "ok", rep.worst == 0, "steps", rep.steps), err);
        rep.worst = rep.worst != 0 ? rep.worst : r;
    } else if (rep.worst == 0)
        (void)printf("all is well\n");
    json_decref(rep.steps);
    json_decref(rep.claims);
    kw_config_free(&c);
    return rep.worst;
}

const struct kw_command kw_cmd_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "try everything in order and name the cure of what fails",
    .text =
        "Runs the steps of a real session one by one: configuration, processes and fences, "
        "subject token and claim policy, the PKCS#11 token with one login, key generation and "
        "the extraction self-test, the exchange, the session token. Goes on behind a failure "
        "where the rest does not depend on it. Nothing is kept. The exit code is that of the "
        "first failure, but 4 wherever the PIN was refused.\n"
        "With an administrator's rights (--admin-...), the trust is looked at, too, and nothing "
        "changed. At OCI: is it active and for this issuer, to the last slash, does it name the "
        "client, do audience and claims fit the token, which rule lets it in (unquoted, with "
        "short ids), is that a service user, do the clocks agree. At Google (--admin-token-...): "
        "are pool, provider and service account there and enabled, what do issuer, audience, "
        "mapping and condition of the provider make of the token, and is that granted.",
    .options = options,
    .run = run,
};
