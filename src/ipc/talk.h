/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole message at once, over a channel: what ipc.h (channels) and messages.h (bodies)
 * are mostly used for together.
 */
#ifndef KW_TALK_H
#define KW_TALK_H

#include "ipc.h"
#include "messages.h"

/* Encode and send; receive, demand and decode. A field out
 * of bounds is KW_USAGE: it came from the configuration or the command line. The
 * receiver turns KW_MSG_ERROR into *err with its code. */
int kw_msg_send(struct kw_chan *c, enum kw_msg type, const void *m, const int *fds, unsigned nfds,
                int timeout_ms, struct kw_err *err);
int kw_msg_expect(struct kw_chan *c, enum kw_msg type, void *m, struct kw_in *in, int timeout_ms,
                  struct kw_err *err);

/* Sends KW_MSG_ERROR with err's code and text; failures are ignored (the peer
 * will see the end of file). */
void kw_msg_send_error(struct kw_chan *c, const struct kw_err *err);

#endif
