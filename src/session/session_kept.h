/* SPDX-License-Identifier: Apache-2.0
 *
 * Between session.c, which makes sessions, and session_kept.c, which keeps them. */
#ifndef KW_SESSION_KEPT_H
#define KW_SESSION_KEPT_H

#include "session.h"
#include "state.h"

/* A new session: all steps to the first failure. */
int kw_session_fresh(struct kw_session *s, struct kw_err *err);

/* The session of a state file, with its key in the token; takes st->token over. */
int kw_session_take_stored(struct kw_session *s, struct kw_state *st, struct kw_err *err);

/* After a failure r: waits for what became of the login, if that isn't known yet. KW_PIN,
 * with *err, if the PIN was refused, else r. */
int kw_session_heed_pin(struct kw_session *s, int r, struct kw_err *err);

/* kw_session_open() where sessions are kept: the stored one, unless fresh_one is asked for
 * or it is no longer good; else a new one, made while no other command makes one. Where that
 * fails, the stored one serves until it really ends. */
int kw_session_open_kept(struct kw_session *s, bool fresh_one, struct kw_err *err);

#endif
