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

#include "config.h"

struct kw_state {
    char key_id[65];
    int64_t not_after;
    struct kw_secret *token;
};

/* Reads the profile's state. *ret_found is false if there is none, if it has expired
 * (30 s before its time), or belongs to another configuration (domain, client, token
 * URI); key_id is filled all the same where there was one, so that the key can be
 * destroyed. A file that others could have written or read is an error (KW_USAGE). */
int kw_state_read(const struct kw_config *c, int64_t now, struct kw_state *s, bool *ret_found,
                  struct kw_err *err);
int kw_state_write(const struct kw_config *c, const struct kw_state *s, struct kw_err *err);
int kw_state_remove(const struct kw_config *c, struct kw_err *err);
void kw_state_free(struct kw_state *s);

/* Where it is, for messages. */
int kw_state_path(const struct kw_config *c, char *path, size_t size, struct kw_err *err);

#endif
