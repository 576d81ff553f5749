/* SPDX-License-Identifier: Apache-2.0
 *
 * Subject tokens that other processes get: by the exchanger over the network, or by the
 * keeper from the token. main writes the request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source_int.h"
#include "src/session/session.h"
#include "src/wire/url.h"

#define GITHUB_URL   "ACTIONS_ID_TOKEN_REQUEST_URL"
#define GITHUB_TOKEN "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

/* Appends name=value to a URL that may have a query already. */
static int add_query(char *url, size_t size, const char *name, const char *value,
                     struct kw_err *err)
{
    struct kw_buf b;
    kw_buf_init(&b, size - 1);
    kw_put_str(&b, url);
    kw_put_str(&b, strchr(url, '?') == NULL ? "?" : "&");
    kw_put_str(&b, name);
    kw_put_str(&b, "=");
    kw_pct_put(&b, value, strlen(value));
    bool fits = !b.bad;
    if (fits)
        (void)snprintf(url, size, "%s", kw_buf_str(&b));
    kw_buf_free(&b);
    return fits ? 0 : kw_fail(err, KW_SUBJECT, "the subject token's URL and audience are too long");
}

/* --- GitHub ------------------------------------------------------------------------------ */

static bool in_github(void)
{
    const char *actions = getenv("GITHUB_ACTIONS");
    return (actions != NULL && strcmp(actions, "true") == 0) || kw_source_has(GITHUB_URL);
}

const char *kw_found_github(const struct kw_config *c)
{
    (void)c;
    return in_github() ? "this is a GitHub Actions job" : NULL;
}

/* GitHub has one event for pull requests whose jobs get no more rights than their author,
 * whatever the file says, and others (pull_request_target) whose jobs do. */
static bool from_pull_request(void)
{
    const char *event = getenv("GITHUB_EVENT_NAME");
    return event != NULL &&
           (strcmp(event, "pull_request") == 0 || strncmp(event, "pull_request_review", 19) == 0);
}

static int no_github(struct kw_err *err)
{
    if (in_github() && from_pull_request())
        return kw_fail(err, KW_SUBJECT,
                       "GitHub gave this job no token service (" GITHUB_URL " or _TOKEN is unset), "
                       "and its event is a pull request: from a fork it never gets one, whatever "
                       "`permissions:` says. Do this on push, or under `if: "
                       "github.event.pull_request.head.repo.full_name == github.repository`; for "
                       "a branch of this repository add `permissions: id-token: write` to the job");
    return in_github() ? kw_fail(err, KW_SUBJECT,
                                 "GitHub gave this job no token service (" GITHUB_URL " or _TOKEN "
                                 "is unset); add `permissions: id-token: write` to the job")
                       : kw_fail(err, KW_SUBJECT,
                                 "this is no GitHub Actions job (" GITHUB_URL " is unset); choose "
                                 "another [source] type");
}

int kw_source_github(const struct kw_config *c, struct kw_m_fetch *m, struct kw_err *err)
{
    char audience[512];
    struct kw_url u;
    *m = (struct kw_m_fetch){.field = "value", .headers = "accept: application/json\n"};
    int r = kw_source_variable(GITHUB_TOKEN, &m->bearer, err);
    if (r != 0)
        return r;
    const char *url = getenv(GITHUB_URL); /* after the environment was changed */
    if (url == NULL || *url == '\0' || m->bearer == NULL)
        return no_github(err);
    r = kw_url_parse(url, GITHUB_URL, KW_SUBJECT, &u, err);
    if (r == 0)
        r = kw_source_audience(c, "GitHub's token", audience, sizeof audience, err);
    if (r == 0 && (size_t)snprintf(m->url, sizeof m->url, "%s", url) >= sizeof m->url)
        r = kw_fail(err, KW_SUBJECT, GITHUB_URL " is too long");
    return r != 0 ? r : add_query(m->url, sizeof m->url, "audience", audience, err);
}

static int fetch(const struct kw_source_job *j, struct kw_m_fetch *m, const char *whom,
                 struct kw_secret **ret, struct kw_err *err)
{
    int r = j->ways->fetch(j->ways->arg, m, ret, err);
    return r != 0 ? kw_err_wrap(err, "%s", whom) : 0;
}

int kw_source_by_github(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    struct kw_m_fetch m;
    int r = kw_source_github(j->c, &m, err);
    if (r == 0)
        r = fetch(j, &m, "GitHub's token service", ret, err);
    kw_secret_free(&m.bearer);
    return r;
}

/* --- metadata services -------------------------------------------------------------------- */

/* Plain http by the clouds' design: the address is the virtual machine's own host, which
 * has no name that a certificate could be for. kw_url_parse_local() lets these through. */
#define AZURE_URL KW_AZURE_METADATA "/metadata/identity/oauth2/token?api-version=2018-02-01"
#define GCE_URL                                                                                    \
    KW_GCE_METADATA "/computeMetadata/v1/instance/service-accounts/default/identity?format=full"

int kw_source_azure(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    struct kw_m_fetch m = {
        .url = AZURE_URL, .field = "access_token", .headers = "metadata: true\n"};
    char resource[512];
    int r = kw_source_audience(j->c, "Azure's metadata service", resource, sizeof resource, err);
    if (r == 0)
        r = add_query(m.url, sizeof m.url, "resource", resource, err);
    if (r == 0 && j->c->source_client_id[0] != '\0')
        r = add_query(m.url, sizeof m.url, "client_id", j->c->source_client_id, err);
    return r != 0 ? r : fetch(j, &m, "Azure's metadata service", ret, err);
}

int kw_source_gce(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    struct kw_m_fetch m = {.url = GCE_URL, .field = "", .headers = "metadata-flavor: Google\n"};
    char audience[512];
    int r = kw_source_audience(j->c, "Google's metadata server", audience, sizeof audience, err);
    if (r == 0)
        r = add_query(m.url, sizeof m.url, "audience", audience, err);
    return r != 0 ? r : fetch(j, &m, "Google's metadata server", ret, err);
}

/* --- any URL -------------------------------------------------------------------------------- */

int kw_source_url(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    const struct kw_config *c = j->c;
    struct kw_m_fetch m = {.url = ""};
    struct kw_url u;
    int r = kw_url_parse_local(c->source_url, "[source] url", KW_USAGE, &u, err);
    if (r != 0)
        return r;
    (void)snprintf(m.url, sizeof m.url, "%s", c->source_url);
    (void)snprintf(m.field, sizeof m.field, "%s", c->source_field);
    (void)snprintf(m.headers, sizeof m.headers, "%s", c->source_headers);
    if (c->source_bearer[0] != '\0')
        r = kw_secret_from_source(c->source_bearer, "[source] bearer_source", KW_TOKEN_MAX,
                                  &m.bearer, err);
    if (r == 0)
        r = fetch(j, &m, "[source] url", ret, err);
    kw_secret_free(&m.bearer);
    return r;
}

/* --- the token itself ------------------------------------------------------------------------ */

int kw_source_issue(const struct kw_config *c, struct kw_m_issue *m, struct kw_err *err)
{
    *m = (struct kw_m_issue){.lifetime = c->issuer_life};
    (void)snprintf(m->subject, sizeof m->subject, "%s", c->issuer_sub);
    (void)snprintf(m->claims, sizeof m->claims, "%s", c->issuer_claims);
    kw_config_audience(c, m->audience, sizeof m->audience);
    return kw_config_check_issuer(c, err);
}

int kw_source_token(const struct kw_source_job *j, struct kw_secret **ret, struct kw_err *err)
{
    struct kw_m_issue m;
    int r = kw_source_issue(j->c, &m, err);
    if (r == 0 && m.subject[0] == '\0')
        r = kw_fail(err, KW_USAGE, "[source] type = token needs [issuer] sub");
    if (r == 0)
        r = kw_source_audience(j->c, "the token's own JWT", m.audience, sizeof m.audience, err);
    return r != 0 ? r : j->ways->issue(j->ways->arg, &m, ret, err);
}
