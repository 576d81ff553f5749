/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward exchange: subject token -> session; says what was obtained. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "session.h"

static const struct kw_option options[] = {
    {"print-token", '\0', NULL,
     "print the session token on standard output (it is worth nothing without the key)"},
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
    if (!s->config->key_stored)
        (void)fprintf(stderr,
                      "keyward: this was a rehearsal: the key lived as long as this command and is "
                      "gone. `keyward request` makes its own session; with [key] storage = token a "
                      "session is kept for later commands\n");
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_config c;
    struct kw_session s;
    struct kw_m_closed closed;
    const char *from = kw_arg(args, "from");
    bool with_token = kw_arg(args, "print-token") != NULL;
    int r = kw_cli_config(cli, &c, err);
    if (r == 0 && from != NULL)
        r = kw_config_from(&c, from, err);
    if (r == 0)
        r = kw_session_open(&s, &c, "exchange", KW_USE_FRESH, err);
    if (r == 0) {
        if (cli->json)
            r = print_json(&s, with_token, err);
        else if (with_token)
            (void)printf("%s\n", kw_secret_bytes(s.token));
        else
            print_text(&s);
        print_advice(&s);
        int ended = kw_session_close(&s, &closed, err);
        r = r != 0 ? r : ended;
    }
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
            "destroyed at the end.\n\n"
            "Examples:\n  keyward --profile prod exchange\n"
            "  keyward exchange --from runtimeConfig.ini",
    .options = options,
    .run = run,
};
