/* SPDX-License-Identifier: Apache-2.0
 *
 * Attribute mapping and condition, evaluated. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "google_map_int.h"
#include "src/base/report.h"

enum { SHOWN = 120 };

static const char *verdict_of(enum kw_cel_is is)
{
    return is == KW_CEL_UNKNOWN ? "unknown" : is == KW_CEL_VALUE ? "pass" : "refuse";
}

void google_note(struct google_mapped *m, bool refused, const char *fmt, ...)
{
    va_list ap;
    /* a refusal is told rather than what can't be judged */
    bool tell = refused ? !m->refused : !m->refused && !m->unsure;
    m->refused = m->refused || refused;
    m->unsure = m->unsure || !refused;
    if (!tell)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(m->text, sizeof m->text, fmt, ap);
    va_end(ap);
    kw_printable(m->text);
}

static void where(const struct kw_cel_result *r, char out[40])
{
    out[0] = '\0';
    if (r->at > 0)
        (void)snprintf(out, 40, " (position %zu)", r->at);
}

/* The reason why Google wouldn't take a mapped value, or NULL. */
static const char *bad_value(const char *key, const json_t *v)
{
    size_t i;
    json_t *one;
    if (strcmp(key, "google.groups") == 0) {
        if (!json_is_array(v))
            return "must be a list of strings";
        json_array_foreach(v, i, one)
        {
            if (!json_is_string(one))
                return "must be a list of strings only";
        }
        return NULL;
    }
    return json_is_string(v) ? NULL : "must be a string";
}

static size_t value_bytes(const json_t *v)
{
    size_t i, n = json_string_length(v);
    json_t *one;
    json_array_foreach(v, i, one)
    {
        n += json_string_length(one);
    }
    return n;
}

/* Later expressions can't use a value that isn't there. */
static void mark_unknown(struct google_mapped *m, const char *key, bool failed)
{
    (void)json_object_set_new(m->unknown, key,
                              json_string(failed ? "could not be mapped" : "can't be judged"));
}

static void take_value(struct google_mapped *m, const char *key, const json_t *v, json_t *row)
{
    const char *bad = bad_value(key, v), *dot = strchr(key, '.');
    size_t n = value_bytes(v);
    json_t *copy = json_deep_copy(v);
    if (dot == NULL || copy == NULL)
        return;
    (void)json_object_set_new(row, "value", json_incref(copy));
    (void)json_object_set_new(row, "bytes", json_integer((json_int_t)n));
    if (bad == NULL && strcmp(key, "google.subject") == 0 && n > KW_GOOGLE_SUBJECT)
        bad =
            "is longer than 127 bytes, which Google refuses (invalid_request); map a shorter claim";
    (void)json_object_set_new(row, "verdict", json_string(bad == NULL ? "pass" : "refuse"));
    (void)json_object_set_new(row, "text", kw_report_text("%s", bad != NULL ? bad : ""));
    if (bad != NULL) {
        google_note(m, true, "%s %s (%zu bytes)", key, bad, n);
        mark_unknown(m, key, true);
        json_decref(copy);
        return;
    }
    bool custom = strncmp(key, "attribute.", 10) == 0;
    (void)json_object_set_new(custom ? m->attribute : m->google, dot + 1, copy);
}

static void map_one(struct google_mapped *m, const char *key, const json_t *expression,
                    json_t *claims)
{
    struct kw_cel *c;
    struct kw_cel_result r;
    json_t *const values[] = {claims};
    const struct kw_cel_env env = {.names = google_map_names, .values = values, .work = &m->work};
    json_t *row = json_pack("{s:s,s:O}", "key", key, "expression", expression);
    if (kw_cel_parse(json_string_value(expression), json_string_length(expression),
                     google_map_names, &c, &r) == KW_CEL_VALUE)
        kw_cel_eval(c, &env, &r);
    if (r.is == KW_CEL_NOT_TRUE) /* a bool or an error: neither is a string */
        r.is = KW_CEL_ERROR;
    if (r.is == KW_CEL_VALUE) {
        take_value(m, key, r.value, row);
    } else {
        char at[40];
        bool failed = r.is != KW_CEL_UNKNOWN;
        where(&r, at);
        (void)json_object_set_new(row, "verdict", json_string(verdict_of(r.is)));
        (void)json_object_set_new(row, "text", kw_report_text("%s%s", r.text, at));
        google_note(m, failed,
                    failed ? "the mapping of %s fails: %s%s"
                           : "the mapping of %s can't be judged: %s%s",
                    key, r.text, at);
        mark_unknown(m, key, failed);
    }
    kw_cel_result_free(&r);
    kw_cel_free(c);
    (void)json_array_append_new(m->rows, row);
}

/* "assertion.ref is "refs/heads/x", assertion.env is absent" */
static void show_values(const json_t *values, char *out, size_t size)
{
    size_t i, at = 0;
    json_t *one;
    out[0] = '\0';
    json_array_foreach(values, i, one)
    {
        json_t *v = json_object_get(one, "value");
        char *text = v != NULL ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
        const char *show = text != NULL ? text : "absent";
        int n = snprintf(out + at, size - at, "%s%.*s is %.*s%s", at > 0 ? ", " : "", SHOWN,
                         json_string_value(json_object_get(one, "path")), SHOWN, show,
                         strlen(show) > SHOWN ? "..." : "");
        free(text);
        if (n < 0 || (size_t)n >= size - at)
            return;
        at += (size_t)n;
    }
}

/* One term; returns its row. What decides goes into the reason. */
static json_t *judge_term(const struct kw_cel *c, size_t i, const struct kw_cel_env *env,
                          char *reason, size_t size)
{
    struct kw_cel_result r;
    size_t n;
    char shown[600], at[40];
    const char *text = kw_cel_term_text(c, i, &n);
    kw_cel_eval_term(c, i, env, &r);
    json_t *values = kw_cel_term_values(c, i, env);
    show_values(values, shown, sizeof shown);
    where(&r, at);
    const char *verdict = verdict_of(r.is);
    bool is_false = r.is == KW_CEL_VALUE && !json_is_true(r.value);
    if (is_false)
        verdict = "refuse";
    (void)snprintf(reason, size, "%.*s %s: %s%s", (int)(n < 300 ? n : 300), text,
                   is_false                 ? json_is_false(r.value) ? "is false" : "is no bool"
                   : r.is == KW_CEL_UNKNOWN ? "can't be judged"
                   : r.is == KW_CEL_VALUE   ? "holds"
                                            : "fails",
                   r.is == KW_CEL_VALUE ? shown : r.text, at);
    json_t *row =
        json_pack("{s:o,s:s,s:I,s:o,s:o}", "expression", json_stringn(text, n), "verdict", verdict,
                  "position", (json_int_t)r.at, "text",
                  kw_report_text("%s", r.is == KW_CEL_VALUE ? is_false ? shown : "" : r.text),
                  "values", values);
    kw_cel_result_free(&r);
    return row;
}

static void judge_condition(const struct kw_google_map *p, json_t *claims, struct google_mapped *m)
{
    struct kw_cel *c;
    struct kw_cel_result r;
    json_t *const values[] = {claims, m->google, m->attribute};
    const struct kw_cel_env env = {google_condition_names, values, m->unknown, &m->work};
    const char *text = json_string_value(p->condition);
    json_t *terms = json_array();
    char reason[KW_ERR_TEXT] = "";
    if (kw_cel_parse(text, json_string_length(p->condition), google_condition_names, &c, &r) ==
        KW_CEL_VALUE)
        kw_cel_eval(c, &env, &r);
    bool no_bool = r.is == KW_CEL_VALUE && !json_is_boolean(r.value);
    const char *verdict =
        r.is == KW_CEL_VALUE && !json_is_true(r.value) ? "refuse" : verdict_of(r.is);
    for (size_t i = 0; c != NULL && i < kw_cel_terms(c); i++) {
        char one[KW_ERR_TEXT];
        json_t *row = judge_term(c, i, &env, one, sizeof one);
        if (reason[0] == '\0' &&
            strcmp(json_string_value(json_object_get(row, "verdict")), verdict) == 0)
            memcpy(reason, one, sizeof one);
        (void)json_array_append_new(terms, row);
    }
    if (c == NULL)
        (void)snprintf(reason, sizeof reason, "%s (position %zu)", r.text, r.at);
    if (no_bool)
        (void)snprintf(reason, sizeof reason, "it is no bool, which Google refuses at creation");
    if (strcmp(verdict, "refuse") == 0)
        google_note(m, true, "refused by the attribute condition (unauthorized_client): %s",
                    reason);
    else if (strcmp(verdict, "unknown") == 0)
        google_note(m, false, "the attribute condition can't be judged: %s", reason);
    else
        reason[0] = '\0';
    m->condition = json_pack("{s:O,s:s,s:o,s:o}", "expression", p->condition, "verdict", verdict,
                             "text", kw_report_text("%s", reason), "terms", terms);
    kw_cel_result_free(&r);
    kw_cel_free(c);
}

bool google_eval(const struct kw_google_map *p, json_t *claims, struct google_mapped *m)
{
    const char *key;
    json_t *v;
    size_t all = 0;
    *m = (struct google_mapped){.google = json_object(),
                                .attribute = json_object(),
                                .unknown = json_object(),
                                .rows = json_array(),
                                .work = KW_CEL_WORK};
    if (m->google == NULL || m->attribute == NULL || m->unknown == NULL || m->rows == NULL) {
        google_mapped_free(m);
        return false;
    }
    json_object_foreach(p->mapping, key, v)
    {
        map_one(m, key, v, claims);
    }
    json_object_foreach(m->google, key, v)
    {
        all += value_bytes(v);
    }
    json_object_foreach(m->attribute, key, v)
    {
        all += value_bytes(v);
    }
    if (all > KW_GOOGLE_MAPPED)
        google_note(m, true, "the mapped values are %zu bytes; Google takes %d", all,
                    KW_GOOGLE_MAPPED);
    if (p->condition != NULL)
        judge_condition(p, claims, m);
    return true;
}

void google_mapped_free(struct google_mapped *m)
{
    json_decref(m->google);
    json_decref(m->attribute);
    json_decref(m->unknown);
    json_decref(m->rows);
    json_decref(m->condition);
    *m = (struct google_mapped){.refused = false};
}
