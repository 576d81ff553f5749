/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward: parse the command line, dispatch, print the error. Nothing else. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "policy/sandbox.h"
#include "src/base/io.h"
#include "src/base/log.h"
#include "src/base/memory.h"
#include "src/base/secret.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"

const struct kw_command *const kw_commands[] = {
    &kw_cmd_run,    &kw_cmd_exchange, &kw_cmd_request, &kw_cmd_sign,
    &kw_cmd_claims, &kw_cmd_issue,    &kw_cmd_jwks,    &kw_cmd_agent,
    &kw_cmd_doctor, &kw_cmd_selftest, &kw_cmd_policy,  &kw_cmd_keys,
    &kw_cmd_audit,  &kw_cmd_setup,    &kw_cmd_revoke,  NULL,
};

static const char *exit_name(enum kw_exit code)
{
    static const char *const names[] = {"ok",      "failed", "usage", "token",   "pin",
                                        "subject", "policy", "cloud", "network", "sandbox"};
    return (unsigned)code < sizeof names / sizeof names[0] ? names[code] : "failed";
}

static const char no_memory[] =
    "{\"error\": {\"code\": 1, \"kind\": \"failed\", \"text\": \"out of memory\"}}";

/* ASCII, so that nothing in it can drive a terminal or depends on a locale. Whole or not at
 * all: where there is no memory for it, another object says so. */
static void print_object(json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    (void)puts(text != NULL ? text : no_memory);
    free(text);
    json_decref(o);
}

static void print_error(const struct kw_cli *cli, const struct kw_err *err)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "keyward: %s\n", err->text);
    if (!cli->json)
        return;
    json_t *o = kw_cli_take_result();
    if (o == NULL)
        o = json_object();
    json_t *e = json_pack("{s:i,s:s,s:s}", "code", (int)err->code, "kind", exit_name(err->code),
                          "text", err->text);
    if (json_object_set_new(o, "error", e) != 0) {
        json_decref(o);
        o = NULL;
    }
    print_object(o);
    (void)fflush(stdout);
}

/* The result, where no error has printed it. */
static int print_result(struct kw_err *err)
{
    json_t *o = kw_cli_take_result();
    if (o != NULL)
        print_object(o);
    return fflush(stdout) == 0 && !ferror(stdout)
               ? 0
               : kw_fail_errno(err, KW_FAILED, "could not write the result");
}

static void last_words(void)
{
    static const char text[] = "keyward: out of memory\n";
    (void)kw_write_now(STDERR_FILENO, text, sizeof text - 1);
}

static void last_object(void)
{
    last_words();
    (void)kw_write_all(STDOUT_FILENO, no_memory, sizeof no_memory - 1);
    (void)kw_write_all(STDOUT_FILENO, "\n", 1);
}

/* Secrets pass through this process too: no core, no ptrace by the same user, no
 * descriptor inherited by accident taken for one of ours. */
static int harden(bool json, struct kw_err *err)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return kw_fail_errno(err, KW_SANDBOX, "could not switch core dumps off");
    /* A descriptor that we were given may hold the PIN (pin_source = fd:9): what we start
     * ([source] command) shall not have it. */
    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        return kw_fail_errno(err, KW_SANDBOX,
                             "could not mark inherited descriptors (close_range, Linux 5.11)");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit that -o meets is an error, not the end */
    kw_memory_must(KW_FAILED, json ? last_object : last_words);
    kw_memory_openssl();
    kw_memory_must(0, NULL);
    return kw_secret_init(/* best_effort= */ true, err);
}

int main(int argc, char **argv)
{
    kw_sandbox_hide();
    (void)kw_memory_watch(/* wipe= */ true);
    struct kw_cli cli = {0};
    struct kw_args args;
    const struct kw_command *command = NULL;
    struct kw_err err = {0};
    int r = kw_std_open(&err);
    if (r == 0)
        r = kw_args_parse(argc, argv, &cli, &command, &args, &err);
    kw_log_init("", cli.verbosity);
    if (r == 0 && command != NULL) {
        r = harden(cli.json, &err);
        if (r == 0)
            r = command->run(&cli, &args, &err);
    }
    if (r != 0 && err.text[0] != '\0')
        print_error(&cli, &err);
    else {
        int told = print_result(&err);
        if (r == 0 && told != 0) { /* standard output is of no use: only say so */
            r = told;
            (void)fprintf(stderr, "keyward: %s\n", err.text);
        }
    }
    return r;
}
