/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_head_int.h"

#define SIZE_DIGITS 15u   /* hex digits of a chunk's size */
#define EXT_MAX     1024u /* bytes of a chunk's line */
#define TRAILER_MAX 8192u /* bytes of all trailers */

/* The chunked grammar (RFC 9112, section 7.1), a byte at a time but for the data. */
enum state {
    CHUNK_START, /* the first digit of a size */
    CHUNK_SIZE,
    CHUNK_EXT,
    CHUNK_LF,
    CHUNK_DATA,
    DATA_CR,
    DATA_LF,
    LINE_START, /* of a trailer, or the empty line that ends the body */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    FOLLOWED,
    BROKEN, /* nothing that follows mends it */
};

void kw_follow_start(struct kw_follow *f, const struct kw_head *h)
{
    *f = (struct kw_follow){.framing = h->framing,
                            .left = h->framing == KW_BODY_LENGTH ? h->length : 0,
                            .state = CHUNK_START};
}

static int digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_text(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static enum state after_size(struct kw_follow *f, unsigned char c)
{
    int d = digit(c);
    if (d >= 0 && f->line <= SIZE_DIGITS) {
        f->left = f->left * 16 + (uint64_t)d;
        return CHUNK_SIZE;
    }
    if (f->state == CHUNK_START || d >= 0)
        return BROKEN;
    if (c == ';')
        return CHUNK_EXT;
    return c == '\r' ? CHUNK_LF : BROKEN;
}

/* A line of the trailers; their bytes are counted together. */
static enum state after_trailer(const struct kw_follow *f, unsigned char c)
{
    switch ((enum state)f->state) {
    case LINE_START:
        if (c == '\r')
            return LAST_LF;
        return kw_head_tchar(c) ? TRAILER_NAME : BROKEN;
    case TRAILER_NAME:
        if (c == ':')
            return TRAILER_VALUE;
        return kw_head_tchar(c) ? TRAILER_NAME : BROKEN;
    case TRAILER_VALUE:
        if (c == '\r')
            return TRAILER_LF;
        return is_text(c) ? TRAILER_VALUE : BROKEN;
    case TRAILER_LF:
        return c == '\n' ? LINE_START : BROKEN;
    default:
        return c == '\n' ? FOLLOWED : BROKEN;
    }
}

static enum state after(struct kw_follow *f, unsigned char c)
{
    f->line++;
    switch ((enum state)f->state) {
    case CHUNK_START:
    case CHUNK_SIZE:
        return after_size(f, c);
    case CHUNK_EXT:
        if (c == '\r')
            return CHUNK_LF;
        return is_text(c) && f->line <= EXT_MAX ? CHUNK_EXT : BROKEN;
    case CHUNK_LF:
        f->line = 0;
        if (c != '\n')
            return BROKEN;
        return f->left > 0 ? CHUNK_DATA : LINE_START;
    case DATA_CR:
        return c == '\r' ? DATA_LF : BROKEN;
    case DATA_LF:
        f->line = 0;
        return c == '\n' ? CHUNK_START : BROKEN;
    case LINE_START:
    case TRAILER_NAME:
    case TRAILER_VALUE:
    case TRAILER_LF:
    case LAST_LF:
        return f->line <= TRAILER_MAX ? after_trailer(f, c) : BROKEN;
    default:
        return BROKEN;
    }
}

/* How much of what is left of the body or chunk these n bytes are. */
static size_t take(struct kw_follow *f, size_t n)
{
    size_t k = f->left < n ? (size_t)f->left : n;
    f->left -= k;
    return k;
}

static long chunked(struct kw_follow *f, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && f->state != FOLLOWED && f->state != BROKEN) {
        if (f->state != CHUNK_DATA) {
            f->state = after(f, (unsigned char)p[i++]);
            continue;
        }
        i += take(f, n - i);
        if (f->left == 0)
            f->state = DATA_CR;
    }
    return f->state == BROKEN ? -1 : (long)i;
}

long kw_follow_bytes(struct kw_follow *f, const char *p, size_t n, bool *ret_done)
{
    long used = 0;
    switch (f->framing) {
    case KW_BODY_NONE:
        *ret_done = true;
        return 0;
    case KW_BODY_LENGTH:
        used = (long)take(f, n);
        *ret_done = f->left == 0;
        return used;
    case KW_BODY_CHUNKED:
        used = chunked(f, p, n);
        *ret_done = f->state == FOLLOWED;
        return used;
    case KW_BODY_CLOSE:
        break;
    }
    *ret_done = false;
    return (long)n;
}
