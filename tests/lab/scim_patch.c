/* SPDX-License-Identifier: Apache-2.0
 *
 * SCIM's PatchOp: add, replace and remove, by a path of one attribute, of an extension's
 * attribute, or of the elements of an array that a filter picks (members[value eq "..."]).
 */
#include <string.h>
#include <strings.h>

#include "lab.h"

struct place {
    json_t *in;      /* the object that has the attribute */
    char name[128];  /* of the attribute */
    char pick[1024]; /* a filter over its elements, or "" */
};

static bool find_place(json_t *o, const char *path, struct place *p, struct lab_scim_why *w)
{
    const char *open = strchr(path, '['), *end = path + strlen(path);
    const char *from = path, *colon = NULL;
    p->in = o;
    p->pick[0] = 0;
    if (open != NULL &&
        (end[-1] != ']' || end - open < 3 || (size_t)(end - open) >= sizeof p->pick))
        return lab_scim_no(w, 400, "error.common.validation.invalidPath", "Bad path: %s", path);
    if (open != NULL)
        snprintf(p->pick, sizeof p->pick, "%.*s", (int)(end - open - 2), open + 1);
    size_t n = open != NULL ? (size_t)(open - path) : strlen(path);
    for (size_t i = 0; strncmp(path, "urn:", 4) == 0 && i < n; i++)
        if (path[i] == ':')
            colon = path + i;
    if (colon != NULL) {
        char urn[256];
        snprintf(urn, sizeof urn, "%.*s", (int)(colon - path), path);
        if (json_object_get(o, urn) == NULL)
            json_object_set_new(o, urn, json_object());
        p->in = json_object_get(o, urn);
        from = colon + 1;
        n -= (size_t)(from - path);
    }
    if (n == 0 || n >= sizeof p->name || memchr(from, '.', n) != NULL || !json_is_object(p->in))
        return lab_scim_no(w, 400, "error.common.validation.invalidPath", "Bad path: %s", path);
    snprintf(p->name, sizeof p->name, "%.*s", (int)n, from);
    return true;
}

static bool holds(const json_t *array, const json_t *v)
{
    size_t i;
    const json_t *one;
    json_array_foreach(array, i, one) if (json_equal(one, v)) return true;
    return false;
}

/* To an array each new element is added once; anything else is set. */
static void add(json_t *in, const char *name, json_t *v)
{
    json_t *old = json_object_get(in, name), *one;
    size_t i;
    if (!json_is_array(old) || !json_is_array(v)) {
        json_object_set_new(in, name, json_deep_copy(v));
        return;
    }
    json_array_foreach(v, i, one) if (!holds(old, one))
        json_array_append_new(old, json_deep_copy(one));
}

static bool take_away(const struct place *p, struct lab_scim_why *w)
{
    json_t *array = json_object_get(p->in, p->name);
    bool bad = false;
    if (p->pick[0] == 0) {
        json_object_del(p->in, p->name);
        return true;
    }
    (void)lab_scim_matches(p->pick, NULL, NULL, &bad); /* a bad one is, even if there are none */
    for (size_t i = json_array_size(array); i > 0 && !bad; i--)
        if (lab_scim_matches(p->pick, json_array_get(array, i - 1), NULL, &bad))
            json_array_remove(array, i - 1);
    return !bad ||
           lab_scim_no(w, 400, "error.common.validation.invalidFilter", "Bad filter: %s", p->pick);
}

static bool apply(json_t *o, const json_t *op, struct lab_scim_why *w)
{
    const char *what = lab_text(op, "op"), *path = lab_text(op, "path"), *name;
    json_t *v = json_object_get(op, "value"), *one;
    bool adds = strcasecmp(what, "add") == 0, sets = strcasecmp(what, "replace") == 0;
    struct place p;
    if (!adds && !sets && strcasecmp(what, "remove") != 0)
        return lab_scim_no(w, 400, "error.common.validation.invalidOp", "Bad op: %s", what);
    if ((adds || sets) && v == NULL)
        return lab_scim_no(w, 400, "error.common.validation.missingReqAttributes",
                           "Missing required attribute(s): value");
    if (path[0] == 0) {
        if (!adds && !sets)
            return lab_scim_no(w, 400, "error.common.validation.noTarget", "remove needs a path");
        json_object_foreach(v, name, one)
        {
            if (adds)
                add(o, name, one);
            else
                json_object_set_new(o, name, json_deep_copy(one));
        }
        return true;
    }
    if (!find_place(o, path, &p, w))
        return false;
    if (!adds && !sets)
        return take_away(&p, w);
    if (p.pick[0] != 0)
        return lab_scim_no(w, 400, "error.common.validation.invalidPath", "Bad path: %s", path);
    if (adds)
        add(p.in, p.name, v);
    else
        json_object_set_new(p.in, p.name, json_deep_copy(v));
    return true;
}

bool lab_scim_patch(json_t *o, const json_t *patch, struct lab_scim_why *w)
{
    const json_t *schemas = json_object_get(patch, "schemas");
    const json_t *ops = json_object_get(patch, "Operations"), *op;
    json_t *urn = json_string(LAB_SCIM_API "PatchOp");
    bool good = holds(schemas, urn);
    size_t i;
    json_decref(urn);
    if (!good || json_array_size(ops) == 0)
        return lab_scim_no(w, 400, "error.common.validation.invalidSyntax",
                           "The body is no PatchOp with Operations.");
    json_array_foreach(ops, i, op) if (!apply(o, op, w)) return false;
    return true;
}
