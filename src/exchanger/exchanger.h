/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the exchanger: what its files share. exchanger.c is the loop, and one file
 * per thing that main can ask for.
 */
#ifndef KW_EXCHANGER_H
#define KW_EXCHANGER_H

#include <stdbool.h>

#include "http.h"
#include "src/ipc/talk.h"
#include "src/wire/oci_exchange.h"

struct kw_exchanger {
    struct kw_chan ctl, sign, dial;
    bool sign_ended, dial_ended; /* that peer broke the rules, or has gone */
    struct kw_http *http;
    uint32_t budget_ms;      /* for all work on one call */
    struct kw_secret *token; /* the session's, NULL until there is one */
    struct kw_err tls_why;   /* why the keeper signed no handshake; .text "" if it did */
    uint32_t bearer;         /* enum kw_bearer_form: what the token is */
};

/* The end of what may be spent on a call that starts now. */
int64_t kw_exchanger_deadline(const struct kw_exchanger *x);

/* What each message of main leads to. 0: it was answered; else *err is to be sent. */
int kw_exchanger_fetch(struct kw_exchanger *x, const struct kw_m_fetch *m, struct kw_err *err);
int kw_exchanger_exchange(struct kw_exchanger *x, const struct kw_m_exchange *m,
                          struct kw_err *err);
int kw_exchanger_google(struct kw_exchanger *x, const struct kw_m_google *m, struct kw_err *err);
int kw_exchanger_call(struct kw_exchanger *x, const struct kw_m_call *m, int body_in, int body_out,
                      struct kw_err *err);

/* Asks the dialer (kw_http_dial). Its refusals are passed on as they are. */
int kw_exchanger_dial(void *arg, const char *host, uint16_t port, int64_t deadline_ms, int *ret_fd,
                      struct kw_err *err);

/* Asks the keeper to sign; the signature is appended to b. */
int kw_exchanger_sign(struct kw_exchanger *x, const struct kw_m_sign *m, int64_t deadline_ms,
                      struct kw_buf *b, struct kw_err *err);

/* Asks the keeper whether a request may go out with the bearer (S_ALLOW) or the federated token
 * (S_IMPERSONATE); it logs those that may. */
int kw_exchanger_allow(struct kw_exchanger *x, enum kw_msg question, const char *method,
                       const struct kw_url *url, int64_t deadline_ms, struct kw_err *err);

/* A kw_tls_sign: asks the keeper for the signature of a TLS handshake. */
int kw_exchanger_tls(void *arg, const unsigned char *content, size_t n, unsigned char *sig,
                     size_t *ret_n);

/* Asks the keeper for a client assertion. */
int kw_exchanger_assert(struct kw_exchanger *x, const char *audience, int64_t deadline_ms,
                        struct kw_secret **ret, struct kw_err *err);

/* Signs the request that the lines describe and writes what goes on the wire: `send`
 * (the headers to add) and `authorization`, the whole header value. */
struct kw_oci_request;
int kw_exchanger_authorize(struct kw_exchanger *x, enum kw_sign_key key, const char *prefix,
                           const char *key_id, const struct kw_oci_request *r, int64_t deadline_ms,
                           char *send, size_t send_size, struct kw_buf *authorization,
                           struct kw_err *err);

/* A short answer, kept whole: at most KW_ANSWER_MAX bytes. */
struct kw_kept {
    const char *host; /* whose answer it is, for messages */
    unsigned status;
    char headers[KW_LINES];
    struct kw_buf body;
};

/* Sends call (its on_head, on_body and arg are set here) and keeps the answer, which
 * is to be freed with kw_kept_free() also after an error. */
int kw_exchanger_ask(struct kw_exchanger *x, struct kw_http_call *call, struct kw_kept *k,
                     struct kw_err *err);
void kw_kept_free(struct kw_kept *k);

#endif
