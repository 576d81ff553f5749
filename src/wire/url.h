/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict https URLs (RFC 3986): what we call, dial and sign. User info, fragments,
 * other schemes, backslashes, spaces, control and non-ASCII bytes, bad
 * percent-encodings, empty hosts, hosts that end in a number without being a dotted
 * quad ("127.1"), IP literals with zones, ports out of range and "." or ".." segments
 * (kw_path_dotted()) are errors; nothing is normalised away: the target is sent and signed as it
 * stands
 * ("/" where the path is empty), as whoever sends what `sign` signed does it too.
 */
#ifndef KW_URL_H
#define KW_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/ipc/messages.h"

struct kw_url {
    char host[KW_HOST];      /* lower case, no port; IPv6 without brackets */
    char authority[KW_HOST]; /* the Host header: host[:port], port only if not 443 */
    uint16_t port;
    bool plain;             /* http: kw_url_parse_local() only */
    char target[KW_TARGET]; /* path and query */
};

/* Parses text; `what` names it in the error, which carries `code`. */
int kw_url_parse(const char *text, const char *what, enum kw_exit code, struct kw_url *ret,
                 struct kw_err *err);

#define KW_AZURE_METADATA "http://169.254.169.254"
#define KW_GCE_METADATA   "http://metadata.google.internal"

/* The same, and also http:// where nothing leaves the machine or its hypervisor: to the
 * two metadata services above and to loopback. For subject tokens only. */
int kw_url_parse_local(const char *text, const char *what, enum kw_exit code, struct kw_url *ret,
                       struct kw_err *err);

/* Whether a host is one of those: what is never reached by way of a proxy. */
bool kw_host_local(const char *host);

/* Whether a path (n bytes, without query) has a "." or ".." segment for some server: such
 * are resolved, so that a path policy would have judged another path. Encoded ones count
 * (%2e, %252e, as a row of servers decodes them), and what some take for the end of a segment: an
 * encoded slash, a backslash
 * (%5c), parameters ("..;x"), a NUL. */
bool kw_path_dotted(const char *path, size_t n);

/* Appends text percent-encoded for a query or form value (unreserved kept, RFC 3986
 * section 2.3). */
void kw_pct_put(struct kw_buf *b, const void *text, size_t n);

/* Appends name=value to a form (application/x-www-form-urlencoded), the value encoded so;
 * name has nothing to encode. */
void kw_form_put(struct kw_buf *b, const char *name, const void *value, size_t n);
void kw_form_text(struct kw_buf *b, const char *name, const char *value);

#endif
