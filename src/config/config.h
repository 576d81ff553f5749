/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: INI by libinih, strict (an unknown section or key, a
 * duplicate, or a bad value is an error with file and line), overridden by
 * KEYWARD_SECTION_KEY in the environment for every key that carries no secret.
 * One table in config.c lists every key with its kind, bounds and help text;
 * keyward.ini(5), `keyward --help config` and the parser all come from it.
 */
#ifndef KW_CONFIG_H
#define KW_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pkcs11/uri.h"
#include "src/base/err.h"
#include "src/ipc/messages.h"

#define KW_CLAIM_RULES 32

enum kw_cloud { KW_CLOUD_NONE, KW_CLOUD_OCI, KW_CLOUD_GOOGLE };

enum kw_isolation {                        /* of CMD, under `run` */
                    KW_ISOLATION_REQUIRED, /* namespaces, or nothing is run */
                    KW_ISOLATION_AUTO, /* where they are forbidden: a warning, and loopback of the
                                          host */
                    KW_ISOLATION_OFF,  /* loopback of the host: the decoy is what authenticates */
};

struct kw_claim_rule {
    char claim[128];   /* name of a top-level claim, or a/b for a nested one */
    char values[2048]; /* patterns separated by spaces; * and ? as in glob */
    unsigned line;
};

struct kw_config {
    char path[1024]; /* the file that was read, "" if none */
    int verbosity;   /* from the command line, handed to every role */

    /* [token] */
    struct kw_uri token_uri;
    bool token_set;                /* a URI was given */
    char token_args[512];          /* args: CK_C_INITIALIZE_ARGS.pReserved */
    char token_env[1024];          /* env: names of variables that the module may see */
    uint32_t token_sessions;       /* sessions, default 4 */
    enum kw_network token_network; /* network = deny | local | allow */
    char pin_source[1024]; /* pin_source: fd:N | file:/path | credential:NAME | prompt | protected;
                              overrides the URI's pin-source */

    /* [source] */
    char source_type[32]; /* auto, or a name of source.c's table */
    char source_name[128];
    char source_path[1024];
    char source_command[1024];
    char source_audience[512];
    char source_url[2048];
    char source_field[64];     /* JSON member of the answer; "": the answer is the token */
    char source_headers[2048]; /* lines "name: value\n" */
    char source_bearer[1024];  /* file:/path | fd:N | credential:NAME */
    char source_client_id[256];

    /* [oci NAME]: the one chosen by --profile, else "default", else the only one */
    char profile[65];    /* "" if there are several and none was chosen */
    char profiles[1024]; /* names of all, for messages: "dev, prod" */
    bool oci_set;
    char domain_url[512];
    char client_id[256];
    char client_secret_source[1024]; /* file:/path | fd:N | credential:NAME */
    enum kw_client_auth client_auth; /* client_auth = basic | assertion | signature */
    struct kw_uri client_key;        /* object= and/or id= */
    bool client_key_set;
    bool client_key_admin;    /* `setup oci --admin-key`: it signs an administrator's calls */
    char client_key_id[512];  /* keyId of the API key: tenancy/user/fingerprint */
    char client_key_kid[256]; /* certificate alias for assertions */
    char region[64];
    char tenancy[256];
    enum kw_requested requested;
    char res_type[256];
    uint32_t rpst_exp;
    char oci_rules[8192]; /* rule.NAME: lines NAME=RULE */

    /* [issuer]: the token as identity provider */
    struct kw_uri issuer_key; /* object= and/or id= */
    bool issuer_key_set;
    char issuer_iss[512];
    char issuer_sub[512];
    uint32_t issuer_life;             /* seconds */
    char issuer_claims[KW_LINES / 4]; /* lines "name\tvalue\n" */

    /* [google NAME], beside or instead of [oci NAME] */
    bool google_set;
    char provider[512]; /* resource name of the workload identity provider, as given */
    char service_account[256];
    char delegates[2048]; /* separated by spaces */
    uint32_t lifetime;    /* of the service account's token */
    char scope[2048];     /* separated by spaces */
    char universe[128];
    char quota_project[64];
    char request_reason[256];
    char subject_type[16];  /* jwt | id_token */
    char client_cert[1024]; /* X.509 federation: certificates, leaf first */
    struct kw_uri tls_key;  /* the leaf's key in the token: object= and/or id= */
    bool tls_key_set;
    /* what the provider was created with, for `claims` */
    char attribute_mapping[16384]; /* lines KEY=EXPRESSION */
    char attribute_condition[4096];
    char allowed_audiences[4096]; /* separated by spaces */
    char issuer_uri[512];
    char members[8192]; /* separated by spaces */

    enum kw_cloud cloud; /* which of the profile's a command is for */
    /* From the command line: Google's ID token for this audience instead of an access
     * token ("": no), with the account's e-mail in it. */
    char id_audience[512];
    bool include_email;

    /* [policy NAME]: the one of the profile's name, if there is one */
    bool policy_set;
    char issuer[512];
    char audience[512];
    struct kw_claim_rule rules[KW_CLAIM_RULES];
    size_t n_rules;
    char sign_host[KW_LINES / 4]; /* default: all of the cloud, or both */
    char sign_method[256];        /* default: GET HEAD POST PUT PATCH DELETE */
    char sign_path[KW_LINES / 4]; /* default: any */
    uint32_t sign_per_minute;
    uint32_t sign_max_count;
    char dial[KW_LINES / 4]; /* default: what the profile needs */
    bool dial_default;       /* that default was taken */

    /* [tls] [dial] [audit] [key] [sandbox] */
    char ca_file[1024];
    char resolve[KW_LINES / 4];
    char proxy[512];
    uint32_t timeout_s; /* default 30 */
    char audit_file[1024];
    char audit_key[65];  /* label of a token key that signs the head */
    uint32_t key_bits;   /* default 2048 */
    bool key_stored;     /* storage = token */
    uint32_t key_accept; /* enum kw_accept, or'ed */
    bool best_effort;    /* require = best-effort */

    /* [run] */
    uint32_t isolation;        /* enum kw_isolation */
    char egress[KW_LINES / 4]; /* host-pattern:port that CMD may reach besides; default none */

    /* [agent] */
    char agent_socket[108]; /* where it listens, and where its clients find it; "": no agent */
    char agent_allow[1024]; /* users and @groups */
    uint32_t agent_jobs, agent_user_jobs, agent_spare, agent_grace;
    char agent_profile[65]; /* --profile as given: of the agent's, where there is one */

    /* A client secret given inside a runtimeConfig.ini (--from), else NULL. */
    struct kw_secret *client_secret;
    /* The subject token given inside a runtimeConfig.ini (--from), else NULL. */
    struct kw_secret *subject;
};

/* Finds and reads the configuration. path: --config, or NULL for the search
 * ($KEYWARD_CONFIG, ~/.config/keyward/keyward.ini, /etc/keyward/keyward.ini; never
 * the working directory). profile: --profile, or NULL. A file that was named and
 * isn't there is an error; none found by searching is not. KW_USAGE on error. */
int kw_config_load(struct kw_config *c, const char *path, const char *profile, struct kw_err *err);

/* The same, and the file's text is in *text (made here; the caller frees it), for
 * kw_config_load_text() of another process, which reads it there from fd: the path is only shown,
 * "" where there is no file. So an agent's processes have the configuration that the agent has,
 * whatever becomes of the file. */
int kw_config_load_kept(struct kw_config *c, const char *path, const char *profile,
                        struct kw_buf *text, struct kw_err *err);
int kw_config_load_text(struct kw_config *c, int fd, const char *path, const char *profile,
                        struct kw_err *err);

/* Reads the Python scripts' runtimeConfig.ini over *c (facts: iam_guid is the
 * domain's base URL): domain_url, client_id, client secret, subject token. */
int kw_config_from(struct kw_config *c, const char *path, struct kw_err *err);

/* Every section and key with its meaning, from the same table as the parser. */
void kw_config_print_help(FILE *out);
void kw_config_print_man(FILE *out); /* keyward.ini(5) */

/* Was a profile chosen (or is there none to choose)? Else KW_USAGE listing them. For
 * whatever depends on the profile's policy. */
int kw_config_check_profile(const struct kw_config *c, struct kw_err *err);

/* Which cloud of the profile a command is for: the one named ("oci", "google"; NULL: the
 * only one). Fills c->cloud; KW_USAGE where there are two and none was named. Of a profile
 * with both, sign_host and the default of dial are left with what is that cloud's: a run
 * with a bearer has no business at OCI's hosts, nor one with a session key at Google's. */
int kw_config_choose_cloud(struct kw_config *c, const char *name, struct kw_err *err);

/* Only what is named, for a profile that is the agent's: c->cloud stays NONE for NULL. */
int kw_config_cloud_named(struct kw_config *c, const char *name, struct kw_err *err);

/* The same as the first by the host of a URL that is to be called: one of Google's, or OCI's. */
int kw_config_cloud_of_host(struct kw_config *c, const char *host, struct kw_err *err);

/* Is the host (or the pattern "*.domain") one of Google's services? */
bool kw_config_googles(const struct kw_config *c, const char *host);

/* What an exchange with Google needs is there, and names are of the right shape? */
int kw_config_check_google(const struct kw_config *c, struct kw_err *err);

/* What issuing a JWT needs is there? */
int kw_config_check_issuer(const struct kw_config *c, struct kw_err *err);

/* Appends a claim to lines as struct kw_m_issue has them; the reason why not, or NULL. */
const char *kw_claim_add(char *lines, size_t size, const char *name, const char *value);

/* What the subject token's audience should be: [source] audience, else the target's own
 * (the identity domain; the provider's https form). "" where nothing says it. */
void kw_config_audience(const struct kw_config *c, char *out, size_t size);

/* What `exchange` needs is there? KW_USAGE naming the missing key otherwise. */
int kw_config_check_oci(const struct kw_config *c, struct kw_err *err);

void kw_config_free(struct kw_config *c);

#endif
