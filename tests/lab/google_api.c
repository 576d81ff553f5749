/* SPDX-License-Identifier: Apache-2.0
 *
 * Two of Google's APIs, read-only, with a fixed inventory: Compute Engine's instances and
 * Cloud Storage's objects. Compute takes federated tokens, Storage too; what knows service
 * accounts only is /v1/accounts-only, for the answer that such services give.
 */
#include <string.h>

#include "lab.h"

static const char OBJECT[] = "hello from lab-bucket\n";

static void api_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    lab_google_error(NULL, a, status,
                     status == 429   ? "RESOURCE_EXHAUSTED"
                     : status >= 500 ? "UNAVAILABLE"
                     : status == 401 ? "UNAUTHENTICATED"
                     : status == 403 ? "PERMISSION_DENIED"
                                     : "NOT_FOUND",
                     NULL, "The request was not served.");
}

static bool guard(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    struct lab_grant g;
    bool good = lab_google_bearer(l, r, a, &g);
    const char *project = lab_header(r, "x-goog-user-project");
    if (good && project != NULL && strcmp(project, LAB_G_PROJECT) != 0) {
        lab_google_error(r, a, 403, "PERMISSION_DENIED", "USER_PROJECT_DENIED",
                         "Caller does not have required permission to use project %s.", project);
        good = false;
    }
    return good;
}

static void instances(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)l;
    if (r->param[0].len != strlen(LAB_G_PROJECT) ||
        memcmp(r->param[0].p, LAB_G_PROJECT, strlen(LAB_G_PROJECT)) != 0) {
        lab_google_error(r, a, 404, "NOT_FOUND", NULL, "The resource was not found.");
        return;
    }
    lab_verdict(r, "served");
    lab_reply_json(a, 200,
                   json_pack("{s:s, s:s, s:[{s:s, s:s, s:s}]}", "kind", "compute#instanceList",
                             "id", "projects/" LAB_G_PROJECT, "items", "id", "4711", "name",
                             "build-1", "status", "RUNNING"));
}

static void object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char media[16] = "", name[256];
    (void)l;
    if (!lab_unpct((const char *)r->param[1].p, r->param[1].len, false, name, sizeof name) ||
        strcmp(name, "hello.txt") != 0) {
        lab_google_error(r, a, 404, "NOT_FOUND", NULL, "No such object.");
        return;
    }
    lab_verdict(r, "served");
    if (lab_query(r, "alt", media, sizeof media) == 1 && strcmp(media, "media") == 0)
        lab_reply_bytes(a, 200, "text/plain", OBJECT, sizeof OBJECT - 1);
    else
        lab_reply_json(
            a, 200,
            json_pack("{s:s, s:s, s:s}", "kind", "storage#object", "name", name, "size", "22"));
}

/* A service that knows accounts only, as some of Google's do. */
static void accounts_only(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (strncmp(r->principal, "principal:", 10) == 0)
        api_status(l, a, 401);
    else
        lab_reply_json(a, 200, json_pack("{s:s}", "caller", r->principal));
}

static const struct lab_route COMPUTE[] = {
    {"GET", "/compute/v1/projects/{}/zones/{}/instances", instances},
    {"GET", "/v1/accounts-only", accounts_only},
    {NULL, NULL, NULL},
};
static const struct lab_route STORAGE[] = {
    {"GET", "/storage/v1/b/{}/o/{}", object},
    {NULL, NULL, NULL},
};
const struct lab_service lab_compute = {"google-compute", COMPUTE, guard, api_status, NULL};
const struct lab_service lab_storage = {"google-storage", STORAGE, guard, api_status, NULL};
