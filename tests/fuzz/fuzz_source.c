/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a subject token comes from: what the job's environment and the configuration say of
 * it, and what is found there. Input: lines up to an empty one, "!KEY VALUE" for the
 * configuration and "NAME=VALUE" for the environment; the rest is what a file, a program or
 * a server says. No program is started, and what would be asked over the network must be
 * a request that the exchanger would take. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/base/err.h"
#include "src/source/source_int.h"
#include "src/wire/http_answer.h"
#include "src/wire/url.h"

static const char *body;
static size_t body_len;

/* Variables that sources look at; others are none of this target's. */
static const char *const variables[] = {
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "GITHUB_ACTIONS",
    "GITHUB_EVENT_NAME",
    "GITLAB_CI",
    "KEYWARD_TOKEN",
    "ID_TOKEN",
    "GITLAB_OIDC_TOKEN",
    "CIRCLECI",
    "CIRCLE_OIDC_TOKEN_V2",
    "CIRCLE_OIDC_TOKEN",
    "BITBUCKET_BUILD_NUMBER",
    "BITBUCKET_STEP_OIDC_TOKEN",
    "BUILDKITE",
    "TFC_RUN_ID",
    "TFC_WORKLOAD_IDENTITY_TOKEN",
    "KUBERNETES_SERVICE_HOST",
    "MY_TOKEN",
};
enum { VARIABLES = sizeof variables / sizeof variables[0] };

int __wrap_kw_source_run(const char *const *argv, uint32_t timeout_s, struct kw_secret **ret,
                         struct kw_err *err);
int __wrap_kw_source_command(const char *command, uint32_t timeout_s, struct kw_secret **ret,
                             struct kw_err *err);

/* A program has printed the rest of the input. */
int __wrap_kw_source_run(const char *const *argv, uint32_t timeout_s, struct kw_secret **ret,
                         struct kw_err *err)
{
    (void)timeout_s;
    for (size_t i = 0; argv[i] != NULL; i++)
        must(i < 16);
    *ret = body_len <= KW_TOKEN_MAX ? kw_secret_from(body, body_len) : NULL;
    return *ret != NULL ? 0 : kw_fail(err, KW_SUBJECT, "the program printed too much");
}

int __wrap_kw_source_command(const char *command, uint32_t timeout_s, struct kw_secret **ret,
                             struct kw_err *err)
{
    const char *const argv[] = {"sh", "-c", command, NULL};
    return __wrap_kw_source_run(argv, timeout_s, ret, err);
}

/* The exchanger refuses what is no URL, and sends each line of the headers as it is. */
static int fetch(void *arg, const struct kw_m_fetch *m, struct kw_secret **ret, struct kw_err *err)
{
    const struct kw_answer a = {
        .status = 200, .headers = "", .body = (const unsigned char *)body, .len = body_len};
    struct kw_url u;
    (void)arg;
    must(kw_url_parse_local(m->url, "it", KW_USAGE, &u, err) == 0);
    must(m->headers[0] == '\0' || m->headers[strlen(m->headers) - 1] == '\n');
    return kw_fetch_answer(&a, "ci.test", m->field, ret, err);
}

static int issue(void *arg, const struct kw_m_issue *m, struct kw_secret **ret, struct kw_err *err)
{
    (void)arg;
    must(m->subject[0] != '\0' && m->audience[0] != '\0');
    *ret = kw_secret_from("aa.bb.cc", 8);
    return *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no room");
}

/* "!KEY VALUE" without the mark. The configuration refuses what is no UTF-8 or has control
 * characters, so that none of it comes here. */
static void set(struct kw_config *c, const char *text)
{
    char shown[2100];
    size_t n = strlen(text);
    if (n >= sizeof shown)
        return;
    memcpy(shown, text, n + 1);
    kw_printable(shown);
    if (strcmp(shown, text) != 0)
        return;
    const struct {
        const char *key;
        char *to;
        size_t size;
    } keys[] = {
        {"type ", c->source_type, sizeof c->source_type},
        {"name ", c->source_name, sizeof c->source_name},
        {"command ", c->source_command, sizeof c->source_command},
        {"audience ", c->source_audience, sizeof c->source_audience},
        {"url ", c->source_url, sizeof c->source_url},
        {"field ", c->source_field, sizeof c->source_field},
        {"client_id ", c->source_client_id, sizeof c->source_client_id},
        {"domain_url ", c->domain_url, sizeof c->domain_url},
        {"sub ", c->issuer_sub, sizeof c->issuer_sub},
        {"path ", c->source_path, sizeof c->source_path},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strncmp(text, keys[i].key, strlen(keys[i].key)) == 0)
            (void)snprintf(keys[i].to, keys[i].size, "%s", text + strlen(keys[i].key));
}

static void set_variable(char *text)
{
    char *equals = strchr(text, '=');
    for (size_t i = 0; equals != NULL && i < VARIABLES; i++)
        if (strlen(variables[i]) == (size_t)(equals - text) &&
            strncmp(text, variables[i], (size_t)(equals - text)) == 0)
            must(setenv(variables[i], equals + 1, 1) == 0);
}

/* Takes the lines; returns where the rest begins. */
static size_t take_lines(struct kw_config *c, const char *p, size_t n)
{
    static char line[KW_TOKEN_MAX + 256];
    size_t at = 0;
    while (at < n && p[at] != '\n') {
        const char *end = memchr(p + at, '\n', n - at);
        size_t len = end != NULL ? (size_t)(end - p) - at : n - at;
        (void)snprintf(line, sizeof line, "%.*s", (int)len, p + at);
        if (line[0] == '!')
            set(c, line + 1);
        else
            set_variable(line);
        at += len + (end != NULL ? 1 : 0);
    }
    return at < n ? at + 1 : n;
}

static void check(const struct kw_secret *s)
{
    const char *p = kw_secret_bytes(s);
    size_t n = kw_secret_len(s);
    must(n > 0 && n <= KW_TOKEN_MAX);
    for (size_t i = 0; i < n; i++)
        must(p[i] > ' ' && p[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_config c;
    static const struct kw_source_ways ways = {fetch, issue, NULL};
    struct kw_err err = {0};
    struct kw_secret *token = NULL;
    char chosen[256] = "";
    fault_seed(data, &size);
    must(kw_secret_init(true, &err) == 0);
    memset(&c, 0, sizeof c);
    (void)snprintf(c.source_type, sizeof c.source_type, "auto");
    (void)snprintf(c.source_field, sizeof c.source_field, "token");
    for (size_t i = 0; i < VARIABLES; i++)
        (void)unsetenv(variables[i]);
    size_t at = take_lines(&c, (const char *)data, size);
    body = (const char *)data + at;
    body_len = size - at;
    int fd = memfd_create("token", MFD_CLOEXEC);
    must(fd >= 0 && pwrite(fd, body, body_len, 0) == (ssize_t)body_len);
    if (c.source_path[0] != '\0') /* whatever is said: that file, and no other of the machine */
        (void)snprintf(c.source_path, sizeof c.source_path, "/proc/self/fd/%d", fd);
    if (strcmp(c.source_type, "stdin") == 0 || strcmp(c.source_type, "kubernetes") == 0)
        (void)snprintf(c.source_type, sizeof c.source_type, "file");
    for (int again = 0; again < 2; again++) { /* a renewal gets what is kept */
        bool stopped = false;
        fault_begin();
        int r = kw_source_get(&c, &ways, chosen, sizeof chosen, &token, &err);
        stopped = fault_end();
        must((r == 0) == (token != NULL) && chosen[0] != '\0');
        must(r == 0 || err.text[0] != '\0');
        must(r == 0 || r == KW_SUBJECT || r == KW_USAGE || r == KW_NET ||
             (stopped && r == KW_FAILED));
        if (r == 0)
            check(token);
        kw_secret_free(&token);
    }
    (void)close(fd);
    kw_source_forget();
    return 0;
}
