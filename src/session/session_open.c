/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's beginning and end: at once, or the part that needs no subject token first. */
#include <string.h>
#include <unistd.h>

#include "session.h"
#include "session_int.h"
#include "session_kept.h"
#include "src/base/log.h"
#include "state.h"

static int early_steps(struct kw_session *s, struct kw_err *err)
{
    int r = 0;
    size_t n;
    const struct kw_session_step *steps = kw_session_steps(s->config, &n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (!steps[i].early)
            continue;
        r = steps[i].run(s, err);
        s->done |= 1u << i;
        kw_log(KW_DEBUG, "%s: %s", steps[i].name, r == 0 ? "done" : "failed");
    }
    return r;
}

static void end_lock(struct kw_session *s)
{
    if (s->lock > 0)
        (void)close(s->lock);
    s->lock = -1;
}

static void begin(struct kw_session *s, const struct kw_config *c, const char *caller, unsigned use)
{
    *s = (struct kw_session){.config = c, .caller = caller, .lock = -1};
    s->run = (use & KW_USE_RUN) != 0;
    if (s->run)
        s->purpose = KW_FOR_RUN;
}

/* What a session that did not come about leaves. */
static int give_up(struct kw_session *s, int r, struct kw_err *err)
{
    (void)kw_session_heed_pin(s, r, err);
    kw_session_abandon(s, err);
    end_lock(s);
    return kw_nonzero((int)err->code); /* both may have put a graver reason there */
}

int kw_session_prepare(struct kw_session *s, const struct kw_config *c, const char *caller,
                       unsigned use, struct kw_err *err)
{
    begin(s, c, caller, use);
    int r = early_steps(s, err);
    return r == 0 ? 0 : give_up(s, r, err);
}

int kw_session_go_on(struct kw_session *s, struct kw_err *err)
{
    int r = kw_session_fresh(s, err);
    return r == 0 ? 0 : give_up(s, r, err);
}

int kw_session_open(struct kw_session *s, const struct kw_config *c, const char *caller,
                    unsigned use, struct kw_err *err)
{
    begin(s, c, caller, use);
    int r = c->key_stored && !s->run && c->cloud != KW_CLOUD_GOOGLE
                ? kw_session_open_kept(s, (use & KW_USE_FRESH) != 0, err)
                : kw_session_fresh(s, err);
    return r == 0 ? 0 : give_up(s, r, err);
}

int kw_session_close(struct kw_session *s, struct kw_m_closed *closed, struct kw_err *err)
{
    struct kw_m_closed none;
    int r = kw_child_send(&s->crew.keeper, KW_KM_CLOSE, NULL, NULL, 0, err);
    if (r == 0)
        r = kw_session_expect(&s->crew.keeper, KW_KM_CLOSED, closed != NULL ? closed : &none,
                              kw_deadline(s->config), err);
    struct kw_err at_end;
    int ended = kw_crew_end(&s->crew, &at_end);
    if (ended != 0) {
        *err = at_end;
        r = ended;
    }
    kw_secret_free(&s->token);
    end_lock(s);
    return r;
}
