/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 sequence at s if it is one we print, else 0. C1 controls
 * (U+0080..U+009F) drive some terminals, so they count as not printable. */
static size_t utf8_len(const unsigned char *s)
{
    if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
        return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2;
    if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80)
        /* U+2028..U+202E and U+2066..U+2069 break or reorder lines */
        return s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
                                (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9))
                   ? 0
                   : 3;
    if (s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
        (s[3] & 0xc0) == 0x80)
        return 4;
    return 0;
}

void kw_printable(char *text)
{
    unsigned char *p = (unsigned char *)text;
    while (*p != '\0') {
        size_t n = *p >= 0x20 && *p < 0x7f ? 1 : utf8_len(p);
        if (n == 0) {
            *p = '?';
            n = 1;
        }
        p += n;
    }
}

static int __attribute__((format(printf, 4, 0)))
set(struct kw_err *err, enum kw_exit code, const char *tail, const char *fmt, va_list ap)
{
    if (err == NULL)
        return (int)code;
    char text[KW_ERR_TEXT]; /* fmt's arguments may point into err->text */
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n > 0 && tail != NULL && (size_t)n < sizeof text)
        (void)snprintf(text + n, sizeof text - (size_t)n, ": %s", tail);
    kw_printable(text);
    err->code = code;
    memcpy(err->text, text, sizeof text);
    return (int)code;
}

int(kw_fail)(struct kw_err *err, enum kw_exit code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = set(err, code, NULL, fmt, ap);
    va_end(ap);
    return r;
}

int(kw_fail_errno)(struct kw_err *err, enum kw_exit code, const char *fmt, ...)
{
    const char *tail = strerror(errno);
    va_list ap;
    va_start(ap, fmt);
    int r = set(err, code, tail, fmt, ap);
    va_end(ap);
    return r;
}

int(kw_err_wrap)(struct kw_err *err, const char *fmt, ...)
{
    if (err == NULL)
        return KW_FAILED;
    char was[KW_ERR_TEXT];
    memcpy(was, err->text, sizeof was);
    va_list ap;
    va_start(ap, fmt);
    int r = set(err, err->code, was, fmt, ap);
    va_end(ap);
    return r;
}
