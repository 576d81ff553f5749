/* SPDX-License-Identifier: Apache-2.0
 *
 * Which host is which service, and what happens to every request: host and SNI check,
 * faults, guard, route, finish.
 */
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "lab.h"

void lab_verdict(struct lab_request *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->verdict, sizeof r->verdict, fmt, ap);
    va_end(ap);
    kw_printable(r->verdict);
}

struct host { /* before, name and after make the host name */
    const struct lab_service *service;
    const char *under, *before, *name, *after;
};

static int add(struct lab *l, const struct host *h, struct kw_err *err)
{
    struct lab_site *s = &l->site[l->n_site];
    if (l->n_site == LAB_SITES)
        return kw_fail(err, KW_FAILED, "too many host names");
    int n = snprintf(s->host, sizeof s->host, "%s%s%s", h->before, h->name, h->after);
    size_t good = strspn(s->host, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    if (n < 1 || (size_t)n >= sizeof s->host || good != (size_t)n)
        return kw_fail(
            err, KW_USAGE,
            "\"%s\" is not a lower-case host name; check --issuer, --domain-host, --universe, "
            "--region",
            s->host);
    s->service = h->service;
    s->under = h->under;
    l->n_site++;
    return 0;
}

int lab_sites(struct lab *l, struct kw_err *err)
{
    const char *region = l->opt.region, *domain = l->opt.domain_host, *google = l->opt.universe;
    if (strncmp(l->opt.issuer, "https://", 8) != 0)
        return kw_fail(err, KW_USAGE, "--issuer must be https://HOST");
    const struct host hosts[] = {
        {&lab_issuer, NULL, "", l->opt.issuer + 8, ""},
        {&lab_scim, "/admin/v1/", "", domain, ""},
        {&lab_idcs, NULL, "", domain, ""},
        {&lab_objects, NULL, "objectstorage.", region, ".oraclecloud.com"},
        {&lab_identity, NULL, "identity.", region, ".oci.oraclecloud.com"},
        {&lab_identity, NULL, "identity.", region, ".oraclecloud.com"},
        {&lab_core, NULL, "iaas.", region, ".oraclecloud.com"},
        {&lab_metadata, NULL, "", "169.254.169.254", ""},
        {&lab_metadata, NULL, "metadata.", "google", ".internal"},
        {&lab_sts, NULL, "sts.", google, ""},
        {&lab_sts, NULL, "sts.mtls.", google, ""},
        {&lab_iamcredentials, NULL, "iamcredentials.", google, ""},
        {&lab_iam, NULL, "iam.", google, ""},
        {&lab_serviceusage, NULL, "serviceusage.", google, ""},
        {&lab_projects, NULL, "cloudresourcemanager.", google, ""},
        {&lab_compute, NULL, "compute.", google, ""},
        {&lab_storage, NULL, "storage.", google, ""},
        {&lab_control, NULL, "", "localhost", ""},
        {&lab_control, NULL, "", "127.0.0.1", ""},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof hosts / sizeof hosts[0]; i++)
        rc = add(l, &hosts[i], err);
    return rc;
}

static const struct lab_service *find_service(const struct lab *l, const struct lab_request *r)
{
    if (r->host_port != 443 && r->host_port != r->port)
        return NULL;
    for (size_t i = 0; i < l->n_site; i++)
        if (strcmp(l->site[i].host, r->host) == 0 &&
            (l->site[i].under == NULL ||
             strncmp(r->target, l->site[i].under, strlen(l->site[i].under)) == 0))
            return l->site[i].service;
    return NULL;
}

/* Is the name asked for in TLS the one asked for in HTTP? IP addresses have no SNI. */
static bool sni_good(const struct lab_request *r)
{
    if (r->plain)
        return true;
    if (strcmp(r->host, "127.0.0.1") == 0)
        return r->sni[0] == 0;
    return strcasecmp(r->sni, r->host) == 0;
}

/* {} matches one non-empty segment (before a verb, "{}:verb", its part up to the colon),
 * {*} all that is left. */
static bool path_matches(const char *pattern, struct lab_request *r)
{
    const char *p = r->target, *end = r->target + r->path_len;
    size_t n = 0;
    while (*pattern != 0) {
        if (strncmp(pattern, "{*}", 3) == 0) {
            r->param[n++] = (struct kw_view){(const unsigned char *)p, (size_t)(end - p)};
            return p < end;
        }
        if (strncmp(pattern, "{}", 2) == 0) {
            size_t k = strcspn(p, pattern[2] == ':' ? "/?:" : "/?");
            if (k == 0)
                return false;
            r->param[n++] = (struct kw_view){(const unsigned char *)p, k};
            p += k;
            pattern += 2;
        } else if (p < end && *p == *pattern) {
            p++;
            pattern++;
        } else {
            return false;
        }
    }
    return p == end;
}

static void route(struct lab *l, const struct lab_service *s, struct lab_request *r,
                  struct lab_response *a)
{
    bool path_known = false;
    if (s->guard != NULL && !s->guard(l, r, a))
        return;
    for (const struct lab_route *t = s->routes; t->method != NULL; t++) {
        if (!path_matches(t->path, r))
            continue;
        path_known = true;
        if (strcmp(t->method, r->method) == 0) {
            t->handle(l, r, a);
            return;
        }
    }
    s->status(l, a, path_known ? 405 : 404);
}

/* Faults that answer in the service's stead. */
static bool faulty_answer(struct lab *l, const struct lab_service *s, struct lab_request *r,
                          struct lab_response *a)
{
    static const char page[] = "<!DOCTYPE html><html><head><title>Sign in</title></head>"
                               "<body>Welcome to the guest network.</body></html>\n";
    if (r->hit.on[LAB_STATUS])
        s->status(l, a, (int)r->hit.value[LAB_STATUS]);
    else if (r->hit.on[LAB_CUT])
        a->status = 0; /* nothing is sent */
    else if (r->hit.on[LAB_HTML])
        lab_reply_bytes(a, 200, "text/html", page, sizeof page - 1);
    else if (r->hit.on[LAB_NOT_JSON])
        lab_reply_bytes(a, 200, "application/json", "{\"token\": this is not JSON", 26);
    else if (r->hit.on[LAB_REDIRECT]) {
        a->status = 302;
        lab_reply_header(a, "location", "%s", r->hit.url);
    } else
        return false;
    lab_verdict(r, "fault");
    return true;
}

static void refuse(struct lab_request *r, struct lab_response *a, int status, const char *why)
{
    lab_verdict(r, "refused: %s", why);
    lab_reply_bytes(a, status, "text/plain", why, strlen(why));
    r->close = true;
}

void lab_dispatch(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    const struct lab_service *s = find_service(l, r);
    char path[1024];
    snprintf(path, sizeof path, "%.*s", (int)(r->path_len < 1023 ? r->path_len : 1023), r->target);
    if (!sni_good(r)) {
        refuse(r, a, 421, "TLS server name and Host header differ");
        return;
    }
    if (s == NULL || r->plain != (s == &lab_metadata)) {
        refuse(r, a, 421, "no such host here");
        return;
    }
    if (s != &lab_control)
        lab_faults_take(&l->faults, r->method, r->host, path, &r->hit);
    if (r->hit.on[LAB_LATENCY]) {
        int64_t ms = r->hit.value[LAB_LATENCY];
        struct timespec t = {ms / 1000, (ms % 1000) * 1000000};
        nanosleep(&t, NULL);
    }
    if (!faulty_answer(l, s, r, a))
        route(l, s, r, a);
    if (r->hit.on[LAB_LATE]) {
        kw_buf_reset(&a->headers);
        s->status(l, a, (int)r->hit.value[LAB_LATE]);
    }
    if (s->finish != NULL)
        s->finish(l, r, a);
    if (s != &lab_control)
        lab_journal_add(l, r, a);
}
