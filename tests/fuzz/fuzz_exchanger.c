/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchanger as main, keeper and dialer can treat it: every message of theirs in any
 * order (peers.h). Channels: main, keeper, dialer; the fourth are the answers of HTTP
 * servers: status, header lines, body. Fences and libcurl are left out: the one would end
 * the fuzzer, the other has a target of its own. */
#include <string.h>
#include <unistd.h>

#include "peers.h"
#include "src/exchanger/tls_key.h"
#include "src/wire/hdr.h"

int exchanger_main(int argc, char **argv);
#define main exchanger_main
#include "src/exchanger/exchanger.c"
#undef main

static struct peers peers;

/* --- what stands in for libcurl ---------------------------------------------------- */

static struct {
    kw_http_dial *dial;
    void *arg;
    kw_tls_sign *sign; /* where a handshake has a client key */
    void *sign_arg;
    bool shows; /* a certificate, for which it is asked */
} client;

int __wrap_kw_http_new(const char *ca_file, kw_http_dial *dial, void *arg, struct kw_http **ret,
                       struct kw_err *err);
int __wrap_kw_http_new(const char *ca_file, kw_http_dial *dial, void *arg, struct kw_http **ret,
                       struct kw_err *err)
{
    (void)ca_file, (void)err, (void)ret;
    client.dial = dial;
    client.arg = arg;
    client.sign = NULL;
    client.shows = false;
    return 0;
}

void __wrap_kw_http_free(struct kw_http *h);
void __wrap_kw_http_free(struct kw_http *h)
{
    (void)h;
}

int __wrap_kw_http_client_cert(struct kw_http *h, const char *pem, const char *host,
                               struct kw_err *err);
int __wrap_kw_http_client_cert(struct kw_http *h, const char *pem, const char *host,
                               struct kw_err *err)
{
    (void)h, (void)host;
    client.shows = strstr(pem, "CERTIFICATE") != NULL && client.sign != NULL;
    return client.shows ? 0 : kw_fail(err, KW_USAGE, "the client certificate can't be read");
}

/* OpenSSL takes a provider once in a process. */
int __wrap_kw_tls_key_init(kw_tls_sign *sign, void *arg, struct kw_err *err);
int __wrap_kw_tls_key_init(kw_tls_sign *sign, void *arg, struct kw_err *err)
{
    (void)err;
    client.sign = sign;
    client.sign_arg = arg;
    return 0;
}

static int connect_to(const struct kw_url *url, int64_t deadline_ms, struct kw_err *err)
{
    int fd = -1;
    int r = client.dial(client.arg, url->host, url->port, deadline_ms, &fd, err);
    if (r == 0)
        (void)close(fd);
    unsigned char sig[72];
    size_t n = sizeof sig;
    if (r == 0 && client.shows &&
        client.sign(client.sign_arg, (const unsigned char *)"handshake", 9, sig, &n) != 0)
        r = kw_fail(err, KW_NET, "the handshake fails");
    must(n <= sizeof sig);
    return r;
}

int __wrap_kw_http_warm(struct kw_http *h, const struct kw_url *url, int64_t deadline_ms,
                        struct kw_err *err);
int __wrap_kw_http_warm(struct kw_http *h, const struct kw_url *url, int64_t deadline_ms,
                        struct kw_err *err)
{
    (void)h;
    return connect_to(url, deadline_ms, err);
}

/* The next answer, in the form that http.h promises: lines that are header lines. */
static int answer(const struct kw_http_call *call, struct kw_buf *b, struct kw_err *err)
{
    char lines[KW_LINES], name[128], value[KW_LINES];
    unsigned status = kw_get_u32(b) % 1000;
    struct kw_view head = kw_get_blob(b, sizeof lines - 1), body = kw_get_blob(b, 1 << 20);
    memcpy(lines, head.p, head.len);
    lines[head.len] = '\0';
    const char *at = lines;
    int more;
    while ((more = kw_hdr_next(&at, name, sizeof name, value, sizeof value)) == 1)
        continue;
    if (b->bad || more != 0)
        return kw_fail(err, KW_NET, "no answer");
    int r = call->on_head(call->arg, status, lines, err);
    for (size_t n = 0; r == 0 && n < body.len; n += 4096)
        r = call->on_body(call->arg, body.p + n, body.len - n < 4096 ? body.len - n : 4096, err);
    return r;
}

int __wrap_kw_http_do(struct kw_http *h, const struct kw_http_call *call, struct kw_err *err);
int __wrap_kw_http_do(struct kw_http *h, const struct kw_http_call *call, struct kw_err *err)
{
    (void)h;
    /* What goes on the wire can't be split by what came from elsewhere. */
    must(strpbrk(call->method, " \r\n") == NULL && strpbrk(call->url->target, " \r\n") == NULL);
    must(call->authorization == NULL || strpbrk(call->authorization, "\r\n") == NULL);
    int r = connect_to(call->url, call->deadline_ms, err);
    if (r != 0)
        return r;
    struct kw_view v = kw_get_blob(&peers.side, 1 << 20);
    struct kw_buf b;
    kw_buf_init(&b, 1 << 20);
    kw_put(&b, v.p, v.len);
    r = answer(call, &b, err);
    kw_buf_free(&b);
    return r;
}

/* --- the run ------------------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const enum kw_channel chans[] = {KW_CHAN_EXCHANGER, KW_CHAN_SIGN, KW_CHAN_DIAL};
    static struct kw_exchanger x;
    struct kw_err err = {0};
    must(kw_secret_init(true, &err) == 0);
    fault_seed(data, &size);
    fault_no_waiting(peers_idle);
    peers_begin(&peers, KW_ROLE_EXCHANGER, chans, 3, data, size);
    x = (struct kw_exchanger){.budget_ms = 0};
    kw_chan_init(&x.ctl, KW_CHAN_EXCHANGER, KW_ROLE_EXCHANGER, peers.fds[0]);
    kw_chan_init(&x.sign, KW_CHAN_SIGN, KW_ROLE_EXCHANGER, peers.fds[1]);
    kw_chan_init(&x.dial, KW_CHAN_DIAL, KW_ROLE_EXCHANGER, peers.fds[2]);
    fault_begin();
    int r = start(&x, &err), more = 1;
    while (r == 0 && more > 0)
        more = serve(&x, &err);
    if (more < 0)
        r = (int)err.code;
    must(r <= 0 || err.text[0] != '\0');
    if (r > 0)
        kw_msg_send_error(&x.ctl, &err);
    (void)fault_end();
    kw_secret_free(&x.token);
    for (size_t i = 0; i < 3; i++)
        (void)close(peers.fds[i]);
    peers_end(&peers);
    return 0;
}
