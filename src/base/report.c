/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>

#include "err.h"

static json_t *text(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static json_t *text(const char *fmt, va_list ap)
{
    char line[KW_ERR_TEXT];
    (void)vsnprintf(line, sizeof line, fmt, ap);
    kw_printable(line);
    return json_string(line);
}

json_t *kw_report_text(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_t *t = text(fmt, ap);
    va_end(ap);
    return t;
}

void kw_report_add(json_t *array, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)json_array_append_new(array, text(fmt, ap));
    va_end(ap);
}
