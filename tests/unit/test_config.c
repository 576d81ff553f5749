/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: what is read, and that everything doubtful is refused with file,
 * line, name and cure. */
#include "config_text.h"

static void test_example(void **state)
{
    (void)state;
    good("[token]\n" URI "sessions = 8\n"
         "args = configdir='sql:/var/lib/nss' flags=readWrite ; for NSS\n"
         "[source]\n"
         "type = auto            ; keys by type\n"
         "; a comment\n"
         "# another\n"
         "\n"
         "[oci prod] ; the only one\n"
         "domain_url = https://IDCS-0123.identity.oraclecloud.com/\n"
         "client_id = 0123\r\n"
         "client_secret_source = file:/run/secret   ; or client_auth = assertion\n"
         "region = eu-frankfurt-1\n"
         "tenancy = ocid1.tenancy.oc1..x\n"
         "[policy prod]\n"
         "issuer = https://token.actions.githubusercontent.com\n"
         "claim.repository_id = 592302719\n"
         "claim.ref = refs/heads/main refs/tags/v*\n"
         "sign.host = *.oraclecloud.com\n"
         "sign.method = GET POST\n"
         "sign.per_minute = 600\n"
         "[key]\n"
         "bits = 3072\n"
         "storage = token\n"
         "accept = extractable not-local\n"
         "[sandbox]\n"
         "require = best-effort\n");
    assert_string_equal(config.path, "/t/k.ini");
    assert_string_equal(config.token_uri.token, "a");
    assert_string_equal(config.token_uri.serial, "b"); /* ';' inside the URI */
    assert_string_equal(config.token_uri.module_path, "/usr/lib/m.so");
    assert_int_equal(config.token_sessions, 8);
    assert_string_equal(config.token_args, "configdir='sql:/var/lib/nss' flags=readWrite");
    assert_string_equal(config.source_type, "auto");
    assert_string_equal(config.profile, "prod");
    assert_string_equal(config.domain_url, "https://idcs-0123.identity.oraclecloud.com");
    assert_string_equal(config.client_id, "0123");
    assert_string_equal(config.client_secret_source, "file:/run/secret");
    assert_true(config.oci_set && config.policy_set && config.token_set);
    assert_int_equal(config.n_rules, 2);
    assert_string_equal(config.rules[1].claim, "ref");
    assert_string_equal(config.rules[1].values, "refs/heads/main refs/tags/v*");
    assert_int_equal(config.rules[1].line, 19);
    assert_int_equal(config.sign_per_minute, 600);
    assert_int_equal(config.key_bits, 3072);
    assert_true(config.key_stored && config.best_effort);
    assert_int_equal(config.key_accept, KW_ACCEPT_EXTRACTABLE | KW_ACCEPT_NOT_LOCAL);
    assert_int_equal(kw_config_check_oci(&config, &err), 0);
    assert_string_equal(config.dial,
                        "idcs-0123.identity.oraclecloud.com:443 *.oraclecloud.com:443");
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(kw_config_build(&config, NULL, NULL, NULL, &err), 0);
    assert_string_equal(config.source_type, "auto");
    assert_string_equal(config.sign_host, "*.oraclecloud.com");
    assert_string_equal(config.sign_method, "GET HEAD POST PUT PATCH DELETE");
    assert_int_equal(config.timeout_s, 30);
    assert_int_equal(config.token_sessions, 4);
    assert_int_equal(config.key_bits, 2048);
    assert_int_equal(config.client_auth, KW_AUTH_BASIC);
    assert_false(config.best_effort || config.key_stored || config.token_network);
    assert_false(config.oci_set || config.policy_set || config.token_set);
    assert_int_equal(kw_config_check_oci(&config, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "KEYWARD_TOKEN_URI"));
}

static void test_structure(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word1, *word2;
    } cases[] = {
        {"[bogus]\n", ":1:", "no section [bogus]"},
        {"\n[oci]\n", ":2:", "[oci default]"},
        {"[token x]\n", ":1:", "takes no name"},
        {"[OCI prod]\n", ":1:", "no section [OCI]"},
        {"[token]\nurl = x\n", ":2:", "no key url"},
        {"[token]\nURI = x\n", ":2:", "no key URI"},
        {"[key]\nbits = 2048\nbits = 2048\n", ":3:", "line 2"},
        {"[key]\n[token]\n[key]\n", ":3:", "line 1"},
        {"[key]\nbits\n", ":2:", "neither"},
        {"[key]\nbits: 2048\n", ":2:", "name = value"},
        {"[key]\nbits : x = 2048\n", ":2:", "name = value"},
        {"[key]\n= 2048\n", ":2:", "no name"},
        {"[key]\nbits =\n", ":2:", "bits has no value"},
        {"[key]\nbits = ; 2048\n", ":2:", "bits has no value"},
        {"[key]\nbits =;2048\n", ":2:", "bits has no value"},
        {"[key]\nbits = \"2048\"\n", ":2:", "quotes"},
        {"[key]\n bits = 2048\n", ":2:", "indented"},
        {"[key]\nbits = 2048\n\t4096\n", ":3:", "indented"},
        {" [key]\n", ":1:", "indented"},
        {"bits = 2048\n", ":1:", "before any"},
        {"[key\n", ":1:", "bracket"},
        {"[key] bits = 2048\n", ":1:", "follows"},
        {"[]\n", ":1:", "name"},
        {"[ key ]\n", ":1:", "name"},
        {"[oci  prod]\n", ":1:", "name"},
        {"[oci a b]\n", ":1:", "one word"},
        {"[oci a/b]\n", ":1:", "letters"},
        {"[oci aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", ":1:", "40"},
        {"[oci aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
         ":1:", "49"},
        {"[key]\nbits = 2048\x01\n", ":2:", "control"},
        {"[key]\nbits = 2048\x7f\n", ":2:", "control"},
        {"[key]\n; \x1b[2J\n", ":2:", "control"},
        {"[key]\n; \xff\n", ":2:", "UTF-8"},
        {"[key]\n; \xe2\x80\xae\n", ":2:", "control"},
        {"[key]\rbits = 2048\n", ":1:", "control"},
        {"[key]\nb;ts = 2048\n", ":2:", "byte"},
        {"[key]\nbi ts = 2048\n", ":2:", "byte"},
        {"[token]\nuri = pkcs11:token=a ;serial=b?module-path=/m.so\n", ":2:", "' ;'"},
        {"[source]\ncommand = a ; b\n", ":2:", "cut the command"},
        {"[oci a]\n[policy b]\n", ":2:", "[oci b]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        bad(cases[i].text, cases[i].word1, cases[i].word2);
    assert_int_equal(build_n("[key]\nbits = 2048\0\n", 19, NULL, NULL), KW_USAGE);
    assert_non_null(strstr(err.text, "NUL"));
    good("");
    good("\xef\xbb\xbf[key]\nbits = 4096");
    assert_int_equal(config.key_bits, 4096);
    good("[source]\ncommand = a; b \"c d\" # e\n");
    assert_string_equal(config.source_command, "a; b \"c d\" # e");
}

/* Lines far over libinih's 200 bytes are read whole; over 4096 refused, never cut. */
static void test_long_lines(void **state)
{
    (void)state;
    static char text[16384];
    for (size_t n = 150; n < 4200; n += n < 300 || n > 4000 ? 1 : 97) {
        size_t at = (size_t)snprintf(text, sizeof text, "[policy p]\nsign.path = ");
        size_t start = at;
        while (at - start < n) {
            text[at] = (at - start) % 64 == 0 ? '/' : (at - start) % 64 == 63 ? ' ' : 'a';
            at++;
        }
        if (text[at - 1] == ' ')
            text[at - 1] = 'b';
        (void)strcpy(text + at, "\n[key]\nbits = 4096\n");
        int r = build(text, NULL);
        bool line_fits = n + 12 <= KW_INI_LINE, value_fits = n < sizeof config.sign_path;
        if (r != (line_fits && value_fits ? 0 : KW_USAGE))
            fail_msg("%zu: %d %s", n, r, err.text);
        if (r != 0)
            continue;
        assert_int_equal(strlen(config.sign_path), n);
        assert_memory_equal(config.sign_path, text + start, n);
        assert_int_equal(config.key_bits, 4096);
    }
    memset(text, ';', 5000);
    text[5000] = '\0';
    bad(text, ":1:", "4096");
    memset(text, '\n', sizeof text - 1);
    static char huge[KW_INI_BYTES + 1];
    memset(huge, '\n', sizeof huge);
    assert_int_equal(build_n(huge, sizeof huge, NULL, NULL), KW_USAGE);
    assert_int_equal(build_n(huge, sizeof huge - 1, NULL, NULL), 0);
}

static void test_values(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[token]\nuri = pkcs11:token=a\n", /* no module */
        "[token]\nuri = pkcs11:token=a?module-path=/m&pin-value=1234\n",
        "[token]\nuri = file:/x\n",
        "[token]\nsessions = 0\n",
        "[token]\nsessions = 65\n",
        "[token]\nsessions = 04\n",
        "[token]\nsessions = +4\n",
        "[token]\nsessions = 4.0\n",
        "[token]\nsessions = 0x4\n",
        "[token]\nsessions = 99999999999\n",
        "[token]\nsessions = 4 # four\n",
        "[token]\nnetwork = yes\n",
        "[token]\nargs = configdir='sql:/caf\xc3\xa9'\n",
        "[token]\nargs = a\tb\n",
        "[token]\nenv = LD_PRELOAD\n",
        "[token]\nenv = A-B\n",
        "[token]\npin_source = 1234\n",
        "[token]\npin_source = file:pin\n",
        "[token]\npin_source = fd:\n",
        "[token]\npin_source = fd:-1\n",
        "[token]\npin_source = fd:3x\n",
        "[token]\npin_source = credential:../x\n",
        "[token]\npin_source = credential:\n",
        "[token]\npin_source = env:PIN\n",
        "[source]\ntype = guess\n",
        "[source]\ntype = File\n",
        "[source]\ntype = file\n",
        "[source]\ntype = env\n",
        "[source]\ntype = command\n",
        "[source]\ntype = stdin\npath = /x\n",
        "[source]\npath = token.jwt\n",
        "[source]\npath = /x\nname = Y\n",
        "[source]\nname = A B\n",
        "[source]\nname = 1A\n",
        "[oci a]\ndomain_url = http://x.example\n",
        "[oci a]\ndomain_url = https://x.example/path\n",
        "[oci a]\ndomain_url = https://u@x.example\n",
        "[oci a]\ndomain_url = idcs-1\n",
        "[oci a]\nclient_id = a b\n",
        "[oci a]\nclient_id = a:b\n",
        "[oci a]\nclient_secret_source = hunter2\n",
        "[oci a]\nclient_secret_source = prompt\n",
        "[oci a]\nclient_auth = none\n",
        "[oci a]\nclient_auth = signature\nclient_secret_source = file:/x\n",
        "[oci a]\nclient_key = pkcs11:object=k\n",
        "[oci a]\nclient_key = pkcs11:token=t\nclient_auth = signature\n",
        "[oci a]\nres_type = x\n",
        "[oci a]\nrequested = rpst\nrpst_exp = 43201\n",
        "[policy a]\nclaim. = x\n",
        "[policy a]\nclaim.ref = main # only main\n",
        "[policy a]\nclaim.ref = a \"b\"\n",
        "[policy a]\nissuer = a b\n",
        "[policy a]\nsign.host = *\n",
        "[policy a]\nsign.host = a*.example\n",
        "[policy a]\nsign.host = *.*.example\n",
        "[policy a]\nsign.host = https://x.example\n",
        "[policy a]\nsign.host = x.example:443\n",
        "[policy a]\nsign.host = x.example/y\n",
        "[policy a]\nsign.host = a.example, b.example\n",
        "[policy a]\nsign.host = *.1.2.3\n",
        "[policy a]\nsign.host = *.\n",
        "[policy a]\nsign.method = get\n",
        "[policy a]\nsign.method = *\n",
        "[policy a]\nsign.path = n/x\n",
        "[policy a]\nsign.per_minute = 0\n",
        "[policy a]\ndial = *.example\n",
        "[policy a]\ndial = *:443\n",
        "[policy a]\ndial = x.example:0\n",
        "[policy a]\ndial = x.example:70000\n",
        "[policy a]\ndial = ::1:443\n",
        "[tls]\nca_file = ca.pem\n",
        "[dial]\nresolve = a.example:443:127.0.0.1\n",
        "[dial]\nresolve = a.example:443:127.0.0.1:x\n",
        "[dial]\nresolve = *.example:443:127.0.0.1:1\n",
        "[dial]\nresolve = a.example:443::1:443\n",
        "[dial]\nproxy = https://p.example:1\n",
        "[dial]\nproxy = http://u:p@p.example:1\n",
        "[dial]\nproxy = http://p.example\n",
        "[dial]\nproxy = http://p.example:1/x\n",
        "[dial]\nproxy = http://*.example:1\n",
        "[dial]\ntimeout = 601\n",
        "[audit]\nfile = audit.log\n",
        "[key]\nbits = 1024\n",
        "[key]\nstorage = disk\n",
        "[key]\naccept = everything\n",
        "[sandbox]\nrequire = none\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (build(wrong[i], NULL) != KW_USAGE)
            fail_msg("taken: %s", wrong[i]);
        assert_null(strstr(err.text, "hunter2")); /* a misplaced secret isn't repeated */
        assert_null(strstr(err.text, "1234"));
    }
    static const char *const right[] = {
        "[token]\npin_source = fd:0\n",
        "[token]\npin_source = credential:pin\n",
        "[token]\npin_source = protected\n",
        "[token]\nenv = A B_1 c\n",
        "[source]\ntype = env\nname = TOKEN\n",
        "[source]\ntype = stdin\n",
        "[oci a]\nclient_auth = signature\nclient_key = pkcs11:object=k;id=%01\n",
        "[oci a]\nrequested = rpst\nres_type = x\nrpst_exp = 3600\n",
        "[policy a]\nsign.host = a.example *.b.example 127.0.0.1 ::1\n",
        "[policy a]\nsign.path = /n/* *\n",
        "[policy a]\ndial = *.example:443 [::1]:8443 127.0.0.1:1\n",
        "[dial]\nresolve = a.example:443:127.0.0.1:8443 b.example:1:[::1]:2\n",
        "[dial]\nproxy = http://127.0.0.1:3128\n",
        "[dial]\nproxy = http://[::1]:3128/\n",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        good(right[i]);
}

static void test_secrets_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cure;
    } cases[] = {
        {"[oci a]\nclient_secret = hunter2\n", "client_secret_source = file:"},
        {"[oci a]\nsecret = hunter2\n", "client_secret_source = file:"},
        {"[token]\npin = hunter2\n", "pin_source = file:"},
        {"[token]\npin-value = hunter2\n", "pin_source = file:"},
        {"[source]\ntoken = hunter2\n", "path = /path"},
        {"[oci a]\nkey_file = /x\n", "no key files"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bad(cases[i].text, ":2:", cases[i].cure);
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void test_profiles(void **state)
{
    (void)state;
    const char *two = "[oci a]\nregion = ra\n[policy a]\nclaim.x = 1\n[oci b]\nregion = rb\n";
    assert_int_equal(build(two, "a"), 0);
    assert_string_equal(config.region, "ra");
    assert_int_equal(config.n_rules, 1);
    assert_int_equal(build(two, "b"), 0);
    assert_string_equal(config.region, "rb");
    assert_int_equal(config.n_rules, 0);
    assert_false(config.policy_set);
    assert_int_equal(build(two, "c"), KW_USAGE);
    assert_non_null(strstr(err.text, "a, b"));
    assert_int_equal(build(two, ""), KW_USAGE);
    assert_int_equal(build(two, NULL), 0); /* commands without a profile still work */
    assert_string_equal(config.profile, "");
    assert_int_equal(kw_config_check_profile(&config, &err), KW_USAGE);
    assert_int_equal(kw_config_check_oci(&config, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "a, b"));
    good("[oci a]\nregion = ra\n[oci default]\nregion = rd\n");
    assert_string_equal(config.region, "rd");
    good("[policy p]\nclaim.x = 1\n");
    assert_string_equal(config.profile, "p");
    assert_true(config.policy_set);
    /* profiles that aren't chosen are checked too */
    bad("[oci default]\n[oci b]\nregoin = x\n", ":3:", "regoin");
    bad("[oci default]\n[oci b]\nclient_auth = x\n", ":3:", "client_auth");
}

/* What `claims` evaluates: expressions are taken as they stand, quotes and all. */
static void test_expressions(void **state)
{
    (void)state;
    good(
        "[google p]\n"
        "provider = projects/1/locations/global/workloadIdentityPools/p-pool/providers/x-provider\n"
        "attribute_mapping.google.subject = assertion.sub\n"
        "attribute_mapping.attribute.a = 'x' + assertion.a ; a comment\n"
        "attribute_condition = 'a' in assertion.groups && assertion.b == \"c d\"\n"
        "allowed_audiences = one two\n"
        "members = principalSet://iam.googleapis.com/x/* allUsers\n"
        "[google q]\n"
        "attribute_mapping.google.subject = assertion.other\n"
        "[oci p]\n"
        "rule.first = sub eq repo:o/r:*\n"
        "rule.second = sub co x y\n"
        "[policy default]\n[google default]\n");
    assert_string_equal(config.profile, "default");
    assert_true(config.google_set && config.policy_set && !config.oci_set);
    good("[google p]\n"
         "attribute_mapping.google.subject = assertion.sub\n"
         "attribute_mapping.attribute.a = 'x' + assertion.a ; a comment\n"
         "attribute_condition = 'a' in assertion.groups && assertion.b == \"c d\"\n"
         "[oci p]\n"
         "rule.first = sub eq repo:o/r:*\n"
         "rule.second = sub co x y\n"
         "[policy p]\n");
    assert_string_equal(config.attribute_mapping,
                        "google.subject=assertion.sub\nattribute.a='x' + assertion.a\n");
    assert_string_equal(config.attribute_condition,
                        "'a' in assertion.groups && assertion.b == \"c d\"");
    assert_string_equal(config.oci_rules, "first=sub eq repo:o/r:*\nsecond=sub co x y\n");
    bad("[google p]\nattribute_mapping. = x\n", ":2:", "no key");
    bad("[google p]\nattribute_mapping.a = x\nattribute_mapping.a = y\n", ":3:", "line 2");
    bad("[google p]\nattribute_condition = a ;b\n", ":2:", "begins a comment");
    bad("[google p]\nprovider = 'x'\n", ":2:", "quoted");
    bad("[google p]\nattribute_conditions = 'x'\n", ":2:", "quoted");
    bad("[google]\n", ":1:", "[google default]");
    bad("[google p]\n[policy q]\n", ":2:", "[oci q]");
    static char text[KW_INI_BYTES];
    size_t n = (size_t)snprintf(text, sizeof text, "[google p]\n");
    for (unsigned i = 0; i < 5; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "attribute_mapping.attribute.a%u = %04000d\n", i, 0);
    bad(text, ":6:", "together with those before it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),   cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_structure), cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_secrets_are_refused_by_name),
        cmocka_unit_test(test_profiles),  cmocka_unit_test(test_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
