/* SPDX-License-Identifier: Apache-2.0 */
#include "google_sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "google_name.h"
#include "http_answer.h"
#include "url.h"

#define SCOPE_CLOUD "https://www.googleapis.com/auth/cloud-platform"

/* --- the exchange ----------------------------------------------------------------- */

int kw_sts_form(const struct kw_m_google *g, struct kw_buf *b, struct kw_err *err)
{
    if (kw_secret_len(g->subject) == 0)
        return kw_fail(err, KW_FAILED, "exchange: the subject token is empty");
    kw_form_text(b, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    kw_form_text(b, "audience", g->audience);
    /* What impersonation needs is one scope; the asked-for ones go to it. */
    kw_form_text(b, "scope", g->service_account[0] != '\0' ? SCOPE_CLOUD : g->scope);
    kw_form_text(b, "requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
    kw_form_text(b, "subject_token_type", g->subject_type);
    kw_form_put(b, "subject_token", kw_secret_bytes(g->subject), kw_secret_len(g->subject));
    return b->bad ? kw_fail(err, KW_FAILED, "exchange: the form is too large") : 0;
}

/* What is known to go wrong, and what to do about it. The first row that fits counts;
 * "" fits everything. */
static const struct {
    const char *error, *description, *cure;
} known[] = {
    {"invalid_grant", "audience in ID Token",
     "the provider wants another aud: ask for it with [source] audience (allowedAudiences of the "
     "provider, or its default, the https form of its name)"},
    {"invalid_grant", "stale to sign-in",
     "the token is too old, or a clock is wrong: it has to be fetched anew for each exchange"},
    {"invalid_grant", "issuer in ID Token",
     "the provider's issuer URI must equal the token's iss to the letter (enterprise slug, GHES "
     "host, trailing slash); `keyward claims` shows it"},
    {"invalid_grant", "Error connecting to the given credential's issuer",
     "Google can't read the issuer's keys: make its discovery page public, or upload the key set "
     "as the provider's jwksJson"},
    {"invalid_grant", "", "Google does not accept the token: `keyward claims` shows what it says"},
    {"unauthorized_client", "attribute condition",
     "the provider's condition is false for this token, or names a claim it hasn't: `keyward "
     "claims` with the condition says which part"},
    {"unauthorized_client", "", "the provider refuses this token: `keyward claims` shows it"},
    {"invalid_target", "",
     "pool or provider is disabled, deleted or does not exist: check [google] provider, whose "
     "project must be given by number"},
    {"invalid_request", "Invalid value for \"audience\"",
     "[google] provider must be the provider's full resource name, not the pool's"},
    {"invalid_request", "google.subject",
     "map something shorter to google.subject (say assertion.repository_id); `keyward claims` "
     "shows its size"},
    {"invalid_request", "attribute mapping",
     "a mapping names a claim that the token hasn't: `keyward claims` with the mapping says which"},
    {"invalid_request", "", "check [google] provider and scope"},
    {"quota_exceeded", "", "the project's quota of exchanges is used up for this minute"},
};

static const char *cure_of(const char *error, const char *description)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].error, error) == 0 && strstr(description, known[i].description) != NULL)
            return known[i].cure;
    return "see Google's page on troubleshooting workload identity federation";
}

/* Foreign text for a message of ours, which goes on behind it: without its full stop. */
static void quote_member(const json_t *o, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(o, name));
    out[0] = '\0';
    if (text != NULL)
        kw_quote(out, size, text);
    size_t n = strlen(out);
    if (n > 0 && out[n - 1] == '.')
        out[n - 1] = '\0';
}

static int redirected(const struct kw_answer *a, const char *host, struct kw_err *err)
{
    char where[KW_HOST + 8];
    return kw_answer_redirect(a, where, sizeof where)
               ? kw_fail(err, KW_CLOUD,
                         "exchange: %s answered with a redirect (%u) %s, which is never followed; "
                         "check [google] universe",
                         host, a->status, where)
               : 0;
}

static int sts_refused(const struct kw_answer *a, const char *host, struct kw_err *err)
{
    char error[64], description[400];
    const char *why = "";
    int r = redirected(a, host, err);
    if (r != 0)
        return r;
    json_t *j = kw_answer_json(a, &why);
    quote_member(j, "error", error, sizeof error);
    quote_member(j, "error_description", description, sizeof description);
    json_decref(j);
    if (a->status == 429 || a->status >= 500)
        return kw_fail(err, KW_NET, "exchange: %s answered %u%s%s; try again later", host,
                       a->status, error[0] != '\0' ? " " : "", error);
    if (error[0] == '\0')
        return kw_fail(err, KW_CLOUD,
                       "exchange: %s answered %u without saying why; is that Google's token "
                       "service? Check [google] universe and [dial] resolve",
                       host, a->status);
    bool stale = strcmp(error, "invalid_grant") == 0 && strstr(description, "stale") != NULL;
    return kw_fail(err, stale ? KW_SUBJECT : KW_CLOUD, "exchange: %s answered %u %s: %s; %s", host,
                   a->status, error, description[0] != '\0' ? description : "(no description)",
                   cure_of(error, description));
}

/* A bearer goes into a header: visible ASCII, of the length that Google documents. */
static int take_bearer(const json_t *j, const char *member, const char *host,
                       struct kw_secret **ret, struct kw_err *err)
{
    const json_t *o = json_object_get(j, member);
    const char *text = json_string_value(o);
    size_t n = json_string_length(o);
    bool good = text != NULL && n > 0 && n <= KW_TOKEN_MAX - 64;
    for (size_t i = 0; good && i < n; i++)
        good = text[i] > ' ' && text[i] < 0x7f;
    if (!good)
        return kw_fail(err, KW_CLOUD, "exchange: the answer of %s has no token in \"%s\"", host,
                       member);
    *ret = kw_secret_from(text, n);
    return *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no room for the access token");
}

/* Google sends a number; a string of digits is known from other token services. */
static uint32_t seconds(const json_t *v)
{
    json_int_t n = json_integer_value(v);
    if (json_is_string(v))
        n = strtoll(json_string_value(v), NULL, 10);
    return n > 0 && n <= 7 * 86400 ? (uint32_t)n : 0;
}

int kw_sts_answer(const struct kw_answer *a, const char *host, struct kw_secret **ret_token,
                  uint32_t *ret_expires, struct kw_err *err)
{
    *ret_token = NULL;
    *ret_expires = 0;
    if (a->status != 200)
        return sts_refused(a, host, err);
    const char *why = NULL;
    json_t *j = kw_answer_json(a, &why);
    if (j == NULL)
        return kw_fail(err, KW_CLOUD, "exchange: the answer of %s %s", host, why);
    const char *type = json_string_value(json_object_get(j, "token_type"));
    int r = 0;
    if (type != NULL && strcmp(type, "Bearer") != 0)
        r = kw_fail(err, KW_CLOUD, "exchange: %s gave a token of another type than Bearer", host);
    if (r == 0)
        r = take_bearer(j, "access_token", host, ret_token, err);
    *ret_expires = seconds(json_object_get(j, "expires_in"));
    json_decref(j);
    return r;
}

/* --- impersonation ---------------------------------------------------------------- */

int kw_iam_target(const struct kw_m_google *g, const char *path, char *out, size_t size,
                  struct kw_err *err)
{
    const char *verb = g->id_audience[0] != '\0' ? "generateIdToken" : "generateAccessToken";
    struct kw_buf account;
    kw_buf_init(&account, 1024);
    kw_pct_put(&account, g->service_account, strlen(g->service_account));
    int n = snprintf(out, size, "%s/%s:%s", path, kw_buf_str(&account), verb);
    bool fits = !account.bad && n > 0 && (size_t)n < size;
    kw_buf_free(&account);
    return fits ? 0 : kw_fail(err, KW_USAGE, "[google] service_account is too long");
}

/* An array of the words of a list, each behind prefix. */
static json_t *words(const char *list, const char *prefix)
{
    json_t *a = json_array();
    char word[512];
    for (const char *p = list; *p != '\0';) {
        size_t n = strcspn(p, " ");
        (void)snprintf(word, sizeof word, "%s%.*s", prefix, (int)n, p);
        (void)json_array_append_new(a, json_string(word));
        p += n + strspn(p + n, " ");
    }
    return a;
}

int kw_iam_body(const struct kw_m_google *g, struct kw_buf *b, struct kw_err *err)
{
    json_t *o = json_object();
    char lifetime[16];
    (void)snprintf(lifetime, sizeof lifetime, "%us", (unsigned)g->lifetime);
    if (g->id_audience[0] != '\0') {
        (void)json_object_set_new(o, "audience", json_string(g->id_audience));
        (void)json_object_set_new(o, "includeEmail", json_boolean(g->include_email != 0));
    } else {
        (void)json_object_set_new(o, "scope", words(g->scope, ""));
        (void)json_object_set_new(o, "lifetime", json_string(lifetime));
    }
    if (g->delegates[0] != '\0')
        (void)json_object_set_new(o, "delegates",
                                  words(g->delegates, "projects/-/serviceAccounts/"));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (text != NULL)
        kw_put_str(b, text);
    bool good = text != NULL && !b->bad;
    free(text);
    return good ? 0
                : kw_fail(err, KW_FAILED,
                          "exchange: the request for the account's token "
                          "could not be written");
}

static const char *iam_cure(unsigned status, const char *reason, const char *message)
{
    if (status == 403 && strcmp(reason, "SERVICE_DISABLED") == 0)
        return "enable the API iamcredentials.googleapis.com in the account's project";
    if (status == 403)
        return "grant roles/iam.workloadIdentityUser on the service account to this principal "
               "(roles/iam.serviceAccountTokenCreator for each delegate), or wait: a grant takes "
               "up to 5 minutes to spread; an account that does not exist looks like this too";
    if (status == 404)
        return "there is no such service account: check [google] service_account";
    if (strstr(message, "lifetime") != NULL)
        return "ask for at most 3600 s, or have the account listed in the org policy "
               "iam.allowServiceAccountCredentialLifetimeExtension; with a wrong clock 3300";
    return "check [google] service_account, scope and lifetime";
}

static int iam_refused(const struct kw_answer *a, const char *host, const struct kw_m_google *g,
                       struct kw_err *err)
{
    char message[400], status[64];
    const char *why = "";
    int r = redirected(a, host, err);
    if (r != 0)
        return r;
    json_t *j = kw_answer_json(a, &why);
    const json_t *e = json_object_get(j, "error");
    quote_member(e, "message", message, sizeof message);
    quote_member(e, "status", status, sizeof status);
    char reason[64];
    quote_member(json_array_get(json_object_get(e, "details"), 0), "reason", reason, sizeof reason);
    json_decref(j);
    if (a->status == 429 || a->status >= 500)
        return kw_fail(err, KW_NET, "impersonation: %s answered %u%s%s; try again later", host,
                       a->status, status[0] != '\0' ? " " : "", status);
    return kw_fail(err, KW_CLOUD, "impersonation of %s: %s answered %u %s: %s; %s",
                   g->service_account, host, a->status, status,
                   message[0] != '\0' ? message : "(no message)",
                   iam_cure(a->status, reason, message));
}

bool kw_rfc3339(const char *text, int64_t *ret)
{
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (p == NULL || strlen(text) > 40)
        return false;
    if (*p == '.') {
        size_t digits = strspn(p + 1, "0123456789");
        if (digits == 0)
            return false;
        p += 1 + digits;
    }
    *ret = (int64_t)timegm(&tm);
    return strcmp(p, "Z") == 0;
}

int kw_iam_answer(const struct kw_answer *a, const char *host, const struct kw_m_google *g,
                  struct kw_secret **ret_token, int64_t *ret_until, struct kw_err *err)
{
    bool id = g->id_audience[0] != '\0';
    *ret_token = NULL;
    *ret_until = 0;
    if (a->status != 200)
        return iam_refused(a, host, g, err);
    const char *why = NULL;
    json_t *j = kw_answer_json(a, &why);
    if (j == NULL)
        return kw_fail(err, KW_CLOUD, "impersonation: the answer of %s %s", host, why);
    const char *until = json_string_value(json_object_get(j, "expireTime"));
    int r = take_bearer(j, id ? "token" : "accessToken", host, ret_token, err);
    if (r == 0 && !id && (until == NULL || !kw_rfc3339(until, ret_until)))
        r = kw_fail(err, KW_CLOUD, "impersonation: the answer of %s has no good expireTime", host);
    if (r == 0 && id && !kw_compact_ok(kw_secret_bytes(*ret_token), kw_secret_len(*ret_token)))
        r = kw_fail(err, KW_CLOUD, "impersonation: the token that %s gave is no JWT", host);
    json_decref(j);
    if (r != 0)
        kw_secret_free(ret_token);
    return r;
}
