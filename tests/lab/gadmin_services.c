/* SPDX-License-Identifier: Apache-2.0
 *
 * Service Usage (which APIs are on) and the project: its number, its IAM policy.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"

static const char *const APIS[] = {
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
};
enum { N_APIS = sizeof APIS / sizeof APIS[0], BATCH = 20 };

static bool known(const char *api)
{
    for (int i = 0; i < N_APIS; i++)
        if (strcmp(APIS[i], api) == 0)
            return true;
    return false;
}

/* A new project has Service Usage on, and storage; the lab's that is not bare has all. */
static bool usual(const struct lab *l, const char *api)
{
    return !l->opt.bare || strncmp(api, "serviceusage.", 13) == 0 ||
           strncmp(api, "storage.", 8) == 0;
}

/* The lock is held. A number: enabled from then on; false: disabled. */
static bool on(struct lab *l, const char *api, bool now)
{
    const json_t *since = json_object_get(l->gadmin.services, api);
    if (since == NULL)
        return usual(l, api);
    return json_is_integer(since) && (!now || lab_now(l) >= json_integer_value(since));
}

bool lab_api_enabled(struct lab *l, const char *api)
{
    pthread_mutex_lock(&l->gadmin.lock);
    bool enabled = on(l, api, true);
    pthread_mutex_unlock(&l->gadmin.lock);
    return enabled;
}

bool lab_api_guard(struct lab *l, struct lab_request *r, struct lab_response *a, const char *api)
{
    if (lab_api_enabled(l, api))
        return true;
    lab_google_error(r, a, 403, "PERMISSION_DENIED", "SERVICE_DISABLED",
                     "%s has not been used in project " LAB_G_NUMBER " before or it is disabled. "
                     "Enable it by visiting https://console.developers.google.com/apis/api/%s/"
                     "overview?project=" LAB_G_NUMBER " then retry. If you enabled this API "
                     "recently, wait a few minutes for the action to propagate to our systems and "
                     "retry.",
                     api, api);
    return false;
}

static json_t *shown(struct lab *l, const char *api)
{
    return json_pack("{s:s+, s:{s:s}, s:s, s:s}", "name", "projects/" LAB_G_NUMBER "/services/",
                     api, "config", "name", api, "state",
                     on(l, api, false) ? "ENABLED" : "DISABLED", "parent",
                     "projects/" LAB_G_NUMBER);
}

static void list(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char filter[64];
    int given = lab_query(r, "filter", filter, sizeof filter);
    if (!lab_gadmin_may(l, r, a, "serviceusage.services.list", NULL))
        return;
    bool want_on = given > 0 && strcmp(filter, "state:ENABLED") == 0;
    if (given < 0 || (given > 0 && !want_on && strcmp(filter, "state:DISABLED") != 0)) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "The filter is invalid.");
        return;
    }
    json_t *all = json_array();
    pthread_mutex_lock(&l->gadmin.lock);
    for (int i = 0; i < N_APIS; i++)
        if (given == 0 || on(l, APIS[i], false) == want_on)
            json_array_append_new(all, shown(l, APIS[i]));
    pthread_mutex_unlock(&l->gadmin.lock);
    lab_gadmin_page(r, a, "services", all, 50, 200);
}

/* The path's API; false: there is none of that name. */
static bool named(struct lab_request *r, struct lab_response *a, char *api, size_t size)
{
    lab_gadmin_param(r, 1, api, size);
    if (known(api))
        return true;
    lab_google_error(r, a, 404, "NOT_FOUND", "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                     "Not found or permission denied for service(s): %s.", api);
    return false;
}

static void get(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char api[128];
    if (!lab_gadmin_may(l, r, a, "serviceusage.services.get", NULL) ||
        !named(r, a, api, sizeof api))
        return;
    pthread_mutex_lock(&l->gadmin.lock);
    lab_reply_json(a, 200, shown(l, api));
    pthread_mutex_unlock(&l->gadmin.lock);
}

static void enable(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char api[128];
    if (!lab_gadmin_may(l, r, a, "serviceusage.services.enable", NULL) ||
        !named(r, a, api, sizeof api))
        return;
    pthread_mutex_lock(&l->gadmin.lock);
    if (!r->hit.on[LAB_LRO_FAILS] && !on(l, api, false))
        json_object_set_new(l->gadmin.services, api, json_integer(lab_gadmin_spread(l)));
    json_t *result = json_pack("{s:o}", "service", shown(l, api));
    lab_gadmin_operation(l, r, a, "", result);
    json_decref(result);
    pthread_mutex_unlock(&l->gadmin.lock);
}

static void disable(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char api[128];
    if (!lab_gadmin_may(l, r, a, "serviceusage.services.disable", NULL) ||
        !named(r, a, api, sizeof api))
        return;
    pthread_mutex_lock(&l->gadmin.lock);
    if (!r->hit.on[LAB_LRO_FAILS])
        json_object_set_new(l->gadmin.services, api, json_false());
    json_t *result = json_pack("{s:o}", "service", shown(l, api));
    lab_gadmin_operation(l, r, a, "", result);
    json_decref(result);
    pthread_mutex_unlock(&l->gadmin.lock);
}

/* All or none. */
static void batch(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_gadmin_may(l, r, a, "serviceusage.services.enable", NULL))
        return;
    json_t *body = lab_gadmin_body(r, a), *ids = json_object_get(body, "serviceIds"), *one;
    size_t i, good = 0;
    json_array_foreach(ids, i, one) good += json_is_string(one) && known(json_string_value(one));
    if (body == NULL)
        return;
    if (good == 0 || good > BATCH || good != json_array_size(ids)) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL,
                         "serviceIds must be 1 to %d services that are there.", BATCH);
        json_decref(body);
        return;
    }
    json_t *result = json_pack("{s:[]}", "services");
    pthread_mutex_lock(&l->gadmin.lock);
    json_array_foreach(ids, i, one)
    {
        const char *api = json_string_value(one);
        if (!r->hit.on[LAB_LRO_FAILS] && !on(l, api, false))
            json_object_set_new(l->gadmin.services, api, json_integer(lab_gadmin_spread(l)));
        json_array_append_new(json_object_get(result, "services"), shown(l, api));
    }
    lab_gadmin_operation(l, r, a, "", result);
    pthread_mutex_unlock(&l->gadmin.lock);
    json_decref(result);
    json_decref(body);
}

/* --- the project ------------------------------------------------------------------------- */

static const char MANAGER[] = "cloudresourcemanager.googleapis.com";

static void project(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (lab_gadmin_may(l, r, a, "resourcemanager.projects.get", MANAGER))
        lab_reply_json(a, 200,
                       json_pack("{s:s, s:s, s:s, s:s}", "projectNumber", LAB_G_NUMBER, "projectId",
                                 LAB_G_PROJECT, "lifecycleState", "ACTIVE", "name", "Lab"));
}

static void project_policy(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_gadmin_may(l, r, a, "resourcemanager.projects.getIamPolicy", MANAGER))
        return;
    json_t *body = r->body.len > 0 ? lab_gadmin_body(r, a) : json_object();
    const json_t *options = json_object_get(body, "options");
    if (body != NULL)
        lab_gpolicy_get(
            l, r, a, LAB_G_RPROJECT,
            (long)json_integer_value(json_object_get(options, "requestedPolicyVersion")));
    json_decref(body);
}

static void set_project_policy(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_gadmin_may(l, r, a, "resourcemanager.projects.setIamPolicy", MANAGER))
        return;
    json_t *body = lab_gadmin_body(r, a);
    if (body != NULL)
        lab_gpolicy_set(l, r, a, LAB_G_RPROJECT, json_incref(json_object_get(body, "policy")), 409);
    json_decref(body);
}

static const struct lab_route SERVICES[] = {
    {"GET", "/v1/projects/{}/services", list},
    {"GET", "/v1/projects/{}/services/{}", get},
    {"POST", "/v1/projects/{}/services:batchEnable", batch},
    {"POST", "/v1/projects/{}/services/{}:enable", enable},
    {"POST", "/v1/projects/{}/services/{}:disable", disable},
    {"GET", "/v1/operations/{}", lab_gadmin_poll},
    {NULL, NULL, NULL},
};
static const struct lab_route PROJECTS[] = {
    {"GET", "/v1/projects/{}", project},
    {"POST", "/v1/projects/{}:getIamPolicy", project_policy},
    {"POST", "/v1/projects/{}:setIamPolicy", set_project_policy},
    {NULL, NULL, NULL},
};
const struct lab_service lab_serviceusage = {"google-serviceusage", SERVICES, NULL,
                                             lab_gadmin_status, NULL};
const struct lab_service lab_projects = {"google-projects", PROJECTS, NULL, lab_gadmin_status,
                                         NULL};
