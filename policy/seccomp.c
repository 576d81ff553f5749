/* SPDX-License-Identifier: Apache-2.0
 *
 * From table to filter. libseccomp compiles the rules; three things that it can't
 * express are put in front of its program by hand: a foreign architecture is killed
 * before a number is looked at, so are x32 numbers, and numbers that nobody judged
 * are ENOSYS.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "table.h"

const struct kw_arch kw_arch_x86_64 = {AUDIT_ARCH_X86_64, 335, 423, true, "x86-64"};
const struct kw_arch kw_arch_aarch64 = {AUDIT_ARCH_AARCH64, 295, 423, false, "arm64"};
#if defined(__x86_64__)
const struct kw_arch *const kw_arch_native = &kw_arch_x86_64;
#elif defined(__aarch64__)
const struct kw_arch *const kw_arch_native = &kw_arch_aarch64;
#else
#error "the tables have been judged for x86-64 and arm64 only"
#endif

#define OFF(field)  ((uint32_t)offsetof(struct seccomp_data, field))
#define RET(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define NOT_THERE   RET(SECCOMP_RET_ERRNO | ENOSYS)

enum { PROLOGUE_MAX = 16 };

/* Number -1 is what a tracer leaves behind that skipped a call; it has the x32 bit. */
static size_t prologue(const struct kw_arch *arch, struct sock_filter *out)
{
    const struct sock_filter first[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFF(arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch->token, 1, 0),
        RET(SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFF(nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1),
        NOT_THERE,
    };
    const struct sock_filter x32[] = {
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, KW_NR_X32, 0, 1),
        RET(SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_filter unknown[] = {
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, arch->gap_first, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, arch->gap_last, 1, 0),
        NOT_THERE,
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, KW_NR_KNOWN, 0, 1),
        NOT_THERE,
    };
    _Static_assert(sizeof first + sizeof x32 + sizeof unknown <= PROLOGUE_MAX * sizeof *out,
                   "room for the prologue");
    size_t n = 0;
    memcpy(out, first, sizeof first);
    n += sizeof first / sizeof *out;
    if (arch->x32) {
        memcpy(out + n, x32, sizeof x32);
        n += sizeof x32 / sizeof *out;
    }
    memcpy(out + n, unknown, sizeof unknown);
    return n + sizeof unknown / sizeof *out;
}

const struct kw_table *kw_table_of(enum kw_role role)
{
    switch (role) {
    case KW_ROLE_KEEPER:
        return &kw_table_keeper;
    case KW_ROLE_EXCHANGER:
        return &kw_table_exchanger;
    case KW_ROLE_DIALER:
        return &kw_table_dialer;
    case KW_ROLE_PROXY:
        return &kw_table_proxy;
    case KW_ROLE_MAIN:
    case KW_ROLES: /* and mains with other names */
    case KW_ROLE_CLIENT:
    case KW_ROLE_AGENT:
    case KW_ROLE_JOB:
        break;
    }
    return NULL;
}

bool kw_group_applies(const struct kw_group *g, unsigned flags, bool sanitizer)
{
    if (g->sanitizer && !sanitizer)
        return false;
    return (flags & g->only) == g->only && (flags & g->unless) == 0;
}

static uint32_t action_of(enum kw_answer answer, int error)
{
    switch (answer) {
    case KW_ALLOW:
        return SCMP_ACT_ALLOW;
    case KW_REFUSE:
        return SCMP_ACT_ERRNO((uint32_t)error);
    case KW_VIOLATE:
        break;
    }
    return SCMP_ACT_TRAP;
}

static struct scmp_arg_cmp compare(const struct kw_limit *l)
{
    switch (l->op) {
    case KW_OP_NE:
        return (struct scmp_arg_cmp){l->arg, SCMP_CMP_NE, l->value, 0};
    case KW_OP_GT:
        return (struct scmp_arg_cmp){l->arg, SCMP_CMP_GT, l->value, 0};
    case KW_OP_BITS:
        return (struct scmp_arg_cmp){l->arg, SCMP_CMP_MASKED_EQ, l->mask, l->value};
    case KW_OP_SELF:
        return (struct scmp_arg_cmp){l->arg, SCMP_CMP_EQ, (uint64_t)getpid(), 0};
    case KW_OP_OTHER:
        return (struct scmp_arg_cmp){l->arg, SCMP_CMP_NE, (uint64_t)getpid(), 0};
    case KW_OP_EQ:
    case KW_OP_NONE:
        break;
    }
    return (struct scmp_arg_cmp){l->arg, SCMP_CMP_EQ, l->value, 0};
}

int kw_rule_number(const struct kw_rule *r, const struct kw_arch *arch)
{
    return arch == kw_arch_native ? r->nr : seccomp_syscall_resolve_name_arch(arch->token, r->name);
}

/* libseccomp wants this machine's number, and makes another architecture's of it. */
static int add_rule(scmp_filter_ctx ctx, const struct kw_rule *r, const struct kw_arch *arch,
                    struct kw_err *err)
{
    if (kw_rule_number(r, arch) < 0) /* this architecture doesn't have it */
        return 0;
    struct scmp_arg_cmp limits[KW_LIMITS];
    unsigned n = 0;
    while (n < KW_LIMITS && r->limits[n].op != KW_OP_NONE) {
        limits[n] = compare(&r->limits[n]);
        n++;
    }
    int rc = seccomp_rule_add_exact_array(ctx, action_of(r->answer, r->error), r->nr, n, limits);
    if (rc != 0)
        return kw_fail(err, KW_SANDBOX, "seccomp: libseccomp refused the rule for %s (%s)", r->name,
                       strerror(-rc));
    return 0;
}

static bool read_whole(int fd, void *to, size_t n)
{
    char *p = to;
    for (size_t at = 0; at < n;) {
        ssize_t got = pread(fd, p + at, n - at, (off_t)at);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        at += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* libseccomp 2.5 exports to a descriptor only. */
static int export_filter(scmp_filter_ctx ctx, const struct kw_arch *arch, struct kw_filter *ret,
                         struct kw_err *err)
{
    const size_t before = prologue(arch, ret->code);
    const size_t room = (KW_FILTER_MAX - before) * sizeof ret->code[0];
    int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0)
        return kw_fail_errno(err, KW_SANDBOX, "seccomp: no memory file for the filter");
    int rc = seccomp_export_bpf(ctx, fd);
    ssize_t n = rc == 0 ? lseek(fd, 0, SEEK_END) : -1; /* a part of it would be another filter */
    if (n > 0 && (size_t)n < room && !read_whole(fd, ret->code + before, (size_t)n))
        n = -1;
    (void)close(fd);
    if (n <= 0 || (size_t)n >= room || (size_t)n % sizeof ret->code[0] != 0)
        return kw_fail(err, KW_SANDBOX, "seccomp: could not export the filter (%s)",
                       rc != 0 ? strerror(-rc) : "too long");
    ret->n = before + (size_t)n / sizeof ret->code[0];
    return 0;
}

/* libseccomp 2.5 crashes, or compiles another filter than it was asked for, where an
 * allocation of its fails. So there is memory for all of them before it starts: of the size
 * that malloc() would else map apart, and would else give back when it is freed. */
static bool set_memory_aside(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 2 * KW_FILTER_MEMORY);
    (void)mallopt(M_TRIM_THRESHOLD, 4 * KW_FILTER_MEMORY);
    void *volatile p = malloc(KW_FILTER_MEMORY); /* else a compiler sees no use in it */
    bool there = p != NULL;
    free(p);
    return there;
}

static void give_memory_back(void)
{
    enum { USUAL = 128 * 1024 };
    (void)mallopt(M_MMAP_THRESHOLD, USUAL);
    (void)mallopt(M_TRIM_THRESHOLD, USUAL);
}

enum { API_KILL_PROCESS = 3 }; /* seccomp_api_get(3) */

static bool for_arch(scmp_filter_ctx ctx, const struct kw_arch *arch)
{
    return arch == kw_arch_native || (seccomp_arch_add(ctx, arch->token) == 0 &&
                                      seccomp_arch_remove(ctx, kw_arch_native->token) == 0);
}

static int compile(const struct kw_table *t, unsigned flags, bool sanitizer,
                   const struct kw_arch *arch, struct kw_filter *ret, struct kw_err *err)
{
    /* What this kernel has is found out when it is given the filter, not here. */
    if (seccomp_api_get() < API_KILL_PROCESS && seccomp_api_set(API_KILL_PROCESS) != 0)
        return kw_fail(err, KW_SANDBOX, "seccomp: libseccomp is too old (2.5 is needed)");
    scmp_filter_ctx ctx = seccomp_init(action_of(t->otherwise, 0));
    if (ctx == NULL)
        return kw_fail(err, KW_SANDBOX, "seccomp: libseccomp could not start");
    int r = 0;
    if (seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
        seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0)
        r = kw_fail(err, KW_SANDBOX, "seccomp: libseccomp is too old (2.5 is needed)");
    if (r == 0 && !for_arch(ctx, arch))
        r = kw_fail(err, KW_SANDBOX, "seccomp: libseccomp knows no %s", arch->name);
    for (size_t i = 0; r == 0 && t->groups[i] != NULL; i++) {
        const struct kw_group *g = t->groups[i];
        for (size_t j = 0; r == 0 && kw_group_applies(g, flags, sanitizer) && j < g->n; j++)
            r = add_rule(ctx, &g->rules[j], arch, err);
    }
    if (r == 0)
        r = export_filter(ctx, arch, ret, err);
    seccomp_release(ctx);
    return r;
}

int kw_seccomp_build(const struct kw_table *t, unsigned flags, bool sanitizer,
                     const struct kw_arch *arch, struct kw_filter *ret, struct kw_err *err)
{
    int r = set_memory_aside()
                ? compile(t, flags, sanitizer, arch, ret, err)
                : kw_fail(err, KW_SANDBOX, "seccomp: out of memory for the filter's compiler");
    give_memory_back();
    return r;
}

int kw_seccomp_install(const struct kw_filter *f, enum kw_role role, struct kw_err *err)
{
    struct sock_fprog prog = {.len = (unsigned short)f->n};
    const struct sock_filter *code = f->code;
    memcpy(&prog.filter, &code, sizeof code); /* the kernel only reads it */
    long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
    if (rc > 0)
        return kw_fail(err, KW_SANDBOX, "seccomp: thread %ld could not take the filter", rc);
    if (rc < 0)
        return kw_fail_errno(err, KW_SANDBOX,
                             "the kernel took no seccomp filter for the %s; a kernel with "
                             "CONFIG_SECCOMP_FILTER (Linux 4.14) is needed",
                             kw_role_name(role));
    return 0;
}
