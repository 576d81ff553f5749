/* SPDX-License-Identifier: Apache-2.0
 *
 * A subject token without a session: for commands that need one and no more. What has to
 * be asked of another process is asked of processes that are started for that alone.
 */
#ifndef KW_FETCH_H
#define KW_FETCH_H

#include "src/source/source.h"

/* The ways of kw_source_get() for a command without a session; whether the token is then
 * given to another program is in the audit log of a JWT that we issue. */
struct kw_source_ways kw_ways_alone(struct kw_config *c, bool given_away);

/* Writes into the audit log, if there is one, that a subject token is given to another program: to
 * be asked before it is. (One that we issue is in there already.) */
int kw_given_alone(const struct kw_config *c, const struct kw_m_keeper_session *what,
                   struct kw_err *err);

/* One JWT by the issuer key, with a keeper started for it. caller: "issue", for the audit. */
int kw_issue_alone(const struct kw_config *c, const char *caller, const struct kw_m_issue *request,
                   struct kw_secret **ret, struct kw_err *err);

/* The issuer key's public half, DER, into spki (KW_SPKI_MAX bytes). */
int kw_public_alone(const struct kw_config *c, unsigned char *spki, size_t *ret_n,
                    struct kw_err *err);

#endif
