/* SPDX-License-Identifier: Apache-2.0
 *
 * The writing half of the audit log. */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/base/b64.h"
#include "src/base/io.h"
#include "src/ipc/ipc.h"

enum { LOCK_WAIT_MS = 5000, TORN_KEPT = 1024 };

static const char no_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";

int kw_audit_sha256(const void *bytes, size_t n, char out[65], struct kw_err *err)
{
    unsigned char md[32];
    unsigned len = 0;
    if (EVP_Digest(bytes, n, md, &len, EVP_sha256(), NULL) != 1)
        return kw_fail(err, KW_FAILED, "audit log: could not compute a hash");
    kw_hex(out, md, sizeof md);
    return 0;
}

size_t kw_audit_head_bytes(uint64_t of, const char *hash, char out[128])
{
    int n = snprintf(out, 128, "keyward audit head 1\n%" PRIu64 "\n%.64s", of, hash);
    return n > 0 ? (size_t)n : 0;
}

json_t *kw_audit_text(const char *text)
{
    json_t *s = json_string(text);
    if (s != NULL)
        return s;
    char *ascii = strdup(text);
    if (ascii == NULL)
        return NULL;
    for (char *p = ascii; *p != '\0'; p++)
        if ((unsigned char)*p > 0x7e)
            *p = '?';
    s = json_string(ascii);
    free(ascii);
    return s;
}

json_t *kw_audit_bytes(const unsigned char *p, size_t n)
{
    struct kw_buf b64;
    kw_buf_init(&b64, n * 2 + 8);
    kw_b64_put(&b64, p, n);
    const char *text = kw_buf_str(&b64);
    json_t *s = b64.bad ? NULL : json_string(text);
    kw_buf_free(&b64);
    return s;
}

/* --- the end of the file ------------------------------------------------------ */

struct tail {
    off_t size;  /* of the file */
    off_t whole; /* where the last newline ends: what is after it is torn */
    uint64_t seq;
    char hash[65];
};

/* A process that is stopped while it holds the lock must not stop us for good. */
static int lock(int fd, struct kw_err *err)
{
    int64_t deadline = kw_now_ms() + LOCK_WAIT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return kw_fail_errno(err, KW_FAILED, "audit log: could not lock it");
        if (kw_left_ms(deadline) == 0)
            return kw_fail(err, KW_FAILED, "audit log: another process has held its lock for %d s",
                           LOCK_WAIT_MS / 1000);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}

static bool read_at(int fd, unsigned char *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t r = pread(fd, p, n, at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
        at += r;
    }
    return true;
}

/* seq of a line, 0 if it is none of ours. */
static uint64_t line_seq(const char *line, size_t n)
{
    json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *seq = json_object_get(o, "seq");
    bool ours = json_is_integer(seq) && json_integer_value(seq) > 0 &&
                json_is_string(json_object_get(o, "event")) &&
                json_string_length(json_object_get(o, "prev")) == 64;
    uint64_t v = ours ? (uint64_t)json_integer_value(seq) : 0;
    json_decref(o);
    return v;
}

/* Finds the last whole line within the last bytes of the file. */
static int find_tail(struct tail *t, const unsigned char *p, size_t n, struct kw_err *err)
{
    const unsigned char *nl = n > 0 ? memrchr(p, '\n', n) : NULL;
    *t = (struct tail){.size = t->size, .whole = t->size - (off_t)n};
    memcpy(t->hash, no_hash, sizeof no_hash);
    if (nl == NULL)
        return t->whole == 0 && n < KW_AUDIT_LINE
                   ? 0
                   : kw_fail(err, KW_FAILED, "audit log: its end is no audit line; move it away");
    t->whole += nl + 1 - p;
    const unsigned char *start = nl > p ? memrchr(p, '\n', (size_t)(nl - p)) : NULL;
    start = start != NULL ? start + 1 : p;
    size_t len = (size_t)(nl - start);
    t->seq = len < KW_AUDIT_LINE ? line_seq((const char *)start, len) : 0;
    if (t->seq == 0)
        return kw_fail(err, KW_FAILED,
                       "audit log: its last line is no audit line; move the file away");
    return kw_audit_sha256(start, len, t->hash, err);
}

static int append(int fd, const char *line, size_t n, off_t size, struct kw_err *err)
{
    if (kw_write_all(fd, line, n) == 0)
        return 0;
    int r =
        kw_fail_errno(err, KW_FAILED, "audit log: could not write, and nothing is done unlogged");
    /* A part may be there: take it out again. Where that fails too (a file marked
     * append-only), the next one to write finds it and says so. */
    if (ftruncate(fd, size) != 0)
        (void)kw_err_wrap(err, "a torn line is left");
    return r;
}

/* --- lines -------------------------------------------------------------------- */

static json_t *time_now(void)
{
    struct timespec ts = {0};
    struct tm tm = {0};
    char text[40];
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, sizeof text - n, ".%03ldZ", ts.tv_nsec / 1000000);
    return json_string(text);
}

/* Builds the line after *t with its newline; NULL if it can't be (fields is NULL where
 * the caller's json_pack() failed). */
static char *make_line(const struct kw_audit *a, const struct tail *t, const char *event,
                       json_t *fields, size_t *ret_n)
{
    json_t *o = json_object();
    bool ok = json_object_set_new(o, "seq", json_integer((json_int_t)t->seq + 1)) == 0 &&
              json_object_set_new(o, "time", time_now()) == 0 &&
              json_object_set_new(o, "run", json_string(a->run)) == 0 &&
              json_object_set_new(o, "event", json_string(event)) == 0 &&
              json_object_update_missing(o, fields) == 0 &&
              json_object_set_new(o, "prev", json_string(t->hash)) == 0;
    char *line = ok ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(o);
    if (line == NULL)
        return NULL;
    size_t n = strlen(line);
    line[n] = '\n'; /* over the NUL: from here on it is bytes with a length */
    *ret_n = n + 1;
    return line;
}

/* Appends one line after *t and moves *t on. The lock is held. */
static int put_line(struct kw_audit *a, struct tail *t, const char *event, json_t *fields,
                    struct kw_err *err)
{
    size_t n = 0;
    char *line = make_line(a, t, event, fields, &n);
    if (line == NULL || n > KW_AUDIT_LINE) {
        free(line);
        return kw_fail(err, KW_FAILED, "audit log: event %s can't be written as a line", event);
    }
    char hash[sizeof t->hash]; /* first: a line is not written that could not be chained */
    int r = kw_audit_sha256(line, n - 1, hash, err);
    if (r == 0)
        r = append(a->fd, line, n, t->size, err);
    if (r == 0) {
        t->size += (off_t)n;
        t->whole = t->size;
        t->seq++;
        memcpy(t->hash, hash, sizeof hash);
        a->seq = t->seq;
        a->end = t->size;
        memcpy(a->hash, t->hash, sizeof a->hash);
        a->behind++;
    }
    free(line);
    return r;
}

/* Takes a torn last line out of the file and leaves a line that says so, with the
 * bytes themselves. The lock is held. */
static int repair(struct kw_audit *a, struct tail *t, const unsigned char *torn, size_t n,
                  struct kw_err *err)
{
    char sha[65];
    int r = kw_audit_sha256(torn, n, sha, err);
    if (r != 0)
        return r;
    json_t *fields = json_pack("{s:I,s:s,s:o}", "bytes", (json_int_t)n, "sha256", sha, "text",
                               kw_audit_bytes(torn, n < TORN_KEPT ? n : TORN_KEPT));
    if (fields == NULL) /* before they are gone */
        return kw_fail(err, KW_FAILED, "audit log: no memory to keep its torn last line");
    if (ftruncate(a->fd, t->whole) != 0)
        r = kw_fail_errno(err, KW_FAILED,
                          "audit log: its last line is torn and can't be taken out; move it away");
    else {
        t->size = t->whole;
        r = put_line(a, t, "torn", fields, err);
    }
    json_decref(fields);
    return r;
}

/* Looks at the end of the file, repairing it if need be. The lock is held. A file that is as
 * long as we left it ends in our own last line: nobody else has appended, and what else may
 * have been done to it shows when it is verified. */
static int look(struct kw_audit *a, struct tail *t, struct kw_err *err)
{
    struct stat st;
    if (fstat(a->fd, &st) != 0)
        return kw_fail_errno(err, KW_FAILED, "audit log: could not look at it");
    if (a->seq != 0 && st.st_size == a->end) {
        *t = (struct tail){.size = a->end, .whole = a->end, .seq = a->seq};
        memcpy(t->hash, a->hash, sizeof t->hash);
        return 0;
    }
    /* One whole line and one torn one are within two times the longest. */
    size_t n = st.st_size < 2 * (off_t)KW_AUDIT_LINE ? (size_t)st.st_size : 2 * KW_AUDIT_LINE;
    unsigned char *p = malloc(n + 1);
    if (p == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    t->size = st.st_size;
    int r = read_at(a->fd, p, n, st.st_size - (off_t)n)
                ? find_tail(t, p, n, err)
                : kw_fail_errno(err, KW_FAILED, "audit log: could not read its end");
    size_t torn = r == 0 ? (size_t)(t->size - t->whole) : 0;
    if (torn > 0)
        r = repair(a, t, p + n - torn, torn, err);
    free(p);
    return r;
}

static int sync_data(int fd)
{
    int r;
    do
        r = fdatasync(fd);
    while (r != 0 && errno == EINTR);
    return r;
}

/* --- the interface ------------------------------------------------------------ */

int kw_audit_begin(struct kw_audit *a, int fd, struct kw_err *err)
{
    unsigned char id[16];
    *a = (struct kw_audit){.fd = fd};
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
        return kw_fail_errno(err, KW_FAILED, "could not get random bytes");
    kw_hex(a->run, id, sizeof id);
    if (fd < 0)
        return 0;
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &st) != 0)
        return kw_fail_errno(err, KW_FAILED, "audit log: could not look at it");
    if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) != O_RDWR || (flags & O_APPEND) == 0)
        return kw_fail(err, KW_FAILED, "audit log: not a regular file open to read and append");
    int r = lock(fd, err);
    if (r != 0)
        return r;
    struct tail t;
    r = look(a, &t, err);
    (void)flock(fd, LOCK_UN);
    return r;
}

int kw_audit_write(struct kw_audit *a, const char *event, json_t *fields, bool durable,
                   struct kw_err *err)
{
    int r = a->fd >= 0 ? lock(a->fd, err) : 0;
    if (a->fd >= 0 && r == 0) {
        struct tail t;
        r = look(a, &t, err);
        if (r == 0)
            r = put_line(a, &t, event, fields, err);
        if (r == 0 && durable && sync_data(a->fd) != 0)
            r = kw_fail_errno(err, KW_FAILED, "audit log: could not sync it");
        (void)flock(a->fd, LOCK_UN);
    }
    json_decref(fields);
    a->failed = a->failed || r != 0;
    return r;
}

int kw_audit_key(struct kw_audit *a, const unsigned char *spki, size_t n, const char *is,
                 char ret_id[65], struct kw_err *err)
{
    int r = kw_audit_sha256(spki, n, ret_id, err);
    if (r != 0)
        return r;
    json_t *fields =
        json_pack("{s:s,s:o,s:s}", "key", ret_id, "spki", kw_audit_bytes(spki, n), "is", is);
    return kw_audit_write(a, "audit-key", fields, true, err);
}

struct kw_audit_mark kw_audit_mark(const struct kw_audit *a)
{
    struct kw_audit_mark m = {.of = a->seq, .lines = a->behind};
    memcpy(m.hash, a->hash, sizeof m.hash);
    return m;
}

int kw_audit_head_line(struct kw_audit *a, const struct kw_audit_mark *m, const char *key_id,
                       const unsigned char *sig, size_t sig_n, bool durable, struct kw_err *err)
{
    json_t *fields = json_pack("{s:I,s:s,s:s,s:o}", "of", (json_int_t)m->of, "hash", m->hash, "key",
                               key_id, "sig", kw_audit_bytes(sig, sig_n));
    int r = kw_audit_write(a, "head", fields, durable, err);
    if (r == 0)
        a->behind -= m->lines + 1; /* a head by itself needs none */
    return r;
}

int kw_audit_head(struct kw_audit *a, const char *key_id, kw_audit_signer *sign, void *arg,
                  struct kw_err *err)
{
    if (a->fd < 0 || a->behind == 0)
        return 0;
    /* The signature is made before the lock is taken: a slow token must not hold up
     * the other processes. So the head names the line it is of. */
    const struct kw_audit_mark m = kw_audit_mark(a);
    char bytes[128];
    unsigned char sig[512];
    size_t sig_n = 0, n = kw_audit_head_bytes(m.of, m.hash, bytes);
    int r = sign(arg, bytes, n, sig, &sig_n, err);
    return r != 0 ? r : kw_audit_head_line(a, &m, key_id, sig, sig_n, true, err);
}
