/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <openssl/rand.h>

#include "proxy_scope.h"
#include "src/base/b64.h"
#include "src/wire/oci_sign.h"

/* Whether a Connection field names it. */
static bool is_named(const struct kw_head *h, struct kw_span name)
{
    for (size_t i = 0; i < h->fields; i++) {
        const char *p = h->values[i].p, *end = p + h->values[i].n;
        if (!kw_span_is_nocase(h->names[i], "Connection"))
            continue;
        while (p < end) {
            const char *from = p;
            while (p < end && *p != ',' && *p != ' ' && *p != '\t')
                p++;
            if ((size_t)(p - from) == name.n && strncasecmp(from, name.p, name.n) == 0)
                return true;
            p += p < end;
        }
    }
    return false;
}

static bool is_hop(const struct kw_head *h, struct kw_span name)
{
    static const char *const hop[] = {"Connection", "Keep-Alive", "TE", "Trailer", "Upgrade"};
    for (size_t i = 0; i < sizeof hop / sizeof hop[0]; i++)
        if (kw_span_is_nocase(name, hop[i]))
            return true;
    return (name.n >= 6 && strncasecmp(name.p, "Proxy-", 6) == 0) || is_named(h, name);
}

static void put_span(struct kw_buf *out, struct kw_span s)
{
    if (s.n > 0)
        kw_put(out, s.p, s.n);
}

int kw_scope_rewrite(const struct kw_head *h, const struct kw_buf *authorization,
                     struct kw_buf *out, struct kw_err *err)
{
    put_span(out, h->method);
    kw_put_str(out, " ");
    put_span(out, h->target);
    kw_put_fmt(out, " HTTP/1.%u\r\n", h->minor);
    for (size_t i = 0; i < h->fields; i++) {
        if (is_hop(h, h->names[i]) || kw_span_is_nocase(h->names[i], "Authorization"))
            continue;
        put_span(out, h->names[i]);
        kw_put_str(out, ": ");
        put_span(out, h->values[i]);
        kw_put_str(out, "\r\n");
    }
    if (authorization != NULL) {
        kw_put_str(out, "Authorization: ");
        kw_put(out, authorization->p, authorization->len);
        kw_put_str(out, "\r\n");
    }
    kw_put_str(out, "Connection: keep-alive\r\n\r\n");
    return out->bad ? kw_fail(err, KW_FAILED, "the request's head is too long to be passed on") : 0;
}

int kw_scope_authorization(const struct kw_scope *s, enum kw_route route, const struct kw_m_sign *m,
                           struct kw_view signature, struct kw_buf *out, struct kw_err *err)
{
    if (s->token == NULL || kw_secret_len(s->token) == 0)
        return kw_fail(err, KW_FAILED, "there is no session yet");
    if (route == KW_ROUTE_OCI) {
        kw_oci_authorization("ST$", kw_secret_bytes(s->token), m->headers, signature.p,
                             signature.len, out);
    } else {
        kw_put_str(out, "Bearer ");
        kw_put(out, kw_secret_bytes(s->token), kw_secret_len(s->token));
    }
    return out->bad ? kw_fail(err, KW_FAILED, "the request's Authorization is too long") : 0;
}

static const struct {
    unsigned status;
    const char *reason, *oci, *google;
} kinds[] = {
    {400, "Bad Request", "InvalidParameter", "INVALID_ARGUMENT"},
    {401, "Unauthorized", "NotAuthenticated", "UNAUTHENTICATED"},
    {403, "Forbidden", "NotAuthorizedOrNotFound", "PERMISSION_DENIED"},
    {404, "Not Found", "NotAuthorizedOrNotFound", "NOT_FOUND"},
    {408, "Request Timeout", "InvalidParameter", "DEADLINE_EXCEEDED"},
    {414, "URI Too Long", "InvalidParameter", "INVALID_ARGUMENT"},
    {417, "Expectation Failed", "InvalidParameter", "INVALID_ARGUMENT"},
    {429, "Too Many Requests", "TooManyRequests", "RESOURCE_EXHAUSTED"},
    {431, "Request Header Fields Too Large", "InvalidParameter", "INVALID_ARGUMENT"},
    {500, "Internal Server Error", "InternalServerError", "INTERNAL"},
    {501, "Not Implemented", "NotImplemented", "UNIMPLEMENTED"},
    {502, "Bad Gateway", "BadGateway", "UNAVAILABLE"},
    {503, "Service Unavailable", "ServiceUnavailable", "UNAVAILABLE"},
    {504, "Gateway Timeout", "GatewayTimeout", "DEADLINE_EXCEEDED"},
    {505, "HTTP Version Not Supported", "InvalidParameter", "INVALID_ARGUMENT"},
};

/* The body by the vendor's shape; NULL for plain text, and where memory ran out. */
static char *vendor_body(enum kw_route route, unsigned status, size_t kind, const char *message)
{
    json_t *j =
        route == KW_ROUTE_OCI ? json_pack("{s:s,s:s}", "code", kinds[kind].oci, "message", message)
        : route == KW_ROUTE_GOOGLE ? json_pack("{s:{s:i,s:s,s:s}}", "error", "code", (int)status,
                                               "message", message, "status", kinds[kind].google)
                                   : NULL;
    char *text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

void kw_scope_refusal(enum kw_route route, unsigned status, const char *text, bool close,
                      struct kw_buf *out)
{
    char message[KW_ERR_TEXT + 16], id[33];
    unsigned char random[16];
    size_t kind = 0, last = sizeof kinds / sizeof kinds[0];
    (void)snprintf(message, sizeof message, "keyward: %s", text);
    kw_printable(message);
    while (kind < last && kinds[kind].status != status)
        kind++;
    if (kind == last) /* what the list doesn't have is answered as an error of ours */
        for (kind = 0, status = 500; kinds[kind].status != status;)
            kind++;
    char *json = vendor_body(route, status, kind, message);
    const char *body = json != NULL ? json : message;
    kw_put_fmt(out, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status,
               kinds[kind].reason, json != NULL ? "application/json" : "text/plain; charset=utf-8",
               strlen(body));
    if (route == KW_ROUTE_OCI && RAND_bytes(random, sizeof random) == 1) {
        kw_hex(id, random, sizeof random);
        kw_put_fmt(out, "opc-request-id: %s\r\n", id);
    }
    kw_put_fmt(out, "Connection: %s\r\n\r\n", close ? "close" : "keep-alive");
    kw_put_str(out, body);
    free(json);
}
