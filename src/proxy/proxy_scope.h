/* SPDX-License-Identifier: Apache-2.0
 *
 * What the proxy of `run` decides, as functions of what it was told and of what came: where
 * a client may go, whether a request carries the run's decoy, and what is put in its place.
 * No descriptors, no TLS, no keys here.
 */
#ifndef KW_PROXY_SCOPE_H
#define KW_PROXY_SCOPE_H

#include <openssl/evp.h>

#include "proxy_head.h"
#include "src/base/buf.h"
#include "src/ipc/messages.h"

enum kw_route {
    KW_ROUTE_REFUSE,
    KW_ROUTE_TUNNEL, /* bytes are passed on untouched ([run] egress) */
    KW_ROUTE_OCI,    /* TLS ends here; requests are signed again */
    KW_ROUTE_GOOGLE, /* TLS ends here; the decoy bearer is replaced */
};

/* Of one run; filled from PM_SERVE and PM_SESSION. */
struct kw_scope {
    struct kw_m_serve say; /* what main said */
    EVP_PKEY *decoy;       /* the stand-in key's public half */
    struct kw_secret *token;
    uint32_t generation; /* of the key that token is bound to */
    uint64_t not_after;  /* of token */
};

/* Where CONNECT host:port leads. KW_ROUTE_REFUSE: *err says why and what to set. IP literals
 * are never served; a host in the profile's sign.host is served by the cloud the run is for; others
 * go by [run] egress. */
enum kw_route kw_scope_route(const struct kw_scope *s, const char *host, uint16_t port,
                             struct kw_err *err);

/* Whether a TLS client's SNI, CONNECT's authority and a request's Host are the same place. */
bool kw_scope_same_host(struct kw_span host_field, const char *host, uint16_t port);

/* An OCI request as the client signed it with the decoy: checks the one Authorization (its
 * keyId is the decoy's, its algorithm rsa-sha256, its list names (request-target), host and
 * a date, and what must be signed with a body), checks that the signature is the decoy's over
 * what was received, and fills m with the same list in the same order, values as received.
 * KW_POLICY where it is not (a foreign keyId is told as such). */
int kw_scope_oci(const struct kw_scope *s, const struct kw_head *h, const char *host,
                 struct kw_m_sign *m, struct kw_err *err);

/* A Google request: the one Authorization is Bearer and the decoy, compared in constant time.
 * Fills m. *ret_bare: it has no Authorization at all (discovery documents, say): goes on as
 * it is. KW_POLICY where it is neither. */
int kw_scope_google(const struct kw_scope *s, const struct kw_head *h, const char *host,
                    struct kw_m_allow *m, bool *ret_bare, struct kw_err *err);

/* The decoy, in any form, in a field that is not the one Authorization towards a host in
 * scope, or in the target: what such a request is refused for. */
bool kw_scope_leaks(const struct kw_scope *s, const struct kw_head *h);

/* Writes the request's head anew: request line, every field but the hop-by-hop ones
 * (Connection and those it names, Proxy-*, Keep-Alive, TE, Trailer, Upgrade), with
 * Authorization replaced by `authorization` (NULL: left out), and Connection: keep-alive. */
int kw_scope_rewrite(const struct kw_head *h, const struct kw_buf *authorization,
                     struct kw_buf *out, struct kw_err *err);

/* The whole Authorization for the newest session: OCI from the keeper's signature over m,
 * Google from the token. */
int kw_scope_authorization(const struct kw_scope *s, enum kw_route route, const struct kw_m_sign *m,
                           struct kw_view signature, struct kw_buf *out, struct kw_err *err);

/* A request to the metadata service (docs/… Google Compute Engine): appends the whole answer,
 * head and body, to out. now in seconds since the epoch. *ret_audience: an ID token for it is
 * asked for, and nothing was appended (kw_scope_identity() does, once it is there). Host must be
 * one of the service's names or addresses; Metadata-Flavor: Google is demanded and
 * X-Forwarded-For refused, as the real one does. */
int kw_scope_metadata(const struct kw_scope *s, const struct kw_head *h, int64_t now,
                      char *ret_audience, size_t size, struct kw_buf *out);
void kw_scope_identity(const char *jwt, size_t n,
                       struct kw_buf *out); /* n 0: it could not be had */

/* An answer of our own with the vendor's shape: OCI {"code","message"} with opc-request-id,
 * Google {"error":{code,message,status}}, else plain text. Whole: head and body. */
void kw_scope_refusal(enum kw_route route, unsigned status, const char *text, bool close,
                      struct kw_buf *out);

#endif
