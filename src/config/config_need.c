/* SPDX-License-Identifier: Apache-2.0
 *
 * What belongs together in a configuration, and what a command needs of it.
 */
#include <stdio.h>
#include <string.h>

#include "config_keys.h"
#include "src/wire/url.h"

/* Which keys a source takes and needs; one that has no effect is a misunderstanding. */
static int check_source(const struct kw_config *c, struct kw_err *err)
{
    static const struct {
        const char *key;
        size_t offset;
        const char *users; /* types that take it, between spaces; '!': that need it */
    } keys[] = {
        {"path", offsetof(struct kw_config, source_path), " file! kubernetes jenkins "},
        {"name", offsetof(struct kw_config, source_name), " env! gitlab jenkins hcp-terraform "},
        {"command", offsetof(struct kw_config, source_command), " command! "},
        {"url", offsetof(struct kw_config, source_url), " url! "},
        {"field", offsetof(struct kw_config, source_field), " url "},
        {"header.NAME", offsetof(struct kw_config, source_headers), " url "},
        {"bearer_source", offsetof(struct kw_config, source_bearer), " url "},
        {"client_id", offsetof(struct kw_config, source_client_id), " azure "},
    };
    bool is_auto = strcmp(c->source_type, "auto") == 0;
    unsigned given = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char takes[40], needs[40];
        (void)snprintf(takes, sizeof takes, " %s ", c->source_type);
        (void)snprintf(needs, sizeof needs, " %s! ", c->source_type);
        bool set = *((const char *)c + keys[i].offset) != '\0';
        bool needed = strstr(keys[i].users, needs) != NULL;
        given += set && i < 4;
        if (needed && !set)
            return kw_fail(err, KW_USAGE, "[source] type = %s needs %s", c->source_type,
                           keys[i].key);
        if (set && !is_auto && !needed && strstr(keys[i].users, takes) == NULL)
            return kw_fail(err, KW_USAGE, "[source] %s is not used by type = %s; remove one",
                           keys[i].key, c->source_type);
    }
    if (is_auto && given > 1)
        return kw_fail(err, KW_USAGE,
                       "[source] has several of path, name, command and url; keep one, or say "
                       "type =");
    return 0;
}

static const char *auth_name(const struct kw_config *c)
{
    static const char *const names[] = {"basic", "signature", "assertion"};
    return names[c->client_auth];
}

/* A key that has no effect is a misunderstanding, and this one is about a secret. */
static int check_oci_keys(const struct kw_config *c, struct kw_err *err)
{
    if (c->requested == KW_UPST && (c->res_type[0] != '\0' || c->rpst_exp != 0))
        return kw_fail(err, KW_USAGE, "[oci %s] res_type and rpst_exp need requested = rpst",
                       c->profile);
    if (c->client_auth != KW_AUTH_BASIC && c->client_secret_source[0] != '\0')
        return kw_fail(err, KW_USAGE,
                       "[oci %s] client_secret_source is not used by client_auth = %s; remove one",
                       c->profile, auth_name(c));
    if (c->client_auth == KW_AUTH_BASIC && c->client_key_set)
        return kw_fail(err, KW_USAGE,
                       "[oci %s] client_key is not used by client_auth = basic; say client_auth = "
                       "signature or assertion",
                       c->profile);
    return 0;
}

static int add_dial(struct kw_config *c, const char *host, size_t n, unsigned port,
                    struct kw_err *err)
{
    size_t at = strlen(c->dial), room = sizeof c->dial - at;
    bool v6 = memchr(host, ':', n) != NULL;
    int len = snprintf(c->dial + at, room, "%s%s%.*s%s:%u", at > 0 ? " " : "", v6 ? "[" : "",
                       (int)n, host, v6 ? "]" : "", port);
    return len > 0 && (size_t)len < room
               ? 0
               : kw_fail(err, KW_USAGE, "[policy %s] sign.host is too long to make dial of it",
                         c->profile);
}

static const char *find_variable(char *const *list, const char *name)
{
    size_t n = strlen(name);
    for (; list != NULL && *list != NULL; list++)
        if (strncmp(*list, name, n) == 0 && (*list)[n] == '=')
            return *list + n + 1;
    return NULL;
}

/* Without [policy] dial: the identity domain, Google's token services, the hosts that
 * requests are signed for, and where the subject token comes from. */
int kw_config_default_dial(struct kw_config *c, char *const *list, struct kw_err *err)
{
    struct kw_url u;
    int r = 0;
    if (c->dial[0] != '\0' && !c->dial_default)
        return 0;
    c->dial_default = true;
    c->dial[0] = '\0';
    if (c->cloud != KW_CLOUD_GOOGLE && c->domain_url[0] != '\0' &&
        kw_url_parse(c->domain_url, "domain_url", KW_USAGE, &u, err) == 0)
        r = add_dial(c, u.host, strlen(u.host), u.port, err);
    if (r == 0 && c->google_set && c->cloud != KW_CLOUD_OCI) {
        char host[KW_HOST];
        (void)snprintf(host, sizeof host, "sts.%s", c->universe);
        if (c->client_cert[0] != '\0')
            (void)snprintf(host, sizeof host, "sts.mtls.%s", c->universe);
        r = add_dial(c, host, strlen(host), 443, err);
        (void)snprintf(host, sizeof host, "iamcredentials.%s", c->universe);
        if (r == 0)
            r = add_dial(c, host, strlen(host), 443, err);
    }
    for (const char *p = c->sign_host; r == 0 && *p != '\0';) {
        size_t n = strcspn(p, " ");
        r = add_dial(c, p, n, 443, err);
        p += n + strspn(p + n, " ");
    }
    const char *type = c->source_type;
    const char *url = find_variable(list, "ACTIONS_ID_TOKEN_REQUEST_URL");
    bool github = strcmp(type, "github") == 0 || strcmp(type, "auto") == 0;
    /* A malformed URL is reported when it is to be used. */
    const char *own = strcmp(type, "azure") == 0 ? KW_AZURE_METADATA
                      : strcmp(type, "gce") == 0 ? KW_GCE_METADATA
                      : c->source_url[0] != '\0' ? c->source_url
                                                 : NULL;
    if (r == 0 && own != NULL && kw_url_parse_local(own, "", KW_USAGE, &u, NULL) == 0)
        r = add_dial(c, u.host, strlen(u.host), u.port, err);
    if (r == 0 && github && url != NULL && kw_url_parse(url, "", KW_USAGE, &u, NULL) == 0)
        r = add_dial(c, u.host, strlen(u.host), u.port, err);
    return r;
}

/* Without [policy] sign.host: all of the clouds that the profile has. */
static void default_hosts(struct kw_config *c)
{
    if (c->sign_host[0] != '\0')
        return;
    bool oci = c->oci_set || !c->google_set;
    (void)snprintf(c->sign_host, sizeof c->sign_host, "%s%s%s%s", oci ? "*.oraclecloud.com" : "",
                   oci && c->google_set ? " " : "", c->google_set ? "*." : "",
                   c->google_set ? c->universe : "");
}

/* Of a profile with both clouds: whose a host or pattern is says kw_config_cloud_of_host(). */
int kw_config_narrow(struct kw_config *c, char *const *environ_list, struct kw_err *err)
{
    char all[sizeof c->sign_host], word[sizeof c->sign_host];
    if (!c->oci_set || !c->google_set || c->cloud == KW_CLOUD_NONE)
        return 0;
    memcpy(all, c->sign_host, sizeof all);
    c->sign_host[0] = '\0';
    for (const char *p = all; *p != '\0';) {
        size_t n = strcspn(p, " "), at = strlen(c->sign_host);
        (void)snprintf(word, sizeof word, "%.*s", (int)n, p);
        if (kw_config_googles(c, word) == (c->cloud == KW_CLOUD_GOOGLE))
            (void)snprintf(c->sign_host + at, sizeof c->sign_host - at, "%s%s", at > 0 ? " " : "",
                           word);
        p += n + strspn(p + n, " ");
    }
    return kw_config_default_dial(c, environ_list, err);
}

int kw_config_complete(struct kw_config *c, char *const *environ_list, struct kw_err *err)
{
    int r = check_source(c, err);
    if (r == 0)
        r = check_oci_keys(c, err);
    if (r == 0)
        default_hosts(c);
    return r != 0 ? r : kw_config_default_dial(c, environ_list, err);
}

int kw_config_check_profile(const struct kw_config *c, struct kw_err *err)
{
    if (c->profile[0] != '\0')
        return 0;
    return kw_fail(err, KW_USAGE,
                   "%s has several profiles and none is named default; choose one with --profile "
                   "(there are: %s)",
                   c->path, c->profiles);
}

int kw_config_missing(const struct kw_config *c, const char *section, const char *key,
                      const char *why, struct kw_err *err)
{
    char variable[128] = "";
    (void)kw_key_variable(section, key, variable, sizeof variable);
    bool named = kw_section_named(section);
    return kw_fail(err, KW_USAGE, "%s: [%s%s%s] %s%s; set it there or as %s",
                   c->path[0] != '\0' ? c->path : "no configuration file was found", section,
                   named ? " " : "", named ? c->profile : "", key, why, variable);
}

int kw_config_check_oci(const struct kw_config *c, struct kw_err *err)
{
    int r = kw_config_check_profile(c, err);
    if (r != 0)
        return r;
    bool key = c->client_auth != KW_AUTH_BASIC;
    bool secret = c->client_secret != NULL || c->client_secret_source[0] != '\0';
    const struct {
        bool given;
        const char *section, *key;
    } needs[] = {
        {c->token_set, "token", "uri"},
        {c->domain_url[0] != '\0', "oci", "domain_url"},
        {c->client_auth == KW_AUTH_SIGNATURE || c->client_id[0] != '\0', "oci", "client_id"},
        {key || secret, "oci", "client_secret_source"},
        {!key || c->client_key_set, "oci", "client_key"},
        {c->client_auth != KW_AUTH_SIGNATURE || c->client_key_id[0] != '\0', "oci",
         "client_key_id"},
        {c->client_auth != KW_AUTH_ASSERTION || c->client_key_kid[0] != '\0', "oci",
         "client_key_kid"},
        {c->requested != KW_RPST || c->res_type[0] != '\0', "oci", "res_type"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (!needs[i].given)
            return kw_config_missing(
                c, needs[i].section, needs[i].key,
                i < 3 ? " is missing" : " is missing for this kind of exchange", err);
    return 0;
}
