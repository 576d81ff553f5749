/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange's form byte by byte, and what is believed of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/wire/http_answer.h"

#define HEAD                                                                                       \
    "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&requested_token_type=urn:oci:"     \
    "token-type:oci-"

static const unsigned char spki[] = {0xfb, 0xff, 0xfe, 0x00}; /* base64: +//+AA== */

static struct kw_m_go go_with(const char *subject)
{
    struct kw_m_go go = {.spki = {spki, sizeof spki}};
    go.subject = kw_secret_from(subject, strlen(subject));
    assert_non_null(go.subject);
    return go;
}

static void form_of_upst(void **state)
{
    (void)state;
    struct kw_m_exchange x = {.requested = KW_UPST};
    struct kw_m_go go = go_with("eyJ-_.e.s");
    struct kw_err err;
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    assert_int_equal(kw_oci_form(&x, &go, NULL, &b, &err), 0);
    assert_string_equal(kw_buf_str(&b), HEAD "upst&subject_token=eyJ-_.e.s&subject_token_type=jwt&"
                                             "public_key=%2B%2F%2F%2BAA%3D%3D");
    kw_buf_free(&b);
    kw_secret_free(&go.subject);
}

static void form_of_rpst(void **state)
{
    (void)state;
    struct kw_m_exchange x = {.requested = KW_RPST, .res_type = "ci job", .rpst_exp = 3600};
    struct kw_m_go go = go_with("a.b.c");
    struct kw_err err;
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    assert_int_equal(kw_oci_form(&x, &go, NULL, &b, &err), 0);
    assert_string_equal(kw_buf_str(&b),
                        HEAD "rpst&subject_token=a.b.c&subject_token_type=jwt&public_key=%2B%2F%2F"
                             "%2BAA%3D%3D&res_type=ci%20job&rpst_exp=3600");
    kw_buf_reset(&b);
    x.rpst_exp = 0;
    assert_int_equal(kw_oci_form(&x, &go, NULL, &b, &err), 0);
    assert_null(strstr(kw_buf_str(&b), "rpst_exp"));
    x.res_type[0] = '\0';
    assert_int_equal(kw_oci_form(&x, &go, NULL, &b, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "res_type"));
    kw_buf_free(&b);
    kw_secret_free(&go.subject);
}

static void form_with_assertion(void **state)
{
    (void)state;
    struct kw_m_exchange x = {.requested = KW_UPST, .client_id = "c&1"};
    struct kw_m_go go = go_with("a.b.c");
    struct kw_secret *assertion = kw_secret_from("x.y.z", 5);
    struct kw_err err;
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    assert_int_equal(kw_oci_form(&x, &go, assertion, &b, &err), 0);
    assert_non_null(strstr(kw_buf_str(&b),
                           "&client_id=c%261&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
                           "client-assertion-type%3Ajwt-bearer&client_assertion=x.y.z"));
    kw_buf_free(&b);
    kw_secret_free(&assertion);
    kw_secret_free(&go.subject);
}

static void form_too_large(void **state)
{
    (void)state;
    struct kw_m_exchange x = {.requested = KW_UPST};
    struct kw_m_go go = go_with("a.b.c");
    struct kw_err err;
    struct kw_buf b;
    kw_buf_init(&b, 64);
    assert_int_equal(kw_oci_form(&x, &go, NULL, &b, &err), KW_FAILED);
    kw_buf_free(&b);
    kw_secret_free(&go.subject);
}

static void basic(void **state)
{
    (void)state;
    struct kw_m_exchange x = {.client_id = "id"};
    struct kw_err err;
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    x.client_secret = kw_secret_from("s:\xff", 3);
    assert_int_equal(kw_oci_basic(&x, &b, &err), 0);
    assert_string_equal(kw_buf_str(&b), "Basic aWQ6czr/");
    x.client_id[0] = '\0';
    assert_int_equal(kw_oci_basic(&x, &b, &err), KW_USAGE);
    kw_secret_free(&x.client_secret);
    kw_buf_free(&b);
}

/* The code that an answer leads to; *text is what the user reads. */
static int judge(unsigned status, const char *headers, const char *body, char *text, size_t size)
{
    struct kw_answer a = {status, headers, body, strlen(body)};
    struct kw_secret *token = NULL;
    struct kw_err err = {KW_OK, ""};
    int r = kw_oci_answer(&a, "idcs.test", &token, &err);
    assert_true((r == 0) == (token != NULL));
    (void)snprintf(text, size, "%s", r == 0 ? kw_secret_bytes(token) : err.text);
    kw_secret_free(&token);
    return r;
}

static void good_answer(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT];
    assert_int_equal(judge(200, "", " {\"token\":\"eyJh.eyJi.c_-2\",\"x\":1}\n", text, sizeof text),
                     0);
    assert_string_equal(text, "eyJh.eyJi.c_-2");
}

static void known_refusals(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *body, *cure;
    } cases[] = {
        {401,
         "{\"error\":\"unauthorized_client\",\"error_description\":\"No rules matched from given "
         "token to find impersonation user.\"}",
         "keyward claims"},
        {401,
         "{\"error\":\"unauthorized_client\",\"error_description\":\"User requesting is not a "
         "service user.\"}",
         "serviceUser"},
        {401, "{\"error\":\"unauthorized_client\"}", "oauthClients"},
        {401,
         "{\"error\":\"invalid_client\",\"error_description\":\"Client authentication failed.\"}",
         "client_secret_source"},
        {400, "{\"error\":\"invalid_grant\"}", "issuer"},
        {400, "{\"error\":\"something_new\",\"error_description\":\"odd\"}", "Diagnostics"},
        {404, "<html>no</html>", "domain_url"},
        {400, "", "domain_url"},
    };
    char text[KW_ERR_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            judge(cases[i].status, "x-oracle-dms-ecid: Ab-1^x\n", cases[i].body, text, sizeof text),
            KW_CLOUD);
        assert_non_null(strstr(text, cases[i].cure));
        assert_non_null(strstr(text, "(ecid Ab-1^x)"));
        assert_non_null(strstr(text, "idcs.test"));
    }
}

static void temporary(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT];
    static const unsigned statuses[] = {429, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        assert_int_equal(judge(statuses[i], "", "<html>", text, sizeof text), KW_NET);
}

static void untrustworthy(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT];
    static const char *const bodies[] = {
        "",
        "   \r\n",
        "<html><body>sign in</body></html>",
        "null",
        "[]",
        "\"a.b.c\"",
        "{\"token\":\"a.b.c\"",
        "{\"token\":\"a.b.c\"}x",
        "{}",
        "{\"token\":1}",
        "{\"token\":null}",
        "{\"token\":\"\"}",
        "{\"token\":\"a.b\"}",
        "{\"token\":\"a..c\"}",
        "{\"token\":\"a.b.c.d\"}",
        "{\"token\":\"a.b.c\\n\"}",
        "{\"token\":\"a.b.c\\u0000\"}",
        "{\"token\":\"a.b.\xc3\xa9\"}",
        "{\"token\":\"a.b.c\",\"token\":\"d.e.f\"}",
        "{\"access_token\":\"a.b.c\"}",
        "{\"error\":\"invalid_grant\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_int_equal(judge(200, "", bodies[i], text, sizeof text), KW_CLOUD);
    assert_int_equal(judge(201, "", "{\"token\":\"a.b.c\"}", text, sizeof text), KW_CLOUD);
    assert_int_equal(judge(204, "", "", text, sizeof text), KW_CLOUD);
}

static void redirect(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT];
    assert_int_equal(judge(302, "location: https://evil.test/?x=secret\n", "", text, sizeof text),
                     KW_CLOUD);
    assert_non_null(strstr(text, "never followed"));
    assert_non_null(strstr(text, "evil.test"));
    assert_null(strstr(text, "secret"));
    assert_int_equal(judge(307, "", "", text, sizeof text), KW_CLOUD);
}

static void overlong_token(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT];
    size_t n = KW_TOKEN_MAX + 64;
    char *body = malloc(n);
    assert_non_null(body);
    memset(body, 'a', n);
    memcpy(body, "{\"token\":\"a.b.", 14);
    memcpy(body + n - 3, "\"}", 3);
    assert_int_equal(judge(200, "", body, text, sizeof text), KW_CLOUD);
    assert_non_null(strstr(text, "32768"));
    free(body);
}

/* A server that echoes what it was sent must not get it into our messages, nor drive
 * the terminal. */
static void foreign_text(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT], small[16];
    assert_int_equal(judge(400, "opc-request-id: r/1\n",
                           "{\"error\":\"invalid_grant\",\"error_description\":\"bad "
                           "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln\\u001b[2J\"}",
                           text, sizeof text),
                     KW_CLOUD);
    assert_null(strstr(text, "eyJ"));
    assert_non_null(strstr(text, "(token)"));
    assert_null(strchr(text, 0x1b));
    assert_non_null(strstr(text, "(ecid r/1)"));
    kw_quote(small, sizeof small, "0123456789abcdefghij");
    assert_string_equal(small, "0123456789ab...");
}

static int fetch(unsigned status, const char *headers, const char *body, char *text, size_t size)
{
    struct kw_answer a = {status, headers, body, strlen(body)};
    struct kw_secret *token = NULL;
    struct kw_err err = {KW_OK, ""};
    int r = kw_fetch_answer(&a, "ci.test", "value", &token, &err);
    assert_true((r == 0) == (token != NULL));
    (void)snprintf(text, size, "%s", r == 0 ? kw_secret_bytes(token) : err.text);
    kw_secret_free(&token);
    return r;
}

static void subject_answers(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT];
    assert_int_equal(fetch(200, "", "{\"count\":3,\"value\":\"a.b.c\"}", text, sizeof text), 0);
    assert_string_equal(text, "a.b.c");
    assert_int_equal(fetch(200, "", "{\"token\":\"a.b.c\"}", text, sizeof text), KW_SUBJECT);
    assert_non_null(strstr(text, "\"value\""));
    assert_int_equal(fetch(200, "", "<!DOCTYPE html>", text, sizeof text), KW_SUBJECT);
    assert_non_null(strstr(text, "HTML"));
    assert_int_equal(fetch(200, "", "", text, sizeof text), KW_SUBJECT);
    assert_non_null(strstr(text, "empty"));
    assert_int_equal(fetch(200, "", "{\"value\":\"", text, sizeof text), KW_SUBJECT);
    assert_int_equal(fetch(401, "", "{}", text, sizeof text), KW_SUBJECT);
    assert_non_null(strstr(text, "id-token: write"));
    assert_int_equal(fetch(404, "", "{}", text, sizeof text), KW_SUBJECT);
    assert_int_equal(fetch(301, "location: https://b.test/\n", "", text, sizeof text), KW_SUBJECT);
    assert_non_null(strstr(text, "b.test"));
    assert_int_equal(fetch(500, "", "", text, sizeof text), KW_NET);
    assert_int_equal(fetch(429, "", "", text, sizeof text), KW_NET);
}

static int setup(void **state)
{
    struct kw_err err;
    (void)state;
    return kw_secret_init(true, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_of_upst),
        cmocka_unit_test(form_of_rpst),
        cmocka_unit_test(form_with_assertion),
        cmocka_unit_test(form_too_large),
        cmocka_unit_test(basic),
        cmocka_unit_test(good_answer),
        cmocka_unit_test(known_refusals),
        cmocka_unit_test(temporary),
        cmocka_unit_test(untrustworthy),
        cmocka_unit_test(redirect),
        cmocka_unit_test(overlong_token),
        cmocka_unit_test(foreign_text),
        cmocka_unit_test(subject_answers),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
