/* SPDX-License-Identifier: Apache-2.0
 *
 * Between src/cel/cel_parse.c (operators) and src/cel/cel_member.c (what they stand between). */
#ifndef KW_CEL_PARSE_H
#define KW_CEL_PARSE_H

#include "cel_int.h"

enum { CEL_CHAIN = 250 }; /* how deep the tree may get by operators in a row */

struct cel_parser {
    struct kw_cel *c;
    struct cel_lexer x;
    unsigned depth;
    unsigned binding; /* inside a macro that names variables of its own */
};

void cel_fail(struct cel_parser *p, const char *reason); /* no CEL, at the present word */
bool cel_good(const struct cel_parser *p);
bool cel_at_op(const struct cel_parser *p, char a, char b);
bool cel_take(struct cel_parser *p, char a);
bool cel_at_name(const struct cel_parser *p, const char *name);

/* A node that begins at start. Never 0 where good. */
uint32_t cel_node(struct cel_parser *p, enum cel_op is, size_t start);
/* Makes child the last one of node at. */
void cel_adopt(struct cel_parser *p, uint32_t at, uint32_t child);
/* A node around child that begins where it begins. */
uint32_t cel_over(struct cel_parser *p, enum cel_op is, uint32_t child, size_t op_at);
void cel_close(struct cel_parser *p, uint32_t at, size_t end);
void cel_make_foreign(struct cel_parser *p, uint32_t at, const char *reason);

uint32_t cel_parse_expr(struct cel_parser *p);
uint32_t cel_parse_member(struct cel_parser *p);
uint32_t cel_int_literal(struct cel_parser *p, bool negative);

#endif
