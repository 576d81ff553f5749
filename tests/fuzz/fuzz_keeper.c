/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper as main and exchanger can treat it: every message of theirs in any order
 * (peers.h). Channels: main, exchanger. The token is made up, and threads run where they
 * are made, so that each run is the same. Whatever they say: without a good verdict and a
 * session nothing is signed, what is signed was logged before, and the log is whole.
 * fuzz_keeper_run.c is the same with `run`'s proxy for a peer. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peers.h"

int keeper_main(int argc, char **argv);
#define main keeper_main /* to the end: a field of struct kw_keeper is called so, too */
#include "src/keeper/keeper.c"

static struct kw_keeper keeper;
static unsigned signed_for_session, destroyed, made;

/* --- threads ------------------------------------------------------------------------ */

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*body)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*body)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*body)(void *), void *arg)
{
    if (arg != &keeper) /* libFuzzer's own */
        return __real_pthread_create(t, a, body, arg);
    if (fault_now())
        return EAGAIN;
    (void)body(arg);
    return 0;
}

int __real_pthread_join(pthread_t t, void **ret);
int __wrap_pthread_join(pthread_t t, void **ret);
int __wrap_pthread_join(pthread_t t, void **ret)
{
    return t == keeper.birth.make || t == keeper.birth.extract ? 0 : __real_pthread_join(t, ret);
}

int __wrap_kw_workers_start(struct kw_workers *w, struct kw_p11 *p11, unsigned n, int wake,
                            struct kw_err *err);
int __wrap_kw_workers_start(struct kw_workers *w, struct kw_p11 *p11, unsigned n, int wake,
                            struct kw_err *err)
{
    (void)p11, (void)n, (void)wake, (void)err;
    return pthread_mutex_init(&w->lock, NULL);
}

/* Signs at once what was judged fit for it. */
void __real_kw_job_submit(struct kw_keeper *k, struct kw_peer *p, struct kw_job *j);
void __wrap_kw_job_submit(struct kw_keeper *k, struct kw_peer *p, struct kw_job *j);
void __wrap_kw_job_submit(struct kw_keeper *k, struct kw_peer *p, struct kw_job *j)
{
    if (j->result == 0 && j->signer != NULL) /* what is only allowed has none */
        j->result =
            kw_p11_sign(NULL, &j->signer->key, j->data.p, j->data.len, j->sig, &j->sig_n, &j->err);
    __real_kw_job_submit(k, p, j);
    p->last->done = true;
    k->workers.first = k->workers.last = NULL;
}

/* It is always the same day: dates are signed, and have to be near. */
time_t __wrap_time(time_t *t);
time_t __wrap_time(time_t *t)
{
    if (t != NULL)
        *t = 1700000000;
    return 1700000000;
}

unsigned __wrap_alarm(unsigned s);
unsigned __wrap_alarm(unsigned s)
{
    (void)s; /* libFuzzer's clock */
    return 0;
}

/* --- the token: kw_p11_...() as p11.h has it ---------------------------------------- */

static int trouble(struct kw_err *err)
{
    return fault_now() ? kw_fail(err, KW_TOKEN, "the token fails") : 0;
}

int kw_p11_load(const struct kw_m_keeper_start *cfg, struct kw_p11 **ret, struct kw_err *err)
{
    static char module; /* that there is one is what the keeper asks */
    void *there = &module;
    (void)cfg;
    *ret = there;
    return trouble(err);
}

int kw_p11_choose(struct kw_p11 *p, struct kw_m_keeper_ready *info, struct kw_err *err)
{
    (void)p;
    (void)snprintf(info->label, sizeof info->label, "fuzz");
    (void)snprintf(info->mechanism, sizeof info->mechanism, "CKM_SHA256_RSA_PKCS");
    return trouble(err);
}

int kw_pin_read(const struct kw_m_keeper_start *cfg, struct kw_secret **ret, struct kw_err *err)
{
    (void)cfg;
    *ret = NULL;
    return trouble(err);
}

int kw_p11_login(struct kw_p11 *p, const struct kw_secret *pin, struct kw_err *err)
{
    (void)p, (void)pin;
    return fault_now() ? kw_fail(err, KW_PIN, "the PIN is wrong") : 0;
}

static int key(struct kw_p11_key *ret, const unsigned char *id, size_t n, bool stored,
               struct kw_err *err)
{
    *ret = (struct kw_p11_key){.priv = 1,
                               .bits = 2048,
                               .rung = 1,
                               .token_object = stored,
                               .id_len = n,
                               .attributes = "PRIVATE=1",
                               .spki = "spki",
                               .spki_len = 4};
    if (n > 0)
        memcpy(ret->id, id, n);
    return trouble(err);
}

int kw_p11_generate(struct kw_p11 *p, unsigned bits, bool token_object, unsigned accept,
                    struct kw_p11_key *ret, struct kw_err *err)
{
    (void)p, (void)bits, (void)accept;
    int r = key(ret, (const unsigned char *)"\x0a\x0b", 2, token_object, err);
    made += r == 0;
    return r;
}

int kw_p11_find(struct kw_p11 *p, const char *label, const unsigned char *id, size_t id_len,
                bool strict, unsigned accept, struct kw_p11_key *ret, struct kw_err *err)
{
    (void)p, (void)label, (void)strict, (void)accept;
    return key(ret, id, id_len, true, err);
}

int kw_p11_find_any(struct kw_p11 *p, const char *label, const unsigned char *id, size_t id_len,
                    struct kw_p11_key *ret, struct kw_err *err)
{
    return kw_p11_find(p, label, id, id_len, false, 0, ret, err);
}

int kw_p11_try_extract(struct kw_p11 *p, bool token_object, unsigned accept,
                       struct kw_m_verdict *ret, struct kw_err *err)
{
    (void)p, (void)token_object, (void)accept;
    *ret = (struct kw_m_verdict){.text = "nothing came out"};
    return trouble(err);
}

int kw_p11_each(struct kw_p11 *p,
                int (*each)(const struct kw_p11_key *k, const char *label, void *arg), void *arg,
                struct kw_err *err)
{
    struct kw_p11_key k;
    (void)p;
    int r = 0;
    for (unsigned char id = 1; r == 0 && id < 4; id++)
        r = key(&k, &id, 1, true, err) != 0 ? (int)err->code : each(&k, "keyward session", arg);
    return r;
}

int kw_p11_sign(struct kw_p11 *p, const struct kw_p11_key *k, const void *data, size_t n,
                unsigned char *sig, size_t *ret_n, struct kw_err *err)
{
    (void)p;
    must(data != NULL && n > 0);
    bool former = k == &keeper.other->key; /* until it is retired */
    if (k == &keeper.session->key && memcmp(data, "keyward audit head", 18) != 0) {
        must(keeper.verdict_in && keeper.session_good && keeper.session->there);
        signed_for_session++;
    }
    must(!former || (keeper.cfg.purpose == KW_FOR_RUN && keeper.former_until != 0 &&
                     keeper.other->there && keeper.generation > 1));
    must(k == &keeper.session->key || former || k == &keeper.client.key ||
         k == &keeper.auditor.key || k == &keeper.tls.key || k == &keeper.issuer.key);
    memset(sig, 's', 256);
    *ret_n = 256;
    return trouble(err);
}

int kw_p11_check(const struct kw_p11_key *k, const void *data, size_t n, const unsigned char *sig,
                 size_t sig_n, struct kw_err *err)
{
    (void)k, (void)data, (void)n, (void)sig, (void)sig_n;
    return trouble(err);
}

int kw_p11_destroy(struct kw_p11 *p, struct kw_p11_key *k, struct kw_err *err)
{
    (void)p;
    destroyed += k == &keeper.session->key || k == &keeper.other->key;
    return trouble(err);
}

void kw_p11_free(struct kw_p11 *p)
{
    (void)p;
}

/* --- the run ------------------------------------------------------------------------ */

/* run() of keeper.c, with channels that aren't at their usual numbers. */
static int go(struct kw_keeper *k, int audit_fd, struct kw_err *err)
{
    int r = take_start(k, err);
    if (r != 0 || k->close_asked)
        return r;
    r = kw_keeper_start(k, audit_fd, err);
    if (r != 0)
        kw_note_refusal(k, "start", NULL, err);
    return r != 0 ? r : serve(k, err);
}

static void check_log(const char *path, bool hit)
{
    struct kw_audit_report report;
    struct kw_err err;
    int r = kw_audit_verify(path, NULL, &report, &err);
    /* Its heads are signed by nothing here: but for that, the log is whole. */
    must(r == 0 || hit || strstr(err.text, "is empty") != NULL ||
         strstr(err.text, "head: the signature") != NULL);
}

static struct peers peers;
#ifdef KW_FUZZ_RUN /* a renewal is an answer to what came before: one step when all is quiet */
#define begin peers_open
static const enum kw_channel chans[] = {KW_CHAN_KEEPER, KW_CHAN_SIGN, KW_CHAN_PSIGN};
static void idle(bool for_ever)
{
    peers_idle(!peers_step(&peers) && for_ever);
}
#else
#define begin peers_begin
static const enum kw_channel chans[] = {KW_CHAN_KEEPER, KW_CHAN_SIGN};
#define idle  peers_idle
#endif
enum { CHANS = sizeof chans / sizeof chans[0] };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_err err = {0};
    char path[64];
    must(kw_secret_init(true, &err) == 0);
    (void)kw_progress_map(-1);
    fault_seed(data, &size);
    fault_no_waiting(idle);
    signed_for_session = destroyed = made = 0;
    keeper = (struct kw_keeper){.audit.fd = -1, .wake = -1};
    keeper.session = &keeper.sessions[0];
    keeper.other = &keeper.sessions[1];
    begin(&peers, KW_ROLE_KEEPER, chans, CHANS, data, size);
    int mem = memfd_create("audit", MFD_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", mem);
    int audit = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    must(mem >= 0 && audit >= 0 && pthread_mutex_init(&keeper.workers.lock, NULL) == 0);
    keeper.main.open = keeper.exchanger.open = true;
    keeper.proxy.open = CHANS == 3;
    kw_chan_init(&keeper.main.chan, KW_CHAN_KEEPER, KW_ROLE_KEEPER, peers.fds[0]);
    kw_chan_init(&keeper.exchanger.chan, KW_CHAN_SIGN, KW_ROLE_KEEPER, peers.fds[1]);
    kw_chan_init(&keeper.proxy.chan, KW_CHAN_PSIGN, KW_ROLE_KEEPER, peers.fds[CHANS - 1]);
    fault_begin();
    int r = go(&keeper, audit, &err);
    if (r != 0)
        kw_msg_send_error(&keeper.main.chan, &err);
    kw_keeper_end(&keeper, r != 0 ? err.text : "closed");
    bool hit = fault_end();
    must(r == 0 || err.text[0] != '\0');
    /* Each key that was made is destroyed, but where main wanted it kept. */
    must(hit || destroyed >= made ||
         (keeper.cfg.token_object != 0 && keeper.session_good && keeper.close_asked));
    check_log(path, hit);
    if (keeper.wake >= 0)
        (void)close(keeper.wake);
    (void)close(audit);
    (void)close(mem);
    (void)close(peers.fds[0]);
    if (keeper.exchanger.open)
        (void)close(peers.fds[1]);
    if (keeper.proxy.open)
        (void)close(peers.fds[CHANS - 1]);
    peers_end(&peers);
    return 0;
}
