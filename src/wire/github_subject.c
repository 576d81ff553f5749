/* SPDX-License-Identifier: Apache-2.0 */
#include "github_subject.h"

#include <stdio.h>
#include <string.h>

#include "src/base/err.h"

static const char *str(const json_t *claims, const char *name)
{
    return json_string_value(json_object_get(claims, name));
}

/* github.com and its tenants at ghe.com; enterprises may have a path behind it. */
static bool from_github(const json_t *claims)
{
    static const char host[] = "https://token.actions.githubusercontent.com";
    static const char tenant[] = "https://token.actions.";
    const char *iss = str(claims, "iss");
    if (iss == NULL)
        return false;
    size_t n = sizeof host - 1;
    if (strncmp(iss, host, n) == 0 && (iss[n] == '\0' || iss[n] == '/'))
        return true;
    if (strncmp(iss, tenant, sizeof tenant - 1) != 0)
        return false;
    const char *name = iss + sizeof "https://" - 1;
    n = strcspn(name, "/");
    return n > 8 && memcmp(name + n - 8, ".ghe.com", 8) == 0;
}

/* "NAME@123": length of NAME; without a number the whole. */
static size_t name_length(const char *part, size_t n)
{
    const char *at = memchr(part, '@', n);
    size_t name = at != NULL ? (size_t)(at - part) : n, digits = name + 1;
    while (digits < n && part[digits] >= '0' && part[digits] <= '9')
        digits++;
    return at != NULL && digits == n && n > name + 1 ? name : n;
}

static json_t *with_subject(const json_t *claims, const char *sub)
{
    json_t *copy = json_deep_copy(claims);
    if (copy != NULL && json_object_set_new(copy, "sub", json_string(sub)) != 0) {
        json_decref(copy);
        copy = NULL;
    }
    return copy;
}

enum kw_github_form kw_github_form(const json_t *claims, json_t **other)
{
    char sub[2048];
    const char *s = str(claims, "sub"), *owner_id = str(claims, "repository_owner_id"),
               *id = str(claims, "repository_id");
    *other = NULL;
    if (s == NULL || strncmp(s, "repo:", 5) != 0 || !from_github(claims))
        return KW_GITHUB_NONE;
    const char *owner = s + 5, *slash = strchr(owner, '/');
    const char *colon = slash != NULL ? strchr(slash, ':') : NULL;
    if (colon == NULL || memchr(owner, ':', (size_t)(slash - owner)) != NULL)
        return KW_GITHUB_NONE;
    size_t n = (size_t)(slash - owner), m = (size_t)(colon - slash) - 1;
    size_t owner_name = name_length(owner, n), name = name_length(slash + 1, m);
    bool names = owner_name == n && name == m;
    int len = -1;
    if (!names)
        len = snprintf(sub, sizeof sub, "repo:%.*s/%.*s%s", (int)owner_name, owner, (int)name,
                       slash + 1, colon);
    else if (owner_id != NULL && id != NULL)
        len = snprintf(sub, sizeof sub, "repo:%.*s@%s/%.*s@%s%s", (int)n, owner, owner_id, (int)m,
                       slash + 1, id, colon);
    if (len > 0 && (size_t)len < sizeof sub)
        *other = with_subject(claims, sub);
    return names ? KW_GITHUB_NAMES : KW_GITHUB_IMMUTABLE;
}
