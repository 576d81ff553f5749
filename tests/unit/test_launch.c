/* SPDX-License-Identifier: Apache-2.0
 *
 * What the launcher of `run` does before CMD is there: variables, namespaces and what it says
 * where they are forbidden, what becomes of CMD. Files: test_launch_files.c. With CMD and the
 * rest of keyward: tests/e2e/tool.sh. */
#include "launch_set.h"

#include <errno.h>
#include <openssl/x509.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>

#include "src/ipc/ipc.h"

enum { WAIT_MS = 30000 };

/* --- variables --------------------------------------------------------------------------- */

static char **env;

static const char *value(const char *name)
{
    const char *found = NULL;
    size_t n = strlen(name);
    for (char **e = env; *e != NULL; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') {
            if (found != NULL)
                fail_msg("%s is there twice", name);
            found = *e + n + 1;
        }
    return found;
}

static void is(const char *name, const char *want_value)
{
    const char *has = value(name);
    if (has == NULL || strcmp(has, want_value) != 0)
        fail_msg("%s is %s", name, has != NULL ? has : "not there");
}

/* Calls it with each word of the list. */
static void each(const char *list, void (*what)(const char *word))
{
    char text[2000], *save = NULL;
    (void)snprintf(text, sizeof text, "%s", list);
    for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        what(w);
}

static void set_mine(const char *name)
{
    assert_int_equal(setenv(name, "mine", 1), 0);
}

static void is_gone(const char *name)
{
    if (value(name) != NULL)
        fail_msg("%s is passed on", name);
}

static void is_mine(const char *name)
{
    is(name, "mine");
}

static void look(void)
{
    static char **all[64]; /* what it adds is CMD's for good, and ours until the end */
    static size_t n;
    env = kw_launch_env(&set);
    assert_non_null(env);
    assert_true(n < sizeof all / sizeof all[0]);
    all[n++] = env;
}

static void no_credential_goes_on(void **state)
{
    static const char gone[] =
        "KEYWARD_PROFILE KEYWARD_TOKEN_URI SOFTHSM2_CONF P11_KIT_SERVER_ADDRESS "
        "CREDENTIALS_DIRECTORY ACTIONS_ID_TOKEN_REQUEST_URL "
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_RUNTIME_TOKEN CI_JOB_TOKEN CI_JOB_JWT "
        "CI_JOB_JWT_V2 CIRCLE_OIDC_TOKEN_V2 BUILDKITE_AGENT_ACCESS_TOKEN GITHUB_TOKEN "
        "GH_TOKEN TOKEN MY_SECRET SECRET_THING DB_PASSWORD PASSWORDS X_PASSWD JWT "
        "MY_JWT_FILE OIDC_URL X_PAT NPM_APIKEY OPENAI_API_KEY X_CREDENTIALS "
        "X_PRIVATE_KEY VAULT_TOKEN_FILE OCI_CLI_USER OCI_CLI_KEY_FILE TF_VAR_user_ocid "
        "TF_VAR_private_key_path CLIENT_HOST_OVERRIDES GOOGLE_APPLICATION_CREDENTIALS "
        "CLOUDSDK_CORE_PROJECT AWS_ACCESS_KEY_ID AWS_PROFILE AZURE_CLIENT_ID "
        "ARM_CLIENT_ID IDENTITY_HEADER MSI_ENDPOINT SSH_AUTH_SOCK "
        "DBUS_SESSION_BUS_ADDRESS DOCKER_HOST KUBECONFIG SSL_CERT_DIR NO_GCE_CHECK "
        "no_grpc_proxy XDG_CONFIG_HOME XDG_STATE_HOME";
    static const char stay[] =
        "LANG TERM CI GITHUB_SHA TOKENIZER MY_TOKENS TF_VAR_name EDITOR PATH_INFO "
        "keyward_x";
    (void)state;
    each(gone, set_mine);
    each(stay, set_mine);
    look();
    each(gone, is_gone);
    each(stay, is_mine);
    unsigned mine = 0, may = 0; /* nor by any other name */
    for (char **e = env; *e != NULL; e++)
        mine += strstr(*e, "=mine") != NULL;
    for (const char *p = stay; *p != '\0'; p++)
        may += *p == ' ';
    assert_int_equal(mine, may + 1);
    is("PATH", "/usr/bin:/bin");
    /* asked for by name: all but what the subject token is in */
    want.keep_env = "GITHUB_TOKEN,AWS_PROFILE,MY_JWT_FILE,KUBECON";
    (void)snprintf(config.source_name, sizeof config.source_name, "MY_JWT_FILE");
    look();
    is("GITHUB_TOKEN", "mine");
    is("AWS_PROFILE", "mine");
    assert_null(value("GH_TOKEN"));
    assert_null(value("KUBECONFIG"));
    assert_null(value("MY_JWT_FILE"));
    (void)snprintf(config.source_name, sizeof config.source_name, "LANG");
    look(); /* by whatever name */
    assert_null(value("LANG"));
    want.share_home = true;
    look();
    is("XDG_CONFIG_HOME", "mine");
    is("XDG_RUNTIME_DIR", "/private/run");
}

/* What is no variable at all goes nowhere; what leads round the proxy can't be kept. */
static void odd_environments(void **state)
{
    static char long_name[400] = "";
    static const char *const odd[] = {
        "NOVALUE",    "=x",  "",        "A=", "HTTPS_PROXY=http://evil", "HOME=/h", "HOME=/i",
        "no_proxy=*", "A=2", long_name, NULL};
    char **before = environ;
    (void)state;
    memset(long_name, 'L', sizeof long_name - 3);
    long_name[sizeof long_name - 3] = '=';
    want.keep_env = "HTTPS_PROXY,no_proxy,HOME";
    environ = (char **)(uintptr_t)odd;
    look();
    environ = before;
    is("HTTPS_PROXY", "http://127.0.0.1:4711");
    is("no_proxy", "127.0.0.1,localhost,169.254.169.254,metadata.google.internal");
    is("HOME", "/private/home");
    for (char **e = env; *e != NULL; e++)
        if ((*e)[0] == '=' || (*e)[0] == '\0' || (*e)[0] == 'L')
            fail_msg("\"%.20s\" is passed on", *e);
    memset(set.bundle, 'b', sizeof set.bundle - 1);
    look(); /* the longest there is fits */
    is("SSL_CERT_FILE", set.bundle);
}

static void leads_to_the_stand_ins(void **state)
{
    static const char *const proxies[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY",
                                          "grpc_proxy"},
                             *const bundles[] = {"SSL_CERT_FILE", "CURL_CA_BUNDLE",
                                                 "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
                                                 "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"};
    (void)state;
    (void)snprintf(set.token_file, sizeof set.token_file, "/private/token");
    (void)snprintf(set.key_file, sizeof set.key_file, "/private/key.pem");
    (void)snprintf(set.oci_config, sizeof set.oci_config, "/private/home/.oci/config");
    look();
    for (size_t i = 0; i < sizeof proxies / sizeof proxies[0]; i++)
        is(proxies[i], "http://127.0.0.1:4711");
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++)
        is(bundles[i], "/private/ca.pem");
    is("KEYWARD_RUN", "1");
    is("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", "/private/key.pem");
    is("OCI_RESOURCE_PRINCIPAL_RPST", "/private/token");
    is("OCI_CLI_CONFIG_FILE", "/private/home/.oci/config");
    is("TF_VAR_tenancy_ocid", "ocid1.tenancy");
    assert_null(value("GCE_METADATA_HOST"));
    assert_null(value("CLOUDSDK_CONFIG"));

    set.go.cloud = KW_CLOUD_GOOGLE;
    look(); /* not isolated: the metadata service would serve everybody */
    assert_null(value("GCE_METADATA_HOST"));
    assert_null(value("OCI_CLI_AUTH"));
    assert_null(value("GOOGLE_CLOUD_PROJECT"));
    assert_null(value("CLOUDSDK_CORE_ACCOUNT"));
    is("GOOGLE_OAUTH_ACCESS_TOKEN", "a.stand.in");
    is("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "/private/token");
    set.isolated = true;
    (void)snprintf(set.go.project, sizeof set.go.project, "p-1");
    (void)snprintf(set.go.email, sizeof set.go.email, "a@b");
    look();
    is("GCE_METADATA_HOST", "169.254.169.254");
    is("METADATA_SERVER_DETECTION", "assume-present");
    assert_null(value("GOOGLE_OAUTH_ACCESS_TOKEN"));
    is("GOOGLE_CLOUD_PROJECT", "p-1");
    is("CLOUDSDK_CORE_ACCOUNT", "a@b");
    is("CLOUDSDK_PROXY_PORT", "4711");
}

/* --- where namespaces are forbidden --------------------------------------------------------- */

static const struct ban {
    const char *call;
    bool user_only; /* unshare of a user namespace */
    int error;
    const char *says;
} * ban;

static int forbidden(void)
{
    struct kw_hello h = {.port = 0};
    struct kw_err err = {.text = ""};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    const struct scmp_arg_cmp user = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER);
    int call = seccomp_syscall_resolve_name(ban->call);
    if (f == NULL ||
        seccomp_rule_add_array(f, SCMP_ACT_ERRNO((unsigned)ban->error), call,
                               ban->user_only ? 1 : 0, &user) != 0 ||
        seccomp_load(f) != 0)
        return wrong(ban->call, "could not be forbidden");
    seccomp_release(f);
    const bool root_can = ban->user_only && geteuid() == 0;
    int r = kw_launch_namespaces(&want, &h, &err);
    if (root_can)
        return r == 0 && h.isolated && h.missing[0] == '\0' ? 0 : wrong(ban->call, err.text);
    if (h.isolated)
        return wrong(ban->call, "was needed for nothing");
    if (want.isolation == KW_ISOLATION_REQUIRED)
        return r == KW_SANDBOX && strstr(err.text, "can't be isolated") != NULL &&
                       strstr(err.text, ban->says) != NULL &&
                       strstr(err.text, "--isolation=auto") != NULL
                   ? 0
                   : wrong(ban->call, err.text);
    /* less was asked for: it goes on in the namespaces where it was, and says so */
    int listeners[2];
    if (r != 0 || strstr(h.missing, "not isolated") == NULL ||
        strstr(h.missing, ban->says) == NULL || h.missing[sizeof h.missing - 2] != '\0')
        return wrong(ban->call, h.missing);
    if (kw_launch_listen(&h, listeners, &err) != 0 || h.metadata || h.port == 0 ||
        listeners[0] < 0 || listeners[1] >= 0)
        return wrong(ban->call, "and listeners");
    return 0;
}

static void namespaces_are_forbidden(void **state)
{
    static const struct ban bans[] = {
        {"unshare", true, EPERM, "a container, or a chroot"},
        {"unshare", false, EPERM, "a container, or a chroot"},
        {"unshare", false, ENOSPC, "No space left on device"}, /* as of too many namespaces */
        {"unshare", false, EINVAL, "Invalid argument"},        /* a kernel without them */
        {"mount", false, EPERM, "a container, or a chroot"},   /* made, and good for nothing */
        {"mount", false, EACCES, "Permission denied"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bans / sizeof bans[0]; i++) {
        ban = &bans[i];
        want.isolation = KW_ISOLATION_REQUIRED;
        assert_int_equal(in_child(forbidden), 0);
        want.isolation = KW_ISOLATION_AUTO;
        assert_int_equal(in_child(forbidden), 0);
    }
}

static int bare_ioctl(void)
{
    struct kw_hello h = {.isolated = true};
    struct kw_err err = {.text = ""};
    int listeners[2];
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (kw_launch_namespaces(&want, &h, &err) != 0 || f == NULL ||
        seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 0) != 0 || seccomp_load(f) != 0)
        return wrong("ioctl", "could not be forbidden");
    seccomp_release(f);
    return kw_launch_listen(&h, listeners, &err) == KW_SANDBOX &&
                   strstr(err.text, "network could not be brought up") != NULL
               ? 0
               : wrong("listeners", err.text);
}

static void the_network_stays_down(void **state)
{
    (void)state;
    want.isolation = KW_ISOLATION_REQUIRED;
    assert_int_equal(in_child(bare_ioctl), 0);
}

/* --- both sides of the pair ----------------------------------------------------------------- */

static void launch(struct kw_launch *l, const char *const *argv)
{
    struct kw_err err;
    want.argv = (char *const *)(uintptr_t)argv;
    want.isolation = KW_ISOLATION_OFF;
    assert_int_equal(kw_launch_start(&want, l, &err), 0);
    if (kw_launch_ready(l, kw_now_ms() + WAIT_MS, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(l->listeners[0] >= 0 && l->listeners[1] < 0 && l->port > 0);
    assert_non_null(strstr(l->missing, "isolation = off"));
    const unsigned char *der = l->spki;
    EVP_PKEY *k = d2i_PUBKEY(NULL, &der, (long)l->spki_len);
    assert_int_equal(EVP_PKEY_get_bits(k), 2048);
    EVP_PKEY_free(k);
}

static const struct kw_launch_decoys decoys = {.cloud = KW_CLOUD_OCI,
                                               .ca_pem = "x\n",
                                               .token = "t",
                                               .region = "r",
                                               .tenancy = "t",
                                               .user = "",
                                               .project = "",
                                               .email = "",
                                               .profile = "p"};

static void what_becomes_of_cmd(void **state)
{
    static const struct {
        const char *argv[4];
        int code; /* 0: it runs and ends with 7 */
        const char *says;
    } cases[] = {{{"/bin/sh", "-c", "exit $(( KEYWARD_RUN + 6 ))", NULL}, 0, ""},
                 {{"sh", "-c", "test ! -e /proc/self/fd/3 && exit 7", NULL}, 0, ""},
                 {{"/none/cmd", NULL}, 127, "/none/cmd could not be executed"},
                 {{"no-such-command", NULL}, 127, "No such file"},
                 {{"/etc/passwd", NULL}, 126, "Permission denied"},
                 {{"/tmp", NULL}, 126, "could not be executed"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_launch l;
        struct kw_err err = {.text = ""};
        int code = 0, status = 0;
        launch(&l, cases[i].argv);
        int r = kw_launch_go(&l, &decoys, &code, &err);
        if (cases[i].code == 0 && r != 0)
            fail_msg("%s: %s", cases[i].argv[0], err.text);
        if (cases[i].code != 0 &&
            (r == 0 || code != cases[i].code || strstr(err.text, cases[i].says) == NULL))
            fail_msg("%s: %d, %s", cases[i].argv[0], code, err.text);
        assert_int_equal(waitpid(l.pid, &status, 0), l.pid);
        assert_int_equal(WEXITSTATUS(status), cases[i].code == 0 ? 7 : cases[i].code);
        l.pid = 0;
        kw_launch_abandon(&l);
    }
}

static void what_goes_wrong_before_cmd(void **state)
{
    static const char *const sh[] = {"/bin/sh", NULL};
    static char large[8192];
    struct kw_launch_decoys d = decoys;
    struct kw_launch l;
    struct kw_err err = {.text = ""};
    int code = 0;
    (void)state;
    memset(large, 'x', sizeof large - 1);
    d.token = large;
    launch(&l, sh); /* more than fits is not cut */
    assert_int_equal(kw_launch_go(&l, &d, &code, &err), KW_FAILED);
    kw_launch_abandon(&l);
    (void)snprintf(config.ca_file, sizeof config.ca_file, "/none/ca");
    launch(&l, sh); /* a failure of ours has a code of ours */
    assert_int_equal(kw_launch_go(&l, &decoys, &code, &err), KW_FAILED);
    assert_int_equal(code, 125);
    assert_non_null(strstr(err.text, "/none/ca"));
    kw_launch_abandon(&l);
    config.ca_file[0] = '\0';
    launch(&l, sh);
    assert_int_equal(kill(l.pid, SIGKILL), 0);
    assert_int_equal(waitpid(l.pid, NULL, 0), l.pid);
    l.pid = 0;
    assert_int_not_equal(kw_launch_go(&l, &decoys, &code, &err), 0);
    kw_launch_abandon(&l);
    assert_int_equal(kw_launch_start(&want, &l, &err), 0);
    assert_int_equal(kill(l.pid, SIGSTOP), 0);
    assert_int_equal(kw_launch_ready(&l, kw_now_ms() - 1, &err), KW_FAILED);
    pid_t pid = l.pid;
    kw_launch_abandon(&l);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(l.fd, -1);
    kw_launch_abandon(&l);
}

/* --- the stand-in key ---------------------------------------------------------------------- */

static void keys_are_keys(void **state)
{
    EVP_PKEY *keys[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        keys[i] = kw_launch_key();
        assert_non_null(keys[i]);
        assert_int_equal(EVP_PKEY_get_bits(keys[i]), 2048);
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys[i], NULL);
        assert_int_equal(EVP_PKEY_check(ctx), 1); /* primes, and all else fits them */
        EVP_PKEY_CTX_free(ctx);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_not_equal(EVP_PKEY_eq(keys[i], keys[(i + 1) % 3]), 1);
    for (size_t i = 0; i < 3; i++)
        EVP_PKEY_free(keys[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        TEST(no_credential_goes_on),      TEST(odd_environments),
        TEST(leads_to_the_stand_ins),     TEST(namespaces_are_forbidden),
        TEST(the_network_stays_down),     TEST(what_becomes_of_cmd),
        TEST(what_goes_wrong_before_cmd), TEST(keys_are_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
