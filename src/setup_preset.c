/* SPDX-License-Identifier: Apache-2.0
 *
 * The issuers that keyward knows, as a table and a function each; where their keys are and
 * what their tokens say is from their own documentation.
 */
#include "setup_preset.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "google_map.h"

enum { VALUE = 400 };

struct job {
    const struct kw_preset_ask *ask;
    struct kw_preset *p;
    struct kw_err *err;
    bool bad; /* something did not fit, or there was no memory */
};

/* --- what is put together ------------------------------------------------------------------------
 */

static void append(struct job *j, char *text, size_t size, const char *fmt, va_list ap)
{
    size_t at = strlen(text);
    int len = vsnprintf(text + at, size - at, fmt, ap);
    j->bad = j->bad || len < 0 || (size_t)len >= size - at;
}

/* One more term of the condition. Values have neither quotes nor backslashes: usable() has seen
 * to that. */
static void term(struct job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void term(struct job *j, const char *fmt, ...)
{
    va_list ap;
    size_t at = strlen(j->p->condition);
    if (at > 0 && at + 5 < sizeof j->p->condition)
        (void)snprintf(j->p->condition + at, sizeof j->p->condition - at, " && ");
    va_start(ap, fmt);
    append(j, j->p->condition, sizeof j->p->condition, fmt, ap);
    va_end(ap);
}

static void text(struct job *j, char *out, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void text(struct job *j, char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    out[0] = '\0';
    va_start(ap, fmt);
    append(j, out, size, fmt, ap);
    va_end(ap);
}

static void map(struct job *j, const char *key, const char *expression)
{
    j->bad = json_object_set_new(j->p->mapping, key, json_string(expression)) != 0 || j->bad;
}

static void claim(struct job *j, const char *name, const char *value)
{
    j->bad = json_object_set_new(j->p->claims, name, json_string(value)) != 0 || j->bad;
}

static void add(struct job *j, json_t *list, const char *fmt, va_list ap)
{
    char line[1200] = "";
    append(j, line, sizeof line, fmt, ap);
    j->bad = json_array_append_new(list, json_string(line)) != 0 || j->bad;
}

static void rule(struct job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void rule(struct job *j, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(j, j->p->rules, fmt, ap);
    va_end(ap);
}

static void warn(struct job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct job *j, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(j, j->p->warnings, fmt, ap);
    va_end(ap);
}

/* --- what was asked
 * -------------------------------------------------------------------------------- */

/* A value goes into CEL, a rule, an INI file and a member's name: what any of them would read
 * as more than a value is refused. */
static int usable(const char *value, const char *option, struct kw_err *err)
{
    if (value == NULL)
        return 0;
    size_t n = strlen(value);
    for (const char *p = value; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || strchr("'\"\\*?[]{};#$`<>|&", *p) != NULL)
            return kw_fail(err, KW_USAGE,
                           "%s is one exact value: no spaces, quotes or wildcards, and visible "
                           "ASCII only (more than one: --condition)",
                           option);
    return n > 0 && n < VALUE ? 0 : kw_fail(err, KW_USAGE, "%s is empty or too long", option);
}

static int check(const struct kw_preset_ask *a, struct kw_err *err)
{
    const struct {
        const char *value, *option;
    } all[] = {{a->issuer, "--issuer"},           {a->issuer_url, "--issuer-url"},
               {a->repository, "--repository"},   {a->repository_id, "--repository-id"},
               {a->owner_id, "--owner-id"},       {a->branch, "--branch"},
               {a->environment, "--environment"}, {a->subject, "--subject"}};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof all / sizeof all[0]; i++)
        r = usable(all[i].value, all[i].option, err);
    if (r == 0 && a->issuer_url != NULL && strncmp(a->issuer_url, "https://", 8) != 0)
        r = kw_fail(err, KW_USAGE, "--issuer-url begins with https://");
    return r;
}

static bool number(const char *s)
{
    return s == NULL || strspn(s, "0123456789") == strlen(s);
}

/* A/B with both there and no third part, unless parts may be more. */
static bool pair(const char *s, bool more)
{
    const char *slash = s != NULL ? strchr(s, '/') : NULL;
    return s == NULL || (slash != NULL && slash > s && slash[1] != '\0' &&
                         s[strlen(s) - 1] != '/' && (more || strchr(slash + 1, '/') == NULL));
}

static int refuse(struct job *j, const char *why)
{
    return kw_fail(j->err, KW_USAGE, "%s", why);
}

/* Names can change hands; numbers don't. */
static void by_name(struct job *j, const char *what, const char *how)
{
    if (j->ask->repository_id == NULL && j->ask->repository != NULL)
        warn(j,
             "%s %s is named, not numbered: whoever registers the name after a removal or a rename "
             "is let in; add --repository-id (%s)",
             what, j->ask->repository, how);
}

static void whole(struct job *j, const char *what)
{
    if (j->ask->branch == NULL && j->ask->environment == NULL)
        warn(j,
             "any branch of the %s is let in, so whoever may push one is; narrow it by --branch or "
             "--environment",
             what);
}

/* --- GitHub
 * ---------------------------------------------------------------------------------------- */

static void github_rules(struct job *j)
{
    const struct kw_preset_ask *a = j->ask;
    char tail[VALUE + 32];
    if (a->environment != NULL)
        text(j, tail, sizeof tail, "environment:%s", a->environment);
    else if (a->branch != NULL)
        text(j, tail, sizeof tail, "ref:refs/heads/%s", a->branch);
    else
        text(j, tail, sizeof tail, "*");
    if (a->repository == NULL)
        return;
    rule(j, "sub eq repo:%s:%s", a->repository, tail);
    size_t n = strcspn(a->repository, "/");
    if (a->repository_id != NULL && a->owner_id != NULL) /* repositories since 2026-07-15 */
        rule(j, "sub eq repo:%.*s@%s/%s@%s:%s", (int)n, a->repository, a->owner_id,
             a->repository + n + 1, a->repository_id, tail);
}

/* google.subject has 127 bytes, which a sub with both names and numbers soon has. */
static void github_subject(struct job *j)
{
    const struct kw_preset_ask *a = j->ask;
    size_t n = sizeof "repo:@/@:environment:" + 2 * 20; /* the numbers */
    n += a->repository != NULL ? strlen(a->repository) : 60;
    n += a->environment != NULL ? strlen(a->environment)
         : a->branch != NULL    ? strlen(a->branch) + 6
                                : 32;
    map(j, "google.subject",
        n <= KW_GOOGLE_SUBJECT ? "assertion.sub"
                               : "assertion.repository_id + ':' + assertion.run_id");
}

static int github(struct job *j)
{
    const struct kw_preset_ask *a = j->ask;
    if (!pair(a->repository, false))
        return refuse(j, "--repository is OWNER/NAME at GitHub");
    if (!number(a->repository_id) || !number(a->owner_id))
        return refuse(j, "--repository-id and --owner-id are numbers at GitHub (gh api "
                         "repos/OWNER/NAME --jq '.id, .owner.id')");
    github_subject(j);
    map(j, "attribute.repository", "assertion.repository");
    map(j, "attribute.repository_id", "assertion.repository_id");
    map(j, "attribute.repository_owner_id", "assertion.repository_owner_id");
    map(j, "attribute.ref", "assertion.ref");
    const struct {
        const char *value, *claim;
    } terms[] = {{a->repository_id, "repository_id"},
                 {a->repository_id == NULL ? a->repository : NULL, "repository"},
                 {a->owner_id, "repository_owner_id"},
                 {a->environment, "environment"}};
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        if (terms[i].value != NULL) {
            term(j, "assertion.%s == '%s'", terms[i].claim, terms[i].value);
            claim(j, terms[i].claim, terms[i].value);
        }
    if (a->branch != NULL) {
        char ref[VALUE + 16];
        text(j, ref, sizeof ref, "refs/heads/%s", a->branch);
        term(j, "assertion.ref == '%s'", ref);
        claim(j, "ref", ref);
    }
    if (a->repository_id != NULL)
        text(j, j->p->member, sizeof j->p->member, "attribute.repository_id/%s", a->repository_id);
    else if (a->repository != NULL)
        text(j, j->p->member, sizeof j->p->member, "attribute.repository/%s", a->repository);
    else if (a->owner_id != NULL)
        text(j, j->p->member, sizeof j->p->member, "attribute.repository_owner_id/%s", a->owner_id);
    by_name(j, "the repository", "gh api repos/OWNER/NAME --jq .id");
    if (a->repository != NULL || a->repository_id != NULL)
        whole(j, "repository");
    else if (a->owner_id != NULL)
        warn(j, "every repository of the owner is let in; narrow it by --repository-id");
    github_rules(j);
    return 0;
}

/* --- GitLab
 * ---------------------------------------------------------------------------------------- */

static int gitlab(struct job *j)
{
    const struct kw_preset_ask *a = j->ask;
    if (!pair(a->repository, true))
        return refuse(j, "--repository is GROUP/PROJECT at GitLab");
    if (!number(a->repository_id) || !number(a->owner_id))
        return refuse(j, "--repository-id (the project's) and --owner-id (the group's) are numbers "
                         "at GitLab");
    map(j, "google.subject", "assertion.project_id + ':' + assertion.job_id");
    map(j, "attribute.project_id", "assertion.project_id");
    map(j, "attribute.project_path", "assertion.project_path");
    map(j, "attribute.namespace_id", "assertion.namespace_id");
    map(j, "attribute.ref", "assertion.ref");
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
            term(j, "assertion.%s == '%s'", terms[i].claim, terms[i].value);
            claim(j, terms[i].claim, terms[i].value);
        }
    if (a->repository_id != NULL)
        text(j, j->p->member, sizeof j->p->member, "attribute.project_id/%s", a->repository_id);
    else if (a->repository != NULL)
        text(j, j->p->member, sizeof j->p->member, "attribute.project_path/%s", a->repository);
    else if (a->owner_id != NULL)
        text(j, j->p->member, sizeof j->p->member, "attribute.namespace_id/%s", a->owner_id);
    by_name(j, "the project", "it is on the project's page");
    if (a->repository != NULL || a->repository_id != NULL)
        whole(j, "project");
    else if (a->owner_id != NULL)
        warn(j, "every project of the group is let in; narrow it by --repository-id");
    if (a->repository != NULL && a->branch != NULL)
        rule(j, "sub eq project_path:%s:ref_type:branch:ref:%s", a->repository, a->branch);
    else if (a->repository != NULL)
        rule(j, "sub eq project_path:%s:*", a->repository);
    return 0;
}

/* --- CircleCI, Buildkite
 * ------------------------------------------------------------------------------ */

static int circleci(struct job *j)
{
    static const char project[] = "oidc.circleci.com/project-id",
                      ref[] = "oidc.circleci.com/vcs-ref";
    const struct kw_preset_ask *a = j->ask;
    if (a->issuer_url == NULL && a->owner_id == NULL)
        return refuse(j,
                      "CircleCI has an issuer for each organization: give its UUID as --owner-id");
    if (a->repository != NULL || a->environment != NULL)
        return refuse(j, "CircleCI's tokens name a project by its UUID only: --repository-id, and "
                         "--branch");
    if (a->issuer_url == NULL)
        text(j, j->p->issuer, sizeof j->p->issuer, "https://oidc.circleci.com/org/%s", a->owner_id);
    map(j, "google.subject", "assertion['oidc.circleci.com/project-id']");
    map(j, "attribute.project_id", "assertion['oidc.circleci.com/project-id']");
    if (a->repository_id != NULL) {
        term(j, "assertion['%s'] == '%s'", project, a->repository_id);
        claim(j, project, a->repository_id);
        text(j, j->p->member, sizeof j->p->member, "attribute.project_id/%s", a->repository_id);
        whole(j, "project");
    }
    if (a->branch != NULL) {
        char name[VALUE + 16];
        text(j, name, sizeof name, "refs/heads/%s", a->branch);
        term(j, "assertion['%s'] == '%s'", ref, name);
        claim(j, ref, name);
    }
    if (a->repository_id != NULL && a->owner_id != NULL)
        rule(j, "sub eq org/%s/project/%s/*", a->owner_id, a->repository_id);
    return 0;
}

static int buildkite(struct job *j)
{
    const struct kw_preset_ask *a = j->ask;
    char org[VALUE], pipeline[VALUE];
    if (!pair(a->repository, false))
        return refuse(j, "--repository is ORGANIZATION/PIPELINE at Buildkite");
    if (a->repository_id != NULL || a->owner_id != NULL || a->environment != NULL)
        return refuse(j, "Buildkite's tokens have no numbers and no environments: --repository "
                         "ORGANIZATION/PIPELINE, and --branch");
    map(j, "google.subject", "assertion.organization_slug + '/' + assertion.pipeline_slug");
    map(j, "attribute.pipeline", "assertion.organization_slug + '/' + assertion.pipeline_slug");
    if (a->repository != NULL) {
        size_t n = strcspn(a->repository, "/");
        text(j, org, sizeof org, "%.*s", (int)n, a->repository);
        text(j, pipeline, sizeof pipeline, "%s", a->repository + n + 1);
        term(j, "assertion.organization_slug == '%s'", org);
        term(j, "assertion.pipeline_slug == '%s'", pipeline);
        claim(j, "organization_slug", org);
        claim(j, "pipeline_slug", pipeline);
        text(j, j->p->member, sizeof j->p->member, "attribute.pipeline/%s", a->repository);
        whole(j, "pipeline");
        if (a->branch != NULL)
            rule(j, "sub eq organization:%s:pipeline:%s:ref:refs/heads/%s:*", org, pipeline,
                 a->branch);
        else
            rule(j, "sub eq organization:%s:pipeline:%s:*", org, pipeline);
    }
    if (a->branch != NULL) {
        term(j, "assertion.build_branch == '%s'", a->branch);
        claim(j, "build_branch", a->branch);
    }
    return 0;
}

/* --- those whose sub says all
 * ----------------------------------------------------------------------- */

static int by_subject(struct job *j, const char *sub)
{
    map(j, "google.subject", "assertion.sub");
    if (sub == NULL)
        return 0;
    if (strlen(sub) > KW_GOOGLE_SUBJECT)
        warn(j,
             "the subject is longer than the %d bytes that Google takes for google.subject: give "
             "a --mapping",
             KW_GOOGLE_SUBJECT);
    term(j, "assertion.sub == '%s'", sub);
    claim(j, "sub", sub);
    text(j, j->p->member, sizeof j->p->member, "subject/%s", sub);
    rule(j, "sub eq %s", sub);
    return 0;
}

static int none_of(struct job *j, const char *what)
{
    const struct kw_preset_ask *a = j->ask;
    bool any = a->repository_id != NULL || a->owner_id != NULL || a->branch != NULL ||
               a->environment != NULL;
    return any ? kw_fail(j->err, KW_USAGE, "%s has no numbers, branches or environments", what) : 0;
}

static int kubernetes(struct job *j)
{
    const struct kw_preset_ask *a = j->ask;
    char sub[VALUE + 32];
    int r = none_of(j, "a token of Kubernetes");
    if (r != 0)
        return r;
    if (a->issuer_url == NULL)
        return refuse(j,
                      "each cluster is an issuer of its own: give it as --issuer-url (kubectl get "
                      "--raw /.well-known/openid-configuration says it)");
    if (!pair(a->repository, false))
        return refuse(j, "--repository is NAMESPACE/SERVICEACCOUNT at Kubernetes");
    size_t n = a->repository != NULL ? strcspn(a->repository, "/") : 0;
    if (a->repository != NULL)
        text(j, sub, sizeof sub, "system:serviceaccount:%.*s:%s", (int)n, a->repository,
             a->repository + n + 1);
    r = by_subject(j, a->repository != NULL ? sub : a->subject);
    map(j, "attribute.namespace", "assertion['kubernetes.io'].namespace");
    return r;
}

static int token(struct job *j)
{
    int r = none_of(j, "the token's own JWT");
    if (r == 0 && j->ask->repository != NULL)
        r = refuse(j, "the token's own JWT has no repository: --subject");
    if (r == 0 && j->ask->issuer_url == NULL)
        r = refuse(j, "the token as issuer needs [issuer] iss, or --issuer-url");
    return r != 0 ? r : by_subject(j, j->ask->subject);
}

static int other(struct job *j)
{
    int r = none_of(j, "an issuer that is given by its URL");
    if (r == 0 && j->ask->repository != NULL)
        r = refuse(j, "of an issuer that is given by its URL only --subject, --condition and "
                      "--mapping say what is let in");
    if (r == 0)
        text(j, j->p->issuer, sizeof j->p->issuer, "%s", j->ask->issuer);
    return r != 0 ? r : by_subject(j, j->ask->subject);
}

/* --- the table
 * ----------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *issuer, *jwks; /* jwks: behind the issuer; NULL: to be uploaded */
    const char *source;
    bool shared;
    int (*fill)(struct job *j);
} issuers[] = {
    {"github", "https://token.actions.githubusercontent.com", "/.well-known/jwks", "github", true,
     github},
    {"gitlab", "https://gitlab.com", "/oauth/discovery/keys", "gitlab", true, gitlab},
    {"circleci", "", "/.well-known/jwks-pub.json", "circleci", true, circleci},
    {"buildkite", "https://agent.buildkite.com", "/.well-known/jwks", "buildkite", true, buildkite},
    {"kubernetes", "", NULL, "kubernetes", false, kubernetes},
    {"token", "", NULL, "token", false, token},
};
enum { N_ISSUERS = sizeof issuers / sizeof issuers[0] };

static int fill(struct job *j)
{
    const struct kw_preset_ask *a = j->ask;
    struct kw_preset *p = j->p;
    if (strncmp(a->issuer, "https://", 8) == 0) {
        p->source = "auto";
        p->shared = true; /* who knows */
        return other(j);
    }
    for (size_t i = 0; i < N_ISSUERS; i++) {
        if (strcmp(issuers[i].name, a->issuer) != 0)
            continue;
        text(j, p->issuer, sizeof p->issuer, "%s",
             a->issuer_url != NULL ? a->issuer_url : issuers[i].issuer);
        p->source = issuers[i].source;
        p->shared = issuers[i].shared;
        int r = issuers[i].fill(j);
        size_t n = strlen(p->issuer);
        if (issuers[i].jwks != NULL)
            text(j, p->jwks_url, sizeof p->jwks_url, "%.*s%s",
                 (int)(n > 0 && p->issuer[n - 1] == '/' ? n - 1 : n), p->issuer, issuers[i].jwks);
        return r;
    }
    return refuse(j, "--issuer is github, gitlab, circleci, buildkite, kubernetes, token, or an "
                     "https URL");
}

int kw_preset(const struct kw_preset_ask *ask, struct kw_preset *ret, struct kw_err *err)
{
    struct job j = {ask, ret, err, false};
    *ret = (struct kw_preset){.mapping = json_object(),
                              .claims = json_object(),
                              .rules = json_array(),
                              .warnings = json_array(),
                              .member = "*"};
    if (ask->issuer == NULL)
        return kw_fail(err, KW_USAGE, "who issues the tokens? Give --issuer");
    int r = check(ask, err);
    if (r == 0)
        r = fill(&j);
    if (r == 0 && j.bad)
        r = kw_fail(err, KW_USAGE, "what was given for --issuer %s is too long together",
                    ask->issuer);
    return r;
}

void kw_preset_free(struct kw_preset *p)
{
    json_decref(p->mapping);
    json_decref(p->claims);
    json_decref(p->rules);
    json_decref(p->warnings);
    *p = (struct kw_preset){0};
}

/* --- too wide
 * -------------------------------------------------------------------------------------------- */

const char *kw_preset_wide_rule(const char *r)
{
    const char *value = strstr(r, " eq ");
    value = value != NULL ? value + 4 : strstr(r, " co ");
    if (value == NULL)
        return NULL;
    value += strspn(value, " '\"");
    if (value[0] == '*')
        return "it matches every token of this issuer, whoever's";
    size_t star = strcspn(value, "*");
    if (strncmp(value, "repo:", 5) == 0 && value[star] == '*' && memchr(value, '/', star) == NULL)
        return "it matches repositories of other owners as well";
    if (strncmp(value, "repo:", 5) == 0 && value[star] == '*' &&
        memchr(value + 5, ':', star - 5) == NULL)
        return "it matches more than one repository";
    return NULL;
}
