/* SPDX-License-Identifier: Apache-2.0
 *
 * A token of GitHub's and a provider, for the tests of what clouds would make of them. */
#ifndef KW_TEST_GOOGLE_TOKEN_H
#define KW_TEST_GOOGLE_TOKEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/claims/google_map.h"
#include "src/wire/github_subject.h"
#include "src/wire/oci_rule.h"

enum { NOW = 1800000000 };

#define POOL     "projects/123456/locations/global/workloadIdentityPools/ci-pool"
#define PROVIDER POOL "/providers/github"
#define ISSUER   "https://token.actions.githubusercontent.com"

static struct kw_google_map map;
static struct kw_err err;

static inline int set_up(void **state)
{
    (void)state;
    memset(&err, 0, sizeof err);
    return kw_google_map_init(&map, &err);
}

static inline int tear_down(void **state)
{
    (void)state;
    kw_google_map_free(&map);
    return 0;
}

/* A token of GitHub's with more members, or others. */
static inline json_t *token(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline json_t *token(const char *fmt, ...)
{
    char more[16384];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(more, sizeof more, fmt, ap);
    va_end(ap);
    json_t *base = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "iss", ISSUER, "sub",
        "repo:octo/shop:ref:refs/heads/main", "aud", "https://iam.googleapis.com/" PROVIDER,
        "repository", "octo/shop", "repository_id", "77", "repository_owner_id", "42", "ref",
        "refs/heads/main", "iat", (json_int_t)NOW - 10, "exp", (json_int_t)NOW + 290);
    json_t *others = json_loads(more, 0, NULL);
    assert_non_null(base);
    assert_non_null(others);
    (void)json_object_update(base, others);
    json_decref(others);
    return base;
}

static inline void add(const char *mapping)
{
    if (kw_google_map_add(&map, mapping, &err) != 0)
        fail_msg("%s", err.text);
}

static inline void condition(const char *text)
{
    json_decref(map.condition);
    map.condition = json_string(text);
}

/* Takes the claims. */
static inline json_t *explain(json_t *claims)
{
    json_t *header = json_pack("{s:s,s:s}", "alg", "RS256", "kid", "k1");
    if (kw_google_map_check(&map, &err) != 0)
        fail_msg("%s", err.text);
    json_t *before = json_deep_copy(claims);
    json_t *o = kw_google_map_explain(&map, header, claims, NOW);
    assert_non_null(o);
    assert_true(json_equal(before, claims)); /* nothing is changed */
    json_decref(before);
    json_decref(header);
    json_decref(claims);
    return o;
}

static inline const char *get(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

/* The item of an array of objects whose member has the value. */
static inline json_t *item(const json_t *list, const char *member, const char *value)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        if (strcmp(get(o, member), value) == 0)
            return o;
    }
    fail_msg("there is no %s %s", member, value);
    return NULL;
}

static inline bool warned(const json_t *o, const char *text)
{
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(o, "warnings"), i, s)
    {
        if (strstr(json_string_value(s), text) != NULL)
            return true;
    }
    return false;
}

/* One verdict, with a text that says why. Takes the claims. */
static inline void verdict(json_t *claims, const char *wanted, const char *text)
{
    json_t *o = explain(claims);
    if (strcmp(get(o, "verdict"), wanted) != 0 || strstr(get(o, "text"), text) == NULL)
        fail_msg("%s (%s), wanted %s (%s)", get(o, "verdict"), get(o, "text"), wanted, text);
    json_decref(o);
}

static inline void usual(void)
{
    (void)snprintf(map.name, sizeof map.name, "%s", PROVIDER);
    (void)snprintf(map.issuer, sizeof map.issuer, "%s", ISSUER);
    add("google.subject=assertion.sub");
    add("attribute.repository_id=assertion.repository_id");
    condition("assertion.repository_owner_id == '42' && attribute.repository_id == '77'");
}

#endif
