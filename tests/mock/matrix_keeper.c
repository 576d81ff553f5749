/* SPDX-License-Identifier: Apache-2.0
 *
 * Claim 16, the real program: keyward-keeper behind its fences and with its threads, one
 * misbehaviour of mock.so in each run, through all of a session: start, key, verdict,
 * session, signatures, close. This program plays main and the exchanger.
 *
 * usage: matrix_keeper MOCK.SO [full [WORKERS]]    full: every documented CKR at every
 *                                                  call, else a sample
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "matrix.h"
#include "src/base/io.h"
#include "src/wire/oci_sign.h"
#include "tests/unit/keeper_rig.h"

#define API    "iaas.eu-frankfurt-1.oraclecloud.com"
#define DOMAIN "idcs-1.identity.oraclecloud.com"

enum { MAX = 1000, SAMPLE = 9 };

static const struct scenario {
    const char *name, *script;
    enum kw_purpose purpose;
    bool stored, client; /* token objects; a client key signs, too */
    unsigned objects;    /* in the token, at the start and at the end: an accepted session's
                          * key is there instead of the one before it */
} scenarios[] = {
    {"exchange and request, storage = session", "key=client,c1", KW_FOR_SESSION, false, true, 2},
    {"exchange, storage = token", "key=keyward.session,0b", KW_FOR_SESSION, true, false, 2},
    {"request, storage = token", "key=keyward.session,abcd", KW_FOR_STORED, true, false, 2},
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

static struct {
    struct rig rig;
    int code;  /* of the first error that was told to main or to the exchanger */
    int ended; /* exit code of the keeper */
    unsigned good, bad, errors;
    bool accepted, closed, old_left;
    char text[4096];
    unsigned char spki[KW_SPKI_MAX];
    size_t spki_n;
} run;

static unsigned *usual; /* calls of a run without errors, by scenario */

static bool well(int r, const struct kw_err *err)
{
    size_t n = strlen(run.text);
    if (r == 0)
        return true;
    run.errors++;
    if (run.code == 0)
        run.code = r;
    (void)snprintf(run.text + n, sizeof run.text - n, "%d %s\n", r, err->text);
    return false;
}

static bool tell(enum kw_msg type, const void *m)
{
    struct kw_err err;
    return well(kw_msg_send(&run.rig.main, type, m, NULL, 0, RIG_MS, &err), &err);
}

static bool hear(enum kw_msg type, void *m)
{
    struct kw_in in;
    struct kw_err err;
    bool good = well(kw_msg_expect(&run.rig.main, type, m, &in, RIG_MS, &err), &err);
    if (good && type == KW_KM_KEY) {
        const struct kw_m_key *k = m;
        run.spki_n = k->spki.len <= sizeof run.spki ? k->spki.len : 0;
        memcpy(run.spki, k->spki.p, run.spki_n);
    }
    kw_in_free(&in);
    return good;
}

/* --- signatures ---------------------------------------------------------------------------- */

static bool verifies(const struct kw_m_sign *m, const struct kw_view *sig)
{
    const unsigned char *der = run.spki;
    struct kw_err err;
    struct kw_buf b;
    kw_buf_init(&b, 1 << 20);
    EVP_PKEY *k = d2i_PUBKEY(NULL, &der, (long)run.spki_n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = k != NULL && kw_oci_signing_string(m, &b, &err) == 0 &&
                EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k) == 1 &&
                EVP_DigestVerify(ctx, sig->p, sig->len, b.p, b.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(k);
    kw_buf_free(&b);
    return good;
}

/* One request of the exchanger's. The client key's signatures are the cloud's to judge. */
static void sign(enum kw_sign_key key, const char *host, const char *target)
{
    static struct kw_m_sign m;
    char send[KW_LINES];
    struct kw_err err;
    struct kw_in in = {.fds = {-1, -1}};
    struct kw_m_signed s = {.signature = {NULL, 0}};
    struct kw_oci_request r = {
        "POST",    host, target, "", false, 0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        time(NULL)};
    memset(&m, 0, sizeof m);
    m.key = key;
    (void)snprintf(m.method, sizeof m.method, "POST");
    (void)snprintf(m.host, sizeof m.host, "%s", host);
    (void)snprintf(m.target, sizeof m.target, "%s", target);
    if (kw_oci_header_lines(&r, m.headers, sizeof m.headers, send, sizeof send, &err) != 0 ||
        kw_msg_send(&run.rig.sign, KW_S_SIGN, &m, NULL, 0, RIG_MS, &err) != 0) {
        run.errors++; /* it has gone: what for is told to main, whose next question it is */
        return;
    }
    int got = kw_msg_expect(&run.rig.sign, KW_S_SIGNED, &s, &in, RIG_MS, &err);
    if (got == KW_FAILED && strstr(err.text, "has gone") != NULL)
        run.errors++;
    else if (well(got, &err)) {
        bool good = key == KW_SIGN_CLIENT || verifies(&m, &s.signature);
        run.good += good;
        run.bad += !good;
    }
    kw_in_free(&in);
}

/* --- a conversation --------------------------------------------------------------------------- */

/* What main does until there is a session; false: it gives up and closes its channel. */
static bool until_session(const struct scenario *s)
{
    struct kw_m_keeper_ready ready;
    struct kw_m_key key;
    struct kw_m_verdict v;
    struct kw_m_empty none;
    struct kw_m_keeper_session session = {.not_after = (uint64_t)time(NULL) + 600};
    if (!tell(KW_KM_START, &run.rig.cfg) || !hear(KW_KM_READY, &ready))
        return false;
    if (s->client)
        sign(KW_SIGN_CLIENT, DOMAIN, "/oauth2/v1/token");
    if (!hear(KW_KM_KEY, &key) || !hear(KW_KM_VERDICT, &v) || !tell(KW_KM_SESSION, &session) ||
        !hear(KW_KM_OK, &none))
        return false;
    run.accepted = true;
    return true;
}

static void converse(const struct scenario *s)
{
    struct kw_m_destroy old = {.id = "0b"};
    struct kw_m_empty none;
    struct kw_m_closed closed;
    if (until_session(s)) {
        if (s->stored && s->purpose == KW_FOR_SESSION) /* the session before this one */
            run.old_left = !tell(KW_KM_DESTROY, &old) || !hear(KW_KM_OK, &none); /* main says so */
        sign(KW_SIGN_SESSION, API, "/a");
        sign(KW_SIGN_SESSION, API, "/b");
        if (tell(KW_KM_CLOSE, &none))
            run.closed = hear(KW_KM_CLOSED, &closed);
    }
    (void)close(run.rig.main.fd);
    run.rig.main.fd = -1;
    run.ended = rig_end(&run.rig);
}

static void keeper(const struct scenario *s)
{
    memset(&run, 0, sizeof run);
    rig_config(&run.rig, s->purpose);
    struct kw_m_keeper_start *c = &run.rig.cfg;
    (void)snprintf(c->label, sizeof c->label, "mock");
    c->token_object = s->stored;
    if (s->purpose == KW_FOR_STORED)
        (void)snprintf(c->stored_id, sizeof c->stored_id, "abcd");
    if (s->client) {
        (void)snprintf(c->client_label, sizeof c->client_label, "client");
        (void)snprintf(c->client_host, sizeof c->client_host, DOMAIN);
        (void)snprintf(c->client_target, sizeof c->client_target, "/oauth2/v1/token");
    }
    (void)snprintf(rig_log, sizeof rig_log, "%s", mx_file("audit"));
    (void)unlink(rig_log);
    (void)snprintf(rig_pin, sizeof rig_pin, "%s", mx_file("pin"));
    (void)snprintf(c->pin_path, sizeof c->pin_path, "%s", rig_pin);
    struct kw_err err;
    if (kw_secret_init(true, &err) != 0 || !rig_file(rig_pin, "1234\n") ||
        !rig_spawn(&run.rig, true))
        abort();
    converse(s);
}

/* --- what must hold ------------------------------------------------------------------------- */

static void title(const struct mx_case *c, char *out, size_t size)
{
    (void)snprintf(out, size, "%s: call %u %s%s", scenarios[c->scenario].name, c->call, c->what,
                   c->from_here ? " from here on" : "");
}

static bool log_has(const char *text)
{
    struct kw_buf b;
    struct kw_err err;
    kw_buf_init(&b, 1 << 20);
    bool has =
        kw_read_file(rig_log, &b, KW_FAILED, &err) == 0 && strstr(kw_buf_str(&b), text) != NULL;
    kw_buf_free(&b);
    return has;
}

/* 3 for whatever the token did, 4 where a PIN was or may have been refused; the keeper ends
 * with the code that it told, by itself and in order. */
static bool wrong_code(const struct mx_case *c, const char *at)
{
    bool login = strcmp(at, "C_Login") == 0 || c->from_here;
    if (run.code != 0 && run.code != KW_TOKEN && (run.code != KW_PIN || !login))
        return mx_wrong("%s: code %d: %s%s", at, run.code, run.text, mx_said());
    if (run.accepted ? run.ended != 0 && run.ended != KW_TOKEN : run.ended != run.code)
        return mx_wrong("%s: the keeper ended with %d: %s%s", at, run.ended, run.text, mx_said());
    return false;
}

static bool key_lost(const struct scenario *s, const char *at)
{
    unsigned have = mx_stored();
    bool told = strstr(run.text, "keys --prune") != NULL || log_has("\"failed\"") ||
                strstr(mx_said(), "keys --prune") != NULL || run.old_left;
    if (have > s->objects && !told)
        return mx_wrong("%s: %u objects are left in the token and nobody is told: %s%s", at,
                        have - s->objects, run.text, mx_said());
    return false;
}

static bool case_wrong(const struct mx_case *c)
{
    const struct scenario *s = &scenarios[c->scenario];
    static char names[MAX][32];
    mx_prepare(s->script, c);
    keeper(s);
    unsigned n = mx_calls(names, MAX);
    const char *at = c->call <= n && n < MAX ? names[c->call - 1] : "never made";
    if (mx_count("C_Login") > 1)
        return mx_wrong("%s: more than one login", at);
    if (run.bad > 0)
        return mx_wrong("%s: a signature that is none", at);
    if (run.code == 0 && run.errors > 0)
        return mx_wrong("%s: the keeper went and told main nothing", at);
    if (run.code == 0 && run.good != 2U + s->client)
        return mx_wrong("%s: no error, and %u signatures: %s", at, run.good, mx_said());
    return wrong_code(c, at) || key_lost(s, at);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void usual_run(unsigned i)
{
    char names[1][32];
    mx_prepare(scenarios[i].script, &(struct mx_case){.call = 0});
    keeper(&scenarios[i]);
    unsigned n = mx_calls(names, 0);
    if (run.code == 0 && run.ended == 0 && run.good == 2U + scenarios[i].client && n > 50 &&
        n < MAX)
        usual[i] = n;
    else
        (void)fprintf(stderr, "without errors: code %d, exit code %d, %u signatures, %u calls\n%s",
                      run.code, run.ended, run.good, n, run.text);
}

static int whole(bool full, unsigned workers)
{
    struct mx_case *cases = NULL;
    unsigned n = 0, kept = 0;
    for (unsigned i = 0; i < SCENARIOS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            usual_run(i);
            exit(0);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) != pid || usual[i] == 0)
            return 1;
        (void)printf("%s: %u calls\n", scenarios[i].name, usual[i]);
        (void)fflush(stdout);
        n = mx_cases(&cases, n, i, usual[i], full);
    }
    for (unsigned i = 0; i < n; i++)
        if (full || i % SAMPLE == 0)
            cases[kept++] = cases[i];
    int r = mx_run("keyward-keeper", cases, kept, workers, title, case_wrong);
    free(cases);
    return r;
}

int main(int argc, char **argv)
{
    bool full = argc > 2 && strcmp(argv[2], "full") == 0;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned workers = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : (unsigned)cpus;
    usual = mmap(NULL, SCENARIOS * sizeof *usual, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc < 2 || usual == MAP_FAILED || !mx_begin())
        return 2;
    rig_module = argv[1];
    /* A sanitizer's findings must not look like an exit code of ours. */
    (void)setenv("ASAN_OPTIONS", "exitcode=77", 1);
    int r = whole(full, workers);
    mx_end();
    return r;
}
