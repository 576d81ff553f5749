/* SPDX-License-Identifier: Apache-2.0
 *
 * What the proxy of `run` decides: where a client may go, whose request it is, what goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "src/base/b64.h"
#include "src/config/config.h"
#include "src/proxy/proxy_scope.h"

#define TOKEN "eyJhIjoxfQ.eyJleHAiOjk5OTk5OTk5OTl9.c3RhbmQtaW4"
#define OCI   "iaas.eu-test-1.oraclecloud.com"

static struct kw_scope scope;
static struct kw_m_sign m;

static int setup(void **state)
{
    (void)state;
    scope.say.cloud = KW_CLOUD_OCI;
    (void)snprintf(scope.say.sign_host, sizeof scope.say.sign_host, "*.oraclecloud.com");
    (void)snprintf(scope.say.egress, sizeof scope.say.egress,
                   "pypi.test:443 *.test:8443 127.1:8443 0x7f.1:8443 2130706433:8443");
    (void)snprintf(scope.say.decoy_token, sizeof scope.say.decoy_token, "%s", TOKEN);
    scope.decoy = EVP_RSA_gen(2048);
    scope.token = kw_secret_init(true, NULL) == 0 ? kw_secret_from("REAL", 4) : NULL;
    return scope.decoy != NULL && scope.token != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(scope.decoy);
    kw_secret_free(&scope.token);
    return 0;
}

static void parse(const char *text, struct kw_head *h)
{
    unsigned status;
    struct kw_err err;
    if (kw_head_request(text, strlen(text), h, &status, &err) != (long)strlen(text))
        fail_msg("%s: %s", text, err.text);
}

static void test_route(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint16_t port;
        enum kw_route route;
    } all[] = {
        {OCI, 443, KW_ROUTE_OCI},
        {"oraclecloud.com", 443, KW_ROUTE_REFUSE},
        {"oraclecloud.com.evil.test", 443, KW_ROUTE_REFUSE},
        {"pypi.test", 443, KW_ROUTE_TUNNEL},
        {"pypi.test", 80, KW_ROUTE_REFUSE},
        {"x.test", 8443, KW_ROUTE_TUNNEL},
        {"10.0.0.1", 8443, KW_ROUTE_REFUSE},
        {"0x7f.1", 8443, KW_ROUTE_REFUSE},
        {"127.0x1", 8443, KW_ROUTE_REFUSE},
        {"2130706433", 8443, KW_ROUTE_REFUSE},
        {"127.1", 8443, KW_ROUTE_REFUSE},
        {"::1", 8443, KW_ROUTE_REFUSE},
        {"[::1]", 8443, KW_ROUTE_REFUSE},
        {"x.test.", 8443, KW_ROUTE_REFUSE},
        {"", 8443, KW_ROUTE_REFUSE},
        {"x.test", 0, KW_ROUTE_REFUSE},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct kw_err err = {.text = ""};
        if (kw_scope_route(&scope, all[i].host, all[i].port, &err) != all[i].route ||
            (all[i].route == KW_ROUTE_REFUSE) != (err.text[0] != '\0'))
            fail_msg("%s:%u: %s", all[i].host, (unsigned)all[i].port, err.text);
    }
}

static void test_same_host(void **state)
{
    (void)state;
    struct kw_span f = {.p = "A.test:443", .n = 10}, bare = {.p = "a.test", .n = 6};
    assert_true(kw_scope_same_host(f, "a.test", 443));
    assert_true(kw_scope_same_host(bare, "a.test", 443));
    assert_false(kw_scope_same_host(bare, "a.test", 8443));
    assert_false(kw_scope_same_host(f, "b.test", 443));
}

/* A request with its signature over `text`, made by libcrypto and not by what is tested. */
static void sign(const char *start, const char *key_id, const char *list, const char *text,
                 char *out, size_t size)
{
    unsigned char sig[512];
    size_t n = sizeof sig;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, scope.decoy), 1);
    assert_int_equal(EVP_DigestSign(c, sig, &n, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(c);
    struct kw_buf b;
    kw_buf_init(&b, 1024);
    kw_b64_put(&b, sig, n);
    (void)snprintf(out, size,
                   "%sAuthorization: Signature algorithm=\"rsa-sha256\",headers=\"%s\","
                   "keyId=\"%s\",signature=\"%s\",version=\"1\"\r\n\r\n",
                   start, list, key_id, kw_buf_str(&b));
    kw_buf_free(&b);
}

#define DATE "Thu, 05 Jan 2014 21:31:40 GMT"
#define GET  "GET /20160918/x?a=%20b HTTP/1.1\r\nHost: " OCI "\r\ndate: " DATE "\r\n"
#define POST                                                                                       \
    "POST /p HTTP/1.1\r\nHost: " OCI "\r\nx-date: " DATE "\r\nContent-Type: application/json\r\n"  \
    "Content-Length: 2\r\nx-content-sha256: RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=\r\n"
#define GET_TEXT "date: " DATE "\n(request-target): get /20160918/x?a=%20b\nhost: " OCI
#define POST_TEXT                                                                                  \
    "x-date: " DATE "\n(request-target): post /p\nhost: " OCI "\ncontent-type: application/json\n" \
    "content-length: 2\nx-content-sha256: RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="
#define GET_LIST  "date (request-target) host"
#define POST_LIST "x-date (request-target) host Content-Type Content-Length x-content-sha256"

static void test_oci(void **state)
{
    (void)state;
    static const struct {
        const char *start, *id, *list, *text, *says; /* NULL: let through */
    } all[] = {
        {GET, "ST$" TOKEN, GET_LIST, GET_TEXT, NULL},
        {POST, "ST$" TOKEN, POST_LIST, POST_TEXT, NULL},
        {GET, "ST$" TOKEN "x", GET_LIST, GET_TEXT, "another key"},
        {GET, "ocid1.tenancy/ocid1.user/aa", GET_LIST, GET_TEXT, "another key"},
        {GET, TOKEN, GET_LIST, GET_TEXT, "another key"},
        {GET, "ST$" TOKEN, GET_LIST, POST_TEXT, "not the stand-in"},
        {GET, "ST$" TOKEN, "date host", GET_TEXT, "must sign (request-target)"},
        {GET, "ST$" TOKEN, "(request-target) host", GET_TEXT, "neither date nor x-date"},
        {GET, "ST$" TOKEN, "x-date (request-target) host", GET_TEXT, "has not"},
        {GET "date: " DATE "\r\n", "ST$" TOKEN, GET_LIST, GET_TEXT, "more than once"},
        {GET, "ST$" TOKEN, "date  (request-target) host", GET_TEXT, "empty name"},
        {GET, "ST$" TOKEN, "date date (request-target) host", GET_TEXT, "twice"},
        {POST, "ST$" TOKEN, "x-date (request-target) host", POST_TEXT, "must sign content-length"},
        {GET "Authorization: Bearer x\r\n", "ST$" TOKEN, GET_LIST, GET_TEXT, "more than one"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[4096];
        struct kw_head h;
        struct kw_err err = {.text = ""};
        sign(all[i].start, all[i].id, all[i].list, all[i].text, text, sizeof text);
        parse(text, &h);
        int r = kw_scope_oci(&scope, &h, OCI, &m, &err);
        if (r != (all[i].says != NULL ? KW_POLICY : 0) ||
            (all[i].says != NULL && strstr(err.text, all[i].says) == NULL))
            fail_msg("%zu: %d %s", i, r, err.text);
        assert_int_equal(kw_scope_oci(&scope, &h, "other.test", &m, &err), KW_POLICY);
    }
}

static void test_oci_goes_on(void **state)
{
    (void)state;
    char text[4096];
    struct kw_head h;
    struct kw_err err;
    struct kw_buf a, out;
    kw_buf_init(&a, 4096);
    kw_buf_init(&out, 8192);
    sign(POST "Connection: x-drop\r\nX-Drop: 1\r\nProxy-Authorization: b\r\n", "ST$" TOKEN,
         POST_LIST, POST_TEXT, text, sizeof text);
    parse(text, &h);
    assert_int_equal(kw_scope_oci(&scope, &h, OCI, &m, &err), 0);
    struct kw_view sig = {.p = (const unsigned char *)"abc", .len = 3};
    assert_int_equal(kw_scope_authorization(&scope, KW_ROUTE_OCI, &m, sig, &a, &err), 0);
    assert_string_equal(kw_buf_str(&a),
                        "Signature version=\"1\",keyId=\"ST$REAL\",algorithm="
                        "\"rsa-sha256\",headers=\"" POST_LIST "\",signature=\"YWJj\"");
    assert_int_equal(kw_scope_rewrite(&h, &a, &out, &err), 0);
    const char *sent = kw_buf_str(&out);
    assert_null(strstr(sent, TOKEN));
    assert_null(strcasestr(sent, "x-drop"));
    assert_null(strcasestr(sent, "proxy-"));
    assert_non_null(strstr(sent, "ST$REAL"));
    parse(sent, &h);
    assert_int_equal(kw_head_count(&h, "Authorization"), 1);
    kw_buf_free(&a);
    kw_buf_free(&out);
}

static void test_google(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int r;
        bool bare;
    } all[] = {
        {"Authorization: Bearer " TOKEN "\r\nx-goog-user-project: p\r\n", 0, false},
        {"", 0, true},
        {"Authorization: Bearer " TOKEN "x\r\n", KW_POLICY, false},
        {"Authorization: Bearer x\r\n", KW_POLICY, false},
        {"Authorization: Basic " TOKEN "\r\n", KW_POLICY, false},
        {"Authorization: Bearer " TOKEN "\r\nAuthorization: Bearer " TOKEN "\r\n", KW_POLICY,
         false},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[2048];
        struct kw_head h;
        struct kw_m_allow allow;
        struct kw_err err;
        bool bare;
        (void)snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: g.test\r\n%s\r\n",
                       all[i].fields);
        parse(text, &h);
        assert_int_equal(kw_scope_google(&scope, &h, "g.test", &allow, &bare, &err), all[i].r);
        assert_int_equal(bare, all[i].bare);
    }
}

static void test_leaks(void **state)
{
    (void)state;
    static const struct {
        const char *target, *fields;
        bool leaks;
    } all[] = {
        {"/", "Authorization: Bearer " TOKEN "\r\n", false},
        {"/?access_token=" TOKEN, "", true},
        {"/?a=%65yJhIjoxfQ%2eeyJleHAiOjk5OTk5OTk5OTl9.c3RhbmQtaW4", "", true},
        {"/", "Cookie: a=" TOKEN "\r\n", true},
        {"/", "Authorization: a\r\nAuthorization: " TOKEN "\r\n", true},
        {"/", "Proxy-Authorization: Basic %s\r\n", true},
        {"/?a=b", "Cookie: a=b\r\n", false},
    };
    struct kw_buf b;
    kw_buf_init(&b, 1024);
    kw_b64_put(&b, "u:" TOKEN, strlen("u:" TOKEN));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[2048];
        struct kw_head h;
        int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: g.test\r\n", all[i].target);
        const char *at = strstr(all[i].fields, "%s");
        int k = at != NULL ? (int)(at - all[i].fields) : (int)strlen(all[i].fields);
        (void)snprintf(text + n, sizeof text - (size_t)n, "%.*s%s%s\r\n", k, all[i].fields,
                       at != NULL ? kw_buf_str(&b) : "", at != NULL ? at + 2 : "");
        parse(text, &h);
        if (kw_scope_leaks(&scope, &h) != all[i].leaks)
            fail_msg("%s", text);
    }
    kw_buf_free(&b);
}

static void test_refusal(void **state)
{
    (void)state;
    static const enum kw_route routes[] = {KW_ROUTE_OCI, KW_ROUTE_GOOGLE, KW_ROUTE_REFUSE};
    for (size_t i = 0; i < 3; i++) {
        struct kw_buf out;
        struct kw_head h;
        struct kw_err err;
        struct kw_span get = {.p = "GET", .n = 3};
        kw_buf_init(&out, 4096);
        kw_scope_refusal(routes[i], 403, "no \"such\"\r\nthing", true, &out);
        const char *text = kw_buf_str(&out);
        long n = kw_head_response(text, out.len, &get, &h, &err);
        assert_true(n > 0 && h.status == 403 && !h.keep_alive && h.length == out.len - (size_t)n);
        assert_int_equal(kw_head_count(&h, "opc-request-id"), routes[i] == KW_ROUTE_OCI);
        json_t *j = json_loads(text + n, 0, NULL);
        json_t *e = i == 1 ? json_object_get(j, "error") : j;
        assert_int_equal(j != NULL, i < 2);
        if (j != NULL)
            assert_string_equal(json_string_value(json_object_get(e, "message")),
                                "keyward: no \"such\"??thing");
        if (i == 1)
            assert_string_equal(json_string_value(json_object_get(e, "status")),
                                "PERMISSION_DENIED");
        json_decref(j);
        kw_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route),   cmocka_unit_test(test_same_host),
        cmocka_unit_test(test_oci),     cmocka_unit_test(test_oci_goes_on),
        cmocka_unit_test(test_google),  cmocka_unit_test(test_leaks),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
