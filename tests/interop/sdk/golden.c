/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds keyward's signatures against vectors that the vendor's SDKs made (golden/SDK.jsonl,
 * made by run --update). For each: kw_oci_header_lines() chooses what to sign of what the
 * SDK sent, kw_oci_signing_string() must make the SDK's string of it, and kw_p11_sign(), with
 * the SDK's key in the token, the SDK's signature. The keeper itself would refuse dates of
 * long ago; the functions are those it calls (the test `run` goes through the keeper).
 *
 *   golden MODULE TOKEN-LABEL PIN-FILE FILE...
 *
 * MODULE hands out the key as its own (tests/mock/insider.c, import). Prints a line a file,
 * and one for each vector that differs, on standard error (where standard output goes once a
 * module is loaded); exit code 1 if any does.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pkcs11/p11.h"
#include "src/base/b64.h"
#include "src/wire/hdr.h"
#include "src/wire/oci_sign.h"

static struct kw_p11 *p11;
static struct kw_p11_key key;

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

static int open_token(const char *module, const char *label, const char *pin, struct kw_err *err)
{
    static struct kw_m_keeper_start cfg = {.sessions = 1, .pin_source = KW_PIN_FILE, .bits = 2048};
    struct kw_m_keeper_ready info;
    struct kw_secret *secret = NULL;
    (void)snprintf(cfg.module, sizeof cfg.module, "%s", module);
    (void)snprintf(cfg.label, sizeof cfg.label, "%s", label);
    (void)snprintf(cfg.pin_path, sizeof cfg.pin_path, "%s", pin);
    int r = kw_secret_init(true, err);
    if (r == 0)
        r = kw_p11_load(&cfg, &p11, err);
    if (r == 0)
        r = kw_p11_choose(p11, &info, err);
    if (r == 0)
        r = kw_pin_read(&cfg, &secret, err);
    if (r == 0)
        r = kw_p11_login(p11, secret, err);
    kw_secret_free(&secret);
    return r != 0 ? r : kw_p11_generate(p11, cfg.bits, false, 0, &key, err);
}

static int request(const json_t *v, struct kw_m_sign *m, struct kw_err *err)
{
    char headers[KW_LINES] = "", send[KW_LINES];
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(v, "headers"), i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));
        if (name == NULL || value == NULL || !kw_hdr_add(headers, sizeof headers, name, value))
            return kw_fail(err, KW_FAILED, "bad header");
    }
    json_int_t length = json_integer_value(json_object_get(v, "length"));
    const struct kw_oci_request q = {.method = text(v, "method"),
                                     .host = text(v, "host"),
                                     .target = text(v, "target"),
                                     .headers = headers,
                                     .has_body = length > 0,
                                     .body_len = (uint64_t)length,
                                     .body_sha256 = text(v, "sha256")};
    *m = (struct kw_m_sign){.key = KW_SIGN_SESSION};
    (void)snprintf(m->method, sizeof m->method, "%s", q.method);
    (void)snprintf(m->host, sizeof m->host, "%s", q.host);
    (void)snprintf(m->target, sizeof m->target, "%s", q.target);
    return kw_oci_header_lines(&q, m->headers, sizeof m->headers, send, sizeof send, err);
}

/* 0: both are the same. */
static int one(const json_t *v, struct kw_err *err)
{
    static struct kw_m_sign m;
    struct kw_buf string, b64;
    unsigned char sig[512];
    size_t n = 0;
    kw_buf_init(&string, KW_LINES + KW_TARGET + KW_HOST);
    kw_buf_init(&b64, 4096);
    int r = request(v, &m, err);
    if (r == 0)
        r = kw_oci_signing_string(&m, &string, err);
    if (r == 0 && strcmp(kw_buf_str(&string), text(v, "string")) != 0)
        r = kw_fail(err, KW_FAILED, "the signing string differs");
    if (r == 0)
        r = kw_p11_sign(p11, &key, string.p, string.len, sig, &n, err);
    kw_b64_put(&b64, sig, n);
    if (r == 0 && strcmp(kw_buf_str(&b64), text(v, "signature")) != 0)
        r = kw_fail(err, KW_FAILED, "the signature differs");
    kw_buf_free(&string);
    kw_buf_free(&b64);
    return r;
}

/* How many vectors of the file differ; a file without any is as bad. */
static int file(const char *path)
{
    struct kw_err err = {0};
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    int n = 0, bad = 0;
    while (f != NULL && getline(&line, &size, f) > 0) {
        json_t *v = json_loads(line, 0, NULL);
        n++;
        if (one(v, &err) != 0) {
            bad++;
            printf("%s, case %d: %s\n", path, (int)json_integer_value(json_object_get(v, "case")),
                   err.text);
        }
        json_decref(v);
    }
    free(line);
    if (f != NULL)
        (void)fclose(f);
    printf("%s: %d vectors, %d differ\n", path, n, bad);
    return n == 0 ? 1 : bad;
}

int main(int argc, char **argv)
{
    struct kw_err err = {0};
    int bad = argc < 5;
    if (bad == 0 && open_token(argv[1], argv[2], argv[3], &err) != 0) {
        (void)fprintf(stderr, "golden: %s\n", err.text);
        bad = 1;
    }
    for (int i = 4; bad == 0 && i < argc; i++)
        bad += file(argv[i]);
    kw_p11_free(p11);
    return bad > 0;
}
