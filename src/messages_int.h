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

extern const struct kw_message kw_messages[KW_MSGS];

#endif
