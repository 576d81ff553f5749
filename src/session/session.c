/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/rules.h"
#include "session_int.h"
#include "session_kept.h"
#include "session_token.h"
#include "src/base/log.h"
#include "src/base/tty.h"
#include "src/source/source.h"
#include "src/wire/jwt.h"
#include "state.h"

enum { PROMPT_S = 300 };

static int start_proxy(struct kw_session *s, struct kw_err *err)
{
    const struct kw_config *c = s->config;
    static struct kw_m_proxy_start m; /* large */
    m.verbosity = (uint32_t)c->verbosity;
    m.best_effort = c->best_effort;
    (void)snprintf(m.ca_file, sizeof m.ca_file, "%s", c->ca_file);
    (void)snprintf(m.ca_names, sizeof m.ca_names, "%s", c->sign_host);
    return kw_child_send(&s->crew.proxy, KW_PM_START, &m, NULL, 0, err);
}

int kw_session_start_crew(struct kw_session *s, enum kw_purpose purpose, const char *stored_id,
                          struct kw_err *err)
{
    const struct kw_config *c = s->config;
    struct kw_m_keeper_start ks;
    struct kw_m_exchanger_start xs = {.verbosity = (uint32_t)c->verbosity,
                                      .best_effort = c->best_effort,
                                      .timeout_ms = c->timeout_s * 1000,
                                      .tls_key = purpose == KW_FOR_BEARER && c->tls_key_set};
    struct kw_m_dialer_start ds = {.verbosity = (uint32_t)c->verbosity,
                                   .best_effort = c->best_effort,
                                   .timeout_ms = c->timeout_s * 1000};
    int pin_fd = -1, audit_fd = -1;
    int r = kw_keeper_config(c, purpose, s->caller, &ks, &pin_fd, err);
    if (r == 0)
        r = kw_audit_open(c, &audit_fd, err);
    if (r != 0) {
        if (pin_fd >= 0)
            (void)close(pin_fd);
        return r;
    }
    (void)snprintf(ks.stored_id, sizeof ks.stored_id, "%s", stored_id);
    (void)snprintf(xs.ca_file, sizeof xs.ca_file, "%s", c->ca_file);
    (void)snprintf(ds.dial, sizeof ds.dial, "%s", c->dial);
    (void)snprintf(ds.resolve, sizeof ds.resolve, "%s", c->resolve);
    (void)snprintf(ds.proxy, sizeof ds.proxy, "%s", c->proxy);
    if (s->run)
        (void)snprintf(ds.egress, sizeof ds.egress, "%s", c->egress);
    if (ks.pin_source == KW_PIN_PROMPT)
        kw_tty_save();
    r = kw_crew_start(&s->crew,
                      1u << KW_ROLE_KEEPER | 1u << KW_ROLE_EXCHANGER | 1u << KW_ROLE_DIALER |
                          (s->run ? 1u << KW_ROLE_PROXY : 0u),
                      audit_fd, pin_fd, c->token_env, err);
    if (audit_fd >= 0)
        (void)close(audit_fd);
    if (pin_fd >= 0)
        (void)close(pin_fd);
    if (r == 0) {
        (void)snprintf(s->crew.keeper.module, sizeof s->crew.keeper.module, "%s", ks.module);
        s->person = ks.module[0] != '\0' &&
                    (ks.pin_source == KW_PIN_PROMPT || ks.pin_source == KW_PIN_NONE);
        s->keeper_deadline = s->person ? kw_now_ms() + PROMPT_S * 1000 : kw_deadline(c);
        r = kw_child_send(&s->crew.keeper, KW_KM_START, &ks, NULL, 0, err);
    }
    if (r == 0)
        r = kw_child_send(&s->crew.exchanger, KW_XM_START, &xs, NULL, 0, err);
    if (r == 0)
        r = kw_child_send(&s->crew.dialer, KW_DM_START, &ds, NULL, 0, err);
    return r == 0 && s->run ? start_proxy(s, err) : r;
}

int kw_session_expect(struct kw_child *ch, enum kw_msg type, void *m, int64_t deadline,
                      struct kw_err *err)
{
    struct kw_in in;
    int r = kw_child_expect(ch, type, m, &in, deadline, err);
    kw_in_free(&in);
    return r;
}

int kw_session_await_net(struct kw_session *s, struct kw_err *err)
{
    int64_t deadline = kw_deadline(s->config);
    int r = kw_session_expect(&s->crew.exchanger, KW_XM_READY, &s->exchanger, deadline, err);
    if (r == 0)
        r = kw_session_expect(&s->crew.dialer, KW_DM_READY, &s->dialer, deadline, err);
    if (r == 0 && s->run)
        r = kw_session_expect(&s->crew.proxy, KW_PM_READY, &s->proxy, deadline, err);
    return r;
}

/* Takes KM_KEY or KM_VERDICT, whichever it is: the keeper makes key and twin at once. Each
 * once: a key that changed after it was compared with the token would be no key. */
static int take_birth(struct kw_session *s, struct kw_in *in, struct kw_err *err)
{
    if (in->type == KW_KM_KEY && !s->have_key && kw_msg_get_shown(&in->body, in->type, &s->key)) {
        memcpy(s->spki, s->key.spki.p, s->key.spki.len);
        s->key.spki.p = s->spki;
        s->have_key = true;
        s->key_pending = false;
        return 0;
    }
    if (in->type == KW_KM_VERDICT && !s->have_verdict &&
        kw_msg_get_shown(&in->body, in->type, &s->verdict)) {
        s->have_verdict = true;
        return 0;
    }
    return kw_fail(err, KW_FAILED, "the keeper sent an unexpected or malformed message");
}

static int take_from_keeper(struct kw_session *s, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_child_recv(&s->crew.keeper, &in, s->keeper_deadline, err);
    if (r == 0)
        r = take_birth(s, &in, err);
    kw_in_free(&in);
    return r;
}

int kw_session_await_keeper(struct kw_session *s, struct kw_err *err)
{
    if (s->keeper.mechanism[0] != '\0')
        return 0;
    int r = kw_session_expect(&s->crew.keeper, KW_KM_READY, &s->keeper, s->keeper_deadline, err);
    s->keeper_deadline = kw_deadline(s->config);
    return r;
}

int kw_session_await_key(struct kw_session *s, struct kw_err *err)
{
    int r = kw_session_await_keeper(s, err);
    while (r == 0 && !s->have_key)
        r = take_from_keeper(s, err);
    s->key_pending = false;
    return r;
}

static int await_verdict(struct kw_session *s, struct kw_err *err)
{
    int r = 0;
    while (r == 0 && !s->have_verdict)
        r = take_from_keeper(s, err);
    if (r == 0 && s->verdict.weaknesses != 0)
        kw_log(KW_WARN, "weakness accepted by [key] accept: %s", s->verdict.text);
    return r;
}

/* Sources that need the network ask the exchanger. */
static int fetch_by_exchanger(void *arg, const struct kw_m_fetch *request, struct kw_secret **ret,
                              struct kw_err *err)
{
    struct kw_session *s = arg;
    struct kw_m_fetched answer = {0};
    int64_t deadline = kw_deadline(s->config);
    int r = kw_child_send(&s->crew.exchanger, KW_XM_FETCH, request, NULL, 0, err);
    if (r == 0)
        r = kw_session_expect(&s->crew.exchanger, KW_XM_FETCHED, &answer, deadline, err);
    if (r != 0)
        r = kw_crew_reason(&s->crew, deadline, r, err);
    *ret = answer.token;
    return r;
}

/* The token as the source asks the keeper, which may have a key and a verdict to tell of
 * before it has the JWT. */
static int issue_by_keeper(void *arg, const struct kw_m_issue *request, struct kw_secret **ret,
                           struct kw_err *err)
{
    struct kw_session *s = arg;
    struct kw_m_issued answer = {0};
    int r = kw_session_await_keeper(s, err);
    if (r == 0)
        r = kw_child_send(&s->crew.keeper, KW_KM_ISSUE, request, NULL, 0, err);
    while (r == 0 && answer.jwt == NULL) {
        struct kw_in in;
        r = kw_child_recv(&s->crew.keeper, &in, s->keeper_deadline, err);
        if (r == 0 && in.type != KW_KM_ISSUED)
            r = take_birth(s, &in, err);
        else if (r == 0 && !kw_msg_get(&in.body, KW_KM_ISSUED, &answer))
            r = kw_fail(err, KW_FAILED, "the keeper sent a malformed JWT");
        kw_in_free(&in);
    }
    *ret = answer.jwt;
    return r;
}

/* The subject token, judged by the claim policy before it goes anywhere. */
int kw_session_subject(struct kw_session *s, struct kw_err *err)
{
    const struct kw_source_ways ways = {fetch_by_exchanger, issue_by_keeper, s};
    int r = s->ask != NULL
                ? s->ask(s->ask_arg, &s->subject, err)
                : kw_source_get(s->config, &ways, s->source, sizeof s->source, &s->subject, err);
    if (r != 0)
        return r;
    struct kw_jwt j;
    r = kw_jwt_decode(kw_secret_bytes(s->subject), kw_secret_len(s->subject), "the subject token",
                      KW_SUBJECT, &j, err);
    if (r != 0)
        return r;
    r = kw_source_judge(s->config, &j, s->decided, sizeof s->decided, err);
    kw_jwt_free(&j);
    return r;
}

int kw_session_open_exchange(struct kw_session *s, struct kw_err *err)
{
    const struct kw_config *c = s->config;
    struct kw_m_exchange x = {
        .auth = c->client_auth, .requested = c->requested, .rpst_exp = c->rpst_exp};
    (void)snprintf(x.domain_url, sizeof x.domain_url, "%s", c->domain_url);
    (void)snprintf(x.client_id, sizeof x.client_id, "%s", c->client_id);
    (void)snprintf(x.client_key_id, sizeof x.client_key_id, "%s", c->client_key_id);
    (void)snprintf(x.res_type, sizeof x.res_type, "%s", c->res_type);
    int r = c->client_auth == KW_AUTH_BASIC ? kw_client_secret(c, &x.client_secret, err) : 0;
    if (r == 0)
        r = kw_child_send(&s->crew.exchanger, KW_XM_EXCHANGE, &x, NULL, 0, err);
    kw_secret_free(&x.client_secret);
    return r;
}

int kw_session_send_exchange(struct kw_session *s, struct kw_err *err)
{
    struct kw_m_go go = {.spki = s->key.spki, .subject = s->subject};
    struct kw_m_token t = {0};
    int64_t deadline = kw_deadline(s->config);
    int r = kw_child_send(&s->crew.exchanger, KW_XM_GO, &go, NULL, 0, err);
    if (r == 0)
        r = kw_session_expect(&s->crew.exchanger, KW_XM_TOKEN, &t, deadline, err);
    if (r != 0)
        r = kw_crew_reason(&s->crew, deadline, r, err);
    kw_secret_free(&s->subject);
    s->token = t.token;
    (void)snprintf(s->correlation, sizeof s->correlation, "%s", t.correlation);
    return r;
}

/* Tells the keeper that it may sign from now on, and until when. */
int kw_session_open_signing(struct kw_session *s, struct kw_err *err)
{
    struct kw_m_keeper_session m = {.not_after = (uint64_t)s->not_after};
    (void)snprintf(m.principal, sizeof m.principal, "%s", s->principal);
    (void)snprintf(m.claims, sizeof m.claims, "%s", s->decided);
    (void)snprintf(m.caller, sizeof m.caller, "%s", s->ask != NULL ? s->caller : "");
    m.direct = s->direct;
    int r = kw_child_send(&s->crew.keeper, KW_KM_SESSION, &m, NULL, 0, err);
    return r != 0 ? r
                  : kw_session_expect(&s->crew.keeper, KW_KM_OK, NULL, kw_deadline(s->config), err);
}

/* Other commands may be signing with the old key: it goes when the last of them is done. */
static void forget_old(struct kw_session *s)
{
    enum { PATIENCE_MS = 5000 };
    struct kw_m_destroy d;
    struct kw_err why;
    (void)snprintf(d.id, sizeof d.id, "%s", s->old_id);
    if (kw_state_lock(s->lock, KW_LOCK_USE, true, kw_now_ms() + PATIENCE_MS, &why) != 0 ||
        kw_child_send(&s->crew.keeper, KW_KM_DESTROY, &d, NULL, 0, &why) != 0 ||
        kw_session_expect(&s->crew.keeper, KW_KM_OK, NULL, kw_deadline(s->config), &why) != 0)
        kw_log(KW_WARN,
               "the key of the session before this one is still in the token (%s); "
               "keyward keys --prune removes it",
               why.text);
}

/* The old key goes only once the new session is safely written: a failed renewal must
 * not cost a session that is still good. */
static int remember(struct kw_session *s, struct kw_err *err)
{
    if (!s->config->key_stored || s->run)
        return 0;
    struct kw_state st = {.not_after = s->not_after, .token = s->token};
    (void)snprintf(st.key_id, sizeof st.key_id, "%s", s->key.id);
    int r = kw_state_write(s->config, &st, err);
    if (r == 0 && s->old_id[0] != '\0' && strcmp(s->old_id, s->key.id) != 0)
        forget_old(s);
    /* The new one is in use by us, and must not go before we have done with it. */
    return r != 0 ? r : kw_state_lock(s->lock, KW_LOCK_USE, false, kw_deadline(s->config), err);
}

static int check_config(struct kw_session *s, struct kw_err *err)
{
    return kw_config_check_oci(s->config, err);
}

static int start_fresh(struct kw_session *s, struct kw_err *err)
{
    return kw_session_start_crew(s, s->purpose, "", err);
}

/* What a finished step is worth telling. */
static void tell_config(const struct kw_session *s, char *text, size_t size)
{
    const struct kw_config *c = s->config;
    (void)snprintf(text, size, "%s, profile %s, domain %s",
                   c->path[0] != '\0' ? c->path : "no file", c->profile, c->domain_url);
}

void kw_session_tell_net(const struct kw_session *s, char *text, size_t size)
{
    (void)snprintf(text, size, "exchanger: %s; dialer: %s%s%s", s->exchanger.fences,
                   s->dialer.fences, s->exchanger.missing[0] != '\0' ? "; MISSING: " : "",
                   s->exchanger.missing);
}

void kw_session_tell_subject(const struct kw_session *s, char *text, size_t size)
{
    (void)snprintf(text, size, "from %s; %s", s->source, s->decided);
}

static void tell_key(const struct kw_session *s, char *text, size_t size)
{
    (void)snprintf(text, size, "%s (serial %s), %s, rung %u of 4, %s; fences: %s%s%s",
                   s->keeper.label, s->keeper.serial, s->keeper.mechanism, s->key.rung,
                   s->key.attributes, s->keeper.fences,
                   s->keeper.missing[0] != '\0' ? "; MISSING: " : "", s->keeper.missing);
}

static void tell_token(const struct kw_session *s, char *text, size_t size)
{
    (void)snprintf(text, size, "%s, expires in %lld s, bound to the key in the token", s->principal,
                   (long long)(s->not_after - (int64_t)time(NULL)));
}

static void tell_verdict(const struct kw_session *s, char *text, size_t size)
{
    (void)snprintf(text, size, "%s", s->verdict.text);
}

/* In this order; `needs` lets doctor go on behind a step that failed. */
static const struct kw_session_step oci_steps[] = {
    {"configuration", check_config, tell_config, 0, true, true},
    {"processes", start_fresh, NULL, 0, true, true},
    {"network processes and their fences", kw_session_await_net, kw_session_tell_net, 1u << 1, true,
     true},
    {"subject token and claim policy", kw_session_subject, kw_session_tell_subject, 1u << 2, true,
     false},
    {"client authentication", kw_session_open_exchange, NULL, 1u << 0 | 1u << 2 | 1u << 3, true,
     false},
    {"PKCS#11 token and session key", kw_session_await_key, tell_key, 1u << 1, true, true},
    {"exchange", kw_session_send_exchange, NULL, 1u << 4 | 1u << 5, true, false},
    {"session token", kw_session_judge, tell_token, 1u << 6, true, false},
    {"extraction self-test", await_verdict, tell_verdict, 1u << 5, true, true},
    {"leave to sign", kw_session_open_signing, NULL, 1u << 7 | 1u << 8, false, false},
    {"session kept for later commands", remember, NULL, 1u << 9, false, false},
};

const struct kw_session_step *kw_session_steps(const struct kw_config *c, size_t *ret_n)
{
    if (c->cloud == KW_CLOUD_GOOGLE)
        return kw_google_steps(ret_n);
    *ret_n = sizeof oci_steps / sizeof oci_steps[0];
    return oci_steps;
}

int kw_session_fresh(struct kw_session *s, struct kw_err *err)
{
    int r = 0;
    size_t n;
    const struct kw_session_step *steps = kw_session_steps(s->config, &n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if ((s->done & 1u << i) != 0)
            continue;
        r = steps[i].run(s, err);
        kw_log(KW_DEBUG, "%s: %s", steps[i].name, r == 0 ? "done" : "failed");
    }
    return r;
}

int kw_session_take_stored(struct kw_session *s, struct kw_state *st, struct kw_err *err)
{
    s->token = st->token;
    st->token = NULL;
    s->stored = true;
    struct kw_m_session m = {.token = s->token};
    int r = kw_session_start_crew(s, KW_FOR_STORED, st->key_id, err);
    if (r == 0)
        r = kw_session_await_net(s, err);
    if (r == 0)
        r = kw_session_await_key(s, err);
    if (r == 0)
        r = kw_session_judge(s, err);
    if (r == 0)
        r = await_verdict(s, err);
    if (r == 0)
        r = kw_session_open_signing(s, err);
    return r != 0 ? r : kw_child_send(&s->crew.exchanger, KW_XM_SESSION, &m, NULL, 0, err);
}

void kw_session_abandon(struct kw_session *s, struct kw_err *err)
{
    struct kw_err at_end;
    /* A sandbox violation found while cleaning up is the more important news. */
    if (kw_crew_end(&s->crew, &at_end) == KW_SANDBOX)
        *err = at_end;
    kw_secret_free(&s->token);
    kw_secret_free(&s->subject);
}

/* The login goes on beside all else. Were a wrong PIN not heard of because the network
 * failed first, an exit code that invites a restart would cost the token its tries. */
int kw_session_heed_pin(struct kw_session *s, int r, struct kw_err *err)
{
    struct kw_err why;
    bool unheard = s->crew.keeper.pid != 0 && s->keeper.mechanism[0] == '\0' && !s->person;
    if (r == KW_PIN || !unheard || kw_interrupted() ||
        kw_session_expect(&s->crew.keeper, KW_KM_READY, &s->keeper, s->keeper_deadline, &why) !=
            KW_PIN)
        return r;
    kw_log(KW_INFO, "%s", err->text);
    *err = why;
    return KW_PIN;
}
