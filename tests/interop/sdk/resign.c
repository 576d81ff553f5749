/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward's half of the differential test: one session as `keyward sign` makes it, and for
 * each request on standard input (a line of JSON from wire.py: what an SDK sent) the headers
 * to sign as kw_oci_header_lines() chooses them and the keeper's signature.
 *
 *   resign CONFIG PROFILE <WIRE
 *
 * Prints a line of JSON each: {"case", "string", "signature", "url"}, where url says why
 * `keyward sign` would not take the request as a URL ("" if it does), or {"case", "error"}
 * if it is not to be signed at all. It must lie beside the role programs.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "src/base/b64.h"
#include "src/base/secret.h"
#include "src/session/call.h"
#include "src/wire/hdr.h"
#include "src/wire/oci_sign.h"
#include "src/wire/url.h"

/* The parser of arguments comes along with the configuration; it has nothing to do here. */
const struct kw_command *const kw_commands[] = {NULL};

static struct kw_m_sign m;
static char headers[KW_LINES];

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

/* All that was sent but what keyward makes itself: Host goes by the request. */
static int take_headers(const json_t *wire, const char **host, struct kw_err *err)
{
    size_t i;
    json_t *pair;
    headers[0] = '\0';
    *host = "";
    json_array_foreach(json_object_get(wire, "headers"), i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));
        if (name == NULL || value == NULL)
            return kw_fail(err, KW_USAGE, "bad header");
        if (strcasecmp(name, "host") == 0)
            *host = value;
        else if (strcasecmp(name, "authorization") != 0 &&
                 !kw_hdr_add(headers, sizeof headers, name, value))
            return kw_fail(err, KW_USAGE, "header %s can't be taken", name);
    }
    return 0;
}

static int lines(const json_t *wire, struct kw_err *err)
{
    const char *host;
    char send[KW_LINES];
    int r = take_headers(wire, &host, err);
    const struct kw_oci_request q = {
        .method = text(wire, "method"),
        .host = host,
        .target = text(wire, "target"),
        .headers = headers,
        .has_body = json_integer_value(json_object_get(wire, "length")) > 0,
        .body_len = (uint64_t)json_integer_value(json_object_get(wire, "length")),
        .body_sha256 = text(wire, "sha256"),
        .now = (int64_t)time(NULL),
    };
    m = (struct kw_m_sign){.key = KW_SIGN_SESSION};
    if (r == 0 && (strlen(q.method) >= sizeof m.method || strlen(host) >= sizeof m.host ||
                   strlen(q.target) >= sizeof m.target))
        r = kw_fail(err, KW_USAGE, "too long");
    if (r != 0)
        return r;
    (void)snprintf(m.method, sizeof m.method, "%s", q.method);
    (void)snprintf(m.host, sizeof m.host, "%s", host);
    (void)snprintf(m.target, sizeof m.target, "%s", q.target);
    return kw_oci_header_lines(&q, m.headers, sizeof m.headers, send, sizeof send, err);
}

/* The same request as a URL on a command line. */
static void as_url(json_t *result)
{
    char url[KW_HOST + KW_TARGET + 16];
    struct kw_url u;
    struct kw_err err = {0};
    (void)snprintf(url, sizeof url, "https://%s%s", m.host, m.target);
    int r = kw_url_parse(url, "URL", KW_USAGE, &u, &err);
    if (r == 0 && strcmp(u.target, m.target) != 0)
        r = kw_fail(&err, KW_USAGE, "another target: %s", u.target);
    if (r == 0 && strcmp(u.authority, m.host) != 0)
        r = kw_fail(&err, KW_USAGE, "another host: %s", u.authority);
    (void)json_object_set_new(result, "url", json_string(r == 0 ? "" : err.text));
}

static int sign(struct kw_session *s, json_t *result, struct kw_err *err)
{
    struct kw_in in;
    struct kw_m_signed answer;
    struct kw_buf string, b64;
    kw_buf_init(&string, KW_LINES + KW_TARGET + KW_HOST);
    kw_buf_init(&b64, 4096);
    int r = kw_oci_signing_string(&m, &string, err);
    if (r == 0)
        r = kw_child_send(&s->crew.keeper, KW_KM_SIGN, &m, NULL, 0, err);
    if (r == 0) {
        r = kw_child_expect(&s->crew.keeper, KW_KM_SIGNED, &answer, &in, kw_now_ms() + 60000, err);
        if (r == 0) {
            kw_b64_put(&b64, answer.signature.p, answer.signature.len);
            (void)json_object_set_new(result, "string",
                                      json_stringn(kw_buf_str(&string), string.len));
            (void)json_object_set_new(result, "signature", json_string(kw_buf_str(&b64)));
            as_url(result);
        }
        kw_in_free(&in);
    }
    kw_buf_free(&string);
    kw_buf_free(&b64);
    return r;
}

static int each(struct kw_session *s, const char *line, struct kw_err *err)
{
    json_t *wire = json_loads(line, 0, NULL);
    json_t *result = json_object();
    struct kw_err why = {0};
    if (wire == NULL || result == NULL) {
        json_decref(wire);
        json_decref(result);
        return kw_fail(err, KW_USAGE, "a line is not JSON");
    }
    (void)json_object_set(result, "case", json_object_get(wire, "case"));
    int r = lines(wire, &why);
    if (r == 0)
        r = sign(s, result, &why);
    if (r != 0)
        (void)json_object_set_new(result, "error", json_string(why.text));
    r = json_dumpf(result, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(wire);
    json_decref(result);
    return r != 0 ? kw_fail(err, KW_FAILED, "could not write") : 0;
}

static int serve(struct kw_session *s, struct kw_err *err)
{
    char *line = NULL;
    size_t size = 0;
    int r = 0;
    while (r == 0 && getline(&line, &size, stdin) > 0)
        r = each(s, line, err);
    free(line);
    return r;
}

int main(int argc, char **argv)
{
    static struct kw_config c;
    static struct kw_session s;
    struct kw_err err = {0};
    if (argc != 3)
        return KW_USAGE;
    const struct kw_cli cli = {.config_path = argv[1], .profile = argv[2]};
    int r = kw_secret_init(true, &err);
    if (r == 0)
        r = kw_cli_config(&cli, &c, &err);
    if (r == 0)
        r = kw_session_open(&s, &c, "sign", 0, &err);
    if (r == 0) {
        struct kw_err at_end;
        r = serve(&s, &err);
        int ended = kw_session_close(&s, NULL, &at_end);
        if (r == 0 && ended != 0) {
            err = at_end;
            r = ended;
        }
    }
    kw_config_free(&c);
    if (r != 0)
        (void)fprintf(stderr, "resign: %s\n", err.text);
    return r;
}
