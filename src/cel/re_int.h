/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of src/cel/re*.c: the tree that a pattern is parsed into, sets of characters, and
 * the program it becomes.
 */
#ifndef KW_RE_INT_H
#define KW_RE_INT_H

#include <stdint.h>

#include "re.h"

enum { RE_RUNE_MAX = 0x10ffff, RE_NODES = KW_RE_PATTERN + 64, RE_RANGES = 8192 };

struct re_range {
    uint32_t lo, hi;
};

/* Sorted and disjoint once it is finished. */
struct re_set {
    struct re_range *r;
    size_t n, cap;
    bool failed; /* no memory, or too many */
};

enum re_op { RE_EMPTY, RE_SET, RE_LOOK, RE_CAT, RE_ALT, RE_REPEAT };

enum re_look { RE_TEXT_BEGIN, RE_TEXT_END, RE_LINE_BEGIN, RE_LINE_END, RE_WORD, RE_NO_WORD };

struct re_node {
    enum re_op op;
    enum re_look look;
    uint32_t first, next; /* children; 0 is none */
    uint32_t set;         /* RE_SET: start in the ranges */
    uint32_t n_ranges;
    int min, max; /* RE_REPEAT; max -1: without end */
};

enum re_code { RE_I_SET, RE_I_SPLIT, RE_I_JUMP, RE_I_LOOK, RE_I_MATCH };

struct re_inst {
    enum re_code code;
    enum re_look look;
    uint32_t x, y; /* where it goes on; SPLIT has two ways */
    uint32_t set, n_ranges;
};

struct kw_re {
    struct re_range *ranges;
    uint32_t n_ranges, cap_ranges;
    struct re_node *nodes; /* while compiling */
    uint32_t n_nodes;
    struct re_inst *prog;
    uint32_t n_prog;
    bool full; /* the program would be too long */
    /* the machine's two sets of threads and the stack of the closure */
    uint32_t *sparse, *dense[2], *stack;
};

/* re_class.c */
void re_set_add(struct re_set *s, uint32_t lo, uint32_t hi);
void re_set_fold(struct re_set *s);   /* adds the other case of what it has (ASCII) */
void re_set_finish(struct re_set *s); /* sorts and joins */
void re_set_negate(struct re_set *s); /* of a finished one */
/* Adds the class of a Perl letter (d s w, upper case: all but) or of a POSIX name; false if
 * there is none of the name. */
bool re_set_perl(struct re_set *s, char letter, bool fold);
bool re_set_posix(struct re_set *s, const char *name, size_t n, bool negated, bool fold);

/* UTF-8 that is known to be valid. */
uint32_t re_rune(const char *p, size_t n, size_t *size);

#endif
