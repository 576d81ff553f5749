/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wanted: options, then the scripts' setupConfig.ini, then the profile, then names
 * that follow from its name. All that can be wrong without a network is found here.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_oci.h"
#include "src/base/b64.h"
#include "src/base/io.h"
#include "src/base/pyini.h"

enum { TEXT_MOST = KW_OCI_TEXT, SKEW = 60, SKEW_MOST = 600, PROPAGATIONS = 3 };

const char *const kw_oci_options[] = {"from",
                                      "domain-url",
                                      "app",
                                      "client-auth",
                                      "client-secret",
                                      "certificate",
                                      "admin-app",
                                      "admin-key",
                                      "admin-key-id",
                                      "admin-profile",
                                      "service-user",
                                      "group",
                                      "statement",
                                      "policy",
                                      "compartment",
                                      "trust",
                                      "rule",
                                      "jwks-url",
                                      "audience",
                                      "rpst",
                                      "claim",
                                      "propagate",
                                      "clock-skew",
                                      "region",
                                      "adopt",
                                      "new-client-secret",
                                      "certificate-alias",
                                      NULL};

/* What would be taken for something else in JSON, a filter or a terminal. */
int kw_oci_check_text(const char *text, const char *what, struct kw_err *err)
{
    char copy[2048];
    (void)snprintf(copy, sizeof copy, "%s", text);
    kw_printable(copy);
    if (text[0] == '\0' || strcmp(copy, text) != 0)
        return kw_fail(err, KW_USAGE, "%s is empty, too long, or not printable", what);
    if (text[0] == ' ' || text[strlen(text) - 1] == ' ')
        return kw_fail(err, KW_USAGE, "%s begins or ends with a blank: '%.200s'", what, text);
    return 0;
}

/* An option, else a value of the file, else what is left. */
int kw_oci_take(struct kw_setup *s, const char *option, const char *section, const char *key,
                const char *fallback, const char **ret, struct kw_err *err)
{
    const char *v = kw_arg(s->args, option);
    const char *from = kw_pyini_get(kw_oci(s)->from, section, key, false);
    char what[64];
    (void)snprintf(what, sizeof what, "%s%s", v != NULL ? "--" : "", v != NULL ? option : key);
    if (v == NULL && from != NULL && from[0] != '\0')
        v = from;
    if (v == NULL)
        v = fallback;
    *ret = v;
    if (v != NULL && strlen(v) > TEXT_MOST)
        return kw_fail(err, KW_USAGE, "%s is longer than %d bytes", what, TEXT_MOST);
    return v != NULL ? kw_oci_check_text(v, what, err) : 0;
}

/* Its name: the profile's. What is made without one is called `default` in its keyward.ini. */
static void take_base(const struct kw_setup *s, struct kw_oci_setup *o)
{
    const char *profile = s->config->profile;
    bool none = profile[0] == '\0' || strcmp(profile, "default") == 0;
    (void)snprintf(o->base, sizeof o->base, "keyward%s%s", none ? "" : "-", none ? "" : profile);
}

/* What goes into a file as it is, where a blank, a quote or a comment's sign would be more than a
 * value. */
static int check_word(const char *text, const char *what, struct kw_err *err)
{
    for (const char *p = text; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || strchr("'\"\\;#", *p) != NULL)
            return kw_fail(err, KW_USAGE,
                           "%s is one word of visible ASCII, without quotes, backslashes, ';' and "
                           "'#'",
                           what);
    return text[0] != '\0' && strlen(text) <= TEXT_MOST
               ? 0
               : kw_fail(err, KW_USAGE, "%s is empty, or longer than %d bytes", what, TEXT_MOST);
}

/* --- the domain -------------------------------------------------------------------------- */

static int take_domain(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    static char domain[TEXT_MOST + 1];
    const char *given = NULL;
    int r =
        kw_oci_take(s, "domain-url", "IdentityDomain", "iam_guid",
                    s->config->domain_url[0] != '\0' ? s->config->domain_url : NULL, &given, err);
    if (r != 0)
        return r;
    if (given == NULL)
        return kw_fail(err, KW_USAGE, "which identity domain? Give --domain-url https://...");
    (void)snprintf(domain, sizeof domain, "%s", given);
    while (strlen(domain) > 8 && domain[strlen(domain) - 1] == '/')
        domain[strlen(domain) - 1] = '\0';
    o->domain = domain;
    r = kw_url_parse(domain, "the domain's URL", KW_USAGE, &o->url, err);
    if (r == 0 && strcmp(o->url.target, "/") != 0)
        r = kw_fail(err, KW_USAGE, "the domain's URL %s has a path: it is https://HOST only",
                    domain);
    return r;
}

/* A domain is idcs-ID.identity.REALM or, by a region of its own,
 * idcs-ID.REGION-idcs-1.identity.REGION.oci.REALM. */
static const char *behind_identity(const struct kw_oci_setup *o, size_t *region_n)
{
    static const char identity[] = ".identity.", oci[] = ".oci.";
    const char *mark = strstr(o->url.host, identity);
    const char *rest = mark != NULL ? mark + sizeof identity - 1 : NULL;
    const char *dot = rest != NULL ? strchr(rest, '.') : NULL;
    *region_n = dot != NULL && strncmp(dot, oci, sizeof oci - 1) == 0 ? (size_t)(dot - rest) : 0;
    return rest;
}

const char *kw_oci_realm(const struct kw_oci_setup *o)
{
    size_t n;
    const char *rest = behind_identity(o, &n);
    return rest == NULL ? "oraclecloud.com" : n > 0 ? rest + n + sizeof ".oci." - 1 : rest;
}

/* IAM is reached by region, in the realm that the domain is in. */
static int take_identity(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *region = kw_arg(s->args, "region");
    char own[64] = "";
    size_t n;
    const char *rest = behind_identity(o, &n);
    if (n > 0 && n < sizeof own)
        (void)snprintf(own, sizeof own, "%.*s", (int)n, rest);
    if (region == NULL)
        region = s->config->region[0] != '\0' ? s->config->region : o->admin.region;
    if (region[0] == '\0')
        region = own;
    if (region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
        return kw_fail(err, KW_USAGE, "%.60s is no name of a region", region);
    (void)snprintf(o->region, sizeof o->region, "%s", region);
    (void)snprintf(o->identity, sizeof o->identity, "https://identity.%s.oci.%s",
                   region[0] != '\0' ? region : "REGION", kw_oci_realm(o));
    return o->policy != NULL && region[0] == '\0' && !s->commands
               ? kw_fail(err, KW_USAGE, "a policy needs --region, or [oci] region")
               : 0;
}

/* --- the client -------------------------------------------------------------------------- */

/* Registered under its own digest's name, so that its successor gets another one. */
static int take_certificate(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *alias = kw_arg(s->args, "certificate-alias");
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    struct kw_buf pem, text;
    if (alias != NULL && check_word(alias, "--certificate-alias", err) != 0)
        return (int)err->code;
    if (o->cert_file == NULL)
        return kw_fail(err, KW_USAGE,
                       "client_auth = assertion needs --certificate FILE (PEM), of the key in the "
                       "token that signs the assertions");
    kw_buf_init(&pem, 64 * 1024);
    kw_buf_init(&text, 64 * 1024);
    int r = kw_read_file(o->cert_file, &pem, KW_USAGE, err);
    BIO *in = r == 0 ? BIO_new_mem_buf(kw_buf_str(&pem), (int)pem.len) : NULL;
    X509 *cert = in != NULL ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = cert != NULL ? X509_get0_pubkey(cert) : NULL;
    int len = cert != NULL ? i2d_X509(cert, &der) : -1;
    if (r == 0 && (len <= 0 || key == NULL || EVP_PKEY_is_a(key, "RSA") != 1 ||
                   X509_digest(cert, EVP_sha256(), digest, &n) != 1))
        r = kw_fail(err, KW_USAGE, "%s holds no certificate of an RSA key in PEM", o->cert_file);
    if (r == 0) {
        kw_hex(hex, digest, n);
        kw_b64_put(&text, der, (size_t)len);
        o->certificate = text.bad ? NULL : json_string(kw_buf_str(&text));
        if (o->certificate == NULL)
            r = kw_fail(err, KW_FAILED, "there is no memory for a certificate");
        else if ((size_t)snprintf(o->alias, sizeof o->alias, "%s%s%.8s",
                                  alias != NULL ? alias : o->base, alias != NULL ? "" : "-",
                                  alias != NULL ? "" : hex) >= sizeof o->alias)
            r = kw_fail(err, KW_USAGE, "--certificate-alias is too long");
    }
    OPENSSL_free(der);
    X509_free(cert);
    BIO_free(in);
    ERR_clear_error();
    kw_buf_free(&pem);
    kw_buf_free(&text);
    return r;
}

static int take_client(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    static const char *const words[] = {"basic", "signature", "assertion"};
    const char *auth = kw_arg(s->args, "client-auth");
    o->auth = s->config->client_auth;
    for (size_t i = 0; auth != NULL && i < 3; i++)
        if (strcmp(auth, words[i]) == 0) {
            o->auth = (enum kw_client_auth)i;
            auth = NULL;
        }
    if (auth != NULL)
        return kw_fail(err, KW_USAGE, "--client-auth is basic, assertion or signature");
    if (o->auth == KW_AUTH_SIGNATURE)
        return 0; /* nobody's secret: the request is signed, and the trust names no client */
    int r = kw_oci_take(s, "app", "WIFConfig", "token_exchange_app_name", o->base, &o->app, err);
    o->cert_file = kw_arg(s->args, "certificate");
    if (r == 0)
        r = o->auth == KW_AUTH_ASSERTION ? take_certificate(s, o, err)
                                         : kw_oci_place_take(s, o, err);
    return r == 0 ? kw_oci_place_apart(o, kw_arg(s->args, "output"), err) : r;
}

/* --- the trust's other fields ------------------------------------------------------------ */

static int take_lists(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *one;
    int pos = 0, r = 0;
    while (r == 0 && (one = kw_args_each(s->args, "claim", &pos)) != NULL) {
        const char *eq = strchr(one, '=');
        if (eq == NULL || eq == one || eq[1] == '\0')
            return kw_fail(err, KW_USAGE, "--claim is NAME=VALUE");
        r = kw_oci_check_text(one, "--claim", err);
        (void)json_array_append_new(o->validations, json_pack("{s:s%,s:s}", "name", one,
                                                              (size_t)(eq - one), "value", eq + 1));
    }
    pos = 0;
    while (r == 0 && (one = kw_args_each(s->args, "propagate", &pos)) != NULL) {
        r = kw_oci_check_text(one, "--propagate", err);
        (void)json_array_append_new(o->propagations, json_string(one));
    }
    pos = 0;
    while (r == 0 && (one = kw_args_each(s->args, "statement", &pos)) != NULL) {
        r = kw_oci_check_text(one, "--statement", err);
        (void)json_array_append_new(o->statements, json_string(one));
    }
    if (r == 0 && json_array_size(o->propagations) > PROPAGATIONS)
        r = kw_fail(err, KW_USAGE, "--propagate: a trust takes %d at most", PROPAGATIONS);
    if (r == 0 && json_array_size(o->propagations) > 0 && o->res_type == NULL)
        r = kw_fail(err, KW_USAGE, "--propagate is for resource principals: it needs --rpst");
    return r;
}

static int take_skew(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *text = kw_arg(s->args, "clock-skew");
    char *end = NULL;
    long n = text != NULL ? strtol(text, &end, 10) : SKEW;
    if (text != NULL && (*text < '0' || *text > '9' || *end != '\0' || n > SKEW_MOST))
        return kw_fail(err, KW_USAGE, "--clock-skew is 0 to %d seconds", SKEW_MOST);
    o->skew = (uint32_t)n;
    return 0;
}

static int take_policy(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    bool wanted = json_array_size(o->statements) > 0;
    int r = kw_oci_take(s, "policy", "", "", wanted ? o->base : NULL, &o->policy, err);
    if (r == 0 && !wanted && o->policy != NULL)
        r = kw_fail(err, KW_USAGE, "--policy needs --statement 'Allow group ... to ...'");
    const char *tenancy = s->config->tenancy[0] != '\0' ? s->config->tenancy : o->admin.tenancy;
    if (r == 0)
        r = kw_oci_take(s, "compartment", "", "", tenancy[0] != '\0' ? tenancy : NULL,
                        &o->compartment, err);
    if (r == 0 && o->policy != NULL && o->compartment == NULL && !s->commands)
        r = kw_fail(err, KW_USAGE, "a policy needs --compartment OCID (the tenancy's, or another)");
    return r;
}

/* It goes into the trust and into keyward.ini. '': any. */
static int take_audience(const struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *given = kw_arg(s->args, "audience");
    o->audience = given != NULL                           ? given
                  : s->config->audience[0] != '\0'        ? s->config->audience
                  : s->config->source_audience[0] != '\0' ? s->config->source_audience
                                                          : o->domain;
    return o->audience[0] != '\0' ? check_word(o->audience, "--audience", err) : 0;
}

int kw_oci_wish_revoke(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *given = kw_arg(s->args, "issuer-url");
    take_base(s, o);
    int r = take_domain(s, o, err);
    if (r == 0)
        r = kw_oci_admin(s, o, err);
    o->issuer = given != NULL ? given : s->config->issuer;
    if (r == 0 && o->issuer[0] == '\0')
        r = kw_fail(err, KW_USAGE,
                    "which trust? The profile has no [policy] issuer: give --issuer-url");
    if (r == 0)
        r = kw_oci_check_text(o->issuer, "the issuer", err);
    if (r == 0 && s->revoke) /* `doctor` has no such option */
        r = kw_oci_take(s, "app", "", "", NULL, &o->app, err);
    return r == 0 ? take_identity(s, o, err) : r;
}

int kw_oci_wish(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *from = kw_arg(s->args, "from");
    take_base(s, o);
    o->adopt = kw_arg(s->args, "adopt") != NULL;
    o->rotate = kw_arg(s->args, "new-client-secret") != NULL;
    o->res_type = kw_arg(s->args, "rpst");
    int r = from != NULL ? kw_pyini_read(from, true, &o->from, err) : 0;
    if (r == 0 && from != NULL &&
        (json_object_get(o->from, "IdentityDomain") == NULL ||
         json_object_get(o->from, "TrustConfiguration") == NULL))
        r = kw_fail(err, KW_USAGE,
                    "%s is no setupConfig.ini: it has no [IdentityDomain] and [TrustConfiguration]",
                    from);
    if (r == 0)
        r = take_domain(s, o, err);
    if (r == 0)
        r = kw_oci_admin(s, o, err);
    if (r == 0)
        r = take_client(s, o, err);
    if (r == 0 && o->rotate && (o->secret == NULL || s->destroy || s->commands))
        r = kw_fail(err, KW_USAGE,
                    "--new-client-secret is for making, of an application that has a secret");
    if (r == 0)
        r = kw_oci_take(s, "admin-app", "WIFConfig", "admin_app_name", NULL, &o->temp, err);
    if (r == 0)
        r = kw_oci_take(s, "service-user", "ServiceUserConfig", "user_name", o->base, &o->user,
                        err);
    if (r == 0)
        r = kw_oci_take(s, "group", "", "", NULL, &o->group, err);
    if (r == 0)
        r = kw_oci_take(s, "trust", "", "", o->base, &o->trust, err);
    if (r == 0)
        r = kw_oci_wish_issuer(s, o, err);
    if (r == 0)
        r = kw_oci_wish_rules(s, o, err);
    if (r == 0)
        r = take_skew(s, o, err);
    if (r == 0)
        r = take_lists(s, o, err);
    if (r == 0 && o->res_type != NULL)
        r = check_word(o->res_type, "--rpst", err);
    if (r == 0)
        r = take_policy(s, o, err);
    if (r == 0)
        r = take_identity(s, o, err);
    if (o->temp != NULL && o->app != NULL && strcmp(o->temp, o->app) == 0 && r == 0)
        r = kw_fail(err, KW_USAGE, "--app and --admin-app are two applications");
    return r == 0 ? take_audience(s, o, err) : r;
}
