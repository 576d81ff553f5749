/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines on standard error, prefixed with the role. There is no conversion
 * that prints a struct kw_secret: passing one to %s is a compile error
 * (-Werror=format), and tests/unit proves that it stays one.
 */
#ifndef KW_LOG_H
#define KW_LOG_H

enum kw_level { KW_WARN, KW_INFO, KW_DEBUG };

/* Names the process in each line ("" for main) and sets how much is printed:
 * verbosity 0 prints warnings, 1 also what was done (-v), 2 all (-vv). */
void kw_log_init(const char *role, int verbosity);
int kw_log_verbosity(void);

/* Prints one line; control characters are replaced as in kw_fail(). Keeps errno. */
void kw_log(enum kw_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
