/* SPDX-License-Identifier: Apache-2.0
 *
 * libinih, which reads keyward.ini, has other ideas of comments, case and repeated keys. */
#include "pyini.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

enum { FILE_MAX = 64 * 1024, WORD_MAX = 256 };

struct reader {
    const char *path;
    unsigned line;
    bool comments, have_key;
    json_t *all, *section; /* section: borrowed */
};

static int bad(const struct reader *r, struct kw_err *err, const char *reason)
{
    return kw_fail(err, KW_USAGE, "%s:%u: %s", r->path, r->line, reason);
}

static size_t trim(const char **p, size_t n)
{
    while (n > 0 && isspace((unsigned char)**p)) {
        (*p)++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)(*p)[n - 1]))
        n--;
    return n;
}

static int take_section(struct reader *r, const char *p, size_t n, struct kw_err *err)
{
    char name[WORD_MAX];
    if (n < 3 || n - 2 >= sizeof name || p[n - 1] != ']')
        return bad(r, err, "a section must be [name] and nothing else");
    memcpy(name, p + 1, n - 2);
    name[n - 2] = '\0';
    if (json_object_get(r->all, name) != NULL)
        return bad(r, err, "this section is there already");
    json_t *new = json_object();
    if (json_object_set_new(r->all, name, new) != 0)
        return bad(r, err, "the section's name is no text");
    r->section = new;
    r->have_key = false;
    return 0;
}

/* Where a comment behind the value begins: at a ';' after white space. */
static size_t without_comment(const char *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (v[i] == ';' && isspace((unsigned char)v[i - 1])) {
            n = i;
            return trim(&v, n);
        }
    return n > 0 && v[0] == ';' ? 0 : n;
}

static int take_value(struct reader *r, const char *key, const char *v, size_t n,
                      struct kw_err *err)
{
    struct kw_buf value;
    const char *why = NULL;
    kw_buf_init(&value, FILE_MAX);
    for (size_t i = 0; i < n; i++) {
        bool percent = r->comments && v[i] == '%';
        if (percent)
            i++;
        if (percent && (i == n || v[i] != '%'))
            why = "the value holds a '%' that isn't doubled; configparser would refuse it too";
        else if ((unsigned char)v[i] < ' ' || v[i] == 0x7f)
            why = "the value holds a control character";
        else
            kw_put(&value, v + i, 1);
        if (why != NULL)
            break;
    }
    bool lost = value.bad; /* a line is shorter than the file, so this is memory */
    if (why == NULL && !lost &&
        json_object_set_new(r->section, key, json_string(kw_buf_str(&value))) != 0)
        why = "the line is no text";
    kw_buf_free(&value);
    if (lost)
        return kw_fail(err, KW_FAILED, "there is no memory for %s", r->path);
    return why != NULL ? bad(r, err, why) : 0;
}

static int take_line(struct reader *r, const char *p, size_t n, struct kw_err *err)
{
    char key[WORD_MAX];
    bool indented = n > 0 && (*p == ' ' || *p == '\t');
    n = trim(&p, n);
    if (n == 0 || *p == '#' || *p == ';')
        return 0;
    if (memchr(p, '\0', n) != NULL)
        return bad(r, err, "the line holds a NUL byte");
    if (indented && r->have_key)
        return bad(r, err,
                   "the line is indented, which continues the value above; join them in one line");
    if (*p == '[')
        return take_section(r, p, n, err);
    size_t k = 0;
    while (k < n && p[k] != '=' && p[k] != ':')
        k++;
    if (k == n || r->section == NULL)
        return bad(r, err, "the line is neither [section] nor key = value within one");
    const char *name = p, *v = p + k + 1;
    size_t v_n = n - k - 1, name_n = trim(&name, k);
    if (name_n == 0 || name_n >= sizeof key)
        return bad(r, err, "the key has no name or too long a one");
    for (size_t i = 0; i < name_n; i++)
        key[i] = (char)tolower((unsigned char)name[i]);
    key[name_n] = '\0';
    if (json_object_get(r->section, key) != NULL)
        return bad(r, err, "this key is given twice");
    v_n = trim(&v, v_n);
    r->have_key = true;
    return take_value(r, key, v, r->comments ? without_comment(v, v_n) : v_n, err);
}

int kw_pyini_parse(const char *text, size_t n, const char *path, bool comments, json_t **ret,
                   struct kw_err *err)
{
    struct reader r = {.path = path, .comments = comments, .all = json_object()};
    const char *p = text, *end = text + n;
    int bad_line = 0;
    if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    while (bad_line == 0 && p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((nl != NULL ? nl : end) - p);
        r.line++;
        bad_line = take_line(&r, p, len, err);
        p += len + (nl != NULL ? 1 : 0);
    }
    if (bad_line != 0) {
        json_decref(r.all);
        r.all = NULL;
    }
    *ret = r.all;
    return bad_line;
}

int kw_pyini_read(const char *path, bool comments, json_t **ret, struct kw_err *err)
{
    struct kw_buf text;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r = 0;
    *ret = NULL;
    if (fd < 0)
        return kw_fail_errno(err, KW_USAGE, "could not open %s", path);
    kw_buf_init(&text, FILE_MAX);
    if (fstat(fd, &st) != 0)
        r = kw_fail_errno(err, KW_USAGE, "could not look at %s", path);
    else if (!S_ISREG(st.st_mode))
        r = kw_fail(err, KW_USAGE, "%s is not a regular file", path);
    else if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022) != 0)
        r = kw_fail(err, KW_USAGE, "%s can be written by others; own it and chmod go-w it", path);
    if (r == 0)
        r = kw_read_fd(fd, &text, path, KW_USAGE, err);
    if (r == 0)
        r = kw_pyini_parse(kw_buf_str(&text), text.len, path, comments, ret, err);
    kw_buf_free(&text);
    (void)close(fd);
    return r;
}

const char *kw_pyini_get(const json_t *ini, const char *section, const char *key, bool fallback)
{
    const char *v = json_string_value(json_object_get(json_object_get(ini, section), key));
    if (v == NULL && fallback)
        v = json_string_value(json_object_get(json_object_get(ini, "DEFAULT"), key));
    return v;
}
