/* SPDX-License-Identifier: Apache-2.0
 *
 * What keyward-lab says of itself: --help and keyward-lab(1), from the same tables. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"
#include "src/cli/roff.h"

struct line {
    const char *tag, *text;
};

static const char PURPOSE[] = "a local cloud to rehearse and test keyward against";
static const char USAGE[] = "keyward-lab --dir DIR [OPTION...]";
static const char INTRO[] =
    "keyward-lab plays, over TLS on 127.0.0.1 with a CA of its own: a GitHub-like OIDC issuer,\n"
    "an OCI identity domain's token endpoint, and OCI Object Storage, Identity and Core, which\n"
    "verify every request signature; Google's Security Token Service, IAM Credentials, Compute\n"
    "and Storage; metadata services; and the administration of both clouds, as far as setting "
    "them\n"
    "up needs it. Nothing leaves this machine and nothing it issues is\n"
    "worth anything elsewhere.";
static const char FAULT_FORM[] =
    "KIND[=VALUE][,count=N][,skip=N][,path=GLOB][,host=GLOB][,method=M]";
static const char FAULTS[] =
    "For every matching request, or the next N only, after letting `skip` pass; M is a GLOB,\n"
    "too. Of faults of\n"
    "the same kind the first counts until it is spent. jwk-* and token-* meet the token\n"
    "endpoint only, jwt-* the issuer's /token-request only; denied, lro-polls, spread and clock\n"
    "hold for all. Also at run time, by /lab/faults.";
static const char PATHS_ARE[] =
    "in DIR; whole before it is ready; those with secrets have mode 0600";
static const struct line PATHS[] = {
    {"ca.pem, ca.key", "its CA, reused at the next start; trust ca.pem in tests only"},
    {"client-secret", "OAuth client secret"},
    {"request-token", "value for ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
    {"control-token", "bearer token of /lab/..."},
    {"google-admin-token", "bearer token of Google's administrator"},
    {"control.curl", "`curl -K` configuration with CA and control token"},
    {"lab.env", "LAB_... variables for a shell: `. DIR/lab.env`"},
    {"keyward.ini", "configuration for keyward: add a [token] section, use --profile lab"},
    {NULL, NULL}};
static const char CONTROL_IS[] = "curl -K DIR/control.curl $LAB_CONTROL_URL/...; JSON answers";
static const struct line CONTROL[] = {
    {"GET|DELETE log", "requests received: names signed, signing string, verdict"},
    {"GET|POST|DELETE faults", "POST: one SPEC a line"},
    {"GET|POST|DELETE claims", "POST: JSON object merged over the claims, null removes"},
    {"GET state", "counts"},
    {"GET mint?shape=SHAPE&audience=A[&expired=yes]",
     "such a token; SHAPE: gitlab circleci bitbucket buildkite hcp-terraform jenkins kubernetes "
     "azure gce"},
    {"POST reset", "all back as after the start; objects and what was set up, too"},
    {NULL, NULL}};
static const char HOSTS_ARE[] = "reach them by keyward's [dial] resolve, or curl --connect-to";
static const struct line HOSTS[] = {
    {"ISSUER", "/.well-known/openid-configuration, /.well-known/jwks, and "
               "/token-request?...&audience=A with Authorization: bearer REQUEST-TOKEN"},
    {"DOMAIN", "POST /oauth2/v1/token (exchange, client_credentials); below /admin/v1 Apps, "
               "AppRoles, AppStatusChanger, AppClientSecretRegenerator, Grants, Users, Groups, "
               "IdentityPropagationTrusts, OAuthClientCertificates: by an --api-key's signature or "
               "an access token of an app with the role; rights: Apps.create, .read, .update, "
               ".delete and so on"},
    {"objectstorage.REGION.oraclecloud.com",
     "/n/, /n/NS/b/BUCKET, /n/NS/b/BUCKET/o, /n/NS/b/BUCKET/o/OBJECT (also with a Range), "
     "/n/NS/b/BUCKET/u, /n/NS/b/BUCKET/u/OBJECT, POST /n/NS/b/BUCKET/actions/renameObject"},
    {"identity.REGION.oci.oraclecloud.com, identity.REGION.oraclecloud.com",
     "/20160918/compartments?compartmentId=OCID, /20160918/policies, by which users that were "
     "made in the domain may; rights: policies.create and so on"},
    {"iaas.REGION.oraclecloud.com", "/20160918/vcns?compartmentId=OCID"},
    {"sts.UNIVERSE, sts.mtls.UNIVERSE",
     "POST /v1/token, /v1/introspect; providers lab-ci (ISSUER), lab-hsm (the first --trust), "
     "lab-x509, and lab-SHAPE"},
    {"iamcredentials.UNIVERSE",
     ":generateAccessToken, :generateIdToken of deployer (the pool may), deep (deployer may), "
     "reader (nobody may)"},
    {"iam.UNIVERSE",
     "workloadIdentityPools with providers (oidc, x509) and operations, serviceAccounts with their "
     "IAM policies; rights: iam.workloadIdentityPools.create and so on"},
    {"serviceusage.UNIVERSE, cloudresourcemanager.UNIVERSE",
     "the APIs of lab-project; its number and IAM policy"},
    {"compute.UNIVERSE, storage.UNIVERSE",
     "instances of lab-project; hello.txt in lab-bucket, by the bucket's IAM policy, which is at "
     "/storage/v1/b/lab-bucket/iam"},
    {"169.254.169.254, metadata.google.internal", "plain HTTP, on a port of their own"},
    {NULL, NULL}};
static const char DOORS[] =
    "Host and TLS server name must agree (421). Four more ports (in lab.env) serve the same\n"
    "with TLS 1.1 at most, an expired certificate, one for another host, a self-signed one.";
static const char ENDS[] =
    "Ends on SIGTERM or SIGINT with exit code 0; 2: usage, 1: other failures.";

static const char *option_name(const struct lab_option *o, char *text, size_t size)
{
    (void)snprintf(text, size, "--%s%s%s", o->name, o->argument != NULL ? " " : "",
                   o->argument != NULL ? o->argument : "");
    return text;
}

/* "drip=MS" and what it does: the form of its value is in front of the help. */
static const char *fault_name(enum lab_fault k, char *text, size_t size, const char **ret_help)
{
    const char *help = lab_fault_help(k), *colon = strchr(help, ':');
    size_t n = (help[0] == '=' || help[0] == '[') && colon != NULL ? (size_t)(colon - help) : 0;
    (void)snprintf(text, size, "%s%.*s", lab_fault_name(k), (int)n, help);
    *ret_help = n > 0 ? help + n + 2 : help;
    return text;
}

static void print_lines(const char *title, const char *about, const struct line *lines)
{
    printf("\n%s (%s):\n", title, about);
    for (; lines->tag != NULL; lines++)
        printf("  %-28s %s\n", lines->tag, lines->text);
}

void lab_help(void)
{
    char tag[64];
    const char *help;
    printf("usage: %s\n\n%s\n\noptions:\n", USAGE, INTRO);
    for (const struct lab_option *o = lab_option_table; o->name != NULL; o++)
        printf("  %-28s %s\n", option_name(o, tag, sizeof tag), o->help);
    printf("\nfaults: %s\n%s\n", FAULT_FORM, FAULTS);
    for (int k = 0; k < LAB_FAULTS; k++) {
        const char *name = fault_name((enum lab_fault)k, tag, sizeof tag, &help);
        printf("  %-28s %s\n", name, help);
    }
    print_lines("files", PATHS_ARE, PATHS);
    print_lines("control", CONTROL_IS, CONTROL);
    print_lines("hosts", HOSTS_ARE, HOSTS);
    printf("%s\n\n%s\n", DOORS, ENDS);
}

static void man_lines(const char *title, const char *about, const struct line *lines)
{
    kw_roff_section(stdout, title);
    kw_roff_text(stdout, about);
    for (; lines->tag != NULL; lines++)
        kw_roff_item(stdout, lines->tag, lines->text);
}

/* Text with its line ends taken for spaces. */
static void man_text(const char *text)
{
    char flowing[1024];
    (void)snprintf(flowing, sizeof flowing, "%s", text);
    for (char *p = flowing; *p != '\0'; p++)
        *p = *p == '\n' ? ' ' : *p;
    kw_roff_text(stdout, flowing);
}

void lab_man(void)
{
    char tag[64];
    const char *help;
    kw_roff_page(stdout, "keyward-lab", 1, PURPOSE);
    kw_roff_section(stdout, "SYNOPSIS");
    kw_roff_text(stdout, USAGE);
    kw_roff_section(stdout, "DESCRIPTION");
    man_text(INTRO);
    kw_roff_section(stdout, "OPTIONS");
    for (const struct lab_option *o = lab_option_table; o->name != NULL; o++)
        kw_roff_item(stdout, option_name(o, tag, sizeof tag), o->help);
    kw_roff_section(stdout, "FAULTS");
    kw_roff_text(stdout, FAULT_FORM);
    man_text(FAULTS);
    for (int k = 0; k < LAB_FAULTS; k++) {
        const char *name = fault_name((enum lab_fault)k, tag, sizeof tag, &help);
        kw_roff_item(stdout, name, help);
    }
    man_lines("FILES", PATHS_ARE, PATHS);
    man_lines("CONTROL", CONTROL_IS, CONTROL);
    man_lines("HOSTS", HOSTS_ARE, HOSTS);
    man_text(DOORS);
    kw_roff_section(stdout, "EXIT STATUS");
    kw_roff_text(stdout, ENDS);
    kw_roff_section(stdout, "SEE ALSO");
    kw_roff_text(stdout, "keyward(1), keyward.ini(5)");
}
