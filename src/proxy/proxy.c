/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy of `run`: what CMD takes for the network. It reads what CMD sends, so it can do
 * as little as the exchanger; it holds the session token and the run's CA, but no key that
 * signs for the cloud, no subject token and no PIN. */
#include "proxy.h"

#include <jansson.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "policy/sandbox.h"
#include "src/base/log.h"
#include "src/base/memory.h"
#include "src/exchanger/http_int.h"

static struct kw_proxy proxy;

static bool main_gone(const struct kw_proxy *p)
{
    char c;
    return recv(p->ctl.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int make_engine(struct kw_proxy *p, const struct kw_m_proxy_start *m,
                       struct kw_m_proxy_ready *ready, struct kw_err *err)
{
    static struct kw_engine_hooks hooks; /* lives as long as the engine */
    X509_STORE *roots = NULL;
    struct kw_buf pem;
    hooks = kw_proxy_hooks;
    hooks.arg = p;
    tzset(); /* else /etc/localtime is opened at the first date */
    json_object_seed(0);
    int r = kw_tls_roots(m->ca_file, &roots, err);
    if (r == 0)
        r = kw_engine_new(&hooks, roots, &p->engine, err);
    if (r != 0)
        return r;
    kw_buf_init(&pem, sizeof ready->ca_pem - 1);
    r = kw_engine_ca(p->engine, m->ca_names, &pem, err);
    if (r == 0 && pem.bad)
        r = kw_fail(err, KW_FAILED, "the run's CA certificate is too large");
    if (r == 0)
        memcpy(ready->ca_pem, kw_buf_str(&pem), strlen(kw_buf_str(&pem)) + 1);
    kw_buf_free(&pem);
    return r;
}

static int start(struct kw_proxy *p, struct kw_err *err)
{
    struct kw_fences f;
    struct kw_in in;
    struct kw_m_proxy_start m;
    static struct kw_m_proxy_ready ready;
    int r = 0;
    kw_memory_must(KW_EXIT_MEMORY, NULL); /* nothing here has to be put in order */
    if (!kw_memory_watch(/* wipe= */ true))
        r = kw_fail(err, KW_FAILED, "OpenSSL did not take the wiping allocator");
    if (r == 0)
        r = kw_sandbox_begin(KW_ROLE_PROXY, 0, &f, err);
    if (r != 0)
        return r;
    r = kw_msg_expect(&p->ctl, KW_PM_START, &m, &in, -1, err);
    kw_in_free(&in);
    if (r != 0)
        return main_gone(p) ? -1 : r;
    kw_log_init("proxy", (int)m.verbosity);
    r = kw_secret_init(m.best_effort != 0, err);
    if (r == 0)
        r = make_engine(p, &m, &ready, err);
    if (r == 0)
        r = kw_sandbox_lock(KW_ROLE_PROXY, m.best_effort ? KW_SB_BEST_EFFORT : 0, &f, err);
    if (r != 0)
        return r;
    memcpy(ready.fences, f.stands, sizeof ready.fences);
    memcpy(ready.missing, f.missing, sizeof ready.missing);
    (void)snprintf(ready.secrets, sizeof ready.secrets, "%s", kw_secret_kind());
    return kw_msg_send(&p->ctl, KW_PM_READY, &ready, NULL, 0, 1000, err);
}

static int ok(struct kw_proxy *p, struct kw_err *err)
{
    return kw_msg_send(&p->ctl, KW_PM_OK, &(struct kw_m_empty){0}, NULL, 0, 1000, err);
}

static int serve(struct kw_proxy *p, struct kw_in *in, struct kw_err *err)
{
    if (p->serving)
        return kw_fail(err, KW_FAILED, "main-proxy: PM_SERVE came twice");
    if (!kw_msg_get(&in->body, KW_PM_SERVE, &p->scope.say))
        return kw_fail(err, KW_FAILED, "main-proxy: malformed PM_SERVE");
    const unsigned char *der = p->scope.say.decoy_spki.p;
    if (p->scope.say.decoy_spki.len > 0) {
        p->scope.decoy = d2i_PUBKEY(NULL, &der, (long)p->scope.say.decoy_spki.len);
        if (p->scope.decoy == NULL)
            return kw_fail(err, KW_FAILED, "main-proxy: the stand-in key can't be read");
    }
    p->scope.say.decoy_spki = (struct kw_view){NULL, 0}; /* goes with the message */
    if (p->scope.say.metadata == 0) {
        (void)close(in->fds[1]);
        in->fds[1] = -1;
    }
    int r = kw_engine_listen(p->engine, in->fds[0], in->fds[1], err);
    in->fds[0] = in->fds[1] = -1;
    p->serving = r == 0;
    return r != 0 ? r : ok(p, err);
}

static int take_session(struct kw_proxy *p, struct kw_in *in, struct kw_err *err)
{
    if (p->changing)
        return kw_fail(err, KW_FAILED, "main-proxy: a session came while another is taken");
    if (!kw_msg_get(&in->body, KW_PM_SESSION, &p->next))
        return kw_fail(err, KW_FAILED, "main-proxy: malformed PM_SESSION");
    p->changing = true;
    kw_proxy_change(p);
    return 0;
}

static int take_id(struct kw_proxy *p, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_id m;
    if (!kw_msg_get(&in->body, KW_PM_ID, &m))
        return kw_fail(err, KW_FAILED, "main-proxy: malformed PM_ID");
    kw_proxy_identity(p, m.token);
    kw_msg_free(KW_PM_ID, &m);
    return 0;
}

static int act(struct kw_proxy *p, struct kw_in *in, struct kw_err *err)
{
    switch (in->type) {
    case KW_PM_SERVE:
        return serve(p, in, err);
    case KW_PM_SESSION:
        return take_session(p, in, err);
    case KW_PM_ID:
        return take_id(p, in, err);
    case KW_PM_CLOSE:
        p->over = true;
        return kw_msg_send(&p->ctl, KW_PM_CLOSED, &p->counts, NULL, 0, 1000, err);
    default: /* the table in messages.c lets nothing else through */
        return kw_fail(err, KW_FAILED, "main-proxy: unexpected %s", kw_msg_name(in->type));
    }
}

static int result;
static struct kw_err reason;

static void from_main(void *arg)
{
    struct kw_proxy *p = arg;
    struct kw_in in;
    int r = kw_chan_recv(&p->ctl, &in, 0, &reason);
    if (r == KW_NET && in.type == KW_MSG_NONE && !main_gone(p))
        r = 0;
    else if (r != 0 && main_gone(p)) {
        p->over = true;
        r = 0;
    } else if (r == 0)
        r = act(p, &in, &reason);
    kw_in_free(&in);
    if (r != 0) {
        result = r;
        p->over = true;
    }
}

static int watch(struct kw_proxy *p, struct kw_err *err)
{
    int r = kw_engine_watch(p->engine, p->ctl.fd, from_main, p, err);
    if (r == 0)
        r = kw_engine_watch(p->engine, p->sign.fd, kw_proxy_from_keeper, p, err);
    return r != 0 ? r : kw_engine_watch(p->engine, p->dial.fd, kw_proxy_from_dialer, p, err);
}

int main(int argc, char **argv)
{
    kw_sandbox_hide();
    static const char selftest[] = "--selftest=";
    if (argc == 2 && strncmp(argv[1], selftest, sizeof selftest - 1) == 0)
        kw_selftest_attempt(KW_ROLE_PROXY, argv[1] + sizeof selftest - 1);
    struct kw_proxy *p = &proxy;
    kw_log_init("proxy", 0);
    kw_chan_init(&p->ctl, KW_CHAN_PROXY, KW_ROLE_PROXY, KW_FD_CTL);
    kw_chan_init(&p->sign, KW_CHAN_PSIGN, KW_ROLE_PROXY, KW_FD_PEER);
    kw_chan_init(&p->dial, KW_CHAN_PDIAL, KW_ROLE_PROXY, KW_FD_DIAL);
    result = start(p, &reason);
    if (result < 0) /* main has gone before it said anything */
        return KW_OK;
    if (result == 0)
        result = watch(p, &reason);
    while (result == 0 && !p->over) {
        int r = kw_engine_turn(p->engine, &reason);
        if (r != 0)
            result = r;
    }
    if (result != 0)
        kw_msg_send_error(&p->ctl, &reason);
    kw_secret_free(&p->scope.token);
    EVP_PKEY_free(p->scope.decoy);
    kw_engine_free(p->engine);
    return result;
}
