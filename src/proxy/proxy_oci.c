/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "proxy_scope_int.h"
#include "src/base/b64.h"
#include "src/wire/hdr.h"
#include "src/wire/oci_sign.h"

enum param { VERSION, KEY_ID, ALGORITHM, HEADERS, SIGNATURE, PARAMS };

static int malformed(struct kw_err *err, const char *why)
{
    return kw_fail(err, KW_POLICY, "the request's Authorization is not an OCI signature: %s", why);
}

static void skip_space(struct kw_span *s)
{
    while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t')) {
        s->p++;
        s->n--;
    }
}

/* name="value" at the start of *s, which is stepped over it. No escapes: no SDK has any. */
static int parameter(struct kw_span *s, struct kw_span v[PARAMS], struct kw_err *err)
{
    static const char *const names[PARAMS] = {"version", "keyId", "algorithm", "headers",
                                              "signature"};
    const char *end = s->p + s->n, *is = memchr(s->p, '=', s->n);
    if (is == NULL || end - is < 2 || is[1] != '"')
        return malformed(err, "a parameter is not name=\"value\"");
    const char *quote = memchr(is + 2, '"', (size_t)(end - is) - 2);
    if (quote == NULL || memchr(is + 2, '\\', (size_t)(quote - is) - 2) != NULL)
        return malformed(err, "a parameter's quotes are not closed, or it has a backslash");
    struct kw_span name = {.p = s->p, .n = (size_t)(is - s->p)};
    unsigned i = 0;
    while (i < PARAMS && !kw_span_is(name, names[i]))
        i++;
    if (i == PARAMS || v[i].p != NULL)
        return malformed(err, "it has an unknown parameter, or one twice");
    v[i] = (struct kw_span){.p = is + 2, .n = (size_t)(quote - is) - 2};
    *s = (struct kw_span){.p = quote + 1, .n = (size_t)(end - quote) - 1};
    return 0;
}

/* Signature version="1",keyId="...",algorithm="rsa-sha256",headers="...",signature="..." in
 * any order. */
static int parse(struct kw_span s, struct kw_span v[PARAMS], struct kw_err *err)
{
    static const char scheme[] = "Signature ";
    if (s.n < sizeof scheme || strncasecmp(s.p, scheme, sizeof scheme - 1) != 0)
        return malformed(err, "the scheme is another one");
    s.p += sizeof scheme - 1;
    s.n -= sizeof scheme - 1;
    for (;;) {
        skip_space(&s);
        int r = parameter(&s, v, err);
        if (r != 0)
            return r;
        skip_space(&s);
        if (s.n == 0)
            break;
        if (s.p[0] != ',')
            return malformed(err, "its parameters are not separated by commas");
        s.p++;
        s.n--;
    }
    for (unsigned i = 0; i < PARAMS; i++)
        if (v[i].p == NULL)
            return malformed(err, "a parameter is missing");
    if (!kw_span_is(v[VERSION], "1") || !kw_span_is(v[ALGORITHM], "rsa-sha256"))
        return malformed(err, "it is not version 1 with rsa-sha256");
    return 0;
}

static int check_key(const struct kw_scope *s, struct kw_span id, struct kw_err *err)
{
    struct kw_span token = {.p = id.p + 3, .n = id.n > 3 ? id.n - 3 : 0};
    if (s->say.decoy_token[0] != '\0' && id.n > 3 && memcmp(id.p, "ST$", 3) == 0 &&
        kw_span_is(token, s->say.decoy_token))
        return 0;
    return kw_fail(err, KW_POLICY,
                   "this request is signed with another key than the run's stand-in: unset what "
                   "gives the program a key of its own (OCI_CLI_*, OCI_CONFIG_FILE, ~/.oci), or "
                   "use --keep-env only for what it needs");
}

/* One signed header as a line; the two pseudo headers carry no value. */
static int add_line(const struct kw_head *h, struct kw_span name, struct kw_m_sign *m,
                    struct kw_err *err)
{
    char n[128], value[sizeof m->headers];
    size_t have = strlen(m->headers);
    const char *pseudo = kw_span_is_nocase(name, "(request-target)") ? "(request-target)\n"
                         : kw_span_is_nocase(name, "host")           ? "host\n"
                                                                     : NULL;
    if (!kw_span_copy(name, n, sizeof n))
        return malformed(err, "a signed header's name is too long");
    if (pseudo != NULL) {
        if (strlen(pseudo) >= sizeof m->headers - have)
            return malformed(err, "too much is signed");
        memcpy(m->headers + have, pseudo, strlen(pseudo) + 1);
        return 0;
    }
    unsigned count = kw_head_count(h, n);
    if (count != 1)
        return kw_fail(err, KW_POLICY, "the request signs the header %s, which it has %s", n,
                       count == 0 ? "not" : "more than once");
    if (!kw_span_copy(kw_head_find(h, n), value, sizeof value) ||
        !kw_hdr_add(m->headers, sizeof m->headers, n, value))
        return malformed(err, "a signed header is too long or has characters beyond ASCII");
    return 0;
}

static int add_lines(const struct kw_head *h, struct kw_span list, struct kw_m_sign *m,
                     struct kw_err *err)
{
    int r = 0;
    while (r == 0 && list.n > 0) {
        const char *space = memchr(list.p, ' ', list.n);
        size_t n = space != NULL ? (size_t)(space - list.p) : list.n;
        if (n == 0 || n + 1 == list.n)
            return malformed(err, "its list of headers has an empty name");
        r = add_line(h, (struct kw_span){.p = list.p, .n = n}, m, err);
        n += space != NULL;
        list.p += n;
        list.n -= n;
    }
    return r;
}

/* RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.2) */
static bool verifies(EVP_PKEY *key, const struct kw_buf *text, const struct kw_buf *signature)
{
    if (key == NULL || EVP_PKEY_is_a(key, "RSA") != 1)
        return false;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = c != NULL && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(c, signature->p, signature->len, text->p, text->len) == 1;
    EVP_MD_CTX_free(c);
    return ok;
}

static int check_signature(const struct kw_scope *s, const struct kw_m_sign *m,
                           struct kw_span base64, struct kw_err *err)
{
    struct kw_buf text, signature;
    kw_buf_init(&text, KW_LINES + KW_TARGET + KW_HOST);
    kw_buf_init(&signature, 1024);
    struct kw_err why;
    int r = kw_oci_signing_string(m, &text, &why);
    if (r != 0)
        r = kw_fail(err, KW_POLICY, "%s", why.text);
    else if (!kw_b64_get(&signature, base64.p, base64.n) || signature.len == 0)
        r = malformed(err, "its signature is not base64");
    else if (!verifies(s->decoy, &text, &signature))
        r = kw_fail(err, KW_POLICY,
                    "the signature is not the stand-in key's over this %s request to %s: the "
                    "request was changed after it was signed, or signed with another key",
                    m->method, m->host);
    kw_buf_free(&text);
    kw_buf_free(&signature);
    return r;
}

int kw_scope_oci(const struct kw_scope *s, const struct kw_head *h, const char *host,
                 struct kw_m_sign *m, struct kw_err *err)
{
    struct kw_span v[PARAMS] = {{.p = NULL, .n = 0}};
    unsigned count = kw_head_count(h, "Authorization");
    m->key = KW_SIGN_SESSION;
    m->headers[0] = '\0';
    if (count != 1)
        return kw_fail(err, KW_POLICY, "the request to %s has %s Authorization", host,
                       count == 0 ? "no" : "more than one");
    int r = kw_scope_fill(h, host, m->method, sizeof m->method, m->host, m->target, err);
    if (r == 0)
        r = parse(kw_head_find(h, "Authorization"), v, err);
    if (r == 0)
        r = check_key(s, v[KEY_ID], err);
    if (r == 0)
        r = add_lines(h, v[HEADERS], m, err);
    return r != 0 ? r : check_signature(s, m, v[SIGNATURE], err);
}
