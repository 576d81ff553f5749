/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialer: resolves and connects to the host:port pairs that the dial policy
 * allows, and hands the connected descriptor to the exchanger. It never reads a byte
 * of what is spoken over it (but for a proxy's answer to CONNECT), and knows nothing
 * but names and addresses. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialer_connect.h"
#include "dialer_pool.h"
#include "policy/rules.h"
#include "policy/sandbox.h"
#include "src/base/log.h"
#include "src/base/memory.h"

/* For CMD, [run] egress counts as well. */
static int start_pool(const struct kw_m_dialer_start *c, struct kw_err *err)
{
    static struct kw_m_dialer_start own;
    own = *c;
    int r = c->egress[0] != '\0' ? kw_dial_check(c->egress, "", err) : 0;
    size_t n = strlen(own.dial);
    if (r == 0 && c->egress[0] != '\0' &&
        (size_t)snprintf(own.dial + n, sizeof own.dial - n, " %s", c->egress) >=
            sizeof own.dial - n)
        r = kw_fail(err, KW_USAGE, "[policy] dial and [run] egress are too long together");
    return r != 0 ? r : kw_dialer_pool_start(&own, KW_FD_PROXY, err);
}

static int start(struct kw_chan *ctl, struct kw_m_dialer_start *c, bool proxied, struct kw_err *err)
{
    struct kw_in in;
    struct kw_fences f;
    char host[KW_HOST];
    uint16_t port;
    /* How strict the fences are to be comes in the first message; until it is there,
     * nothing else is touched. */
    int r = kw_msg_expect(ctl, KW_DM_START, c, &in, -1, err);
    kw_in_free(&in);
    if (r != 0)
        return recv(ctl->fd, host, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ? -1 : r; /* has main gone? */
    unsigned flags = c->best_effort ? KW_SB_BEST_EFFORT : 0;
    kw_log_init("dialer", (int)c->verbosity);
    r = kw_sandbox_begin(KW_ROLE_DIALER, flags, &f, err);
    if (r == 0)
        r = kw_dial_check(c->dial, c->resolve, err);
    if (r == 0 && c->proxy[0] != '\0')
        r = kw_proxy_parse(c->proxy, host, sizeof host, &port, err);
    if (r == 0)
        r = kw_resolver_start(err);
    if (r == 0 && proxied)
        r = start_pool(c, err);
    if (r == 0)
        r = kw_sandbox_lock(KW_ROLE_DIALER, flags, &f, err);
    if (r != 0)
        return r;
    struct kw_m_ready ready = {.secrets = "none"};
    memcpy(ready.fences, f.stands, sizeof ready.fences);
    memcpy(ready.missing, f.missing, sizeof ready.missing);
    return kw_msg_send(ctl, KW_DM_READY, &ready, NULL, 0, 1000, err);
}

/* One request of the exchanger. 0, or what ends the conversation with it. */
static int serve(struct kw_chan *dial, const struct kw_m_dialer_start *c, struct kw_err *err)
{
    struct kw_in in;
    struct kw_m_dial want;
    int r = kw_msg_expect(dial, KW_D_DIAL, &want, &in, -1, err);
    kw_in_free(&in);
    if (r != 0)
        return r;
    if (want.host[0] == '\0' || want.port < 1 || want.port > 65535)
        return kw_fail(err, KW_FAILED, "%s: malformed D_DIAL", kw_channel_name(dial->name));
    struct kw_m_dialed dialed = {""};
    struct kw_err refusal;
    int fd = -1;
    if (kw_dialer_connect(c, &want, &fd, dialed.address, sizeof dialed.address, &refusal) != 0) {
        kw_log(KW_INFO, "%s", refusal.text);
        kw_msg_send_error(dial, &refusal);
        return 0;
    }
    kw_log(KW_INFO, "%s:%u is %s", want.host, (unsigned)want.port, dialed.address);
    r = kw_msg_send(dial, KW_D_DIALED, &dialed, &fd, 1, 1000, err);
    (void)close(fd);
    return r;
}

/* Serves until main says that it is over, or is gone. */
static int serve_all(struct kw_chan *ctl, struct kw_chan *dial, bool proxied,
                     const struct kw_m_dialer_start *c, struct kw_err *err)
{
    struct pollfd p[3] = {{.fd = ctl->fd, .events = POLLIN},
                          {.fd = dial->fd, .events = POLLIN},
                          {.fd = proxied ? KW_FD_PROXY : -1, .events = POLLIN}};
    for (;;) {
        if (poll(p, 3, -1) < 0) {
            if (errno == EINTR)
                continue;
            return kw_fail_errno(err, KW_FAILED, "dialer: could not wait");
        }
        if (p[0].revents != 0)
            return 0; /* DM_CLOSE or the end: nothing else is legal */
        struct kw_err ended;
        if (p[2].revents != 0 && kw_dialer_pool_take(&ended) != 0) {
            kw_log(KW_DEBUG, "%s", ended.text);
            kw_dialer_pool_end();
            p[2].fd = -1;
        }
        if (p[1].revents == 0)
            continue;
        if (serve(dial, c, &ended) != 0) {
            kw_log(KW_DEBUG, "%s", ended.text);
            (void)close(dial->fd);
            p[1].fd = -1; /* nobody left to dial for */
        }
    }
}

int main(int argc, char **argv)
{
    kw_sandbox_hide();
    static const char selftest[] = "--selftest=";
    if (argc == 2 && strncmp(argv[1], selftest, sizeof selftest - 1) == 0)
        kw_selftest_attempt(KW_ROLE_DIALER, argv[1] + sizeof selftest - 1);
    static struct kw_m_dialer_start c;
    struct kw_chan ctl, dial;
    struct kw_err err;
    kw_log_init("dialer", 0);
    kw_chan_init(&ctl, KW_CHAN_DIALER, KW_ROLE_DIALER, KW_FD_CTL);
    kw_chan_init(&dial, KW_CHAN_DIAL, KW_ROLE_DIALER, KW_FD_PEER);
    bool proxied = fcntl(KW_FD_PROXY, F_GETFD) >= 0; /* before something else is there */
    kw_memory_must(KW_EXIT_MEMORY, NULL);            /* nothing here has to be put in order */
    int r = start(&ctl, &c, proxied, &err);
    if (r < 0) /* main has gone before it said anything */
        return KW_OK;
    if (r == 0)
        r = serve_all(&ctl, &dial, proxied, &c, &err);
    if (r != 0)
        kw_msg_send_error(&ctl, &err);
    return r;
}
