/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the HTTPS client share. Nobody else includes this. */
#ifndef KW_HTTP_INT_H
#define KW_HTTP_INT_H

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "http.h"

struct kw_http {
    CURLM *multi; /* owns the kept-alive connections */
    X509_STORE *roots;
    CURL *warm;             /* the transfer that made the connection for the next one, or NULL */
    bool alert;             /* TLS ended with a fatal alert, sent or received */
    long verify;            /* X509_V_ERR_* at that moment */
    X509 *leaf;             /* for mutual TLS with client_host, NULL: none */
    STACK_OF(X509) * chain; /* what follows it */
    EVP_PKEY *key;          /* stands for the keeper's */
    char client_host[KW_HOST];
    const char *host; /* of the transfer under way */
    kw_http_dial *dial;
    void *dial_arg;
};

/* Loads the system's roots and ca_file, and touches whatever of OpenSSL would open a
 * file at first use. */
int kw_tls_roots(const char *ca_file, X509_STORE **ret, struct kw_err *err);

/* Lets the next transfer have the connection that was warmed, if there is one. True if
 * it may be used: nothing came over it that should not. */
bool kw_http_cool(struct kw_http *h);

/* Gives a new SSL_CTX of libcurl our roots, and lets it note fatal alerts in h: what
 * tells a TLS failure from a lost connection, and why a certificate was refused. */
int kw_tls_prepare(SSL_CTX *ctx, struct kw_http *h);

/* Frees the client certificate. */
void kw_tls_forget(struct kw_http *h);

/* What a failed handshake with `host` means: wrong_name if all but the certificate's
 * name was good; detail is libcurl's error text. */
int kw_tls_explain(const struct kw_http *h, const char *host, bool wrong_name, const char *detail,
                   struct kw_err *err);

#endif
