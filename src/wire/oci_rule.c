/* SPDX-License-Identifier: Apache-2.0 */
#include "oci_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "github_subject.h"
#include "src/base/report.h"

enum { SHOWN = 200 };

static bool take_word(const char **p, char *out, size_t size)
{
    const char *s = *p + strspn(*p, " ");
    bool quoted = *s == '"' || *s == '\'';
    const char *end = quoted ? strchr(s + 1, *s) : s + strcspn(s, " ");
    if (end == NULL)
        return false;
    size_t n = (size_t)(end - s) - (quoted ? 1 : 0);
    if (n == 0 || n >= size)
        return false;
    memcpy(out, s + (quoted ? 1 : 0), n);
    out[n] = '\0';
    *p = end + (quoted ? 1 : 0);
    return true;
}

int kw_oci_rule_parse(const char *text, struct kw_oci_rule *rule, struct kw_err *err)
{
    char op[8];
    const char *p = text;
    *rule = (struct kw_oci_rule){.contains = false};
    if (!take_word(&p, rule->claim, sizeof rule->claim) || !take_word(&p, op, sizeof op) ||
        (strcmp(op, "eq") != 0 && strcmp(op, "co") != 0))
        return kw_fail(err, KW_USAGE, "the rule '%.200s' must be CLAIM eq VALUE or CLAIM co VALUE",
                       text);
    rule->contains = op[0] == 'c';
    p += strspn(p, " ");
    size_t n = strlen(p);
    while (n > 0 && p[n - 1] == ' ')
        n--;
    rule->quoted = n > 1 && (*p == '"' || *p == '\'') && p[n - 1] == *p;
    if (rule->quoted) {
        p++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof rule->value)
        return kw_fail(err, KW_USAGE, "the rule '%.200s' has %s", text,
                       n == 0 ? "no value" : "too long a value");
    memcpy(rule->value, p, n);
    rule->value[n] = '\0';
    return 0;
}

static bool same(const char *a, const char *b, size_t n, bool fold)
{
    return fold ? strncasecmp(a, b, n) == 0 : strncmp(a, b, n) == 0;
}

/* '*' is any text; the last star is where we go back to, so that it stays quadratic. */
static bool star_match(const char *pattern, const char *text, bool fold)
{
    const char *star = NULL, *from = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern != '\0' && same(pattern, text, 1, fold)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool holds(const struct kw_oci_rule *rule, const char *text, bool fold)
{
    if (!rule->contains)
        return star_match(rule->value, text, fold);
    return fold ? strcasestr(text, rule->value) != NULL : strstr(text, rule->value) != NULL;
}

enum kw_oci_match kw_oci_rule_match(const struct kw_oci_rule *rule, const json_t *claims, char *why,
                                    size_t size)
{
    const json_t *v = json_object_get(claims, rule->claim);
    const char *text = json_string_value(v);
    if (text == NULL) {
        (void)snprintf(why, size, "%.128s %s", rule->claim,
                       v == NULL ? "is absent" : "is no string, and rules look at strings only");
        return KW_OCI_NO;
    }
    (void)snprintf(why, size, "%.128s is %.*s", rule->claim, SHOWN, text);
    if (!holds(rule, text, true))
        return KW_OCI_NO;
    if (!holds(rule, text, false)) {
        (void)snprintf(why, size, "%.128s is %.*s: the same but for upper and lower case",
                       rule->claim, SHOWN, text);
        return KW_OCI_UNSURE;
    }
    if (rule->quoted) {
        (void)snprintf(why, size,
                       "the value is quoted, and live domains were seen never to match such: write "
                       "%.*s without quotes",
                       SHOWN, rule->value);
        return KW_OCI_UNSURE;
    }
    if (strcmp(rule->value, "*") == 0)
        (void)snprintf(why, size, "any %.128s matches (some domains refuse a value of * alone)",
                       rule->claim);
    return KW_OCI_YES;
}

/* Number of the rule that wins, from 1; 0: none; -1: depends on one that is unsure. */
static int winner(const json_t *rules, const json_t *claims)
{
    for (size_t i = 0; i < json_array_size(rules); i++) {
        struct kw_oci_rule rule;
        char why[512];
        if (kw_oci_rule_parse(json_string_value(json_array_get(rules, i)), &rule, NULL) != 0)
            return -1;
        enum kw_oci_match m = kw_oci_rule_match(&rule, claims, why, sizeof why);
        if (m != KW_OCI_NO)
            return m == KW_OCI_YES ? (int)i + 1 : -1;
    }
    return 0;
}

/* A rule that fits one form of GitHub's subject and not the other. */
static void warn_github(const json_t *rules, const json_t *claims, json_t *warnings)
{
    json_t *other;
    enum kw_github_form form = kw_github_form(claims, &other);
    if (other != NULL && form == KW_GITHUB_NAMES && winner(rules, claims) > 0 &&
        winner(rules, other) == 0)
        kw_report_add(warnings,
                      "the rules fit only the old form of GitHub's subject; once the repository is "
                      "renamed, moved or opted in it is %.300s",
                      json_string_value(json_object_get(other, "sub")));
    if (other != NULL && form == KW_GITHUB_IMMUTABLE && winner(rules, claims) == 0 &&
        winner(rules, other) > 0)
        kw_report_add(warnings,
                      "the rules know only the old form of GitHub's subject, %.300s: add one for "
                      "the form with numbers",
                      json_string_value(json_object_get(other, "sub")));
    json_decref(other);
}

json_t *kw_oci_rules_explain(const json_t *rules, const json_t *claims, struct kw_err *err)
{
    json_t *rows = json_array(), *warnings = json_array();
    int won = 0;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        struct kw_oci_rule rule;
        char why[512] = "";
        const char *text = json_string_value(json_array_get(rules, i));
        if (kw_oci_rule_parse(text, &rule, err) != 0) {
            json_decref(rows);
            json_decref(warnings);
            return NULL;
        }
        const char *verdict = "not reached";
        if (won == 0) {
            static const char *const words[] = {"no", "match", "unknown"};
            enum kw_oci_match m = kw_oci_rule_match(&rule, claims, why, sizeof why);
            verdict = words[m];
            won = m == KW_OCI_NO ? 0 : m == KW_OCI_YES ? (int)i + 1 : -1;
        }
        (void)json_array_append_new(rows, json_pack("{s:s,s:s,s:o}", "rule", text, "verdict",
                                                    verdict, "text", kw_report_text("%s", why)));
    }
    warn_github(rules, claims, warnings);
    return json_pack("{s:o,s:o,s:s,s:o}", "rules", rows, "matched",
                     won > 0 ? json_integer(won) : json_null(), "verdict",
                     won > 0   ? "accepted"
                     : won < 0 ? "unknown"
                               : "refused",
                     "warnings", warnings);
}
