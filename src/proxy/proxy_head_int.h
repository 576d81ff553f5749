/* SPDX-License-Identifier: Apache-2.0
 *
 * Between proxy_head.c (the lines of a head) and proxy_fields.c (what its fields mean).
 */
#ifndef KW_PROXY_HEAD_INT_H
#define KW_PROXY_HEAD_INT_H

#include "proxy_head.h"

/* RFC 9110, section 5.6.2 */
bool kw_head_tchar(unsigned char c);

/* host[:port] with nothing else: letters, digits, "-._", or an IPv6 literal in brackets; a
 * port of 1 to 65535 without leading zeros. *ret_host and *ret_port (0: none) receive it. */
bool kw_head_authority(struct kw_span s, struct kw_span *ret_host, uint32_t *ret_port);

/* The two name the same place, where a missing port is default_port. */
bool kw_head_same_authority(struct kw_span a, struct kw_span b, uint32_t default_port);

/* What the fields of a request or answer say about framing and connection, once all lines
 * are split: 0, or the status to refuse it with and *err. An answer's `method` is its
 * request's. */
unsigned kw_head_request_fields(struct kw_head *h, struct kw_err *err);
unsigned kw_head_response_fields(struct kw_head *h, const struct kw_span *method,
                                 struct kw_err *err);

#endif
