/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward request METHOD URL: one signed API call. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/agent/agent.h"
#include "src/base/io.h"
#include "src/session/call.h"
#include "src/wire/hdr.h"
#include "src/wire/url.h"

static const struct kw_option options[] = {
    {"data", 'd', "DATA", "the body: text, @FILE, or @- for standard input"},
    {"header", 'H', "NAME: VALUE", "a header to send; may be given several times"},
    {"output", 'o', "FILE",
     "write the answer's body to FILE (whole or not at all); - is standard output"},
    {"include", 'i', NULL, "print status and headers of the answer before its body"},
    {NULL, '\0', NULL, NULL},
};

enum { SHOWN = 2048, JSON_MOST = 4 * 1024 * 1024 };

/* Where the answer goes: by status, to the result (stdout, -o, or memory for --json) or,
 * if it is an error, in short to stderr. */
struct answer {
    const struct kw_cli *cli;
    const char *output;
    enum kw_cloud cloud;
    bool include;
    struct kw_m_head head;
    struct kw_atomic file; /* -o */
    struct kw_buf body;    /* error text, or everything for --json */
    unsigned char last;    /* byte that went to a terminal */
};

static bool good(const struct answer *a)
{
    return a->head.status >= 200 && a->head.status < 300;
}

static int begin(void *arg, const struct kw_m_head *head, struct kw_err *err)
{
    struct answer *a = arg;
    a->head = *head;
    bool in_memory = !good(a) || (a->cli->json && a->output == NULL);
    kw_buf_init(&a->body, in_memory && good(a) ? JSON_MOST : SHOWN);
    if (good(a) && a->include && !a->cli->json)
        (void)printf("HTTP/1.1 %u\n%s\n", head->status, head->headers);
    return good(a) && a->output != NULL ? kw_atomic_result(&a->file, a->output, 0600, err) : 0;
}

/* To a terminal go no control characters (nor the second set of them, by itself or in
 * UTF-8): an answer could drive it with them. Pipes and files get every byte. */
static bool show(struct answer *a, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool first = (p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f;
        bool second = p[i] >= 0x80 && p[i] < 0xa0 && (a->last < 0x80 || a->last == 0xc2);
        if (putchar(first || second ? '?' : p[i]) == EOF)
            return false;
        a->last = p[i];
    }
    return true;
}

static int data(void *arg, const void *bytes, size_t n, struct kw_err *err)
{
    struct answer *a = arg;
    if (!good(a)) {
        size_t room = a->body.max - a->body.len;
        kw_put(&a->body, bytes, n < room ? n : room);
        return 0;
    }
    if (a->output != NULL)
        return kw_write_all(a->file.fd, bytes, n) == 0
                   ? 0
                   : kw_fail_errno(err, KW_FAILED, "could not write %s", a->output);
    if (a->cli->json) {
        kw_put(&a->body, bytes, n);
        return a->body.bad ? kw_fail(err, KW_USAGE,
                                     "the answer is longer than %d MiB: --json needs -o for it",
                                     JSON_MOST >> 20)
                           : 0;
    }
    return (isatty(STDOUT_FILENO) == 1 ? show(a, bytes, n)
                                       : kw_write_all(STDOUT_FILENO, bytes, n) == 0)
               ? 0
               : kw_fail_errno(err, KW_FAILED, "could not write the result");
}

static const char *cure_of(const struct answer *a)
{
    bool google = a->cloud == KW_CLOUD_GOOGLE;
    switch (a->head.status) {
    case 401:
        return google ? "some of Google's services don't take federated tokens: set [google] "
                        "service_account to impersonate"
                      : "check the clock (5 minutes at most) and the region; keyward doctor goes "
                        "through all of it";
    case 403:
        return google ? "grant this principal a role on the resource (a grant takes up to 5 "
                        "minutes to spread), or name the project to be charged as [google] "
                        "quota_project"
                      : "see the service's documentation of this code";
    case 404:
        return google ? "see the service's documentation"
                      : "a missing policy statement looks like this too";
    default:
        return "see the service's documentation of this code";
    }
}

/* Error bodies: OCI's has code and message, Google's (google.rpc.Status) the same in a
 * member "error", where the code's name is "status". */
static void read_refusal(const json_t *o, const char **code, const char **message)
{
    const json_t *e = json_object_get(o, "error");
    bool google = json_is_object(e);
    *code = json_string_value(google ? json_object_get(e, "status") : json_object_get(o, "code"));
    *message = json_string_value(json_object_get(google ? e : o, "message"));
}

/* 3xx to 5xx as an error: code and message from the vendor's body if it has them. */
static int refused(struct answer *a, struct kw_err *err)
{
    char id[128], of[160] = "";
    const char *code, *message;
    unsigned status = a->head.status;
    if (kw_hdr_find(a->head.headers, "opc-request-id", id, sizeof id))
        (void)snprintf(of, sizeof of, " (opc-request-id %s)", id);
    if (status >= 300 && status < 400)
        return kw_fail(err, KW_CLOUD,
                       "the service answered %u, a redirect, which is never followed%s; give the "
                       "final URL",
                       status, of);
    bool temporary = status == 429 || status >= 500;
    enum kw_exit kind = temporary ? KW_NET : KW_CLOUD;
    const char *cure = temporary ? "try again later" : cure_of(a);
    json_t *o = json_loadb(kw_buf_str(&a->body), a->body.len, JSON_REJECT_DUPLICATES, NULL);
    read_refusal(o, &code, &message);
    int r = code != NULL && message != NULL
                ? kw_fail(err, kind, "the service refused: %u %s: %.300s%s; %s", status, code,
                          message, of, cure)
                : kw_fail(err, kind, "the service answered %u with %.300s%s; %s", status,
                          a->body.len > 0 ? kw_buf_str(&a->body) : "no body", of, cure);
    json_decref(o);
    return r;
}

static int print_json(struct answer *a, struct kw_err *err)
{
    json_t *headers = json_object(), *body = NULL;
    const char *cursor = a->head.headers;
    char name[128], value[8192];
    while (kw_hdr_next(&cursor, name, sizeof name, value, sizeof value) == 1)
        (void)json_object_set_new(headers, name, json_string(value));
    if (a->output == NULL) {
        /* A member that occurs twice would be lost: such a body is only text. */
        body = json_loadb(kw_buf_str(&a->body), a->body.len,
                          JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        if (body == NULL)
            body = json_stringn(kw_buf_str(&a->body), a->body.len);
        if (body == NULL) {
            json_decref(headers);
            return kw_fail(err, KW_USAGE, "the answer's body is not text: --json needs -o for it");
        }
    }
    json_t *o = json_pack("{s:i,s:o,s:o?,s:s?}", "status", (int)a->head.status, "headers", headers,
                          "body", body, "output", a->output);
    return kw_cli_result(o, err);
}

static int finish(struct answer *a, struct kw_err *err)
{
    if (!good(a))
        return refused(a, err);
    int r = a->output != NULL ? kw_atomic_commit(&a->file, err) : 0;
    if (r == 0 && a->cli->json)
        r = print_json(a, err);
    return r;
}

struct asked {
    const char *method, *url, *headers;
    const struct kw_body *body;
};

static int by_agent(struct kw_config *c, const struct asked *q, struct answer *a, const char *host,
                    struct kw_err *err)
{
    const struct kw_sink sink = {begin, data, a};
    struct kw_client k;
    int r = kw_client_open(&k, c, KW_WANT_CALL, host, err);
    a->cloud = c->cloud;
    if (r == 0)
        r = kw_call_by_agent(&k, q->method, q->url, q->headers, q->body, &sink, err);
    kw_client_close(&k);
    return r == 0 ? finish(a, err) : r;
}

static int by_session(const struct kw_config *c, const struct asked *q, struct answer *a,
                      struct kw_err *err)
{
    const struct kw_sink sink = {begin, data, a};
    struct kw_session s;
    struct kw_err at_end;
    int r = kw_session_open(&s, c, "request", 0, err);
    if (r != 0)
        return r;
    r = kw_call(&s, q->method, q->url, q->headers, q->body, &sink, err);
    if (r == 0)
        r = finish(a, err);
    int ended = kw_session_close(&s, NULL, &at_end);
    if (ended != 0 && (r == 0 || ended == KW_SANDBOX)) {
        *err = at_end;
        r = ended;
    }
    return r;
}

static int call(const struct kw_cli *cli, const struct kw_args *args, struct kw_config *c,
                const char *host, struct kw_err *err)
{
    char method[16], headers[KW_LINES];
    struct kw_body body = {.fd = -1};
    bool agent = c->agent_socket[0] != '\0';
    struct answer a = {.cli = cli,
                       .output = kw_arg(args, "output"),
                       .cloud = c->cloud,
                       .include = kw_arg(args, "include") != NULL,
                       .file = {.fd = -1}};
    const struct asked q = {method, args->operands[1], headers, &body};
    if (a.output != NULL && strcmp(a.output, "-") == 0)
        a.output = NULL;
    kw_buf_init(&a.body, 1);
    int r = kw_method_check(args->operands[0], method, sizeof method, err);
    if (r == 0)
        r = kw_header_options(args, headers, sizeof headers, err);
    if (r == 0 && c->cloud == KW_CLOUD_GOOGLE)
        r = kw_google_headers(c, headers, sizeof headers, err);
    if (r == 0)
        r = kw_body_open(kw_arg(args, "data"), &body, err);
    if (r == 0 && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) && body.fd >= 0)
        r = kw_fail(err, KW_USAGE, "a %s has no body (-d)", method);
    /* Before anything is done that then could not be told of. */
    if (r == 0 && a.output != NULL)
        r = kw_atomic_could(a.output, err);
    if (r == 0)
        r = agent ? by_agent(c, &q, &a, host, err) : by_session(c, &q, &a, err);
    kw_atomic_abort(&a.file);
    kw_buf_free(&a.body);
    kw_body_close(&body);
    return r;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_config c;
    struct kw_url url;
    int r = kw_url_parse(args->operands[1], "URL", KW_USAGE, &url, err);
    if (r != 0)
        return r;
    r = kw_cli_config(cli, &c, err);
    if (r == 0 && c.agent_socket[0] == '\0') /* else it is the agent's profile */
        r = kw_config_cloud_of_host(&c, url.host, err);
    if (r == 0)
        r = call(cli, args, &c, url.host, err);
    kw_config_free(&c);
    return r;
}

const struct kw_command kw_cmd_request = {
    .name = "request",
    .operands = "METHOD URL",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "make one API call, signed or with a bearer",
    .text =
        "Takes the stored session or makes one, signs the request with the key in the "
        "PKCS#11 token, sends it, and writes the answer's body to standard output or -o. "
        "On a terminal, control characters of the body are shown as `?`. "
        "Redirects are never followed. An answer of 4xx is exit code 7, of 429 or 5xx 8, both "
        "with the service's code and message on standard error.\n"
        "At Google (a profile with [google NAME]) nothing is signed: the request carries an access "
        "token, which policy keeps to sign.host.\n"
        "The signature covers the target exactly as given: percent-encode it yourself. "
        "POST, PUT and PATCH (not an object's upload) are sent as application/json unless -H "
        "'content-type: ...' says "
        "otherwise.\n\n"
        "Example:\n  keyward request GET https://objectstorage.eu-frankfurt-1.oraclecloud.com/n/",
    .options = options,
    .run = run,
};
