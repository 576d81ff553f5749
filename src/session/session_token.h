/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_SESSION_TOKEN_H
#define KW_SESSION_TOKEN_H

#include "session.h"

/* Judges s->token against s->key: a well-formed JWT, exp in the future, jwk equal to the
 * key in the token. Fills not_after, principal, tenant, original. KW_CLOUD if not so. */
int kw_session_judge(struct kw_session *s, struct kw_err *err);

#endif
