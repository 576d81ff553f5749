/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward revoke CLOUD: the trust, switched off at once. A plan of `setup` like any other, of
 * one step that nobody has to ask for by --apply. */
#include "src/setup/setup.h"

static const struct kw_option options[] = {
    {"restore", '\0', NULL, "switch it on again"},
    {"yes", '\0', NULL, "don't ask before it is done (without a terminal nobody is asked)"},
    {"print-commands", '\0', NULL, "print the commands of the cloud's own tool that do the same"},
    {"wait", '\0', "SECONDS", "how long it may take to show as done (300)"},
    {"admin-token-file", '\0', "FILE",
     "the administrator's access token: a 0600 FILE, fd:N, or credential:NAME"},
    {"admin-token-command", '\0', "COMMAND", "the same, as COMMAND prints it"},
    {"project", '\0', "ID", "Google: the project, where the profile's provider is not the one"},
    {"pool", '\0', "ID", "Google: the pool"},
    {"issuer-url", '\0', "URL", "OCI: the trust's issuer, where [policy] issuer is not the one"},
    {"domain-url", '\0', "URL", "OCI: the identity domain, where [oci] domain_url is not the one"},
    {"app", '\0', "NAME", "OCI: the application, where [oci] client_id is not the one"},
    {"admin-profile", '\0', "NAME", "OCI: whose rights: this profile of ~/.oci/config (DEFAULT)"},
    {"admin-key", '\0', "URI", "OCI: an API key in the PKCS#11 token instead (pkcs11:object=...)"},
    {"admin-key-id", '\0', "ID", "OCI: that key's TENANCY/USER/FINGERPRINT"},
    {NULL, '\0', NULL, NULL},
};

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    static struct kw_setup s; /* large */
    s.cli = cli;
    s.args = args;
    s.apply = s.revoke = true;
    s.restore = kw_arg(args, "restore") != NULL;
    return kw_setup_command(&s, err);
}

const struct kw_command kw_cmd_revoke = {
    .name = "revoke",
    .operands = "oci|google",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "switch the trust at a cloud off at once, and say what stays valid",
    .text =
        "For when a job has gone wrong. Google: disables the profile's workload identity pool, "
        "so that no token is exchanged any more and the federated ones that are out there "
        "stop; a service account's token lives to its end. Everything stays as it was set up, "
        "and --restore switches it on again. OCI: deactivates the trust of the profile's "
        "issuer, and the application if it is the profile's set-up's; where one of them can't be "
        "switched, the other is. Session tokens that are out there live to their end.\n\n"
        "Example:\n  keyward --profile prod revoke google --admin-token-command 'gcloud auth "
        "print-access-token'",
    .options = options,
    .run = run,
};
