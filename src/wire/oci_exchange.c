/* SPDX-License-Identifier: Apache-2.0 */
#include "oci_exchange.h"

#include <stdio.h>
#include <string.h>

#include "hdr.h"
#include "http_answer.h"
#include "src/base/b64.h"
#include "url.h"

/* --- the form ------------------------------------------------------------------- */

/* The one field whose value is not encoded: type names are plain ASCII URNs, and
 * Oracle's scripts send their colons bare. */
static void put_bare(struct kw_buf *b, const char *name, const char *value)
{
    kw_form_put(b, name, "", 0);
    kw_put_str(b, value);
}

static void put_rpst(struct kw_buf *b, const struct kw_m_exchange *x)
{
    kw_form_text(b, "res_type", x->res_type);
    if (x->rpst_exp != 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%u", (unsigned)x->rpst_exp);
        kw_form_text(b, "rpst_exp", seconds);
    }
}

int kw_oci_form(const struct kw_m_exchange *x, const struct kw_m_go *go,
                const struct kw_secret *assertion, struct kw_buf *b, struct kw_err *err)
{
    bool rpst = x->requested == KW_RPST;
    if (rpst && x->res_type[0] == '\0')
        return kw_fail(err, KW_USAGE,
                       "exchange: requested = rpst needs res_type in the [oci] section: the "
                       "trust's impersonatingResource");
    if (kw_secret_len(go->subject) == 0 || go->spki.len == 0)
        return kw_fail(err, KW_FAILED, "exchange: subject token or public key is empty");
    struct kw_buf key;
    kw_buf_init(&key, 2 * KW_SPKI_MAX);
    kw_b64_put(&key, go->spki.p, go->spki.len);
    put_bare(b, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    put_bare(b, "requested_token_type",
             rpst ? "urn:oci:token-type:oci-rpst" : "urn:oci:token-type:oci-upst");
    kw_form_put(b, "subject_token", kw_secret_bytes(go->subject), kw_secret_len(go->subject));
    put_bare(b, "subject_token_type", "jwt");
    kw_form_put(b, "public_key", key.p, key.len);
    if (rpst)
        put_rpst(b, x);
    if (assertion != NULL) {
        kw_form_text(b, "client_id", x->client_id);
        kw_form_text(b, "client_assertion_type",
                     "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        kw_form_put(b, "client_assertion", kw_secret_bytes(assertion), kw_secret_len(assertion));
    }
    bool bad = key.bad || b->bad;
    kw_buf_free(&key);
    return bad ? kw_fail(err, KW_FAILED, "exchange: the form is too large") : 0;
}

int kw_oci_basic(const struct kw_m_exchange *x, struct kw_buf *b, struct kw_err *err)
{
    if (x->client_id[0] == '\0' || kw_secret_len(x->client_secret) == 0)
        return kw_fail(err, KW_USAGE,
                       "exchange: client_auth = basic needs client_id and client_secret_source in "
                       "the [oci] section");
    struct kw_buf pair;
    kw_buf_init(&pair, 8192);
    kw_put_str(&pair, x->client_id);
    kw_put_str(&pair, ":");
    kw_put(&pair, kw_secret_bytes(x->client_secret), kw_secret_len(x->client_secret));
    kw_put_str(b, "Basic ");
    kw_b64_put(b, pair.p, pair.len);
    bool bad = pair.bad || b->bad;
    kw_buf_free(&pair);
    return bad ? kw_fail(err, KW_FAILED, "exchange: client id and secret are too long") : 0;
}

/* --- the answer ----------------------------------------------------------------- */

/* What is known to go wrong, and what to do about it. The first row that fits counts;
 * "" fits everything. */
static const struct {
    const char *error, *description, *cure;
} known[] = {
    {"unauthorized_client", "No rules matched",
     "no impersonation rule of the trust fits the token: compare the rule with what `keyward "
     "claims` shows; values in a rule are not quoted"},
    {"unauthorized_client", "not a service user",
     "the user of the impersonation rule must have serviceUser = true, which can only be set when "
     "the user is made: make a new one (`keyward setup oci`)"},
    {"unauthorized_client", "",
     "the trust does not know this client: add client_id to its oauthClients, and see that trust "
     "and client are active"},
    {"invalid_client", "",
     "check client_id and client_secret_source (or the client's key), and that the application is "
     "active in this very domain"},
    {"invalid_grant", "",
     "the domain does not accept the subject token: it must be fresh, its issuer equal to the "
     "trust's to the letter, its signature verifiable by the trust's key set URL; `keyward claims` "
     "shows it"},
    {"invalid_request", "", "check domain_url, requested, res_type and rpst_exp in [oci]"},
    {"unsupported_grant_type", "", "this domain has no token exchange: check domain_url"},
};

static const char *cure_of(const char *error, const char *description)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].error, error) == 0 && strstr(description, known[i].description) != NULL)
            return known[i].cure;
    return "the domain's Settings > Diagnostics shows the check that failed";
}

void kw_oci_correlation(const char *headers, char *out, size_t size)
{
    char id[256];
    out[0] = '\0';
    if (kw_hdr_find(headers, "x-oracle-dms-ecid", id, sizeof id) ||
        kw_hdr_find(headers, "opc-request-id", id, sizeof id))
        kw_quote(out, size, id);
}

/* " (ecid ...)" from the header, else from the body's own member, else "". */
static void put_ecid(const struct kw_answer *a, const json_t *j, char *out, size_t size)
{
    char id[128];
    kw_oci_correlation(a->headers, id, sizeof id);
    const char *member = json_string_value(json_object_get(j, "ecid"));
    if (id[0] == '\0' && member != NULL)
        kw_quote(id, sizeof id, member);
    (void)snprintf(out, size, "%s%s%s", id[0] != '\0' ? " (ecid " : "", id,
                   id[0] != '\0' ? ")" : "");
}

/* Everything but a 200. */
static int refused(const struct kw_answer *a, const char *host, struct kw_err *err)
{
    char where[KW_HOST + 8], ecid[144], error[64] = "", description[320] = "";
    const char *why = NULL;
    json_t *j = kw_answer_json(a, &why);
    put_ecid(a, j, ecid, sizeof ecid);
    const char *e = json_string_value(json_object_get(j, "error"));
    const char *d = json_string_value(json_object_get(j, "error_description"));
    if (e != NULL)
        kw_quote(error, sizeof error, e);
    if (d != NULL)
        kw_quote(description, sizeof description, d);
    json_decref(j);

    if (kw_answer_redirect(a, where, sizeof where))
        return kw_fail(err, KW_CLOUD,
                       "exchange: %s answered with a redirect (%u) %s, which is never followed%s; "
                       "check domain_url",
                       host, a->status, where, ecid);
    if (a->status == 429 || a->status >= 500)
        return kw_fail(err, KW_NET, "exchange: %s answered %u%s%s%s; try again later", host,
                       a->status, error[0] != '\0' ? " " : "", error, ecid);
    if (error[0] == '\0')
        return kw_fail(err, KW_CLOUD,
                       "exchange: %s answered %u without saying why%s; is domain_url that of the "
                       "identity domain?",
                       host, a->status, ecid);
    return kw_fail(err, KW_CLOUD, "exchange: %s answered %u %s: %s%s; %s", host, a->status, error,
                   description[0] != '\0' ? description : "(no description)", ecid,
                   cure_of(error, description));
}

int kw_oci_answer(const struct kw_answer *a, const char *host, struct kw_secret **ret_token,
                  struct kw_err *err)
{
    *ret_token = NULL;
    if (a->status != 200)
        return refused(a, host, err);
    char ecid[144];
    const char *why = NULL;
    json_t *j = kw_answer_json(a, &why);
    put_ecid(a, j, ecid, sizeof ecid);
    if (j == NULL)
        return kw_fail(err, KW_CLOUD, "exchange: the answer of %s %s%s; check domain_url", host,
                       why, ecid);
    const json_t *member = json_object_get(j, "token");
    const char *text = json_string_value(member);
    size_t n = json_string_length(member);
    int r = 0;
    if (text == NULL)
        r = kw_fail(err, KW_CLOUD,
                    "exchange: %s answered 200 without a string \"token\"%s; check domain_url",
                    host, ecid);
    else if (n > KW_TOKEN_MAX)
        r = kw_fail(err, KW_CLOUD, "exchange: the token from %s is over %u bytes%s", host,
                    (unsigned)KW_TOKEN_MAX, ecid);
    else if (!kw_compact_ok(text, n))
        r = kw_fail(err, KW_CLOUD, "exchange: the token from %s is no JWT%s", host, ecid);
    else if ((*ret_token = kw_secret_from(text, n)) == NULL)
        r = kw_fail(err, KW_FAILED, "no room for the session token");
    json_decref(j);
    return r;
}
