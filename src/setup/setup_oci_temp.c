/* SPDX-License-Identifier: Apache-2.0
 *
 * An application that is an administrator of the domain for as long as the set-up takes
 * (--admin-app): for those whose own key may make applications and grants, but neither users
 * nor trusts. It is made first, if there is anything to be done that needs it, and removed
 * last, with its grant, also where something failed; one that an interrupted run left is found,
 * used and removed.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"
#include "src/base/log.h"

#define ROLE  "Identity Domain Administrator"
#define SHOWN "name,displayName,active,tags"

static const char what[] = "administrator application";

const char *kw_oci_temp_mark(const struct kw_oci_setup *o, char *text, size_t size)
{
    (void)snprintf(text, size, "%s administrator", o->base);
    return text;
}

static int find(struct kw_setup *s, json_t **ret, bool *ours, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    char mark[128];
    const char *id;
    int r = kw_oci_find(s, "Apps", "displayName", o->temp, SHOWN, "looking for it", ret, err);
    if (r == 0 && *ret != NULL && (r = kw_oci_id(*ret, "name", &id, err)) != 0) {
        json_decref(*ret);
        *ret = NULL;
    }
    *ours = r == 0 && *ret != NULL &&
            (strcmp(kw_scim_mark(*ret), kw_oci_temp_mark(o, mark, sizeof mark)) == 0 || o->adopt);
    o->temp_used = o->temp_used || *ours;
    return r;
}

/* The role, and whether the application has it: its grant's id, or "". */
static int find_grant(struct kw_setup *s, const char *app_id, char *role, char *grant, size_t size,
                      struct kw_err *err)
{
    json_t *found = NULL, *list = NULL, *one;
    const char *id;
    size_t i;
    role[0] = grant[0] = '\0';
    int r = kw_oci_find(s, "AppRoles", "displayName", ROLE, "displayName",
                        "looking for the role " ROLE, &found, err);
    if (r == 0 && found == NULL)
        r = kw_fail(err, KW_CLOUD, "the domain has no role " ROLE);
    (void)snprintf(role, size, "%s", kw_oci_text(found, "id"));
    json_decref(found);
    if (r != 0 || app_id[0] == '\0')
        return r;
    char target[KW_SCIM_ID + 80];
    (void)snprintf(target, sizeof target,
                   "/admin/v1/Grants?filter=grantee.value%%20eq%%20%%22%s%%22&count=1000", app_id);
    r = kw_oci_list(s, target, "looking for its grants", &list, err);
    json_array_foreach(json_object_get(list, "Resources"), i, one)
    {
        const json_t *e = json_object_get(one, "entitlement");
        if (r != 0 || strcmp(kw_oci_text(e, "attributeValue"), role) != 0)
            continue;
        r = kw_oci_id(one, "id", &id, err);
        (void)snprintf(grant, size, "%s", r == 0 ? id : "");
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
        if (copy.arg == KW_OCI_TEMP_END || copy.arg == KW_OCI_POLICY)
            continue; /* IAM asks for a signature, whoever's */
        copy.diff = copy.found = NULL;
        copy.note[0] = '\0';
        copy.mine = false;
        r = copy.look(s, &copy, err);
        *needed =
            r == 0 && (s->destroy ? kw_setup_goes(&copy)
                                  : copy.state != KW_SETUP_SAME && copy.state != KW_SETUP_FOREIGN);
        json_decref(copy.diff);
        json_decref(copy.found);
    }
    return r;
}

static void note_theirs(struct kw_setup_step *t)
{
    (void)snprintf(
        t->note, sizeof t->note,
        "keyward didn't make it for this set-up: left as it is, and not used; if nothing "
        "needs its grants any more, --adopt has it removed at the end");
}

/* --destroy begins with it and ends with it: here it is what is removed last. Where it isn't there
 * yet, the first that needs it makes it. */
static void look_destroy(struct kw_oci_setup *o, struct kw_setup_step *t, bool ours, bool needed)
{
    bool first = !o->temp_planned;
    o->temp_planned = true;
    if (first)
        o->temp_wanted = needed && (t->found == NULL || ours);
    t->mine = ours || (first && o->temp_wanted);
    t->state = t->mine ? KW_SETUP_SAME : t->found != NULL ? KW_SETUP_FOREIGN : KW_SETUP_ABSENT;
    if (t->mine && t->found == NULL)
        (void)snprintf(t->note, sizeof t->note,
                       "made for as long as this takes, with the role " ROLE);
    else if (!t->mine && t->found != NULL)
        note_theirs(t);
}

static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    char role[KW_SCIM_ID + 1], grant[KW_SCIM_ID + 1];
    bool ours = false, needed = false;
    int r = find(s, &t->found, &ours, err);
    if (r == 0 && (!s->destroy || !o->temp_planned))
        r = is_needed(s, t, &needed, err);
    if (r == 0 && s->destroy) {
        look_destroy(o, t, ours, needed);
        return 0;
    }
    if (r == 0 && ours)
        r = find_grant(s, kw_oci_text(t->found, "id"), role, grant, sizeof role, err);
    if (r != 0)
        return r;
    const json_t *have = t->found;
    bool ready = ours && grant[0] != '\0' && json_is_true(json_object_get(have, "active"));
    o->temp_wanted = needed && (have == NULL || ours);
    t->state = !needed || ready || (have != NULL && !ours) ? KW_SETUP_SAME
               : have == NULL                              ? KW_SETUP_ABSENT
                                                           : KW_SETUP_DIFFERS;
    if (t->state != KW_SETUP_SAME)
        (void)kw_setup_differs_text(t, "role, for as long as this takes", NULL, ROLE);
    if (have != NULL && !ours)
        note_theirs(t);
    else if (have == NULL && !needed)
        (void)snprintf(t->note, sizeof t->note, "not there, and not needed");
    t->mine = false; /* the last step removes it */
    return 0;
}

/* Towards an active application that has the role. t: whose .found it is, if there is one. */
static int act(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    char id[KW_SCIM_ID + 1], role[KW_SCIM_ID + 1], grant[KW_SCIM_ID + 1], mark[128];
    unsigned status = 0;
    json_t *answer = NULL, *body;
    const char *made;
    int r = 0;
    o->temp_used = true;
    (void)snprintf(id, sizeof id, "%s", kw_oci_text(t->found, "id"));
    if (t->found == NULL) {
        body = kw_oci_temp_app(o->temp, kw_oci_temp_mark(o, mark, sizeof mark));
        const struct kw_oci_call c = {.method = "POST",
                                      .target = "/admin/v1/Apps",
                                      .what = "making it",
                                      .body = body,
                                      .status = &status};
        r = kw_oci_call(s, &c, &answer, err);
        r = kw_oci_again(t, status, r, err);
        if (r == 0)
            r = kw_oci_id(answer, "id", &made, err);
        (void)snprintf(id, sizeof id, "%s", r == 0 ? made : "");
        json_decref(answer); /* its secret is asked for when it is needed */
        json_decref(body);
    }
    if (r == 0)
        r = find_grant(s, id, role, grant, sizeof role, err);
    if (r == 0 && grant[0] == '\0') {
        body = kw_oci_temp_grant(id, role);
        const struct kw_oci_call c = {.method = "POST",
                                      .target = "/admin/v1/Grants",
                                      .what = "the grant of " ROLE " to it",
                                      .body = body,
                                      .status = &status};
        r = kw_oci_call(s, &c, NULL, err);
        r = kw_oci_again(t, status, r, err);
        json_decref(body);
    }
    return r == 0 && !json_is_true(json_object_get(t->found, "active"))
               ? kw_oci_app_switch(s, id, true, err)
               : r;
}

/* --- as the application ------------------------------------------------------------------ */

/* Where no step of its own has made it (--destroy): makes it, until it is as wanted. */
static int ensure(struct kw_setup *s, json_t **ret, bool *ours, struct kw_err *err)
{
    enum { PAUSE_MS = 200 };
    char role[KW_SCIM_ID + 1], grant[KW_SCIM_ID + 1] = "";
    int64_t since = kw_now_ms();
    struct kw_setup_step t = {.kind = what};
    for (;;) {
        int r = find(s, &t.found, ours, err);
        if (r == 0 && *ours)
            r = find_grant(s, kw_oci_text(t.found, "id"), role, grant, sizeof role, err);
        bool ready = grant[0] != '\0' && json_is_true(json_object_get(t.found, "active"));
        if (r == 0 && (ready || (t.found != NULL && !*ours) || !s->destroy)) {
            *ret = t.found;
            *ours = *ours && ready; /* what comes before its own step goes without it */
            return 0;
        }
        if (r == 0)
            r = act(s, &t, err);
        json_decref(t.found);
        t.found = NULL;
        if ((r != 0 && r != KW_NET) || kw_now_ms() - since > (int64_t)s->wait_s * 1000)
            return r != 0 ? r : kw_fail(err, KW_NET, "it is not seen yet (--wait)");
        r = kw_setup_pause(s, what, since, PAUSE_MS, err);
        if (r != 0)
            return r;
    }
}

int kw_oci_temp_open(struct kw_setup *s, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    json_t *have = NULL, *answer = NULL;
    bool ours = false, wrong;
    if (!o->temp_wanted || o->temp_bearer != NULL)
        return 0;
    int r = ensure(s, &have, &ours, err);
    if (r == 0 && ours)
        r = kw_oci_app_secret(s, kw_oci_text(have, "id"), &answer, err);
    const char *text = kw_oci_text(answer, "clientSecret");
    struct kw_secret *secret = text[0] != '\0' ? kw_secret_from(text, strlen(text)) : NULL;
    if (r == 0 && ours)
        r = secret == NULL
                ? kw_fail(err, KW_CLOUD, "the domain gave no client secret")
                : kw_oci_client_token(s, kw_oci_text(have, "name"), secret,
                                      "an access token for it", &o->temp_bearer, &wrong, err);
    kw_secret_free(&secret);
    json_decref(answer);
    json_decref(have);
    return r != 0 ? kw_err_wrap(err, "%s %s", what, o->temp) : 0;
}

/* --- at the end -------------------------------------------------------------------------- */

/* "Absent" is that it has been removed: before it is there, that can't be seen. */
static int look_end(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    bool ours = false;
    int r = find(s, &t->found, &ours, err);
    if (r != 0)
        return r;
    t->mine = ours;
    t->state = ours                                 ? KW_SETUP_ABSENT
               : t->found == NULL && o->temp_wanted ? KW_SETUP_UNSEEN
                                                    : KW_SETUP_SAME;
    return 0;
}

/* First the grant: whatever happens then, nobody is an administrator by it. */
static int remove_it(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    char role[KW_SCIM_ID + 1], grant[KW_SCIM_ID + 1], target[KW_SCIM_ID + 64];
    const char *id = kw_oci_text(t->found, "id");
    bool gone = false;
    o->temp_wanted = false; /* its work is done */
    kw_secret_free(&o->temp_bearer);
    if (t->found == NULL)
        return 0;
    int r = find_grant(s, id, role, grant, sizeof role, err);
    if (r == 0 && grant[0] != '\0') {
        (void)snprintf(target, sizeof target, "/admin/v1/Grants/%s", grant);
        const struct kw_oci_call c = {
            .method = "DELETE", .target = target, .what = "removing its grant", .gone = &gone};
        r = kw_oci_call(s, &c, NULL, err);
    }
    if (r == 0 && json_is_true(json_object_get(t->found, "active")))
        r = kw_oci_app_switch(s, id, false, err);
    return r == 0 ? kw_oci_remove(s, t, "Apps", err) : r;
}

/* What is left of it now that all else has ended. */
static void clean_up(struct kw_setup *s)
{
    enum { TRIES = 3 };
    struct kw_oci_setup *o = kw_oci(s);
    struct kw_err why = {0};
    bool ours = true;
    int r = KW_NET;
    o->temp_wanted = false;
    for (int i = 0; r == KW_NET && ours && i < TRIES; i++) {
        struct kw_setup_step t = {.kind = what};
        r = find(s, &t.found, &ours, &why);
        if (r == 0 && ours) {
            r = remove_it(s, &t, &why);
            if (r == 0)
                kw_log(KW_WARN, "the %s %s is removed, with its grant", what, o->temp);
        }
        json_decref(t.found);
    }
    if (r != 0 && o->temp_used)
        kw_log(KW_WARN,
               "LEFT BEHIND at %s: the %s %s, with its grant of the role " ROLE
               ": the same command removes it, or the console (%s)",
               o->domain, what, o->temp, why.text);
}

/* Who interrupts it may not leave an administrator there unknowing: that one goes first, in a time
 * that can be waited for. Who does so again has been told. */
void kw_oci_abandon(struct kw_setup *s)
{
    enum { MOST_MS = 10000 };
    const struct kw_oci_setup *o = kw_oci(s);
    if (o->temp == NULL)
        return;
    if (!kw_interrupted()) {
        clean_up(s);
        return;
    }
    if (!o->temp_used)
        return;
    kw_log(KW_WARN, "interrupted; the %s %s is removed first (interrupt again to leave it)", what,
           o->temp);
    (void)kw_interrupt_aside();
    s->until_ms = kw_now_ms() + MOST_MS;
    clean_up(s);
    s->until_ms = 0;
    kw_interrupt_again();
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
    t->undo = end ? NULL : remove_it; /* --destroy has no end of its own */
    t->arg = end ? KW_OCI_TEMP_END : KW_OCI_TEMP;
    return 0;
}
