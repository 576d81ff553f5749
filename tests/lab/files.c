/* SPDX-License-Identifier: Apache-2.0
 *
 * The files in DIR that tell others how to use the lab. Each appears whole or not at
 * all; those with secrets have mode 0600.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"
#include "src/base/io.h"

static int write_file(const struct lab *l, const char *name, mode_t mode, const char *text,
                      struct kw_err *err)
{
    char path[4096];
    struct kw_atomic a;
    snprintf(path, sizeof path, "%s/%s", l->opt.dir, name);
    int rc = kw_atomic_open(&a, path, mode, err);
    if (rc != 0)
        return rc;
    if (kw_write_all(a.fd, text, strlen(text)) != 0) {
        kw_fail_errno(err, KW_FAILED, "writing %s", path);
        kw_atomic_abort(&a);
        return (int)err->code;
    }
    return kw_atomic_commit(&a, err);
}

/* NAME='VALUE' for a shell; no value of ours has a quote, DIR is checked for it. */
static void env(struct kw_buf *b, const char *name, const char *value)
{
    kw_put_fmt(b, "LAB_%s='%s'\n", name, value);
}

static void env_path(struct kw_buf *b, const struct lab *l, const char *name, const char *file)
{
    kw_put_fmt(b, "LAB_%s='%s/%s'\n", name, l->opt.dir, file);
}

/* keyward's [dial] resolve: every host that we play, to the good door. */
static void put_resolve(struct kw_buf *b, const struct lab *l)
{
    for (size_t i = 0; i < l->n_site; i++)
        if (l->site[i].service != &lab_control && l->site[i].under == NULL)
            kw_put_fmt(
                b, "%s%s:%u:127.0.0.1:%u", i > 0 ? " " : "", l->site[i].host,
                l->site[i].service == &lab_metadata ? 80u : 443u,
                l->port[l->site[i].service == &lab_metadata ? LAB_DOOR_PLAIN : LAB_DOOR_GOOD]);
}

static void put_env(struct kw_buf *b, const struct lab *l)
{
    static const char *const doors[] = {
        "PORT", "PORT_TLS11", "PORT_EXPIRED", "PORT_WRONG_HOST", "PORT_UNKNOWN_CA", "PORT_PLAIN"};
    kw_put_fmt(b, "LAB_PID='%ld'\nLAB_DIR='%s'\n", (long)getpid(), l->opt.dir);
    for (int door = 0; door < LAB_DOORS; door++)
        kw_put_fmt(b, "LAB_%s='%u'\n", doors[door], l->port[door]);
    env_path(b, l, "CA_FILE", "ca.pem");
    env_path(b, l, "KEYWARD_INI", "keyward.ini");
    kw_put_str(b, "LAB_RESOLVE='");
    put_resolve(b, l);
    kw_put_fmt(b, "'\nLAB_CONNECT_TO='::127.0.0.1:%u'\n", l->port[LAB_DOOR_GOOD]);
    kw_put_fmt(b, "LAB_CONTROL_URL='https://127.0.0.1:%u/lab'\n", l->port[LAB_DOOR_GOOD]);
    env_path(b, l, "CONTROL_CURL", "control.curl");
    env_path(b, l, "CONTROL_TOKEN_FILE", "control-token");
    env(b, "ISSUER", l->opt.issuer);
    kw_put_fmt(b, "LAB_REQUEST_URL='%s/token-request?api-version=2.0'\n", l->opt.issuer);
    env_path(b, l, "REQUEST_TOKEN_FILE", "request-token");
    env(b, "AUDIENCE", l->opt.audience[0]);
    env(b, "DOMAIN_URL", l->domain_url);
    env(b, "CLIENT_ID", l->opt.client_id);
    env_path(b, l, "CLIENT_SECRET_FILE", "client-secret");
    env(b, "RES_TYPE", l->opt.res_type);
    env(b, "REGION", l->opt.region);
    env(b, "TENANCY", l->opt.tenancy);
    env(b, "COMPARTMENT", lab_compartment);
    env(b, "NAMESPACE", l->ns);
    env(b, "BUCKET", l->bucket);
    env(b, "GOOGLE_PROVIDER", LAB_G_PROVIDER);
    env(b, "GOOGLE_PROJECT", LAB_G_PROJECT);
    env(b, "GOOGLE_NUMBER", LAB_G_NUMBER);
    env_path(b, l, "GOOGLE_ADMIN_TOKEN_FILE", "google-admin-token");
    env(b, "GOOGLE_ACCOUNT", LAB_G_ACCOUNT("deployer"));
    kw_put_fmt(b, "LAB_COMPUTE_URL='https://compute.%s'\n", l->opt.universe);
    kw_put_fmt(b, "LAB_STORAGE_URL='https://storage.%s'\n", l->opt.universe);
    kw_put_fmt(b, "LAB_OBJECTS_URL='https://objectstorage.%s.oraclecloud.com'\n", l->opt.region);
    kw_put_fmt(b, "LAB_IDENTITY_URL='https://identity.%s.oci.oraclecloud.com'\n", l->opt.region);
    kw_put_fmt(b, "LAB_CORE_URL='https://iaas.%s.oraclecloud.com'\n", l->opt.region);
}

static void put_ini(struct kw_buf *b, const struct lab *l)
{
    kw_put_str(b, "; Made by keyward-lab, for rehearsal. Add a [token] section:\n"
                  "; [token]\n; uri = pkcs11:token=...?module-path=...&pin-source=file:...\n\n");
    kw_put_fmt(b, "[source]\ntype = github\naudience = %s\n\n", l->opt.audience[0]);
    kw_put_fmt(b, "[oci lab]\ndomain_url = %s\nclient_id = %s\n", l->domain_url, l->opt.client_id);
    kw_put_fmt(b, "client_secret_source = file:%s/client-secret\n", l->opt.dir);
    kw_put_fmt(b, "region = %s\ntenancy = %s\n\n", l->opt.region, l->opt.tenancy);
    /* For [google lab], beside or instead of [oci lab]; `audience` above is OCI's. */
    kw_put_fmt(b, "; [google lab]\n; provider = " LAB_G_PROVIDER
                  "\n; service_account = " LAB_G_ACCOUNT("deployer") "\n\n");
    kw_put_fmt(b, "[policy lab]\nissuer = %s\nclaim.repository_id = 592302719\n", l->opt.issuer);
    kw_put_fmt(b, "dial = %s:443 *.oraclecloud.com:443\n\n", l->site[0].host);
    kw_put_fmt(b, "[tls]\nca_file = %s/ca.pem\n\n[dial]\nresolve = ", l->opt.dir);
    put_resolve(b, l);
    kw_put_str(b, "\n");
}

static int write_buf(const struct lab *l, const char *name, mode_t mode, struct kw_buf *b,
                     struct kw_err *err)
{
    int rc = b->bad ? kw_fail(err, KW_FAILED, "%s: out of memory", name)
                    : write_file(l, name, mode, kw_buf_str(b), err);
    kw_buf_free(b);
    return rc;
}

int lab_files_write(const struct lab *l, struct kw_err *err)
{
    struct kw_buf b;
    int rc = write_file(l, "client-secret", 0600, l->client_secret, err);
    if (rc == 0)
        rc = write_file(l, "request-token", 0600, l->request_token, err);
    if (rc == 0)
        rc = write_file(l, "control-token", 0600, l->control_token, err);
    if (rc == 0)
        rc = write_file(l, "google-admin-token", 0600, l->gadmin.token, err);
    kw_buf_init(&b, 65536);
    kw_put_fmt(&b, "cacert = \"%s/ca.pem\"\nheader = \"Authorization: Bearer %s\"\n", l->opt.dir,
               l->control_token);
    kw_put_str(&b, "fail-with-body\nsilent\nshow-error\nnoproxy = \"*\"\n");
    if (rc == 0)
        rc = write_buf(l, "control.curl", 0600, &b, err);
    kw_buf_free(&b);
    kw_buf_init(&b, 65536);
    put_ini(&b, l);
    if (rc == 0)
        rc = write_buf(l, "keyward.ini", 0600, &b, err);
    kw_buf_free(&b);
    kw_buf_init(&b, 65536);
    put_env(&b, l);
    if (rc == 0)
        rc = write_buf(l, "lab.env", 0600, &b, err);
    kw_buf_free(&b);
    return rc;
}
