/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "memory.h"

/* Characters of three bytes that break or reorder lines, or that nobody sees: U+200B..F,
 * U+2028..E, U+2060..F, U+FEFF, U+FFF9..B. */
static bool is_hidden(const unsigned char *s)
{
    if (s[0] == 0xe2 && s[1] == 0x80)
        return (s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae);
    if (s[0] == 0xe2 && s[1] == 0x81)
        return s[2] >= 0xa0 && s[2] <= 0xaf;
    return s[0] == 0xef &&
           ((s[1] == 0xbb && s[2] == 0xbf) || (s[1] == 0xbf && s[2] >= 0xb9 && s[2] <= 0xbb));
}

/* U+E0000..U+E0FFF: tags and selectors, invisible as well. */
static bool is_tag(const unsigned char *s)
{
    return s[0] == 0xf3 && s[1] == 0xa0;
}

/* Length of the UTF-8 sequence at s if it is one we print, else 0. C1 controls
 * (U+0080..U+009F) drive some terminals, so they count as not printable; so do over-long
 * forms (a lenient terminal reads a C1 control in one) and surrogates. */
static size_t utf8_len(const unsigned char *s)
{
    if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
        return (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xd8 && s[1] == 0x9c) ? 0 : 2;
    if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80)
        return is_hidden(s) || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0
                                                                                              : 3;
    if (s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
        (s[3] & 0xc0) == 0x80)
        return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) || is_tag(s) ? 0 : 4;
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

/* Once memory ran out, what a library complains of is no more than what came of that, and
 * would send people looking in the wrong place (memory.h). Said once, in front. */
static enum kw_exit blame(enum kw_exit code, char text[KW_ERR_TEXT])
{
    static const char short_of[] = "out of memory", joint[] = ": ";
    enum { FRONT = sizeof short_of + sizeof joint - 2 };
    if (!kw_memory_short() || code == KW_PIN || code == KW_SANDBOX)
        return code;
    if (strstr(text, short_of) == NULL) {
        memmove(text + FRONT, text, KW_ERR_TEXT - FRONT);
        memcpy(text, short_of, sizeof short_of - 1);
        memcpy(text + sizeof short_of - 1, joint, sizeof joint - 1);
        text[KW_ERR_TEXT - 1] = '\0';
    }
    return KW_FAILED;
}

static int __attribute__((format(printf, 4, 0)))
set(struct kw_err *err, enum kw_exit code, const char *tail, const char *fmt, va_list ap)
{
    if (err == NULL)
        return (int)code;
    char text[KW_ERR_TEXT] = ""; /* fmt's arguments may point into err->text */
    if (vsnprintf(text, sizeof text, fmt, ap) < 0)
        (void)snprintf(text, sizeof text, "%s", fmt);
    if (tail != NULL) {
        /* What came back matters more than the end of an over-long context. */
        size_t n = strlen(text), want = strlen(tail) + sizeof ": " - 1;
        size_t keep = want < sizeof text / 2 ? sizeof text - 1 - want : sizeof text / 2;
        n = n < keep ? n : keep;
        (void)snprintf(text + n, sizeof text - n, ": %s", tail);
    }
    code = blame(code, text);
    kw_printable(text);
    err->code = code != KW_OK ? code : KW_FAILED;
    memcpy(err->text, text, sizeof text);
    return (int)err->code;
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
