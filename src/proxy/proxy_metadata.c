/* SPDX-License-Identifier: Apache-2.0
 *
 * The metadata service of Compute Engine, as far as clients ask it for who they are and for
 * tokens (cloud.google.com/compute/docs/metadata; the client libraries' sources). The token
 * that it gives is the run's stand-in. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_scope.h"
#include "src/config/config.h"

enum { LEAST_S = 600, MARGIN_S = 60, MOST_S = 3599 };

static const char root[] = "/computeMetadata/v1";

static void answer(struct kw_buf *out, unsigned status, const char *type, const char *body)
{
    char line[256];
    (void)snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\n", status,
                   status == 200   ? "OK"
                   : status == 404 ? "Not Found"
                   : status == 405 ? "Method Not Allowed"
                                   : "Forbidden");
    kw_put_str(out, line);
    (void)snprintf(line, sizeof line,
                   "Metadata-Flavor: Google\r\nServer: Metadata Server for VM\r\n"
                   "X-XSS-Protection: 0\r\nX-Frame-Options: SAMEORIGIN\r\n"
                   "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                   type, strlen(body));
    kw_put_str(out, line);
    kw_put_str(out, body);
}

static void answer_text(struct kw_buf *out, const char *text)
{
    answer(out, 200, "application/text", text);
}

static void answer_json(struct kw_buf *out, json_t *o)
{
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text != NULL)
        answer(out, 200, "application/json", text);
    else
        answer(out, 404, "text/plain", "");
    free(text);
}

/* Who the run is: Google's service account, or a name where access is direct. */
static const char *email_of(const struct kw_scope *s)
{
    return s->say.email[0] != '\0' ? s->say.email : "keyward-run";
}

static json_t *scopes_of(const struct kw_scope *s)
{
    json_t *a = json_array();
    for (const char *p = s->say.scope; *p != '\0';) {
        size_t n = strcspn(p, " ");
        (void)json_array_append_new(a, json_stringn(p, n));
        p += n + strspn(p + n, " ");
    }
    return a;
}

static json_t *account_of(const struct kw_scope *s)
{
    return json_pack("{s:[s],s:s,s:o}", "aliases", "default", "email", email_of(s), "scopes",
                     scopes_of(s));
}

/* The stand-in doesn't end with the session that serves it, so clients shall neither refresh it
 * all the time nor take it for expired. */
static void answer_token(const struct kw_scope *s, int64_t now, struct kw_buf *out)
{
    int64_t left = s->not_after > (uint64_t)now + MARGIN_S
                       ? (int64_t)(s->not_after - (uint64_t)now) - MARGIN_S
                       : LEAST_S;
    left = left < LEAST_S ? LEAST_S : left > MOST_S ? MOST_S : left;
    answer_json(out, json_pack("{s:s,s:I,s:s}", "access_token", s->say.decoy_token, "expires_in",
                               (json_int_t)left, "token_type", "Bearer"));
}

/* The value of `name` in a query, percent-decoded. */
static bool query_value(const char *query, const char *name, char *out, size_t size)
{
    size_t len = strlen(name), n = 0;
    const char *p = query;
    while (*p != '\0' && !(strncmp(p, name, len) == 0 && p[len] == '=')) {
        p += strcspn(p, "&");
        p += *p == '&';
    }
    if (*p == '\0')
        return false;
    for (p += len + 1; *p != '\0' && *p != '&'; p++) {
        unsigned byte = (unsigned char)*p;
        if (*p == '%') {
            if (sscanf(p + 1, "%2x", &byte) != 1 || p[1] == '\0' || p[2] == '\0')
                return false;
            p += 2;
        } else if (*p == '+')
            byte = ' ';
        if (byte < 0x20 || byte > 0x7e || n + 1 >= size)
            return false;
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return n > 0;
}

/* Below instance/service-accounts/{default|EMAIL}/ */
static bool account(const struct kw_scope *s, const char *rest, const char *query, int64_t now,
                    char *audience, size_t size, struct kw_buf *out)
{
    if (rest[0] == '\0') {
        if (strstr(query, "recursive=true") != NULL)
            answer_json(out, account_of(s));
        else
            answer_text(out, "aliases\nemail\nidentity\nscopes\ntoken\n");
    } else if (strcmp(rest, "email") == 0)
        answer_text(out, email_of(s));
    else if (strcmp(rest, "aliases") == 0)
        answer_text(out, "default\n");
    else if (strcmp(rest, "token") == 0)
        answer_token(s, now, out);
    else if (strcmp(rest, "scopes") == 0) {
        char lines[sizeof s->say.scope + 1];
        (void)snprintf(lines, sizeof lines, "%s\n", s->say.scope);
        for (char *p = lines; *p != '\0'; p++)
            *p = (char)(*p == ' ' ? '\n' : *p);
        answer_text(out, lines);
    } else if (strcmp(rest, "identity") == 0) {
        if (!query_value(query, "audience", audience, size)) {
            audience[0] = '\0'; /* what was read before it went wrong is none */
            answer(out, 400, "text/plain", "non-empty audience parameter required\n");
        }
    } else
        return false;
    return true;
}

static bool accounts(const struct kw_scope *s, const char *rest, const char *query, int64_t now,
                     char *audience, size_t size, struct kw_buf *out)
{
    char text[sizeof s->say.email + 32];
    if (rest[0] == '\0') {
        if (strstr(query, "recursive=true") != NULL) {
            json_t *one = account_of(s);
            answer_json(out, json_pack("{s:O,s:o}", "default", one, email_of(s), one));
        } else {
            (void)snprintf(text, sizeof text, "default/\n%s/\n", email_of(s));
            answer_text(out, text);
        }
        return true;
    }
    size_t n = strcspn(rest, "/"), m = strlen(email_of(s));
    bool known = (n == 7 && strncmp(rest, "default", 7) == 0) ||
                 (n == m && strncmp(rest, email_of(s), m) == 0);
    return known && account(s, rest + n + (rest[n] == '/'), query, now, audience, size, out);
}

static bool plain_value(const struct kw_scope *s, const char *path, struct kw_buf *out)
{
    char zone[64];
    (void)snprintf(zone, sizeof zone, "projects/%s/zones/keyward-run", s->say.project_number);
    const struct {
        const char *path, *value;
    } values[] = {
        {"/", "instance/\nproject/\nuniverse/\n"},
        {"/instance", "attributes/\nid\nname\nservice-accounts/\nzone\n"},
        {"/instance/", "attributes/\nid\nname\nservice-accounts/\nzone\n"},
        {"/instance/id", "1"},
        {"/instance/name", "keyward-run"},
        {"/instance/zone", zone},
        {"/instance/attributes/", ""},
        {"/project/", "numeric-project-id\nproject-id\n"},
        /* Where only the number is known (no service account), it is as good: APIs take either,
         * and gcloud ends if there is none. */
        {"/project/project-id", s->say.project[0] != '\0' ? s->say.project : s->say.project_number},
        {"/project/numeric-project-id", s->say.project_number},
        {"/universe/universe-domain", s->say.universe},
        {"/universe/universe_domain", s->say.universe},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (strcmp(path, values[i].path) == 0 &&
            (values[i].value[0] != '\0' || strcmp(path, "/instance/attributes/") == 0)) {
            answer_text(out, values[i].value);
            return true;
        }
    return false;
}

/* Names and addresses by which clients know the service. Whatever else a Host says: a web page
 * that had its name resolved anew (DNS rebinding) can't choose it. */
static bool host_ok(struct kw_span host)
{
    static const char *const names[] = {"metadata.google.internal", "metadata", "169.254.169.254",
                                        "127.0.0.1", "localhost"};
    size_t n = 0;
    while (n < host.n && host.p[n] != ':')
        n++;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (kw_span_is_nocase((struct kw_span){host.p, n}, names[i]))
            return true;
    return false;
}

int kw_scope_metadata(const struct kw_scope *s, const struct kw_head *h, int64_t now,
                      char *ret_audience, size_t size, struct kw_buf *out)
{
    static const char accounts_path[] = "/instance/service-accounts";
    char path[2048];
    struct kw_span t = h->target;
    ret_audience[0] = '\0';
    if (t.n > 7 && t.p[0] != '/') { /* absolute-form: a client that asks it by way of a proxy */
        const char *slash = memchr(t.p + 7, '/', t.n - 7);
        t = slash != NULL ? (struct kw_span){slash, (size_t)(t.p + t.n - slash)}
                          : (struct kw_span){"/", 1};
    }
    if (!host_ok(h->host) || t.n >= sizeof path) {
        answer(out, 403, "text/plain", "keyward: this is the run's metadata service only\n");
        return 0;
    }
    memcpy(path, t.p, t.n);
    path[t.n] = '\0';
    char *query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    if (s->say.cloud != KW_CLOUD_GOOGLE)
        answer(out, 404, "text/plain", "");
    else if (!kw_span_is(h->method, "GET"))
        answer(out, 405, "text/plain", "");
    else if (kw_head_count(h, "x-forwarded-for") > 0)
        answer(out, 403, "text/plain", "X-Forwarded-For is not allowed\n");
    else if (strcmp(path, "/") == 0)
        answer_text(out, "computeMetadata/\n");
    else if (!kw_span_is_nocase(kw_head_find(h, "metadata-flavor"), "Google"))
        answer(out, 403, "text/plain", "Missing required header: Metadata-Flavor: Google\n");
    else {
        const char *rest = strncmp(path, root, sizeof root - 1) == 0 ? path + sizeof root - 1 : "-";
        const char *q = query != NULL ? query : "";
        size_t n = sizeof accounts_path - 1;
        bool found = strncmp(rest, accounts_path, n) == 0 && (rest[n] == '/' || rest[n] == '\0')
                         ? accounts(s, rest + n + (rest[n] == '/'), q, now, ret_audience, size, out)
                         : plain_value(s, rest, out);
        if (!found)
            answer(out, 404, "text/plain", "");
    }
    return 0;
}

void kw_scope_identity(const char *jwt, size_t n, struct kw_buf *out)
{
    char text[KW_TOKEN_MAX];
    if (n == 0 || n >= sizeof text) {
        answer(out, 404, "text/plain", "keyward: no ID token could be had; see its messages\n");
        return;
    }
    memcpy(text, jwt, n);
    text[n] = '\0';
    answer_text(out, text);
    explicit_bzero(text, sizeof text);
}
