/* SPDX-License-Identifier: Apache-2.0
 *
 * A request as CMD signed it with the stand-in key: taken apart, checked, and made into what
 * the keeper is asked to sign (facts: docs.oracle.com "Request Signatures"; the parameters
 * are those of draft-cavage-http-signatures-08). */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "b64.h"
#include "hdr.h"
#include "oci_sign.h"
#include "proxy_scope.h"

struct parameters {
    struct kw_span version, key_id, algorithm, headers, signature;
};

static int refuse(struct kw_err *err, const char *why)
{
    return kw_fail(err, KW_POLICY, "the request's Authorization %s", why);
}

/* Steps to the next NAME="VALUE"; false at the end or where there is none. */
static bool next_parameter(struct kw_span *rest, struct kw_span *name, struct kw_span *value)
{
    const char *p = rest->p, *end = rest->p + rest->n;
    while (p < end && (*p == ' ' || *p == ','))
        p++;
    const char *from = p;
    while (p < end && *p != '=' && *p != '"' && *p != ',')
        p++;
    if (p == end || *p != '=' || p + 1 == end || p[1] != '"')
        return false;
    *name = (struct kw_span){from, (size_t)(p - from)};
    p += 2;
    const char *close = memchr(p, '"', (size_t)(end - p));
    if (close == NULL)
        return false;
    *value = (struct kw_span){p, (size_t)(close - p)};
    p = close + 1;
    *rest = (struct kw_span){p, (size_t)(end - p)};
    return p == end || *p == ',';
}

static int take_parameters(struct kw_span text, struct parameters *ret, struct kw_err *err)
{
    static const char scheme[] = "Signature ";
    const struct {
        const char *name;
        struct kw_span *to;
    } known[] = {{"version", &ret->version},
                 {"keyId", &ret->key_id},
                 {"algorithm", &ret->algorithm},
                 {"headers", &ret->headers},
                 {"signature", &ret->signature}};
    struct kw_span name, value;
    *ret = (struct parameters){.version = {NULL, 0}};
    if (text.n < sizeof scheme - 1 || strncasecmp(text.p, scheme, sizeof scheme - 1) != 0)
        return refuse(err, "is no OCI signature: this host is served with the run's session only");
    text = (struct kw_span){text.p + sizeof scheme - 1, text.n - (sizeof scheme - 1)};
    while (text.n > 0) {
        size_t i = 0;
        if (!next_parameter(&text, &name, &value))
            return refuse(err, "can't be read");
        while (i < sizeof known / sizeof known[0] && !kw_span_is_nocase(name, known[i].name))
            i++;
        if (i == sizeof known / sizeof known[0] || known[i].to->p != NULL)
            return refuse(err, "has a parameter twice, or one that OCI doesn't have");
        *known[i].to = value;
    }
    if (ret->key_id.p == NULL || ret->headers.p == NULL || ret->signature.p == NULL)
        return refuse(err, "lacks keyId, headers or signature");
    if (ret->version.p != NULL && !kw_span_is(ret->version, "1"))
        return refuse(err, "is of another version than 1");
    if (!kw_span_is(ret->algorithm, "rsa-sha256"))
        return refuse(err, "is by another algorithm than rsa-sha256");
    return 0;
}

static int check_key_id(const struct kw_scope *s, struct kw_span id, struct kw_err *err)
{
    size_t n = strlen(s->say.decoy_token);
    if (id.n == n + 3 && memcmp(id.p, "ST$", 3) == 0 &&
        memcmp(id.p + 3, s->say.decoy_token, n) == 0)
        return 0;
    return refuse(err,
                  "names another key than the run's stand-in: the tool found other credentials "
                  "(of an earlier run, or made visible by --share-home or --keep-env)");
}

static bool to_text(struct kw_span s, char *out, size_t size)
{
    if (s.n >= size || memchr(s.p, '\0', s.n) != NULL)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

/* One name of the list as a line of kw_m_sign; what it names must be there once. */
static int add_line(const struct kw_head *h, struct kw_span name, struct kw_m_sign *m,
                    struct kw_err *err)
{
    char word[128], value[8192];
    size_t have = strlen(m->headers);
    if (!to_text(name, word, sizeof word) || word[0] == '\0')
        return refuse(err, "lists a header that none is");
    for (char *p = word; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    if (strcmp(word, "(request-target)") == 0 || strcmp(word, "host") == 0) {
        if ((size_t)snprintf(m->headers + have, sizeof m->headers - have, "%s\n", word) >=
            sizeof m->headers - have)
            return refuse(err, "is over too much");
        return 0;
    }
    if (kw_head_count(h, word) != 1 || !to_text(kw_head_find(h, word), value, sizeof value))
        return kw_fail(err, KW_POLICY,
                       "the request's Authorization is over the header %s, which isn't there once",
                       word);
    return kw_hdr_add(m->headers, sizeof m->headers, word, value)
               ? 0
               : refuse(err, "is over too much, or over a value that can't be signed");
}

static int take_list(const struct kw_head *h, struct kw_span list, struct kw_m_sign *m,
                     struct kw_err *err)
{
    const char *p = list.p, *end = list.p + list.n;
    int r = 0;
    while (r == 0 && p < end) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        const char *to = space != NULL ? space : end;
        r = add_line(h, (struct kw_span){p, (size_t)(to - p)}, m, err);
        p = space != NULL ? space + 1 : end;
    }
    return r;
}

static int verify(const struct kw_scope *s, const struct kw_m_sign *m, struct kw_span signature,
                  struct kw_err *err)
{
    struct kw_buf string, sig;
    kw_buf_init(&string, KW_LINES + KW_TARGET + KW_HOST);
    kw_buf_init(&sig, 1024);
    int r = kw_oci_signing_string(m, &string, err);
    if (r != 0)
        err->code = KW_POLICY;
    bool good = false;
    if (r == 0 && kw_b64_get(&sig, signature.p, signature.n)) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        good = ctx != NULL && s->decoy != NULL &&
               EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, s->decoy) == 1 &&
               EVP_DigestVerify(ctx, sig.p, sig.len, string.p, string.len) == 1;
        EVP_MD_CTX_free(ctx);
    }
    kw_buf_free(&string);
    kw_buf_free(&sig);
    if (r != 0)
        return KW_POLICY;
    return good ? 0
                : refuse(err, "is not by the run's stand-in key over what was received: something "
                              "changed the request on its way, or its clock or key is another");
}

int kw_scope_oci(const struct kw_scope *s, const struct kw_head *h, const char *host,
                 struct kw_m_sign *m, struct kw_err *err)
{
    struct parameters p;
    (void)host; /* is what Host says, by kw_scope_same_host() */
    memset(m, 0, sizeof *m);
    m->key = KW_SIGN_SESSION;
    if (!to_text(h->method, m->method, sizeof m->method) ||
        !to_text(h->host, m->host, sizeof m->host) ||
        !to_text(h->target, m->target, sizeof m->target))
        return kw_fail(err, KW_POLICY, "the request's method, Host or target is too long");
    unsigned n = kw_head_count(h, "authorization");
    if (n != 1)
        return kw_fail(err, KW_POLICY,
                       n == 0 ? "the request has no Authorization"
                              : "the request has several Authorization headers");
    int r = take_parameters(kw_head_find(h, "authorization"), &p, err);
    if (r == 0)
        r = check_key_id(s, p.key_id, err);
    if (r == 0)
        r = take_list(h, p.headers, m, err);
    return r == 0 ? verify(s, m, p.signature, err) : r;
}

int kw_scope_authorization(const struct kw_scope *s, enum kw_route route, const struct kw_m_sign *m,
                           struct kw_view signature, struct kw_buf *out, struct kw_err *err)
{
    if (s->token == NULL)
        return kw_fail(err, KW_FAILED, "there is no session");
    if (route == KW_ROUTE_OCI)
        kw_oci_authorization("ST$", kw_secret_bytes(s->token), m->headers, signature.p,
                             signature.len, out);
    else {
        kw_put_str(out, "Bearer ");
        kw_put(out, kw_secret_bytes(s->token), kw_secret_len(s->token));
    }
    return out->bad ? kw_fail(err, KW_FAILED, "the session token is too long") : 0;
}
