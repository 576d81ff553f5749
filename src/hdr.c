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
        if (*value != '\t' && ((unsigned char)*value < 0x20 || (unsigned char)*value > 0x7e))
            return false;
    return true;
}

int kw_hdr_next(const char **cursor, char *name, size_t name_size, char *value, size_t value_size)
{
    const char *line = *cursor;
    if (*line == '\0')
        return 0;
    const char *end = strchr(line, '\n');
    if (end == NULL)
        return -1;
    const char *colon = memchr(line, ':', (size_t)(end - line));
    const char *name_end = colon != NULL ? colon : end;
    const char *from = end;
    if (colon != NULL) {
        if (colon[1] != ' ')
            return -1;
        from = colon + 2;
    }
    size_t nn = (size_t)(name_end - line), nv = (size_t)(end - from);
    if (nn >= name_size || nv >= value_size)
        return -1;
    memcpy(name, line, nn);
    name[nn] = '\0';
    memcpy(value, from, nv);
    value[nv] = '\0';
    bool pseudo = colon == NULL && strcmp(name, "(request-target)") == 0;
    if ((!pseudo && !kw_hdr_name_ok(name)) || !kw_hdr_value_ok(value))
        return -1;
    *cursor = end + 1;
    return 1;
}

bool kw_hdr_find(const char *lines, const char *name, char *value, size_t size)
{
    char n[128], v[8192];
    while (kw_hdr_next(&lines, n, sizeof n, v, sizeof v) == 1)
        if (strcasecmp(n, name) == 0)
            return (size_t)snprintf(value, size, "%s", v) < size;
    return false;
}

int kw_hdr_count(const char *lines, const char *name)
{
    char n[128], v[8192];
    int count = 0, r;
    while ((r = kw_hdr_next(&lines, n, sizeof n, v, sizeof v)) == 1)
        count += strcasecmp(n, name) == 0;
    return r == 0 ? count : -1;
}

bool kw_hdr_add(char *lines, size_t size, const char *name, const char *value)
{
    size_t have = strlen(lines), nn = strlen(name), nv = strlen(value);
    if (!kw_hdr_name_ok(name) || !kw_hdr_value_ok(value) || nn + nv + 4 > size - have)
        return false;
    (void)snprintf(lines + have, size - have, "%s: %s\n", name, value);
    return true;
}
