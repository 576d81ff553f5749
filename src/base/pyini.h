/* SPDX-License-Identifier: Apache-2.0
 *
 * INI files as Python's configparser reads them, of which two hold no secret worth a reader
 * inside the secrets' arena (that is config_from.c): the scripts' setupConfig.ini, and the
 * OCI command line's ~/.oci/config. Keys in lower case, values trimmed, "%%" for "%" where
 * asked; sections keep their case.
 */
#ifndef KW_PYINI_H
#define KW_PYINI_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"

/* The text as an object of objects of strings. comments: " ; ..." behind a value is cut off,
 * as whoever fills in the scripts' sample means it (configparser would make it a part of the
 * value), and "%%" is "%". KW_USAGE with the line's number for what configparser refuses too,
 * for values that go on over several lines, and for bytes that are no text. */
int kw_pyini_parse(const char *text, size_t n, const char *path, bool comments, json_t **ret,
                   struct kw_err *err);

/* The same of a file that only its owner (the caller or root) may write, at most 64 KiB. */
int kw_pyini_read(const char *path, bool comments, json_t **ret, struct kw_err *err);

/* A value, or NULL; fallback: else that of [DEFAULT]. */
const char *kw_pyini_get(const json_t *ini, const char *section, const char *key, bool fallback);

#endif
