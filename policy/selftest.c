/* SPDX-License-Identifier: Apache-2.0
 *
 * The role's half of the self-test: take the whole sandbox, try one thing, say what
 * came of it.
 */
#include "selftest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"
#include "src/base/io.h"

static void finish(const struct kw_tried *t, int code) __attribute__((noreturn));

static void finish(const struct kw_tried *t, int code)
{
    (void)kw_write_all(KW_FD_CTL, t, sizeof *t);
    _exit(code);
}

static const struct kw_attempt *find(const char *name)
{
    for (const struct kw_attempt *a = kw_attempts; a->name != NULL; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

/* Says that the fences stand, then waits for main to have looked. */
static void stay(const struct kw_tried *t) __attribute__((noreturn));

static void stay(const struct kw_tried *t)
{
    char c;
    (void)kw_write_all(KW_FD_CTL, t, sizeof *t);
    while (read(KW_FD_CTL, &c, 1) > 0)
        ;
    _exit(KW_OK);
}

const struct kw_expected *kw_attempt_expected(const struct kw_attempt *a, enum kw_role role)
{
    switch (role) {
    case KW_ROLE_KEEPER:
        return &a->keeper;
    case KW_ROLE_EXCHANGER:
        return &a->exchanger;
    case KW_ROLE_DIALER:
        return &a->dialer;
    case KW_ROLE_PROXY:
        return a->proxy.outcome != KW_O_NONE ? &a->proxy : &a->exchanger;
    case KW_ROLE_MAIN:
    case KW_ROLES: /* and mains with other names */
    case KW_ROLE_CLIENT:
    case KW_ROLE_AGENT:
    case KW_ROLE_JOB:
        break;
    }
    static const struct kw_expected none;
    return &none;
}

void kw_selftest_attempt(enum kw_role role, const char *name)
{
    struct kw_tried t = {0};
    struct kw_fences f;
    struct kw_err err;
    /* Best effort: what the kernel lacks is reported by name, and then judged. */
    int r = kw_sandbox_begin(role, KW_SB_BEST_EFFORT, &f, &err);
    if (r == 0)
        r = kw_sandbox_lock(role, KW_SB_BEST_EFFORT, &f, &err);
    const struct kw_attempt *a = find(name);
    bool stays = strcmp(name, KW_SELFTEST_STAY) == 0;
    if (r == 0 && a == NULL && !stays)
        r = kw_fail(&err, KW_USAGE, "selftest: no attempt is called %s", name);
    t.code = (uint32_t)r;
    (void)snprintf(t.text, sizeof t.text, "%s", r == 0 ? f.stands : err.text);
    (void)snprintf(t.missing, sizeof t.missing, "%s", f.missing);
    if (r != 0)
        finish(&t, r);
    if (stays)
        stay(&t);
    errno = 0;
    const unsigned long *g = a->args;
    t.result = a->run != NULL ? a->run() : syscall(a->nr, g[0], g[1], g[2], g[3], g[4], g[5]);
    t.error = t.result == -1 ? errno : 0;
    finish(&t, KW_OK);
}
