/* SPDX-License-Identifier: Apache-2.0
 *
 * A session at Google: subject token, exchange, impersonation. The bearer that comes of it
 * lives in the exchanger, and here until the command ends. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client_cert.h"
#include "session_int.h"
#include "src/base/log.h"
#include "src/wire/google_name.h"
#include "src/wire/jwt.h"

static int check_config(struct kw_session *s, struct kw_err *err)
{
    int r = kw_config_check_google(s->config, err);
    if (r == 0 && s->config->id_audience[0] != '\0' && s->config->service_account[0] == '\0')
        r = kw_fail(err, KW_USAGE,
                    "an ID token is a service account's: set [google %s] service_account",
                    s->config->profile);
    return r;
}

static int start(struct kw_session *s, struct kw_err *err)
{
    return kw_session_start_crew(s, KW_FOR_BEARER, "", err);
}

/* X.509 federation has no JWT: the certificate is what says who we are. */
static bool by_certificate(const struct kw_session *s)
{
    return s->config->client_cert[0] != '\0';
}

int kw_google_subject(struct kw_session *s, struct kw_err *err)
{
    static struct kw_client_cert cert; /* large */
    if (!by_certificate(s))
        return kw_session_subject(s, err);
    int r = kw_client_cert_read(s->config->client_cert, (int64_t)time(NULL), &cert, err);
    if (r == 0)
        r = kw_client_cert_token(&cert, &s->subject, err);
    if (r != 0)
        return r;
    (void)snprintf(s->source, sizeof s->source, "certificate %.200s", s->config->client_cert);
    (void)snprintf(s->decided, sizeof s->decided, "%s", cert.shown);
    (void)snprintf(s->tenant, sizeof s->tenant, "%s", cert.subject);
    /* Only the keeper can say whether the key is there, and it signs in the handshake. */
    return kw_session_await_keeper(s, err);
}

static void tell_config(const struct kw_session *s, char *text, size_t size)
{
    const struct kw_config *c = s->config;
    (void)snprintf(text, size, "%s, profile %s, provider %s, %s%s",
                   c->path[0] != '\0' ? c->path : "no file", c->profile, c->provider,
                   c->service_account[0] != '\0' ? "impersonating " : "direct access",
                   c->service_account);
}

static void tell_keeper(const struct kw_session *s, char *text, size_t size)
{
    (void)snprintf(text, size, "keeper: %s%s%s", s->keeper.fences,
                   s->keeper.missing[0] != '\0' ? "; MISSING: " : "", s->keeper.missing);
}

static void tell_session(const struct kw_session *s, char *text, size_t size)
{
    (void)snprintf(text, size, "%s, expires in %lld s", s->principal,
                   (long long)(s->not_after - (int64_t)time(NULL)));
}

/* "projects/-/serviceAccounts/" is put before each by who writes the request. */
static int accounts(const struct kw_config *c, struct kw_m_google *m, struct kw_err *err)
{
    char word[256], bare[256];
    int r = 0;
    if (c->service_account[0] != '\0')
        r = kw_google_account(c->service_account, "[google] service_account", m->service_account,
                              sizeof m->service_account, err);
    for (const char *p = c->delegates; r == 0 && *p != '\0';) {
        size_t n = strcspn(p, " "), at = strlen(m->delegates);
        (void)snprintf(word, sizeof word, "%.*s", (int)n, p);
        r = kw_google_account(word, "each of [google] delegates", bare, sizeof bare, err);
        (void)snprintf(m->delegates + at, sizeof m->delegates - at, "%s%s", at > 0 ? " " : "",
                       bare);
        p += n + strspn(p + n, " ");
    }
    return r;
}

int kw_google_message(const struct kw_session *s, struct kw_m_google *m, struct kw_err *err)
{
    const struct kw_config *c = s->config;
    struct kw_google_provider p;
    *m = (struct kw_m_google){.lifetime = c->lifetime, .include_email = c->include_email};
    int r = kw_google_provider(c->provider, &p, err);
    if (r != 0)
        return r;
    kw_google_audience(&p, m->audience, sizeof m->audience);
    (void)snprintf(m->sts_url, sizeof m->sts_url, "https://sts.%s%s/v1/token",
                   by_certificate(s) ? "mtls." : "", c->universe);
    (void)snprintf(m->iam_url, sizeof m->iam_url,
                   "https://iamcredentials.%s/v1/projects/-/serviceAccounts", c->universe);
    (void)snprintf(m->subject_type, sizeof m->subject_type, "urn:ietf:params:oauth:token-type:%s",
                   by_certificate(s) ? "mtls" : c->subject_type);
    (void)snprintf(m->scope, sizeof m->scope, "%s", c->scope);
    (void)snprintf(m->quota_project, sizeof m->quota_project, "%s", c->quota_project);
    (void)snprintf(m->request_reason, sizeof m->request_reason, "%s", c->request_reason);
    (void)snprintf(m->id_audience, sizeof m->id_audience, "%s", c->id_audience);
    return accounts(c, m, err);
}

/* Whom the bearer stands for. Without impersonation Google's mapping decides, which is in
 * the provider, not here: its usual form is google.subject = assertion.sub. */
static int name_principal(struct kw_session *s, struct kw_err *err)
{
    const struct kw_config *c = s->config;
    struct kw_google_provider p;
    struct kw_jwt j;
    if (c->service_account[0] != '\0') {
        (void)snprintf(s->principal, sizeof s->principal, "%s", c->service_account);
        return 0;
    }
    int r = kw_google_provider(c->provider, &p, err);
    if (r == 0 && by_certificate(s)) {
        (void)snprintf(s->principal, sizeof s->principal,
                       "principal://iam.googleapis.com/projects/%s/locations/global/"
                       "workloadIdentityPools/%s/subject/%s",
                       p.number, p.pool, s->tenant);
        return 0;
    }
    if (r == 0)
        r = kw_jwt_decode(kw_secret_bytes(s->subject), kw_secret_len(s->subject),
                          "the subject token", KW_SUBJECT, &j, err);
    if (r != 0)
        return r;
    const char *sub = kw_jwt_str(&j, "sub");
    (void)snprintf(s->principal, sizeof s->principal,
                   "principal://iam.googleapis.com/projects/%s/locations/global/"
                   "workloadIdentityPools/%s/subject/%s",
                   p.number, p.pool, sub != NULL ? sub : "?");
    kw_printable(s->principal);
    kw_jwt_free(&j);
    return 0;
}

static int ask(struct kw_session *s, struct kw_m_google *m, struct kw_m_bearer *b,
               struct kw_err *err)
{
    m->subject = s->subject;
    int r = kw_child_send(&s->crew.exchanger, KW_XM_GOOGLE, m, NULL, 0, err);
    return r != 0 ? r
                  : kw_session_expect(&s->crew.exchanger, KW_XM_BEARER, b, kw_deadline(s->config),
                                      err);
}

/* The end of an ID token is in itself. */
static int id_token_end(struct kw_session *s, struct kw_err *err)
{
    struct kw_jwt j;
    int r = kw_jwt_decode(kw_secret_bytes(s->token), kw_secret_len(s->token), "the ID token",
                          KW_CLOUD, &j, err);
    if (r != 0)
        return r;
    if (!kw_jwt_time(&j, "exp", &s->not_after))
        r = kw_fail(err, KW_CLOUD, "the ID token has no exp");
    kw_jwt_free(&j);
    return r;
}

static int read_pem(const struct kw_session *s, struct kw_m_google *m, struct kw_err *err)
{
    static struct kw_client_cert cert; /* large */
    int r = kw_client_cert_read(s->config->client_cert, (int64_t)time(NULL), &cert, err);
    if (r == 0)
        (void)snprintf(m->client_pem, sizeof m->client_pem, "%s", cert.pem);
    return r;
}

int kw_google_exchange(struct kw_session *s, struct kw_err *err)
{
    static struct kw_m_google m; /* large */
    struct kw_m_bearer b = {0};
    int r = kw_google_message(s, &m, err);
    if (r == 0 && by_certificate(s))
        r = read_pem(s, &m, err);
    if (r == 0)
        r = ask(s, &m, &b, err);
    if (r == KW_SUBJECT &&
        !by_certificate(s)) { /* too old by Google's clock: once more, with a fresh one */
        kw_log(KW_INFO, "%s; fetching a fresh one", err->text);
        kw_secret_free(&s->subject);
        r = kw_session_subject(s, err);
        if (r == 0 && (r = ask(s, &m, &b, err)) == KW_SUBJECT)
            r = err->code = KW_CLOUD;
    }
    if (r == 0)
        r = name_principal(s, err);
    kw_secret_free(&s->subject);
    s->token = b.token;
    s->not_after = (int64_t)b.not_after;
    s->federated_for = b.federated_for;
    if (r == 0 && s->config->id_audience[0] != '\0')
        r = id_token_end(s, err);
    if (r == 0 && s->not_after <= (int64_t)time(NULL))
        r = kw_fail(err, KW_CLOUD,
                    "the token that Google gave has expired already, by this machine's clock; "
                    "check the clock");
    return r;
}

static const struct kw_session_step google_steps[] = {
    {"configuration", check_config, tell_config, 0, true, true},
    {"processes", start, NULL, 0, true, true},
    {"network processes and their fences", kw_session_await_net, kw_session_tell_net, 1u << 1, true,
     true},
    {"keeper of policy and log", kw_session_await_keeper, tell_keeper, 1u << 1, true, true},
    {"subject token and claim policy", kw_google_subject, kw_session_tell_subject, 1u << 2, true,
     false},
    {"exchange", kw_google_exchange, tell_session, 1u << 0 | 1u << 4, true, false},
    {"leave to call", kw_session_open_signing, NULL, 1u << 3 | 1u << 5, false, false},
};

const struct kw_session_step *kw_google_steps(size_t *ret_n)
{
    *ret_n = sizeof google_steps / sizeof google_steps[0];
    return google_steps;
}
