/* SPDX-License-Identifier: Apache-2.0 */
#include "scim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

#define PATCH_OP "urn:ietf:params:scim:api:messages:2.0:PatchOp"
#define ERROR    "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error"

/* --- differences --------------------------------------------------------------------------- */

static bool is_nothing(const json_t *v)
{
    return v == NULL || json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0) ||
           (json_is_string(v) && json_string_length(v) == 0);
}

/* How often it is in there. */
static size_t count_text(const json_t *array, const char *text)
{
    const json_t *one;
    size_t i, n = 0;
    json_array_foreach(array, i, one)
    {
        n += json_is_string(one) && strcmp(json_string_value(one), text) == 0;
    }
    return n;
}

static bool same_array(const json_t *have, const json_t *want)
{
    json_t *one;
    size_t i;
    if (!json_is_array(have) || json_array_size(have) != json_array_size(want))
        return false;
    json_array_foreach(want, i, one)
    {
        const char *text = json_string_value(one);
        if (text != NULL ? count_text(have, text) != count_text(want, text)
                         : !kw_scim_same(json_array_get(have, i), one))
            return false;
    }
    return true;
}

bool kw_scim_same(const json_t *have, json_t *want)
{
    const char *name;
    json_t *v;
    if (is_nothing(want))
        return is_nothing(have);
    if (json_is_array(want))
        return same_array(have, want);
    if (!json_is_object(want))
        return json_equal(have, want) == 1;
    json_object_foreach(want, name, v)
    {
        if (!kw_scim_same(json_object_get(have, name), v))
            return false;
    }
    return true;
}

static bool among(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

json_t *kw_scim_changes(const json_t *have, json_t *want, const char *const *fixed)
{
    static const char *const never[] = {"schemas", "tags", NULL};
    json_t *ops = json_array(), *v;
    const char *name;
    json_object_foreach(want, name, v)
    {
        if (among(never, name) || among(fixed, name) ||
            kw_scim_same(json_object_get(have, name), v))
            continue;
        (void)json_array_append_new(
            ops, is_nothing(v)
                     ? json_pack("{s:s,s:s}", "op", "remove", "path", name)
                     : json_pack("{s:s,s:s,s:O}", "op", "replace", "path", name, "value", v));
    }
    return ops;
}

json_t *kw_scim_patch(json_t *operations)
{
    return json_pack("{s:[s],s:o}", "schemas", PATCH_OP, "Operations", operations);
}

json_t *kw_scim_new(json_t *want)
{
    json_t *o = json_object(), *v;
    const char *name;
    json_object_foreach(want, name, v)
    {
        if (!is_nothing(v))
            (void)json_object_set(o, name, v);
    }
    return o;
}

/* --- ids ----------------------------------------------------------------------------------- */

bool kw_scim_is_id(const char *text)
{
    static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strspn(text, all);
    return n > 0 && n <= KW_SCIM_ID && text[n] == '\0' && strchr(alnum, text[0]) != NULL;
}

/* --- marks --------------------------------------------------------------------------------- */

const char *kw_scim_mark(const json_t *o)
{
    const json_t *tags = json_object_get(o, "tags"), *one;
    const char *mark =
        json_string_value(json_object_get(json_object_get(o, "freeformTags"), KW_SCIM_TAG));
    size_t i;
    json_array_foreach(tags, i, one)
    {
        const char *key = json_string_value(json_object_get(one, "key"));
        if (mark == NULL && key != NULL && strcmp(key, KW_SCIM_TAG) == 0)
            mark = json_string_value(json_object_get(one, "value"));
    }
    return mark != NULL ? mark : "";
}

json_t *kw_scim_tags(const char *name)
{
    return json_pack("[{s:s,s:s}]", "key", KW_SCIM_TAG, "value", name);
}

json_t *kw_scim_tags_with(const json_t *have, const char *name)
{
    json_t *tags = kw_scim_tags(name), *one;
    size_t i;
    json_array_foreach(json_object_get(have, "tags"), i, one)
    {
        const char *key = json_string_value(json_object_get(one, "key"));
        if (key == NULL || strcmp(key, KW_SCIM_TAG) != 0)
            (void)json_array_append(tags, one);
    }
    return tags;
}

json_t *kw_scim_freeform_with(const json_t *have, const char *name)
{
    json_t *old = json_object_get(have, "freeformTags"), *tags = json_object(), *v;
    const char *key;
    json_object_foreach(old, key, v)
    {
        (void)json_object_set(tags, key, v);
    }
    (void)json_object_set_new(tags, KW_SCIM_TAG, json_string(name));
    return tags;
}

/* --- questions and answers ------------------------------------------------------------------ */

char *kw_scim_query(const char *base, const char *kind, const char *attribute, const char *value,
                    const char *attributes)
{
    struct kw_buf filter, url;
    char *text = NULL;
    kw_buf_init(&filter, 4096);
    kw_buf_init(&url, KW_TARGET);
    kw_put_fmt(&filter, "%s eq \"", attribute);
    for (const char *p = value; *p != '\0'; p++) { /* RFC 7644: a JSON string */
        if (*p == '"' || *p == '\\')
            kw_put_str(&filter, "\\");
        kw_put(&filter, p, 1);
    }
    kw_put_str(&filter, "\"");
    kw_put_fmt(&url, "%s/admin/v1/%s?filter=", base, kind);
    if (!filter.bad)
        kw_pct_put(&url, kw_buf_str(&filter), filter.len);
    kw_put_fmt(&url, "&count=2&attributes=%s", attributes);
    if (!filter.bad && !url.bad)
        text = strdup(kw_buf_str(&url));
    kw_buf_free(&filter);
    kw_buf_free(&url);
    return text;
}

int kw_scim_one(const json_t *answer, const char *what, json_t **ret, struct kw_err *err)
{
    bool iam = json_is_array(answer);
    const json_t *list = iam ? answer : json_object_get(answer, "Resources");
    const json_t *total = json_object_get(answer, "totalResults");
    bool empty = list == NULL && json_is_integer(total) && json_integer_value(total) == 0;
    *ret = NULL;
    if (!empty && !json_is_array(list))
        return kw_fail(err, KW_CLOUD, "%s: the cloud's answer is no list", what);
    if (json_array_size(list) > 1 || json_integer_value(total) > 1)
        return kw_fail(err, KW_CLOUD,
                       "%s: there are several of that name; rename the others or choose another "
                       "name",
                       what);
    *ret = json_array_get(list, 0);
    return 0;
}

int kw_scim_whole(const json_t *answer, const char *what, struct kw_err *err)
{
    const json_t *list = json_object_get(answer, "Resources");
    const json_t *total = json_object_get(answer, "totalResults");
    json_int_t n = (json_int_t)json_array_size(list);
    if (!json_is_integer(total) || (list != NULL && !json_is_array(list)))
        return kw_fail(err, KW_CLOUD, "%s: the cloud's answer is no list", what);
    return json_integer_value(total) <= n
               ? 0
               : kw_fail(err, KW_CLOUD,
                         "%s: the cloud shows %lld of %lld, and what it doesn't show may be what "
                         "matters; remove "
                         "what is not needed there, or do this by the console",
                         what, (long long)n, (long long)json_integer_value(total));
}

static const char *cure_of(unsigned status, const char *id)
{
    if (status == 429 || status >= 500)
        return "nothing is lost: run it again later, it goes on from there";
    if (status == 401)
        return "who asks is not known there: check the key's id, the token's age and the clock";
    if (status == 403)
        return "who asks needs the role Identity Domain Administrator";
    if (status == 404)
        return "it is not there, or who asks may not see it";
    if (status == 412)
        return "somebody changed it meanwhile: run it again to see what is there now";
    if (status == 409 && (strstr(id, "niqueness") != NULL || strstr(id, "AlreadyExists") != NULL))
        return "somebody has made one of that name meanwhile, or it is taken by one that can't be "
               "seen";
    return "see the vendor's documentation of this code";
}

int kw_scim_refused(unsigned status, const json_t *body, const char *id, const char *what,
                    struct kw_err *err)
{
    const char *code = json_string_value(json_object_get(body, "code"));
    const char *text = json_string_value(json_object_get(body, "message"));
    char of[160] = "";
    if (text == NULL) {
        text = json_string_value(json_object_get(body, "detail"));
        code = json_string_value(json_object_get(json_object_get(body, ERROR), "messageId"));
    }
    if (text == NULL) {
        text = json_string_value(json_object_get(body, "error_description"));
        code = json_string_value(json_object_get(body, "error"));
    }
    if (id != NULL && id[0] != '\0')
        (void)snprintf(of, sizeof of, " (opc-request-id %.120s)", id);
    code = code != NULL ? code : "";
    return kw_fail(err, status == 429 || status >= 500 ? KW_NET : KW_CLOUD,
                   "%.200s: refused: %u %.120s%s%.300s%s; %s", what, status, code,
                   code[0] != '\0' ? ": " : "", text != NULL ? text : "", of,
                   cure_of(status, code));
}
