/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

void kw_buf_init(struct kw_buf *b, size_t max)
{
    /* so that no sum with a length can wrap */
    *b = (struct kw_buf){.max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4};
}

void kw_buf_free(struct kw_buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    free(b->p);
    kw_buf_init(b, b->max);
}

void kw_buf_reset(struct kw_buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap); /* kw_buf_room() lets bytes in beyond len */
    b->len = b->rd = 0;
    b->bad = false;
}

/* Room for n more bytes and a NUL. A new block, never realloc: the old one may
 * hold a secret and is to be wiped. */
static bool reserve(struct kw_buf *b, size_t n)
{
    if (b->bad || b->len > b->max || n > b->max - b->len) {
        b->bad = true;
        return false;
    }
    size_t need = b->len + n + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap * 2 > need ? b->cap * 2 : need;
    if (cap > b->max + 1)
        cap = b->max + 1;
    unsigned char *p = malloc(cap);
    if (p == NULL) {
        kw_memory_none();
        b->bad = true;
        return false;
    }
    if (b->p != NULL) {
        memcpy(p, b->p, b->len);
        explicit_bzero(b->p, b->cap);
        free(b->p);
    }
    b->p = p;
    b->cap = cap;
    return true;
}

unsigned char *kw_buf_room(struct kw_buf *b, size_t n)
{
    return reserve(b, n) ? b->p + b->len : NULL;
}

void kw_put(struct kw_buf *b, const void *bytes, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n > 0)
        memcpy(b->p + b->len, bytes, n);
    b->len += n;
}

void kw_put_str(struct kw_buf *b, const char *s)
{
    kw_put(b, s, strlen(s));
}

void kw_put_u32(struct kw_buf *b, uint32_t v)
{
    unsigned char le[4];
    for (unsigned i = 0; i < sizeof le; i++)
        le[i] = (unsigned char)(v >> (8 * i));
    kw_put(b, le, sizeof le);
}

void kw_put_u64(struct kw_buf *b, uint64_t v)
{
    kw_put_u32(b, (uint32_t)v);
    kw_put_u32(b, (uint32_t)(v >> 32));
}

void kw_put_blob(struct kw_buf *b, const void *bytes, size_t n)
{
    if (n > UINT32_MAX) {
        b->bad = true;
        return;
    }
    kw_put_u32(b, (uint32_t)n);
    kw_put(b, bytes, n);
}

void kw_put_fmt(struct kw_buf *b, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text)
        b->bad = true;
    else
        kw_put(b, text, (size_t)n);
    explicit_bzero(text, sizeof text);
}

uint32_t kw_get_u32(struct kw_buf *b)
{
    if (b->bad || b->len - b->rd < 4) {
        b->bad = true;
        return 0;
    }
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++)
        v |= (uint32_t)b->p[b->rd + i] << (8 * i);
    b->rd += 4;
    return v;
}

uint64_t kw_get_u64(struct kw_buf *b)
{
    uint64_t low = kw_get_u32(b);
    return low | (uint64_t)kw_get_u32(b) << 32;
}

struct kw_view kw_get_blob(struct kw_buf *b, size_t max)
{
    size_t n = kw_get_u32(b);
    if (b->bad || n > max || n > b->len - b->rd) {
        b->bad = true;
        return (struct kw_view){.p = (const unsigned char *)"", .len = 0};
    }
    struct kw_view v = {.p = b->p + b->rd, .len = n};
    b->rd += n;
    return v;
}

const char *kw_buf_str(struct kw_buf *b)
{
    if (b->bad || !reserve(b, 0)) {
        b->len = b->rd = 0; /* as long as what is returned, for whoever goes by both */
        return "";
    }
    b->p[b->len] = '\0';
    return (const char *)b->p;
}

bool kw_buf_done(const struct kw_buf *b)
{
    return !b->bad && b->rd == b->len;
}
