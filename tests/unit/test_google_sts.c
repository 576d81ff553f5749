/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to Google's token service and IAM Credentials, and what is believed of their
 * answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/wire/google_sts.h"

static struct kw_err err;

static struct kw_m_google wish(void)
{
    struct kw_m_google g = {
        .audience = "//iam.googleapis.com/projects/1/x",
        .subject_type = "urn:ietf:params:oauth:token-type:jwt",
        .scope = "https://s/a https://s/b",
        .lifetime = 1200,
    };
    return g;
}

static void form(void **state)
{
    (void)state;
    struct kw_m_google g = wish();
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    g.subject = kw_secret_new(8);
    assert_int_equal(kw_sts_form(&g, &b, &err), KW_FAILED); /* an empty one */
    kw_secret_free(&g.subject);
    g.subject = kw_secret_from("a.b.c", 5);
    assert_int_equal(kw_sts_form(&g, &b, &err), 0);
    assert_string_equal(
        kw_buf_str(&b),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
        "&audience=%2F%2Fiam.googleapis.com%2Fprojects%2F1%2Fx&scope=https%3A%2F%2Fs%2Fa%20https%3A"
        "%2F%2Fs%2Fb&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
        "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=a.b.c");
    /* impersonation needs one scope; the others go to the account's token */
    kw_buf_reset(&b);
    (void)snprintf(g.service_account, sizeof g.service_account, "a@b.c");
    assert_int_equal(kw_sts_form(&g, &b, &err), 0);
    assert_non_null(strstr(kw_buf_str(&b), "&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-"
                                           "platform&"));
    kw_buf_free(&b);
    kw_buf_init(&b, 64);
    assert_int_equal(kw_sts_form(&g, &b, &err), KW_FAILED); /* no room */
    kw_buf_free(&b);
    kw_secret_free(&g.subject);
}

static void bodies(void **state)
{
    (void)state;
    struct kw_m_google g = wish();
    char target[256];
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    assert_int_equal(kw_iam_body(&g, &b, &err), 0);
    assert_string_equal(kw_buf_str(&b),
                        "{\"scope\":[\"https://s/a\",\"https://s/b\"],\"lifetime\":\"1200s\"}");
    kw_buf_reset(&b);
    (void)snprintf(g.delegates, sizeof g.delegates, "d@e.f 100000000000000000002");
    (void)snprintf(g.id_audience, sizeof g.id_audience, "https://\"svc");
    g.include_email = 1;
    assert_int_equal(kw_iam_body(&g, &b, &err), 0);
    assert_string_equal(kw_buf_str(&b),
                        "{\"audience\":\"https://\\\"svc\",\"includeEmail\":true,\"delegates\":["
                        "\"projects/-/serviceAccounts/d@e.f\","
                        "\"projects/-/serviceAccounts/100000000000000000002\"]}");
    (void)snprintf(g.service_account, sizeof g.service_account, "a@b.c");
    assert_int_equal(kw_iam_target(&g, "/v1/x", target, sizeof target, &err), 0);
    assert_string_equal(target, "/v1/x/a%40b.c:generateIdToken");
    g.id_audience[0] = '\0';
    assert_int_equal(kw_iam_target(&g, "/v1/x", target, sizeof target, &err), 0);
    assert_string_equal(target, "/v1/x/a%40b.c:generateAccessToken");
    assert_int_equal(kw_iam_target(&g, "/v1/x", target, 20, &err), KW_USAGE);
    kw_buf_free(&b);
}

static int sts(unsigned status, const char *body, char *text, size_t size, uint32_t *expires)
{
    struct kw_answer a = {status, "", body, strlen(body)};
    struct kw_secret *token = NULL;
    int r = kw_sts_answer(&a, "sts.test", &token, expires, &err);
    assert_true((r == 0) == (token != NULL));
    (void)snprintf(text, size, "%s", r == 0 ? kw_secret_bytes(token) : err.text);
    kw_secret_free(&token);
    return r;
}

static void sts_good(void **state)
{
    (void)state;
    char text[KW_ERR_TEXT];
    uint32_t expires = 0;
    assert_int_equal(
        sts(200, "{\"access_token\":\"ya29.d.x\",\"token_type\":\"Bearer\",\"expires_in\":3599}",
            text, sizeof text, &expires),
        0);
    assert_string_equal(text, "ya29.d.x");
    assert_int_equal(expires, 3599);
    assert_int_equal(
        sts(200, "{\"access_token\":\"t\",\"expires_in\":\"60\"}", text, sizeof text, &expires), 0);
    assert_int_equal(expires, 60);
    static const char *const odd[] = {"{\"access_token\":\"t\"}",
                                      "{\"access_token\":\"t\",\"expires_in\":-1}",
                                      "{\"access_token\":\"t\",\"expires_in\":99999999999}",
                                      "{\"access_token\":\"t\",\"expires_in\":null}"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_int_equal(sts(200, odd[i], text, sizeof text, &expires), 0);
        assert_int_equal(expires, 0); /* not told: the caller decides */
    }
}

static void sts_bad(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *body;
        int code;
        const char *says;
    } cases[] = {
        {200, "", KW_CLOUD, "is empty"},
        {200, "<html>", KW_CLOUD, "HTML"},
        {200, "{}", KW_CLOUD, "access_token"},
        {200, "{\"access_token\":\"\"}", KW_CLOUD, "access_token"},
        {200, "{\"access_token\":\"a b\"}", KW_CLOUD, "access_token"},
        {200, "{\"access_token\":\"a\\r\\nX: y\"}", KW_CLOUD, "access_token"},
        {200, "{\"access_token\":1}", KW_CLOUD, "access_token"},
        {200, "{\"access_token\":\"t\",\"token_type\":\"N_A\"}", KW_CLOUD, "Bearer"},
        {400,
         "{\"error\":\"invalid_grant\",\"error_description\":\"The audience in ID Token [x] does "
         "not match the expected audience.\"}",
         KW_CLOUD, "[source] audience"},
        {400,
         "{\"error\":\"invalid_grant\",\"error_description\":\"ID Token issued at 1 is stale to "
         "sign-in.\"}",
         KW_SUBJECT, "fetched anew"},
        {400,
         "{\"error\":\"invalid_grant\",\"error_description\":\"The issuer in ID Token a does not "
         "match the expected ones: b\"}",
         KW_CLOUD, "trailing slash"},
        {400,
         "{\"error\":\"invalid_grant\",\"error_description\":\"Error connecting to the given "
         "credential's issuer.\"}",
         KW_CLOUD, "jwksJson"},
        {400,
         "{\"error\":\"unauthorized_client\",\"error_description\":\"The given credential is "
         "rejected by the attribute condition.\"}",
         KW_CLOUD, "condition is false"},
        {400,
         "{\"error\":\"invalid_target\",\"error_description\":\"The target service indicated by "
         "...\"}",
         KW_CLOUD, "by number"},
        {400,
         "{\"error\":\"invalid_request\",\"error_description\":\"Invalid value for "
         "\\\"audience\\\". x\"}",
         KW_CLOUD, "not the pool's"},
        {400,
         "{\"error\":\"invalid_request\",\"error_description\":\"The size of mapped attribute "
         "google.subject exceeds the 127 bytes limit.\"}",
         KW_CLOUD, "map something shorter"},
        {400, "{\"error\":\"something_new\"}", KW_CLOUD, "(no description)"},
        {400, "<html>", KW_CLOUD, "without saying why"},
        {404, "", KW_CLOUD, "without saying why"},
        {302, "", KW_CLOUD, "redirect"},
        {429, "{\"error\":\"quota_exceeded\"}", KW_NET, "quota_exceeded"},
        {500, "", KW_NET, "try again later"},
        {503, "<html>", KW_NET, "try again later"},
    };
    char text[KW_ERR_TEXT];
    uint32_t expires;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = sts(cases[i].status, cases[i].body, text, sizeof text, &expires);
        if (r != cases[i].code || strstr(text, cases[i].says) == NULL ||
            strstr(text, "sts.test") == NULL)
            fail_msg("%u %s: %d %s", cases[i].status, cases[i].body, r, text);
    }
}

static int iam(const struct kw_m_google *g, unsigned status, const char *body, char *text,
               size_t size, int64_t *until)
{
    struct kw_answer a = {status, "", body, strlen(body)};
    struct kw_secret *token = NULL;
    int r = kw_iam_answer(&a, "iam.test", g, &token, until, &err);
    assert_true((r == 0) == (token != NULL));
    (void)snprintf(text, size, "%s", r == 0 ? kw_secret_bytes(token) : err.text);
    kw_secret_free(&token);
    return r;
}

static void iam_answers(void **state)
{
    (void)state;
    struct kw_m_google g = wish();
    char text[KW_ERR_TEXT];
    int64_t until = 0;
    (void)snprintf(g.service_account, sizeof g.service_account, "a@b.c");
    assert_int_equal(iam(&g, 200,
                         "{\"accessToken\":\"ya29.c\",\"expireTime\":\"2026-01-01T00:00:00Z\"}",
                         text, sizeof text, &until),
                     0);
    assert_string_equal(text, "ya29.c");
    assert_int_equal(until, 1767225600);
    static const struct {
        unsigned status;
        const char *body;
        int code;
        const char *says;
    } cases[] = {
        {200, "{\"accessToken\":\"t\"}", KW_CLOUD, "expireTime"},
        {200, "{\"accessToken\":\"t\",\"expireTime\":\"tomorrow\"}", KW_CLOUD, "expireTime"},
        {200, "{\"expireTime\":\"2026-01-01T00:00:00Z\"}", KW_CLOUD, "accessToken"},
        {200, "[]", KW_CLOUD, "no object"},
        {403,
         "{\"error\":{\"code\":403,\"message\":\"Permission 'x' "
         "denied\",\"status\":\"PERMISSION_DENIED\"}}",
         KW_CLOUD, "up to 5 minutes"},
        {403,
         "{\"error\":{\"message\":\"m\",\"status\":\"PERMISSION_DENIED\",\"details\":[{\"reason\":"
         "\"SERVICE_DISABLED\"}]}}",
         KW_CLOUD, "enable the API"},
        {400,
         "{\"error\":{\"message\":\"The access token lifetime cannot exceed "
         "3600s.\",\"status\":\"INVALID_ARGUMENT\"}}",
         KW_CLOUD, "CredentialLifetimeExtension"},
        {404, "{\"error\":{\"message\":\"nope\",\"status\":\"NOT_FOUND\"}}", KW_CLOUD,
         "no such service account"},
        {403, "<html>", KW_CLOUD, "(no message)"},
        {307, "", KW_CLOUD, "redirect"},
        {429, "", KW_NET, "try again"},
        {500, "{}", KW_NET, "try again"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = iam(&g, cases[i].status, cases[i].body, text, sizeof text, &until);
        if (r != cases[i].code || strstr(text, cases[i].says) == NULL)
            fail_msg("%u %s: %d %s", cases[i].status, cases[i].body, r, text);
    }
    (void)snprintf(g.id_audience, sizeof g.id_audience, "x");
    assert_int_equal(iam(&g, 200, "{\"token\":\"a.b.c\"}", text, sizeof text, &until), 0);
    assert_int_equal(until, 0);
    assert_int_equal(iam(&g, 200, "{\"token\":\"ya29\"}", text, sizeof text, &until), KW_CLOUD);
}

static void times(void **state)
{
    (void)state;
    int64_t t = 0;
    assert_true(kw_rfc3339("1970-01-02T00:00:01Z", &t) && t == 86401);
    assert_true(kw_rfc3339("2026-01-01T00:00:00.123456789Z", &t) && t == 1767225600);
    static const char *const bad[] = {"",
                                      "2026-01-01",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00+01:00",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-01T00:00:00Zx"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(kw_rfc3339(bad[i], &t));
}

static int set_up(void **state)
{
    (void)state;
    return kw_secret_init(true, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),    cmocka_unit_test(bodies),      cmocka_unit_test(sts_good),
        cmocka_unit_test(sts_bad), cmocka_unit_test(iam_answers), cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
