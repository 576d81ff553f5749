/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward setup CLOUD: what was given, checked; setup_plan.c does it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/io.h"
#include "src/session/exchange_format.h"
#include "src/setup/setup.h"

enum { WAIT_S = 300, WAIT_MOST_S = 3600 };

static const struct kw_setup_cloud *const clouds[] = {&kw_setup_oci, &kw_setup_google};
enum { N_CLOUDS = sizeof clouds / sizeof clouds[0] };

static const struct kw_option setup_options[] = {
    {"apply", '\0', NULL, "make what the plan says; without it nothing is changed"},
    {"destroy", '\0', NULL, "remove what keyward made, and say what stays"},
    {"yes", '\0', NULL, "don't ask before it is done (without a terminal nobody is asked)"},
    {"print-commands", '\0', NULL,
     "print the commands of the cloud's own tool that do the same, for whoever has the rights "
     "elsewhere; asks no network"},
    {"output", 'o', "FILE",
     "write the keyward.ini that goes with it to FILE (mode 0600): a new one, or one that it wrote "
     "before"},
    {"wait", '\0', "SECONDS", "how long one step may take to show as done (300)"},
    {"admin-token-file", '\0', "FILE",
     "the administrator's access token: a 0600 FILE, fd:N, or credential:NAME"},
    {"admin-token-command", '\0', "COMMAND",
     "the same, as COMMAND prints it (gcloud auth print-access-token)"},
    {"issuer", '\0', "NAME",
     "whose tokens are let in: github, gitlab, circleci, buildkite, kubernetes, token (the "
     "PKCS#11 token's own), or an https URL; Google also x509"},
    {"issuer-url", '\0', "URL", "of an instance of one's own"},
    {"repository", '\0', "NAME",
     "OWNER/NAME, GROUP/PROJECT, ORGANIZATION/PIPELINE or NAMESPACE/SERVICEACCOUNT"},
    {"repository-id", '\0', "ID", "its number (CircleCI: the project's UUID), which is better"},
    {"owner-id", '\0', "ID", "the owner's or group's number (CircleCI: the organization's UUID)"},
    {"branch", '\0', "NAME", "only this branch"},
    {"environment", '\0', "NAME", "only this environment"},
    {"subject", '\0', "SUB", "only this whole sub (x509: this common name)"},
    {"project", '\0', "ID", "Google: the project, by its id"},
    {"project-number", '\0', "NUMBER", "Google: its number, for --print-commands"},
    {"pool", '\0', "ID", "Google: the workload identity pool (keyward)"},
    {"provider", '\0', "ID", "Google: the provider in it (named as --issuer), or its full name"},
    {"service-account", '\0', "ACCOUNT",
     "Google: the account to become, made if it is not there; without it rights are granted to "
     "the identities themselves"},
    {"grant", '\0', "ROLE=RESOURCE",
     "Google: a role on `project` or on gs://BUCKET; may be given several times"},
    {"condition", '\0', "CEL",
     "Google: an attribute condition of one's own, besides what the options above say; without "
     "--issuer, instead of the profile's"},
    {"mapping", '\0', "KEY=CEL",
     "Google: one more attribute mapping, or another; may be given several times"},
    {"audience", '\0', "AUD",
     "an audience that the tokens may be for, instead of the provider's name (Google; may be given "
     "several times) or the domain's URL (OCI; '' for any)"},
    {"jwks-file", '\0', "FILE", "Google: the issuer's keys, to be uploaded"},
    {"trust-anchor", '\0', "FILE",
     "Google, x509: PEM of the authorities that are trusted; may be given several times"},
    {"intermediate", '\0', "FILE",
     "Google, x509: PEM of intermediate authorities; may be given several times"},
    {"domain-url", '\0', "URL",
     "OCI: the identity domain, https://idcs-...; else [oci] domain_url"},
    {"from", '\0', "FILE",
     "OCI: the WorkloadIdFederation scripts' setupConfig.ini, as it is; options go before it"},
    {"admin-profile", '\0', "NAME",
     "OCI: whose rights: this profile of ~/.oci/config (key file or session token); DEFAULT, or "
     "the "
     "one that FILE names"},
    {"admin-key", '\0', "URI", "OCI: an API key in the PKCS#11 token instead (pkcs11:object=...)"},
    {"admin-key-id", '\0', "ID", "OCI: that key's TENANCY/USER/FINGERPRINT"},
    {"admin-app", '\0', "NAME",
     "OCI: make an application that is an administrator for as long as this takes, and make users "
     "and the trust as it"},
    {"client-auth", '\0', "HOW",
     "OCI: how keyward proves itself at an exchange: basic (a client secret), assertion (a "
     "certificate), signature (an API key in the token; no application and no secret); else [oci] "
     "client_auth"},
    {"app", '\0', "NAME", "OCI: the confidential application (keyward-PROFILE, as all names are)"},
    {"client-secret", '\0', "PLACE",
     "OCI: where its secret goes: file:/PATH (0600), fd:N, credential:NAME (/etc/credstore/NAME); "
     "else [oci] client_secret_source, else ~/.config/keyward/APP.secret"},
    {"new-client-secret", '\0', NULL, "OCI: make another one, which voids the one that is in use"},
    {"certificate", '\0', "FILE", "OCI, assertion: the certificate (PEM) of the key in the token"},
    {"certificate-alias", '\0', "NAME", "OCI: its alias; by default it has its digest in it"},
    {"service-user", '\0', "NAME", "OCI: the user that a job becomes"},
    {"group", '\0', "NAME", "OCI: a group for it, made if it isn't there"},
    {"statement", '\0', "TEXT",
     "OCI: what the group may, \"Allow group 'Default'/'G' to ...\"; may be given several times"},
    {"policy", '\0', "NAME", "OCI: the policy that has the statements"},
    {"compartment", '\0', "OCID", "OCI: where the policy is; else the tenancy"},
    {"region", '\0', "NAME",
     "OCI: of IAM, and for keyward.ini; else [oci] region, or the profile's"},
    {"trust", '\0', "NAME", "OCI: the trust's name, which can't be changed later"},
    {"jwks-url", '\0', "URL", "OCI: the issuer's keys, where --issuer doesn't say it"},
    {"rule", '\0', "RULE",
     "OCI: CLAIM eq VALUE (* is a wildcard) or CLAIM co TEXT, instead of those of --issuer; RULE "
     "-> "
     "USER for another service user; may be given several times, the first that matches wins"},
    {"claim", '\0', "NAME=VALUE",
     "OCI: a claim that the tokens must have besides; may be given several times"},
    {"clock-skew", '\0', "SECONDS", "OCI: how far the issuer's clock may be off (60)"},
    {"rpst", '\0', "TYPE", "OCI: for resource principals: the trust's impersonatingResource"},
    {"propagate", '\0', "CLAIM",
     "OCI, with --rpst: a claim for policies to see; may be given three times"},
    {"adopt", '\0', NULL,
     "OCI: take over (mark, and make as wanted) what has these names and isn't this set-up's"},
    {NULL, '\0', NULL, NULL},
};

static bool is_for_all(const char *name)
{
    static const char *const all[] = {"apply",
                                      "destroy",
                                      "yes",
                                      "print-commands",
                                      "output",
                                      "wait",
                                      "admin-token-file",
                                      "admin-token-command",
                                      "issuer",
                                      "issuer-url",
                                      "repository",
                                      "repository-id",
                                      "owner-id",
                                      "branch",
                                      "environment",
                                      "subject",
                                      "restore"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i], name) == 0)
            return true;
    return false;
}

static bool is_of_cloud(const struct kw_setup_cloud *c, const char *name)
{
    for (const char *const *p = c->options; *p != NULL; p++)
        if (strcmp(*p, name) == 0)
            return true;
    return false;
}

/* Of a variable that is not set: taken as if it had not been given, it would be another set-up. For
 * OCI an audience may be none. */
static int refuse_empty(const struct kw_setup *s, struct kw_err *err)
{
    for (const struct kw_option *o = s->args->options; o->name != NULL; o++) {
        bool may = strcmp(o->name, "audience") == 0 && s->cloud == &kw_setup_oci;
        int pos = 0;
        for (const char *v;
             o->arg != NULL && !may && (v = kw_args_each(s->args, o->name, &pos)) != NULL;)
            if (v[0] == '\0')
                return kw_fail(err, KW_USAGE,
                               "--%s is empty (a variable that is not set?): give it a value, or "
                               "leave it out",
                               o->name);
    }
    return 0;
}

/* An option that has no effect is a misunderstanding. */
static int check_options(struct kw_setup *s, struct kw_err *err)
{
    const struct kw_option *all = s->args->options;
    const char *output = kw_arg(s->args, "output");
    for (; all->name != NULL; all++)
        if (kw_arg(s->args, all->name) != NULL && !is_for_all(all->name) &&
            !is_of_cloud(s->cloud, all->name))
            return kw_fail(err, KW_USAGE, "--%s is not for %s", all->name, s->cloud->name);
    if (s->apply && s->destroy)
        return kw_fail(err, KW_USAGE, "give one of --apply and --destroy");
    if (s->commands && s->apply && !s->revoke)
        return kw_fail(err, KW_USAGE, "--print-commands changes nothing: leave --apply out");
    if (output != NULL && !s->apply)
        return kw_fail(err, KW_USAGE,
                       "-o goes with --apply: before, there is nothing to configure");
    if (refuse_empty(s, err) != 0)
        return (int)err->code;
    return output != NULL ? kw_atomic_could(output, err) : 0;
}

static int take_wait(struct kw_setup *s, struct kw_err *err)
{
    const char *text = kw_arg(s->args, "wait");
    char *end = NULL;
    s->wait_s = WAIT_S;
    if (text == NULL)
        return 0;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > WAIT_MOST_S)
        return kw_fail(err, KW_USAGE, "--wait is 1 to %d seconds", WAIT_MOST_S);
    s->wait_s = (unsigned)n;
    return 0;
}

int kw_setup_command(struct kw_setup *s, struct kw_err *err)
{
    const char *name = s->args->operands[0];
    static struct kw_config c; /* as s is */
    for (size_t i = 0; i < N_CLOUDS; i++)
        if (strcmp(clouds[i]->name, name) == 0)
            s->cloud = clouds[i];
    if (s->cloud == NULL)
        return kw_fail(err, KW_USAGE, "keyward has no set-up of '%s'", name);
    s->yes = kw_arg(s->args, "yes") != NULL;
    s->commands = kw_arg(s->args, "print-commands") != NULL;
    int r = take_wait(s, err);
    if (r == 0)
        r = check_options(s, err);
    if (r != 0)
        return r;
    r = kw_cli_config(s->cli, &c, err);
    s->config = &c;
    if (r == 0)
        r = kw_config_check_profile(&c, err);
    if (r == 0)
        r = kw_setup_go(s, err);
    kw_config_free(&c);
    return r;
}

static int run_setup(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    static struct kw_setup s; /* large */
    s.cli = cli;
    s.args = args;
    s.apply = kw_arg(args, "apply") != NULL;
    s.destroy = kw_arg(args, "destroy") != NULL;
    return kw_setup_command(&s, err);
}

const struct kw_command kw_cmd_setup = {
    .name = "setup",
    .operands = "oci|google",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "make the trust at a cloud: plan, --apply, --destroy",
    .text =
        "Looks at what is there, says what it would make or change, and with --apply does that, "
        "step by step, waiting until the cloud shows each. It keeps no state: interrupted, the "
        "same command goes on; done again, it changes nothing. What keyward makes has a mark (at "
        "Google the description \"" KW_SETUP_MARK "\"; at OCI the tag `keyward` with the set-up's "
        "name, keyward-PROFILE), and only what has it is ever changed or, by --destroy, removed. "
        "After --apply, standard output (or -o) has the keyward.ini.\n"
        "The calls are made with an administrator's access token, which goes to the cloud's "
        "administration and nowhere else; each is in the audit log.\n"
        "Google: the APIs, the workload identity pool, a provider in it (its mapping and condition "
        "checked before they are sent; a condition is a must for issuers that everybody has tokens "
        "of), a service account and the right to become it, and grants. Names come from the "
        "options, "
        "else from [google NAME]. What was deleted at Google is brought back. Without "
        "--admin-token-file or --admin-token-command the token is read from the file that "
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names.\n"
        "OCI: a confidential application (or a certificate for one, or with --client-auth "
        "signature "
        "neither), service users, a group with them, an IAM policy, and the trust with its rules. "
        "Asked as a profile of the OCI command line, whose key main reads and uses, or by an API "
        "key in the token, or by an access token (which IAM, so --statement, does not take). The "
        "client secret is never shown: it is handed out before the application becomes active, "
        "and no other is made unasked. A domain has one trust for an issuer: another "
        "repository is another --rule of the same set-up.\n\n"
        "Example:\n  keyward setup google --project my-project --issuer github --repository-id "
        "592302719 \\\n      --branch main --service-account deployer --apply\n"
        "  keyward --profile prod setup oci --domain-url "
        "https://idcs-0123.identity.oraclecloud.com "
        "\\\n      --issuer github --repository octo/repo --environment production --apply",
    .options = setup_options,
    .run = run_setup,
};
