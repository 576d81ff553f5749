/* SPDX-License-Identifier: Apache-2.0
 *
 * The administrator's calls: a session that nobody exchanged. The bearer comes from a file, a
 * descriptor or a command, goes to the exchanger once, and only to the hosts of the set-up; the
 * keeper judges and logs each call.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "setup.h"
#include "src/base/io.h"
#include "src/base/log.h"
#include "src/ipc/ipc.h"
#include "src/session/call.h"
#include "src/session/session_int.h"
#include "src/session/session_kept.h"
#include "src/source/source.h"

enum { LIFE_S = 12 * 3600, TRIES = 4, FIRST_MS = 100 };

/* --- whose bearer --------------------------------------------------------------------------- */

static int from_file(struct kw_setup *s, const char *file, const char *what, struct kw_err *err)
{
    bool source = strncmp(file, "fd:", 3) == 0 || strncmp(file, "credential:", 11) == 0 ||
                  strncmp(file, "file:/", 6) == 0;
    return source ? kw_secret_from_source(file, what, KW_TOKEN_MAX, &s->admin, err)
                  : kw_secret_read_file(file, KW_TOKEN_MAX, KW_USAGE, &s->admin, err);
}

/* One line of visible ASCII, as a header takes it. */
static int check_bearer(struct kw_setup *s, struct kw_err *err)
{
    const char *p = kw_secret_bytes(s->admin);
    size_t n = kw_secret_len(s->admin);
    bool good = n > 0 && strlen(p) == n;
    for (size_t i = 0; good && i < n; i++)
        good = p[i] > ' ' && p[i] < 0x7f;
    return good ? 0
                : kw_fail(err, KW_USAGE,
                          "the administrator's token is empty or no single word; it is an access "
                          "token, as the cloud's own command line tool prints it");
}

int kw_setup_admin(struct kw_setup *s, const char *variable, struct kw_err *err)
{
    const char *file = kw_arg(s->args, "admin-token-file");
    const char *command = kw_arg(s->args, "admin-token-command");
    const char *named = variable != NULL ? getenv(variable) : NULL;
    int r;
    kw_secret_free(&s->admin);
    if (file != NULL && command != NULL)
        return kw_fail(err, KW_USAGE, "give one of --admin-token-file and --admin-token-command");
    if (file != NULL)
        r = from_file(s, file, "--admin-token-file", err);
    else if (command != NULL) {
        r = kw_source_command(command, s->config->timeout_s, &s->admin, err);
        if (r == KW_SUBJECT)
            r = err->code = KW_USAGE;
    } else if (named != NULL && named[0] != '\0')
        r = from_file(s, named, variable, err);
    else
        return kw_fail(err, KW_USAGE,
                       "whose rights? Give an administrator's access token by --admin-token-file "
                       "FILE (or fd:N, credential:NAME) or --admin-token-command COMMAND%s%s; "
                       "with --print-commands none is needed",
                       variable != NULL ? ", or a file by " : "", variable != NULL ? variable : "");
    if (r != 0)
        return kw_err_wrap(err, "the administrator's token");
    return check_bearer(s, err);
}

/* --- the processes -------------------------------------------------------------------------- */

/* What the workload may do says nothing of what its administrator may: other hosts, no budgets. */
static int admin_config(struct kw_config *c, const char *hosts, const char *paths,
                        struct kw_err *err)
{
    size_t at = 0;
    (void)snprintf(c->sign_host, sizeof c->sign_host, "%s", hosts);
    (void)snprintf(c->sign_method, sizeof c->sign_method, "GET POST PUT PATCH DELETE");
    (void)snprintf(c->sign_path, sizeof c->sign_path, "%s", paths != NULL ? paths : "");
    c->sign_per_minute = c->sign_max_count = 0;
    c->tls_key_set = false;
    (void)snprintf(c->source_type, sizeof c->source_type, "auto");
    for (const char *p = hosts; *p != '\0';) {
        size_t n = strcspn(p, " "), room = sizeof c->dial - at;
        int len = snprintf(c->dial + at, room, "%s%.*s%s", at > 0 ? " " : "", (int)n, p,
                           memchr(p, ':', n) == NULL ? ":443" : "");
        if (len < 0 || (size_t)len >= room)
            return kw_fail(err, KW_FAILED, "there are too many hosts to be called");
        at += (size_t)len;
        p += n + strspn(p + n, " ");
    }
    return 0;
}

static int hand_over(struct kw_setup *s, struct kw_err *err)
{
    struct kw_m_session m = {.bearer = 1, .token = s->admin};
    return kw_child_send(&s->wire->crew.exchanger, KW_XM_SESSION, &m, NULL, 0, err);
}

static struct kw_config admin; /* the wire's; large */

int kw_setup_open(struct kw_setup *s, const char *hosts, struct kw_err *err)
{
    static struct kw_session wire;
    static char caller[32];
    admin = *s->config;
    wire = (struct kw_session){.config = &admin,
                               .caller = caller,
                               .purpose = KW_FOR_BEARER,
                               .lock = -1,
                               .not_after = (int64_t)time(NULL) + LIFE_S,
                               .principal = "an administrator, by the token that was given",
                               .decided = "keyward setup"};
    (void)snprintf(caller, sizeof caller, "%s %s", s->revoke ? "revoke" : "setup", s->cloud->name);
    if (s->who != NULL)
        (void)snprintf(wire.principal, sizeof wire.principal, "%s", s->who);
    int r = admin_config(&admin, hosts, s->paths, err);
    if (r != 0)
        return r;
    s->wire = &wire;
    r = kw_session_start_crew(s->wire, KW_FOR_BEARER, "", err);
    if (r == 0)
        r = kw_session_await_net(s->wire, err);
    if (r == 0)
        r = kw_session_await_keeper(s->wire, err);
    if (r == 0)
        r = kw_session_open_signing(s->wire, err);
    return r != 0 || s->admin == NULL ? r : hand_over(s, err);
}

int kw_setup_close(struct kw_setup *s, int r, struct kw_err *err)
{
    struct kw_err at_end;
    kw_secret_free(&s->admin);
    if (s->wire == NULL)
        return r;
    if (r != 0) {
        (void)kw_session_heed_pin(s->wire, r, err);
        kw_session_abandon(s->wire, err);
        r = kw_nonzero((int)err->code);
    } else if ((r = kw_session_close(s->wire, NULL, &at_end)) != 0)
        *err = at_end;
    s->wire = NULL;
    return r;
}

/* --- a call --------------------------------------------------------------------------------- */

struct taking {
    struct kw_setup_answer *a;
    struct kw_buf body;
    bool overlong; /* the rest is taken and thrown away, so that the next call can be made */
};

static int begin(void *arg, const struct kw_m_head *head, struct kw_err *err)
{
    struct taking *t = arg;
    (void)err;
    t->a->status = head->status;
    memcpy(t->a->headers, head->headers, sizeof t->a->headers);
    return 0;
}

static int data(void *arg, const void *bytes, size_t n, struct kw_err *err)
{
    struct taking *t = arg;
    (void)err;
    t->overlong = t->overlong || n > t->body.max - t->body.len;
    if (!t->overlong)
        kw_put(&t->body, bytes, n);
    return 0;
}

/* The body, in memory that has no name. */
static int give(const char *text, struct kw_body *b, struct kw_err *err)
{
    int r = 0;
    b->len = strlen(text);
    b->fd = memfd_create("keyward setup", MFD_CLOEXEC);
    if (b->fd < 0 || kw_write_all(b->fd, text, b->len) != 0 || lseek(b->fd, 0, SEEK_SET) != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not keep a request's body");
    return r;
}

static bool temporary(unsigned status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

/* What the vendor's error says, for a status that nobody but us will look at. */
static void said(const struct kw_setup_answer *a, char *text, size_t size)
{
    const json_t *e = json_object_get(a->body, "error");
    const char *m = json_string_value(json_object_get(json_is_object(e) ? e : a->body, "message"));
    if (m == NULL)
        m = json_string_value(json_object_get(a->body, "detail"));
    (void)snprintf(text, size, "%s%.300s", m != NULL ? ": " : "", m != NULL ? m : "");
}

static int judge(struct taking *t, struct kw_err *err)
{
    struct kw_setup_answer *a = t->a;
    char text[320];
    if (t->overlong)
        return kw_fail(err, KW_CLOUD, "the answer is longer than %d bytes", KW_SETUP_ANSWER);
    if (t->body.len > 0)
        a->body = json_loadb(kw_buf_str(&t->body), t->body.len, JSON_REJECT_DUPLICATES, NULL);
    said(a, text, sizeof text);
    if (temporary(a->status))
        return kw_fail(err, KW_NET, "it answered %u%s", a->status, text);
    if (a->status < 200 || (a->status >= 300 && a->status < 400))
        return kw_fail(err, KW_CLOUD, "it answered %u, a redirect or nothing that can be used",
                       a->status);
    if (a->status < 300 && t->body.len > 0 && !json_is_object(a->body) && !json_is_array(a->body))
        return kw_fail(err, KW_CLOUD, "it answered %u with something that is no JSON", a->status);
    return 0;
}

/* The body as it goes out, owned; NULL where there is none, or (with *r) no memory. */
static char *body_text(const struct kw_setup_request *q, int *r, struct kw_err *err)
{
    char *text = q->body != NULL   ? json_dumps(q->body, JSON_COMPACT)
                 : q->text != NULL ? strdup(q->text)
                                   : NULL;
    if (text == NULL && (q->body != NULL || q->text != NULL))
        *r = kw_fail(err, KW_FAILED, "there is no memory for a request's body");
    return text;
}

/* Where there is little time, a call may take what is left of it. */
static int hurry(const struct kw_setup *s, struct kw_err *err)
{
    int left = s->until_ms != 0 ? kw_left_ms(s->until_ms) : 0;
    if (s->until_ms != 0 && left == 0)
        return kw_fail(err, KW_FAILED, "there was no time left for it");
    if (s->until_ms != 0)
        admin.timeout_s = (uint32_t)left / 1000 + 1;
    return 0;
}

static int once(struct kw_setup *s, const struct kw_setup_request *q, struct kw_setup_answer *a,
                struct kw_err *err)
{
    static const char json[] = "accept: application/json\ncontent-type: application/json\n";
    char headers[2048];
    struct kw_body body = {.fd = -1};
    struct taking t = {.a = a};
    const struct kw_sink sink = {begin, data, &t};
    int r = hurry(s, err);
    if (r == 0) /* before anything else is sent to it */
        r = kw_child_settle(&s->wire->crew.exchanger, KW_XM_END, kw_deadline(&admin), err);
    (void)snprintf(headers, sizeof headers, "%s",
                   q->headers != NULL ? q->headers
                   : q->body != NULL  ? json
                                      : "accept: application/json\n");
    kw_setup_answer_free(a);
    kw_buf_init(&t.body, KW_SETUP_ANSWER);
    char *text = body_text(q, &r, err);
    size_t n = text != NULL ? strlen(text) : 0;
    if (r == 0 && text != NULL)
        r = give(text, &body, err);
    if (r == 0 && q->authorize != NULL)
        r = q->authorize(s, q, text, n, headers, sizeof headers, err);
    if (text != NULL)
        explicit_bzero(text, n);
    free(text);
    if (r == 0)
        r = kw_call(s->wire, q->method, q->url, headers, &body, &sink, err);
    if (r == 0)
        r = judge(&t, err);
    if (body.fd >= 0)
        (void)close(body.fd);
    kw_buf_free(&t.body);
    return r;
}

/* A bearer that a command gave and that has expired since, which a set-up that waits long may
 * see: another one, once. Nothing was done with the one that was refused. */
static bool renewed(struct kw_setup *s, const struct kw_setup_request *q,
                    const struct kw_setup_answer *a)
{
    struct kw_err why;
    if (a->status != 401 || q->authorize != NULL || kw_arg(s->args, "admin-token-command") == NULL)
        return false;
    bool good = kw_setup_admin(s, NULL, &why) == 0 && hand_over(s, &why) == 0;
    kw_secret_free(&s->admin);
    if (good)
        return true;
    kw_log(KW_WARN, "no other token than the one that was refused: %s", why.text);
    return false;
}

int kw_setup_call(struct kw_setup *s, const struct kw_setup_request *q, struct kw_setup_answer *a,
                  struct kw_err *err)
{
    unsigned pause = FIRST_MS;
    int64_t since = kw_now_ms();
    *a = (struct kw_setup_answer){0};
    for (int tries = 1;; tries++) {
        int r = once(s, q, a, err);
        kw_log(KW_DEBUG, "%s %s: %u", q->method, q->url, a->status);
        if (r == 0 && renewed(s, q, a))
            r = once(s, q, a, err);
        if (r == 0)
            return 0;
        bool time_left = kw_now_ms() - since < (int64_t)s->wait_s * 1000;
        if (r == KW_NET && q->reads && tries < TRIES && time_left && !kw_interrupted()) {
            struct kw_err waiting;
            kw_log(KW_INFO, "%s %s: %s; trying again", q->method, q->url, err->text);
            if (kw_setup_pause(s, "the network", since, pause, &waiting) == 0) {
                pause *= 2;
                continue;
            }
            *err = waiting;
            return (int)err->code;
        }
        return kw_err_wrap(err, "%s %s", q->method, q->url);
    }
}

void kw_setup_answer_free(struct kw_setup_answer *a)
{
    json_decref(a->body);
    *a = (struct kw_setup_answer){0};
}

/* --- waiting -------------------------------------------------------------------------------- */

int kw_setup_pause(struct kw_setup *s, const char *what, int64_t since, unsigned ms,
                   struct kw_err *err)
{
    static const char blank[] = "                                                            ";
    int64_t end = kw_now_ms() + ms;
    bool show = isatty(STDERR_FILENO) == 1 && kw_now_ms() - since > 1000;
    (void)s;
    if (show)
        (void)fprintf(stderr, "\rwaiting for %.40s (%d s) ", what,
                      (int)((kw_now_ms() - since) / 1000));
    while (kw_left_ms(end) > 0 && !kw_interrupted()) {
        struct pollfd p = {.fd = kw_signal_fd(), .events = POLLIN};
        if (poll(&p, 1, kw_left_ms(end)) > 0)
            kw_signal_take();
    }
    if (show)
        (void)fprintf(stderr, "\r%s\r", blank);
    return kw_interrupted() ? kw_fail(err, KW_FAILED, "interrupted") : 0;
}
