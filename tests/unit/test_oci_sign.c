/* SPDX-License-Identifier: Apache-2.0
 *
 * OCI signatures: the vendor's public test vectors (key, strings and signatures as
 * published in Oracle's documentation "Request Signatures", section "Test Values", and
 * in the SDKs' own tests), then our rules on top. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "src/base/b64.h"
#include "src/wire/hdr.h"
#include "src/wire/oci_sign.h"

/* A key that is public on purpose; it protects nothing. */
static const char vendor_key[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICXgIBAAKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QF\n"
    "NUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+F\n"
    "UR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB\n"
    "AoGBAJR8ZkCUvx5kzv+utdl7T5MnordT1TvoXXJGXK7ZZ+UuvMNUCdN2QPc4sBiA\n"
    "QWvLw1cSKt5DsKZ8UETpYPy8pPYnnDEz2dDYiaew9+xEpubyeW2oH4Zx71wqBtOK\n"
    "kqwrXa/pzdpiucRRjk6vE6YY7EBBs/g7uanVpGibOVAEsqH1AkEA7DkjVH28WDUg\n"
    "f1nqvfn2Kj6CT7nIcE3jGJsZZ7zlZmBmHFDONMLUrXR/Zm3pR5m0tCmBqa5RK95u\n"
    "412jt1dPIwJBANJT3v8pnkth48bQo/fKel6uEYyboRtA5/uHuHkZ6FQF7OUkGogc\n"
    "mSJluOdc5t6hI1VsLn0QZEjQZMEOWr+wKSMCQQCC4kXJEsHAve77oP6HtG/IiEn7\n"
    "kpyUXRNvFsDE0czpJJBvL/aRFUJxuRK91jhjC68sA7NsKMGg5OXb5I5Jj36xAkEA\n"
    "gIT7aFOYBFwGgQAQkWNKLvySgKbAZRTeLBacpHMuQdl1DfdntvAyqpAZ0lY0RKmW\n"
    "G6aFKaqQfOXKCyWoUiVknQJAXrlgySFci/2ueKlIE1QqIiLSZ8V8OlpFLRnb1pzI\n"
    "7U1yQXnTAEFYM560yJlzUpOb1V4cScGd365tiSMvxLOvTA==\n"
    "-----END RSA PRIVATE KEY-----\n";

#define VENDOR_HOST "iaas.us-phoenix-1.oraclecloud.com"
#define VENDOR_DATE "Thu, 05 Jan 2014 21:31:40 GMT"
#define VENDOR_GET                                                                                 \
    "/20160918/instances?availabilityDomain=Pjwf%3A%20PHX-AD-1&compartmentId=ocid1.compartment."   \
    "oc1..aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa&displayName="               \
    "TeamXInstances&volumeId=ocid1.volume.oc1.phx."                                                \
    "abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q"
#define VENDOR_HASH "V9Z20UJTvkvpJ50flBzKE32+6m2zJjweHpDMX/U4Uy0="
#define VENDOR_GET_SIG                                                                             \
    "GBas7grhyrhSKHP6AVIj/h5/Vp8bd/peM79H9Wv8kjoaCivujVXlpbKLjMPeDUhxkFIWtTtLBj3sUzaFj34XE6YZAHc9" \
    "r2DmE4pMwOAy/kiITcZxa1oHPOeRheC0jP2dqbTll8fmTZVwKZOKHYPtrLJIJQHJjNvxFWeHQjMaR7M="
#define VENDOR_POST_SIG                                                                            \
    "Mje8vIDPlwIHmD/cTDwRxE7HaAvBg16JnVcsuqaNRim23fFPgQfLoOOxae6WqKb1uPjYEl0qIdazWaBy/Ml8DRhqlocM" \
    "woSXv0fbukP8J5N80LCmzT/FFBvIvTB91XuXI3hYfP9Zt1l7S6ieVadHUfqBedWH0itrtPJBgKmrWso="
#define VENDOR_KEY_ID                                                                              \
    "ocid1.tenancy.oc1..aaaaaaaaba3pv6wkcr4jqae5f15p2b2m2yt2j6rx32uzr4h25vqstifsfdsq/ocid1.user."  \
    "oc1..aaaaaaaat5nvwcna5j6aqzjcaty5eqbb6qt2jvpkanghtgdaqedqw3rynjq/"                            \
    "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34"
#define EMPTY_HASH "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

/* 2014-01-05 was a Sunday, so the vendor's date is one that no clock prints. */
static const int64_t now = 1700000000; /* Tue, 14 Nov 2023 22:13:20 GMT */
#define NOW "Tue, 14 Nov 2023 22:13:20 GMT"

static char sign_lines[KW_LINES], send_lines[KW_LINES];
static struct kw_m_sign m;
static struct kw_err err;

static size_t vendor_sign(const char *text, unsigned char *sig, size_t room)
{
    BIO *bio = BIO_new_mem_buf(vendor_key, -1);
    EVP_PKEY *pk = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = room;
    assert_non_null(pk);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pk), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pk);
    BIO_free(bio);
    return n;
}

static void set(const char *method, const char *host, const char *target, const char *headers)
{
    memset(&m, 0, sizeof m);
    (void)snprintf(m.method, sizeof m.method, "%s", method);
    (void)snprintf(m.host, sizeof m.host, "%s", host);
    (void)snprintf(m.target, sizeof m.target, "%s", target);
    (void)snprintf(m.headers, sizeof m.headers, "%s", headers);
}

/* The signing string of m must be `want` (NULL: must be refused). */
static void expect(const char *want)
{
    struct kw_buf b;
    kw_buf_init(&b, 65536);
    int r = kw_oci_signing_string(&m, &b, &err);
    if (want == NULL) {
        assert_int_equal(r, KW_FAILED);
        assert_int_equal(b.len, 0);
    } else {
        assert_int_equal(r, 0);
        assert_string_equal(kw_buf_str(&b), want);
    }
    kw_buf_free(&b);
}

static int lines(const char *method, const char *host, const char *target, const char *own,
                 bool has_body, uint64_t len, const char *hash)
{
    struct kw_oci_request r = {method, host, target, own, has_body, len, hash, now};
    return kw_oci_header_lines(&r, sign_lines, sizeof sign_lines, send_lines, sizeof send_lines,
                               &err);
}

static void vendor_get(void **state)
{
    (void)state;
    assert_int_equal(
        lines("GET", VENDOR_HOST, VENDOR_GET, "Date: " VENDOR_DATE "\n", false, 0, EMPTY_HASH), 0);
    assert_string_equal(sign_lines, "date: " VENDOR_DATE "\n(request-target)\nhost\n");
    assert_string_equal(send_lines, "");
    set("GET", VENDOR_HOST, VENDOR_GET, sign_lines);
    static const char text[] =
        "date: " VENDOR_DATE "\n(request-target): get " VENDOR_GET "\nhost: " VENDOR_HOST;
    expect(text);

    unsigned char sig[128];
    size_t n = vendor_sign(text, sig, sizeof sig);
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    kw_oci_authorization("", VENDOR_KEY_ID, sign_lines, sig, n, &b);
    assert_string_equal(kw_buf_str(&b),
                        "Signature version=\"1\",keyId=\"" VENDOR_KEY_ID
                        "\",algorithm=\"rsa-sha256\",headers=\"date (request-target) host\","
                        "signature=\"" VENDOR_GET_SIG "\"");
    kw_buf_free(&b);
}

static void vendor_post(void **state)
{
    (void)state;
    assert_int_equal(lines("POST", VENDOR_HOST, "/20160918/volumeAttachments",
                           "date: " VENDOR_DATE "\n", true, 316, VENDOR_HASH),
                     0);
    assert_string_equal(send_lines, "content-length: 316\ncontent-type: application/json\n"
                                    "x-content-sha256: " VENDOR_HASH "\n");
    set("POST", VENDOR_HOST, "/20160918/volumeAttachments", sign_lines);
    static const char text[] =
        "date: " VENDOR_DATE "\n(request-target): post /20160918/volumeAttachments\n"
        "host: " VENDOR_HOST "\ncontent-length: 316\ncontent-type: application/json\n"
        "x-content-sha256: " VENDOR_HASH;
    expect(text);

    unsigned char sig[128];
    struct kw_buf b;
    size_t n = vendor_sign(text, sig, sizeof sig);
    kw_buf_init(&b, 4096);
    kw_oci_authorization("ST$", "token", sign_lines, sig, n, &b);
    assert_string_equal(kw_buf_str(&b),
                        "Signature version=\"1\",keyId=\"ST$token\",algorithm=\"rsa-sha256\","
                        "headers=\"date (request-target) host content-length content-type "
                        "x-content-sha256\",signature=\"" VENDOR_POST_SIG "\"");
    kw_buf_free(&b);
}

static void own_date(void **state)
{
    (void)state;
    assert_int_equal(lines("GET", "h", "/", "", false, 0, EMPTY_HASH), 0);
    assert_string_equal(sign_lines, "date: " NOW "\n(request-target)\nhost\n");
    assert_string_equal(send_lines, "date: " NOW "\n");
    /* signing and sending are of one second, and each method without a body alike */
    static const char *const methods[] = {"GET", "HEAD", "DELETE", "OPTIONS"};
    static const char *const small[] = {"get", "head", "delete", "options"};
    for (size_t i = 0; i < 4; i++) {
        char want[256];
        assert_int_equal(lines(methods[i], "h", "/a?b", "", false, 0, EMPTY_HASH), 0);
        set(methods[i], "h", "/a?b", sign_lines);
        (void)snprintf(want, sizeof want, "date: " NOW "\n(request-target): %s /a?b\nhost: h",
                       small[i]);
        expect(want);
    }
}

/* The TypeScript SDK's way: x-date first, type before length. */
static void x_date(void **state)
{
    (void)state;
    assert_int_equal(lines("PUT", "h:8443", "/p", "x-date: " NOW "\nContent-Type: text/plain\n",
                           true, 3, VENDOR_HASH),
                     0);
    set("PUT", "h:8443", "/p", sign_lines);
    expect("x-date: " NOW "\n(request-target): put /p\nhost: h:8443\ncontent-type: text/plain\n"
           "content-length: 3\nx-content-sha256: " VENDOR_HASH);
    assert_string_equal(send_lines, "content-length: 3\nx-content-sha256: " VENDOR_HASH "\n");
    /* with both, x-date decides at the server, so it is what is signed */
    assert_int_equal(
        lines("GET", "h", "/", "date: " NOW "\nX-Date: " VENDOR_DATE "\n", false, 0, EMPTY_HASH),
        0);
    assert_string_equal(sign_lines, "x-date: " VENDOR_DATE "\n(request-target)\nhost\n");
}

static void mixed_case(void **state)
{
    (void)state;
    /* names keep their case in headers= and lose it in the string, as that SDK does it */
    set("POST", "h", "/p",
        "x-date: d\n(request-target)\nhost\nContent-Type: application/json\nContent-Length: 2\n"
        "x-content-sha256: s\n");
    expect("x-date: d\n(request-target): post /p\nhost: h\ncontent-type: application/json\n"
           "content-length: 2\nx-content-sha256: s");
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    kw_oci_authorization("", "k", m.headers, (const unsigned char *)"\1", 1, &b);
    assert_non_null(strstr(kw_buf_str(&b), "headers=\"x-date (request-target) host Content-Type "
                                           "Content-Length x-content-sha256\","
                                           "signature=\"AQ==\""));
    kw_buf_free(&b);
}

static void empty_bodies(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "PATCH"};
    static const char *const small[] = {"post", "put", "patch"};
    for (size_t i = 0; i < 3; i++) {
        char want[512];
        assert_int_equal(lines(methods[i], "h", "/x", "", false, 0, EMPTY_HASH), 0);
        set(methods[i], "h", "/x", sign_lines);
        (void)snprintf(want, sizeof want,
                       "date: " NOW "\n(request-target): %s /x\nhost: h\ncontent-length: 0\n"
                       "content-type: application/json\nx-content-sha256: " EMPTY_HASH,
                       small[i]);
        expect(want);
    }
}

/* The target is signed as it goes over the wire, whatever is in it. */
static void odd_targets(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/",
        "/?",
        "/a//b/../c",
        "/n/ns/b/bucket/o/gr%C3%BC%C3%9Fe%20%E2%9C%93.txt?versionId=%F0%9F%94%91",
        "/20160918/users?name=a%2Fb&name=&x=%7E~&z=1&a=2",
        "/p;v=1/@:!$&'()*+,=?q=/?&r=[]",
        "/n/ns/b/bu/o?prefix=a%0Ab&limit=10",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char want[512];
        assert_int_equal(lines("GET", "h", targets[i], "", false, 0, EMPTY_HASH), 0);
        set("GET", "h", targets[i], sign_lines);
        (void)snprintf(want, sizeof want, "date: " NOW "\n(request-target): get %s\nhost: h",
                       targets[i]);
        expect(want);
    }
}

static void uploads(void **state)
{
    (void)state;
    static const struct {
        const char *method, *host, *target;
        bool body;
    } cases[] = {
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/o/a/b%20c", false},
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com:8443", "/n/ns/b/bu/o/a?x=1", false},
        {"PUT", "ns.objectstorage.us-ashburn-1.oci.customer-oci.com", "/n/ns/b/bu/o/a", false},
        {"PUT", "p-ns.private.ObjectStorage.eu-zurich-1.oci.customer-oci.com", "/n/n/b/b/o/a",
         false},
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com",
         "/n/ns/b/bu/u/big?uploadId=1&uploadPartNum=1", false},
        /* anything else signs its body */
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/o/", true},
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/o?x=/o/y", true},
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b//o/a", true},
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/l/policy", true},
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/x/n/ns/b/bu/o/a", true},
        {"PUT", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu?/o/a", true},
        {"POST", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/u/a", true},
        {"POST", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/o/a", true},
        {"PATCH", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/o/a", true},
        {"PUT", "iaas.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/o/a", true},
        {"PUT", "objectstorage", "/n/ns/b/bu/o/a", true},
        {"PUT", "evilobjectstorage.example", "/n/ns/b/bu/o/a", true},
        {"PUT", "h:1.objectstorage.x", "/n/ns/b/bu/o/a", true},
        {"GET", "objectstorage.eu-frankfurt-1.oraclecloud.com", "/n/ns/b/bu/o/a", false},
        {"DELETE", "iaas.eu-frankfurt-1.oraclecloud.com", "/x", false},
        {"HEAD", "iaas.eu-frankfurt-1.oraclecloud.com", "/x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (kw_oci_signs_body(cases[i].method, cases[i].host, cases[i].target) != cases[i].body)
            fail_msg("case %zu: %s %s%s", i, cases[i].method, cases[i].host, cases[i].target);
    assert_int_equal(lines("PUT", cases[0].host, cases[0].target, "", true, 5, VENDOR_HASH), 0);
    assert_string_equal(sign_lines, "date: " NOW "\n(request-target)\nhost\n");
    /* what the caller says of an unsigned body stays the caller's */
    assert_int_equal(lines("PUT", cases[0].host, cases[0].target, "x-content-sha256: abc\n", true,
                           5, VENDOR_HASH),
                     0);
    assert_string_equal(send_lines, "date: " NOW "\n");
}

static void who_asks(void **state)
{
    (void)state;
    assert_int_equal(lines("GET", "h", "/", "opc-obo-token: t\nx-subscription: s\nopc-x: y\n",
                           false, 0, EMPTY_HASH),
                     0);
    assert_string_equal(sign_lines, "date: " NOW "\n(request-target)\nhost\nopc-obo-token: t\n"
                                    "x-subscription: s\n");
    assert_string_equal(send_lines, "date: " NOW "\n");
}

static void contradictions(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "date: a\nDate: b\n",
        "x-date: a\nX-Date: a\n",
        "content-type: a\ncontent-type: a\n",
        "content-length: 4\n",
        "content-length: 3\ncontent-length: 3\n",
        "x-content-sha256: 47deqpj8hbsa+/timw+5jceuqerkm5nmpjwzg3hsufu=\n",
        "host: other\n",
        "authorization: Signature x\n",
        "transfer-encoding: chunked\n",
        "no colon\n",
        "a:b\n",
        "a: b",
        "a\tb: c\n",
        "a: b\001c\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (lines("POST", "h", "/", bad[i], true, 3, EMPTY_HASH) != KW_USAGE)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(lines("POST", "h", "/",
                           "Host: H\nContent-Length: 3\nx-content-sha256: " EMPTY_HASH "\n", true,
                           3, EMPTY_HASH),
                     0);
    assert_string_equal(send_lines, "date: " NOW "\ncontent-type: application/json\n");
    struct kw_oci_request r = {"GET", "h", "/", "", false, 0, EMPTY_HASH, now};
    assert_int_equal(kw_oci_header_lines(&r, sign_lines, 40, send_lines, sizeof send_lines, &err),
                     KW_USAGE);
    assert_int_equal(kw_oci_header_lines(&r, sign_lines, sizeof sign_lines, send_lines, 20, &err),
                     KW_USAGE);
}

#define THREE "date: d\n(request-target)\nhost\n"
#define BODY  "content-length: 0\ncontent-type: t\nx-content-sha256: s\n"

static void refused_strings(void **state)
{
    (void)state;
    static const struct {
        const char *method, *host, *target, *headers;
    } bad[] = {
        {"GET", "h", "/", ""},
        {"GET", "h", "/", "date: d\nhost\n"},
        {"GET", "h", "/", "date: d\n(request-target)\n"},
        {"GET", "h", "/", "(request-target)\nhost\n"},
        {"GET", "h", "/", THREE "date: e\n"},
        {"GET", "h", "/", THREE "Date: e\n"},
        {"GET", "h", "/", THREE "host\n"},
        {"GET", "h", "/", THREE "(request-target)\n"},
        {"GET", "h", "/", THREE "opc-x: 1\nOPC-X: 1\n"},
        {"GET", "h", "/", "date: d\n(request-target)\nhost: evil\n"},
        {"GET", "h", "/", "date\n(request-target)\nhost\n"},
        {"GET", "h", "/", "date: \n(request-target)\nhost\n"},
        {"GET", "h", "/", "date:  d\n(request-target)\nhost\n"},
        {"GET", "h", "/", "date: d \n(request-target)\nhost\n"},
        {"GET", "h", "/", "date: d\t\n(request-target)\nhost\n"},
        {"GET", "h", "/", "date: d\n(request-target): get /other\nhost\n"},
        {"GET", "h", "/", "date: d\n(Request-Target)\nhost\n"},
        {"GET", "h", "/", THREE "opc-x: 1"},
        {"GET", "h", "/", THREE "\n"},
        {"GET", "h", "/", THREE "a b: c\n"},
        {"GET", "h", "/", THREE "a: \303\274\n"},
        {"POST", "h", "/", THREE},
        {"POST", "h", "/", THREE "content-length: 0\ncontent-type: t\n"},
        {"PUT", "h", "/", THREE "content-length: 0\nx-content-sha256: s\n"},
        {"PATCH", "h", "/", THREE "content-type: t\nx-content-sha256: s\n"},
        {"", "h", "/", THREE},
        {"get", "h", "/", THREE},
        {"GET /x", "h", "/", THREE},
        {"GET", "", "/", THREE},
        {"GET", "h h", "/", THREE},
        {"GET", "h/x", "/", THREE},
        {"GET", "u@h", "/", THREE},
        {"GET", "h", "", THREE},
        {"GET", "h", "x", THREE},
        {"GET", "h", "http://h/", THREE},
        {"GET", "h", "/a b", THREE},
        {"GET", "h", "/a#b", THREE},
        {"GET", "h", "/\303\274", THREE},
        {"GET", "h", "/a\nhost: evil", THREE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        set(bad[i].method, bad[i].host, bad[i].target, bad[i].headers);
        expect(NULL);
    }
    set("POST", "h", "/", THREE BODY);
    expect("date: d\n(request-target): post /\nhost: h\ncontent-length: 0\ncontent-type: t\n"
           "x-content-sha256: s");
    /* more than must be is fine */
    set("GET", "[::1]:8443", "/", THREE BODY "opc-x: a  b\n");
    expect("date: d\n(request-target): get /\nhost: [::1]:8443\ncontent-length: 0\n"
           "content-type: t\nx-content-sha256: s\nopc-x: a  b");
}

static void appends(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    kw_put_str(&b, "before ");
    set("GET", "h", "/", THREE);
    assert_int_equal(kw_oci_signing_string(&m, &b, &err), 0);
    assert_string_equal(kw_buf_str(&b), "before date: d\n(request-target): get /\nhost: h");
    kw_buf_free(&b);
    kw_buf_init(&b, 10); /* no room */
    assert_int_equal(kw_oci_signing_string(&m, &b, &err), KW_FAILED);
    kw_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vendor_get),      cmocka_unit_test(vendor_post),
        cmocka_unit_test(own_date),        cmocka_unit_test(x_date),
        cmocka_unit_test(mixed_case),      cmocka_unit_test(empty_bodies),
        cmocka_unit_test(odd_targets),     cmocka_unit_test(uploads),
        cmocka_unit_test(who_asks),        cmocka_unit_test(contradictions),
        cmocka_unit_test(refused_strings), cmocka_unit_test(appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
