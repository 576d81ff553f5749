/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 (RFC 4648): section 4 with padding, section 5 (URL) without. Decoding is
 * strict: no white space, no missing or surplus padding, no stray bits.
 */
#ifndef KW_B64_H
#define KW_B64_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

void kw_b64_put(struct kw_buf *b, const void *bytes, size_t n);    /* standard, padded */
void kw_b64url_put(struct kw_buf *b, const void *bytes, size_t n); /* URL, unpadded */

/* Appends the decoded bytes; false (and nothing appended) if text is not strict base64
 * or doesn't fit. */
bool kw_b64_get(struct kw_buf *b, const char *text, size_t n);
bool kw_b64url_get(struct kw_buf *b, const char *text, size_t n);

/* Lower-case hex of n bytes into out (2n+1 bytes), and back: pairs of digits of either
 * case and nothing else, at most max bytes. */
void kw_hex(char *out, const void *bytes, size_t n);
bool kw_unhex(unsigned char *out, size_t max, size_t *ret_n, const char *text);

#endif
