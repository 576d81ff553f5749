/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target for the lab's parsers of foreign bytes. The first byte chooses one, the
 * rest is its input: h head, f form, a Authorization, s fault spec, r rule, d date.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "tests/fuzz/fuzz.h"

static void try_head(char *text, size_t n)
{
    struct lab_request r;
    const char *why;
    char value[64];
    memset(&r, 0, sizeof r);
    if (lab_http_parse(text, n, &r, &why) != 0)
        return;
    if (r.method == NULL || r.target[0] != '/' || r.path_len > strlen(r.target) || r.host[0] == 0)
        abort();
    lab_query(&r, "audience", value, sizeof value);
}

static void try_form(const char *text, size_t n)
{
    struct lab_form f;
    if (lab_form_parse(text, n, &f) == NULL && f.n == 0)
        abort();
    lab_form_free(&f);
}

static void try_authorization(const char *text)
{
    struct lab_authorization z;
    const char *why = lab_authorization_parse(text, &z);
    if (why == NULL && (z.key_id == NULL || z.headers == NULL || z.signature == NULL))
        abort();
    free(z.store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_fault_rule fault;
    struct lab_rule rule;
    if (size == 0)
        return 0;
    char *text = malloc(size);
    if (text == NULL)
        return 0;
    size_t n = size - 1;
    memcpy(text, data + 1, n);
    text[n] = 0;
    switch (data[0]) {
    case 'h':
        try_head(text, n);
        break;
    case 'f':
        try_form(text, n);
        break;
    case 'a':
        try_authorization(text);
        break;
    case 's':
        lab_fault_parse(text, &fault, NULL);
        break;
    case 'r':
        lab_rule_parse(text, &rule, NULL);
        break;
    default:
        lab_http_date_parse(text);
    }
    free(text);
    return 0;
}
