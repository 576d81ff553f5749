/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of keyward-lab; help.c prints the table.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

enum option_id {
    OPT_DIR = 256,
    OPT_PORT,
    OPT_READY_FD,
    OPT_READY_FILE,
    OPT_REGION,
    OPT_ISSUER,
    OPT_DOMAIN,
    OPT_UNIVERSE,
    OPT_TENANCY,
    OPT_CLIENT_ID,
    OPT_RES_TYPE,
    OPT_AUDIENCE,
    OPT_RULE,
    OPT_API_KEY,
    OPT_ASSERTION,
    OPT_TRUST,
    OPT_ANCHOR,
    OPT_PROVIDER,
    OPT_CLAIM,
    OPT_SUBJECT_LIFE,
    OPT_SESSION_LIFE,
    OPT_SKEW,
    OPT_MAX_BODY,
    OPT_MAX_CONNS,
    OPT_FAULT,
    OPT_BARE,
    OPT_DIE,
    OPT_MAN,
};

/* One table for getopt_long, --help and the man page. */
const struct lab_option lab_option_table[] = {
    {"dir", "DIR", "where its files go (made if absent, mode 0700); required", OPT_DIR},
    {"port", "N", "port on 127.0.0.1; 0, the default, takes any", OPT_PORT},
    {"ready-fd", "N", "writes \"READY PORT\\n\" to descriptor N once it serves", OPT_READY_FD},
    {"ready-file", "FILE", "makes FILE with the same line once it serves", OPT_READY_FILE},
    {"region", "NAME", "region in the vendor's host names (us-lab-1)", OPT_REGION},
    {"issuer", "https://HOST", "issuer of subject tokens (https://token.actions.lab.test)",
     OPT_ISSUER},
    {"domain-host", "HOST", "identity domain (idcs-lab.identity.oraclecloud.com)", OPT_DOMAIN},
    {"universe", "DOMAIN", "domain of Google's services (googleapis.com)", OPT_UNIVERSE},
    {"tenancy", "OCID", "tenancy (ocid1.tenancy.oc1..aaaaaaaakeywardlab)", OPT_TENANCY},
    {"client-id", "ID", "OAuth client that may exchange (keyward-lab-client)", OPT_CLIENT_ID},
    {"res-type", "NAME", "the trust's impersonating resource, for RPST (labworkload)",
     OPT_RES_TYPE},
    {"audience", "AUD",
     "audience that the trust accepts; repeatable (the domain's URL and "
     "https://cloud.oracle.com)",
     OPT_AUDIENCE},
    {"rule", "RULE",
     "\"CLAIM eq|co VALUE [=> USER]\"; repeatable, first match wins; USER is "
     "ci-deployer, or human, who is no service user "
     "(\"sub eq repo:keyward/demo:*\")",
     OPT_RULE},
    {"api-key", "KEYID=FILE", "PEM public key of an API key; KEYID is tenancy/user/fingerprint",
     OPT_API_KEY},
    {"assertion-key", "ALIAS=FILE", "PEM certificate or public key for client assertions, by kid",
     OPT_ASSERTION},
    {"google-anchor", "FILE", "PEM root of the client certificates that Google's provider trusts",
     OPT_ANCHOR},
    {"google-provider", "FILE",
     "provider lab-ci, as `gcloud iam workload-identity-pools providers describe --format=json` "
     "prints one; read anew for each exchange",
     OPT_PROVIDER},
    {"trust", "ISSUER=FILE", "also believe ISSUER, with the JWK set in FILE", OPT_TRUST},
    {"claim", "NAME=VALUE",
     "claim of the subject tokens; VALUE is text, or json:... ; json:null "
     "takes it away",
     OPT_CLAIM},
    {"subject-life", "SECONDS", "life of subject tokens (300)", OPT_SUBJECT_LIFE},
    {"session-life", "SECONDS", "longest life of a UPST (3600; never beyond the subject token)",
     OPT_SESSION_LIFE},
    {"trust-skew", "SECONDS", "clock skew that the trust forgives (60)", OPT_SKEW},
    {"max-body", "BYTES", "largest request body (67108864)", OPT_MAX_BODY},
    {"max-connections", "N", "at once, 1 to 256 (128)", OPT_MAX_CONNS},
    {"fault", "SPEC", "something that goes wrong; repeatable, see below", OPT_FAULT},
    {"bare", NULL,
     "nothing is set up: no client, trust, provider, grant or enabled API but those that are "
     "made by the administration's requests",
     OPT_BARE},
    {"die-with-parent", NULL, "end when the process that started it does", OPT_DIE},
    {"verbose", NULL, "one line a request on standard error", 'v'},
    {"help", NULL, "this text", 'h'},
    {"man", NULL, "the same as a man page", OPT_MAN},
    {NULL, NULL, NULL, 0},
};
enum { N_OPTIONS = sizeof lab_option_table / sizeof lab_option_table[0] - 1 };

static int usage(struct kw_err *err, const char *name, const char *value)
{
    return kw_fail(err, KW_USAGE, "--%s: bad or too many values: \"%s\"; see --help", name, value);
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (*text == 0 || strlen(text) > 15 || strspn(text, "0123456789") != strlen(text))
        return false;
    *ret = strtoull(text, NULL, 10);
    return *ret >= min && *ret <= max;
}

/* NAME=PATH, cut at the last `=`: base64 padding or a URL's query may come before. */
static bool named_file(struct lab_named_file *list, size_t *n, const char *text)
{
    const char *eq = strrchr(text, '=');
    if (*n == LAB_KEYS || eq == NULL || eq == text || eq[1] == 0 ||
        (size_t)(eq - text) >= sizeof list->name)
        return false;
    memcpy(list[*n].name, text, (size_t)(eq - text));
    list[*n].name[eq - text] = 0;
    list[*n].path = eq + 1;
    ++*n;
    return true;
}

static bool strings(const char **list, size_t *n, size_t max, const char *text)
{
    if (*n == max)
        return false;
    list[(*n)++] = text;
    return true;
}

static bool claim(json_t *claims, const char *text)
{
    const char *eq = strchr(text, '=');
    if (eq == NULL || eq == text)
        return false;
    char *name = strndup(text, (size_t)(eq - text));
    json_t *value = strncmp(eq + 1, "json:", 5) == 0
                        ? json_loads(eq + 6, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL)
                        : json_string(eq + 1);
    bool ok = name != NULL && value != NULL && json_object_set(claims, name, value) == 0;
    json_decref(value);
    free(name);
    return ok;
}

static bool take_number(struct lab_options *o, int id, const char *v)
{
    uint64_t n;
    switch (id) {
    case OPT_PORT:
        return number(v, 0, 65535, &n) && ((o->port = (unsigned)n), true);
    case OPT_READY_FD:
        return number(v, 0, 1023, &n) && ((o->ready_fd = (int)n), true);
    case OPT_SUBJECT_LIFE:
        return number(v, 1, 86400, &n) && ((o->subject_life = (unsigned)n), true);
    case OPT_SESSION_LIFE:
        return number(v, 1, 86400, &n) && ((o->session_life = (unsigned)n), true);
    case OPT_SKEW:
        return number(v, 0, 3600, &n) && ((o->trust_skew = (unsigned)n), true);
    case OPT_MAX_BODY:
        return number(v, 1, 256u << 20, &o->max_body);
    case OPT_MAX_CONNS:
        return number(v, 1, 256, &n) && ((o->max_conns = (unsigned)n), true);
    default:
        return false;
    }
}

static const char **text_slot(struct lab_options *o, int id)
{
    switch (id) {
    case OPT_DIR:
        return &o->dir;
    case OPT_READY_FILE:
        return &o->ready_file;
    case OPT_REGION:
        return &o->region;
    case OPT_ISSUER:
        return &o->issuer;
    case OPT_DOMAIN:
        return &o->domain_host;
    case OPT_UNIVERSE:
        return &o->universe;
    case OPT_TENANCY:
        return &o->tenancy;
    case OPT_CLIENT_ID:
        return &o->client_id;
    case OPT_RES_TYPE:
        return &o->res_type;
    default:
        return NULL;
    }
}

static bool take(struct lab_options *o, int id, const char *v)
{
    const char **slot = text_slot(o, id);
    if (slot != NULL) {
        *slot = v;
        return v[0] != 0;
    }
    switch (id) {
    case OPT_AUDIENCE:
        return strings(o->audience, &o->n_audience, LAB_AUDIENCES, v);
    case OPT_RULE:
        return strings(o->rule, &o->n_rule, LAB_RULES, v);
    case OPT_FAULT:
        return strings(o->fault, &o->n_fault, LAB_FAULT_ARGS, v);
    case OPT_API_KEY:
        return named_file(o->api_key, &o->n_api_key, v);
    case OPT_ASSERTION:
        return named_file(o->assertion_key, &o->n_assertion_key, v);
    case OPT_PROVIDER:
        return (o->google_provider = v) != NULL;
    case OPT_ANCHOR:
        return (o->google_anchor = v) != NULL;
    case OPT_TRUST:
        return named_file(o->trust, &o->n_trust, v);
    case OPT_CLAIM:
        return claim(o->claims, v);
    case OPT_BARE:
        return (o->bare = true);
    case OPT_DIE:
        return (o->die_with_parent = true);
    case 'v':
        return (o->verbose = true);
    case 'h':
        return (o->help = true);
    case OPT_MAN:
        return (o->man = true);
    default:
        return take_number(o, id, v);
    }
}

int lab_options_parse(int argc, char **argv, struct lab_options *o, struct kw_err *err)
{
    struct option table[N_OPTIONS + 1] = {{0}};
    *o = (struct lab_options){.ready_fd = -1,
                              .region = "us-lab-1",
                              .issuer = "https://token.actions.lab.test",
                              .domain_host = "idcs-lab.identity.oraclecloud.com",
                              .universe = "googleapis.com",
                              .tenancy = "ocid1.tenancy.oc1..aaaaaaaakeywardlab",
                              .client_id = "keyward-lab-client",
                              .res_type = "labworkload",
                              .subject_life = 300,
                              .session_life = 3600,
                              .trust_skew = 60,
                              .max_conns = 128,
                              .max_body = 64u << 20,
                              .claims = json_object()};
    for (size_t i = 0; i < N_OPTIONS; i++)
        table[i] = (struct option){lab_option_table[i].name,
                                   lab_option_table[i].argument != NULL ? required_argument : 0,
                                   NULL, lab_option_table[i].id};
    int id, at = 0;
    opterr = 0;
    while ((id = getopt_long(argc, argv, "+vh", table, &at)) != -1) {
        if (id == '?')
            return kw_fail(err, KW_USAGE, "unknown option or missing value: %s; see --help",
                           argv[optind - 1]);
        if (!take(o, id, optarg))
            return usage(err, table[at].name, optarg);
    }
    if (o->help || o->man)
        return 0;
    if (optind < argc)
        return kw_fail(err, KW_USAGE, "unexpected argument: %s; see --help", argv[optind]);
    if (o->dir == NULL)
        return kw_fail(err, KW_USAGE, "--dir is required; see --help");
    return 0;
}
