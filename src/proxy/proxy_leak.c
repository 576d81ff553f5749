/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "proxy_scope.h"

static bool holds(const void *p, size_t n, const char *token)
{
    return n > 0 && memmem(p, n, token, strlen(token)) != NULL;
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)((at - digits) % 16) : -1;
}

static void unescape(struct kw_span s, struct kw_buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && s.n - i > 2 && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
            c = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
            i += 2;
        }
        kw_put(out, &c, 1);
    }
}

static int sextet(unsigned char c)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '-' ? set + 62 : c == '_' ? set + 63 : c == '\0' ? NULL : strchr(set, c);
    return at != NULL ? (int)(at - set) : -1;
}

/* Every run of base64 of either alphabet, decoded from its start, as Basic has it. */
static void unbase64(const unsigned char *p, size_t n, struct kw_buf *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < n; i++) {
        int v = sextet(p[i]);
        if (v < 0) {
            have = 0;
            kw_put_str(out, "\n"); /* no token goes on over it */
            continue;
        }
        bits = (bits << 6 | (uint32_t)v) & 0xffffff;
        have += 6;
        if (have >= 8) {
            unsigned char c = (unsigned char)(bits >> (have - 8));
            kw_put(out, &c, 1);
            have -= 8;
        }
    }
}

/* As it is, with %XX taken back, or in base64. Without memory to look, it counts as there. */
static bool leaks(struct kw_span s, const char *token)
{
    struct kw_buf plain, decoded;
    if (s.n == 0)
        return false;
    kw_buf_init(&plain, s.n);
    kw_buf_init(&decoded, s.n);
    unescape(s, &plain);
    if (!plain.bad)
        unbase64(plain.p, plain.len, &decoded);
    bool r = plain.bad || decoded.bad || holds(s.p, s.n, token) ||
             holds(plain.p, plain.len, token) || holds(decoded.p, decoded.len, token);
    kw_buf_free(&plain);
    kw_buf_free(&decoded);
    return r;
}

bool kw_scope_leaks(const struct kw_scope *s, const struct kw_head *h)
{
    const char *token = s->say.decoy_token;
    bool one = kw_head_count(h, "Authorization") == 1;
    if (token[0] == '\0')
        return false;
    if (leaks(h->target, token))
        return true;
    for (size_t i = 0; i < h->fields; i++)
        if (leaks(h->names[i], token) ||
            (!(one && kw_span_is_nocase(h->names[i], "Authorization")) &&
             leaks(h->values[i], token)))
            return true;
    return false;
}
