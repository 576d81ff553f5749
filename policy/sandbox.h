/* SPDX-License-Identifier: Apache-2.0
 *
 * The fences around each role: seccomp (a reviewable table), Landlock, rlimits,
 * no_new_privs, not dumpable. Each role calls kw_sandbox_begin() first thing in
 * main() and kw_sandbox_lock() when its set-up is done.
 */
#ifndef KW_SANDBOX_H
#define KW_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "src/base/err.h"
#include "src/ipc/roles.h"

struct kw_fences {
    char stands[256];  /* what was put up, in words */
    char missing[256]; /* what the kernel could not give, "" if nothing; also a tracer */
};

/* Required are seccomp (always) and Landlock of any ABI (Linux 5.13), or KW_SANDBOX with
 * the cure; with KW_SB_BEST_EFFORT Landlock may be missing. What later ABIs add is named
 * in `missing` and never fatal: keeper and exchanger are off the network by seccomp. */
enum kw_sandbox_flag {
    KW_SB_BEST_EFFORT = 1, /* a missing kernel feature is reported, not fatal */
    KW_SB_NETWORK = 2,     /* keeper: the vendor module may use TCP ([token] network = allow) */
    KW_SB_LOCAL = 8,       /* keeper: it may use UNIX sockets ([token] network = local) */
    KW_SB_STORE = 4,       /* keeper: the module must go on writing (storage = token) */
};

/* The very first thing in every main(): closed to tracers of the same user. Between exec
 * and here it isn't, unless its file can't be read by that user: then the kernel closes it
 * from its first instruction on, which is why the programs are installed with mode 0711.
 * Whether it worked is checked where the other fences are put up. */
void kw_sandbox_hide(void);

/* First thing in a role's main() that needs no word from main: closes every descriptor
 * the role does not own (roles.h), dumpable 0, no core, no_new_privs, NOFILE, SIGPIPE
 * ignored, SIGSYS handler that writes one record to KW_FD_VIOLATION and exits with
 * KW_SANDBOX. For the keeper and the dialer also the coarse seccomp filter and the first
 * Landlock layer, so that a vendor module and a resolver never run without them; a root
 * keeper is left with file capabilities only. *f is set anew. KW_SANDBOX on error. For
 * KW_ROLE_MAIN: dumpable 0, nothing else. */
int kw_sandbox_begin(enum kw_role role, unsigned flags, struct kw_fences *f, struct kw_err *err);

/* After set-up: the exchanger's strict filter with an empty Landlock domain; for the
 * keeper a read-only Landlock layer (unless KW_SB_STORE); exchanger and dialer also lose
 * all capabilities, further processes and threads (NPROC 0; as root the filter says so)
 * and writing to files (FSIZE 0, unless their messages go to one). seccomp binds all
 * threads (TSYNC); Landlock and capabilities bind the caller and what it starts from
 * then on, so call it before starting threads. Adds to *f. KW_SANDBOX on error. */
int kw_sandbox_lock(enum kw_role role, unsigned flags, struct kw_fences *f, struct kw_err *err);

/* What main hears about a violation. */
struct kw_violation {
    uint32_t nr;   /* syscall number */
    uint32_t arch; /* AUDIT_ARCH_* */
    uint64_t args[6];
};

/* Reads a record from the violation pipe if there is one. */
bool kw_violation_read(int fd, struct kw_violation *v);

/* "openat" for a number of the native architecture, else "syscall 999 of arch x". */
void kw_violation_name(const struct kw_violation *v, char *out, size_t size);

/* Prints the table: per role each syscall, its argument limits, the answer. */
void kw_sandbox_print(FILE *out, bool json);

/* Runs inside a role's program started with the argument --selftest=NAME: takes the
 * role's whole sandbox, tries the forbidden (or allowed) thing NAME with bad
 * descriptors and pointers so that nothing happens, and exits with what came of it.
 * Never returns. */
void kw_selftest_attempt(enum kw_role role, const char *name) __attribute__((noreturn));

#endif
