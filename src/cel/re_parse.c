/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions: the pattern becomes a tree. What RE2 refuses is refused, in
 * particular look-around and back references; see re.h for what is left out. */
#include <stdlib.h>
#include <string.h>

#include "re_parse.h"

enum { REPEAT_MAX = 1000 };

struct parser {
    struct kw_re *re;
    const char *text;
    size_t n, at;
    bool fold, dot_all, multi; /* (?i) (?s) (?m) */
    bool quoting;              /* between \Q and \E */
    unsigned depth;
    enum kw_re_parsed state;
    size_t where;
    const char *reason;
};

static void stop(struct parser *p, enum kw_re_parsed state, size_t at, const char *reason)
{
    if (p->state != KW_RE_GOOD)
        return;
    p->state = state;
    p->where = at;
    p->reason = reason;
}

static bool more(const struct parser *p)
{
    return p->state == KW_RE_GOOD && p->at < p->n;
}

static bool looking_at(const struct parser *p, const char *s)
{
    size_t n = strlen(s);
    return p->n - p->at >= n && memcmp(p->text + p->at, s, n) == 0;
}

static bool take(struct parser *p, const char *s)
{
    if (!looking_at(p, s))
        return false;
    p->at += strlen(s);
    return true;
}

static uint32_t node(struct parser *p, enum re_op op)
{
    if (p->re->n_nodes == RE_NODES) {
        stop(p, KW_RE_BEYOND, p->at, "the pattern is too large");
        return 0;
    }
    p->re->nodes[p->re->n_nodes] = (struct re_node){.op = op};
    return p->re->n_nodes++;
}

/* A finished set as a node; s is used up. */
static uint32_t set_node(struct parser *p, struct re_set *s)
{
    struct kw_re *re = p->re;
    uint32_t at = node(p, RE_SET);
    if (s->failed || re->n_ranges + s->n > RE_RANGES) {
        stop(p, KW_RE_BEYOND, p->at, "the pattern's character classes are too large");
    } else if (s->n > 0) {
        memcpy(re->ranges + re->n_ranges, s->r, s->n * sizeof *s->r);
        re->nodes[at].set = re->n_ranges;
        re->nodes[at].n_ranges = (uint32_t)s->n;
        re->n_ranges += (uint32_t)s->n;
    }
    free(s->r);
    return at;
}

static uint32_t look_node(struct parser *p, enum re_look look)
{
    uint32_t at = node(p, RE_LOOK);
    p->re->nodes[at].look = look;
    return at;
}

/* A range that the pattern spells out. */
static void add_spelled(struct parser *p, struct re_set *s, uint32_t lo, uint32_t hi)
{
    struct re_set one = {0};
    if (p->fold && hi > 0x7f)
        stop(p, KW_RE_BEYOND, p->at, "case folding beyond ASCII");
    re_set_add(&one, lo, hi);
    if (p->fold)
        re_set_fold(&one);
    for (size_t i = 0; i < one.n; i++)
        re_set_add(s, one.r[i].lo, one.r[i].hi);
    s->failed = s->failed || one.failed;
    free(one.r);
}

static uint32_t char_node(struct parser *p, uint32_t rune)
{
    struct re_set s = {0};
    add_spelled(p, &s, rune, rune);
    re_set_finish(&s);
    return set_node(p, &s);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind "\x": two digits, or any number of them in braces. */
static uint32_t parse_hex(struct parser *p, size_t start)
{
    uint32_t v = 0;
    bool braces = take(p, "{");
    unsigned digits = 0;
    while (p->at < p->n && hex(p->text[p->at]) >= 0 && v <= RE_RUNE_MAX && (braces || digits < 2)) {
        v = v * 16 + (uint32_t)hex(p->text[p->at++]);
        digits++;
    }
    if (digits == 0 || (!braces && digits != 2) || v > RE_RUNE_MAX || (braces && !take(p, "}")))
        stop(p, KW_RE_BAD, start, "invalid escape sequence");
    return v;
}

/* Behind a backslash: an escape that stands for one character. */
static uint32_t parse_escape(struct parser *p, size_t start)
{
    static const char from[] = "aftnrv", to[] = "\a\f\t\n\r\v";
    if (p->at == p->n) {
        stop(p, KW_RE_BAD, start, "a backslash at the end");
        return 0;
    }
    size_t size;
    uint32_t c = re_rune(p->text + p->at, p->n - p->at, &size);
    p->at += size;
    char next = p->at < p->n ? p->text[p->at] : '\0';
    if (c == 'x')
        return parse_hex(p, start);
    if (c == '0' || (c >= '1' && c <= '7' && next >= '0' && next <= '7')) {
        uint32_t v = c - '0';
        for (int i = 0; i < 2 && p->at < p->n && p->text[p->at] >= '0' && p->text[p->at] <= '7';
             i++)
            v = v * 8 + (uint32_t)(p->text[p->at++] - '0');
        return v;
    }
    const char *letter = c != 0 && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (letter != NULL)
        return (uint32_t)to[letter - from];
    bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c < 0x80 && !word)
        return c;
    if (c == 'p' || c == 'P' || c == 'C')
        stop(p, KW_RE_BEYOND, start, "Unicode classes and \\C are not evaluated");
    stop(p, KW_RE_BAD, start,
         c >= '1' && c <= '9' ? "a back reference, which RE2 doesn't have"
                              : "invalid escape sequence");
    return 0;
}

static uint32_t class_char(struct parser *p)
{
    size_t size, start = p->at;
    if (p->at == p->n) {
        stop(p, KW_RE_BAD, start, "missing closing ]");
        return 0;
    }
    if (p->text[p->at] == '\\') {
        p->at++;
        return parse_escape(p, start);
    }
    uint32_t c = re_rune(p->text + p->at, p->n - p->at, &size);
    p->at += size;
    return c;
}

/* "[:name:]"; false if it isn't one. */
static bool posix_class(struct parser *p, struct re_set *s)
{
    if (!looking_at(p, "[:"))
        return false;
    size_t from = p->at + 2, end = from;
    while (end + 1 < p->n && (p->text[end] != ':' || p->text[end + 1] != ']'))
        end++;
    if (end + 1 >= p->n)
        return false;
    bool negated = p->text[from] == '^';
    from += negated ? 1 : 0;
    if (!re_set_posix(s, p->text + from, end - from, negated, p->fold))
        stop(p, KW_RE_BAD, p->at, "invalid character class");
    p->at = end + 2;
    return true;
}

static bool perl_class(struct parser *p, struct re_set *s)
{
    if (p->n - p->at < 2 || p->text[p->at] != '\\' || !re_set_perl(s, p->text[p->at + 1], p->fold))
        return false;
    p->at += 2;
    return true;
}

/* Behind the "[". */
static uint32_t parse_class(struct parser *p, size_t start)
{
    struct re_set s = {0};
    bool negated = take(p, "^"), first = true;
    while (p->state == KW_RE_GOOD && (first || !looking_at(p, "]"))) {
        first = false;
        if (p->at == p->n) {
            stop(p, KW_RE_BAD, start, "missing closing ]");
            break;
        }
        if (posix_class(p, &s) || perl_class(p, &s))
            continue;
        size_t at = p->at;
        uint32_t lo = class_char(p), hi = lo;
        if (p->n - p->at >= 2 && p->text[p->at] == '-' && p->text[p->at + 1] != ']') {
            p->at++;
            hi = class_char(p);
            if (hi < lo)
                stop(p, KW_RE_BAD, at, "a range that runs backwards");
        }
        if (p->state == KW_RE_GOOD)
            add_spelled(p, &s, lo, hi);
    }
    (void)take(p, "]");
    re_set_finish(&s);
    if (negated)
        re_set_negate(&s);
    return set_node(p, &s);
}

static uint32_t parse_alternatives(struct parser *p);

/* Behind "(?": flags, to ")" or ":"; true if a group follows. */
static bool parse_flags(struct parser *p, size_t start)
{
    bool on = true, any = false;
    for (; more(p); p->at++) {
        char c = p->text[p->at];
        if (c == 'i')
            p->fold = on;
        else if (c == 'm')
            p->multi = on;
        else if (c == 's')
            p->dot_all = on;
        else if (c == '-' && on)
            on = any = false;
        else if ((c == ':' || c == ')') && (on || any)) {
            p->at++;
            return c == ':';
        } else if (c != 'U') /* which end is preferred makes no difference here */
            break;
        any = any || c != '-';
    }
    stop(p, KW_RE_BAD, start, "invalid or unsupported group syntax (RE2 has no look-around)");
    return false;
}

static void parse_name(struct parser *p, size_t start)
{
    size_t from = p->at;
    while (p->at < p->n && p->text[p->at] != '>') {
        char c = p->text[p->at++];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '_')) {
            if ((unsigned char)c >= 0x80)
                stop(p, KW_RE_BEYOND, start, "a group's name beyond ASCII");
            stop(p, KW_RE_BAD, start, "invalid name of a group");
        }
    }
    bool empty = p->at == from;
    if (empty || !take(p, ">"))
        stop(p, KW_RE_BAD, start, "invalid name of a group");
}

/* Behind the "(". 0 with the state good: only flags. */
static uint32_t parse_group(struct parser *p, size_t start)
{
    struct parser outer = *p;
    bool group = true;
    if (take(p, "?P<"))
        parse_name(p, start);
    else if (looking_at(p, "?<") && !looking_at(p, "?<=") && !looking_at(p, "?<!"))
        stop(p, KW_RE_BEYOND, start, "(?<name>), which only newer versions of RE2 have");
    else if (take(p, "?"))
        group = parse_flags(p, start);
    if (!group) /* they hold to the end of the group around */
        return 0;
    if (++p->depth > KW_RE_NEST)
        stop(p, KW_RE_BEYOND, start, "groups are nested too deep");
    uint32_t at = parse_alternatives(p);
    p->depth--;
    if (p->state == KW_RE_GOOD && !take(p, ")"))
        stop(p, KW_RE_BAD, start, "missing closing )");
    p->fold = outer.fold;
    p->multi = outer.multi;
    p->dot_all = outer.dot_all;
    return at;
}

static uint32_t parse_backslash(struct parser *p, size_t start)
{
    static const char letters[] = "AzbB";
    static const enum re_look looks[] = {RE_TEXT_BEGIN, RE_TEXT_END, RE_WORD, RE_NO_WORD};
    struct re_set s = {0};
    if (perl_class(p, &s)) {
        re_set_finish(&s);
        return set_node(p, &s);
    }
    free(s.r);
    p->at++;
    const char *letter =
        p->at < p->n && p->text[p->at] != '\0' ? strchr(letters, p->text[p->at]) : NULL;
    if (letter != NULL) {
        p->at++;
        return look_node(p, looks[letter - letters]);
    }
    uint32_t rune = parse_escape(p, start);
    return char_node(p, rune);
}

static uint32_t parse_dot(struct parser *p)
{
    struct re_set s = {0};
    re_set_add(&s, 0, p->dot_all ? RE_RUNE_MAX : '\n' - 1);
    if (!p->dot_all)
        re_set_add(&s, '\n' + 1, RE_RUNE_MAX);
    return set_node(p, &s);
}

/* One thing that may be repeated; 0: flags or the bounds of a quotation. */
static uint32_t parse_atom(struct parser *p)
{
    size_t size, start = p->at;
    if (p->quoting && take(p, "\\E")) {
        p->quoting = false;
        return 0;
    }
    if (!p->quoting && take(p, "\\Q")) {
        p->quoting = true;
        return 0;
    }
    char c = p->text[p->at];
    if (!p->quoting && c == '\\')
        return parse_backslash(p, start);
    uint32_t rune = re_rune(p->text + p->at, p->n - p->at, &size);
    p->at += size;
    if (!p->quoting && c == '(')
        return parse_group(p, start);
    if (!p->quoting && c == '[')
        return parse_class(p, start);
    if (!p->quoting && c == '.')
        return parse_dot(p);
    if (!p->quoting && c == '^')
        return look_node(p, p->multi ? RE_LINE_BEGIN : RE_TEXT_BEGIN);
    if (!p->quoting && c == '$')
        return look_node(p, p->multi ? RE_LINE_END : RE_TEXT_END);
    return char_node(p, rune);
}

static bool parse_number(struct parser *p, int *v)
{
    size_t from = p->at;
    *v = 0;
    for (; p->at < p->n && p->text[p->at] >= '0' && p->text[p->at] <= '9'; p->at++)
        *v = *v > REPEAT_MAX ? *v : *v * 10 + (p->text[p->at] - '0');
    return p->at > from;
}

/* "{n}", "{n,}" or "{n,m}"; anything else with a brace is taken as it stands. */
static bool parse_counts(struct parser *p, int *min, int *max)
{
    size_t start = p->at;
    if (take(p, "{") && parse_number(p, min)) {
        *max = *min;
        if (take(p, ",") && !parse_number(p, max))
            *max = -1;
        if (take(p, "}")) {
            if (*min > REPEAT_MAX || *max > REPEAT_MAX || (*max >= 0 && *max < *min))
                stop(p, KW_RE_BAD, start, "invalid number of repetitions");
            return true;
        }
    }
    p->at = start;
    return false;
}

static bool parse_repeat(struct parser *p, int *min, int *max)
{
    *min = 0;
    *max = -1;
    if (p->quoting || p->at == p->n)
        return false;
    if (take(p, "*"))
        return true;
    if (take(p, "+")) {
        *min = 1;
        return true;
    }
    if (take(p, "?")) {
        *max = 1;
        return true;
    }
    return parse_counts(p, min, max);
}

/* All that may stand behind one atom. */
static uint32_t parse_repeated(struct parser *p, uint32_t atom)
{
    int min, max;
    if (!parse_repeat(p, &min, &max))
        return atom;
    uint32_t at = node(p, RE_REPEAT);
    p->re->nodes[at].first = atom;
    p->re->nodes[at].min = min;
    p->re->nodes[at].max = max;
    (void)take(p, "?"); /* fewest first: finds the same texts */
    size_t again = p->at;
    if (p->state == KW_RE_GOOD && parse_repeat(p, &min, &max))
        stop(p, KW_RE_BAD, again, "a repetition of a repetition without a group");
    return at;
}

static uint32_t parse_sequence(struct parser *p)
{
    uint32_t first = 0, last = 0, n = 0;
    while (more(p) && (p->quoting || !(looking_at(p, "|") || looking_at(p, ")")))) {
        int min, max;
        size_t start = p->at;
        if (parse_repeat(p, &min, &max)) {
            if (n > 0) /* behind flags: whose repetition it is, is not clear */
                stop(p, KW_RE_BEYOND, start, "a repetition behind flags or a quotation");
            stop(p, KW_RE_BAD, start, "a repetition of nothing");
            break;
        }
        uint32_t at = parse_atom(p);
        if (at == 0)
            continue;
        at = parse_repeated(p, at);
        if (last != 0)
            p->re->nodes[last].next = at;
        first = first == 0 ? at : first;
        last = at;
        n++;
    }
    uint32_t at = node(p, n == 0 ? RE_EMPTY : RE_CAT);
    p->re->nodes[at].first = first;
    return at;
}

static uint32_t parse_alternatives(struct parser *p)
{
    uint32_t first = parse_sequence(p), last = first;
    while (more(p) && take(p, "|")) {
        uint32_t at = parse_sequence(p);
        p->re->nodes[last].next = at;
        last = at;
    }
    uint32_t at = node(p, RE_ALT);
    p->re->nodes[at].first = first;
    return at;
}

enum kw_re_parsed re_parse(struct kw_re *re, const char *pattern, size_t n, uint32_t *top,
                           size_t *where, const char **reason)
{
    struct parser p = {.re = re, .text = pattern, .n = n};
    (void)node(&p, RE_EMPTY); /* number 0 stands for none */
    *top = parse_alternatives(&p);
    if (p.at < p.n)
        stop(&p, KW_RE_BAD, p.at, "a ) without its (");
    *where = p.where;
    *reason = p.reason;
    return p.state;
}
