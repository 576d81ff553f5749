/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward sign METHOD URL: the headers only, for one's own HTTP client. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "src/agent/agent.h"
#include "src/session/call.h"
#include "src/wire/hdr.h"
#include "src/wire/oci_sign.h"
#include "src/wire/url.h"

static const struct kw_option options[] = {
    {"data", 'd', "DATA", "the body that will be sent: text, @FILE, or @- for standard input"},
    {"header", 'H', "NAME: VALUE",
     "a header that will be sent; content-type, date and x-date are signed"},
    {NULL, '\0', NULL, NULL},
};

struct signing {
    char method[16];
    struct kw_url url;
    char headers[KW_LINES], send[KW_LINES];
    struct kw_body body;
    struct kw_m_sign m;
};

static int prepare(struct signing *g, const struct kw_args *args, struct kw_err *err)
{
    int r = kw_method_check(args->operands[0], g->method, sizeof g->method, err);
    if (r == 0)
        r = kw_url_parse(args->operands[1], "URL", KW_USAGE, &g->url, err);
    if (r == 0)
        r = kw_header_options(args, g->headers, sizeof g->headers, err);
    return r != 0 ? r : kw_body_open(kw_arg(args, "data"), &g->body, err);
}

static int header_lines(struct signing *g, struct kw_err *err)
{
    const struct kw_oci_request q = {.method = g->method,
                                     .host = g->url.authority,
                                     .target = g->url.target,
                                     .headers = g->headers,
                                     .has_body = g->body.fd >= 0,
                                     .body_len = g->body.len,
                                     .body_sha256 = g->body.sha256,
                                     .now = (int64_t)time(NULL)};
    g->m.key = KW_SIGN_SESSION;
    (void)snprintf(g->m.method, sizeof g->m.method, "%s", g->method);
    (void)snprintf(g->m.host, sizeof g->m.host, "%s", g->url.authority);
    (void)snprintf(g->m.target, sizeof g->m.target, "%s", g->url.target);
    return kw_oci_header_lines(&q, g->m.headers, sizeof g->m.headers, g->send, sizeof g->send, err);
}

static int print_lines(const struct kw_cli *cli, const char *lines, const char *authorization,
                       struct kw_err *err)
{
    json_t *o = json_object();
    char name[128], value[8192];
    while (kw_hdr_next(&lines, name, sizeof name, value, sizeof value) == 1) {
        if (cli->json)
            (void)json_object_set_new(o, name, json_string(value));
        else
            (void)printf("%s: %s\n", name, value);
    }
    if (cli->json) {
        (void)json_object_set_new(o, "authorization", json_string(authorization));
        return kw_cli_result(o, err);
    }
    (void)printf("authorization: %s\n", authorization);
    json_decref(o);
    return 0;
}

static int print_signed(const struct kw_cli *cli, const struct signing *g,
                        const char *authorization, struct kw_err *err)
{
    char lines[KW_LINES + KW_HOST] = "";
    (void)kw_hdr_add(lines, sizeof lines, "host", g->url.authority);
    (void)snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s", g->send);
    return print_lines(cli, lines, authorization, err);
}

static int sign(const struct kw_cli *cli, struct signing *g, struct kw_session *s,
                struct kw_err *err)
{
    struct kw_in in;
    struct kw_m_signed answer;
    int r = kw_child_send(&s->crew.keeper, KW_KM_SIGN, &g->m, NULL, 0, err);
    if (r != 0)
        return r;
    r = kw_child_expect(&s->crew.keeper, KW_KM_SIGNED, &answer, &in, kw_deadline(s->config), err);
    if (r == 0) {
        struct kw_buf value;
        kw_buf_init(&value, KW_TOKEN_MAX + KW_LINES);
        kw_oci_authorization("ST$", kw_secret_bytes(s->token), g->m.headers, answer.signature.p,
                             answer.signature.len, &value);
        r = value.bad ? kw_fail(err, KW_FAILED, "the Authorization header is too long")
                      : print_signed(cli, g, kw_buf_str(&value), err);
        kw_buf_free(&value);
    }
    kw_in_free(&in);
    return r;
}

static int by_session(const struct kw_cli *cli, struct signing *g, struct kw_config *c,
                      struct kw_err *err)
{
    struct kw_session s;
    struct kw_err at_end;
    int r = kw_config_cloud_of_host(c, g->url.host, err);
    if (r == 0 && c->cloud == KW_CLOUD_GOOGLE)
        r = kw_fail(err, KW_USAGE,
                    "Google's requests are not signed, they carry a bearer: use keyward request, "
                    "or keyward exchange --format access-token for a client of your own");
    if (r == 0)
        r = kw_session_open(&s, c, "sign", 0, err);
    if (r != 0)
        return r;
    r = sign(cli, g, &s, err);
    int ended = kw_session_close(&s, NULL, &at_end);
    if (ended != 0 && (r == 0 || ended == KW_SANDBOX)) {
        *err = at_end;
        r = ended;
    }
    return r;
}

static int by_agent(const struct kw_cli *cli, struct signing *g, struct kw_config *c,
                    struct kw_err *err)
{
    struct kw_client k;
    struct kw_in in;
    struct kw_m_authorization m = {NULL};
    int r = kw_client_open(&k, c, KW_WANT_SIGN, g->url.host, err);
    if (r == 0)
        r = kw_client_send(&k, KW_AM_SIGN, &g->m, NULL, 0, err);
    if (r == 0) {
        int64_t patience = kw_deadline(c) + (int64_t)c->timeout_s * 1000; /* session, signature */
        r = kw_client_recv(&k, &in, patience, err);
        if (r == 0 && (in.type != KW_AM_SIGNED || !kw_msg_get(&in.body, in.type, &m)))
            r = kw_fail(err, KW_FAILED, "the agent sent something else than a signature");
        kw_in_free(&in);
    }
    kw_client_close(&k);
    if (r == 0)
        r = print_signed(cli, g, kw_secret_bytes(m.value), err);
    kw_secret_free(&m.value);
    return r;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_config c;
    static struct signing g; /* large */
    g.body.fd = -1;
    int r = prepare(&g, args, err);
    if (r == 0)
        r = header_lines(&g, err);
    if (r != 0) {
        kw_body_close(&g.body);
        return r;
    }
    r = kw_cli_config(cli, &c, err);
    if (r == 0)
        r = c.agent_socket[0] != '\0' ? by_agent(cli, &g, &c, err) : by_session(cli, &g, &c, err);
    kw_body_close(&g.body);
    kw_config_free(&c);
    return r;
}

const struct kw_command kw_cmd_sign = {
    .name = "sign",
    .operands = "METHOD URL",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "print the signed headers of a request, for one's own HTTP client",
    .text =
        "Prints one `Name: value` a line (or one JSON object with --json): host, date, the body "
        "headers where the method has them, and authorization. The request must be sent within "
        "five minutes, with these headers and the body given by -d. The Authorization header "
        "holds the session token: treat the output as a secret while the session lives.\n\n"
        "Example:\n  keyward sign GET https://objectstorage.eu-frankfurt-1.oraclecloud.com/n/ >h "
        "&&\n"
        "  curl --path-as-is -H @h https://objectstorage.eu-frankfurt-1.oraclecloud.com/n/",
    .options = options,
    .run = run,
};
