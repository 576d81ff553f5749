/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may become a service user: the IdentityPropagationTrust of the issuer. A domain has one
 * for each issuer, and its name stays what it was made as.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"

/* impersonationServiceUsers is shown only where it is asked for. */
#define SHOWN                                                                                      \
    "name,description,type,issuer,active,allowImpersonation,subjectType,clockSkewSeconds,"         \
    "oauthClients,impersonationServiceUsers,claimValidations,claimPropagations,clientClaimName,"   \
    "clientClaimValues,publicKeyEndpoint,publicCertificate,impersonatingResource,tags"

static const char *const fixed[] = {"name", "issuer", "description", "active", NULL};
/* Of somebody else's that is to be used as it is: one that is off is of no use. */
static const char *const theirs[] = {"name", "issuer", "description", NULL};

/* Ids as people know them, and as they are called before they are known: the name of the
 * application, of the user. So a plan says the same before and after those are made. */
static json_t *client_shown(const struct kw_oci_setup *o, const json_t *list, bool ours)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        const char *id = json_string_value(one);
        bool known =
            ours || (id != NULL && o->client_id[0] != '\0' && strcmp(id, o->client_id) == 0);
        if (known && o->app != NULL)
            (void)json_array_append_new(out, json_sprintf("application %s", o->app));
        else
            (void)json_array_append(out, one);
    }
    return out;
}

static const char *user_shown(const struct kw_oci_setup *o, const char *id)
{
    const char *name;
    json_t *v;
    json_object_foreach(o->ids, name, v)
    {
        if (json_is_string(v) && strcmp(json_string_value(v), id) == 0)
            return name;
    }
    return id;
}

/* ours: from .rules, else from what is there. Objects, whose order counts. */
static json_t *rules_shown(const struct kw_oci_setup *o, const json_t *list, bool ours)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach(ours ? o->rules : list, i, one)
    {
        const char *user =
            ours ? kw_oci_text(one, "user") : user_shown(o, kw_oci_text(one, "value"));
        (void)json_array_append_new(
            out, json_pack("{s:s,s:s}", "rule", kw_oci_text(one, "rule"), "user", user));
    }
    return out;
}

static json_t *shown(const struct kw_oci_setup *o, json_t *t, bool ours)
{
    json_t *copy = t != NULL ? json_copy(t) : NULL;
    const json_t *clients = json_object_get(t, "oauthClients");
    const json_t *rules = json_object_get(t, "impersonationServiceUsers");
    if (copy == NULL)
        return NULL;
    if (json_is_array(clients))
        (void)json_object_set_new(copy, "oauthClients", client_shown(o, clients, ours));
    if (json_is_array(rules))
        (void)json_object_set_new(copy, "impersonationServiceUsers", rules_shown(o, rules, ours));
    return copy;
}

static bool has_rule(const json_t *rules, const char *rule)
{
    const json_t *one;
    size_t i;
    json_array_foreach(rules, i, one)
    {
        if (strcmp(kw_oci_text(one, "rule"), rule) == 0)
            return true;
    }
    return false;
}

/* What is seen there and wanted by nobody here can be a trap, or somebody's repository. */
static void note_traps(struct kw_setup *s, const struct kw_setup_step *t)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(t->found, "impersonationServiceUsers"), i, one)
    {
        const char *rule = kw_oci_text(one, "rule"), *wide = kw_preset_wide_rule(rule);
        if (wide != NULL && t->state != KW_SETUP_SAME)
            kw_setup_warn(s, "the trust that is there has the rule %.200s: %s", rule, wide);
        if (t->state == KW_SETUP_DIFFERS && !has_rule(kw_oci(s)->rules, rule))
            kw_setup_warn(s,
                          "the trust loses the rule %.200s: whom it lets in is let in no more; to "
                          "keep it, give it as --rule, too",
                          rule);
    }
}

/* An issuer that differs in its last slash is another issuer. */
static int note_slash(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char other[600];
    const char *issuer = kw_oci(s)->issuer;
    size_t n = strlen(issuer);
    json_t *have = NULL;
    bool slash = n > 0 && issuer[n - 1] == '/';
    (void)snprintf(other, sizeof other, "%.*s%s", (int)(slash ? n - 1 : n), issuer,
                   slash ? "" : "/");
    int r = kw_oci_find(s, "IdentityPropagationTrusts", "issuer", other, "issuer",
                        "looking for one that differs in the last slash", &have, err);
    if (have != NULL)
        (void)snprintf(t->note, sizeof t->note,
                       "there is one for %.300s, which is another issuer: tokens are compared with "
                       "it to the last slash",
                       other);
    json_decref(have);
    return r;
}

/* A domain has one trust for an issuer, so the second repository needs the first one's set-up. */
static void note_other(struct kw_setup *s, struct kw_setup_step *t)
{
    const struct kw_oci_setup *o = kw_oci(s);
    const char *mark = kw_scim_mark(t->found);
    bool other = mark[0] != '\0' && strcmp(mark, o->base) != 0;
    if (other && t->state == KW_SETUP_FOREIGN)
        (void)snprintf(t->note, sizeof t->note,
                       "it belongs to the set-up %.100s, and OCI has one trust for an issuer: give "
                       "that set-up the rules of both (its command, with all as --rule 'CLAIM eq "
                       "VALUE -> USER'), or --adopt it, which takes it away from that one and "
                       "replaces its rules",
                       mark);
    else if (other && o->adopt && !s->destroy)
        kw_setup_warn(s,
                      "the trust in %s is taken away from the set-up %s: its rules are replaced, "
                      "and its jobs are let in no more unless a rule here does so",
                      o->issuer, mark);
}

/* Whoever switched it off had a reason: `revoke --restore` switches it on, and nothing else. */
static void note_off(struct kw_setup *s, struct kw_setup_step *t, const json_t *have)
{
    bool ours = t->mine || kw_oci(s)->adopt;
    if (have == NULL || !ours || s->destroy || json_is_true(json_object_get(have, "active")))
        return;
    (void)snprintf(t->note, sizeof t->note,
                   "it is switched off, so nobody is let in: keyward revoke oci --restore");
    kw_setup_warn(s, "the trust in %s is switched off and stays so", kw_oci(s)->issuer);
}

static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    json_t *have, *want = kw_oci_want_trust(o);
    int r = kw_oci_find(s, "IdentityPropagationTrusts", "issuer", o->issuer, SHOWN,
                        "looking for it", &have, err);
    if (r == 0 && have == NULL && !s->destroy)
        r = note_slash(s, t, err);
    if (r == 0)
        r = kw_oci_compare(s, t, shown(o, have, false), shown(o, want, true),
                           strcmp(kw_scim_mark(have), o->base) == 0 || o->adopt ? fixed : theirs,
                           err);
    json_decref(want);
    if (r != 0) {
        json_decref(have);
        return r;
    }
    json_decref(t->found); /* act() wants the ids */
    t->found = have;
    note_traps(s, t);
    note_other(s, t);
    note_off(s, t, have);
    const char *name = kw_oci_text(have, "name");
    if (have != NULL && t->note[0] == '\0' && strcmp(name, o->trust) != 0)
        (void)snprintf(t->note, sizeof t->note, "its name is %.200s, which can't be changed", name);
    return 0;
}

static int act(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    json_t *answer;
    bool known = o->app == NULL || o->client_id[0] != '\0';
    if (!known || json_object_size(o->ids) < json_array_size(o->users))
        return kw_fail(err, KW_NET, "its application or its users can't be seen yet");
    int r =
        kw_oci_make(s, t, "IdentityPropagationTrusts", kw_oci_want_trust(o), fixed, &answer, err);
    json_decref(answer);
    return r;
}

static int undo(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return kw_oci_remove(s, t, "IdentityPropagationTrusts", err);
}

/* --- who else needs what this one names -------------------------------------------------- */

static int list_all(struct kw_setup *s, json_t **ret, struct kw_err *err)
{
    return kw_oci_list(s,
                       "/admin/v1/IdentityPropagationTrusts?count=1000&attributes=issuer,"
                       "oauthClients,impersonationServiceUsers,tags",
                       "looking for trusts that need it", ret, err);
}

static bool names(const json_t *trust, const char *id)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(trust, "oauthClients"), i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), id) == 0)
            return true;
    }
    json_array_foreach(json_object_get(trust, "impersonationServiceUsers"), i, one)
    {
        if (strcmp(kw_oci_text(one, "value"), id) == 0)
            return true;
    }
    return false;
}

/* The one that --destroy removes. */
static bool goes(const struct kw_oci_setup *o, const json_t *trust)
{
    return strcmp(kw_oci_text(trust, "issuer"), o->issuer) == 0 &&
           strcmp(kw_scim_mark(trust), o->base) == 0;
}

int kw_oci_is_named(struct kw_setup *s, const char *id, bool *ret, struct kw_err *err)
{
    const json_t *one;
    json_t *list = NULL;
    size_t i;
    *ret = false;
    int r = list_all(s, &list, err);
    json_array_foreach(json_object_get(list, "Resources"), i, one)
    {
        *ret = *ret || names(one, id);
    }
    json_decref(list);
    return r;
}

int kw_oci_other_trust(struct kw_setup *s, const char *id, const char **ret, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    const json_t *one;
    size_t i;
    *ret = NULL;
    if (id[0] == '\0')
        return 0;
    int r = o->trusts == NULL ? list_all(s, &o->trusts, err) : 0;
    json_array_foreach(json_object_get(o->trusts, "Resources"), i, one)
    {
        if (r == 0 && *ret == NULL && !goes(o, one) && names(one, id))
            *ret = kw_oci_text(one, "issuer");
    }
    return r;
}

void kw_oci_note_needed(struct kw_setup_step *t, const char *issuer)
{
    if (issuer == NULL || t->found == NULL || !t->mine)
        return;
    t->mine = false;
    (void)snprintf(t->note, sizeof t->note, "the trust in %.300s needs it: it stays", issuer);
}

int kw_oci_add_trust(struct kw_setup *s, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "trust", "%s", kw_oci(s)->issuer);
    if (t == NULL)
        return (int)err->code;
    t->look = look;
    t->act = act;
    t->undo = undo;
    t->command = kw_oci_commands;
    t->arg = KW_OCI_TRUST;
    return 0;
}
