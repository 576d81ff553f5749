/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"

static char role_name[16];
static int level_wanted;

void kw_log_init(const char *role, int verbosity)
{
    (void)snprintf(role_name, sizeof role_name, "%s", role);
    level_wanted = verbosity;
}

int kw_log_verbosity(void)
{
    return level_wanted;
}

void kw_log(enum kw_level level, const char *fmt, ...)
{
    if ((int)level > level_wanted)
        return;
    int was = errno; /* a log line between a call and its kw_fail_errno() does no harm */
    /* One buffer, one write: lines of several processes don't mix, and stdio's
     * lazy set-up (fstat) can't happen behind a closed sandbox. */
    char line[KW_ERR_TEXT + 64];
    int n =
        snprintf(line, sizeof line, "keyward%s%s: ", role_name[0] != '\0' ? " " : "", role_name);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    kw_printable(line);
    size_t len = strlen(line);
    line[len] = '\n';
    (void)kw_write_now(STDERR_FILENO, line, len + 1);
    errno = was;
}
