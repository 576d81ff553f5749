/* SPDX-License-Identifier: Apache-2.0
 *
 * The state file: it comes back as it went, to the same configuration and nobody else, and
 * whatever is in it is foreign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/io.h"
#include "src/session/state.h"

enum { NOW = 1800000000 };

static char dir[64], path[256];
static struct kw_config c;
static struct kw_err err;

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/kw.XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)unsetenv("STATE_DIRECTORY");
    (void)setenv("XDG_STATE_HOME", dir, 1);
    (void)snprintf(path, sizeof path, "%s/keyward/prod.session", dir);
    c = (struct kw_config){.profile = "prod", .domain_url = "https://d.example", .client_id = "id"};
    return kw_uri_parse("pkcs11:token=t", 0, &c.token_uri, &err);
}

static int teardown(void **state)
{
    (void)state;
    char sub[128];
    (void)unlink(path);
    (void)snprintf(sub, sizeof sub, "%s/keyward", dir);
    (void)rmdir(sub);
    return rmdir(dir);
}

static void put(const char *token, int64_t not_after)
{
    struct kw_state s = {
        .key_id = "00ff", .not_after = not_after, .token = kw_secret_from(token, strlen(token))};
    int r = kw_state_write(&c, &s, &err);
    if (r != 0)
        print_error("%s\n", err.text);
    assert_int_equal(r, 0);
    kw_state_free(&s);
    assert_null(s.token);
}

/* Reads; is it this token? NULL: there, but not for us. */
static void expect(const char *token)
{
    struct kw_state s;
    bool found = false;
    assert_int_equal(kw_state_read(&c, NOW, &s, &found, &err), 0);
    assert_string_equal(s.key_id, "00ff"); /* the key can be destroyed in any case */
    assert_int_equal(found, token != NULL);
    if (token != NULL)
        assert_string_equal(kw_secret_bytes(s.token), token);
    else
        assert_null(s.token);
    kw_state_free(&s);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct kw_state s;
    bool found = true;
    assert_int_equal(kw_state_read(&c, NOW, &s, &found, &err), 0); /* none yet */
    assert_false(found);
    assert_string_equal(s.key_id, "");
    put("aaa.bbb.c-_", NOW + 3600);
    expect("aaa.bbb.c-_");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    put("ddd.eee.fff", NOW + 3600);
    expect("ddd.eee.fff");
    static char longest[KW_TOKEN_MAX + 1];
    memset(longest, 'a', KW_TOKEN_MAX);
    put(longest, NOW + 3600);
    expect(longest);
    assert_int_equal(kw_state_remove(&c, &err), 0);
    assert_int_equal(kw_state_remove(&c, &err), 0); /* gone already */
    assert_int_equal(access(path, F_OK), -1);
}

static void test_expiry(void **state)
{
    (void)state;
    put("a.b.c", NOW + 31);
    expect("a.b.c");
    static const int64_t over[] = {NOW + 30, NOW, 0, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof over / sizeof over[0]; i++) {
        put("a.b.c", over[i]);
        expect(NULL);
    }
    put("a.b.c", INT64_MAX);
    expect("a.b.c");
}

static void test_other_configuration(void **state)
{
    (void)state;
    put("a.b.c", NOW + 3600);
    const struct kw_config mine = c;
    (void)snprintf(c.domain_url, sizeof c.domain_url, "https://e.example");
    expect(NULL);
    c = mine;
    (void)snprintf(c.client_id, sizeof c.client_id, "other");
    expect(NULL);
    c = mine;
    c.requested = KW_RPST;
    expect(NULL);
    c = mine;
    (void)snprintf(c.res_type, sizeof c.res_type, "x");
    expect(NULL);
    c = mine;
    assert_int_equal(kw_uri_parse("pkcs11:token=u", 0, &c.token_uri, &err), 0);
    expect(NULL);
    c = mine;
    c.client_auth = KW_AUTH_SIGNATURE;
    expect(NULL);
    c = mine;
    /* a claim policy that was changed since judges anew */
    (void)snprintf(c.issuer, sizeof c.issuer, "https://issuer.example");
    expect(NULL);
    c = mine;
    c.n_rules = 1;
    (void)snprintf(c.rules[0].claim, sizeof c.rules[0].claim, "ref");
    (void)snprintf(c.rules[0].values, sizeof c.rules[0].values, "refs/heads/main");
    expect(NULL);
    c = mine;
    /* where the PIN lies does not matter */
    (void)snprintf(c.token_uri.pin_source, sizeof c.token_uri.pin_source, "/elsewhere");
    expect("a.b.c");
    c = mine;
    /* fields that run into each other are different fields */
    (void)snprintf(c.domain_url, sizeof c.domain_url, "https://d.example\nid");
    (void)snprintf(c.client_id, sizeof c.client_id, "%s", "");
    expect(NULL);
    c = mine;
    expect("a.b.c");
}

static void refused(const char *text, const char *why)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(kw_write_all(fd, text, strlen(text)), 0);
    (void)close(fd);
    struct kw_state s;
    bool found = true;
    assert_int_equal(kw_state_read(&c, NOW, &s, &found, &err), KW_USAGE);
    if (strstr(err.text, why) == NULL || strstr(err.text, path) == NULL)
        fail_msg("%s: %s", text, err.text);
    assert_false(found);
    assert_null(s.token);
    assert_null(strstr(err.text, "SECRET"));
}

static void test_foreign_content(void **state)
{
    (void)state;
    put("a.b.c", NOW + 3600); /* makes the folder */
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "{\"version\":1}",
        "{\"version\":\"1\",\"config\":\"\",\"key\":\"00\",\"not_after\":1,\"token\":\"SECRET\"}",
        "{\"version\":1,\"config\":\"\",\"key\":\"00\",\"not_after\":1.5,\"token\":\"SECRET\"}",
        "{\"version\":1,\"config\":\"\",\"key\":\"00\",\"not_after\":1,\"token\":7}",
        "{\"version\":1,\"config\":\"\",\"key\":\"00\",\"not_after\":1,\"token\":\"SECRET\",\"x\":"
        "1}",
        "{\"version\":1,\"version\":1,\"config\":\"\",\"key\":\"00\",\"not_after\":1,\"token\":"
        "\"SECRET\"}",
        "{\"version\":1,\"config\":\"\",\"key\":\"00\",\"not_after\":1,\"token\":\"SECRET\"}}",
        "{\"version\":1,\"config\":\"\",\"key\":\"00\",\"not_after\":99999999999999999999,"
        "\"token\":\"S\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(bad[i], "is not a state file");
    refused("{\"version\":2,\"config\":\"\",\"key\":\"00\",\"not_after\":1,\"token\":\"SECRET\"}",
            "another version");
    static const char *const ids[] = {
        "",        "0",       "xy",
        "../../x", "00\\n00", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char text[256];
        (void)snprintf(
            text, sizeof text,
            "{\"version\":1,\"config\":\"\",\"key\":\"%s\",\"not_after\":1,\"token\":\"SECRET\"}",
            ids[i]);
        refused(text, "no key's id");
    }
    put("a.b.c", NOW + 3600); /* and is replaced by a good one */
    expect("a.b.c");
    assert_int_equal(chmod(path, 0604), 0);
    struct kw_state s;
    bool found = true;
    assert_int_equal(kw_state_read(&c, NOW, &s, &found, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(kw_state_read(&c, NOW, &s, &found, &err), KW_USAGE);
    assert_int_equal(unlink(path), 0);
}

static void test_not_written(void **state)
{
    (void)state;
    static const struct {
        const char *id, *token;
    } bad[] = {
        {"", "a.b.c"},  {"zz", "a.b.c"}, {"00\"", "a.b.c"}, {"00", ""}, {"00", "a\",\"key\":\"ff"},
        {"00", "a\\b"}, {"00", "a b"},   {"00", "a\nb"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kw_state s = {.not_after = NOW + 99,
                             .token = kw_secret_from(bad[i].token, strlen(bad[i].token))};
        (void)snprintf(s.key_id, sizeof s.key_id, "%s", bad[i].id);
        assert_int_not_equal(kw_state_write(&c, &s, &err), 0);
        assert_int_equal(access(path, F_OK), -1);
        kw_state_free(&s);
    }
    static const char *const names[] = {"", ".", "..", "../x", "a/b", ".hidden"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char to[256];
        (void)snprintf(c.profile, sizeof c.profile, "%s", names[i]);
        assert_int_equal(kw_state_path(&c, to, sizeof to, &err), KW_USAGE);
    }
}

static void test_where(void **state)
{
    (void)state;
    char to[256];
    (void)setenv("STATE_DIRECTORY", "/var/lib/keyward", 1);
    assert_int_equal(kw_state_path(&c, to, sizeof to, &err), 0);
    assert_string_equal(to, "/var/lib/keyward/prod.session");
    assert_int_equal(kw_state_path(&c, to, 20, &err), KW_USAGE);
    (void)setenv("STATE_DIRECTORY", "relative", 1);
    (void)setenv("XDG_STATE_HOME", "relative", 1);
    const char *had = getenv("HOME");
    char home[1024];
    (void)snprintf(home, sizeof home, "%s", had != NULL ? had : "/");
    (void)setenv("HOME", "/home/u", 1);
    assert_int_equal(kw_state_path(&c, to, sizeof to, &err), 0);
    assert_string_equal(to, "/home/u/.local/state/keyward/prod.session");
    (void)unsetenv("HOME");
    assert_int_equal(kw_state_path(&c, to, sizeof to, &err), KW_USAGE);
    (void)setenv("HOME", home, 1);
}

static int group(void **state)
{
    (void)state;
    return kw_secret_init(true, &err);
}

int main(void)
{
#define EACH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_round_trip),      EACH(test_expiry),      EACH(test_other_configuration),
        EACH(test_foreign_content), EACH(test_not_written), EACH(test_where),
    };
    return cmocka_run_group_tests(tests, group, NULL);
}
