/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL: functions. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cel_int.h"
#include "re.h"

typedef void function(const struct cel_val *args, uint32_t node, struct cel_val *out);

enum { COMPILE = 10000 }; /* steps that a pattern costs, before its first character */

static const char *str(const struct cel_val *v)
{
    return json_string_value(v->v);
}

static size_t len(const struct cel_val *v)
{
    return json_string_length(v->v);
}

static void put_bool(struct cel_val *out, bool b)
{
    cel_put(out, json_boolean(b), false);
}

static void do_size(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    json_int_t n = 0;
    if (json_is_string(a->v))
        n = (json_int_t)cel_position(str(a), len(a)) - 1; /* characters */
    else if (json_is_array(a->v))
        n = (json_int_t)json_array_size(a->v);
    else if (json_is_object(a->v))
        n = (json_int_t)json_object_size(a->v);
    else {
        cel_set(out, KW_CEL_ERROR, node, "size() of %s", cel_type(a));
        return;
    }
    cel_put(out, json_integer(n), false);
}

/* Below a million an int and a double of the same value are written alike; above, some
 * write the double as 1e+06. */
static void do_string(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    enum { ALIKE = 1000000 };
    char text[32];
    json_int_t i = json_integer_value(a->v);
    if (json_is_string(a->v)) {
        cel_put(out, json_incref(a->v), false);
    } else if (json_is_integer(a->v) && (!a->claimed || (i > -ALIKE && i < ALIKE))) {
        (void)snprintf(text, sizeof text, "%lld", (long long)i);
        cel_put(out, json_string(text), false);
    } else if (json_is_number(a->v)) {
        cel_set(out, KW_CEL_UNKNOWN, node,
                "string() of a number that may be a double: how it is written isn't settled");
    } else if (json_is_boolean(a->v)) {
        cel_set(out, KW_CEL_UNKNOWN, node, "string() of a bool, which only newer versions have");
    } else {
        cel_set(out, KW_CEL_ERROR, node, "string() of %s", cel_type(a));
    }
}

static void string_to_int(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    const char *s = str(a), *digits = s + (s[0] == '-' || s[0] == '+' ? 1 : 0);
    size_t n = strlen(digits);
    if (n > 0 && (isspace((unsigned char)s[0]) || isspace((unsigned char)s[strlen(s) - 1]))) {
        cel_set(out, KW_CEL_UNKNOWN, node, "int() of a string with blanks around the number");
        return;
    }
    errno = 0;
    long long v = strtoll(s, NULL, 10);
    if (n == 0 || digits[strspn(digits, "0123456789")] != '\0' || strlen(s) != len(a) || errno != 0)
        cel_set(out, KW_CEL_ERROR, node, "int() of a string that is no number");
    else
        cel_put(out, json_integer(v), false);
}

static void do_int(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    const json_int_t exact = (json_int_t)1 << 53;
    json_int_t i = json_integer_value(a->v);
    if (json_is_string(a->v))
        string_to_int(a, node, out);
    else if (json_is_integer(a->v) && (!a->claimed || (i >= -exact && i <= exact)))
        cel_put(out, json_integer(i), false);
    else if (json_is_number(a->v))
        cel_set(out, KW_CEL_UNKNOWN, node, "int() of a double");
    else
        cel_set(out, KW_CEL_ERROR, node, "int() of %s", cel_type(a));
}

static void do_starts(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    (void)node;
    put_bool(out, len(a) >= len(&a[1]) && memcmp(str(a), str(&a[1]), len(&a[1])) == 0);
}

static void do_ends(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    (void)node;
    size_t n = len(a), m = len(&a[1]);
    put_bool(out, n >= m && memcmp(str(a) + n - m, str(&a[1]), m) == 0);
}

static void do_contains(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    (void)node;
    put_bool(out, memmem(str(a), len(a), str(&a[1]), len(&a[1])) != NULL);
}

static void do_matches(const struct cel_val *a, uint32_t node, uint64_t *work, struct cel_val *out)
{
    struct kw_re *re;
    size_t at;
    const char *reason;
    if (!cel_spend(work, COMPILE, node, out))
        return;
    enum kw_re_parsed r = kw_re_compile(str(&a[1]), len(&a[1]), &re, &at, &reason);
    if (r == KW_RE_GOOD) {
        enum kw_re_found found = kw_re_search(re, str(a), len(a), work);
        if (found == KW_RE_TOO_MUCH)
            (void)cel_spend(work, 1, node, out);
        else
            put_bool(out, found == KW_RE_YES);
    } else
        cel_set(out, r == KW_RE_BAD ? KW_CEL_ERROR : KW_CEL_UNKNOWN, node,
                "the pattern '%.80s' at its position %zu: %s", str(&a[1]),
                cel_position(str(&a[1]), at), reason);
    kw_re_free(re);
}

/* The one {name} of a template; false if there is none or another. */
static bool find_hole(const struct cel_val *t, size_t *open, size_t *close)
{
    const char *s = str(t), *a = memchr(s, '{', len(t)), *b = memchr(s, '}', len(t));
    if (a == NULL || b == NULL || b < a + 2 || memchr(s, '\\', len(t)) != NULL)
        return false;
    *open = (size_t)(a - s);
    *close = (size_t)(b - s);
    return memchr(a + 1, '{', len(t) - *open - 1) == NULL &&
           memchr(b + 1, '}', len(t) - *close - 1) == NULL;
}

/* 'a/{x}/b': what stands between the first "a/" and the first "/b" behind it; to the end
 * where nothing follows the hole; "" where it doesn't fit. */
static void do_extract(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    size_t open, close, n = len(a);
    const struct cel_val *t = &a[1];
    if (!find_hole(t, &open, &close)) {
        cel_set(out, KW_CEL_UNKNOWN, node,
                "extract() with a template other than prefix{name}suffix");
        return;
    }
    const char *s = str(a), *end = s + n, *suffix = str(t) + close + 1;
    size_t m = len(t) - close - 1;
    const char *from = memmem(s, n, str(t), open);
    const char *to = NULL;
    if (from != NULL) {
        from += open;
        to = m == 0 ? end : memmem(from, (size_t)(end - from), suffix, m);
    }
    cel_put(out, to != NULL ? json_stringn(from, (size_t)(to - from)) : json_string(""), false);
}

static void do_split(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    const char *s = str(a), *end = s + len(a);
    size_t m = len(&a[1]);
    json_t *list = m > 0 ? json_array() : NULL;
    if (m == 0) {
        cel_set(out, KW_CEL_UNKNOWN, node, "split() by nothing");
        return;
    }
    for (const char *hit = s; hit != NULL;) {
        hit = memmem(s, (size_t)(end - s), str(&a[1]), m);
        const char *to = hit != NULL ? hit : end;
        if (json_array_size(list) == KW_CEL_ITEMS) {
            json_decref(list);
            cel_set(out, KW_CEL_UNKNOWN, node, "a list of more than %d items", KW_CEL_ITEMS);
            return;
        }
        (void)json_array_append_new(list, json_stringn(s, (size_t)(to - s)));
        s = to + m; /* past the end only behind the last */
        if (hit == NULL)
            break;
    }
    cel_put(out, list, false);
}

static void do_join(const struct cel_val *a, uint32_t node, struct cel_val *out)
{
    struct kw_buf b;
    size_t i;
    json_t *v;
    kw_buf_init(&b, KW_CEL_BYTES);
    json_array_foreach(a->v, i, v)
    {
        if (!json_is_string(v)) {
            kw_buf_free(&b);
            cel_set(out, KW_CEL_ERROR, node, "join() of a list that doesn't only hold strings");
            return;
        }
        if (i > 0)
            kw_put(&b, str(&a[1]), len(&a[1]));
        kw_put(&b, json_string_value(v), json_string_length(v));
    }
    if (b.bad)
        cel_set(out, KW_CEL_UNKNOWN, node, "a string of more than %d bytes", KW_CEL_BYTES);
    else
        cel_put(out, json_stringn(kw_buf_str(&b), b.len), false);
    kw_buf_free(&b);
}

static const struct entry {
    const char *name;
    const char *types;     /* s string, l list, ? any: the target first */
    bool method, function; /* which style it has */
    function *run;         /* NULL: matches(), which counts its own steps */
} functions[] = {
    {"size", "?", true, true, do_size},       {"string", "?", false, true, do_string},
    {"int", "?", false, true, do_int},        {"startsWith", "ss", true, false, do_starts},
    {"endsWith", "ss", true, false, do_ends}, {"contains", "ss", true, false, do_contains},
    {"matches", "ss", true, true, NULL},      {"extract", "ss", true, false, do_extract},
    {"split", "ss", true, false, do_split},   {"join", "ls", true, false, do_join},
};

static bool fits(char type, const json_t *v)
{
    return type == '?' || (type == 's' && json_is_string(v)) || (type == 'l' && json_is_array(v));
}

/* Which function somebody meant who got its capitals wrong, else NULL. */
static const char *spelt(const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strcasecmp(functions[i].name, name) == 0 && strcmp(functions[i].name, name) != 0)
            return functions[i].name;
    return NULL;
}

void cel_call(const struct cel_node *n, uint32_t node, struct cel_val *args, size_t n_args,
              uint64_t *work, struct cel_val *out)
{
    const char *name = json_string_value(n->value);
    const struct entry *f = NULL;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(functions[i].name, name) == 0 &&
            (n->method ? functions[i].method : functions[i].function))
            f = &functions[i];
    if (f == NULL || strlen(f->types) != n_args) {
        const char *meant = f == NULL ? spelt(name) : NULL;
        cel_set(out, KW_CEL_UNKNOWN, node, "the function %.40s()%s%s%s", name,
                f != NULL       ? " with so many arguments"
                : meant != NULL ? ", which is spelt "
                                : "",
                meant != NULL ? meant : "", meant != NULL ? "()" : "");
        return;
    }
    for (size_t i = 0; i < n_args; i++)
        if (!fits(f->types[i], args[i].v)) {
            cel_set(out, KW_CEL_ERROR, node, "%.40s() %s %s", name,
                    i == 0 && n->method ? "is called on" : "is given", cel_type(&args[i]));
            return;
        }
    if (f->run == NULL)
        do_matches(args, node, work, out);
    else
        f->run(args, node, out);
}
