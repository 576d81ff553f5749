/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests below /admin/v1: who may, lists with filter and paging, if-match, and errors in
 * the identity domain's shape. Rights are named by path and deed: Apps.create, .read,
 * .update, .delete.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab.h"

enum { PAGE = 50, PAGE_MAX = 1000 };

void lab_scim_error(struct lab_request *r, struct lab_response *a, const struct lab_scim_why *w)
{
    static const char extension[] = "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error";
    char status[16];
    snprintf(status, sizeof status, "%d", w->status);
    if (r != NULL)
        lab_verdict(r, "refused: %s: %.150s", w->id, w->detail);
    lab_reply_json(a, w->status,
                   json_pack("{s:[s,s], s:s, s:s, s:{s:s}}", "schemas", LAB_SCIM_API "Error",
                             extension, "detail", w->detail, "status", status, extension,
                             "messageId", w->id));
}

static void refuse(struct lab_request *r, struct lab_response *a, int status, const char *id,
                   const char *detail)
{
    struct lab_scim_why w;
    (void)lab_scim_no(&w, status, id, "%s", detail);
    lab_scim_error(r, a, &w);
}

static void scim_status(struct lab *l, struct lab_response *a, int status)
{
    const char *id = status == 401   ? "error.common.common.unauthorized"
                     : status == 403 ? "error.common.common.forbidden"
                     : status == 404 ? "error.common.common.resourceNotFound"
                     : status == 409 ? "error.common.common.conflict"
                     : status == 429 ? "error.common.common.tooManyRequests"
                     : status >= 500 ? "error.common.common.internalError"
                                     : "error.common.common.invalidRequest";
    (void)l;
    refuse(NULL, a, status, id, "The request was not served.");
}

/* --- who asks -------------------------------------------------------------------------------- */

/* An access token of ours, of an app that is still active and was an administrator's when
 * it was issued. */
static bool bearer_good(struct lab *l, struct lab_request *r, const char *token)
{
    struct kw_jwt j;
    int64_t exp;
    if (kw_jwt_decode(token, strlen(token), "access token", KW_FAILED, &j, NULL) != 0)
        return false;
    const char *iss = kw_jwt_str(&j, "iss"), *client = kw_jwt_str(&j, "client_id");
    bool good = lab_jwt_good(token, &j, l->session_key) && iss != NULL && client != NULL &&
                strcmp(iss, "https://identity.oraclecloud.com/") == 0 &&
                kw_jwt_time(&j, "exp", &exp) && exp > lab_now(l);
    if (good) {
        pthread_mutex_lock(&l->scim.lock);
        good = lab_app_client(l, client) != NULL;
        pthread_mutex_unlock(&l->scim.lock);
        snprintf(r->principal, sizeof r->principal, "app %s%s", client,
                 json_array_size(json_object_get(j.claims, "clientAppRoles")) > 0 ? " (admin)"
                                                                                  : "");
    }
    kw_jwt_free(&j);
    return good;
}

/* Apps with the role, and the API keys of --api-key, which are an administrator's: may.
 * Session tokens are a service user's: may not. */
static bool guard(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    const char *z = lab_header(r, "authorization");
    bool known = false, admin = false;
    if (z != NULL && strncasecmp(z, "Bearer ", 7) == 0) {
        known = bearer_good(l, r, z + 7);
        admin = strstr(r->principal, " (admin)") != NULL;
    } else if (z != NULL && strncmp(z, "Signature ", 10) == 0) {
        known = lab_signature_judge(l, r) == NULL;
        admin = strstr(z, "keyId=\"ST$") == NULL;
    }
    if (!known)
        refuse(r, a, 401, "error.common.common.unauthorized",
               "You are not authenticated: no good bearer token or signature.");
    else if (!admin)
        refuse(r, a, 403, "error.common.common.forbidden",
               "You do not have the role " LAB_ADMIN ".");
    return known && admin;
}

static bool allowed(struct lab *l, struct lab_request *r, struct lab_response *a, const char *right)
{
    char text[160];
    if (!lab_faults_denied(&l->faults, right))
        return true;
    snprintf(text, sizeof text, "You do not have the right %s.", right);
    refuse(r, a, 403, "error.common.common.forbidden", text);
    return false;
}

/* --- bodies and paths ------------------------------------------------------------------------ */

static json_t *read_body(struct lab_request *r, struct lab_response *a)
{
    const char *type = lab_header(r, "content-type");
    size_t n = type == NULL ? 0 : strcspn(type, "; ");
    if (type == NULL || !((n == 16 && strncasecmp(type, "application/json", n) == 0) ||
                          (n == 21 && strncasecmp(type, "application/scim+json", n) == 0))) {
        refuse(r, a, 415, "error.common.common.unsupportedMediaType",
               "The content type is neither application/json nor application/scim+json.");
        return NULL;
    }
    json_t *body = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(body))
        return body;
    json_decref(body);
    refuse(r, a, 400, "error.common.validation.invalidSyntax", "The body is not a JSON object.");
    return NULL;
}

static bool read_param(struct lab_request *r, size_t i, char *out, size_t size)
{
    return lab_unpct((const char *)r->param[i].p, r->param[i].len, false, out, size);
}

json_t *lab_scim_begin(struct lab *l, struct lab_request *r, struct lab_response *a,
                       const char *right, const char *schema, char *id, size_t size)
{
    if (!allowed(l, r, a, right))
        return NULL;
    json_t *body = read_body(r, a), *schemas = json_object_get(body, "schemas");
    const char *named = json_string_value(json_array_get(schemas, 0));
    if (body == NULL)
        return NULL;
    if (named != NULL && strcmp(named, schema) == 0 && (id == NULL || read_param(r, 0, id, size)))
        return body;
    json_decref(body);
    refuse(r, a, 400, "error.common.validation.invalidSchemas", "schemas is not the request's.");
    return NULL;
}

/* The kind that the path names, and the right to do that to it. */
static bool begin(struct lab *l, struct lab_request *r, struct lab_response *a, const char *deed,
                  enum lab_scim_kind *kind)
{
    char path[64], right[96];
    if (!read_param(r, 0, path, sizeof path))
        path[0] = 0;
    for (int k = 0; k < LAB_SCIM_KINDS; k++)
        if (strcmp(lab_scim_rules[k].path, path) == 0) {
            *kind = (enum lab_scim_kind)k;
            snprintf(right, sizeof right, "%s.%s", path, deed);
            if (k == LAB_APP_ROLES && strcmp(deed, "read") != 0) {
                scim_status(l, a, 405);
                return false;
            }
            return allowed(l, r, a, right);
        }
    scim_status(l, a, 404);
    return false;
}

/* --- answers --------------------------------------------------------------------------------- */

/* attributes and attributeSets as asked for. */
static json_t *shown(const struct lab_request *r, enum lab_scim_kind k, json_t *o)
{
    char attributes[1024], sets[128];
    bool some = lab_query(r, "attributes", attributes, sizeof attributes) == 1;
    bool all = lab_query(r, "attributeSets", sets, sizeof sets) == 1 && strstr(sets, "all") != NULL;
    return lab_scim_shown(&lab_scim_rules[k], o, some && attributes[0] != 0 ? attributes : NULL,
                          all);
}

static void answer(struct lab_request *r, struct lab_response *a, int status, enum lab_scim_kind k,
                   json_t *o)
{
    json_t *out = shown(r, k, o);
    if (json_is_true(json_object_get(o, "_fresh"))) { /* the one time that it is told */
        json_object_set(out, "clientSecret", json_object_get(o, "_secret"));
        json_object_del(o, "_fresh");
    }
    lab_verdict(r, "served");
    lab_reply_header(a, "etag", "%s", lab_text(json_object_get(o, "meta"), "version"));
    if (status == 201)
        lab_reply_header(a, "location", "%s", lab_text(json_object_get(o, "meta"), "location"));
    lab_reply_json(a, status, out);
}

/* A number of the query; false: it is none. */
static bool number(const struct lab_request *r, const char *name, size_t *n)
{
    char text[12];
    int given = lab_query(r, name, text, sizeof text);
    if (given == 0)
        return true;
    if (given < 0 || text[0] == 0 || strspn(text, "0123456789") != strlen(text))
        return false;
    *n = strtoul(text, NULL, 10);
    return true;
}

/* Those that the filter picks; NULL: it is none of ours. */
static json_t *pick(struct lab *l, enum lab_scim_kind k, const char *filter)
{
    const char *exact = lab_scim_rules[k].exact ? lab_scim_rules[k].unique : NULL;
    json_t *out = json_array(), *one;
    size_t i;
    bool bad = false;
    if (filter != NULL) /* judged even if there is nothing to judge it by */
        (void)lab_scim_matches(filter, out, exact, &bad);
    json_array_foreach(l->scim.all[k], i,
                       one) if (!bad &&
                                (filter == NULL || lab_scim_matches(filter, one, exact, &bad)))
        json_array_append(out, one);
    if (!bad)
        return out;
    json_decref(out);
    return NULL;
}

static void list(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    enum lab_scim_kind k;
    char filter[2048];
    size_t from = 1, count = PAGE;
    int given = lab_query(r, "filter", filter, sizeof filter);
    if (!begin(l, r, a, "read", &k))
        return;
    if (given < 0 || !number(r, "startIndex", &from) || !number(r, "count", &count) ||
        count > PAGE_MAX) {
        refuse(r, a, 400, "error.common.validation.invalidParameter",
               "filter, startIndex or count is invalid.");
        return;
    }
    if (r->hit.on[LAB_PAGE] && (size_t)r->hit.value[LAB_PAGE] < count)
        count = (size_t)r->hit.value[LAB_PAGE];
    pthread_mutex_lock(&l->scim.lock);
    json_t *all = pick(l, k, given > 0 ? filter : NULL), *page = json_array();
    from = from > 0 ? from : 1;
    for (size_t i = from - 1; i < json_array_size(all) && i - (from - 1) < count; i++)
        json_array_append_new(page, shown(r, k, json_array_get(all, i)));
    pthread_mutex_unlock(&l->scim.lock);
    if (all != NULL)
        lab_reply_json(a, 200,
                       json_pack("{s:[s], s:I, s:I, s:I, s:O}", "schemas",
                                 LAB_SCIM_API "ListResponse", "totalResults",
                                 (json_int_t)json_array_size(all), "itemsPerPage",
                                 (json_int_t)json_array_size(page), "startIndex", (json_int_t)from,
                                 "Resources", page));
    else
        refuse(r, a, 400, "error.common.validation.invalidFilter", "The filter is not supported.");
    json_decref(all);
    json_decref(page);
}

static void create(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    enum lab_scim_kind k;
    struct lab_scim_why w;
    if (!begin(l, r, a, "create", &k))
        return;
    json_t *body = read_body(r, a), *v;
    const char *name;
    void *next;
    if (body == NULL)
        return;
    json_object_foreach_safe(body, next, name, v) if (name[0] == '_') json_object_del(body, name);
    pthread_mutex_lock(&l->scim.lock);
    if (lab_scim_create(l, k, body, &w))
        answer(r, a, 201, k, body);
    else
        lab_scim_error(r, a, &w);
    pthread_mutex_unlock(&l->scim.lock);
    json_decref(body);
}

/* The one that the path names, if it is there and if-match is met; the lock is held. */
static json_t *named(struct lab *l, struct lab_request *r, struct lab_response *a,
                     enum lab_scim_kind k)
{
    char id[160];
    const char *match = lab_header(r, "if-match");
    json_t *o = read_param(r, 1, id, sizeof id) ? lab_scim_find(l, k, id, NULL) : NULL;
    if (o == NULL)
        refuse(r, a, 404, "error.common.common.resourceNotFound", "The resource was not found.");
    else if (match != NULL && strcmp(match, "*") != 0 &&
             strcmp(match, lab_text(json_object_get(o, "meta"), "version")) != 0) {
        refuse(r, a, 412, "error.common.common.preconditionFailed",
               "The resource has another version than if-match says.");
        o = NULL;
    }
    return o;
}

static void get(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    enum lab_scim_kind k;
    if (!begin(l, r, a, "read", &k))
        return;
    pthread_mutex_lock(&l->scim.lock);
    json_t *o = named(l, r, a, k);
    if (o != NULL)
        answer(r, a, 200, k, o);
    pthread_mutex_unlock(&l->scim.lock);
}

static void patch(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    enum lab_scim_kind k;
    struct lab_scim_why w;
    if (!begin(l, r, a, "update", &k))
        return;
    json_t *body = read_body(r, a);
    if (body == NULL)
        return;
    pthread_mutex_lock(&l->scim.lock);
    json_t *old = named(l, r, a, k), *new = json_deep_copy(old);
    if (old != NULL && lab_scim_patch(new, body, &w) && lab_scim_change(l, k, old, new, &w))
        answer(r, a, 200, k, new);
    else if (old != NULL)
        lab_scim_error(r, a, &w);
    pthread_mutex_unlock(&l->scim.lock);
    json_decref(new);
    json_decref(body);
}

static void delete (struct lab *l, struct lab_request *r, struct lab_response *a)
{
    enum lab_scim_kind k;
    struct lab_scim_why w;
    if (!begin(l, r, a, "delete", &k))
        return;
    pthread_mutex_lock(&l->scim.lock);
    const json_t *o = named(l, r, a, k);
    if (o != NULL && lab_scim_remove(l, k, lab_text(o, "id"), &w))
        a->status = 204;
    else if (o != NULL)
        lab_scim_error(r, a, &w);
    pthread_mutex_unlock(&l->scim.lock);
}

static const struct lab_route ROUTES[] = {
    {"PUT", "/admin/v1/AppStatusChanger/{}", lab_app_status},
    {"POST", "/admin/v1/AppClientSecretRegenerator", lab_app_secret},
    {"GET", "/admin/v1/{}", list},
    {"POST", "/admin/v1/{}", create},
    {"GET", "/admin/v1/{}/{}", get},
    {"PATCH", "/admin/v1/{}/{}", patch},
    {"DELETE", "/admin/v1/{}/{}", delete},
    {NULL, NULL, NULL},
};
const struct lab_service lab_scim = {"scim", ROUTES, guard, scim_status, lab_oci_finish};
