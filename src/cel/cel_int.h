/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of src/cel/cel*.c: words, tree and values. */
#ifndef KW_CEL_INT_H
#define KW_CEL_INT_H

#include <stdint.h>

#include "cel.h"
#include "src/base/buf.h"

/* Words. Punctuation and operators are their own bytes, two of them put together. */
enum cel_word {
    CEL_END,
    CEL_IDENT,
    CEL_STRING,
    CEL_BYTES,
    CEL_INT,
    CEL_UINT,
    CEL_DOUBLE,
    CEL_OPERATOR
};

#define CEL_OP(a, b) ((unsigned)(unsigned char)(a) | (unsigned)(unsigned char)(b) << 8)

struct cel_lexer {
    const char *text;
    size_t n, at;
    /* the present word */
    enum cel_word word;
    unsigned op;
    size_t start, end;
    struct kw_buf str; /* CEL_STRING: its value */
    uint64_t num;      /* CEL_INT: its amount */
    bool overflow;
    double real;
    /* first trouble; is == KW_CEL_VALUE: none */
    enum kw_cel_is is;
    size_t where;
    const char *reason;
};

void cel_lex_init(struct cel_lexer *x, const char *text, size_t n);
void cel_lex_free(struct cel_lexer *x);
void cel_lex_next(struct cel_lexer *x);
void cel_lex_stop(struct cel_lexer *x, enum kw_cel_is is, size_t where, const char *reason);
/* Offset in bytes -> characters from 1. */
size_t cel_position(const char *text, size_t offset);

enum cel_op {
    CEL_N_LITERAL,
    CEL_N_VARIABLE,
    CEL_N_SELECT, /* child.name */
    CEL_N_INDEX,  /* child[child] */
    CEL_N_CALL,   /* name(children); method: the first child is the target */
    CEL_N_HAS,    /* child is a SELECT */
    CEL_N_LIST,
    CEL_N_MAP, /* key, value, key, value ... */
    CEL_N_AND,
    CEL_N_OR,
    CEL_N_NOT,
    CEL_N_NEGATE,
    CEL_N_CONDITION,
    CEL_N_RELATION, /* op */
    CEL_N_IN,
    CEL_N_ADD,
    CEL_N_FOREIGN /* reason */
};

struct cel_node {
    enum cel_op is;
    unsigned op;
    uint32_t first, last, next; /* children; 0: none */
    uint32_t start, end;        /* in the source */
    uint32_t op_at;             /* where its operator or name stands */
    uint32_t depth;
    uint32_t variable;
    bool method;
    json_t *value; /* literal, or the name as a string; owned */
    const char *reason;
};

struct kw_cel {
    char *text;
    size_t n;
    const char *const *names;
    struct cel_node *nodes; /* number 0 isn't used */
    uint32_t n_nodes, cap;
    uint32_t top;
};

/* A value under way. */
struct cel_val {
    enum kw_cel_is is;
    bool claimed;  /* holds numbers that came from a claim */
    json_t *v;     /* owned */
    uint32_t node; /* the cause */
    char why[KW_CEL_TEXT];
};

struct cel_run {
    const struct kw_cel *c;
    const struct kw_cel_env *env;
    uint64_t *work; /* steps left */
};

/* cel_eval.c. Every function fills *out, which needn't be initialised. */
void cel_eval(const struct cel_run *run, uint32_t at, struct cel_val *out);
void cel_drop(struct cel_val *v);

/* Fills *out with what isn't a value. */
void cel_set(struct cel_val *out, enum kw_cel_is is, uint32_t node, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void cel_put(struct cel_val *out, json_t *v, bool claimed); /* takes v; NULL: no memory */

/* cel_value.c: operators on two values */
void cel_equal(const struct cel_val *a, const struct cel_val *b, bool negated, uint32_t node,
               struct cel_val *out);
void cel_order(const struct cel_val *a, const struct cel_val *b, unsigned op, uint32_t node,
               struct cel_val *out);
void cel_in(const struct cel_val *item, const struct cel_val *in, uint32_t node,
            struct cel_val *out);
void cel_add(const struct cel_val *a, const struct cel_val *b, uint32_t node, struct cel_val *out);
void cel_index(const struct cel_val *of, const struct cel_val *by, uint32_t node, const char *path,
               struct cel_val *out);
const char *cel_type(const struct cel_val *v); /* "a string" */

/* cel_call.c: functions; args of them are values. work: the steps that are left. */
void cel_call(const struct cel_node *n, uint32_t node, struct cel_val *args, size_t n_args,
              uint64_t *work, struct cel_val *out);

/* cel_value.c. Takes steps; where they don't suffice, none is left and *out is KW_CEL_UNKNOWN. */
bool cel_spend(uint64_t *work, uint64_t steps, uint32_t node, struct cel_val *out);
/* As many as looking at all of n values takes. */
bool cel_spend_on(uint64_t *work, const struct cel_val *v, size_t n, uint32_t node,
                  struct cel_val *out);

#endif
