/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of a set-up at OCI. Each is authorized by itself: main builds what is signed, the
 * key of the profile or the keeper signs it, and the exchanger is given the whole header, which
 * is good for this request and five minutes.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "setup_oci.h"
#include "src/base/b64.h"
#include "src/base/log.h"
#include "src/session/session_int.h"
#include "src/wire/hdr.h"
#include "src/wire/httpdate.h"
#include "src/wire/oci_sign.h"

/* What the administrator's calls are about: nothing else is signed or sent. */
#define PATHS "/admin/v1/* /oauth2/v1/token /20160918/policies*"

int kw_oci_open(struct kw_setup *s, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    struct kw_url identity;
    char hosts[2 * KW_HOST + 2];
    int r = kw_url_parse(o->identity, "IAM's URL", KW_USAGE, &identity, err);
    if (r != 0)
        return r;
    bool iam = o->policy != NULL || (s->destroy && kw_oci_sees_policies(o));
    (void)snprintf(hosts, sizeof hosts, "%s%s%s", o->url.authority, iam ? " " : "",
                   iam ? identity.authority : "");
    s->paths = PATHS;
    s->who = o->admin.who;
    return kw_setup_open(s, hosts, err);
}

/* --- signing ----------------------------------------------------------------------------- */

static int sign_here(const struct kw_oci_setup *o, const struct kw_m_sign *m, unsigned char *sig,
                     size_t *ret_n, struct kw_err *err)
{
    struct kw_buf text;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    kw_buf_init(&text, KW_LINES + KW_TARGET);
    int r = kw_oci_signing_string(m, &text, err);
    if (r == 0 && (ctx == NULL || EVP_PKEY_get_size(o->admin.key) > (int)*ret_n ||
                   EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, o->admin.key) != 1 ||
                   EVP_DigestSign(ctx, sig, ret_n, text.p, text.len) != 1))
        r = kw_fail(err, KW_FAILED, "the key of %s doesn't sign", o->admin.who);
    EVP_MD_CTX_free(ctx);
    kw_buf_free(&text);
    return r;
}

static int sign_in_keeper(struct kw_setup *s, const struct kw_m_sign *m, unsigned char *sig,
                          size_t *ret_n, struct kw_err *err)
{
    struct kw_in in;
    struct kw_m_signed answer;
    struct kw_child *keeper = &s->wire->crew.keeper;
    int64_t deadline = kw_deadline(s->wire->config);
    int r = kw_child_settle(keeper, KW_KM_SIGNED, deadline, err);
    if (r == 0)
        r = kw_child_send(keeper, KW_KM_SIGN, m, NULL, 0, err);
    if (r != 0)
        return r;
    r = kw_child_expect(keeper, KW_KM_SIGNED, &answer, &in, deadline, err);
    keeper->owes = r != 0 && kw_interrupted();
    if (r == 0 && answer.signature.len > *ret_n)
        r = kw_fail(err, KW_TOKEN, "the token's signature is too long");
    if (r == 0) {
        *ret_n = answer.signature.len;
        memcpy(sig, answer.signature.p, answer.signature.len);
    }
    kw_in_free(&in);
    return r;
}

/* What the signature covers and isn't among the headers yet; the length is set by who sends. */
static int add_sent(char *headers, size_t size, const char *send, struct kw_err *err)
{
    char name[128], value[1024];
    while (kw_hdr_next(&send, name, sizeof name, value, sizeof value) == 1)
        if (strcasecmp(name, "content-length") != 0 && !kw_hdr_add(headers, size, name, value))
            return kw_fail(err, KW_FAILED, "the request's headers are too long");
    return 0;
}

static int sha256(const char *text, size_t n, char *out, size_t size)
{
    unsigned char digest[32];
    unsigned len = 0;
    struct kw_buf b;
    kw_buf_init(&b, size);
    bool ok = EVP_Digest(text, n, digest, &len, EVP_sha256(), NULL) == 1;
    if (ok)
        kw_b64_put(&b, digest, len);
    ok = ok && !b.bad && b.len < size;
    (void)snprintf(out, size, "%s", ok ? kw_buf_str(&b) : "");
    kw_buf_free(&b);
    return ok ? 0 : -1;
}

static int sign(struct kw_setup *s, const struct kw_setup_request *q, const struct kw_url *url,
                const char *body, size_t n, char *headers, size_t size, struct kw_buf *out,
                struct kw_err *err)
{
    static struct kw_m_sign m; /* large */
    static char send[KW_LINES];
    unsigned char sig[512];
    size_t sig_n = sizeof sig;
    char hash[64];
    const struct kw_oci_setup *o = kw_oci(s);
    struct kw_oci_request r = {.method = q->method,
                               .host = url->authority,
                               .target = url->target,
                               .headers = headers,
                               .has_body = body != NULL,
                               .body_len = n,
                               .body_sha256 = hash,
                               .now = (int64_t)time(NULL)};
    if (sha256(body != NULL ? body : "", n, hash, sizeof hash) != 0)
        return kw_fail(err, KW_FAILED, "could not hash a request's body");
    m = (struct kw_m_sign){.key = KW_SIGN_CLIENT};
    (void)snprintf(m.method, sizeof m.method, "%s", q->method);
    (void)snprintf(m.host, sizeof m.host, "%s", url->authority);
    (void)snprintf(m.target, sizeof m.target, "%s", url->target);
    int rc = kw_oci_header_lines(&r, m.headers, sizeof m.headers, send, sizeof send, err);
    if (rc == 0)
        rc = add_sent(headers, size, send, err);
    if (rc == 0)
        rc = o->admin.kind == KW_ADMIN_TOKEN ? sign_in_keeper(s, &m, sig, &sig_n, err)
                                             : sign_here(o, &m, sig, &sig_n, err);
    if (rc == 0)
        kw_oci_authorization("", kw_secret_bytes(o->admin.key_id), m.headers, sig, sig_n, out);
    return rc;
}

/* --- authorizing ------------------------------------------------------------------------- */

static int authorize(struct kw_setup *s, const struct kw_setup_request *q, const char *body,
                     size_t n, char *headers, size_t size, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    const struct kw_secret *bearer = q->bearer != NULL                  ? q->bearer
                                     : o->admin.kind == KW_ADMIN_BEARER ? s->admin
                                                                        : NULL;
    struct kw_buf value;
    struct kw_url url;
    kw_buf_init(&value, KW_TOKEN_MAX - 16);
    int r = kw_url_parse(q->url, "the URL", KW_FAILED, &url, err);
    if (r == 0 && q->authorization != NULL)
        kw_put(&value, kw_secret_bytes(q->authorization), kw_secret_len(q->authorization));
    else if (r == 0 && bearer != NULL) {
        kw_put_str(&value, "Bearer ");
        kw_put(&value, kw_secret_bytes(bearer), kw_secret_len(bearer));
    } else if (r == 0)
        r = sign(s, q, &url, body, n, headers, size, &value, err);
    struct kw_m_session m = {.bearer = KW_BEARER_WHOLE};
    if (r == 0 && !value.bad)
        m.token = kw_secret_from(value.p, value.len);
    if (r == 0 && m.token == NULL)
        r = kw_fail(err, KW_FAILED, "no room for an Authorization header");
    if (r == 0)
        r = kw_child_send(&s->wire->crew.exchanger, KW_XM_SESSION, &m, NULL, 0, err);
    kw_secret_free(&m.token);
    kw_buf_free(&value);
    return r;
}

/* --- one call ---------------------------------------------------------------------------- */

/* By its answer; a second more or less is the way. */
static void see_clock(struct kw_oci_setup *o, const char *headers)
{
    char date[64];
    int64_t t;
    if (!kw_hdr_find(headers, "date", date, sizeof date) || !kw_httpdate_parse(date, &t))
        return;
    o->clock_seen = true;
    o->clock_off = t - (int64_t)time(NULL);
}

static int answered(const struct kw_oci_call *c, struct kw_setup_answer *a, json_t **ret,
                    struct kw_err *err)
{
    char id[128] = "";
    if (!kw_hdr_find(a->headers, "opc-request-id", id, sizeof id))
        (void)kw_hdr_find(a->headers, "x-oracle-dms-ecid", id, sizeof id);
    if (c->status != NULL)
        *c->status = a->status;
    if (a->status == 404 && c->gone != NULL)
        *c->gone = true;
    else if (a->status >= 400)
        return kw_scim_refused(a->status, a->body, id, c->what, err);
    if (ret != NULL) {
        *ret = a->status < 400 ? a->body : NULL;
        a->body = *ret != NULL ? NULL : a->body;
    }
    return 0;
}

int kw_oci_call(struct kw_setup *s, const struct kw_oci_call *c, json_t **ret, struct kw_err *err)
{
    static struct kw_setup_answer a; /* large */
    struct kw_oci_setup *o = kw_oci(s);
    char url[KW_TARGET], headers[256];
    bool reads = strcmp(c->method, "GET") == 0, whole = strncmp(c->target, "https://", 8) == 0;
    if (ret != NULL)
        *ret = NULL;
    if ((size_t)snprintf(url, sizeof url, "%s%s", whole ? "" : o->domain, c->target) >= sizeof url)
        return kw_fail(err, KW_FAILED, "%s: the request is too long", c->what);
    (void)snprintf(headers, sizeof headers, "accept: application/json\n%s%s%.100s%s",
                   c->body != NULL ? "content-type: application/json\n" : "",
                   c->match != NULL ? "if-match: " : "", c->match != NULL ? c->match : "",
                   c->match != NULL ? "\n" : "");
    struct kw_setup_request q = {.method = c->method,
                                 .url = url,
                                 .headers = headers,
                                 .body = c->body,
                                 .reads = reads,
                                 .authorize = authorize};
    if (o->admin.kind == KW_ADMIN_BEARER && whole)
        return kw_fail(err, KW_USAGE,
                       "%s: IAM takes no access token of the domain: it needs an API key "
                       "(--admin-profile or --admin-key)",
                       c->what);
    int r = whole || !c->temp ? 0 : kw_oci_temp_open(s, err); /* calls this one, but not so */
    q.bearer = whole || !c->temp ? NULL : o->temp_bearer;
    if (r == 0)
        r = kw_setup_call(s, &q, &a, err);
    if (r == 0)
        see_clock(o, a.headers);
    if (r == 0)
        r = answered(c, &a, ret, err);
    kw_setup_answer_free(&a);
    return r;
}

int kw_oci_find(struct kw_setup *s, const char *kind, const char *attribute, const char *value,
                const char *attributes, const char *what, json_t **ret, struct kw_err *err)
{
    json_t *one = NULL;
    json_t *list = NULL;
    char *target = kw_scim_query("", kind, attribute, value, attributes);
    *ret = NULL;
    if (target == NULL)
        return kw_fail(err, KW_FAILED, "%s: the name is too long, or there is no memory", what);
    const struct kw_oci_call c = {.method = "GET", .target = target, .what = what};
    const char *id;
    int r = kw_oci_call(s, &c, &list, err);
    if (r == 0)
        r = kw_scim_one(list, what, &one, err);
    if (r == 0 && one != NULL)
        r = kw_oci_id(one, "id", &id, err);
    if (r == 0 && one != NULL)
        *ret = json_incref(one);
    json_decref(list);
    free(target);
    return r;
}

int kw_oci_list(struct kw_setup *s, const char *target, const char *what, json_t **ret,
                struct kw_err *err)
{
    const struct kw_oci_call c = {.method = "GET", .target = target, .what = what};
    int r = kw_oci_call(s, &c, ret, err);
    if (r == 0)
        r = kw_scim_whole(*ret, what, err);
    if (r != 0) {
        json_decref(*ret);
        *ret = NULL;
    }
    return r;
}

/* A token of the domain's for an application: client credentials. */
int kw_oci_client_token(struct kw_setup *s, const char *client_id, struct kw_secret *secret,
                        const char *what, struct kw_secret **ret, bool *wrong, struct kw_err *err)
{
    static struct kw_setup_answer a; /* large */
    struct kw_m_exchange x = {.client_secret = secret};
    struct kw_buf basic;
    char url[1024];
    (void)snprintf(x.client_id, sizeof x.client_id, "%s", client_id);
    (void)snprintf(url, sizeof url, "%s" KW_EXCHANGE_TARGET, kw_oci(s)->domain);
    struct kw_setup_request q = {
        .method = "POST",
        .url = url,
        .headers = "accept: application/json\ncontent-type: application/x-www-form-urlencoded\n",
        .text = "grant_type=client_credentials&scope=urn%3Aopc%3Aidm%3A__myscopes__",
        .reads = true, /* it changes nothing there */
        .authorize = authorize};
    struct kw_secret *authorization = NULL;
    kw_buf_init(&basic, 4096);
    *ret = NULL;
    *wrong = false;
    int r = kw_oci_basic(&x, &basic, err);
    if (r == 0) {
        authorization = kw_secret_from(basic.p, basic.len);
        q.authorization = authorization;
        r = authorization != NULL ? kw_setup_call(s, &q, &a, err)
                                  : kw_fail(err, KW_FAILED, "no room for a client secret");
        const struct kw_oci_call c = {.what = what};
        *wrong = r == 0 && strcmp(kw_oci_text(a.body, "error"), "invalid_client") == 0;
        if (r == 0)
            r = answered(&c, &a, NULL, err);
        const char *token = json_string_value(json_object_get(a.body, "access_token"));
        if (r == 0 && (token == NULL || strlen(token) > KW_TOKEN_MAX / 2 ||
                       (*ret = kw_secret_from(token, strlen(token))) == NULL))
            r = kw_fail(err, KW_CLOUD, "%s: the answer holds none", what);
        kw_setup_answer_free(&a);
    }
    kw_secret_free(&authorization);
    kw_buf_free(&basic);
    return r;
}
