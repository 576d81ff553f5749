/* SPDX-License-Identifier: Apache-2.0 */
#include "claims_cloud.h"

#include <stdio.h>
#include <string.h>

#include "src/base/io.h"
#include "src/wire/oci_rule.h"

enum { PROVIDER_BYTES = 1 << 18 };

static int no_memory(struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "there is no memory left");
}

/* One more string in an array; KW_USAGE if it is no UTF-8. */
static int append(json_t *list, const char *s, size_t n, const char *what, struct kw_err *err)
{
    json_t *v = json_stringn(s, n);
    if (v == NULL)
        return kw_fail(err, KW_USAGE, "%s is not UTF-8", what);
    return json_array_append_new(list, v) == 0 ? 0 : no_memory(err);
}

static int append_words(json_t *list, const char *words, const char *what, struct kw_err *err)
{
    int r = 0;
    for (const char *p = words; r == 0 && *p != '\0';) {
        size_t n = strcspn(p, " ");
        r = append(list, p, n, what, err);
        p += n + strspn(p + n, " ");
    }
    return r;
}

/* All values of an option, instead of what was there before. */
static int append_option(json_t *list, const struct kw_args *args, const char *option,
                         struct kw_err *err)
{
    int pos = 0, r = 0;
    if (kw_arg(args, option) == NULL)
        return 0;
    (void)json_array_clear(list);
    for (const char *v; r == 0 && (v = kw_args_each(args, option, &pos)) != NULL;)
        r = append(list, v, strlen(v), option, err);
    return r;
}

static int set_condition(struct kw_google_map *m, const char *text, struct kw_err *err)
{
    json_decref(m->condition);
    m->condition = json_string(text);
    return m->condition != NULL ? 0
                                : kw_fail(err, KW_USAGE, "the attribute condition is not UTF-8");
}

/* Lines NAME=TEXT of the configuration, each handed to the function. */
static int each_line(const char *lines, int (*fn)(void *arg, const char *line, struct kw_err *err),
                     void *arg, struct kw_err *err)
{
    char line[4096 + 128];
    int r = 0;
    for (const char *p = lines; r == 0 && *p != '\0';) {
        size_t n = strcspn(p, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)n, p);
        r = fn(arg, line, err);
        p += n + (p[n] == '\n' ? 1 : 0);
    }
    return r;
}

static int add_mapping(void *arg, const char *line, struct kw_err *err)
{
    return kw_google_map_add(arg, line, err);
}

static int from_config(const struct kw_config *c, struct kw_google_map *m, struct kw_err *err)
{
    int r = c->provider[0] != '\0' ? kw_google_map_name(m, c->provider, err) : 0;
    if (r == 0)
        r = each_line(c->attribute_mapping, add_mapping, m, err);
    if (r == 0 && c->attribute_condition[0] != '\0')
        r = set_condition(m, c->attribute_condition, err);
    if (r == 0)
        r = append_words(m->audiences, c->allowed_audiences, "allowed_audiences", err);
    if (r == 0)
        r = append_words(m->members, c->members, "members", err);
    (void)snprintf(m->issuer, sizeof m->issuer, "%s", c->issuer_uri);
    return r;
}

static int from_json(const char *path, struct kw_google_map *m, struct kw_err *err)
{
    struct kw_buf b;
    kw_buf_init(&b, PROVIDER_BYTES);
    int r = kw_read_file(path, &b, KW_USAGE, err);
    if (r == 0)
        r = kw_google_map_read(m, kw_buf_str(&b), b.len, path, err);
    kw_buf_free(&b);
    return r;
}

static int from_options(const struct kw_args *args, struct kw_google_map *m, struct kw_err *err)
{
    int pos = 0, r = 0;
    const char *v = kw_arg(args, "provider");
    if (v != NULL)
        r = kw_google_map_name(m, v, err);
    if (r == 0 && kw_arg(args, "mapping") != NULL)
        (void)json_object_clear(m->mapping);
    while (r == 0 && (v = kw_args_each(args, "mapping", &pos)) != NULL)
        r = kw_google_map_add(m, v, err);
    v = kw_arg(args, "condition");
    if (r == 0 && v != NULL)
        r = set_condition(m, v, err);
    v = kw_arg(args, "issuer");
    if (r == 0 && v != NULL &&
        (size_t)snprintf(m->issuer, sizeof m->issuer, "%s", v) >= sizeof m->issuer)
        r = kw_fail(err, KW_USAGE, "the value of --issuer is too long");
    if (r == 0)
        r = append_option(m->audiences, args, "audience", err);
    return r != 0 ? r : append_option(m->members, args, "member", err);
}

/* Is there anything of a provider that a verdict could be about? */
static bool anything(const struct kw_google_map *m, const struct kw_args *args)
{
    static const char *const options[] = {"condition", "audience", "member", "issuer"};
    bool any = json_object_size(m->mapping) > 0 || m->condition != NULL;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        any = any || kw_arg(args, options[i]) != NULL;
    return any;
}

static int add_rule(void *arg, const char *line, struct kw_err *err)
{
    const char *rule = strchr(line, '=') + 1; /* NAME=RULE */
    return append(arg, rule, strlen(rule), "a rule", err);
}

static int prepare_oci(const struct kw_config *c, const struct kw_args *args, json_t **rules,
                       struct kw_err *err)
{
    struct kw_oci_rule rule;
    size_t i;
    json_t *one;
    *rules = json_array();
    if (*rules == NULL)
        return no_memory(err);
    int r = each_line(c->oci_rules, add_rule, *rules, err);
    if (r == 0)
        r = append_option(*rules, args, "oci-rule", err);
    json_array_foreach(*rules, i, one)
    {
        if (r == 0)
            r = kw_oci_rule_parse(json_string_value(one), &rule, err);
    }
    return r;
}

int kw_claims_prepare(const struct kw_config *c, const struct kw_args *args,
                      struct kw_claims_clouds *k, struct kw_err *err)
{
    const char *path = kw_arg(args, "provider-json");
    int r = kw_google_map_init(&k->map, err);
    if (r == 0)
        r = path != NULL ? from_json(path, &k->map, err) : from_config(c, &k->map, err);
    if (r == 0 && path != NULL) /* members are of policies, which the JSON hasn't */
        r = append_words(k->map.members, c->members, "members", err);
    if (r == 0)
        r = from_options(args, &k->map, err);
    k->google = path != NULL || anything(&k->map, args);
    if (r == 0 && k->google)
        r = kw_google_map_check(&k->map, err);
    return r != 0 ? r : prepare_oci(c, args, &k->oci_rules, err);
}

int kw_claims_explain(struct kw_claims_clouds *k, const struct kw_jwt *jwt, int64_t now,
                      struct kw_err *err)
{
    if (k->google) {
        k->google_v = kw_google_map_explain(&k->map, jwt->header, jwt->claims, now);
        if (k->google_v == NULL)
            return no_memory(err);
    }
    if (json_array_size(k->oci_rules) > 0) {
        k->oci_v = kw_oci_rules_explain(k->oci_rules, jwt->claims, err);
        if (k->oci_v == NULL)
            return no_memory(err);
    }
    return 0;
}

void kw_claims_free(struct kw_claims_clouds *k)
{
    kw_google_map_free(&k->map);
    json_decref(k->oci_rules);
    json_decref(k->google_v);
    json_decref(k->oci_v);
}

static bool is(const json_t *verdict, const char *word)
{
    const char *v = json_string_value(json_object_get(verdict, "verdict"));
    return v != NULL && strcmp(v, word) == 0;
}

const char *kw_claims_verdict(const struct kw_claims_clouds *k, struct kw_err *refusal)
{
    if (is(k->google_v, "refused"))
        (void)kw_fail(refusal, KW_POLICY, "Google would refuse this token: %s",
                      json_string_value(json_object_get(k->google_v, "text")));
    else if (is(k->oci_v, "refused"))
        (void)kw_fail(refusal, KW_POLICY,
                      "OCI would refuse this token: none of the %zu impersonation rules matches",
                      json_array_size(k->oci_rules));
    else
        return is(k->google_v, "unknown") || is(k->oci_v, "unknown") ? "unknown" : "accepted";
    return "refused";
}
