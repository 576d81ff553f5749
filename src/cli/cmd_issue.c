/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward issue and keyward jwks: the token as identity provider. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "src/session/exchange_format.h"
#include "src/session/fetch.h"
#include "src/wire/jwk.h"

static const struct kw_option issue_options[] = {
    {"audience", '\0', "AUD", "aud of the JWT; without it that of the profile's target"},
    {"subject", '\0', "SUB", "sub of the JWT, instead of [issuer] sub"},
    {"claim", '\0', "NAME=VALUE", "a further claim; may be given several times"},
    {"lifetime", '\0', "SECONDS", "life of the JWT, at most [issuer] lifetime"},
    {"output", 'o', "FILE",
     "write the JWT to FILE (absolute path outside the job's workspace, mode 0600, whole or not at "
     "all)"},
    {"cloud", '\0', "NAME", "oci or google, where the profile has both"},
    {NULL, '\0', NULL, NULL},
};

static int take_lifetime(const char *text, struct kw_m_issue *m, struct kw_err *err)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > m->lifetime)
        return kw_fail(err, KW_USAGE, "--lifetime must be 1 to %u seconds ([issuer] lifetime)",
                       (unsigned)m->lifetime);
    m->lifetime = (uint32_t)n;
    return 0;
}

static int take_claims(const struct kw_args *args, struct kw_m_issue *m, struct kw_err *err)
{
    int pos = 0;
    for (const char *one; (one = kw_args_each(args, "claim", &pos)) != NULL;) {
        char name[128];
        size_t n = strcspn(one, "=");
        if (one[n] != '=' || n == 0 || n >= sizeof name)
            return kw_fail(err, KW_USAGE, "--claim must be NAME=VALUE");
        memcpy(name, one, n);
        name[n] = '\0';
        const char *reason = kw_claim_add(m->claims, sizeof m->claims, name, one + n + 1);
        if (reason != NULL)
            return kw_fail(err, KW_USAGE, "--claim %s %s", name, reason);
    }
    return 0;
}

static int take_text(const char *value, const char *option, char *out, size_t size,
                     struct kw_err *err)
{
    if (value == NULL)
        return 0;
    return value[0] != '\0' && (size_t)snprintf(out, size, "%s", value) < size
               ? 0
               : kw_fail(err, KW_USAGE, "--%s is empty or too long", option);
}

static int fields(const struct kw_args *args, const struct kw_config *c, struct kw_m_issue *m,
                  struct kw_err *err)
{
    const char *lifetime = kw_arg(args, "lifetime");
    int r = kw_source_issue(c, m, err);
    if (r == 0)
        r = take_text(kw_arg(args, "audience"), "audience", m->audience, sizeof m->audience, err);
    if (r == 0)
        r = take_text(kw_arg(args, "subject"), "subject", m->subject, sizeof m->subject, err);
    if (r == 0 && lifetime != NULL)
        r = take_lifetime(lifetime, m, err);
    if (r == 0)
        r = take_claims(args, m, err);
    if (r == 0 && m->subject[0] == '\0')
        r = kw_fail(err, KW_USAGE, "the JWT needs a subject: --subject or [issuer] sub");
    if (r == 0 && m->audience[0] == '\0')
        r = kw_fail(err, KW_USAGE, "the JWT needs an audience: --audience, or a profile's target");
    return r;
}

static int run_issue(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_config c;
    static struct kw_m_issue m; /* large */
    struct kw_secret *jwt = NULL;
    int r = kw_cli_config(cli, &c, err);
    if (r == 0 && (c.oci_set || c.google_set) && kw_arg(args, "audience") == NULL)
        r = kw_config_choose_cloud(&c, kw_arg(args, "cloud"), err);
    if (r == 0)
        r = fields(args, &c, &m, err);
    if (r == 0 && cli->json && kw_arg(args, "output") != NULL)
        r = kw_fail(err, KW_USAGE, "-o goes without --json, which prints to standard output");
    if (r == 0)
        r = kw_format_place(kw_arg(args, "output"), err);
    if (r == 0)
        r = kw_issue_alone(&c, "issue", &m, &jwt, err);
    if (r == 0 && cli->json)
        r = kw_cli_result(json_pack("{s:s,s:s,s:s}", "subject", m.subject, "audience", m.audience,
                                    "jwt", kw_secret_bytes(jwt)),
                          err);
    else if (r == 0)
        r = kw_format_write(kw_arg(args, "output"), kw_secret_bytes(jwt), err);
    kw_secret_free(&jwt);
    kw_config_free(&c);
    return r;
}

static int run_jwks(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_config c;
    unsigned char spki[KW_SPKI_MAX];
    size_t n = 0;
    json_t *jwk = NULL;
    (void)args;
    int r = kw_cli_config(cli, &c, err);
    if (r == 0)
        r = kw_public_alone(&c, spki, &n, err);
    if (r == 0)
        r = kw_jwk_public(spki, n, &jwk, NULL, NULL, err);
    if (r == 0)
        r = kw_cli_result(json_pack("{s:[o]}", "keys", jwk), err);
    kw_config_free(&c);
    return r;
}

const struct kw_command kw_cmd_issue = {
    .name = "issue",
    .operands = "",
    .summary = "print a JWT signed by the issuer key in the token",
    .text = "The token as identity provider: builds a JWT of [issuer]'s fields and these options "
            "and has the token sign it (RS256, or ES256 for an EC key on P-256; kid is the "
            "thumbprint of RFC 7638). Register the key set that `keyward jwks` prints with the "
            "cloud: Google's providers take it as jwksJson, OCI's trusts as a URL. With [source] "
            "type = token, exchange and request issue their subject token themselves.\n\n"
            "Example:\n  keyward --profile prod issue --claim job=nightly",
    .options = issue_options,
    .run = run_issue,
};

const struct kw_command kw_cmd_jwks = {
    .name = "jwks",
    .operands = "",
    .summary = "print the issuer key as a JWK set, to be registered with the cloud",
    .text = "Prints the public half of [issuer] key as a JSON Web Key Set with the members that "
            "Google's providers take and no other: kty, alg, use, kid, and n, e or crv, x, y. "
            "There is nothing secret in it.\n\n"
            "Example:\n  keyward jwks >jwks.json",
    .run = run_jwks,
};
