/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions over foreign patterns and texts. Input: the pattern, a NUL, the text. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cel/re.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_utf8(const char *p, size_t n)
{
    json_t *s = json_stringn(p, n);
    json_decref(s);
    return s != NULL;
}

/* The answer, and that fewer steps give the same one or none. */
static char search(struct kw_re *re, const char *text, size_t len)
{
    uint64_t left = UINT64_MAX, few;
    enum kw_re_found found = kw_re_search(re, text, len, &left), again;
    must(found != KW_RE_TOO_MUCH);
    few = UINT64_MAX - left;
    again = kw_re_search(re, text, len, &few);
    must(again == found && few == 0);
    few = (UINT64_MAX - left) / 2;
    again = kw_re_search(re, text, len, &few);
    must(again == found || (again == KW_RE_TOO_MUCH && few == 0));
    return found == KW_RE_YES ? 'y' : 'n';
}

/* 'y', 'n', or '?' if it isn't taken */
static char find(const char *before, const char *pattern, size_t n, const char *after,
                 const char *text, size_t len)
{
    struct kw_re *re;
    size_t at, a = strlen(before), b = strlen(after);
    const char *reason;
    char *whole = malloc(a + n + b + 1), found = '?';
    must(whole != NULL);
    memcpy(whole, before, a);
    memcpy(whole + a, pattern, n);
    memcpy(whole + a + n, after, b);
    if (kw_re_compile(whole, a + n + b, &re, &at, &reason) == KW_RE_GOOD)
        found = search(re, text, len);
    else
        must(re == NULL && reason != NULL && at <= a + n + b);
    kw_re_free(re);
    free(whole);
    return found;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *pattern = (const char *)data;
    const char *gap = memchr(data, '\0', size);
    size_t n = gap != NULL ? (size_t)(gap - pattern) : size, rest = gap != NULL ? n + 1 : size;
    if (!is_utf8(pattern, n) || !is_utf8(pattern + rest, size - rest))
        return 0;
    size_t len = size - rest > 4096 ? 0 : size - rest;
    const char *text = pattern + rest;
    char found = find("", pattern, n, "", text, len);
    if (found == '?')
        return 0;
    /* \Q without \E would quote what stands behind it */
    if (memmem(pattern, n, "\\Q", 2) != NULL)
        return 0;
    char group = find("(?:", pattern, n, ")", text, len);
    must(group == found || group == '?');
    char star = find("(?:", pattern, n, ")*", text, len);
    must(star != 'n');
    char repeated = find("(?:", pattern, n, ")+", text, len);
    must(repeated == found || repeated == '?');
    char either = find("(?:", pattern, n, ")|\\z", text, len);
    must(either != 'n');
    return 0;
}
