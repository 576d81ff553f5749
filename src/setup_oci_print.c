/* SPDX-License-Identifier: Apache-2.0
 *
 * The same set-up for those who must run it elsewhere, as commands of the OCI command line; and
 * the keyward.ini that goes with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_oci.h"

/* --- commands ---------------------------------------------------------------------------- */

/* $NAME, in capitals: its length without the '$'; 0: it is none. */
static size_t variable_at(const char *p)
{
    static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return p[0] == '$' && p[1] >= 'A' && p[1] <= 'Z' ? strspn(p + 1, name) : 0;
}

/* A text in single quotes, but for the variables in it, which are in double ones. */
static void quote(struct kw_buf *b, const char *text)
{
    bool open = false;
    for (const char *p = text; *p != '\0';) {
        size_t n = variable_at(p);
        if (open == (n > 0)) {
            kw_put_str(b, "'");
            open = !open;
        }
        if (n > 0)
            kw_put_fmt(b, "\"%.*s\"", (int)n + 1, p);
        else if (*p == '\'')
            kw_put_str(b, "'\\''");
        else
            kw_put(b, p, 1);
        p += n > 0 ? n + 1 : 1;
    }
    kw_put_str(b, open ? "'" : text[0] == '\0' ? "''" : "");
}

/* variable, query: NULL for none. body is taken over. */
static void raw(struct kw_buf *b, const char *variable, const char *query, const char *method,
                const char *url, json_t *body)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    if (variable != NULL)
        kw_put_fmt(b, "%s=$(", variable);
    kw_put_fmt(b, "oci raw-request --http-method %s --target-uri ", method);
    quote(b, url);
    if (text != NULL) {
        kw_put_str(b, " --request-body ");
        quote(b, text);
    }
    if (query != NULL)
        kw_put_fmt(b, " --query %s --raw-output", query);
    kw_put_str(b, variable != NULL ? ")\n" : "\n");
    free(text);
    json_decref(body);
}

static void create(const struct kw_oci_setup *o, struct kw_buf *b, const char *variable,
                   const char *kind, json_t *want)
{
    char url[700];
    json_t *new = kw_scim_new(want);
    (void)json_object_set_new(new, "tags", kw_scim_tags(o->base));
    (void)snprintf(url, sizeof url, "%s/admin/v1/%s", o->domain, kind);
    raw(b, variable, variable != NULL ? "data.id" : NULL, "POST", url, new);
    json_decref(want);
}

/* $ID is the one of that name. */
static void find(const struct kw_oci_setup *o, struct kw_buf *b, const char *variable,
                 const char *kind, const char *attribute, const char *value)
{
    char *url = kw_scim_query(o->domain, kind, attribute, value, "id");
    if (url != NULL)
        raw(b, variable, "'data.Resources[0].id'", "GET", url, NULL);
    free(url);
}

static void drop(const struct kw_oci_setup *o, struct kw_buf *b, const char *kind,
                 const char *attribute, const char *value)
{
    char url[700];
    find(o, b, "ID", kind, attribute, value);
    if (strcmp(kind, "Apps") == 0) {
        (void)snprintf(url, sizeof url, "%s/admin/v1/AppStatusChanger/$ID", o->domain);
        raw(b, NULL, NULL, "PUT", url, kw_oci_status("$ID", false));
    }
    (void)snprintf(url, sizeof url, "%s/admin/v1/%s/$ID", o->domain, kind);
    raw(b, NULL, NULL, "DELETE", url, NULL);
}

static void app(const struct kw_oci_setup *o, struct kw_buf *b)
{
    char url[700];
    create(o, b, "APP", "Apps", kw_oci_want_app(o));
    (void)snprintf(url, sizeof url, "%s/admin/v1/Apps/$APP?attributes=name", o->domain);
    raw(b, "CLIENT_ID", "data.name", "GET", url, NULL);
    if (o->secret != NULL) {
        kw_put_str(b, "# its only sight: into a file that only its user can read\n(umask 077; ");
        (void)snprintf(url, sizeof url, "%s/admin/v1/AppClientSecretRegenerator", o->domain);
        raw(b, NULL, "data.clientSecret", "POST", url, kw_oci_new_secret("$APP"));
        b->len -= b->len > 0 && !b->bad ? 1 : 0;
        kw_put_str(b, " >client-secret)\n");
    }
    (void)snprintf(url, sizeof url, "%s/admin/v1/AppStatusChanger/$APP", o->domain);
    raw(b, NULL, NULL, "PUT", url, kw_oci_status("$APP", true));
}

static void member(const struct kw_oci_setup *o, const struct kw_setup_step *t, bool undo,
                   struct kw_buf *b)
{
    char url[700], text[32] = "";
    const char *user = json_string_value(json_array_get(o->users, (size_t)t->arg / 16));
    if (undo)
        return; /* goes with the user */
    find(o, b, "GROUP", "Groups", "displayName", o->group);
    (void)snprintf(url, sizeof url, "%s/admin/v1/Groups/$GROUP", o->domain);
    raw(b, NULL, NULL, "PATCH", url,
        kw_oci_member(kw_oci_user_id(o, user, text, sizeof text), true));
}

static void policy(const struct kw_oci_setup *o, bool undo, struct kw_buf *b)
{
    char *statements = json_dumps(o->statements, JSON_COMPACT), tags[160];
    const char *where = o->compartment != NULL ? o->compartment : "$TENANCY";
    if (o->compartment == NULL)
        kw_put_str(b, ": \"${TENANCY:?is to be set, to the OCID of the tenancy}\"\n");
    if (undo) {
        kw_put_str(b,
                   "oci iam policy delete --policy-id \"$(oci iam policy list --compartment-id ");
        quote(b, where);
        kw_put_str(b, " --name ");
        quote(b, o->policy);
        kw_put_str(b, " --query 'data[0].id' --raw-output)\"\n");
    } else {
        kw_put_str(b, "oci iam policy create --compartment-id ");
        quote(b, where);
        kw_put_str(b, " --name ");
        quote(b, o->policy);
        kw_put_str(b, " --description ");
        quote(b, KW_SETUP_MARK);
        kw_put_str(b, " --statements ");
        quote(b, statements != NULL ? statements : "");
        (void)snprintf(tags, sizeof tags, "{\"" KW_SCIM_TAG "\":\"%s\"}", o->base);
        kw_put_str(b, " --freeform-tags ");
        quote(b, tags);
        kw_put_str(b, "\n");
    }
    free(statements);
}

void kw_oci_commands(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                     struct kw_buf *b)
{
    const struct kw_oci_setup *o = kw_oci(s);
    char text[32] = "", title[600];
    kw_put_fmt(b, "# %s\n", kw_setup_title(t, title, sizeof title));
    switch (t->arg % 16) {
    case KW_OCI_CERTIFICATE:
        if (undo)
            drop(o, b, "OAuthClientCertificates", "certificateAlias", t->name);
        else
            create(o, b, NULL, "OAuthClientCertificates", kw_oci_want_certificate(o));
        break;
    case KW_OCI_APP:
        if (undo)
            drop(o, b, "Apps", "displayName", t->name);
        else
            app(o, b);
        break;
    case KW_OCI_USER:
        if (undo)
            drop(o, b, "Users", "userName", t->name);
        else
            create(o, b, kw_oci_user_id(o, t->name, text, sizeof text) + 1, "Users",
                   kw_oci_want_user(t->name));
        break;
    case KW_OCI_GROUP:
        if (undo)
            drop(o, b, "Groups", "displayName", t->name);
        else
            create(o, b, "GROUP", "Groups", kw_oci_want_group(o));
        break;
    case KW_OCI_MEMBER:
        member(o, t, undo, b);
        break;
    case KW_OCI_POLICY:
        policy(o, undo, b);
        break;
    case KW_OCI_TRUST:
        if (undo)
            drop(o, b, "IdentityPropagationTrusts", "issuer", t->name);
        else
            create(o, b, NULL, "IdentityPropagationTrusts", kw_oci_want_trust(o));
        break;
    default:
        break;
    }
}

void kw_oci_switch_command(const struct kw_oci_setup *o, const char *attribute, const char *name,
                           bool on, struct kw_buf *b)
{
    char url[700];
    bool is_app = strcmp(attribute, "issuer") != 0;
    find(o, b, "ID", is_app ? "Apps" : "IdentityPropagationTrusts", attribute, name);
    (void)snprintf(url, sizeof url, "%s/admin/v1/%s/$ID", o->domain,
                   is_app ? "AppStatusChanger" : "IdentityPropagationTrusts");
    raw(b, NULL, NULL, is_app ? "PUT" : "PATCH", url,
        is_app ? kw_oci_status("$ID", on)
               : kw_scim_patch(
                     json_pack("[{s:s,s:s,s:b}]", "op", "replace", "path", "active", "value", on)));
}

/* --- keyward.ini ------------------------------------------------------------------------- */

static void line(struct kw_buf *b, const char *key, const char *value)
{
    if (value[0] != '\0')
        kw_put_fmt(b, "%s = %s\n", key, value);
}

static void put_token(const struct kw_config *c, struct kw_buf *b)
{
    char uri[2048];
    kw_put_str(b, "[token]\n");
    if (c->token_set && kw_uri_print(&c->token_uri, uri, sizeof uri))
        kw_put_fmt(b, "uri = %s\n", uri);
    else
        kw_put_str(b, "; the session key is made there: which token, by which module?\n"
                      "; uri = pkcs11:token=NAME?module-path=/path/to/module.so\n");
    line(b, "pin_source", c->pin_source);
}

static void put_client(const struct kw_setup *s, const struct kw_oci_setup *o, struct kw_buf *b)
{
    char uri[512] = "pkcs11:object=NAME";
    const struct kw_config *c = s->config;
    bool key = c->client_key_set && !c->client_key_admin;
    if (key)
        (void)kw_uri_print(&c->client_key, uri, sizeof uri);
    if (o->auth != KW_AUTH_SIGNATURE)
        line(b, "client_id", o->client_id);
    if (o->auth == KW_AUTH_BASIC) {
        line(b, "client_secret_source", o->secret);
        return;
    }
    kw_put_fmt(b, "client_auth = %s\n", o->auth == KW_AUTH_SIGNATURE ? "signature" : "assertion");
    if (!key)
        kw_put_str(b, "; the key in the token that signs the exchange:\n");
    kw_put_fmt(b, "%sclient_key = %s\n", key ? "" : "; ", uri);
    if (o->auth == KW_AUTH_ASSERTION)
        line(b, "client_key_kid", o->alias);
    else if (c->client_key_id[0] != '\0')
        line(b, "client_key_id", c->client_key_id);
    else
        kw_put_str(b, "; client_key_id = TENANCY/USER/FINGERPRINT, as its user's API key\n");
}

static void put_policy(const struct kw_oci_setup *o, const char *profile, struct kw_buf *b)
{
    const char *name;
    json_t *v;
    kw_put_fmt(b, "\n[policy %s]\nissuer = %s\n", profile, o->issuer);
    json_object_foreach(o->preset.claims, name, v)
    {
        kw_put_fmt(b, "claim.%s = %s\n", name, json_string_value(v));
    }
    kw_put_fmt(b, "sign.host = *.%s\n", kw_oci_realm(o));
}

int kw_oci_ini(const struct kw_setup *s, struct kw_buf *b, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    const struct kw_config *c = s->config;
    const char *profile = c->profile[0] != '\0' ? c->profile : "default";
    put_token(c, b);
    kw_put_str(b, "\n[source]\n");
    line(b, "type", o->preset.source != NULL ? o->preset.source : "auto");
    if (strcmp(o->audience, o->domain) != 0)
        line(b, "audience", o->audience);
    kw_put_fmt(b, "\n[oci %s]\ndomain_url = %s\n", profile, o->domain);
    put_client(s, o, b);
    line(b, "region", o->region);
    line(b, "tenancy", c->tenancy[0] != '\0' ? c->tenancy : o->admin.tenancy);
    if (o->res_type != NULL)
        kw_put_fmt(b, "requested = rpst\nres_type = %s\n", o->res_type);
    put_policy(o, profile, b);
    if (c->ca_file[0] != '\0')
        kw_put_fmt(b, "\n[tls]\nca_file = %s\n", c->ca_file);
    if (c->resolve[0] != '\0' || c->proxy[0] != '\0')
        kw_put_str(b, "\n[dial]\n");
    line(b, "resolve", c->resolve);
    line(b, "proxy", c->proxy);
    return b->bad ? kw_fail(err, KW_FAILED, "the configuration is too long") : 0;
}
