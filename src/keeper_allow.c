/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests with a bearer: nothing is signed, but the same policy says where the bearer may
 * go, and the same log has a line of it. The bearer itself never comes here. An exchanger
 * in foreign hands could leave the question out: then the dial policy is what bounds it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keeper.h"

static int judge(struct kw_keeper *k, const struct kw_m_sign *m, char *rule, size_t size,
                 struct kw_err *err)
{
    int64_t now = (int64_t)time(NULL);
    if (k->cfg.purpose != KW_FOR_BEARER || !k->session_good)
        return kw_fail(err, KW_POLICY, "there is no bearer yet: no request may have it");
    if (now < 0 || (uint64_t)now >= k->session_info.not_after)
        return kw_fail(err, KW_POLICY, "the access token has expired");
    return kw_sign_judge(&k->policy, m->method, m->host, m->target, kw_now_ms(), rule, size, err);
}

/* As the refusals and the log know a request. */
static struct kw_m_sign *as_request(const struct kw_m_allow *a)
{
    struct kw_m_sign *m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->key = KW_SIGN_BEARER;
        memcpy(m->method, a->method, sizeof m->method);
        memcpy(m->host, a->host, sizeof m->host);
        memcpy(m->target, a->target, sizeof m->target);
    }
    return m;
}

int kw_keeper_allow(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_allow a;
    char rule[2048];
    if (!kw_msg_get(&in->body, in->type, &a))
        return kw_fail(err, KW_FAILED, "%s: malformed %s", kw_channel_name(p->chan.name),
                       kw_msg_name(in->type));
    struct kw_job *j = kw_job_new(in->type == KW_S_ALLOW ? KW_S_ALLOWED : KW_P_ALLOWED);
    struct kw_m_sign *m = as_request(&a);
    if (j == NULL || m == NULL) {
        kw_job_free(j);
        free(m);
        return kw_fail(err, KW_FAILED, "out of memory");
    }
    j->result = judge(k, m, rule, sizeof rule, &j->err);
    if (j->result != 0)
        kw_note_refusal(k, "call", m, &j->err);
    else if ((j->result = kw_note_sign(k, m, rule, &j->err)) != 0)
        (void)kw_err_wrap(&j->err, "nothing is sent that can't be logged");
    else
        kw_note_head(k, false);
    free(m);
    kw_job_submit(k, p, j);
    return kw_keeper_patience(k, p, err);
}
