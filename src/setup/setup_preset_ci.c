/* SPDX-License-Identifier: Apache-2.0
 *
 * The presets of CI systems: each says by other claims which repository, project or pipeline a
 * token is of.
 */
#include <stdio.h>
#include <string.h>

#include "setup_preset_int.h"
#include "src/claims/google_map.h"

static bool number(const char *s)
{
    return s == NULL || strspn(s, "0123456789") == strlen(s);
}

/* Names can change hands; numbers don't. */
static void by_name(struct kw_preset_job *j, const char *what, const char *how)
{
    if (j->ask->repository_id == NULL && j->ask->repository != NULL)
        kw_preset_warn(
            j,
            "%s %s is named, not numbered: whoever registers the name after a removal or a rename "
            "is let in; add --repository-id (%s)",
            what, j->ask->repository, how);
}

static void whole(struct kw_preset_job *j, const char *what)
{
    if (j->ask->branch == NULL && j->ask->environment == NULL && j->ask->subject == NULL)
        kw_preset_warn(
            j,
            "any branch of the %s is let in, so whoever may push one is; narrow it by --branch or "
            "--environment",
            what);
}

/* --- GitHub --------------------------------------------------------------------------------- */

static void github_rules(struct kw_preset_job *j)
{
    const struct kw_preset_ask *a = j->ask;
    char tail[KW_PRESET_VALUE + 32];
    if (a->environment != NULL)
        kw_preset_text(j, tail, sizeof tail, "environment:%s", a->environment);
    else if (a->branch != NULL)
        kw_preset_text(j, tail, sizeof tail, "ref:refs/heads/%s", a->branch);
    else
        kw_preset_text(j, tail, sizeof tail, "*");
    if (a->repository == NULL)
        return;
    kw_preset_rule(j, "sub eq repo:%s:%s", a->repository, tail);
    size_t n = strcspn(a->repository, "/");
    if (a->repository_id != NULL && a->owner_id != NULL) /* repositories since 2026-07-15 */
        kw_preset_rule(j, "sub eq repo:%.*s@%s/%s@%s:%s", (int)n, a->repository, a->owner_id,
                       a->repository + n + 1, a->repository_id, tail);
}

/* google.subject has 127 bytes, which a sub with both names and numbers soon has. */
static void github_subject(struct kw_preset_job *j)
{
    const struct kw_preset_ask *a = j->ask;
    size_t n = sizeof "repo:@/@:environment:" + 2 * 20; /* the numbers */
    n += a->repository != NULL ? strlen(a->repository) : 60;
    n += a->environment != NULL ? strlen(a->environment)
         : a->branch != NULL    ? strlen(a->branch) + 6
                                : 32;
    kw_preset_map(j, "google.subject",
                  n <= KW_GOOGLE_SUBJECT ? "assertion.sub"
                                         : "assertion.repository_id + ':' + assertion.run_id");
}

int kw_preset_github(struct kw_preset_job *j)
{
    const struct kw_preset_ask *a = j->ask;
    if (!kw_preset_pair(a->repository, false))
        return kw_preset_refuse(j, "--repository is OWNER/NAME at GitHub");
    if (!number(a->repository_id) || !number(a->owner_id))
        return kw_preset_refuse(j, "--repository-id and --owner-id are numbers at GitHub (gh api "
                                   "repos/OWNER/NAME --jq '.id, .owner.id')");
    github_subject(j);
    kw_preset_map(j, "attribute.repository", "assertion.repository");
    kw_preset_map(j, "attribute.repository_id", "assertion.repository_id");
    kw_preset_map(j, "attribute.repository_owner_id", "assertion.repository_owner_id");
    kw_preset_map(j, "attribute.ref", "assertion.ref");
    const struct {
        const char *value, *claim;
    } terms[] = {{a->repository_id, "repository_id"},
                 {a->repository_id == NULL ? a->repository : NULL, "repository"},
                 {a->owner_id, "repository_owner_id"},
                 {a->environment, "environment"}};
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        if (terms[i].value != NULL) {
            kw_preset_term(j, "assertion.%s == '%s'", terms[i].claim, terms[i].value);
            kw_preset_claim(j, terms[i].claim, terms[i].value);
        }
    if (a->branch != NULL) {
        char ref[KW_PRESET_VALUE + 16];
        kw_preset_text(j, ref, sizeof ref, "refs/heads/%s", a->branch);
        kw_preset_term(j, "assertion.ref == '%s'", ref);
        kw_preset_claim(j, "ref", ref);
    }
    if (a->repository_id != NULL)
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.repository_id/%s",
                       a->repository_id);
    else if (a->repository != NULL)
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.repository/%s",
                       a->repository);
    else if (a->owner_id != NULL)
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.repository_owner_id/%s",
                       a->owner_id);
    by_name(j, "the repository", "gh api repos/OWNER/NAME --jq .id");
    if (a->repository != NULL || a->repository_id != NULL)
        whole(j, "repository");
    else if (a->owner_id != NULL)
        kw_preset_warn(j, "every repository of the owner is let in; narrow it by --repository-id");
    github_rules(j);
    kw_preset_whole_sub(j);
    return 0;
}

/* --- GitLab --------------------------------------------------------------------------------- */

int kw_preset_gitlab(struct kw_preset_job *j)
{
    const struct kw_preset_ask *a = j->ask;
    if (!kw_preset_pair(a->repository, true))
        return kw_preset_refuse(j, "--repository is GROUP/PROJECT at GitLab");
    if (!number(a->repository_id) || !number(a->owner_id))
        return kw_preset_refuse(
            j, "--repository-id (the project's) and --owner-id (the group's) are numbers "
               "at GitLab");
    kw_preset_map(j, "google.subject", "assertion.project_id + ':' + assertion.job_id");
    kw_preset_map(j, "attribute.project_id", "assertion.project_id");
    kw_preset_map(j, "attribute.project_path", "assertion.project_path");
    kw_preset_map(j, "attribute.namespace_id", "assertion.namespace_id");
    kw_preset_map(j, "attribute.ref", "assertion.ref");
    const struct {
        const char *value, *claim;
    } terms[] = {{a->repository_id, "project_id"},
                 {a->repository_id == NULL ? a->repository : NULL, "project_path"},
                 {a->owner_id, "namespace_id"},
                 {a->environment, "environment"},
                 {a->branch, "ref"},
                 {a->branch != NULL ? "branch" : NULL, "ref_type"}};
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        if (terms[i].value != NULL) {
            kw_preset_term(j, "assertion.%s == '%s'", terms[i].claim, terms[i].value);
            kw_preset_claim(j, terms[i].claim, terms[i].value);
        }
    if (a->repository_id != NULL)
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.project_id/%s",
                       a->repository_id);
    else if (a->repository != NULL)
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.project_path/%s",
                       a->repository);
    else if (a->owner_id != NULL)
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.namespace_id/%s",
                       a->owner_id);
    by_name(j, "the project", "it is on the project's page");
    if (a->repository != NULL || a->repository_id != NULL)
        whole(j, "project");
    else if (a->owner_id != NULL)
        kw_preset_warn(j, "every project of the group is let in; narrow it by --repository-id");
    if (a->repository != NULL && a->branch != NULL)
        kw_preset_rule(j, "sub eq project_path:%s:ref_type:branch:ref:%s", a->repository,
                       a->branch);
    else if (a->repository != NULL)
        kw_preset_rule(j, "sub eq project_path:%s:*", a->repository);
    kw_preset_whole_sub(j);
    return 0;
}

/* --- CircleCI, Buildkite -------------------------------------------------------------------- */

int kw_preset_circleci(struct kw_preset_job *j)
{
    static const char project[] = "oidc.circleci.com/project-id",
                      ref[] = "oidc.circleci.com/vcs-ref";
    const struct kw_preset_ask *a = j->ask;
    if (a->issuer_url == NULL && a->owner_id == NULL)
        return kw_preset_refuse(
            j, "CircleCI has an issuer for each organization: give its UUID as --owner-id");
    if (a->issuer_url == NULL)
        kw_preset_text(j, j->p->issuer, sizeof j->p->issuer, "https://oidc.circleci.com/org/%s",
                       a->owner_id);
    else if (a->owner_id != NULL) { /* of an issuer that may have several */
        char subs[KW_PRESET_VALUE + 16];
        kw_preset_term(j, "assertion.sub.startsWith('org/%s/')", a->owner_id);
        kw_preset_text(j, subs, sizeof subs, "org/%s/*", a->owner_id);
        kw_preset_claim(j, "sub", subs);
    }
    kw_preset_map(j, "google.subject", "assertion['oidc.circleci.com/project-id']");
    kw_preset_map(j, "attribute.project_id", "assertion['oidc.circleci.com/project-id']");
    if (a->repository_id != NULL) {
        kw_preset_term(j, "assertion['%s'] == '%s'", project, a->repository_id);
        kw_preset_claim(j, project, a->repository_id);
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.project_id/%s",
                       a->repository_id);
        whole(j, "project");
    } else if (a->owner_id != NULL && a->subject == NULL) {
        kw_preset_warn(j, "every project of the organization is let in; narrow it by "
                          "--repository-id");
    }
    if (a->branch != NULL) {
        char full[KW_PRESET_VALUE + 16];
        kw_preset_text(j, full, sizeof full, "refs/heads/%s", a->branch);
        kw_preset_term(j, "assertion['%s'] == '%s'", ref, full);
        kw_preset_claim(j, ref, full);
    }
    if (a->repository_id != NULL && a->owner_id != NULL)
        kw_preset_rule(j, "sub eq org/%s/project/%s/*", a->owner_id, a->repository_id);
    kw_preset_whole_sub(j);
    return 0;
}

int kw_preset_buildkite(struct kw_preset_job *j)
{
    const struct kw_preset_ask *a = j->ask;
    char org[KW_PRESET_VALUE], pipeline[KW_PRESET_VALUE];
    if (!kw_preset_pair(a->repository, false))
        return kw_preset_refuse(j, "--repository is ORGANIZATION/PIPELINE at Buildkite");
    kw_preset_map(j, "google.subject",
                  "assertion.organization_slug + '/' + assertion.pipeline_slug");
    kw_preset_map(j, "attribute.pipeline",
                  "assertion.organization_slug + '/' + assertion.pipeline_slug");
    if (a->repository != NULL) {
        size_t n = strcspn(a->repository, "/");
        kw_preset_text(j, org, sizeof org, "%.*s", (int)n, a->repository);
        kw_preset_text(j, pipeline, sizeof pipeline, "%s", a->repository + n + 1);
        kw_preset_term(j, "assertion.organization_slug == '%s'", org);
        kw_preset_term(j, "assertion.pipeline_slug == '%s'", pipeline);
        kw_preset_claim(j, "organization_slug", org);
        kw_preset_claim(j, "pipeline_slug", pipeline);
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.pipeline/%s",
                       a->repository);
        whole(j, "pipeline");
        if (a->branch != NULL)
            kw_preset_rule(j, "sub eq organization:%s:pipeline:%s:ref:refs/heads/%s:*", org,
                           pipeline, a->branch);
        else
            kw_preset_rule(j, "sub eq organization:%s:pipeline:%s:*", org, pipeline);
    }
    if (a->branch != NULL) {
        kw_preset_term(j, "assertion.build_branch == '%s'", a->branch);
        kw_preset_claim(j, "build_branch", a->branch);
    }
    kw_preset_whole_sub(j);
    return 0;
}
