/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions: the tree becomes a program, and all ways through it are followed
 * at once, one character of the text after the other. */
#include "re.h"

#include <stdlib.h>
#include <string.h>

#include "re_parse.h"

enum { NESTED_REPEATS = 1000 }; /* RE2's bound for counts within counts */

static uint32_t emit(struct kw_re *re, enum re_code code, uint32_t x, uint32_t y)
{
    if (re->n_prog == KW_RE_PROGRAM) {
        re->full = true;
        return 0;
    }
    re->prog[re->n_prog] = (struct re_inst){.code = code, .x = x, .y = y};
    return re->n_prog++;
}

static void emit_node(struct kw_re *re, uint32_t at);

/* What follows an instruction is the next one, unless it says otherwise. */
static void emit_repeat(struct kw_re *re, const struct re_node *n)
{
    for (int i = 0; i < n->min && !re->full; i++)
        emit_node(re, n->first);
    if (n->max < 0) {
        uint32_t split = emit(re, RE_I_SPLIT, re->n_prog + 1, 0);
        emit_node(re, n->first);
        (void)emit(re, RE_I_JUMP, split, 0);
        re->prog[split].y = re->n_prog;
        return;
    }
    /* x{0,3} is (x(x(x)?)?)?: all ways out lead to the end */
    uint32_t first = re->n_prog;
    for (int i = n->min; i < n->max && !re->full; i++) {
        (void)emit(re, RE_I_SPLIT, re->n_prog + 1, UINT32_MAX - n->first);
        emit_node(re, n->first);
    }
    for (uint32_t i = first; i < re->n_prog; i++)
        if (re->prog[i].code == RE_I_SPLIT && re->prog[i].y == UINT32_MAX - n->first)
            re->prog[i].y = re->n_prog;
}

static void emit_alternatives(struct kw_re *re, const struct re_node *n)
{
    uint32_t first = re->n_prog;
    for (uint32_t at = n->first; at != 0 && !re->full; at = re->nodes[at].next) {
        bool last = re->nodes[at].next == 0;
        uint32_t split = last ? 0 : emit(re, RE_I_SPLIT, re->n_prog + 1, 0);
        emit_node(re, at);
        if (last)
            break;
        (void)emit(re, RE_I_JUMP, UINT32_MAX - n->first, 0);
        re->prog[split].y = re->n_prog;
    }
    for (uint32_t i = first; i < re->n_prog; i++)
        if (re->prog[i].code == RE_I_JUMP && re->prog[i].x == UINT32_MAX - n->first)
            re->prog[i].x = re->n_prog;
}

static void emit_node(struct kw_re *re, uint32_t at)
{
    const struct re_node *n = &re->nodes[at];
    uint32_t i;
    switch (n->op) {
    case RE_EMPTY:
        return;
    case RE_SET:
        i = emit(re, RE_I_SET, re->n_prog + 1, 0);
        re->prog[i].set = n->set;
        re->prog[i].n_ranges = n->n_ranges;
        return;
    case RE_LOOK:
        i = emit(re, RE_I_LOOK, re->n_prog + 1, 0);
        re->prog[i].look = n->look;
        return;
    case RE_CAT:
        for (at = n->first; at != 0 && !re->full; at = re->nodes[at].next)
            emit_node(re, at);
        return;
    case RE_ALT:
        emit_alternatives(re, n);
        return;
    case RE_REPEAT:
        emit_repeat(re, n);
        return;
    }
}

/* Counts within counts, as RE2 bounds them. */
static bool repeats_good(const struct kw_re *re, uint32_t at, int left)
{
    const struct re_node *n = &re->nodes[at];
    if (n->op == RE_REPEAT) {
        int count = n->max < 0 ? n->min : n->max;
        if (count > 0)
            left /= count;
        if (left == 0)
            return false;
    }
    if (n->op == RE_EMPTY || n->op == RE_SET || n->op == RE_LOOK)
        return true;
    for (at = n->first; at != 0; at = re->nodes[at].next) {
        if (!repeats_good(re, at, left))
            return false;
        if (n->op == RE_REPEAT)
            break;
    }
    return true;
}

static bool make_room(struct kw_re *re)
{
    re->nodes = calloc(RE_NODES, sizeof *re->nodes);
    re->ranges = calloc(RE_RANGES, sizeof *re->ranges);
    re->prog = calloc(KW_RE_PROGRAM, sizeof *re->prog);
    re->sparse = calloc(KW_RE_PROGRAM, sizeof *re->sparse);
    re->stack = calloc(2 * KW_RE_PROGRAM, sizeof *re->stack);
    re->dense[0] = calloc(KW_RE_PROGRAM, sizeof *re->dense[0]);
    re->dense[1] = calloc(KW_RE_PROGRAM, sizeof *re->dense[1]);
    return re->nodes != NULL && re->ranges != NULL && re->prog != NULL && re->sparse != NULL &&
           re->stack != NULL && re->dense[0] != NULL && re->dense[1] != NULL;
}

enum kw_re_parsed kw_re_compile(const char *pattern, size_t n, struct kw_re **ret, size_t *at,
                                const char **reason)
{
    *ret = NULL;
    *at = 0;
    *reason = n > KW_RE_PATTERN ? "the pattern is too long" : "there is no memory left";
    struct kw_re *re = n > KW_RE_PATTERN ? NULL : calloc(1, sizeof *re);
    if (re == NULL || !make_room(re)) {
        kw_re_free(re);
        return KW_RE_BEYOND;
    }
    uint32_t top;
    enum kw_re_parsed r = re_parse(re, pattern, n, &top, at, reason);
    if (r == KW_RE_GOOD && !repeats_good(re, top, NESTED_REPEATS)) {
        r = KW_RE_BAD;
        *reason = "invalid number of repetitions";
    }
    if (r == KW_RE_GOOD) {
        emit_node(re, top);
        (void)emit(re, RE_I_MATCH, 0, 0);
        if (re->full) {
            r = KW_RE_BEYOND;
            *reason = "the pattern becomes too large a program";
        }
    }
    free(re->nodes);
    re->nodes = NULL;
    if (r == KW_RE_GOOD)
        *ret = re;
    else
        kw_re_free(re);
    return r;
}

void kw_re_free(struct kw_re *re)
{
    if (re == NULL)
        return;
    free(re->nodes);
    free(re->ranges);
    free(re->prog);
    free(re->sparse);
    free(re->stack);
    free(re->dense[0]);
    free(re->dense[1]);
    free(re);
}

enum { NONE = -1 }; /* no character: the text begins or ends here */

static bool is_word(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool look_holds(enum re_look look, int before, int after)
{
    switch (look) {
    case RE_TEXT_BEGIN:
        return before == NONE;
    case RE_TEXT_END:
        return after == NONE;
    case RE_LINE_BEGIN:
        return before == NONE || before == '\n';
    case RE_LINE_END:
        return after == NONE || after == '\n';
    case RE_WORD:
        return is_word(before) != is_word(after);
    case RE_NO_WORD:
        return is_word(before) == is_word(after);
    }
    return false;
}

static bool in_set(const struct kw_re *re, const struct re_inst *i, uint32_t c)
{
    const struct re_range *r = re->ranges + i->set;
    size_t lo = 0, hi = i->n_ranges;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c > r[mid].hi)
            lo = mid + 1;
        else if (c < r[mid].lo)
            hi = mid;
        else
            return true;
    }
    return false;
}

/* Adds what can be reached from pc without a character; true if that is a match. Every
 * instruction is in the set once, whatever loops there are. */
static bool add(struct kw_re *re, uint32_t *dense, uint32_t *n, uint32_t pc, int before, int after)
{
    uint32_t depth = 0;
    bool matched = false;
    re->stack[depth++] = pc;
    while (depth > 0) {
        pc = re->stack[--depth];
        if (re->sparse[pc] < *n && dense[re->sparse[pc]] == pc)
            continue;
        re->sparse[pc] = *n;
        dense[(*n)++] = pc;
        const struct re_inst *i = &re->prog[pc];
        if (i->code == RE_I_MATCH)
            matched = true;
        else if (i->code == RE_I_JUMP ||
                 (i->code == RE_I_LOOK && look_holds(i->look, before, after)))
            re->stack[depth++] = i->x;
        else if (i->code == RE_I_SPLIT) {
            re->stack[depth++] = i->y;
            re->stack[depth++] = i->x;
        }
    }
    return matched;
}

enum kw_re_found kw_re_search(struct kw_re *re, const char *text, size_t n, uint64_t *left)
{
    uint32_t count[2] = {0, 0};
    unsigned now = 0;
    int before = NONE;
    size_t size = 0;
    int c = n > 0 ? (int)re_rune(text, n, &size) : NONE;
    if (add(re, re->dense[0], &count[0], 0, before, c))
        return KW_RE_YES;
    for (size_t at = 0; at < n;) {
        size_t next_size = 0;
        unsigned next = 1 - now;
        at += size;
        int after = at < n ? (int)re_rune(text + at, n - at, &next_size) : NONE;
        count[next] = 0;
        /* each instruction is looked at once for this character, and put into the set once
         * for the next: as many steps, and never none */
        uint64_t steps = 1 + 2 * (uint64_t)count[now];
        if (*left < steps) {
            *left = 0;
            return KW_RE_TOO_MUCH;
        }
        *left -= steps;
        for (uint32_t t = 0; t < count[now]; t++) {
            const struct re_inst *i = &re->prog[re->dense[now][t]];
            if (i->code == RE_I_SET && in_set(re, i, (uint32_t)c) &&
                add(re, re->dense[next], &count[next], i->x, c, after))
                return KW_RE_YES;
        }
        /* it may also begin here */
        if (add(re, re->dense[next], &count[next], 0, c, after))
            return KW_RE_YES;
        now = next;
        c = after;
        size = next_size;
    }
    return KW_RE_NO;
}
