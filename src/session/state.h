/* SPDX-License-Identifier: Apache-2.0
 *
 * The state file of storage = token: one JSON object per profile, mode 0600, in
 * $XDG_STATE_HOME/keyward or ~/.local/state/keyward (or $STATE_DIRECTORY under
 * systemd). It holds the session token, which is worth nothing without the key in the
 * PKCS#11 token. Written atomically.
 */
#ifndef KW_STATE_H
#define KW_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/config/config.h"

struct kw_state {
    char key_id[65];
    int64_t not_after;
    struct kw_secret *token;
};

/* A session is renewed so many seconds before it ends. */
enum { KW_STATE_EARLY_S = 30 };

/* Reads the profile's state. *ret_found is false if there is none, if it has expired
 * (KW_STATE_EARLY_S before its time), or belongs to another configuration (token, domain, client,
 * claim policy: a stored session must not outlive a rule that would refuse it now); key_id is
 * filled all the same where there was one, so that the key can be destroyed. A file that others
 * could have written or read is an error (KW_USAGE). */
int kw_state_read(const struct kw_config *c, int64_t now, struct kw_state *s, bool *ret_found,
                  struct kw_err *err);
int kw_state_write(const struct kw_config *c, const struct kw_state *s, struct kw_err *err);
int kw_state_remove(const struct kw_config *c, struct kw_err *err);
void kw_state_free(struct kw_state *s);

/* The file whose bytes are locked; closing it gives all locks up. */
enum kw_state_lock {
    KW_LOCK_RENEW, /* alone: whoever makes a session, until it is written */
    KW_LOCK_USE,   /* shared: who uses the stored key; alone: who destroys an old one */
};
int kw_state_lock_open(const struct kw_config *c, int *ret_fd, struct kw_err *err);
/* No file (fd 0 or less): nothing to lock, 0. Waits for it until deadline_ms (kw_now_ms() clock;
 * KW_NET then). */
int kw_state_lock(int fd, enum kw_state_lock which, bool alone, int64_t deadline_ms,
                  struct kw_err *err);
void kw_state_unlock(int fd, enum kw_state_lock which);

/* Makes the folders above path, 0700. */
int kw_state_make_dirs(const char *path, struct kw_err *err);

/* Where it is, for messages. */
int kw_state_path(const struct kw_config *c, char *path, size_t size, struct kw_err *err);

#endif
