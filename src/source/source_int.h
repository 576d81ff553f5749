/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of the subject token's sources: one function a source, and what they
 * share. Only source*.c include it. */
#ifndef KW_SOURCE_INT_H
#define KW_SOURCE_INT_H

#include "source.h"

/* What a source is called with. */
struct kw_source_job {
    const struct kw_config *c;
    const struct kw_source_ways *ways;
};

/* One source: how `auto` finds it, and how its token is got. */
struct kw_source_kind {
    const char *name;
    /* Why `auto` takes it, NULL if it is not there; a NULL function: never unasked. */
    const char *(*found)(const struct kw_config *c);
    int (*get)(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
    const char *expired; /* what to do when its token has; NULL: it is asked anew each time */
};
extern const struct kw_source_kind kw_source_kinds[]; /* in the order of auto; NULL name ends */

/* source_local.c */
int kw_source_file(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_env(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_stdin(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_kubernetes(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
const char *kw_found_kubernetes(const struct kw_config *c);

/* source_ci.c */
int kw_source_gitlab(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_circleci(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_bitbucket(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_buildkite(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_hcp(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_jenkins(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);

/* source_net.c */
int kw_source_by_github(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_azure(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_gce(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_url(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
int kw_source_token(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err);
const char *kw_found_github(const struct kw_config *c);

/* A variable that holds a token, moved out of the environment at its first use: no child
 * inherits it, and its bytes on the initial stack, which /proc/PID/environ shows, are
 * wiped. *ret is the caller's copy; NULL where the variable is unset or empty. A renewal
 * gets the same again. */
int kw_source_variable(const char *name, struct kw_secret **ret, struct kw_err *err);

/* Is the variable set and not empty? (Also one that was taken.) */
bool kw_source_has(const char *name);

/* The first of the names (NULL ends) that is there; *ret NULL if none is. */
int kw_source_first(const char *const *names, struct kw_secret **ret, struct kw_err *err);

/* The audience to ask for; KW_SUBJECT where nothing says it. `whom` is asked. */
int kw_source_audience(const struct kw_config *c, const char *whom, char *out, size_t size,
                       struct kw_err *err);

/* As kw_source_command(), but a program and its arguments instead of a shell's line. */
int kw_source_run(const char *const *argv, uint32_t timeout_s, struct kw_secret **ret,
                  struct kw_err *err);

#endif
