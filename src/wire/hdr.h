/* SPDX-License-Identifier: Apache-2.0
 *
 * Header lines: the text form "name: value\n" in which our messages carry HTTP
 * headers. Names are RFC 9110 tokens, values visible ASCII, space and tab.
 */
#ifndef KW_HDR_H
#define KW_HDR_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"

/* Steps through lines: *cursor starts at the text, name and value receive the next
 * line's parts (value "" where the line has no colon, as "(request-target)").
 * Returns 1 for a line, 0 at the end, -1 for a malformed or over-long one. */
int kw_hdr_next(const char **cursor, char *name, size_t name_size, char *value, size_t value_size);

/* Copies the first value of name (case-insensitive) to value; false if absent, too long
 * for value, or behind a malformed line. */
bool kw_hdr_find(const char *lines, const char *name, char *value, size_t size);

/* How many lines have this name (case-insensitive); -1 if lines are malformed. */
int kw_hdr_count(const char *lines, const char *name);

/* Appends "name: value\n" to the NUL-terminated lines; false if illegal or full. */
bool kw_hdr_add(char *lines, size_t size, const char *name, const char *value);

bool kw_hdr_name_ok(const char *name);
bool kw_hdr_value_ok(const char *value);

#endif
