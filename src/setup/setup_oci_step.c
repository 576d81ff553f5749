/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps of a set-up at OCI have in common: a resource is compared, made, patched and
 * removed by its id.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"

const char *kw_oci_text(const json_t *o, const char *name)
{
    const char *v = json_string_value(json_object_get(o, name));
    return v != NULL ? v : "";
}

/* All of a new one, or what of it is otherwise. */
static void tell(struct kw_setup_step *t, const json_t *have, const json_t *changes, json_t *want)
{
    const char *name;
    json_t *v;
    size_t i;
    if (have == NULL) {
        json_object_foreach(want, name, v)
        {
            if (strcmp(name, "schemas") != 0)
                (void)kw_setup_differs(t, name, NULL, v);
        }
        return;
    }
    json_array_foreach(changes, i, v)
    {
        name = kw_oci_text(v, "path");
        (void)kw_setup_differs(t, name, json_object_get(have, name), json_object_get(want, name));
    }
}

int kw_oci_compare(struct kw_setup *s, struct kw_setup_step *t, json_t *have, json_t *want,
                   const char *const *fixed, struct kw_err *err)
{
    json_t *changes = have != NULL && want != NULL ? kw_scim_changes(have, want, fixed) : NULL;
    const char *mark = kw_scim_mark(have), *base = kw_oci(s)->base;
    t->found = have;
    if (want == NULL || (have != NULL && changes == NULL)) { /* "the same" would be a guess */
        json_decref(want);
        return kw_fail(err, KW_FAILED, "there is no memory left");
    }
    t->mine = strcmp(mark, base) == 0;
    bool adopts = have != NULL && !t->mine && kw_oci(s)->adopt;
    tell(t, have, changes, want);
    if (adopts)
        (void)kw_setup_differs_text(t, "keyward's mark: the set-up that it belongs to",
                                    mark[0] != '\0' ? mark : NULL, base);
    t->state = have == NULL                               ? KW_SETUP_ABSENT
               : json_array_size(changes) == 0 && !adopts ? KW_SETUP_SAME
               : t->mine || adopts                        ? KW_SETUP_DIFFERS
                                                          : KW_SETUP_FOREIGN;
    if (t->state == KW_SETUP_FOREIGN && mark[0] != '\0')
        (void)snprintf(t->note, sizeof t->note,
                       "it is there, not as wanted, and belongs to the set-up %.200s: choose "
                       "another name, or --adopt it, which takes it away from that one",
                       mark);
    else if (t->state == KW_SETUP_FOREIGN)
        (void)snprintf(t->note, sizeof t->note,
                       "it is there, not as wanted, and keyward didn't make it: choose another "
                       "name, or --adopt it");
    else if (t->state == KW_SETUP_SAME && !t->mine && mark[0] != '\0')
        (void)snprintf(t->note, sizeof t->note, "it belongs to the set-up %.200s: used as it is",
                       mark);
    else if (t->state == KW_SETUP_SAME && !t->mine)
        (void)snprintf(t->note, sizeof t->note, "not made by keyward: used as it is");
    json_decref(changes);
    json_decref(want);
    return 0;
}

int kw_oci_id(const json_t *o, const char *name, const char **ret, struct kw_err *err)
{
    *ret = kw_oci_text(o, name);
    return kw_scim_is_id(*ret)
               ? 0
               : kw_fail(err, KW_CLOUD, "the cloud's answer has an %s that can't be one: \"%.80s\"",
                         strcmp(name, "name") == 0 ? "client id" : name, *ret);
}

/* "Apps/ID" */
static int path_of(const struct kw_setup_step *t, const char *kind, char *path, size_t size,
                   struct kw_err *err)
{
    const char *id;
    int r = kw_oci_id(t->found, "id", &id, err);
    (void)snprintf(path, size, "/admin/v1/%s/%s", kind, id); /* of KW_SCIM_ID at most */
    return r;
}

/* A name is taken, though nothing of that name is seen: what a lost POST made may show late. Else
 * two more looks are all that it gets. */
int kw_oci_again(struct kw_setup_step *t, unsigned status, int r, struct kw_err *err)
{
    enum { MORE = 2 };
    if (r == KW_NET)
        t->lost = true;
    if (r != KW_CLOUD || status != 409 || (!t->lost && t->taken++ >= MORE))
        return r;
    err->code = KW_NET;
    return KW_NET;
}

/* What if-match takes: a version of blanks or worse would be another header line. */
static const char *version_of(const json_t *o)
{
    const char *v = kw_oci_text(json_object_get(o, "meta"), "version");
    for (const char *p = v; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~')
            return "";
    return v;
}

/* The POST's body, or the PATCH's; of a PATCH *ret_n says how many Operations it has. */
static json_t *body_of(const struct kw_setup *s, const struct kw_setup_step *t, json_t *want,
                       const char *const *fixed, size_t *ret_n)
{
    const char *base = kw_oci(s)->base;
    *ret_n = 1;
    if (t->state == KW_SETUP_ABSENT) {
        json_t *new = kw_scim_new(want);
        (void)json_object_set_new(new, "tags", kw_scim_tags(base));
        return new;
    }
    json_t *ops = kw_scim_changes(t->found, want, fixed);
    if (!t->mine) /* it is adopted */
        (void)json_array_append_new(ops, json_pack("{s:s,s:s,s:o}", "op", "replace", "path", "tags",
                                                   "value", kw_scim_tags_with(t->found, base)));
    *ret_n = json_array_size(ops);
    return kw_scim_patch(ops);
}

int kw_oci_make(struct kw_setup *s, struct kw_setup_step *t, const char *kind, json_t *want,
                const char *const *fixed, json_t **ret, struct kw_err *err)
{
    char path[512];
    const char *version = version_of(t->found), *id;
    bool new = t->state == KW_SETUP_ABSENT;
    unsigned status = 0;
    size_t n;
    json_t *body = body_of(s, t, want, fixed, &n);
    const struct kw_oci_call c = {.method = new ? "POST" : "PATCH",
                                  .target = path,
                                  .what = new ? "making it" : "changing it",
                                  .match = new || version[0] == '\0' ? NULL : version,
                                  .body = body,
                                  .status = &status,
                                  .temp = true};
    *ret = NULL;
    (void)snprintf(path, sizeof path, "/admin/v1/%s", kind);
    int r = want == NULL || body == NULL ? kw_fail(err, KW_FAILED, "there is no memory left") : 0;
    if (r == 0 && !new)
        r = path_of(t, kind, path, sizeof path, err);
    if (r == 0 && n > 0)
        r = kw_oci_call(s, &c, ret, err);
    if (new)
        r = kw_oci_again(t, status, r, err);
    if (r == 0 && new)
        r = kw_oci_id(*ret, "id", &id, err);
    json_decref(body);
    json_decref(want);
    return r;
}

int kw_oci_remove(struct kw_setup *s, struct kw_setup_step *t, const char *kind, struct kw_err *err)
{
    char path[512];
    bool gone = false;
    const struct kw_oci_call c = {
        .method = "DELETE", .target = path, .what = "removing it", .gone = &gone, .temp = true};
    int r = path_of(t, kind, path, sizeof path, err);
    return r != 0 ? r : kw_oci_call(s, &c, NULL, err);
}
