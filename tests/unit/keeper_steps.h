/* SPDX-License-Identifier: Apache-2.0
 *
 * One step each of a conversation with the real keyward-keeper (keeper_rig.h), and what
 * its audit log says. To be included after cmocka.h. */
#ifndef KW_TEST_KEEPER_STEPS_H
#define KW_TEST_KEEPER_STEPS_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "src/base/b64.h"
#include "src/base/io.h"
#include "src/keeper/audit.h"
#include "src/wire/oci_sign.h"

#include "keeper_rig.h"

static struct rig rig;
static struct kw_err err;
static struct kw_in in;
static struct kw_m_key key;
static unsigned char spki[KW_SPKI_MAX];

/* --- steps ---------------------------------------------------------------------- */

static inline void tell(enum kw_msg type, const void *m)
{
    if (kw_msg_send(&rig.main, type, m, NULL, 0, RIG_MS, &err) != 0)
        fail_msg("%s", err.text);
}

static inline void hear(enum kw_msg type, void *m)
{
    if (kw_msg_expect(&rig.main, type, m, &in, RIG_MS, &err) != 0)
        fail_msg("%s: %s", kw_msg_name(type), err.text);
}

/* The next message is an error with this code, and says this. */
static inline void hear_error(struct kw_chan *c, int code, const char *word)
{
    struct kw_m_empty none;
    int r = kw_msg_expect(c, KW_KM_OK, &none, &in, RIG_MS, &err);
    kw_in_free(&in);
    if (r != code || strstr(err.text, word) == NULL)
        fail_msg("got %d \"%s\", wanted %d \"%s\"", r, err.text, code, word);
}

static inline void start(bool audit)
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

static inline void hear_key(void)
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

static inline void session(int64_t life)
{
    struct kw_m_keeper_session s = {.not_after = (uint64_t)(time(NULL) + life)};
    (void)snprintf(s.principal, sizeof s.principal, "ocid1.user.oc1..test");
    (void)snprintf(s.claims, sizeof s.claims, "sub=repo:o/r:ref:refs/heads/main");
    tell(KW_KM_SESSION, &s);
    struct kw_m_empty none;
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
}

static inline void close_rig(uint32_t destroyed)
{
    struct kw_m_closed c;
    tell(KW_KM_CLOSE, &(struct kw_m_empty){0});
    hear(KW_KM_CLOSED, &c);
    kw_in_free(&in);
    assert_int_equal(c.destroyed, destroyed);
    assert_int_equal(rig_end(&rig), 0);
}

/* --- requests ------------------------------------------------------------------- */

static inline struct kw_m_sign request(enum kw_sign_key k, const char *method, const char *host,
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

static inline bool verifies(const unsigned char *der, size_t der_n, const void *data, size_t n,
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
static inline int ask(struct kw_chan *c, struct kw_m_sign m, const unsigned char *der, size_t der_n)
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

static inline int ask_session(struct kw_chan *c, const char *method, const char *host,
                              const char *target, int64_t skew)
{
    return ask(c, request(KW_SIGN_SESSION, method, host, target, skew), spki, key.spki.len);
}

/* --- what the log says ---------------------------------------------------------- */

static inline char *audit_text(void)
{
    struct kw_buf b;
    kw_buf_init(&b, 1 << 22);
    assert_int_equal(kw_read_file(rig_log, &b, KW_FAILED, &err), 0);
    char *s = strdup(kw_buf_str(&b));
    kw_buf_free(&b);
    assert_non_null(s);
    return s;
}

static inline void audit_has(const char *const *words, const char *const *never)
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

/* A keeper with a client key and an audit key. */
static inline void client_config(void)
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
static inline size_t client_spki(unsigned char *out, size_t room)
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

#endif
