/* SPDX-License-Identifier: Apache-2.0
 *
 * The compiled filters of every role in every variant, for both architectures, and the
 * machine that runs them as the kernel would.
 */
#ifndef FILTERS_H
#define FILTERS_H

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>

#include "policy/table.h"

struct variant {
    const char *name;
    enum kw_role role;
    unsigned flags;
    bool sanitizer;
};

/* In the order of roles: what stands in one golden file stands side by side here. */
static const struct variant variants[] = {
    {"deny", KW_ROLE_KEEPER, 0, false},
    {"local", KW_ROLE_KEEPER, KW_SB_LOCAL, false},
    {"allow", KW_ROLE_KEEPER, KW_SB_NETWORK, false},
    {"release", KW_ROLE_EXCHANGER, 0, false},
    {"asan", KW_ROLE_EXCHANGER, 0, true},
    {"dialer", KW_ROLE_DIALER, KW_SB_NETWORK, false},
    {"release", KW_ROLE_PROXY, 0, false},
    {"asan", KW_ROLE_PROXY, 0, true},
};
enum { DENY, LOCAL, ALLOW, RELEASE, ASAN, DIALER, PROXY, PROXY_ASAN, VARIANTS };

static const struct kw_arch *const archs[] = {&kw_arch_x86_64, &kw_arch_aarch64};
enum { ARCHS = 2 };

static struct kw_filter filters[ARCHS][VARIANTS];

/* 0, or a line on standard error. */
static inline int build_filters(void)
{
    struct kw_err err;
    for (int a = 0; a < ARCHS; a++)
        for (int i = 0; i < VARIANTS; i++) {
            const struct variant *v = &variants[i];
            if (kw_seccomp_build(kw_table_of(v->role), v->flags, v->sanitizer, archs[a],
                                 &filters[a][i], &err) != 0) {
                (void)fprintf(stderr, "%s, %s: %s\n", archs[a]->name, v->name, err.text);
                return 1;
            }
        }
    return 0;
}

/* A classic BPF machine, as far as seccomp has one; UINT32_MAX for what it hasn't. */
static inline uint32_t run_filter(const struct kw_filter *f, const struct seccomp_data *d)
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

/* `by` is the entry that the call comes by, an AUDIT_ARCH. */
static inline uint32_t ask_by(uint32_t by, int arch, int variant, uint32_t nr,
                              const uint64_t args[6])
{
    struct seccomp_data d = {.nr = (int)nr, .arch = by};
    for (int i = 0; i < 6; i++)
        d.args[i] = args[i];
    return run_filter(&filters[arch][variant], &d);
}

static inline uint32_t ask(int arch, int variant, uint32_t nr, const uint64_t args[6])
{
    return ask_by(archs[arch]->token, arch, variant, nr, args);
}

#endif
