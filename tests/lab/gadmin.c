/* SPDX-License-Identifier: Apache-2.0
 *
 * What Google's administration requests have in common: who may, bodies, pages, and
 * operations that are done only when they were asked for some times.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"

void lab_gadmin_init(struct lab *l)
{
    char random[65];
    pthread_mutex_init(&l->gadmin.lock, NULL);
    lab_random_hex(random, 32);
    snprintf(l->gadmin.token, sizeof l->gadmin.token, "ya29.a.%s", random);
}

void lab_gadmin_free(struct lab *l)
{
    struct lab_gadmin *g = &l->gadmin;
    json_t **all[] = {&g->pools,    &g->providers, &g->accounts,
                      &g->policies, &g->services,  &g->operations};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        json_decref(*all[i]);
        *all[i] = NULL;
    }
}

static void add_account(struct lab *l, const char *email, const char *id, const char *role,
                        const char *member)
{
    char resource[256];
    json_object_set_new(l->gadmin.accounts, email,
                        json_pack("{s:s+, s:s, s:s, s:s}", "name",
                                  "projects/" LAB_G_PROJECT "/serviceAccounts/", email, "projectId",
                                  LAB_G_PROJECT, "uniqueId", id, "email", email));
    snprintf(resource, sizeof resource, "serviceAccounts/%s", email);
    if (role != NULL)
        lab_policy_grant(l, resource, role, member);
}

/* Unless it is bare: deployer may be impersonated by the pool's principals; deep by deployer
 * (as a delegate); reader is there, but nobody was granted anything on it. */
void lab_gadmin_born(struct lab *l)
{
    static const char pool[] = "principalSet://iam.googleapis.com/" LAB_G_POOL "/*";
    static const char *const readers[] = {"principalSet://iam.googleapis.com/" LAB_G_POOL "/*",
                                          "serviceAccount:" LAB_G_ACCOUNT("deployer"),
                                          "serviceAccount:" LAB_G_ACCOUNT("deep"),
                                          "serviceAccount:" LAB_G_ACCOUNT("reader")};
    struct lab_gadmin *g = &l->gadmin;
    pthread_mutex_lock(&g->lock);
    lab_gadmin_free(l);
    g->pools = json_object();
    g->providers = json_object();
    g->accounts = json_object();
    g->policies = json_object();
    g->services = json_object();
    g->operations = json_object();
    if (!l->opt.bare) {
        add_account(l, LAB_G_ACCOUNT("deployer"), "100000000000000000001",
                    "roles/iam.workloadIdentityUser", pool);
        add_account(l, LAB_G_ACCOUNT("deep"), "100000000000000000002",
                    "roles/iam.serviceAccountTokenCreator",
                    "serviceAccount:" LAB_G_ACCOUNT("deployer"));
        add_account(l, LAB_G_ACCOUNT("reader"), "100000000000000000003", NULL, NULL);
        for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
            lab_policy_grant(l, LAB_G_BUCKET, "roles/storage.objectViewer", readers[i]);
    }
    pthread_mutex_unlock(&g->lock);
}

void lab_gadmin_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    lab_google_error(NULL, a, status,
                     status == 400   ? "INVALID_ARGUMENT"
                     : status == 401 ? "UNAUTHENTICATED"
                     : status == 403 ? "PERMISSION_DENIED"
                     : status == 409 ? "ABORTED"
                     : status == 429 ? "RESOURCE_EXHAUSTED"
                     : status >= 500 ? "UNAVAILABLE"
                                     : "NOT_FOUND",
                     NULL, "The request was not served.");
}

void lab_gadmin_param(const struct lab_request *r, size_t i, char *out, size_t size)
{
    if (!lab_unpct((const char *)r->param[i].p, r->param[i].len, false, out, size))
        out[0] = 0;
}

bool lab_gadmin_has(struct lab *l, struct lab_request *r, struct lab_response *a,
                    const char *permission, bool there)
{
    struct lab_grant g;
    if (!lab_google_bearer(l, r, a, &g))
        return false;
    if (there && g.kind == LAB_OF_ADMIN && !lab_faults_denied(&l->faults, permission))
        return true;
    lab_google_error(r, a, 403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED",
                     "Permission '%s' denied on resource (or it may not exist).", permission);
    return false;
}

bool lab_gadmin_may(struct lab *l, struct lab_request *r, struct lab_response *a,
                    const char *permission, const char *api)
{
    char project[128];
    lab_gadmin_param(r, 0, project, sizeof project);
    bool there = strcmp(project, LAB_G_PROJECT) == 0 || strcmp(project, LAB_G_NUMBER) == 0 ||
                 strcmp(project, "-") == 0;
    return lab_gadmin_has(l, r, a, permission, there) &&
           (api == NULL || lab_api_guard(l, r, a, api));
}

json_t *lab_gadmin_body(struct lab_request *r, struct lab_response *a)
{
    json_t *body = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(body))
        return body;
    json_decref(body);
    lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "Invalid JSON payload received.");
    return NULL;
}

json_t *lab_gadmin_shown(json_t *o)
{
    json_t *out = json_object(), *v;
    const char *name;
    json_object_foreach(o, name, v) if (name[0] != '_')
        json_object_set_new(out, name, json_deep_copy(v));
    return out;
}

int64_t lab_gadmin_spread(struct lab *l)
{
    return lab_now(l) + lab_faults_standing(&l->faults, LAB_SPREAD, 0);
}

/* --- pages ----------------------------------------------------------------------------------- */

static bool number(const struct lab_request *r, const char *name, size_t *n)
{
    char text[12] = "";
    int given = lab_query(r, name, text, sizeof text);
    if (given < 0 || strspn(text, "0123456789") != strlen(text))
        return false;
    if (given > 0 && text[0] != 0)
        *n = strtoul(text, NULL, 10);
    return true;
}

void lab_gadmin_page(struct lab_request *r, struct lab_response *a, const char *member, json_t *all,
                     size_t usual, size_t most)
{
    size_t size = 0, from = 0, n = json_array_size(all);
    char next[24];
    if (!number(r, "pageSize", &size) || !number(r, "pageToken", &from) || from > n) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "pageSize or pageToken is invalid.");
        json_decref(all);
        return;
    }
    size = size == 0 ? usual : size > most ? most : size;
    json_t *o = json_object(), *page = json_array();
    for (size_t i = from; i < n && i < from + size; i++)
        json_array_append(page, json_array_get(all, i));
    if (json_array_size(page) > 0) /* an empty list has no member at all */
        json_object_set(o, member, page);
    if (from + size < n) {
        snprintf(next, sizeof next, "%zu", from + size);
        json_object_set_new(o, "nextPageToken", json_string(next));
    }
    json_decref(page);
    json_decref(all);
    lab_verdict(r, "served");
    lab_reply_json(a, 200, o);
}

/* --- operations ------------------------------------------------------------------------------ */

enum { USUAL_POLLS = 2 };

/* What is shown of it now: done when nothing is left to be asked. */
static json_t *operation(const json_t *entry)
{
    json_t *o = json_pack("{s:s}", "name", lab_text(entry, "name"));
    if (json_integer_value(json_object_get(entry, "left")) > 0)
        return o;
    json_object_set_new(o, "done", json_true());
    if (json_object_get(entry, "error") != NULL)
        json_object_set(o, "error", json_object_get(entry, "error"));
    else
        json_object_set(o, "response", json_object_get(entry, "response"));
    return o;
}

void lab_gadmin_operation(struct lab *l, struct lab_request *r, struct lab_response *a,
                          const char *parent, json_t *result)
{
    char name[400], id[25];
    lab_random_hex(id, 12);
    snprintf(name, sizeof name, "%s%soperations/%s", parent, parent[0] != 0 ? "/" : "", id);
    json_t *entry =
        json_pack("{s:s, s:I, s:o}", "name", name, "left",
                  (json_int_t)lab_faults_standing(&l->faults, LAB_LRO_POLLS, USUAL_POLLS),
                  "response", lab_gadmin_shown(result));
    if (r->hit.on[LAB_LRO_FAILS])
        json_object_set_new(entry, "error",
                            json_pack("{s:i, s:s}", "code", 13, "message", "Internal error."));
    json_object_set_new(l->gadmin.operations, name, entry);
    lab_verdict(r, "operation begins");
    lab_reply_json(a, 200, operation(entry));
}

/* GET of the path below /v1/. */
void lab_gadmin_poll(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    struct lab_grant g;
    char name[512];
    if (!lab_google_bearer(l, r, a, &g))
        return;
    if (r->path_len < 4 || !lab_unpct(r->target + 4, r->path_len - 4, false, name, sizeof name))
        name[0] = 0;
    pthread_mutex_lock(&l->gadmin.lock);
    json_t *entry = json_object_get(l->gadmin.operations, name);
    json_int_t left = json_integer_value(json_object_get(entry, "left"));
    if (entry == NULL || g.kind != LAB_OF_ADMIN) {
        lab_google_error(r, a, 404, "NOT_FOUND", NULL, "Requested entity was not found.");
    } else {
        if (left > 0)
            json_object_set_new(entry, "left", json_integer(left - 1));
        lab_reply_json(a, 200, operation(entry));
    }
    pthread_mutex_unlock(&l->gadmin.lock);
}
