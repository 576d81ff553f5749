/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a job becomes: service users, their group, and what IAM's policy allows it.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"
#include "src/wire/hdr.h"

/* --- service users ----------------------------------------------------------------------- */

static const char extension[] = KW_SCIM_USER;
static const char *const user_fixed[] = {"userName", "description", extension, "active", NULL};
/* Of somebody else's that is to be used as it is: one that is off is of no use. */
static const char *const user_theirs[] = {"userName", "description", extension, NULL};

static int look_user(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    json_t *have;
    int r = kw_oci_find(s, "Users", "userName", t->name,
                        "userName,description,active,tags," KW_SCIM_USER ":serviceUser",
                        "looking for it", &have, err);
    if (r != 0)
        return r;
    const json_t *flag = json_object_get(json_object_get(have, KW_SCIM_USER), "serviceUser");
    if (have != NULL)
        (void)json_object_set(o->ids, t->name, json_object_get(have, "id"));
    else
        (void)json_object_del(o->ids, t->name);
    bool ours = strcmp(kw_scim_mark(have), o->base) == 0;
    bool stays = have != NULL && (ours || o->adopt); /* on or off, as it is */
    r = kw_oci_compare(s, t, have, kw_oci_want_user(t->name), stays ? user_fixed : user_theirs,
                       err);
    if (r == 0 && stays && !s->destroy && !json_is_true(json_object_get(have, "active"))) {
        (void)snprintf(t->note, sizeof t->note,
                       "it is not active, so nobody can become it: the console switches it on");
        kw_setup_warn(s, "the service user %s is switched off and stays so", t->name);
    }
    if (r == 0 && ours && s->destroy) {
        const char *issuer;
        r = kw_oci_other_trust(s, kw_oci_text(have, "id"), &issuer, err);
        kw_oci_note_needed(t, issuer);
        o->shared = issuer != NULL ? issuer : o->shared;
    }
    if (have != NULL && !json_is_true(flag)) {
        t->state = KW_SETUP_FOREIGN;
        t->mine = false;
        (void)snprintf(t->note, sizeof t->note,
                       "it is no service user, and can't become one: choose another name by "
                       "--service-user");
    }
    return r;
}

static int act_user(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *answer;
    int r = kw_oci_make(s, t, "Users", kw_oci_want_user(t->name), user_fixed, &answer, err);
    json_decref(answer);
    return r;
}

static int undo_user(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return kw_oci_remove(s, t, "Users", err);
}

/* --- the group --------------------------------------------------------------------------- */

static const char *const group_fixed[] = {"displayName", NULL};

static int find_group(struct kw_setup *s, json_t **ret, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    int r = kw_oci_find(s, "Groups", "displayName", o->group, "displayName,members,tags",
                        "looking for the group", ret, err);
    if (r == 0)
        (void)snprintf(o->group_id, sizeof o->group_id, "%s", kw_oci_text(*ret, "id"));
    return r;
}

/* Is that id among the members? count: of those who are none of our users. */
static bool is_member(const struct kw_oci_setup *o, const json_t *group, const char *id,
                      size_t *others)
{
    const json_t *one, *known;
    const char *name;
    bool found = false;
    size_t i;
    *others = 0;
    json_array_foreach(json_object_get(group, "members"), i, one)
    {
        bool ours = false;
        const char *value = kw_oci_text(one, "value");
        found = found || (id[0] != '\0' && strcmp(value, id) == 0);
        json_object_foreach(o->ids, name, known) ours =
            ours || (json_is_string(known) && strcmp(json_string_value(known), value) == 0);
        *others += !ours;
    }
    return found;
}

static int look_group(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *have;
    size_t others;
    int r = find_group(s, &have, err);
    if (r != 0)
        return r;
    (void)is_member(kw_oci(s), have, "", &others);
    r = kw_oci_compare(s, t, have, kw_oci_want_group(kw_oci(s)), group_fixed, err);
    if (s->destroy)
        kw_oci_note_needed(t, kw_oci(s)->shared);
    if (s->destroy && t->mine && others > 0) {
        t->mine = false;
        (void)snprintf(t->note, sizeof t->note,
                       "keyward made it, but it has %zu other members: it stays", others);
    }
    return r;
}

static int act_group(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *answer;
    int r = kw_oci_make(s, t, "Groups", kw_oci_want_group(kw_oci(s)), group_fixed, &answer, err);
    json_decref(answer);
    return r;
}

static int undo_group(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return kw_oci_remove(s, t, "Groups", err);
}

/* --- members: a user in the group -------------------------------------------------------- */

/* t->name is "USER in GROUP": the user's number among .users is behind .arg. */
static const char *member_name(const struct kw_oci_setup *o, const struct kw_setup_step *t)
{
    return json_string_value(json_array_get(o->users, (size_t)t->arg / 16));
}

/* A membership is ours to take away where the user is. */
static bool user_is_ours(const struct kw_setup *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->steps[i].arg == KW_OCI_USER && strcmp(s->steps[i].name, name) == 0)
            return s->steps[i].mine;
    return false;
}

static int look_member(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    const char *name = member_name(o, t), *id = kw_oci_text(o->ids, name);
    json_t *group;
    size_t others;
    int r = find_group(s, &group, err);
    if (r != 0)
        return r;
    bool in = is_member(o, group, id, &others);
    t->mine = in && user_is_ours(s, name);
    t->state = in ? KW_SETUP_SAME : KW_SETUP_ABSENT;
    json_decref(group);
    return 0;
}

static int change_member(struct kw_setup *s, const struct kw_setup_step *t, bool add,
                         struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    char path[KW_SCIM_ID + 64];
    const char *id = kw_oci_text(o->ids, member_name(o, t));
    if (id[0] == '\0' || o->group_id[0] == '\0')
        return kw_fail(err, KW_NET, "user or group can't be seen");
    json_t *body = kw_oci_member(id, add);
    (void)snprintf(path, sizeof path, "/admin/v1/Groups/%s", o->group_id);
    const struct kw_oci_call c = {.method = "PATCH",
                                  .target = path,
                                  .what = add ? "adding it" : "taking it out",
                                  .body = body,
                                  .temp = true};
    int r = kw_oci_call(s, &c, NULL, err);
    json_decref(body);
    return r;
}

static int act_member(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return change_member(s, t, true, err);
}

static int undo_member(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return change_member(s, t, false, err);
}

/* --- the policy -------------------------------------------------------------------------- */

static const char *const policy_fixed[] = {"compartmentId", "name", NULL};

static int policy_url(const struct kw_oci_setup *o, const char *id, char *url, size_t size,
                      struct kw_err *err)
{
    struct kw_buf b;
    kw_buf_init(&b, 2048);
    kw_put_fmt(&b, "%s/20160918/policies", o->identity);
    if (id == NULL) {
        kw_put_str(&b, "?compartmentId=");
        kw_pct_put(&b, o->compartment, strlen(o->compartment));
        kw_put_str(&b, "&name=");
        kw_pct_put(&b, o->policy, strlen(o->policy));
    } else if (id[0] != '\0') {
        kw_put_str(&b, "/");
        kw_pct_put(&b, id, strlen(id));
    }
    bool ok = !b.bad && (size_t)snprintf(url, size, "%s", kw_buf_str(&b)) < size;
    kw_buf_free(&b);
    return ok ? 0 : kw_fail(err, KW_USAGE, "the policy's name or compartment is too long");
}

static int look_policy(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    char url[2048];
    json_t *list = NULL, *have = NULL;
    json_t *one = NULL;
    const char *id;
    const struct kw_oci_call c = {.method = "GET", .target = url, .what = "looking for it"};
    int r = policy_url(o, NULL, url, sizeof url, err);
    if (r == 0)
        r = kw_oci_call(s, &c, &list, err);
    if (r == 0)
        r = kw_scim_one(list, "looking for it", &one, err);
    if (r == 0 && one != NULL)
        r = kw_oci_id(one, "id", &id, err);
    if (r == 0) {
        have = one != NULL ? json_incref(one) : NULL;
        r = kw_oci_compare(s, t, have, kw_oci_want_policy(o), policy_fixed, err);
    }
    if (r == 0 && s->destroy)
        kw_oci_note_needed(t, o->shared);
    json_decref(list);
    return r;
}

static int act_policy(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    char url[2048];
    bool new = t->state == KW_SETUP_ABSENT;
    unsigned status = 0;
    json_t *want = kw_oci_want_policy(o);
    struct kw_oci_call c = {.method = new ? "POST" : "PUT",
                            .target = url,
                            .what = new ? "making it" : "changing it",
                            .body = want,
                            .status = &status};
    int r = policy_url(o, new ? "" : kw_oci_text(t->found, "id"), url, sizeof url, err);
    if (!new) {
        (void)json_object_del(want, "compartmentId");
        (void)json_object_del(want, "name");
    }
    (void)json_object_set_new(want, "freeformTags", kw_scim_freeform_with(t->found, o->base));
    if (r == 0)
        r = kw_oci_call(s, &c, NULL, err);
    json_decref(want);
    return new ? kw_oci_again(t, status, r, err) : r;
}

static int undo_policy(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[2048];
    bool gone = false;
    const struct kw_oci_call c = {
        .method = "DELETE", .target = url, .what = "removing it", .gone = &gone};
    int r = policy_url(kw_oci(s), kw_oci_text(t->found, "id"), url, sizeof url, err);
    return r != 0 ? r : kw_oci_call(s, &c, NULL, err);
}

/* --- all of them ------------------------------------------------------------------------- */

typedef int deed(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err);

static int fill(struct kw_setup_step *t, int arg, deed *look, deed *act, deed *undo,
                const struct kw_err *err)
{
    if (t == NULL)
        return (int)err->code;
    t->arg = arg;
    t->look = look;
    t->act = act;
    t->undo = undo;
    t->command = kw_oci_commands;
    return 0;
}

int kw_oci_add_who(struct kw_setup *s, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    const json_t *one;
    size_t i;
    int r = 0;
    json_array_foreach(o->users, i, one)
    {
        if (r == 0)
            r = fill(kw_setup_add(s, err, "service user", "%s", json_string_value(one)),
                     KW_OCI_USER, look_user, act_user, undo_user, err);
    }
    if (r == 0 && o->group != NULL)
        r = fill(kw_setup_add(s, err, "group", "%s", o->group), KW_OCI_GROUP, look_group, act_group,
                 undo_group, err);
    json_array_foreach(o->users, i, one)
    {
        if (r == 0 && o->group != NULL)
            r = fill(kw_setup_add(s, err, "member", "%s in %s", json_string_value(one), o->group),
                     KW_OCI_MEMBER + 16 * (int)i, look_member, act_member, undo_member, err);
    }
    if (r == 0 && o->policy != NULL)
        r = fill(kw_setup_add(s, err, "policy", "%s", o->policy), KW_OCI_POLICY, look_policy,
                 act_policy, undo_policy, err);
    return r;
}
