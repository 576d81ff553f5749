/* SPDX-License-Identifier: Apache-2.0
 *
 * The issuers that keyward knows, as a table and a function each; where their keys are and
 * what their tokens say is from their own documentation.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "setup_preset_int.h"
#include "src/claims/google_map.h"

/* --- what is put together ------------------------------------------------------------------- */

static void append(struct kw_preset_job *j, char *text, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static void append(struct kw_preset_job *j, char *text, size_t size, const char *fmt, va_list ap)
{
    size_t at = strlen(text);
    int len = vsnprintf(text + at, size - at, fmt, ap);
    j->bad = j->bad || len < 0 || (size_t)len >= size - at;
}

/* One more term of the condition. Values have neither quotes nor backslashes: usable() has seen
 * to that. */
void kw_preset_term(struct kw_preset_job *j, const char *fmt, ...)
{
    va_list ap;
    size_t at = strlen(j->p->condition);
    if (at > 0 && at + 5 < sizeof j->p->condition)
        (void)snprintf(j->p->condition + at, sizeof j->p->condition - at, " && ");
    va_start(ap, fmt);
    append(j, j->p->condition, sizeof j->p->condition, fmt, ap);
    va_end(ap);
}

void kw_preset_text(struct kw_preset_job *j, char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    out[0] = '\0';
    va_start(ap, fmt);
    append(j, out, size, fmt, ap);
    va_end(ap);
}

void kw_preset_map(struct kw_preset_job *j, const char *key, const char *expression)
{
    j->bad = json_object_set_new(j->p->mapping, key, json_string(expression)) != 0 || j->bad;
}

void kw_preset_claim(struct kw_preset_job *j, const char *name, const char *value)
{
    j->bad = json_object_set_new(j->p->claims, name, json_string(value)) != 0 || j->bad;
}

static void add(struct kw_preset_job *j, json_t *list, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
static void add(struct kw_preset_job *j, json_t *list, const char *fmt, va_list ap)
{
    char line[1200] = "";
    append(j, line, sizeof line, fmt, ap);
    j->bad = json_array_append_new(list, json_string(line)) != 0 || j->bad;
}

void kw_preset_rule(struct kw_preset_job *j, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(j, j->p->rules, fmt, ap);
    va_end(ap);
}

void kw_preset_warn(struct kw_preset_job *j, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(j, j->p->warnings, fmt, ap);
    va_end(ap);
}

void kw_preset_whole_sub(struct kw_preset_job *j)
{
    const char *sub = j->ask->subject;
    if (sub == NULL)
        return;
    kw_preset_map(j, "attribute.sub", "assertion.sub");
    kw_preset_term(j, "assertion.sub == '%s'", sub);
    kw_preset_claim(j, "sub", sub);
    if (strcmp(j->p->member, "*") == 0)
        kw_preset_text(j, j->p->member, sizeof j->p->member, "attribute.sub/%s", sub);
    (void)json_array_clear(j->p->rules); /* the first that matches wins: no wider one besides */
    kw_preset_rule(j, "sub eq %s", sub);
}

/* --- what was asked ------------------------------------------------------------------------- */

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
    return n > 0 && n < KW_PRESET_VALUE ? 0
                                        : kw_fail(err, KW_USAGE, "%s is empty or too long", option);
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

bool kw_preset_pair(const char *s, bool more)
{
    const char *slash = s != NULL ? strchr(s, '/') : NULL;
    return s == NULL || (slash != NULL && slash > s && slash[1] != '\0' &&
                         s[strlen(s) - 1] != '/' && (more || strchr(slash + 1, '/') == NULL));
}

int kw_preset_refuse(struct kw_preset_job *j, const char *why)
{
    return kw_fail(j->err, KW_USAGE, "%s", why);
}

/* --- those whose sub says all --------------------------------------------------------------- */

static int by_subject(struct kw_preset_job *j, const char *sub)
{
    kw_preset_map(j, "google.subject", "assertion.sub");
    if (sub == NULL)
        return 0;
    if (strlen(sub) > KW_GOOGLE_SUBJECT)
        kw_preset_warn(
            j,
            "the subject is longer than the %d bytes that Google takes for google.subject: give "
            "a --mapping",
            KW_GOOGLE_SUBJECT);
    kw_preset_term(j, "assertion.sub == '%s'", sub);
    kw_preset_claim(j, "sub", sub);
    kw_preset_text(j, j->p->member, sizeof j->p->member, "subject/%s", sub);
    kw_preset_rule(j, "sub eq %s", sub);
    return 0;
}

static int kubernetes(struct kw_preset_job *j)
{
    const struct kw_preset_ask *a = j->ask;
    char sub[KW_PRESET_VALUE + 32];
    if (a->issuer_url == NULL)
        return kw_preset_refuse(
            j, "each cluster is an issuer of its own: give it as --issuer-url (kubectl get "
               "--raw /.well-known/openid-configuration says it)");
    if (!kw_preset_pair(a->repository, false))
        return kw_preset_refuse(j, "--repository is NAMESPACE/SERVICEACCOUNT at Kubernetes");
    if (a->repository != NULL && a->subject != NULL)
        return kw_preset_refuse(j, "--repository and --subject are the same at Kubernetes: give "
                                   "one of them");
    size_t n = a->repository != NULL ? strcspn(a->repository, "/") : 0;
    if (a->repository != NULL)
        kw_preset_text(j, sub, sizeof sub, "system:serviceaccount:%.*s:%s", (int)n, a->repository,
                       a->repository + n + 1);
    int r = by_subject(j, a->repository != NULL ? sub : a->subject);
    kw_preset_map(j, "attribute.namespace", "assertion['kubernetes.io'].namespace");
    return r;
}

static int token(struct kw_preset_job *j)
{
    if (j->ask->issuer_url == NULL)
        return kw_preset_refuse(j, "the token as issuer needs [issuer] iss, or --issuer-url");
    return by_subject(j, j->ask->subject);
}

static int other(struct kw_preset_job *j)
{
    kw_preset_text(j, j->p->issuer, sizeof j->p->issuer, "%s", j->ask->issuer);
    return by_subject(j, j->ask->subject);
}

/* --- the table ------------------------------------------------------------------------------ */

enum {
    URL = 1,
    REPOSITORY = 2,
    REPOSITORY_ID = 4,
    OWNER_ID = 8,
    BRANCH = 16,
    ENVIRONMENT = 32,
    SUBJECT = 64,
    ALL = 127,
};

/* Whose a token is, by claims that its job can't choose. A branch, an environment, an audience or
 * a pipeline's name says nothing of that; nor does who started a job (actor, user_login) or whose
 * reusable workflow it calls (job_workflow_ref): both may be me in a stranger's repository. A sub
 * that was put together otherwise (GitHub and Buildkite let its owner say how) may begin with what
 * anybody can have. */
static const struct kw_whose of_github[] = {{"sub", "repo:", '/'},
                                            {"sub", "repository_owner:", ':'},
                                            {"sub", "repository_owner_id:", ':'},
                                            {"sub", "repository_id:", ':'},
                                            {"repository", "", '/'},
                                            {"repository_id", "", '\0'},
                                            {"repository_owner", "", '\0'},
                                            {"repository_owner_id", "", '\0'},
                                            {"enterprise", "", '\0'},
                                            {"enterprise_id", "", '\0'},
                                            {"workflow_ref", "", '/'},
                                            {NULL, NULL, '\0'}};
static const struct kw_whose of_gitlab[] = {{"sub", "project_path:", '/'},
                                            {"project_id", "", '\0'},
                                            {"project_path", "", '/'},
                                            {"namespace_id", "", '\0'},
                                            {"namespace_path", "", '/'},
                                            {"ci_config_ref_uri", "gitlab.com/", '/'},
                                            {NULL, NULL, '\0'}};
static const struct kw_whose of_circleci[] = {{"sub", "org/", '/'},
                                              {"oidc.circleci.com/project-id", "", '\0'},
                                              {"oidc.circleci.com/context-ids", "", '\0'},
                                              {NULL, NULL, '\0'}};
static const struct kw_whose of_buildkite[] = {
    {"sub", "organization:", ':'}, {"organization_slug", "", '\0'}, {"organization_id", "", '\0'},
    {"pipeline_id", "", '\0'},     {"cluster_id", "", '\0'},        {NULL, NULL, '\0'}};

static const struct issuer {
    const char *name, *issuer, *jwks; /* jwks: behind the issuer; NULL: to be uploaded */
    bool shared;
    int (*fill)(struct kw_preset_job *j);
    unsigned takes;       /* what is let in can be said by these options; no other has a meaning */
    const char *takes_no; /* why */
    const struct kw_whose *whose;
} issuers[] = {
    {"github", "https://token.actions.githubusercontent.com", "/.well-known/jwks", true,
     kw_preset_github, ALL, "", of_github},
    {"gitlab", "https://gitlab.com", "/oauth/discovery/keys", true, kw_preset_gitlab, ALL, "",
     of_gitlab},
    {"circleci", "", "/.well-known/jwks-pub.json", true, kw_preset_circleci,
     URL | REPOSITORY_ID | OWNER_ID | BRANCH | SUBJECT,
     "its tokens name organization and project by their UUIDs only: --owner-id, --repository-id, "
     "and --branch",
     of_circleci},
    {"buildkite", "https://agent.buildkite.com", "/.well-known/jwks", true, kw_preset_buildkite,
     URL | REPOSITORY | BRANCH | SUBJECT,
     "its tokens have no numbers and no environments: --repository ORGANIZATION/PIPELINE, and "
     "--branch",
     of_buildkite},
    {"kubernetes", "", NULL, false, kubernetes, URL | REPOSITORY | SUBJECT,
     "its tokens have no numbers, branches or environments", NULL},
    {"token", "", NULL, false, token, URL | SUBJECT,
     "the token's own JWT says no more than its --subject", NULL},
    {"https://", "", NULL, true /* who knows */, other, SUBJECT,
     "of an issuer that is given by its URL only --subject, --condition and --mapping say what is "
     "let in",
     NULL},
};
enum { N_ISSUERS = sizeof issuers / sizeof issuers[0] };

/* An option that has no effect is a misunderstanding. */
static int check_takes(struct kw_preset_job *j, const struct issuer *is)
{
    const struct kw_preset_ask *a = j->ask;
    const struct {
        const char *value, *option;
        unsigned bit;
    } all[] = {{a->issuer_url, "issuer-url", URL},
               {a->repository, "repository", REPOSITORY},
               {a->repository_id, "repository-id", REPOSITORY_ID},
               {a->owner_id, "owner-id", OWNER_ID},
               {a->branch, "branch", BRANCH},
               {a->environment, "environment", ENVIRONMENT},
               {a->subject, "subject", SUBJECT}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].value != NULL && (is->takes & all[i].bit) == 0)
            return kw_fail(j->err, KW_USAGE, "--%s is not for --issuer %s: %s", all[i].option,
                           a->issuer, is->takes_no);
    return 0;
}

/* The issuer that a URL is of, where that gives tokens to everybody: what says whose they are does
 * not depend on how it was named. NULL: nothing is known of it. */
static const struct issuer *known(const char *url)
{
    for (size_t i = 0; i < N_ISSUERS; i++) {
        const struct issuer *is = &issuers[i];
        const char *base = is->issuer[0] != '\0' ? is->issuer : "https://oidc.circleci.com";
        size_t n = strlen(base);
        if (is->whose != NULL && strncmp(url, base, n) == 0 && (url[n] == '\0' || url[n] == '/'))
            return is;
    }
    return NULL;
}

/* CircleCI has an issuer for each organization: strangers have no tokens of it. */
static bool of_one(const char *issuer)
{
    static const char base[] = "https://oidc.circleci.com/org/";
    size_t n = sizeof base - 1;
    return strncmp(issuer, base, n) == 0 && issuer[n] != '\0' && strchr(issuer + n, '/') == NULL;
}

static int fill(struct kw_preset_job *j)
{
    const struct kw_preset_ask *a = j->ask;
    struct kw_preset *p = j->p;
    for (size_t i = 0; i < N_ISSUERS; i++) {
        const struct issuer *is = &issuers[i];
        bool url = strcmp(is->name, "https://") == 0;
        if (url ? strncmp(is->name, a->issuer, 8) != 0 : strcmp(is->name, a->issuer) != 0)
            continue;
        kw_preset_text(j, p->issuer, sizeof p->issuer, "%s",
                       a->issuer_url != NULL ? a->issuer_url : is->issuer);
        p->source = url ? "auto" : is->name;
        const struct issuer *of = url ? known(a->issuer) : is;
        p->whose = of != NULL ? of->whose : NULL;
        int r = check_takes(j, is);
        if (r == 0)
            r = is->fill(j);
        p->shared = is->shared && !of_one(p->issuer);
        size_t n = strlen(p->issuer);
        if (is->jwks != NULL)
            kw_preset_text(j, p->jwks_url, sizeof p->jwks_url, "%.*s%s",
                           (int)(n > 0 && p->issuer[n - 1] == '/' ? n - 1 : n), p->issuer,
                           is->jwks);
        return r;
    }
    return kw_preset_refuse(
        j, "--issuer is github, gitlab, circleci, buildkite, kubernetes, token, or an "
           "https URL");
}

int kw_preset(const struct kw_preset_ask *ask, struct kw_preset *ret, struct kw_err *err)
{
    struct kw_preset_job j = {ask, ret, err, false};
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

/* --- too wide ------------------------------------------------------------------------------- */

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
