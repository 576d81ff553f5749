/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads and bodies as the proxy of `run` reads them. The first byte says what the rest is: a
 * request (R), an answer (A) or a chunked body (C). What was read as a request and is written
 * anew is read again as the same; no prefix of a head is one; a body that came in two pieces
 * ends where it ends in one. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "src/proxy/proxy_scope.h"

static bool same(struct kw_span a, struct kw_span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static void inside(struct kw_span s, const char *p, size_t n)
{
    must(s.p == NULL || (s.p >= p && s.p + s.n <= p + n));
}

static void again(const struct kw_head *h)
{
    static struct kw_head back;
    struct kw_buf out;
    struct kw_err err;
    unsigned status = 0;
    if (h->minor == 0)
        return;
    kw_buf_init(&out, 4 * KW_HEAD_MAX);
    must(kw_scope_rewrite(h, NULL, &out, &err) == 0);
    long n = kw_head_request((const char *)out.p, out.len, &back, &status, &err);
    /* A field more (Connection), or a few bytes (": "), can be one too many. */
    must(n == (long)out.len || status == 431);
    if (n > 0) {
        must(same(h->method, back.method) && same(h->target, back.target));
        must(same(h->host, back.host));
        must(h->framing == back.framing && h->length == back.length);
        must(back.keep_alive && kw_head_count(&back, "connection") == 1);
        must(kw_head_count(&back, "authorization") == 0);
    }
    kw_buf_free(&out);
}

static void request(const char *p, size_t n)
{
    static struct kw_head h, part;
    struct kw_err err = {0};
    unsigned status = 0;
    long r = kw_head_request(p, n, &h, &status, &err);
    must(r <= (long)n && r >= -1);
    must(r >= 0 || (status >= 400 && status < 600 && err.text[0] != '\0'));
    if (r <= 0)
        return;
    inside(h.method, p, n);
    inside(h.target, p, n);
    inside(h.host, p, n);
    for (size_t i = 0; i < h.fields; i++) {
        inside(h.names[i], p, n);
        inside(h.values[i], p, n);
    }
    must(h.framing != KW_BODY_CLOSE && h.status == 0);
    must(kw_head_request(p, (size_t)r - 1, &part, &status, &err) == 0);
    if (!kw_span_is(h.method, "CONNECT") && h.target.p[0] == '/')
        again(&h);
}

static void answer(const char *p, size_t n)
{
    static struct kw_head h;
    struct kw_err err = {0};
    const struct kw_span method = {"GET", 3}, head = {"HEAD", 4};
    long r = kw_head_response(p, n, &method, &h, &err);
    must(r <= (long)n && r >= -1);
    must(r >= 0 || err.text[0] != '\0');
    if (r <= 0)
        return;
    must(h.status >= 100 && h.status <= 599);
    must(kw_head_response(p, n, &head, &h, &err) == r && h.framing == KW_BODY_NONE);
}

/* In pieces of any size, given by the first byte, and all at once. */
static void body(const char *p, size_t n)
{
    struct kw_follow whole = {.framing = KW_BODY_CHUNKED}, parts = whole;
    bool done = false, ended = false;
    size_t piece = n > 0 ? (size_t)(unsigned char)p[0] % 7 + 1 : 1, at = 0;
    long all = kw_follow_bytes(&whole, p, n, &done);
    must(all >= -1 && all <= (long)n);
    while (at < n && !ended) {
        long r = kw_follow_bytes(&parts, p + at, n - at < piece ? n - at : piece, &ended);
        if (r < 0) {
            must(all < 0);
            return;
        }
        at += (size_t)r;
    }
    must(all == (long)at && ended == (done && n > 0));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    fault_seed(data, &size); /* nothing in it can fail */
    if (size == 0)
        return 0;
    char *text = malloc(size); /* so that nothing lies behind it */
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    if (data[0] == 'A')
        answer(text, size - 1);
    else if (data[0] == 'C')
        body(text, size - 1);
    else
        request(text, size - 1);
    free(text);
    return 0;
}
