/* SPDX-License-Identifier: Apache-2.0
 *
 * IAM policies of Google's resources: bindings, etags, versions; and whether somebody has a
 * role by them. What is set counts after the time of the fault `spread`; until then what
 * was before does. Conditions of bindings are kept, but count as true.
 */
#include <string.h>

#include "lab.h"
#include "src/base/b64.h"

enum { MEMBERS = 1500 };

/* --- judging: the lock is held ---------------------------------------------------------------- */

static bool is_member(const char *member, const char *who, const char *sets)
{
    size_t n = strlen(member);
    if (strcmp(member, who) == 0 || strcmp(member, "allUsers") == 0 ||
        strcmp(member, "allAuthenticatedUsers") == 0)
        return true;
    for (const char *p = sets; p != NULL && *p != 0;) {
        size_t k = strcspn(p, "\n");
        if (k == n && memcmp(p, member, n) == 0)
            return true;
        p += k + (p[k] == '\n');
    }
    return false;
}

static bool binds(const json_t *binding, const char *who, const char *sets,
                  const char *const *roles)
{
    const json_t *members = json_object_get(binding, "members"), *one;
    bool wanted = false;
    size_t i;
    for (; *roles != NULL && !wanted; roles++)
        wanted = strcmp(*roles, lab_text(binding, "role")) == 0;
    json_array_foreach(members, i,
                       one) if (wanted && is_member(json_string_value(one), who, sets)) return true;
    return false;
}

/* The policy that counts now. */
static const json_t *effective(struct lab *l, const char *resource)
{
    const json_t *entry = json_object_get(l->gadmin.policies, resource);
    bool spread = lab_now(l) >= json_integer_value(json_object_get(entry, "at"));
    return json_object_get(entry, spread ? "policy" : "before");
}

bool lab_granted(struct lab *l, const char *resource, const char *who, const char *sets,
                 const char *const *roles)
{
    const json_t *binding;
    bool has = false;
    size_t i;
    pthread_mutex_lock(&l->gadmin.lock);
    const json_t *bindings = json_object_get(effective(l, resource), "bindings");
    json_array_foreach(bindings, i, binding) has = has || binds(binding, who, sets, roles);
    pthread_mutex_unlock(&l->gadmin.lock);
    return has;
}

/* --- keeping ----------------------------------------------------------------------------- */

static void put(struct lab *l, const char *resource, json_t *policy, int64_t at)
{
    char random[17], etag[32];
    struct kw_buf b;
    lab_random_hex(random, 8);
    kw_buf_init(&b, sizeof etag);
    kw_b64_put(&b, random, 8);
    snprintf(etag, sizeof etag, "%s", kw_buf_str(&b));
    kw_buf_free(&b);
    const json_t *before = effective(l, resource);
    json_t *kept = before != NULL ? json_deep_copy(before) : json_object();
    json_object_set_new(l->gadmin.policies, resource,
                        json_pack("{s:O, s:o, s:s, s:I}", "policy", policy, "before", kept, "etag",
                                  etag, "at", (json_int_t)at));
}

void lab_policy_grant(struct lab *l, const char *resource, const char *role, const char *member)
{
    json_t *policy =
        json_deep_copy(json_object_get(json_object_get(l->gadmin.policies, resource), "policy"));
    if (policy == NULL)
        policy = json_pack("{s:i, s:[]}", "version", 1, "bindings");
    json_array_append_new(json_object_get(policy, "bindings"),
                          json_pack("{s:s, s:[s]}", "role", role, "members", member));
    put(l, resource, policy, 0);
    json_decref(policy);
}

void lab_gpolicy_drop(struct lab *l, const char *resource)
{
    json_object_del(l->gadmin.policies, resource);
}

static bool conditional(const json_t *policy)
{
    const json_t *bindings = json_object_get(policy, "bindings"), *one;
    size_t i;
    json_array_foreach(bindings, i, one) if (json_object_get(one, "condition") != NULL) return true;
    return false;
}

/* Who asks for an old version sees conditional roles under a name that no role has. */
static void hide_conditions(json_t *policy)
{
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(policy, "bindings"), i, one)
    {
        char role[256];
        if (json_object_get(one, "condition") == NULL)
            continue;
        snprintf(role, sizeof role, "%.200s_withcond_%012zx", lab_text(one, "role"), i + 1);
        json_object_set_new(one, "role", json_string(role));
        json_object_del(one, "condition");
    }
    json_object_set_new(policy, "version", json_integer(1));
}

/* The lock is held. */
static json_t *shown(struct lab *l, const char *resource, long version)
{
    json_t *entry = json_object_get(l->gadmin.policies, resource);
    json_t *policy = json_deep_copy(json_object_get(entry, "policy"));
    if (policy == NULL)
        return json_pack("{s:i, s:s}", "version", 1, "etag", "ACAB");
    if (conditional(policy) && version < 3)
        hide_conditions(policy);
    json_object_set(policy, "etag", json_object_get(entry, "etag"));
    return policy;
}

void lab_gpolicy_get(struct lab *l, struct lab_request *r, struct lab_response *a,
                     const char *resource, long version)
{
    if (version < 0 || version == 2 || version > 3) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL,
                         "The requested policy version is 0, 1 or 3.");
        return;
    }
    pthread_mutex_lock(&l->gadmin.lock);
    lab_verdict(r, "served");
    lab_reply_json(a, 200, shown(l, resource, version));
    pthread_mutex_unlock(&l->gadmin.lock);
}

/* --- what may be set --------------------------------------------------------------------- */

/* The pool of principal:// and principalSet:// members must be there, by its number. */
static bool pool_known(struct lab *l, const char *member)
{
    const char *name = strstr(member, "//iam.googleapis.com/");
    char pool[256];
    if (name == NULL)
        return false;
    name += 21;
    size_t n = sizeof LAB_G_PARENT - 1;
    if (strncmp(name, LAB_G_PARENT "/", n + 1) != 0)
        return false;
    size_t k = strcspn(name + n + 1, "/");
    if (name[n + 1 + k] != '/' || name[n + 1 + k + 1] == 0 || n + 1 + k >= sizeof pool)
        return false;
    snprintf(pool, sizeof pool, "%.*s", (int)(n + 1 + k), name);
    return json_object_get(l->gadmin.pools, pool) != NULL ||
           (!l->opt.bare && strcmp(pool, LAB_G_POOL) == 0);
}

static const char *check_member(struct lab *l, const char *member)
{
    if (strcmp(member, "allUsers") == 0 || strcmp(member, "allAuthenticatedUsers") == 0 ||
        strncmp(member, "user:", 5) == 0 || strncmp(member, "group:", 6) == 0 ||
        strncmp(member, "domain:", 7) == 0 || strncmp(member, "deleted:", 8) == 0)
        return NULL;
    if (strncmp(member, "serviceAccount:", 15) == 0)
        return json_object_get(l->gadmin.accounts, member + 15) != NULL
                   ? NULL
                   : "Service account does not exist";
    if (strncmp(member, "principal://", 12) == 0 || strncmp(member, "principalSet://", 15) == 0)
        return pool_known(l, member) ? NULL : "Identity Pool does not exist";
    return "Invalid member type";
}

static const char *check(struct lab *l, const json_t *policy, const char **which)
{
    const json_t *bindings = json_object_get(policy, "bindings"), *one, *member;
    json_int_t version = json_integer_value(json_object_get(policy, "version"));
    size_t i, k, n = 0;
    const char *why;
    *which = "policy";
    if (!json_is_object(policy) || (bindings != NULL && !json_is_array(bindings)))
        return "Policy is missing or malformed";
    if (version != 0 && version != 1 && version != 3)
        return "Invalid policy version";
    if (conditional(policy) && version != 3)
        return "Policies with conditional bindings must have version 3";
    json_array_foreach(bindings, i, one)
    {
        *which = lab_text(one, "role");
        if (strncmp(*which, "roles/", 6) != 0 && strncmp(*which, "projects/", 9) != 0)
            return "Role is not supported";
        if (strstr(*which, "_withcond_") != NULL)
            return "Role is not supported";
        json_array_foreach(json_object_get(one, "members"), k, member)
        {
            *which = json_string_value(member);
            if (*which == NULL || (why = check_member(l, *which)) != NULL)
                return *which == NULL ? "A member is no text" : why;
            n++;
        }
    }
    return n <= MEMBERS ? NULL : "Too many members";
}

/* Bindings without members, and repeated ones, are not kept apart by the real one either. */
static json_t *tidy(const json_t *policy)
{
    json_t *out = json_pack("{s:O?}", "version", json_object_get(policy, "version"));
    json_t *list = json_array(), *one;
    size_t i;
    if (json_object_get(out, "version") == NULL ||
        json_integer_value(json_object_get(out, "version")) == 0)
        json_object_set_new(out, "version", json_integer(1));
    json_array_foreach(json_object_get(policy, "bindings"), i,
                       one) if (json_array_size(json_object_get(one, "members")) > 0)
        json_array_append_new(list, json_deep_copy(one));
    json_object_set_new(out, "bindings", list);
    return out;
}

void lab_gpolicy_set(struct lab *l, struct lab_request *r, struct lab_response *a,
                     const char *resource, json_t *policy, int conflict)
{
    const char *which = "", *etag = lab_text(policy, "etag");
    pthread_mutex_lock(&l->gadmin.lock);
    json_t *now = shown(l, resource, 3);
    const char *why = check(l, policy, &which);
    if (why != NULL) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "%s (%s).", why, which);
    } else if (etag[0] != 0 && strcmp(etag, lab_text(now, "etag")) != 0) {
        lab_google_error(r, a, conflict, conflict == 409 ? "ABORTED" : "FAILED_PRECONDITION", NULL,
                         "There were concurrent policy changes. Please retry the whole "
                         "read-modify-write with exponential backoff.");
    } else {
        json_t *tidied = tidy(policy);
        put(l, resource, tidied, lab_gadmin_spread(l));
        json_decref(tidied);
        lab_verdict(r, "policy set");
        lab_reply_json(a, 200, shown(l, resource, 3));
    }
    pthread_mutex_unlock(&l->gadmin.lock);
    json_decref(now);
    json_decref(policy);
}
