/* SPDX-License-Identifier: Apache-2.0
 *
 * `run`: the proxy's questions to the dialer. CMD talks to many hosts at once, and one that
 * doesn't answer must not hold the others up: a few threads dial side by side, and answers
 * go back in the order in which they are there.
 */
#ifndef KW_DIALER_POOL_H
#define KW_DIALER_POOL_H

#include "src/ipc/talk.h"

#define KW_DIALERS 8u /* threads; more questions wait for one of them */

/* Starts the threads; before the sandbox locks, which allows no further one. c stays the
 * caller's and must live on: its .dial is what may be dialled, .egress already among it. */
int kw_dialer_pool_start(const struct kw_m_dialer_start *c, int fd, struct kw_err *err);

/* Takes one question from the channel. Non-zero: the proxy broke the rules, or has gone. */
int kw_dialer_pool_take(struct kw_err *err);

/* After that: the proxy sees the end of the channel. The descriptor stays. */
void kw_dialer_pool_end(void);

#endif
