/* SPDX-License-Identifier: Apache-2.0
 *
 * main's side of the other roles: start them with only their descriptors, talk to
 * them, and tell truthfully how one ended.
 */
#ifndef KW_SPAWN_H
#define KW_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/ipc/talk.h"

struct kw_progress; /* the keeper's shared page: pkcs11/progress.h */

struct kw_child {
    enum kw_role role;
    pid_t pid; /* 0: not running */
    struct kw_chan ctl;
    int violation_fd;
    const struct kw_progress *progress; /* keeper only */
    char module[1024];                  /* keeper only, for messages */
    bool owes;                          /* an interrupted wait left an answer to come */
};

struct kw_crew {
    struct kw_child keeper, exchanger, dialer;
    struct kw_child proxy; /* `run` only */
};

/* The role's program: beside our own (a build tree), else in libexec. */
int kw_role_program(enum kw_role role, char *path, size_t size, struct kw_err *err);

/* Starts the roles whose bit (1 << enum kw_role) is set, connected to each other.
 * audit_fd and pin_fd may be -1; env lists names of variables that the keeper may
 * see besides the usual ones (SOFTHSM2_CONF, P11_KIT_*, TPM2_PKCS11_*, ...). */
int kw_crew_start(struct kw_crew *crew, unsigned roles, int audit_fd, int pin_fd, const char *env,
                  struct kw_err *err);

/* Waits for one message of `type` from the child and decodes it into m; `in` keeps
 * the body for views. If instead the child reports an error, dies, breaks its
 * sandbox or is silent until deadline_ms (kw_now_ms() clock), *err says so: for the
 * keeper with the PKCS#11 call under way, for a violation with the syscall's name
 * (KW_SANDBOX). A child that was silent is killed. */
int kw_child_expect(struct kw_child *ch, enum kw_msg type, void *m, struct kw_in *in,
                    int64_t deadline_ms, struct kw_err *err);

/* The same for whatever message comes next (not decoded). KW_MSG_ERROR and all kinds of
 * death are turned into *err as above. */
int kw_child_recv(struct kw_child *ch, struct kw_in *in, int64_t deadline_ms, struct kw_err *err);

int kw_child_send(struct kw_child *ch, enum kw_msg type, const void *m, const int *fds,
                  unsigned nfds, struct kw_err *err);

/* An exchanger whose neighbour has gone, or does not answer, can only say that. What that one
 * has told us, how it ended, or the PKCS#11 signature in which it hangs is the reason: takes
 * the place of *err, where there is one. Returns the code. */
int kw_crew_reason(struct kw_crew *crew, int64_t deadline_ms, int r, struct kw_err *err);

/* Ends all: closes channels, gives them a second, then SIGKILL; reaps. Tells if one broke
 * its sandbox on the way out (KW_SANDBOX); 0 otherwise. Idempotent. */
int kw_crew_end(struct kw_crew *crew, struct kw_err *err);

/* From now on SIGINT, SIGTERM and SIGHUP are read from kw_signal_fd(); starting a crew does
 * this, too. */
void kw_signal_watch(void);

/* For the waits in child.c: the descriptor that tells of signals (-1: none yet), and
 * taking what it tells. */
int kw_signal_fd(void);
void kw_signal_take(void);

/* From now on what arrives (SIGCHLD, SIGQUIT, SIGUSR1 and SIGUSR2 as well) goes to pass() and
 * interrupts nothing of ours: `run`, once CMD runs. */
struct signalfd_siginfo;
int kw_signal_pass(void (*pass)(const struct signalfd_siginfo *si), struct kw_err *err);

/* True once SIGINT, SIGTERM or SIGHUP came; every wait above then fails. */
bool kw_interrupted(void);

/* For putting in order, after an interruption, what may not stay as it is: sets it aside (false:
 * there was none), so that waits go on again, to the next signal. Then it is to be taken up. */
bool kw_interrupt_aside(void);
void kw_interrupt_again(void);

/* An interrupted wait leaves what it waited for to come: whoever asks again would take that for his
 * answer. Until the message of that type or an error is there, which ends what `owes` says. */
int kw_child_settle(struct kw_child *ch, enum kw_msg last, int64_t deadline_ms, struct kw_err *err);

#endif
