/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of messages: fields written and read as the table in messages.c says. */
#include "messages_int.h"

#include <stdlib.h>
#include <string.h>

static bool text_ok(const char *s, size_t n, bool lines)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)s[i] < 0x20 && s[i] != '\t' && !(lines && s[i] == '\n')) ||
            s[i] == 0x7f)
            return false;
    return true;
}

static bool put_field(struct kw_buf *b, const struct kw_field *f, const char *at)
{
    uint32_t u32;
    uint64_t u64;
    struct kw_view view;
    struct kw_secret *secret;
    size_t n;
    switch (f->kind) {
    case KW_F_U32:
        memcpy(&u32, at, sizeof u32);
        kw_put_u32(b, u32);
        return true;
    case KW_F_U64:
        memcpy(&u64, at, sizeof u64);
        kw_put_u64(b, u64);
        return true;
    case KW_F_STR:
    case KW_F_LINES:
        n = strnlen(at, f->max);
        if (n == f->max || !text_ok(at, n, f->kind == KW_F_LINES))
            return false;
        kw_put_blob(b, at, n);
        return true;
    case KW_F_VIEW:
        memcpy(&view, at, sizeof view);
        kw_put_blob(b, view.p, view.len);
        return view.len <= f->max;
    case KW_F_SECRET:
        memcpy(&secret, at, sizeof secret);
        n = secret != NULL ? kw_secret_len(secret) : 0;
        kw_put_blob(b, secret != NULL ? kw_secret_bytes(secret) : "", n);
        return n <= f->max;
    }
    return false;
}

bool kw_msg_put(struct kw_buf *b, enum kw_msg type, const void *m)
{
    const struct kw_message *d = &kw_messages[type];
    for (size_t i = 0; i < d->n_fields; i++)
        if (!put_field(b, &d->fields[i], (const char *)m + d->fields[i].off))
            return false;
    return !b->bad;
}

static bool get_field(struct kw_buf *b, const struct kw_field *f, char *at)
{
    uint32_t u32;
    uint64_t u64;
    struct kw_view view;
    struct kw_secret *secret;
    switch (f->kind) {
    case KW_F_U32:
        u32 = kw_get_u32(b);
        memcpy(at, &u32, sizeof u32);
        return true;
    case KW_F_U64:
        u64 = kw_get_u64(b);
        memcpy(at, &u64, sizeof u64);
        return true;
    case KW_F_STR:
    case KW_F_LINES:
        view = kw_get_blob(b, f->max - 1);
        if (memchr(view.p, '\0', view.len) != NULL ||
            !text_ok((const char *)view.p, view.len, f->kind == KW_F_LINES))
            return false;
        memcpy(at, view.p, view.len); /* the NUL is there: the struct was zeroed */
        return true;
    case KW_F_VIEW:
        view = kw_get_blob(b, f->max);
        memcpy(at, &view, sizeof view);
        return true;
    case KW_F_SECRET:
        view = kw_get_blob(b, f->max);
        secret = b->bad ? NULL : kw_secret_from(view.p, view.len);
        memcpy(at, &secret, sizeof secret);
        return secret != NULL;
    }
    return false;
}

bool kw_msg_get(struct kw_buf *b, enum kw_msg type, void *m)
{
    const struct kw_message *d = &kw_messages[type];
    memset(m, 0, d->size);
    bool ok = true;
    for (size_t i = 0; ok && i < d->n_fields; i++)
        ok = get_field(b, &d->fields[i], (char *)m + d->fields[i].off);
    if (ok && kw_buf_done(b))
        return true;
    kw_msg_free(type, m);
    return false;
}

/* Line by line: a line's end is none of what kw_printable() lets stand. */
static void make_printable(char *text)
{
    for (char *end; text != NULL; text = end != NULL ? end + 1 : NULL) {
        end = strchr(text, '\n');
        if (end != NULL)
            *end = '\0';
        kw_printable(text);
        if (end != NULL)
            *end = '\n';
    }
}

bool kw_msg_get_shown(struct kw_buf *b, enum kw_msg type, void *m)
{
    const struct kw_message *d = &kw_messages[type];
    if (!kw_msg_get(b, type, m))
        return false;
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->fields[i].kind == KW_F_STR || d->fields[i].kind == KW_F_LINES)
            make_printable((char *)m + d->fields[i].off);
    return true;
}

void kw_msg_free(enum kw_msg type, void *m)
{
    const struct kw_message *d = &kw_messages[type];
    for (size_t i = 0; i < d->n_fields; i++) {
        if (d->fields[i].kind != KW_F_SECRET)
            continue;
        struct kw_secret *secret;
        memcpy(&secret, (char *)m + d->fields[i].off, sizeof secret);
        kw_secret_free(&secret);
        memcpy((char *)m + d->fields[i].off, &secret, sizeof secret);
    }
}
