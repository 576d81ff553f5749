/* SPDX-License-Identifier: Apache-2.0 */
#include "hdr.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* RFC 9110, section 5.6.2: token */
static bool is_tchar(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_vchar(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c <= 0x7e);
}

bool kw_hdr_name_ok(const char *name)
{
    if (*name == '\0')
        return false;
    for (; *name != '\0'; name++)
        if (!is_tchar((unsigned char)*name))
            return false;
    return true;
}

bool kw_hdr_value_ok(const char *value)
{
    for (; *value != '\0'; value++)
        if (!is_vchar((unsigned char)*value))
            return false;
    return true;
}

static bool chars_ok(struct kw_view v, bool (*ok)(unsigned char c))
{
    for (size_t i = 0; i < v.len; i++)
        if (!ok(v.p[i]))
            return false;
    return true;
}

/* The next line in place: values may be secrets (Authorization), of which no copy is to be
 * left behind, and as long as all lines together. */
static int step(const char **cursor, struct kw_view *name, struct kw_view *value)
{
    static const char target[] = "(request-target)";
    const char *line = *cursor;
    if (*line == '\0')
        return 0;
    const char *end = strchr(line, '\n');
    if (end == NULL)
        return -1;
    const char *colon = memchr(line, ':', (size_t)(end - line));
    if (colon != NULL && colon[1] != ' ')
        return -1;
    const char *from = colon != NULL ? colon + 2 : end;
    *name = (struct kw_view){.p = (const unsigned char *)line,
                             .len = (size_t)((colon != NULL ? colon : end) - line)};
    *value = (struct kw_view){.p = (const unsigned char *)from, .len = (size_t)(end - from)};
    bool pseudo =
        colon == NULL && name->len == sizeof target - 1 && memcmp(name->p, target, name->len) == 0;
    if ((!pseudo && (name->len == 0 || !chars_ok(*name, is_tchar))) || !chars_ok(*value, is_vchar))
        return -1;
    *cursor = end + 1;
    return 1;
}

static bool copy(struct kw_view v, char *to, size_t size)
{
    if (v.len >= size)
        return false;
    memcpy(to, v.p, v.len);
    to[v.len] = '\0';
    return true;
}

int kw_hdr_next(const char **cursor, char *name, size_t name_size, char *value, size_t value_size)
{
    const char *at = *cursor;
    struct kw_view n, v;
    int r = step(&at, &n, &v);
    if (r == 1 && (!copy(n, name, name_size) || !copy(v, value, value_size)))
        return -1;
    *cursor = at;
    return r;
}

static bool is_name(struct kw_view v, const char *name)
{
    return v.len == strlen(name) && strncasecmp((const char *)v.p, name, v.len) == 0;
}

bool kw_hdr_find(const char *lines, const char *name, char *value, size_t size)
{
    struct kw_view n, v;
    while (step(&lines, &n, &v) == 1)
        if (is_name(n, name))
            return copy(v, value, size);
    return false;
}

int kw_hdr_count(const char *lines, const char *name)
{
    struct kw_view n, v;
    int count = 0, r;
    while ((r = step(&lines, &n, &v)) == 1)
        count += is_name(n, name);
    return r == 0 ? count : -1;
}

bool kw_hdr_add(char *lines, size_t size, const char *name, const char *value)
{
    size_t have = strlen(lines), nn = strlen(name), nv = strlen(value);
    if (!kw_hdr_name_ok(name) || !kw_hdr_value_ok(value) || have >= size ||
        nn + nv + 4 > size - have)
        return false;
    (void)snprintf(lines + have, size - have, "%s: %s\n", name, value);
    return true;
}
