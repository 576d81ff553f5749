/* SPDX-License-Identifier: Apache-2.0
 *
 * The Common Expression Language, as much of it as attribute mappings and conditions of
 * Google's workload identity pools are made of, to say beforehand what one will decide.
 * Debian has no CEL library for C. The whole grammar is parsed; evaluated are: literals,
 * == != < <= > >= && || ! ?: in, + and unary -, lists, maps with string keys, selects,
 * indexing, has, size, string, int, startsWith, endsWith, contains, matches (re.h),
 * extract, split, join. Whatever else an expression says is KW_CEL_UNKNOWN, with what and
 * where it was: never a guess.
 *
 * Numbers in claims are CEL's int in one implementation and its double in another. They
 * are "claimed": where the two would differ the answer is KW_CEL_UNKNOWN. Likewise
 * versions of the language differ in whether values of different types are unequal or
 * can't be compared: == of such is KW_CEL_NOT_TRUE, and their != is unknown.
 */
#ifndef KW_CEL_H
#define KW_CEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KW_CEL_SOURCE = 16384, /* bytes of an expression */
    KW_CEL_NODES = 4096,   /* parts it may have */
    KW_CEL_DEPTH = 100,    /* brackets in brackets */
    KW_CEL_BYTES = 65536,  /* a string that is computed */
    KW_CEL_ITEMS = 4096,   /* a list that is computed */
    KW_CEL_TEXT = 320,
    KW_CEL_WORK = 10000000 /* steps of evaluation: well below a second */
};

enum kw_cel_is {
    KW_CEL_VALUE,
    KW_CEL_ERROR,    /* evaluation fails, in every implementation */
    KW_CEL_NOT_TRUE, /* fails or is false, depending on the implementation */
    KW_CEL_UNKNOWN,  /* we can't judge it */
    KW_CEL_SYNTAX,   /* kw_cel_parse() only */
};

struct kw_cel_result {
    enum kw_cel_is is;
    json_t *value;          /* owned; KW_CEL_VALUE only, else NULL */
    size_t at;              /* position of the cause: characters of the source, from 1; 0: none */
    char text[KW_CEL_TEXT]; /* the cause, one line; it may hold foreign bytes */
};

struct kw_cel;

/* What the names in an expression stand for. */
struct kw_cel_env {
    const char *const *names; /* ended by NULL */
    json_t *const *values;    /* one for each name */
    /* "attribute.x": a member whose value can't be told; text says why. May be NULL. */
    json_t *unknown;
    /* Steps that are left for evaluations; what they don't suffice for is KW_CEL_UNKNOWN.
     * NULL: KW_CEL_WORK for each. */
    uint64_t *work;
};

/* Parses n bytes of UTF-8. names: the variables, ended by NULL; it is kept and must
 * outlive *ret. KW_CEL_VALUE; KW_CEL_SYNTAX (no CEL, or a name that there isn't), or
 * KW_CEL_UNKNOWN (over the sizes above), both with *why filled. */
enum kw_cel_is kw_cel_parse(const char *text, size_t n, const char *const *names,
                            struct kw_cel **ret, struct kw_cel_result *why);
void kw_cel_free(struct kw_cel *c); /* NULL is fine */

void kw_cel_eval(const struct kw_cel *c, const struct kw_cel_env *env, struct kw_cel_result *ret);
void kw_cel_result_free(struct kw_cel_result *r);

/* The terms that && joins at the top, 1 for an expression without; term i's source. */
size_t kw_cel_terms(const struct kw_cel *c);
const char *kw_cel_term_text(const struct kw_cel *c, size_t i, size_t *n);
void kw_cel_eval_term(const struct kw_cel *c, size_t i, const struct kw_cel_env *env,
                      struct kw_cel_result *ret);
/* What term i looks at: an array of {"path":"assertion.ref","value":...}, without "value"
 * where there is none. At most 16 of them. NULL: no memory. */
json_t *kw_cel_term_values(const struct kw_cel *c, size_t i, const struct kw_cel_env *env);

/* What an expression says, for whoever asks that rather than what it gives: its tree. Brackets are
 * no parts. */
enum kw_cel_kind {
    KW_CEL_OTHER,
    KW_CEL_LITERAL,
    KW_CEL_MEMBER, /* variable.name, variable['name'] */
    KW_CEL_LIST,
    KW_CEL_AND, /* two or more parts, as KW_CEL_OR */
    KW_CEL_OR,
    KW_CEL_EQUAL,
    KW_CEL_IN,
    KW_CEL_METHOD, /* part.name(part ...) */
};

struct kw_cel_part {
    enum kw_cel_kind kind;
    const json_t *literal;
    const char *variable, *name;
    bool inner;           /* KW_CEL_MEMBER: not that one, but what it holds: variable.name.x */
    uint32_t first, next; /* its first part, and the one behind it; 0: none */
};

/* at 0: the whole expression. What it points to lives as long as c. */
struct kw_cel_part kw_cel_part(const struct kw_cel *c, uint32_t at);

/* Calls fn for each member of a variable that is selected by name (variable "attribute",
 * name "x") or, name NULL, each use of the whole variable; and for each string literal
 * (variable NULL). */
typedef void kw_cel_seen(void *arg, const char *variable, const char *name);
void kw_cel_walk(const struct kw_cel *c, kw_cel_seen *fn, void *arg);

#endif
