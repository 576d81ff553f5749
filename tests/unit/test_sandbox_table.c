/* SPDX-License-Identifier: Apache-2.0
 *
 * The system call tables as data: an interpreter runs the compiled filters and must
 * get, for every number and for arguments on both sides of every limit, what the table
 * says, and for every known call what the golden file says. After a deliberate change
 * of a table: test_sandbox_table --golden > tests/unit/golden_sandbox.inc, and review
 * the difference.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/table.h"

struct variant {
    const char *name;
    const struct kw_table *table;
    unsigned flags;
    bool sanitizer;
};

static const struct variant variants[] = {
    {"exchanger", &kw_table_exchanger, 0, false},
    {"keeper", &kw_table_keeper, 0, false},
    {"keeper+network", &kw_table_keeper, KW_SB_NETWORK, false},
    {"dialer", &kw_table_dialer, KW_SB_NETWORK, false},
    {"exchanger+asan", &kw_table_exchanger, 0, true},
    {"keeper+local", &kw_table_keeper, KW_SB_LOCAL, false},
};
enum { VARIANTS = sizeof variants / sizeof variants[0], GOLDEN = 4, KEEPER_LOCAL = 5 };

static struct kw_filter filters[VARIANTS];
static uint32_t native;

struct golden {
    int nr;
    const char *name;
    const char *answers;
};

/* With all arguments 0 and with all bits set, for the first four variants. */
static const struct golden golden[] = {
#ifdef __x86_64__
#include "golden_sandbox.inc"
#endif
    {-1, NULL, NULL},
};

/* A classic BPF machine, as far as seccomp has one; UINT32_MAX for what it hasn't. */
static uint32_t run_filter(const struct kw_filter *f, const struct seccomp_data *d)
{
    uint32_t a = 0;
    for (size_t pc = 0; pc < f->n; pc++) {
        const struct sock_filter *i = &f->code[pc];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (i->k % 4 != 0 || i->k + 4 > sizeof *d)
                return UINT32_MAX;
            memcpy(&a, (const unsigned char *)d + i->k, 4);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            pc += a > i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += (a & i->k) != 0 ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            return UINT32_MAX;
        }
    }
    return UINT32_MAX;
}

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
static uint32_t read_table(const struct variant *v, uint32_t nr, const uint64_t args[6])
{
#ifdef __x86_64__
    if (nr >= KW_NR_X32 && nr != UINT32_MAX)
        return SECCOMP_RET_KILL_PROCESS;
    if (nr >= KW_NR_GAP_FIRST && nr <= KW_NR_GAP_LAST)
        return SECCOMP_RET_ERRNO | ENOSYS;
#endif
    if (nr > KW_NR_KNOWN)
        return SECCOMP_RET_ERRNO | ENOSYS;
    uint32_t answer = UINT32_MAX;
    for (size_t i = 0; v->table->groups[i] != NULL; i++) {
        const struct kw_group *g = v->table->groups[i];
        for (size_t j = 0; kw_group_applies(g, v->flags, v->sanitizer) && j < g->n; j++) {
            const struct kw_rule *r = &g->rules[j];
            bool holds = r->nr == (int)nr;
            for (unsigned l = 0; holds && l < KW_LIMITS && r->limits[l].op != KW_OP_NONE; l++)
                holds = limit_holds(&r->limits[l], args);
            uint32_t value = answer_value(r->answer, r->error);
            if (holds && answer != UINT32_MAX)
                assert_int_equal(answer, value);
            if (holds)
                answer = value;
        }
    }
    return answer != UINT32_MAX ? answer : answer_value(v->table->otherwise, 0);
}

static uint32_t ask(const struct variant *v, uint32_t arch, uint32_t nr, const uint64_t args[6])
{
    struct seccomp_data d = {.nr = (int)nr, .arch = arch};
    for (int i = 0; i < 6; i++)
        d.args[i] = args[i];
    return run_filter(&filters[v - variants], &d);
}

static void compare(const struct variant *v, uint32_t nr, const uint64_t args[6])
{
    uint32_t want = read_table(v, nr, args), got = ask(v, native, nr, args);
    if (want != got)
        fail_msg("%s, call %u(%#llx, %#llx, %#llx, %#llx): table %#x, filter %#x", v->name, nr,
                 (unsigned long long)args[0], (unsigned long long)args[1],
                 (unsigned long long)args[2], (unsigned long long)args[3], want, got);
}

static void every_number(void **state)
{
    (void)state;
    static const uint64_t zeros[6];
    uint64_t ones[6];
    memset(ones, 0xff, sizeof ones);
    for (const struct variant *v = variants; v < variants + VARIANTS; v++) {
        for (uint32_t nr = 0; nr < 1024; nr++) {
            compare(v, nr, zeros);
            compare(v, nr, ones);
#ifdef __x86_64__
            assert_int_equal(ask(v, native, nr | KW_NR_X32, zeros), SECCOMP_RET_KILL_PROCESS);
            assert_int_equal(ask(v, AUDIT_ARCH_I386, nr, zeros), SECCOMP_RET_KILL_PROCESS);
#endif
            assert_int_equal(ask(v, AUDIT_ARCH_MIPS64, nr, zeros), SECCOMP_RET_KILL_PROCESS);
        }
        compare(v, UINT32_MAX, zeros);
        compare(v, KW_NR_X32, zeros);
        compare(v, KW_NR_X32 - 1, zeros);
        compare(v, UINT32_MAX - 1, zeros);
        compare(v, 0x80000000u, zeros);
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

static void probe_rule(const struct variant *v, const struct kw_rule *r)
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
                compare(v, (uint32_t)r->nr, args);
            }
}

static void every_limit(void **state)
{
    (void)state;
    for (const struct variant *v = variants; v < variants + VARIANTS; v++)
        for (size_t i = 0; v->table->groups[i] != NULL; i++) {
            const struct kw_group *g = v->table->groups[i];
            if (kw_group_applies(g, v->flags, v->sanitizer))
                for (size_t j = 0; j < g->n; j++)
                    if (g->rules[j].nr >= 0 && g->rules[j].limits[0].op != KW_OP_NONE)
                        probe_rule(v, &g->rules[j]);
        }
}

/* What must be so whatever the table is changed to. */
static void never(void **state)
{
    (void)state;
    static const long exchanger_never[] = {
        SYS_execve, SYS_execveat, SYS_clone,        SYS_clone3,           SYS_socket,
        SYS_ptrace, SYS_openat2,  SYS_memfd_create, SYS_process_vm_readv, SYS_sendmsg,
        SYS_bind,   SYS_accept4,  SYS_dup,          SYS_pidfd_getfd,      SYS_io_uring_setup,
        SYS_bpf,    SYS_unshare,  SYS_kill};
    uint64_t args[6] = {0};
    for (size_t i = 0; i < sizeof exchanger_never / sizeof exchanger_never[0]; i++)
        assert_int_equal(ask(&variants[0], native, (uint32_t)exchanger_never[i], args),
                         SECCOMP_RET_TRAP);
    for (uint64_t prot = 0; prot < 8; prot++)
        for (uint64_t flags = 0; flags < 0x100000; flags += 1) {
            uint64_t map[6] = {0, 4096, prot, flags, UINT64_MAX, 0};
            if (ask(&variants[0], native, SYS_mmap, map) == SECCOMP_RET_ALLOW) {
                assert_int_equal(prot & PROT_EXEC, 0);
                assert_true((flags & MAP_ANONYMOUS) != 0 && (flags & 0x3) != MAP_SHARED);
            }
        }
    uint64_t out[6] = {3, 0, 0, 0, 1, 16};
    assert_int_equal(ask(&variants[0], native, SYS_sendto, out), SECCOMP_RET_TRAP);
    out[4] = UINT64_C(1) << 32; /* the upper half of the pointer counts too */
    assert_int_equal(ask(&variants[0], native, SYS_sendto, out), SECCOMP_RET_TRAP);
    for (uint64_t family = 0; family < 64; family++) {
        uint64_t s[6] = {family, SOCK_STREAM, 0};
        assert_int_equal(ask(&variants[1], native, SYS_socket, s),
                         family == AF_UNIX ? (SECCOMP_RET_ERRNO | EACCES) : SECCOMP_RET_TRAP);
        assert_int_equal(ask(&variants[KEEPER_LOCAL], native, SYS_socket, s),
                         family == AF_UNIX ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP);
        bool common = family == AF_UNSPEC || family == AF_UNIX || family == AF_INET ||
                      family == AF_INET6 || family == AF_NETLINK;
        assert_int_equal(ask(&variants[2], native, SYS_socket, s),
                         common ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP);
        assert_int_equal(ask(&variants[3], native, SYS_socket, s),
                         family == AF_UNIX ? (SECCOMP_RET_ERRNO | EAFNOSUPPORT)
                         : common          ? SECCOMP_RET_ALLOW
                                           : SECCOMP_RET_TRAP);
    }
}

static void code_text(uint32_t answer, char *out, size_t size)
{
    if (answer == SECCOMP_RET_ALLOW)
        (void)snprintf(out, size, "A");
    else if (answer == SECCOMP_RET_TRAP)
        (void)snprintf(out, size, "V");
    else if ((answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
        (void)snprintf(out, size, "E%u", answer & SECCOMP_RET_DATA);
    else
        (void)snprintf(out, size, "K");
}

/* "A/A V/V A/E1 ..." */
static void answers_text(uint32_t nr, char *out, size_t size)
{
    static const uint64_t zeros[6];
    uint64_t ones[6];
    memset(ones, 0xff, sizeof ones);
    out[0] = '\0';
    for (int i = 0; i < GOLDEN; i++) {
        char low[16], high[16];
        code_text(ask(&variants[i], native, nr, zeros), low, sizeof low);
        code_text(ask(&variants[i], native, nr, ones), high, sizeof high);
        size_t n = strlen(out);
        (void)snprintf(out + n, size - n, "%s%s/%s", i > 0 ? " " : "", low, high);
    }
}

static void as_golden(void **state)
{
    (void)state;
    uint32_t next = 0;
    for (const struct golden *g = golden; g->name != NULL; g++, next++) {
        char now[96];
        if (next == KW_NR_GAP_FIRST)
            next = KW_NR_GAP_LAST + 1;
        assert_int_equal(g->nr, next);
        answers_text(next, now, sizeof now);
        if (strcmp(now, g->answers) != 0)
            fail_msg("%s (%d): golden %s, filter %s", g->name, g->nr, g->answers, now);
    }
#ifdef __x86_64__
    assert_int_equal(next, KW_NR_KNOWN + 1);
#endif
}

static int print_golden(void)
{
    (void)printf(
        "/* SPDX-License-Identifier: Apache-2.0\n"
        " *\n"
        " * exchanger, keeper, keeper with network, dialer; each with all arguments 0 and\n"
        " * with all bits set: A allow, V violation, E errno. Made and explained by\n"
        " * test_sandbox_table.c. */\n"
        "/* clang-format off */\n");
    for (uint32_t nr = 0; nr <= KW_NR_KNOWN; nr++) {
        char text[96];
        if (nr == KW_NR_GAP_FIRST)
            nr = KW_NR_GAP_LAST + 1;
        char *name = seccomp_syscall_resolve_num_arch(native, (int)nr);
        answers_text(nr, text, sizeof text);
        (void)printf("{%u, \"%s\", \"%s\"},\n", nr, name != NULL ? name : "?", text);
        free(name);
    }
    return 0;
}

static int build_all(void)
{
    struct kw_err err;
    native = seccomp_arch_native();
    for (int i = 0; i < VARIANTS; i++)
        if (kw_seccomp_build(variants[i].table, variants[i].flags, variants[i].sanitizer,
                             &filters[i], &err) != 0) {
            (void)fprintf(stderr, "%s: %s\n", variants[i].name, err.text);
            return 1;
        }
    return 0;
}

static void sizes(void **state)
{
    (void)state;
    for (int i = 0; i < VARIANTS; i++)
        assert_in_range(filters[i].n, 20, 1500);
}

int main(int argc, char **argv)
{
    if (build_all() != 0)
        return 1;
    if (argc == 2 && strcmp(argv[1], "--golden") == 0)
        return print_golden();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number), cmocka_unit_test(every_limit), cmocka_unit_test(never),
        cmocka_unit_test(as_golden),    cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
