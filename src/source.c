/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "url.h"

#define GITHUB_URL   "ACTIONS_ID_TOKEN_REQUEST_URL"
#define GITHUB_TOKEN "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

/* Tokens that were moved out of the environment; a renewal needs them again. */
static struct {
    struct kw_secret *github, *env;
    char env_name[128];
} kept;

void kw_source_forget(void)
{
    kw_secret_free(&kept.github);
    kw_secret_free(&kept.env);
    kept.env_name[0] = '\0';
}

/* Moves a variable into the arena: no child inherits it, and its bytes on the initial
 * stack, which /proc/PID/environ shows, are wiped. *ret stays as it is if unset. */
static int take_variable(const char *name, struct kw_secret **ret, struct kw_err *err)
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
    kw_secret_free(ret);
    *ret = s;
    return 0;
}

static int copy(const struct kw_secret *from, struct kw_secret **ret, struct kw_err *err)
{
    *ret = kw_secret_from(kw_secret_bytes(from), kw_secret_len(from));
    return *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no room for the subject token");
}

static int from_env(const struct kw_config *c, struct kw_secret **ret, struct kw_err *err)
{
    if (strcmp(kept.env_name, c->source_name) != 0)
        kw_secret_free(&kept.env);
    (void)snprintf(kept.env_name, sizeof kept.env_name, "%s", c->source_name);
    int r = take_variable(c->source_name, &kept.env, err);
    if (r != 0)
        return r;
    if (kept.env == NULL)
        return kw_fail(err, KW_SUBJECT,
                       "the environment variable %s ([source] name) is unset or empty; does the "
                       "job export its token to this step?",
                       c->source_name);
    r = copy(kept.env, ret, err);
    if (r == 0)
        kw_secret_trim(*ret);
    return r;
}

/* Token files belong to the platform (Kubernetes makes them readable for others, as
 * symlinks), so neither mode nor owner is ours to judge. */
static int from_file(const struct kw_config *c, struct kw_secret **ret, struct kw_err *err)
{
    int fd = open(c->source_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return kw_fail_errno(err, KW_SUBJECT, "could not open the token file %s", c->source_path);
    struct stat st;
    int r;
    if (fstat(fd, &st) != 0)
        r = kw_fail_errno(err, KW_SUBJECT, "could not look at %s", c->source_path);
    else if (!S_ISREG(st.st_mode))
        r = kw_fail(err, KW_SUBJECT, "%s is not a regular file", c->source_path);
    else
        r = kw_secret_read_fd(fd, KW_TOKEN_MAX, c->source_path, KW_SUBJECT, ret, err);
    (void)close(fd);
    return r;
}

static int from_stdin(struct kw_secret **ret, struct kw_err *err)
{
    if (isatty(STDIN_FILENO))
        return kw_fail(err, KW_SUBJECT,
                       "the subject token is to come from standard input, which is a terminal; "
                       "pipe it in");
    return kw_secret_read_fd(STDIN_FILENO, KW_TOKEN_MAX, "standard input", KW_SUBJECT, ret, err);
}

static bool in_github(void)
{
    const char *actions = getenv("GITHUB_ACTIONS"), *url = getenv(GITHUB_URL);
    return (actions != NULL && strcmp(actions, "true") == 0) || (url != NULL && *url != '\0');
}

static int no_github(struct kw_err *err)
{
    return in_github() ? kw_fail(err, KW_SUBJECT,
                                 "GitHub gave this job no token service (" GITHUB_URL " or _TOKEN "
                                 "is unset); add `permissions: id-token: write` to the job. A "
                                 "pull_request from a fork never gets it")
                       : kw_fail(err, KW_SUBJECT,
                                 "this is no GitHub Actions job (" GITHUB_URL " is unset); choose "
                                 "another [source] type");
}

/* Appends the audience to the service's URL, which has a query already at GitHub. */
static int add_audience(const char *url, const char *audience, char *out, size_t size,
                        struct kw_err *err)
{
    struct kw_buf b;
    kw_buf_init(&b, size - 1);
    kw_put_str(&b, url);
    kw_put_str(&b, strchr(url, '?') == NULL ? "?audience=" : "&audience=");
    kw_pct_put(&b, audience, strlen(audience));
    bool fits = !b.bad;
    if (fits)
        (void)snprintf(out, size, "%s", kw_buf_str(&b));
    kw_buf_free(&b);
    return fits ? 0 : kw_fail(err, KW_SUBJECT, GITHUB_URL " and the audience are too long");
}

int kw_source_github(const struct kw_config *c, struct kw_m_fetch *m, struct kw_err *err)
{
    *m = (struct kw_m_fetch){.field = "value"};
    char audience[512];
    kw_config_audience(c, audience, sizeof audience);
    struct kw_url u;
    int r = take_variable(GITHUB_TOKEN, &kept.github, err);
    if (r != 0)
        return r;
    const char *url = getenv(GITHUB_URL); /* after the environment was changed */
    if (url == NULL || *url == '\0' || kept.github == NULL)
        return no_github(err);
    r = kw_url_parse(url, GITHUB_URL, KW_SUBJECT, &u, err);
    if (r != 0)
        return r;
    if (audience[0] == '\0')
        return kw_fail(err, KW_SUBJECT,
                       "there is no audience to ask GitHub's token for; set [source] audience, "
                       "[oci %s] domain_url or [google %s] provider",
                       c->profile, c->profile);
    r = add_audience(url, audience, m->url, sizeof m->url, err);
    return r != 0 ? r : copy(kept.github, &m->bearer, err);
}

static int from_github(const struct kw_config *c, kw_source_fetch *fetch, void *arg,
                       struct kw_secret **ret, struct kw_err *err)
{
    struct kw_m_fetch m;
    int r = kw_source_github(c, &m, err);
    if (r == 0) {
        r = fetch(arg, &m, ret, err);
        if (r != 0)
            (void)kw_err_wrap(err, "GitHub's token service");
    }
    kw_secret_free(&m.bearer);
    return r;
}

/* The concrete type, and why it is that. */
static const char *choose(const struct kw_config *c, const char **why)
{
    *why = "[source] type";
    if (strcmp(c->source_type, "auto") != 0)
        return c->source_type;
    if (c->source_path[0] != '\0')
        return *why = "auto: [source] path is set", "file";
    if (c->source_name[0] != '\0')
        return *why = "auto: [source] name is set", "env";
    if (c->source_command[0] != '\0')
        return *why = "auto: [source] command is set", "command";
    if (in_github())
        return *why = "auto: this is a GitHub Actions job", "github";
    return *why = "auto: nothing was found", "none";
}

static int get(const struct kw_config *c, const char *type, kw_source_fetch *fetch, void *arg,
               struct kw_secret **ret, struct kw_err *err)
{
    if (strcmp(type, "file") == 0)
        return from_file(c, ret, err);
    if (strcmp(type, "env") == 0)
        return from_env(c, ret, err);
    if (strcmp(type, "stdin") == 0)
        return from_stdin(ret, err);
    if (strcmp(type, "command") == 0)
        return kw_source_command(c->source_command, c->timeout_s, ret, err);
    if (strcmp(type, "github") == 0)
        return from_github(c, fetch, arg, ret, err);
    return kw_fail(err, KW_SUBJECT,
                   "no source of a subject token was found (looked for [source] path, name and "
                   "command, and for a GitHub Actions job); set [source] type, or for example "
                   "KEYWARD_SOURCE_PATH");
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

int kw_source_get(const struct kw_config *c, kw_source_fetch *fetch, void *arg, char *chosen,
                  size_t size, struct kw_secret **ret, struct kw_err *err)
{
    const char *why, *type = choose(c, &why);
    int r;
    *ret = NULL;
    if (c->subject != NULL) {
        (void)snprintf(chosen, size, "the file given with --from");
        r = copy(c->subject, ret, err);
    } else {
        (void)snprintf(chosen, size, "%s (%s)", type, why);
        r = get(c, type, fetch, arg, ret, err);
    }
    if (r == 0)
        r = check(*ret, chosen, err);
    if (r != 0)
        kw_secret_free(ret);
    else
        kw_log(KW_INFO, "subject token: %zu bytes from %s", kw_secret_len(*ret), chosen);
    return r;
}
