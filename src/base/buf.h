/* SPDX-License-Identifier: Apache-2.0
 *
 * The one bounded buffer: a hard maximum, a write end, a read cursor, and a
 * sticky `bad` flag, so that a row of gets or puts needs one check at its end.
 * Integers are little-endian. Wiped when freed.
 */
#ifndef KW_BUF_H
#define KW_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kw_buf {
    unsigned char *p; /* owned; NULL until the first put */
    size_t len;       /* bytes written */
    size_t max;       /* never grows beyond */
    size_t cap;       /* allocated */
    size_t rd;        /* read cursor, <= len */
    bool bad;         /* a put did not fit, a get ran over, or memory ran out */
};

/* A view of bytes owned by somebody else (usually the buffer it was read from,
 * and valid as long as that). */
struct kw_view {
    const unsigned char *p;
    size_t len;
};

void kw_buf_init(struct kw_buf *b, size_t max);
void kw_buf_free(struct kw_buf *b);  /* wipes, frees, leaves it initialised and empty */
void kw_buf_reset(struct kw_buf *b); /* wipes the content, keeps the allocation */

void kw_put(struct kw_buf *b, const void *bytes, size_t n);
void kw_put_str(struct kw_buf *b, const char *s); /* the characters only, no length, no NUL */
void kw_put_u32(struct kw_buf *b, uint32_t v);
void kw_put_u64(struct kw_buf *b, uint64_t v);
void kw_put_blob(struct kw_buf *b, const void *bytes, size_t n); /* u32 length, bytes */
void kw_put_fmt(struct kw_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

uint32_t kw_get_u32(struct kw_buf *b);
uint64_t kw_get_u64(struct kw_buf *b);
/* Makes room for n bytes after what is written and returns where they go (the caller
 * then adds to len); NULL and bad if they don't fit. */
unsigned char *kw_buf_room(struct kw_buf *b, size_t n);

/* A view of a u32-prefixed field of at most max bytes; empty and bad if not so. */
struct kw_view kw_get_blob(struct kw_buf *b, size_t max);

/* Makes the content usable as a C string (NUL after the last byte); if bad, "", and
 * len is 0. */
const char *kw_buf_str(struct kw_buf *b);

/* True if nothing went wrong and all has been read. */
bool kw_buf_done(const struct kw_buf *b);

#endif
