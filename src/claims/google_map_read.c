/* SPDX-License-Identifier: Apache-2.0
 *
 * A provider: put together from flags or from what gcloud prints, and checked for what
 * Google would refuse when it is created. */
#include <stdio.h>
#include <string.h>

#include "google_map_int.h"
#include "src/wire/google_name.h"

enum { READ_DEPTH = 64 };

const char *const google_map_names[] = {"assertion", NULL};
const char *const google_condition_names[] = {"assertion", "google", "attribute", NULL};

int kw_google_map_init(struct kw_google_map *p, struct kw_err *err)
{
    *p = (struct kw_google_map){
        .mapping = json_object(), .audiences = json_array(), .members = json_array()};
    return p->mapping != NULL && p->audiences != NULL && p->members != NULL
               ? 0
               : kw_fail(err, KW_FAILED, "there is no memory left");
}

void kw_google_map_free(struct kw_google_map *p)
{
    json_decref(p->mapping);
    json_decref(p->condition);
    json_decref(p->audiences);
    json_decref(p->members);
    *p = (struct kw_google_map){.disabled = false};
}

int kw_google_map_name(struct kw_google_map *p, const char *name, struct kw_err *err)
{
    struct kw_google_provider g;
    int r = kw_google_provider(name, &g, err);
    if (r == 0)
        (void)snprintf(p->name, sizeof p->name, "%s", g.name);
    return r;
}

static int check_key(const char *key, size_t n, struct kw_err *err)
{
    static const char prefix[] = "attribute.";
    const size_t at = sizeof prefix - 1;
    if ((n == 14 && memcmp(key, "google.subject", n) == 0) ||
        (n == 13 && memcmp(key, "google.groups", n) == 0))
        return 0;
    size_t name = n > at ? n - at : 0;
    if (name == 0 || memcmp(key, prefix, at) != 0)
        return kw_fail(err, KW_USAGE,
                       "'%.*s' can't be mapped: there are google.subject, google.groups and "
                       "attribute.NAME",
                       (int)(n < 150 ? n : 150), key);
    if (name > KW_GOOGLE_KEY || strspn(key + at, "abcdefghijklmnopqrstuvwxyz0123456789_") < name)
        return kw_fail(err, KW_USAGE, "the name of %.*s must be 1 to %d of a-z, 0-9 and _",
                       (int)(n < 150 ? n : 150), key, KW_GOOGLE_KEY);
    return 0;
}

static int add(struct kw_google_map *p, const char *key, size_t n, json_t *expression,
               struct kw_err *err)
{
    int r = check_key(key, n, err);
    if (r != 0)
        return r;
    if (json_object_getn(p->mapping, key, n) != NULL)
        return kw_fail(err, KW_USAGE, "%.*s is mapped twice", (int)n, key);
    if (!json_is_string(expression))
        return kw_fail(err, KW_USAGE, "the mapping of %.*s is no UTF-8 text", (int)n, key);
    return json_object_setn_new(p->mapping, key, n, json_incref(expression)) == 0
               ? 0
               : kw_fail(err, KW_FAILED, "there is no memory left");
}

int kw_google_map_add(struct kw_google_map *p, const char *text, struct kw_err *err)
{
    size_t n = strcspn(text, "=");
    const char *expression = text[n] == '=' ? text + n + 1 : "";
    if (*expression == '\0')
        return kw_fail(err, KW_USAGE, "the mapping '%.100s' must be KEY=EXPRESSION", text);
    while (n > 0 && text[n - 1] == ' ')
        n--;
    json_t *v = json_string(expression);
    int r = add(p, text, n, v, err);
    json_decref(v);
    return r;
}

static int read_oidc(struct kw_google_map *p, const json_t *oidc, const char *what,
                     struct kw_err *err)
{
    const char *issuer = json_string_value(json_object_get(oidc, "issuerUri"));
    json_t *audiences = json_object_get(oidc, "allowedAudiences");
    if (issuer == NULL || strlen(issuer) >= sizeof p->issuer)
        return kw_fail(err, KW_USAGE,
                       "%s: there is no oidc.issuerUri; only OIDC providers can be "
                       "explained",
                       what);
    (void)snprintf(p->issuer, sizeof p->issuer, "%s", issuer);
    for (size_t i = 0; i < json_array_size(audiences); i++)
        if (!json_is_string(json_array_get(audiences, i)))
            return kw_fail(err, KW_USAGE, "%s: oidc.allowedAudiences must be strings", what);
    if (json_is_array(audiences) && json_array_extend(p->audiences, audiences) != 0)
        return kw_fail(err, KW_FAILED, "there is no memory left");
    return 0;
}

static int read_provider(struct kw_google_map *p, const json_t *o, const char *what,
                         struct kw_err *err)
{
    const char *name = json_string_value(json_object_get(o, "name")), *key;
    json_t *mapping = json_object_get(o, "attributeMapping"), *v;
    int r = name != NULL ? kw_google_map_name(p, name, err)
                         : kw_fail(err, KW_USAGE, "%s: there is no name", what);
    if (r == 0)
        r = read_oidc(p, json_object_get(o, "oidc"), what, err);
    if (r != 0)
        return r;
    size_t n;
    json_object_keylen_foreach(mapping, key, n, v)
    {
        r = add(p, key, n, v, err);
        if (r != 0)
            return kw_err_wrap(err, "%s", what);
    }
    v = json_object_get(o, "attributeCondition");
    if (json_is_string(v) && json_string_length(v) > 0)
        p->condition = json_incref(v);
    const char *state = json_string_value(json_object_get(o, "state"));
    p->disabled = json_is_true(json_object_get(o, "disabled")) ||
                  (state != NULL && strcmp(state, "ACTIVE") != 0);
    return 0;
}

/* jansson recurses: brackets in brackets are counted before. Those in strings count too,
 * which no real provider has that many of. */
static bool too_deep(const char *text, size_t n)
{
    int depth = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        depth += (text[i] == '{' || text[i] == '[') - (text[i] == '}' || text[i] == ']');
        most = depth > most ? depth : most;
    }
    return most > READ_DEPTH;
}

int kw_google_map_read(struct kw_google_map *p, const char *text, size_t n, const char *what,
                       struct kw_err *err)
{
    json_error_t e;
    json_t *o = too_deep(text, n) ? NULL : json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    int r = json_is_object(o) ? read_provider(p, o, what, err)
                              : kw_fail(err, KW_USAGE,
                                        "%s is no JSON object, as gcloud iam "
                                        "workload-identity-pools providers describe --format=json "
                                        "prints it",
                                        what);
    json_decref(o);
    return r;
}

static int check_expression(const char *what, const json_t *text, size_t most,
                            const char *const *names, struct kw_err *err)
{
    struct kw_cel *c;
    struct kw_cel_result why;
    const char *s = json_string_value(text);
    size_t chars = 0;
    for (const char *p = s; *p != '\0'; p++)
        chars += ((unsigned char)*p & 0xc0) != 0x80;
    if (chars > most)
        return kw_fail(err, KW_USAGE, "%s has %zu characters; Google takes %zu", what, chars, most);
    enum kw_cel_is is = kw_cel_parse(s, json_string_length(text), names, &c, &why);
    kw_cel_free(c);
    return is == KW_CEL_SYNTAX ? kw_fail(err, KW_USAGE, "%s does not parse at position %zu: %s",
                                         what, why.at, why.text)
                               : 0;
}

int kw_google_map_check(const struct kw_google_map *p, struct kw_err *err)
{
    const char *key;
    json_t *v;
    size_t custom = 0;
    json_object_foreach(p->mapping, key, v)
    {
        char what[KW_GOOGLE_KEY + 64];
        (void)snprintf(what, sizeof what, "the mapping of %s", key);
        int r = check_expression(what, v, KW_GOOGLE_EXPRESSION, google_map_names, err);
        if (r != 0)
            return r;
        custom += strncmp(key, "attribute.", 10) == 0;
    }
    if (custom > KW_GOOGLE_CUSTOM)
        return kw_fail(err, KW_USAGE, "%zu custom attributes are mapped; Google takes %d", custom,
                       KW_GOOGLE_CUSTOM);
    if (json_object_get(p->mapping, "google.subject") == NULL)
        return kw_fail(err, KW_USAGE,
                       "google.subject is not mapped, which Google demands; for example "
                       "google.subject=assertion.sub");
    return p->condition == NULL
               ? 0
               : check_expression("the attribute condition", p->condition, KW_GOOGLE_CONDITION,
                                  google_condition_names, err);
}
