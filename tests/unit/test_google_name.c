/* SPDX-License-Identifier: Apache-2.0
 *
 * Google's resource names: what is taken, and what each usual mistake is told to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/wire/google_name.h"

#define POOL "projects/123/locations/global/workloadIdentityPools/lab-pool"

static struct kw_err err;

static void providers(void **state)
{
    (void)state;
    static const char *const good[] = {POOL "/providers/lab-ci",
                                       "//iam.googleapis.com/" POOL "/providers/lab-ci",
                                       "https://iam.googleapis.com/" POOL "/providers/lab-ci"};
    for (size_t i = 0; i < 3; i++) {
        struct kw_google_provider p;
        char text[512];
        assert_int_equal(kw_google_provider(good[i], &p, &err), 0);
        assert_string_equal(p.name, POOL "/providers/lab-ci");
        assert_string_equal(p.number, "123");
        assert_string_equal(p.pool, "lab-pool");
        assert_string_equal(p.provider, "lab-ci");
        kw_google_audience(&p, text, sizeof text);
        assert_string_equal(text, "//iam.googleapis.com/" POOL "/providers/lab-ci");
        kw_google_subject_audience(&p, text, sizeof text);
        assert_string_equal(text, "https://iam.googleapis.com/" POOL "/providers/lab-ci");
    }
}

static void bad_providers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "not the full"},
        {"lab-ci", "not the full"},
        {"http://iam.googleapis.com/" POOL "/providers/lab-ci", "not the full"},
        {"projects//locations", "names no project"},
        {"projects/my-project/locations/global/workloadIdentityPools/p/providers/q",
         "project's ID"},
        {"projects/0123/locations/global/workloadIdentityPools/pool/providers/prov", "number"},
        {"projects/1/locations/europe/workloadIdentityPools/pool/providers/prov",
         "locations/global"},
        {POOL, "names the pool"},
        {POOL "/", "names the pool"},
        {POOL "/providers/", "no good provider"},
        {POOL "/providers/abc", "no good provider"},
        {POOL "/providers/ABCD", "no good provider"},
        {POOL "/providers/lab-ci/", "goes on"},
        {POOL "/providers/lab-ci/more", "goes on"},
        {POOL "/provider/lab-ci", "something else"},
        {"projects/1/locations/global/workloadIdentityPools/x/providers/lab-ci", "no good pool"},
        {"locations/global/workforcePools/p/providers/q", "for people"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_google_provider p;
        assert_int_equal(kw_google_provider(cases[i].text, &p, &err), KW_USAGE);
        if (strstr(err.text, cases[i].why) == NULL)
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

static void accounts(void **state)
{
    (void)state;
    char out[64];
    assert_int_equal(kw_google_account("a-b@p.iam.gserviceaccount.com", "x", out, sizeof out, &err),
                     0);
    assert_string_equal(out, "a-b@p.iam.gserviceaccount.com");
    assert_int_equal(kw_google_account("projects/-/serviceAccounts/100000000000000000001", "x", out,
                                       sizeof out, &err),
                     0);
    assert_string_equal(out, "100000000000000000001");
    static const char *const bad[] = {
        "",      "a",     "a@",      "@b.c",    "a@b",     "a@b@c.d",
        "12345", "A@b.c", "a b@c.d", "a/b@c.d", "a\"@b.c", "projects/p/serviceAccounts/a@b.c"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(kw_google_account(bad[i], "the account", out, sizeof out, &err), KW_USAGE);
    assert_int_equal(kw_google_account("a@b.c", "x", out, 5, &err), KW_USAGE); /* no room */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(providers),
        cmocka_unit_test(bad_providers),
        cmocka_unit_test(accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
