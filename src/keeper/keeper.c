/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward-keeper: the program that holds the PKCS#11 module, the keys, the signing
 * policy and the audit log. It starts, says KM_READY, and then answers: to main on its
 * control channel, to the exchanger on CHAN_SIGN, to the proxy on CHAN_PSIGN. A peer that sends
 * what it must not is cut off; when that is main, or main has gone, the key is destroyed and this
 * ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"
#include "pkcs11/progress.h"
#include "src/base/log.h"
#include "src/base/memory.h"

enum { SEND_MS = 2000, ORPHAN_S = 10 };

int kw_tell_main(struct kw_keeper *k, enum kw_msg type, const void *m, struct kw_err *err)
{
    return kw_msg_send(&k->main.chan, type, m, NULL, 0, SEND_MS, err);
}

/* --- messages from main --------------------------------------------------------- */

/* KM_SESSION may come while the extraction test still runs; OK waits for the verdict. */
static int answer_session(struct kw_keeper *k, struct kw_err *err)
{
    if (!k->session_asked || (!k->verdict_in && k->cfg.purpose != KW_FOR_BEARER))
        return 0;
    k->session_asked = false;
    struct kw_err why;
    int r = kw_note_session(k, &why);
    if (r != 0) {
        kw_msg_send_error(&k->main.chan, &why);
        return 0;
    }
    k->session_good = true;
    if (k->generation == 0)
        k->generation = 1;
    return kw_tell_main(k, KW_KM_OK, &(struct kw_m_empty){0}, err);
}

static int refuse(struct kw_keeper *k, const char *what, struct kw_err *why)
{
    kw_note_refusal(k, what, NULL, why);
    kw_msg_send_error(&k->main.chan, why);
    return 0;
}

static int take_session(struct kw_keeper *k, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_keeper_session m;
    struct kw_err why;
    if (!kw_msg_get(&in->body, KW_KM_SESSION, &m))
        return kw_fail(err, KW_FAILED, "main-keeper: malformed KM_SESSION");
    bool bearer = k->cfg.purpose == KW_FOR_BEARER; /* which is renewed in one keeper */
    bool may = k->cfg.purpose == KW_FOR_SESSION || k->cfg.purpose == KW_FOR_STORED ||
               k->cfg.purpose == KW_FOR_RUN;
    bool next = k->session_good && k->other->there && k->former_until == 0; /* a renewal */
    if (!bearer && (!may || !k->key_told || (k->session_good && !next))) {
        (void)kw_fail(&why, KW_POLICY, "there is no key that waits for a session");
        return refuse(k, "session", &why);
    }
    if (m.not_after <= (uint64_t)time(NULL) || m.not_after > INT64_MAX) {
        (void)kw_fail(&why, KW_POLICY, "the session has expired already");
        return refuse(k, "session", &why);
    }
    if (next && !bearer)
        kw_keeper_succeed(k);
    k->session_good = false; /* till this one is in the log */
    k->session_info = m;
    if (m.direct != 0 && k->cfg.purpose == KW_FOR_RUN && k->generation == 0)
        k->cfg.purpose = KW_FOR_SESSION;
    if (m.caller[0] != '\0')
        memcpy(k->cfg.caller, m.caller, sizeof m.caller);
    k->session_asked = true;
    return answer_session(k, err);
}

static int take_destroy(struct kw_keeper *k, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_destroy m;
    struct kw_err why;
    if (!kw_msg_get(&in->body, KW_KM_DESTROY, &m))
        return kw_fail(err, KW_FAILED, "main-keeper: malformed KM_DESTROY");
    if (kw_keeper_prune(k, m.id, &why) != 0) {
        kw_msg_send_error(&k->main.chan, &why);
        return 0;
    }
    return kw_tell_main(k, KW_KM_OK, &(struct kw_m_empty){0}, err);
}

/* main has a subject token and gives it away; once that is in the log, it may. */
static int take_given(struct kw_keeper *k, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_keeper_session m;
    struct kw_err why;
    if (!kw_msg_get(&in->body, KW_KM_GIVEN, &m))
        return kw_fail(err, KW_FAILED, "main-keeper: malformed KM_GIVEN");
    if (kw_note_given(k, &m, &why) != 0) {
        kw_msg_send_error(&k->main.chan, &why);
        return 0;
    }
    return kw_tell_main(k, KW_KM_OK, &(struct kw_m_empty){0}, err);
}

static int from_main(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_chan_recv(&k->main.chan, &in, 0, err);
    if (r == 0)
        switch (in.type) {
        case KW_KM_SESSION:
            r = take_session(k, &in, err);
            break;
        case KW_KM_SIGN:
            r = kw_keeper_sign(k, &k->main, &in, err);
            break;
        case KW_KM_ISSUE:
            r = kw_keeper_issue(k, &in, err);
            break;
        case KW_KM_JWK:
            r = kw_keeper_public(k, err);
            break;
        case KW_KM_DESTROY:
            r = take_destroy(k, &in, err);
            break;
        case KW_KM_GIVEN:
            r = take_given(k, &in, err);
            break;
        case KW_KM_RENEW:
            r = kw_keeper_renew(k, err);
            break;
        case KW_KM_RETIRE:
            r = kw_keeper_retire(k, &in, err);
            break;
        case KW_KM_CLOSE:
            k->close_asked = true;
            break;
        default: /* the table in messages.c lets nothing else through */
            r = kw_fail(err, KW_FAILED, "main-keeper: unexpected %s", kw_msg_name(in.type));
        }
    else if (in.type == KW_MSG_NONE && r == KW_NET)
        r = 0; /* poll() was wrong */
    kw_in_free(&in);
    return r;
}

/* --- messages from the exchanger ------------------------------------------------ */

static int from_exchanger(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_chan_recv(&k->exchanger.chan, &in, 0, err);
    if (r == 0)
        r = in.type == KW_S_ASSERT ? kw_keeper_assert(k, &k->exchanger, &in, err)
            : in.type == KW_S_TLS  ? kw_keeper_tls(k, &k->exchanger, &in, err)
            : in.type == KW_S_SIGN ? kw_keeper_sign(k, &k->exchanger, &in, err)
                                   : kw_keeper_allow(k, &k->exchanger, &in, err);
    else if (r == KW_NET)
        r = 0;
    kw_in_free(&in);
    return r;
}

static int from_proxy(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_chan_recv(&k->proxy.chan, &in, 0, err);
    if (r == 0)
        r = in.type == KW_P_SIGN    ? kw_keeper_psign(k, &in, err)
            : in.type == KW_P_ALLOW ? kw_keeper_allow(k, &k->proxy, &in, err)
                                    : kw_keeper_pnote(k, &in, err);
    else if (r == KW_NET)
        r = 0;
    kw_in_free(&in);
    return r;
}

static void cut_off(struct kw_peer *p, const struct kw_err *why)
{
    kw_log(KW_INFO, "%s", why->text);
    (void)close(p->chan.fd);
    p->open = false;
}

/* --- the loop ------------------------------------------------------------------- */

/* Something in the background is done: a thread of the birth, or signatures. */
static int woken(struct kw_keeper *k, struct kw_err *err)
{
    uint64_t n;
    if (read(k->wake, &n, sizeof n) < 0 && errno != EAGAIN && errno != EINTR)
        return kw_fail_errno(err, KW_FAILED, "could not read the wake-up counter");
    kw_note_head_step(k);
    int r = kw_birth_step(k, err);
    if (r == 0)
        r = answer_session(k, err);
    return r;
}

static int answers(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_err why;
    if (kw_keeper_answer(k, &k->exchanger, &why) != 0 && k->exchanger.open)
        cut_off(&k->exchanger, &why);
    if (kw_keeper_answer(k, &k->proxy, &why) != 0 && k->proxy.open)
        cut_off(&k->proxy, &why);
    return kw_keeper_answer(k, &k->main, err);
}

/* What is polled of a peer: nothing while it has as much under way as it may. */
static int listens(const struct kw_peer *p)
{
    return p->open && p->pending < KW_JOBS_MAX ? p->chan.fd : -1;
}

/* Returns 0 when main asked for the end or has gone, else the code in *err. */
static int loop(struct kw_keeper *k, struct kw_err *err)
{
    int r = 0;
    while (r == 0 && !k->close_asked) {
        struct pollfd p[4] = {{.fd = k->main.chan.fd, .events = POLLIN},
                              {.fd = k->wake, .events = POLLIN},
                              {.fd = listens(&k->exchanger), .events = POLLIN},
                              {.fd = listens(&k->proxy), .events = POLLIN}};
        if (poll(p, 4, -1) < 0) {
            if (errno != EINTR)
                r = kw_fail_errno(err, KW_FAILED, "poll");
            continue;
        }
        struct kw_err why;
        if (p[1].revents != 0)
            r = woken(k, err);
        if (r == 0 && p[2].revents != 0 && from_exchanger(k, &why) != 0)
            cut_off(&k->exchanger, &why);
        if (r == 0 && p[3].revents != 0 && from_proxy(k, &why) != 0)
            cut_off(&k->proxy, &why);
        if (r == 0 && p[0].revents != 0)
            r = from_main(k, err);
        if (r == 0)
            r = answers(k, err);
    }
    return r;
}

static int serve(struct kw_keeper *k, struct kw_err *err)
{
    int r = kw_tell_main(k, KW_KM_READY, &k->ready, err);
    if (r == 0)
        r = k->cfg.purpose == KW_FOR_LIST ? kw_keeper_list(k, err)
            : k->cfg.purpose == KW_FOR_ISSUE || k->cfg.purpose == KW_FOR_BEARER
                ? 0
                : kw_birth_start(k, err);
    return r != 0 ? r : loop(k, err);
}

/* --- the start ------------------------------------------------------------------ */

/* main has died: the end of file that follows is all that we need, but a module that
 * hangs must not keep us here. */
static void orphaned(int sig)
{
    (void)sig;
    (void)alarm(ORPHAN_S);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int take_start(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_chan_recv(&k->main.chan, &in, -1, err);
    if (r == 0 && in.type == KW_KM_CLOSE)
        k->close_asked = true;
    else if (r == 0 && !kw_msg_get(&in.body, KW_KM_START, &k->cfg))
        r = kw_fail(err, KW_FAILED, "main-keeper: malformed KM_START");
    kw_in_free(&in);
    return r;
}

static int run(struct kw_keeper *k, struct kw_err *err)
{
    /* Looked at before anything else can take these numbers. */
    int audit_fd = is_open(KW_FD_AUDIT) ? KW_FD_AUDIT : -1;
    int page_fd = is_open(KW_FD_PROGRESS) ? KW_FD_PROGRESS : -1;
    k->main.open = true;
    k->exchanger.open = is_open(KW_FD_PEER);
    k->proxy.open = is_open(KW_FD_PROXY);
    k->session = &k->sessions[0];
    k->other = &k->sessions[1];
    k->audit.fd = -1;
    kw_chan_init(&k->main.chan, KW_CHAN_KEEPER, KW_ROLE_KEEPER, KW_FD_CTL);
    kw_chan_init(&k->exchanger.chan, KW_CHAN_SIGN, KW_ROLE_KEEPER, KW_FD_PEER);
    kw_chan_init(&k->proxy.chan, KW_CHAN_PSIGN, KW_ROLE_KEEPER, KW_FD_PROXY);
    (void)kw_progress_map(page_fd);
    int r = take_start(k, err);
    if (r != 0 || k->close_asked)
        return r;
    r = kw_keeper_start(k, audit_fd, err);
    if (r != 0)
        kw_note_refusal(k, "start", NULL, err);
    return r != 0 ? r : serve(k, err);
}

int main(int argc, char **argv)
{
    kw_sandbox_hide();
    (void)kw_memory_watch(/* wipe= */ false); /* the module's signatures go through it, too */
    static struct kw_keeper keeper;           /* some ten KiB: too much for a stack */
    struct kw_err err = {0};
    static const char selftest[] = "--selftest=";
    if (argc == 2 && strncmp(argv[1], selftest, sizeof selftest - 1) == 0)
        kw_selftest_attempt(KW_ROLE_KEEPER, argv[1] + sizeof selftest - 1);
    if (argc != 1 || !is_open(KW_FD_CTL)) {
        (void)fprintf(stderr, "keyward-keeper is started by keyward, not by hand\n");
        return KW_USAGE;
    }
    struct sigaction sa = {.sa_handler = orphaned, .sa_flags = SA_RESTART};
    (void)sigaction(SIGUSR1, &sa, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit that the audit log meets is an error, not the end */
    int r = run(&keeper, &err);
    if (r != 0)
        kw_msg_send_error(&keeper.main.chan, &err);
    kw_keeper_end(&keeper, r != 0 ? err.text : "closed");
    /* main asks only where no message came, and then that is the likely reason. */
    return kw_memory_short() ? (int)KW_EXIT_MEMORY : r;
}
