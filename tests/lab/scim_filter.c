/* SPDX-License-Identifier: Apache-2.0
 *
 * SCIM filters, as far as set-ups use them: terms `path eq|co|sw "text"|true|false`, or
 * `path pr`, joined by `and`. And what of a resource is shown.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab.h"

struct term {
    char path[256], op[4], value[512];
};

/* The next word of *p, up to a space; false: there is none, or it is too long. */
static bool word(const char **p, char *out, size_t size)
{
    *p += strspn(*p, " ");
    size_t n = strcspn(*p, " ");
    if (n == 0 || n >= size)
        return false;
    memcpy(out, *p, n);
    out[n] = 0;
    *p += n;
    return true;
}

/* "text" with \" and \\, or a bare true, false or number. */
static bool value(const char **p, char *out, size_t size)
{
    size_t n = 0;
    *p += strspn(*p, " ");
    if (**p != '"')
        return word(p, out, size) && (strcmp(out, "true") == 0 || strcmp(out, "false") == 0);
    for (++*p; **p != '"'; ++*p) {
        if (**p == '\\')
            ++*p;
        if (**p == 0 || n + 1 >= size)
            return false;
        out[n++] = **p;
    }
    ++*p;
    out[n] = 0;
    return **p == 0 || **p == ' ';
}

static bool next_term(const char **p, struct term *t)
{
    if (!word(p, t->path, sizeof t->path) || strpbrk(t->path, "()[]\"") != NULL ||
        !word(p, t->op, sizeof t->op))
        return false;
    if (strcasecmp(t->op, "pr") == 0)
        return true;
    return (strcasecmp(t->op, "eq") == 0 || strcasecmp(t->op, "co") == 0 ||
            strcasecmp(t->op, "sw") == 0) &&
           value(p, t->value, sizeof t->value);
}

static bool text_matches(const struct term *t, const char *text, bool exact)
{
    size_t n = strlen(t->value);
    if (strcasecmp(t->op, "eq") == 0)
        return (exact ? strcmp(text, t->value) : strcasecmp(text, t->value)) == 0;
    if (strcasecmp(t->op, "sw") == 0)
        return (exact ? strncmp(text, t->value, n) : strncasecmp(text, t->value, n)) == 0;
    return exact ? strstr(text, t->value) != NULL : strcasestr(text, t->value) != NULL;
}

static bool leaf(const struct term *t, const json_t *v, bool exact)
{
    if (v == NULL || json_is_null(v))
        return false;
    if (strcasecmp(t->op, "pr") == 0)
        return true;
    if (json_is_boolean(v))
        return strcasecmp(t->op, "eq") == 0 &&
               strcmp(t->value, json_is_true(v) ? "true" : "false") == 0;
    return json_is_string(v) && text_matches(t, json_string_value(v), exact);
}

/* Any element of an array will do. A path is attr, attr.sub, or URN:attr of an extension. */
static bool at(const struct term *t, const json_t *o, const char *path, bool exact)
{
    size_t i, n = strcspn(path, ".");
    const json_t *one;
    if (json_is_array(o)) {
        json_array_foreach(o, i, one) if (at(t, one, path, exact)) return true;
        return false;
    }
    if (path[0] == 0)
        return leaf(t, o, exact);
    const char *colon = strncmp(path, "urn:", 4) == 0 ? strrchr(path, ':') : NULL;
    if (colon != NULL) {
        char urn[256];
        snprintf(urn, sizeof urn, "%.*s", (int)(colon - path), path);
        const json_t *extension = json_object_get(o, urn);
        return at(t, extension != NULL ? extension : o, colon + 1, exact);
    }
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(n < 127 ? n : 127), path);
    return at(t, json_object_get(o, name), path + n + (path[n] == '.'), exact);
}

bool lab_scim_matches(const char *filter, const json_t *o, const char *exact, bool *bad)
{
    const char *p = filter;
    bool all = true;
    char and[8];
    for (;;) {
        struct term t = {"", "", ""};
        *bad = !next_term(&p, &t);
        if (*bad)
            return false;
        all = all && at(&t, o, t.path, exact != NULL && strcmp(t.path, exact) == 0);
        p += strspn(p, " ");
        if (*p == 0)
            return all;
        *bad = !word(&p, and, sizeof and) || strcasecmp(and, "and") != 0;
        if (*bad)
            return false;
    }
}

/* --- what is shown ------------------------------------------------------------------------- */

static bool listed(const char *attributes, const char *name)
{
    for (const char *p = attributes; p != NULL && *p != 0;) {
        size_t n = strcspn(p, ","), k = strlen(name);
        bool urn = strncmp(name, "urn:", 4) == 0; /* extensions: the URN, or what is in it */
        if (n >= k && strncasecmp(p, name, k) == 0 &&
            (n == k || p[k] == '.' || (urn && p[k] == ':')))
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static bool in(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n && list[i] != NULL; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

json_t *lab_scim_shown(const struct lab_scim_rules *k, json_t *o, const char *attributes, bool all)
{
    static const char *const always[] = {"id", "ocid", "schemas", "meta"};
    json_t *out = json_object(), *v;
    const char *name;
    json_object_foreach(o, name, v)
    {
        bool asked = listed(attributes, name), hidden = in(k->hidden, 4, name);
        if (name[0] == '_') /* the lab's own: never */
            continue;
        if (in(always, 4, name) || asked || all || (attributes == NULL && !hidden))
            json_object_set_new(out, name, json_deep_copy(v));
    }
    return out;
}
