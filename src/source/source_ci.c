/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of CI systems that hand them out by variables or by a program of theirs.
 * Sources: the systems' own documentation of their OIDC tokens. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source_int.h"

int kw_source_audience(const struct kw_config *c, const char *whom, char *out, size_t size,
                       struct kw_err *err)
{
    kw_config_audience(c, out, size);
    return out[0] != '\0' ? 0
                          : kw_fail(err, KW_SUBJECT,
                                    "there is no audience to ask %s for; set [source] audience, "
                                    "[oci %s] domain_url or [google %s] provider",
                                    whom, c->profile, c->profile);
}

/* The token is in one of the variables, or there is none: `cure` then. */
static int from_variables(const char *const *names, const char *cure, struct kw_secret **ret,
                          struct kw_err *err)
{
    int r = kw_source_first(names, ret, err);
    return r != 0 || *ret != NULL ? r : kw_fail(err, KW_SUBJECT, "%s", cure);
}

/* GitLab lets the job name the variable (id_tokens:), so [source] name goes first. */
int kw_source_gitlab(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    const char *const names[] = {j->c->source_name[0] != '\0' ? j->c->source_name : "KEYWARD_TOKEN",
                                 j->c->source_name[0] != '\0' ? NULL : "ID_TOKEN",
                                 "GITLAB_OIDC_TOKEN", NULL};
    char audience[512];
    kw_config_audience(j->c, audience, sizeof audience);
    int r = kw_source_first(names, ret, err);
    if (r != 0 || *ret != NULL)
        return r;
    return kw_fail(err, KW_SUBJECT,
                   "GitLab gave this job no ID token (looked for %s); add to the job: id_tokens: "
                   "{ %s: { aud: %s } }",
                   j->c->source_name[0] != '\0' ? j->c->source_name
                                                : "KEYWARD_TOKEN, ID_TOKEN, GITLAB_OIDC_TOKEN",
                   names[0], audience[0] != '\0' ? audience : "AUDIENCE");
}

/* The ready-made tokens are for the organisation's id; another audience has to be asked of
 * CircleCI's own program. */
int kw_source_circleci(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    static const char *const names[] = {"CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN", NULL};
    if (j->c->source_audience[0] == '\0')
        return from_variables(names,
                              "CircleCI gave this job no token (CIRCLE_OIDC_TOKEN_V2 is unset); a "
                              "job has one only if it uses a context",
                              ret, err);
    json_t *o = json_pack("{s:s}", "aud", j->c->source_audience);
    char *claims = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    const char *const argv[] = {"circleci", "run", "oidc", "get", "--claims", claims, NULL};
    int r = claims != NULL ? kw_source_run(argv, j->c->timeout_s, ret, err)
                           : kw_fail(err, KW_FAILED, "no memory for the claims of CircleCI");
    free(claims);
    json_decref(o);
    return r != 0 ? kw_err_wrap(err, "circleci run oidc get") : 0;
}

int kw_source_bitbucket(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    static const char *const names[] = {"BITBUCKET_STEP_OIDC_TOKEN", NULL};
    (void)j;
    return from_variables(names,
                          "Bitbucket gave this step no token (BITBUCKET_STEP_OIDC_TOKEN is unset); "
                          "add `oidc: true` to the step",
                          ret, err);
}

int kw_source_buildkite(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    char audience[512];
    int r = kw_source_audience(j->c, "Buildkite's token", audience, sizeof audience, err);
    if (r != 0)
        return r;
    const char *const argv[] = {"buildkite-agent", "oidc",   "request-token",
                                "--audience",      audience, NULL};
    r = kw_source_run(argv, j->c->timeout_s, ret, err);
    return r != 0 ? kw_err_wrap(err, "buildkite-agent oidc request-token") : 0;
}

/* Several tokens of a run have tags: [source] name is the tag. */
int kw_source_hcp(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    char name[160];
    const char *tag = j->c->source_name;
    (void)snprintf(name, sizeof name, "TFC_WORKLOAD_IDENTITY_TOKEN%s%s", tag[0] != '\0' ? "_" : "",
                   tag);
    int r = kw_source_variable(name, ret, err);
    if (r == 0 && *ret == NULL)
        r = kw_fail(err, KW_SUBJECT,
                    "HCP Terraform gave this run no token (%s is unset); set the workspace's "
                    "environment variable TFC_WORKLOAD_IDENTITY_AUDIENCE%s%s to the target's "
                    "audience",
                    name, tag[0] != '\0' ? "_" : "", tag);
    return r;
}

/* withCredentials binds a token to a variable or to a file, by names of the pipeline's. */
int kw_source_jenkins(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    if (j->c->source_path[0] != '\0')
        return kw_source_file(j, ret, err);
    if (j->c->source_name[0] != '\0')
        return kw_source_env(j, ret, err);
    return kw_fail(err, KW_SUBJECT,
                   "Jenkins binds its ID token by withCredentials to a variable or a file of your "
                   "choosing: give that as [source] name or path");
}
