/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward policy: what the chosen profile lets through (claims, signatures,
 * connections), or with --sandbox what each process may ask of the kernel.
 */
#include <jansson.h>
#include <stdio.h>

#include "cmd.h"
#include "policy/sandbox.h"

static json_t *claims_json(const struct kw_config *c)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < c->n_rules; i++)
        (void)json_array_append_new(rules, json_pack("{s:s,s:s}", "claim", c->rules[i].claim,
                                                     "values", c->rules[i].values));
    return rules;
}

static int print_json(const struct kw_config *c, struct kw_err *err)
{
    json_t *o = json_pack(
        "{s:s,s:s,s:b,s:{s:s,s:s,s:o},s:{s:s,s:s,s:s,s:i,s:i},s:{s:s},s:{s:s}}", "config", c->path,
        "profile", c->profile, "policy_given", (int)c->policy_set, "claims", "issuer", c->issuer,
        "audience", c->audience, "rules", claims_json(c), "sign", "host", c->sign_host, "method",
        c->sign_method, "path", c->sign_path, "per_minute", (int)c->sign_per_minute, "max_count",
        (int)c->sign_max_count, "dial", "targets", c->dial, "sandbox", "require",
        c->best_effort ? "best-effort" : "all");
    return kw_cli_result(o, err);
}

static const char *or_any(const char *value)
{
    return value[0] != '\0' ? value : "(any)";
}

static void print_budget(const char *name, uint32_t n)
{
    if (n == 0)
        (void)printf("  %-18s (no limit)\n", name);
    else
        (void)printf("  %-18s %u\n", name, n);
}

static void print_text(const struct kw_config *c)
{
    (void)printf("configuration %s, profile %s%s\n", c->path[0] != '\0' ? c->path : "(none)",
                 c->profile[0] != '\0' ? c->profile : "(none)",
                 c->policy_set ? "" : ", no [policy] section: defaults");
    (void)printf("a subject token is sent only if\n  %-18s %s\n  %-18s %s\n", "issuer",
                 or_any(c->issuer), "audience", or_any(c->audience));
    for (size_t i = 0; i < c->n_rules; i++)
        (void)printf("  %-18s %s\n", c->rules[i].claim, c->rules[i].values);
    (void)printf(
        "a request is signed, or gets a bearer, only if\n  %-18s %s\n  %-18s %s\n  %-18s %s\n",
        "host", c->sign_host, "method", c->sign_method, "path", or_any(c->sign_path));
    print_budget("per minute", c->sign_per_minute);
    print_budget("per session", c->sign_max_count);
    (void)printf("connections are made only to\n  %-18s %s\n", "host:port",
                 c->dial[0] != '\0' ? c->dial : "(what the profile needs)");
    (void)printf("the sandbox\n  %-18s %s\n", "require", c->best_effort ? "best-effort" : "all");
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    if (kw_arg(args, "sandbox") != NULL) {
        kw_sandbox_print(stdout, cli->json);
        return 0;
    }
    static struct kw_config config; /* tens of KiB: too much for a stack */
    int r = kw_cli_config(cli, &config, err);
    if (r != 0)
        return r;
    if (cli->json)
        r = print_json(&config, err);
    else
        print_text(&config);
    kw_config_free(&config);
    return r;
}

static const struct kw_option options[] = {
    {"sandbox", '\0', NULL, "print the table of system calls and the other fences of each process"},
    {NULL, '\0', NULL, NULL}};

const struct kw_command kw_cmd_policy = {
    .name = "policy",
    .operands = "",
    .summary = "print the effective policy, or the sandbox table",
    .text = "Prints which subject tokens are sent, which requests are signed and which "
            "connections are made with the chosen profile. With --sandbox: which system calls "
            "each process may make, with the limits on their arguments, the answer otherwise, and "
            "why.",
    .options = options,
    .run = run,
};
