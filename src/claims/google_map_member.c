/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that a mapped token has in IAM policies, and which members of such policies
 * are it. */
#include <stdio.h>
#include <string.h>

#include "google_map_int.h"
#include "src/base/buf.h"
#include "src/base/report.h"

enum { NAME = 16384, SHOWN = 200 };

static const char one_prefix[] = "principal:" GOOGLE_HOST;
static const char set_prefix[] = "principalSet:" GOOGLE_HOST;

/* Length of the pool's part of the provider's name. */
static size_t pool_length(const struct kw_google_map *p)
{
    const char *end = strstr(p->name, "/providers/");
    return end != NULL ? (size_t)(end - p->name) : 0;
}

/* prefix POOL/kind[/value] */
static json_t *principal(const struct kw_google_map *p, const char *prefix, const char *kind,
                         const json_t *value)
{
    struct kw_buf b;
    kw_buf_init(&b, NAME);
    kw_put_str(&b, prefix);
    kw_put(&b, p->name, pool_length(p));
    kw_put_str(&b, "/");
    kw_put_str(&b, kind);
    if (value != NULL) {
        kw_put_str(&b, "/");
        kw_put(&b, json_string_value(value), json_string_length(value));
    }
    const char *text = kw_buf_str(&b);
    json_t *s = b.bad ? NULL : json_stringn(text, b.len);
    kw_buf_free(&b);
    return s;
}

json_t *google_principal(const struct kw_google_map *p, const struct google_mapped *m)
{
    const json_t *subject = json_object_get(m->google, "subject");
    return subject == NULL || pool_length(p) == 0 ? json_null()
                                                  : principal(p, one_prefix, "subject", subject);
}

json_t *google_principal_sets(const struct kw_google_map *p, const struct google_mapped *m)
{
    json_t *sets = json_array(), *v;
    const char *key;
    size_t i;
    if (pool_length(p) == 0)
        return sets;
    json_array_foreach(json_object_get(m->google, "groups"), i, v)
    {
        (void)json_array_append_new(sets, principal(p, set_prefix, "group", v));
    }
    json_object_foreach(m->attribute, key, v)
    {
        char kind[KW_GOOGLE_KEY + 16];
        (void)snprintf(kind, sizeof kind, "attribute.%s", key);
        (void)json_array_append_new(sets, principal(p, set_prefix, kind, v));
    }
    (void)json_array_append_new(sets, principal(p, set_prefix, "*", NULL));
    return sets;
}

static bool listed(const json_t *list, const char *s)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (strcmp(json_string_value(v), s) == 0)
            return true;
    }
    return false;
}

struct row {
    const char *verdict; /* "yes", "no" or "unknown" */
    char text[KW_ERR_TEXT];
};

static void say(struct row *r, const char *verdict, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct row *r, const char *verdict, const char *fmt, ...)
{
    va_list ap;
    r->verdict = verdict;
    va_start(ap, fmt);
    (void)vsnprintf(r->text, sizeof r->text, fmt, ap);
    va_end(ap);
}

/* Why a member of this pool doesn't match; rest: what stands behind the pool. */
static void explain(const struct google_mapped *m, const char *rest, bool set, struct row *r)
{
    char key[KW_GOOGLE_KEY + 32];
    size_t n = strcspn(rest, "/");
    const char *verdict = "no";
    if (set == (n == 7 && memcmp(rest, "subject", 7) == 0)) {
        say(r, "no",
            "principal:// goes with /subject/, principalSet:// with /group/, /attribute.NAME/ "
            "and *");
        return;
    }
    bool group = n == 5 && memcmp(rest, "group", 5) == 0;
    bool custom = n > 10 && memcmp(rest, "attribute.", 10) == 0;
    if (!set || group)
        (void)snprintf(key, sizeof key, "google.%s", set ? "groups" : "subject");
    else
        (void)snprintf(key, sizeof key, "%.*s", (int)(n < sizeof key ? n : sizeof key - 1), rest);
    const char *why = json_string_value(json_object_get(m->unknown, key));
    const json_t *v = custom ? json_object_get(m->attribute, key + 10)
                             : json_object_get(m->google, group ? "groups" : "subject");
    if (set && !group && !custom) {
        say(r, "no", "there are no sets of the kind '%.60s'", key);
    } else if (why != NULL) {
        if (strcmp(why, "can't be judged") == 0)
            verdict = "unknown";
        say(r, verdict, "%s %s", key, why);
    } else if (v == NULL) {
        say(r, "no", "%s isn't mapped", key);
    } else {
        char *shown = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        say(r, "no", "%s is %.*s", key, SHOWN, shown != NULL ? shown : "?");
        free(shown);
    }
}

static void judge(const struct kw_google_map *p, const struct google_mapped *m, const json_t *all,
                  const char *member, struct row *r)
{
    const bool set = strncmp(member, set_prefix, sizeof set_prefix - 1) == 0;
    size_t n = set ? sizeof set_prefix - 1 : sizeof one_prefix - 1, pool = pool_length(p);
    if (strncmp(member, "deleted:", 8) == 0) {
        say(r, "no", "a deleted principal never matches");
    } else if (strcmp(member, "allUsers") == 0) {
        say(r, "yes", "anybody");
    } else if (strcmp(member, "allAuthenticatedUsers") == 0) {
        say(r, "unknown", "whether federated identities are among them isn't settled");
    } else if (!set && strncmp(member, one_prefix, n) != 0) {
        say(r, "no", "is no principal of a workload identity pool");
    } else if (pool == 0) {
        say(r, "unknown", "the provider's name wasn't given");
    } else if (strncmp(member + n, p->name, pool) != 0 || member[n + pool] != '/') {
        bool id = strncmp(member + n, "projects/", 9) == 0 &&
                  (member[n + 9] < '0' || member[n + 9] > '9');
        say(r, "no", "%s %.*s",
            id ? "names the project by its ID, where its number belongs, as in"
               : "is of another project or pool than",
            (int)pool, p->name);
    } else if (listed(all, member)) {
        say(r, "yes", "%s", "");
    } else {
        explain(m, member + n + pool + 1, set, r);
    }
}

json_t *google_members(const struct kw_google_map *p, const struct google_mapped *m)
{
    json_t *rows = json_array(), *all = google_principal_sets(p, m), *one;
    size_t i;
    json_t *subject = google_principal(p, m);
    if (json_is_string(subject))
        (void)json_array_append(all, subject);
    json_decref(subject);
    json_array_foreach(p->members, i, one)
    {
        struct row r = {.verdict = "no"};
        judge(p, m, all, json_string_value(one), &r);
        json_t *matches = strcmp(r.verdict, "unknown") == 0
                              ? json_null()
                              : json_boolean(strcmp(r.verdict, "yes") == 0);
        (void)json_array_append_new(rows, json_pack("{s:O,s:o,s:o}", "member", one, "matches",
                                                    matches, "text", kw_report_text("%s", r.text)));
    }
    json_decref(all);
    return rows;
}
