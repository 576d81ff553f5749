/* SPDX-License-Identifier: Apache-2.0
 *
 * `setup google`: what is wanted, by options and profile, as a row of steps; and the
 * configuration that goes with what comes of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"

#define TOKEN_VARIABLE "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"
#define LOWER          "abcdefghijklmnopqrstuvwxyz"
#define DIGITS         "0123456789"

static const char *const options[] = {
    "project",      "project-number", "pool",    "provider", "service-account",
    "grant",        "condition",      "mapping", "audience", "jwks-file",
    "trust-anchor", "intermediate",   NULL};

/* --- names ---------------------------------------------------------------------------------- */

static int id_good(const char *id, const char *option, struct kw_err *err)
{
    size_t n = strlen(id);
    return n >= 4 && n <= 32 && strspn(id, LOWER DIGITS "-") == n && id[0] != '-' &&
                   strncmp(id, "gcp-", 4) != 0
               ? 0
               : kw_fail(err, KW_USAGE,
                         "--%s is 4 to 32 of a-z, 0-9 and '-', and does not begin with '-' or gcp-",
                         option);
}

static bool number(const char *s)
{
    return s[0] != '\0' && strlen(s) < 24 && strspn(s, DIGITS) == strlen(s);
}

static bool project_good(const char *s)
{
    size_t n = strlen(s);
    return number(s) || (n >= 6 && n <= 30 && strchr(LOWER, s[0]) != NULL &&
                         strspn(s, LOWER DIGITS "-") == n && s[n - 1] != '-');
}

static int take(char *out, size_t size, const char *text, const char *option, struct kw_err *err)
{
    return text[0] != '\0' && (size_t)snprintf(out, size, "%s", text) < size
               ? 0
               : kw_fail(err, KW_USAGE, "--%s is empty or too long", option);
}

/* The provider by its full name (option or profile), or pool and provider by their ids. */
static int names(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    struct kw_google_provider p = {0};
    const char *pool = kw_arg(s->args, "pool"), *provider = kw_arg(s->args, "provider");
    const char *issuer = kw_arg(s->args, "issuer");
    const char *full = provider != NULL && strchr(provider, '/') != NULL ? provider
                       : s->config->provider[0] != '\0'                  ? s->config->provider
                                                                         : NULL;
    int r = full != NULL ? kw_google_provider(full, &p, err) : 0;
    if (r != 0)
        return r;
    if (full == provider)
        provider = NULL;
    (void)snprintf(g->number, sizeof g->number, "%s", p.number);
    if (pool == NULL)
        pool = p.pool[0] != '\0' ? p.pool : "keyward";
    if (provider == NULL)
        provider = p.provider[0] != '\0'                           ? p.provider
                   : issuer == NULL || strchr(issuer, ':') != NULL ? "issuer"
                                                                   : issuer;
    r = take(g->pool, sizeof g->pool, pool, "pool", err);
    if (r == 0)
        r = take(g->provider, sizeof g->provider, provider, "provider", err);
    if (r == 0)
        r = id_good(g->pool, "pool", err);
    return r != 0 ? r : id_good(g->provider, "provider", err);
}

/* By its id in the project, or its e-mail; of another project it can only be looked at. */
static int account(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    static const char domain[] = ".iam.gserviceaccount.com";
    const char *given = kw_arg(s->args, "service-account"), *project = kw_arg(s->args, "project");
    char mail[320] = "";
    if (given == NULL)
        given = s->config->service_account;
    if (given[0] == '\0')
        return 0;
    const char *at = strchr(given, '@');
    size_t n = at != NULL ? (size_t)(at - given) : strlen(given);
    bool id = n >= 6 && n <= 30 && strchr(LOWER, given[0]) != NULL &&
              strspn(given, LOWER DIGITS "-") >= n && given[n - 1] != '-';
    if (at == NULL && id && project != NULL && !number(project))
        (void)snprintf(mail, sizeof mail, "%.30s@%.64s%s", given, project, domain);
    else if (at == NULL)
        return kw_fail(err, KW_USAGE,
                       "--service-account is an e-mail, or with --project (by its id, not its "
                       "number) 6 to 30 of a-z, 0-9 and '-'");
    int r = kw_google_account(mail[0] != '\0' ? mail : given, "--service-account", g->account,
                              sizeof g->account, err);
    at = r == 0 ? strchr(g->account, '@') : NULL;
    const char *end = at != NULL ? strstr(at, domain) : NULL;
    if (end != NULL && end[sizeof domain - 1] == '\0' && end > at + 1) {
        char of[64];
        (void)snprintf(of, sizeof of, "%.*s", (int)(end - at - 1), at + 1);
        if (project == NULL && g->project[0] == '\0')
            (void)snprintf(g->project, sizeof g->project, "%s", of);
        if (id && (project == NULL || strcmp(project, of) == 0))
            (void)snprintf(g->account_id, sizeof g->account_id, "%.*s", (int)n, given);
    }
    return r;
}

static int project(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    const char *id = kw_arg(s->args, "project"), *n = kw_arg(s->args, "project-number");
    int r = account(s, g, err);
    if (r == 0 && id != NULL)
        r = take(g->project, sizeof g->project, id, "project", err);
    if (r == 0 && n != NULL && g->number[0] != '\0' && strcmp(n, g->number) != 0)
        r = kw_fail(err, KW_USAGE, "--project-number is not that of the provider, %s", g->number);
    if (r == 0 && n != NULL)
        r = number(n) ? take(g->number, sizeof g->number, n, "project-number", err)
                      : kw_fail(err, KW_USAGE, "--project-number is of digits");
    if (r == 0 && g->project[0] == '\0')
        (void)snprintf(g->project, sizeof g->project, "%s", g->number);
    if (r == 0 && number(g->project) && g->number[0] == '\0')
        (void)snprintf(g->number, sizeof g->number, "%.23s", g->project);
    if (r == 0 && !project_good(g->project))
        r = kw_fail(err, KW_USAGE, "which project? Give --project by its id or number");
    return r;
}

/* --- grants --------------------------------------------------------------------------------- */

static bool made_of(const char *text, const char *bytes)
{
    return text[0] != '\0' && strspn(text, bytes) == strlen(text);
}

/* Roles by which whoever has them can have more: others' identities, or rights that they grant
 * themselves. */
static void warn_of_power(struct kw_setup *s, const char *role, bool on_project)
{
    static const char all[] = "is the right to nearly everything",
                      grants[] = "lets the job grant itself, and others, any right on it",
                      acts[] = "lets the job act as every service account of the project",
                      keys[] = "lets the job make keys of service accounts, which stay valid when "
                               "it is over",
                      lets[] = "lets the job say who may get in",
                      runs[] = "lets the job run its own code as service accounts of the project";
    static const struct {
        const char *role, *why;
        bool of_project; /* on a bucket it is nothing much */
    } roles[] = {
        {"roles/owner", all, false},
        {"roles/editor", all, false},
        {"roles/admin", all, false},
        {"roles/writer", all, false},
        {"roles/iam.securityAdmin", grants, false},
        {"roles/resourcemanager.projectIamAdmin", grants, false},
        {"roles/resourcemanager.folderIamAdmin", grants, false},
        {"roles/resourcemanager.folderAdmin", grants, false},
        {"roles/resourcemanager.organizationAdmin", grants, false},
        {"roles/iam.roleAdmin", grants, false},
        {"roles/iam.organizationRoleAdmin", grants, false},
        {"roles/storage.admin", grants, false},
        {"roles/storage.legacyBucketOwner", grants, false},
        {"roles/iam.serviceAccountTokenCreator", acts, true},
        {"roles/iam.serviceAccountOpenIdTokenCreator", acts, true},
        {"roles/iam.workloadIdentityUser", acts, true},
        {"roles/iam.serviceAccountUser", acts, true},
        {"roles/iam.serviceAccountAdmin", acts, true},
        {"roles/iam.serviceAccountKeyAdmin", keys, true},
        {"roles/iam.workloadIdentityPoolAdmin", lets, true},
        {"roles/compute.admin", runs, true},
        {"roles/compute.instanceAdmin", runs, true},
        {"roles/compute.instanceAdmin.v1", runs, true},
        {"roles/cloudbuild.builds.editor", runs, true},
        {"roles/cloudfunctions.admin", runs, true},
        {"roles/run.admin", runs, true},
        {"roles/deploymentmanager.editor", runs, true},
    };
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i].role, role) == 0 && (on_project || !roles[i].of_project))
            kw_setup_warn(s, "%s %s: grant what the job needs", role, roles[i].why);
}

static int add_grant(struct kw_setup *s, struct kw_google *g, const char *text, struct kw_err *err)
{
    static const char role_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER DIGITS "._/-";
    char role[200], where[256];
    const char *equals = strchr(text, '=');
    if (equals == NULL ||
        (size_t)snprintf(role, sizeof role, "%.*s", (int)(equals - text), text) >= sizeof role ||
        (size_t)snprintf(where, sizeof where, "%s", equals + 1) >= sizeof where ||
        !made_of(role, role_bytes) || strchr(role, '/') == NULL)
        return kw_fail(err, KW_USAGE,
                       "--grant is ROLE=RESOURCE, as in roles/storage.objectViewer=gs://BUCKET or "
                       "roles/viewer=project");
    if (g->n_grants == KW_GOOGLE_GRANTS - 1)
        return kw_fail(err, KW_USAGE, "there are more than %d grants", KW_GOOGLE_GRANTS - 1);
    struct kw_google_grant *w = &g->grants[g->n_grants++];
    (void)snprintf(w->role, sizeof w->role, "%s", role);
    if (strcmp(where, "project") == 0)
        (void)snprintf(w->resource, sizeof w->resource, "project");
    else if (strncmp(where, "gs://", 5) == 0 && made_of(where + 5, LOWER DIGITS "-_."))
        (void)snprintf(w->resource, sizeof w->resource, "bucket %s", where + 5);
    else
        return kw_fail(err, KW_USAGE, "the RESOURCE of --grant is `project` or gs://BUCKET");
    warn_of_power(s, role, strcmp(where, "project") == 0);
    return 0;
}

static int grants(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    int pos = 0, r = 0;
    for (const char *v; r == 0 && (v = kw_args_each(s->args, "grant", &pos)) != NULL;)
        r = add_grant(s, g, v, err);
    if (r == 0 && !s->destroy && g->account[0] == '\0' && g->n_grants == 0)
        kw_setup_warn(s, "nothing is granted: whoever is let in may do nothing yet (--grant "
                         "ROLE=RESOURCE, or --service-account)");
    return r;
}

/* --- all of it ------------------------------------------------------------------------------ */

static int begin_names(struct kw_setup *s, struct kw_err *err)
{
    static struct kw_google google; /* large */
    google = (struct kw_google){0};
    s->own = &google;
    int r = names(s, &google, err);
    return r != 0 ? r : project(s, &google, err);
}

static int prepare(struct kw_setup *s, struct kw_err *err)
{
    int r = begin_names(s, err);
    struct kw_google *g = kw_google_of(s);
    /* The pool is where the provider says; the account may be of another project. */
    if (r == 0 && kw_arg(s->args, "project") == NULL && g->number[0] != '\0')
        memcpy(g->project, g->number, sizeof g->number);
    if (r == 0 && kw_arg(s->args, "pool") == NULL && s->config->provider[0] == '\0')
        r = kw_fail(err, KW_USAGE,
                    "which pool? Give --pool, or a profile with [google NAME] "
                    "provider");
    return r;
}

static int revoke(struct kw_setup *s, struct kw_err *err)
{
    int r = prepare(s, err);
    return r != 0 ? r : kw_google_revoke(s, err);
}

static int begin(struct kw_setup *s, struct kw_err *err)
{
    int r = begin_names(s, err);
    struct kw_google *g = kw_google_of(s);
    if (r == 0)
        r = grants(s, g, err);
    /* What is to go is known by its name: nobody needs to say again what it was. But who was
     * granted can't be looked up without a network. */
    bool said = kw_google_said(s);
    bool unseen = s->commands && (g->account[0] != '\0' || g->n_grants > 0);
    if (r == 0 && (!s->destroy || said || unseen))
        r = kw_google_want(s, g, err);
    if (r == 0 && !s->destroy && strcmp(g->preset.member, "*") == 0)
        kw_setup_warn(s,
                      "rights are granted to every identity of the pool, whichever provider lets "
                      "it in; name one by --repository-id or --subject");
    if (r == 0)
        r = kw_google_add_apis(s, err);
    if (r == 0)
        r = kw_google_add_pool(s, err);
    if (r == 0)
        r = kw_google_add_account(s, err);
    return r != 0 ? r : kw_google_add_grants(s, err);
}

/* The project's number is in the names of all that Service Usage tells of, and needs no other API
 * to be on. */
static int find_number(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    char url[600];
    enum kw_google_seen seen;
    json_t *o;
    kw_google_url(s, url, sizeof url, "serviceusage", "v1/projects/%s/services/iam.%s", g->project,
                  s->config->universe);
    int r = kw_google_read(s, "GET", url, NULL, &seen, &o, err);
    const char *name = json_string_value(json_object_get(o, "name"));
    size_t n = name != NULL && strncmp(name, "projects/", 9) == 0 ? strspn(name + 9, DIGITS) : 0;
    char found[24] = "";
    if (n > 0 && n < sizeof found && name[9 + n] == '/')
        (void)snprintf(found, sizeof found, "%.*s", (int)n, name + 9);
    json_decref(o);
    if (r != 0)
        return kw_err_wrap(err, "project %s", g->project);
    if (found[0] == '\0' && g->number[0] == '\0')
        return kw_fail(err, KW_CLOUD,
                       "Google did not say the number of project %s: give it by "
                       "--project-number",
                       g->project);
    if (found[0] != '\0' && g->number[0] != '\0' && strcmp(found, g->number) != 0)
        return kw_fail(err, KW_USAGE,
                       "project %s has the number %s, not %s: the provider's name or "
                       "--project-number is of another project",
                       g->project, found, g->number);
    if (found[0] != '\0')
        memcpy(g->number, found, sizeof found);
    return 0;
}

static int open(struct kw_setup *s, struct kw_err *err)
{
    static const char *const services[] = {"iam", "serviceusage", "cloudresourcemanager",
                                           "storage"};
    char hosts[sizeof s->config->universe * 5];
    size_t at = 0;
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        at += (size_t)snprintf(hosts + at, sizeof hosts - at, "%s%s.%s", i > 0 ? " " : "",
                               services[i], s->config->universe);
    int r = kw_setup_admin(s, TOKEN_VARIABLE, err);
    if (r == 0)
        r = kw_setup_open(s, hosts, err);
    kw_secret_free(&s->admin); /* the exchanger has it, who alone needs it */
    return r != 0 || s->revoke ? r : find_number(s, kw_google_of(s), err);
}

/* --- keyward.ini ---------------------------------------------------------------------------- */

/* A value that the file's reader would read otherwise is left out, and that is said. */
static void line(struct kw_buf *b, const char *key, const char *value)
{
    bool plain = value[0] != '\0' && strpbrk(value, ";#\n\r") == NULL && strlen(value) < 3500;
    if (plain)
        kw_put_fmt(b, "%s = %s\n", key, value);
    else
        kw_put_fmt(b, "; %s can't be written in this file; it is at Google\n", key);
}

/* Words in one line: with a space in it an audience would be two. */
static void put_audiences(const struct kw_google *g, struct kw_buf *b)
{
    struct kw_buf all;
    const json_t *one;
    size_t i;
    bool words = true;
    kw_buf_init(&all, 4096);
    json_array_foreach(g->audiences, i, one)
    {
        words = words && strpbrk(json_string_value(one), " \t") == NULL;
        kw_put_fmt(&all, "%s%s", i == 0 ? "" : " ", json_string_value(one));
    }
    if (i > 0)
        line(b, "allowed_audiences", words ? kw_buf_str(&all) : "");
    kw_buf_free(&all);
}

static void google_section(const struct kw_setup *s, const struct kw_google *g, struct kw_buf *b)
{
    const struct kw_config *c = s->config;
    const char *key;
    json_t *v;
    kw_put_fmt(b, "[google %s]\n", c->profile);
    kw_put_fmt(b, "provider = projects/%s/locations/global/workloadIdentityPools/%s/providers/%s\n",
               g->number, g->pool, g->provider);
    if (g->account[0] != '\0')
        line(b, "service_account", g->account);
    if (g->x509) {
        line(b, "client_cert", c->client_cert[0] != '\0' ? c->client_cert : "/path/to/chain.pem");
        if (c->tls_key_set && made_of(c->tls_key.object, LOWER DIGITS "-_."))
            kw_put_fmt(b, "client_key = pkcs11:object=%s\n", c->tls_key.object);
        else
            kw_put_str(b,
                       "; client_key = pkcs11:object=NAME, the certificate's key in the token\n");
    } else
        line(b, "issuer_uri", g->preset.issuer);
    json_object_foreach(g->preset.mapping, key, v)
    {
        char name[160];
        (void)snprintf(name, sizeof name, "attribute_mapping.%s", key);
        line(b, name, json_string_value(v));
    }
    if (g->preset.condition[0] != '\0')
        line(b, "attribute_condition", g->preset.condition);
    put_audiences(g, b);
    kw_put_str(b, "\n");
}

static void policy_section(const struct kw_setup *s, const struct kw_google *g, struct kw_buf *b)
{
    const char *key;
    json_t *v;
    bool bucket = false;
    kw_put_fmt(b, "[policy %s]\n", s->config->profile);
    if (!g->x509)
        line(b, "issuer", g->preset.issuer);
    json_object_foreach(g->preset.claims, key, v)
    {
        char name[160];
        (void)snprintf(name, sizeof name, "claim.%s", key);
        line(b, name, json_string_value(v));
    }
    for (size_t i = 0; i < g->n_grants; i++)
        bucket = bucket || strncmp(g->grants[i].resource, "bucket ", 7) == 0;
    if (bucket)
        kw_put_fmt(b, "sign.host = storage.%s\n", s->config->universe);
    else if (kw_arg(s->args, "issuer") == NULL && s->config->sign_host[0] != '\0')
        line(b, "sign.host", s->config->sign_host);
    else
        kw_put_fmt(b, "; name the services that the job needs:\n; sign.host = storage.%s\n",
                   s->config->universe);
}

/* Before the exchange that is tried next is refused, and nobody knows why. */
static void tell_of_grants(const struct kw_setup *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->steps[i].kind, "grant") == 0 && s->steps[i].done != NULL) {
            (void)fprintf(stderr, "keyward: what was granted takes up to 5 minutes to spread\n");
            return;
        }
}

static int ini(const struct kw_setup *s, struct kw_buf *b, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    tell_of_grants(s);
    const char *source = g->preset.source != NULL ? g->preset.source : "auto";
    kw_put_str(b, KW_SETUP_INI " google\n");
    if (!g->x509) {
        kw_put_fmt(b, "[source]\ntype = %s\n", source);
        if (json_array_size(g->audiences) > 0)
            line(b, "audience", json_string_value(json_array_get(g->audiences, 0)));
        kw_put_str(b, "\n");
    }
    if (g->x509 || strcmp(source, "token") == 0)
        kw_put_str(b, "; besides: [token] uri, and for `type = token` [issuer] as they were\n");
    google_section(s, g, b);
    policy_section(s, g, b);
    return b->bad ? kw_fail(err, KW_FAILED, "keyward.ini would be too long") : 0;
}

static void end(struct kw_setup *s)
{
    struct kw_google *g = kw_google_of(s);
    if (g == NULL)
        return;
    kw_preset_free(&g->preset);
    json_decref(g->provider_want);
    json_decref(g->audiences);
    s->own = NULL;
}

const struct kw_setup_cloud kw_setup_google = {.name = "google",
                                               .options = options,
                                               .begin = begin,
                                               .revoke = revoke,
                                               .commands = kw_google_command_begin,
                                               .commands_end = kw_google_command_end,
                                               .revoked = kw_google_revoked,
                                               .open = open,
                                               .ini = ini,
                                               .free = end,
                                               .prepare = prepare,
                                               .examine = kw_google_examine};
