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
    const char *policy = kw_oci_text(have, "description");
    t->found = have;
    if (want == NULL || (have != NULL && changes == NULL)) { /* "the same" would be a guess */
        json_decref(want);
        return kw_fail(err, KW_FAILED, "there is no memory left");
    }
    t->mine =
        have != NULL && (kw_scim_mark(have)[0] != '\0' ||
                         (json_object_get(have, "statements") != NULL && kw_setup_marked(policy)));
    bool adopts = have != NULL && !t->mine && kw_oci(s)->adopt;
    tell(t, have, changes, want);
    if (adopts)
        (void)kw_setup_differs_text(t, "keyward's mark", NULL, KW_SETUP_MARK);
    t->state = have == NULL                               ? KW_SETUP_ABSENT
               : json_array_size(changes) == 0 && !adopts ? KW_SETUP_SAME
               : t->mine || adopts                        ? KW_SETUP_DIFFERS
                                                          : KW_SETUP_FOREIGN;
    if (t->state == KW_SETUP_FOREIGN)
        (void)snprintf(t->note, sizeof t->note,
                       "it is there, not as wanted, and keyward didn't make it: choose another "
                       "name, or --adopt it");
    else if (t->state == KW_SETUP_SAME && !t->mine)
        (void)snprintf(t->note, sizeof t->note, "not made by keyward: used as it is");
    json_decref(changes);
    json_decref(want);
    return 0;
}

/* "Apps/ID" */
static int path_of(const struct kw_setup_step *t, const char *kind, char *path, size_t size,
                   struct kw_err *err)
{
    const char *id = kw_oci_text(t->found, "id");
    for (const char *p = id; *p != '\0'; p++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *p) == NULL)
            id = "";
    return id[0] != '\0' && (size_t)snprintf(path, size, "/admin/v1/%s/%s", kind, id) < size
               ? 0
               : kw_fail(err, KW_CLOUD, "the domain gave it an id that can't be one");
}

/* The POST's body, or the PATCH's; of a PATCH *ret_n says how many Operations it has. */
static json_t *body_of(const struct kw_setup_step *t, json_t *want, const char *const *fixed,
                       size_t *ret_n)
{
    *ret_n = 1;
    if (t->state == KW_SETUP_ABSENT) {
        json_t *new = kw_scim_new(want);
        (void)json_object_set_new(new, "tags", kw_scim_tags("setup"));
        return new;
    }
    json_t *ops = kw_scim_changes(t->found, want, fixed);
    if (!t->mine) /* it is adopted */
        (void)json_array_append_new(ops, json_pack("{s:s,s:s,s:o}", "op", "replace", "path", "tags",
                                                   "value", kw_scim_tags_with(t->found, "setup")));
    *ret_n = json_array_size(ops);
    return kw_scim_patch(ops);
}

int kw_oci_make(struct kw_setup *s, struct kw_setup_step *t, const char *kind, json_t *want,
                const char *const *fixed, json_t **ret, struct kw_err *err)
{
    char path[512], title[600];
    const char *version = kw_oci_text(json_object_get(t->found, "meta"), "version");
    bool new = t->state == KW_SETUP_ABSENT;
    size_t n;
    json_t *body = body_of(t, want, fixed, &n);
    const struct kw_oci_call c = {.method = new ? "POST" : "PATCH",
                                  .target = path,
                                  .what = kw_setup_title(t, title, sizeof title),
                                  .match = new || version[0] == '\0' ? NULL : version,
                                  .body = body,
                                  .temp = true};
    *ret = NULL;
    (void)snprintf(path, sizeof path, "/admin/v1/%s", kind);
    int r = want == NULL || body == NULL ? kw_fail(err, KW_FAILED, "there is no memory left") : 0;
    if (r == 0 && !new)
        r = path_of(t, kind, path, sizeof path, err);
    if (r == 0 && n > 0)
        r = kw_oci_call(s, &c, ret, err);
    json_decref(body);
    json_decref(want);
    return r;
}

int kw_oci_remove(struct kw_setup *s, struct kw_setup_step *t, const char *kind, struct kw_err *err)
{
    char path[512], title[600];
    bool gone = false;
    const struct kw_oci_call c = {.method = "DELETE",
                                  .target = path,
                                  .what = kw_setup_title(t, title, sizeof title),
                                  .gone = &gone};
    int r = path_of(t, kind, path, sizeof path, err);
    return r != 0 ? r : kw_oci_call(s, &c, NULL, err);
}
