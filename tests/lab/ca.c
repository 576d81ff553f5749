/* SPDX-License-Identifier: Apache-2.0
 *
 * The lab's own CA (kept in DIR, so that a restart keeps ca.pem good) and the server
 * certificates of each door; those live in memory only.
 */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"
#include "src/base/io.h"

enum { CA_DAYS = 365, LEAF_DAYS = 30, DAY = 86400 };

struct authority {
    X509 *cert;
    EVP_PKEY *key;
};

static bool extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool random_serial(X509 *cert)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, fixed length */
    BIGNUM *bn = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = bn != NULL && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL;
    BN_free(bn);
    return ok;
}

/* A certificate for key, signed by ca (NULL: by itself); san NULL makes a CA. */
static X509 *make_cert(EVP_PKEY *key, const struct authority *ca, const char *name, const char *san,
                       long from, long to)
{
    X509 *cert = X509_new();
    X509 *issuer = ca != NULL ? ca->cert : cert;
    X509_NAME *subject = X509_NAME_new();
    bool ok =
        cert != NULL && subject != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
        random_serial(cert) && X509_set_pubkey(cert, key) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(cert), from) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(cert), to) != NULL &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                   0) == 1 &&
        X509_set_subject_name(cert, subject) == 1 &&
        X509_set_issuer_name(cert, ca != NULL ? X509_get_subject_name(ca->cert) : subject) == 1 &&
        extension(cert, issuer, NID_subject_key_identifier, "hash");
    if (ok && ca != NULL)
        ok = extension(cert, issuer, NID_authority_key_identifier, "keyid:always");
    if (ok && san == NULL)
        ok = extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
             extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    else if (ok)
        ok = extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
             extension(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
             extension(cert, issuer, NID_ext_key_usage, "serverAuth") &&
             extension(cert, issuer, NID_subject_alt_name, san);
    ok = ok && X509_sign(cert, ca != NULL ? ca->key : key, EVP_sha256()) > 0;
    X509_NAME_free(subject);
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static FILE *open_file(const char *dir, const char *name, struct kw_atomic *a, mode_t mode,
                       struct kw_err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (kw_atomic_open(a, path, mode, err) != 0)
        return NULL;
    int fd = dup(a->fd);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL) {
        kw_fail_errno(err, KW_FAILED, "writing %s", path);
        kw_atomic_abort(a);
    }
    return f;
}

static int save(const struct lab *l, const struct authority *ca, struct kw_err *err)
{
    struct kw_atomic a;
    FILE *f = open_file(l->opt.dir, "ca.key", &a, 0600, err);
    if (f == NULL)
        return (int)err->code;
    bool ok = PEM_write_PrivateKey(f, ca->key, NULL, NULL, 0, NULL, NULL) == 1;
    if (fclose(f) != 0 || !ok) {
        kw_atomic_abort(&a);
        return kw_fail(err, KW_FAILED, "writing ca.key in %s failed", l->opt.dir);
    }
    if (kw_atomic_commit(&a, err) != 0 ||
        (f = open_file(l->opt.dir, "ca.pem", &a, 0644, err)) == NULL)
        return (int)err->code;
    ok = PEM_write_X509(f, ca->cert) == 1;
    if (fclose(f) != 0 || !ok) {
        kw_atomic_abort(&a);
        return kw_fail(err, KW_FAILED, "writing ca.pem in %s failed", l->opt.dir);
    }
    return kw_atomic_commit(&a, err);
}

/* The CA that is there already, if both halves are and it lives a day more. */
static bool reuse(const struct lab *l, struct authority *ca)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ca.pem", l->opt.dir);
    FILE *f = fopen(path, "re");
    ca->cert = f == NULL ? NULL : PEM_read_X509(f, NULL, NULL, NULL);
    if (f != NULL)
        fclose(f);
    snprintf(path, sizeof path, "%s/ca.key", l->opt.dir);
    f = fopen(path, "re");
    ca->key = f == NULL ? NULL : PEM_read_PrivateKey(f, NULL, NULL, NULL);
    if (f != NULL)
        fclose(f);
    time_t tomorrow = time(NULL) + DAY;
    if (ca->cert != NULL && ca->key != NULL && X509_check_private_key(ca->cert, ca->key) == 1 &&
        X509_cmp_time(X509_get0_notAfter(ca->cert), &tomorrow) > 0)
        return true;
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    ca->cert = NULL;
    ca->key = NULL;
    return false;
}

static int authority(const struct lab *l, struct authority *ca, struct kw_err *err)
{
    if (reuse(l, ca))
        return 0;
    ca->key = EVP_EC_gen("P-256");
    if (ca->key != NULL)
        ca->cert = make_cert(ca->key, NULL, "keyward-lab CA", NULL, -3600, CA_DAYS * DAY);
    if (ca->cert == NULL)
        return kw_fail(err, KW_FAILED, "making the lab's CA certificate failed");
    return save(l, ca, err);
}

/* Every name that the lab plays, as subjectAltName. */
static void names(const struct lab *l, struct kw_buf *san)
{
    kw_put_str(san, "IP:127.0.0.1,DNS:localhost");
    for (size_t i = 0; i < l->n_site; i++)
        if (l->site[i].host[strspn(l->site[i].host, "0123456789.")] != 0 &&
            strcmp(l->site[i].host, "localhost") != 0 && l->site[i].under == NULL)
            kw_put_fmt(san, ",DNS:%s", l->site[i].host);
    kw_put_str(san, ",DNS:*.identity.oraclecloud.com");
}

/* We speak HTTP/1.1 only; a client that offers ALPN without it gets none. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context(enum lab_door door, EVP_PKEY *key, X509 *cert)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok = ctx != NULL && cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, key) == 1;
    if (ok && door == LAB_DOOR_TLS11)
        ok = SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION) == 1 &&
             SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION) == 1 &&
             SSL_CTX_set_cipher_list(ctx, "DEFAULT@SECLEVEL=0") == 1;
    else if (ok)
        ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
    if (!ok) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, lab_mtls_ask);
    /* A session that is resumed shows no certificate. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    return ctx;
}

static X509 *door_cert(enum lab_door door, EVP_PKEY *key, const struct authority *ca,
                       const char *san)
{
    switch (door) {
    case LAB_DOOR_EXPIRED:
        return make_cert(key, ca, "keyward-lab expired", san, -2 * DAY, -DAY);
    case LAB_DOOR_WRONG_HOST:
        return make_cert(key, ca, "keyward-lab wrong host", "DNS:elsewhere.lab.test", -3600,
                         LEAF_DAYS * DAY);
    case LAB_DOOR_UNKNOWN_CA:
        return make_cert(key, NULL, "keyward-lab self-signed", san, -3600, LEAF_DAYS * DAY);
    default:
        return make_cert(key, ca, "keyward-lab", san, -3600, LEAF_DAYS * DAY);
    }
}

int lab_tls_setup(struct lab *l, struct kw_err *err)
{
    struct authority ca = {NULL, NULL};
    int rc = authority(l, &ca, err);
    struct kw_buf san;
    kw_buf_init(&san, 8192);
    names(l, &san);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    for (int door = 0; rc == 0 && door < LAB_DOORS; door++) {
        X509 *cert = door_cert((enum lab_door)door, key, &ca, kw_buf_str(&san));
        l->ctx[door] = context((enum lab_door)door, key, cert);
        if (l->ctx[door] == NULL)
            rc = kw_fail(err, KW_FAILED, "making a server certificate (door %d) failed", door);
        X509_free(cert);
    }
    kw_buf_free(&san);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca.key);
    X509_free(ca.cert);
    return rc;
}
