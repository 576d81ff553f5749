/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the subject token (the JWT that says who this workload is) comes from: a file,
 * variable, command, URL or standard input, a CI system, or a cloud's metadata service;
 * [source] in the configuration. source.c has the table of them.
 */
#ifndef KW_SOURCE_H
#define KW_SOURCE_H

#include "src/base/err.h"
#include "src/config/config.h"
#include "src/ipc/messages.h"
#include "src/wire/jwt.h"

/* How a source reaches the other processes. */
struct kw_source_ways {
    /* Asks the exchanger (KW_XM_FETCH) for a token over the network. */
    int (*fetch)(void *arg, const struct kw_m_fetch *request, struct kw_secret **ret,
                 struct kw_err *err);
    /* Asks the keeper (KW_KM_ISSUE) for a JWT by the issuer key. */
    int (*issue)(void *arg, const struct kw_m_issue *request, struct kw_secret **ret,
                 struct kw_err *err);
    void *arg;
};

/* Gets a subject token: a fresh one each time where the source can give one. chosen
 * receives which source it was and why, for people.
 *
 * auto takes, in this order: the one of [source] path, name, command and url that is
 * given; else what this job is: GitHub, GitLab, CircleCI, Bitbucket, Buildkite, HCP
 * Terraform, Kubernetes; else nothing (KW_SUBJECT).
 *
 * What is returned is one line of visible ASCII, at most KW_TOKEN_MAX bytes. Errors are
 * KW_SUBJECT (KW_NET and others from the ways pass as they are) and hold no byte of it.
 * Variables that hold a token are read once, kept in the secrets' arena, and taken out
 * of this process's environment (also the copy that /proc shows). */
int kw_source_get(const struct kw_config *c, const struct kw_source_ways *ways, char *chosen,
                  size_t size, struct kw_secret **ret, struct kw_err *err);

/* kw_claims_judge() at this time; where the token has expired, with what its source can do
 * about that. decided may be NULL. */
int kw_source_judge(const struct kw_config *c, const struct kw_jwt *j, char *decided, size_t size,
                    struct kw_err *err);

/* What [issuer] and the target's audience make of a JWT (type = token, `issue`). */
int kw_source_issue(const struct kw_config *c, struct kw_m_issue *m, struct kw_err *err);

/* Wipes what kw_source_get() kept of the environment. */
void kw_source_forget(void);

/* Fills the request for GitHub's token service from the environment: the URL with the
 * audience (kw_config_audience()) appended, the bearer as a copy that the
 * caller frees. */
int kw_source_github(const struct kw_config *c, struct kw_m_fetch *m, struct kw_err *err);

/* Runs a command line by sh -c in a process group of its own, standard input from
 * /dev/null and standard error passed through, and returns what it printed on standard
 * output (at most KW_TOKEN_MAX bytes, trimmed). It is killed after timeout_s. */
int kw_source_command(const char *command, uint32_t timeout_s, struct kw_secret **ret,
                      struct kw_err *err);

#endif
