/* SPDX-License-Identifier: Apache-2.0
 *
 * Which configuration file is read and which is refused; and the Python scripts'
 * runtimeConfig.ini. */
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

#include "src/config/config_keys.h"

static struct kw_config config;
static struct kw_err err;
static char dir[256], path[512];

/* The configuration that --from is applied over. */
static void base(const char *text)
{
    static struct kw_ini ini;
    assert_int_equal(kw_ini_parse(text, strlen(text), "/t/k.ini", &ini, &err), 0);
    assert_int_equal(kw_config_build(&config, &ini, NULL, NULL, &err), 0);
    kw_ini_free(&ini);
}

static void write_file(const char *text, mode_t mode)
{
    (void)unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_files(void **state)
{
    (void)state;
    static const char text[] = "[key]\nbits = 4096\n";
    write_file(text, 0644);
    assert_int_equal(kw_config_load(&config, path, NULL, &err), 0);
    assert_int_equal(config.key_bits, 4096);
    const mode_t modes[] = {0664, 0646, 0666, 0602};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_file(text, modes[i]);
        assert_int_equal(kw_config_load(&config, path, NULL, &err), KW_USAGE);
        assert_non_null(strstr(err.text, "chmod go-w"));
    }
    if (geteuid() == 0) {
        write_file(text, 0644);
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_int_equal(kw_config_load(&config, path, NULL, &err), KW_USAGE);
        assert_non_null(strstr(err.text, "uid 12345"));
    }
    assert_int_equal(kw_config_load(&config, dir, NULL, &err), KW_USAGE);
    assert_int_equal(kw_config_load(&config, "/dev/null", NULL, &err), KW_USAGE);
    (void)unlink(path);
    assert_int_equal(kw_config_load(&config, path, NULL, &err), KW_USAGE);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not hang */
    assert_int_equal(kw_config_load(&config, path, NULL, &err), KW_USAGE);
    (void)unlink(path);
}

static void test_search(void **state)
{
    (void)state;
    char old[256] = "", place[512];
    const char *home = getenv("HOME");
    (void)snprintf(old, sizeof old, "%s", home != NULL ? home : "");
    (void)snprintf(place, sizeof place, "%s/.config", dir);
    assert_int_equal(mkdir(place, 0700), 0);
    (void)snprintf(place, sizeof place, "%s/.config/keyward", dir);
    assert_int_equal(mkdir(place, 0700), 0);
    assert_int_equal(setenv("HOME", dir, 1), 0);
    (void)snprintf(path, sizeof path, "%s/.config/keyward/keyward.ini", dir);
    write_file("[key]\nbits = 3072\n", 0600);
    assert_int_equal(kw_config_load(&config, NULL, NULL, &err), 0);
    assert_string_equal(config.path, path);
    assert_int_equal(config.key_bits, 3072);
    /* KEYWARD_CONFIG goes before, and must be there */
    assert_int_equal(setenv("KEYWARD_CONFIG", "/nonexistent.ini", 1), 0);
    assert_int_equal(kw_config_load(&config, NULL, NULL, &err), KW_USAGE);
    assert_int_equal(kw_config_load(&config, path, NULL, &err), 0); /* --config before both */
    assert_int_equal(unsetenv("KEYWARD_CONFIG"), 0);
    /* the working directory is never searched */
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/keyward.ini", dir);
    write_file("[key]\nbits = 4096\n", 0600);
    char cwd[512];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(kw_config_load(&config, NULL, NULL, &err), 0);
    assert_int_equal(config.key_bits, 2048);
    assert_int_equal(chdir(cwd), 0);
    assert_int_equal(setenv("HOME", old, 1), 0);
    (void)unlink(path);
    (void)rmdir(place);
    (void)snprintf(place, sizeof place, "%s/.config", dir);
    (void)rmdir(place);
}

static void test_from(void **state)
{
    (void)state;
    static const char text[] = "[IdentityDomain]\n"
                               "iam_guid = https://d.example/\n"
                               "[WIFConfig]\n"
                               "OAuthClientID = cid\n"
                               "oauthclientsecret: s%%cret\n"
                               "subjecttoken = aaa.bbb.ccc\n";
    write_file(text, 0600);
    base("[oci p]\nregion = r\nclient_auth = signature\nclient_key = pkcs11:object=k\n"
         "[policy p]\nclaim.x = 1\n");
    assert_int_equal(kw_config_from(&config, path, &err), 0);
    assert_string_equal(config.domain_url, "https://d.example");
    assert_string_equal(config.client_id, "cid");
    assert_string_equal(kw_secret_bytes(config.client_secret), "s%cret");
    assert_string_equal(kw_secret_bytes(config.subject), "aaa.bbb.ccc");
    assert_int_equal(config.client_auth, KW_AUTH_BASIC);
    assert_int_equal(config.n_rules, 1); /* the profile's policy stays */
    assert_non_null(strstr(config.dial, "d.example:443"));
    kw_config_free(&config);
    assert_null(config.client_secret);
}

static void test_from_bad(void **state)
{
    (void)state;
#define DOMAIN "[IdentityDomain]\niam_guid = https://d.example\n"
#define WIF    "[WIFConfig]\noauthclientid = c\noauthclientsecret = hunter2\n"
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "iam_guid"},
        {DOMAIN, "oauthclientid"},
        {WIF, "iam_guid"},
        {DOMAIN "[WIFConfig]\noauthclientid = c\n", "oauthclientsecret"},
        {DOMAIN "[WIFConfig]\noauthclientid = c\noauthclientsecret =\n", "oauthclientsecret"},
        {"[IdentityDomain]\niam_guid = https://d.example ; URL\n" WIF, ":2:"},
        {"[IdentityDomain]\niam_guid = idcs-123\n" WIF, "https://"},
        {"[IdentityDomain]\niam_guid = https://d.example/oauth2\n" WIF, "path"},
        {"[IdentityDomain]\niam_guid =\n" WIF, "empty"},
        {DOMAIN WIF "subjecttoken = hunter2 ; jwt\n", ":6:"},
        {DOMAIN WIF "subjecttoken = hunter2%x\n", "'%'"},
        {DOMAIN WIF "subjecttoken = hunter2%\n", "'%'"},
        {DOMAIN WIF "subjecttoken = a\n hunter2\n", "indented"},
        {DOMAIN WIF "OAUTHCLIENTID = d\n", "twice"},
        {DOMAIN WIF "OAuthClientSecret = hunter2\n", "twice"},
        {"iam_guid = https://d.example\n", "before any"},
        {"[IdentityDomain\niam_guid = https://d.example\n", "section"},
        {DOMAIN WIF "hunter2\n", "neither"},
        {"[identitydomain]\niam_guid = https://d.example\n" WIF, "lacks"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(cases[i].text, 0600);
        base("");
        if (kw_config_from(&config, path, &err) != KW_USAGE)
            fail_msg("taken: %s", cases[i].text);
        if (strstr(err.text, cases[i].word) == NULL || strstr(err.text, "hunter2") != NULL)
            fail_msg("case %zu: %s", i, err.text);
        assert_null(config.client_secret);
        assert_null(config.subject);
    }
    write_file(DOMAIN WIF, 0666);
    assert_int_equal(kw_config_from(&config, path, &err), KW_USAGE);
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/keyward-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/keyward.ini", dir);
    return kw_secret_init(true, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_from),
        cmocka_unit_test(test_from_bad),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
