/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward exchange: subject token -> session; says what was obtained. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "src/session/exchange_format.h"
#include "src/session/session.h"

static const struct kw_option options[] = {
    {"cloud", '\0', "NAME", "oci or google, where the profile has both"},
    {"print-token", '\0', NULL,
     "print the token on standard output (OCI's is worth nothing without the key; Google's is a "
     "bearer that whoever reads it can use)"},
    {"format", '\0', "FORMAT",
     "Google: text; access-token (for gcloud's --access-token-file); external-account (a "
     "credential file whose source is keyward itself); executable (that source's answer); env "
     "(lines for a shell, the token in -o FILE)"},
    {"output", 'o', "FILE",
     "write the format to FILE (absolute path outside the job's workspace, mode 0600, whole or not "
     "at all)"},
    {"id-token", '\0', "AUDIENCE",
     "Google: an ID token of the service account for AUDIENCE instead"},
    {"include-email", '\0', NULL, "with the account's e-mail in the ID token"},
    {"from", '\0', "FILE",
     "take domain, client and subject token from a runtimeConfig.ini as the Python scripts use it"},
    {NULL, '\0', NULL, NULL},
};

static void when(int64_t t, char *text, size_t size)
{
    struct tm tm;
    time_t tt = (time_t)t;
    if (gmtime_r(&tt, &tm) == NULL || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
}

static int print_google_json(const struct kw_session *s, bool with_token, struct kw_err *err)
{
    char expires[32];
    const struct kw_config *c = s->config;
    when(s->not_after, expires, sizeof expires);
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:s, s:I, s:I, s:s, s:{s:s, s:s, s:s}}", "profile", c->profile,
        "cloud", "google", "kind", c->id_audience[0] != '\0' ? "id_token" : "access_token",
        "principal", s->principal, "impersonated", c->service_account[0] != '\0', "expires",
        expires, "expires_at", (json_int_t)s->not_after, "federated_for",
        (json_int_t)s->federated_for, "source", s->source, "fences", "keeper", s->keeper.fences,
        "exchanger", s->exchanger.fences, "dialer", s->dialer.fences);
    if (o != NULL && with_token)
        (void)json_object_set_new(o, "token", json_string(kw_secret_bytes(s->token)));
    return kw_cli_result(o, err);
}

static void print_google_text(const struct kw_session *s)
{
    char expires[32];
    const struct kw_config *c = s->config;
    when(s->not_after, expires, sizeof expires);
    (void)printf("%s %s\n", c->id_audience[0] != '\0' ? "id token  " : "token     ", s->principal);
    if (c->service_account[0] != '\0')
        (void)printf("by way of  %s (federated token: %llu s)\n", c->provider,
                     (unsigned long long)s->federated_for);
    else
        (void)printf("           (if the provider maps google.subject = assertion.sub)\n");
    (void)printf("expires    %s (in %lld s)\n", expires,
                 (long long)(s->not_after - (int64_t)time(NULL)));
    (void)printf("source     %s\n", s->source);
    (void)printf("fences     keeper: %s\n           exchanger: %s\n           dialer: %s\n",
                 s->keeper.fences, s->exchanger.fences, s->dialer.fences);
}

static int print_json(const struct kw_session *s, bool with_token, struct kw_err *err)
{
    char expires[32];
    when(s->not_after, expires, sizeof expires);
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:{s:s, s:i, s:s, s:b}, s:{s:s, s:s, s:s, s:s}, "
        "s:s, s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s}}",
        "profile", s->config->profile, "principal", s->principal, "original_principal", s->original,
        "tenant", s->tenant, "expires", expires, "expires_at", (json_int_t)s->not_after, "source",
        s->source, "correlation", s->correlation, "key", "id", s->key.id, "rung", (int)s->key.rung,
        "attributes", s->key.attributes, "stored", s->config->key_stored, "token", "label",
        s->keeper.label, "serial", s->keeper.serial, "manufacturer", s->keeper.manufacturer,
        "mechanism", s->keeper.mechanism, "extraction_test", s->verdict.text, "fences", "keeper",
        s->keeper.fences, "exchanger", s->exchanger.fences, "dialer", s->dialer.fences, "missing",
        "keeper", s->keeper.missing, "exchanger", s->exchanger.missing, "dialer",
        s->dialer.missing);
    if (o != NULL && with_token)
        (void)json_object_set_new(o, "session_token", json_string(kw_secret_bytes(s->token)));
    return kw_cli_result(o, err);
}

static void print_text(const struct kw_session *s)
{
    char expires[32];
    when(s->not_after, expires, sizeof expires);
    (void)printf("session    %s in %s\n", s->principal, s->tenant);
    if (s->original[0] != '\0')
        (void)printf("came from  %s\n", s->original);
    (void)printf("expires    %s (in %lld s)\n", expires,
                 (long long)(s->not_after - (int64_t)time(NULL)));
    (void)printf("key        %s, rung %u: %s\n", s->key.id, s->key.rung, s->key.attributes);
    (void)printf("token      %s (serial %s), %s\n", s->keeper.label, s->keeper.serial,
                 s->keeper.mechanism);
    (void)printf("extraction %s\n", s->verdict.text);
    (void)printf("fences     keeper: %s\n           exchanger: %s\n           dialer: %s\n",
                 s->keeper.fences, s->exchanger.fences, s->dialer.fences);
    if (s->keeper.missing[0] != '\0' || s->exchanger.missing[0] != '\0' ||
        s->dialer.missing[0] != '\0')
        (void)printf("MISSING    keeper: %s\n           exchanger: %s\n           dialer: %s\n",
                     s->keeper.missing, s->exchanger.missing, s->dialer.missing);
}

/* To stderr: results go to stdout, advice does not. */
static void print_advice(const struct kw_session *s)
{
    if (s->rebuilt)
        (void)fprintf(stderr, "keyward: the stored session was no longer good (%s)\n", s->why);
    if (s->config->cloud == KW_CLOUD_GOOGLE) {
        if (s->config->service_account[0] == '\0')
            (void)fprintf(stderr, "keyward: a federated token ends with the subject token; with "
                                  "[google] service_account it would last an hour\n");
    } else if (!s->config->key_stored)
        (void)fprintf(stderr,
                      "keyward: this was a rehearsal: the key lived as long as this command and is "
                      "gone. `keyward request` makes its own session; with [key] storage = token a "
                      "session is kept for later commands\n");
}

static int print(const struct kw_cli *cli, const struct kw_args *args, const struct kw_session *s,
                 enum kw_format format, struct kw_err *err)
{
    const char *output = kw_arg(args, "output");
    bool google = s->config->cloud == KW_CLOUD_GOOGLE, token = kw_arg(args, "print-token") != NULL;
    if (format == KW_FORMAT_ACCESS_TOKEN)
        return kw_format_write(output, kw_secret_bytes(s->token), err);
    if (format == KW_FORMAT_ENV)
        return kw_format_env(s, output, err);
    if (cli->json)
        return google ? print_google_json(s, token, err) : print_json(s, token, err);
    if (token)
        return kw_format_write(NULL, kw_secret_bytes(s->token), err);
    if (google)
        print_google_text(s);
    else
        print_text(s);
    print_advice(s);
    return 0;
}

static int obtain(const struct kw_cli *cli, const struct kw_args *args, struct kw_config *c,
                  enum kw_format format, struct kw_err *err)
{
    struct kw_session s;
    struct kw_m_closed closed;
    int r = kw_session_open(&s, c, "exchange", KW_USE_FRESH, err);
    if (r != 0)
        return r;
    r = print(cli, args, &s, format, err);
    struct kw_err at_end;
    int ended = kw_session_close(&s, &closed, &at_end);
    if (ended != 0 && (r == 0 || ended == KW_SANDBOX)) {
        *err = at_end;
        r = ended;
    }
    return r;
}

/* Which options go with which cloud: one that has no effect is a misunderstanding. */
static int options_fit(const struct kw_args *args, struct kw_config *c, enum kw_format format,
                       struct kw_err *err)
{
    const char *id = kw_arg(args, "id-token");
    bool google = c->cloud == KW_CLOUD_GOOGLE;
    if (!google && (format != KW_FORMAT_TEXT || id != NULL))
        return kw_fail(err, KW_USAGE, "--format and --id-token are for a profile's [google NAME]");
    if (google && kw_arg(args, "from") != NULL)
        return kw_fail(err, KW_USAGE, "--from takes the files of OCI's Python scripts");
    if (format == KW_FORMAT_TEXT && kw_arg(args, "output") != NULL)
        return kw_fail(err, KW_USAGE, "-o needs a --format other than text");
    if (id != NULL && format != KW_FORMAT_TEXT)
        return kw_fail(
            err, KW_USAGE,
            "--id-token is no access token, which is what --format is for; print it with "
            "--print-token");
    if (format != KW_FORMAT_TEXT && kw_arg(args, "print-token") != NULL)
        return kw_fail(err, KW_USAGE, "--print-token goes with no --format but text");
    if (format == KW_FORMAT_EXECUTABLE && kw_arg(args, "output") != NULL)
        return kw_fail(err, KW_USAGE,
                       "-o: the client reads the answer of --format executable from its standard "
                       "output");
    if (id != NULL && (id[0] == '\0' || (size_t)snprintf(c->id_audience, sizeof c->id_audience,
                                                         "%s", id) >= sizeof c->id_audience))
        return kw_fail(err, KW_USAGE, "the audience of --id-token is empty or too long");
    c->include_email = kw_arg(args, "include-email") != NULL;
    return c->include_email && id == NULL
               ? kw_fail(err, KW_USAGE, "--include-email goes with --id-token")
               : 0;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_config c;
    enum kw_format format;
    const char *from = kw_arg(args, "from");
    int r = kw_format_find(kw_arg(args, "format"), &format, err);
    if (r != 0)
        return r;
    r = kw_cli_config(cli, &c, err);
    if (r == 0 && from != NULL)
        r = kw_config_from(&c, from, err);
    if (r == 0)
        r = kw_config_choose_cloud(&c, kw_arg(args, "cloud"), err);
    if (r == 0)
        r = options_fit(args, &c, format, err);
    if (r == 0)
        r = kw_format_place(kw_arg(args, "output"), err);
    if (r == 0)
        r = format == KW_FORMAT_EXTERNAL_ACCOUNT
                ? kw_format_external_account(&c, kw_arg(args, "output"), err)
            : format == KW_FORMAT_EXECUTABLE ? kw_format_executable(&c, err)
                                             : obtain(cli, args, &c, format, err);
    kw_config_free(&c);
    return r;
}

const struct kw_command kw_cmd_exchange = {
    .name = "exchange",
    .operands = "",
    .summary = "trade the subject token for a session and say what was obtained",
    .text = "Makes a session key in the PKCS#11 token, has the identity domain exchange the "
            "subject token for a session token bound to it, checks that the token names this "
            "very key, and prints principal, expiry, key and fences. With [key] storage = token "
            "the session is kept (the key in the token, the session token in a 0600 state file) "
            "and later request and sign use it; otherwise this is a rehearsal and the key is "
            "destroyed at the end.\n"
            "With [google NAME] the subject token is exchanged at Google's token service, and "
            "that for the service account's token where one is named.\n\n"
            "Examples:\n  keyward --profile prod exchange\n"
            "  keyward exchange --from runtimeConfig.ini",
    .options = options,
    .run = run,
};
