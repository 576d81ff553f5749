/* SPDX-License-Identifier: Apache-2.0
 *
 * The last steps of `setup google`: who may what, by IAM policies. A policy is somebody's whole
 * list: it is read, one member is added or taken out, and it is written back with the etag that
 * came with it, so that no other change is lost, and as version 3, so that no condition is.
 */
#include <stdio.h>
#include <string.h>

#include "setup_google.h"
#include "src/ipc/ipc.h"

#define IMPERSONATE "roles/iam.workloadIdentityUser"

enum { YOUNG_MS = 60000 };

static int no_memory(struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "there is no memory left");
}

/* --- grants: where the policy is ------------------------------------------------------------ */

const struct kw_google_grant *kw_google_grant_of(const struct kw_setup *s,
                                                 const struct kw_setup_step *t)
{
    return &kw_google_of(s)->grants[t->arg];
}

bool kw_google_on_account(const struct kw_google_grant *w)
{
    return strcmp(w->resource, "account") == 0;
}

const char *kw_google_bucket(const struct kw_google_grant *w)
{
    return strncmp(w->resource, "bucket ", 7) == 0 ? w->resource + 7 : NULL;
}

/* Of an account that was just made, Google may say 403 for a while, to its maker as well. */
static int soften(const struct kw_setup *s, const struct kw_google_grant *w, int r,
                  struct kw_err *err)
{
    int64_t made = kw_google_of(s)->account_made;
    bool young = made != 0 && kw_now_ms() - made < YOUNG_MS;
    return r == KW_CLOUD && kw_google_on_account(w) && young ? (int)(err->code = KW_NET) : r;
}

int kw_google_policy(struct kw_setup *s, const struct kw_google_grant *w, enum kw_google_seen *seen,
                     json_t **ret, struct kw_err *err)
{
    char url[700];
    json_t *body = NULL;
    const char *b = kw_google_bucket(w);
    if (b != NULL)
        kw_google_url(s, url, sizeof url, "storage",
                      "storage/v1/b/%s/iam?optionsRequestedPolicyVersion=3", b);
    else if (kw_google_on_account(w)) {
        kw_google_account_url(s, ":getIamPolicy?options.requestedPolicyVersion=3", url, sizeof url);
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
    const char *b = kw_google_bucket(w);
    if (b != NULL)
        kw_google_url(s, url, sizeof url, "storage", "storage/v1/b/%s/iam", b);
    else if (kw_google_on_account(w))
        kw_google_account_url(s, ":setIamPolicy", url, sizeof url);
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
void kw_google_grantee(const struct kw_setup *s, const struct kw_google_grant *w, char *member,
                       size_t size)
{
    const struct kw_google *g = kw_google_of(s);
    if (!kw_google_on_account(w) && g->account[0] != '\0')
        (void)snprintf(member, size, "serviceAccount:%s", g->account);
    else
        kw_google_member(s, member, size);
}

static const struct kw_setup_step *owner(const struct kw_setup *s, const struct kw_google_grant *w)
{
    const struct kw_google *g = kw_google_of(s);
    return !kw_google_on_account(w) && g->account[0] != '\0' ? g->account_step : g->pool_step;
}

/* With the pool go all grants to what is in it: nobody can be that any more. And where nobody said
 * whom the grant is for, it is for whatever is in it. */
bool kw_google_meant(const struct kw_setup *s, const struct kw_google_grant *w, const char *m)
{
    const struct kw_google *g = kw_google_of(s);
    char member[800], *slash;
    kw_google_grantee(s, w, member, sizeof member);
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
            if (json_is_string(m) && kw_google_meant(s, w, json_string_value(m))) {
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
    return of->mine || (of == g->pool_step && g->pool_marked && g->preset.member[0] != '\0' &&
                        g->neighbour[0] == '\0');
}

/* What was just made may be known, but not yet its policy. */
static enum kw_setup_state state_of(const struct kw_setup *s, const struct kw_google_grant *w,
                                    enum kw_google_seen seen, bool granted_there)
{
    const struct kw_setup_step *account = kw_google_of(s)->account_step;
    bool nowhere = kw_google_on_account(w) && (account->state == KW_SETUP_ABSENT || s->destroy);
    if (granted_there)
        return KW_SETUP_SAME;
    return seen == KW_GOOGLE_THERE || (seen == KW_GOOGLE_ABSENT && nowhere) ? KW_SETUP_ABSENT
                                                                            : KW_SETUP_UNSEEN;
}

static void note_grant(const struct kw_setup *s, struct kw_setup_step *t, enum kw_google_seen seen)
{
    const struct kw_google_grant *w = kw_google_grant_of(s, t);
    const struct kw_google *g = kw_google_of(s);
    const struct kw_setup_step *of = owner(s, w);
    if (t->state == KW_SETUP_UNSEEN && seen == KW_GOOGLE_ABSENT)
        (void)snprintf(t->note, sizeof t->note, "the account's policy does not show yet");
    else if (t->state == KW_SETUP_SAME && s->destroy && !t->mine && of == g->pool_step &&
             g->neighbour[0] != '\0')
        (void)snprintf(t->note, sizeof t->note,
                       "provider %s stays in the pool, and its tokens may have it: remove it "
                       "yourself if they don't",
                       g->neighbour);
    else if (t->state == KW_SETUP_SAME && s->destroy && !t->mine)
        (void)snprintf(t->note, sizeof t->note,
                       "the %s stays, so that it may be of use to others: remove it yourself if it "
                       "isn't",
                       of->kind);
}

/* Up to the pool's name; 0: it is no member of a pool. */
static size_t of_pool(const char *member)
{
    static const char pools[] = "/workloadIdentityPools/";
    const char *at = strncmp(member, "principal", 9) == 0 ? strstr(member, pools) : NULL;
    const char *begin = strstr(member, "//");
    if (at == NULL || begin == NULL || begin > at)
        return 0;
    at += sizeof pools - 1;
    return (size_t)(at - begin) + strcspn(at, "/");
}

static void warn_of(struct kw_setup *s, const json_t *binding, const char *who)
{
    const struct kw_google *g = kw_google_of(s);
    const char *role = kw_google_text(binding, "role");
    struct kw_buf quoted;
    kw_buf_init(&quoted, 1024);
    kw_setup_quote(&quoted, who);
    bool acts = strcmp(role, IMPERSONATE) == 0;
    kw_setup_warn(s,
                  "besides %s, another of pool %s %s%s%s: if it is not meant to, gcloud iam "
                  "service-accounts remove-iam-policy-binding %s %s --role=%.100s --member=%s",
                  g->preset.member, g->pool, acts ? "may act as " : "has ",
                  acts ? g->account : role, acts ? ", too" : " on the account", g->account,
                  json_object_get(binding, "condition") != NULL ? "--all" : "--condition=None",
                  role, kw_buf_str(&quoted));
    kw_buf_free(&quoted);
}

/* Whom the account's policy lets in besides, of the same pool: after another --repository-id, the
 * one before, which nothing else would tell of. */
static void warn_of_former(struct kw_setup *s, const json_t *policy, const char *member)
{
    const char *own = strstr(member, "//");
    size_t n = of_pool(member), i, k;
    const json_t *b, *m;
    if (own == NULL || n == 0 || strcmp(kw_google_of(s)->preset.member, "*") == 0)
        return;
    json_array_foreach(json_object_get(policy, "bindings"), i, b)
    {
        json_array_foreach(json_object_get(b, "members"), k, m)
        {
            const char *who = json_is_string(m) ? json_string_value(m) : "";
            if (of_pool(who) == n && strncmp(strstr(who, "//"), own, n) == 0 &&
                strcmp(who, member) != 0)
                warn_of(s, b, who);
        }
    }
}

static int look_grant(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google_grant *w = kw_google_grant_of(s, t);
    char member[800];
    enum kw_google_seen seen = KW_GOOGLE_OFF;
    const struct kw_setup_step *account = kw_google_of(s)->account_step;
    int r = 0;
    kw_google_grantee(s, w, member, sizeof member);
    if (kw_google_on_account(w) && account->state == KW_SETUP_ABSENT)
        seen = KW_GOOGLE_ABSENT;
    else if (!kw_google_on_account(w) || account->state != KW_SETUP_UNSEEN)
        r = kw_google_policy(s, w, &seen, &t->found, err);
    if (r == 0 && seen == KW_GOOGLE_ABSENT && !kw_google_on_account(w))
        r = kw_fail(err, KW_CLOUD, "Google knows no such %s",
                    kw_google_bucket(w) != NULL ? "bucket" : "project");
    if (r != 0)
        return r;
    bool there = seen == KW_GOOGLE_THERE && granted(s, w, t->found);
    t->state = state_of(s, w, seen, there);
    t->mine = there && owned(s, w);
    if (!there)
        (void)kw_setup_differs_text(t, "member", NULL, member);
    note_grant(s, t, seen);
    if (kw_google_on_account(w) && seen == KW_GOOGLE_THERE && !s->destroy)
        warn_of_former(s, t->found, member);
    return 0;
}

static int add_member(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google_grant *w = kw_google_grant_of(s, t);
    char member[800];
    size_t at;
    kw_google_grantee(s, w, member, sizeof member);
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
    const struct kw_google_grant *w = kw_google_grant_of(s, t);
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

static int add_grant(struct kw_setup *s, int index, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    const struct kw_google_grant *w = &g->grants[index];
    const char *b = kw_google_bucket(w);
    struct kw_setup_step *t = kw_setup_add(s, err, "grant", "%s on %s%s", w->role,
                                           b != NULL                 ? "gs://"
                                           : kw_google_on_account(w) ? ""
                                                                     : "project ",
                                           b != NULL                 ? b
                                           : kw_google_on_account(w) ? g->account
                                                                     : g->project);
    if (t == NULL)
        return (int)err->code;
    t->arg = index;
    t->look = look_grant;
    t->act = add_member;
    t->undo = take_member;
    t->command = kw_google_command_grant;
    t->only_new = true;
    return 0;
}

int kw_google_add_grants(struct kw_setup *s, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    int r = 0;
    if (g->account_step != NULL && g->n_grants == KW_GOOGLE_GRANTS)
        return kw_fail(err, KW_USAGE, "there are more than %d grants", KW_GOOGLE_GRANTS - 1);
    if (g->account_step != NULL) {
        memmove(&g->grants[1], &g->grants[0], g->n_grants * sizeof g->grants[0]);
        g->n_grants++;
        g->grants[0] = (struct kw_google_grant){.role = IMPERSONATE, .resource = "account"};
    }
    for (size_t i = 0; r == 0 && i < g->n_grants; i++)
        r = add_grant(s, (int)i, err);
    return r;
}
