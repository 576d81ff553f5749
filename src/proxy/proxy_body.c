/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies. Stricter than a recipient has to be where others have been seen to read more into
 * it (tests/interop/http): llhttp takes fields in trailers for those of the head, and chunk
 * extensions are read by nobody in the same way. */
#include <string.h>

#include "proxy_head_int.h"

#define SIZE_DIGITS 15u   /* hex digits of a chunk's size */
#define EXT_MAX     1024u /* bytes of a chunk's line */
#define TRAILER_MAX 8192u /* bytes of all trailers */

/* The chunked grammar (RFC 9112, section 7.1), a byte at a time but for the data. */
enum state {
    CHUNK_START, /* the first digit of a size */
    CHUNK_SIZE,
    EXT_START, /* behind ";": a name, and behind "=" a value, both tokens */
    EXT_NAME,
    EXT_VALUE_START,
    EXT_VALUE,
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
        return EXT_START;
    return c == '\r' ? CHUNK_LF : BROKEN;
}

/* name ["=" value], without white space and quotes, which are of no use to anybody here. */
static enum state after_ext(const struct kw_follow *f, unsigned char c)
{
    const bool first = f->state == EXT_START || f->state == EXT_VALUE_START;
    const bool name = f->state == EXT_START || f->state == EXT_NAME;
    if (f->line > EXT_MAX)
        return BROKEN;
    if (kw_head_tchar(c))
        return name ? EXT_NAME : EXT_VALUE;
    if (first)
        return BROKEN;
    if (c == '=')
        return name ? EXT_VALUE_START : BROKEN;
    if (c == ';')
        return EXT_START;
    return c == '\r' ? CHUNK_LF : BROKEN;
}

/* RFC 9110, section 6.5.1: what says how a message is framed, where it goes and who sends it is
 * in its head or nowhere. */
static bool trailer_ok(const struct kw_follow *f)
{
    static const char *const never[] = {
        "connection",       "content-length", "expect",  "host",          "keep-alive",       "te",
        "proxy-connection", "trailer",        "upgrade", "authorization", "transfer-encoding"};
    struct kw_span name = {f->name, f->name_n};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (kw_span_is_nocase(name, never[i]))
            return false;
    return true;
}

/* Notes a byte of a trailer's name; of a longer one than matters only that it is. */
static enum state trailer_name(struct kw_follow *f, unsigned char c)
{
    if (!kw_head_tchar(c))
        return BROKEN;
    if (f->name_n < sizeof f->name)
        f->name[f->name_n++] = (char)c;
    return TRAILER_NAME;
}

/* A line of the trailers; their bytes are counted together. */
static enum state after_trailer(struct kw_follow *f, unsigned char c)
{
    switch ((enum state)f->state) {
    case LINE_START:
        f->name_n = 0;
        return c == '\r' ? LAST_LF : trailer_name(f, c);
    case TRAILER_NAME:
        if (c == ':')
            return trailer_ok(f) ? TRAILER_VALUE : BROKEN;
        return trailer_name(f, c);
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
    case EXT_START:
    case EXT_NAME:
    case EXT_VALUE_START:
    case EXT_VALUE:
        return after_ext(f, c);
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
