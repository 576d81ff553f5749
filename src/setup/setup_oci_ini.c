/* SPDX-License-Identifier: Apache-2.0
 *
 * The keyward.ini that goes with a set-up at OCI. */
#include <string.h>

#include "setup_oci.h"

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
    kw_put_str(b, KW_SETUP_INI " oci\n");
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
    return b->bad ? kw_fail(err, KW_FAILED, "the configuration is too long") : 0;
}
