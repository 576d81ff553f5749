/* SPDX-License-Identifier: Apache-2.0
 *
 * The request's own parts of `request` and `sign`: body and headers. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call.h"
#include "src/base/b64.h"
#include "src/base/io.h"
#include "src/wire/hdr.h"

/* Hashes fd from its start to its end, counts, and rewinds. */
static int hash_body(struct kw_body *b, const char *what, struct kw_err *err)
{
    unsigned char chunk[16384], hash[EVP_MAX_MD_SIZE];
    unsigned n_hash = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int r = 0;
    if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        r = kw_fail(err, KW_FAILED, "could not start a SHA-256");
    for (b->len = 0; r == 0 && b->fd >= 0;) {
        ssize_t n = read(b->fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = kw_fail_errno(err, KW_USAGE, "could not read %s", what);
        if (n <= 0)
            break;
        b->len += (uint64_t)n;
        if (EVP_DigestUpdate(md, chunk, (size_t)n) != 1)
            r = kw_fail(err, KW_FAILED, "could not hash %s", what);
    }
    if (r == 0 && b->fd >= 0 && lseek(b->fd, 0, SEEK_SET) != 0)
        r = kw_fail_errno(err, KW_USAGE, "could not rewind %s", what);
    if (r == 0 && EVP_DigestFinal_ex(md, hash, &n_hash) != 1)
        r = kw_fail(err, KW_FAILED, "could not finish a SHA-256"); /* never an unsigned body */
    if (r == 0) {
        struct kw_buf text;
        kw_buf_init(&text, sizeof b->sha256 - 1);
        kw_b64_put(&text, hash, n_hash);
        (void)snprintf(b->sha256, sizeof b->sha256, "%s", kw_buf_str(&text));
        kw_buf_free(&text);
    }
    EVP_MD_CTX_free(md);
    explicit_bzero(chunk, sizeof chunk);
    return r;
}

/* Standard input or a pipe can't be read twice (once for the hash, once to send): it is
 * kept in memory that has no name in any file system. */
static int spool(int from, int *ret_fd, const char *what, struct kw_err *err)
{
    int fd = memfd_create("keyward body", MFD_CLOEXEC);
    if (fd < 0)
        return kw_fail_errno(err, KW_FAILED, "could not make room for %s", what);
    char chunk[16384];
    size_t total = 0;
    int r = 0;
    for (;;) {
        ssize_t n = read(from, chunk, sizeof chunk);
        if (n < 0 && kw_may_go_on(from, POLLIN))
            continue;
        if (n < 0)
            r = kw_fail_errno(err, KW_USAGE, "could not read %s", what);
        if (n <= 0)
            break;
        total += (size_t)n;
        if (total > KW_BODY_SPOOL)
            r = kw_fail(err, KW_USAGE,
                        "%s is longer than %u MiB; give it as a regular file (-d @FILE)", what,
                        KW_BODY_SPOOL >> 20);
        else if (kw_write_all(fd, chunk, (size_t)n) != 0)
            r = kw_fail_errno(err, KW_FAILED, "could not keep %s", what);
        if (r != 0)
            break;
    }
    explicit_bzero(chunk, sizeof chunk);
    if (r == 0 && lseek(fd, 0, SEEK_SET) != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not rewind %s", what);
    if (r != 0)
        (void)close(fd);
    else
        *ret_fd = fd;
    return r;
}

static int open_file(const char *path, struct kw_body *b, struct kw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        int r = kw_fail_errno(err, KW_USAGE, "could not open the request body %s", path);
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    if (S_ISREG(st.st_mode)) {
        b->fd = fd;
        return 0;
    }
    int r = spool(fd, &b->fd, path, err);
    (void)close(fd);
    return r;
}

static int literal(const char *text, struct kw_body *b, struct kw_err *err)
{
    b->fd = memfd_create("keyward body", MFD_CLOEXEC);
    if (b->fd < 0 || kw_write_all(b->fd, text, strlen(text)) != 0 || lseek(b->fd, 0, SEEK_SET) != 0)
        return kw_fail_errno(err, KW_FAILED, "could not keep the request body");
    return 0;
}

int kw_body_open(const char *data, struct kw_body *b, struct kw_err *err)
{
    *b = (struct kw_body){.fd = -1};
    int r = 0;
    const char *what = "the request body";
    if (data == NULL)
        ;
    else if (strcmp(data, "@-") == 0)
        r = spool(STDIN_FILENO, &b->fd, what = "standard input", err);
    else if (data[0] == '@')
        r = open_file(what = data + 1, b, err);
    else
        r = literal(data, b, err);
    if (r == 0)
        r = hash_body(b, what, err);
    if (r != 0)
        kw_body_close(b);
    return r;
}

void kw_body_close(struct kw_body *b)
{
    if (b->fd >= 0)
        (void)close(b->fd);
    b->fd = -1;
}

int kw_method_check(const char *given, char *method, size_t size, struct kw_err *err)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    size_t n = 0;
    for (; given[n] != '\0' && n < size - 1; n++)
        method[n] = (char)toupper((unsigned char)given[n]);
    method[n] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (given[n] == '\0' && strcmp(method, known[i]) == 0)
            return 0;
    return kw_fail(err, KW_USAGE, "%.32s is none of GET HEAD POST PUT PATCH DELETE", given);
}

int kw_header_options(const struct kw_args *args, char *lines, size_t size, struct kw_err *err)
{
    static const char *const ours[] = {"host", "authorization", "content-length", "connection",
                                       "transfer-encoding"};
    lines[0] = '\0';
    const char *h;
    for (int pos = 0; (h = kw_args_each(args, "header", &pos)) != NULL;) {
        char name[128];
        size_t n = strcspn(h, ":");
        if (h[n] != ':' || n >= sizeof name)
            return kw_fail(err, KW_USAGE, "-H %.64s is not \"Name: value\"", h);
        memcpy(name, h, n);
        name[n] = '\0';
        const char *from = h + n + 1 + strspn(h + n + 1, " \t");
        char value[KW_LINES];
        size_t len = strlen(from);
        /* HTTP drops white space around a value: what is signed must be what arrives. */
        while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\t'))
            len--;
        if (len == 0 || len >= sizeof value)
            return kw_fail(err, KW_USAGE, "-H %.64s: the value is %s", name,
                           len == 0 ? "empty" : "too long");
        memcpy(value, from, len);
        value[len] = '\0';
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
            if (strcasecmp(name, ours[i]) == 0)
                return kw_fail(err, KW_USAGE, "-H %s: this header is made by keyward", name);
        if (!kw_hdr_add(lines, size, name, value))
            return kw_fail(err, KW_USAGE,
                           "-H %.64s: not a legal header, or the headers are too long together",
                           name);
    }
    return 0;
}

int kw_google_headers(const struct kw_config *c, char *lines, size_t size, struct kw_err *err)
{
    const struct {
        const char *name, *value;
    } all[] = {{"x-goog-user-project", c->quota_project},
               {"x-goog-request-reason", c->request_reason}};
    for (size_t i = 0; i < 2; i++)
        if (all[i].value[0] != '\0' && kw_hdr_count(lines, all[i].name) == 0 &&
            !kw_hdr_add(lines, size, all[i].name, all[i].value))
            return kw_fail(err, KW_USAGE, "the request's headers are too long");
    return 0;
}
