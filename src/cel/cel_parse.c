/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL: words become a tree. What is CEL but isn't evaluated here becomes CEL_N_FOREIGN,
 * which is unknown only where its value matters. */
#include <stdlib.h>
#include <string.h>

#include "cel_parse.h"

void cel_fail(struct cel_parser *p, const char *reason)
{
    cel_lex_stop(&p->x, KW_CEL_SYNTAX, p->x.start, reason);
}

bool cel_good(const struct cel_parser *p)
{
    return p->x.is == KW_CEL_VALUE;
}

bool cel_at_op(const struct cel_parser *p, char a, char b)
{
    return p->x.word == CEL_OPERATOR && p->x.op == CEL_OP(a, b);
}

bool cel_take(struct cel_parser *p, char a)
{
    if (!cel_at_op(p, a, '\0'))
        return false;
    cel_lex_next(&p->x);
    return true;
}

bool cel_at_name(const struct cel_parser *p, const char *name)
{
    size_t n = strlen(name);
    return p->x.word == CEL_IDENT && p->x.end - p->x.start == n &&
           memcmp(p->x.text + p->x.start, name, n) == 0;
}

/* A node that begins at start. Never 0 where good. */
uint32_t cel_node(struct cel_parser *p, enum cel_op is, size_t start)
{
    struct kw_cel *c = p->c;
    if (c->n_nodes == c->cap) {
        uint32_t cap = c->cap == 0 ? 64 : 2 * c->cap;
        struct cel_node *more = cap > KW_CEL_NODES ? NULL : realloc(c->nodes, cap * sizeof *more);
        if (more == NULL) {
            cel_lex_stop(&p->x, KW_CEL_UNKNOWN, start, "the expression is too large");
            return 0;
        }
        c->nodes = more;
        c->cap = cap;
    }
    c->nodes[c->n_nodes] =
        (struct cel_node){.is = is, .start = (uint32_t)start, .op_at = (uint32_t)start, .depth = 1};
    return c->n_nodes++;
}

void cel_adopt(struct cel_parser *p, uint32_t at, uint32_t child)
{
    if (at == 0 || child == 0)
        return;
    struct cel_node *n = &p->c->nodes[at], *k = &p->c->nodes[child];
    if (n->first == 0)
        n->first = child;
    else
        p->c->nodes[n->last].next = child;
    n->last = child;
    n->end = k->end;
    if (k->depth >= n->depth)
        n->depth = k->depth + 1;
    if (n->depth > CEL_CHAIN)
        cel_lex_stop(&p->x, KW_CEL_UNKNOWN, n->start, "the expression is nested too deep");
}

uint32_t cel_over(struct cel_parser *p, enum cel_op is, uint32_t child, size_t op_at)
{
    uint32_t at = cel_good(p) ? cel_node(p, is, p->c->nodes[child].start) : 0;
    if (at != 0) {
        p->c->nodes[at].op_at = (uint32_t)op_at;
        cel_adopt(p, at, child);
    }
    return at;
}

/* The node ends behind the word before the present one. */
void cel_close(struct cel_parser *p, uint32_t at, size_t end)
{
    if (at != 0)
        p->c->nodes[at].end = (uint32_t)end;
}

void cel_make_foreign(struct cel_parser *p, uint32_t at, const char *reason)
{
    if (at != 0) {
        p->c->nodes[at].is = CEL_N_FOREIGN;
        p->c->nodes[at].reason = reason;
    }
}

/* "!" or "-" any number of times, not both. */
static uint32_t parse_unary(struct cel_parser *p)
{
    char op = cel_at_op(p, '!', '\0') ? '!' : cel_at_op(p, '-', '\0') ? '-' : '\0';
    size_t start[CEL_CHAIN], n = 0;
    while (op != '\0' && cel_at_op(p, op, '\0')) {
        if (n == CEL_CHAIN) {
            cel_lex_stop(&p->x, KW_CEL_UNKNOWN, p->x.start, "the expression is nested too deep");
            return 0;
        }
        start[n++] = p->x.start;
        cel_lex_next(&p->x);
    }
    uint32_t at;
    if (op == '-' && p->x.word == CEL_INT) {
        at = cel_int_literal(p, true);
        n--;
        if (at != 0)
            p->c->nodes[at].start = (uint32_t)start[n];
    } else {
        at = cel_parse_member(p);
    }
    while (n-- > 0) {
        at = cel_good(p) ? cel_over(p, op == '!' ? CEL_N_NOT : CEL_N_NEGATE, at, start[n]) : 0;
        if (at != 0)
            p->c->nodes[at].start = (uint32_t)start[n];
    }
    return at;
}

static uint32_t parse_product(struct cel_parser *p)
{
    uint32_t left = parse_unary(p);
    while (cel_good(p) &&
           (cel_at_op(p, '*', '\0') || cel_at_op(p, '/', '\0') || cel_at_op(p, '%', '\0'))) {
        uint32_t at = cel_over(p, CEL_N_FOREIGN, left, p->x.start);
        cel_make_foreign(p, at, "the operators * / %");
        cel_lex_next(&p->x);
        cel_adopt(p, at, parse_unary(p));
        left = at;
    }
    return left;
}

static uint32_t parse_sum(struct cel_parser *p)
{
    uint32_t left = parse_product(p);
    while (cel_good(p) && (cel_at_op(p, '+', '\0') || cel_at_op(p, '-', '\0'))) {
        uint32_t at = cel_over(p, CEL_N_ADD, left, p->x.start);
        if (cel_at_op(p, '-', '\0'))
            cel_make_foreign(p, at, "the operator - between two values");
        cel_lex_next(&p->x);
        cel_adopt(p, at, parse_product(p));
        left = at;
    }
    return left;
}

static bool at_relation(const struct cel_parser *p)
{
    return cel_at_op(p, '=', '=') || cel_at_op(p, '!', '=') || cel_at_op(p, '<', '\0') ||
           cel_at_op(p, '<', '=') || cel_at_op(p, '>', '\0') || cel_at_op(p, '>', '=') ||
           cel_at_name(p, "in");
}

static uint32_t parse_relation(struct cel_parser *p)
{
    uint32_t left = parse_sum(p);
    while (cel_good(p) && at_relation(p)) {
        uint32_t at =
            cel_over(p, cel_at_name(p, "in") ? CEL_N_IN : CEL_N_RELATION, left, p->x.start);
        if (at != 0)
            p->c->nodes[at].op = p->x.op;
        cel_lex_next(&p->x);
        cel_adopt(p, at, parse_sum(p));
        left = at;
    }
    return left;
}

/* a && b && c is one node with three children, so is ||. */
static uint32_t parse_logic(struct cel_parser *p, char op)
{
    uint32_t first = op == '|' ? parse_logic(p, '&') : parse_relation(p), at = 0;
    while (cel_good(p) && cel_at_op(p, op, op)) {
        if (at == 0)
            at = cel_over(p, op == '|' ? CEL_N_OR : CEL_N_AND, first, p->x.start);
        cel_lex_next(&p->x);
        cel_adopt(p, at, op == '|' ? parse_logic(p, '&') : parse_relation(p));
    }
    return at != 0 ? at : first;
}

uint32_t cel_parse_expr(struct cel_parser *p)
{
    if (++p->depth > KW_CEL_DEPTH)
        cel_lex_stop(&p->x, KW_CEL_UNKNOWN, p->x.start, "the expression is nested too deep");
    uint32_t first = cel_good(p) ? parse_logic(p, '|') : 0;
    size_t op_at = p->x.start;
    if (cel_good(p) && cel_take(p, '?')) {
        uint32_t at = cel_over(p, CEL_N_CONDITION, first, op_at);
        cel_adopt(p, at, parse_logic(p, '|'));
        if (cel_good(p) && !cel_take(p, ':'))
            cel_fail(p, "a ':' is missing behind '?'");
        cel_adopt(p, at, cel_good(p) ? cel_parse_expr(p) : 0);
        first = at;
    }
    p->depth--;
    return first;
}

static enum kw_cel_is tell(const struct cel_parser *p, const char *text, struct kw_cel_result *why)
{
    why->is = p->x.is;
    why->at = cel_position(text, p->x.where);
    size_t n = 0;
    while (n < 24 && p->x.where + n < p->x.n && (unsigned char)text[p->x.where + n] > ' ')
        n++;
    while (n > 0 && p->x.where + n < p->x.n && ((unsigned char)text[p->x.where + n] & 0xc0) == 0x80)
        n--; /* whole characters */
    (void)snprintf(why->text, sizeof why->text, "%s%s%.*s%s", p->x.reason, n > 0 ? " ('" : "",
                   (int)n, text + p->x.where, n > 0 ? "')" : "");
    return p->x.is;
}

static enum kw_cel_is refuse(struct kw_cel_result *why, enum kw_cel_is is, const char *text)
{
    *why = (struct kw_cel_result){.is = is, .at = 1};
    (void)snprintf(why->text, sizeof why->text, "%s", text);
    return is;
}

enum kw_cel_is kw_cel_parse(const char *text, size_t n, const char *const *names,
                            struct kw_cel **ret, struct kw_cel_result *why)
{
    *ret = NULL;
    *why = (struct kw_cel_result){.is = KW_CEL_VALUE};
    if (n > KW_CEL_SOURCE)
        return refuse(why, KW_CEL_UNKNOWN, "the expression is too long");
    json_t *valid = json_stringn(text, n);
    if (valid == NULL)
        return refuse(why, KW_CEL_SYNTAX, "the expression is not UTF-8");
    json_decref(valid);
    struct kw_cel *c = calloc(1, sizeof *c);
    if (c == NULL || (c->text = calloc(1, n + 1)) == NULL) {
        free(c);
        return refuse(why, KW_CEL_UNKNOWN, "there is no memory left");
    }
    memcpy(c->text, text, n);
    c->n = n;
    c->names = names;
    struct cel_parser p = {.c = c};
    cel_lex_init(&p.x, c->text, n);
    (void)cel_node(&p, CEL_N_LITERAL, 0);
    cel_lex_next(&p.x);
    c->top = cel_good(&p) ? cel_parse_expr(&p) : 0;
    if (cel_good(&p) && p.x.word != CEL_END)
        cel_fail(&p, cel_at_name(&p, "and") || cel_at_name(&p, "or")
                         ? "the expression should end before this; 'and' is written '&&', 'or' '||'"
                         : "the expression should end before this");
    cel_lex_free(&p.x);
    if (!cel_good(&p)) {
        enum kw_cel_is is = tell(&p, c->text, why);
        kw_cel_free(c);
        return is;
    }
    *ret = c;
    return KW_CEL_VALUE;
}

void kw_cel_free(struct kw_cel *c)
{
    for (uint32_t i = 0; c != NULL && i < c->n_nodes; i++)
        json_decref(c->nodes[i].value);
    if (c != NULL) {
        free(c->nodes);
        free(c->text);
    }
    free(c);
}
