/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL: literals, names, calls, brackets, and what hangs on them by '.' and '['. */
#include <string.h>

#include "cel_parse.h"

static uint32_t literal(struct cel_parser *p, json_t *v)
{
    uint32_t at = cel_node(p, CEL_N_LITERAL, p->x.start);
    if (v == NULL)
        cel_lex_stop(&p->x, KW_CEL_UNKNOWN, p->x.start, "a string that can't be read");
    if (at == 0) {
        json_decref(v);
        return 0;
    }
    p->c->nodes[at].value = v;
    cel_close(p, at, p->x.end);
    cel_lex_next(&p->x);
    return at;
}

uint32_t cel_int_literal(struct cel_parser *p, bool negative)
{
    uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0), v = p->x.num;
    if (p->x.overflow || v > most)
        cel_fail(p, "an integer of more than 64 bits");
    json_int_t i = (json_int_t)(negative ? -(v & INT64_MAX) : v);
    if (negative && v == (uint64_t)INT64_MAX + 1)
        i = INT64_MIN;
    return literal(p, json_integer(i));
}

static uint32_t foreign_word(struct cel_parser *p, const char *reason)
{
    uint32_t at = cel_node(p, CEL_N_FOREIGN, p->x.start);
    cel_make_foreign(p, at, reason);
    cel_close(p, at, p->x.end);
    cel_lex_next(&p->x);
    return at;
}

/* Items to the closing bracket, which is taken. A comma may stand behind the last of a
 * list or map, not of a call. */
static void parse_items(struct cel_parser *p, uint32_t at, char close, bool pairs)
{
    if (close != ')' && cel_at_op(p, ',', '\0'))
        cel_lex_stop(&p->x, KW_CEL_UNKNOWN, p->x.start, "a comma alone, which some versions take");
    while (cel_good(p) && !cel_at_op(p, close, '\0')) {
        cel_adopt(p, at, cel_parse_expr(p));
        if (pairs && !cel_take(p, ':'))
            cel_fail(p, "a ':' is missing in a map");
        if (pairs)
            cel_adopt(p, at, cel_parse_expr(p));
        bool comma = cel_take(p, ',');
        if (!comma && !cel_at_op(p, close, '\0'))
            cel_fail(p, "a ',' or a closing bracket is missing");
        else if (close == ')' && comma && cel_at_op(p, close, '\0'))
            cel_fail(p, "a value is missing before this");
    }
    size_t end = p->x.end;
    if (cel_good(p) && !cel_take(p, close))
        cel_fail(p, "a closing bracket is missing");
    cel_close(p, at, end);
}

static bool reserved(const struct cel_parser *p)
{
    static const char *const words[] = {
        "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
        "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (cel_at_name(p, words[i]))
            return true;
    return false;
}

static json_t *word_name(const struct cel_parser *p)
{
    return json_stringn(p->x.text + p->x.start, p->x.end - p->x.start);
}

/* has(e.f), checked as a macro. */
static uint32_t check_has(struct cel_parser *p, uint32_t at)
{
    if (!cel_good(p) || at == 0)
        return at;
    struct cel_node *n = &p->c->nodes[at];
    const struct cel_node *k = &p->c->nodes[n->first];
    if (n->first == 0 || k->next != 0 || k->is != CEL_N_SELECT)
        cel_lex_stop(&p->x, KW_CEL_SYNTAX, n->start, "has() takes one member, as in has(a.b)");
    n->is = CEL_N_HAS;
    return at;
}

/* Does the call that begins here bind a variable (e.all(x, ...))? */
static bool binds(const struct cel_parser *p)
{
    static const char *const macros[] = {"all",           "exists",       "exists_one",
                                         "existsOne",     "map",          "filter",
                                         "transformList", "transformMap", "sortBy"};
    for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++)
        if (cel_at_name(p, macros[i]))
            return true;
    return false;
}

/* At a name that "(" follows; target 0: a function. */
static uint32_t parse_call(struct cel_parser *p, uint32_t target, size_t start)
{
    bool macro = target != 0 && binds(p), has = target == 0 && cel_at_name(p, "has");
    uint32_t at = cel_node(p, CEL_N_CALL, start);
    if (at == 0)
        return 0;
    p->c->nodes[at].value = word_name(p);
    p->c->nodes[at].method = target != 0;
    p->c->nodes[at].op_at = (uint32_t)p->x.start;
    cel_adopt(p, at, target);
    cel_lex_next(&p->x);
    cel_lex_next(&p->x); /* the bracket */
    p->binding += macro;
    parse_items(p, at, ')', false);
    p->binding -= macro;
    if (macro)
        cel_make_foreign(p, at, "a macro that goes over a list");
    return has ? check_has(p, at) : at;
}

/* Is the word after the present one "("? */
static bool call_follows(const struct cel_parser *p)
{
    struct cel_lexer ahead = p->x;
    kw_buf_init(&ahead.str, KW_CEL_SOURCE);
    cel_lex_next(&ahead);
    bool yes = ahead.word == CEL_OPERATOR && ahead.op == CEL_OP('(', '\0');
    kw_buf_free(&ahead.str);
    return yes;
}

static bool names_type(const struct cel_parser *p)
{
    static const char *const types[] = {"bool",      "bytes", "double", "duration",  "dyn",
                                        "int",       "list",  "map",    "null_type", "string",
                                        "timestamp", "type",  "uint"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (cel_at_name(p, types[i]))
            return true;
    return false;
}

static uint32_t parse_variable(struct cel_parser *p)
{
    uint32_t at = cel_node(p, CEL_N_VARIABLE, p->x.start), i = 0;
    if (at == 0)
        return 0;
    while (p->c->names[i] != NULL && !cel_at_name(p, p->c->names[i]))
        i++;
    if (p->c->names[i] != NULL)
        p->c->nodes[at].variable = i;
    else if (names_type(p))
        cel_make_foreign(p, at, "the name of a type");
    else if (cel_at_name(p, "google"))
        cel_make_foreign(p, at, "a protobuf message");
    else if (p->binding > 0)
        cel_make_foreign(p, at, "a variable of a macro");
    else
        cel_fail(p, "there is no variable of this name; a claim is assertion.NAME, and a string "
                    "stands in quotes");
    cel_close(p, at, p->x.end);
    cel_lex_next(&p->x);
    return at;
}

static uint32_t parse_name(struct cel_parser *p)
{
    if (cel_at_name(p, "true") || cel_at_name(p, "false"))
        return literal(p, json_boolean(cel_at_name(p, "true")));
    if (cel_at_name(p, "null"))
        return literal(p, json_null());
    if (cel_at_name(p, "in") || reserved(p)) {
        cel_fail(p, "a reserved word");
        return 0;
    }
    return call_follows(p) ? parse_call(p, 0, p->x.start) : parse_variable(p);
}

static uint32_t parse_brackets(struct cel_parser *p)
{
    size_t start = p->x.start;
    if (cel_take(p, '(')) {
        uint32_t at = cel_parse_expr(p);
        size_t end = p->x.end;
        if (cel_good(p) && !cel_take(p, ')'))
            cel_fail(p, "a ')' is missing");
        if (cel_good(p)) { /* its source is shown with the brackets */
            p->c->nodes[at].start = (uint32_t)start;
            cel_close(p, at, end);
        }
        return at;
    }
    bool list = cel_take(p, '[');
    uint32_t at = cel_node(p, list ? CEL_N_LIST : CEL_N_MAP, start);
    if (!list)
        cel_lex_next(&p->x);
    parse_items(p, at, list ? ']' : '}', !list);
    return at;
}

static uint32_t parse_primary(struct cel_parser *p)
{
    (void)cel_take(p, '.'); /* from the root: there is nothing else */
    switch (p->x.word) {
    case CEL_STRING:
        return literal(
            p, json_stringn(p->x.str.p != NULL ? (const char *)p->x.str.p : "", p->x.str.len));
    case CEL_BYTES:
        return foreign_word(p, "bytes");
    case CEL_INT:
        return cel_int_literal(p, false);
    case CEL_UINT:
        return foreign_word(p, "an unsigned number");
    case CEL_DOUBLE:
        return literal(p, json_real(p->x.real));
    case CEL_IDENT:
        return parse_name(p);
    case CEL_OPERATOR:
        if (cel_at_op(p, '(', '\0') || cel_at_op(p, '[', '\0') || cel_at_op(p, '{', '\0'))
            return parse_brackets(p);
        cel_fail(p, "a value is missing before this");
        return 0;
    case CEL_END:
        cel_fail(p, "the expression ends where a value should be");
        return 0;
    }
    return 0;
}

/* Behind the ".". */
static uint32_t parse_select(struct cel_parser *p, uint32_t of)
{
    size_t start = p->c->nodes[of].start;
    if (cel_at_op(p, '?', '\0')) {
        cel_lex_stop(&p->x, KW_CEL_UNKNOWN, p->x.start, "optional members");
        return 0;
    }
    if (p->x.word != CEL_IDENT || cel_at_name(p, "in") || cel_at_name(p, "true") ||
        cel_at_name(p, "false") || cel_at_name(p, "null")) {
        cel_fail(p, "a member's name must follow the '.'");
        return 0;
    }
    if (call_follows(p))
        return parse_call(p, of, start);
    /* reserved words are names here: assertion['kubernetes.io'].namespace */
    uint32_t at = cel_over(p, CEL_N_SELECT, of, p->x.start);
    if (at != 0)
        p->c->nodes[at].value = word_name(p);
    cel_close(p, at, p->x.end);
    cel_lex_next(&p->x);
    return at;
}

static uint32_t parse_index(struct cel_parser *p, uint32_t of, size_t op_at)
{
    if (cel_at_op(p, '?', '\0'))
        cel_lex_stop(&p->x, KW_CEL_UNKNOWN, p->x.start, "optional members");
    uint32_t by = cel_parse_expr(p), at = cel_over(p, CEL_N_INDEX, of, op_at);
    size_t end = p->x.end;
    cel_adopt(p, at, by);
    if (cel_good(p) && !cel_take(p, ']'))
        cel_fail(p, "a ']' is missing");
    cel_close(p, at, end);
    return at;
}

/* Message{field: value}: passed over. */
static uint32_t parse_message(struct cel_parser *p, uint32_t of)
{
    uint32_t at = cel_over(p, CEL_N_FOREIGN, of, p->x.start);
    cel_make_foreign(p, at, "a message");
    p->binding++;
    parse_items(p, at, '}', true);
    p->binding--;
    return at;
}

uint32_t cel_parse_member(struct cel_parser *p)
{
    uint32_t at = parse_primary(p);
    while (cel_good(p)) {
        size_t op_at = p->x.start;
        if (cel_take(p, '.'))
            at = parse_select(p, at);
        else if (cel_take(p, '['))
            at = parse_index(p, at, op_at);
        else if (cel_at_op(p, '{', '\0') && p->c->nodes[at].is != CEL_N_LITERAL) {
            cel_lex_next(&p->x);
            at = parse_message(p, at);
        } else
            break;
    }
    return at;
}
