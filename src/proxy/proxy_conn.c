/* SPDX-License-Identifier: Apache-2.0
 *
 * One client connection: a head in the clear, then a tunnel, TLS, or the metadata service. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_int.h"
#include "src/base/log.h"

enum { TURNS = 32, DRAIN_MS = 2000, DRAIN_MOST = 1 << 20 };

static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";

struct kw_conn *kw_conn_new(struct kw_engine *e, int fd, bool metadata)
{
    struct kw_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    kw_side_no_delay(fd);
    c->e = e;
    c->metadata = metadata;
    c->client = (struct kw_side){.source = {KW_SRC_CLIENT, c},
                                 .fd = fd,
                                 .ready = true,
                                 .rwants = EPOLLIN,
                                 .wwants = EPOLLOUT};
    c->up = (struct kw_side){.source = {KW_SRC_UPSTREAM, c}, .fd = -1};
    c->next = e->first;
    if (c->next != NULL)
        c->next->prev = c;
    e->first = c;
    e->conns++;
    kw_conn_stage(c, KW_ST_HEAD);
    return c;
}

/* What a stage may take: a deadline that moves with what moves (kw_conn_go). */
static int patience(const struct kw_conn *c)
{
    switch (c->stage) {
    case KW_ST_HEAD:
    case KW_ST_ACCEPT:
    case KW_ST_SAY:
        return c->e->head_ms;
    case KW_ST_REQUEST:
        return c->in.len > 0 ? c->e->head_ms : c->e->idle_ms;
    case KW_ST_DRAIN:
        return DRAIN_MS;
    default:
        return c->e->stall_ms;
    }
}

void kw_conn_stage(struct kw_conn *c, enum kw_stage stage)
{
    c->stage = stage;
    c->deadline_ms = kw_now_ms() + patience(c);
}

/* Freed at the end of the turn: events of this one may still name it. */
void kw_conn_end(struct kw_conn *c, bool hard)
{
    struct kw_engine *e = c->e;
    if (c->stage == KW_ST_DEAD)
        return;
    if (c->request_id != 0)
        e->hooks.done(e->hooks.arg, c->request_id, 0, c->sent, c->received);
    kw_relay_forget(c);
    kw_side_close(e, &c->client, hard);
    kw_side_close(e, &c->up, hard);
    kw_flow_free(&c->in);
    kw_flow_free(&c->back);
    kw_buf_free(&c->out);
    c->stage = KW_ST_DEAD;
    c->dial_id = 0;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        e->first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    e->conns--;
    c->next = e->dead;
    e->dead = c;
}

/* --- answers of our own ----------------------------------------------------------- */

static void say(struct kw_conn *c, enum kw_stage after)
{
    c->after = after;
    kw_conn_stage(c, KW_ST_SAY);
}

void kw_conn_refuse(struct kw_conn *c, unsigned status, const char *text)
{
    /* A request without a body is over with its head: the connection can serve another. */
    bool whole = c->stage == KW_ST_ASKED && c->head != NULL && c->req_done && c->client_keeps;
    kw_buf_free(&c->out);
    kw_buf_init(&c->out, 4 * KW_ERR_TEXT + 1024);
    c->out_off = 0;
    kw_scope_refusal(c->route, status, text, !whole, &c->out);
    if (whole)
        kw_flow_drop(&c->in, c->head_len);
    if (c->request_id != 0)
        c->e->hooks.done(c->e->hooks.arg, c->request_id, 0, c->sent, c->received);
    kw_relay_forget(c);
    say(c, whole ? KW_ST_REQUEST : KW_ST_DRAIN);
}

void kw_conn_refuse_for(struct kw_conn *c, const struct kw_err *why)
{
    kw_conn_refuse(c,
                   why->code == KW_POLICY                             ? 403
                   : why->code == KW_NET                              ? 504
                   : why->code == KW_CLOUD || c->stage != KW_ST_RELAY ? 502
                                                                      : 500,
                   why->text);
}

void kw_conn_refuse_unread(struct kw_conn *c, unsigned status, const char *text)
{
    c->e->hooks.unread(c->e->hooks.arg, c->host, text);
    kw_conn_refuse(c, status, text);
}

/* --- the first head --------------------------------------------------------------- */

void kw_conn_dial(struct kw_conn *c)
{
    struct kw_err err;
    c->dial_id = ++c->e->ids;
    c->dialing = true;
    if (c->e->hooks.dial(c->e->hooks.arg, c->dial_id, c->host, c->port, &err) == 0)
        return;
    c->dialing = false;
    c->dial_id = 0;
    kw_conn_refuse_for(c, &err);
}

/* CONNECT host:port; kw_head_request() has seen to its form. */
static void take_authority(struct kw_conn *c, struct kw_span t)
{
    const char *colon = memrchr(t.p, ':', t.n);
    size_t n = (size_t)(colon - t.p);
    unsigned port = 0;
    for (const char *p = colon + 1; p < t.p + t.n; p++)
        port = port * 10 + (unsigned)(*p - '0');
    c->port = (uint16_t)port;
    for (size_t i = 0; i < n && i < sizeof c->host - 1; i++) {
        char ch = t.p[i];
        c->host[i] = (char)(ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch);
        c->host[i + 1] = '\0';
    }
}

static void connect_to(struct kw_conn *c, const struct kw_head *h)
{
    struct kw_err err = {0};
    take_authority(c, h->target);
    kw_flow_drop(&c->in, c->head_len);
    if (c->in.len > 0 || h->framing != KW_BODY_NONE) {
        kw_conn_refuse_unread(c, 400, "something follows CONNECT before it was answered");
        return;
    }
    enum kw_route route = c->e->hooks.route(c->e->hooks.arg, c->host, c->port, &err);
    if (route == KW_ROUTE_REFUSE) {
        kw_conn_refuse(c, 403, err.text);
        return;
    }
    c->route = route;
    if (route == KW_ROUTE_TUNNEL) {
        kw_conn_stage(c, KW_ST_DIAL);
        kw_conn_dial(c);
        return;
    }
    kw_buf_init(&c->out, sizeof established);
    kw_put_str(&c->out, established);
    say(c, KW_ST_ACCEPT);
    kw_conn_dial(c); /* beside the client's handshake */
}

static bool is_metadata_target(const struct kw_head *h)
{
    static const char scheme[] = "http://";
    return h->target.n > sizeof scheme - 1 &&
           strncasecmp(h->target.p, scheme, sizeof scheme - 1) == 0 &&
           (kw_span_is_nocase(h->host, "metadata.google.internal") ||
            kw_span_is_nocase(h->host, "169.254.169.254"));
}

static void ask_metadata(struct kw_conn *c, struct kw_head *h)
{
    struct kw_err err = {0};
    if (h->framing == KW_BODY_CHUNKED || h->length > 0) {
        kw_conn_refuse_unread(c, 400, "the metadata service takes no bodies");
        return;
    }
    c->client_keeps = h->keep_alive;
    c->request_id = ++c->e->ids;
    kw_conn_stage(c, KW_ST_META);
    if (c->e->hooks.metadata(c->e->hooks.arg, c->request_id, h, &err) != 0)
        kw_conn_refuse_for(c, &err);
}

/* KW_ST_HEAD. */
static bool take_head(struct kw_conn *c)
{
    static struct kw_head h; /* large, and done with when this returns */
    struct kw_err err;
    unsigned status = 400;
    long r = kw_flow_fill(&c->in, &c->client);
    if (c->in.len == 0) {
        if (r == 0 || r == -2)
            kw_conn_end(c, false);
        return r == 0 || r == -2;
    }
    long n = kw_head_request(c->in.p + c->in.off, c->in.len, &h, &status, &err);
    if (n == 0 && (r == 0 || r == -2)) {
        kw_conn_end(c, true);
        return true;
    }
    if (n == 0)
        return r > 0;
    if (n < 0) {
        kw_conn_refuse_unread(c, status, err.text);
        return true;
    }
    c->head_len = (size_t)n;
    if (c->metadata || is_metadata_target(&h))
        ask_metadata(c, &h);
    else if (kw_span_is(h.method, "CONNECT"))
        connect_to(c, &h);
    else
        kw_conn_refuse_unread(
            c, 403, "only https by CONNECT is served here: the request would go in the clear");
    return true;
}

/* --- TLS with the client ------------------------------------------------------------ */

static bool begin_tls(struct kw_conn *c)
{
    X509 *leaf = kw_ca_leaf(&c->e->ca, c->host);
    c->client.ssl = leaf != NULL ? SSL_new(c->e->server_ctx) : NULL;
    c->client.ready = false;
    if (c->client.ssl == NULL || SSL_set_fd(c->client.ssl, c->client.fd) != 1 ||
        SSL_use_certificate(c->client.ssl, leaf) != 1 ||
        SSL_use_PrivateKey(c->client.ssl, c->e->ca.leaf_key) != 1 ||
        SSL_set_app_data(c->client.ssl, c) != 1) {
        ERR_clear_error();
        return false;
    }
    SSL_set_accept_state(c->client.ssl);
    return true;
}

/* KW_ST_ACCEPT. */
static bool accept_tls(struct kw_conn *c)
{
    if (c->client.ssl == NULL && !begin_tls(c)) {
        kw_conn_end(c, true);
        return true;
    }
    int r = kw_side_handshake(&c->client);
    c->client.rwants = c->client.wants;
    if (r < 0)
        kw_conn_end(c, true);
    else if (r > 0) {
        c->client.rwants = EPOLLIN;
        kw_conn_stage(c, KW_ST_REQUEST);
    }
    return r != 0;
}

/* --- tunnels ---------------------------------------------------------------------------- */

/* One direction; true if something moved. */
static bool pump(struct kw_flow *f, struct kw_side *from, struct kw_side *to, uint64_t *count)
{
    bool moved = false;
    long r = from->eof ? -1 : kw_flow_fill(f, from);
    moved = r > 0 || r == 0;
    f->passed = f->len;
    r = kw_flow_send(f, to);
    if (r > 0)
        *count += (uint64_t)r;
    if (from->eof && f->len == 0 && to->ready) { /* half-closed: said once */
        (void)shutdown(to->fd, SHUT_WR);
        to->ready = false;
        moved = true;
    }
    return moved || r > 0;
}

/* KW_ST_TUNNEL. */
static bool tunnel(struct kw_conn *c)
{
    bool a = pump(&c->in, &c->client, &c->up, &c->sent);
    bool b = pump(&c->back, &c->up, &c->client, &c->received);
    if (c->client.broken || c->up.broken)
        kw_conn_end(c, true);
    else if (c->client.eof && c->up.eof && c->in.len == 0 && c->back.len == 0)
        kw_conn_end(c, false);
    return (a || b) && c->stage != KW_ST_DEAD;
}

/* --- the loop of one connection ------------------------------------------------------------ */

/* KW_ST_SAY. */
static bool say_on(struct kw_conn *c)
{
    int r = kw_out_send(&c->out, &c->out_off, &c->client);
    if (r < 0 || (r > 0 && c->after == KW_ST_DEAD))
        kw_conn_end(c, r < 0);
    else if (r > 0) {
        if (c->after == KW_ST_DRAIN) {
            if (c->client.ssl != NULL && c->client.ready)
                (void)SSL_shutdown(c->client.ssl);
            ERR_clear_error();
            (void)shutdown(c->client.fd, SHUT_WR);
            kw_side_close(c->e, &c->up, true);
        }
        kw_conn_stage(c, c->after);
        if (c->after == KW_ST_HEAD)
            kw_flow_drop(&c->in, c->head_len);
    }
    return r != 0;
}

/* KW_ST_DRAIN: whoever closes with bytes unread resets the connection, and the client might not
 * read our answer. Plain bytes do: nothing is decrypted any more. */
static bool drain(struct kw_conn *c)
{
    char bytes[4096];
    ssize_t n = recv(c->client.fd, bytes, sizeof bytes, 0);
    c->client.rwants = EPOLLIN;
    c->received += n > 0 ? (uint64_t)n : 0;
    if (n > 0 && c->received < DRAIN_MOST)
        return true;
    if (n >= 0 || c->received >= DRAIN_MOST)
        kw_conn_end(c, true);
    return n >= 0;
}

static bool step(struct kw_conn *c)
{
    switch (c->stage) {
    case KW_ST_HEAD:
        return take_head(c);
    case KW_ST_SAY:
        return say_on(c);
    case KW_ST_ACCEPT:
        return accept_tls(c);
    case KW_ST_TUNNEL:
        return tunnel(c);
    case KW_ST_REQUEST:
        return kw_relay_request(c);
    case KW_ST_RELAY:
        return kw_relay_both(c);
    case KW_ST_DRAIN:
        return drain(c);
    case KW_ST_META:
    case KW_ST_DIAL:
    case KW_ST_ASKED:
    case KW_ST_DEAD:
        break;
    }
    return false;
}

static bool room(const struct kw_flow *f)
{
    return f->p == NULL || f->len < KW_FLOW_ROOM;
}

static void arm(struct kw_conn *c)
{
    struct kw_side *cl = &c->client, *up = &c->up;
    uint32_t a = 0, b = 0;
    bool shaking = up->fd >= 0 && up->ssl != NULL && !up->ready;
    switch (c->stage) {
    case KW_ST_HEAD:
    case KW_ST_ACCEPT:
    case KW_ST_DRAIN:
        a = cl->rwants;
        break;
    case KW_ST_SAY:
        a = cl->wwants;
        break;
    case KW_ST_TUNNEL:
        a = (!cl->eof && room(&c->in) ? cl->rwants : 0) | (c->back.len > 0 ? cl->wwants : 0);
        b = (!up->eof && room(&c->back) ? up->rwants : 0) | (c->in.len > 0 ? up->wwants : 0);
        break;
    case KW_ST_REQUEST:
        a = cl->rwants;
        b = up->ready ? up->rwants : 0;
        break;
    case KW_ST_RELAY:
        a = (!c->req_done && room(&c->in) ? cl->rwants : 0) | (c->back.passed > 0 ? cl->wwants : 0);
        b = shaking
                ? up->wants
                : (!up->eof && room(&c->back) && !c->resp_done ? up->rwants : 0) |
                      (!up->broken && (c->head_out.len > 0 || c->in.passed > 0) ? up->wwants : 0);
        break;
    default:
        break;
    }
    kw_side_arm(c->e, cl, a);
    kw_side_arm(c->e, up, b);
}

void kw_conn_go(struct kw_conn *c)
{
    bool moved = true;
    for (int i = 0; moved && i < TURNS && c->stage != KW_ST_DEAD; i++) {
        enum kw_stage before = c->stage;
        moved = step(c);
        if (c->stage != before)
            moved = true;
        else if (moved && c->stage != KW_ST_HEAD && c->stage != KW_ST_REQUEST &&
                 c->stage != KW_ST_DRAIN)
            c->deadline_ms = kw_now_ms() + patience(c);
    }
    if (c->stage == KW_ST_DEAD)
        return;
    if (moved && !c->is_ready) { /* others have their turn first */
        c->is_ready = true;
        c->ready_next = c->e->ready;
        c->e->ready = c;
    }
    arm(c);
}

void kw_conn_late(struct kw_conn *c)
{
    kw_log(KW_DEBUG, "connection for %s: time is up in stage %d, %zu bytes in, %zu back", c->host,
           (int)c->stage, c->in.len, c->back.len);
    switch (c->stage) {
    case KW_ST_HEAD:
    case KW_ST_REQUEST:
        if (c->in.len > 0)
            kw_conn_refuse_unread(c, 408, "the request's head did not come in time");
        else
            kw_conn_end(c, false);
        break;
    case KW_ST_RELAY:
        if (!c->resp_head && c->back.len == 0)
            kw_conn_refuse(c, 504, "no answer came in time");
        else
            kw_conn_end(c, true);
        break;
    case KW_ST_DIAL:
    case KW_ST_META:
    case KW_ST_ASKED:
        kw_conn_refuse(c, 504, "it could not be decided in time");
        break;
    default:
        kw_conn_end(c, true);
    }
    if (c->stage != KW_ST_DEAD)
        kw_conn_go(c);
}
