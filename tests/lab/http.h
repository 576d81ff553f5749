/* SPDX-License-Identifier: Apache-2.0
 *
 * The lab's HTTP/1.1: a strict request parser, answers, and the wire. It is our own
 * because faults must be injectable at every byte of an answer and because what was
 * received must be verified exactly as it came (no library shows duplicates, order
 * and spelling). Small on purpose: one TLS connection per thread.
 */
#ifndef KW_LAB_HTTP_H
#define KW_LAB_HTTP_H

#include <jansson.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faults.h"
#include "src/base/buf.h"

#define LAB_HEAD_MAX   (64u * 1024u) /* request line and headers */
#define LAB_HEADERS    96
#define LAB_TARGET_MAX 8192u

struct lab_header {
    const char *name, *value; /* as received, white space around the value removed */
};

struct lab_request {
    const char *method, *target; /* target: path and query exactly as received */
    size_t path_len;             /* of the path within target */
    struct lab_header headers[LAB_HEADERS];
    size_t n_headers;
    const char *authority; /* the Host header as received */
    char host[256];        /* its name, lower case, without port */
    unsigned host_port;    /* its port, 443 if none */
    uint64_t length;       /* Content-Length, 0 if none */
    bool chunked, expect, close;
    struct kw_buf body; /* complete when a handler sees it */

    const char *sni, *tls;   /* "" where none */
    bool plain;              /* came without TLS */
    X509 *client;            /* the client's certificate, NULL for none; owned */
    unsigned port;           /* of the listener */
    struct lab_hit hit;      /* the faults that this request meets */
    struct kw_view param[4]; /* what {} and {*} of the route matched, still encoded */

    /* What the handlers found out, for the log. Never a secret. */
    char verdict[256], principal[256], signed_names[512];
    struct kw_buf signing; /* the signing string, as rebuilt from the bytes received */
};

struct lab_response {
    int status;
    struct kw_buf headers; /* "name: value\r\n" lines */
    struct kw_buf body;
};

/* Parses a head (request line and headers, up to and without the empty line's
 * CRLF) in place: head[n] must be writable and becomes NUL; *r points into it.
 * Returns 0, or the status to refuse with and the reason in *why. */
int lab_http_parse(char *head, size_t n, struct lab_request *r, const char **why);

/* The value of the only header of that name; NULL if there is none or several. */
const char *lab_header(const struct lab_request *r, const char *name);
size_t lab_header_count(const struct lab_request *r, const char *name);

/* The value of one query parameter, percent-decoded; 1 found, 0 absent, -1 malformed,
 * given twice or over-long. */
int lab_query(const struct lab_request *r, const char *name, char *value, size_t size);

/* Percent-decodes n bytes ('+' is a space if plus); false if malformed, NUL inside,
 * or too long for size. */
bool lab_unpct(const char *text, size_t n, bool plus, char *out, size_t size);

/* application/x-www-form-urlencoded. */
#define LAB_FIELDS 32
struct lab_form {
    struct {
        char *name, *value; /* decoded, owned */
    } field[LAB_FIELDS];
    size_t n;
};
/* NULL if fine, else the reason (also for a field that comes twice). */
const char *lab_form_parse(const char *body, size_t n, struct lab_form *f);
const char *lab_form_get(const struct lab_form *f, const char *name); /* NULL if absent */
void lab_form_free(struct lab_form *f);

/* Answers. */
void lab_reply_header(struct lab_response *a, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void lab_reply_json(struct lab_response *a, int status, json_t *steal);
void lab_reply_bytes(struct lab_response *a, int status, const char *type, const void *p, size_t n);

/* One connection. */
struct lab_conn {
    SSL *ssl; /* NULL: plain */
    int fd;
    unsigned port;
    struct kw_buf in; /* received, not yet consumed */
};

/* Reads one request's head and body into *head and *r. 1: there is one; 0: the peer
 * closed between requests; else the status to refuse with (the connection ends). */
int lab_http_read(struct lab_conn *c, size_t max_body, struct kw_buf *head, struct lab_request *r,
                  const char **why);

/* Sends the answer, with the wire faults of r->hit. False: the connection is over. */
bool lab_http_send(struct lab_conn *c, const struct lab_request *r, const struct lab_response *a,
                   int64_t now);

/* "Sun, 06 Nov 1994 08:49:37 GMT" and strictly back (-1 if it is not that form). */
void lab_http_date(int64_t t, char out[40]);
int64_t lab_http_date_parse(const char *text);

#endif
