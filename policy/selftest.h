/* SPDX-License-Identifier: Apache-2.0
 *
 * What `keyward selftest` tries inside each role's real program, behind its whole
 * sandbox, and what must come of it. Everything is tried with bad descriptors,
 * pointers or flags: where a fence is missing, the call fails harmlessly.
 */
#ifndef KW_SELFTEST_H
#define KW_SELFTEST_H

#include <stddef.h>
#include <stdint.h>

#include "src/ipc/roles.h"

enum kw_outcome {
    KW_O_NONE,      /* not tried in this role */
    KW_O_VIOLATION, /* SIGSYS, the record names the call */
    KW_O_KILLED,    /* SIGSYS from the kernel, before any handler */
    KW_O_ERRNO,     /* came back with this errno */
    KW_O_WORKS,     /* came back well: the role needs it */
};

struct kw_expected {
    enum kw_outcome outcome;
    int error;        /* KW_O_ERRNO */
    const char *call; /* KW_O_VIOLATION: as kw_violation_name() has it */
    int abi;          /* only promised from this Landlock ABI on */
};

struct kw_attempt {
    const char *name;
    const char *what; /* for people: what is tried */
    long nr;          /* the call, with args; or run, if that isn't NULL */
    unsigned long args[6];
    long (*run)(void); /* as syscall(): -1 and errno */
    struct kw_expected keeper, exchanger, dialer;
    struct kw_expected proxy; /* KW_O_NONE: as the exchanger */
};

extern const struct kw_attempt kw_attempts[]; /* ended by a NULL name */

const struct kw_expected *kw_attempt_expected(const struct kw_attempt *a, enum kw_role role);

/* The attempt that only takes the sandbox and stays until KW_FD_CTL is closed, to be
 * looked at from outside. */
#define KW_SELFTEST_STAY "stay"

/* What a role says on KW_FD_CTL when an attempt came back. */
struct kw_tried {
    uint32_t code; /* enum kw_exit: KW_SANDBOX if the fences could not be put up */
    int32_t error; /* errno, 0 if it worked */
    int64_t result;
    char text[1024]; /* the fences that stand, or what failed */
    char missing[256];
};

#endif
