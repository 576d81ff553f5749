/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the proxy's own, in the shape that each vendor's tools show well. */
#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "b64.h"
#include "proxy_scope.h"

static const char *reason(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 408:
        return "Request Timeout";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

/* OCI: {"code", "message"} (docs "API Errors"); Google: google.rpc.Status as JSON. */
static json_t *body_of(enum kw_route route, unsigned status, const char *text)
{
    char message[KW_ERR_TEXT + 16];
    (void)snprintf(message, sizeof message, "keyward: %s", text);
    if (route == KW_ROUTE_OCI)
        return json_pack("{s:s,s:s}", "code",
                         status == 403   ? "NotAllowed"
                         : status >= 500 ? "ServiceUnavailable"
                                         : "InvalidParameter",
                         "message", message);
    if (route == KW_ROUTE_GOOGLE)
        return json_pack("{s:{s:i,s:s,s:s}}", "error", "code", (int)status, "message", message,
                         "status",
                         status == 403   ? "PERMISSION_DENIED"
                         : status >= 500 ? "UNAVAILABLE"
                                         : "INVALID_ARGUMENT");
    return NULL;
}

void kw_scope_refusal(enum kw_route route, unsigned status, const char *text, bool close,
                      struct kw_buf *out)
{
    char line[256], id[33];
    unsigned char random[16] = {0};
    (void)RAND_bytes(random, sizeof random);
    kw_hex(id, random, sizeof random);
    json_t *o = body_of(route, status, text);
    char *body = o != NULL ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(o);
    struct kw_buf plain;
    kw_buf_init(&plain, KW_ERR_TEXT + 16);
    if (body == NULL) {
        kw_put_str(&plain, "keyward: ");
        kw_put_str(&plain, text);
        kw_put_str(&plain, "\n");
    }
    const char *content = body != NULL ? body : kw_buf_str(&plain);
    (void)snprintf(
        line, sizeof line, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status,
        reason(status), body != NULL ? "application/json" : "text/plain", strlen(content));
    kw_put_str(out, line);
    (void)snprintf(line, sizeof line, "%s%s%s%s\r\n\r\n",
                   route == KW_ROUTE_OCI ? "opc-request-id: keyward/" : "",
                   route == KW_ROUTE_OCI ? id : "", route == KW_ROUTE_OCI ? "\r\n" : "",
                   close ? "Connection: close" : "Connection: keep-alive");
    kw_put_str(out, line);
    kw_put_str(out, content);
    kw_buf_free(&plain);
    free(body);
}
