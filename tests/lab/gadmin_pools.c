/* SPDX-License-Identifier: Apache-2.0
 *
 * Workload identity pools and their providers: made, changed and deleted by operations; what
 * is deleted is kept for 30 days, under a name that nothing else can have, and can be
 * brought back.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lab.h"

enum { KEPT = 30 * 86400, NAME = 400 };
static const char API[] = "iam.googleapis.com";

/* --- pools and providers alike --------------------------------------------------------------- */

struct kind {
    const char *permission, *member;
    size_t page, most;
    bool provider;
};
static const struct kind POOL = {"iam.workloadIdentityPools", "workloadIdentityPools", 50, 1000,
                                 false};
static const struct kind PROVIDER = {"iam.workloadIdentityPoolProviders",
                                     "workloadIdentityPoolProviders", 50, 100, true};

static json_t *all_of(struct lab *l, const struct kind *k)
{
    return k->provider ? l->gadmin.providers : l->gadmin.pools;
}

static bool may(struct lab *l, struct lab_request *r, struct lab_response *a, const struct kind *k,
                const char *deed)
{
    char permission[128];
    snprintf(permission, sizeof permission, "%s.%s", k->permission, deed);
    return lab_gadmin_may(l, r, a, permission, API);
}

static bool deleted(const json_t *o)
{
    return strcmp(lab_text(o, "state"), "DELETED") == 0;
}

/* What was deleted long enough ago is gone. */
static void purge(struct lab *l, const struct kind *k)
{
    json_t *all = all_of(l, k), *o;
    const char *name;
    void *next;
    json_object_foreach_safe(all, next, name, o)
    {
        json_int_t at = json_integer_value(json_object_get(o, "_gone"));
        if (at > 0 && lab_now(l) >= at)
            json_object_del(all, name);
    }
}

/* The resource's name by the path: a pool is parameter 1, a provider parameter 2. */
static void path_name(const struct lab_request *r, const struct kind *k, char *out, size_t size)
{
    char pool[128], id[128];
    lab_gadmin_param(r, 1, pool, sizeof pool);
    lab_gadmin_param(r, 2, id, sizeof id);
    if (k->provider)
        snprintf(out, size, LAB_G_PARENT "/%s/providers/%s", pool, id);
    else
        snprintf(out, size, LAB_G_PARENT "/%s", pool);
}

static json_t *named(struct lab *l, struct lab_request *r, struct lab_response *a,
                     const struct kind *k, char *name, size_t size)
{
    path_name(r, k, name, size);
    purge(l, k);
    json_t *o = json_object_get(all_of(l, k), name);
    if (o == NULL)
        lab_google_error(r, a, 404, "NOT_FOUND", NULL, "Requested entity was not found.");
    return o;
}

static void precondition(struct lab_request *r, struct lab_response *a, const char *why)
{
    lab_google_error(r, a, 400, "FAILED_PRECONDITION", NULL, "%s", why);
}

/* --- what they must be ------------------------------------------------------------------------ */

static bool id_good(const char *id)
{
    size_t n = strlen(id);
    return n >= 4 && n <= 32 && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           strncmp(id, "gcp-", 4) != 0;
}

static const char *check_pool(json_t *pool)
{
    static const char known[] = " name displayName description state disabled mode expireTime ";
    const char *name, *mode = lab_text(pool, "mode");
    json_t *v;
    json_object_foreach(pool, name, v)
    {
        char word[64];
        snprintf(word, sizeof word, " %.60s ", name);
        if (name[0] != '_' && strstr(known, word) == NULL)
            return "Invalid JSON payload received. Unknown name.";
    }
    if (strlen(lab_text(pool, "displayName")) > 32 || strlen(lab_text(pool, "description")) > 256)
        return "display_name or description is too long.";
    return mode[0] == 0 || strcmp(mode, "FEDERATION_ONLY") == 0
               ? NULL
               : "The lab plays the mode FEDERATION_ONLY only.";
}

static const char *check(struct lab *l, const struct kind *k, json_t *o, char *text, size_t size)
{
    const json_t *disabled = json_object_get(o, "disabled");
    if (disabled != NULL && !json_is_boolean(disabled))
        return "disabled must be true or false.";
    return k->provider ? lab_gprovider_check(l, o, text, size) : check_pool(o);
}

/* --- requests ---------------------------------------------------------------------------- */

static void create(struct lab *l, struct lab_request *r, struct lab_response *a,
                   const struct kind *k)
{
    char id[64] = "", name[NAME], parent[NAME], text[512];
    if (!may(l, r, a, k, "create"))
        return;
    bool given =
        lab_query(r, k->provider ? "workloadIdentityPoolProviderId" : "workloadIdentityPoolId", id,
                  sizeof id) == 1;
    json_t *body = lab_gadmin_body(r, a), *pool = NULL;
    if (body == NULL)
        return;
    pthread_mutex_lock(&l->gadmin.lock);
    purge(l, k);
    snprintf(parent, sizeof parent, LAB_G_PARENT);
    if (k->provider)
        path_name(r, &POOL, parent, sizeof parent);
    if (k->provider)
        pool = json_object_get(l->gadmin.pools, parent);
    snprintf(name, sizeof name, "%.300s%s/%s", parent, k->provider ? "/providers" : "", id);
    json_object_set_new(body, "name", json_string(name));
    json_object_set_new(body, "state", json_string("ACTIVE"));
    const char *why = given && id_good(id) ? check(l, k, body, text, sizeof text)
                                           : "The id must be 4 to 32 of a-z, 0-9 and -, and not "
                                             "begin with gcp-.";
    if (k->provider && pool == NULL) {
        lab_google_error(r, a, 404, "NOT_FOUND", NULL, "Requested entity was not found.");
    } else if (k->provider && deleted(pool)) {
        precondition(r, a, "The pool is deleted.");
    } else if (why != NULL) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "%s", why);
    } else if (json_object_get(all_of(l, k), name) != NULL) {
        lab_google_error(r, a, 409, "ALREADY_EXISTS", NULL, "Requested entity already exists");
    } else {
        json_object_set_new(body, "_at", json_integer(lab_gadmin_spread(l)));
        if (!r->hit.on[LAB_LRO_FAILS])
            json_object_set(all_of(l, k), name, body);
        lab_gadmin_operation(l, r, a, name, body);
    }
    pthread_mutex_unlock(&l->gadmin.lock);
    json_decref(body);
}

static void get(struct lab *l, struct lab_request *r, struct lab_response *a, const struct kind *k)
{
    char name[NAME];
    if (!may(l, r, a, k, "get"))
        return;
    pthread_mutex_lock(&l->gadmin.lock);
    json_t *o = named(l, r, a, k, name, sizeof name);
    if (o != NULL)
        lab_reply_json(a, 200, lab_gadmin_shown(o));
    pthread_mutex_unlock(&l->gadmin.lock);
}

static void list(struct lab *l, struct lab_request *r, struct lab_response *a, const struct kind *k)
{
    char show[8] = "", below[NAME], pool[NAME];
    const char *name;
    json_t *o, *all = json_array();
    bool dead = lab_query(r, "showDeleted", show, sizeof show) == 1 && strcmp(show, "true") == 0;
    if (!may(l, r, a, k, "list")) {
        json_decref(all);
        return;
    }
    snprintf(below, sizeof below, LAB_G_PARENT "/");
    if (k->provider) {
        path_name(r, &POOL, pool, sizeof pool);
        snprintf(below, sizeof below, "%.300s/providers/", pool);
    }
    pthread_mutex_lock(&l->gadmin.lock);
    purge(l, k);
    json_object_foreach(all_of(l, k), name,
                        o) if (strncmp(name, below, strlen(below)) == 0 && (dead || !deleted(o)))
        json_array_append_new(all, lab_gadmin_shown(o));
    pthread_mutex_unlock(&l->gadmin.lock);
    lab_gadmin_page(r, a, k->member, all, k->page, k->most);
}

/* oidc.issuer_uri or oidc.issuerUri: the member's path as JSON has it. False: not to be
 * changed. */
static bool mask_member(const struct kind *k, const char *mask, char *top, char *sub, size_t size)
{
    static const char *const names[] = {
        "displayName",        "description", "disabled", "attributeMapping",
        "attributeCondition", "oidc",        "x509"};
    size_t n = 0, last = k->provider ? 7 : 3;
    char text[64];
    for (const char *p = mask; *p != 0 && n + 1 < sizeof text; p++) /* snake to camel */
        if (*p == '_' && p[1] >= 'a' && p[1] <= 'z')
            text[n++] = (char)(*++p - 'a' + 'A');
        else
            text[n++] = *p;
    text[n] = 0;
    char *dot = strchr(text, '.');
    snprintf(sub, size, "%s", dot != NULL ? dot + 1 : "");
    if (dot != NULL)
        *dot = 0;
    snprintf(top, size, "%s", text);
    for (size_t i = 0; i < last; i++)
        if (strcmp(names[i], top) == 0)
            return sub[0] == 0 || strcmp(top, "oidc") == 0;
    return false;
}

static void copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *v = json_object_get(from, name);
    if (v != NULL)
        json_object_set_new(to, name, json_deep_copy(v));
    else
        json_object_del(to, name);
}

static bool apply_mask(const struct kind *k, json_t *new, const json_t *body, char *mask)
{
    char top[64], sub[64], *rest = mask, *one;
    while ((one = strsep(&rest, ",")) != NULL) {
        if (!mask_member(k, one, top, sub, sizeof top))
            return false;
        if (sub[0] == 0)
            copy_member(new, body, top);
        else if (json_object_get(new, top) != NULL)
            copy_member(json_object_get(new, top), json_object_get(body, top), sub);
    }
    return true;
}

static void patch(struct lab *l, struct lab_request *r, struct lab_response *a,
                  const struct kind *k)
{
    char name[NAME], mask[512] = "", text[512];
    if (!may(l, r, a, k, "update"))
        return;
    bool masked = lab_query(r, "updateMask", mask, sizeof mask) == 1 && mask[0] != 0;
    json_t *body = lab_gadmin_body(r, a);
    if (body == NULL)
        return;
    pthread_mutex_lock(&l->gadmin.lock);
    json_t *old = named(l, r, a, k, name, sizeof name), *new = json_deep_copy(old);
    const char *why = NULL;
    if (old != NULL && (!masked || !apply_mask(k, new, body, mask)))
        why = "update_mask is missing or names what can't be changed.";
    else if (old != NULL && !deleted(old))
        why = check(l, k, new, text, sizeof text);
    if (why != NULL) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "%s", why);
    } else if (old != NULL && deleted(old)) {
        precondition(r, a, "What is deleted can't be changed.");
    } else if (old != NULL) {
        if (!r->hit.on[LAB_LRO_FAILS])
            json_object_set(all_of(l, k), name, new);
        lab_gadmin_operation(l, r, a, name, new);
    }
    pthread_mutex_unlock(&l->gadmin.lock);
    json_decref(new);
    json_decref(body);
}

/* Delete, or bring back. */
static void turn(struct lab *l, struct lab_request *r, struct lab_response *a, const struct kind *k,
                 bool back)
{
    char name[NAME], when[40];
    if (!may(l, r, a, k, back ? "undelete" : "delete"))
        return;
    time_t gone = (time_t)(lab_now(l) + KEPT);
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&gone, &tm));
    pthread_mutex_lock(&l->gadmin.lock);
    json_t *o = named(l, r, a, k, name, sizeof name);
    if (o != NULL && deleted(o) != back) {
        precondition(r, a, back ? "It is not deleted." : "It is deleted already.");
    } else if (o != NULL) {
        json_t *new = json_deep_copy(o);
        json_object_set_new(new, "state", json_string(back ? "ACTIVE" : "DELETED"));
        if (back) {
            json_object_del(new, "expireTime");
            json_object_del(new, "_gone");
        } else {
            json_object_set_new(new, "expireTime", json_string(when));
            json_object_set_new(new, "_gone", json_integer(gone));
        }
        lab_gadmin_operation(l, r, a, name, new);
        if (!r->hit.on[LAB_LRO_FAILS])
            json_object_set(all_of(l, k), name, new);
        json_decref(new);
    }
    pthread_mutex_unlock(&l->gadmin.lock);
}

/* --- judging ----------------------------------------------------------------------------- */

static bool counts(struct lab *l, const json_t *o)
{
    return o != NULL && !deleted(o) && !json_is_true(json_object_get(o, "disabled")) &&
           lab_now(l) >= json_integer_value(json_object_get(o, "_at"));
}

json_t *lab_gprovider_made(struct lab *l, const char *name)
{
    const char *end = strstr(name, "/providers/");
    char pool[NAME];
    json_t *copy = NULL;
    snprintf(pool, sizeof pool, "%.*s", end == NULL ? 0 : (int)(end - name), name);
    pthread_mutex_lock(&l->gadmin.lock);
    const json_t *o = json_object_get(l->gadmin.providers, name);
    if (counts(l, o) && counts(l, json_object_get(l->gadmin.pools, pool)))
        copy = json_deep_copy(o);
    pthread_mutex_unlock(&l->gadmin.lock);
    return copy;
}

bool lab_gpool_alive(struct lab *l, const char *principal)
{
    static const char before[] = "principal://iam.googleapis.com/";
    const char *name = principal + sizeof before - 1, *end = strstr(principal, "/subject/");
    char pool[NAME];
    if (strncmp(principal, before, sizeof before - 1) != 0 || end == NULL)
        return false;
    snprintf(pool, sizeof pool, "%.*s", (int)(end - name), name);
    pthread_mutex_lock(&l->gadmin.lock);
    const json_t *o = json_object_get(l->gadmin.pools, pool);
    bool alive = o != NULL ? counts(l, o) : !l->opt.bare && strcmp(pool, LAB_G_POOL) == 0;
    pthread_mutex_unlock(&l->gadmin.lock);
    return alive;
}

/* --- routes ------------------------------------------------------------------------------ */

#define HANDLERS(kind, name)                                                                       \
    static void name##_create(struct lab *l, struct lab_request *r, struct lab_response *a)        \
    {                                                                                              \
        create(l, r, a, &(kind));                                                                  \
    }                                                                                              \
    static void name##_get(struct lab *l, struct lab_request *r, struct lab_response *a)           \
    {                                                                                              \
        get(l, r, a, &(kind));                                                                     \
    }                                                                                              \
    static void name##_list(struct lab *l, struct lab_request *r, struct lab_response *a)          \
    {                                                                                              \
        list(l, r, a, &(kind));                                                                    \
    }                                                                                              \
    static void name##_patch(struct lab *l, struct lab_request *r, struct lab_response *a)         \
    {                                                                                              \
        patch(l, r, a, &(kind));                                                                   \
    }                                                                                              \
    static void name##_delete(struct lab *l, struct lab_request *r, struct lab_response *a)        \
    {                                                                                              \
        turn(l, r, a, &(kind), false);                                                             \
    }                                                                                              \
    static void name##_undelete(struct lab *l, struct lab_request *r, struct lab_response *a)      \
    {                                                                                              \
        turn(l, r, a, &(kind), true);                                                              \
    }
HANDLERS(POOL, pool)
HANDLERS(PROVIDER, provider)

#define PARENT "/v1/projects/{}/locations/global/workloadIdentityPools"
static const struct lab_route ROUTES[] = {
    {"POST", PARENT, pool_create},
    {"GET", PARENT, pool_list},
    {"GET", PARENT "/{}", pool_get},
    {"PATCH", PARENT "/{}", pool_patch},
    {"DELETE", PARENT "/{}", pool_delete},
    {"POST", PARENT "/{}:undelete", pool_undelete},
    {"GET", PARENT "/{}/operations/{}", lab_gadmin_poll},
    {"POST", PARENT "/{}/providers", provider_create},
    {"GET", PARENT "/{}/providers", provider_list},
    {"GET", PARENT "/{}/providers/{}", provider_get},
    {"PATCH", PARENT "/{}/providers/{}", provider_patch},
    {"DELETE", PARENT "/{}/providers/{}", provider_delete},
    {"POST", PARENT "/{}/providers/{}:undelete", provider_undelete},
    {"GET", PARENT "/{}/providers/{}/operations/{}", lab_gadmin_poll},
    {"POST", "/v1/projects/{}/serviceAccounts", lab_gaccount_create},
    {"GET", "/v1/projects/{}/serviceAccounts", lab_gaccount_list},
    {"GET", "/v1/projects/{}/serviceAccounts/{}", lab_gaccount_get},
    {"DELETE", "/v1/projects/{}/serviceAccounts/{}", lab_gaccount_delete},
    {"POST", "/v1/projects/{}/serviceAccounts/{}:getIamPolicy", lab_gaccount_policy},
    {"POST", "/v1/projects/{}/serviceAccounts/{}:setIamPolicy", lab_gaccount_set_policy},
    {"POST", "/v1/projects/{}/serviceAccounts/{}:testIamPermissions", lab_gaccount_test},
    {NULL, NULL, NULL},
};
const struct lab_service lab_iam = {"google-iam", ROUTES, NULL, lab_gadmin_status, NULL};
