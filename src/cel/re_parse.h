/* SPDX-License-Identifier: Apache-2.0
 *
 * Between src/cel/re_parse.c and src/cel/re.c. */
#ifndef KW_RE_PARSE_H
#define KW_RE_PARSE_H

#include "re_int.h"

/* Fills re->nodes and re->ranges (allocated by the caller); *top is the tree's root. */
enum kw_re_parsed re_parse(struct kw_re *re, const char *pattern, size_t n, uint32_t *top,
                           size_t *where, const char **reason);

#endif
