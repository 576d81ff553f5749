/* SPDX-License-Identifier: Apache-2.0
 *
 * For targets that are one role: its channels, and peers that say what the input says, in
 * any order, well-formed or not. All is said before the role runs (but for peers_open()).
 * Then the peers are silent, for as long as the role has patience; where it waits without a limit,
 * they are gone. So nothing takes time, and each run is the same.
 *
 * Input, packet by packet:
 *   1 byte   bits 0-1: which channel, in the target's order (the number behind the last
 *                      one: not a message, but what else the target is told; peers.side)
 *            bits 2-3: descriptors along
 *            bit 4:    the next byte is added to the serial
 *            bit 5:    the next byte is added to the length
 *            bit 6:    no header: the items alone
 *            bit 7:    nothing; this peer is gone from here on
 *   1 byte   type of the message
 *   items    1: u32 (4 bytes)       2: u64 (8 bytes)     3: text (1 byte length)
 *            4: text (2 bytes)      5: bytes without a length before them (1 byte)
 *            6: text of one byte, n times (1 byte, 2 bytes n)
 *            anything else ends the packet
 */
#ifndef KW_FUZZ_PEERS_H
#define KW_FUZZ_PEERS_H

#include "fuzz.h"
#include "src/ipc/talk.h"

enum { PEERS = 3 };

struct peers {
    enum kw_role roles[PEERS]; /* the one that is run; channel by channel what it is there */
    size_t n;
    enum kw_channel chans[PEERS];
    int fds[PEERS];  /* the role's ends, its own to close */
    int mine[PEERS]; /* the peers' ends */
    uint32_t heard[PEERS];
    struct kw_buf side;            /* fields with a length before each: kw_get_blob() */
    uint64_t open;                 /* which descriptors there were before, one a bit */
    const unsigned char *at, *end; /* what is still to be said */
    uint32_t serial[PEERS + 1];
    int file; /* what descriptors along are of */
};

/* Says all of the input over n channels. What is no message goes to side, NULL: nowhere. */
void peers_say(const int *fds, size_t n, const unsigned char *data, size_t size,
               struct kw_buf *side);

/* Makes the channels and says all of the input. */
void peers_begin(struct peers *p, enum kw_role role, const enum kw_channel *chans, size_t n,
                 const unsigned char *data, size_t size);

/* Makes the channels, and nothing is said yet: peers_step() says the next packet; false where
 * there is none. For roles that answer to what comes when it comes: a step is taken when the role
 * has nothing to do. */
void peers_open(struct peers *p, enum kw_role role, const enum kw_channel *chans, size_t n,
                const unsigned char *data, size_t size);
bool peers_step(struct peers *p);

/* For fault_no_waiting(): the peers of the last peers_begin() hear what the role has said
 * and, if it waits for ever, go. */
void peers_idle(bool for_ever);

/* What the role said were messages that it may send, whole and in order; closes all, and
 * every descriptor that came or was made is closed. */
void peers_end(struct peers *p);

#endif
