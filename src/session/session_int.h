/* SPDX-License-Identifier: Apache-2.0
 *
 * What session.c and session_google.c share: the steps that both clouds' sessions have. */
#ifndef KW_SESSION_INT_H
#define KW_SESSION_INT_H

#include "session.h"

/* Starts keeper, exchanger and dialer and sends each its start message. */
int kw_session_start_crew(struct kw_session *s, enum kw_purpose purpose, const char *stored_id,
                          struct kw_err *err);
/* kw_child_expect() for messages that hold no view into their body. m may be NULL. */
int kw_session_expect(struct kw_child *ch, enum kw_msg type, void *m, int64_t deadline,
                      struct kw_err *err);
/* KM_READY, once. */
int kw_session_await_keeper(struct kw_session *s, struct kw_err *err);
int kw_session_await_net(struct kw_session *s, struct kw_err *err);
/* The subject token, judged by the claim policy before it goes anywhere. */
int kw_session_subject(struct kw_session *s, struct kw_err *err);
/* Tells the keeper that it may sign, or allow, from now on, and until when. */
int kw_session_open_signing(struct kw_session *s, struct kw_err *err);

void kw_session_tell_net(const struct kw_session *s, char *text, size_t size);
void kw_session_tell_subject(const struct kw_session *s, char *text, size_t size);

/* The steps of an OCI exchange, for a renewal. */
int kw_session_open_exchange(struct kw_session *s, struct kw_err *err);
int kw_session_send_exchange(struct kw_session *s, struct kw_err *err);
int kw_session_await_key(struct kw_session *s, struct kw_err *err);

/* session_google.c */
int kw_google_subject(struct kw_session *s, struct kw_err *err);
int kw_google_exchange(struct kw_session *s, struct kw_err *err);
const struct kw_session_step *kw_google_steps(size_t *ret_n);

#endif
