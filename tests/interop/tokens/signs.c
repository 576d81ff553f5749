/* SPDX-License-Identifier: Apache-2.0
 *
 * Many signatures of one session key, each checked with OpenSSL against the key's public
 * half, by the very functions that `keyward sign` uses; or, as the floor to compare it
 * with, by a plain loop of C_SignInit and C_Sign on a key of the same template.
 *
 *   signs CONFIG PROFILE keyward|raw      (beside the role programs)
 *
 * Says what it got on standard output, then signs as many as each number on standard
 * input says, and tells how long one of these took (the median). The numbers come one at a
 * time, so that something can happen to the token between them.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11/internal.h"
#include "src/session/call.h"
#include "src/wire/oci_sign.h"

enum { SIG = 512, MOST = 1000 };

/* The parser of arguments comes along with the configuration; it has nothing to do here. */
const struct kw_command *const kw_commands[] = {NULL};

static const char host[] = "objectstorage.eu-frankfurt-1.oraclecloud.com";

/* Either way of signing: fills sig and *n. */
typedef int sign_one(void *arg, const struct kw_m_sign *m, const struct kw_buf *string,
                     unsigned char sig[SIG], size_t *n, struct kw_err *err);

/* Request number i and its signing string. */
static int request(struct kw_m_sign *m, struct kw_buf *string, unsigned i, struct kw_err *err)
{
    char send[KW_LINES];
    memset(m, 0, sizeof *m);
    m->key = KW_SIGN_SESSION;
    (void)snprintf(m->method, sizeof m->method, "GET");
    (void)snprintf(m->host, sizeof m->host, "%s", host);
    (void)snprintf(m->target, sizeof m->target, "/n/lab/b/bucket/o/%u", i);
    const struct kw_oci_request q = {.method = m->method,
                                     .host = m->host,
                                     .target = m->target,
                                     .headers = "",
                                     .body_sha256 = "",
                                     .now = (int64_t)time(NULL)};
    int r = kw_oci_header_lines(&q, m->headers, sizeof m->headers, send, sizeof send, err);
    kw_buf_reset(string);
    return r != 0 ? r : kw_oci_signing_string(m, string, err);
}

static int verify(EVP_PKEY *key, const struct kw_buf *string, const unsigned char *sig, size_t n,
                  struct kw_err *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(ctx, sig, n, string->p, string->len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : kw_fail(err, KW_FAILED, "a signature does not verify");
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* One line of input: that many signatures. Only the signing is timed. */
static int slice(unsigned n, EVP_PKEY *key, sign_one *sign, void *arg, struct kw_err *err)
{
    static struct kw_m_sign m; /* large */
    static int64_t us[MOST];
    static unsigned count;
    unsigned char sig[SIG];
    struct kw_buf string;
    struct timespec a, b;
    int r = n > 0 && n <= MOST ? 0 : kw_fail(err, KW_USAGE, "1 to %d at a time", MOST);
    kw_buf_init(&string, 65536);
    for (unsigned i = 0; r == 0 && i < n; i++) {
        size_t sig_n = 0;
        r = request(&m, &string, ++count, err);
        (void)clock_gettime(CLOCK_MONOTONIC, &a);
        if (r == 0)
            r = sign(arg, &m, &string, sig, &sig_n, err);
        (void)clock_gettime(CLOCK_MONOTONIC, &b);
        us[i] = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
        if (r == 0)
            r = verify(key, &string, sig, sig_n, err);
    }
    kw_buf_free(&string);
    if (r != 0)
        return r;
    qsort(us, n, sizeof us[0], compare);
    (void)printf("signed %u median %lld us\n", n, (long long)us[n / 2]);
    return 0;
}

static int serve(const unsigned char *spki, size_t spki_len, sign_one *sign, void *arg,
                 struct kw_err *err)
{
    char line[32];
    int r = 0;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &spki, (long)spki_len);
    if (key == NULL)
        return kw_fail(err, KW_FAILED, "the key's public half can't be read");
    while (r == 0 && fgets(line, sizeof line, stdin) != NULL)
        r = slice((unsigned)strtoul(line, NULL, 10), key, sign, arg, err);
    EVP_PKEY_free(key);
    return r;
}

/* --- through keyward -------------------------------------------------------------------- */

static int sign_keyward(void *arg, const struct kw_m_sign *m, const struct kw_buf *string,
                        unsigned char sig[SIG], size_t *n, struct kw_err *err)
{
    struct kw_session *s = arg;
    struct kw_in in;
    struct kw_m_signed answer;
    (void)string; /* the keeper makes it itself */
    int r = kw_child_send(&s->crew.keeper, KW_KM_SIGN, m, NULL, 0, err);
    if (r != 0)
        return r;
    r = kw_child_expect(&s->crew.keeper, KW_KM_SIGNED, &answer, &in, kw_deadline(s->config), err);
    if (r == 0 && answer.signature.len > SIG)
        r = kw_fail(err, KW_FAILED, "a signature of %zu bytes", answer.signature.len);
    if (r == 0) {
        memcpy(sig, answer.signature.p, answer.signature.len);
        *n = answer.signature.len;
    }
    kw_in_free(&in);
    return r;
}

static int through_keyward(const struct kw_config *c, struct kw_err *err)
{
    static struct kw_session s;
    struct kw_m_closed closed = {0};
    int r = kw_session_open(&s, c, "sign", 0, err);
    if (r != 0)
        return r;
    (void)printf("rung %u\nmechanism %s\nattributes %s\nverdict %s\n", s.key.rung,
                 s.keeper.mechanism, s.key.attributes, s.verdict.text);
    r = serve(s.key.spki.p, s.key.spki.len, sign_keyward, &s, err);
    struct kw_err at_end;
    int ended = kw_session_close(&s, &closed, &at_end);
    if (r == 0 && ended != 0) {
        *err = at_end;
        r = ended;
    }
    if (r == 0)
        (void)printf("closed signatures %u destroyed %u\n", closed.signatures, closed.destroyed);
    return r;
}

/* --- raw -------------------------------------------------------------------------------- */

struct raw {
    struct kw_p11 *p;
    struct kw_p11_key key;
    CK_SESSION_HANDLE session;
};

static int sign_raw(void *arg, const struct kw_m_sign *m, const struct kw_buf *string,
                    unsigned char sig[SIG], size_t *n, struct kw_err *err)
{
    struct raw *w = arg;
    const char *call = "";
    (void)m;
    CK_RV rv = kw_sign_in(w->p, w->session, &w->key, string->p, string->len, sig, n, &call);
    return rv == CKR_OK ? 0 : kw_ck_fail(w->p, err, KW_TOKEN, call, rv, "");
}

static int raw(const struct kw_config *c, struct kw_err *err)
{
    static struct kw_m_keeper_start ks;
    struct kw_m_keeper_ready info = {0};
    struct raw w = {0};
    struct kw_secret *pin = NULL;
    int fd = -1, r = kw_keeper_config(c, KW_FOR_PROBE, "sign", &ks, &fd, err);
    int out = dup(STDOUT_FILENO); /* kw_p11_load() points it elsewhere */
    if (r == 0)
        r = kw_p11_load(&ks, &w.p, err);
    if (out < 0 || dup2(out, STDOUT_FILENO) < 0)
        r = kw_fail_errno(err, KW_FAILED, "dup2");
    if (r == 0)
        r = kw_p11_choose(w.p, &info, err);
    if (r == 0)
        r = kw_pin_read(&ks, &pin, err);
    if (r == 0)
        r = kw_p11_login(w.p, pin, err);
    kw_secret_free(&pin);
    if (r == 0)
        r = kw_p11_generate(w.p, c->key_bits, c->key_stored, c->key_accept, &w.key, err);
    if (r == 0)
        r = kw_token_session_open(w.p, false, &w.session, err);
    if (r == 0) {
        (void)printf("ready\n");
        r = serve(w.key.spki, w.key.spki_len, sign_raw, &w, err);
        int gone = kw_p11_destroy(w.p, &w.key, r == 0 ? err : NULL);
        r = r != 0 ? r : gone;
    }
    kw_p11_free(w.p);
    return r;
}

int main(int argc, char **argv)
{
    static struct kw_config c;
    struct kw_err err = {0};
    if (argc != 4)
        return KW_USAGE;
    const struct kw_cli cli = {.config_path = argv[1], .profile = argv[2]};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    int r = kw_secret_init(true, &err);
    if (r == 0)
        r = kw_cli_config(&cli, &c, &err);
    if (r == 0)
        r = strcmp(argv[3], "raw") == 0 ? raw(&c, &err) : through_keyward(&c, &err);
    kw_config_free(&c);
    if (r != 0)
        (void)fprintf(stderr, "signs: %s\n", err.text);
    return r;
}
