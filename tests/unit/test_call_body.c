/* SPDX-License-Identifier: Apache-2.0
 *
 * What the user gives `request` and `sign`: body, method, headers. */
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
#include "src/session/call.h"

const struct kw_command *const kw_commands[] = {NULL}; /* main.c has the real list */

static char dir[64], path[128], at_path[160];
static struct kw_err err;

/* SHA-256 of "" and of "abc" (FIPS 180-2, appendix B.1), base64. */
static const char of_nothing[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
static const char of_abc[] = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

static void expect(struct kw_body *b, const char *text, const char *hash)
{
    char got[64];
    assert_int_equal(b->len, strlen(text));
    assert_string_equal(b->sha256, hash);
    ssize_t n = read(b->fd, got, sizeof got); /* from its start */
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, strlen(text));
    kw_body_close(b);
    assert_int_equal(b->fd, -1);
    kw_body_close(b);
}

static void put_file(const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(kw_write_all(fd, text, strlen(text)), 0);
    (void)close(fd);
}

static void test_sources(void **state)
{
    (void)state;
    struct kw_body b;
    assert_int_equal(kw_body_open(NULL, &b, &err), 0); /* no body: the hash of nothing */
    assert_int_equal(b.fd, -1);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.sha256, of_nothing);
    assert_int_equal(kw_body_open("", &b, &err), 0); /* an empty one is one */
    expect(&b, "", of_nothing);
    assert_int_equal(kw_body_open("abc", &b, &err), 0);
    expect(&b, "abc", of_abc);
    put_file("abc");
    assert_int_equal(kw_body_open(at_path, &b, &err), 0);
    expect(&b, "abc", of_abc);
    put_file("");
    assert_int_equal(kw_body_open(at_path, &b, &err), 0);
    expect(&b, "", of_nothing);
}

/* A pipe gives its bytes once, yet they are needed twice. */
static void test_pipe(void **state)
{
    (void)state;
    struct kw_body b;
    int pipes[2], was = dup(STDIN_FILENO);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(kw_write_all(pipes[1], "abc", 3), 0);
    (void)close(pipes[1]);
    (void)dup2(pipes[0], STDIN_FILENO);
    int r = kw_body_open("@-", &b, &err);
    assert_int_equal(r, 0);
    expect(&b, "abc", of_abc);
    assert_int_equal(kw_body_open("@/dev/stdin", &b, &err), 0); /* at its end by now */
    expect(&b, "", of_nothing);
    if (was >= 0)
        (void)dup2(was, STDIN_FILENO);
    (void)close(was);
    (void)close(pipes[0]);
}

static void test_refused(void **state)
{
    (void)state;
    struct kw_body b;
    assert_int_equal(kw_body_open("@/nonexistent", &b, &err), KW_USAGE);
    assert_string_equal(err.text,
                        "could not open the request body /nonexistent: No such file or directory");
    assert_int_equal(b.fd, -1);
    assert_int_equal(kw_body_open("@", &b, &err), KW_USAGE);
    char at_dir[80];
    (void)snprintf(at_dir, sizeof at_dir, "@%s", dir);
    assert_int_equal(kw_body_open(at_dir, &b, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_int_equal(b.fd, -1);
    assert_int_equal(kw_body_open("@/dev/zero", &b, &err), KW_USAGE); /* it has no end */
    assert_non_null(strstr(err.text, "/dev/zero is longer than 256 MiB"));
    assert_int_equal(b.fd, -1);
}

static void test_method(void **state)
{
    (void)state;
    char m[16];
    assert_int_equal(kw_method_check("get", m, sizeof m, &err), 0);
    assert_string_equal(m, "GET");
    assert_int_equal(kw_method_check("Delete", m, sizeof m, &err), 0);
    assert_string_equal(m, "DELETE");
    static const char *const bad[] = {
        "",        "G",     "GETS",  "GET ",           "OPTIONS",
        "CONNECT", "TRACE", "GET\n", "GET / HTTP/1.1", "DELETEDELETEDELETE"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(kw_method_check(bad[i], m, sizeof m, &err), KW_USAGE);
    char small[4];
    assert_int_equal(kw_method_check("post", small, sizeof small, &err), KW_USAGE);
    assert_int_equal(kw_method_check("get", small, sizeof small, &err), 0);
}

static const struct kw_option options[] = {{"header", 'H', "LINE", "a header"},
                                           {NULL, '\0', NULL, NULL}};

static int headers(char **argv, int argc, char *lines, size_t size)
{
    struct kw_args a = {.options = options, .argc = argc, .argv = argv};
    return kw_header_options(&a, lines, size, &err);
}

static void test_headers(void **state)
{
    (void)state;
    static char h[] = "-H", one[] = "X-A:1", two[] = "Content-Type: \t text/plain; x=\"y\" \t",
                three[] = "x-a: a:b";
    char *argv[] = {h, one, h, two, h, three}, lines[64];
    assert_int_equal(headers(argv, 6, lines, sizeof lines), 0);
    /* white space around a value is gone: HTTP would drop it, and the signature not */
    assert_string_equal(lines, "X-A: 1\nContent-Type: text/plain; x=\"y\"\nx-a: a:b\n");
    assert_int_equal(headers(argv, 0, lines, sizeof lines), 0);
    assert_string_equal(lines, "");
    assert_int_equal(headers(argv, 6, lines, 20), KW_USAGE);
    static char bad[][40] = {"no colon",
                             ":x",
                             "a b: x",
                             "a\t: x",
                             "a: x\r\nb: y",
                             "a: \x7f",
                             "a: gr\xc3\xbc",
                             "a:",
                             "a:  \t",
                             "Host: evil",
                             "AUTHORIZATION: x",
                             "content-length: 1",
                             "Connection: close",
                             "transfer-encoding: chunked",
                             "(request-target): x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *one_bad[] = {h, bad[i]};
        if (headers(one_bad, 2, lines, sizeof lines) != KW_USAGE)
            fail_msg("taken: %s", bad[i]);
    }
    static char longest[KW_LINES + 100];
    memset(longest, 'a', sizeof longest - 1);
    longest[1] = ':';
    char *too_long[] = {h, longest};
    static char all[KW_LINES];
    assert_int_equal(headers(too_long, 2, all, sizeof all), KW_USAGE);
    longest[1] = 'a';
    longest[200] = ':'; /* the name alone */
    assert_int_equal(headers(too_long, 2, all, sizeof all), KW_USAGE);
}

static int make_dir(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/kw.XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/body", dir);
    (void)snprintf(at_path, sizeof at_path, "@%s", path);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources), cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_method),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
