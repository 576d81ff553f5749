/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: one object, one line of text, one exit code.
 *
 * A function that can fail takes `struct kw_err *err` last and returns 0, or
 * the (non-zero) exit code it also stored in *err. Functions either return an
 * error or log one, never both; main prints it.
 */
#ifndef KW_ERR_H
#define KW_ERR_H

#include <stddef.h>

/* The exit codes of the program (design contract, also in keyward(1)). */
enum kw_exit {
    KW_OK = 0,
    KW_FAILED = 1,  /* failed for a reason not named below */
    KW_USAGE = 2,   /* command line or configuration */
    KW_TOKEN = 3,   /* PKCS#11 module, slot, token or key */
    KW_PIN = 4,     /* PIN refused or locked: never restart on it */
    KW_SUBJECT = 5, /* subject token could not be had */
    KW_POLICY = 6,  /* refused by our own policy */
    KW_CLOUD = 7,   /* refused by the cloud, or its answer can't be trusted */
    KW_NET = 8,     /* network or temporary: worth a retry */
    KW_SANDBOX = 9, /* sandbox violated or unavailable */
};

#define KW_ERR_TEXT 1024

struct kw_err {
    enum kw_exit code;
    char text[KW_ERR_TEXT]; /* one line, NUL-terminated, no secret in it */
};

/* Sets *err (what was tried, on what, what came back, what to do) and returns
 * code (KW_FAILED where that is KW_OK). Over-long text is cut; control characters become
 * '?', so that foreign bytes can't drive a terminal. err may be NULL. */
int kw_fail(struct kw_err *err, enum kw_exit code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": <strerror(errno)>" appended, for which over-long text makes room. */
int kw_fail_errno(struct kw_err *err, enum kw_exit code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the text that is there. Returns err->code. */
int kw_err_wrap(struct kw_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What the three return is never 0, even if a caller gets the code wrong: said here, so
 * that a failure can't read as success and every analyser knows it too. */
static inline int kw_nonzero(int code)
{
    return code != 0 ? code : (int)KW_FAILED;
}
#define kw_fail(...)       kw_nonzero(kw_fail(__VA_ARGS__))
#define kw_fail_errno(...) kw_nonzero(kw_fail_errno(__VA_ARGS__))
#define kw_err_wrap(...)   kw_nonzero(kw_err_wrap(__VA_ARGS__))

/* Replaces every byte that is not printable ASCII, nor a part of valid UTF-8 above
 * U+009F, by '?', in place; so also characters that are invisible or reorder a line. */
void kw_printable(char *text);

#endif
