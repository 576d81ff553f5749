/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict reader of PKCS#11 URIs (RFC 7512). Unlike the lenient library reader,
 * every doubt is an error: unknown, duplicate, empty or over-long attributes, bad
 * percent-encoding, control characters, %00 (except in id, which is bytes), a relative
 * module-path, slot-id (it does not name a token), pin-value (a secret in a
 * configuration), `|` in pin-source.
 */
#ifndef KW_URI_H
#define KW_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

struct kw_uri {
    /* path attributes, decoded, "" if absent; sizes from CK_TOKEN_INFO plus NUL */
    char token[33], manufacturer[33], serial[17], model[17];
    char object[65];      /* CKA_LABEL */
    unsigned char id[32]; /* CKA_ID */
    size_t id_len;        /* 0: absent */
    char type[8];         /* "private", "public", "cert" or "" */
    /* query attributes */
    char module_path[1024]; /* absolute, "" if absent */
    char pin_source[1024];  /* absolute path (from file:/... or /...), "" if absent */
};

enum kw_uri_need {
    KW_URI_TOKEN = 1,  /* must name a token: token or serial; and a module-path */
    KW_URI_OBJECT = 2, /* must name an object: object or id */
};

/* Parses text. need: enum kw_uri_need, or'ed. KW_USAGE with the attribute and the
 * reason on error; *ret is then all zero. */
int kw_uri_parse(const char *text, unsigned need, struct kw_uri *ret, struct kw_err *err);

/* Writes the canonical form (attributes in the order above, everything outside
 * RFC 7512's unreserved set percent-encoded). parse(print(x)) == x. False if it
 * doesn't fit. */
bool kw_uri_print(const struct kw_uri *u, char *out, size_t size);

#endif
