/* SPDX-License-Identifier: Apache-2.0
 *
 * What things of an OCI set-up are made of, byte by byte as the vendor's scripts and SDKs have
 * them, and how rules are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/setup/setup_oci.h"

const struct kw_command *const kw_commands[] = {NULL}; /* main.c's */

static struct kw_err err;
static struct kw_oci_setup o;

static int set_up(void **state)
{
    (void)state;
    o = (struct kw_oci_setup){.app = "App",
                              .user = "ci",
                              .trust = "T",
                              .issuer = "https://i.example",
                              .jwks = "https://i.example/jwks",
                              .audience = "https://d.example",
                              .group = "G",
                              .policy = "P",
                              .compartment = "ocid1.tenancy",
                              .skew = 60};
    o.users = json_array();
    o.rules = json_array();
    o.statements = json_pack("[s]", "Allow group G to read buckets in tenancy");
    o.validations = json_array();
    o.propagations = json_array();
    o.ids = json_object();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(o.users);
    json_decref(o.rules);
    json_decref(o.statements);
    json_decref(o.validations);
    json_decref(o.propagations);
    json_decref(o.ids);
    json_decref(o.certificate);
    return 0;
}

/* As it is sent: nothing in it that is wanted to be absent. */
static void sent(json_t *want, const char *text)
{
    assert_non_null(want);
    json_t *new = kw_scim_new(want), *expected = json_loads(text, 0, NULL);
    char *got = json_dumps(new, JSON_COMPACT);
    if (expected == NULL || !json_equal(new, expected))
        fail_msg("%s\nis not\n%s", got, text);
    free(got);
    json_decref(expected);
    json_decref(new);
    json_decref(want);
}

#define URN "urn:ietf:params:scim:schemas:oracle:idcs:"

static void application(void **state)
{
    (void)state;
    static const char app[] =
        "{\"schemas\":[\"" URN "App\"],\"displayName\":\"App\",\"description\":\"Made by keyward "
        "setup\",\"basedOnTemplate\":{\"value\":\"CustomWebAppTemplateId\"},\"isOAuthClient\":true,"
        "\"clientType\":\"confidential\",\"allowedGrants\":[\"client_credentials\"]%s}";
    char text[1024];
    (void)snprintf(text, sizeof text, app, "");
    sent(kw_oci_want_app(&o), text);
    (void)snprintf(o.alias, sizeof o.alias, "alias");
    (void)snprintf(text, sizeof text, app, ",\"certificates\":[{\"certAlias\":\"alias\"}]");
    sent(kw_oci_want_app(&o), text);
    o.certificate = json_string("MIIB");
    sent(kw_oci_want_certificate(&o),
         "{\"schemas\":[\"" URN "OAuthClientCertificate\"],\"certificateAlias\":\"alias\","
         "\"x509Base64Certificate\":\"MIIB\"}");
    sent(kw_oci_status("ID", true),
         "{\"schemas\":[\"" URN "AppStatusChanger\"],\"active\":true,\"id\":\"ID\"}");
    sent(kw_oci_new_secret("ID"),
         "{\"schemas\":[\"" URN "AppClientSecretRegenerator\"],\"appId\":\"ID\"}");
    sent(kw_oci_temp_grant("APP", "ROLE"),
         "{\"schemas\":[\"" URN "Grant\"],\"grantMechanism\":\"ADMINISTRATOR_TO_APP\",\"grantee\":{"
         "\"value\":\"APP\",\"type\":\"App\"},\"app\":{\"value\":\"IDCSAppId\"},\"entitlement\":{"
         "\"attributeName\":\"appRoles\",\"attributeValue\":\"ROLE\"}}");
}

static void people(void **state)
{
    (void)state;
    sent(kw_oci_want_user("ci"),
         "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\",\"" URN
         "extension:user:User\"],\"userName\":\"ci\",\"description\":\"Made by keyward setup\","
         "\"active\":true,\"" URN "extension:user:User\":{\"serviceUser\":true}}");
    sent(kw_oci_want_group(&o),
         "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:Group\"],\"displayName\":\"G\"}");
    sent(kw_oci_member("ID", true),
         "{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:PatchOp\"],\"Operations\":[{\"op\":"
         "\"add\",\"path\":\"members\",\"value\":[{\"value\":\"ID\",\"type\":\"User\"}]}]}");
    sent(kw_oci_member("ID", false),
         "{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:PatchOp\"],\"Operations\":[{\"op\":"
         "\"remove\",\"path\":\"members[value eq \\\"ID\\\"]\"}]}");
    sent(kw_oci_want_policy(&o),
         "{\"compartmentId\":\"ocid1.tenancy\",\"name\":\"P\",\"description\":\"Made by keyward "
         "setup\",\"statements\":[\"Allow group G to read buckets in tenancy\"]}");
}

#define TRUST                                                                                      \
    "{\"schemas\":[\"" URN "IdentityPropagationTrust\"],\"name\":\"T\",\"description\":\"Made by " \
    "keyward setup\",\"type\":\"JWT\",\"issuer\":\"https://i.example\",\"active\":true,"           \
    "\"allowImpersonation\":true,\"clockSkewSeconds\":60,\"publicKeyEndpoint\":"                   \
    "\"https://i.example/jwks\","

static void trust(void **state)
{
    (void)state;
    assert_int_equal(kw_oci_wish_rule(&o, "sub eq repo:o/r:*", &err), 0);
    assert_int_equal(kw_oci_wish_rule(&o, "groups co x -> other", &err), 0);
    sent(kw_oci_want_trust(&o),
         TRUST "\"subjectType\":\"User\",\"clientClaimName\":\"aud\",\"clientClaimValues\":["
               "\"https://d.example\"],\"oauthClients\":[\"$CLIENT_ID\"],"
               "\"impersonationServiceUsers\":[{\"rule\":\"sub eq repo:o/r:*\",\"value\":"
               "\"$USER_1\"},{\"rule\":\"groups co x\",\"value\":\"$USER_2\"}]}");
    /* short ids once they are known; no application; for resource principals */
    (void)json_object_set_new(o.ids, "ci", json_string("id1"));
    (void)json_object_set_new(o.ids, "other", json_string("id2"));
    o.app = NULL;
    o.audience = "";
    o.res_type = "job";
    (void)json_array_append_new(o.validations, json_pack("{s:s,s:s}", "name", "n", "value", "v"));
    (void)json_array_append_new(o.propagations, json_string("ref"));
    sent(kw_oci_want_trust(&o), TRUST
         "\"subjectType\":\"Resource\",\"impersonatingResource\":\"job\",\"claimValidations\":"
         "[{\"name\":\"n\",\"value\":\"v\"}],\"claimPropagations\":[\"ref\"],"
         "\"impersonationServiceUsers\":[{\"rule\":\"sub eq repo:o/r:*\",\"value\":\"id1\"},"
         "{\"rule\":\"groups co x\",\"value\":\"id2\"}]}");
}

static void rules(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "sub", "sub eq", "sub ne x", "sub co x*", "sub eq x -> ", "sub eq x\ny", "sub eq \x01",
        " -> ci", "sub eq -> ci", "sub eq x -> \t",
        /* two arrows, or one too close; blanks that nobody sees */
        "sub eq x -> a -> b", "sub eq x ->y", "sub eq x-> y", "sub eq x->y", "sub eq x -> ci ",
        "sub eq x ->  ci", "sub eq x  -> ci", " sub eq x", "sub eq x "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (kw_oci_wish_rule(&o, bad[i], &err) != KW_USAGE)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(json_array_size(o.rules), 0);
    char big[2000] = "sub eq ";
    memset(big + 7, 'x', sizeof big - 8);
    big[sizeof big - 1] = '\0';
    assert_int_equal(kw_oci_wish_rule(&o, big, &err), KW_USAGE);
    /* quoted ones are taken, and warned of; each user comes once */
    assert_int_equal(kw_oci_wish_rule(&o, "sub eq 'x'", &err), 0);
    assert_int_equal(kw_oci_wish_rule(&o, "sub eq y", &err), 0);
    assert_int_equal(json_array_size(o.users), 1);
}

/* IAM and the services are in the realm of the domain, whichever form its URL has. */
static void realms(void **state)
{
    (void)state;
    static const struct {
        const char *url, *realm;
    } all[] = {
        {"https://idcs-0123.identity.oraclecloud.com", "oraclecloud.com"},
        {"https://idcs-0123.identity.oraclecloud.com:443", "oraclecloud.com"},
        {"https://idcs-0123.eu-frankfurt-idcs-1.identity.eu-frankfurt-1.oci.oraclecloud.com",
         "oraclecloud.com"},
        {"https://idcs-0123.identity.oraclegovcloud.com", "oraclegovcloud.com"},
        {"https://idcs-0123.us-langley-idcs-1.identity.us-langley-1.oci.oraclegovcloud.com",
         "oraclegovcloud.com"},
        {"https://login.example.com", "oraclecloud.com"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(kw_url_parse(all[i].url, "URL", KW_USAGE, &o.url, &err), 0);
        assert_string_equal(kw_oci_realm(&o), all[i].realm);
    }
}

/* A name that is taken by what can't be seen: what a lost answer made, or somebody else's. */
static void taken(void **state)
{
    (void)state;
    struct kw_setup_step t = {.kind = "thing"};
    for (int i = 0; i < 2; i++) {
        err.code = KW_CLOUD;
        assert_int_equal(kw_oci_again(&t, 409, KW_CLOUD, &err), KW_NET);
        assert_int_equal(err.code, KW_NET);
    }
    assert_int_equal(kw_oci_again(&t, 409, KW_CLOUD, &err), KW_CLOUD);
    assert_int_equal(kw_oci_again(&t, 403, KW_CLOUD, &err), KW_CLOUD);
    assert_int_equal(kw_oci_again(&t, 201, 0, &err), 0);
    assert_int_equal(kw_oci_again(&t, 0, KW_NET, &err), KW_NET); /* now it may be our own */
    for (int i = 0; i < 9; i++)
        assert_int_equal(kw_oci_again(&t, 409, KW_CLOUD, &err), KW_NET);
}

static void not_ids(void **state)
{
    (void)state;
    json_t *answer = json_pack("{s:s,s:s}", "id", "../Users/1", "name", "0123");
    const char *id;
    assert_int_equal(kw_oci_id(answer, "id", &id, &err), KW_CLOUD);
    assert_non_null(strstr(err.text, "../Users/1"));
    assert_int_equal(kw_oci_id(answer, "name", &id, &err), 0);
    assert_string_equal(id, "0123");
    assert_int_equal(kw_oci_id(answer, "absent", &id, &err), KW_CLOUD);
    assert_int_equal(kw_oci_id(NULL, "id", &id, &err), KW_CLOUD);
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(application, set_up, tear_down),
        cmocka_unit_test_setup_teardown(people, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(realms, set_up, tear_down),
        cmocka_unit_test(taken),
        cmocka_unit_test(not_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
