/* SPDX-License-Identifier: Apache-2.0
 *
 * Which cloud a command is for, and what an exchange with Google needs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config_keys.h"
#include "policy/rules.h"
#include "src/wire/google_name.h"

int kw_config_choose_cloud(struct kw_config *c, const char *name, struct kw_err *err)
{
    int r = kw_config_check_profile(c, err);
    if (r != 0)
        return r;
    if (name == NULL && c->oci_set && c->google_set)
        return kw_fail(err, KW_USAGE,
                       "profile %s has both clouds; say which one with --cloud oci or --cloud "
                       "google",
                       c->profile);
    bool google = name != NULL ? strcmp(name, "google") == 0 : c->google_set;
    if (name != NULL && !google && strcmp(name, "oci") != 0)
        return kw_fail(err, KW_USAGE, "--cloud must be oci or google");
    if (google && !c->google_set)
        return kw_fail(err, KW_USAGE, "profile %s has no section [google %s]", c->profile,
                       c->profile);
    if (!google && !c->oci_set && c->google_set)
        return kw_fail(err, KW_USAGE, "profile %s has no section [oci %s]", c->profile, c->profile);
    c->cloud = google ? KW_CLOUD_GOOGLE : KW_CLOUD_OCI;
    return kw_config_narrow(c, environ, err);
}

int kw_config_cloud_named(struct kw_config *c, const char *name, struct kw_err *err)
{
    c->cloud = KW_CLOUD_NONE;
    if (name == NULL)
        return 0;
    c->cloud = strcmp(name, "google") == 0 ? KW_CLOUD_GOOGLE : KW_CLOUD_OCI;
    return c->cloud == KW_CLOUD_GOOGLE || strcmp(name, "oci") == 0
               ? 0
               : kw_fail(err, KW_USAGE, "--cloud must be oci or google");
}

bool kw_config_googles(const struct kw_config *c, const char *host)
{
    char services[sizeof c->universe + 2];
    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    (void)snprintf(services, sizeof services, "*.%s", c->universe);
    return strcmp(host, c->universe) == 0 || kw_host_in(services, host);
}

int kw_config_cloud_of_host(struct kw_config *c, const char *host, struct kw_err *err)
{
    if (!c->oci_set || !c->google_set)
        return kw_config_choose_cloud(c, NULL, err);
    return kw_config_choose_cloud(c, kw_config_googles(c, host) ? "google" : "oci", err);
}

void kw_config_audience(const struct kw_config *c, char *out, size_t size)
{
    struct kw_google_provider p;
    out[0] = '\0';
    if (c->source_audience[0] != '\0')
        (void)snprintf(out, size, "%s", c->source_audience);
    else if (c->cloud != KW_CLOUD_GOOGLE)
        (void)snprintf(out, size, "%s", c->domain_url);
    else if (kw_google_provider(c->provider, &p, NULL) == 0)
        kw_google_subject_audience(&p, out, size);
}

int kw_config_check_issuer(const struct kw_config *c, struct kw_err *err)
{
    const struct {
        bool given;
        const char *section, *key;
    } needs[] = {{c->token_set, "token", "uri"},
                 {c->issuer_key_set, "issuer", "key"},
                 {c->issuer_iss[0] != '\0', "issuer", "iss"}};
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (!needs[i].given)
            return kw_config_missing(c, needs[i].section, needs[i].key, " is missing", err);
    if (strncmp(c->issuer_iss, "https://", 8) != 0)
        return kw_fail(err, KW_USAGE, "[issuer] iss must begin with https://");
    return 0;
}

static int check_accounts(const struct kw_config *c, struct kw_err *err)
{
    char account[256], word[256];
    int r = 0;
    if (c->service_account[0] != '\0')
        r = kw_google_account(c->service_account, "[google] service_account", account,
                              sizeof account, err);
    for (const char *p = c->delegates; r == 0 && *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n >= sizeof word)
            return kw_fail(err, KW_USAGE, "one of [google %s] delegates is too long", c->profile);
        (void)snprintf(word, sizeof word, "%.*s", (int)n, p);
        r = kw_google_account(word, "each of [google] delegates", account, sizeof account, err);
        p += n + strspn(p + n, " ");
    }
    if (r == 0 && c->delegates[0] != '\0' && c->service_account[0] == '\0')
        r = kw_fail(err, KW_USAGE,
                    "[google %s] delegates lead to a service account; set service_account",
                    c->profile);
    return r;
}

/* X.509 federation: both keys, a token, and no rule that only a JWT could be held to. */
static int check_certificate(const struct kw_config *c, struct kw_err *err)
{
    if (c->client_cert[0] == '\0' && !c->tls_key_set)
        return 0;
    if (c->client_cert[0] == '\0')
        return kw_config_missing(c, "google", "client_cert", " is missing beside client_key", err);
    if (!c->tls_key_set)
        return kw_config_missing(c, "google", "client_key", " is missing beside client_cert", err);
    if (!c->token_set)
        return kw_config_missing(c, "token", "uri", " is missing for client_key", err);
    if (c->n_rules > 0 || c->issuer[0] != '\0' || c->audience[0] != '\0')
        return kw_fail(err, KW_USAGE,
                       "[policy %s] issuer, audience and claim rules judge JWTs, and with "
                       "client_cert there is none; remove them",
                       c->profile);
    return 0;
}

int kw_config_check_google(const struct kw_config *c, struct kw_err *err)
{
    struct kw_google_provider p;
    int r = kw_config_check_profile(c, err);
    if (r == 0 && c->provider[0] == '\0')
        r = kw_config_missing(c, "google", "provider", " is missing", err);
    if (r == 0)
        r = kw_google_provider(c->provider, &p, err);
    if (r == 0 && strpbrk(c->universe, " *") != NULL)
        r = kw_fail(err, KW_USAGE, "[google %s] universe is one domain", c->profile);
    if (r == 0)
        r = check_certificate(c, err);
    return r != 0 ? r : check_accounts(c, err);
}
