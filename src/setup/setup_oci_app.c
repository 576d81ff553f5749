/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks the token endpoint: a confidential application, with a secret or a certificate
 * (setup_oci_certificate.c).
 *
 * The domain shows a secret once. So it is handed out before the application becomes active:
 * one that isn't yet, and has none in its place, may have one that got lost on the way, and gets
 * another. Of one that is or was in use the secret is never made void unasked.
 *
 * One that somebody switched off stays off, as the trust does, also where it is adopted. It is told
 * from one that was never finished by the trust, which is made last: that names the former.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"
#include "src/base/log.h"

#define SHOWN                                                                                      \
    "name,displayName,description,active,isOAuthClient,clientType,allowedGrants,certificates,"     \
    "basedOnTemplate,tags"

static const char *const fixed[] = {"displayName", "basedOnTemplate", NULL};

/* --- what is to be done ------------------------------------------------------------------ */

/* Can it have a secret that somebody uses? One of ours that is neither active nor in a trust
 * can't. */
static bool may_be_used(const struct kw_setup_step *t, const struct kw_oci_app_plan *p)
{
    return t->found != NULL &&
           (p->active || p->off ||
            (!t->mine && json_is_true(json_object_get(t->found, "isOAuthClient"))));
}

/* Is a secret to be made? The first one, the one of an application that never was in use, or
 * what was asked for. */
static bool makes_secret(const struct kw_oci_setup *o, const struct kw_setup_step *t, bool ours,
                         const struct kw_oci_app_plan *p)
{
    bool there = strncmp(o->secret != NULL ? o->secret : "", "fd:", 3) != 0 &&
                 o->held.what != KW_HOLDS_NOTHING;
    if (o->secret == NULL || o->told)
        return false;
    if (t->found == NULL)
        return true;
    return ours && (o->rotate || (!may_be_used(t, p) && !there));
}

/* What keeps the secret from being as wanted, and what to do; NULL: nothing. */
static const char *no_secret(const struct kw_oci_setup *o, const struct kw_setup_step *t, bool ours,
                             const struct kw_oci_app_plan *p)
{
    bool nothing = o->held.what == KW_HOLDS_NOTHING, other = o->held.what == KW_HOLDS_OTHER;
    bool file = strncmp(o->secret, "fd:", 3) != 0;
    if (o->told)
        return NULL;
    if (p->makes_secret && file && !nothing && (t->found == NULL || !o->held.one_word))
        return "something is where its secret is to go, and would be overwritten: move it away, or "
               "choose another place by --client-secret";
    if (p->makes_secret || (!nothing && !other))
        return NULL;
    if (!ours)
        return "it isn't this set-up's, and its secret isn't where --client-secret says: put it "
               "there, or --adopt the application with --new-client-secret, which voids the secret "
               "that is in use";
    return other ? "what is where --client-secret says isn't its secret, or no longer: put that "
                   "there from where it is in use, or --new-client-secret makes another, which "
                   "voids the one in use"
                 : "its secret isn't where --client-secret says: put it there from where it is in "
                   "use, or --new-client-secret makes another, which voids the one in use";
}

static void plan_secret(const struct kw_oci_setup *o, struct kw_setup_step *t, bool ours,
                        struct kw_oci_app_plan *p)
{
    p->makes_secret = makes_secret(o, t, ours, p);
    if (p->makes_secret)
        (void)kw_setup_differs_text(
            t, "client secret",
            may_be_used(t, p) ? "the one in use, which is void from then on" : NULL, o->secret);
    const char *why = no_secret(o, t, ours, p);
    if (why != NULL && t->state != KW_SETUP_FOREIGN) {
        t->state = KW_SETUP_FOREIGN;
        (void)snprintf(t->note, sizeof t->note, "%s", why);
    }
}

/* With an application goes the file of its secret, but only what verifiably is that. */
static void note_file(const struct kw_oci_setup *o, struct kw_setup_step *t)
{
    char path[1100];
    kw_oci_place_file(o, path, sizeof path);
    if (path[0] == '\0' || o->held.what == KW_HOLDS_NOTHING || t->note[0] != '\0')
        return;
    if (t->mine && o->held.what == KW_HOLDS_IT)
        (void)snprintf(t->note, sizeof t->note, "with it goes %.300s, which holds its secret",
                       path);
    else if (t->mine && !o->app_plan.active && o->held.one_word)
        (void)snprintf(
            t->note, sizeof t->note,
            "it is switched off; with it goes %.300s, if that holds its secret: which is "
            "asked when no trust names it any more",
            path);
    else
        (void)snprintf(t->note, sizeof t->note, "%.300s stays: %s", path,
                       t->found == NULL ? "there is no application that could say whose secret it "
                                          "holds"
                       : o->held.what == KW_HOLDS_OTHER
                           ? "it doesn't hold this application's secret"
                           : "whether it holds this application's secret can't be told");
}

static int survey(struct kw_setup *s, struct kw_setup_step *t, struct kw_oci_app_plan *p,
                  struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    const char *id = "";
    json_t *have;
    int r = kw_oci_find(s, "Apps", "displayName", o->app, SHOWN, "looking for it", &have, err);
    if (r == 0 && have != NULL)
        r = kw_oci_id(have, "name", &id, err);
    (void)snprintf(o->client_id, sizeof o->client_id, "%s", r == 0 ? id : "");
    if (r != 0) {
        json_decref(have);
        return r;
    }
    *p = (struct kw_oci_app_plan){.active = json_is_true(json_object_get(have, "active"))};
    r = kw_oci_compare(s, t, have, kw_oci_want_app(o), fixed, err);
    if (r == 0 && have != NULL && (t->mine || o->adopt) && !p->active)
        r = kw_oci_is_named(s, o->client_id, &p->off, err);
    size_t mark = t->mine || !o->adopt ? 0 : 1; /* what adopting alone changes */
    bool whole = have != NULL && json_array_size(t->diff) <= mark;
    if (r == 0 && o->secret != NULL)
        r = kw_oci_place_look(s, o->client_id, p->active && whole && !o->activated, err);
    return r;
}

static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    struct kw_oci_app_plan *p = &o->app_plan;
    int r = survey(s, t, p, err);
    if (r != 0)
        return r;
    bool ours = t->found == NULL || t->mine || o->adopt;
    if (s->destroy) {
        r = kw_oci_other_trust(s, o->client_id, &o->shared, err);
        kw_oci_note_needed(t, o->shared);
        if (o->secret != NULL)
            note_file(o, t);
        return r;
    }
    if (!p->active && !p->off)
        (void)kw_setup_differs(t, "active", NULL, json_true());
    if (o->secret != NULL)
        plan_secret(o, t, ours, p);
    if (t->state == KW_SETUP_SAME && t->note[0] == '\0' && o->secret != NULL && p->active &&
        !o->told && strncmp(o->secret, "fd:", 3) == 0)
        (void)snprintf(t->note, sizeof t->note,
                       "its secret was handed out before: --new-client-secret makes another, which "
                       "voids that one");
    bool changes = (!p->active && !p->off) || p->makes_secret;
    if (t->state == KW_SETUP_SAME && changes && !ours)
        (void)snprintf(t->note, sizeof t->note,
                       "it is not active, and not this set-up's: choose "
                       "another name by --app, or --adopt it");
    if (t->state == KW_SETUP_SAME && changes)
        t->state = ours ? KW_SETUP_DIFFERS : KW_SETUP_FOREIGN;
    if (p->off) {
        kw_setup_warn(s, "the application %s is switched off and stays so", o->app);
        if (t->note[0] == '\0')
            (void)snprintf(t->note, sizeof t->note,
                           "it is switched off, so nobody is let in: keyward revoke oci --restore");
    }
    return 0;
}

/* --- doing it ---------------------------------------------------------------------------- */

int kw_oci_app_switch(struct kw_setup *s, const char *id, bool active, struct kw_err *err)
{
    char path[KW_SCIM_ID + 64];
    json_t *body = kw_oci_status(id, active);
    (void)snprintf(path, sizeof path, "/admin/v1/AppStatusChanger/%s", id);
    const struct kw_oci_call c = {.method = "PUT",
                                  .target = path,
                                  .what = active ? "switching it on" : "switching it off",
                                  .body = body};
    int r = kw_oci_call(s, &c, NULL, err);
    json_decref(body);
    return r;
}

int kw_oci_app_secret(struct kw_setup *s, const char *id, json_t **ret, struct kw_err *err)
{
    json_t *body = kw_oci_new_secret(id);
    const struct kw_oci_call c = {.method = "POST",
                                  .target = "/admin/v1/AppClientSecretRegenerator",
                                  .what = "a new client secret of it",
                                  .body = body};
    int r = kw_oci_call(s, &c, ret, err);
    json_decref(body);
    return r;
}

/* From an answer that has one; it is never kept, shown or logged. */
static int take_secret(struct kw_oci_setup *o, struct kw_oci_place *place, json_t *answer,
                       struct kw_err *err)
{
    const char *secret = kw_oci_text(answer, "clientSecret");
    int r = secret[0] != '\0' ? kw_oci_place_put(o, place, secret, err) : 0;
    json_decref(answer); /* main's allocator wipes it */
    return r;
}

static int make_app(struct kw_setup *s, struct kw_setup_step *t, const struct kw_oci_app_plan *p,
                    struct kw_oci_place *place, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    json_t *answer = NULL;
    char id[KW_SCIM_ID + 1];
    bool new = t->found == NULL;
    int r = kw_oci_make(s, t, "Apps", kw_oci_want_app(o), fixed, &answer, err);
    (void)snprintf(id, sizeof id, "%s", kw_oci_text(new ? answer : t->found, "id"));
    if (r == 0 && new && p->makes_secret) {
        r = take_secret(o, place, answer, err);
        answer = NULL;
    }
    json_decref(answer);
    answer = NULL;
    if (r == 0 && p->makes_secret && !o->told) {
        r = kw_oci_app_secret(s, id, &answer, err);
        if (r == 0)
            r = take_secret(o, place, answer, err);
        if (r == 0 && !o->told)
            r = kw_fail(err, KW_CLOUD, "the domain gave no client secret");
    }
    if (r != 0 || p->active || p->off)
        return r;
    o->activated = true;
    return kw_oci_app_switch(s, id, true, err);
}

static int act(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    struct kw_oci_place place = {.file = {.fd = -1}, .fd = -1};
    int r = o->app_plan.makes_secret ? kw_oci_place_open(o, &place, err) : 0;
    if (r == 0)
        r = make_app(s, t, &o->app_plan, &place, err);
    kw_oci_place_close(&place);
    return r;
}

/* Whose secret a file holds, only an active application's domain says. By now no trust names it. */
static int ask_at_last(struct kw_setup *s, const struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    char path[1100];
    int r = kw_oci_app_switch(s, kw_oci_text(t->found, "id"), true, err);
    if (r == 0)
        r = kw_oci_place_look(s, o->client_id, true, err);
    kw_oci_place_file(o, path, sizeof path);
    if (r == 0 && o->held.what != KW_HOLDS_IT)
        kw_log(KW_WARN, "%s stays: it doesn't hold the secret of %s", path, o->app);
    return r;
}

/* The file first: whose secret it holds could not be told later. Only what isn't active can be
 * deleted. */
static int undo(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    bool active = json_is_true(json_object_get(t->found, "active"));
    bool asks =
        o->secret != NULL && !active && o->held.what == KW_HOLDS_UNKNOWN && o->held.one_word;
    int r = asks ? ask_at_last(s, t, err) : 0;
    if (r == 0 && o->secret != NULL)
        r = kw_oci_place_remove(o, err);
    if (r == 0 && (active || asks))
        r = kw_oci_app_switch(s, kw_oci_text(t->found, "id"), false, err);
    return r == 0 ? kw_oci_remove(s, t, "Apps", err) : r;
}

/* --- its place among the steps ------------------------------------------------------------ */

/* A certificate can only go where no application has it: older ones after the application was
 * changed, or (--destroy goes backwards) removed. */
int kw_oci_add_app(struct kw_setup *s, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    int r = 0;
    if (o->app == NULL)
        return 0;
    if (s->destroy)
        r = kw_oci_add_older(s, err);
    if (r == 0 && o->alias[0] != '\0')
        r = kw_oci_add_certificate(s, err);
    struct kw_setup_step *t = r == 0 ? kw_setup_add(s, err, "application", "%s", o->app) : NULL;
    if (t == NULL)
        return (int)err->code;
    t->look = look;
    t->act = act;
    t->undo = undo;
    t->command = kw_oci_commands;
    t->arg = KW_OCI_APP;
    return !s->destroy && o->alias[0] != '\0' ? kw_oci_add_older(s, err) : 0;
}
