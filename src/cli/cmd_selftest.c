/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward selftest: tries, in fresh processes of the real role programs, each thing
 * that a role must not be able to do (and some that it must), looks at the roles from
 * outside, and says what came of it.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "policy/landlock.h"
#include "src/crew/selftest_run.h"

struct tally {
    bool json;
    json_t *checks;
    unsigned held, failed, unpromised;
};

static void tell(struct tally *t, enum kw_role role, const char *name, const char *what,
                 const char *verdict, const char *want, const char *came)
{
    if (t->json) {
        (void)json_array_append_new(t->checks,
                                    json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "role",
                                              kw_role_name(role), "name", name, "what", what,
                                              "verdict", verdict, "expected", want, "came", came));
        return;
    }
    (void)printf("  %-9s %-18s %-42s %s\n", verdict, name, came, what);
    if (strcmp(verdict, "FAILED") == 0)
        (void)printf("            expected %s\n", want);
}

static void expected_text(const struct kw_expected *e, char *out, size_t size)
{
    switch (e->outcome) {
    case KW_O_VIOLATION:
        (void)snprintf(out, size, "violation: %s", e->call);
        return;
    case KW_O_KILLED:
        (void)snprintf(out, size, "killed: SIGSYS");
        return;
    case KW_O_ERRNO:
        (void)snprintf(out, size, "%s", strerrorname_np(e->error));
        return;
    case KW_O_WORKS:
    case KW_O_NONE:
        break;
    }
    (void)snprintf(out, size, "worked");
}

static int try_all(struct tally *t, enum kw_role role, int abi, struct kw_err *err)
{
    for (const struct kw_attempt *a = kw_attempts; a->name != NULL; a++) {
        const struct kw_expected *e = kw_attempt_expected(a, role);
        char want[64], came[96] = "";
        bool held = false;
        if (e->outcome == KW_O_NONE)
            continue;
        expected_text(e, want, sizeof want);
        if (e->abi > abi) {
            (void)snprintf(came, sizeof came, "needs Landlock abi %d", e->abi);
            tell(t, role, a->name, a->what, "no fence", want, came);
            t->unpromised++;
            continue;
        }
        int r = kw_attempt_run(a, role, &held, came, sizeof came, err);
        if (r != 0)
            return r;
        held ? t->held++ : t->failed++;
        tell(t, role, a->name, a->what, held ? "held" : "FAILED", want, came);
    }
    return 0;
}

static void check(struct tally *t, enum kw_role role, const char *name, const char *what, bool held)
{
    held ? t->held++ : t->failed++;
    tell(t, role, name, what, held ? "held" : "FAILED", "denied", held ? "denied" : "possible");
}

static void judge_outside(struct tally *t, enum kw_role role, const struct kw_outside *o)
{
    bool attributes = o->seccomp == 2 && o->no_new_privs == 1;
    attributes ? t->held++ : t->failed++;
    char came[64];
    (void)snprintf(came, sizeof came, "Seccomp=%d NoNewPrivs=%d", o->seccomp, o->no_new_privs);
    tell(t, role, "status", "what /proc/PID/status says of it", attributes ? "held" : "FAILED",
         "Seccomp=2 NoNewPrivs=1", came);
    check(t, role, "core", "leave a core dump", o->core_zero);
    check(t, role, "ptrace-it", "trace it, as the same user", o->ptrace_denied);
    check(t, role, "read-it", "read its memory by process_vm_readv", o->vm_denied);
    check(t, role, "proc-mem", "read its memory by /proc/PID/mem", o->mem_denied);
    check(t, role, "proc-environ", "read its environment", o->environ_denied);
}

static int test_role(struct tally *t, enum kw_role role, int abi, struct kw_err *err)
{
    struct kw_probe p;
    struct kw_tried said = {0};
    struct kw_outside o;
    int r = kw_probe_start(&p, role, KW_SELFTEST_STAY, err);
    if (r == 0 && !kw_probe_hear(&p, &said))
        r = kw_fail(err, KW_SANDBOX,
                    "selftest: keyward-%s could not take its sandbox and said "
                    "nothing",
                    kw_role_name(role));
    if (r == 0 && said.code != KW_OK)
        r = kw_fail(err, (enum kw_exit)said.code, "%s: %s", kw_role_name(role), said.text);
    if (r == 0)
        r = kw_outside_look(p.pid, &o, err);
    (void)kw_probe_end(&p);
    if (r != 0)
        return r;
    if (!t->json)
        (void)printf("%s: %s%s%s\n", kw_role_name(role), said.text,
                     said.missing[0] != '\0' ? "; missing: " : "", said.missing);
    judge_outside(t, role, &o);
    return try_all(t, role, abi, err);
}

static int report(struct tally *t, int abi, struct kw_err *err)
{
    if (t->json) {
        json_t *o =
            json_pack("{s:i,s:i,s:i,s:i,s:O}", "landlock_abi", abi, "held", (int)t->held, "failed",
                      (int)t->failed, "no_fence", (int)t->unpromised, "checks", t->checks);
        int r = kw_cli_result(o, err);
        if (r != 0)
            return r;
    } else
        (void)printf("%u held, %u failed, %u without a fence in this kernel (Landlock abi %d)\n",
                     t->held, t->failed, t->unpromised, abi);
    if (abi == 0)
        return kw_fail(err, KW_SANDBOX,
                       "selftest: this kernel has no Landlock; roles start only with [sandbox] "
                       "require = best-effort");
    if (t->failed > 0)
        return kw_fail(err, KW_SANDBOX,
                       "selftest: %u of %u fences did not hold on this machine; see SECURITY.md "
                       "for how to report it",
                       t->failed, t->failed + t->held);
    return 0;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    (void)args;
    struct tally t = {.json = cli->json, .checks = json_array()};
    int abi = kw_landlock_abi();
    int r = 0;
    for (unsigned role = KW_ROLE_KEEPER; r == 0 && role < KW_ROLES; role++)
        r = test_role(&t, (enum kw_role)role, abi, err);
    if (r == 0)
        r = report(&t, abi, err);
    json_decref(t.checks);
    return r;
}

const struct kw_command kw_cmd_selftest = {
    .name = "selftest",
    .operands = "",
    .summary = "prove the sandbox on this machine",
    .text = "Starts keeper, exchanger and dialer behind their fences, once for each thing that "
            "they must not be able to do, and has them try it with arguments that do no harm. "
            "Needs no token, no configuration and no network. Exit code 9 if a fence did not "
            "hold.",
    .run = run,
};
