/* SPDX-License-Identifier: Apache-2.0
 *
 * storage = token: taking the session that an earlier command has kept, and taking turns
 * at making a new one. */
#include "session_kept.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "src/base/log.h"

/* Anything that a fresh session can heal: the key has gone from the token, the token
 * expired, the state is not of this key. Only after a login that succeeded: a second
 * attempt must never cost a second try of a PIN. */
static bool can_rebuild(const struct kw_session *s, const struct kw_err *err)
{
    return s->keeper.mechanism[0] != '\0' && !kw_interrupted() &&
           (err->code == KW_TOKEN || err->code == KW_CLOUD);
}

/* A PIN that comes by descriptor was read by the keeper that is being given up. */
static bool pin_is_by_descriptor(const struct kw_session *s)
{
    return strncmp(s->config->pin_source, "fd:", 3) == 0;
}

static int pin_is_spent(const struct kw_session *s, struct kw_err *err)
{
    if (!pin_is_by_descriptor(s))
        return 0;
    return kw_err_wrap(err, "the stored session is no longer good, and the PIN's descriptor can be "
                            "read only once; run keyward exchange for a new session");
}

/* The session that failed is given up, and its place is made free. KW_SANDBOX if a fence
 * broke: nothing that is gone over. */
static int start_over(struct kw_session *s, struct kw_err *err)
{
    struct kw_session again = {
        .config = s->config, .caller = s->caller, .lock = s->lock, .rebuilt = true};
    (void)snprintf(again.why, sizeof again.why, "%.255s", err->text);
    (void)snprintf(again.old_id, sizeof again.old_id, "%s", s->old_id);
    kw_session_abandon(s, err);
    *s = again;
    return err->code == KW_SANDBOX ? KW_SANDBOX : 0;
}

/* Takes the stored session if there is a good one. */
static int use_stored(struct kw_session *s, bool *ret_used, struct kw_err *err)
{
    const struct kw_config *c = s->config;
    struct kw_state st = {0};
    bool found = false;
    *ret_used = false;
    int r = kw_state_lock(s->lock, KW_LOCK_USE, false, kw_deadline(c), err);
    if (r == 0)
        r = kw_state_read(c, (int64_t)time(NULL), &st, &found, err);
    (void)snprintf(s->old_id, sizeof s->old_id, "%s", st.key_id);
    if (r == 0 && found) {
        r = kw_session_take_stored(s, &st, err);
        *ret_used = r == 0;
        if (r != 0 && can_rebuild(s, err) && (r = pin_is_spent(s, err)) == 0) {
            kw_log(KW_INFO, "the stored session is no longer good: %s", err->text);
            r = start_over(s, err);
        }
    }
    kw_state_free(&st);
    if (!*ret_used)
        kw_state_unlock(s->lock, KW_LOCK_USE);
    return r;
}

/* A session is renewed a little before it ends. Where only the renewal's way out failed, not
 * what our policy, the token or its PIN say, what is left of it is used: r otherwise. */
static int use_to_the_end(struct kw_session *s, int r, struct kw_err *err)
{
    struct kw_state st = {0};
    struct kw_err why;
    bool found = false;
    bool outside = r == KW_NET || r == KW_CLOUD || r == KW_SUBJECT;
    if (!outside || kw_interrupted() ||
        kw_state_read(s->config, (int64_t)time(NULL) - KW_STATE_EARLY_S, &st, &found, &why) != 0 ||
        !found) {
        kw_state_free(&st);
        return r;
    }
    r = kw_session_heed_pin(s, r, err);
    if (r != KW_PIN && s->keeper.mechanism[0] != '\0' && !pin_is_by_descriptor(s)) {
        kw_log(KW_WARN, "no new session: %s; the stored one is used for its last %lld s", err->text,
               (long long)(st.not_after - (int64_t)time(NULL)));
        r = start_over(s, err);
        if (r == 0)
            r = kw_state_lock(s->lock, KW_LOCK_USE, false, kw_deadline(s->config), err);
        if (r == 0)
            r = kw_session_take_stored(s, &st, err);
    }
    kw_state_free(&st);
    return r;
}

/* storage = token. Whoever makes a session does it alone: a command that waited for its
 * turn finds what the one before it has made. */
int kw_session_open_kept(struct kw_session *s, bool fresh_one, struct kw_err *err)
{
    const struct kw_config *c = s->config;
    char before[sizeof s->old_id];
    struct kw_state st = {0};
    bool found = false, used = false;
    /* No lock where nothing can be written: a session that is there can be used even so,
     * and a new one will say why it can't be kept. */
    if (kw_state_lock_open(c, &s->lock, err) != 0)
        kw_log(KW_INFO, "%s", err->text);
    int r = fresh_one ? 0 : use_stored(s, &used, err);
    if (r == 0 && !used)
        r = kw_state_lock(s->lock, KW_LOCK_RENEW, true, kw_deadline(c), err);
    if (r != 0 || used)
        return r;
    memcpy(before, s->old_id, sizeof before);
    r = kw_state_read(c, (int64_t)time(NULL), &st, &found, err);
    (void)snprintf(s->old_id, sizeof s->old_id, "%s", st.key_id);
    kw_state_free(&st);
    if (r == 0 && !fresh_one && found && strcmp(before, s->old_id) != 0)
        r = use_stored(s, &used, err);
    if (r == 0 && !used && (r = kw_session_fresh(s, err)) != 0 && !fresh_one)
        r = use_to_the_end(s, r, err);
    kw_state_unlock(s->lock, KW_LOCK_RENEW);
    return r;
}
