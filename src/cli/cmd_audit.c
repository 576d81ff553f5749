/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward audit verify FILE: checks the chain and the signatures of an audit log. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "src/keeper/audit.h"

static const struct kw_option options[] = {
    {"key", '\0', "FILE",
     "PEM file with the public key of [audit] key: only its signatures count as proof"},
    {NULL, '\0', NULL, NULL},
};

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_audit_report rep = {0};
    if (strcmp(args->operands[0], "verify") != 0)
        return kw_fail(err, KW_USAGE, "keyward audit %.32s: there is only keyward audit verify",
                       args->operands[0]);
    int r = kw_audit_verify(args->operands[1], kw_arg(args, "key"), &rep, err);
    if (r != 0)
        return r;
    if (cli->json) {
        json_t *o = json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:s}", "ok", 1, "lines",
                              (json_int_t)rep.lines, "proven", (json_int_t)rep.proven, "heads",
                              (json_int_t)rep.heads, "runs_ended", (json_int_t)rep.runs_ended,
                              "torn", (json_int_t)rep.torn, "keys", rep.keys);
        return kw_cli_result(o, err);
    }
    (void)printf("%llu lines, chain whole; lines 1 to %llu are vouched for by a signature\n",
                 (unsigned long long)rep.lines, (unsigned long long)rep.proven);
    if (rep.proven < rep.lines)
        (void)printf("the last %llu lines are chained but not yet signed for\n",
                     (unsigned long long)(rep.lines - rep.proven));
    if (rep.torn > 0)
        (void)printf("%llu torn lines (a crash or a full disk) were repaired and are told of in "
                     "the log\n",
                     (unsigned long long)rep.torn);
    (void)printf("signed by %s\n", rep.keys);
    return 0;
}

const struct kw_command kw_cmd_audit = {
    .name = "audit",
    .operands = "verify FILE",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "check the chain and the signatures of an audit log",
    .text = "Checks every line of an audit log: form, sequence, hash chain, and the signatures of "
            "its heads, and names the first bad line. Works offline. Without --key the keys are "
            "those that the log itself announces, which shows damage and editing but not a log "
            "forged as a whole: for that, sign with a persistent key ([audit] key) and give its "
            "public half here.\n\n"
            "Example: keyward audit verify --key audit-key.pem /var/log/keyward/audit",
    .options = options,
    .run = run,
};
