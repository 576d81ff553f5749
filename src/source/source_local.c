/* SPDX-License-Identifier: Apache-2.0
 *
 * Subject tokens that are on this machine: variables, files, standard input. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source_int.h"

/* --- variables ------------------------------------------------------------------------ */

enum { KEPT = 8 };

/* Tokens that were moved out of the environment; a renewal needs them again. */
static struct kept {
    char name[128];
    struct kw_secret *value;
} kept[KEPT];

void kw_source_forget(void)
{
    for (size_t i = 0; i < KEPT; i++) {
        kw_secret_free(&kept[i].value);
        kept[i].name[0] = '\0';
    }
}

/* The place of that name, else a free one (the last, if all are taken). */
static struct kept *place_of(const char *name)
{
    size_t i = 0;
    while (i < KEPT - 1 && strcmp(kept[i].name, name) != 0 && kept[i].name[0] != '\0')
        i++;
    if (strcmp(kept[i].name, name) != 0) {
        kw_secret_free(&kept[i].value);
        (void)snprintf(kept[i].name, sizeof kept[i].name, "%s", name);
    }
    return &kept[i];
}

bool kw_source_has(const char *name)
{
    const char *value = getenv(name);
    if (value != NULL && *value != '\0')
        return true;
    for (size_t i = 0; i < KEPT; i++)
        if (strcmp(kept[i].name, name) == 0 && kept[i].value != NULL)
            return true;
    return false;
}

static int take(const char *name, struct kept *k, struct kw_err *err)
{
    char *value = getenv(name);
    if (value == NULL || *value == '\0')
        return 0;
    size_t n = strlen(value);
    if (n > KW_TOKEN_MAX)
        return kw_fail(err, KW_SUBJECT, "the environment variable %s is longer than %d bytes", name,
                       KW_TOKEN_MAX);
    struct kw_secret *s = kw_secret_from(value, n);
    if (s == NULL)
        return kw_fail(err, KW_FAILED, "no room for the secret in %s", name);
    explicit_bzero(value, n);
    (void)unsetenv(name);
    kw_secret_free(&k->value);
    k->value = s;
    return 0;
}

int kw_source_variable(const char *name, struct kw_secret **ret, struct kw_err *err)
{
    struct kept *k = place_of(name);
    *ret = NULL;
    int r = take(name, k, err);
    if (r != 0 || k->value == NULL)
        return r;
    *ret = kw_secret_from(kw_secret_bytes(k->value), kw_secret_len(k->value));
    if (*ret == NULL)
        return kw_fail(err, KW_FAILED, "no room for the secret in %s", name);
    kw_secret_trim(*ret);
    return 0;
}

int kw_source_first(const char *const *names, struct kw_secret **ret, struct kw_err *err)
{
    int r = 0;
    *ret = NULL;
    for (; r == 0 && *ret == NULL && *names != NULL; names++)
        r = kw_source_variable(*names, ret, err);
    return r;
}

int kw_source_env(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    int r = kw_source_variable(j->c->source_name, ret, err);
    if (r == 0 && *ret == NULL)
        r = kw_fail(err, KW_SUBJECT,
                    "the environment variable %s ([source] name) is unset or empty; does the "
                    "job export its token to this step?",
                    j->c->source_name);
    return r;
}

/* --- files ------------------------------------------------------------------------------ */

/* Token files belong to the platform (Kubernetes makes them readable for others, as
 * symlinks), so neither mode nor owner is ours to judge. Read anew each time: whoever wrote
 * it renews it. */
static int from_path(const char *path, struct kw_secret **ret, struct kw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return kw_fail_errno(err, KW_SUBJECT, "could not open the token file %s", path);
    struct stat st;
    int r;
    if (fstat(fd, &st) != 0)
        r = kw_fail_errno(err, KW_SUBJECT, "could not look at %s", path);
    else if (!S_ISREG(st.st_mode))
        r = kw_fail(err, KW_SUBJECT, "%s is not a regular file", path);
    else
        r = kw_secret_read_fd(fd, KW_TOKEN_MAX, path, KW_SUBJECT, ret, err);
    (void)close(fd);
    return r;
}

int kw_source_file(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    return from_path(j->c->source_path, ret, err);
}

#define POD_TOKEN "/var/run/secrets/kubernetes.io/serviceaccount/token"

const char *kw_found_kubernetes(const struct kw_config *c)
{
    (void)c;
    return kw_source_has("KUBERNETES_SERVICE_HOST") && access(POD_TOKEN, R_OK) == 0
               ? "this is a pod of Kubernetes (KUBERNETES_SERVICE_HOST)"
               : NULL;
}

int kw_source_kubernetes(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    const char *path = j->c->source_path[0] != '\0' ? j->c->source_path : POD_TOKEN;
    int r = from_path(path, ret, err);
    return r != 0 ? kw_err_wrap(err, "mount a projected serviceAccountToken with the audience of "
                                     "the target, and name its path as [source] path")
                  : 0;
}

int kw_source_stdin(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    (void)j;
    if (isatty(STDIN_FILENO))
        return kw_fail(err, KW_SUBJECT,
                       "the subject token is to come from standard input, which is a terminal; "
                       "pipe it in");
    return kw_secret_read_fd(STDIN_FILENO, KW_TOKEN_MAX, "standard input", KW_SUBJECT, ret, err);
}
