/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log: what is written can be verified, and what was changed, cut, doubled,
 * reordered or forged is found and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <signal.h>

#include "src/base/buf.h"
#include "src/base/io.h"
#include "src/keeper/audit.h"

static char dir[256], log_path[300], pem_path[300], other_pem[300];
static EVP_PKEY *key, *other;
static unsigned char *spki;
static int spki_n;
static struct kw_err err;
static struct kw_audit_report rep;

static int sign_with(void *arg, const void *data, size_t n, unsigned char *sig, size_t *ret_n,
                     struct kw_err *e)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    *ret_n = 512;
    int ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, arg) == 1 &&
             EVP_DigestSign(ctx, sig, ret_n, data, n) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : kw_fail(e, KW_TOKEN, "no signature");
}

static void write_pem(const char *path, EVP_PKEY *pk)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PUBKEY(f, pk), 1);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/kw-audit-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(log_path, sizeof log_path, "%s/log", dir);
    (void)snprintf(pem_path, sizeof pem_path, "%s/key.pem", dir);
    (void)snprintf(other_pem, sizeof other_pem, "%s/other.pem", dir);
    key = EVP_RSA_gen(2048);
    other = EVP_RSA_gen(2048);
    spki_n = i2d_PUBKEY(key, &spki);
    write_pem(pem_path, key);
    write_pem(other_pem, other);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(log_path);
    (void)unlink(pem_path);
    (void)unlink(other_pem);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    OPENSSL_free(spki);
    return rmdir(dir);
}

static int open_log(void)
{
    int fd = open(log_path, O_RDWR | O_APPEND | O_CREAT, 0600);
    assert_true(fd >= 0);
    return fd;
}

static json_t *fields(int i)
{
    return json_pack("{s:i,s:s}", "n", i, "text", "\303\274 \"quoted\"");
}

/* One run: n events, then a head where `signed_by` is not NULL. */
static void run(int n, EVP_PKEY *signed_by)
{
    struct kw_audit a;
    char id[65];
    int fd = open_log();
    assert_int_equal(kw_audit_begin(&a, fd, &err), 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(kw_audit_write(&a, "sign", fields(i), i == 0, &err), 0);
    if (signed_by != NULL) {
        unsigned char *der = NULL;
        int dn = i2d_PUBKEY(signed_by, &der);
        assert_int_equal(kw_audit_key(&a, der, (size_t)dn, "audit key", id, &err), 0);
        assert_int_equal(kw_audit_head(&a, id, sign_with, signed_by, &err), 0);
        OPENSSL_free(der);
    }
    (void)close(fd);
}

static void fresh(int n, EVP_PKEY *signed_by)
{
    (void)unlink(log_path);
    run(n, signed_by);
}

static char *slurp(size_t *n)
{
    struct kw_buf b;
    kw_buf_init(&b, 1 << 20);
    assert_int_equal(kw_read_file(log_path, &b, KW_FAILED, &err), 0);
    char *s = malloc(b.len + 1);
    assert_non_null(s);
    memcpy(s, b.p, b.len);
    s[b.len] = '\0';
    *n = b.len;
    kw_buf_free(&b);
    return s;
}

static void spit(const char *s, size_t n)
{
    FILE *f = fopen(log_path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(s, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Start of line number (from 1) in s. */
static char *line_at(char *s, unsigned number)
{
    for (; number > 1; number--)
        s = strchr(s, '\n') + 1;
    return s;
}

static void expect_bad(const char *pem, uint64_t line, const char *word)
{
    assert_int_equal(kw_audit_verify(log_path, pem, &rep, &err), KW_FAILED);
    if (strstr(err.text, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
    assert_int_equal(rep.bad_line, line);
}

static void good(void **state)
{
    (void)state;
    fresh(5, key);
    assert_int_equal(kw_audit_verify(log_path, NULL, &rep, &err), 0);
    assert_int_equal(rep.lines, 7); /* and audit-key, head */
    assert_int_equal(rep.heads, 1);
    assert_int_equal(rep.proven, 6);
    assert_int_equal(kw_audit_verify(log_path, pem_path, &rep, &err), 0);
    assert_int_equal(rep.proven, 6);
    /* the chain goes on over runs */
    run(3, NULL);
    run(2, key);
    assert_int_equal(kw_audit_verify(log_path, pem_path, &rep, &err), 0);
    assert_int_equal(rep.lines, 14);
    assert_int_equal(rep.proven, 13);
    /* no log: nothing to do, nothing fails */
    struct kw_audit none;
    assert_int_equal(kw_audit_begin(&none, -1, &err), 0);
    assert_int_equal(kw_audit_write(&none, "x", fields(1), true, &err), 0);
    assert_int_equal(kw_audit_head(&none, "", sign_with, key, &err), 0);
    /* a failed json_pack() is an error, not an empty event */
    struct kw_audit a;
    int fd = open_log();
    assert_int_equal(kw_audit_begin(&a, fd, &err), 0);
    assert_int_equal(kw_audit_write(&a, "x", NULL, true, &err), KW_FAILED);
    (void)close(fd);
}

/* Each single byte of what a head vouches for matters, and so do the head's own
 * statements (its time and run are vouched for by the next one). */
static void every_byte(void **state)
{
    (void)state;
    fresh(2, key);
    size_t n;
    char *s = slurp(&n);
    char *head = line_at(s, 4), *says = strstr(head, "\"of\"");
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (s + i >= head && s + i < says)
            continue;
        s[i] = (char)(c ^ 1);
        spit(s, n);
        if (kw_audit_verify(log_path, pem_path, &rep, &err) == 0)
            fail_msg("byte %zu (%c) was changed and nobody saw it", i, c);
        s[i] = c;
    }
    spit(s, n);
    assert_int_equal(kw_audit_verify(log_path, pem_path, &rep, &err), 0);
    free(s);
}

static void lines_moved(void **state)
{
    (void)state;
    fresh(6, key);
    size_t n;
    char *s = slurp(&n), *copy = malloc(2 * n + 1);
    assert_non_null(copy);
    char *l3 = line_at(s, 3), *l4 = line_at(s, 4), *l5 = line_at(s, 5);
    /* one taken away */
    memcpy(copy, s, (size_t)(l3 - s));
    memcpy(copy + (l3 - s), l4, n - (size_t)(l4 - s));
    spit(copy, n - (size_t)(l4 - l3));
    expect_bad(NULL, 3, "seq");
    /* one doubled */
    memcpy(copy, s, (size_t)(l4 - s));
    memcpy(copy + (l4 - s), l3, n - (size_t)(l3 - s));
    spit(copy, n + (size_t)(l4 - l3));
    expect_bad(NULL, 4, "seq");
    /* two exchanged */
    memcpy(copy, s, n);
    memcpy(copy + (l3 - s), l4, (size_t)(l5 - l4));
    memcpy(copy + (l3 - s) + (l5 - l4), l3, (size_t)(l4 - l3));
    spit(copy, n);
    expect_bad(NULL, 3, "seq");
    /* the first ones taken away */
    spit(l3, n - (size_t)(l3 - s));
    expect_bad(NULL, 1, "seq");
    /* junk */
    (void)snprintf(copy, 2 * n, "%.*s\nnot json\n", (int)(n - 1), s);
    spit(copy, strlen(copy));
    expect_bad(NULL, 9, "no JSON object");
    spit("", 0);
    expect_bad(NULL, 0, "empty");
    free(copy);
    free(s);
}

/* An attacker who can rewrite the file recomputes hashes: then seq and prev agree and
 * only the signatures tell. */
static void rewritten(void **state)
{
    (void)state;
    fresh(3, key);
    size_t n;
    char *old = slurp(&n);
    fresh(3, NULL); /* other times and run: another history */
    size_t m;
    char *s = slurp(&m);
    char *tail = line_at(old, 4), *all = malloc(m + n);
    assert_non_null(all);
    memcpy(all, s, m);
    memcpy(all + m, tail, n - (size_t)(tail - old));
    spit(all, m + n - (size_t)(tail - old));
    expect_bad(pem_path, 4, "prev");
    /* a whole log by another key is fine in itself, and nothing with ours */
    fresh(3, other);
    assert_int_equal(kw_audit_verify(log_path, NULL, &rep, &err), 0);
    assert_int_equal(kw_audit_verify(log_path, pem_path, &rep, &err), KW_FAILED);
    assert_non_null(strstr(err.text, "no head is signed by the key given"));
    assert_int_equal(kw_audit_verify(log_path, other_pem, &rep, &err), 0);
    free(all);
    free(s);
    free(old);
}

/* A head that claims our key's id, signed by another. */
static void forged_head(void **state)
{
    (void)state;
    (void)unlink(log_path);
    struct kw_audit a;
    char id[65];
    int fd = open_log();
    assert_int_equal(kw_audit_begin(&a, fd, &err), 0);
    assert_int_equal(kw_audit_key(&a, spki, (size_t)spki_n, "audit key", id, &err), 0);
    assert_int_equal(kw_audit_head(&a, id, sign_with, other, &err), 0);
    expect_bad(NULL, 2, "signature");
    (void)close(fd);
    (void)unlink(log_path);
    fd = open_log();
    assert_int_equal(kw_audit_begin(&a, fd, &err), 0);
    assert_int_equal(kw_audit_write(&a, "x", fields(0), false, &err), 0);
    assert_int_equal(kw_audit_head(&a, "0123", sign_with, key, &err), 0);
    expect_bad(NULL, 2, "announced");
    (void)close(fd);
    /* and one that vouches for what comes after it */
    (void)unlink(log_path);
    fd = open_log();
    assert_int_equal(kw_audit_begin(&a, fd, &err), 0);
    assert_int_equal(
        kw_audit_write(&a, "head", json_pack("{s:i,s:s}", "of", 1, "hash", "x"), false, &err), 0);
    expect_bad(NULL, 1, "no line before");
    (void)close(fd);
}

static void torn(void **state)
{
    (void)state;
    fresh(3, key);
    size_t n;
    char *s = slurp(&n);
    /* cut at every place of the last line: always seen, then always repaired */
    char *last = line_at(s, 5);
    for (size_t cut = (size_t)(last - s) + 1; cut < n; cut += 37) {
        spit(s, cut);
        expect_bad(NULL, 5, "torn");
        run(1, key);
        assert_int_equal(kw_audit_verify(log_path, pem_path, &rep, &err), 0);
        assert_int_equal(rep.torn, 1);
        assert_int_equal(rep.lines, 4 + 1 + 1 + 2);
        size_t m;
        char *after = slurp(&m);
        char want[64];
        (void)snprintf(want, sizeof want, "\"event\":\"torn\",\"bytes\":%zu,",
                       cut - (size_t)(last - s));
        assert_non_null(strstr(after, want));
        free(after);
    }
    /* cut at a line's end: no crash does that to a log whose head is signed, but nobody
     * can tell either; what is proven ends earlier */
    spit(s, (size_t)(last - s));
    assert_int_equal(kw_audit_verify(log_path, NULL, &rep, &err), 0);
    assert_int_equal(rep.proven, 0);
    /* torn in the very first line */
    spit("{\"se", 4);
    run(1, NULL);
    assert_int_equal(kw_audit_verify(log_path, NULL, &rep, &err), 0);
    assert_int_equal(rep.torn, 1);
    assert_int_equal(rep.lines, 2);
    free(s);
}

/* What is no audit log is not written to. */
static void not_ours(void **state)
{
    (void)state;
    static const char *const junk[] = {"hello\n", "{\"seq\":1}\n", "[1]\n",
                                       "{\"seq\":0,\"event\":\"x\",\"prev\":\"y\"}\n", "\n"};
    struct kw_audit a;
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        spit(junk[i], strlen(junk[i]));
        int fd = open_log();
        assert_int_equal(kw_audit_begin(&a, fd, &err), KW_FAILED);
        assert_int_equal(kw_audit_write(&a, "x", fields(0), false, &err), KW_FAILED);
        (void)close(fd);
        size_t n;
        char *s = slurp(&n);
        assert_string_equal(s, junk[i]);
        free(s);
    }
    int fd = open(log_path, O_RDONLY);
    assert_int_equal(kw_audit_begin(&a, fd, &err), KW_FAILED);
    (void)close(fd);
    fd = open(log_path, O_RDWR); /* not for appending */
    assert_int_equal(kw_audit_begin(&a, fd, &err), KW_FAILED);
    (void)close(fd);
    fd = open("/dev/null", O_RDWR | O_APPEND);
    assert_int_equal(kw_audit_begin(&a, fd, &err), KW_FAILED);
    (void)close(fd);
    assert_int_equal(kw_audit_verify("/nonexistent/log", NULL, &rep, &err), KW_USAGE);
    fresh(1, NULL);
    assert_int_equal(kw_audit_verify(log_path, log_path, &rep, &err), KW_USAGE);
}

/* Several processes, one file: one chain. */
static void interleaved(void **state)
{
    (void)state;
    enum { PROCESSES = 4, LINES = 60 };
    fresh(1, NULL);
    pid_t pids[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        if (pids[p] == 0) {
            struct kw_audit a;
            char id[65];
            int fd = open_log(), bad = kw_audit_begin(&a, fd, &err);
            bad |= kw_audit_key(&a, spki, (size_t)spki_n, "audit key", id, &err);
            for (int i = 0; i < LINES; i++) {
                bad |= kw_audit_write(&a, "sign", fields(i), false, &err);
                if (i % 20 == 19)
                    bad |= kw_audit_head(&a, id, sign_with, key, &err);
            }
            _exit(bad != 0);
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status = 1;
        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(kw_audit_verify(log_path, pem_path, &rep, &err), 0);
    assert_int_equal(rep.lines, 1 + PROCESSES * (1 + LINES + 3));
    assert_int_equal(rep.heads, PROCESSES * 3);
}

/* A full disk (here: a limit on the file's size, which a write meets in the middle of a
 * line): the event fails, the file is as before, and later events go on. */
static void full(void **state)
{
    (void)state;
    fresh(2, NULL);
    struct stat st;
    assert_int_equal(stat(log_path, &st), 0);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)st.st_size + 50;
    (void)signal(SIGXFSZ, SIG_IGN);
    struct kw_audit a;
    int fd = open_log();
    assert_int_equal(kw_audit_begin(&a, fd, &err), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = kw_audit_write(&a, "sign", fields(1), true, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, KW_FAILED);
    assert_non_null(strstr(err.text, "could not write"));
    struct stat after;
    assert_int_equal(stat(log_path, &after), 0);
    assert_int_equal(after.st_size, st.st_size);
    assert_int_equal(kw_audit_write(&a, "sign", fields(2), true, &err), 0);
    (void)close(fd);
    assert_int_equal(kw_audit_verify(log_path, NULL, &rep, &err), 0);
    assert_int_equal(rep.lines, 3);
}

/* No event can displace the fields of the chain, and foreign bytes do no harm. */
static void hostile_fields(void **state)
{
    (void)state;
    (void)unlink(log_path);
    struct kw_audit a;
    int fd = open_log();
    assert_int_equal(kw_audit_begin(&a, fd, &err), 0);
    json_t *o =
        json_pack("{s:i,s:s,s:s,s:o,s:o}", "seq", 77, "prev", "x", "event", "end", "a",
                  kw_audit_text("bad \377\376 \303 bytes\n\"}"), "b", kw_audit_text("\303\274"));
    assert_int_equal(kw_audit_write(&a, "sign", o, false, &err), 0);
    char *big = malloc(KW_AUDIT_LINE + 1);
    assert_non_null(big);
    memset(big, 'x', KW_AUDIT_LINE);
    big[KW_AUDIT_LINE] = '\0';
    assert_int_equal(kw_audit_write(&a, "sign", json_pack("{s:s}", "a", big), false, &err),
                     KW_FAILED);
    free(big);
    (void)close(fd);
    assert_int_equal(kw_audit_verify(log_path, NULL, &rep, &err), 0);
    assert_int_equal(rep.lines, 1);
    size_t n;
    char *s = slurp(&n);
    assert_non_null(strstr(s, "\"seq\":1,"));
    assert_non_null(strstr(s, "\"event\":\"sign\""));
    assert_null(strstr(s, ":77"));
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),        cmocka_unit_test(every_byte),
        cmocka_unit_test(lines_moved), cmocka_unit_test(rewritten),
        cmocka_unit_test(forged_head), cmocka_unit_test(torn),
        cmocka_unit_test(not_ours),    cmocka_unit_test(interleaved),
        cmocka_unit_test(full),        cmocka_unit_test(hostile_fields),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
