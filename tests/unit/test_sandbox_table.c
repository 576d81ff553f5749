/* SPDX-License-Identifier: Apache-2.0
 *
 * The system call tables as data: an interpreter runs the compiled filters and must get,
 * for every number and for arguments on both sides of every limit, what the table says, on
 * both architectures; and some answers that no change of a table may change. What the
 * tables say is reviewed in tests/unit/golden (test_sandbox_golden.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filters.h"

static bool limit_holds(const struct kw_limit *l, const uint64_t args[6])
{
    uint64_t a = args[l->arg], self = (uint64_t)getpid();
    switch (l->op) {
    case KW_OP_EQ:
        return a == l->value;
    case KW_OP_NE:
        return a != l->value;
    case KW_OP_GT:
        return a > l->value;
    case KW_OP_BITS:
        return (a & l->mask) == l->value;
    case KW_OP_SELF:
        return a == self;
    case KW_OP_OTHER:
        return a != self;
    case KW_OP_NONE:
        break;
    }
    return true;
}

static uint32_t answer_value(enum kw_answer answer, int error)
{
    if (answer == KW_ALLOW)
        return SECCOMP_RET_ALLOW;
    return answer == KW_REFUSE ? SECCOMP_RET_ERRNO | (uint32_t)error : SECCOMP_RET_TRAP;
}

/* What the table says, straight from its rows. Demands that the rows of a call that
 * hold at once agree. */
static uint32_t read_table(int arch, int variant, uint32_t nr, const uint64_t args[6])
{
    const struct variant *v = &variants[variant];
    const struct kw_table *t = kw_table_of(v->role);
    if (archs[arch]->x32 && nr >= KW_NR_X32 && nr != UINT32_MAX)
        return SECCOMP_RET_KILL_PROCESS;
    if (nr > KW_NR_KNOWN || (nr >= archs[arch]->gap_first && nr <= archs[arch]->gap_last))
        return SECCOMP_RET_ERRNO | ENOSYS;
    uint32_t answer = UINT32_MAX;
    for (size_t i = 0; t->groups[i] != NULL; i++) {
        const struct kw_group *g = t->groups[i];
        for (size_t j = 0; kw_group_applies(g, v->flags, v->sanitizer) && j < g->n; j++) {
            const struct kw_rule *r = &g->rules[j];
            bool holds = kw_rule_number(r, archs[arch]) == (int)nr;
            for (unsigned l = 0; holds && l < KW_LIMITS && r->limits[l].op != KW_OP_NONE; l++)
                holds = limit_holds(&r->limits[l], args);
            uint32_t value = answer_value(r->answer, r->error);
            if (holds && answer != UINT32_MAX)
                assert_int_equal(answer, value);
            if (holds)
                answer = value;
        }
    }
    return answer != UINT32_MAX ? answer : answer_value(t->otherwise, 0);
}

static void compare(int arch, int v, uint32_t nr, const uint64_t args[6])
{
    uint32_t want = read_table(arch, v, nr, args), got = ask(arch, v, nr, args);
    if (want != got)
        fail_msg("%s, %s %s, call %u(%#llx, %#llx, %#llx, %#llx): table %#x, filter %#x",
                 archs[arch]->name, kw_role_name(variants[v].role), variants[v].name, nr,
                 (unsigned long long)args[0], (unsigned long long)args[1],
                 (unsigned long long)args[2], (unsigned long long)args[3], want, got);
}

/* Entries of other architectures, this one's other entries among them. */
static const uint32_t foreign[] = {AUDIT_ARCH_I386,
                                   AUDIT_ARCH_ARM,
                                   AUDIT_ARCH_MIPS64,
                                   AUDIT_ARCH_X86_64,
                                   AUDIT_ARCH_AARCH64,
                                   AUDIT_ARCH_RISCV64,
                                   0,
                                   UINT32_MAX};

static void every_number(void **state)
{
    (void)state;
    static const uint64_t zeros[6];
    uint64_t ones[6];
    memset(ones, 0xff, sizeof ones);
    for (int a = 0; a < ARCHS; a++)
        for (int v = 0; v < VARIANTS; v++) {
            for (uint32_t nr = 0; nr < 1024; nr++) {
                compare(a, v, nr, zeros);
                compare(a, v, nr, ones);
                compare(a, v, nr | KW_NR_X32, zeros);
                for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
                    if (foreign[i] != archs[a]->token)
                        assert_int_equal(ask_by(foreign[i], a, v, nr, zeros),
                                         SECCOMP_RET_KILL_PROCESS);
            }
            for (unsigned bit = 0; bit < 32; bit++) /* all the way up */
                for (uint32_t off = 0; off < 3; off++)
                    compare(a, v, (1u << bit) - 1 + off, zeros);
            for (uint32_t nr = UINT32_MAX; nr > UINT32_MAX - 4; nr--)
                compare(a, v, nr, zeros);
        }
}

/* Values on both sides of a limit: itself, each bit flipped, and its neighbours. */
static size_t around(const struct kw_limit *l, uint64_t out[80])
{
    uint64_t base = l->op == KW_OP_SELF || l->op == KW_OP_OTHER ? (uint64_t)getpid() : l->value;
    size_t n = 0;
    out[n++] = base;
    for (unsigned bit = 0; bit < 64; bit++)
        out[n++] = base ^ (UINT64_C(1) << bit);
    out[n++] = base + 1;
    out[n++] = base - 1;
    out[n++] = 0;
    out[n++] = UINT64_MAX;
    return n;
}

static void probe_rule(int arch, int v, const struct kw_rule *r)
{
    uint64_t tries[KW_LIMITS][80] = {{0}};
    size_t n[KW_LIMITS] = {1, 1, 1};
    for (unsigned l = 0; l < KW_LIMITS && r->limits[l].op != KW_OP_NONE; l++)
        n[l] = around(&r->limits[l], tries[l]);
    for (size_t i = 0; i < n[0]; i++)
        for (size_t j = 0; j < n[1]; j++)
            for (size_t k = 0; k < n[2]; k++) {
                const size_t at[KW_LIMITS] = {i, j, k};
                uint64_t args[6] = {0};
                for (unsigned l = 0; l < KW_LIMITS && r->limits[l].op != KW_OP_NONE; l++)
                    args[r->limits[l].arg] = tries[l][at[l]];
                compare(arch, v, (uint32_t)kw_rule_number(r, archs[arch]), args);
            }
}

static void every_limit(void **state)
{
    (void)state;
    for (int a = 0; a < ARCHS; a++)
        for (int v = 0; v < VARIANTS; v++) {
            const struct kw_table *t = kw_table_of(variants[v].role);
            for (size_t i = 0; t->groups[i] != NULL; i++) {
                const struct kw_group *g = t->groups[i];
                if (!kw_group_applies(g, variants[v].flags, variants[v].sanitizer))
                    continue;
                for (size_t j = 0; j < g->n; j++)
                    if (kw_rule_number(&g->rules[j], archs[a]) >= 0 &&
                        g->rules[j].limits[0].op != KW_OP_NONE)
                        probe_rule(a, v, &g->rules[j]);
            }
        }
}

/* What must be so whatever the table is changed to. */
static void never(void **state)
{
    (void)state;
    const int here = archs[0] == kw_arch_native ? 0 : 1;
    static const long exchanger_never[] = {
        SYS_execve, SYS_execveat, SYS_clone,        SYS_clone3,           SYS_socket,
        SYS_ptrace, SYS_openat2,  SYS_memfd_create, SYS_process_vm_readv, SYS_sendmsg,
        SYS_bind,   SYS_accept4,  SYS_dup,          SYS_pidfd_getfd,      SYS_io_uring_setup,
        SYS_bpf,    SYS_unshare,  SYS_kill};
    uint64_t args[6] = {0};
    for (size_t i = 0; i < sizeof exchanger_never / sizeof exchanger_never[0]; i++)
        assert_int_equal(ask(here, RELEASE, (uint32_t)exchanger_never[i], args), SECCOMP_RET_TRAP);
    for (uint64_t prot = 0; prot < 8; prot++)
        for (uint64_t low = 0; low < 0x8000; low++)
            for (uint64_t high = 0x4000; high <= 0x200000; high *= 2) { /* first: none */
                uint64_t flags = low | (high > 0x4000 ? high : 0);
                uint64_t map[6] = {0, 4096, prot, flags, UINT64_MAX, 0};
                if (ask(here, RELEASE, SYS_mmap, map) == SECCOMP_RET_ALLOW) {
                    assert_int_equal(prot & PROT_EXEC, 0);
                    assert_true((flags & MAP_ANONYMOUS) != 0 && (flags & 0x3) != MAP_SHARED);
                }
            }
    uint64_t out[6] = {3, 0, 0, 0, 1, 16};
    assert_int_equal(ask(here, RELEASE, SYS_sendto, out), SECCOMP_RET_TRAP);
    out[4] = UINT64_C(1) << 32; /* the upper half of the pointer counts too */
    assert_int_equal(ask(here, RELEASE, SYS_sendto, out), SECCOMP_RET_TRAP);
    for (uint64_t family = 0; family < 64; family++) {
        uint64_t s[6] = {family, SOCK_STREAM, 0};
        assert_int_equal(ask(here, DENY, SYS_socket, s),
                         family == AF_UNIX ? (SECCOMP_RET_ERRNO | EACCES) : SECCOMP_RET_TRAP);
        assert_int_equal(ask(here, LOCAL, SYS_socket, s),
                         family == AF_UNIX ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP);
        bool common = family == AF_UNSPEC || family == AF_UNIX || family == AF_INET ||
                      family == AF_INET6 || family == AF_NETLINK;
        assert_int_equal(ask(here, ALLOW, SYS_socket, s),
                         common ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP);
        assert_int_equal(ask(here, DIALER, SYS_socket, s), family == AF_UNIX
                                                               ? (SECCOMP_RET_ERRNO | EAFNOSUPPORT)
                                                           : common ? SECCOMP_RET_ALLOW
                                                                    : SECCOMP_RET_TRAP);
    }
}

/* The name is what other architectures' numbers are found by; this machine's shows that
 * the name is the call. And the answers of a rule are told apart by limits on different
 * arguments. */
static void every_name(void **state)
{
    (void)state;
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++) {
        const struct kw_table *t = kw_table_of((enum kw_role)role);
        for (size_t i = 0; t->groups[i] != NULL; i++)
            for (size_t j = 0; j < t->groups[i]->n; j++) {
                const struct kw_rule *r = &t->groups[i]->rules[j];
                int nr = seccomp_syscall_resolve_name_arch(kw_arch_native->token, r->name);
                if (nr != kw_rule_number(r, kw_arch_native))
                    fail_msg("%s: %d by its name, %d in the table", r->name, nr, r->nr);
                unsigned seen = 0;
                for (unsigned l = 0; l < KW_LIMITS && r->limits[l].op != KW_OP_NONE; l++) {
                    assert_int_equal(seen & 1u << r->limits[l].arg, 0);
                    seen |= 1u << r->limits[l].arg;
                }
            }
    }
}

/* Builds with sanitizers differ in exchanger and proxy alone: what is tested there of keeper and
 * dialer holds for a release. */
static void sanitizers_change_the_strict_ones(void **state)
{
    (void)state;
    static struct kw_filter f;
    struct kw_err err;
    for (int v = 0; v < VARIANTS; v++) {
        const struct variant *w = &variants[v];
        assert_int_equal(kw_seccomp_build(kw_table_of(w->role), w->flags, true, archs[0], &f, &err),
                         0);
        bool same = f.n == filters[0][v].n &&
                    memcmp(f.code, filters[0][v].code, f.n * sizeof f.code[0]) == 0;
        assert_int_equal(same, v != RELEASE && v != PROXY);
    }
}

static void sizes(void **state)
{
    (void)state;
    for (int a = 0; a < ARCHS; a++)
        for (int v = 0; v < VARIANTS; v++)
            assert_in_range(filters[a][v].n, 20, 1500);
}

int main(void)
{
    if (build_filters() != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number),
        cmocka_unit_test(every_limit),
        cmocka_unit_test(never),
        cmocka_unit_test(every_name),
        cmocka_unit_test(sanitizers_change_the_strict_ones),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
