/* SPDX-License-Identifier: Apache-2.0
 *
 * The system call policy as data. A table belongs to a role: an answer for whatever
 * it doesn't list, and groups of rules. A rule names a call, limits on its arguments
 * (all must hold) and the answer then; a listed call whose rules don't apply gets the
 * table's `otherwise`. Rules of one call with different answers exclude each other.
 *
 * seccomp.c compiles the tables, sandbox_print.c prints them, tests/unit compares
 * what was compiled with what is written here.
 */
#ifndef KW_TABLE_H
#define KW_TABLE_H

#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox.h"

/* The newest call number that was judged for these tables: the end of the list in
 * Debian 12's kernel headers. Whatever came or comes later is ENOSYS, and libc falls
 * back to what it did before. */
#define KW_NR_KNOWN 450u
#define KW_NR_X32   0x40000000u

/* What differs between the architectures that the tables were judged for. Each can be
 * compiled on the other, so that tests see both. */
struct kw_arch {
    uint32_t token;               /* AUDIT_ARCH_* */
    uint32_t gap_first, gap_last; /* numbers left out, to stay in step with others */
    bool x32;                     /* a second set of calls, from KW_NR_X32 on */
    const char *name;
};
extern const struct kw_arch kw_arch_x86_64, kw_arch_aarch64;
extern const struct kw_arch *const kw_arch_native;

enum kw_answer {
    KW_ALLOW,
    KW_REFUSE,  /* errno, and nothing happens */
    KW_VIOLATE, /* SIGSYS: reported by name, the role ends */
};

enum kw_op {
    KW_OP_NONE,  /* end of the limits */
    KW_OP_EQ,    /* all 64 bits equal value */
    KW_OP_NE,    /* they don't */
    KW_OP_GT,    /* greater, unsigned */
    KW_OP_BITS,  /* argument & mask == value */
    KW_OP_SELF,  /* equals this process's id */
    KW_OP_OTHER, /* doesn't */
};

struct kw_limit {
    enum kw_op op;
    unsigned arg; /* 0..5 */
    uint64_t mask, value;
    const char *text; /* the limit in words, for people */
};

#define KW_LIMITS 3
struct kw_rule {
    int nr; /* of this machine: see kw_rule_number() */
    const char *name;
    enum kw_answer answer;
    int error; /* KW_REFUSE: errno; 0 pretends success */
    struct kw_limit limits[KW_LIMITS];
    const char *why;
};

/* In an allow-list compare all 64 bits (a dirty upper half is not allowed); where a
 * match denies, compare what the kernel compares: 32 bits of an int. */
#define EQ(n, v)                                                                                   \
    {                                                                                              \
        .op = KW_OP_EQ, .arg = (n), .value = (v), .text = "a" #n " == " #v                         \
    }
#define NE(n, v)                                                                                   \
    {                                                                                              \
        .op = KW_OP_NE, .arg = (n), .value = (v), .text = "a" #n " != " #v                         \
    }
#define GT(n, v)                                                                                   \
    {                                                                                              \
        .op = KW_OP_GT, .arg = (n), .value = (v), .text = "a" #n " > " #v                          \
    }
#define BITS(n, m, v)                                                                              \
    {                                                                                              \
        .op = KW_OP_BITS, .arg = (n), .mask = (m), .value = (v),                                   \
        .text = "a" #n " & (" #m ") == " #v                                                        \
    }
#define INT_NAMED(n, v, name)                                                                      \
    {                                                                                              \
        .op = KW_OP_BITS, .arg = (n), .mask = 0xffffffffu, .value = (uint32_t)(v),                 \
        .text = "(int)a" #n " == " name                                                            \
    }
#define INT(n, v) INT_NAMED(n, v, #v)
#define SELF(n)                                                                                    \
    {                                                                                              \
        .op = KW_OP_SELF, .arg = (n), .text = "a" #n " == own pid"                                 \
    }
#define OTHER(n)                                                                                   \
    {                                                                                              \
        .op = KW_OP_OTHER, .arg = (n), .text = "a" #n " != own pid"                                \
    }
#define ON(call) .nr = SCMP_SYS(call), .name = #call

struct kw_group {
    const struct kw_rule *rules;
    size_t n;
    bool sanitizer;        /* only in builds with KW_SANITIZE */
    unsigned only, unless; /* only with / never with these kw_sandbox_flag */
    const char *title;
};
#define RULES(array) .rules = (array), .n = sizeof(array) / sizeof(array)[0]

struct kw_table {
    enum kw_role role;
    enum kw_answer otherwise;
    const struct kw_group *const *groups; /* ended by NULL */
    const char *title;
};

extern const struct kw_table kw_table_exchanger, kw_table_keeper, kw_table_dialer, kw_table_proxy;
/* Shared by the two that have an allow-list: descriptors, memory, the process itself. */
extern const struct kw_group kw_group_io, kw_group_memory, kw_group_itself, kw_group_probes,
    kw_group_sanitizer;
/* What keeper and dialer share: both run foreign code, so both are deny-lists. */
extern const struct kw_group kw_group_programs, kw_group_others, kw_group_fences, kw_group_terminal,
    kw_group_kernel, kw_group_mounts;
#define KW_GROUPS_COARSE                                                                           \
    &kw_group_programs, &kw_group_others, &kw_group_fences, &kw_group_terminal, &kw_group_kernel,  \
        &kw_group_mounts
/* TCP, UDP and what the resolver needs, for the dialer and a keeper with a network. */
extern const struct kw_group kw_group_network;
/* Without a network, sockets come as pairs of the UNIX kind only: in both. */
extern const struct kw_group kw_group_pairs;
/* A pair's end that sends datagrams can be connected anew, to whoever listens under a name;
 * it is refused where making such a socket is. The kernel takes RAW for DGRAM. */
#define NO_PAIR(type, e)                                                                           \
    {                                                                                              \
        ON(socketpair), .answer = KW_REFUSE, .error = (e),                                         \
                        .limits = {EQ(0, AF_UNIX), BITS(1, 0xfu, type)},                           \
                        .why = "its ends can be connected to services of this machine"             \
    }

/* The table of a role; NULL for main, which has none. */
const struct kw_table *kw_table_of(enum kw_role role);

/* Whether a group is in force with these flags and in this kind of build. */
bool kw_group_applies(const struct kw_group *g, unsigned flags, bool sanitizer);

#define KW_FILTER_MAX 4096 /* the kernel's limit, in instructions */

/* More than libseccomp needs at once for the longest table. */
#define KW_FILTER_MEMORY (512 * 1024)

struct kw_filter {
    size_t n;
    struct sock_filter code[KW_FILTER_MAX];
};

/* Compiles a table for an architecture. KW_SANDBOX on error. */
int kw_seccomp_build(const struct kw_table *t, unsigned flags, bool sanitizer,
                     const struct kw_arch *arch, struct kw_filter *ret, struct kw_err *err);

/* The number of a rule's call there; negative: it has no such call. */
int kw_rule_number(const struct kw_rule *r, const struct kw_arch *arch);

/* Installs it in all threads of the process. */
int kw_seccomp_install(const struct kw_filter *f, enum kw_role role, struct kw_err *err);

#ifdef KW_SANITIZE
#define KW_SANITIZED true
#else
#define KW_SANITIZED false
#endif

#endif
