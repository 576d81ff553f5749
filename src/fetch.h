/* SPDX-License-Identifier: Apache-2.0
 *
 * A subject token over the network without a session: for commands that need neither
 * keeper nor key.
 */
#ifndef KW_FETCH_H
#define KW_FETCH_H

#include "source.h"

/* A kw_source_fetch. arg: the const struct kw_config *. Starts exchanger and dialer for
 * this one request, and ends them. */
int kw_fetch_alone(void *arg, const struct kw_m_fetch *request, struct kw_secret **ret,
                   struct kw_err *err);

#endif
