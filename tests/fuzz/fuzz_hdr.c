/* SPDX-License-Identifier: Apache-2.0
 *
 * Header lines: what is taken line by line can be put together again to the same text,
 * and find and count agree with what was seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "src/wire/hdr.h"

/* A line without a colon is written as it was: only those have no ": ". */
static void check_line(const char *line, const char *next, const char *name, const char *value)
{
    size_t nn = strlen(name), nv = strlen(value), len = (size_t)(next - line);
    must(memcmp(line, name, nn) == 0 && next[-1] == '\n');
    must(kw_hdr_value_ok(value));
    if (len == nn + 1) {
        must(nv == 0 && (strcmp(name, "(request-target)") == 0 || kw_hdr_name_ok(name)));
        return;
    }
    must(kw_hdr_name_ok(name) && len == nn + 2 + nv + 1);
    must(memcmp(line + nn, ": ", 2) == 0 && memcmp(line + nn + 2, value, nv) == 0);
    char *again = calloc(1, len + 1);
    must(again != NULL && kw_hdr_add(again, len + 1, name, value));
    must(memcmp(again, line, len) == 0);
    must(!kw_hdr_add(again, len + 1, name, value)); /* full */
    free(again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    fault_seed(data, &size); /* nothing in it can fail */
    char *text = malloc(size + 1), *name = malloc(size + 1), *value = malloc(size + 1),
         *found = malloc(size + 1);
    must(text != NULL && name != NULL && value != NULL && found != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    const char *at = text, *line = text;
    int more, dates = 0;
    while ((more = kw_hdr_next(&at, name, size + 1, value, size + 1)) == 1) {
        check_line(line, at, name, value);
        must(kw_hdr_find(text, name, found, size + 1));
        must(dates > 0 || strcasecmp(name, "date") != 0 || strcmp(found, value) == 0);
        dates += strcasecmp(name, "date") == 0;
        line = at;
    }
    must(more == 0 || line == at); /* a malformed line is not stepped over */
    must(kw_hdr_count(text, "date") == (more == 0 ? dates : -1));
    must(kw_hdr_find(text, "date", found, size + 1) == (dates > 0));
    free(text);
    free(name);
    free(value);
    free(found);
    return 0;
}
