/* SPDX-License-Identifier: Apache-2.0
 *
 * Public keys as JSON Web Keys. Input: a SubjectPublicKeyInfo, as tokens give it. What becomes
 * a JWK is that very key, and one of the two kinds that providers take. */
#include <string.h>

#include "fuzz.h"
#include "src/base/b64.h"
#include "src/session/session.h"
#include "src/wire/jwk.h"

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    must(s != NULL && s[0] != '\0');
    return s;
}

/* A number of the JWK as bytes. */
static void number(const json_t *o, const char *name, struct kw_buf *b)
{
    const char *s = text_of(o, name);
    kw_buf_init(b, 1024);
    must(kw_b64url_get(b, s, strlen(s)) && b->len > 0);
}

static void check(const json_t *o, const char *kid, const char *alg, const unsigned char *spki,
                  size_t n)
{
    struct kw_buf a, b;
    bool rsa = strcmp(alg, "RS256") == 0;
    must(strcmp(text_of(o, "kty"), rsa ? "RSA" : "EC") == 0 && (rsa || strcmp(alg, "ES256") == 0));
    must(strcmp(text_of(o, "alg"), alg) == 0 && strcmp(text_of(o, "use"), "sig") == 0);
    must(strcmp(text_of(o, "kid"), kid) == 0 && strlen(kid) == KW_KID - 1);
    must(json_object_size(o) == (rsa ? 6 : 7));
    number(o, rsa ? "n" : "x", &a);
    number(o, rsa ? "e" : "y", &b);
    if (rsa)
        must(kw_spki_is(spki, n, a.p, a.len, b.p, b.len));
    else
        must(a.len == 32 && b.len == 32 && strcmp(text_of(o, "crv"), "P-256") == 0);
    kw_buf_free(&a);
    kw_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_err err = {0};
    json_t *o = NULL;
    char kid[KW_KID] = "", again[KW_KID] = "";
    const char *alg = NULL;
    fault_seed(data, &size);
    fault_begin();
    int r = kw_jwk_public(data, size, &o, kid, &alg, &err);
    (void)fault_end();
    must(r == 0 ? o != NULL && alg != NULL : o == NULL && r == KW_FAILED && err.text[0] != '\0');
    if (r == 0) {
        check(o, kid, alg, data, size);
        must(kw_jwk_public(data, size, NULL, again, NULL, &err) == 0 && strcmp(kid, again) == 0);
    }
    json_decref(o);
    return 0;
}
