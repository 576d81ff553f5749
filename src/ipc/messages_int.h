/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of messages, for messages*.c alone. */
#ifndef KW_MESSAGES_INT_H
#define KW_MESSAGES_INT_H

#include "messages.h"

enum kw_field_kind { KW_F_U32, KW_F_U64, KW_F_STR, KW_F_LINES, KW_F_VIEW, KW_F_SECRET };

struct kw_field {
    enum kw_field_kind kind;
    size_t off;
    size_t max; /* STR, LINES: size of the array; VIEW, SECRET: most bytes */
};

struct kw_message {
    const char *name;
    enum kw_channel chan;
    enum kw_role sender;
    unsigned states; /* IN(...) or'ed: where it is legal */
    int next;        /* the state it leads to, or STAY, ASKED, ANSWERED */
    unsigned nfds;
    size_t size; /* of the struct */
    const struct kw_field *fields;
    size_t n_fields;
};

/* States of a channel. Each conversation starts in NEW; requests and answers then
 * alternate between a resting state (IDLE, or NEW where nothing has to be set up) and
 * one that waits for the answer. An error comes from the side that serves, in any
 * state, and ends what was waited for. */
enum kw_chan_state {
    NEW,
    STARTED,
    IDLE,
    SIGNING,
    FETCHING,
    EXCHANGING,
    GOING,
    GRANTING,
    CALLING,
    ANSWERING,
    CLOSING
};

#define IN(s) (1u << (s))
/* Where a message leads to besides a state: nowhere; or, on CHAN_SIGN, CHAN_PSIGN and
 * CHAN_PDIAL, whose state is the number of requests under way, one up or down. */
enum { STAY = -1, ASKED = -2, ANSWERED = -3 };

extern const struct kw_message kw_messages[KW_MSGS];

#endif
