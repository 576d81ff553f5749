/* SPDX-License-Identifier: Apache-2.0
 *
 * What a provider checks tokens and certificates with, where it is uploaded: a key set, by file
 * or of the PKCS#11 token; authorities.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"
#include "src/base/io.h"
#include "src/session/fetch.h"
#include "src/wire/jwk.h"

enum { KEYS = 1 << 17, ANCHORS = 3, BETWEEN = 10 };

static int no_memory(struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "there is no memory left");
}

/* --- the issuer's keys ---------------------------------------------------------------------- */

/* Google takes these members and refuses all others; a private one would be a leak. */
static int clean_key(json_t *key, const char *path, struct kw_err *err)
{
    static const char *const taken[] = {"kty", "alg", "use", "kid", "n", "e", "crv", "x", "y"};
    static const char *const secret[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    const char *name, *kty = json_string_value(json_object_get(key, "kty"));
    json_t *v;
    void *next;
    if (kty == NULL || (strcmp(kty, "RSA") != 0 && strcmp(kty, "EC") != 0))
        return kw_fail(err, KW_USAGE, "%s has a key that is neither RSA nor EC", path);
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        if (json_object_get(key, secret[i]) != NULL)
            return kw_fail(err, KW_USAGE,
                           "%s has a private key in it (member %s): register the public one", path,
                           secret[i]);
    json_object_foreach_safe(key, next, name, v)
    {
        bool keep = false;
        for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
            keep = keep || strcmp(name, taken[i]) == 0;
        if (!keep)
            (void)json_object_del(key, name);
    }
    return 0;
}

static int keys_of_file(const char *path, json_t **ret, struct kw_err *err)
{
    struct kw_buf b;
    json_t *one;
    size_t i;
    kw_buf_init(&b, KEYS);
    int r = kw_read_file(path, &b, KW_USAGE, err);
    json_t *set = r == 0 ? json_loadb(kw_buf_str(&b), b.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *keys = json_object_get(set, "keys");
    kw_buf_free(&b);
    if (r == 0 && json_array_size(keys) == 0)
        r = kw_fail(err, KW_USAGE, "%s is no JWK set ({\"keys\": [...]})", path);
    json_array_foreach(keys, i, one)
    {
        if (r == 0)
            r = clean_key(one, path, err);
    }
    *ret = r == 0 ? json_pack("{s:O}", "keys", keys) : NULL;
    json_decref(set);
    return r == 0 && *ret == NULL ? no_memory(err) : r;
}

static int keys_of_token(const struct kw_config *c, json_t **ret, struct kw_err *err)
{
    unsigned char spki[KW_SPKI_MAX];
    size_t n = 0;
    json_t *jwk = NULL;
    *ret = NULL;
    int r = kw_public_alone(c, spki, &n, err);
    if (r == 0)
        r = kw_jwk_public(spki, n, &jwk, NULL, NULL, err);
    if (r == 0 && (*ret = json_pack("{s:[o]}", "keys", jwk)) == NULL)
        r = no_memory(err);
    return r;
}

void kw_google_warn_of_keys(struct kw_setup *s, const struct kw_google *g)
{
    if (g->preset.source != NULL && strcmp(g->preset.source, "kubernetes") == 0)
        kw_setup_warn(s,
                      "Google fetches the cluster's keys from %s, which must be reachable for it; "
                      "if it is not, upload them: --jwks-file (kubectl get --raw "
                      "/openid/v1/jwks)",
                      g->preset.issuer);
}

int kw_google_add_keys(struct kw_setup *s, const struct kw_google *g, json_t *oidc,
                       struct kw_err *err)
{
    const char *path = kw_arg(s->args, "jwks-file");
    json_t *set = NULL;
    int r = 0;
    bool own = g->preset.source != NULL && strcmp(g->preset.source, "token") == 0;
    if (path != NULL)
        r = keys_of_file(path, &set, err);
    else if (own)
        r = keys_of_token(s->config, &set, err);
    else if (kw_arg(s->args, "issuer") != NULL) /* else they may be there already */
        kw_google_warn_of_keys(s, g);
    char *text = set != NULL ? json_dumps(set, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (set != NULL &&
        (text == NULL || json_object_set_new(oidc, "jwksJson", json_string(text)) != 0))
        r = no_memory(err);
    free(text);
    json_decref(set);
    return r;
}

/* --- certificates --------------------------------------------------------------------------- */

static json_t *pem_of(X509 *cert)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *p = NULL;
    json_t *o = NULL;
    if (out != NULL && PEM_write_bio_X509(out, cert) == 1) {
        long n = BIO_get_mem_data(out, &p);
        o = json_pack("{s:s%}", "pemCertificate", p, n > 0 ? (size_t)n : (size_t)0);
    }
    BIO_free(out);
    return o;
}

/* All certificates of a file. */
static int certificates(const char *path, json_t *list, struct kw_err *err)
{
    struct kw_buf b;
    size_t before = json_array_size(list);
    kw_buf_init(&b, KEYS);
    int r = kw_read_file(path, &b, KW_USAGE, err);
    BIO *in = r == 0 ? BIO_new_mem_buf(b.p, (int)b.len) : NULL;
    for (X509 *cert; in != NULL && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL;) {
        if (json_array_append_new(list, pem_of(cert)) != 0)
            r = no_memory(err);
        X509_free(cert);
    }
    ERR_clear_error();
    BIO_free(in);
    kw_buf_free(&b);
    if (r == 0 && json_array_size(list) == before)
        r = kw_fail(err, KW_USAGE, "%s has no certificate in PEM", path);
    return r;
}

int kw_google_add_store(struct kw_setup *s, json_t *want, struct kw_err *err)
{
    json_t *anchors = json_array(), *between = json_array();
    int pos = 0, r = 0;
    for (const char *p; r == 0 && (p = kw_args_each(s->args, "trust-anchor", &pos)) != NULL;)
        r = certificates(p, anchors, err);
    pos = 0;
    for (const char *p; r == 0 && (p = kw_args_each(s->args, "intermediate", &pos)) != NULL;)
        r = certificates(p, between, err);
    if (r == 0 && (json_array_size(anchors) < 1 || json_array_size(anchors) > ANCHORS ||
                   json_array_size(between) > BETWEEN))
        r = kw_fail(err, KW_USAGE,
                    "--issuer x509 takes 1 to %d certificates by --trust-anchor and up to %d by "
                    "--intermediate",
                    ANCHORS, BETWEEN);
    if (r == 0 && json_array_size(between) > 0)
        r = json_object_set_new(want, "x509",
                                json_pack("{s:{s:O, s:O}}", "trustStore", "trustAnchors", anchors,
                                          "intermediateCas", between)) == 0
                ? 0
                : no_memory(err);
    else if (r == 0)
        r = json_object_set_new(want, "x509",
                                json_pack("{s:{s:O}}", "trustStore", "trustAnchors", anchors)) == 0
                ? 0
                : no_memory(err);
    json_decref(anchors);
    json_decref(between);
    return r;
}
