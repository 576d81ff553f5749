/* SPDX-License-Identifier: Apache-2.0
 *
 * Every configuration key, once: the parser, the environment overrides, `--help
 * config` and keyward.ini(5) are made from this table.
 */
#include "config_keys.h"

#include <stdio.h>
#include <string.h>

static const struct kw_choice source_types[] = {
    {"auto", 0},      {"file", 0},          {"env", 0},        {"command", 0},  {"url", 0},
    {"stdin", 0},     {"github", 0},        {"gitlab", 0},     {"circleci", 0}, {"bitbucket", 0},
    {"buildkite", 0}, {"hcp-terraform", 0}, {"kubernetes", 0}, {"jenkins", 0},  {"azure", 0},
    {"gce", 0},       {"token", 0},         {NULL, 0}};
static const struct kw_choice client_auths[] = {{"basic", KW_AUTH_BASIC},
                                                {"signature", KW_AUTH_SIGNATURE},
                                                {"assertion", KW_AUTH_ASSERTION},
                                                {NULL, 0}};
static const struct kw_choice requesteds[] = {{"upst", KW_UPST}, {"rpst", KW_RPST}, {NULL, 0}};
static const struct kw_choice subject_types[] = {{"jwt", 0}, {"id_token", 0}, {NULL, 0}};
static const struct kw_choice bits[] = {{"2048", 2048}, {"3072", 3072}, {"4096", 4096}, {NULL, 0}};
static const struct kw_choice storages[] = {{"session", false}, {"token", true}, {NULL, 0}};
static const struct kw_choice networks[] = {
    {"deny", KW_REACH_NONE}, {"local", KW_REACH_LOCAL}, {"allow", KW_REACH_TCP}, {NULL, 0}};
static const struct kw_choice isolations[] = {{"required", KW_ISOLATION_REQUIRED},
                                              {"auto", KW_ISOLATION_AUTO},
                                              {"off", KW_ISOLATION_OFF},
                                              {NULL, 0}};
static const struct kw_choice requires[] = {{"all", false}, {"best-effort", true}, {NULL, 0}};
static const struct kw_choice accepts[] = {{"extractable", KW_ACCEPT_EXTRACTABLE},
                                           {"modifiable", KW_ACCEPT_MODIFIABLE},
                                           {"not-local", KW_ACCEPT_NOT_LOCAL},
                                           {"public", KW_ACCEPT_PUBLIC},
                                           {NULL, 0}};

/* clang-format off */
#define FIELD(f) offsetof(struct kw_config, f), sizeof(((struct kw_config *)NULL)->f)
#define TEXT(section, name, kind, field, dflt, help) \
    {section, name, kind, FIELD(field), 0, 0, NULL, dflt, true, help}
#define NAMED(section, name, field, help) \
    {section, name, KW_K_NAMED, FIELD(field), 0, 0, NULL, NULL, false, help}
#define CHOICE(section, name, kind, field, choices, dflt, help) \
    {section, name, kind, FIELD(field), 0, 0, choices, dflt, true, help}
#define NUMBER(section, name, field, min, max, dflt, help) \
    {section, name, KW_K_U32, FIELD(field), min, max, NULL, dflt, true, help}

const struct kw_key kw_keys[] = {
    TEXT("token", "uri", KW_K_TOKEN, token_uri, NULL,
         "PKCS#11 URI (RFC 7512) of the token: token= or serial=, module-path=, and optionally "
         "pin-source=file:/path. Its path attributes are joined by ';' without spaces."),
    TEXT("token", "args", KW_K_WORDS, token_args, NULL,
         "what the module gets as CK_C_INITIALIZE_ARGS.pReserved. NSS wants the directory of its "
         "database there: configdir='sql:/path' flags=readWrite"),
    TEXT("token", "env", KW_K_NAMES, token_env, NULL,
         "names of further environment variables that the module may see"),
    NUMBER("token", "sessions", token_sessions, 1, 64, "4",
           "PKCS#11 sessions that sign in parallel"),
    CHOICE("token", "network", KW_K_CHOICE, token_network, networks, "deny",
           "what the module may reach: nothing; daemons on this machine (pcscd, p11-kit, "
           "tpm2-abrmd); or an HSM in the network by TCP"),
    TEXT("token", "pin_source", KW_K_PIN, pin_source, NULL,
         "where the PIN is read, instead of the URI's pin-source: fd:N, file:/path, "
         "credential:NAME (systemd), prompt, or protected (the token's own PIN pad)"),

    CHOICE("source", "type", KW_K_CHOICE, source_type, source_types, "auto",
           "where the subject token comes from. auto: what path, name, command or url says, else "
           "the CI system (or pod of Kubernetes) that this job is of"),
    TEXT("source", "path", KW_K_PATH, source_path, NULL,
         "file, kubernetes, jenkins: holds the subject token; read anew each time"),
    TEXT("source", "name", KW_K_NAME, source_name, NULL,
         "env, gitlab, jenkins: the variable that holds the subject token; hcp-terraform: the "
         "token's tag"),
    TEXT("source", "url", KW_K_WORD, source_url, NULL,
         "url: asked by GET for the subject token; https, or http to this machine and to clouds' "
         "metadata services"),
    TEXT("source", "field", KW_K_WORD, source_field, NULL,
         "url: member of the JSON answer that is the token; without it the answer is the token"),
    {"source", "header.", KW_K_HEADER, FIELD(source_headers), 0, 0, NULL, NULL, false,
     "url: header.NAME = VALUE is sent with it (nothing secret: see bearer_source)"},
    TEXT("source", "bearer_source", KW_K_SECRET, source_bearer, NULL,
         "url: where the bearer to send is read: file:/path, fd:N or credential:NAME"),
    TEXT("source", "client_id", KW_K_WORD, source_client_id, NULL,
         "azure: the user-assigned identity, where a machine has several"),
    TEXT("source", "command", KW_K_COMMAND, source_command, NULL,
         "command: run by sh -c, prints the subject token on standard output"),
    TEXT("source", "audience", KW_K_WORD, source_audience, NULL,
         "audience asked for where the source lets one ask; otherwise the target's own"),

    TEXT("oci", "domain_url", KW_K_ORIGIN, domain_url, NULL,
         "the identity domain, https://idcs-....identity.oraclecloud.com"),
    TEXT("oci", "client_id", KW_K_WORD, client_id, NULL,
         "OAuth client that the domain's trust allows to exchange"),
    TEXT("oci", "client_secret_source", KW_K_SECRET, client_secret_source, NULL,
         "where the client's secret is read: file:/path, fd:N or credential:NAME"),
    CHOICE("oci", "client_auth", KW_K_CHOICE, client_auth, client_auths, "basic",
           "how the exchange is authenticated: basic (client secret), signature (request signed "
           "by an API key in the token), assertion (JWT signed in the token; experimental)"),
    TEXT("oci", "client_key", KW_K_OBJECT, client_key, NULL,
         "PKCS#11 URI with object= or id= of the key for signature or assertion"),
    TEXT("oci", "client_key_id", KW_K_WORD, client_key_id, NULL,
         "signature: keyId of that API key, tenancy/user/fingerprint"),
    TEXT("oci", "client_key_kid", KW_K_WORD, client_key_kid, NULL,
         "assertion: alias of the client's certificate in the domain"),
    TEXT("oci", "region", KW_K_WORD, region, NULL, "region, for example eu-frankfurt-1"),
    TEXT("oci", "tenancy", KW_K_WORD, tenancy, NULL, "OCID of the tenancy"),
    CHOICE("oci", "requested", KW_K_CHOICE, requested, requesteds, "upst",
           "the session token asked for: of a user (upst) or of a resource (rpst)"),
    TEXT("oci", "res_type", KW_K_WORD, res_type, NULL,
         "rpst: the trust's impersonatingResource"),
    NUMBER("oci", "rpst_exp", rpst_exp, 1, 43200, NULL, "rpst: lifetime asked for, seconds"),
    NAMED("oci", "rule.", oci_rules,
          "rule.NAME = CLAIM eq VALUE: the trust's impersonation rules, in its order, for keyward "
          "claims to say which one would match; NAME is yours"),


    TEXT("issuer", "key", KW_K_OBJECT, issuer_key, NULL,
         "PKCS#11 URI with object= or id= of a lasting key in the token (RSA, or EC on P-256) that "
         "signs JWTs: keyward issue, and [source] type = token"),
    TEXT("issuer", "iss", KW_K_WORD, issuer_iss, NULL,
         "iss of the JWTs, as the clouds know it (an https URL, which need not answer where its "
         "key set is uploaded)"),
    TEXT("issuer", "sub", KW_K_WORD, issuer_sub, NULL, "sub of the JWTs"),
    NUMBER("issuer", "lifetime", issuer_life, 60, 3600, "300", "life of the JWTs, seconds, at most"),
    {"issuer", "claim.", KW_K_SAY, FIELD(issuer_claims), 0, 0, NULL, NULL, false,
     "claim.NAME = VALUE: a further claim of the JWTs (text)"},

    TEXT("google", "provider", KW_K_WORD, provider, NULL,
         "the workload identity provider's full resource name, from projects/NUMBER/ to "
         "/providers/PROVIDER"),
    TEXT("google", "service_account", KW_K_WORD, service_account, NULL,
         "e-mail of the service account to impersonate; without it the federated token is used "
         "directly"),
    TEXT("google", "delegates", KW_K_WORDS, delegates, NULL,
         "service accounts through which the impersonation goes, in their order"),
    NUMBER("google", "lifetime", lifetime, 60, 43200, "3600",
           "lifetime asked for the service account's token, seconds; over 3600 only where an "
           "organisation policy allows it, below 600 not in an external account file"),
    TEXT("google", "scope", KW_K_WORDS, scope, "https://www.googleapis.com/auth/cloud-platform",
         "OAuth scopes of the token"),
    TEXT("google", "universe", KW_K_HOSTS, universe, "googleapis.com",
         "domain of the services, for other universes than Google's public one"),
    TEXT("google", "quota_project", KW_K_WORD, quota_project, NULL,
         "project that calls are counted for (x-goog-user-project)"),
    TEXT("google", "request_reason", KW_K_COMMAND, request_reason, NULL,
         "reason that Google's audit logs show (x-goog-request-reason)"),
    CHOICE("google", "subject_type", KW_K_CHOICE, subject_type, subject_types, "jwt",
           "what the subject token is called towards the token service"),

    TEXT("google", "client_cert", KW_K_PATH, client_cert, NULL,
         "X.509 federation instead of a JWT: PEM file with the client certificate (EC P-256), "
         "then the intermediates that the provider hasn't"),
    TEXT("google", "client_key", KW_K_OBJECT, tls_key, NULL,
         "PKCS#11 URI with object= or id= of that certificate's key in the token"),
    NAMED("google", "attribute_mapping.", attribute_mapping,
          "attribute_mapping.KEY = EXPRESSION: the provider's attribute mapping, for keyward claims "
          "to evaluate; for example attribute_mapping.google.subject = assertion.sub"),
    TEXT("google", "attribute_condition", KW_K_TEXT, attribute_condition, NULL,
         "the provider's attribute condition, for keyward claims to evaluate"),
    TEXT("google", "allowed_audiences", KW_K_WORDS, allowed_audiences, NULL,
         "the provider's allowed audiences; without it only its own name is one"),
    TEXT("google", "issuer_uri", KW_K_WORD, issuer_uri, NULL, "the provider's issuer URI"),
    TEXT("google", "members", KW_K_WORDS, members, NULL,
         "members of IAM policies, principal:// or principalSet://, for keyward claims to say "
         "which would match"),

    TEXT("policy", "issuer", KW_K_WORD, issuer, NULL, "exact iss of the subject token"),
    TEXT("policy", "audience", KW_K_WORD, audience, NULL, "one exact aud of the subject token"),
    {"policy", "claim.", KW_K_CLAIM, FIELD(rules), 0, 0, NULL, NULL, false,
     "claim.NAME = PATTERN ...: the claim must match one of the patterns (* any run of bytes, "
     "? one byte); a/b is member b of claim a. Prefer numeric ids such as claim.repository_id"},
    TEXT("policy", "sign.host", KW_K_HOSTS, sign_host, NULL,
         "hosts that requests are signed for and bearers sent to; without it *.oraclecloud.com "
         "for [oci], *.googleapis.com (the universe) for [google]. In a profile with both, each "
         "cloud's run has its own only: Google's those in the universe, OCI's the others"),
    TEXT("policy", "sign.method", KW_K_METHODS, sign_method, "GET HEAD POST PUT PATCH DELETE",
         "methods that are signed"),
    TEXT("policy", "sign.path", KW_K_PATHS, sign_path, NULL,
         "patterns of the paths that are signed; without it any"),
    NUMBER("policy", "sign.per_minute", sign_per_minute, 1, 1000000, NULL,
           "most signatures a minute"),
    NUMBER("policy", "sign.max_count", sign_max_count, 1, 1000000000, NULL,
           "most signatures of a session"),
    TEXT("policy", "dial", KW_K_DIAL, dial, NULL,
         "host:port pairs that may be connected to; without it what the profile needs"),

    TEXT("tls", "ca_file", KW_K_PATH, ca_file, NULL,
         "PEM file with roots trusted besides the system's"),
    TEXT("dial", "resolve", KW_K_RESOLVE, resolve, NULL,
         "host:port:address:port ...: connect to address:port for host:port (an IPv6 address in "
         "brackets); TLS still demands host's certificate"),
    TEXT("dial", "proxy", KW_K_PROXY, proxy, NULL, "http://host:port of a CONNECT proxy"),
    NUMBER("dial", "timeout", timeout_s, 1, 600, "30",
           "seconds for all work on one call, retries included"),
    TEXT("audit", "file", KW_K_PATH, audit_file, NULL, "audit log; without it none is written"),
    TEXT("audit", "key", KW_K_WORD, audit_key, NULL,
         "label of a token key that signs the log's head; without it the session key does"),
    CHOICE("key", "bits", KW_K_CHOICE, key_bits, bits, "2048", "size of the RSA session key"),
    CHOICE("key", "storage", KW_K_CHOICE, key_stored, storages, "session",
           "session: the key ends with the process; token: it is kept in the token until the "
           "session expires, so that later commands can use it"),
    CHOICE("key", "accept", KW_K_FLAGS, key_accept, accepts, NULL,
           "weaknesses of the token that you accept"),
    CHOICE("run", "isolation", KW_K_CHOICE, isolation, isolations, "required",
           "required: CMD gets a network, mount and user namespace of its own, or isn't run; auto: "
           "where the system forbids them, a warning; off: none"),
    TEXT("run", "egress", KW_K_DIAL, egress, NULL,
         "host:port pairs that CMD may reach besides, passed on untouched; without it none"),
    TEXT("agent", "socket", KW_K_PATH, agent_socket, NULL,
         "UNIX socket of the agent. run, request and sign take its sessions, and need no token, "
         "PIN or client secret; the agent listens there unless systemd gives it a socket. In /run, or "
         "in a folder with nothing else: run hides it from CMD"),
    TEXT("agent", "allow", KW_K_WORDS, agent_allow, NULL,
         "agent: users and @groups that are served; without it all whom the socket's permissions "
         "let connect"),
    NUMBER("agent", "jobs", agent_jobs, 1, 200, "16", "agent: jobs that are served at once"),
    NUMBER("agent", "user_jobs", agent_user_jobs, 0, 200, "0",
           "agent: jobs of one user that are served at once; 0: as many as of all"),
    NUMBER("agent", "spare", agent_spare, 0, 8, "1",
           "agent: processes that are kept ready for the next job, logged in and with a key"),
    NUMBER("agent", "grace", agent_grace, 0, 86400, "30",
           "agent: seconds that jobs get to end in, when it is stopped"),
    CHOICE("sandbox", "require", KW_K_CHOICE, best_effort, requires, "all",
           "whether a fence that this kernel lacks is an error (all) or a warning (best-effort)"),
    {NULL, NULL, KW_K_WORD, 0, 0, 0, 0, NULL, NULL, false, NULL},
};
/* clang-format on */

const struct kw_key *kw_key_find(const char *section, const char *name)
{
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        size_t n = strlen(k->name);
        bool prefix = k->name[n - 1] == '.';
        if (strcmp(k->section, section) == 0 &&
            (prefix ? strncmp(k->name, name, n) == 0 && name[n] != '\0'
                    : strcmp(k->name, name) == 0))
            return k;
    }
    return NULL;
}

bool kw_section_known(const char *section)
{
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++)
        if (strcmp(k->section, section) == 0)
            return true;
    return false;
}

bool kw_section_named(const char *section)
{
    return strcmp(section, "oci") == 0 || strcmp(section, "google") == 0 ||
           strcmp(section, "policy") == 0;
}

const char *kw_key_cure(const char *name)
{
    static const struct {
        const char *name, *cure;
    } cures[] = {
        {"client_secret", "a secret doesn't belong here: put it into a file of mode 0600 and name "
                          "that as client_secret_source = file:/path"},
        {"pin", "a PIN doesn't belong here: name where it is read as pin_source = file:/path"},
        {"subject_token", "a token doesn't belong here: name its file as path = /path"},
        {"key_file", "keyward takes no key files: the key is made in the PKCS#11 token"},
        {"private_key", "keyward takes no private keys: the key is made in the PKCS#11 token"},
        {"passphrase", "keyward takes no key files, so there is no passphrase"},
    };
    static const struct {
        const char *other, *name;
    } same[] = {{"secret", "client_secret"},
                {"password", "client_secret"},
                {"oauthclientsecret", "client_secret"},
                {"pin_value", "pin"},
                {"pin-value", "pin"},
                {"user_pin", "pin"},
                {"token", "subject_token"},
                {"jwt", "subject_token"},
                {"subjecttoken", "subject_token"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (strcmp(same[i].other, name) == 0)
            name = same[i].name;
    for (size_t i = 0; i < sizeof cures / sizeof cures[0]; i++)
        if (strcmp(cures[i].name, name) == 0)
            return cures[i].cure;
    return NULL;
}

bool kw_key_variable(const char *section, const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, "KEYWARD_%s_%s", section, name);
    if (n < 0 || (size_t)n >= size)
        return false;
    for (char *p = out; *p != '\0'; p++) {
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - ('a' - 'A'));
        else if (*p == '.')
            *p = '_';
    }
    return true;
}
