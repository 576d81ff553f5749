/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/rules.h"
#include "source_int.h"
#include "src/base/log.h"

/* --- what each is known by ------------------------------------------------------------ */

static const char *found_path(const struct kw_config *c)
{
    return c->source_path[0] != '\0' ? "[source] path is set" : NULL;
}

static const char *found_name(const struct kw_config *c)
{
    return c->source_name[0] != '\0' ? "[source] name is set" : NULL;
}

static const char *found_command(const struct kw_config *c)
{
    return c->source_command[0] != '\0' ? "[source] command is set" : NULL;
}

static const char *found_url(const struct kw_config *c)
{
    return c->source_url[0] != '\0' ? "[source] url is set" : NULL;
}

static const char *found_gitlab(const struct kw_config *c)
{
    (void)c;
    return kw_source_has("GITLAB_CI") ? "this is a GitLab job (GITLAB_CI)" : NULL;
}

static const char *found_circleci(const struct kw_config *c)
{
    (void)c;
    return kw_source_has("CIRCLECI") ? "this is a CircleCI job (CIRCLECI)" : NULL;
}

static const char *found_bitbucket(const struct kw_config *c)
{
    (void)c;
    return kw_source_has("BITBUCKET_BUILD_NUMBER")
               ? "this is a Bitbucket pipeline (BITBUCKET_BUILD_NUMBER)"
               : NULL;
}

static const char *found_buildkite(const struct kw_config *c)
{
    (void)c;
    return kw_source_has("BUILDKITE") ? "this is a Buildkite job (BUILDKITE)" : NULL;
}

static const char *found_hcp(const struct kw_config *c)
{
    (void)c;
    return kw_source_has("TFC_RUN_ID") ? "this is a run of HCP Terraform (TFC_RUN_ID)" : NULL;
}

static int by_command(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    return kw_source_command(j->c->source_command, j->c->timeout_s, ret, err);
}

/* What the configuration names goes before what the environment looks like; a CI system
 * before Kubernetes, on which its runner may live. Standard input, Jenkins (whose tokens
 * have names of the user's) and the metadata services (which have to be asked over the
 * network) and the token are never taken unasked. */
const struct kw_source_kind kw_source_kinds[] = {
    {"file", found_path, kw_source_file, NULL},
    {"env", found_name, kw_source_env, NULL},
    {"command", found_command, by_command, NULL},
    {"url", found_url, kw_source_url, NULL},
    {"github", kw_found_github, kw_source_by_github, NULL},
    {"gitlab", found_gitlab, kw_source_gitlab,
     "GitLab makes a job's tokens when it starts and no other later, to live as long as the job's "
     "timeout: do this earlier, raise `timeout:`, or give it a job of its own"},
    {"circleci", found_circleci, kw_source_circleci,
     "CircleCI's ready-made tokens live an hour from the job's start: do this earlier, or set "
     "[source] audience, for which a fresh one is asked"},
    {"bitbucket", found_bitbucket, kw_source_bitbucket,
     "Bitbucket makes a step's token when it starts: do this earlier, or in a step of its own"},
    {"buildkite", found_buildkite, kw_source_buildkite, NULL},
    {"hcp-terraform", found_hcp, kw_source_hcp,
     "HCP Terraform makes a run's tokens when its phase starts: start the run again"},
    {"kubernetes", kw_found_kubernetes, kw_source_kubernetes, NULL},
    {"jenkins", NULL, kw_source_jenkins, NULL},
    {"azure", NULL, kw_source_azure, NULL},
    {"gce", NULL, kw_source_gce, NULL},
    {"token", NULL, kw_source_token, NULL},
    {"stdin", NULL, kw_source_stdin, NULL},
    {NULL, NULL, NULL, NULL},
};

/* --- choosing and checking ------------------------------------------------------------ */

/* The source, and why it is that; NULL where auto finds none. */
static const struct kw_source_kind *choose(const struct kw_config *c, char *chosen, size_t size)
{
    bool is_auto = strcmp(c->source_type, "auto") == 0;
    for (const struct kw_source_kind *k = kw_source_kinds; k->name != NULL; k++) {
        const char *why = "[source] type";
        if (is_auto)
            why = k->found != NULL ? k->found(c) : NULL;
        if (is_auto ? why == NULL : strcmp(c->source_type, k->name) != 0)
            continue;
        (void)snprintf(chosen, size, "%s (%s%s)", k->name, is_auto ? "auto: " : "", why);
        return k;
    }
    (void)snprintf(chosen, size, "none (auto: nothing was found)");
    return NULL;
}

/* Enough to keep anything but a token out of requests; kw_jwt_decode() does the rest. */
static int check(const struct kw_secret *s, const char *chosen, struct kw_err *err)
{
    const char *p = kw_secret_bytes(s);
    size_t n = kw_secret_len(s);
    if (n == 0)
        return kw_fail(err, KW_SUBJECT, "the subject token is empty (source %s)", chosen);
    if (n > KW_TOKEN_MAX)
        return kw_fail(err, KW_SUBJECT, "the subject token is longer than %d bytes (source %s)",
                       KW_TOKEN_MAX, chosen);
    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f)
            return kw_fail(err, KW_SUBJECT,
                           "the subject token holds a space, a line break or another byte that no "
                           "JWT has (source %s)",
                           chosen);
    return 0;
}

static int none(struct kw_err *err)
{
    return kw_fail(err, KW_SUBJECT,
                   "no source of a subject token was found (looked for [source] path, name, "
                   "command and url, and for a job of GitHub, GitLab, CircleCI, Bitbucket, "
                   "Buildkite, HCP Terraform or Kubernetes); set [source] type, or for example "
                   "KEYWARD_SOURCE_PATH");
}

int kw_source_judge(const struct kw_config *c, const struct kw_jwt *j, char *decided, size_t size,
                    struct kw_err *err)
{
    char chosen[256];
    int64_t exp, now = (int64_t)time(NULL);
    int r = kw_claims_judge(c, j, now, decided, size, err);
    if (r == 0 || c->subject != NULL || !kw_jwt_time(j, "exp", &exp) || exp > now)
        return r;
    const struct kw_source_kind *k = choose(c, chosen, sizeof chosen);
    return k != NULL && k->expired != NULL
               ? kw_fail(err, err->code, "%s; %s", err->text, k->expired)
               : r;
}

int kw_source_get(const struct kw_config *c, const struct kw_source_ways *ways, char *chosen,
                  size_t size, struct kw_secret **ret, struct kw_err *err)
{
    int r;
    *ret = NULL;
    if (c->subject != NULL) {
        (void)snprintf(chosen, size, "the file given with --from");
        *ret = kw_secret_from(kw_secret_bytes(c->subject), kw_secret_len(c->subject));
        r = *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no room for the subject token");
    } else {
        const struct kw_source_kind *k = choose(c, chosen, size);
        const struct kw_source_job j = {c, ways};
        r = k != NULL ? k->get(&j, ret, err) : none(err);
    }
    if (r == 0)
        r = check(*ret, chosen, err);
    if (r != 0)
        kw_secret_free(ret);
    else
        kw_log(KW_INFO, "subject token: %zu bytes from %s", kw_secret_len(*ret), chosen);
    return r;
}
