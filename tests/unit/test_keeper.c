/* SPDX-License-Identifier: Apache-2.0
 *
 * The real keyward-keeper on a SoftHSM token: legal and illegal conversations, what it
 * signs and what it refuses, how it ends, and that the key is gone then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/resource.h>

#include "src/audit.h"
#include "src/b64.h"
#include "src/httpdate.h"
#include "src/io.h"
#include "src/oci_sign.h"

#include "keeper_rig.h"

static struct rig rig;
static struct kw_err err;
static struct kw_in in;
static struct kw_m_key key;
static unsigned char spki[KW_SPKI_MAX];

/* --- steps ---------------------------------------------------------------------- */

static void tell(enum kw_msg type, const void *m)
{
    if (kw_msg_send(&rig.main, type, m, NULL, 0, RIG_MS, &err) != 0)
        fail_msg("%s", err.text);
}

static void hear(enum kw_msg type, void *m)
{
    if (kw_msg_expect(&rig.main, type, m, &in, RIG_MS, &err) != 0)
        fail_msg("%s: %s", kw_msg_name(type), err.text);
}

/* The next message is an error with this code, and says this. */
static void hear_error(struct kw_chan *c, int code, const char *word)
{
    struct kw_m_empty none;
    int r = kw_msg_expect(c, KW_KM_OK, &none, &in, RIG_MS, &err);
    kw_in_free(&in);
    if (r != code || strstr(err.text, word) == NULL)
        fail_msg("got %d \"%s\", wanted %d \"%s\"", r, err.text, code, word);
}

static void start(bool audit)
{
    struct kw_m_keeper_ready ready;
    assert_true(rig_spawn(&rig, audit));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    assert_string_equal(ready.label, "rig");
    assert_true(strlen(ready.fences) > 0);
    assert_true(strlen(ready.mechanism) > 0);
}

static void hear_key(void)
{
    struct kw_m_verdict v;
    hear(KW_KM_KEY, &key);
    assert_true(key.spki.len <= sizeof spki);
    memcpy(spki, key.spki.p, key.spki.len);
    kw_in_free(&in);
    key.spki.p = spki;
    hear(KW_KM_VERDICT, &v);
    kw_in_free(&in);
    assert_int_equal(v.weaknesses, 0);
}

static void session(int64_t life)
{
    struct kw_m_keeper_session s = {.not_after = (uint64_t)(time(NULL) + life)};
    (void)snprintf(s.principal, sizeof s.principal, "ocid1.user.oc1..test");
    (void)snprintf(s.claims, sizeof s.claims, "sub=repo:o/r:ref:refs/heads/main");
    tell(KW_KM_SESSION, &s);
    struct kw_m_empty none;
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
}

static void close_rig(uint32_t destroyed)
{
    struct kw_m_closed c;
    tell(KW_KM_CLOSE, &(struct kw_m_empty){0});
    hear(KW_KM_CLOSED, &c);
    kw_in_free(&in);
    assert_int_equal(c.destroyed, destroyed);
    assert_int_equal(rig_end(&rig), 0);
}

/* --- requests ------------------------------------------------------------------- */

static struct kw_m_sign request(enum kw_sign_key k, const char *method, const char *host,
                                const char *target, int64_t skew)
{
    static struct kw_m_sign m;
    static char send[KW_LINES];
    struct kw_oci_request r = {method,
                               host,
                               target,
                               "",
                               false,
                               0,
                               "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                               time(NULL) + skew};
    memset(&m, 0, sizeof m);
    m.key = k;
    (void)snprintf(m.method, sizeof m.method, "%s", method);
    (void)snprintf(m.host, sizeof m.host, "%s", host);
    (void)snprintf(m.target, sizeof m.target, "%s", target);
    assert_int_equal(kw_oci_header_lines(&r, m.headers, sizeof m.headers, send, sizeof send, &err),
                     0);
    return m;
}

static bool verifies(const unsigned char *der, size_t der_n, const void *data, size_t n,
                     const struct kw_view *sig)
{
    EVP_PKEY *pk = d2i_PUBKEY(NULL, &der, (long)der_n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = pk != NULL && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pk) == 1 &&
                EVP_DigestVerify(ctx, sig->p, sig->len, data, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pk);
    return good;
}

/* Asks over a channel; 0 and a good signature by der, or the error's code. */
static int ask(struct kw_chan *c, struct kw_m_sign m, const unsigned char *der, size_t der_n)
{
    bool to_main = c == &rig.main;
    struct kw_m_signed s;
    assert_int_equal(kw_msg_send(c, to_main ? KW_KM_SIGN : KW_S_SIGN, &m, NULL, 0, RIG_MS, &err),
                     0);
    int r = kw_msg_expect(c, to_main ? KW_KM_SIGNED : KW_S_SIGNED, &s, &in, RIG_MS, &err);
    if (r == 0) {
        struct kw_buf b;
        struct kw_err ignored;
        kw_buf_init(&b, 1 << 20);
        assert_int_equal(kw_oci_signing_string(&m, &b, &ignored), 0);
        assert_true(verifies(der, der_n, b.p, b.len, &s.signature));
        kw_buf_free(&b);
    }
    kw_in_free(&in);
    return r;
}

#define API "iaas.eu-frankfurt-1.oraclecloud.com"

static int ask_session(struct kw_chan *c, const char *method, const char *host, const char *target,
                       int64_t skew)
{
    return ask(c, request(KW_SIGN_SESSION, method, host, target, skew), spki, key.spki.len);
}

/* --- what the log says ---------------------------------------------------------- */

static char *audit_text(void)
{
    struct kw_buf b;
    kw_buf_init(&b, 1 << 22);
    assert_int_equal(kw_read_file(rig_log, &b, KW_FAILED, &err), 0);
    char *s = strdup(kw_buf_str(&b));
    kw_buf_free(&b);
    assert_non_null(s);
    return s;
}

static void audit_has(const char *const *words, const char *const *never)
{
    struct kw_audit_report rep;
    if (kw_audit_verify(rig_log, NULL, &rep, &err) != 0)
        fail_msg("%s", err.text);
    char *s = audit_text();
    for (; *words != NULL; words++)
        if (strstr(s, *words) == NULL)
            fail_msg("the audit log does not say %s:\n%s", *words, s);
    for (; *never != NULL; never++)
        if (strstr(s, *never) != NULL)
            fail_msg("the audit log says %s", *never);
    free(s);
}

/* --- tests ---------------------------------------------------------------------- */

static void a_session(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    hear_key();
    assert_int_equal(key.rung, 1);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/x", 0), KW_POLICY);
    assert_non_null(strstr(err.text, "no session yet"));
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/20160918/instances?secret=hunter2", 0),
                     0);
    assert_int_equal(ask_session(&rig.main, "POST", API ":8443", "/y", 0), 0);
    for (int i = 0; i < 70; i++) /* enough for a head in between */
        assert_int_equal(ask_session(&rig.sign, "GET", API, "/z", i % 2 == 0 ? 250 : -250), 0);
    assert_int_equal(ask_session(&rig.sign, "DELETE", API, "/x?q=hunter2", 0), KW_POLICY);
    assert_int_equal(ask_session(&rig.main, "GET", "evil.example", "/x", 0), KW_POLICY);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/x", 400), KW_POLICY);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/x", -400), KW_POLICY);
    struct kw_m_sign m = request(KW_SIGN_SESSION, "GET", API, "/x", 0);
    (void)snprintf(m.headers, sizeof m.headers, "(request-target)\nhost\n");
    assert_int_equal(ask(&rig.sign, m, spki, key.spki.len), KW_FAILED);
    m.key = 7;
    assert_int_equal(ask(&rig.sign, m, spki, key.spki.len), KW_FAILED);
    m = request(KW_SIGN_CLIENT, "POST", API, "/oauth2/v1/token", 0);
    assert_int_equal(ask(&rig.sign, m, spki, key.spki.len), KW_POLICY); /* none configured */
    close_rig(1);
    static const char *const words[] = {"\"event\":\"login\"",
                                        "\"what\":\"born\"",
                                        "\"event\":\"verdict\"",
                                        "\"event\":\"session\"",
                                        "refs/heads/main",
                                        "\"event\":\"sign\"",
                                        "\"event\":\"refusal\"",
                                        "\"event\":\"destroyed\"",
                                        "\"signatures\":72",
                                        "\"refusals\":8",
                                        "sign.host=*.oraclecloud.com",
                                        "\"is\":\"session key\"",
                                        "EXTRACTABLE=0",
                                        NULL};
    static const char *const never[] = {"hunter2", "1234\\n", "/20160918", "\"failed\"", NULL};
    audit_has(words, never);
    struct kw_audit_report rep;
    assert_int_equal(kw_audit_verify(rig_log, NULL, &rep, &err), 0);
    assert_true(rep.heads >= 2);
    assert_int_equal(rep.proven, rep.lines - 3); /* head, destroyed, end follow */
}

static void expiry(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear_key();
    struct kw_m_keeper_session s = {.not_after = (uint64_t)time(NULL) - 1};
    tell(KW_KM_SESSION, &s);
    hear_error(&rig.main, KW_POLICY, "expired");
    session(3);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    (void)sleep(4);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_POLICY);
    assert_non_null(strstr(err.text, "expired"));
    /* one key, one session: no second life */
    s.not_after = (uint64_t)time(NULL) + 600;
    tell(KW_KM_SESSION, &s);
    hear_error(&rig.main, KW_POLICY, "no key that waits");
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), KW_POLICY);
    close_rig(1);
}

/* KM_SESSION may come while the extraction test still runs; nothing is signed before. */
static void hasty(void **state)
{
    (void)state;
    struct kw_m_verdict v;
    struct kw_m_empty none;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear(KW_KM_KEY, &key);
    memcpy(spki, key.spki.p, key.spki.len);
    kw_in_free(&in);
    key.spki.p = spki;
    struct kw_m_keeper_session s = {.not_after = (uint64_t)time(NULL) + 600};
    tell(KW_KM_SESSION, &s);
    hear(KW_KM_VERDICT, &v);
    kw_in_free(&in);
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
}

static void budgets(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.max_count = 2;
    start(false);
    hear_key();
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), 0);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_POLICY);
    assert_non_null(strstr(err.text, "max_count"));
    close_rig(1);
}

/* --- the client key ------------------------------------------------------------- */

static void client_config(void)
{
    rig_config(&rig, KW_FOR_SESSION);
    struct kw_m_keeper_start *c = &rig.cfg;
    (void)snprintf(c->client_label, sizeof c->client_label, "client");
    (void)snprintf(c->client_id_hex, sizeof c->client_id_hex, "c1");
    (void)snprintf(c->client_host, sizeof c->client_host, "idcs-1.identity.oraclecloud.com");
    (void)snprintf(c->client_target, sizeof c->client_target, "/oauth2/v1/token");
    (void)snprintf(c->client_name, sizeof c->client_name, "my \"client\"");
    (void)snprintf(c->client_kid, sizeof c->client_kid, "cert-alias");
    (void)snprintf(c->audit_label, sizeof c->audit_label, "auditor");
}

/* The SPKI that the audit log gives for the client key. */
static size_t client_spki(unsigned char *out, size_t room)
{
    char *s = audit_text(), *at = strstr(s, "\"what\":\"client key\"");
    assert_non_null(at);
    at = strstr(at, "\"spki\":\"");
    assert_non_null(at);
    at += 8;
    struct kw_buf b;
    kw_buf_init(&b, room);
    assert_true(kw_b64_get(&b, at, strcspn(at, "\"")));
    size_t n = b.len;
    memcpy(out, b.p, n);
    kw_buf_free(&b);
    free(s);
    return n;
}

static json_t *part(const char *jwt, int which)
{
    struct kw_buf b;
    for (; which > 0; which--)
        jwt = strchr(jwt, '.') + 1;
    kw_buf_init(&b, 8192);
    assert_true(kw_b64url_get(&b, jwt, strcspn(jwt, ".")));
    json_t *o = json_loadb((const char *)b.p, b.len, 0, NULL);
    assert_non_null(o);
    kw_buf_free(&b);
    return o;
}

static void check_assertion(const char *jwt, const unsigned char *der, size_t der_n)
{
    json_t *h = part(jwt, 0), *c = part(jwt, 1);
    const char *dot = strrchr(jwt, '.');
    struct kw_buf sig;
    kw_buf_init(&sig, 512);
    assert_true(kw_b64url_get(&sig, dot + 1, strlen(dot + 1)));
    struct kw_view v = {sig.p, sig.len};
    assert_true(verifies(der, der_n, jwt, (size_t)(dot - jwt), &v));
    kw_buf_free(&sig);
    assert_string_equal(json_string_value(json_object_get(h, "alg")), "RS256");
    assert_string_equal(json_string_value(json_object_get(h, "typ")), "JWT");
    assert_string_equal(json_string_value(json_object_get(h, "kid")), "cert-alias");
    assert_string_equal(json_string_value(json_object_get(c, "iss")), "my \"client\"");
    assert_string_equal(json_string_value(json_object_get(c, "sub")), "my \"client\"");
    assert_string_equal(json_string_value(json_object_get(c, "aud")),
                        "https://idcs-1.identity.oraclecloud.com/");
    json_int_t iat = json_integer_value(json_object_get(c, "iat")),
               nbf = json_integer_value(json_object_get(c, "nbf")),
               exp = json_integer_value(json_object_get(c, "exp"));
    assert_true(nbf <= iat && iat <= time(NULL) && exp > time(NULL) && exp - nbf <= 300);
    assert_int_equal(strlen(json_string_value(json_object_get(c, "jti"))), 32);
    json_decref(h);
    json_decref(c);
}

static int assertion(const char *audience, struct kw_secret **jwt)
{
    struct kw_m_assert a = {{0}};
    struct kw_m_asserted m = {NULL};
    (void)snprintf(a.audience, sizeof a.audience, "%s", audience);
    assert_int_equal(kw_msg_send(&rig.sign, KW_S_ASSERT, &a, NULL, 0, RIG_MS, &err), 0);
    int r = kw_msg_expect(&rig.sign, KW_S_ASSERTED, &m, &in, RIG_MS, &err);
    kw_in_free(&in);
    *jwt = r == 0 ? m.jwt : NULL;
    return r;
}

static void client_key(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    client_config();
    start(true);
    /* before any session, and bound to one request */
    unsigned char der[KW_SPKI_MAX];
    size_t n = client_spki(der, sizeof der);
    const char *host = rig.cfg.client_host, *target = rig.cfg.client_target;
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", host, target, 0), der, n), 0);
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "GET", host, target, 0), der, n),
                     KW_POLICY);
    assert_int_equal(
        ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", host, "/admin/v1/Apps", 0), der, n),
        KW_POLICY);
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", API, target, 0), der, n),
                     KW_POLICY);
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", host, target, 301), der, n),
                     KW_POLICY);
    struct kw_secret *one = NULL, *two = NULL;
    assert_int_equal(assertion("https://idcs-1.identity.oraclecloud.com/", &one), 0);
    check_assertion(kw_secret_bytes(one), der, n);
    assert_int_equal(assertion("https://idcs-1.identity.oraclecloud.com/", &two), 0);
    assert_string_not_equal(kw_secret_bytes(one), kw_secret_bytes(two)); /* jti */
    kw_secret_free(&one);
    kw_secret_free(&two);
    static const char *const bad[] = {"",
                                      "https://evil.example/",
                                      "https://idcs-1.identity.oraclecloud.com.evil.example/",
                                      "https://idcs-1.identity.oraclecloud.com@evil.example/",
                                      "https://idcs-1.identity.oraclecloud.com:99/",
                                      "http://idcs-1.identity.oraclecloud.com/",
                                      "https://idcs-1.identity.oraclecloud.com/?x",
                                      "https://identity.oraclecloud.com/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(assertion(bad[i], &one), KW_POLICY);
    hear_key();
    /* the session key does not do the client's work, nor the other way round */
    session(600);
    assert_int_equal(ask_session(&rig.sign, "POST", API, "/", 0), 0);
    close_rig(1);
    static const char *const words[] = {"\"rule\":\"client-key\"", "\"event\":\"assert\"",
                                        "\"what\":\"assert\"", "\"is\":\"audit key\"", NULL};
    static const char *const never[] = {"eyJ", NULL}; /* no JWT */
    audit_has(words, never);
    struct kw_audit_report rep;
    assert_int_equal(kw_audit_verify(rig_log, NULL, &rep, &err), 0);
    assert_int_equal(rep.proven, rep.lines - 1); /* the audit key's head is last */
}

/* --- illegal conversations ------------------------------------------------------ */

static void send_raw(int fd, uint32_t type, uint32_t serial, const char *body)
{
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    kw_put_u32(&b, type);
    kw_put_u32(&b, serial);
    kw_put_u32(&b, (uint32_t)strlen(body));
    kw_put_str(&b, body);
    assert_int_equal(send(fd, b.p, b.len, MSG_NOSIGNAL), b.len);
    kw_buf_free(&b);
}

static bool at_end(int fd)
{
    char c;
    return recv(fd, &c, 1, 0) <= 0;
}

static void bad_exchanger(void **state)
{
    (void)state;
    static const struct {
        uint32_t type, serial;
        const char *body;
    } cases[] = {
        {KW_S_SIGN, 0, "junk"}, {KW_S_SIGN, 5, ""},   {KW_KM_SIGN, 0, ""},  {KW_KM_SESSION, 0, ""},
        {9999, 0, ""},          {KW_S_ASSERT, 0, ""}, {KW_KM_CLOSE, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_config(&rig, KW_FOR_SESSION);
        start(false);
        send_raw(rig.sign.fd, cases[i].type, cases[i].serial, cases[i].body);
        assert_true(at_end(rig.sign.fd));
        hear_key(); /* main's conversation goes on */
        session(600);
        assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), 0);
        close_rig(1);
    }
    /* an exchanger that has gone */
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    (void)close(rig.sign.fd);
    rig.sign.fd = -1;
    hear_key();
    close_rig(1);
}

static void bad_main(void **state)
{
    (void)state;
    static const char *const words[] = {"\"event\":\"destroyed\"", "\"event\":\"end\"", NULL};
    static const char *const never[] = {"\"failed\"", NULL};
    static const struct {
        uint32_t type;
        const char *body;
    } cases[] = {{KW_KM_SIGN, "junk"}, {KW_S_SIGN, ""}, {KW_KM_START, ""}, {KW_KM_SESSION, "x"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)unlink(rig_log);
        rig_config(&rig, KW_FOR_SESSION);
        start(true);
        hear_key();
        send_raw(rig.main.fd, cases[i].type, rig.main.tx, cases[i].body);
        assert_int_equal(rig_end(&rig), KW_FAILED);
        audit_has(words, never);
    }
    /* main dies: the key goes */
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    hear_key();
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);
    audit_has(words, never);
    /* also while it is being born, and with SIGUSR1 as the kernel would send it */
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    assert_int_equal(kill(rig.pid, SIGUSR1), 0);
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);
    audit_has(words, never);
}

static void bad_starts(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    assert_true(rig_spawn(&rig, false));
    send_raw(rig.main.fd, KW_KM_SESSION, 0, "");
    assert_int_equal(rig_end(&rig), KW_FAILED);

    assert_true(rig_spawn(&rig, false)); /* nothing asked for, nothing done */
    tell(KW_KM_CLOSE, &(struct kw_m_empty){0});
    assert_int_equal(rig_end(&rig), 0);

    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    (void)snprintf(rig.cfg.module, sizeof rig.cfg.module, "/nonexistent/module.so");
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_TOKEN, "/nonexistent/module.so");
    assert_int_equal(rig_end(&rig), KW_TOKEN);
    static const char *const words[] = {"\"what\":\"start\"", NULL}, *const never[] = {NULL};
    audit_has(words, never);

    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.sessions = 65;
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_USAGE, "sessions");
    assert_int_equal(rig_end(&rig), KW_USAGE);

    rig_config(&rig, KW_FOR_SESSION);
    (void)snprintf(rig.cfg.audit_label, sizeof rig.cfg.audit_label, "no such key");
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_TOKEN, "no such key");
    assert_int_equal(rig_end(&rig), KW_TOKEN);

    /* an audit log that is none: nothing is begun */
    assert_true(rig_file(rig_log, "hello\n"));
    rig_config(&rig, KW_FOR_SESSION);
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_FAILED, "audit log");
    assert_int_equal(rig_end(&rig), KW_FAILED);
    (void)unlink(rig_log);
}

static void wrong_pin(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    (void)snprintf(rig.cfg.pin_path, sizeof rig.cfg.pin_path, "%s/wrong", rig_dir);
    assert_true(rig_file(rig.cfg.pin_path, "4321\n"));
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_PIN, "");
    assert_null(strstr(err.text, "4321"));
    assert_int_equal(rig_end(&rig), KW_PIN);
}

/* The audit log can't be written: nothing is signed, and it says why. */
static void full_disk(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    hear_key();
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    struct stat st;
    struct rlimit old, small;
    assert_int_equal(stat(rig_log, &st), 0);
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, NULL, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)st.st_size + 20;
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &small, NULL), 0);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_FAILED);
    assert_non_null(strstr(err.text, "nothing is signed"));
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), KW_FAILED);
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &old, NULL), 0);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
    static const char *const words[] = {"\"signatures\":2", NULL}, *const never[] = {NULL};
    audit_has(words, never);
}

/* --- stored keys, lists, probes ------------------------------------------------- */

static unsigned list(char id[65])
{
    struct kw_m_list_item item;
    unsigned n = 0;
    for (;;) {
        assert_int_equal(kw_chan_recv(&rig.main, &in, RIG_MS, &err), 0);
        if (in.type == KW_KM_LIST_END)
            break;
        assert_int_equal(in.type, KW_KM_LIST_ITEM);
        assert_true(kw_msg_get(&in.body, KW_KM_LIST_ITEM, &item));
        assert_string_equal(item.label, "keyward session");
        assert_int_equal(item.bits, 2048);
        (void)snprintf(id, 65, "%s", item.id);
        kw_in_free(&in);
        n++;
    }
    kw_in_free(&in);
    return n;
}

static void destroy(const char *id, int code)
{
    struct kw_m_destroy d = {{0}};
    struct kw_m_empty none;
    (void)snprintf(d.id, sizeof d.id, "%s", id);
    tell(KW_KM_DESTROY, &d);
    if (code != 0) {
        hear_error(&rig.main, code, "");
        return;
    }
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
}

static void stored(void **state)
{
    (void)state;
    char id[65] = "", listed[65] = "";
    unsigned char first[KW_SPKI_MAX];
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.token_object = 1;
    start(false);
    hear_key();
    assert_true(key.rung >= 3);
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    (void)snprintf(id, sizeof id, "%s", key.id);
    memcpy(first, spki, key.spki.len);
    close_rig(0); /* it stays */

    rig_config(&rig, KW_FOR_STORED);
    rig.cfg.token_object = 1;
    (void)snprintf(rig.cfg.stored_id, sizeof rig.cfg.stored_id, "%s", id);
    start(false);
    hear_key();
    assert_string_equal(key.id, id);
    assert_memory_equal(first, spki, key.spki.len);
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    destroy(id, KW_POLICY);   /* not what this keeper is for */
    (void)close(rig.main.fd); /* main dies: the key is not this run's to destroy */
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);

    /* one whose main died before KM_CLOSE is destroyed, though it is a token object */
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.token_object = 1;
    start(false);
    hear_key();
    session(600);
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);

    rig_config(&rig, KW_FOR_LIST);
    start(false);
    assert_int_equal(list(listed), 1);
    assert_string_equal(listed, id);
    destroy("c1", KW_TOKEN); /* the client key was not made by us */
    destroy("zz", KW_USAGE);
    destroy("", KW_USAGE);
    destroy(id, 0);
    destroy(id, KW_TOKEN);
    close_rig(1);

    rig_config(&rig, KW_FOR_LIST);
    start(false);
    assert_int_equal(list(listed), 0);
    close_rig(1);

    rig_config(&rig, KW_FOR_STORED);
    rig.cfg.token_object = 1;
    (void)snprintf(rig.cfg.stored_id, sizeof rig.cfg.stored_id, "%s", id);
    start(false);
    hear_error(&rig.main, KW_TOKEN, "");
    assert_int_equal(rig_end(&rig), KW_TOKEN);
}

static void probe(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_PROBE);
    start(true);
    hear_key();
    struct kw_m_keeper_session s = {.not_after = (uint64_t)time(NULL) + 600};
    tell(KW_KM_SESSION, &s);
    hear_error(&rig.main, KW_POLICY, "no key");
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_POLICY);
    close_rig(1);
    static const char *const words[] = {"\"why\":\"it was a probe\"", NULL}, *const never[] = {
                                                                                 NULL};
    audit_has(words, never);
}

/* --- modules that misbehave ----------------------------------------------------- */

static void spy(enum kw_purpose purpose, const char *todo)
{
    if (purpose == KW_FOR_SESSION)
        client_config();
    rig.cfg.purpose = purpose;
    (void)snprintf(rig.cfg.module, sizeof rig.cfg.module, "%s", KW_SPY);
    (void)setenv("KW_SPY_MODULE", rig_module, 1);
    (void)setenv("KW_SPY_DO", todo, 1);
}

/* The first signature of each key is checked; after a wrong one there is no second. */
static void wrong_signatures(void **state)
{
    (void)state;
    spy(KW_FOR_SESSION, "badsig C_GenerateKeyPair@*=sleep3000");
    start(false);
    struct kw_m_sign m =
        request(KW_SIGN_CLIENT, "POST", rig.cfg.client_host, rig.cfg.client_target, 0);
    assert_int_equal(ask(&rig.sign, m, NULL, 0), KW_TOKEN);
    assert_int_equal(ask(&rig.sign, m, NULL, 0), KW_TOKEN);
    assert_non_null(strstr(err.text, "signs wrongly"));
    close_rig(1);
}

/* A token that gives keys out: no session, the key destroyed, unless that was accepted. */
static void leaking(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    spy(KW_FOR_SESSION, "wrap");
    start(true);
    for (;;) { /* KM_KEY may or may not have been sent before the verdict */
        assert_int_equal(kw_chan_recv(&rig.main, &in, RIG_MS, &err), 0);
        if (in.type == KW_MSG_ERROR)
            break;
        assert_int_equal(in.type, KW_KM_KEY);
        kw_in_free(&in);
    }
    struct kw_m_error e;
    assert_true(kw_msg_get(&in.body, KW_MSG_ERROR, &e));
    kw_in_free(&in);
    assert_int_equal(e.code, KW_TOKEN);
    assert_non_null(strstr(e.text, "gives keys out"));
    assert_int_equal(rig_end(&rig), KW_TOKEN);
    static const char *const words[] = {"\"weaknesses\":1", "\"event\":\"destroyed\"", NULL};
    static const char *const never[] = {"\"event\":\"sign\"", NULL};
    audit_has(words, never);

    spy(KW_FOR_SESSION, "wrap");
    rig.cfg.accept = KW_ACCEPT_EXTRACTABLE;
    start(false);
    struct kw_m_verdict v;
    hear(KW_KM_KEY, &key);
    memcpy(spki, key.spki.p, key.spki.len);
    kw_in_free(&in);
    key.spki.p = spki;
    hear(KW_KM_VERDICT, &v);
    kw_in_free(&in);
    assert_int_equal(v.weaknesses, KW_ACCEPT_EXTRACTABLE);
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
}

/* A module that fails when the key is to be destroyed: said, not hidden. */
static void not_destroyed(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    spy(KW_FOR_SESSION, "C_DestroyObject@*=0x6");
    rig.cfg.token_object = 1; /* a session object would go with its session */
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    struct kw_m_keeper_ready ready;
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    int code = 0;
    while (code == 0) {
        struct kw_m_error e;
        assert_int_equal(kw_chan_recv(&rig.main, &in, RIG_MS, &err), 0);
        if (in.type == KW_KM_VERDICT)
            tell(KW_KM_CLOSE, &(struct kw_m_empty){0});
        else if (in.type == KW_MSG_ERROR && kw_msg_get(&in.body, KW_MSG_ERROR, &e))
            code = (int)e.code;
        else
            assert_int_equal(in.type, KW_KM_KEY);
        kw_in_free(&in);
    }
    assert_int_equal(code, KW_TOKEN);
    assert_true(rig_end(&rig) < 1000);
    static const char *const words[] = {"\"failed\":", NULL}, *const never[] = {NULL};
    audit_has(words, never);
}

/* main has died and the module hangs: nobody watches, and still no keeper is left. */
static void orphan(void **state)
{
    (void)state;
    spy(KW_FOR_SESSION, "C_GenerateKeyPair@*=hang");
    start(false);
    int64_t from = kw_now_ms();
    assert_int_equal(kill(rig.pid, SIGUSR1), 0);
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    int status = 0;
    assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    assert_true(kw_now_ms() - from < 20000);
    (void)close(rig.violation);
    (void)close(rig.sign.fd);
}

/* An exchanger that only asks for what it may not have is cut off before it has filled
 * the audit log. */
static void hammering(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear_key();
    session(600);
    struct kw_m_sign m = request(KW_SIGN_SESSION, "DELETE", API, "/", 0);
    int n = 0;
    while (n < 2000 && kw_msg_send(&rig.sign, KW_S_SIGN, &m, NULL, 0, RIG_MS, &err) == 0) {
        struct kw_m_empty none;
        int r = kw_msg_expect(&rig.sign, KW_S_SIGNED, &none, &in, RIG_MS, &err);
        kw_in_free(&in);
        if (r != KW_POLICY)
            break;
        n++;
    }
    assert_int_equal(n, 1000);
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), 0);
    close_rig(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session),
        cmocka_unit_test(expiry),
        cmocka_unit_test(hasty),
        cmocka_unit_test(budgets),
        cmocka_unit_test(client_key),
        cmocka_unit_test(bad_exchanger),
        cmocka_unit_test(bad_main),
        cmocka_unit_test(bad_starts),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(stored),
        cmocka_unit_test(probe),
        cmocka_unit_test(wrong_pin),
        cmocka_unit_test(wrong_signatures),
        cmocka_unit_test(leaking),
        cmocka_unit_test(not_destroyed),
        cmocka_unit_test(orphan),
        cmocka_unit_test(hammering),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
