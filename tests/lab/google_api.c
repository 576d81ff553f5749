/* SPDX-License-Identifier: Apache-2.0
 *
 * Two of Google's APIs, read-only, with a fixed inventory: Compute Engine's instances and
 * Cloud Storage's objects, by the bucket's IAM policy, which can be set. Compute takes
 * federated tokens, Storage too; what knows service
 * accounts only is /v1/accounts-only, for the answer that such services give.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"

/* What is in the bucket: a text, and a state as Terraform keeps one there. */
static const struct object {
    const char *name, *type, *crc32c, *text;
} OBJECTS[] = {
    {"hello.txt", "text/plain", "FOAqrg==", "hello from lab-bucket\n"},
    {"tofu/default.tfstate", "application/json", NULL,
     "{\"version\":4,\"terraform_version\":\"1.5.0\",\"serial\":1,\"lineage\":\"lab\",\"outputs\":"
     "{\"greeting\":{\"value\":\"hello from lab-bucket\",\"type\":\"string\"}},\"resources\":[],"
     "\"check_results\":null}\n"},
};

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
                   json_pack("{s:s, s:s, s:[{s:s, s:s, s:s, s:s}]}", "kind", "compute#instanceList",
                             "id", "projects/" LAB_G_PROJECT, "items", "id", "4711", "name",
                             "build-1", "status", "RUNNING", "zone",
                             "https://www.googleapis.com/compute/v1/projects/" LAB_G_PROJECT
                             "/zones/z"));
}

/* Readers of the bucket, by its IAM policy. */
static bool may_read(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    static const char *const roles[] = {"roles/storage.objectViewer", "roles/storage.objectUser",
                                        "roles/storage.objectAdmin", "roles/storage.admin", NULL};
    struct lab_grant g;
    char who[600], bucket[128], resource[160];
    if (!lab_google_bearer(l, r, a, &g))
        return false;
    snprintf(who, sizeof who, "%s%s", g.kind == LAB_OF_ACCOUNT ? "serviceAccount:" : "", g.who);
    lab_gadmin_param(r, 0, bucket, sizeof bucket);
    snprintf(resource, sizeof resource, "buckets/%s", bucket);
    if (lab_granted(l, resource, who, g.sets, roles))
        return true;
    lab_google_error(r, a, 403, "PERMISSION_DENIED", NULL,
                     "%.200s does not have storage.objects.get access to the Google Cloud Storage "
                     "object. Permission 'storage.objects.get' denied on resource (or it may not "
                     "exist).",
                     g.who);
    return false;
}

/* The one bucket there is. */
static bool bucket_known(const struct lab_request *r)
{
    char bucket[128];
    lab_gadmin_param(r, 0, bucket, sizeof bucket);
    return strcmp(bucket, "lab-bucket") == 0;
}

static void get_policy(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char version[8] = "0";
    if (!lab_gadmin_has(l, r, a, "storage.buckets.getIamPolicy", bucket_known(r)))
        return;
    (void)lab_query(r, "optionsRequestedPolicyVersion", version, sizeof version);
    lab_gpolicy_get(l, r, a, LAB_G_BUCKET, strtol(version, NULL, 10));
}

/* A stale etag is 412 here, where it is 409 elsewhere. */
static void put_policy(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_gadmin_has(l, r, a, "storage.buckets.setIamPolicy", bucket_known(r)))
        return;
    json_t *body = lab_gadmin_body(r, a);
    if (body != NULL)
        lab_gpolicy_set(l, r, a, LAB_G_BUCKET, body, 412);
}

static json_t *resource(const struct object *o)
{
    char text[160];
    snprintf(text, sizeof text,
             "https://storage.googleapis.com/download/storage/v1/b/lab-bucket/o/%s?alt=media",
             o->name);
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kind", "storage#object", "name",
                  o->name, "bucket", "lab-bucket", "generation", "1", "metageneration", "1",
                  "contentType", o->type, "storageClass", "STANDARD", "mediaLink", text);
    snprintf(text, sizeof text, "%zu", strlen(o->text));
    json_object_set_new(j, "size", json_string(text));
    if (o->crc32c != NULL)
        json_object_set_new(j, "crc32c", json_string(o->crc32c));
    return j;
}

static void serve(struct lab *l, struct lab_request *r, struct lab_response *a, const char *name,
                  bool media)
{
    const struct object *o = NULL;
    if (!may_read(l, r, a))
        return;
    for (size_t i = 0; i < sizeof OBJECTS / sizeof OBJECTS[0]; i++)
        if (strcmp(name, OBJECTS[i].name) == 0)
            o = &OBJECTS[i];
    if (o == NULL) {
        lab_google_error(r, a, 404, "NOT_FOUND", NULL, "No such object.");
        return;
    }
    lab_verdict(r, "served");
    if (media)
        lab_reply_bytes(a, 200, o->type, o->text, strlen(o->text));
    else
        lab_reply_json(a, 200, resource(o));
}

static void object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char media[16] = "", name[256];
    lab_gadmin_param(r, 1, name, sizeof name);
    serve(l, r, a, name,
          lab_query(r, "alt", media, sizeof media) == 1 && strcmp(media, "media") == 0);
}

/* As the XML API has it, which the library for Go reads by. */
static void xml_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[256];
    lab_gadmin_param(r, 1, name, sizeof name);
    serve(l, r, a, name, true);
}

/* Without what delimiters and pages would be for. */
static void objects(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char prefix[256] = "";
    if (!may_read(l, r, a))
        return;
    (void)lab_query(r, "prefix", prefix, sizeof prefix);
    json_t *items = json_array();
    for (size_t i = 0; i < sizeof OBJECTS / sizeof OBJECTS[0]; i++)
        if (strncmp(OBJECTS[i].name, prefix, strlen(prefix)) == 0)
            json_array_append_new(items, resource(&OBJECTS[i]));
    lab_verdict(r, "served");
    lab_reply_json(a, 200, json_pack("{s:s, s:o}", "kind", "storage#objects", "items", items));
}

/* What is uploaded (a name in JSON, and what it holds behind it) is answered and forgotten:
 * Terraform locks a state by an object that mustn't be there yet, and takes that away again. */
static void upload(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    const char *body = kw_buf_str(&r->body), *json = strchr(body, '{');
    if (!may_read(l, r, a))
        return;
    json_t *j = json != NULL ? json_loads(json, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    const char *name = json_string_value(json_object_get(j, "name"));
    if (name == NULL) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "Required object name.");
    } else {
        const struct object o = {name, "application/json", NULL, ""};
        lab_verdict(r, "served");
        lab_reply_json(a, 200, resource(&o));
    }
    json_decref(j);
}

static void removal(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!may_read(l, r, a))
        return;
    lab_verdict(r, "served");
    a->status = 204;
}

/* A service that knows accounts only, as some of Google's do. */
static void accounts_only(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (strncmp(r->principal, "principal:", 10) == 0)
        api_status(l, a, 401);
    else
        lab_reply_json(a, 200, json_pack("{s:s}", "caller", r->principal));
}

/* Storage's errors have a list of themselves, too. */
static void finish_storage(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)l, (void)r;
    if (a->status < 400)
        return;
    json_t *o = json_loadb(kw_buf_str(&a->body), a->body.len, 0, NULL);
    json_t *e = json_object_get(o, "error");
    const char *reason = a->status == 412   ? "conditionNotMet"
                         : a->status == 404 ? "notFound"
                         : a->status == 401 ? "required"
                         : a->status == 403 ? "forbidden"
                                            : "invalid";
    if (e != NULL) {
        json_object_set_new(e, "errors",
                            json_pack("[{s:s, s:s, s:s}]", "message", lab_text(e, "message"),
                                      "domain", "global", "reason", reason));
        kw_buf_reset(&a->headers);
        lab_reply_json(a, a->status, json_incref(o));
    }
    json_decref(o);
}

static const struct lab_route COMPUTE[] = {
    {"GET", "/compute/v1/projects/{}/zones/{}/instances", instances},
    {"GET", "/v1/accounts-only", accounts_only},
    {NULL, NULL, NULL},
};
static const struct lab_route STORAGE[] = {
    {"GET", "/storage/v1/b/{}/o", objects},
    {"GET", "/storage/v1/b/{}/o/{}", object},
    {"GET", "/download/storage/v1/b/{}/o/{}", object},
    {"DELETE", "/storage/v1/b/{}/o/{}", removal},
    {"POST", "/upload/storage/v1/b/{}/o", upload},
    {"GET", "/storage/v1/b/{}/iam", get_policy},
    {"PUT", "/storage/v1/b/{}/iam", put_policy},
    {"GET", "/{}/{}", xml_object},
    {NULL, NULL, NULL},
};
const struct lab_service lab_compute = {"google-compute", COMPUTE, guard, api_status, NULL};
const struct lab_service lab_storage = {"google-storage", STORAGE, guard, api_status,
                                        finish_storage};
