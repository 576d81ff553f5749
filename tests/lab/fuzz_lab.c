/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target for the lab's parsers of foreign bytes. The first byte chooses one, the
 * rest is its input: h head, f form, a Authorization, s fault spec, r rule, q SCIM filter,
 * p PatchOp, o policy statement, d date.
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

/* A group, to be picked and changed. */
static json_t *group(void)
{
    return json_pack("{s:s, s:b, s:[{s:s, s:s}], s:{s:b}}", "displayName", "Deployers", "active", 1,
                     "members", "value", "0123", "type", "User", LAB_SCIM_USER, "serviceUser", 1);
}

static void try_filter(const char *text)
{
    json_t *o = group();
    bool bad, again;
    bool found = lab_scim_matches(text, o, "displayName", &bad);
    (void)lab_scim_matches(text, NULL, NULL, &again);
    if (bad != again || (bad && found)) /* whether it is one doesn't depend on what is there */
        abort();
    json_decref(o);
}

static void try_patch(const char *text, size_t n)
{
    json_t *o = group(), *patch = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    struct lab_scim_why w;
    if (!lab_scim_patch(o, patch, &w) && w.status != 400)
        abort();
    json_decref(patch);
    json_decref(o);
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
    case 'q':
        try_filter(text);
        break;
    case 'p':
        try_patch(text, n);
        break;
    case 'o':
        (void)lab_statement_good(text);
        break;
    default:
        lab_http_date_parse(text);
    }
    free(text);
    return 0;
}
