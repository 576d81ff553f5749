/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to sign: judged, logged, signed by a worker, answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "keeper.h"
#include "src/base/b64.h"
#include "src/wire/hdr.h"
#include "src/wire/httpdate.h"
#include "src/wire/oci_sign.h"

enum { SKEW = 300, ANSWER_MS = 1000 };

int kw_keeper_dates(const char *headers, int64_t now, struct kw_err *err)
{
    static const char *const names[] = {"date", "x-date"};
    char value[64];
    for (size_t i = 0; i < 2; i++) {
        int64_t t = 0;
        if (kw_hdr_count(headers, names[i]) == 0)
            continue;
        if (!kw_hdr_find(headers, names[i], value, sizeof value) || !kw_httpdate_parse(value, &t))
            return kw_fail(err, KW_POLICY,
                           "%s must be a date as in \"Sun, 06 Nov 1994 08:49:37 GMT\"", names[i]);
        if (t < now - SKEW || t > now + SKEW)
            return kw_fail(err, KW_POLICY,
                           "%s is %lld s away from the keeper's clock, more than the %d s that "
                           "OCI allows; is a clock wrong?",
                           names[i], (long long)(t > now ? t - now : now - t), SKEW);
    }
    return 0;
}

int kw_keeper_client_use(struct kw_keeper *k, struct kw_err *err)
{
    if (k->client_uses >= KW_CLIENT_MAX)
        return kw_fail(err, KW_POLICY,
                       "the client key was used %d times already; one exchange takes one",
                       KW_CLIENT_MAX);
    k->client_uses++;
    return 0;
}

int kw_keeper_patience(const struct kw_keeper *k, const struct kw_peer *p, struct kw_err *err)
{
    return k->refusals > KW_REFUSALS_MAX && p == &k->exchanger
               ? kw_fail(err, KW_POLICY, "more than %d requests were refused", KW_REFUSALS_MAX)
               : 0;
}

/* An administrator's API key (`setup oci --admin-key`): for what main asks, within the policy
 * that the keeper was started with. */
static int judge_admin(struct kw_keeper *k, const struct kw_m_sign *m, int64_t now, char *rule,
                       size_t size, struct kw_err *err)
{
    if (!k->client.there || !k->session_good)
        return kw_fail(err, KW_POLICY, "there is no administrator's key, or no leave for it yet");
    if (now < 0 || (uint64_t)now >= k->session_info.not_after)
        return kw_fail(err, KW_POLICY, "the leave for the administrator's key has expired");
    return kw_sign_judge(&k->policy, m->method, m->host, m->target, kw_now_ms(), rule, size, err);
}

/* The client key signs the exchange itself and nothing else. */
static int judge_client(struct kw_keeper *k, const struct kw_m_sign *m, char *rule, size_t size,
                        struct kw_err *err)
{
    if (!k->client.there)
        return kw_fail(err, KW_POLICY, "no client key is configured");
    if (strcmp(m->method, "POST") != 0 || k->cfg.client_host[0] == '\0' ||
        strcasecmp(m->host, k->cfg.client_host) != 0 ||
        strcmp(m->target, k->cfg.client_target) != 0)
        return kw_fail(err, KW_POLICY, "the client key signs POST to https://%s%.256s only",
                       k->cfg.client_host, k->cfg.client_target);
    (void)snprintf(rule, size, "client-key");
    return kw_keeper_client_use(k, err);
}

static int judge_session(struct kw_keeper *k, const struct kw_m_sign *m, int64_t now, char *rule,
                         size_t size, struct kw_err *err)
{
    if (!k->session->there || !k->verdict_in || !k->session_good)
        return kw_fail(err, KW_POLICY, "there is no session yet: nothing is signed for it");
    if (now < 0 || (uint64_t)now >= k->session_info.not_after)
        return kw_fail(err, KW_POLICY, "the session has expired");
    return kw_sign_judge(&k->policy, m->method, m->host, m->target, kw_now_ms(), rule, size, err);
}

int kw_keeper_judge(struct kw_keeper *k, const struct kw_m_sign *m, int64_t now,
                    struct kw_buf *string, char *rule, size_t size, struct kw_err *err)
{
    int r = kw_oci_signing_string(m, string, err);
    if (r == 0)
        r = kw_keeper_dates(m->headers, now, err);
    if (r != 0)
        return r;
    if (m->key == KW_SIGN_CLIENT)
        return k->cfg.purpose == KW_FOR_BEARER ? judge_admin(k, m, now, rule, size, err)
                                               : judge_client(k, m, rule, size, err);
    if (m->key == KW_SIGN_SESSION)
        return judge_session(k, m, now, rule, size, err);
    return kw_fail(err, KW_POLICY, "there is no such key");
}

int kw_keeper_sign(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_sign *m = malloc(sizeof *m);
    struct kw_job *j = kw_job_new(in->type == KW_S_SIGN ? KW_S_SIGNED : KW_KM_SIGNED);
    int r = 0;
    if (m == NULL || j == NULL)
        r = kw_fail(err, KW_FAILED, "out of memory");
    else if (!kw_msg_get(&in->body, in->type, m))
        r = kw_fail(err, KW_FAILED, "%s: malformed %s", kw_channel_name(p->chan.name),
                    kw_msg_name(in->type));
    if (r != 0) {
        free(m);
        kw_job_free(j);
        return r;
    }
    /* Under `run`, what CMD wants signed comes from the proxy and from nobody else; what an
     * administrator wants, from main. */
    bool run = k->cfg.purpose == KW_FOR_RUN && m->key == KW_SIGN_SESSION;
    if (run || (k->cfg.purpose == KW_FOR_BEARER && p != &k->main)) {
        j->result = kw_fail(&j->err, KW_POLICY, "%s",
                            run ? "the session key signs for the proxy only"
                                : "the administrator's key signs for main only");
        kw_note_refusal(k, "sign", m, &j->err);
        free(m);
        kw_job_submit(k, p, j);
        return kw_keeper_patience(k, p, err);
    }
    j->signer = m->key == KW_SIGN_CLIENT ? &k->client : k->session;
    j->not_after = m->key == KW_SIGN_CLIENT ? 0 : (int64_t)k->session_info.not_after;
    return kw_keeper_judged(k, p, m, j, err);
}

int kw_keeper_judged(struct kw_keeper *k, struct kw_peer *p, struct kw_m_sign *m, struct kw_job *j,
                     struct kw_err *err)
{
    char rule[2048];
    j->result = kw_keeper_judge(k, m, time(NULL), &j->data, rule, sizeof rule, &j->err);
    if (j->result != 0)
        kw_note_refusal(k, "sign", m, &j->err);
    else {
        j->result = kw_note_sign(k, m, rule, &j->err);
        if (j->result != 0)
            (void)kw_err_wrap(&j->err, "nothing is signed that can't be logged");
        else
            kw_note_head(k, false);
    }
    free(m);
    kw_job_submit(k, p, j);
    return kw_keeper_patience(k, p, err);
}

/* The JWT is its text, a dot, and the signature. */
static int send_jwt(struct kw_peer *p, struct kw_job *j, struct kw_err *err)
{
    _Static_assert(sizeof(struct kw_m_asserted) == sizeof(struct kw_m_issued), "one secret each");
    struct kw_m_asserted m = {0};
    kw_put_str(&j->data, ".");
    kw_b64url_put(&j->data, j->sig, j->sig_n);
    if (!j->data.bad)
        m.jwt = kw_secret_from(j->data.p, j->data.len);
    int r = m.jwt != NULL ? kw_msg_send(&p->chan, j->answer, &m, NULL, 0, ANSWER_MS, err)
                          : kw_fail(err, KW_FAILED, "no room for a JWT");
    kw_secret_free(&m.jwt);
    return r;
}

static int send_answer(struct kw_keeper *k, struct kw_peer *p, struct kw_job *j, struct kw_err *err)
{
    if (j->result != 0) {
        struct kw_m_error m = {.code = (uint32_t)j->err.code};
        (void)snprintf(m.text, sizeof m.text, "%s", j->err.text);
        return kw_msg_send(&p->chan, KW_MSG_ERROR, &m, NULL, 0, ANSWER_MS, err);
    }
    if (j->answer == KW_S_ALLOWED || j->answer == KW_P_ALLOWED)
        return kw_msg_send(&p->chan, j->answer, &(struct kw_m_empty){0}, NULL, 0, ANSWER_MS, err);
    k->signatures++;
    if (j->answer == KW_S_ASSERTED || j->answer == KW_KM_ISSUED)
        return send_jwt(p, j, err);
    unsigned char der[128];
    struct kw_m_signed m = {.signature = {j->sig, j->sig_n}};
    if (j->signer == &k->tls && j->signer->key.mech == CKM_ECDSA) {
        if (!kw_ec_raw_to_der(j->sig, j->sig_n, der, sizeof der, &m.signature.len))
            return kw_fail(err, KW_FAILED, "the token's signature has no good form");
        m.signature.p = der;
    }
    return kw_msg_send(&p->chan, j->answer, &m, NULL, 0, ANSWER_MS, err);
}

int kw_keeper_answer(struct kw_keeper *k, struct kw_peer *p, struct kw_err *err)
{
    int r = 0;
    struct kw_job *j;
    while (r == 0 && (j = kw_job_take(k, p)) != NULL) {
        if (p->open)
            r = send_answer(k, p, j, err);
        kw_job_free(j);
    }
    return r;
}
