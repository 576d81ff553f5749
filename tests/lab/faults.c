/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of faults: parsing, counting, matching.
 */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy/rules.h"

static const struct {
    const char *name, *help;
    enum { NO_VALUE, NUMBER, OPTIONAL_NUMBER, TEXT } value;
    int64_t usual, min, max;
} KINDS[LAB_FAULTS] = {
    [LAB_LATENCY] = {"latency", "=MS: wait before answering", NUMBER, 0, 0, 600000},
    [LAB_STATUS] = {"status", "=CODE: the vendor's error of that status", NUMBER, 0, 400, 599},
    [LAB_DROP] = {"drop", "done as asked, then closed without a byte of answer", NO_VALUE, 0, 0, 0},
    [LAB_CUT] = {"cut", "closed without a byte of answer, and nothing done", NO_VALUE, 0, 0, 0},
    [LAB_LATE] = {"late-status", "=CODE: done as asked, but the vendor's error for an answer",
                  NUMBER, 0, 400, 599},
    [LAB_PAGE] = {"page", "=N: a list of the identity domain shows N at most", NUMBER, 0, 0, 1000},
    [LAB_NOT_JSON] = {"not-json", "200 and a body that is no JSON", NO_VALUE, 0, 0, 0},
    [LAB_HTML] = {"html", "200 and an HTML page", NO_VALUE, 0, 0, 0},
    [LAB_REDIRECT] = {"redirect", "=URL: 302 to there", TEXT, 0, 0, 0},
    [LAB_TRUNCATE] = {"truncate", "half of the body, then the connection ends", NO_VALUE, 0, 0, 0},
    [LAB_RESET] = {"reset", "half of the body, then a TCP reset", NO_VALUE, 0, 0, 0},
    [LAB_OVERLONG] = {"overlong", "[=BYTES]: body padded with spaces, announced so",
                      OPTIONAL_NUMBER, 64 << 20, 1, 1ll << 34},
    [LAB_ENDLESS] = {"endless", "[=BYTES]: chunked body of spaces, never ended properly",
                     OPTIONAL_NUMBER, 1ll << 32, 1, 1ll << 34},
    [LAB_DRIP] = {"drip", "=MS: between any two bytes of the body", NUMBER, 0, 1, 60000},
    [LAB_LONG_HEADER] = {"long-header", "=BYTES: one more header of that size", NUMBER, 0, 1,
                         1 << 20},
    [LAB_JWK_WRONG] = {"jwk-wrong", "session token with another key in jwk", NO_VALUE, 0, 0, 0},
    [LAB_JWK_MISSING] = {"jwk-missing", "session token without jwk", NO_VALUE, 0, 0, 0},
    [LAB_JWK_OBJECT] = {"jwk-object", "jwk as a JSON object instead of a string", NO_VALUE, 0, 0,
                        0},
    [LAB_TOKEN_EXPIRED] = {"token-expired", "session token that expired ten minutes ago", NO_VALUE,
                           0, 0, 0},
    [LAB_TOKEN_LIFE] = {"token-life", "=SECONDS: session token that lives so long", NUMBER, 0, 1,
                        86400},
    [LAB_TOKEN_GARBAGE] = {"token-garbage", "\"token\" is no JWT", NO_VALUE, 0, 0, 0},
    [LAB_TOKEN_STALE] = {"token-stale", "Google: the subject token is too old, whatever it says",
                         NO_VALUE, 0, 0, 0},
    [LAB_TOKEN_ABSENT] = {"token-absent", "200 and JSON without \"token\"", NO_VALUE, 0, 0, 0},
    [LAB_JWT_WRONG_KEY] = {"jwt-wrong-key", "subject token signed by an unpublished key", NO_VALUE,
                           0, 0, 0},
    [LAB_JWT_EXPIRED] = {"jwt-expired", "subject token that expired ten minutes ago", NO_VALUE, 0,
                         0, 0},
    [LAB_JWT_GARBAGE] = {"jwt-garbage", "\"value\" is no JWT", NO_VALUE, 0, 0, 0},
    [LAB_LRO_FAILS] = {"lro-fails", "Google: the operation that begins ends in an error", NO_VALUE,
                       0, 0, 0},
    [LAB_DENIED] = {"denied", "=RIGHT: nobody has that right (a glob over the names in HOSTS)",
                    TEXT, 0, 0, 0},
    [LAB_LRO_POLLS] = {"lro-polls", "=N: Google: an operation is done when asked for N times (2)",
                       NUMBER, 0, 0, 1000},
    [LAB_SPREAD] = {"spread", "=SECONDS: Google: what is made or granted counts so much later",
                    NUMBER, 0, 0, 86400},
    [LAB_CLOCK] = {"clock", "=SECONDS: the lab's clock is ahead (negative: behind)", NUMBER, 0,
                   -(10ll * 365 * 86400), 10ll * 365 * 86400},
};

const char *lab_fault_name(enum lab_fault kind)
{
    return KINDS[kind].name;
}

const char *lab_fault_help(enum lab_fault kind)
{
    return KINDS[kind].help;
}

void lab_faults_init(struct lab_fault_table *t)
{
    pthread_mutex_init(&t->lock, NULL);
    t->n = 0;
}

static bool whole_number(const char *s, int64_t min, int64_t max, int64_t *ret)
{
    char *end;
    if (*s == 0 || strspn(s, "-0123456789") != strlen(s) || strlen(s) > 18)
        return false;
    *ret = strtoll(s, &end, 10);
    return *end == 0 && *ret >= min && *ret <= max;
}

static int set_kind(struct lab_fault_rule *f, const char *name, const char *value,
                    struct kw_err *err)
{
    size_t k = 0;
    while (k < LAB_FAULTS && strcmp(KINDS[k].name, name) != 0)
        k++;
    if (k == LAB_FAULTS)
        return kw_fail(err, KW_USAGE, "fault \"%s\": no such kind; see keyward-lab --help", name);
    f->kind = (enum lab_fault)k;
    f->value = KINDS[k].usual;
    bool ok = true;
    if (KINDS[k].value == NO_VALUE)
        ok = value == NULL;
    else if (KINDS[k].value == TEXT)
        ok = value != NULL && value[0] != 0 &&
             snprintf(f->url, sizeof f->url, "%s", value) < (int)sizeof f->url;
    else if (value != NULL)
        ok = whole_number(value, KINDS[k].min, KINDS[k].max, &f->value);
    else
        ok = KINDS[k].value == OPTIONAL_NUMBER;
    if (!ok)
        return kw_fail(err, KW_USAGE, "fault \"%s\": bad or missing value; it is %s%s", name, name,
                       KINDS[k].help);
    return 0;
}

static bool set_option(struct lab_fault_rule *f, const char *name, const char *value)
{
    int64_t n = 0;
    if (strcmp(name, "path") == 0)
        return snprintf(f->path, sizeof f->path, "%s", value) < (int)sizeof f->path;
    if (strcmp(name, "host") == 0)
        return snprintf(f->host, sizeof f->host, "%s", value) < (int)sizeof f->host;
    if (strcmp(name, "method") == 0)
        return snprintf(f->method, sizeof f->method, "%s", value) < (int)sizeof f->method;
    if (strcmp(name, "count") == 0 && whole_number(value, 1, INT32_MAX, &n)) {
        f->count = (uint64_t)n;
        return true;
    }
    if (strcmp(name, "skip") == 0 && whole_number(value, 0, INT32_MAX, &n)) {
        f->skip = (uint64_t)n;
        return true;
    }
    return false;
}

int lab_fault_parse(const char *spec, struct lab_fault_rule *f, struct kw_err *err)
{
    memset(f, 0, sizeof *f);
    char text[sizeof f->text];
    if (snprintf(text, sizeof text, "%s", spec) >= (int)sizeof text)
        return kw_fail(err, KW_USAGE, "fault: longer than %zu bytes", sizeof text - 1);
    memcpy(f->text, text, sizeof text);
    bool first = true;
    char *rest = text;
    for (char *part; (part = strsep(&rest, ",")) != NULL; first = false) {
        char *value = strchr(part, '=');
        if (value != NULL)
            *value++ = 0;
        if (first) {
            int rc = set_kind(f, part, value, err);
            if (rc != 0)
                return rc;
        } else if (value == NULL || !set_option(f, part, value)) {
            return kw_fail(err, KW_USAGE,
                           "fault \"%s\": bad option \"%s\"; they are count=N (from 1), skip=N, "
                           "path=GLOB, host=GLOB, method=M",
                           f->text, part);
        }
    }
    return 0;
}

int lab_faults_add(struct lab_fault_table *t, const char *spec, struct kw_err *err)
{
    struct lab_fault_rule f;
    int rc = lab_fault_parse(spec, &f, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&t->lock);
    size_t kept = 0; /* spent rules give way */
    for (size_t i = 0; i < t->n; i++)
        if (!t->rule[i].spent)
            t->rule[kept++] = t->rule[i];
    t->n = kept;
    if (t->n == LAB_FAULT_RULES)
        rc = kw_fail(err, KW_FAILED, "fault: %d are in force; clear them first", LAB_FAULT_RULES);
    else
        t->rule[t->n++] = f;
    pthread_mutex_unlock(&t->lock);
    return rc;
}

void lab_faults_clear(struct lab_fault_table *t)
{
    pthread_mutex_lock(&t->lock);
    t->n = 0;
    pthread_mutex_unlock(&t->lock);
}

json_t *lab_faults_list(struct lab_fault_table *t)
{
    json_t *all = json_array();
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n; i++)
        if (!t->rule[i].spent)
            json_array_append_new(all, json_pack("{s:s, s:I, s:I}", "fault", t->rule[i].text,
                                                 "left", (json_int_t)t->rule[i].count, "skip",
                                                 (json_int_t)t->rule[i].skip));
    pthread_mutex_unlock(&t->lock);
    return all;
}

/* What is issued is issued in one place: other requests must not use such a fault up. */
static bool concerns(enum lab_fault kind, const char *path)
{
    if (kind >= LAB_JWK_WRONG && kind <= LAB_TOKEN_ABSENT)
        return strcmp(path, "/oauth2/v1/token") == 0 || strcmp(path, "/v1/token") == 0;
    if (kind >= LAB_JWT_WRONG_KEY && kind <= LAB_JWT_GARBAGE)
        return strcmp(path, "/token-request") == 0;
    return kind < LAB_DENIED;
}

static bool meets(const struct lab_fault_rule *f, const char *method, const char *host,
                  const char *path)
{
    return concerns(f->kind, path) && !f->spent && (!f->path[0] || kw_glob(f->path, path, false)) &&
           (!f->host[0] || kw_glob(f->host, host, true)) &&
           (!f->method[0] || kw_glob(f->method, method, false));
}

/* Counts a rule that is met; false: it lets this one pass. */
static bool counted(struct lab_fault_rule *f)
{
    if (f->skip > 0) {
        f->skip--;
        return false;
    }
    if (f->count > 0) {
        f->count--;
        f->spent = f->count == 0;
    }
    return true;
}

void lab_faults_take(struct lab_fault_table *t, const char *method, const char *host,
                     const char *path, struct lab_hit *hit)
{
    memset(hit, 0, sizeof *hit);
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n; i++) {
        struct lab_fault_rule *f = &t->rule[i];
        /* The first of a kind wins, so that "503 twice, then 429" can be queued. */
        if (!meets(f, method, host, path) || hit->on[f->kind] || !counted(f))
            continue;
        hit->on[f->kind] = true;
        hit->value[f->kind] = f->value;
        if (f->kind == LAB_REDIRECT)
            memcpy(hit->url, f->url, sizeof hit->url);
    }
    pthread_mutex_unlock(&t->lock);
}

int64_t lab_faults_standing(struct lab_fault_table *t, enum lab_fault kind, int64_t usual)
{
    int64_t value = usual;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n; i++)
        if (t->rule[i].kind == kind)
            value = t->rule[i].value;
    pthread_mutex_unlock(&t->lock);
    return value;
}

int64_t lab_faults_clock(struct lab_fault_table *t)
{
    return lab_faults_standing(t, LAB_CLOCK, 0);
}

bool lab_faults_denied(struct lab_fault_table *t, const char *right)
{
    bool denied = false;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n && !denied; i++)
        if (t->rule[i].kind == LAB_DENIED && !t->rule[i].spent &&
            kw_glob(t->rule[i].url, right, false))
            denied = counted(&t->rule[i]);
    pthread_mutex_unlock(&t->lock);
    return denied;
}
