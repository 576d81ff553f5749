/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors and log lines: one line each, whatever is put into them, and never a success by
 * accident. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "src/base/err.h"
#include "src/base/log.h"

static void test_fail(void **state)
{
    (void)state;
    struct kw_err err;
    assert_int_equal(kw_fail(&err, KW_PIN, "PIN of %s: %d", "token", 3), KW_PIN);
    assert_int_equal(err.code, KW_PIN);
    assert_string_equal(err.text, "PIN of token: 3");
    assert_int_equal(kw_fail(NULL, KW_NET, "nobody listens"), KW_NET);
    assert_int_equal(kw_fail_errno(NULL, KW_NET, "nobody listens"), KW_NET);
    assert_int_not_equal(kw_err_wrap(NULL, "nobody listens"), 0);
}

static void test_failure_is_never_success(void **state)
{
    (void)state;
    struct kw_err err;
    assert_int_equal(kw_fail(&err, KW_OK, "a slip of the caller"), KW_FAILED);
    assert_int_equal(err.code, KW_FAILED);
    assert_int_equal(kw_fail(NULL, KW_OK, "a slip of the caller"), KW_FAILED);
    err.code = KW_OK;
    assert_int_equal(kw_err_wrap(&err, "again"), KW_FAILED);
    assert_int_equal(err.code, KW_FAILED);
}

static void test_errno(void **state)
{
    (void)state;
    struct kw_err err;
    errno = ENOENT;
    assert_int_equal(kw_fail_errno(&err, KW_USAGE, "could not open %s", "/x"), KW_USAGE);
    assert_string_equal(err.text, "could not open /x: No such file or directory");
    assert_int_equal(kw_err_wrap(&err, "profile %s", "p"), KW_USAGE);
    assert_string_equal(err.text, "profile p: could not open /x: No such file or directory");
    /* the arguments may be the text itself */
    assert_int_equal(kw_fail(&err, KW_USAGE, "%.9s!", err.text), KW_USAGE);
    assert_string_equal(err.text, "profile p!");
}

static void test_long(void **state)
{
    (void)state;
    struct kw_err err;
    char path[2 * KW_ERR_TEXT];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    (void)kw_fail(&err, KW_USAGE, "%s", path);
    assert_int_equal(strlen(err.text), KW_ERR_TEXT - 1);
    /* the reason is what must survive */
    errno = EACCES;
    (void)kw_fail_errno(&err, KW_USAGE, "could not open %s", path);
    assert_int_equal(strlen(err.text), KW_ERR_TEXT - 1);
    static const char reason[] = "aaa: Permission denied";
    assert_string_equal(err.text + KW_ERR_TEXT - sizeof reason, reason);
    (void)kw_err_wrap(&err, "%s", path); /* two long ones share */
    assert_int_equal(strlen(err.text), KW_ERR_TEXT - 1);
    assert_non_null(strstr(err.text, "aaa: could not open aaa"));
}

static void test_printable(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain ~text!", "plain ~text!"},
        {"a\nb\rc\td\x1b[2J\x7f", "a?b?c?d?[2J?"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91",
         "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91"},
        {"\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf"},
        {"\xc2\x9b"
         "31m",
         "??31m"},                      /* C1: CSI */
        {"\xe0\x82\x9b", "???"},        /* the same, over-long */
        {"\xc0\x8a|\xc1\xbf", "??|??"}, /* over-long LF */
        {"\xf0\x80\x82\x9b|\xf0\x8f\xbf\xbf", "????|????"},
        {"\xe0\xa0\x80|\xed\x9f\xbf", "\xe0\xa0\x80|\xed\x9f\xbf"},
        {"\xed\xa0\x80", "???"}, /* a surrogate */
        {"\xf4\x8f\xbf\xbf|\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf|????"},
        {"\xf5\x80\x80\x80|\xff\xfe", "????|??"},
        {"\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa6", "???|???|???"}, /* lines, order */
        {"\xe2\x80\x8b|\xe2\x80\x8f|\xd8\x9c|\xef\xbb\xbf", "???|???|??|???"},
        {"\xf3\xa0\x81\x81", "????"},                             /* a tag */
        {"\xe2\x80\x90\xe2\x80\xa6", "\xe2\x80\x90\xe2\x80\xa6"}, /* hyphen, ellipsis */
        {"\xc3", "?"},
        {"\xe2\x82", "??"},
        {"\xf0\x9f\x94", "???"},
        {"\xf0\x9f\x94x", "???x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s", cases[i].in);
        kw_printable(text);
        assert_string_equal(text, cases[i].out);
    }
    /* a character cut by the end of the text */
    struct kw_err err;
    char fill[KW_ERR_TEXT];
    memset(fill, 'x', sizeof fill);
    fill[KW_ERR_TEXT - 2] = '\0';
    (void)kw_fail(&err, KW_FAILED, "%s\xe2\x82\xac", fill);
    assert_int_equal(err.text[KW_ERR_TEXT - 2], '?');
}

/* What kw_log() prints at this level, with this verbosity. */
static const char *logged(enum kw_level level, int verbosity, const char *role, const char *text)
{
    static char out[4096];
    int pipes[2], was = dup(STDERR_FILENO);
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    (void)dup2(pipes[1], STDERR_FILENO);
    kw_log_init(role, verbosity);
    errno = EDOM;
    kw_log(level, "%s", text);
    int after = errno;
    (void)dup2(was, STDERR_FILENO);
    ssize_t n = read(pipes[0], out, sizeof out - 1);
    out[n > 0 ? n : 0] = '\0';
    (void)close(was);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    assert_int_equal(after, EDOM);
    return out;
}

static void test_log(void **state)
{
    (void)state;
    assert_string_equal(logged(KW_WARN, 0, "", "careful"), "keyward: careful\n");
    assert_string_equal(logged(KW_WARN, 2, "keeper", "a\nb"), "keyward keeper: a?b\n");
    assert_string_equal(logged(KW_INFO, 0, "", "quiet"), "");
    assert_string_equal(logged(KW_INFO, 1, "", "done"), "keyward: done\n");
    assert_string_equal(logged(KW_DEBUG, 1, "", "quiet"), "");
    assert_string_equal(logged(KW_DEBUG, 2, "", "all"), "keyward: all\n");
    assert_int_equal(kw_log_verbosity(), 2);
    char text[8192];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const char *out = logged(KW_WARN, 0, "a-name-longer-than-any", text);
    assert_int_equal(strlen(out), KW_ERR_TEXT + 63);
    assert_int_equal(out[strlen(out) - 1], '\n');
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail),      cmocka_unit_test(test_failure_is_never_success),
        cmocka_unit_test(test_errno),     cmocka_unit_test(test_long),
        cmocka_unit_test(test_printable), cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
