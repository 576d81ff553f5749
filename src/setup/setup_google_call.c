/* SPDX-License-Identifier: Apache-2.0
 *
 * Google's administration, asked: what its answers mean for a set-up, and its long-running
 * operations, followed to their end.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "setup_google.h"
#include "src/ipc/ipc.h"

enum { POLL_MS = 100, POLL_MOST_MS = 3000 };

void kw_google_url(const struct kw_setup *s, char *url, size_t size, const char *service,
                   const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(url, size, "https://%s.%s/", service, s->config->universe);
    size_t at = n > 0 && (size_t)n < size ? (size_t)n : 0;
    va_start(ap, fmt);
    (void)vsnprintf(url + at, size - at, fmt, ap);
    va_end(ap);
}

/* --- refusals ------------------------------------------------------------------------------- */

static bool has_reason(const json_t *error, const char *reason)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(error, "details"), i, one)
    {
        if (strcmp(kw_google_text(one, "reason"), reason) == 0)
            return true;
    }
    return false;
}

static const char *cure(unsigned status, const char *message)
{
    if (status == 401)
        return "the administrator's token has expired or is none: get a fresh one";
    if (strstr(message, "Org Policy") != NULL || strstr(message, "constraints/iam.") != NULL)
        return "the organization's policy allows other issuers only "
               "(constraints/iam.workloadIdentityPoolProviders)";
    if (status == 403)
        return "setup needs roles/iam.workloadIdentityPoolAdmin, "
               "roles/serviceusage.serviceUsageAdmin, with a service account "
               "roles/iam.serviceAccountAdmin, and for --grant the right to set that policy; what "
               "was done stays, and the same command goes on from there";
    return "";
}

static int refused(const struct kw_setup_answer *a, struct kw_err *err)
{
    const json_t *e = json_object_get(a->body, "error");
    const char *message = kw_google_text(e, "message"), *help = cure(a->status, message);
    return kw_fail(err, KW_CLOUD, "Google refused: %u %s: %.400s%s%s", a->status,
                   kw_google_text(e, "status"), message[0] != '\0' ? message : "without a word",
                   help[0] != '\0' ? "; " : "", help);
}

/* An API that is off, or on since a moment ago only. */
static bool off(const struct kw_setup_answer *a)
{
    return a->status == 403 && has_reason(json_object_get(a->body, "error"), "SERVICE_DISABLED");
}

/* --- reading and changing ------------------------------------------------------------------- */

int kw_google_read(struct kw_setup *s, const char *method, const char *url, const json_t *body,
                   enum kw_google_seen *seen, json_t **ret, struct kw_err *err)
{
    static struct kw_setup_answer a; /* large */
    const struct kw_setup_request q = {.method = method, .url = url, .body = body, .reads = true};
    *ret = NULL;
    int r = kw_setup_call(s, &q, &a, err);
    *seen = off(&a) ? KW_GOOGLE_OFF : a.status == 404 ? KW_GOOGLE_ABSENT : KW_GOOGLE_THERE;
    if (r == 0 && a.status >= 400 && *seen == KW_GOOGLE_THERE)
        r = refused(&a, err);
    if (r == 0 && *seen == KW_GOOGLE_THERE) {
        *ret = a.body != NULL ? json_incref(a.body) : json_object();
        if (*ret == NULL)
            r = kw_fail(err, KW_FAILED, "there is no memory left");
    }
    kw_setup_answer_free(&a);
    return r;
}

/* What looking again can cure: somebody was faster, or what was just made doesn't show yet. */
static bool look_again(const struct kw_setup_answer *a)
{
    const char *message = kw_google_text(json_object_get(a->body, "error"), "message");
    return a->status == 404 || a->status == 409 || a->status == 412 || off(a) ||
           (a->status == 400 && strstr(message, "does not exist") != NULL);
}

int kw_google_write(struct kw_setup *s, const char *method, const char *url, const json_t *body,
                    json_t **ret, struct kw_err *err)
{
    static struct kw_setup_answer a; /* large */
    const struct kw_setup_request q = {.method = method, .url = url, .body = body};
    if (ret != NULL)
        *ret = NULL;
    int r = kw_setup_call(s, &q, &a, err);
    if (r == 0 && a.status >= 400) {
        r = refused(&a, err);
        if (look_again(&a))
            r = err->code = KW_NET;
    }
    if (r == 0 && ret != NULL)
        *ret = json_incref(a.body);
    kw_setup_answer_free(&a);
    return r;
}

/* --- operations ----------------------------------------------------------------------------- */

/* google.rpc.Code: which of them may be over at the next try. */
static bool passing(json_int_t code)
{
    return code == 4 || code == 6 || code == 8 || code == 10 || code == 13 || code == 14;
}

static int judge(const json_t *op, struct kw_err *err)
{
    const json_t *e = json_object_get(op, "error");
    if (e == NULL)
        return 0;
    json_int_t code = json_integer_value(json_object_get(e, "code"));
    return kw_fail(err, passing(code) ? KW_NET : KW_CLOUD,
                   "Google began it and then failed: code %lld: %.300s", (long long)code,
                   kw_google_text(e, "message"));
}

/* Its name is below /v1/, and goes into a URL: an operation's, made of what such names are made
 * of. */
static bool name_good(const char *name)
{
    const char *operations = strstr(name, "operations/");
    return name[0] != '/' && operations != NULL && strlen(name) < 500 &&
           (operations == name || operations[-1] == '/') && strstr(name, "..") == NULL &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "-_./~")] == '\0';
}

static int follow(struct kw_setup *s, const char *service, json_t **op, const char *what,
                  struct kw_err *err)
{
    int64_t since = kw_now_ms(), deadline = since + (int64_t)s->wait_s * 1000;
    unsigned pause = POLL_MS;
    char url[700];
    const char *name = kw_google_text(*op, "name");
    if (name[0] == '\0' || json_is_true(json_object_get(*op, "done"))) /* done at once */
        return judge(*op, err);
    if (!name_good(name))
        return kw_fail(err, KW_CLOUD, "Google began an operation of a strange name");
    kw_google_url(s, url, sizeof url, service, "v1/%s", name);
    while (!json_is_true(json_object_get(*op, "done"))) {
        enum kw_google_seen seen;
        if (kw_left_ms(deadline) == 0)
            return kw_fail(err, KW_NET, "Google has not ended what it began after %u s (--wait)",
                           s->wait_s);
        int r = kw_setup_pause(s, what, since, pause, err);
        json_decref(*op);
        *op = NULL;
        if (r == 0)
            r = kw_google_read(s, "GET", url, NULL, &seen, op, err);
        if (r == 0 && seen != KW_GOOGLE_THERE) /* forgotten: what is there will tell */
            r = kw_fail(err, KW_NET, "Google knows nothing of the operation that it began");
        if (r != 0)
            return r;
        pause = pause * 2 < POLL_MOST_MS ? pause * 2 : POLL_MOST_MS;
    }
    return judge(*op, err);
}

int kw_google_operate(struct kw_setup *s, const char *service, const char *method, const char *url,
                      const json_t *body, const char *what, struct kw_err *err)
{
    json_t *op = NULL;
    int r = kw_google_write(s, method, url, body, &op, err);
    if (r == 0)
        r = follow(s, service, &op, what, err);
    json_decref(op);
    return r;
}
