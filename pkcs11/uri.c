/* SPDX-License-Identifier: Apache-2.0
 *
 * PKCS#11 URIs. An own reader because the library's (p11-kit) is lenient where that
 * is dangerous: an over-long token label is dropped, and the URI then matches every
 * token; of duplicates the last wins; %00 cuts a value short.
 */
#include "uri.h"

#include <stdio.h>
#include <string.h>

#include "src/base/b64.h"

#define URI_MAX 8192

enum kind { TEXT, BYTES, TYPE, PATH, SOURCE };

#define FIELD(name, member, kind, query)                                                           \
    {                                                                                              \
        name, offsetof(struct kw_uri, member), sizeof(((struct kw_uri *)0)->member), kind, query   \
    }

/* In the order of the canonical form. */
static const struct field {
    const char *name;
    size_t offset, size;
    enum kind kind;
    bool query;
} fields[] = {
    FIELD("token", token, TEXT, false),
    FIELD("manufacturer", manufacturer, TEXT, false),
    FIELD("serial", serial, TEXT, false),
    FIELD("model", model, TEXT, false),
    FIELD("object", object, TEXT, false),
    FIELD("id", id, BYTES, false),
    FIELD("type", type, TYPE, false),
    FIELD("module-path", module_path, PATH, true),
    FIELD("pin-source", pin_source, SOURCE, true),
};

#define FIELDS (sizeof fields / sizeof fields[0])

/* Attributes that RFC 7512 has and we don't take, with the reason. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"pin-value", "a PIN has no place in a configuration; use pin-source=file:/path"},
    {"slot-id", "slot numbers change and name no token; use token= or serial="},
    {"slot-description", "a slot is not a token; use token= or serial="},
    {"slot-manufacturer", "a slot is not a token; use token= or serial="},
    {"library-description", "name the module with module-path="},
    {"library-manufacturer", "name the module with module-path="},
    {"library-version", "name the module with module-path="},
    {"module-name", "name the module with module-path="},
};

struct reader {
    struct kw_uri *u;
    bool seen[FIELDS];
    struct kw_err *err;
};

static int bad(struct reader *r, const char *name, const char *why)
{
    return kw_fail(r->err, KW_USAGE, "PKCS#11 URI: %s: %s", name, why);
}

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* pk11-pchar and pk11-qchar of RFC 7512, without pct-encoded. */
static bool allowed(unsigned char c, bool query)
{
    return unreserved(c) ||
           (c != '\0' && strchr(query ? ":[]@!$'()*+,=/?|" : ":[]@!$'()*+,=&", c) != NULL);
}

/* Decodes n characters; *ret_n bytes are written to out. NULL, or what is wrong. */
static const char *decode(const char *s, size_t n, bool query, unsigned char *out, size_t max,
                          size_t *ret_n)
{
    size_t used = 0;
    for (size_t i = 0; i < n; used++) {
        unsigned char c = (unsigned char)s[i++];
        if (c == '%') {
            char hex[3] = {0};
            size_t one = 0;
            if (n - i < 2)
                return "incomplete percent-encoding";
            memcpy(hex, s + i, 2);
            if (!kw_unhex(&c, 1, &one, hex) || one != 1)
                return "bad percent-encoding";
            i += 2;
        } else if (!allowed(c, query)) {
            return "a character that must be percent-encoded";
        }
        if (used == max)
            return "too long";
        out[used] = c;
    }
    *ret_n = used;
    return NULL;
}

/* Text as PKCS#11 and our messages have it: UTF-8, no control characters. */
static bool is_text(const char *s, size_t n)
{
    char copy[1024];
    if (strlen(s) != n || n >= sizeof copy)
        return false;
    memcpy(copy, s, n + 1);
    kw_printable(copy);
    return memcmp(copy, s, n) == 0;
}

/* file:/path, file:///path or /path becomes /path. */
static const char *strip_source(char *value)
{
    char *path = value;
    if (value[0] == '|')
        return "a command is no PIN source here; use file:/path";
    if (strncmp(path, "file:", 5) == 0) {
        path += 5;
        if (strncmp(path, "//", 2) == 0) {
            path += 2;
            if (path[0] != '/')
                return "a file: URL with a host; use file:/path";
        }
    }
    if (path[0] != '/')
        return "not an absolute path (file:/path)";
    memmove(value, path, strlen(path) + 1);
    return NULL;
}

static const char *check_value(const struct field *f, char *text, size_t n)
{
    if (f->kind == BYTES)
        return NULL;
    if (!is_text(text, n))
        return "control characters or bytes that are not UTF-8";
    if (f->kind == TYPE && strcmp(text, "private") != 0 && strcmp(text, "public") != 0 &&
        strcmp(text, "cert") != 0)
        return "not private, public or cert";
    if (f->kind == PATH && text[0] != '/')
        return "not an absolute path";
    return f->kind == SOURCE ? strip_source(text) : NULL;
}

static int store(struct reader *r, size_t index, const char *value, size_t n)
{
    const struct field *f = &fields[index];
    unsigned char text[1024];
    size_t len = 0;
    const size_t max = f->kind == BYTES ? f->size : f->size - 1;
    if (r->seen[index])
        return bad(r, f->name, "given twice");
    r->seen[index] = true;
    const char *why = decode(value, n, f->query, text, max, &len);
    if (why == NULL && len == 0)
        why = "empty";
    if (why == NULL && f->kind != BYTES)
        text[len] = '\0';
    if (why == NULL)
        why = check_value(f, (char *)text, len);
    if (why != NULL)
        return bad(r, f->name, why);
    if (f->kind == BYTES)
        r->u->id_len = len;
    else
        len = strlen((char *)text) + 1; /* strip_source may have shortened it */
    memcpy((char *)r->u + f->offset, text, len);
    return 0;
}

/* One name=value of n characters. */
static int attribute(struct reader *r, const char *s, size_t n, bool query)
{
    const char *eq = memchr(s, '=', n);
    char name[32];
    const size_t name_n = eq != NULL ? (size_t)(eq - s) : n;
    if (n == 0)
        return bad(r, "syntax", "an empty attribute (surplus ';', '&' or '?')");
    (void)snprintf(name, sizeof name, "%.*s", (int)(name_n < 32 ? name_n : 31), s);
    if (eq == NULL) /* not repeated: it may be a mistyped pin-value */
        return bad(r, "syntax", "an attribute without '='");
    for (size_t i = 0; i < FIELDS; i++) {
        if (strlen(fields[i].name) != name_n || memcmp(fields[i].name, s, name_n) != 0)
            continue;
        if (fields[i].query != query)
            return bad(r, fields[i].name,
                       query ? "belongs before the '?'" : "belongs after the '?'");
        return store(r, i, eq + 1, n - name_n - 1);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strlen(refused[i].name) == name_n && memcmp(refused[i].name, s, name_n) == 0)
            return bad(r, refused[i].name, refused[i].why);
    return bad(r, name, "unknown attribute");
}

/* Attributes separated by `separator` up to `end`. */
static int attributes(struct reader *r, const char *s, const char *end, bool query)
{
    const char separator = query ? '&' : ';';
    for (;;) {
        const char *stop = memchr(s, separator, (size_t)(end - s));
        int rc = attribute(r, s, (size_t)((stop != NULL ? stop : end) - s), query);
        if (rc != 0 || stop == NULL)
            return rc;
        s = stop + 1;
    }
}

static int check_need(struct reader *r, unsigned need)
{
    const struct kw_uri *u = r->u;
    if ((need & KW_URI_TOKEN) && u->token[0] == '\0' && u->serial[0] == '\0')
        return bad(r, "token", "missing; the URI must name a token by token= or serial=");
    if ((need & KW_URI_TOKEN) && u->module_path[0] == '\0')
        return bad(r, "module-path", "missing; add ?module-path=/path/of/module.so");
    if ((need & KW_URI_OBJECT) && u->object[0] == '\0' && u->id_len == 0)
        return bad(r, "object", "missing; the URI must name a key by object= or id=");
    return 0;
}

int kw_uri_parse(const char *text, unsigned need, struct kw_uri *ret, struct kw_err *err)
{
    static const char scheme[] = "pkcs11:";
    struct reader r = {.u = ret, .err = err};
    memset(ret, 0, sizeof *ret);
    const size_t n = strnlen(text, URI_MAX + 1);
    if (n > URI_MAX)
        return bad(&r, "syntax", "longer than 8192 characters");
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return bad(&r, "scheme", "does not begin with pkcs11:");
    const char *path = text + sizeof scheme - 1, *end = text + n;
    const char *mark = memchr(path, '?', (size_t)(end - path));
    const char *path_end = mark != NULL ? mark : end;
    int rc = path == path_end ? 0 : attributes(&r, path, path_end, false);
    if (rc == 0 && mark != NULL)
        rc = attributes(&r, mark + 1, end, true);
    if (rc == 0)
        rc = check_need(&r, need);
    if (rc != 0)
        *ret = (struct kw_uri){0};
    return rc;
}

struct writer {
    char *out;
    size_t size, n;
    bool full;
};

static void put(struct writer *w, char c)
{
    if (w->n + 1 >= w->size) {
        w->full = true;
        return;
    }
    w->out[w->n++] = c;
    w->out[w->n] = '\0';
}

static void put_text(struct writer *w, const char *s)
{
    while (*s != '\0')
        put(w, *s++);
}

static void put_value(struct writer *w, const unsigned char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char hex[4];
        if (unreserved(s[i])) {
            put(w, (char)s[i]);
            continue;
        }
        (void)snprintf(hex, sizeof hex, "%%%02X", (unsigned)s[i]);
        put_text(w, hex);
    }
}

bool kw_uri_print(const struct kw_uri *u, char *out, size_t size)
{
    struct writer w = {.out = out, .size = size};
    bool any[2] = {false, false}; /* in path, in query */
    if (size == 0)
        return false;
    out[0] = '\0';
    put_text(&w, "pkcs11:");
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *f = &fields[i];
        const unsigned char *value = (const unsigned char *)u + f->offset;
        const size_t n = f->kind == BYTES ? u->id_len : strnlen((const char *)value, f->size);
        if (n == 0)
            continue;
        if (any[f->query] || f->query)
            put(&w, f->query ? (any[1] ? '&' : '?') : ';');
        any[f->query] = true;
        put_text(&w, f->name);
        put(&w, '=');
        put_value(&w, value, n);
    }
    return !w.full;
}
