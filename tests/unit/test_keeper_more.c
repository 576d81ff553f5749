/* SPDX-License-Identifier: Apache-2.0
 *
 * The real keyward-keeper: where a bearer may go, JWTs by the issuer key, and handshakes by
 * the TLS client key; what each of them is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "src/base/b64.h"
#include "src/keeper/keeper.h"
#include "src/wire/jwt.h"

#include "keeper_steps.h"

/* --- bearers ---------------------------------------------------------------------------- */

static int ask_leave(enum kw_msg question, const char *method, const char *host, const char *target)
{
    struct kw_m_allow a = {.method = ""};
    struct kw_m_empty none;
    (void)snprintf(a.method, sizeof a.method, "%s", method);
    (void)snprintf(a.host, sizeof a.host, "%s", host);
    (void)snprintf(a.target, sizeof a.target, "%s", target);
    if (kw_msg_send(&rig.sign, question, &a, NULL, 0, RIG_MS, &err) != 0)
        fail_msg("%s", err.text);
    int r = kw_msg_expect(&rig.sign, KW_S_ALLOWED, &none, &in, RIG_MS, &err);
    kw_in_free(&in);
    return r;
}

static int ask_allow(const char *method, const char *host, const char *target)
{
    return ask_leave(KW_S_ALLOW, method, host, target);
}

static void bearer(void **state)
{
    (void)state;
    struct kw_m_keeper_ready ready;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_BEARER);
    rig.cfg.module[0] = '\0'; /* no token at all */
    rig.cfg.pin_source = KW_PIN_NONE;
    (void)snprintf(rig.cfg.sign_host, sizeof rig.cfg.sign_host, "*.googleapis.com");
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    assert_string_equal(ready.mechanism, "none");
    assert_int_equal(ask_allow("GET", "compute.googleapis.com", "/x"), KW_POLICY);
    assert_non_null(strstr(err.text, "no bearer yet"));
    session(600);
    assert_int_equal(ask_allow("GET", "compute.googleapis.com", "/x?secret=hunter2"), 0);
    assert_int_equal(ask_allow("GET", "evil.example", "/x"), KW_POLICY);
    assert_int_equal(ask_allow("DELETE", "compute.googleapis.com", "/x"), KW_POLICY);
    session(600); /* renewed in the same keeper */
    assert_int_equal(ask_allow("POST", "storage.googleapis.com", "/y"), 0);
    session(2);
    (void)sleep(3);
    assert_int_equal(ask_allow("GET", "compute.googleapis.com", "/x"), KW_POLICY);
    assert_non_null(strstr(err.text, "expired"));
    /* nothing is signed for it, and there is no key to ask for */
    struct kw_m_sign m = request(KW_SIGN_SESSION, "GET", "compute.googleapis.com", "/", 0);
    assert_int_equal(ask(&rig.sign, m, spki, 0), KW_POLICY);
    close_rig(1);
    static const char *const words[] = {
        "\"event\":\"start\"",   "\"event\":\"call\"",
        "\"key\":\"bearer\"",    "\"host\":\"storage.googleapis.com\"",
        "\"event\":\"refusal\"", "sign.host=*.googleapis.com",
        "\"refusals\":5",        NULL};
    static const char *const never[] = {"hunter2", "\"event\":\"login\"", NULL};
    audit_has(words, never);
}

/* The federated token goes to one place, for one account, also before there is a session, and by
 * none of the user's policy. That a subject token goes to another program is logged as told. */
#define IAM     "iamcredentials.googleapis.com"
#define ACCOUNT "/v1/projects/-/serviceAccounts/a%40p.iam.gserviceaccount.com:"

static void federated(void **state)
{
    (void)state;
    static const struct {
        const char *method, *host, *target;
        int answer;
    } cases[] = {
        {"POST", IAM, ACCOUNT "generateAccessToken", 0},
        {"POST", IAM, ACCOUNT "generateIdToken", 0},
        {"GET", IAM, ACCOUNT "generateAccessToken", KW_POLICY},
        {"POST", IAM, ACCOUNT "signJwt", KW_POLICY},
        {"POST", IAM, ACCOUNT "generateAccessToken?x", KW_POLICY},
        {"POST", IAM, ACCOUNT, KW_POLICY},
        {"POST", IAM,
         "/v1/projects/-/serviceAccounts/b%40p.iam.gserviceaccount.com:generateAccessToken",
         KW_POLICY},
        {"POST", "compute.googleapis.com", ACCOUNT "generateAccessToken", KW_POLICY},
        {"POST", "xiamcredentials.googleapis.com", ACCOUNT "generateAccessToken", KW_POLICY},
    };
    struct kw_m_keeper_ready ready;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_BEARER);
    rig.cfg.module[0] = '\0';
    rig.cfg.pin_source = KW_PIN_NONE;
    rig.cfg.max_count = 1; /* is the bearer's */
    (void)snprintf(rig.cfg.client_host, sizeof rig.cfg.client_host, "%s", IAM);
    (void)snprintf(rig.cfg.client_target, sizeof rig.cfg.client_target, "%s", ACCOUNT);
    (void)snprintf(rig.cfg.sign_host, sizeof rig.cfg.sign_host, "compute.googleapis.com");
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            ask_leave(KW_S_IMPERSONATE, cases[i].method, cases[i].host, cases[i].target),
            cases[i].answer);
    assert_int_equal(ask_allow("POST", IAM, ACCOUNT "generateAccessToken"), KW_POLICY);
    session(600);
    assert_int_equal(ask_allow("POST", IAM, ACCOUNT "generateAccessToken"), KW_POLICY);
    assert_int_equal(ask_leave(KW_S_IMPERSONATE, "GET", "compute.googleapis.com", "/x"), KW_POLICY);
    assert_int_equal(ask_leave(KW_S_IMPERSONATE, "POST", IAM, ACCOUNT "generateAccessToken"), 0);
    assert_int_equal(ask_allow("POST", "compute.googleapis.com", "/x"), 0);
    struct kw_m_keeper_session given = {.not_after = 4102444800};
    struct kw_m_empty none;
    (void)snprintf(given.principal, sizeof given.principal, "repo:a/b");
    (void)snprintf(given.claims, sizeof given.claims, "ref=main");
    tell(KW_KM_GIVEN, &given);
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
    close_rig(1);
    static const char *const words[] = {"\"event\":\"impersonate\",\"host\":\"" IAM
                                        "\",\"target\":\"" ACCOUNT "generateIdToken\"",
                                        "\"what\":\"impersonate\"",
                                        "\"event\":\"given\",\"subject\":\"repo:a/"
                                        "b\",\"claims\":\"ref=main\",\"not_after\":4102444800",
                                        "\"refusals\":10", NULL};
    static const char *const never[] = {NULL};
    audit_has(words, never);
}

/* Where no account is configured, and where there is a key, it goes nowhere. */
static void no_account(void **state)
{
    (void)state;
    struct kw_m_keeper_ready ready;
    rig_config(&rig, KW_FOR_BEARER);
    rig.cfg.module[0] = '\0';
    rig.cfg.pin_source = KW_PIN_NONE;
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    assert_int_equal(ask_leave(KW_S_IMPERSONATE, "POST", "", "generateAccessToken"), KW_POLICY);
    close_rig(1);
    client_config();
    start(false);
    hear_key();
    assert_int_equal(
        ask_leave(KW_S_IMPERSONATE, "POST", rig.cfg.client_host, rig.cfg.client_target), KW_POLICY);
    close_rig(1);
}

/* An administrator's key signs what main asks for, at the hosts and paths it was started with,
 * and nothing for the exchanger. */
static void admin_key(void **state)
{
    (void)state;
    static const char host[] = "idcs-1.identity.oraclecloud.com", path[] = "/admin/v1/Apps?count=2";
    struct kw_m_keeper_ready ready;
    (void)unlink(rig_log);
    client_config();
    rig.cfg.purpose = KW_FOR_BEARER;
    rig.cfg.client_host[0] = rig.cfg.audit_label[0] = '\0';
    (void)snprintf(rig.cfg.sign_host, sizeof rig.cfg.sign_host, "%s", host);
    (void)snprintf(rig.cfg.sign_path, sizeof rig.cfg.sign_path, "/admin/v1/*");
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    struct kw_m_sign m = request(KW_SIGN_CLIENT, "GET", host, path, 0);
    assert_int_equal(ask(&rig.main, m, spki, 0), KW_POLICY); /* no leave yet */
    session(600);
    unsigned char der[KW_SPKI_MAX];
    size_t n = client_spki(der, sizeof der);
    for (int i = 0; i < KW_CLIENT_MAX + 4; i++) /* a set-up has more calls than an exchange */
        assert_int_equal(ask(&rig.main, m, der, n), 0);
    assert_int_equal(ask(&rig.sign, m, der, n), KW_POLICY);
    assert_non_null(strstr(err.text, "main only"));
    m = request(KW_SIGN_CLIENT, "GET", API, path, 0);
    assert_int_equal(ask(&rig.main, m, der, n), KW_POLICY);
    m = request(KW_SIGN_CLIENT, "GET", host, "/oauth2/v1/token", 0);
    assert_int_equal(ask(&rig.main, m, der, n), KW_POLICY);
    m = request(KW_SIGN_SESSION, "GET", host, path, 0);
    assert_int_equal(ask(&rig.main, m, der, n), KW_POLICY); /* there is no session key */
    close_rig(1);
    static const char *const words[] = {"\"event\":\"sign\"", "\"key\":\"client\"",
                                        "\"refusals\":5", NULL};
    static const char *const never[] = {"count=2", NULL};
    audit_has(words, never);
}

/* Budgets bound bearers as they bound signatures. */
static void bearer_budget(void **state)
{
    (void)state;
    struct kw_m_keeper_ready ready;
    rig_config(&rig, KW_FOR_BEARER);
    rig.cfg.module[0] = '\0';
    rig.cfg.pin_source = KW_PIN_NONE;
    rig.cfg.max_count = 2;
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    session(600);
    assert_int_equal(ask_allow("GET", API, "/"), 0);
    assert_int_equal(ask_allow("GET", API, "/"), 0);
    assert_int_equal(ask_allow("GET", API, "/"), KW_POLICY);
    close_rig(1);
}

/* A session with a key allows no bearer. */
static void no_bearer(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear_key();
    session(600);
    assert_int_equal(ask_allow("GET", API, "/"), KW_POLICY);
    close_rig(1);
}

/* --- issuer -------------------------------------------------------------------------------- */

static struct kw_m_issue wish(void)
{
    struct kw_m_issue m = {.lifetime = 60};
    (void)snprintf(m.audience, sizeof m.audience, "aud");
    (void)snprintf(m.subject, sizeof m.subject, "me");
    return m;
}

static void refused_issue(const struct kw_m_issue *m, int code, const char *word)
{
    tell(KW_KM_ISSUE, m);
    hear_error(&rig.main, code, word);
}

static void issues(void **state)
{
    (void)state;
    struct kw_m_issued issued;
    struct kw_m_public public;
    struct kw_jwt j;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_ISSUE);
    (void)snprintf(rig.cfg.issuer_label, sizeof rig.cfg.issuer_label, "client");
    (void)snprintf(rig.cfg.issuer_name, sizeof rig.cfg.issuer_name, "https://hsm.example");
    rig.cfg.issuer_life = 300;
    start(true);
    struct kw_m_issue m = wish();
    (void)snprintf(m.claims, sizeof m.claims, "job\tnightly run\nx/y\t\n");
    tell(KW_KM_ISSUE, &m);
    hear(KW_KM_ISSUED, &issued);
    kw_in_free(&in);
    assert_int_equal(kw_jwt_decode(kw_secret_bytes(issued.jwt), kw_secret_len(issued.jwt), "jwt",
                                   KW_FAILED, &j, &err),
                     0);
    assert_string_equal(kw_jwt_str(&j, "iss"), "https://hsm.example");
    assert_string_equal(kw_jwt_str(&j, "sub"), "me");
    assert_string_equal(kw_jwt_str(&j, "aud"), "aud");
    assert_string_equal(kw_jwt_str(&j, "job"), "nightly run");
    assert_string_equal(kw_jwt_str(&j, "x/y"), "");
    assert_string_equal(json_string_value(json_object_get(j.header, "alg")), "RS256");
    kw_jwt_free(&j);
    /* the signature is that of the public half that JWK tells */
    tell(KW_KM_JWK, &(struct kw_m_empty){0});
    hear(KW_KM_PUBLIC, &public);
    const unsigned char *der = public.spki.p;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)public.spki.len);
    const char *text = kw_secret_bytes(issued.jwt), *dot = strrchr(text, '.');
    struct kw_buf sig;
    kw_buf_init(&sig, 512);
    assert_true(kw_b64url_get(&sig, dot + 1, strlen(dot + 1)));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
    assert_int_equal(
        EVP_DigestVerify(ctx, sig.p, sig.len, (const unsigned char *)text, (size_t)(dot - text)),
        1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    kw_buf_free(&sig);
    kw_in_free(&in);
    kw_secret_free(&issued.jwt);
    m.lifetime = 301;
    refused_issue(&m, KW_POLICY, "at most");
    m.lifetime = 0;
    refused_issue(&m, KW_POLICY, "at most");
    m = wish();
    m.subject[0] = '\0';
    refused_issue(&m, KW_USAGE, "subject");
    static const char *const bad[] = {"iss\tx\n", "exp\t1\n", "a\t1\na\t2\n", "novalue\n", "\tx\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        m = wish();
        (void)snprintf(m.claims, sizeof m.claims, "%s", bad[i]);
        refused_issue(&m, KW_USAGE, "claim");
    }
    close_rig(1);
    static const char *const words[] = {"\"event\":\"issue\"", "\"what\":\"issuer key\"",
                                        "\"audience\":\"aud\"", NULL};
    static const char *const never[] = {
        "eyJhbGciOi", NULL}; /* no JWT; three letters also come about in a signature */
    audit_has(words, never);
}

static void no_issuer(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_ISSUE);
    start(false);
    struct kw_m_issue m = wish();
    refused_issue(&m, KW_POLICY, "no issuer key");
    tell(KW_KM_JWK, &(struct kw_m_empty){0});
    hear_error(&rig.main, KW_POLICY, "no issuer key");
    close_rig(1);
}

/* --- TLS -------------------------------------------------------------------------------------- */

static int ask_tls(const unsigned char *content, size_t n, size_t *ret_sig)
{
    struct kw_m_tls m = {.content = {content, n}};
    struct kw_m_signed s;
    if (kw_msg_send(&rig.sign, KW_S_TLS, &m, NULL, 0, RIG_MS, &err) != 0)
        fail_msg("%s", err.text);
    int r = kw_msg_expect(&rig.sign, KW_S_SIGNED, &s, &in, RIG_MS, &err);
    *ret_sig = r == 0 ? s.signature.len : 0;
    kw_in_free(&in);
    return r;
}

static void content(unsigned char out[KW_TLS_CONTENT])
{
    memset(out, 0xab, KW_TLS_CONTENT);
    memset(out, ' ', 64);
    memcpy(out + 64, "TLS 1.3, client CertificateVerify", 34);
}

static void tls(void **state)
{
    (void)state;
    unsigned char c[KW_TLS_CONTENT];
    size_t n;
    static const char *const make[] = {"pkcs11-tool",
                                       "--module",
                                       "",
                                       "--token-label",
                                       "rig",
                                       "--login",
                                       "--pin",
                                       "1234",
                                       "--keypairgen",
                                       "--key-type",
                                       "EC:prime256v1",
                                       "--label",
                                       "tls",
                                       "--id",
                                       "e1",
                                       NULL};
    const char *argv[16];
    memcpy(argv, make, sizeof make);
    argv[2] = rig_module;
    assert_int_equal(rig_run(argv), 0);
    rig_config(&rig, KW_FOR_BEARER);
    (void)snprintf(rig.cfg.tls_label, sizeof rig.cfg.tls_label, "tls");
    start(false);
    content(c);
    assert_int_equal(ask_tls(c, 64 + 34 + 32, &n), 0);
    assert_in_range(n, 66, 72);
    assert_int_equal(ask_tls(c, 64 + 34 + 48, &n), 0);
    /* anything else is refused: a bare digest above all */
    static const size_t sizes[] = {0,       20,           32,           48,
                                   64 + 34, 64 + 34 + 31, 64 + 34 + 33, 64 + 34 + 47};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(ask_tls(c, sizes[i], &n), KW_POLICY);
    for (size_t i = 0; i < 64 + 34; i++) {
        content(c);
        c[i] ^= 1;
        assert_false(kw_tls_content_ok(c, 64 + 34 + 32));
    }
    content(c);
    memcpy(c + 64, "TLS 1.3, server CertificateVerify", 34);
    assert_int_equal(ask_tls(c, 64 + 34 + 32, &n), KW_POLICY);
    /* and it has an end */
    content(c);
    int r = 0;
    for (int i = 0; i < KW_CLIENT_MAX && r == 0; i++)
        r = ask_tls(c, 64 + 34 + 32, &n);
    assert_int_equal(r, KW_POLICY);
    close_rig(1);
}

static void no_tls(void **state)
{
    (void)state;
    unsigned char c[KW_TLS_CONTENT];
    size_t n;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear_key();
    content(c);
    assert_int_equal(ask_tls(c, 64 + 34 + 32, &n), KW_POLICY);
    close_rig(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bearer),     cmocka_unit_test(bearer_budget), cmocka_unit_test(no_bearer),
        cmocka_unit_test(issues),     cmocka_unit_test(no_issuer),     cmocka_unit_test(tls),
        cmocka_unit_test(no_tls),     cmocka_unit_test(admin_key),     cmocka_unit_test(federated),
        cmocka_unit_test(no_account),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
