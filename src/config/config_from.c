/* SPDX-License-Identifier: Apache-2.0
 *
 * The Python scripts' runtimeConfig.ini. Not by libinih: the file holds a client
 * secret and a JWT, of which the library would leave copies in memory that nobody
 * wipes; and Python's configparser, which wrote it, keeps " ; comment" as part of
 * the value, ignores the case of keys, and continues values on indented lines. The
 * text is read inside the secrets' arena and each value goes straight to its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_keys.h"
#include "src/base/log.h"

enum { FILE_MAX = KW_SECRET_MAX - 1, SECRET_MAX = 1024 };

struct from {
    struct kw_config *c;
    const char *path;
    unsigned line;
    char section[64];
    bool have_key; /* an indented line would continue the value above */
    bool guid, id; /* given already */
};

static int bad(const struct from *f, struct kw_err *err, const char *what, const char *reason)
{
    return kw_fail(err, KW_USAGE, "%s:%u: %s %s", f->path, f->line, what, reason);
}

/* Copies a value to a new secret, with configparser's "%%" for "%". */
static int take_secret(const struct from *f, const char *what, const char *v, size_t n, size_t max,
                       struct kw_secret **ret, struct kw_err *err)
{
    if (*ret != NULL)
        return bad(f, err, what, "is given twice");
    if (n > max)
        return bad(f, err, what, "is too long");
    struct kw_secret *s = kw_secret_new(max);
    if (s == NULL)
        return kw_fail(err, KW_FAILED, "no room for the secrets in %s", f->path);
    for (size_t i = 0; i < n; i++) {
        const char *reason = NULL;
        bool percent = v[i] == '%';
        if (percent)
            i++;
        if (percent && (i == n || v[i] != '%'))
            reason = "holds a '%' that isn't doubled; configparser would refuse it too";
        else if (v[i] <= ' ' || v[i] >= 0x7f)
            reason = "holds a space, a control or a non-ASCII byte; put comments on a line of "
                     "their own";
        if (reason != NULL) {
            kw_secret_free(&s);
            return bad(f, err, what, reason);
        }
        (void)kw_secret_add(s, v + i, 1); /* fits: n <= max */
    }
    *ret = s;
    return 0;
}

/* A value that is no secret, through the same checks as in keyward.ini. */
static int take_value(struct from *f, const char *what, const char *key, const char *v, size_t n,
                      bool *given, struct kw_err *err)
{
    char value[512];
    if (*given)
        return bad(f, err, what, "is given twice");
    *given = true;
    if (n >= sizeof value)
        return bad(f, err, what, "is too long");
    if (memchr(v, '%', n) != NULL || memchr(v, ' ', n) != NULL || memchr(v, '\t', n) != NULL)
        return bad(
            f, err, what,
            "holds a space or a '%'; put comments on a line of their own (a comment behind a "
            "value is part of it for configparser)");
    memcpy(value, v, n);
    value[n] = '\0';
    int r = kw_key_set(f->c, kw_key_find("oci", key), key, value, f->path, f->line, err);
    return r != 0 ? kw_err_wrap(err, "%s", what) : 0;
}

static bool is(const char *word, const char *p, size_t n)
{
    return strlen(word) == n && strncasecmp(word, p, n) == 0;
}

static int take(struct from *f, const char *key, size_t k, const char *v, size_t n,
                struct kw_err *err)
{
    bool domain = strcmp(f->section, "IdentityDomain") == 0;
    bool wif = strcmp(f->section, "WIFConfig") == 0;
    if (domain && is("iam_guid", key, k))
        return n == 0 ? bad(f, err, "iam_guid", "is empty; it is the domain's URL, https://...")
                      : take_value(f, "iam_guid (the domain's URL)", "domain_url", v, n, &f->guid,
                                   err);
    if (n == 0) /* the sample's empty places: what is needed is asked for later */
        return 0;
    if (wif && is("oauthclientid", key, k))
        return take_value(f, "oauthclientid", "client_id", v, n, &f->id, err);
    if (wif && is("oauthclientsecret", key, k))
        return take_secret(f, "oauthclientsecret", v, n, SECRET_MAX, &f->c->client_secret, err);
    if (wif && is("subjecttoken", key, k))
        return take_secret(f, "subjecttoken", v, n, KW_TOKEN_MAX, &f->c->subject, err);
    kw_log(KW_INFO, "%s:%u: [%s] holds a key that plays no part in an exchange; ignored", f->path,
           f->line, f->section);
    return 0;
}

static int take_section(struct from *f, const char *p, size_t n, struct kw_err *err)
{
    const char *end = memchr(p, ']', n);
    if (end == NULL || (size_t)(end - p) != n - 1)
        return bad(f, err, "the section", "must be [name] and nothing else");
    n -= 2;
    if (n == 0 || n >= sizeof f->section || memchr(p, '\0', n) != NULL)
        return bad(f, err, "the section", "has no name or too long a one");
    memcpy(f->section, p + 1, n);
    f->section[n] = '\0';
    f->have_key = false;
    return 0;
}

static size_t trim(const char **p, size_t n)
{
    while (n > 0 && strchr(" \t\r", **p) != NULL && **p != '\0') {
        (*p)++;
        n--;
    }
    while (n > 0 && strchr(" \t\r", (*p)[n - 1]) != NULL && (*p)[n - 1] != '\0')
        n--;
    return n;
}

static int take_line(struct from *f, const char *p, size_t n, struct kw_err *err)
{
    bool indented = n > 0 && (*p == ' ' || *p == '\t');
    n = trim(&p, n);
    if (n == 0 || *p == '#' || *p == ';')
        return 0;
    if (memchr(p, '\0', n) != NULL)
        return bad(f, err, "the line", "holds a NUL byte");
    if (indented && f->have_key)
        return bad(f, err, "the line",
                   "is indented, which continues the value above; join them in one line");
    if (*p == '[')
        return take_section(f, p, n, err);
    size_t k = 0;
    while (k < n && p[k] != '=' && p[k] != ':')
        k++;
    if (k == n || k == 0)
        return bad(f, err, "the line", "is neither [section] nor key = value nor a comment");
    if (f->section[0] == '\0')
        return bad(f, err, "the line", "stands before any [section]");
    f->have_key = true;
    const char *key = p, *v = p + k + 1;
    size_t key_n = trim(&key, k), v_n = n - k - 1;
    v_n = trim(&v, v_n);
    return take(f, key, key_n, v, v_n, err);
}

/* As the scripts leave it, everybody may read the file: worth a warning. Somebody
 * else's hand in it is worth a refusal. */
static int read_text(const char *path, struct kw_secret **ret, struct kw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return kw_fail_errno(err, KW_USAGE, "could not open %s", path);
    struct stat st;
    int r = 0;
    if (fstat(fd, &st) != 0)
        r = kw_fail_errno(err, KW_USAGE, "could not look at %s", path);
    else if (!S_ISREG(st.st_mode))
        r = kw_fail(err, KW_USAGE, "%s is not a regular file", path);
    else if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022) != 0)
        r = kw_fail(err, KW_USAGE, "%s can be written by others; own it and chmod go-w it", path);
    if (r == 0 && (st.st_mode & 044) != 0)
        kw_log(KW_WARN, "%s holds secrets and others can read it; chmod 600 it", path);
    if (r == 0)
        r = kw_secret_read_fd(fd, FILE_MAX, path, KW_USAGE, ret, err);
    (void)close(fd);
    return r;
}

static int take_text(struct from *f, const struct kw_secret *text, struct kw_err *err)
{
    const char *p = kw_secret_bytes(text), *end = p + kw_secret_len(text);
    if (end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    int r = 0;
    while (r == 0 && p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((nl != NULL ? nl : end) - p);
        f->line++;
        r = take_line(f, p, n, err);
        p += n + (nl != NULL ? 1 : 0);
    }
    return r;
}

/* What the file decides, the configuration may not also have decided. */
static void clear(struct kw_config *c)
{
    kw_secret_free(&c->client_secret);
    kw_secret_free(&c->subject);
    c->client_secret_source[0] = c->client_id[0] = c->domain_url[0] = '\0';
    c->client_auth = KW_AUTH_BASIC;
    c->client_key_set = false;
}

int kw_config_from(struct kw_config *c, const char *path, struct kw_err *err)
{
    struct from f = {.c = c, .path = path};
    struct kw_secret *text = NULL;
    int r = kw_config_check_profile(c, err);
    if (r == 0)
        r = read_text(path, &text, err);
    if (r != 0)
        return r;
    clear(c);
    r = take_text(&f, text, err);
    kw_secret_free(&text);
    if (r == 0 && (!f.guid || !f.id || c->client_secret == NULL))
        r = kw_fail(err, KW_USAGE, "%s lacks %s", path,
                    !f.guid ? "[IdentityDomain] iam_guid"
                    : !f.id ? "[WIFConfig] oauthclientid"
                            : "[WIFConfig] oauthclientsecret");
    if (r == 0)
        r = kw_config_default_dial(c, environ, err);
    if (r == 0) {
        c->oci_set = true;
        return 0;
    }
    clear(c);
    return r;
}
