/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchanger's HTTPS client: libcurl without resolver, connect or files. Connected
 * sockets come from a callback (the dialer's), CA roots from memory. HTTP/1.1 over
 * TLS 1.2 or later only; certificates are always checked; redirects are never
 * followed; nothing is repeated but a GET or HEAD whose kept-alive connection turned
 * out dead. One request at a time.
 */
#ifndef KW_HTTP_H
#define KW_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/wire/url.h"

struct kw_http;

/* Gives a connected, non-blocking TCP socket, or the error that the user shall see. */
typedef int kw_http_dial(void *arg, const char *host, uint16_t port, int64_t deadline_ms,
                         int *ret_fd, struct kw_err *err);

/* Everything that opens files or makes descriptors: the system's CA roots and ca_file
 * ("" for none) are loaded, TLS, the random generator and libcurl initialised. After
 * it the sandbox can lock. */
int kw_http_new(const char *ca_file, kw_http_dial *dial, void *dial_arg, struct kw_http **ret,
                struct kw_err *err);
void kw_http_free(struct kw_http *h);

/* The certificates (PEM, leaf first) to be shown to `host` and to no other; the leaf's key is
 * a kw_tls_key_new(). KW_USAGE where they can't be read. */
int kw_http_client_cert(struct kw_http *h, const char *pem, const char *host, struct kw_err *err);

/* One request and where its answer goes. */
struct kw_http_call {
    const struct kw_url *url;
    const char *method;        /* upper case */
    const char *headers;       /* lines "name: value\n"; Host, Content-Length come from us */
    const char *authorization; /* the header's value, NULL for none; never logged */
    const void *body;          /* the whole body, or NULL: body_len bytes are read from */
    int body_fd;               /* this descriptor (-1: none) */
    uint64_t body_len;
    bool has_body; /* false: neither a body nor a Content-Length is sent */
    int64_t deadline_ms;
    /* Called once, when the final answer's head is in: lines "name: value\n", names in
     * lower case, foreign bytes replaced. Then per piece of the body. A non-zero
     * return ends the call with *err. */
    int (*on_head)(void *arg, unsigned status, const char *headers, struct kw_err *err);
    int (*on_body)(void *arg, const void *bytes, size_t n, struct kw_err *err);
    void *arg;
};

/* Dials url's host and finishes the TLS handshake, so that the next call to it can be
 * sent at once. */
int kw_http_warm(struct kw_http *h, const struct kw_url *url, int64_t deadline_ms,
                 struct kw_err *err);

/* Sends the request, receives the answer. 0 for whatever status came; KW_NET if none
 * came whole in time, KW_CLOUD if what came can't be trusted. */
int kw_http_do(struct kw_http *h, const struct kw_http_call *call, struct kw_err *err);

#endif
