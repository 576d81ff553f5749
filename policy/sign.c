/* SPDX-License-Identifier: Apache-2.0
 *
 * The signing policy: which requests the keeper signs, and how many. */
#include "rules.h"

#include <stdio.h>
#include <string.h>

#include "src/wire/url.h"

enum { PATTERN = 1024 };

/* Copies the next word of *list to word; false at the end. A word that doesn't fit
 * is skipped: a cut pattern could match more than the whole one. */
static bool next_word(const char **list, char *word, size_t size)
{
    for (;;) {
        *list += strspn(*list, " ");
        size_t n = strcspn(*list, " ");
        if (n == 0)
            return false;
        const char *from = *list;
        *list += n;
        if (n < size) {
            memcpy(word, from, n);
            word[n] = '\0';
            return true;
        }
    }
}

/* The Host header without its port; as it is where what follows a colon is no port. */
static void bare_host(const char *host, char *out, size_t size)
{
    const char *end = host[0] == '[' ? strchr(host, ']') : NULL;
    const char *colon = strchr(end != NULL ? end : host, ':');
    size_t n = strlen(host);
    if (colon != NULL && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0')
        n = (size_t)(colon - host);
    (void)snprintf(out, size, "%.*s", (int)n, host);
}

static bool match_host(const char *patterns, const char *host, char *pattern, size_t size)
{
    char bare[KW_HOST];
    bare_host(host, bare, sizeof bare);
    while (next_word(&patterns, pattern, size))
        if (kw_host_match(pattern, bare) || kw_host_match(pattern, host))
            return true;
    return false;
}

static bool match_method(const char *methods, const char *method)
{
    char word[32];
    while (next_word(&methods, word, sizeof word))
        if (strcmp(word, method) == 0)
            return true;
    return false;
}

static bool match_path(const char *patterns, const char *path, char *pattern, size_t size)
{
    while (next_word(&patterns, pattern, size))
        if (kw_glob(pattern, path, false))
            return true;
    return false;
}

/* Takes one signature from the budgets. The bucket holds one minute's worth. */
static int take(struct kw_sign_policy *p, int64_t now_ms, struct kw_err *err)
{
    if (p->max_count != 0 && p->count >= p->max_count)
        return kw_fail(err, KW_POLICY,
                       "sign.max_count: the %u signatures that policy allows a session are used up",
                       p->max_count);
    if (p->per_minute != 0) {
        double full = p->per_minute;
        int64_t now = now_ms > 0 ? now_ms : 1; /* 0 means: never filled */
        if (p->refilled_ms == 0)
            p->tokens = full;
        else if (now > p->refilled_ms)
            p->tokens += full * (double)(now - p->refilled_ms) / 60000.0;
        if (p->tokens > full)
            p->tokens = full;
        if (now > p->refilled_ms)
            p->refilled_ms = now;
        if (p->tokens < 1.0)
            return kw_fail(err, KW_POLICY,
                           "sign.per_minute: more than %u signatures a minute; wait %.0f s",
                           p->per_minute, (1.0 - p->tokens) * 60.0 / full + 0.5);
        p->tokens -= 1.0;
    }
    p->count++;
    return 0;
}

int kw_sign_judge(struct kw_sign_policy *p, const char *method, const char *host,
                  const char *target, int64_t now_ms, char *rule, size_t size, struct kw_err *err)
{
    char by_host[PATTERN], by_path[PATTERN] = "", path[KW_TARGET];
    if (size > 0)
        rule[0] = '\0';
    /* Neither path nor query in an error: it goes to the audit log. */
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    if (path[0] != '/' || strlen(target) >= sizeof path)
        return kw_fail(err, KW_POLICY, "the request target is no path, or too long");
    if (!match_host(p->hosts, host, by_host, sizeof by_host))
        return kw_fail(err, KW_POLICY, "sign.host (%.256s) does not allow host %s", p->hosts, host);
    if (!match_method(p->methods, method))
        return kw_fail(err, KW_POLICY, "sign.method (%s) does not allow method %s", p->methods,
                       method);
    if (*p->paths != '\0') {
        if (kw_path_dotted(path, strlen(path)))
            return kw_fail(err, KW_POLICY,
                           "sign.path does not allow dot segments, which this path has");
        if (!match_path(p->paths, path, by_path, sizeof by_path))
            return kw_fail(err, KW_POLICY, "sign.path (%.256s) does not allow this path", p->paths);
    }
    int r = take(p, now_ms, err);
    if (r == 0)
        (void)snprintf(rule, size, "sign.host=%s sign.method=%s%s%s", by_host, method,
                       *by_path != '\0' ? " sign.path=" : "", by_path);
    return r;
}
