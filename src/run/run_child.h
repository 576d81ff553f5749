/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for CMD of `run`: signals, job control, its end.
 */
#ifndef KW_RUN_CHILD_H
#define KW_RUN_CHILD_H

#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "src/base/err.h"

/* From now on signals that main gets are CMD's: what kw_signal_fd() tells is passed on by
 * kw_signal_take() instead of ending main. */
int kw_run_child_watch(pid_t pid, struct kw_err *err);

/* Whether CMD has ended, and its exit code (128+N for signal N). */
bool kw_run_child_ended(int *ret_code);

/* run_witness.c. To be started before there is a secret; whether a signal that we just got was
 * sent to our whole process group (100 ms at most, where it wasn't). Asked once for each. */
int kw_witness_start(struct kw_err *err);
bool kw_witness_saw(const struct signalfd_siginfo *si);
void kw_witness_end(void);

/* SIGTERM, and after ms SIGKILL; returns when it has ended. */
void kw_run_child_end(int ms);

#endif
