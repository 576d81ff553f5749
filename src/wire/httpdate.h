/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP dates in the one form that is generated today (RFC 9110, section 5.6.7:
 * IMF-fixdate). Independent of the locale, and strict: the two obsolete forms, a
 * wrong day of the week and dates that don't exist are refused.
 */
#ifndef KW_HTTPDATE_H
#define KW_HTTPDATE_H

#include <stdbool.h>
#include <stdint.h>

#define KW_HTTPDATE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

/* Writes seconds since the epoch (years 1970 to 9999) in that form; false, and "",
 * outside of it. */
bool kw_httpdate_print(int64_t t, char out[KW_HTTPDATE]);

/* Reads it back. No white space around, no lower case, no leap second. */
bool kw_httpdate_parse(const char *text, int64_t *ret);

#endif
