/* SPDX-License-Identifier: Apache-2.0
 *
 * `claims`: the clouds' verdicts for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claims_cloud.h"

enum { MANY = 400 };

void kw_claims_print_value(const json_t *v)
{
    char *text = json_is_string(v) ? strdup(json_string_value(v))
                                   : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text != NULL) {
        kw_printable(text);
        (void)fputs(text, stdout);
    }
    free(text);
}

/* As JSON: a string "true" and a bool are to look different. */
static void print_json_value(const json_t *v)
{
    json_t *text = NULL;
    char *dump = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    if (dump != NULL)
        text = json_string(dump);
    kw_claims_print_value(text);
    json_decref(text);
    free(dump);
}

static const char *get(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

static bool get_is(const json_t *o, const char *name, const char *word)
{
    return strcmp(get(o, name), word) == 0;
}

/* "  REFUSE  ", all of one width */
static void print_mark(const char *verdict)
{
    static const char *const marks[][2] = {
        {"pass", "pass"},   {"refuse", "REFUSE"}, {"unknown", "?"},    {"skip", "-"},
        {"match", "MATCH"}, {"no", "no"},         {"not reached", "-"}};
    const char *mark = verdict;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strcmp(marks[i][0], verdict) == 0)
            mark = marks[i][1];
    (void)printf("  %-6s  ", mark);
}

static void print_below(const char *text)
{
    if (*text != '\0')
        (void)printf("          %s\n", text);
}

static void print_checks(const json_t *checks)
{
    size_t i;
    json_t *o;
    json_array_foreach(checks, i, o)
    {
        print_mark(get(o, "verdict"));
        (void)printf("%-9s %s\n", get(o, "name"), get(o, "text"));
    }
}

static void print_mapping(const json_t *rows)
{
    size_t i;
    json_t *o;
    (void)puts("attribute mapping");
    json_array_foreach(rows, i, o)
    {
        const json_t *value = json_object_get(o, "value");
        print_mark(get(o, "verdict"));
        (void)printf("%s = ", get(o, "key"));
        kw_claims_print_value(json_object_get(o, "expression"));
        if (value != NULL) {
            (void)printf("\n          ");
            print_json_value(value);
            (void)printf("  (%lld bytes)",
                         (long long)json_integer_value(json_object_get(o, "bytes")));
        }
        (void)fputc('\n', stdout);
        print_below(get(o, "text"));
    }
}

static void print_condition(const json_t *condition)
{
    size_t i, k;
    json_t *term, *v;
    if (!json_is_object(condition)) {
        (void)puts("no attribute condition");
        return;
    }
    (void)puts("attribute condition");
    json_array_foreach(json_object_get(condition, "terms"), i, term)
    {
        print_mark(get(term, "verdict"));
        kw_claims_print_value(json_object_get(term, "expression"));
        (void)fputc('\n', stdout);
        if (get_is(term, "verdict", "pass"))
            continue;
        json_array_foreach(json_object_get(term, "values"), k, v)
        {
            const json_t *value = json_object_get(v, "value");
            (void)printf("          ");
            kw_claims_print_value(json_object_get(v, "path"));
            (void)fputs(value != NULL ? " is " : " can't be had", stdout);
            if (value != NULL)
                print_json_value(value);
            (void)fputc('\n', stdout);
        }
        if (json_integer_value(json_object_get(term, "position")) > 0)
            (void)printf("          position %lld: %s\n",
                         (long long)json_integer_value(json_object_get(term, "position")),
                         get(term, "text"));
    }
    if (json_array_size(json_object_get(condition, "terms")) == 0)
        print_below(get(condition, "text"));
}

static void print_principals(const json_t *g)
{
    size_t i;
    json_t *s;
    if (!json_is_string(json_object_get(g, "principal")))
        return;
    (void)printf("it would be, in IAM policies\n  ");
    kw_claims_print_value(json_object_get(g, "principal"));
    (void)fputc('\n', stdout);
    json_array_foreach(json_object_get(g, "principal_sets"), i, s)
    {
        (void)printf("  ");
        kw_claims_print_value(s);
        (void)fputc('\n', stdout);
    }
}

static void print_members(const json_t *rows)
{
    size_t i;
    json_t *o;
    if (json_array_size(rows) > 0)
        (void)puts("members of IAM policies");
    json_array_foreach(rows, i, o)
    {
        const json_t *matches = json_object_get(o, "matches");
        print_mark(json_is_null(matches) ? "unknown" : json_is_true(matches) ? "match" : "no");
        kw_claims_print_value(json_object_get(o, "member"));
        (void)fputc('\n', stdout);
        print_below(get(o, "text"));
    }
}

static void print_warnings(const json_t *list)
{
    size_t i;
    json_t *s;
    json_array_foreach(list, i, s)
    {
        (void)printf("warning: %s\n", json_string_value(s));
    }
}

static void print_google(const json_t *g)
{
    const char *name = get(g, "provider");
    (void)printf("Google%s%.*s\n", *name != '\0' ? ": " : "", MANY, name);
    print_checks(json_object_get(g, "checks"));
    print_mapping(json_object_get(g, "mapping"));
    print_condition(json_object_get(g, "condition"));
    print_principals(g);
    print_members(json_object_get(g, "members"));
    print_warnings(json_object_get(g, "warnings"));
    (void)printf("Google: %s%s%s\n", get(g, "verdict"), *get(g, "text") != '\0' ? ": " : "",
                 get(g, "text"));
}

static void print_oci(const json_t *o)
{
    size_t i;
    json_t *row;
    (void)puts("OCI impersonation rules, the first that matches wins");
    json_array_foreach(json_object_get(o, "rules"), i, row)
    {
        print_mark(get(row, "verdict"));
        kw_claims_print_value(json_object_get(row, "rule"));
        (void)fputc('\n', stdout);
        print_below(get(row, "text"));
    }
    print_warnings(json_object_get(o, "warnings"));
    (void)printf("OCI: %s\n", get(o, "verdict"));
}

bool kw_claims_unjudged(const struct kw_claims_clouds *k)
{
    return k->google_v == NULL && k->map.name[0] != '\0';
}

void kw_claims_print(const struct kw_claims_clouds *k)
{
    if (k->google_v != NULL)
        print_google(k->google_v);
    else if (kw_claims_unjudged(k))
        (void)printf(
            "Google: %s\n"
            "  not judged, its mapping and condition aren't known here: give --provider-json "
            "with what\n  `gcloud iam workload-identity-pools providers describe "
            "--format=json` prints, or --mapping\n",
            k->map.name);
    if (k->oci_v != NULL)
        print_oci(k->oci_v);
}
