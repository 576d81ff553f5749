/* SPDX-License-Identifier: Apache-2.0 */
#include "http_answer.h"

#include <stdio.h>
#include <string.h>

#include "hdr.h"
#include "url.h"

static bool is_compact_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool kw_compact_ok(const char *token, size_t n)
{
    unsigned dots = 0;
    size_t run = 0;
    for (size_t i = 0; i < n; i++) {
        if (token[i] == '.') {
            if (run == 0)
                return false;
            dots++;
            run = 0;
        } else if (is_compact_char(token[i]))
            run++;
        else
            return false;
    }
    return dots == 2 && run > 0;
}

/* The length of what looks like a JWT (or a part of one) at text: "eyJ", the start of
 * every base64 of {"..., and at least 16 characters of that alphabet. */
static size_t token_run(const char *text)
{
    if (strncmp(text, "eyJ", 3) != 0)
        return 0;
    size_t n = 3;
    while (is_compact_char(text[n]) || text[n] == '.')
        n++;
    return n >= 16 ? n : 0;
}

void kw_quote(char *out, size_t size, const char *text)
{
    size_t n = 0;
    bool cut = false;
    while (*text != '\0' && !cut) {
        size_t run = token_run(text);
        const char *piece = run > 0 ? "(token)" : text;
        size_t len = run > 0 ? 7 : 1;
        cut = n + len + 4 > size;
        if (!cut) {
            memcpy(out + n, piece, len);
            n += len;
            text += run > 0 ? run : 1;
        }
    }
    (void)snprintf(out + n, size - n, "%s", cut ? "..." : "");
    kw_printable(out);
}

json_t *kw_answer_json(const struct kw_answer *a, const char **ret_why)
{
    const char *p = a->body, *end = p + a->len;
    while (p < end && strchr(" \t\r\n", *p) != NULL && *p != '\0')
        p++;
    if (p == end) {
        *ret_why = "is empty";
        return NULL;
    }
    if (*p == '<') {
        *ret_why = "is HTML or XML, not JSON: probably a login page or a proxy's";
        return NULL;
    }
    json_error_t ignored;
    json_t *j = json_loadb(p, (size_t)(end - p), JSON_REJECT_DUPLICATES, &ignored);
    if (json_is_object(j))
        return j;
    *ret_why = j != NULL ? "is JSON but no object" : "is not JSON, or cut short";
    json_decref(j);
    return NULL;
}

bool kw_answer_redirect(const struct kw_answer *a, char *where, size_t size)
{
    if (a->status < 300 || a->status > 399)
        return false;
    char location[2048];
    struct kw_url url;
    (void)snprintf(where, size, "elsewhere");
    /* only the host: a redirect's query can carry what it was asked with */
    if (kw_hdr_find(a->headers, "location", location, sizeof location) &&
        kw_url_parse(location, "location", KW_CLOUD, &url, NULL) == 0)
        (void)snprintf(where, size, "to %s", url.host);
    return true;
}

/* " (...)" with what an error's JSON has to say, as GitHub's "Can't issue ID_TOKEN for job
 * in 'Completed' state" or Azure's "Identity not found"; "" without. */
static void what_it_says(const struct kw_answer *a, char *out, size_t size)
{
    static const char *const members[] = {"message", "error_description", "error"};
    const char *why = NULL, *text = NULL;
    char quoted[300];
    json_t *j = kw_answer_json(a, &why);
    for (size_t i = 0; text == NULL && i < sizeof members / sizeof members[0]; i++)
        text = json_string_value(json_object_get(j, members[i]));
    out[0] = '\0';
    if (text != NULL) {
        kw_quote(quoted, sizeof quoted, text);
        (void)snprintf(out, size, " (%s)", quoted);
    }
    json_decref(j);
}

/* A body that is the token itself, as metadata servers give it. */
static int fetch_raw(const struct kw_answer *a, const char *host, struct kw_secret **ret,
                     struct kw_err *err)
{
    const char *p = a->body;
    size_t n = a->len;
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    if (n == 0 || n > KW_TOKEN_MAX || !kw_compact_ok(p, n))
        return kw_fail(err, KW_SUBJECT, "subject token: the answer of %s is %s; check the URL",
                       host,
                       n == 0        ? "empty"
                       : p[0] == '<' ? "HTML or XML, not a JWT"
                                     : "no JWT");
    *ret = kw_secret_from(p, n);
    return *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no room for the subject token");
}

static int fetch_status(const struct kw_answer *a, const char *host, struct kw_err *err)
{
    char where[KW_HOST + 8];
    if (kw_answer_redirect(a, where, sizeof where))
        return kw_fail(err, KW_SUBJECT,
                       "subject token: %s answered with a redirect (%u) %s, which is never "
                       "followed; check the URL",
                       host, a->status, where);
    if (a->status == 429 || a->status >= 500)
        return kw_fail(err, KW_NET, "subject token: %s answered %u; try again later", host,
                       a->status);
    char said[320];
    what_it_says(a, said, sizeof said);
    if (a->status == 401 || a->status == 403)
        return kw_fail(err, KW_SUBJECT,
                       "subject token: %s answered %u%s: it does not accept the bearer; at GitHub "
                       "the job needs \"permissions: id-token: write\", and its bearer ends with "
                       "the job",
                       host, a->status, said);
    return kw_fail(err, KW_SUBJECT,
                   "subject token: %s answered %u%s; check the URL and its audience", host,
                   a->status, said);
}

int kw_fetch_answer(const struct kw_answer *a, const char *host, const char *field,
                    struct kw_secret **ret_token, struct kw_err *err)
{
    *ret_token = NULL;
    if (a->status != 200)
        return fetch_status(a, host, err);
    if (field[0] == '\0')
        return fetch_raw(a, host, ret_token, err);
    const char *why = NULL;
    json_t *j = kw_answer_json(a, &why);
    if (j == NULL)
        return kw_fail(err, KW_SUBJECT, "subject token: the answer of %s %s; check the URL", host,
                       why);
    const json_t *member = json_object_get(j, field);
    const char *text = json_string_value(member);
    size_t n = json_string_length(member);
    int r = 0;
    if (text == NULL)
        r = kw_fail(err, KW_SUBJECT, "subject token: the answer of %s has no string \"%s\"", host,
                    field);
    else if (n > KW_TOKEN_MAX)
        r = kw_fail(err, KW_SUBJECT, "subject token: \"%s\" in the answer of %s is over %u bytes",
                    field, host, (unsigned)KW_TOKEN_MAX);
    else if (!kw_compact_ok(text, n))
        r = kw_fail(err, KW_SUBJECT, "subject token: \"%s\" in the answer of %s is no JWT", field,
                    host);
    else if ((*ret_token = kw_secret_from(text, n)) == NULL)
        r = kw_fail(err, KW_FAILED, "no room for the subject token");
    json_decref(j);
    return r;
}
