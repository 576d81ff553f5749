/* SPDX-License-Identifier: Apache-2.0
 *
 * Subject tokens as other systems than GitHub issue them, and the two metadata services
 * that hand such tokens out over plain HTTP (door LAB_DOOR_PLAIN). All are signed by the
 * lab's issuer key; Google's side has a provider for each.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"

const struct lab_shape lab_shapes[LAB_SHAPES] = {
    {"gitlab", "https://gitlab.lab.test", "project_path:keyward/demo:ref_type:branch:ref:main",
     "{\"namespace_id\":\"72\",\"namespace_path\":\"keyward\",\"project_id\":\"4711\","
     "\"project_path\":\"keyward/demo\",\"ref\":\"main\",\"ref_type\":\"branch\","
     "\"ref_protected\":\"true\",\"pipeline_source\":\"push\",\"job_id\":\"302\","
     "\"runner_environment\":\"self-hosted\",\"user_login\":\"octo\"}",
     "project_id", "4711"},
    {"circleci", "https://oidc.circleci.lab.test/org/5b1c3d5e-0001-4bfd-8d5e-1fd0a4b2c3d4",
     "org/5b1c3d5e-0001-4bfd-8d5e-1fd0a4b2c3d4/project/aa11/user/bb22",
     "{\"oidc.circleci.com/project-id\":\"aa11\",\"oidc.circleci.com/vcs-ref\":"
     "\"refs/heads/main\",\"oidc.circleci.com/context-ids\":[\"c1\"]}",
     "oidc.circleci.com/project-id", "aa11"},
    {"bitbucket",
     "https://api.bitbucket.lab.test/2.0/workspaces/keyward/pipelines-config/identity/oidc",
     "{4711aaaa-0000-4000-8000-000000000001}:{9f9f}",
     "{\"repositoryUuid\":\"{4711aaaa-0000-4000-8000-000000000001}\",\"branchName\":\"main\"}",
     "branchName", "main"},
    {"buildkite", "https://agent.buildkite.lab.test",
     "organization:keyward:pipeline:demo:ref:refs/heads/main:commit:8f0e:step:build",
     "{\"organization_slug\":\"keyward\",\"pipeline_slug\":\"demo\",\"build_branch\":\"main\"}",
     "pipeline_slug", "demo"},
    {"hcp-terraform", "https://app.terraform.lab.test",
     "organization:keyward:project:demo:workspace:prod:run_phase:apply",
     "{\"terraform_organization_id\":\"org-1\",\"terraform_workspace_id\":\"ws-1\","
     "\"terraform_run_phase\":\"apply\"}",
     "terraform_workspace_id", "ws-1"},
    {"jenkins", "https://jenkins.lab.test/oidc", "https://jenkins.lab.test/job/demo/",
     "{\"build_number\":42}", "sub", "https://jenkins.lab.test/job/demo/"},
    {"kubernetes", "https://kubernetes.lab.test", "system:serviceaccount:ci:deployer",
     "{\"kubernetes.io\":{\"namespace\":\"ci\",\"serviceaccount\":{\"name\":\"deployer\",\"uid\":"
     "\"0c7a\"}}}",
     "sub", "system:serviceaccount:ci:deployer"},
    {"azure", "https://sts.windows.lab.test/7f6f3a10-2222-4c70-9bb4-0b8f2a3c4d5e/",
     "3a4b5c6d-1111-4222-8333-944455566677",
     "{\"oid\":\"3a4b5c6d-1111-4222-8333-944455566677\",\"tid\":"
     "\"7f6f3a10-2222-4c70-9bb4-0b8f2a3c4d5e\"}",
     "oid", "3a4b5c6d-1111-4222-8333-944455566677"},
    {"gce", "https://accounts.google.lab.test", "112233445566778899001",
     "{\"azp\":\"112233445566778899001\",\"email\":\"vm@lab-project.iam.gserviceaccount.com\","
     "\"google\":{\"compute_engine\":{\"project_id\":\"lab-project\",\"zone\":\"z\"}}}",
     "sub", "112233445566778899001"},
};

const struct lab_shape *lab_shape_find(const char *name)
{
    for (size_t i = 0; i < LAB_SHAPES; i++)
        if (strcmp(lab_shapes[i].name, name) == 0)
            return &lab_shapes[i];
    return NULL;
}

char *lab_shape_mint(struct lab *l, const struct lab_shape *s, const char *audience,
                     const struct lab_hit *hit)
{
    int64_t now = lab_now(l), old = hit->on[LAB_JWT_EXPIRED] ? 900 : 0;
    char jti[33];
    json_t *claims = json_loads(s->claims, 0, NULL);
    lab_random_hex(jti, 16);
    json_object_set_new(claims, "iss", json_string(s->issuer));
    json_object_set_new(claims, "sub", json_string(s->subject));
    json_object_set_new(claims, "aud", json_string(audience));
    json_object_set_new(claims, "iat", json_integer(now - old));
    json_object_set_new(claims, "nbf", json_integer(now - old));
    json_object_set_new(claims, "exp", json_integer(now - old + l->opt.subject_life));
    json_object_set_new(claims, "jti", json_string(jti));
    EVP_PKEY *key = hit->on[LAB_JWT_WRONG_KEY] ? l->stranger_key : l->issuer_key;
    char *jwt = lab_jwt_sign(key, l->issuer_kid, claims);
    json_decref(claims);
    return jwt;
}

/* --- metadata services ---------------------------------------------------------------------- */

static void metadata_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    lab_reply_json(a, status,
                   json_pack("{s:s, s:s}", "error", "invalid_request", "error_description",
                             "The request was refused."));
}

static bool header_is(const struct lab_request *r, const char *name, const char *value)
{
    const char *given = lab_header(r, name);
    return given != NULL && strcasecmp(given, value) == 0;
}

static void azure(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char resource[1024], client[128] = "";
    if (!header_is(r, "metadata", "true") ||
        lab_query(r, "resource", resource, sizeof resource) != 1) {
        lab_verdict(r, "refused: no Metadata header or no resource");
        metadata_status(l, a, 400);
        return;
    }
    if (lab_query(r, "client_id", client, sizeof client) == 1 &&
        strcmp(client, "lab-identity") != 0) {
        lab_reply_json(a, 400,
                       json_pack("{s:s, s:s}", "error", "invalid_request", "error_description",
                                 "Identity not found"));
        return;
    }
    char *jwt = lab_shape_mint(l, lab_shape_find("azure"), resource, &r->hit), until[24];
    snprintf(until, sizeof until, "%lld", (long long)lab_now(l) + l->opt.subject_life);
    lab_verdict(r, "issued: subject token for audience %s", resource);
    lab_reply_json(a, 200,
                   json_pack("{s:s, s:s, s:s, s:s, s:s}", "access_token", jwt != NULL ? jwt : "",
                             "client_id", "lab-identity", "expires_on", until, "resource", resource,
                             "token_type", "Bearer"));
    free(jwt);
}

static void gce(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char audience[1024], format[16] = "";
    if (!header_is(r, "metadata-flavor", "Google") ||
        lab_query(r, "audience", audience, sizeof audience) != 1) {
        lab_verdict(r, "refused: no Metadata-Flavor header or no audience");
        lab_reply_bytes(a, 403, "text/html", "<html>Forbidden</html>", 22);
        return;
    }
    (void)lab_query(r, "format", format, sizeof format);
    char *jwt = lab_shape_mint(l, lab_shape_find("gce"), audience, &r->hit);
    lab_verdict(r, "issued: subject token for audience %s", audience);
    lab_reply_header(a, "metadata-flavor", "Google");
    lab_reply_bytes(a, 200, "application/json", jwt != NULL ? jwt : "",
                    jwt != NULL ? strlen(jwt) : 0);
    free(jwt);
}

static const struct lab_route ROUTES[] = {
    {"GET", "/metadata/identity/oauth2/token", azure},
    {"GET", "/computeMetadata/v1/instance/service-accounts/default/identity", gce},
    {NULL, NULL, NULL},
};
const struct lab_service lab_metadata = {"metadata", ROUTES, NULL, metadata_status, NULL};
