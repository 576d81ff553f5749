/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources of the subject token: what is taken, what is refused, and what is left
 * behind of it. */
#include "source_rig.h"

static void test_file(void **state)
{
    (void)state;
    type("file");
    (void)snprintf(config.source_path, sizeof config.source_path, "%s", path);
    write_file(TOKEN "\r\n");
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    write_file("a.b.c"); /* read anew each time */
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), "a.b.c");
    static const char *const wrong[] = {"",    "\n",     " \t\n",    "a.b.c\na.b.c\n",
                                        "a b", " a.b.c", "a.\x80.c", "a.\x01.c"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_file(wrong[i]);
        assert_int_equal(get(), KW_SUBJECT);
        assert_null(token);
        assert_null(strstr(err.text, "a."));
    }
    static char big[KW_TOKEN_MAX + 2];
    memset(big, 'a', sizeof big - 1);
    write_file(big);
    assert_int_equal(get(), KW_SUBJECT);
    big[KW_TOKEN_MAX] = '\0';
    write_file(big);
    assert_int_equal(get(), 0);
    assert_int_equal(kw_secret_len(token), KW_TOKEN_MAX);
    (void)unlink(path);
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(mkfifo(path, 0600), 0); /* must not hang */
    assert_int_equal(get(), KW_SUBJECT);
    (void)unlink(path);
    (void)snprintf(config.source_path, sizeof config.source_path, "%s", dir);
    assert_int_equal(get(), KW_SUBJECT);
}

static void test_env(void **state)
{
    (void)state;
    type("env");
    (void)snprintf(config.source_name, sizeof config.source_name, "KW_TEST_TOKEN");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "KW_TEST_TOKEN"));
    static char variable[] = "KW_TEST_TOKEN=" TOKEN;
    assert_int_equal(putenv(variable), 0);
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    /* gone for children, and wiped where it stood */
    assert_null(getenv("KW_TEST_TOKEN"));
    for (size_t i = sizeof "KW_TEST_TOKEN=" - 1; i < sizeof variable; i++)
        assert_int_equal(variable[i], 0);
    assert_int_equal(get(), 0); /* but a renewal has it still */
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    assert_int_equal(setenv("KW_TEST_TOKEN", "new.new.new", 1), 0);
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), "new.new.new");
    /* another variable doesn't get the first one's token */
    (void)snprintf(config.source_name, sizeof config.source_name, "KW_TEST_OTHER");
    assert_int_equal(get(), KW_SUBJECT);
    assert_int_equal(setenv("KW_TEST_TOKEN", "", 1), 0);
    kw_source_forget();
    (void)snprintf(config.source_name, sizeof config.source_name, "KW_TEST_TOKEN");
    assert_int_equal(get(), KW_SUBJECT);
}

static void test_stdin(void **state)
{
    (void)state;
    type("stdin");
    int saved = dup(STDIN_FILENO), ends[2];
    assert_true(saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], TOKEN "\n", sizeof TOKEN), (ssize_t)sizeof TOKEN);
    (void)close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    (void)close(ends[0]);
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    assert_int_equal(get(), KW_SUBJECT); /* read already: empty */
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    (void)close(saved);
}

static void test_github(void **state)
{
    (void)state;
    (void)snprintf(config.domain_url, sizeof config.domain_url, "https://d.example");
    static char secret[] = "ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token";
    type("github");
    assert_int_equal(setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://p.example/t?v=2.0", 1), 0);
    assert_int_equal(putenv(secret), 0);
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    assert_string_equal(fetched.url, "https://p.example/t?v=2.0&audience=https%3A%2F%2Fd.example");
    assert_string_equal(fetched.bearer, "request-token");
    assert_string_equal(fetched.field, "value");
    assert_null(getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    assert_null(strstr(secret, "request-token"));
    /* renewal; URL without a query; audience as configured */
    (void)snprintf(config.source_audience, sizeof config.source_audience, "a&b=c d");
    assert_int_equal(setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://p.example/t", 1), 0);
    assert_int_equal(get(), 0);
    assert_string_equal(fetched.url, "https://p.example/t?audience=a%26b%3Dc%20d");
    assert_string_equal(fetched.bearer, "request-token");
    assert_int_equal(fetched.calls, 2);
    /* what fetch says, passes */
    fetched.result = KW_NET;
    assert_int_equal(get(), KW_NET);
    assert_non_null(strstr(err.text, "no connection"));
    fetched.result = 0;
    /* nothing but https, and no audience to guess */
    assert_int_equal(setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "http://p.example/t", 1), 0);
    assert_int_equal(get(), KW_SUBJECT);
    assert_int_equal(setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://p.example/t", 1), 0);
    config.source_audience[0] = config.domain_url[0] = '\0';
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "audience"));
    assert_int_equal(fetched.calls, 3);
}

static void test_github_cures(void **state)
{
    (void)state;
    type("github");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "no GitHub Actions job"));
    assert_int_equal(setenv("GITHUB_ACTIONS", "true", 1), 0);
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "id-token: write"));
    assert_null(strstr(err.text, "fork"));
    setenv("GITHUB_EVENT_NAME", "pull_request", 1);
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "from a fork it never gets one"));
    unsetenv("GITHUB_EVENT_NAME");
    assert_int_equal(setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://p.example/", 1), 0);
    assert_int_equal(get(), KW_SUBJECT);
    assert_int_equal(fetched.calls, 0);
}

static void test_auto(void **state)
{
    (void)state;
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "no source"));
    /* in a GitHub job what was configured goes before */
    assert_int_equal(setenv("GITHUB_ACTIONS", "true", 1), 0);
    (void)snprintf(config.source_path, sizeof config.source_path, "%s", path);
    write_file(TOKEN);
    assert_int_equal(get(), 0);
    assert_non_null(strstr(chosen, "file"));
    (void)unlink(path);
    config.source_path[0] = '\0';
    (void)snprintf(config.source_command, sizeof config.source_command, "printf a.b.c");
    assert_int_equal(get(), 0);
    assert_non_null(strstr(chosen, "command"));
    config.source_command[0] = '\0';
    (void)snprintf(config.source_name, sizeof config.source_name, "KW_TEST_TOKEN");
    assert_int_equal(setenv("KW_TEST_TOKEN", TOKEN, 1), 0);
    assert_int_equal(get(), 0);
    assert_non_null(strstr(chosen, "env"));
    config.source_name[0] = '\0';
    assert_int_equal(get(), KW_SUBJECT); /* github, without a permission */
    assert_non_null(strstr(err.text, "id-token: write"));
}

/* What each CI system's environment looks like, and what `auto` makes of it. */
static void test_ci(void **state)
{
    (void)state;
    static const struct {
        const char *mark, *variable, *chosen, *cure;
    } systems[] = {
        {"GITLAB_CI", "KEYWARD_TOKEN", "gitlab", "id_tokens"},
        {"GITLAB_CI", "ID_TOKEN", "gitlab", "id_tokens"},
        {"CIRCLECI", "CIRCLE_OIDC_TOKEN_V2", "circleci", "context"},
        {"CIRCLECI", "CIRCLE_OIDC_TOKEN", "circleci", "context"},
        {"BITBUCKET_BUILD_NUMBER", "BITBUCKET_STEP_OIDC_TOKEN", "bitbucket", "oidc: true"},
        {"TFC_RUN_ID", "TFC_WORKLOAD_IDENTITY_TOKEN", "hcp-terraform", "IDENTITY_AUDIENCE"},
    };
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        (void)reset(NULL);
        assert_int_equal(setenv(systems[i].mark, "1", 1), 0);
        assert_int_equal(get(), KW_SUBJECT);
        assert_non_null(strstr(err.text, systems[i].cure));
        assert_int_equal(setenv(systems[i].variable, TOKEN "\n", 1), 0);
        assert_int_equal(get(), 0);
        assert_string_equal(kw_secret_bytes(token), TOKEN);
        assert_int_equal(strncmp(chosen, systems[i].chosen, strlen(systems[i].chosen)), 0);
        assert_null(getenv(systems[i].variable));
        assert_int_equal(get(), 0); /* a renewal has it still */
        (void)unsetenv(systems[i].mark);
    }
}

static void test_metadata(void **state)
{
    (void)state;
    (void)snprintf(config.source_audience, sizeof config.source_audience, "api://a b");
    type("azure");
    assert_int_equal(get(), 0);
    assert_string_equal(fetched.url, "http://169.254.169.254/metadata/identity/oauth2/token?"
                                     "api-version=2018-02-01&resource=api%3A%2F%2Fa%20b");
    assert_string_equal(fetched.field, "access_token");
    assert_string_equal(fetched.headers, "metadata: true\n");
    (void)snprintf(config.source_client_id, sizeof config.source_client_id, "4711");
    assert_int_equal(get(), 0);
    assert_non_null(strstr(fetched.url, "&client_id=4711"));
    type("gce");
    assert_int_equal(get(), 0);
    assert_string_equal(fetched.url,
                        "http://metadata.google.internal/computeMetadata/v1/instance/"
                        "service-accounts/default/identity?format=full&audience=api%3A%2F%2Fa%20b");
    assert_string_equal(fetched.field, "");
    assert_string_equal(fetched.headers, "metadata-flavor: Google\n");
    config.source_audience[0] = '\0';
    assert_int_equal(get(), KW_SUBJECT); /* nothing says for whom */
    assert_non_null(strstr(err.text, "audience"));
}

static void test_url(void **state)
{
    (void)state;
    type("url");
    (void)snprintf(config.source_url, sizeof config.source_url, "http://localhost:81/t?x=1");
    (void)snprintf(config.source_field, sizeof config.source_field, "jwt");
    (void)snprintf(config.source_headers, sizeof config.source_headers, "a: b\n");
    write_file("bearer\n");
    assert_int_equal(chmod(path, 0600), 0);
    (void)snprintf(config.source_bearer, sizeof config.source_bearer, "file:%s", path);
    assert_int_equal(get(), 0);
    assert_string_equal(fetched.url, "http://localhost:81/t?x=1");
    assert_string_equal(fetched.field, "jwt");
    assert_string_equal(fetched.headers, "a: b\n");
    assert_string_equal(fetched.bearer, "bearer");
    (void)unlink(path);
    assert_int_equal(get(), KW_USAGE);
    config.source_bearer[0] = '\0';
    (void)snprintf(config.source_url, sizeof config.source_url, "http://elsewhere/t");
    assert_int_equal(get(), KW_USAGE);
    assert_int_equal(fetched.calls, 1);
}

static void test_token(void **state)
{
    (void)state;
    type("token");
    assert_int_equal(get(), KW_USAGE);
    config.token_set = config.issuer_key_set = true;
    config.issuer_life = 120;
    (void)snprintf(config.issuer_iss, sizeof config.issuer_iss, "https://hsm.example");
    (void)snprintf(config.source_audience, sizeof config.source_audience, "aud");
    assert_int_equal(get(), KW_USAGE);
    assert_non_null(strstr(err.text, "sub"));
    (void)snprintf(config.issuer_sub, sizeof config.issuer_sub, "me");
    assert_null(kw_claim_add(config.issuer_claims, sizeof config.issuer_claims, "a", "b c"));
    assert_non_null(kw_claim_add(config.issuer_claims, sizeof config.issuer_claims, "a", "b\nc"));
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), "i.s.s");
    assert_string_equal(issued.audience, "aud");
    assert_string_equal(issued.subject, "me");
    assert_string_equal(issued.claims, "a\tb c\n");
    assert_int_equal(issued.lifetime, 120);
}

static void test_from_file_goes_first(void **state)
{
    (void)state;
    config.subject = kw_secret_from(TOKEN, sizeof TOKEN - 1);
    command("exit 1");
    assert_int_equal(get(), 0);
    assert_non_null(strstr(chosen, "--from"));
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    kw_secret_free(&config.subject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_file, reset),
        cmocka_unit_test_setup(test_env, reset),
        cmocka_unit_test_setup(test_stdin, reset),
        cmocka_unit_test_setup(test_github, reset),
        cmocka_unit_test_setup(test_github_cures, reset),
        cmocka_unit_test_setup(test_auto, reset),
        cmocka_unit_test_setup(test_ci, reset),
        cmocka_unit_test_setup(test_metadata, reset),
        cmocka_unit_test_setup(test_url, reset),
        cmocka_unit_test_setup(test_token, reset),
        cmocka_unit_test_setup(test_from_file_goes_first, reset),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
