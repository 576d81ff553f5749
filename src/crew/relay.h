/* SPDX-License-Identifier: Apache-2.0
 *
 * What the other roles say on standard error. The terminal is main's alone: a role that
 * held it could read what the user types there (the PIN), drive it with control sequences,
 * or speak in main's name. So each role's standard error is a pipe, and main passes on
 * whole lines, made printable, under the role's name.
 */
#ifndef KW_RELAY_H
#define KW_RELAY_H

#include "src/base/err.h"
#include "src/ipc/roles.h"

/* A pipe for the role; *ret_fd, its write end, is close-on-exec and the caller's. Neither
 * end blocks: a role never waits for main to read. */
int kw_relay_open(enum kw_role role, int *ret_fd, struct kw_err *err);

/* For the waits of main: readable when somebody has said something; -1 if nobody can. */
int kw_relay_fd(void);

/* Passes on what is there, a bounded piece of it. */
void kw_relay_take(void);

/* Passes on the rest, also a line without an end, and closes all. Idempotent. */
void kw_relay_end(void);

#endif
