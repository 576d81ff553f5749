/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources of the subject token: what is taken, what is refused, and what is left
 * behind of it. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/ipc.h"
#include "src/source.h"

#define TOKEN "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"

static struct kw_config config;
static struct kw_err err;
static struct kw_secret *token;
static char dir[256], path[512], chosen[256];
static struct {
    unsigned calls;
    int result;
    char url[2048], bearer[64], field[64], headers[2048];
} fetched;

static int fake_fetch(void *arg, const struct kw_m_fetch *m, struct kw_secret **ret,
                      struct kw_err *e)
{
    assert_ptr_equal(arg, &fetched);
    fetched.calls++;
    (void)snprintf(fetched.url, sizeof fetched.url, "%s", m->url);
    (void)snprintf(fetched.field, sizeof fetched.field, "%s", m->field);
    (void)snprintf(fetched.headers, sizeof fetched.headers, "%s", m->headers);
    (void)snprintf(fetched.bearer, sizeof fetched.bearer, "%s",
                   m->bearer != NULL ? kw_secret_bytes(m->bearer) : "");
    if (fetched.result != 0)
        return kw_fail(e, KW_NET, "no connection");
    *ret = kw_secret_from(TOKEN, sizeof TOKEN - 1);
    return 0;
}

static struct kw_m_issue issued;

static int fake_issue(void *arg, const struct kw_m_issue *m, struct kw_secret **ret,
                      struct kw_err *e)
{
    (void)e;
    assert_ptr_equal(arg, &fetched);
    issued = *m;
    *ret = kw_secret_from("i.s.s", 5);
    return 0;
}

static int get(void)
{
    kw_secret_free(&token);
    memset(&err, 0, sizeof err);
    const struct kw_source_ways ways = {fake_fetch, fake_issue, &fetched};
    return kw_source_get(&config, &ways, chosen, sizeof chosen, &token, &err);
}

static void type(const char *name)
{
    (void)snprintf(config.source_type, sizeof config.source_type, "%s", name);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int reset(void **state)
{
    (void)state;
    static const char *const names[] = {"GITHUB_ACTIONS",
                                        "ACTIONS_ID_TOKEN_REQUEST_URL",
                                        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                                        "KW_TEST_TOKEN",
                                        "GITLAB_CI",
                                        "CIRCLECI",
                                        "BITBUCKET_BUILD_NUMBER",
                                        "BUILDKITE",
                                        "TFC_RUN_ID",
                                        "KUBERNETES_SERVICE_HOST"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
    kw_source_forget();
    kw_secret_free(&token);
    memset(&config, 0, sizeof config);
    memset(&fetched, 0, sizeof fetched);
    config.timeout_s = 20;
    type("auto");
    return 0;
}

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

static void command(const char *text)
{
    type("command");
    (void)snprintf(config.source_command, sizeof config.source_command, "%s", text);
}

static void test_command(void **state)
{
    (void)state;
    command("printf %s " TOKEN "; echo");
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    command("cat; printf a.b.c"); /* standard input is empty, and not ours */
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), "a.b.c");
    command("printf a.b.c; exit 3");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "exit status 3"));
    assert_null(strstr(err.text, "a.b.c"));
    command("kw-no-such-program 2>/dev/null");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "not found"));
    command("kill -9 $$");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "signal 9"));
    command(":");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "empty"));
    command("printf 'a.b.c\\nd'");
    assert_int_equal(get(), KW_SUBJECT);
    /* a process group of its own: its number is the shell's */
    command("read -r pid name state parent group rest < /proc/$$/stat; printf %s.%s $$ $group");
    assert_int_equal(get(), 0);
    char *end;
    long shell = strtol(kw_secret_bytes(token), &end, 10);
    assert_true(shell > 1);
    assert_int_equal(strtol(end + 1, NULL, 10), shell);
}

/* Signal dispositions of ours must not leak: sh can't reset an ignored SIGPIPE. */
static void test_command_signals(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    command(
        "awk '$1 == \"SigIgn:\" || $1 == \"SigBlk:\" { printf \"%s.\", $2 }' /proc/self/status");
    assert_int_equal(get(), 0);
    char *end;
    uint64_t blocked = strtoull(kw_secret_bytes(token), &end, 16);
    uint64_t ignored = strtoull(end + 1, NULL, 16);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 0x7fffffffu, 0); /* the C library keeps its own two, 32 and 33 */
    (void)signal(SIGPIPE, SIG_DFL);
}

static void test_command_bounds(void **state)
{
    (void)state;
    command("head -c 40000 /dev/zero | tr '\\0' a");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "more than"));
    char text[1024];
    (void)snprintf(text, sizeof text, "(sleep 300; :) & echo $! > %s; wait", path);
    command(text);
    config.timeout_s = 1;
    int64_t start = kw_now_ms();
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "still running after 1 s"));
    assert_true(kw_now_ms() - start < 10000);
    /* the whole group went with it */
    FILE *f = fopen(path, "r");
    int pid = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    (void)fclose(f);
    (void)unlink(path);
    char status[64];
    bool gone = false;
    for (unsigned i = 0; i < 100 && !gone; i++) {
        (void)snprintf(status, sizeof status, "/proc/%d/stat", pid);
        f = fopen(status, "r");
        char c = 'Z';
        gone = f == NULL || fscanf(f, "%*d %*s %c", &c) != 1 || c == 'Z' || c == 'X';
        if (f != NULL)
            (void)fclose(f);
        (void)usleep(20000);
    }
    assert_true(gone);
    /* a daemon that keeps standard output open doesn't hold us up */
    config.timeout_s = 20;
    command("sleep 5 & printf a.b.c");
    start = kw_now_ms();
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), "a.b.c");
    assert_true(kw_now_ms() - start < 4000);
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

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/keyward-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/token", dir);
    return kw_secret_init(true, NULL);
}

static int tear_down(void **state)
{
    (void)reset(state);
    (void)unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_file, reset),
        cmocka_unit_test_setup(test_env, reset),
        cmocka_unit_test_setup(test_stdin, reset),
        cmocka_unit_test_setup(test_command, reset),
        cmocka_unit_test_setup(test_command_signals, reset),
        cmocka_unit_test_setup(test_command_bounds, reset),
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
