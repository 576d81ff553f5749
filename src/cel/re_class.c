/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of characters for regular expressions. */
#include <stdlib.h>
#include <string.h>

#include "re_int.h"

enum { KELVIN = 0x212a, LONG_S = 0x17f };

void re_set_add(struct re_set *s, uint32_t lo, uint32_t hi)
{
    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 16 : 2 * s->cap;
        struct re_range *r = cap > RE_RANGES ? NULL : realloc(s->r, cap * sizeof *r);
        if (r == NULL) {
            s->failed = true;
            return;
        }
        s->r = r;
        s->cap = cap;
    }
    s->r[s->n++] = (struct re_range){lo, hi};
}

static void add_shifted(struct re_set *s, struct re_range r, uint32_t from, uint32_t to, int by)
{
    uint32_t lo = r.lo > from ? r.lo : from, hi = r.hi < to ? r.hi : to;
    if (lo <= hi)
        re_set_add(s, (uint32_t)((int)lo + by), (uint32_t)((int)hi + by));
}

static bool holds(struct re_range r, uint32_t c)
{
    return r.lo <= c && c <= r.hi;
}

/* Unicode folds two characters beyond ASCII to ASCII letters: the Kelvin sign and the
 * long s. RE2 and Go count them in. */
void re_set_fold(struct re_set *s)
{
    size_t n = s->n;
    for (size_t i = 0; i < n; i++) {
        struct re_range r = s->r[i];
        add_shifted(s, r, 'a', 'z', 'A' - 'a');
        add_shifted(s, r, 'A', 'Z', 'a' - 'A');
        if (holds(r, 'k') || holds(r, 'K'))
            re_set_add(s, KELVIN, KELVIN);
        if (holds(r, 's') || holds(r, 'S'))
            re_set_add(s, LONG_S, LONG_S);
        for (int upper = 0; upper < 2; upper++) {
            if (holds(r, KELVIN))
                re_set_add(s, upper ? 'K' : 'k', upper ? 'K' : 'k');
            if (holds(r, LONG_S))
                re_set_add(s, upper ? 'S' : 's', upper ? 'S' : 's');
        }
    }
}

static int by_lo(const void *a, const void *b)
{
    const struct re_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void re_set_finish(struct re_set *s)
{
    if (s->n == 0)
        return;
    qsort(s->r, s->n, sizeof *s->r, by_lo);
    size_t out = 0;
    for (size_t i = 1; i < s->n; i++) {
        if (s->r[i].lo <= s->r[out].hi + 1) {
            if (s->r[i].hi > s->r[out].hi)
                s->r[out].hi = s->r[i].hi;
        } else {
            s->r[++out] = s->r[i];
        }
    }
    s->n = out + 1;
}

void re_set_negate(struct re_set *s)
{
    struct re_set to = {.failed = s->failed};
    uint32_t next = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->r[i].lo > next)
            re_set_add(&to, next, s->r[i].lo - 1);
        next = s->r[i].hi + 1;
    }
    if (next <= RE_RUNE_MAX)
        re_set_add(&to, next, RE_RUNE_MAX);
    free(s->r);
    *s = to;
}

/* from joins s: folded and turned round first, as RE2 does. from is used up. */
static void join(struct re_set *s, struct re_set *from, bool negated, bool fold)
{
    if (fold)
        re_set_fold(from);
    re_set_finish(from);
    if (negated)
        re_set_negate(from);
    for (size_t i = 0; i < from->n; i++)
        re_set_add(s, from->r[i].lo, from->r[i].hi);
    s->failed = s->failed || from->failed;
    free(from->r);
}

static const struct {
    const char *name;
    const char *pairs; /* first and last character of each range */
} posix[] = {{"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"blank", "\t\t  "},  {"digit", "09"},
             {"graph", "!~"},     {"lower", "az"},   {"print", " ~"},      {"punct", "!/:@[`{~"},
             {"space", "\t\r  "}, {"upper", "AZ"},   {"word", "09AZaz__"}, {"xdigit", "09AFaf"}};

bool re_set_posix(struct re_set *s, const char *name, size_t n, bool negated, bool fold)
{
    struct re_set from = {0};
    bool known = true;
    if (n == 5 && memcmp(name, "ascii", 5) == 0) {
        re_set_add(&from, 0, 0x7f);
    } else if (n == 5 && memcmp(name, "cntrl", 5) == 0) {
        re_set_add(&from, 0, 0x1f);
        re_set_add(&from, 0x7f, 0x7f);
    } else {
        const char *pairs = NULL;
        for (size_t i = 0; i < sizeof posix / sizeof posix[0]; i++)
            if (strlen(posix[i].name) == n && memcmp(posix[i].name, name, n) == 0)
                pairs = posix[i].pairs;
        known = pairs != NULL;
        for (const char *p = pairs; known && *p != '\0'; p += 2)
            re_set_add(&from, (unsigned char)p[0], (unsigned char)p[1]);
    }
    join(s, &from, negated, fold);
    return known;
}

bool re_set_perl(struct re_set *s, char letter, bool fold)
{
    /* \s has no vertical tab, which [[:space:]] has */
    static const char letters[] = "dsw";
    static const char *const pairs[] = {"09", "\t\n\f\r  ", "09AZaz__"};
    bool negated = letter >= 'A' && letter <= 'Z';
    const char *which = strchr(letters, negated ? letter - 'A' + 'a' : letter);
    if (which == NULL || letter == '\0')
        return false;
    struct re_set from = {0};
    for (const char *p = pairs[which - letters]; *p != '\0'; p += 2)
        re_set_add(&from, (unsigned char)p[0], (unsigned char)p[1]);
    join(s, &from, negated, fold);
    return true;
}

uint32_t re_rune(const char *p, size_t n, size_t *size)
{
    unsigned char c = (unsigned char)p[0];
    size_t want = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t rune = want == 1 ? c : c & (0xffU >> (want + 1));
    if (want > n) /* can't be in valid UTF-8 */
        want = n;
    for (size_t i = 1; i < want; i++)
        rune = rune << 6 | ((unsigned char)p[i] & 0x3fU);
    *size = want;
    return rune;
}
