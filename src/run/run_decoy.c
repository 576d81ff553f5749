/* SPDX-License-Identifier: Apache-2.0
 *
 * What CMD gets in the place of credentials. Clients parse a session token (its form, exp,
 * the tenancy) but can't check it; so ours says openly what it is. */
#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "run_serve.h"
#include "src/base/b64.h"

enum { RANDOM = 32, AHEAD_S = 365 * 24 * 3600 };

static int put_random(struct kw_buf *out, struct kw_err *err)
{
    unsigned char bytes[RANDOM];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return kw_fail(err, KW_FAILED, "no random bytes can be had");
    kw_b64url_put(out, bytes, sizeof bytes);
    return 0;
}

static int put_part(struct kw_buf *out, json_t *o, struct kw_err *err)
{
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text == NULL)
        return kw_fail(err, KW_FAILED, "the stand-in token can't be made");
    kw_b64url_put(out, text, strlen(text));
    free(text);
    kw_put_str(out, ".");
    return 0;
}

int kw_decoy_jwt(const struct kw_session *s, int64_t now, struct kw_buf *out, struct kw_err *err)
{
    const char *tenant = s->tenant[0] != '\0' ? s->tenant : s->config->tenancy;
    int r = put_part(
        out, json_pack("{s:s,s:s,s:s}", "alg", "RS256", "typ", "JWT", "kid", "keyward-stand-in"),
        err);
    /* res_tenant and res_compartment: the SDKs' resource principals take the tenancy there. */
    if (r == 0)
        r = put_part(out,
                     json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "sub", "keyward-run", "iss",
                               "keyward", "tenant", tenant, "res_tenant", tenant, "res_compartment",
                               tenant, "ttype", "upst", "iat", (json_int_t)now, "exp",
                               (json_int_t)now + AHEAD_S),
                     err);
    if (r == 0)
        r = put_random(out, err);
    return r == 0 && out->bad ? kw_fail(err, KW_FAILED, "the stand-in token is too long") : r;
}

int kw_decoy_bearer(struct kw_buf *out, struct kw_err *err)
{
    kw_put_str(out, "ya29.keyward-stand-in-");
    return put_random(out, err);
}

void kw_decoy_project(const char *email, char *out, size_t size)
{
    static const char domain[] = ".iam.gserviceaccount.com";
    const char *at = strchr(email, '@');
    const char *end = at != NULL ? strstr(at, domain) : NULL;
    if (end != NULL && end[sizeof domain - 1] == '\0')
        (void)snprintf(out, size, "%.*s", (int)(end - at - 1), at + 1);
    else
        out[0] = '\0';
}
