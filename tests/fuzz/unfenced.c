/* SPDX-License-Identifier: Apache-2.0
 *
 * For targets that are one role: fences would end the fuzzer, and what is logged would
 * drown what it says. */
#include "policy/sandbox.h"
#include "src/base/log.h"
#include "src/base/memory.h"

int __wrap_kw_sandbox_begin(enum kw_role role, unsigned flags, struct kw_fences *f,
                            struct kw_err *err);
int __wrap_kw_sandbox_begin(enum kw_role role, unsigned flags, struct kw_fences *f,
                            struct kw_err *err)
{
    (void)role, (void)flags, (void)err;
    *f = (struct kw_fences){.stands = "none: fuzzed"};
    return 0;
}

int __wrap_kw_sandbox_lock(enum kw_role role, unsigned flags, struct kw_fences *f,
                           struct kw_err *err);
int __wrap_kw_sandbox_lock(enum kw_role role, unsigned flags, struct kw_fences *f,
                           struct kw_err *err)
{
    (void)role, (void)flags, (void)f, (void)err;
    return 0;
}

void __wrap_kw_log(enum kw_level level, const char *fmt, ...);
void __wrap_kw_log(enum kw_level level, const char *fmt, ...)
{
    (void)level, (void)fmt;
}

/* Only the first run could have it: OpenSSL is in use afterwards. */
bool __wrap_kw_memory_watch(bool wipe);
bool __wrap_kw_memory_watch(bool wipe)
{
    (void)wipe;
    return true;
}
