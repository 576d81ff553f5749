/* SPDX-License-Identifier: Apache-2.0
 *
 * The last steps of `setup google`: the service account, and who may what by IAM policies. A
 * policy is somebody's whole list: it is read, one member is added or taken out, and it is
 * written back with the etag that came with it, so that no other change is lost, and as
 * version 3, so that no condition is.
 */
#include <stdio.h>
#include <string.h>

#include "ipc.h"
#include "setup_google.h"

#define IMPERSONATE "roles/iam.workloadIdentityUser"

enum { YOUNG_MS = 60000 };

static int no_memory(struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "there is no memory left");
}

/* --- the account ---------------------------------------------------------------------------- */

static void account_url(const struct kw_setup *s, const char *more, char *url, size_t size)
{
    kw_google_url(s, url, size, "iam", "v1/projects/-/serviceAccounts/%s%s",
                  kw_google_of(s)->account, more);
}

static int look_account(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    char url[700];
    enum kw_google_seen seen;
    account_url(s, "", url, sizeof url);
    int r = kw_google_read(s, "GET", url, NULL, &seen, &t->found, err);
    if (r != 0)
        return r;
    const char *why = "";
    if (seen == KW_GOOGLE_OFF) {
        why = "the API is not enabled yet";
    } else if (seen == KW_GOOGLE_ABSENT) {
        t->state = g->account_id[0] != '\0' ? KW_SETUP_ABSENT : KW_SETUP_FOREIGN;
        if (g->account_id[0] == '\0')
            why = "it is not there, and not of this project: make it there first";
    } else if (json_is_true(json_object_get(t->found, "disabled"))) {
        t->state = KW_SETUP_FOREIGN;
        why = "it is disabled, and somebody will have had a reason; enable it yourself";
    } else {
        t->state = KW_SETUP_SAME;
        t->mine = kw_setup_marked(kw_google_text(t->found, "description"));
        if (!t->mine && !s->destroy)
            why = "it was not made by keyward, and is used as it is";
    }
    (void)snprintf(t->note, sizeof t->note, "%s", why);
    if (seen != KW_GOOGLE_THERE && g->account_id[0] != '\0')
        (void)kw_setup_differs_text(t, "displayName", NULL, "keyward");
    return 0;
}

static int make_account(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    char url[700];
    (void)t;
    kw_google_url(s, url, sizeof url, "iam", "v1/projects/%s/serviceAccounts", g->project);
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "accountId", g->account_id, "serviceAccount",
                             "displayName", "keyward", "description", KW_SETUP_MARK);
    int r = body == NULL ? no_memory(err) : kw_google_write(s, "POST", url, body, NULL, err);
    json_decref(body);
    kw_google_of(s)->account_made = kw_now_ms();
    return r;
}

static int delete_account(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    (void)t;
    account_url(s, "", url, sizeof url);
    return kw_google_write(s, "DELETE", url, NULL, NULL, err);
}

static void command_account(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                            struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)t;
    if (g->account_id[0] == '\0')
        return;
    kw_put_fmt(b, "gcloud iam service-accounts %s %s --project=%s", undo ? "delete" : "create",
               undo ? g->account : g->account_id, g->project);
    kw_put_str(b,
               undo ? " --quiet\n" : " --display-name=keyward --description='" KW_SETUP_MARK "'\n");
}

/* --- grants: where the policy is ------------------------------------------------------------ */

static const struct kw_google_grant *grant_of(const struct kw_setup *s,
                                              const struct kw_setup_step *t)
{
    return &kw_google_of(s)->grants[t->arg];
}

static bool on_account(const struct kw_google_grant *w)
{
    return strcmp(w->resource, "account") == 0;
}

/* The bucket's name, or NULL. */
static const char *bucket(const struct kw_google_grant *w)
{
    return strncmp(w->resource, "bucket ", 7) == 0 ? w->resource + 7 : NULL;
}

/* Of an account that was just made, Google may say 403 for a while, to its maker as well. */
static int soften(const struct kw_setup *s, const struct kw_google_grant *w, int r,
                  struct kw_err *err)
{
    int64_t made = kw_google_of(s)->account_made;
    bool young = made != 0 && kw_now_ms() - made < YOUNG_MS;
    return r == KW_CLOUD && on_account(w) && young ? (int)(err->code = KW_NET) : r;
}

int kw_google_policy(struct kw_setup *s, const struct kw_google_grant *w, enum kw_google_seen *seen,
                     json_t **ret, struct kw_err *err)
{
    char url[700];
    json_t *body = NULL;
    const char *b = bucket(w);
    if (b != NULL)
        kw_google_url(s, url, sizeof url, "storage",
                      "storage/v1/b/%s/iam?optionsRequestedPolicyVersion=3", b);
    else if (on_account(w)) {
        account_url(s, ":getIamPolicy?options.requestedPolicyVersion=3", url, sizeof url);
        body = json_object();
    } else {
        kw_google_url(s, url, sizeof url, "cloudresourcemanager", "v1/projects/%s:getIamPolicy",
                      kw_google_of(s)->project);
        body = json_pack("{s:{s:i}}", "options", "requestedPolicyVersion", 3);
    }
    int r = b == NULL && body == NULL
                ? no_memory(err)
                : kw_google_read(s, b != NULL ? "GET" : "POST", url, body, seen, ret, err);
    json_decref(body);
    return soften(s, w, r, err);
}

/* Steals the policy. */
static int set_policy(struct kw_setup *s, const struct kw_google_grant *w, json_t *policy,
                      struct kw_err *err)
{
    char url[700];
    const char *b = bucket(w);
    if (b != NULL)
        kw_google_url(s, url, sizeof url, "storage", "storage/v1/b/%s/iam", b);
    else if (on_account(w))
        account_url(s, ":setIamPolicy", url, sizeof url);
    else
        kw_google_url(s, url, sizeof url, "cloudresourcemanager", "v1/projects/%s:setIamPolicy",
                      kw_google_of(s)->project);
    json_t *body = b != NULL ? policy : json_pack("{s:o}", "policy", policy);
    int r = body == NULL ? no_memory(err)
                         : kw_google_write(s, b != NULL ? "PUT" : "POST", url, body, NULL, err);
    json_decref(body);
    return soften(s, w, r, err);
}

/* --- grants: who ---------------------------------------------------------------------------- */

void kw_google_member(const struct kw_setup *s, char *member, size_t size)
{
    const struct kw_google *g = kw_google_of(s);
    bool one = strncmp(g->preset.member, "subject/", 8) == 0;
    (void)snprintf(member, size,
                   "%s://iam.googleapis.com/projects/%s/locations/global/workloadIdentityPools/%s/"
                   "%s",
                   one ? "principal" : "principalSet", g->number[0] != '\0' ? g->number : "$NUMBER",
                   g->pool, g->preset.member);
}

/* The account's own rights are the account's, where there is one. */
static void grantee(const struct kw_setup *s, const struct kw_google_grant *w, char *member,
                    size_t size)
{
    const struct kw_google *g = kw_google_of(s);
    if (!on_account(w) && g->account[0] != '\0')
        (void)snprintf(member, size, "serviceAccount:%s", g->account);
    else
        kw_google_member(s, member, size);
}

static const struct kw_setup_step *owner(const struct kw_setup *s, const struct kw_google_grant *w)
{
    const struct kw_google *g = kw_google_of(s);
    return !on_account(w) && g->account[0] != '\0' ? g->account_step : g->pool_step;
}

/* Is m the member that is meant? With the pool go all grants to what is in it: nobody can be
 * that any more. And where nobody said whom the grant is for, it is for whatever is in it. */
static bool meant(const struct kw_setup *s, const struct kw_google_grant *w, const char *m)
{
    const struct kw_google *g = kw_google_of(s);
    char member[800], *slash;
    grantee(s, w, member, sizeof member);
    bool any = s->destroy && (g->pool_step->mine || g->preset.member[0] == '\0');
    if (strncmp(member, "principal", 9) != 0 || !any)
        return strcmp(m, member) == 0;
    slash = strstr(member, "//");
    char *end = slash != NULL ? strstr(slash, "/workloadIdentityPools/") : NULL;
    const char *is = strstr(m, "//");
    if (end == NULL || is == NULL || strncmp(m, "principal", 9) != 0)
        return false;
    size_t n = (size_t)(end - slash) + strlen("/workloadIdentityPools/") + strlen(g->pool) + 1;
    return strncmp(slash, is, n) == 0;
}

/* The unconditional binding of that role, the one with the member in it if there is one; NULL:
 * none. *ret_at: the member's place in it, or its size. */
static json_t *binding(const struct kw_setup *s, const struct kw_google_grant *w,
                       const json_t *policy, size_t *ret_at)
{
    json_t *one, *found = NULL;
    const json_t *m;
    size_t i, k;
    *ret_at = 0;
    json_array_foreach(json_object_get(policy, "bindings"), i, one)
    {
        if (strcmp(kw_google_text(one, "role"), w->role) != 0 ||
            json_object_get(one, "condition") != NULL)
            continue;
        json_array_foreach(json_object_get(one, "members"), k, m)
        {
            if (json_is_string(m) && meant(s, w, json_string_value(m))) {
                *ret_at = k;
                return one;
            }
        }
        found = one;
        *ret_at = json_array_size(json_object_get(one, "members"));
    }
    return found;
}

static bool granted(const struct kw_setup *s, const struct kw_google_grant *w, const json_t *policy)
{
    size_t at;
    const json_t *b = binding(s, w, policy, &at);
    return b != NULL && at < json_array_size(json_object_get(b, "members"));
}

/* Whether what is granted to it is keyward's to take away: it is told by whom it is granted to. */
static bool owned(const struct kw_setup *s, const struct kw_google_grant *w)
{
    const struct kw_google *g = kw_google_of(s);
    const struct kw_setup_step *of = owner(s, w);
    return of->mine || (of == g->pool_step && g->pool_marked && g->preset.member[0] != '\0');
}

static int look_grant(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google_grant *w = grant_of(s, t);
    const struct kw_setup_step *of = owner(s, w);
    char member[800];
    enum kw_google_seen seen = KW_GOOGLE_OFF;
    const struct kw_setup_step *account = kw_google_of(s)->account_step;
    bool nowhere = on_account(w) && account->state == KW_SETUP_ABSENT;
    bool unseen = on_account(w) && account->state == KW_SETUP_UNSEEN;
    grantee(s, w, member, sizeof member);
    int r = nowhere || unseen ? 0 : kw_google_policy(s, w, &seen, &t->found, err);
    if (r == 0 && seen == KW_GOOGLE_ABSENT && !on_account(w))
        r = kw_fail(err, KW_CLOUD, "Google knows no such %s",
                    bucket(w) != NULL ? "bucket" : "project");
    if (r != 0)
        return r;
    bool there = seen == KW_GOOGLE_THERE && granted(s, w, t->found);
    t->mine = there && owned(s, w);
    t->state = there                                                            ? KW_SETUP_SAME
               : nowhere || seen == KW_GOOGLE_THERE || seen == KW_GOOGLE_ABSENT ? KW_SETUP_ABSENT
                                                                                : KW_SETUP_UNSEEN;
    if (!there)
        (void)kw_setup_differs_text(t, "member", NULL, member);
    else if (!t->mine && s->destroy)
        (void)snprintf(t->note, sizeof t->note,
                       "the %s stays, so that it may be of use to others: remove it yourself if it "
                       "isn't",
                       of->kind);
    return 0;
}

static int add_member(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google_grant *w = grant_of(s, t);
    char member[800];
    size_t at;
    grantee(s, w, member, sizeof member);
    json_t *policy = json_deep_copy(t->found), *b = binding(s, w, policy, &at);
    bool good = json_is_object(policy);
    if (b != NULL)
        good =
            good && json_array_append_new(json_object_get(b, "members"), json_string(member)) == 0;
    else if (good) {
        json_t *list = json_object_get(policy, "bindings");
        if (list == NULL)
            good = json_object_set_new(policy, "bindings", list = json_array()) == 0;
        good = good && json_array_append_new(list, json_pack("{s:s, s:[s]}", "role", w->role,
                                                             "members", member)) == 0;
    }
    good = good && json_object_set_new(policy, "version", json_integer(3)) == 0;
    if (good)
        return set_policy(s, w, policy, err);
    json_decref(policy);
    return kw_fail(err, KW_FAILED,
                   "the policy could not be changed: it is no policy, or there is no memory left");
}

static int take_member(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google_grant *w = grant_of(s, t);
    size_t at, i;
    json_t *one;
    json_t *policy = json_deep_copy(t->found);
    while (granted(s, w, policy)) {
        json_t *members = json_object_get(binding(s, w, policy, &at), "members");
        (void)json_array_remove(members, at);
        json_array_foreach(json_object_get(policy, "bindings"), i, one)
        {
            if (json_array_size(json_object_get(one, "members")) == 0) {
                (void)json_array_remove(json_object_get(policy, "bindings"), i);
                break;
            }
        }
    }
    if (policy == NULL || json_object_set_new(policy, "version", json_integer(3)) != 0) {
        json_decref(policy);
        return no_memory(err);
    }
    return set_policy(s, w, policy, err);
}

static void command_grant(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                          struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    const struct kw_google_grant *w = grant_of(s, t);
    const char *verb = undo ? "remove" : "add", *name = bucket(w);
    char member[800];
    grantee(s, w, member, sizeof member);
    if (name != NULL)
        kw_put_fmt(b, "gcloud storage buckets %s-iam-policy-binding gs://%s", verb, name);
    else if (on_account(w))
        kw_put_fmt(b, "gcloud iam service-accounts %s-iam-policy-binding %s --project=%s", verb,
                   g->account, g->project);
    else
        kw_put_fmt(b, "gcloud projects %s-iam-policy-binding %s --condition=None", verb,
                   g->project);
    /* In double quotes for $NUMBER's sake: nothing else in a member means anything there. */
    kw_put_fmt(b, " --role=%s --member=\"%s\"\n", w->role, member);
}

static int add_grant(struct kw_setup *s, int index, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    const struct kw_google_grant *w = &g->grants[index];
    const char *b = bucket(w);
    struct kw_setup_step *t = kw_setup_add(s, err, "grant", "%s on %s%s", w->role,
                                           b != NULL       ? "gs://"
                                           : on_account(w) ? ""
                                                           : "project ",
                                           b != NULL       ? b
                                           : on_account(w) ? g->account
                                                           : g->project);
    if (t == NULL)
        return (int)err->code;
    t->arg = index;
    t->look = look_grant;
    t->act = add_member;
    t->undo = take_member;
    t->command = command_grant;
    return 0;
}

int kw_google_add_iam(struct kw_setup *s, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    int r = 0;
    if (g->account[0] != '\0') {
        struct kw_setup_step *t = kw_setup_add(s, err, "service account", "%s", g->account);
        if (t == NULL)
            return (int)err->code;
        t->look = look_account;
        t->act = make_account;
        t->undo = delete_account;
        t->command = command_account;
        g->account_step = t;
        if (g->n_grants == KW_GOOGLE_GRANTS)
            return kw_fail(err, KW_USAGE, "there are more than %d grants", KW_GOOGLE_GRANTS - 1);
        memmove(&g->grants[1], &g->grants[0], g->n_grants * sizeof g->grants[0]);
        g->n_grants++;
        g->grants[0] = (struct kw_google_grant){.role = IMPERSONATE, .resource = "account"};
    }
    for (size_t i = 0; r == 0 && i < g->n_grants; i++)
        r = add_grant(s, (int)i, err);
    return r;
}
