/* SPDX-License-Identifier: Apache-2.0
 *
 * Own code because OpenSSL's decoder skips white space, tolerates bad padding and
 * has no URL alphabet. */
#include "b64.h"

#include <stdint.h>
#include <string.h>

/* All ones if a > b. Neither exceeds 255. */
static unsigned above(unsigned a, unsigned b)
{
    return 0u - ((b - a) >> 31);
}

/* The character of a value below 64 without a table look-up, so that neither time nor
 * cache tells which it was: each step adds what lies between one range and the next. */
static char digit(unsigned v, unsigned char c62, unsigned char c63)
{
    unsigned c = v + 'A';
    c += above(v, 25) & (unsigned)('a' - 'Z' - 1);
    c += above(v, 51) & (unsigned)('0' - 'z' - 1);
    c += above(v, 61) & ((unsigned)c62 - '9' - 1);
    c += above(v, 62) & ((unsigned)c63 - c62 - 1);
    return (char)(c & 0xffu);
}

static void put(struct kw_buf *b, const unsigned char *p, size_t n, unsigned char c62,
                unsigned char c63, bool pad)
{
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16;
        if (left > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            v |= p[i + 2];
        char out[4] = {digit(v >> 18, c62, c63), digit(v >> 12 & 63, c62, c63),
                       digit(v >> 6 & 63, c62, c63), digit(v & 63, c62, c63)};
        size_t used = left > 2 ? 4 : left + 1;
        if (pad)
            memset(out + used, '=', sizeof out - used);
        kw_put(b, out, pad ? sizeof out : used);
    }
}

void kw_b64_put(struct kw_buf *b, const void *bytes, size_t n)
{
    put(b, bytes, n, '+', '/', true);
}

void kw_b64url_put(struct kw_buf *b, const void *bytes, size_t n)
{
    put(b, bytes, n, '-', '_', false);
}

/* Value of one character without a table look-up, so that the time does not tell
 * which character it was. 0xff for one that is not in the alphabet. */
static unsigned value(unsigned char c, unsigned char c62, unsigned char c63)
{
    unsigned v = 0, hit = 0;
    const struct {
        unsigned char first, last;
        unsigned base;
    } ranges[] = {{'A', 'Z', 0}, {'a', 'z', 26}, {'0', '9', 52}, {c62, c62, 62}, {c63, c63, 63}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        unsigned mask = ~(above(ranges[i].first, c) | above(c, ranges[i].last)); /* inside */
        v |= mask & ((unsigned)c - ranges[i].first + ranges[i].base);
        hit |= mask;
    }
    return (v & hit) | (~hit & 0xffu);
}

static bool get(struct kw_buf *b, const char *text, size_t n, unsigned char c62, unsigned char c63)
{
    if (n % 4 == 1)
        return false;
    size_t was = b->len;
    uint32_t v = 0, bad = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        unsigned d = value((unsigned char)text[i], c62, c63);
        bad |= d & 0xc0u;
        v = v << 6 | (d & 63u);
        if (i % 4 == 3) {
            const unsigned char out[3] = {(unsigned char)(v >> 16), (unsigned char)(v >> 8),
                                          (unsigned char)v};
            kw_put(b, out, sizeof out);
            v = 0;
        }
    }
    if (n % 4 == 2) {
        const unsigned char out[1] = {(unsigned char)(v >> 4)};
        bad |= v & 0xfu; /* stray bits */
        kw_put(b, out, sizeof out);
    } else if (n % 4 == 3) {
        const unsigned char out[2] = {(unsigned char)(v >> 10), (unsigned char)(v >> 2)};
        bad |= v & 0x3u;
        kw_put(b, out, sizeof out);
    }
    if (bad == 0 && !b->bad)
        return true;
    if (b->len > was) /* nothing half decoded is left */
        explicit_bzero(b->p + was, b->len - was);
    b->len = was;
    return false;
}

bool kw_b64_get(struct kw_buf *b, const char *text, size_t n)
{
    if (n % 4 != 0)
        return false;
    if (n > 0 && text[n - 1] == '=')
        n -= text[n - 2] == '=' ? 2 : 1;
    return get(b, text, n, '+', '/');
}

bool kw_b64url_get(struct kw_buf *b, const char *text, size_t n)
{
    return get(b, text, n, '-', '_');
}

void kw_hex(char *out, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[p[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
    }
    out[2 * n] = '\0';
}

bool kw_unhex(unsigned char *out, size_t max, size_t *ret_n, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(text);
    if (n % 2 != 0 || n / 2 > max)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *d = strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]);
        if (d == NULL || *d == '\0')
            return false;
        unsigned v = (unsigned)(d - digits);
        out[i / 2] = (unsigned char)(i % 2 == 0 ? v << 4 : out[i / 2] | v);
    }
    *ret_n = n / 2;
    return true;
}
