/* SPDX-License-Identifier: Apache-2.0
 *
 * A job and its environment, for the tests of where its token comes from. */
#ifndef KW_TEST_SOURCE_RIG_H
#define KW_TEST_SOURCE_RIG_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/ipc/ipc.h"
#include "src/source/source.h"

#define TOKEN "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"

static struct kw_config config;
static struct kw_err err;
static struct kw_secret *token;
static char dir[256], path[512], chosen[256];
static struct {
    unsigned calls;
    int result;
    char url[2048], bearer[64], field[64], headers[2048];
} fetched;

static inline int fake_fetch(void *arg, const struct kw_m_fetch *m, struct kw_secret **ret,
                             struct kw_err *e)
{
    assert_ptr_equal(arg, &fetched);
    fetched.calls++;
    (void)snprintf(fetched.url, sizeof fetched.url, "%s", m->url);
    (void)snprintf(fetched.field, sizeof fetched.field, "%s", m->field);
    (void)snprintf(fetched.headers, sizeof fetched.headers, "%s", m->headers);
    (void)snprintf(fetched.bearer, sizeof fetched.bearer, "%s",
                   m->bearer != NULL ? kw_secret_bytes(m->bearer) : "");
    if (fetched.result != 0)
        return kw_fail(e, KW_NET, "no connection");
    *ret = kw_secret_from(TOKEN, sizeof TOKEN - 1);
    return 0;
}

static struct kw_m_issue issued;

static inline int fake_issue(void *arg, const struct kw_m_issue *m, struct kw_secret **ret,
                             struct kw_err *e)
{
    (void)e;
    assert_ptr_equal(arg, &fetched);
    issued = *m;
    *ret = kw_secret_from("i.s.s", 5);
    return 0;
}

static inline int get(void)
{
    kw_secret_free(&token);
    memset(&err, 0, sizeof err);
    const struct kw_source_ways ways = {fake_fetch, fake_issue, &fetched};
    return kw_source_get(&config, &ways, chosen, sizeof chosen, &token, &err);
}

static inline void type(const char *name)
{
    (void)snprintf(config.source_type, sizeof config.source_type, "%s", name);
}

static inline void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static inline int reset(void **state)
{
    (void)state;
    static const char *const names[] = {"GITHUB_ACTIONS",
                                        "ACTIONS_ID_TOKEN_REQUEST_URL",
                                        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                                        "KW_TEST_TOKEN",
                                        "GITLAB_CI",
                                        "CIRCLECI",
                                        "BITBUCKET_BUILD_NUMBER",
                                        "BUILDKITE",
                                        "TFC_RUN_ID",
                                        "KUBERNETES_SERVICE_HOST"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
    kw_source_forget();
    kw_secret_free(&token);
    memset(&config, 0, sizeof config);
    memset(&fetched, 0, sizeof fetched);
    config.timeout_s = 20;
    type("auto");
    return 0;
}

static inline void command(const char *text)
{
    type("command");
    (void)snprintf(config.source_command, sizeof config.source_command, "%s", text);
}

static inline int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/keyward-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/token", dir);
    return kw_secret_init(true, NULL);
}

static inline int tear_down(void **state)
{
    (void)reset(state);
    (void)unlink(path);
    return rmdir(dir);
}

#endif
