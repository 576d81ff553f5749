/* SPDX-License-Identifier: Apache-2.0
 *
 * One request through libcurl. What is signed is what is sent: the request target
 * goes out as it stands, and headers that libcurl would add by itself are
 * suppressed. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http_int.h"
#include "src/base/buf.h"
#include "src/base/memory.h"
#include "src/ipc/ipc.h"
#include "src/wire/hdr.h"

struct transfer {
    struct kw_http *h;
    const struct kw_http_call *call;
    bool warm;      /* only connect */
    bool failed;    /* a callback of ours put the reason into *err */
    bool head_done; /* on_head was called: what follows are trailers */
    unsigned sends; /* times a request was about to be sent */
    uint64_t body_read;
    struct kw_err *err;
    struct curl_slist *headers, *resolve;
    char detail[CURL_ERROR_SIZE];
    char lines[KW_LINES];
};

/* --- what libcurl asks us ------------------------------------------------------- */

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    int fd = -1;
    (void)purpose, (void)address; /* a made-up one: names are resolved by the dialer */
    if (t->h->dial(t->h->dial_arg, t->call->url->host, t->call->url->port, t->call->deadline_ms,
                   &fd, t->err) != 0) {
        t->failed = true;
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int on_sockopt(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg, (void)fd, (void)purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ctx, void *arg)
{
    (void)easy;
    return kw_tls_prepare(ctx, arg) == 0 ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static bool repeatable(const struct kw_http_call *c)
{
    return !c->has_body && (strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0);
}

/* The connection stands and the request is about to be sent. Called again where
 * libcurl repeats a request because a kept-alive connection was dead. */
static int on_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct transfer *t = arg;
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    if (++t->sends <= (repeatable(t->call) ? 2U : 1U))
        return CURL_PREREQFUNC_OK;
    t->failed = true;
    (void)kw_fail(t->err, KW_NET,
                  "%s closed the connection before it answered; %s is not repeated by itself: it "
                  "may have been done. Try again",
                  t->call->url->authority, t->call->method);
    return CURL_PREREQFUNC_ABORT;
}

/* The same for a transfer that shall only connect. Made "connect only" now rather than
 * from its start, the connection goes back to the pool instead of being reserved for
 * its maker (read in libcurl 7.88 and 8.14, and tested with both). (If a libcurl did not honour
 * that, the HEAD that was prepared would be sent: harmless, as it carries nothing.) */
static int on_connected(void *easy, char *ip, char *local_ip, int port, int local_port)
{
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    return curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK ? CURL_PREREQFUNC_OK
                                                                        : CURL_PREREQFUNC_ABORT;
}

static size_t fail_read(struct transfer *t)
{
    t->failed = true;
    return CURL_READFUNC_ABORT;
}

static size_t on_read(char *out, size_t size, size_t items, void *arg)
{
    struct transfer *t = arg;
    uint64_t left = t->call->body_len - t->body_read;
    size_t want = size * items < left ? size * items : (size_t)left;
    struct pollfd p = {.fd = t->call->body_fd, .events = POLLIN};
    ssize_t n = 0;
    if (want == 0)
        return 0;
    do {
        int ready = poll(&p, 1, kw_left_ms(t->call->deadline_ms));
        if (ready == 0) {
            (void)kw_fail(t->err, KW_NET, "the body to be sent did not come in time");
            return fail_read(t);
        }
        n = ready > 0 ? read(p.fd, out, want) : -1;
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0)
        (void)kw_fail_errno(t->err, KW_FAILED, "could not read the body to be sent");
    else if (n == 0)
        (void)kw_fail(t->err, KW_FAILED, "the body to be sent ended after %llu of %llu bytes",
                      (unsigned long long)t->body_read, (unsigned long long)t->call->body_len);
    if (n <= 0)
        return fail_read(t);
    t->body_read += (uint64_t)n;
    return (size_t)n;
}

/* --- the answer's head ---------------------------------------------------------- */

/* Adds one "Name: value" of the server to our lines: name in lower case, bytes of the
 * value that are not printable ASCII replaced; a line that is no header is dropped. */
static bool add_line(struct transfer *t, const char *line, size_t n)
{
    char name[128], value[KW_LINES];
    const char *colon = memchr(line, ':', n);
    size_t nn = colon != NULL ? (size_t)(colon - line) : 0;
    if (nn == 0 || nn >= sizeof name)
        return true;
    for (size_t i = 0; i < nn; i++)
        name[i] = (char)(line[i] >= 'A' && line[i] <= 'Z' ? line[i] + ('a' - 'A') : line[i]);
    name[nn] = '\0';
    const char *from = colon + 1, *end = line + n;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (from < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t nv = (size_t)(end - from);
    if (nv >= sizeof value)
        return false;
    for (size_t i = 0; i < nv; i++)
        value[i] =
            (char)((unsigned char)from[i] < 0x20 || (unsigned char)from[i] > 0x7e ? '?' : from[i]);
    value[nv] = '\0';
    return !kw_hdr_name_ok(name) || kw_hdr_add(t->lines, sizeof t->lines, name, value);
}

static bool end_of_head(struct transfer *t, CURL *easy)
{
    long status = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) /* 100 Continue and its like: the real one follows */
        return true;
    t->head_done = true;
    t->failed = t->call->on_head(t->call->arg, (unsigned)status, t->lines, t->err) != 0;
    return !t->failed;
}

struct head_arg {
    struct transfer *t;
    CURL *easy;
};

static size_t on_header(char *line, size_t size, size_t items, void *arg)
{
    const struct head_arg *a = arg;
    struct transfer *t = a->t;
    size_t all = size * items, n = all;
    if (t->head_done)
        return all;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    if (n == 0)
        return end_of_head(t, a->easy) ? all : 0;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        t->lines[0] = '\0';
        return all;
    }
    if (add_line(t, line, n))
        return all;
    t->failed = true;
    (void)kw_fail(t->err, KW_CLOUD, "%s sent more than %u bytes of headers",
                  t->call->url->authority, (unsigned)KW_LINES);
    return 0;
}

static size_t on_write(char *bytes, size_t size, size_t items, void *arg)
{
    struct transfer *t = arg;
    size_t n = size * items;
    if (!t->failed && !t->head_done) {
        /* libcurl ends a head at any line that begins with CR, also where more follows it:
         * for us such a head has no end. */
        t->failed = true;
        (void)kw_fail(t->err, KW_CLOUD, "what %s sent is not HTTP/1.1 (its head has no end)",
                      t->call->url->authority);
    }
    if (t->failed)
        return 0;
    t->failed = t->call->on_body(t->call->arg, bytes, n, t->err) != 0;
    return t->failed ? 0 : n;
}

/* --- the request ---------------------------------------------------------------- */

static bool add_header(struct transfer *t, const char *text)
{
    struct curl_slist *l = curl_slist_append(t->headers, text);
    if (l != NULL)
        t->headers = l;
    return l != NULL;
}

static bool add_pair(struct transfer *t, const char *name, const char *value)
{
    struct kw_buf line;
    kw_buf_init(&line, 2 * KW_TOKEN_MAX);
    kw_put_str(&line, name);
    kw_put_str(&line, value[0] != '\0' ? ": " : ";"); /* libcurl's way to say "empty" */
    kw_put_str(&line, value);
    bool ok = !line.bad && add_header(t, kw_buf_str(&line));
    kw_buf_free(&line);
    return ok;
}

/* Host and Content-Length are ours; the colon alone suppresses what libcurl would add. */
static bool set_headers(struct transfer *t)
{
    const struct kw_http_call *c = t->call;
    char name[128], value[8192];
    bool accept = false, ok = add_pair(t, "Host", c->url->authority) && add_header(t, "Expect:");
    int more = 0;
    for (const char *p = c->headers;
         ok && (more = kw_hdr_next(&p, name, sizeof name, value, sizeof value)) == 1;) {
        if (strcasecmp(name, "host") == 0 || strcasecmp(name, "content-length") == 0)
            continue;
        accept = accept || strcasecmp(name, "accept") == 0;
        ok = add_pair(t, name, value);
    }
    if (ok && !accept)
        ok = add_header(t, "Accept:");
    if (ok && c->authorization != NULL)
        ok = add_pair(t, "Authorization", c->authorization);
    return ok && more == 0;
}

static CURLcode set_method(CURL *e, struct transfer *t)
{
    const struct kw_http_call *c = t->call;
    CURLcode r = CURLE_OK;
    if (c->body != NULL) {
        r = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
        if (r == CURLE_OK)
            r = curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->body);
    } else if (c->has_body) {
        (void)curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->body_len);
        (void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
        r = curl_easy_setopt(e, CURLOPT_READDATA, t);
    } else if (strcmp(c->method, "HEAD") == 0)
        return curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    else
        r = curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    return r == CURLE_OK ? curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, c->method) : r;
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_result = curl_easy_setopt(e, option, value);                                  \
        if (set_result != CURLE_OK)                                                                \
            return set_result;                                                                     \
    } while (0)

/* TLS, and where connections come from. */
static CURLcode set_transport(CURL *e, struct transfer *t)
{
    /* Plain only where the URL may be: kw_url_parse_local(). */
    SET(CURLOPT_PROTOCOLS_STR, t->call->url->plain ? "http" : "https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    SET(CURLOPT_SSL_CTX_DATA, t->h); /* the same for all: else none is reused */
    SET(CURLOPT_PROXY, "");          /* none, whatever the environment says */
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_IPRESOLVE, (long)CURL_IPRESOLVE_V4); /* of the made-up address */
    SET(CURLOPT_RESOLVE, t->resolve);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_SOCKOPTFUNCTION, on_sockopt);
    SET(CURLOPT_BUFFERSIZE, (long)KW_CURL_DOWN);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)KW_CURL_UP);
    SET(CURLOPT_MAXAGE_CONN, 20L); /* idle seconds; servers close after more */
    SET(CURLOPT_TIMEOUT_MS, (long)kw_left_ms(t->call->deadline_ms));
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)kw_left_ms(t->call->deadline_ms));
    return CURLE_OK;
}

static CURLcode set_request(CURL *e, struct transfer *t, struct head_arg *head)
{
    char base[KW_HOST + 16];
    (void)snprintf(base, sizeof base, "%s://%s/", t->call->url->plain ? "http" : "https",
                   t->call->url->authority);
    SET(CURLOPT_URL, base);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_REQUEST_TARGET, t->call->url->target);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(CURLOPT_USERAGENT, "keyward/" KW_VERSION);
    SET(CURLOPT_HTTPHEADER, t->headers);
    SET(CURLOPT_ERRORBUFFER, t->detail);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, head);
    SET(CURLOPT_WRITEFUNCTION, on_write);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_PREREQFUNCTION, t->warm ? on_connected : on_request);
    SET(CURLOPT_PREREQDATA, t->warm ? e : (void *)t);
    return set_method(e, t);
}

/* --- the run -------------------------------------------------------------------- */

/* The transfer stays in the multi handle. */
static CURLcode run(CURLM *multi, CURL *easy, int64_t deadline)
{
    int running = 0, left = 0;
    CURLcode result = CURLE_FAILED_INIT;
    if (curl_multi_add_handle(multi, easy) != CURLM_OK)
        return result;
    do {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            break;
        if (running > 0 &&
            curl_multi_poll(multi, NULL, 0, kw_left_ms(deadline) + 1, NULL) != CURLM_OK)
            break;
    } while (running > 0);
    for (const CURLMsg *m; (m = curl_multi_info_read(multi, &left)) != NULL;)
        if (m->msg == CURLMSG_DONE && m->easy_handle == easy)
            result = m->data.result;
    return result;
}

/* A server's TLS 1.3 session tickets lie unread in the warmed connection, and libcurl 8
 * takes a connection with unread bytes for dead: so what is there is read, through TLS,
 * by the transfer that made the connection. Data of HTTP can't be there yet. */
bool kw_http_cool(struct kw_http *h)
{
    char byte;
    size_t n = 0;
    if (h->warm == NULL)
        return true;
    bool clean = curl_easy_recv(h->warm, &byte, 1, &n) == CURLE_AGAIN;
    /* No longer "connect only", or libcurl 8 would close the connection now. */
    (void)curl_easy_setopt(h->warm, CURLOPT_CONNECT_ONLY, 0L);
    (void)curl_multi_remove_handle(h->multi, h->warm);
    curl_easy_cleanup(h->warm);
    h->warm = NULL;
    return clean;
}

/* Keeps the transfer that made a connection, without what belongs to our caller. */
static void keep_warm(struct kw_http *h, CURL *easy)
{
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_RESOLVE, NULL);
    h->warm = easy;
}

static int explain(struct transfer *t, CURLcode result)
{
    const char *host = t->call->url->authority;
    const char *why = t->detail[0] != '\0' ? t->detail : curl_easy_strerror(result);
    if (t->failed)
        return (int)t->err->code;
    switch (result) {
    case CURLE_OK:
        return t->head_done || t->warm ? 0 : kw_fail(t->err, KW_NET, "%s sent no answer", host);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
        return kw_tls_explain(t->h, host, result == CURLE_PEER_FAILED_VERIFICATION, why, t->err);
    case CURLE_OPERATION_TIMEDOUT:
        return kw_fail(t->err, KW_NET, "%s did not answer in time ([dial] timeout)", host);
    case CURLE_GOT_NOTHING:
        return kw_fail(t->err, KW_NET, "%s closed the connection without an answer", host);
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        /* In TLS 1.3 a client certificate is refused after the handshake. */
        if (t->h->alert && t->h->leaf != NULL && strcmp(t->h->client_host, t->h->host) == 0)
            return kw_fail(t->err, KW_CLOUD,
                           "%s did not accept the client certificate (%.200s): is client_key the "
                           "key of client_cert?",
                           host, why);
        if (!t->head_done)
            return kw_fail(t->err, KW_NET,
                           "the connection to %s was lost before an answer (%.200s)", host, why);
        return kw_fail(t->err, KW_NET, "the answer of %s was cut short (%.200s)", host, why);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WRITE_ERROR:
        return kw_fail(t->err, KW_CLOUD, "what %s sent is not HTTP/1.1 (%.200s)", host, why);
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
        return kw_fail(t->err, KW_FAILED, "libcurl: %s", why);
    default:
        return kw_fail(t->err, KW_NET, "the connection to %s failed (%.200s)", host, why);
    }
}

static void wipe_list(struct curl_slist *l)
{
    for (struct curl_slist *i = l; i != NULL; i = i->next)
        explicit_bzero(i->data, strlen(i->data));
    curl_slist_free_all(l);
}

static int transfer(struct kw_http *h, const struct kw_http_call *call, bool warm,
                    struct kw_err *err)
{
    struct transfer t = {.h = h, .call = call, .warm = warm, .err = err};
    char any[64];
    int r;
    bool clean = kw_http_cool(h);
    h->alert = false;
    h->verify = X509_V_OK;
    if (kw_left_ms(call->deadline_ms) == 0)
        return kw_fail(err, KW_NET, "%s was not called: no time is left ([dial] timeout)",
                       call->url->authority);
    /* Every name is "resolved": a name that is not would start libcurl's resolver. */
    (void)snprintf(any, sizeof any, "*:%u:127.0.0.1", (unsigned)call->url->port);
    t.resolve = curl_slist_append(NULL, any);
    CURL *easy = curl_easy_init();
    struct head_arg head = {&t, easy};
    h->host = call->url->host;
    if (easy == NULL || t.resolve == NULL || !set_headers(&t) ||
        set_transport(easy, &t) != CURLE_OK || set_request(easy, &t, &head) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, clean ? 0L : 1L) != CURLE_OK)
        r = kw_fail(err, KW_FAILED, "libcurl did not take the request to %s", call->url->authority);
    else
        r = explain(&t, run(h->multi, easy, call->deadline_ms));
    if (warm && r == 0)
        keep_warm(h, easy);
    else {
        (void)curl_multi_remove_handle(h->multi, easy);
        curl_easy_cleanup(easy);
    }
    kw_memory_scrub();
    wipe_list(t.headers);
    curl_slist_free_all(t.resolve);
    explicit_bzero(t.lines, sizeof t.lines);
    return r;
}

int kw_http_do(struct kw_http *h, const struct kw_http_call *call, struct kw_err *err)
{
    return transfer(h, call, false, err);
}

int kw_http_warm(struct kw_http *h, const struct kw_url *url, int64_t deadline_ms,
                 struct kw_err *err)
{
    struct kw_http_call call = {
        .url = url, .method = "HEAD", .headers = "", .body_fd = -1, .deadline_ms = deadline_ms};
    return transfer(h, &call, true, err);
}
