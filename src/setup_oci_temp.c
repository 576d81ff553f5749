/* SPDX-License-Identifier: Apache-2.0
 *
 * An application that is an administrator of the domain for as long as the set-up takes
 * (--admin-app): for those whose own key may make applications and grants, but neither users
 * nor trusts. It is made first, if there is anything to be done that needs it, and removed
 * last, with its grant; one that an interrupted run left is found, used and removed.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"

#define ROLE  "Identity Domain Administrator"
#define SHOWN "name,displayName,active,tags"

static const char what[] = "administrator application";

static int find(struct kw_setup *s, json_t **ret, bool *ours, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    int r = kw_oci_find(s, "Apps", "displayName", o->temp, SHOWN, what, ret, err);
    *ours =
        r == 0 && *ret != NULL && (strcmp(kw_scim_mark(*ret), "administrator") == 0 || o->adopt);
    return r;
}

/* The role, and whether the application has it: its grant's id, or "". */
static int find_grant(struct kw_setup *s, const char *app_id, char *role, char *grant, size_t size,
                      struct kw_err *err)
{
    json_t *found = NULL, *list = NULL, *one;
    size_t i;
    role[0] = grant[0] = '\0';
    int r =
        kw_oci_find(s, "AppRoles", "displayName", ROLE, "displayName", "role " ROLE, &found, err);
    if (r == 0 && found == NULL)
        r = kw_fail(err, KW_CLOUD, "the domain has no role " ROLE);
    (void)snprintf(role, size, "%s", kw_oci_text(found, "id"));
    json_decref(found);
    if (r != 0 || app_id[0] == '\0')
        return r;
    char target[600];
    (void)snprintf(target, sizeof target,
                   "/admin/v1/Grants?filter=grantee.value%%20eq%%20%%22%.128s%%22", app_id);
    const struct kw_oci_call c = {.method = "GET", .target = target, .what = "grants"};
    r = kw_oci_call(s, &c, &list, err);
    json_array_foreach(json_object_get(list, "Resources"), i, one)
    {
        const json_t *e = json_object_get(one, "entitlement");
        if (strcmp(kw_oci_text(e, "attributeValue"), role) == 0)
            (void)snprintf(grant, size, "%s", kw_oci_text(one, "id"));
    }
    json_decref(list);
    return r;
}

/* --- at the beginning -------------------------------------------------------------------- */

/* Does any later step want what only an administrator may? */
static int is_needed(struct kw_setup *s, const struct kw_setup_step *t, bool *needed,
                     struct kw_err *err)
{
    int r = 0;
    *needed = false;
    for (size_t i = (size_t)(t - s->steps) + 1; r == 0 && i < s->n && !*needed; i++) {
        struct kw_setup_step copy = s->steps[i];
        if (copy.arg == KW_OCI_TEMP_END)
            continue;
        copy.diff = copy.found = NULL;
        copy.note[0] = '\0';
        copy.mine = false;
        r = copy.look(s, &copy, err);
        *needed = r == 0 && copy.state != KW_SETUP_SAME && copy.state != KW_SETUP_FOREIGN;
        json_decref(copy.diff);
        json_decref(copy.found);
    }
    return r;
}

static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    char role[128], grant[128];
    json_t *have = NULL;
    bool ours = false, needed = false;
    int r = find(s, &have, &ours, err);
    if (r == 0 && ours)
        r = find_grant(s, kw_oci_text(have, "id"), role, grant, sizeof role, err);
    if (r == 0 && !s->destroy)
        r = is_needed(s, t, &needed, err);
    t->found = have;
    if (r != 0)
        return r;
    bool ready = ours && grant[0] != '\0' && json_is_true(json_object_get(have, "active"));
    o->temp_wanted = needed && (have == NULL || ours);
    t->state = !needed || ready || (have != NULL && !ours) ? KW_SETUP_SAME
               : have == NULL                              ? KW_SETUP_ABSENT
                                                           : KW_SETUP_DIFFERS;
    if (t->state != KW_SETUP_SAME)
        (void)kw_setup_differs_text(t, "role, for as long as this takes", NULL, ROLE);
    if (have != NULL && !ours)
        (void)snprintf(t->note, sizeof t->note,
                       "keyward didn't make it: left as it is, and not used; if nothing needs its "
                       "grants any more, --adopt has it removed at the end");
    else if (have == NULL && !needed)
        (void)snprintf(t->note, sizeof t->note, "not there, and not needed");
    t->mine = false; /* the last step removes it */
    return 0;
}

static int act(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    char id[128], role[128], grant[128];
    json_t *answer = NULL, *body;
    int r = 0;
    (void)snprintf(id, sizeof id, "%s", kw_oci_text(t->found, "id"));
    if (t->found == NULL) {
        body = kw_oci_temp_app(o->temp);
        const struct kw_oci_call c = {
            .method = "POST", .target = "/admin/v1/Apps", .what = what, .body = body};
        r = kw_oci_call(s, &c, &answer, err);
        (void)snprintf(id, sizeof id, "%s", kw_oci_text(answer, "id"));
        json_decref(answer); /* its secret is asked for when it is needed */
        json_decref(body);
    }
    if (r == 0)
        r = find_grant(s, id, role, grant, sizeof role, err);
    if (r == 0 && grant[0] == '\0') {
        body = kw_oci_temp_grant(id, role);
        const struct kw_oci_call c = {
            .method = "POST", .target = "/admin/v1/Grants", .what = "grant of " ROLE, .body = body};
        r = kw_oci_call(s, &c, NULL, err);
        json_decref(body);
    }
    return r == 0 && !json_is_true(json_object_get(t->found, "active"))
               ? kw_oci_app_switch(s, id, true, err)
               : r;
}

/* --- as the application ------------------------------------------------------------------ */

int kw_oci_temp_open(struct kw_setup *s, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    json_t *have = NULL, *answer = NULL;
    bool ours = false;
    if (!o->temp_wanted || o->temp_bearer != NULL)
        return 0;
    int r = find(s, &have, &ours, err);
    if (r == 0 && ours)
        r = kw_oci_app_secret(s, kw_oci_text(have, "id"), what, &answer, err);
    const char *text = kw_oci_text(answer, "clientSecret");
    struct kw_secret *secret = text[0] != '\0' ? kw_secret_from(text, strlen(text)) : NULL;
    if (r == 0 && ours)
        r = secret == NULL
                ? kw_fail(err, KW_CLOUD, "%s: the domain gave no client secret", what)
                : kw_oci_client_token(s, kw_oci_text(have, "name"), secret, &o->temp_bearer, err);
    kw_secret_free(&secret);
    json_decref(answer);
    json_decref(have);
    return r;
}

/* --- at the end -------------------------------------------------------------------------- */

/* "Absent" is that it has been removed: before it is there, that can't be seen. */
static int look_end(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    bool ours = false;
    int r = find(s, &t->found, &ours, err);
    if (r != 0)
        return r;
    t->mine = ours;
    if (s->destroy)
        t->state = ours ? KW_SETUP_SAME : KW_SETUP_ABSENT;
    else
        t->state = ours                                 ? KW_SETUP_ABSENT
                   : t->found == NULL && o->temp_wanted ? KW_SETUP_UNSEEN
                                                        : KW_SETUP_SAME;
    o->temp_wanted = o->temp_wanted && !ours; /* once it was seen here, its work is done */
    return 0;
}

/* First the grant: whatever happens then, nobody is an administrator by it. */
static int remove_it(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char role[128], grant[128], target[256];
    const char *id = kw_oci_text(t->found, "id");
    bool gone = false;
    int r = find_grant(s, id, role, grant, sizeof role, err);
    if (r == 0 && grant[0] != '\0') {
        (void)snprintf(target, sizeof target, "/admin/v1/Grants/%.128s", grant);
        const struct kw_oci_call c = {
            .method = "DELETE", .target = target, .what = "grant of " ROLE, .gone = &gone};
        r = kw_oci_call(s, &c, NULL, err);
    }
    if (r == 0 && json_is_true(json_object_get(t->found, "active")))
        r = kw_oci_app_switch(s, id, false, err);
    return r == 0 ? kw_oci_remove(s, t, "Apps", err) : r;
}

/* --- both -------------------------------------------------------------------------------- */

int kw_oci_add_temp(struct kw_setup *s, bool end, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    struct kw_setup_step *t;
    if (o->temp == NULL)
        return 0;
    t = kw_setup_add(s, err, end ? "removal of administrator application" : what, "%s", o->temp);
    if (t == NULL)
        return (int)err->code;
    t->look = end ? look_end : look;
    t->act = end ? remove_it : act;
    t->undo = end ? remove_it : NULL;
    t->arg = end ? KW_OCI_TEMP_END : KW_OCI_TEMP;
    return 0;
}
