/* SPDX-License-Identifier: Apache-2.0
 *
 * What is forbidden, tried. The kernel, given a role's filter, answers every forbidden call
 * as the interpreter of the golden tables does, so that what is reviewed there is what
 * holds; and `selftest` has an attempt for each group of each role's table, and expects of
 * each attempt what the table says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filters.h"
#include "policy/selftest.h"

/* What a child found, in memory that it shares: behind the filter it can say nothing. */
struct tally {
    unsigned violations, refusals, wrong;
    uint32_t nr, want, got; /* the first that was wrong */
    uint64_t args[6];
};

/* x86-64: what the kernel's own trampolines call (Linux 6.11 and 6.18). It asks no filter
 * about them, and ends whoever calls them from elsewhere by a signal. */
enum { URETPROBE = 335, UPROBE = 336 };

static int here; /* archs[here] is this machine's */
static volatile sig_atomic_t trapped;

static void on_sigsys(int sig, siginfo_t *si, void *context)
{
    (void)sig, (void)context;
    trapped = si->si_syscall;
}

/* Carries the call out only where it must not be: what the kernel answered, as a filter
 * would have it. */
static uint32_t try_call(uint32_t nr, const uint64_t a[6])
{
    trapped = -1;
    errno = 0;
    long r = syscall((long)nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (trapped >= 0)
        return (uint32_t)trapped == nr ? SECCOMP_RET_TRAP : UINT32_MAX;
    return SECCOMP_RET_ERRNO | (r == -1 ? (uint32_t)errno : 0);
}

static void try_forbidden(struct tally *t, int v, uint32_t nr, const uint64_t args[6])
{
    uint32_t want = ask(here, v, nr, args);
    if (want != SECCOMP_RET_TRAP && (want & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO)
        return;
    uint32_t got = try_call(nr, args);
    *(want == SECCOMP_RET_TRAP ? &t->violations : &t->refusals) += 1;
    if (got == want)
        return;
    if (t->wrong++ == 0) {
        t->nr = nr;
        t->want = want;
        t->got = got;
        memcpy(t->args, args, sizeof t->args);
    }
}

/* The least that meets a limit, and a bit more in the upper half. */
static uint64_t meets(const struct kw_limit *l)
{
    const uint64_t self = (uint64_t)getpid();
    return l->op == KW_OP_SELF    ? self
           : l->op == KW_OP_OTHER ? self + 1
                                  : l->value + (l->op == KW_OP_NE || l->op == KW_OP_GT);
}

static void try_rules(struct tally *t, int v)
{
    const struct kw_table *table = kw_table_of(variants[v].role);
    for (size_t i = 0; table->groups[i] != NULL; i++)
        for (size_t j = 0; j < table->groups[i]->n; j++) {
            const struct kw_rule *r = &table->groups[i]->rules[j];
            uint64_t args[6];
            if (r->nr < 0)
                continue;
            memset(args, 0xff, sizeof args);
            for (unsigned l = 0; l < KW_LIMITS && r->limits[l].op != KW_OP_NONE; l++)
                args[r->limits[l].arg] = meets(&r->limits[l]);
            try_forbidden(t, v, (uint32_t)r->nr, args);
            for (unsigned l = 0; l < KW_LIMITS && r->limits[l].op != KW_OP_NONE; l++) {
                args[r->limits[l].arg] ^= UINT64_C(1) << 32;
                try_forbidden(t, v, (uint32_t)r->nr, args);
                args[r->limits[l].arg] ^= UINT64_C(1) << 32;
            }
        }
}

static void child(struct tally *t, int v) __attribute__((noreturn));

static void child(struct tally *t, int v)
{
    static const uint64_t zeros[6];
    uint64_t ones[6];
    struct kw_err err;
    const struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    memset(ones, 0xff, sizeof ones);
    if (sigaction(SIGSYS, &sa, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        kw_seccomp_install(&filters[here][v], variants[v].role, &err) != 0)
        _exit(2);
    for (uint32_t nr = 0; nr < 1024; nr++) {
        if (archs[here]->x32 && (nr == URETPROBE || nr == UPROBE))
            continue;
        try_forbidden(t, v, nr, zeros);
        try_forbidden(t, v, nr, ones);
    }
    try_forbidden(t, v, UINT32_MAX - KW_NR_X32, zeros); /* far above, without the x32 bit */
    try_rules(t, v);
    _exit(0);
}

static void kernel_agrees(void **state)
{
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bool strict = variants[v].role == KW_ROLE_EXCHANGER || variants[v].role == KW_ROLE_PROXY;
        if (strict && variants[v].sanitizer != KW_SANITIZED)
            continue;
        int status = 0;
        struct tally *t =
            mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(t, MAP_FAILED);
        pid_t pid = fork();
        if (pid == 0)
            child(t, v);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        const char *role = kw_role_name(variants[v].role);
        if (status != 0 || t->wrong != 0)
            fail_msg("%s %s: status %#x, %u wrong, call %u(%#llx, %#llx, %#llx): interpreter %#x, "
                     "kernel %#x",
                     role, variants[v].name, (unsigned)status, t->wrong, t->nr,
                     (unsigned long long)t->args[0], (unsigned long long)t->args[1],
                     (unsigned long long)t->args[2], t->want, t->got);
        assert_true(t->violations > (strict ? 500u : 100u));
        assert_true(t->refusals > 1000); /* all the numbers that nobody has judged */
        print_message("%s, %s: %u violations and %u refusals, by the kernel\n", role,
                      variants[v].name, t->violations, t->refusals);
        (void)munmap(t, sizeof *t);
    }
}

/* --- selftest against the table --------------------------------------------------------- */

static bool rule_holds(const struct kw_rule *r, const struct kw_attempt *a)
{
    if (a->run != NULL || r->nr != (int)a->nr)
        return false;
    for (unsigned i = 0; i < KW_LIMITS && r->limits[i].op != KW_OP_NONE; i++) {
        const struct kw_limit *l = &r->limits[i];
        uint64_t v = a->args[l->arg], self = (uint64_t)getpid();
        bool holds = l->op == KW_OP_EQ      ? v == l->value
                     : l->op == KW_OP_NE    ? v != l->value
                     : l->op == KW_OP_GT    ? v > l->value
                     : l->op == KW_OP_SELF  ? v == self
                     : l->op == KW_OP_OTHER ? v != self
                                            : (v & l->mask) == l->value;
        if (!holds)
            return false;
    }
    return true;
}

/* Whether selftest tries, in this role, a rule of the group that has this answer. */
static bool tried(const struct kw_group *g, enum kw_answer answer, enum kw_role role)
{
    for (const struct kw_attempt *a = kw_attempts; a->name != NULL; a++)
        for (size_t i = 0; i < g->n; i++)
            if (g->rules[i].answer == answer && rule_holds(&g->rules[i], a) &&
                kw_attempt_expected(a, role)->outcome != KW_O_NONE)
                return true;
    return false;
}

static void every_group_is_tried(void **state)
{
    (void)state;
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++) {
        const struct kw_table *t = kw_table_of((enum kw_role)role);
        unsigned flags = role == KW_ROLE_DIALER ? KW_SB_NETWORK : 0; /* as selftest has it */
        for (size_t i = 0; t->groups[i] != NULL; i++) {
            const struct kw_group *g = t->groups[i];
            if (!kw_group_applies(g, flags, false))
                continue;
            for (size_t j = 0; j < g->n; j++)
                if (g->rules[j].nr >= 0 && g->rules[j].answer != KW_ALLOW &&
                    !tried(g, g->rules[j].answer, (enum kw_role)role))
                    fail_msg("%s: selftest tries nothing of '%s' that ends like %s",
                             kw_role_name((enum kw_role)role), g->title, g->rules[j].name);
        }
    }
}

/* Each of these is worth an attempt of its own in each role. */
static void every_way_out_is_tried(void **state)
{
    (void)state;
    static const long calls[] = {SYS_execve,
                                 SYS_execveat,
                                 SYS_unshare,
                                 SYS_setns,
                                 SYS_ptrace,
                                 SYS_process_vm_readv,
                                 SYS_process_vm_writev,
                                 SYS_pidfd_getfd,
                                 SYS_kill,
                                 SYS_bpf,
                                 SYS_io_uring_setup,
                                 SYS_userfaultfd,
                                 SYS_perf_event_open,
                                 SYS_keyctl,
                                 SYS_kexec_load,
                                 SYS_finit_module,
                                 SYS_mount,
                                 SYS_chroot,
                                 SYS_open_by_handle_at,
                                 SYS_socket,
                                 SYS_socketpair,
                                 SYS_clone3,
                                 SYS_mknodat,
                                 SYS_clock_settime,
                                 SYS_reboot};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++) {
            bool found = false;
            for (const struct kw_attempt *a = kw_attempts; a->name != NULL && !found; a++)
                found = a->run == NULL && a->nr == calls[i] &&
                        kw_attempt_expected(a, (enum kw_role)role)->outcome != KW_O_NONE;
            if (!found)
                fail_msg("%s: call %ld is not tried", kw_role_name((enum kw_role)role), calls[i]);
        }
}

/* An attempt expects what the filter answers; what it lets pass, another fence stops. */
static void expected_is_what_the_table_says(void **state)
{
    (void)state;
    static const int variant_of[KW_ROLES] = {[KW_ROLE_KEEPER] = DENY,
                                             [KW_ROLE_EXCHANGER] = RELEASE,
                                             [KW_ROLE_DIALER] = DIALER,
                                             [KW_ROLE_PROXY] = PROXY};
    for (const struct kw_attempt *a = kw_attempts; a->name != NULL; a++)
        for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES && a->run == NULL; role++) {
            const struct kw_expected *e = kw_attempt_expected(a, (enum kw_role)role);
            uint64_t args[6];
            for (int i = 0; i < 6; i++)
                args[i] = a->args[i];
            uint32_t says = ask(here, variant_of[role], (uint32_t)a->nr, args);
            bool right =
                e->outcome == KW_O_NONE ||
                (e->outcome == KW_O_VIOLATION && says == SECCOMP_RET_TRAP) ||
                (e->outcome == KW_O_ERRNO &&
                 (says == SECCOMP_RET_ALLOW || says == (SECCOMP_RET_ERRNO | (uint32_t)e->error))) ||
                (e->outcome == KW_O_WORKS &&
                 (says == SECCOMP_RET_ALLOW || says == SECCOMP_RET_ERRNO));
            if (!right)
                fail_msg("%s, %s: the filter says %#x", kw_role_name((enum kw_role)role), a->name,
                         says);
            if (e->outcome != KW_O_VIOLATION)
                continue;
            char *name = seccomp_syscall_resolve_num_arch(archs[here]->token, (int)a->nr);
            assert_non_null(name);
            assert_string_equal(e->call, name);
            free(name);
        }
}

int main(void)
{
    if (build_filters() != 0)
        return 1;
    here = archs[0] == kw_arch_native ? 0 : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_agrees),
        cmocka_unit_test(every_group_is_tried),
        cmocka_unit_test(every_way_out_is_tried),
        cmocka_unit_test(expected_is_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
