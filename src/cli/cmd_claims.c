/* SPDX-License-Identifier: Apache-2.0
 *
 * `claims`: what a subject token says, what the claim policy thinks of it, and what the
 * clouds would make of it. Shows header and claims, never the signature: what is printed
 * can't be used as a token.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "policy/rules.h"
#include "src/base/io.h"
#include "src/claims/claims_cloud.h"
#include "src/session/fetch.h"
#include "src/source/source.h"
#include "src/wire/jwt.h"

enum { RULES = KW_CLAIM_RULES + 3 };

struct verdict {
    char rule[2304]; /* "claim.ref = refs/heads/main" */
    bool passed;
    char text[KW_ERR_TEXT]; /* why not, or "" */
};

struct report {
    const struct kw_config *c;
    struct kw_jwt jwt;
    char source[256];
    int64_t now;
    struct verdict verdicts[RULES];
    size_t n;
    struct kw_err refusal; /* the first; code KW_OK if there is none */
    struct kw_claims_clouds clouds;
    const char *verdict; /* accepted, refused, or unknown */
};

static void add(struct report *rp, int r, const struct kw_err *why, const char *name,
                const char *value)
{
    struct verdict *v = &rp->verdicts[rp->n++];
    v->passed = r == 0;
    (void)snprintf(v->rule, sizeof v->rule, "%s%s%s", name, value[0] != '\0' ? " = " : "", value);
    if (r == 0)
        return;
    (void)snprintf(v->text, sizeof v->text, "%s", why->text);
    if (rp->refusal.code == KW_OK)
        rp->refusal = *why;
}

/* One part of [policy] at a time, so that each rule shows what it decided. */
static void add_who(struct report *rp, const char *name, const char *value, bool issuer)
{
    struct kw_config *only = calloc(1, sizeof *only);
    struct kw_err why = {.code = KW_FAILED, .text = "there is no memory left"};
    int r = KW_FAILED;
    if (only != NULL) {
        (void)snprintf(only->profile, sizeof only->profile, "%s", rp->c->profile);
        (void)snprintf(issuer ? only->issuer : only->audience, sizeof only->issuer, "%s", value);
        r = kw_claims_judge_who(only, &rp->jwt, &why);
    }
    add(rp, r, &why, name, value);
    free(only);
}

static void judge(struct report *rp)
{
    struct kw_err why = {.code = KW_OK};
    add(rp, kw_claims_judge_times(&rp->jwt, rp->now, &why), &why, "times", "");
    if (rp->c->issuer[0] != '\0')
        add_who(rp, "issuer", rp->c->issuer, true);
    if (rp->c->audience[0] != '\0')
        add_who(rp, "audience", rp->c->audience, false);
    for (size_t i = 0; i < rp->c->n_rules; i++) {
        char name[160];
        (void)snprintf(name, sizeof name, "claim.%s", rp->c->rules[i].claim);
        add(rp, kw_claims_judge_rule(rp->c, i, &rp->jwt, &why), &why, name, rp->c->rules[i].values);
    }
}

/* "4 min 12 s", the two largest units. */
static void in_words(int64_t s, char out[48])
{
    if (s < 60)
        (void)snprintf(out, 48, "%" PRId64 " s", s);
    else if (s < 3600)
        (void)snprintf(out, 48, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, 48, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else
        (void)snprintf(out, 48, "%" PRId64 " d %" PRId64 " h", s / 86400, s % 86400 / 3600);
}

/* "2026-01-02 03:04:05 UTC, in 4 min 12 s" behind a time claim. */
static void print_time(int64_t t, int64_t now)
{
    char words[48], date[64] = "";
    struct tm tm;
    time_t at = (time_t)t;
    if (gmtime_r(&at, &tm) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        return;
    in_words(t >= now ? t - now : now - t, words);
    (void)printf("  (%s, %s%s%s)", date, t >= now ? "in " : "", words, t >= now ? "" : " ago");
}

static void print_members(const struct report *rp, json_t *object)
{
    static const char *const times[] = {"exp", "nbf", "iat"};
    const char *key;
    json_t *v;
    json_object_foreach(object, key, v)
    {
        char name[64];
        (void)snprintf(name, sizeof name, "%.63s", key);
        kw_printable(name);
        (void)printf("  %-22s ", name);
        kw_claims_print_value(v);
        int64_t t;
        for (size_t i = 0; object == rp->jwt.claims && i < sizeof times / sizeof times[0]; i++)
            if (strcmp(times[i], key) == 0 && kw_jwt_time(&rp->jwt, key, &t))
                print_time(t, rp->now);
        (void)fputc('\n', stdout);
    }
}

/* The impersonation rule that an OCI trust would need for exactly this subject; its
 * value stands unquoted, as a quoted one never matches. "" if it can't be written. */
static void oci_rule(const struct report *rp, char *out, size_t size)
{
    const char *sub = kw_jwt_str(&rp->jwt, "sub");
    bool plain = sub != NULL && *sub != '\0';
    for (const char *p = sub; plain && *p != '\0'; p++)
        plain = *p > ' ' && *p < 0x7f && strchr("*\"'", *p) == NULL;
    int n = snprintf(out, size, "sub eq %s", plain ? sub : "");
    if (rp->c->cloud == KW_CLOUD_GOOGLE || !plain || n < 0 || (size_t)n >= size)
        out[0] = '\0';
}

static void print_people(const struct report *rp)
{
    char rule[1024];
    (void)printf("source: %s\nheader\n", rp->source);
    print_members(rp, rp->jwt.header);
    (void)puts("claims");
    print_members(rp, rp->jwt.claims);
    if (rp->c->policy_set)
        (void)printf("policy [policy %s]\n", rp->c->profile);
    else
        (void)puts("policy (no [policy] section: any token that is in time would be sent; set "
                   "issuer and claim rules)");
    for (size_t i = 0; i < rp->n; i++) {
        const struct verdict *v = &rp->verdicts[i];
        (void)printf("  %s  %s\n", v->passed ? "pass  " : "REFUSE", v->rule);
        if (!v->passed)
            (void)printf("          %s\n", v->text);
    }
    oci_rule(rp, rule, sizeof rule);
    if (rule[0] != '\0')
        (void)printf("OCI impersonation rule for this subject alone: %s\n", rule);
    kw_claims_print(&rp->clouds);
    (void)printf("verdict: %s%s\n", rp->verdict,
                 kw_claims_unjudged(&rp->clouds) ? ", as far as it was judged" : "");
}

static int print_json(const struct report *rp, struct kw_err *err)
{
    char rule[1024];
    oci_rule(rp, rule, sizeof rule);
    json_t *rules = json_array();
    for (size_t i = 0; i < rp->n; i++)
        (void)json_array_append_new(rules, json_pack("{s:s,s:b,s:s}", "rule", rp->verdicts[i].rule,
                                                     "passed", rp->verdicts[i].passed ? 1 : 0,
                                                     "text", rp->verdicts[i].text));
    int64_t exp;
    json_t *left = kw_jwt_time(&rp->jwt, "exp", &exp) ? json_integer(exp - rp->now) : json_null();
    json_t *o =
        json_pack("{s:s,s:O,s:O,s:o,s:s,s:b,s:o,s:s,s:O?,s:O?,s:s,s:b,s:s}", "source", rp->source,
                  "header", rp->jwt.header, "claims", rp->jwt.claims, "expires_in", left, "profile",
                  rp->c->profile, "policy", rp->c->policy_set ? 1 : 0, "rules", rules, "oci_rule",
                  rule, "google", rp->clouds.google_v, "oci", rp->clouds.oci_v, "verdict",
                  rp->verdict, "accepted", strcmp(rp->verdict, "accepted") == 0 ? 1 : 0, "refusal",
                  rp->refusal.code == KW_OK ? "" : rp->refusal.text);
    return kw_cli_result(o, err);
}

static int read_claims(const char *path, struct report *rp, struct kw_err *err)
{
    struct kw_buf b;
    kw_buf_init(&b, KW_TOKEN_MAX);
    bool is_stdin = strcmp(path, "-") == 0;
    const char *what = is_stdin ? "standard input" : path;
    int r = is_stdin ? kw_read_fd(STDIN_FILENO, &b, what, KW_SUBJECT, err)
                     : kw_read_file(path, &b, KW_SUBJECT, err);
    if (r == 0)
        r = kw_jwt_claims(kw_buf_str(&b), b.len, what, KW_SUBJECT, &rp->jwt, err);
    (void)snprintf(rp->source, sizeof rp->source, "claims of %.200s (no token)", what);
    kw_buf_free(&b);
    return r;
}

/* --token-file stands for [source] type = file (or stdin). */
static int name_file(struct kw_config *c, const char *path, struct kw_err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    (void)snprintf(c->source_type, sizeof c->source_type, "%s", is_stdin ? "stdin" : "file");
    if (is_stdin)
        return 0;
    if ((size_t)snprintf(c->source_path, sizeof c->source_path, "%s", path) >=
        sizeof c->source_path)
        return kw_fail(err, KW_USAGE, "the path after --token-file is too long");
    return 0;
}

static int read_token(struct kw_config *c, const char *path, struct report *rp, struct kw_err *err)
{
    struct kw_secret *token = NULL;
    const struct kw_source_ways ways = kw_ways_alone(c, false);
    int r = path != NULL ? name_file(c, path, err) : 0;
    if (r == 0)
        r = kw_source_get(c, &ways, rp->source, sizeof rp->source, &token, err);
    if (r == 0)
        r = kw_jwt_decode(kw_secret_bytes(token), kw_secret_len(token), "the subject token",
                          KW_SUBJECT, &rp->jwt, err);
    kw_secret_free(&token);
    return r;
}

static int show(const struct kw_cli *cli, struct report *rp, struct kw_err *err)
{
    struct kw_err refusal = {.code = KW_OK};
    rp->now = (int64_t)time(NULL);
    judge(rp);
    int r = kw_claims_explain(&rp->clouds, &rp->jwt, rp->now, err);
    if (r != 0)
        return r;
    rp->verdict = kw_claims_verdict(&rp->clouds, &refusal);
    if (rp->refusal.code == KW_OK)
        rp->refusal = refusal;
    if (rp->refusal.code != KW_OK)
        rp->verdict = "refused";
    kw_printable(rp->source);
    if (cli->json)
        r = print_json(rp, err);
    else
        print_people(rp);
    if (r == 0 && rp->refusal.code != KW_OK)
        *err = rp->refusal;
    return r != 0 ? r : (int)rp->refusal.code;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    const char *token = kw_arg(args, "token-file"), *claims = kw_arg(args, "claims-file");
    if (token != NULL && claims != NULL)
        return kw_fail(err, KW_USAGE, "--token-file and --claims-file exclude each other");
    struct kw_config *c = calloc(1, sizeof *c);
    struct report *rp = calloc(1, sizeof *rp);
    int r = c == NULL || rp == NULL ? kw_fail(err, KW_FAILED, "there is no memory left")
                                    : kw_cli_config(cli, c, err);
    /* Which cloud matters only to what is asked for. */
    bool given = token != NULL || claims != NULL;
    if (r == 0)
        r = given && kw_arg(args, "cloud") == NULL
                ? kw_config_check_profile(c, err)
                : kw_config_choose_cloud(c, kw_arg(args, "cloud"), err);
    if (r == 0)
        r = kw_claims_prepare(c, args, &rp->clouds, err);
    if (r == 0) {
        rp->c = c;
        r = claims != NULL ? read_claims(claims, rp, err) : read_token(c, token, rp, err);
    }
    if (r == 0)
        r = show(cli, rp, err);
    if (rp != NULL) {
        kw_jwt_free(&rp->jwt);
        kw_claims_free(&rp->clouds);
    }
    if (c != NULL)
        kw_config_free(c);
    free(rp);
    free(c);
    return r;
}

static const struct kw_option options[] = {
    {"cloud", '\0', "NAME",
     "oci or google, where the profile has both: whose audience is asked for"},
    {"token-file", '\0', "FILE", "take the token from FILE (- is standard input)"},
    {"claims-file", '\0', "FILE",
     "take claims as a JSON object from FILE (- is standard input), to rehearse a policy"},
    {"provider-json", '\0', "FILE",
     "what gcloud iam workload-identity-pools providers describe --format=json printed, instead of "
     "[google]"},
    {"provider", '\0', "NAME", "the provider's full resource name"},
    {"mapping", '\0', "KEY=EXPR",
     "an attribute mapping, as google.subject=assertion.sub; may be repeated; instead of others"},
    {"condition", '\0', "EXPR", "the attribute condition"},
    {"audience", '\0', "AUD", "an allowed audience of the provider; may be repeated"},
    {"issuer", '\0', "URI", "the provider's issuer URI"},
    {"member", '\0', "MEMBER",
     "a member of an IAM policy, principal:// or principalSet://; may be repeated"},
    {"oci-rule", '\0', "RULE",
     "an impersonation rule of the OCI trust, as 'sub eq repo:o/r:*'; may be repeated, in its "
     "order"},
    {NULL, '\0', NULL, NULL},
};

const struct kw_command kw_cmd_claims = {
    .name = "claims",
    .operands = "",
    .summary = "show the subject token's claims and what policy and clouds would make of them",
    .text =
        "Gets the subject token as [source] says, and shows its header and claims with times in "
        "words, each rule of the profile's claim policy with what it decided, and the OCI "
        "impersonation rule that would match exactly this subject. The signature is neither "
        "shown nor checked: that is the cloud's part.\n\n"
        "Where [google NAME], --provider-json or options say how Google's provider was created, "
        "its attribute mapping and condition are evaluated here, and what it would become in IAM "
        "policies is shown, term by term and with what each looks at; so is the rule of an OCI "
        "trust that would match. What can't be judged is said to be unknown, never guessed. "
        "Nothing is sent anywhere.\n\n"
        "Exit code 0: nothing refuses the token (or that can't be judged: verdict unknown); 6: the "
        "policy or a cloud would refuse it, and why; 2: an expression or a rule doesn't parse, and "
        "where; 5: there is no token, or it is no JWT.\n\n"
        "Example: keyward claims --claims-file claims.json --mapping google.subject=assertion.sub "
        "--condition \"assertion.repository_id == '592302719'\"",
    .options = options,
    .run = run,
};
