/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole verdict on a token, and what should be said besides. */
#include "google_map.h"

#include <stdio.h>
#include <string.h>

#include "google_map_int.h"
#include "src/base/report.h"
#include "src/wire/github_subject.h"

/* Issuers whose tokens many customers' jobs have: without a condition all of them could
 * come in, and Google refuses to create such a provider. */
static bool multi_tenant(const char *iss)
{
    static const char *const issuers[] = {"https://token.actions.githubusercontent.com",
                                          "https://gitlab.com",
                                          "https://app.terraform.io",
                                          "https://agent.buildkite.com",
                                          "https://oidc.vercel.com",
                                          "https://accounts.google.com"};
    for (size_t i = 0; iss != NULL && i < sizeof issuers / sizeof issuers[0]; i++)
        if (strncmp(iss, issuers[i], strlen(issuers[i])) == 0 &&
            strspn(iss + strlen(issuers[i]), "/") == strlen(iss + strlen(issuers[i])))
            return true;
    return false;
}

struct uses {
    const struct kw_google_map *p;
    json_t *warnings;
    bool any; /* of the token or of what was mapped from it */
};

static void see(void *arg, const char *variable, const char *name)
{
    struct uses *u = arg;
    char key[KW_GOOGLE_KEY + 64];
    if (variable == NULL)
        return;
    u->any = true;
    if (name == NULL || strcmp(variable, "assertion") == 0)
        return;
    (void)snprintf(key, sizeof key, "%s.%.120s", variable, name);
    if (json_object_get(u->p->mapping, key) == NULL)
        kw_report_add(u->warnings, "the condition looks at %s, which isn't mapped", key);
}

static void warn_condition(const struct kw_google_map *p, const char *iss, json_t *warnings)
{
    struct uses u = {p, warnings, false};
    struct kw_cel *c = NULL;
    struct kw_cel_result why;
    if (p->condition != NULL)
        (void)kw_cel_parse(json_string_value(p->condition), json_string_length(p->condition),
                           google_condition_names, &c, &why);
    if (c != NULL)
        kw_cel_walk(c, see, &u);
    if (!u.any && (p->condition == NULL || c != NULL) && multi_tenant(iss))
        kw_report_add(warnings,
                      "%s issues tokens to everybody, and %s: anybody's job could come in (Google "
                      "refuses to create such a provider today)",
                      iss,
                      p->condition == NULL ? "there is no attribute condition"
                                           : "the attribute condition looks at no claim");
    kw_cel_free(c);
}

/* Number of members that match; -1 if the token is refused, -2 if that can't be told. */
static int accepted(const struct kw_google_map *p, json_t *claims, char *text, size_t size)
{
    struct google_mapped m;
    int n = 0;
    size_t i;
    json_t *row;
    text[0] = '\0';
    if (!google_eval(p, claims, &m))
        return -2;
    if (m.refused || m.unsure) {
        n = m.refused ? -1 : -2;
        (void)snprintf(text, size, "%s", m.text);
    } else {
        json_t *rows = google_members(p, &m);
        json_array_foreach(rows, i, row)
        {
            n += json_is_true(json_object_get(row, "matches"));
        }
        json_decref(rows);
    }
    google_mapped_free(&m);
    return n;
}

static void warn_github(const struct kw_google_map *p, json_t *claims, json_t *warnings)
{
    char here[KW_ERR_TEXT], there[KW_ERR_TEXT];
    json_t *other;
    enum kw_github_form form = kw_github_form(claims, &other);
    if (other == NULL)
        return;
    int now = accepted(p, claims, here, sizeof here),
        then = accepted(p, other, there, sizeof there);
    const char *sub = json_string_value(json_object_get(other, "sub"));
    if (form == KW_GITHUB_NAMES && now >= 0 && then == -1)
        kw_report_add(warnings,
                      "this fits only the old form of GitHub's subject: once the repository is "
                      "renamed, moved or opted in it is %.200s, and %.300s; use the numeric ids",
                      sub, there);
    if (form == KW_GITHUB_IMMUTABLE && now == -1 && then >= 0)
        kw_report_add(warnings,
                      "this knows only the old form of GitHub's subject, %.300s, which would be "
                      "accepted; use the numeric ids, or both forms",
                      sub);
    if (now >= 0 && then >= 0 && now != then)
        kw_report_add(warnings,
                      "%d of the members match with this subject and %d with GitHub's %s form of "
                      "it, %.300s; grant to a principalSet of a numeric id instead",
                      now, then, form == KW_GITHUB_NAMES ? "new" : "old", sub);
    json_decref(other);
}

/* A token that is let in and may do nothing is what a wrong member looks like. */
static void warn_members(const json_t *rows, json_t *warnings)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (!json_is_false(json_object_get(row, "matches")))
            return;
    }
    if (json_array_size(rows) > 0)
        kw_report_add(warnings, "none of the members is this token: the provider may let it in, "
                                "but what is granted to them isn't granted to it");
}

static json_t *report(const struct kw_google_map *p, const json_t *header, json_t *claims,
                      int64_t now)
{
    struct google_mapped m;
    json_t *checks = json_array(), *warnings = json_array();
    if (!google_eval(p, claims, &m)) {
        json_decref(checks);
        json_decref(warnings);
        return NULL;
    }
    char mapped[KW_ERR_TEXT];
    memcpy(mapped, m.text, sizeof mapped);
    struct google_mapped first = {.refused = false}; /* the checks come before the mapping */
    google_checks(p, header, claims, now, checks, &first);
    warn_condition(p, json_string_value(json_object_get(claims, "iss")), warnings);
    warn_github(p, claims, warnings);
    const json_t *subject = json_object_get(m.google, "subject");
    if (subject != NULL && json_string_length(subject) == 0)
        kw_report_add(warnings, "google.subject is empty");
    json_t *members = google_members(p, &m);
    if (json_is_string(json_object_get(m.google, "subject")))
        warn_members(members, warnings);
    bool refused = m.refused || first.refused, unsure = m.unsure || first.unsure;
    const char *text = first.refused  ? first.text
                       : m.refused    ? mapped
                       : first.unsure ? first.text
                                      : mapped;
    json_t *o = json_pack("{s:s,s:o,s:O,s:o,s:o,s:o,s:o,s:o,s:s,s:o}", "provider", p->name,
                          "checks", checks, "mapping", m.rows, "condition",
                          m.condition != NULL ? json_incref(m.condition) : json_null(), "principal",
                          google_principal(p, &m), "principal_sets", google_principal_sets(p, &m),
                          "members", members, "warnings", warnings, "verdict",
                          refused  ? "refused"
                          : unsure ? "unknown"
                                   : "accepted",
                          "text", kw_report_text("%s", text));
    google_mapped_free(&m);
    return o;
}

json_t *kw_google_map_explain(const struct kw_google_map *p, const json_t *header,
                              const json_t *claims, int64_t now)
{
    json_t *copy = json_deep_copy(claims); /* values of the report never are the token's own */
    json_t *o = copy != NULL ? report(p, header, copy, now) : NULL;
    json_decref(copy);
    return o;
}
