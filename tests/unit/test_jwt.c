/* SPDX-License-Identifier: Apache-2.0
 *
 * JWTs: decoded strictly, never quoted in errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/b64.h"
#include "src/ipc/messages.h"
#include "src/wire/jwt.h"

static const char good_header[] = "{\"alg\":\"RS256\",\"kid\":\"k\"}";

/* header.claims.signature of the given texts */
static void make(struct kw_buf *b, const char *header, const char *claims, const char *signature)
{
    kw_buf_init(b, 1 << 20);
    kw_b64url_put(b, header, strlen(header));
    kw_put_str(b, ".");
    kw_b64url_put(b, claims, strlen(claims));
    kw_put_str(b, ".");
    kw_put_str(b, signature);
    assert_false(b->bad);
}

static int decode(const char *header, const char *claims, const char *signature, struct kw_jwt *j,
                  struct kw_err *err)
{
    struct kw_buf b;
    make(&b, header, claims, signature);
    int r = kw_jwt_decode(kw_buf_str(&b), b.len, "the token", KW_SUBJECT, j, err);
    kw_buf_free(&b);
    return r;
}

static void test_good(void **state)
{
    (void)state;
    struct kw_jwt j;
    struct kw_err err;
    assert_int_equal(decode(good_header,
                            "{\"iss\":\"i\",\"exp\":1700000000,\"nbf\":1699999999.75,\"neg\":-1,"
                            "\"far\":9007199254740993,\"t\":\"1\",\"h\":1e300,\"zero\":0}",
                            "c2ln", &j, &err),
                     0);
    int64_t t = 0;
    assert_string_equal(kw_jwt_str(&j, "iss"), "i");
    assert_null(kw_jwt_str(&j, "exp"));
    assert_null(kw_jwt_str(&j, "absent"));
    assert_true(kw_jwt_time(&j, "exp", &t));
    assert_int_equal(t, 1700000000);
    assert_true(kw_jwt_time(&j, "nbf", &t));
    assert_int_equal(t, 1699999999);
    assert_true(kw_jwt_time(&j, "zero", &t));
    assert_false(kw_jwt_time(&j, "neg", &t));
    assert_false(kw_jwt_time(&j, "far", &t));
    assert_false(kw_jwt_time(&j, "h", &t));
    assert_false(kw_jwt_time(&j, "t", &t));
    assert_false(kw_jwt_time(&j, "absent", &t));
    kw_jwt_free(&j);
    assert_null(j.claims);
}

static void test_bad_parts(void **state)
{
    (void)state;
    static const struct {
        const char *header, *claims, *signature;
    } cases[] = {
        {"", "{}", "c2ln"},
        {"[]", "{}", "c2ln"},
        {"\"x\"", "{}", "c2ln"},
        {"{}", "{}", "c2ln"},
        {"{\"alg\":5}", "{}", "c2ln"},
        {"{\"alg\":\"\"}", "{}", "c2ln"},
        {"{\"alg\":\"none\"}", "{}", "c2ln"},
        {"{\"alg\":\"NoNe\"}", "{}", "c2ln"},
        {"{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", "c2ln"},
        {"{\"alg\":\"RS256\"", "{}", "c2ln"},
        {"{\"alg\":\"RS256\"}x", "{}", "c2ln"},
        {good_header, "", "c2ln"},
        {good_header, "null", "c2ln"},
        {good_header, "[]", "c2ln"},
        {good_header, "{\"sub\":\"a\",\"sub\":\"b\"}", "c2ln"},
        {good_header, "{\"x\":{\"a\":1,\"a\":1}}", "c2ln"},
        {good_header, "{\"sub\":\"a\"},", "c2ln"},
        {good_header, "{\"sub\":\"\xff\"}", "c2ln"},
        {good_header, "{\"sub\":\"a\\u0000b\"}", "c2ln"},
        {good_header, "{\"su\\u0000b\":1}", "c2ln"},
        {good_header, "{\"n\":99999999999999999999999}", "c2ln"},
        {good_header, "{\"n\":1e999}", "c2ln"},
        {good_header, "{}", ""},
        {good_header, "{}", "a"},
        {good_header, "{}", "c2ln="},
        {good_header, "{}", "c2+n"},
        {good_header, "{}", "c2ln\n"},
        {good_header, "{}", "c2ln.x"},
        {good_header, "{}", "QR"}, /* stray bits */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_jwt j;
        struct kw_err err = {0};
        if (decode(cases[i].header, cases[i].claims, cases[i].signature, &j, &err) != KW_SUBJECT)
            fail_msg("taken: %s %s %s", cases[i].header, cases[i].claims, cases[i].signature);
        assert_null(j.header);
        assert_null(j.claims);
        assert_non_null(strstr(err.text, "the token"));
    }
}

static void test_bad_shapes(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        ".",
        "..",
        "...",
        "eyJhbGciOiJSUzI1NiJ9",
        "eyJhbGciOiJSUzI1NiJ9.e30",
        "eyJhbGciOiJSUzI1NiJ9.e30.",
        "eyJhbGciOiJSUzI1NiJ9..c2ln",
        ".e30.c2ln",
        "eyJhbGciOiJSUzI1NiJ9.e30.c2ln.c2ln",
        "eyJhbGciOiJSUzI1NiJ9.e30.c2ln ",
        " eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "eyJhbGciOiJSUzI1NiJ9=.e30.c2ln",
        "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "{\"value\":\"eyJhbGciOiJSUzI1NiJ9.e30.c2ln\"}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_jwt j;
        struct kw_err err = {0};
        if (kw_jwt_decode(cases[i], strlen(cases[i]), "x", KW_CLOUD, &j, &err) != KW_CLOUD)
            fail_msg("taken: %s", cases[i]);
        assert_null(strstr(err.text, "eyJ")); /* no byte of the token */
    }
    struct kw_jwt j;
    const char *ok = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";
    assert_int_equal(kw_jwt_decode(ok, strlen(ok), "x", KW_CLOUD, &j, NULL), 0);
    kw_jwt_free(&j);
    assert_int_equal(kw_jwt_decode("a\0.e30.c2ln", 11, "x", KW_CLOUD, &j, NULL), KW_CLOUD);
}

static void test_depth_and_size(void **state)
{
    (void)state;
    char claims[200];
    struct kw_jwt j;
    struct kw_err err;
    for (unsigned depth = 14; depth < 19; depth++) { /* the object itself counts */
        size_t n =
            (size_t)snprintf(claims, sizeof claims, "{\"s\":\"[[[{{{\\\"[[[[[[[[[[[[[[\",\"x\":");
        for (unsigned i = 1; i < depth; i++)
            claims[n++] = '[';
        for (unsigned i = 1; i < depth; i++)
            claims[n++] = ']';
        (void)snprintf(claims + n, sizeof claims - n, "}");
        int r = decode(good_header, claims, "c2ln", &j, &err);
        assert_int_equal(r, depth <= 16 ? 0 : KW_SUBJECT);
        if (r == 0)
            kw_jwt_free(&j);
        else
            assert_non_null(strstr(err.text, "deep"));
    }
    static char big[KW_TOKEN_MAX + 64];
    const char start[] = "eyJhbGciOiJSUzI1NiJ9.e30.";
    memcpy(big, start, sizeof start - 1);
    memset(big + sizeof start - 1, 'A', sizeof big - sizeof start + 1);
    size_t most = KW_TOKEN_MAX; /* a length at which the signature has no stray characters */
    while ((most - (sizeof start - 1)) % 4 == 1)
        most--;
    assert_int_equal(kw_jwt_decode(big, most, "x", KW_CLOUD, &j, NULL), 0);
    kw_jwt_free(&j);
    assert_int_equal(kw_jwt_decode(big, KW_TOKEN_MAX + 1, "x", KW_CLOUD, &j, &err), KW_CLOUD);
    assert_non_null(strstr(err.text, "longer than"));
}

/* template with each @ replaced by the next part */
static void fill(char *out, size_t size, const char *template, const char *const *parts)
{
    size_t n = 0;
    for (const char *p = template; *p != '\0'; p++)
        n += (size_t)snprintf(out + n, size - n, "%.*s", *p == '@' ? -1 : 1,
                              *p == '@' ? *parts++ : p);
    assert_true(n < size);
}

/* Claims with a jwk of the given modulus length, as an object or a string. */
static int jwk(const char *template, size_t n_len, unsigned char last, const char *e,
               struct kw_buf *n_out, struct kw_buf *e_out, struct kw_err *err)
{
    unsigned char n[600];
    struct kw_buf b64;
    struct kw_jwt j;
    memset(n, 0xc3, sizeof n);
    n[n_len - 1] = last;
    kw_buf_init(&b64, 2000);
    kw_b64url_put(&b64, n, n_len);
    char text[3000];
    const char *parts[] = {kw_buf_str(&b64), e};
    fill(text, sizeof text, template, parts);
    kw_buf_free(&b64);
    kw_buf_init(n_out, 1024);
    kw_buf_init(e_out, 64);
    assert_int_equal(decode(good_header, text, "c2ln", &j, err), 0);
    int r = kw_jwt_jwk(&j, n_out, e_out, err);
    kw_jwt_free(&j);
    return r;
}

#define AS_OBJECT "{\"jwk\":{\"kty\":\"RSA\",\"n\":\"@\",\"e\":\"@\"}}"
#define AS_STRING "{\"jwk\":\"{\\\"kty\\\":\\\"RSA\\\",\\\"n\\\":\\\"@\\\",\\\"e\\\":\\\"@\\\"}\"}"

static void test_jwk(void **state)
{
    (void)state;
    static const struct {
        const char *fmt;
        size_t n_len;
        unsigned char last;
        const char *e;
        bool good;
    } cases[] = {
        {AS_OBJECT, 256, 1, "AQAB", true},
        {AS_STRING, 256, 1, "AQAB", true},
        {AS_STRING, 512, 1, "Aw", true},
        {AS_STRING, 255, 1, "AQAB", false},
        {AS_STRING, 513, 1, "AQAB", false},
        {AS_STRING, 600, 1, "AQAB", false},
        {AS_STRING, 256, 2, "AQAB", false}, /* even modulus */
        {AS_STRING, 256, 1, "AQ", false},   /* e = 1 */
        {AS_STRING, 256, 1, "Ag", false},   /* e = 2 */
        {AS_STRING, 256, 1, "", false},
        {AS_STRING, 256, 1, "AAAA", false}, /* e = 0 */
        {AS_STRING, 256, 1, "AQAB=", false},
        {AS_STRING, 256, 1, "AQABAQABAQABAQAB", false},
        {"{\"jwk\":\"@@\"}", 256, 1, "AQAB", false},
        {"{\"jwk\":[\"@@\"]}", 256, 1, "AQAB", false},
        {"{\"x\":\"@@\"}", 256, 1, "AQAB", false},
        {"{\"jwk\":{\"kty\":\"EC\",\"n\":\"@\",\"e\":\"@\"}}", 256, 1, "AQAB", false},
        {"{\"jwk\":{\"n\":\"@\",\"e\":\"@\"}}", 256, 1, "AQAB", false},
        {"{\"jwk\":{\"kty\":\"RSA\",\"d\":\"AQ\",\"n\":\"@\",\"e\":\"@\"}}", 256, 1, "AQAB", false},
        {"{\"jwk\":{\"kty\":\"RSA\",\"n\":[\"@\"],\"e\":\"@\"}}", 256, 1, "AQAB", false},
        {"{\"jwk\":\"{\\\"kty\\\":\\\"RSA\\\",\\\"n\\\":\\\"x\\\",\\\"n\\\":\\\"@\\\",\\\"e\\\":"
         "\\\"@\\\"}\"}",
         256, 1, "AQAB", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_buf n, e;
        struct kw_err err = {0};
        int r = jwk(cases[i].fmt, cases[i].n_len, cases[i].last, cases[i].e, &n, &e, &err);
        if (r != (cases[i].good ? 0 : KW_CLOUD))
            fail_msg("case %zu: %d @", i, r, err.text);
        if (cases[i].good)
            assert_int_equal(n.len, cases[i].n_len);
        kw_buf_free(&n);
        kw_buf_free(&e);
    }
}

/* Leading zeros don't count, on either side. */
static void test_jwk_zeros(void **state)
{
    (void)state;
    unsigned char raw[258] = {0};
    struct kw_buf b64, n, e;
    struct kw_jwt j;
    char text[3000];
    memset(raw + 2, 0x81, 256);
    kw_buf_init(&b64, 1000);
    kw_b64url_put(&b64, raw, sizeof raw);
    const char *parts[] = {kw_buf_str(&b64), "AAEAAQ"};
    fill(text, sizeof text, AS_OBJECT, parts);
    kw_buf_free(&b64);
    assert_int_equal(decode(good_header, text, "c2ln", &j, NULL), 0);
    kw_buf_init(&n, 512);
    kw_buf_init(&e, 8);
    assert_int_equal(kw_jwt_jwk(&j, &n, &e, NULL), 0);
    assert_int_equal(n.len, 256);
    assert_memory_equal(n.p, raw + 2, 256);
    assert_int_equal(e.len, 3);
    assert_memory_equal(e.p, "\1\0\1", 3);
    kw_buf_free(&n);
    kw_buf_free(&e);
    kw_jwt_free(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_bad_parts),
        cmocka_unit_test(test_bad_shapes), cmocka_unit_test(test_depth_and_size),
        cmocka_unit_test(test_jwk),        cmocka_unit_test(test_jwk_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
