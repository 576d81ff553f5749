/* SPDX-License-Identifier: Apache-2.0
 *
 * `run`: what the proxy asks for, and a session that follows another while requests are
 * under way. The proxy says which session its request belongs to: the token in the request
 * and the key that signs it are a pair. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keeper.h"
#include "src/base/b64.h"

/* The key of the generation that m names, and until when it signs. */
static int choose(struct kw_keeper *k, uint32_t generation, struct kw_job *j, struct kw_err *err)
{
    if (k->cfg.purpose != KW_FOR_RUN || generation == 0)
        return kw_fail(err, KW_POLICY, "there is no such session");
    if (generation == k->generation) {
        j->signer = k->session;
        j->not_after = (int64_t)k->session_info.not_after;
        return 0;
    }
    if (generation + 1 == k->generation && k->former_until != 0) {
        j->signer = k->other;
        j->not_after = (int64_t)k->former_until;
        return 0;
    }
    return kw_fail(err, KW_POLICY, "the session is no longer the one in use");
}

/* The proxy's question as S_SIGN has it; NULL where it can't be read. */
static struct kw_m_sign *take_psign(const struct kw_keeper *k, struct kw_in *in,
                                    uint32_t *ret_generation, struct kw_err *err)
{
    struct kw_m_psign *asked = malloc(sizeof *asked);
    struct kw_m_sign *m = calloc(1, sizeof *m);
    if (asked != NULL && m != NULL && kw_msg_get(&in->body, KW_P_SIGN, asked)) {
        m->key = KW_SIGN_SESSION;
        memcpy(m->method, asked->method, sizeof m->method);
        memcpy(m->host, asked->host, sizeof m->host);
        memcpy(m->target, asked->target, sizeof m->target);
        memcpy(m->headers, asked->headers, sizeof m->headers);
        *ret_generation = asked->generation;
    } else {
        (void)kw_fail(err, KW_FAILED, "%s: malformed P_SIGN, or no memory for it",
                      kw_channel_name(k->proxy.chan.name));
        free(m);
        m = NULL;
    }
    free(asked);
    return m;
}

int kw_keeper_psign(struct kw_keeper *k, struct kw_in *in, struct kw_err *err)
{
    uint32_t generation = 0;
    struct kw_m_sign *m = take_psign(k, in, &generation, err);
    if (m == NULL)
        return (int)err->code;
    struct kw_job *j = kw_job_new(KW_P_SIGNED);
    if (j == NULL) {
        free(m);
        return kw_fail(err, KW_FAILED, "out of memory");
    }
    j->result = choose(k, generation, j, &j->err);
    if (j->result == 0)
        return kw_keeper_judged(k, &k->proxy, m, j, err);
    kw_note_refusal(k, "sign", m, &j->err);
    free(m);
    kw_job_submit(k, &k->proxy, j);
    return kw_keeper_patience(k, &k->proxy, err);
}

int kw_keeper_pnote(struct kw_keeper *k, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_pnote n;
    struct kw_err why;
    if (!kw_msg_get(&in->body, KW_P_NOTE, &n))
        return kw_fail(err, KW_FAILED, "%s: malformed P_NOTE", kw_channel_name(k->proxy.chan.name));
    struct kw_m_sign *m = calloc(1, sizeof *m);
    if (m == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    memcpy(m->method, n.method, sizeof m->method);
    memcpy(m->host, n.host, sizeof m->host);
    memcpy(m->target, n.target, sizeof n.target);
    (void)kw_fail(&why, KW_POLICY, "%s", n.text);
    kw_note_refusal(k, "proxy", m, &why);
    free(m);
    return kw_keeper_patience(k, &k->proxy, err);
}

int kw_keeper_renew(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_err why;
    int r = k->cfg.purpose == KW_FOR_RUN && k->session_good && k->former_until == 0
                ? kw_birth_again(k, &why)
                : kw_fail(&why, KW_POLICY, "there is no session to renew");
    if (r != 0) {
        kw_note_refusal(k, "renew", NULL, &why);
        kw_msg_send_error(&k->main.chan, &why);
    }
    (void)err;
    return 0;
}

/* Heads of the log were signed by the session key, where there is no audit key: its last one
 * comes now, while it is the one that is announced. */
void kw_keeper_succeed(struct kw_keeper *k)
{
    struct kw_signer *former = k->session;
    if (!k->auditor.there) {
        kw_note_head(k, true);
        k->audit_key[0] = '\0';
    }
    k->former_until = k->session_info.not_after;
    k->session = k->other;
    k->other = former;
    k->generation++;
}

/* No job of it is under way any more? Answers come in order, so main asks when the proxy has
 * taken the new session; what the proxy asked for before that is here already. */
static bool idle(struct kw_keeper *k, const struct kw_signer *s)
{
    for (const struct kw_job *j = k->proxy.first; j != NULL; j = j->next)
        if (j->signer == s)
            return false;
    return true;
}

int kw_keeper_retire(struct kw_keeper *k, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_retire m;
    struct kw_err why;
    char id[65];
    if (!kw_msg_get(&in->body, KW_KM_RETIRE, &m))
        return kw_fail(err, KW_FAILED, "main-keeper: malformed KM_RETIRE");
    int r = 0;
    if (k->former_until == 0 || m.generation + 1 != k->generation)
        r = kw_fail(&why, KW_POLICY, "there is no former session");
    else if (!idle(k, k->other))
        r = kw_fail(&why, KW_NET, "its last signature is not done yet");
    else if (k->other->there) {
        kw_hex(id, k->other->key.id, k->other->key.id_len);
        k->other->there = false;
        r = kw_p11_destroy(k->p11, &k->other->key, &why);
        kw_note_destroyed(k, id, "renewed", r != 0 ? &why : NULL);
    }
    if (r != KW_NET && r != KW_POLICY)
        k->former_until = 0;
    if (r != 0) {
        kw_msg_send_error(&k->main.chan, &why);
        return 0;
    }
    return kw_tell_main(k, KW_KM_OK, &(struct kw_m_empty){0}, err);
}
