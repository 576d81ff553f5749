/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server answers, through libcurl and our callbacks (src/exchanger/http_call.c), but without
 * TLS, which would let nothing of it through. Input: a byte that chooses the request, two
 * bytes n, n bytes that the first connection says, and what the second one says. The head
 * is handed on once, as lines that are header lines; no byte of the body is made up. */
#include <curl/curl.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/exchanger/http.h"
#include "src/exchanger/http_int.h"
#include "src/ipc/ipc.h"
#include "src/wire/hdr.h"

#undef curl_easy_setopt /* a macro for gcc */

/* The client is made without roots, and without https. */
int __wrap_kw_tls_roots(const char *ca_file, X509_STORE **ret, struct kw_err *err);
int __wrap_kw_tls_roots(const char *ca_file, X509_STORE **ret, struct kw_err *err)
{
    (void)ca_file, (void)err;
    *ret = X509_STORE_new();
    return 0;
}

CURLcode __real_curl_easy_setopt(CURL *e, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *e, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *e, CURLoption option, ...)
{
    va_list ap;
    char url[512];
    CURLcode r;
    va_start(ap, option);
    if (fault_now())
        r = CURLE_OUT_OF_MEMORY;
    else if (option < CURLOPTTYPE_OBJECTPOINT)
        r = __real_curl_easy_setopt(e, option, va_arg(ap, long));
    else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
        r = __real_curl_easy_setopt(e, option, va_arg(ap, curl_off_t));
    else if (option == CURLOPT_PROTOCOLS_STR)
        r = __real_curl_easy_setopt(e, option, "http");
    else if (option == CURLOPT_URL) {
        const char *given = va_arg(ap, const char *);
        must(strcmp(given, "https://h.test/") == 0);
        (void)snprintf(url, sizeof url, "http://h.test:443/");
        r = __real_curl_easy_setopt(e, option, url);
    } else
        r = __real_curl_easy_setopt(e, option, va_arg(ap, void *));
    va_end(ap);
    return r;
}

/* libcurl 7.88 connects what is connected; for the exchanger, its filter says yes to that. */
int connect(int fd, const struct sockaddr *a, socklen_t n)
{
    (void)fd, (void)a, (void)n;
    return 0;
}

/* --- the server and who asks it ------------------------------------------------------- */

struct talk {
    const unsigned char *says[2];
    size_t n[2], body;
    int server[2];
    unsigned dials, heads;
};

static int dial(void *arg, const char *host, uint16_t port, int64_t deadline_ms, int *ret_fd,
                struct kw_err *err)
{
    struct talk *t = arg;
    int pair[2];
    (void)host, (void)port, (void)deadline_ms;
    if (t->dials == 2)
        return kw_fail(err, KW_NET, "no more");
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    (void)!send(pair[0], t->says[t->dials], t->n[t->dials], MSG_NOSIGNAL);
    (void)shutdown(pair[0], SHUT_WR);
    t->server[t->dials++] = pair[0];
    *ret_fd = pair[1];
    return 0;
}

static int on_head(void *arg, unsigned status, const char *headers, struct kw_err *err)
{
    struct talk *t = arg;
    static char name[128], value[KW_LINES];
    int more;
    must(t->heads++ == 0 && status >= 200 && status <= 999 && strlen(headers) < KW_LINES);
    while ((more = kw_hdr_next(&headers, name, sizeof name, value, sizeof value)) == 1)
        must(strpbrk(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
    must(more == 0);
    return fault_now() ? kw_fail(err, KW_FAILED, "not wanted") : 0;
}

static int on_body(void *arg, const void *bytes, size_t n, struct kw_err *err)
{
    struct talk *t = arg;
    must(t->heads == 1 && bytes != NULL);
    t->body += n;
    must(t->body <= t->n[0] + t->n[1]);
    return fault_now() ? kw_fail(err, KW_FAILED, "not wanted") : 0;
}

static int ask(struct kw_http *h, unsigned how, struct talk *t, struct kw_err *err)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "GET"};
    int body[2], r = 0;
    struct kw_url url;
    must(kw_url_parse("https://h.test/x?y", "it", KW_USAGE, &url, err) == 0);
    must(pipe(body) == 0 && write(body[1], "body", 4) == 4 && close(body[1]) == 0);
    struct kw_http_call call = {.url = &url,
                                .method = methods[how % 6],
                                .headers =
                                    (how & 64) != 0 ? "a: b\naccept: c\nempty: \nhost: no\n" : "",
                                .authorization = (how & 32) != 0 ? "x" : NULL,
                                .body = how % 6 == 3 ? "form" : NULL,
                                .body_fd = how % 6 == 2 ? body[0] : -1,
                                .body_len = how % 6 == 2 || how % 6 == 3 ? 4 + (how >> 7) : 0,
                                .has_body = how % 6 == 2 || how % 6 == 3,
                                .deadline_ms = kw_now_ms() + 5000,
                                .on_head = on_head,
                                .on_body = on_body,
                                .arg = t};
    if (how % 6 == 3)
        call.body_len = 4;
    fault_begin();
    if ((how & 16) != 0)
        r = kw_http_warm(h, &url, kw_now_ms() + 5000, err);
    if (r == 0)
        r = kw_http_do(h, &call, err);
    bool hit = fault_end();
    must(r != 0 || t->heads == 1);
    must(r == 0 || (err->text[0] != '\0' && strpbrk(err->text, "\r\n\033") == NULL));
    must(r == 0 || r == KW_NET || r == KW_CLOUD || hit || r == KW_FAILED);
    (void)close(body[0]);
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct talk t;
    struct kw_err err = {0};
    struct kw_http *h = NULL;
    fault_seed(data, &size);
    if (size < 3)
        return 0;
    t = (struct talk){.server = {-1, -1}};
    t.n[0] = (size_t)data[1] | (size_t)data[2] << 8;
    t.n[0] = t.n[0] < size - 3 ? t.n[0] : size - 3;
    t.says[0] = data + 3;
    t.says[1] = data + 3 + t.n[0];
    t.n[1] = size - 3 - t.n[0];
    must(kw_http_new("", dial, &t, &h, &err) == 0);
    (void)ask(h, data[0], &t, &err);
    kw_http_free(h);
    curl_global_cleanup();
    for (size_t i = 0; i < 2; i++)
        if (t.server[i] >= 0)
            (void)close(t.server[i]);
    return 0;
}
