/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts in a JSON report: printable, and so always valid UTF-8.
 */
#ifndef KW_REPORT_H
#define KW_REPORT_H

#include <jansson.h>

/* A JSON string, cut at 1 KiB. */
json_t *kw_report_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same as the last item of an array. */
void kw_report_add(json_t *array, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
