/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a body ends, found without keeping it (RFC 9112 section 7.1 for chunks). */
#include <string.h>

#include "proxy_head.h"

enum { SIZE_DIGITS = 15, EXTENSION_MAX = 1024, TRAILER_MAX = 8192 };

enum state {
    SIZE,      /* digits of a chunk's size */
    EXTENSION, /* what follows them, up to CR */
    SIZE_LF,   /* LF of that line */
    DATA,      /* .left bytes */
    DATA_CR,   /* the line end after them */
    DATA_LF,
    TRAILER,      /* at the start of a trailer line */
    TRAILER_LINE, /* in one */
    TRAILER_LF,
    LAST_LF, /* of the empty line at the end */
    DONE,
};

void kw_follow_start(struct kw_follow *f, const struct kw_head *h)
{
    *f = (struct kw_follow){
        .framing = h->framing, .left = h->framing == KW_BODY_LENGTH ? h->length : 0, .state = SIZE};
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A byte of a chunk's first line, up to its CR. */
static bool size_byte(struct kw_follow *f, char c)
{
    int digit = hex(c);
    if (f->state == SIZE && digit >= 0) {
        f->left = f->left * 16 + (uint64_t)digit;
        return ++f->line <= SIZE_DIGITS;
    }
    if (f->line == 0) /* no digit at all */
        return false;
    if (c == '\r') {
        f->state = SIZE_LF;
        return true;
    }
    /* An extension begins with ';'. White space before it, which the RFC has as "bad", is. */
    if (f->state == SIZE && c != ';')
        return false;
    f->state = EXTENSION;
    return ((unsigned char)c >= 0x20 || c == '\t') && c != 0x7f && ++f->line <= EXTENSION_MAX;
}

static bool trailer_byte(struct kw_follow *f, char c)
{
    if (++f->line > TRAILER_MAX)
        return false;
    if (c == '\r') {
        f->state = f->state == TRAILER ? LAST_LF : TRAILER_LF;
        return true;
    }
    if (f->state == TRAILER && (c == ' ' || c == '\t' || c == ':'))
        return false;
    f->state = TRAILER_LINE;
    return ((unsigned char)c >= 0x20 || c == '\t') && c != 0x7f;
}

static bool step(struct kw_follow *f, char c)
{
    switch ((enum state)f->state) {
    case SIZE:
    case EXTENSION:
        return size_byte(f, c);
    case SIZE_LF:
        f->line = 0;
        f->state = f->left > 0 ? DATA : TRAILER;
        return c == '\n';
    case DATA_CR:
        f->state = DATA_LF;
        return c == '\r';
    case DATA_LF:
        f->state = SIZE;
        return c == '\n';
    case TRAILER:
    case TRAILER_LINE:
        return trailer_byte(f, c);
    case TRAILER_LF:
        f->state = TRAILER;
        return c == '\n';
    case LAST_LF:
        f->state = DONE;
        return c == '\n';
    case DATA:
    case DONE:
        break;
    }
    return false;
}

static long follow_chunks(struct kw_follow *f, const char *p, size_t n, bool *ret_done)
{
    size_t i = 0;
    while (i < n && f->state != DONE) {
        if (f->state == DATA) {
            size_t some = n - i < f->left ? n - i : (size_t)f->left;
            i += some;
            f->left -= some;
            if (f->left == 0)
                f->state = DATA_CR;
        } else if (!step(f, p[i++]))
            return -1;
    }
    *ret_done = f->state == DONE;
    return (long)i;
}

long kw_follow_bytes(struct kw_follow *f, const char *p, size_t n, bool *ret_done)
{
    *ret_done = false;
    switch (f->framing) {
    case KW_BODY_NONE:
        *ret_done = true;
        return 0;
    case KW_BODY_LENGTH: {
        size_t some = n < f->left ? n : (size_t)f->left;
        f->left -= some;
        *ret_done = f->left == 0;
        return (long)some;
    }
    case KW_BODY_CHUNKED:
        return follow_chunks(f, p, n, ret_done);
    case KW_BODY_CLOSE:
        return (long)n;
    }
    return -1;
}
