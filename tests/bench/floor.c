/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor for `keyward request` from nothing: one process that does just the work
 * itself, max(key generation, token fetch + TLS) + exchange + call, with raw Cryptoki
 * and libcurl, without any check, fence or second process.
 *
 * usage: kw-floor MODULE TOKEN-LABEL PIN URL   (LAB_... from lab.env; the PIN is a test's)
 */
#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "raw.h"
#include "src/base/b64.h"
#include "src/base/io.h"
#include "src/wire/hdr.h"
#include "src/wire/oci_sign.h"
#include "src/wire/url.h"

static void *make_key(void *arg)
{
    raw_open(arg);
    return NULL;
}

struct net {
    CURL *curl;
    struct curl_slist *connect_to;
    struct kw_buf answer;
};

static size_t collect(char *p, size_t size, size_t n, void *arg)
{
    kw_put(arg, p, size * n);
    return size * n;
}

static const char *env(const char *name)
{
    const char *value = getenv(name);
    MUST(value != NULL);
    return value;
}

static long http(struct net *n, const char *url, const char *post, struct curl_slist *headers)
{
    kw_buf_reset(&n->answer);
    curl_easy_reset(n->curl);
    curl_easy_setopt(n->curl, CURLOPT_URL, url);
    curl_easy_setopt(n->curl, CURLOPT_CONNECT_TO, n->connect_to);
    curl_easy_setopt(n->curl, CURLOPT_CAINFO, env("LAB_CA_FILE"));
    curl_easy_setopt(n->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(n->curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(n->curl, CURLOPT_WRITEDATA, &n->answer);
    curl_easy_setopt(n->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (post != NULL)
        curl_easy_setopt(n->curl, CURLOPT_POSTFIELDS, post);
    long status = 0;
    MUST(curl_easy_perform(n->curl) == CURLE_OK);
    curl_easy_getinfo(n->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static char *member(struct net *n, const char *name)
{
    json_t *o = json_loadb(kw_buf_str(&n->answer), n->answer.len, 0, NULL);
    const char *text = json_string_value(json_object_get(o, name));
    MUST(text != NULL);
    char *copy = strdup(text);
    json_decref(o);
    return copy;
}

static char *file(const char *path)
{
    struct kw_buf b;
    struct kw_err err;
    kw_buf_init(&b, 4096);
    MUST(kw_read_file(path, &b, KW_FAILED, &err) == 0);
    char *text = strdup(kw_buf_str(&b));
    text[strcspn(text, "\r\n")] = '\0';
    kw_buf_free(&b);
    return text;
}

static char *exchange(struct net *n, const struct raw *k, const char *subject)
{
    struct kw_buf form, b64;
    char auth[512], url[600];
    kw_buf_init(&form, 65536);
    kw_buf_init(&b64, 4096);
    kw_put_str(&form, "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
                      "&requested_token_type=urn:oci:token-type:oci-upst&subject_token=");
    kw_put_str(&form, subject);
    kw_put_str(&form, "&subject_token_type=jwt&public_key=");
    kw_b64_put(&b64, k->spki, k->spki_len);
    kw_pct_put(&form, b64.p, b64.len);
    char *secret = file(env("LAB_CLIENT_SECRET_FILE"));
    (void)snprintf(auth, sizeof auth, "%s:%s", env("LAB_CLIENT_ID"), secret);
    kw_buf_reset(&b64);
    kw_b64_put(&b64, auth, strlen(auth));
    (void)snprintf(auth, sizeof auth, "Authorization: Basic %s", kw_buf_str(&b64));
    struct curl_slist *h = curl_slist_append(NULL, auth);
    (void)snprintf(url, sizeof url, "%s/oauth2/v1/token", env("LAB_DOMAIN_URL"));
    MUST(http(n, url, kw_buf_str(&form), h) == 200);
    curl_slist_free_all(h);
    free(secret);
    kw_buf_free(&form);
    kw_buf_free(&b64);
    return member(n, "token");
}

static struct curl_slist *sign(struct raw *k, const char *target_url, const char *token)
{
    struct kw_url u;
    struct kw_err err;
    struct kw_m_sign m = {0};
    char send[KW_LINES];
    MUST(kw_url_parse(target_url, "URL", KW_USAGE, &u, &err) == 0);
    const struct kw_oci_request r = {.method = "GET",
                                     .host = u.authority,
                                     .target = u.target,
                                     .headers = "",
                                     .body_sha256 = "",
                                     .now = (int64_t)time(NULL)};
    MUST(kw_oci_header_lines(&r, m.headers, sizeof m.headers, send, sizeof send, &err) == 0);
    memcpy(m.method, "GET", 4);
    memcpy(m.host, u.authority, sizeof m.host);
    memcpy(m.target, u.target, sizeof m.target);
    struct kw_buf s;
    kw_buf_init(&s, 65536);
    MUST(kw_oci_signing_string(&m, &s, &err) == 0);
    unsigned char sig[512];
    size_t n = raw_sign(k, k->session, s.p, s.len, sig);
    kw_buf_reset(&s);
    kw_put_str(&s, "Authorization: ");
    kw_oci_authorization("ST$", token, m.headers, sig, n, &s);
    struct curl_slist *h = curl_slist_append(NULL, kw_buf_str(&s));
    const char *lines = send;
    char name[128], value[8192], line[8400];
    while (kw_hdr_next(&lines, name, sizeof name, value, sizeof value) == 1) {
        (void)snprintf(line, sizeof line, "%s: %s", name, value);
        h = curl_slist_append(h, line);
    }
    kw_buf_free(&s);
    return h;
}

int main(int argc, char **argv)
{
    MUST(argc == 5);
    struct raw k = {.module = argv[1], .label = argv[2], .pin = argv[3]};
    struct net n = {0};
    pthread_t maker;
    char connect_to[128], bearer[4096];
    MUST(pthread_create(&maker, NULL, make_key, &k) == 0);
    MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    n.curl = curl_easy_init();
    kw_buf_init(&n.answer, 1 << 20);
    (void)snprintf(connect_to, sizeof connect_to, "::127.0.0.1:%s", env("LAB_PORT"));
    n.connect_to = curl_slist_append(NULL, connect_to);
    char *request_token = file(env("LAB_REQUEST_TOKEN_FILE"));
    (void)snprintf(bearer, sizeof bearer, "Authorization: bearer %s", request_token);
    struct curl_slist *h = curl_slist_append(NULL, bearer);
    char url[2048];
    (void)snprintf(url, sizeof url, "%s&audience=%s", env("LAB_REQUEST_URL"),
                   env("LAB_DOMAIN_URL"));
    MUST(http(&n, url, NULL, h) == 200);
    char *subject = member(&n, "value");
    /* Any answer will do: it opens the TLS connection that the exchange then uses. */
    (void)snprintf(url, sizeof url, "%s/", env("LAB_DOMAIN_URL"));
    (void)http(&n, url, NULL, NULL);
    MUST(pthread_join(maker, NULL) == 0);
    char *token = exchange(&n, &k, subject);
    struct curl_slist *signed_headers = sign(&k, argv[4], token);
    MUST(http(&n, argv[4], NULL, signed_headers) == 200);
    curl_slist_free_all(signed_headers);
    curl_slist_free_all(h);
    curl_slist_free_all(n.connect_to);
    curl_easy_cleanup(n.curl);
    kw_buf_free(&n.answer);
    free(subject);
    free(token);
    free(request_token);
    return 0;
}
