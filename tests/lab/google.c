/* SPDX-License-Identifier: Apache-2.0
 *
 * Access tokens that the lab has given out, and the error body of Google's APIs.
 */
#include "google.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lab.h"

void lab_grant_add(struct lab *l, struct lab_grant *g)
{
    char random[65];
    lab_random_hex(random, 32);
    (void)snprintf(g->token, sizeof g->token, "ya29.%s%s", g->kind == LAB_FEDERATED ? "d." : "c.",
                   random);
    pthread_mutex_lock(&l->google.lock);
    l->google.grant[l->google.n++ % LAB_GRANTS] = *g;
    pthread_mutex_unlock(&l->google.lock);
}

bool lab_grant_find(struct lab *l, const char *token, struct lab_grant *ret)
{
    bool found = false;
    if (lab_same(token, l->gadmin.token)) {
        *ret = (struct lab_grant){.kind = LAB_OF_ADMIN, .who = LAB_G_ADMIN, .until = INT64_MAX};
        snprintf(ret->scope, sizeof ret->scope, "https://www.googleapis.com/auth/cloud-platform");
        return true;
    }
    pthread_mutex_lock(&l->google.lock);
    for (size_t i = 0; i < LAB_GRANTS && !found; i++)
        if (l->google.grant[i].token[0] != 0 && lab_same(l->google.grant[i].token, token)) {
            *ret = l->google.grant[i];
            found = lab_now(l) < ret->until;
        }
    pthread_mutex_unlock(&l->google.lock);
    /* Without its pool a federated token is worth nothing, also one given before. */
    return found && (ret->kind != LAB_FEDERATED || lab_gpool_alive(l, ret->who));
}

void lab_google_error(struct lab_request *r, struct lab_response *a, int code, const char *status,
                      const char *reason, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (r != NULL)
        lab_verdict(r, "refused: %s: %s", status, message);
    json_t *e = json_pack("{s:i, s:s, s:s}", "code", code, "message", message, "status", status);
    if (reason != NULL)
        json_object_set_new(e, "details",
                            json_pack("[{s:s, s:s, s:s}]", "@type",
                                      "type.googleapis.com/google.rpc.ErrorInfo", "reason", reason,
                                      "domain", "iam.googleapis.com"));
    lab_reply_json(a, code, json_pack("{s:o}", "error", e));
}

bool lab_google_bearer(struct lab *l, struct lab_request *r, struct lab_response *a,
                       struct lab_grant *ret)
{
    const char *z = lab_header(r, "authorization");
    if (z != NULL && strncasecmp(z, "Bearer ", 7) == 0 && lab_grant_find(l, z + 7, ret)) {
        snprintf(r->principal, sizeof r->principal, "%.255s", ret->who);
        return true;
    }
    lab_google_error(r, a, 401, "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                     "Request had invalid authentication credentials. Expected OAuth 2 access "
                     "token, login cookie or other valid authentication credential.");
    return false;
}
