/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests with a bearer: nothing is signed, but the same policy says where the bearer may
 * go, and the same log has a line of it. Where the federated token may go on the way to a
 * service account's is no policy of the user's: there is one place for it. The bearers
 * themselves never come here. An exchanger in foreign hands could leave the question out: then
 * the dial policy is what bounds it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
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

/* For a token of the configured account, at IAM Credentials: the one place. */
static int judge_federated(const struct kw_keeper *k, const struct kw_m_sign *m, struct kw_err *err)
{
    const struct kw_m_keeper_start *cfg = &k->cfg;
    size_t n = strlen(cfg->client_target);
    if (cfg->purpose != KW_FOR_BEARER || cfg->client_host[0] == '\0' || n == 0)
        return kw_fail(err, KW_POLICY,
                       "there is no service account to become: the federated token goes nowhere");
    bool there = strcmp(m->method, "POST") == 0 && strcasecmp(m->host, cfg->client_host) == 0 &&
                 strncmp(m->target, cfg->client_target, n) == 0;
    if (!there || (strcmp(m->target + n, "generateAccessToken") != 0 &&
                   strcmp(m->target + n, "generateIdToken") != 0))
        return kw_fail(err, KW_POLICY, "the federated token goes to https://%s%.300s... only",
                       cfg->client_host, cfg->client_target);
    return 0;
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
    bool federated = in->type == KW_S_IMPERSONATE;
    struct kw_job *j = kw_job_new(in->type == KW_P_ALLOW ? KW_P_ALLOWED : KW_S_ALLOWED);
    struct kw_m_sign *m = as_request(&a);
    if (j == NULL || m == NULL) {
        kw_job_free(j);
        free(m);
        return kw_fail(err, KW_FAILED, "out of memory");
    }
    j->result =
        federated ? judge_federated(k, m, &j->err) : judge(k, m, rule, sizeof rule, &j->err);
    if (j->result != 0)
        kw_note_refusal(k, federated ? "impersonate" : "call", m, &j->err);
    else if ((j->result = federated ? kw_note_impersonate(k, &a, &j->err)
                                    : kw_note_sign(k, m, rule, &j->err)) != 0)
        (void)kw_err_wrap(&j->err, "nothing is sent that can't be logged");
    else
        kw_note_head(k, false);
    free(m);
    kw_job_submit(k, p, j);
    return kw_keeper_patience(k, p, err);
}
