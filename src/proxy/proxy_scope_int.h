/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the parts of the proxy's decisions. */
#ifndef KW_PROXY_SCOPE_INT_H
#define KW_PROXY_SCOPE_INT_H

#include "proxy_scope.h"

/* s as a string; false if it does not fit or holds a NUL. */
bool kw_span_copy(struct kw_span s, char *to, size_t size);

/* Method, Host and target of a request that came over a connection to `host`: origin-form,
 * and Host names `host`. KW_POLICY. */
int kw_scope_fill(const struct kw_head *h, const char *host, char *ret_method, size_t method_size,
                  char *ret_host, char *ret_target, struct kw_err *err);

#endif
