/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 heads as the proxy of `run` reads them (RFC 9112), stricter than the RFC
 * allows a recipient to be: what two readers could understand differently is an error.
 *
 * Own code because no HTTP parser that both Debian 12 and 13 have as a library refuses
 * what must be refused here (obs-fold, a second Host, HTTP/0.9 and 2.0, absolute-form,
 * chunked in HTTP/1.0). tests/interop/http holds it against three that are in use (h11, Node's
 * llhttp, Python's http.client): what is taken here, each of them takes as the same.
 */
#ifndef KW_PROXY_HEAD_H
#define KW_PROXY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

#define KW_HEAD_MAX    (48u * 1024u) /* bytes of a whole head; more is an error (431) */
#define KW_HEAD_FIELDS 128u          /* header fields; more is an error (431) */

struct kw_span {
    const char *p; /* not NUL-terminated; into the caller's buffer */
    size_t n;
};

enum kw_framing {
    KW_BODY_NONE,
    KW_BODY_LENGTH,  /* .length bytes follow */
    KW_BODY_CHUNKED, /* chunked, and nothing but chunked */
    KW_BODY_CLOSE,   /* answers only: until the connection ends */
};

struct kw_head {
    struct kw_span method, target; /* of a request */
    unsigned status;               /* of an answer, 100..599; 0: it is a request */
    unsigned minor;                /* HTTP/1.minor: 0 or 1 */
    struct kw_span names[KW_HEAD_FIELDS], values[KW_HEAD_FIELDS];
    size_t fields;
    struct kw_span host; /* of a request: the one Host field; .n == 0 if none (CONNECT in 1.0) */
    enum kw_framing framing;
    uint64_t length;
    bool keep_alive; /* by version and Connection */
    bool expects;    /* Expect: 100-continue (any other expectation is an error, 417) */
    bool upgrades;   /* Upgrade was asked for or agreed to */
};

/* Reads a request's head from the n bytes at p. Returns its length in bytes with the empty
 * line; 0 if more is needed; -1 if it can never become one: *err says why in words that can
 * be shown to the client, *ret_status how to answer (400, 414, 417, 431, 501, 505). The
 * method is letters A-Z (at most 16); the target in origin-form, or authority-form for
 * CONNECT, or absolute-form with http:// (then Host must agree with it, and only the
 * caller knows whether that is allowed). */
long kw_head_request(const char *p, size_t n, struct kw_head *ret, unsigned *ret_status,
                     struct kw_err *err);

/* The same for the head of an answer to a request with this method. 1xx are heads of their
 * own with no body; 101 and 2xx to CONNECT are the caller's to understand. */
long kw_head_response(const char *p, size_t n, const struct kw_span *method, struct kw_head *ret,
                      struct kw_err *err);

/* The value of the first field with this name (case-insensitive); .p == NULL if none.
 * kw_head_count() says how many there are. */
struct kw_span kw_head_find(const struct kw_head *h, const char *name);
unsigned kw_head_count(const struct kw_head *h, const char *name);
bool kw_span_is(struct kw_span s, const char *text); /* byte by byte */
bool kw_span_is_nocase(struct kw_span s, const char *text);

/* Follows the framing of one body without keeping it. */
struct kw_follow {
    enum kw_framing framing;
    uint64_t left;  /* bytes of the body or of the chunk */
    unsigned state; /* of the chunked grammar */
    uint32_t line;  /* bytes of the current chunk or trailer line */
    char name[24];  /* of the current trailer: as much as tells it from those that may not be one */
    uint32_t name_n;
};
void kw_follow_start(struct kw_follow *f, const struct kw_head *h);
/* How many of the n bytes at p belong to the body (with its framing). *ret_done: the body is
 * whole. -1 if they break the grammar (chunk extensions of tokens are skipped up to 1 KiB,
 * trailers up to 8 KiB that don't say what only a head can; a bare LF, a sign, white space or "0x"
 * is an error). */
long kw_follow_bytes(struct kw_follow *f, const char *p, size_t n, bool *ret_done);

#endif
