/* SPDX-License-Identifier: Apache-2.0
 *
 * `keys`, and the end: of a key, and of the keeper. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"
#include "src/base/b64.h"
#include "src/base/log.h"

/* A module that hangs at the end must not leave a keeper behind that nobody watches any
 * more: by then the clock of SIGALRM ends it. */
enum { END_S = 30 };

/* --- keys --------------------------------------------------------------------- */

struct listing {
    struct kw_keeper *k;
    struct kw_err *err;
};

static int list_one(const struct kw_p11_key *key, const char *label, void *arg)
{
    const struct listing *l = arg;
    struct kw_m_list_item m = {.bits = key->bits};
    kw_hex(m.id, key->id, key->id_len);
    (void)snprintf(m.label, sizeof m.label, "%s", label);
    (void)snprintf(m.attributes, sizeof m.attributes, "%s", key->attributes);
    return kw_tell_main(l->k, KW_KM_LIST_ITEM, &m, l->err);
}

int kw_keeper_list(struct kw_keeper *k, struct kw_err *err)
{
    struct listing l = {k, err};
    int r = kw_p11_each(k->p11, list_one, &l, err);
    return r != 0 ? r : kw_tell_main(k, KW_KM_LIST_END, &(struct kw_m_empty){0}, err);
}

struct pruning {
    unsigned char id[32];
    size_t n;
    struct kw_p11_key key;
    bool found, nameless; /* nameless: there is one without an id */
};

static int match_one(const struct kw_p11_key *key, const char *label, void *arg)
{
    struct pruning *p = arg;
    (void)label;
    p->nameless = p->nameless || key->id_len == 0;
    if (key->id_len == p->n && memcmp(key->id, p->id, p->n) == 0) {
        p->key = *key;
        p->found = true;
    }
    return 0;
}

/* `keys` may take any away; a stored session that now stands, the ones before it. */
static bool may_prune(const struct kw_keeper *k)
{
    return k->cfg.purpose == KW_FOR_LIST ||
           (k->cfg.purpose == KW_FOR_SESSION && k->session_good && k->session->key.token_object);
}

static bool is_session(const struct kw_keeper *k, const struct pruning *p)
{
    return k->session->there && k->session->key.id_len == p->n &&
           memcmp(k->session->key.id, p->id, p->n) == 0;
}

int kw_keeper_prune(struct kw_keeper *k, const char *id_hex, struct kw_err *err)
{
    /* Only what kw_p11_each() lists can go: keys that keyward made. */
    struct pruning p = {.n = 0};
    if (!may_prune(k))
        return kw_fail(err, KW_POLICY, "this keeper was not started to manage keys");
    if (!kw_unhex(p.id, sizeof p.id, &p.n, id_hex) || p.n == 0)
        return kw_fail(err, KW_USAGE, "\"%s\" is no key id", id_hex);
    if (is_session(k, &p))
        return kw_fail(err, KW_POLICY, "key %s is that of the session in use", id_hex);
    int r = kw_p11_each(k->p11, match_one, &p, err);
    if (r == 0 && !p.found && !p.nameless && k->cfg.purpose != KW_FOR_LIST)
        return 0; /* gone already, and nobody was told that it is there */
    if (r == 0 && !p.found)
        r = kw_fail(err, KW_TOKEN, "there is no key %s that keyward made%s", id_hex,
                    p.nameless ? ", but one whose id can't be told" : "");
    if (r != 0)
        return r;
    r = kw_p11_destroy(k->p11, &p.key, err);
    kw_note_destroyed(k, id_hex, "pruned", r != 0 ? err : NULL);
    return r;
}

/* --- the end ------------------------------------------------------------------ */

static bool stays(const struct kw_keeper *k)
{
    return k->cfg.purpose == KW_FOR_STORED || (k->cfg.purpose == KW_FOR_SESSION && k->close_asked &&
                                               k->session_good && k->session->key.token_object);
}

int kw_keeper_drop(struct kw_keeper *k, const char *why, struct kw_err *err)
{
    char id[65];
    if (!k->session->there || stays(k))
        return 0;
    kw_hex(id, k->session->key.id, k->session->key.id_len);
    k->session->there = false;
    k->session_good = false;
    int r = kw_p11_destroy(k->p11, &k->session->key, err);
    if (r != 0)
        kw_log(KW_WARN, "the session key could not be destroyed: %s", err->text);
    kw_note_destroyed(k, id, why, r != 0 ? err : NULL);
    return r;
}

static void drop_jobs(struct kw_keeper *k, struct kw_peer *p)
{
    struct kw_job *j;
    while ((j = kw_job_take(k, p)) != NULL)
        kw_job_free(j);
}

void kw_keeper_end(struct kw_keeper *k, const char *why)
{
    struct kw_err err;
    unsigned left = alarm(END_S); /* set already where main has died */
    if (left > 0 && left < END_S)
        (void)alarm(left);
    kw_birth_join(k);
    kw_workers_stop(&k->workers); /* signatures under way are finished */
    kw_workers_stop(&k->clerk);
    kw_note_head_step(k);
    drop_jobs(k, &k->main);
    drop_jobs(k, &k->exchanger);
    drop_jobs(k, &k->proxy);
    /* The session key can't sign once it is gone, so its head comes before its end; the
     * audit key's comes last and covers all. */
    if (!k->auditor.there)
        kw_note_head(k, true);
    int r = kw_keeper_drop(k, why, &err);
    if (k->other->there) { /* a renewal's, under way */
        struct kw_signer *last = k->session;
        struct kw_err more;
        k->session = k->other;
        if (kw_keeper_drop(k, why, &more) != 0 && r == 0) {
            r = (int)more.code;
            err = more;
        }
        k->session = last;
    }
    kw_note_end(k);
    if (k->auditor.there)
        kw_note_head(k, true);
    if (r != 0)
        kw_msg_send_error(&k->main.chan, &err);
    else if (k->close_asked) {
        struct kw_m_closed m = {
            .signatures = k->signatures, .refusals = k->refusals, .destroyed = !k->session->there};
        if (kw_tell_main(k, KW_KM_CLOSED, &m, &err) != 0)
            kw_log(KW_INFO, "%s", err.text);
    }
    kw_p11_free(k->p11);
    k->p11 = NULL;
}
