/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages over SOCK_SEQPACKET socketpairs: a 12-byte header (type, serial,
 * length, each u32 little-endian), then the body. Both sides count serials; each
 * message has a sender, a maximum and the states in which it is legal (table in
 * messages.c). Anything else is an error that names the channel, and the caller
 * ends the conversation: the peer is never trusted.
 */
#ifndef KW_IPC_H
#define KW_IPC_H

#include <stdint.h>

#include "roles.h"
#include "src/base/buf.h"
#include "src/base/err.h"

#define KW_IPC_MAX (96u * 1024u) /* largest body of any message, bytes */
#define KW_IPC_FDS 2             /* most descriptors in one message */

struct kw_chan {
    int fd;
    enum kw_channel name;
    enum kw_role self; /* who reads and writes here */
    uint32_t tx, rx;   /* next serials */
    unsigned state;    /* as the table in messages.c has it */
};

struct kw_in {
    enum kw_msg type;
    struct kw_buf body;  /* owned by the caller: kw_in_free() */
    int fds[KW_IPC_FDS]; /* -1 where there is none; owned by the caller */
    unsigned nfds;
};

void kw_chan_init(struct kw_chan *c, enum kw_channel name, enum kw_role self, int fd);

/* Sends one message; body may be NULL for an empty one; nfds descriptors are
 * passed along (and stay open here). Waits at most timeout_ms (-1: for ever) for
 * room. A vanished peer is KW_FAILED "... has gone", never SIGPIPE. */
int kw_chan_send(struct kw_chan *c, enum kw_msg type, const struct kw_buf *body, const int *fds,
                 unsigned nfds, int timeout_ms, struct kw_err *err);

/* Receives one message into *in (initialised by this call; freed with
 * kw_in_free(), also after an error). Time-out: KW_NET. End of file: KW_FAILED
 * and in->type == KW_MSG_NONE. Malformed or illegal: KW_FAILED. */
int kw_chan_recv(struct kw_chan *c, struct kw_in *in, int timeout_ms, struct kw_err *err);

void kw_in_free(struct kw_in *in);

/* CLOCK_MONOTONIC in milliseconds, and what is left of a deadline in that clock
 * (0 if passed, for poll). */
int64_t kw_now_ms(void);
int kw_left_ms(int64_t deadline_ms);

#endif
