/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchanger: TLS, HTTP and JSON. It is the one role that reads what strangers
 * send, so it can do next to nothing: behind its lock it opens no file, makes no
 * socket, connects nowhere, starts nothing; connected descriptors come from the
 * dialer, signatures from the keeper. */
#include "exchanger.h"
#include "tls_key.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/sandbox.h"
#include "src/base/log.h"
#include "src/base/memory.h"

enum { MARGIN_MS = 1000 }; /* our error shall be there before main stops waiting */

static uint32_t budget(uint32_t timeout_ms)
{
    uint32_t margin = timeout_ms / 10 < MARGIN_MS ? timeout_ms / 10 : MARGIN_MS;
    return timeout_ms - margin;
}

/* Whether main has gone, after its channel gave no message. */
static bool main_gone(const struct kw_exchanger *x)
{
    char c;
    return recv(x->ctl.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int start(struct kw_exchanger *x, struct kw_err *err)
{
    struct kw_fences f;
    struct kw_in in;
    struct kw_m_exchanger_start m;
    int r = 0;
    /* Nothing here has to be put in order, and no library shall be seen at how it manages
     * without memory while strangers feed it. */
    kw_memory_must(KW_EXIT_MEMORY, NULL);
    if (!kw_memory_watch(/* wipe= */ true))
        r = kw_fail(err, KW_FAILED,
                    "OpenSSL did not take the wiping allocator: a library used "
                    "it before the program started");
    if (r == 0)
        r = kw_sandbox_begin(KW_ROLE_EXCHANGER, 0, &f, err);
    if (r != 0)
        return r;
    r = kw_msg_expect(&x->ctl, KW_XM_START, &m, &in, -1, err);
    kw_in_free(&in);
    if (r != 0)
        return main_gone(x) ? -1 : r;
    kw_log_init("exchanger", (int)m.verbosity);
    x->budget_ms = budget(m.timeout_ms);
    r = kw_secret_init(m.best_effort != 0, err);
    if (r == 0)
        r = kw_http_new(m.ca_file, kw_exchanger_dial, x, &x->http, err);
    if (r == 0 && m.tls_key != 0)
        r = kw_tls_key_init(kw_exchanger_tls, x, err);
    if (r == 0)
        r = kw_sandbox_lock(KW_ROLE_EXCHANGER, m.best_effort ? KW_SB_BEST_EFFORT : 0, &f, err);
    if (r != 0)
        return r;
    struct kw_m_ready ready = {.fences = ""};
    memcpy(ready.fences, f.stands, sizeof ready.fences);
    memcpy(ready.missing, f.missing, sizeof ready.missing);
    (void)snprintf(ready.secrets, sizeof ready.secrets, "%s", kw_secret_kind());
    return kw_msg_send(&x->ctl, KW_XM_READY, &ready, NULL, 0, 1000, err);
}

/* The messages of main, decoded; one at a time, so they share their room. */
union body {
    struct kw_m_fetch fetch;
    struct kw_m_exchange exchange;
    struct kw_m_go go;
    struct kw_m_session session;
    struct kw_m_google google;
    struct kw_m_call call;
};

static int act(struct kw_exchanger *x, struct kw_in *in, union body *m, struct kw_err *err)
{
    switch (in->type) {
    case KW_XM_FETCH:
        return kw_exchanger_fetch(x, &m->fetch, err);
    case KW_XM_EXCHANGE:
        return kw_exchanger_exchange(x, &m->exchange, err);
    case KW_XM_SESSION:
        kw_secret_free(&x->token);
        x->token = m->session.token;
        m->session.token = NULL;
        x->bearer = m->session.bearer;
        return 0;
    case KW_XM_GOOGLE:
        return kw_exchanger_google(x, &m->google, err);
    case KW_XM_CALL:
        return kw_exchanger_call(x, &m->call, in->fds[0], in->fds[1], err);
    default: /* XM_GO that crossed our error: without effect */
        return 0;
    }
}

/* Serves one message. 1: go on; 0: main has said that it is over, or is gone; -1: main
 * can't be understood, *err says why. */
static int serve(struct kw_exchanger *x, struct kw_err *err)
{
    static union body m;
    struct kw_in in;
    int more = 1;
    if (kw_chan_recv(&x->ctl, &in, -1, err) != 0)
        more = main_gone(x) ? 0 : -1;
    else if (in.type == KW_XM_CLOSE)
        more = 0;
    else if (!kw_msg_get(&in.body, in.type, &m)) {
        (void)kw_fail(err, KW_FAILED, "%s: malformed %s", kw_channel_name(x->ctl.name),
                      kw_msg_name(in.type));
        more = -1;
    } else {
        /* Errors of the work itself are main's to judge: it may go on with another. */
        if (act(x, &in, &m, err) != 0)
            kw_msg_send_error(&x->ctl, err);
        kw_msg_free(in.type, &m);
        explicit_bzero(&m, sizeof m);
    }
    kw_in_free(&in);
    return more;
}

int main(int argc, char **argv)
{
    kw_sandbox_hide();
    static const char selftest[] = "--selftest=";
    if (argc == 2 && strncmp(argv[1], selftest, sizeof selftest - 1) == 0)
        kw_selftest_attempt(KW_ROLE_EXCHANGER, argv[1] + sizeof selftest - 1);
    static struct kw_exchanger x;
    struct kw_err err;
    kw_log_init("exchanger", 0);
    kw_chan_init(&x.ctl, KW_CHAN_EXCHANGER, KW_ROLE_EXCHANGER, KW_FD_CTL);
    kw_chan_init(&x.sign, KW_CHAN_SIGN, KW_ROLE_EXCHANGER, KW_FD_PEER);
    kw_chan_init(&x.dial, KW_CHAN_DIAL, KW_ROLE_EXCHANGER, KW_FD_DIAL);
    int r = start(&x, &err), more = 1;
    if (r < 0) /* main has gone before it said anything */
        return KW_OK;
    while (r == 0 && more > 0)
        more = serve(&x, &err);
    if (more < 0)
        r = (int)err.code;
    if (r != 0)
        kw_msg_send_error(&x.ctl, &err);
    kw_secret_free(&x.token);
    kw_http_free(x.http);
    return r;
}
