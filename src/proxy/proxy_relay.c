/* SPDX-License-Identifier: Apache-2.0
 *
 * A request inside TLS: its head is judged and written anew, its body and its answer are
 * passed on as they come. One request at a time: the next is looked at when the answer is
 * whole. */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_int.h"

enum { SWALLOW_MOST = 64 * 1024 };

void kw_relay_forget(struct kw_conn *c)
{
    free(c->head);
    c->head = NULL;
    kw_buf_free(&c->head_out);
    c->head_off = 0;
    c->head_len = 0;
    c->request_id = 0;
    c->req_done = c->resp_head = c->resp_done = c->again = c->swallow = false;
    c->status = 0;
    c->sent = c->received = 0;
}

/* --- the request's head --------------------------------------------------------------- */

static void ask(struct kw_conn *c)
{
    struct kw_err err = {0};
    kw_conn_stage(c, KW_ST_ASKED);
    if (c->e->hooks.request(c->e->hooks.arg, c->request_id, c->route, c->host, c->port, c->head,
                            &err) != 0)
        kw_conn_refuse_for(c, &err);
}

static void take_head(struct kw_conn *c, long n)
{
    c->head_len = (size_t)n;
    c->request_id = ++c->e->ids;
    c->client_keeps = c->head->keep_alive;
    c->req_done = c->head->framing == KW_BODY_NONE ||
                  (c->head->framing == KW_BODY_LENGTH && c->head->length == 0);
    kw_follow_start(&c->req, c->head);
    size_t m = c->head->method.n < sizeof c->method - 1 ? c->head->method.n : sizeof c->method - 1;
    memcpy(c->method, c->head->method.p, m);
    c->method[m] = '\0';
    if (c->head->minor == 0)
        kw_conn_refuse_unread(c, 505, "HTTP/1.1 is served here, not 1.0: let the client speak 1.1");
    else if (kw_span_is(c->head->method, "CONNECT") || c->head->target.p[0] != '/')
        kw_conn_refuse_unread(c, 400, "a request to a service names a path");
    else
        ask(c);
}

/* An idle connection upstream that says something has ended, or makes no sense. */
static void look_upstream(struct kw_conn *c)
{
    char byte;
    if (c->up.fd < 0 || !c->up.ready)
        return;
    if (kw_side_read(&c->up, &byte, 1) != -1)
        kw_side_close(c->e, &c->up, false);
}

bool kw_relay_request(struct kw_conn *c)
{
    struct kw_err err;
    unsigned status = 400;
    look_upstream(c);
    bool had = c->in.len > 0;
    long r = kw_flow_fill(&c->in, &c->client);
    if (c->in.len == 0) {
        if (r == 0 || r == -2)
            kw_conn_end(c, false);
        return r == 0 || r == -2;
    }
    if (!had)
        kw_conn_stage(c, KW_ST_REQUEST); /* the head's clock runs from its first byte */
    if (c->head == NULL && (c->head = malloc(sizeof *c->head)) == NULL) {
        kw_conn_end(c, true);
        return true;
    }
    long n = kw_head_request(c->in.p + c->in.off, c->in.len, c->head, &status, &err);
    if (n > 0)
        take_head(c, n);
    else if (n < 0)
        kw_conn_refuse_unread(c, status, err.text);
    else if (r == 0 || r == -2)
        kw_conn_end(c, true);
    else
        return r > 0;
    return true;
}

/* The head may go. One without a body is kept, for the case that it has to go twice. */
void kw_relay_start(struct kw_conn *c)
{
    if (!c->req_done) {
        kw_flow_drop(&c->in, c->head_len);
        c->head_len = 0;
        free(c->head);
        c->head = NULL;
    }
    kw_conn_stage(c, KW_ST_RELAY);
    if (c->up.fd < 0 && !c->dialing)
        kw_conn_dial(c);
}

/* --- upstream ----------------------------------------------------------------------------- */

static void refuse_tls(struct kw_conn *c)
{
    struct kw_err why;
    long v = SSL_get_verify_result(c->up.ssl);
    if (v != X509_V_OK)
        (void)kw_fail(&why, KW_CLOUD, "TLS with %s: its certificate can't be trusted: %s", c->host,
                      X509_verify_cert_error_string(v));
    else
        (void)kw_fail(&why, KW_CLOUD, "TLS with %s could not be agreed on, or was cut off",
                      c->host);
    kw_side_close(c->e, &c->up, true);
    kw_conn_refuse_for(c, &why);
}

/* The same request once more, over a new connection if need be. */
static void ask_again(struct kw_conn *c)
{
    c->again = true;
    c->swallow = c->resp_head = c->resp_done = false;
    c->status = 0;
    kw_buf_free(&c->head_out);
    c->head_off = 0;
    kw_flow_free(&c->back);
    ask(c);
}

static bool repeatable(const struct kw_conn *c)
{
    return c->head != NULL && c->head_len > 0 && !c->again;
}

/* Upstream has ended. True: settled. */
static bool ended(struct kw_conn *c)
{
    if (c->resp_done)
        return false;
    if (c->resp_head && c->resp.framing == KW_BODY_CLOSE && c->up.clean) {
        c->resp_done = true;
        c->up_keeps = false;
        return false;
    }
    if (!c->resp_head && c->back.len == 0 && c->up_used && repeatable(c)) {
        kw_side_close(c->e, &c->up, true); /* was closed while it lay idle */
        c->up_used = false;
        ask_again(c);
        return true;
    }
    if (!c->resp_head && c->back.len == 0) {
        struct kw_err why;
        (void)kw_fail(&why, KW_CLOUD, "%s closed the connection before it answered", c->host);
        kw_conn_refuse_for(c, &why);
        return true;
    }
    kw_conn_end(c, true); /* cut off in the middle: it must not look whole */
    return true;
}

/* --- the answer's head ------------------------------------------------------------------------ */

/* 1: there is one, 0: not yet, -1: the connection is settled. */
static int take_answer(struct kw_conn *c)
{
    static struct kw_head h; /* large */
    struct kw_err err;
    const struct kw_span method = {c->method, strlen(c->method)};
    long n = kw_head_response(c->back.p + c->back.off, c->back.len, &method, &h, &err);
    if (n == 0)
        return 0;
    if (n < 0 || h.status == 101) {
        struct kw_err why;
        (void)kw_fail(&why, KW_CLOUD, "what %s sent is no answer that can be passed on%s%s",
                      c->host, n < 0 ? ": " : "", n < 0 ? err.text : "");
        kw_conn_refuse_for(c, &why);
        return -1;
    }
    if (h.status < 200) { /* 100 Continue and its like: the real one follows */
        c->back.passed = (size_t)n;
        return 0;
    }
    c->status = h.status;
    c->up_keeps = h.keep_alive;
    c->resp_head = true;
    kw_follow_start(&c->resp, &h);
    c->swallow = repeatable(c) && h.framing != KW_BODY_CLOSE &&
                 c->e->hooks.again(c->e->hooks.arg, c->request_id, h.status);
    if (c->swallow)
        kw_flow_drop(&c->back, (size_t)n);
    else
        c->back.passed = (size_t)n;
    return 1;
}

/* Lets what belongs to the answer's body pass. False: it breaks its own framing. */
static bool take_body(struct kw_conn *c)
{
    if (!c->resp_head || c->resp_done)
        return true;
    size_t from = c->back.passed;
    bool done = false;
    long n = kw_follow_bytes(&c->resp, c->back.p != NULL ? c->back.p + c->back.off + from : NULL,
                             c->back.len - from, &done);
    if (n < 0)
        return false;
    c->resp_done = done;
    if (c->swallow) {
        c->received += (uint64_t)n;
        kw_flow_drop(&c->back, (size_t)n);
        return c->received <= SWALLOW_MOST;
    }
    c->back.passed += (size_t)n;
    return true;
}

/* --- both ways --------------------------------------------------------------------------- */

/* To upstream. */
static bool push(struct kw_conn *c)
{
    bool moved = false;
    if (c->head_out.len > 0) {
        int r = kw_out_send(&c->head_out, &c->head_off, &c->up);
        if (r == 0)
            return false;
        moved = r > 0;
    }
    if (!c->req_done) {
        long r = kw_flow_fill(&c->in, &c->client);
        moved = moved || r > 0;
        if (r == 0 || (r == -2 && c->in.len == 0)) { /* in the middle of its body */
            kw_conn_end(c, true);
            return true;
        }
        size_t from = c->in.passed;
        long n = kw_follow_bytes(&c->req, c->in.p != NULL ? c->in.p + c->in.off + from : NULL,
                                 c->in.len - from, &c->req_done);
        if (n < 0) {
            kw_conn_end(c, true);
            return true;
        }
        c->in.passed += (size_t)n;
    }
    if (!c->up.broken && c->in.passed > 0) {
        long r = kw_flow_send(&c->in, &c->up);
        c->sent += r > 0 ? (uint64_t)r : 0;
        moved = moved || r > 0;
    }
    return moved;
}

/* From upstream. */
static bool pull(struct kw_conn *c)
{
    bool moved = false;
    if (!c->resp_done) {
        long r = kw_flow_fill(&c->back, &c->up);
        moved = r > 0;
        if (!c->resp_head && c->back.len > 0 && c->back.passed == 0 && take_answer(c) < 0)
            return true;
        if (!take_body(c)) {
            kw_conn_end(c, true);
            return true;
        }
        if ((r == 0 || r == -2) && (c->resp_head || c->back.passed == 0) && ended(c))
            return true;
    }
    if (c->back.passed > 0) {
        long r = kw_flow_send(&c->back, &c->client);
        if (r == -2) {
            kw_conn_end(c, true);
            return true;
        }
        c->received += r > 0 ? (uint64_t)r : 0;
        moved = moved || r > 0;
    }
    return moved;
}

/* The answer is whole and with the client. */
static void finish(struct kw_conn *c)
{
    bool whole = c->req_done && c->in.passed == 0;
    bool keep = whole && c->client_keeps && c->up_keeps;
    c->e->hooks.done(c->e->hooks.arg, c->request_id, c->status, c->sent, c->received);
    if (!c->up_keeps || c->back.len > 0 || !whole) {
        kw_side_close(c->e, &c->up, false);
        kw_flow_free(&c->back);
    }
    kw_flow_drop(&c->in, c->head_len);
    kw_relay_forget(c);
    c->up_used = c->up.fd >= 0;
    if (keep)
        kw_conn_stage(c, KW_ST_REQUEST);
    else {
        c->after = whole ? KW_ST_DEAD : KW_ST_DRAIN;
        kw_conn_stage(c, KW_ST_SAY); /* there is nothing to say: it ends in order */
    }
}

bool kw_relay_both(struct kw_conn *c)
{
    if (c->up.fd < 0)
        return false; /* is being dialled */
    if (!c->up.ready) {
        int r = kw_side_handshake(&c->up);
        if (r < 0)
            refuse_tls(c);
        return r != 0;
    }
    bool a = push(c);
    if (c->stage != KW_ST_RELAY)
        return true;
    bool b = pull(c);
    if (c->stage != KW_ST_RELAY)
        return true;
    if (c->resp_done && c->swallow) {
        if (!c->up_keeps)
            kw_side_close(c->e, &c->up, false);
        ask_again(c);
        return true;
    }
    if (c->resp_done && c->back.passed == 0) {
        finish(c);
        return true;
    }
    return a || b;
}
