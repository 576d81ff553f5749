/* SPDX-License-Identifier: Apache-2.0
 *
 * What the OCI services have in common: the guard, error bodies, opc-request-id, pages.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

void lab_oci_error(struct lab_response *a, int status, const char *code, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    lab_reply_json(a, status, json_pack("{s:s, s:s}", "code", code, "message", message));
}

void lab_oci_status(struct lab *l, struct lab_response *a, int status)
{
    static const struct {
        int status;
        const char *code, *message;
    } table[] = {
        {400, "CannotParseRequest", "The request is incorrectly formatted."},
        {401, "NotAuthenticated",
         "The required information to complete authentication was not provided or was incorrect."},
        {403, "NotAllowed", "The request is not allowed."},
        {404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found."},
        {405, "MethodNotAllowed", "The method is not allowed for this resource."},
        {409, "IncorrectState", "The resource is in a state that conflicts with the request."},
        {413, "RequestEntityTooLarge", "The request body is too large."},
        {429, "TooManyRequests", "Too many requests for the user."},
        {500, "InternalServerError", "An internal server error occurred."},
        {503, "ServiceUnavailable", "The service is currently unavailable."},
    };
    (void)l;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status) {
            lab_oci_error(a, status, table[i].code, "%s", table[i].message);
            return;
        }
    lab_oci_error(a, status, status >= 500 ? "InternalServerError" : "InvalidParameter",
                  "The request failed.");
}

bool lab_oci_guard(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    const char *why = lab_signature_judge(l, r);
    if (why != NULL) {
        lab_verdict(r, "refused: %s", why);
        lab_oci_status(l, a, 401);
        return false;
    }
    if (!lab_policies_allow(l, r)) {
        lab_verdict(r, "refused: no policy allows it");
        lab_oci_status(l, a, 404);
        return false;
    }
    lab_verdict(r, "signature good");
    return true;
}

/* The client's id if it is at most three segments of harmless characters (lenient in
 * length, as clients are), filled up to three segments; else an id of our own. */
void lab_oci_finish(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    const char *given = lab_header(r, "opc-request-id");
    char id[320] = "", part[33];
    size_t segments = 0;
    (void)l;
    for (const char *p = given; p != NULL && *p != 0;) {
        size_t n = strspn(p, chars);
        bool last = p[n] == 0;
        if (n == 0 || n > 64 || (!last && (p[n] != '/' || p[n + 1] == 0)) || ++segments > 3) {
            segments = 0;
            break;
        }
        p += n + (last ? 0 : 1);
    }
    if (segments > 0)
        snprintf(id, sizeof id, "%s", given);
    for (; segments < 3; segments++) {
        lab_random_hex(part, 16);
        size_t n = strlen(id);
        snprintf(id + n, sizeof id - n, "%s%s", n > 0 ? "/" : "", part);
    }
    lab_reply_header(a, "opc-request-id", "%s", id);
}

/* The page token is the index of the first item. */
void lab_oci_page(struct lab_request *r, struct lab_response *a, json_t *all)
{
    char text[16] = "";
    size_t limit = 1000, from = 0, n = json_array_size(all);
    int given = lab_query(r, "limit", text, sizeof text);
    bool good = given >= 0 && strspn(text, "0123456789") == strlen(text);
    if (given > 0 && good)
        limit = strtoul(text, NULL, 10);
    text[0] = 0;
    given = lab_query(r, "page", text, sizeof text);
    good = good && given >= 0 && strspn(text, "0123456789") == strlen(text);
    if (given > 0 && good)
        from = strtoul(text, NULL, 10);
    if (!good || limit < 1 || limit > 1000 || from > n) {
        json_decref(all);
        lab_oci_error(a, 400, "InvalidParameter", "limit or page is invalid.");
        return;
    }
    json_t *page = json_array();
    for (size_t i = from; i < n && i < from + limit; i++)
        json_array_append(page, json_array_get(all, i));
    if (from + limit < n)
        lab_reply_header(a, "opc-next-page", "%zu", from + limit);
    json_decref(all);
    lab_reply_json(a, 200, page);
}
