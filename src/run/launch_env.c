/* SPDX-License-Identifier: Apache-2.0
 *
 * CMD's environment: the user's, without what carries credentials or leads clients elsewhere,
 * and with what leads each of them to the stand-ins (docs of the tools; each was tried). */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch_int.h"

enum { ADDED_MAX = 96 };

/* What CMD doesn't get, unless --keep-env names it. */
static const char *const removed[] = {
    /* keyward's own, and what leads to the PKCS#11 token */
    "KEYWARD_*", "SOFTHSM2_CONF", "P11_KIT_*", "TPM2_PKCS11_*", "CREDENTIALS_DIRECTORY",
    /* CI systems' tokens: with these, CMD could get what we got */
    "ACTIONS_ID_TOKEN_REQUEST_*", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_RUNTIME_URL", "CI_JOB_TOKEN",
    "CI_JOB_JWT*", "CI_REGISTRY_PASSWORD", "CI_DEPLOY_PASSWORD", "CIRCLE_OIDC_TOKEN*",
    "BITBUCKET_STEP_OIDC_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN", "TFC_WORKLOAD_IDENTITY_TOKEN*",
    /* clouds */
    "OCI_*", "TF_VAR_*tenancy*", "TF_VAR_*user_ocid*", "TF_VAR_*fingerprint*",
    "TF_VAR_*private_key*", "TF_HOME_OVERRIDE", "CLIENT_HOST_OVERRIDES", "custom_cert_location",
    "GOOGLE_*", "GCLOUD_*", "CLOUDSDK_*", "GCE_METADATA_*", "GOOGLE_EXTERNAL_ACCOUNT_*", "AWS_*",
    "AZURE_*", "ARM_*", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_*",
    /* whatever says of itself that it is a secret */
    "*_TOKEN", "TOKEN", "*SECRET*", "*PASSWORD*", "*_PASSWD", "*JWT*", "*OIDC*", "*_PAT",
    "*_APIKEY", "*_API_KEY", "*_CREDENTIALS", "*_PRIVATE_KEY", "*TOKEN_FILE",
    /* agents and services behind sockets */
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_*", "DOCKER_HOST", "DOCKER_CONFIG",
    "CONTAINER_HOST", "XDG_RUNTIME_DIR", "KUBECONFIG", "PULSE_SERVER",
    /* what would go round the proxy or the CA bundle, or run in front of CMD */
    "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "no_proxy",
    "NO_PROXY", "no_grpc_proxy", "grpc_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "PIP_CERT", "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "METADATA_SERVER_DETECTION", "NO_GCE_CHECK"};

struct list {
    char **env;
    size_t n, most;
    bool bad;
};

static bool named(const char *list, const char *name, size_t n)
{
    for (const char *p = list; *p != '\0';) {
        size_t len = strcspn(p, ",");
        if (len == n && strncmp(p, name, n) == 0)
            return true;
        p += len;
        p += *p == ',';
    }
    return false;
}

static bool stays(const struct kw_stage_set *s, const char *entry)
{
    char name[256];
    size_t n = strcspn(entry, "=");
    if (n == 0 || n >= sizeof name)
        return false;
    memcpy(name, entry, n);
    name[n] = '\0';
    /* What the subject token is in goes to nobody, whatever its name, and whoever asks. */
    const struct kw_config *c = s->want->config;
    if (c != NULL && strcmp(c->source_name, name) == 0)
        return false;
    if (named(s->want->keep_env, name, n))
        return true;
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++)
        if (fnmatch(removed[i], name, 0) == 0)
            return false;
    return true;
}

/* Takes out what is there by that name. */
static void drop(struct list *l, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < l->n; i++)
        if (strncmp(l->env[i], name, n) == 0 && l->env[i][n] == '=')
            l->env[i--] = l->env[--l->n];
}

static void set(struct list *l, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void set(struct list *l, const char *name, const char *fmt, ...)
{
    char value[6000], *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    drop(l, name);
    if (n < 0 || (size_t)n >= sizeof value || l->n == l->most ||
        asprintf(&text, "%s=%s", name, value) < 0) {
        l->bad = true;
        return;
    }
    l->env[l->n++] = text;
}

/* The way out, and whom to trust on it. All of them replace the system's roots, so all name the
 * bundle that has those and the run's. */
static void set_network(struct list *l, const struct kw_stage_set *s)
{
    static const char *const proxies[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
                                          "ALL_PROXY",  "all_proxy",  "grpc_proxy"};
    static const char *const bundles[] = {"SSL_CERT_FILE",
                                          "CURL_CA_BUNDLE",
                                          "REQUESTS_CA_BUNDLE",
                                          "NODE_EXTRA_CA_CERTS",
                                          "GIT_SSL_CAINFO",
                                          "PIP_CERT",
                                          "AWS_CA_BUNDLE",
                                          "HTTPLIB2_CA_CERTS",
                                          "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
                                          "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
                                          "CARGO_HTTP_CAINFO",
                                          "NIX_SSL_CERT_FILE"};
    for (size_t i = 0; i < sizeof proxies / sizeof proxies[0]; i++)
        set(l, proxies[i], "http://127.0.0.1:%u", s->port);
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++)
        set(l, bundles[i], "%s", s->bundle);
    set(l, "NO_PROXY", "127.0.0.1,localhost,169.254.169.254,metadata.google.internal");
    set(l, "no_proxy", "127.0.0.1,localhost,169.254.169.254,metadata.google.internal");
    set(l, "NODE_USE_ENV_PROXY", "1"); /* newer Node.js heeds the proxy by itself */
    const char *options = getenv("NODE_OPTIONS");
    set(l, "NODE_OPTIONS", "%s%s--require=%s", options != NULL ? options : "",
        options != NULL ? " " : "", s->node);
}

static void set_oci(struct list *l, const struct kw_stage_set *s)
{
    /* Resource principals: every SDK reads these, and none needs a file. */
    set(l, "OCI_RESOURCE_PRINCIPAL_VERSION", "2.2");
    set(l, "OCI_RESOURCE_PRINCIPAL_RPST", "%s", s->token_file);
    set(l, "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", "%s", s->key_file);
    set(l, "OCI_RESOURCE_PRINCIPAL_REGION", "%s", s->go.region);
    /* The command line tool: a session token with its key, by variables and by the file. */
    set(l, "OCI_CLI_AUTH", "security_token");
    set(l, "OCI_CLI_CONFIG_FILE", "%s", s->oci_config);
    set(l, "OCI_CLI_PROFILE", "DEFAULT");
    set(l, "OCI_CLI_CERT_BUNDLE", "%s", s->bundle);
    set(l, "OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING", "True");
    set(l, "OCI_CONFIG_FILE", "%s", s->oci_config);
    set(l, "OCI_CONFIG_PROFILE", "DEFAULT");
    set(l, "OCI_REGION", "%s", s->go.region);
    set(l, "OCI_DEFAULT_CERTS_PATH", "%s", s->bundle); /* the SDK for Go */
    /* Terraform's provider looks for ~/.oci below this, and by these. */
    set(l, "TF_HOME_OVERRIDE", "%s/home", s->dir);
    set(l, "TF_VAR_auth", "SecurityToken");
    set(l, "TF_VAR_config_file_profile", "DEFAULT");
    set(l, "TF_VAR_region", "%s", s->go.region);
    set(l, "TF_VAR_tenancy_ocid", "%s", s->go.tenancy);
    set(l, "custom_cert_location", "%s", s->bundle);
}

static void set_metadata(struct list *l)
{
    static const char *const names[] = {"GCE_METADATA_HOST", "GCE_METADATA_IP",
                                        "GCE_METADATA_ROOT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        set(l, names[i], "169.254.169.254");
    set(l, "METADATA_SERVER_DETECTION", "assume-present");
}

/* The metadata service, which every library knows and which renews what it gives; it is bound to
 * CMD's namespace. Without one it would give the stand-in to every process of the machine: then
 * only what takes a token as it is can be served. */
static void set_google(struct list *l, const struct kw_stage_set *s)
{
    if (s->isolated)
        set_metadata(l);
    else {
        set(l, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "%s", s->token_file);
        set(l, "GOOGLE_OAUTH_ACCESS_TOKEN", "%s", s->go.token);
    }
    set(l, "CLOUDSDK_CONFIG", "%s/gcloud", s->dir);
    set(l, "CLOUDSDK_CORE_DISABLE_PROMPTS", "1");
    set(l, "CLOUDSDK_CORE_CHECK_GCE_METADATA", "true");
    set(l, "CLOUDSDK_PROXY_TYPE", "http");
    set(l, "CLOUDSDK_PROXY_ADDRESS", "127.0.0.1");
    set(l, "CLOUDSDK_PROXY_PORT", "%u", s->port);
    if (s->go.email[0] != '\0')
        set(l, "CLOUDSDK_CORE_ACCOUNT", "%s", s->go.email);
    if (s->go.project[0] == '\0')
        return;
    set(l, "GOOGLE_CLOUD_PROJECT", "%s", s->go.project);
    set(l, "GCLOUD_PROJECT", "%s", s->go.project);
    set(l, "CLOUDSDK_CORE_PROJECT", "%s", s->go.project);
    set(l, "GOOGLE_PROJECT", "%s", s->go.project);
}

char **kw_launch_env(const struct kw_stage_set *s)
{
    struct list l = {.n = 0};
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    l.most = n + ADDED_MAX;
    l.env = calloc(l.most + 1, sizeof *l.env);
    if (l.env == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (stays(s, environ[i]))
            l.env[l.n++] = environ[i];
    set(&l, "HOME", "%s", s->home);
    set(&l, "XDG_RUNTIME_DIR", "%s/run", s->dir);
    set(&l, "KEYWARD_RUN", "1");
    if (!s->want->share_home) {
        drop(&l, "XDG_CONFIG_HOME");
        drop(&l, "XDG_DATA_HOME");
        drop(&l, "XDG_STATE_HOME");
        drop(&l, "XDG_CACHE_HOME");
    }
    set_network(&l, s);
    if (s->go.cloud == KW_CLOUD_GOOGLE)
        set_google(&l, s);
    else
        set_oci(&l, s);
    if (l.bad)
        return NULL;
    l.env[l.n] = NULL;
    return l.env;
}
