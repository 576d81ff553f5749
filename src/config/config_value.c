/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores one configuration value in its field, after the checks of config_check.c.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config_keys.h"
#include "src/wire/hdr.h"
#include "src/wire/url.h"

enum { REASON = 512 };

static const char *set_number(struct kw_config *c, const struct kw_key *k, const char *value,
                              char reason[REASON])
{
    uint64_t v = 0;
    size_t n = strlen(value);
    (void)snprintf(reason, REASON, "must be a number in %u..%u", k->min, k->max);
    if (n > 10 || value[strspn(value, "0123456789")] != '\0' || (value[0] == '0' && n > 1))
        return reason;
    for (const char *p = value; *p != '\0'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    if (v < k->min || v > k->max)
        return reason;
    uint32_t u = (uint32_t)v;
    memcpy((char *)c + k->offset, &u, sizeof u);
    return NULL;
}

static const char *list_choices(const struct kw_key *k, char reason[REASON])
{
    size_t n = (size_t)snprintf(reason, REASON, "must be ");
    for (const struct kw_choice *o = k->choices; o->word != NULL && n < REASON; o++) {
        const char *glue = o[1].word == NULL ? " or " : ", ";
        n += (size_t)snprintf(reason + n, REASON - n, "%s%s", o == k->choices ? "" : glue, o->word);
    }
    return reason;
}

static const struct kw_choice *find_choice(const struct kw_key *k, const char *word, size_t n)
{
    for (const struct kw_choice *o = k->choices; o->word != NULL; o++)
        if (strlen(o->word) == n && strncmp(o->word, word, n) == 0)
            return o;
    return NULL;
}

/* Words go to a char array, numbers and enums to a uint32_t, switches to a bool. */
static const char *set_choice(struct kw_config *c, const struct kw_key *k, const char *value,
                              char reason[REASON])
{
    _Static_assert(sizeof(enum kw_client_auth) == sizeof(uint32_t) &&
                       sizeof(enum kw_requested) == sizeof(uint32_t),
                   "enums are stored as uint32_t");
    char *field = (char *)c + k->offset;
    const struct kw_choice *o = find_choice(k, value, strlen(value));
    if (o == NULL)
        return list_choices(k, reason);
    if (k->size == sizeof(bool)) {
        bool on = o->value != 0;
        memcpy(field, &on, sizeof on);
    } else if (k->size == sizeof(uint32_t)) {
        memcpy(field, &o->value, sizeof o->value);
    } else {
        (void)snprintf(field, k->size, "%s", o->word);
    }
    return NULL;
}

static const char *set_flags(struct kw_config *c, const struct kw_key *k, const char *value,
                             char reason[REASON])
{
    uint32_t flags = 0;
    for (const char *p = value; *p != '\0';) {
        size_t n = strcspn(p, " ");
        const struct kw_choice *o = find_choice(k, p, n);
        if (o == NULL)
            return list_choices(k, reason);
        flags |= o->value;
        p += n + strspn(p + n, " ");
    }
    memcpy((char *)c + k->offset, &flags, sizeof flags);
    return NULL;
}

static const char *set_origin(struct kw_config *c, const struct kw_key *k, const char *value,
                              char reason[REASON])
{
    struct kw_url u;
    struct kw_err err;
    if (kw_url_parse(value, "the value", KW_USAGE, &u, &err) != 0) {
        (void)snprintf(reason, REASON, ": %.500s", err.text);
        return reason;
    }
    if (strcmp(u.target, "/") != 0)
        return "must be https://host[:port] without a path";
    (void)snprintf((char *)c + k->offset, k->size, "https://%s", u.authority);
    return NULL;
}

static const char *set_uri(struct kw_config *c, const struct kw_key *k, const char *value,
                           char reason[REASON])
{
    struct kw_err err;
    bool token = k->kind == KW_K_TOKEN;
    bool client = k->offset == offsetof(struct kw_config, client_key);
    bool issuer = k->offset == offsetof(struct kw_config, issuer_key);
    struct kw_uri *u = token    ? &c->token_uri
                       : client ? &c->client_key
                       : issuer ? &c->issuer_key
                                : &c->tls_key;
    if (kw_uri_parse(value, token ? KW_URI_TOKEN : KW_URI_OBJECT, u, &err) != 0) {
        (void)snprintf(reason, REASON, ": %.500s", err.text);
        return reason;
    }
    *(token    ? &c->token_set
      : client ? &c->client_key_set
      : issuer ? &c->issuer_key_set
               : &c->tls_key_set) = true;
    return NULL;
}

static const char *set_claim(struct kw_config *c, const struct kw_key *k, const char *name,
                             const char *value, unsigned line)
{
    static const size_t prefix = sizeof "claim." - 1;
    const char *reason = kw_key_check(k, value);
    if (reason != NULL)
        return reason;
    if (c->n_rules == KW_CLAIM_RULES)
        return "is one claim rule too many";
    struct kw_claim_rule *rule = &c->rules[c->n_rules];
    if (strlen(name + prefix) >= sizeof rule->claim || strlen(value) >= sizeof rule->values)
        return "is too long";
    (void)snprintf(rule->claim, sizeof rule->claim, "%s", name + prefix);
    (void)snprintf(rule->values, sizeof rule->values, "%s", value);
    rule->line = line;
    c->n_rules++;
    return NULL;
}

/* What says where a message goes, how long it is or who sends it isn't the user's. */
static const char *set_header(struct kw_config *c, const struct kw_key *k, const char *name,
                              const char *value)
{
    static const size_t prefix = sizeof "header." - 1;
    static const char *const ours[] = {
        "authorization",     "host",   "connection", "content-length",
        "transfer-encoding", "expect", "te",         "upgrade"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcasecmp(name + prefix, ours[i]) == 0)
            return i == 0 ? "would put a secret here: use bearer_source"
                          : "is a header that keyward sets";
    if (!kw_hdr_name_ok(name + prefix) || !kw_hdr_value_ok(value))
        return "is no good header";
    return kw_hdr_add((char *)c + k->offset, k->size, name + prefix, value) ? NULL : "is too long";
}

const char *kw_claim_add(char *lines, size_t size, const char *name, const char *value)
{
    size_t at = strlen(lines);
    if (name[0] == '\0' || strpbrk(name, "\t\r\n") != NULL || strpbrk(value, "\t\r\n") != NULL)
        return "is no good claim";
    int n = snprintf(lines + at, size - at, "%s\t%s\n", name, value);
    if (n > 0 && (size_t)n < size - at)
        return NULL;
    lines[at] = '\0';
    return "is too long";
}

/* PREFIX.NAME = TEXT: one more line NAME=TEXT. */
static const char *set_named(struct kw_config *c, const struct kw_key *k, const char *name,
                             const char *value)
{
    char *field = (char *)c + k->offset;
    size_t at = strlen(field), room = k->size - at;
    int n = snprintf(field + at, room, "%s=%s\n", name + strlen(k->name), value);
    if (n >= 0 && (size_t)n < room)
        return NULL;
    field[at] = '\0';
    return "is too long, together with those before it";
}

static const char *set_text(struct kw_config *c, const struct kw_key *k, const char *value)
{
    const char *reason = kw_key_check(k, value);
    if (reason == NULL && strlen(value) >= k->size)
        reason = "is too long";
    if (reason == NULL)
        (void)snprintf((char *)c + k->offset, k->size, "%s", value);
    return reason;
}

static const char *set_value(struct kw_config *c, const struct kw_key *k, const char *name,
                             const char *value, unsigned line, char reason[REASON])
{
    switch (k->kind) {
    case KW_K_U32:
        return set_number(c, k, value, reason);
    case KW_K_CHOICE:
        return set_choice(c, k, value, reason);
    case KW_K_FLAGS:
        return set_flags(c, k, value, reason);
    case KW_K_ORIGIN:
        return set_origin(c, k, value, reason);
    case KW_K_TOKEN:
    case KW_K_OBJECT:
        return set_uri(c, k, value, reason);
    case KW_K_SAY:
        return kw_claim_add((char *)c + k->offset, k->size, name + sizeof "claim." - 1, value);
    case KW_K_HEADER:
        return set_header(c, k, name, value);
    case KW_K_CLAIM:
        return set_claim(c, k, name, value, line);
    case KW_K_NAMED:
        return set_named(c, k, name, value);
    default:
        return set_text(c, k, value);
    }
}

int kw_key_set(struct kw_config *c, const struct kw_key *k, const char *name, const char *value,
               const char *where, unsigned line, struct kw_err *err)
{
    char at[16] = "", text[REASON];
    if (line > 0)
        (void)snprintf(at, sizeof at, ":%u", line);
    const char *reason = value[0] == '\0' ? "is empty; give it a value or remove it"
                                          : set_value(c, k, name, value, line, text);
    if (reason == NULL)
        return 0;
    return kw_fail(err, KW_USAGE, "%s%s: [%s] %s%s%s", where, at, k->section, name,
                   reason[0] == ':' ? "" : " ", reason);
}
