/* SPDX-License-Identifier: Apache-2.0
 *
 * What Google asks of the token itself before any mapping. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "google_map_int.h"
#include "src/base/report.h"
#include "src/wire/jwt.h"

enum { LIFE_MAX = 48 * 3600, SKEW_S = 60, SHOWN = 160 };

struct checks {
    const struct kw_google_map *p;
    const struct kw_jwt *jwt;
    json_t *list;
    struct google_mapped *m;
};

static void add(struct checks *c, const char *name, const char *verdict, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void add(struct checks *c, const char *name, const char *verdict, const char *fmt, ...)
{
    char text[KW_ERR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)json_array_append_new(c->list, json_pack("{s:s,s:s,s:o}", "name", name, "verdict",
                                                   verdict, "text", kw_report_text("%s", text)));
    if (strcmp(verdict, "refuse") == 0)
        google_note(c->m, true, "%s", text);
    else if (strcmp(verdict, "unknown") == 0)
        google_note(c->m, false, "%s", text);
}

static void check_issuer(struct checks *c)
{
    const char *iss = kw_jwt_str(c->jwt, "iss"), *wanted = c->p->issuer;
    if (iss == NULL) {
        add(c, "issuer", "refuse", "the token has no iss");
        return;
    }
    if (wanted[0] == '\0') {
        add(c, "issuer", "skip", "the provider's issuer URI wasn't given");
        return;
    }
    size_t n = strlen(iss), m = strlen(wanted);
    bool slash = (n == m + 1 && iss[m] == '/' && strncmp(iss, wanted, m) == 0) ||
                 (m == n + 1 && wanted[n] == '/' && strncmp(iss, wanted, n) == 0);
    if (strcmp(iss, wanted) == 0)
        add(c, "issuer", "pass", "%.*s", SHOWN, iss);
    else
        add(c, "issuer", "refuse", "the token's iss is %.*s, the provider's issuer URI is %.*s%s",
            SHOWN, iss, SHOWN, wanted, slash ? ": they differ by the slash at the end" : "");
}

static bool audience_good(const struct kw_google_map *p, const char *aud)
{
    size_t i;
    json_t *one;
    if (json_array_size(p->audiences) == 0) {
        const char *s = strncmp(aud, "https:", 6) == 0 ? aud + 6 : aud;
        size_t n = sizeof GOOGLE_HOST - 1;
        return strncmp(s, GOOGLE_HOST, n) == 0 && strcmp(s + n, p->name) == 0;
    }
    json_array_foreach(p->audiences, i, one)
    {
        if (strcmp(json_string_value(one), aud) == 0)
            return true;
    }
    return false;
}

static void tell_audience(struct checks *c, const json_t *aud)
{
    char *shown = json_dumps(aud, JSON_ENCODE_ANY | JSON_COMPACT);
    if (json_array_size(c->p->audiences) > 0)
        add(c, "audience", "refuse",
            "the token's aud is %.*s, which is none of the provider's %zu allowed audiences "
            "(first: "
            "%.*s)",
            SHOWN, shown != NULL ? shown : "?", json_array_size(c->p->audiences), SHOWN,
            json_string_value(json_array_get(c->p->audiences, 0)));
    else
        add(c, "audience", "refuse",
            "the token's aud is %.*s; without allowed audiences it must be https:%s%.300s (or the "
            "same without https:)",
            SHOWN, shown != NULL ? shown : "?", GOOGLE_HOST, c->p->name);
    free(shown);
}

static void check_audience(struct checks *c)
{
    const json_t *aud = json_object_get(c->jwt->claims, "aud");
    if (json_is_array(aud) && json_array_size(aud) == 1)
        aud = json_array_get(aud, 0);
    size_t i, hits = 0;
    json_t *one;
    json_array_foreach(aud, i, one)
    {
        hits += json_is_string(one) && audience_good(c->p, json_string_value(one));
    }
    if (aud == NULL)
        add(c, "audience", "refuse", "the token has no aud");
    else if (json_array_size(c->p->audiences) == 0 && c->p->name[0] == '\0')
        add(c, "audience", "skip", "neither the provider's name nor an allowed audience was given");
    else if (json_is_string(aud) && audience_good(c->p, json_string_value(aud)))
        add(c, "audience", "pass", "%.*s", SHOWN, json_string_value(aud));
    else if (hits > 0)
        add(c, "audience", "unknown",
            "the token has several audiences, one of them allowed: whether that is enough isn't "
            "documented");
    else
        tell_audience(c, aud);
}

static void check_times(struct checks *c, int64_t now)
{
    int64_t iat, exp;
    bool has_iat = kw_jwt_time(c->jwt, "iat", &iat), has_exp = kw_jwt_time(c->jwt, "exp", &exp);
    if (!has_exp || !has_iat) {
        add(c, "lifetime", "refuse", "the token has no usable %s, which Google demands",
            has_exp ? "iat" : "exp");
        return;
    }
    if (exp - iat >= LIFE_MAX)
        add(c, "lifetime", "refuse",
            "the token lives %" PRId64 " s from iat to exp; Google demands less than 48 h",
            exp - iat);
    else
        add(c, "lifetime", "pass", "%" PRId64 " s from iat to exp", exp - iat);
    if (iat > now + SKEW_S)
        add(c, "issued", "refuse", "the token's iat is %" PRId64 " s in the future", iat - now);
    else
        add(c, "issued", "pass", "%" PRId64 " s ago", now - iat);
    if (exp <= now)
        add(c, "expiry", "refuse",
            "the token expired %" PRId64 " s ago (Google says: stale to sign-in)", now - exp);
    else
        add(c, "expiry", "pass", "in %" PRId64 " s", exp - now);
}

static void check_header(struct checks *c)
{
    const json_t *header = c->jwt->header;
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const char *kid = json_string_value(json_object_get(header, "kid"));
    if (json_object_size(header) == 0) {
        add(c, "alg", "skip", "there is no header, only claims");
        add(c, "kid", "skip", "there is no header, only claims");
        return;
    }
    if (alg != NULL && (strcmp(alg, "RS256") == 0 || strcmp(alg, "ES256") == 0))
        add(c, "alg", "pass", "%s", alg);
    else
        add(c, "alg", "refuse", "the token's alg is %.40s; Google takes RS256 and ES256",
            alg != NULL ? alg : "absent");
    if (kid != NULL && *kid != '\0')
        add(c, "kid", "pass", "%.*s", SHOWN, kid);
    else
        add(c, "kid", "refuse", "the token's header has no kid, which Google demands");
}

void google_checks(const struct kw_google_map *p, const json_t *header, const json_t *claims,
                   int64_t now, json_t *checks, struct google_mapped *m)
{
    struct kw_jwt jwt = {json_deep_copy(header), json_deep_copy(claims)};
    struct checks c = {p, &jwt, checks, m};
    if (jwt.header != NULL && jwt.claims != NULL) {
        if (p->disabled)
            add(&c, "provider", "refuse", "the provider is disabled or deleted");
        check_issuer(&c);
        check_audience(&c);
        if (kw_jwt_str(&jwt, "sub") == NULL)
            add(&c, "subject", "refuse", "the token has no sub, which Google demands");
        check_times(&c, now);
        check_header(&c);
    } else {
        google_note(m, false, "there is no memory left");
    }
    kw_jwt_free(&jwt);
}
