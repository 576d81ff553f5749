/* SPDX-License-Identifier: Apache-2.0
 *
 * INI files of Python programs: the scripts' setupConfig.ini, the OCI command line's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/pyini.h"

static struct kw_err err;

static json_t *parse(const char *text, bool comments)
{
    json_t *o;
    if (kw_pyini_parse(text, strlen(text), "f", comments, &o, &err) != 0)
        fail_msg("%s", err.text);
    return o;
}

static void is(const json_t *o, const char *section, const char *key, const char *want)
{
    const char *v = kw_pyini_get(o, section, key, false);
    if (v == NULL || strcmp(v, want) != 0)
        fail_msg("[%s] %s is %s, not %s", section, key, v != NULL ? v : "absent", want);
}

/* The sample of the scripts, comments behind its values and all. */
static void sample(void **state)
{
    (void)state;
    json_t *o = parse("\xef\xbb\xbf[IdentityDomain]\n"
                      "iam_guid = https://idcs-1.identity.oraclecloud.com ; no slash at the end\r\n"
                      "[OCIConfig]\ncli_profile=DEFAULT\n"
                      "[WIFConfig]\nadmin_app_name: Admin Client  ; with a space\n"
                      "token_Exchange_app_name = TokenExchangeClient\n"
                      "[ServiceUserConfig]\n  user_name = ServiceUser\n"
                      "# a comment\n; another\n\n"
                      "[TrustConfiguration]\nissuer = https://issuer.example/a;b\njwk_uri =\n"
                      "impersonationrule = sub eq repo:o/r:* ; all of it\n100 = 50%% of it",
                      true);
    is(o, "IdentityDomain", "iam_guid", "https://idcs-1.identity.oraclecloud.com");
    is(o, "OCIConfig", "cli_profile", "DEFAULT");
    is(o, "WIFConfig", "admin_app_name", "Admin Client");
    is(o, "WIFConfig", "token_exchange_app_name", "TokenExchangeClient");
    is(o, "ServiceUserConfig", "user_name", "ServiceUser");
    is(o, "TrustConfiguration", "issuer", "https://issuer.example/a;b");
    is(o, "TrustConfiguration", "jwk_uri", "");
    is(o, "TrustConfiguration", "impersonationrule", "sub eq repo:o/r:*");
    is(o, "TrustConfiguration", "100", "50% of it");
    assert_null(kw_pyini_get(o, "trustconfiguration", "issuer", false));
    json_decref(o);
}

static void fallback(void **state)
{
    (void)state;
    json_t *o = parse("[DEFAULT]\ntenancy=t\nregion=r ; x\n[p]\nregion=100%\n", false);
    assert_string_equal(kw_pyini_get(o, "p", "tenancy", true), "t");
    assert_null(kw_pyini_get(o, "p", "tenancy", false));
    is(o, "p", "region", "100%");
    is(o, "DEFAULT", "region", "r ; x");
    json_decref(o);
}

static void bad(void **state)
{
    (void)state;
    static const char *const all[] = {"a = b\n",
                                      "[s]\nword\n",
                                      "[s\na=b\n",
                                      "[]\n",
                                      "[s] x\n",
                                      "[s]\n= v\n",
                                      "[s]\na=1\na=2\n",
                                      "[s]\n[s]\n",
                                      "[s]\na=1\n  going on\n",
                                      "[s]\na=50% of\n",
                                      "[s]\na=%\n",
                                      "[s]\na=x\x01y\n",
                                      "[s]\na=\xff\xfe\n",
                                      "[\xff]\na=b\n"};
    json_t *o;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (kw_pyini_parse(all[i], strlen(all[i]), "f", true, &o, &err) != KW_USAGE || o != NULL)
            fail_msg("taken: %s", all[i]);
        assert_int_equal(strncmp(err.text, "f:", 2), 0);
    }
    assert_int_equal(kw_pyini_parse("[s]\na=b\0c\n", 10, "f", true, &o, &err), KW_USAGE);
    char key[400] = "[s]\n";
    memset(key + 4, 'k', 300);
    strcpy(key + 304, "=v\n");
    assert_int_equal(kw_pyini_parse(key, strlen(key), "f", true, &o, &err), KW_USAGE);
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/kw-pyini-XXXXXX";
    json_t *o;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "[s]\na=b\n", 8) == 8);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(kw_pyini_read(path, true, &o, &err), 0);
    is(o, "s", "a", "b");
    json_decref(o);
    assert_int_equal(fchmod(fd, 0664), 0);
    assert_int_equal(kw_pyini_read(path, true, &o, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "chmod go-w"));
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(ftruncate(fd, 70000), 0);
    assert_int_equal(kw_pyini_read(path, true, &o, &err), KW_USAGE);
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(kw_pyini_read(path, true, &o, &err), KW_USAGE);
    assert_int_equal(kw_pyini_read("/tmp", true, &o, &err), KW_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sample), cmocka_unit_test(fallback),
                                       cmocka_unit_test(bad), cmocka_unit_test(files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
