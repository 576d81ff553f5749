/* SPDX-License-Identifier: Apache-2.0
 *
 * What src/proxy/proxy_head.c and proxy_body.c make of messages, for compare.py to hold against
 * other people's parsers. Messages come on standard input: a letter (R: request, A: answer to GET,
 * H: answer to HEAD), four bytes of length, big end first, and the message. For each a line
 * of JSON, in which what came from the message is in hex; "null" where it is refused. */
#include <stdio.h>
#include <stdlib.h>

#include "src/proxy/proxy_head.h"

enum { MOST = 1 << 20 };

static void hex(struct kw_span s)
{
    (void)putchar('"');
    for (size_t i = 0; i < s.n; i++)
        (void)printf("%02x", (unsigned char)s.p[i]);
    (void)putchar('"');
}

static void tell(const struct kw_head *h, size_t head, size_t body, bool done)
{
    static const char *const kinds[] = {"none", "length", "chunked", "close"};
    (void)printf("{\"minor\": %u, \"status\": %u, \"method\": ", h->minor, h->status);
    hex(h->method);
    (void)printf(", \"target\": ");
    hex(h->target);
    (void)printf(", \"headers\": [");
    for (size_t i = 0; i < h->fields; i++) {
        (void)printf("%s[", i > 0 ? ", " : "");
        hex(h->names[i]);
        (void)printf(", ");
        hex(h->values[i]);
        (void)printf("]");
    }
    (void)printf("], \"framing\": \"%s\", \"length\": %llu, \"keep_alive\": %s, \"upgrades\": %s, "
                 "\"head\": %zu, \"used\": %zu, \"done\": %s}\n",
                 kinds[h->framing], (unsigned long long)h->length, h->keep_alive ? "true" : "false",
                 h->upgrades ? "true" : "false", head, head + body, done ? "true" : "false");
}

static void message(int kind, const char *p, size_t n)
{
    static struct kw_head h;
    static const struct kw_span get = {"GET", 3}, head = {"HEAD", 4};
    struct kw_err err;
    struct kw_follow f;
    unsigned status = 0;
    bool done = false;
    long len = kind == 'R' ? kw_head_request(p, n, &h, &status, &err)
                           : kw_head_response(p, n, kind == 'H' ? &head : &get, &h, &err);
    long body = -1;
    if (len > 0) {
        kw_follow_start(&f, &h);
        body = kw_follow_bytes(&f, p + len, n - (size_t)len, &done);
    }
    if (body < 0)
        (void)printf("null\n");
    else
        tell(&h, (size_t)len, (size_t)body, done);
}

int main(void)
{
    char *p = malloc(MOST);
    unsigned char size[5];
    if (p == NULL)
        return 2;
    while (fread(size, 1, sizeof size, stdin) == sizeof size) {
        size_t n = (size_t)size[1] << 24 | (size_t)size[2] << 16 | (size_t)size[3] << 8 | size[4];
        if (n > MOST || fread(p, 1, n, stdin) != n)
            return 2;
        message(size[0], p, n);
    }
    free(p);
    return 0;
}
