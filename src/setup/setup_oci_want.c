/* SPDX-License-Identifier: Apache-2.0
 *
 * What each thing of an OCI set-up is made of. Pure. */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"

#define TEMPLATE "CustomWebAppTemplateId" /* the vendor's, of a confidential application */

json_t *kw_oci_want_app(const struct kw_oci_setup *o)
{
    json_t *certificates =
        o->alias[0] != '\0' ? json_pack("[{s:s}]", "certAlias", o->alias) : json_null();
    return json_pack("{s:[s],s:s,s:s,s:{s:s},s:b,s:s,s:[s],s:o}", "schemas", KW_SCIM_URN "App",
                     "displayName", o->app, "description", KW_SETUP_MARK, "basedOnTemplate",
                     "value", TEMPLATE, "isOAuthClient", 1, "clientType", "confidential",
                     "allowedGrants", "client_credentials", "certificates", certificates);
}

json_t *kw_oci_want_certificate(const struct kw_oci_setup *o)
{
    return json_pack("{s:[s],s:s,s:O}", "schemas", KW_SCIM_URN "OAuthClientCertificate",
                     "certificateAlias", o->alias, "x509Base64Certificate", o->certificate);
}

json_t *kw_oci_want_user(const char *name)
{
    return json_pack("{s:[s,s],s:s,s:s,s:b,s:{s:b}}", "schemas", KW_SCIM_CORE "User", KW_SCIM_USER,
                     "userName", name, "description", KW_SETUP_MARK, "active", 1, KW_SCIM_USER,
                     "serviceUser", 1);
}

json_t *kw_oci_want_group(const struct kw_oci_setup *o)
{
    return json_pack("{s:[s],s:s}", "schemas", KW_SCIM_CORE "Group", "displayName", o->group);
}

json_t *kw_oci_want_policy(const struct kw_oci_setup *o)
{
    return json_pack("{s:s,s:s,s:s,s:O}", "compartmentId",
                     o->compartment != NULL ? o->compartment : "$TENANCY", "name", o->policy,
                     "description", KW_SETUP_MARK, "statements", o->statements);
}

const char *kw_oci_user_id(const struct kw_oci_setup *o, const char *name, char *text, size_t size)
{
    const char *id = json_string_value(json_object_get(o->ids, name));
    const json_t *one;
    size_t i;
    if (id != NULL)
        return id;
    json_array_foreach(o->users, i, one)
    {
        if (strcmp(json_string_value(one), name) == 0)
            (void)snprintf(text, size, "$USER_%zu", i + 1);
    }
    return text;
}

static json_t *impersonation(const struct kw_oci_setup *o)
{
    json_t *list = json_array(), *one;
    size_t i;
    char text[32] = "";
    json_array_foreach(o->rules, i, one)
    {
        const char *user = json_string_value(json_object_get(one, "user"));
        (void)json_array_append_new(list,
                                    json_pack("{s:O,s:s}", "rule", json_object_get(one, "rule"),
                                              "value", kw_oci_user_id(o, user, text, sizeof text)));
    }
    return list;
}

json_t *kw_oci_want_trust(const struct kw_oci_setup *o)
{
    json_t *t = json_pack(
        "{s:[s],s:s,s:s,s:s,s:s,s:b,s:b,s:s,s:I,s:o,s:o,s:O,s:O}", "schemas",
        KW_SCIM_URN "IdentityPropagationTrust", "name", o->trust, "description", KW_SETUP_MARK,
        "type", "JWT", "issuer", o->issuer, "active", 1, "allowImpersonation", 1, "subjectType",
        o->res_type != NULL ? "Resource" : "User", "clockSkewSeconds", (json_int_t)o->skew,
        "oauthClients",
        o->app == NULL ? json_null()
                       : json_pack("[s]", o->client_id[0] != '\0' ? o->client_id : "$CLIENT_ID"),
        "impersonationServiceUsers", impersonation(o), "claimValidations", o->validations,
        "claimPropagations", o->propagations);
    bool audience = o->audience != NULL && o->audience[0] != '\0';
    (void)json_object_set_new(t, "clientClaimName", audience ? json_string("aud") : json_null());
    (void)json_object_set_new(t, "clientClaimValues",
                              audience ? json_pack("[s]", o->audience) : json_null());
    (void)json_object_set_new(t, "publicKeyEndpoint",
                              o->jwks != NULL ? json_string(o->jwks) : json_null());
    (void)json_object_set(t, "publicCertificate", o->key_pem != NULL ? o->key_pem : json_null());
    (void)json_object_set_new(t, "impersonatingResource",
                              o->res_type != NULL ? json_string(o->res_type) : json_null());
    return t;
}

json_t *kw_oci_member(const char *user_id, bool add)
{
    char path[256];
    if (add)
        return kw_scim_patch(json_pack("[{s:s,s:s,s:[{s:s,s:s}]}]", "op", "add", "path", "members",
                                       "value", "value", user_id, "type", "User"));
    (void)snprintf(path, sizeof path, "members[value eq \"%.128s\"]", user_id);
    return kw_scim_patch(json_pack("[{s:s,s:s}]", "op", "remove", "path", path));
}

json_t *kw_oci_status(const char *app_id, bool active)
{
    return json_pack("{s:[s],s:b,s:s}", "schemas", KW_SCIM_URN "AppStatusChanger", "active",
                     active ? 1 : 0, "id", app_id);
}

json_t *kw_oci_new_secret(const char *app_id)
{
    return json_pack("{s:[s],s:s}", "schemas", KW_SCIM_URN "AppClientSecretRegenerator", "appId",
                     app_id);
}

json_t *kw_oci_temp_app(const char *name, const char *mark)
{
    const struct kw_oci_setup o = {.app = name};
    json_t *want = kw_oci_want_app(&o), *new = kw_scim_new(want);
    (void)json_object_set_new(new, "tags", kw_scim_tags(mark));
    json_decref(want);
    return new;
}

json_t *kw_oci_temp_grant(const char *app_id, const char *role_id)
{
    return json_pack("{s:[s],s:s,s:{s:s,s:s},s:{s:s},s:{s:s,s:s}}", "schemas", KW_SCIM_URN "Grant",
                     "grantMechanism", "ADMINISTRATOR_TO_APP", "grantee", "value", app_id, "type",
                     "App", "app", "value", "IDCSAppId", "entitlement", "attributeName", "appRoles",
                     "attributeValue", role_id);
}
