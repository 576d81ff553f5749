/* SPDX-License-Identifier: Apache-2.0
 *
 * main's half of the self-test: run one attempt in a fresh process of a role's real
 * program, and look at a role from outside.
 */
#ifndef KW_SELFTEST_RUN_H
#define KW_SELFTEST_RUN_H

#include <stdbool.h>
#include <sys/types.h>

#include "policy/sandbox.h"
#include "policy/selftest.h"

struct kw_probe {
    pid_t pid; /* 0: not running */
    int ctl, violation;
    int progress; /* the keeper's page */
};

/* Starts role's program with --selftest=name and the descriptors of roles.h. */
int kw_probe_start(struct kw_probe *p, enum kw_role role, const char *name, struct kw_err *err);

/* Waits, at most ten seconds, for what the role says; false if it ended or said nothing. */
bool kw_probe_hear(const struct kw_probe *p, struct kw_tried *t);

/* Lets a staying probe go, or kills one that won't; returns the wait status. */
int kw_probe_end(struct kw_probe *p);

/* Tries `a` in role. Returns 0 and sets *held and *came ("violation: execve", "EPERM",
 * "worked"); an exit code if the attempt could not even be made. */
int kw_attempt_run(const struct kw_attempt *a, enum kw_role role, bool *held, char *came,
                   size_t size, struct kw_err *err);

/* What a process of the same user finds out and can do about pid. */
struct kw_outside {
    int seccomp;        /* "Seccomp:" of /proc/PID/status: 2 = filter */
    int no_new_privs;   /* 1 */
    unsigned threads;   /* 1 */
    bool core_zero;     /* soft and hard core limit 0 */
    bool ptrace_denied; /* PTRACE_SEIZE, with all capabilities dropped */
    bool vm_denied;     /* process_vm_readv of its stack's address */
    bool mem_denied;    /* /proc/PID/mem */
    bool environ_denied;
};
int kw_outside_look(pid_t pid, struct kw_outside *o, struct kw_err *err);

#endif
