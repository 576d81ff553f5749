/* SPDX-License-Identifier: Apache-2.0
 *
 * What the identity domain demands of each kind of resource (the vendor's SCIM schemas, as
 * its SDK has them), and the further rules of users and groups.
 */
#include <string.h>

#include "lab.h"

static bool is_service_user(const json_t *o)
{
    return json_is_true(json_object_get(json_object_get(o, LAB_SCIM_USER), "serviceUser"));
}

/* A service user needs a userName only, and is one for ever or never. */
static bool user_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w)
{
    (void)l;
    const json_t *extension = json_object_get(new, LAB_SCIM_USER);
    const json_t *flag = json_object_get(extension, "serviceUser");
    if ((extension != NULL && !json_is_object(extension)) ||
        (flag != NULL && !json_is_boolean(flag)))
        return lab_scim_no(w, 400, "error.common.validation.invalidType",
                           "serviceUser must be true or false, below %s.", LAB_SCIM_USER);
    if (old != NULL && is_service_user(old) != is_service_user(new))
        return lab_scim_no(w, 400, "error.common.validation.immutableAttribute",
                           "Attribute serviceUser is immutable.");
    if (is_service_user(new) && json_object_get(new, "password") != NULL)
        return lab_scim_no(w, 400, "error.identity.user.serviceUser",
                           "A service user has no password.");
    if (!is_service_user(new) && (lab_text(json_object_get(new, "name"), "familyName")[0] == 0 ||
                                  json_array_size(json_object_get(new, "emails")) == 0))
        return lab_scim_no(w, 400, "error.common.validation.missingReqAttributes",
                           "Missing required attribute(s): name.familyName, emails");
    if (json_object_get(new, "active") == NULL)
        json_object_set_new(new, "active", json_true());
    return true;
}

/* Takes the memberships along. */
static bool user_removable(struct lab *l, const json_t *old, struct lab_scim_why *w)
{
    size_t g;
    json_t *group;
    (void)w;
    json_array_foreach(l->scim.all[LAB_GROUPS], g, group)
    {
        json_t *members = json_object_get(group, "members");
        for (size_t i = json_array_size(members); i > 0; i--)
            if (strcmp(lab_text(json_array_get(members, i - 1), "value"), lab_text(old, "id")) == 0)
                json_array_remove(members, i - 1);
    }
    return true;
}

static bool group_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w)
{
    json_t *members = json_object_get(new, "members"), *one;
    size_t i;
    (void)old;
    if (members != NULL && !json_is_array(members))
        return lab_scim_no(w, 400, "error.common.validation.invalidType",
                           "members must be an array.");
    json_array_foreach(members, i, one)
    {
        const json_t *user = lab_scim_find(l, LAB_USERS, lab_text(one, "value"), NULL);
        if (lab_text(one, "value")[0] == 0 || lab_text(one, "type")[0] == 0)
            return lab_scim_no(w, 400, "error.common.validation.missingReqAttributes",
                               "Missing required attribute(s): members.value, members.type");
        if (user == NULL || strcmp(lab_text(one, "value"), lab_text(user, "id")) != 0 ||
            strcmp(lab_text(one, "type"), "User") != 0)
            return lab_scim_no(w, 400, "error.common.validation.invalidReferenceResource",
                               "members.value %s is no user's id.", lab_text(one, "value"));
        json_object_set_new(one, "ocid", json_string(lab_text(user, "ocid")));
        json_object_set_new(one, "name", json_string(lab_text(user, "userName")));
    }
    return true;
}

const struct lab_scim_rules lab_scim_rules[LAB_SCIM_KINDS] = {
    [LAB_APPS] = {.path = "Apps",
                  .type = "App",
                  .schema = LAB_SCIM_URN "App",
                  .ocid = "domainapp",
                  .required = {"displayName", "basedOnTemplate"},
                  .unique = "displayName",
                  .immutable = {"basedOnTemplate", "name"},
                  .check = lab_app_check,
                  .removable = lab_app_removable},
    [LAB_APP_ROLES] = {.path = "AppRoles",
                       .type = "AppRole",
                       .schema = LAB_SCIM_URN "AppRole",
                       .ocid = "domainapprole",
                       .required = {"displayName", "app"}},
    [LAB_APP_GRANTS] = {.path = "Grants",
                        .type = "Grant",
                        .schema = LAB_SCIM_URN "Grant",
                        .ocid = "domaingrant",
                        .required = {"grantMechanism", "grantee"},
                        .immutable = {"grantMechanism", "grantee", "app", "entitlement"},
                        .check = lab_app_grant_check},
    [LAB_USERS] = {.path = "Users",
                   .type = "User",
                   .schema = LAB_SCIM_CORE "User",
                   .ocid = "user",
                   .required = {"userName"},
                   .unique = "userName",
                   .hidden = {"password"},
                   .check = user_check,
                   .removable = user_removable},
    [LAB_GROUPS] = {.path = "Groups",
                    .type = "Group",
                    .schema = LAB_SCIM_CORE "Group",
                    .ocid = "group",
                    .required = {"displayName"},
                    .unique = "displayName",
                    .hidden = {"members"},
                    .check = group_check},
    [LAB_PROPAGATION_TRUSTS] = {.path = "IdentityPropagationTrusts",
                                .type = "IdentityPropagationTrust",
                                .schema = LAB_SCIM_URN "IdentityPropagationTrust",
                                .ocid = "domainidentitypropagationtrust",
                                .required = {"name", "type", "issuer"},
                                .unique = "issuer",
                                .exact = true,
                                .immutable = {"name"},
                                .hidden = {"impersonationServiceUsers"},
                                .check = lab_trust_check},
    [LAB_CERTIFICATES] = {.path = "OAuthClientCertificates",
                          .type = "OAuthClientCertificate",
                          .schema = LAB_SCIM_URN "OAuthClientCertificate",
                          .ocid = "domainoauthclientcertificate",
                          .required = {"certificateAlias", "x509Base64Certificate"},
                          .unique = "certificateAlias",
                          .exact = true,
                          .immutable = {"certificateAlias", "x509Base64Certificate"},
                          .check = lab_certificate_check},
};
