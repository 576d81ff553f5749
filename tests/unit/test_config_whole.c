/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: what comes of all of it together: variables, clouds, defaults, what is missing
 * for OCI, and its help. */
#include "config_text.h"

static void test_environment(void **state)
{
    (void)state;
    char region[] = "KEYWARD_OCI_REGION=env", bits[] = "KEYWARD_KEY_BITS=4096",
         host[] = "KEYWARD_POLICY_SIGN_HOST=x.example", other[] = "KEYWARD_LAB_DIR=/x",
         config_var[] = "KEYWARD_CONFIG=/x", plain[] = "HOME=/x";
    char *const env[] = {region, bits, host, other, config_var, plain, NULL};
    const char *text = "[oci a]\nregion = ra\n[key]\nbits = 2048\n";
    assert_int_equal(build_n(text, strlen(text), NULL, env), 0);
    assert_string_equal(config.region, "env");
    assert_int_equal(config.key_bits, 4096);
    assert_string_equal(config.sign_host, "x.example");
    assert_true(config.policy_set);
    /* no file: the environment makes the default profile */
    assert_int_equal(kw_config_build(&config, NULL, NULL, env, &err), 0);
    assert_string_equal(config.profile, "default");
    assert_true(config.oci_set);
    /* which profile would it be? */
    const char *two = "[oci a]\n[oci b]\n";
    assert_int_equal(build_n(two, strlen(two), NULL, env), KW_USAGE);
    assert_non_null(strstr(err.text, "--profile"));
    static char wrong[][64] = {"KEYWARD_OCI_REGOIN=x",       "KEYWARD_KEY_BITS=",
                               "KEYWARD_KEY_BITS=1024",      "KEYWARD_OCI_CLIENT_SECRET=hunter2",
                               "KEYWARD_TOKEN_PIN=hunter2",  "KEYWARD_POLICY_CLAIM_REF=main",
                               "KEYWARD_POLICY_CLAIM_=main", "KEYWARD_OCI_=x",
                               "KEYWARD_OCI_REGION=a b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *const one[] = {wrong[i], NULL};
        if (kw_config_build(&config, NULL, NULL, one, &err) != KW_USAGE)
            fail_msg("taken: %s", wrong[i]);
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(wrong[i], "="), wrong[i]);
        assert_non_null(strstr(err.text, name));
        assert_null(strstr(err.text, "hunter2"));
    }
}

/* Of both clouds' hosts a run has those of its own, given or by default. */
static void test_both_clouds(void **state)
{
    (void)state;
#define GIVEN "[policy a]\nsign.host = iaas.x.oraclecloud.com compute.googleapis.com api.example\n"
    static const struct {
        const char *policy, *cloud, *hosts, *dial;
    } cases[] = {
        {"", "oci", "*.oraclecloud.com", "d.example:8443 *.oraclecloud.com:443"},
        {"", "google", "*.googleapis.com",
         "sts.googleapis.com:443 iamcredentials.googleapis.com:443 *.googleapis.com:443"},
        {GIVEN, "oci", "iaas.x.oraclecloud.com api.example",
         "d.example:8443 iaas.x.oraclecloud.com:443 api.example:443"},
        {GIVEN, "google", "compute.googleapis.com",
         "sts.googleapis.com:443 iamcredentials.googleapis.com:443 compute.googleapis.com:443"},
        {"[policy a]\nsign.host = iaas.x.oraclecloud.com\n", "google", "",
         "sts.googleapis.com:443 iamcredentials.googleapis.com:443"},
        {"[policy a]\nsign.host = *.googleapis.com\ndial = everywhere.example:443\n", "google",
         "*.googleapis.com", "everywhere.example:443"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        (void)snprintf(
            text, sizeof text,
            "[oci a]\ndomain_url = https://d.example:8443\n[google a]\nlifetime = 600\n%s",
            cases[i].policy);
        assert_int_equal(build_n(text, strlen(text), NULL, NULL), 0);
        assert_int_equal(kw_config_choose_cloud(&config, cases[i].cloud, &err), 0);
        assert_string_equal(config.sign_host, cases[i].hosts);
        assert_string_equal(config.dial, cases[i].dial);
    }
    /* One cloud alone keeps what it was given. */
    const char *alone = "[google a]\nlifetime = 600\n[policy a]\nsign.host = x.oraclecloud.com\n";
    assert_int_equal(build_n(alone, strlen(alone), NULL, NULL), 0);
    assert_int_equal(kw_config_choose_cloud(&config, NULL, &err), 0);
    assert_string_equal(config.sign_host, "x.oraclecloud.com");
}

static void test_dial_default(void **state)
{
    (void)state;
    char url[] = "ACTIONS_ID_TOKEN_REQUEST_URL=https://pipelines.example/x?y=1";
    char *const env[] = {url, NULL};
    const char *text = "[oci a]\ndomain_url = https://d.example:8443\n";
    assert_int_equal(build_n(text, strlen(text), NULL, env), 0);
    assert_string_equal(config.dial, "d.example:8443 *.oraclecloud.com:443 pipelines.example:443");
    text = "[oci a]\ndomain_url = https://d.example:8443\n[policy a]\ndial = d.example:8443\n";
    assert_int_equal(build_n(text, strlen(text), NULL, env), 0);
    assert_string_equal(config.dial, "d.example:8443"); /* what was given, is given */
}

static void test_check_oci(void **state)
{
    (void)state;
    static const char base[] = "[token]\n" URI "[oci a]\ndomain_url = https://d.example\n";
    static const struct {
        const char *more, *missing;
    } cases[] = {
        {"", "client_id"},
        {"client_id = x\n", "client_secret_source"},
        {"client_id = x\nclient_secret_source = fd:5\n", NULL},
        {"client_auth = signature\n", "client_key"},
        {"client_auth = signature\nclient_key = pkcs11:object=k\n", "client_key_id"},
        {"client_auth = signature\nclient_key = pkcs11:object=k\nclient_key_id = t/u/f\n", NULL},
        {"client_auth = assertion\nclient_key = pkcs11:object=k\n", "client_id"},
        {"client_auth = assertion\nclient_id = x\nclient_key = pkcs11:object=k\n",
         "client_key_kid"},
        {"client_auth = assertion\nclient_id = x\nclient_key = pkcs11:object=k\n"
         "client_key_kid = c\n",
         NULL},
        {"client_id = x\nclient_secret_source = fd:5\nrequested = rpst\n", "res_type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%s%s", base, cases[i].more);
        good(text);
        int r = kw_config_check_oci(&config, &err);
        assert_int_equal(r, cases[i].missing == NULL ? 0 : KW_USAGE);
        if (r != 0 && (strstr(err.text, cases[i].missing) == NULL ||
                       strstr(err.text, "KEYWARD_OCI_") == NULL))
            fail_msg("case %zu: %s", i, err.text);
    }
}

/* Every key is in the help, and its variable is told. */
static void test_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    kw_config_print_help(f);
    assert_int_equal(fclose(f), 0);
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        char name[128];
        (void)snprintf(name, sizeof name, "\n  %s", k->name);
        assert_non_null(strstr(text, name));
        assert_true(kw_key_variable(k->section, k->name, name, sizeof name));
        assert_true((strstr(text, name) != NULL) == k->env);
        bool prefix = k->name[strlen(k->name) - 1] == '.';
        (void)snprintf(name, sizeof name, "%s%s", k->name, prefix ? "x" : "");
        assert_ptr_equal(kw_key_find(k->section, name), k);
        if (prefix)
            assert_null(kw_key_find(k->section, k->name));
    }
    for (const char *line = text; line != NULL && *line != '\0';) {
        assert_true(line[0] != '.' && line[0] != '\''); /* it is part of the man page */
        assert_true(strcspn(line, "\n") <= 80);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),  cmocka_unit_test(test_both_clouds),
        cmocka_unit_test(test_dial_default), cmocka_unit_test(test_check_oci),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
