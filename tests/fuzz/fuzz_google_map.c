/* SPDX-License-Identifier: Apache-2.0
 *
 * A foreign provider over foreign claims. Input: the provider's JSON up to an empty line,
 * then the claims, also for rules of an OCI trust: the provider's member "rules". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/claims/google_map.h"
#include "src/wire/jwt.h"
#include "src/wire/oci_rule.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is(const json_t *o, const char *name, const char *word)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL && strcmp(s, word) == 0;
}

static bool any_is(const json_t *list, const char *name, const char *word)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        if (is(o, name, word))
            return true;
    }
    return false;
}

/* The verdict is what its parts say, and texts are fit to be shown. */
static void check(const json_t *o)
{
    const json_t *checks = json_object_get(o, "checks"), *mapping = json_object_get(o, "mapping");
    const json_t *condition = json_object_get(o, "condition");
    must(is(o, "verdict", "accepted") || is(o, "verdict", "refused") ||
         is(o, "verdict", "unknown"));
    must(is(o, "verdict", "accepted") == is(o, "text", ""));
    if (any_is(checks, "verdict", "refuse") || any_is(mapping, "verdict", "refuse") ||
        is(condition, "verdict", "refuse"))
        must(is(o, "verdict", "refused"));
    if (any_is(checks, "verdict", "unknown") || any_is(mapping, "verdict", "unknown") ||
        is(condition, "verdict", "unknown"))
        must(!is(o, "verdict", "accepted"));
    if (is(condition, "verdict", "pass"))
        must(!any_is(json_object_get(condition, "terms"), "verdict", "refuse"));
    if (is(condition, "verdict", "refuse") &&
        json_array_size(json_object_get(condition, "terms")) > 0)
        must(any_is(json_object_get(condition, "terms"), "verdict", "refuse"));
    char *text = json_dumps(o, 0);
    must(text != NULL);
    free(text);
}

static void check_rules(const json_t *provider, const json_t *claims)
{
    struct kw_err err;
    size_t i;
    json_t *rules = json_array(), *v;
    json_array_foreach(json_object_get(provider, "rules"), i, v)
    {
        if (json_is_string(v))
            (void)json_array_append(rules, v);
    }
    json_t *o = kw_oci_rules_explain(rules, claims, &err);
    must(o != NULL || (err.code == KW_USAGE && err.text[0] != '\0'));
    if (o != NULL)
        must(is(o, "verdict", "accepted") ==
             any_is(json_object_get(o, "rules"), "verdict", "match"));
    json_decref(o);
    json_decref(rules);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *text = (const char *)data, *gap = memmem(data, size, "\n\n", 2);
    size_t n = gap != NULL ? (size_t)(gap - text) : 0;
    struct kw_google_map map;
    struct kw_jwt j, provider;
    struct kw_err err = {0};
    if (gap == NULL || kw_jwt_claims(gap, size - n, "it", KW_SUBJECT, &j, NULL) != 0)
        return 0;
    if (kw_jwt_claims(text, n, "it", KW_SUBJECT, &provider, NULL) == 0) {
        check_rules(provider.claims, j.claims);
        kw_jwt_free(&provider);
    }
    must(kw_google_map_init(&map, &err) == 0);
    int r = kw_google_map_read(&map, text, n, "it", &err);
    if (r == 0)
        r = kw_google_map_check(&map, &err);
    if (r == 0) {
        size_t i;
        (void)json_array_append_new(map.members,
                                    json_string("principalSet:"
                                                "//iam.googleapis.com/"
                                                "projects/1/locations/global/"
                                                "workloadIdentityPools/p-pool/attribute.a/x"));
        json_t *header = json_pack("{s:s,s:s}", "alg", "RS256", "kid", "k");
        json_t *before = json_deep_copy(j.claims), *member;
        json_t *o = kw_google_map_explain(&map, header, j.claims, 1700000000);
        must(o != NULL && json_equal(before, j.claims));
        check(o);
        json_array_foreach(json_object_get(o, "members"), i, member)
        {
            must(json_is_string(json_object_get(member, "text")));
        }
        json_decref(o);
        json_decref(before);
        json_decref(header);
    } else {
        must(r == KW_USAGE && err.text[0] != '\0');
    }
    kw_google_map_free(&map);
    kw_jwt_free(&j);
    return 0;
}
