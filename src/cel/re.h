/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions with RE2's syntax and meaning, for CEL's matches(). Own code,
 * because no C library that Debian has will do: POSIX regcomp() and PCRE2 mean other
 * things by the same pattern (\d, $ before a last newline, look-around) and PCRE2
 * backtracks, so that a pattern from a cloud's configuration could hold us up for ever.
 * RE2 itself is C++. This is Thompson's construction, run as Pike's machine: time is
 * bounded by instructions times characters, and by a count of steps that the caller gives, memory
 * by the number of instructions.
 *
 * Left out (KW_RE_BEYOND, never guessed): Unicode classes (\p), \C, case folding of
 * letters beyond ASCII, (?<name>...), and patterns over the sizes below.
 */
#ifndef KW_RE_H
#define KW_RE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KW_RE_PATTERN = 4096, /* bytes of a pattern */
    KW_RE_PROGRAM = 2048, /* instructions it may become */
    KW_RE_NEST = 64       /* groups in groups */
};

enum kw_re_parsed {
    KW_RE_GOOD,
    KW_RE_BAD,    /* RE2 refuses it as well */
    KW_RE_BEYOND, /* RE2 may take it, we can't judge it */
};

struct kw_re;

/* Compiles n bytes of valid UTF-8. On anything but KW_RE_GOOD *ret is NULL, *at the offset
 * of the byte where it was noticed, and *reason says why (static text). */
enum kw_re_parsed kw_re_compile(const char *pattern, size_t n, struct kw_re **ret, size_t *at,
                                const char **reason);

enum kw_re_found { KW_RE_NO, KW_RE_YES, KW_RE_TOO_MUCH };

/* Does it match anywhere in the n bytes of valid UTF-8? Each instruction that is looked at
 * takes a step of *left; KW_RE_TOO_MUCH where they don't suffice (*left is 0 then). */
enum kw_re_found kw_re_search(struct kw_re *re, const char *text, size_t n, uint64_t *left);

void kw_re_free(struct kw_re *re); /* NULL is fine */

#endif
