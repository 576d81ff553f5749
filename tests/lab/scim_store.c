/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity domain's resources, in memory: required, unique and immutable attributes,
 * ids, meta. Members that begin with an underscore are the lab's own and never shown.
 */
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lab.h"

enum { MOST = 1000 }; /* of a kind */

bool lab_scim_no(struct lab_scim_why *w, int status, const char *id, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->detail, sizeof w->detail, fmt, ap);
    va_end(ap);
    w->status = status;
    w->id = id;
    return false;
}

const char *lab_text(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}

json_t *lab_scim_find(struct lab *l, enum lab_scim_kind k, const char *id, size_t *at)
{
    size_t i;
    json_t *one;
    json_array_foreach(l->scim.all[k], i, one) if (strcmp(lab_text(one, "id"), id) == 0 ||
                                                   strcmp(lab_text(one, "ocid"), id) == 0)
    {
        if (at != NULL)
            *at = i;
        return one;
    }
    return NULL;
}

json_t *lab_scim_by(struct lab *l, enum lab_scim_kind k, const char *name, const char *value,
                    bool exact)
{
    size_t i;
    json_t *one;
    json_array_foreach(l->scim.all[k], i, one)
    {
        const char *text = lab_text(one, name);
        if ((exact ? strcmp(text, value) : strcasecmp(text, value)) == 0)
            return one;
    }
    return NULL;
}

/* Equal, or both absent. */
static bool same(const json_t *a, const json_t *b)
{
    return a == b || json_equal(a, b);
}

static bool given(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return v != NULL && !json_is_null(v) && (!json_is_string(v) || json_string_value(v)[0] != 0) &&
           (!json_is_array(v) || json_array_size(v) > 0);
}

static bool has_schema(const struct lab_scim_rules *k, const json_t *o)
{
    const json_t *schemas = json_object_get(o, "schemas"), *one;
    size_t i;
    json_array_foreach(schemas, i,
                       one) if (json_is_string(one) &&
                                strcmp(json_string_value(one), k->schema) == 0) return true;
    return false;
}

/* All that can be told from the table. */
static bool check(struct lab *l, enum lab_scim_kind kind, json_t *new, const json_t *old,
                  struct lab_scim_why *w)
{
    const struct lab_scim_rules *k = &lab_scim_rules[kind];
    if (!has_schema(k, new))
        return lab_scim_no(w, 400, "error.common.validation.invalidSchemas",
                           "schemas must name %s.", k->schema);
    for (size_t i = 0; i < 6 && k->required[i] != NULL; i++)
        if (!given(new, k->required[i]))
            return lab_scim_no(w, 400, "error.common.validation.missingReqAttributes",
                               "Missing required attribute(s): %s", k->required[i]);
    for (size_t i = 0; old != NULL && i < 5 && k->immutable[i] != NULL; i++)
        if (!same(json_object_get(old, k->immutable[i]), json_object_get(new, k->immutable[i])))
            return lab_scim_no(w, 400, "error.common.validation.immutableAttribute",
                               "Attribute %s is immutable.", k->immutable[i]);
    const json_t *twin = k->unique == NULL
                             ? NULL
                             : lab_scim_by(l, kind, k->unique, lab_text(new, k->unique), k->exact);
    if (twin != NULL && twin != old)
        return lab_scim_no(w, 409, "error.common.validation.uniquenessViolation",
                           "%s with the same %s already exists.", k->type, k->unique);
    return k->check == NULL || k->check(l, new, old, w);
}

static void stamp(struct lab *l, const struct lab_scim_rules *k, json_t *o, const char *created)
{
    char now[40], version[33], location[512];
    time_t t = (time_t)lab_now(l);
    struct tm tm;
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&t, &tm));
    lab_random_hex(version, 16);
    snprintf(location, sizeof location, "%s/admin/v1/%s/%s", l->domain_url, k->path,
             lab_text(o, "id"));
    json_object_set_new(o, "meta",
                        json_pack("{s:s, s:s, s:s, s:s, s:s}", "created",
                                  created != NULL ? created : now, "lastModified", now, "version",
                                  version, "resourceType", k->type, "location", location));
}

bool lab_scim_create(struct lab *l, enum lab_scim_kind k, json_t *new, struct lab_scim_why *w)
{
    const struct lab_scim_rules *rules = &lab_scim_rules[k];
    char id[33], ocid[160];
    if (json_array_size(l->scim.all[k]) >= MOST)
        return lab_scim_no(w, 400, "error.lab.full", "The lab holds no more of them.");
    lab_random_hex(id, 16);
    snprintf(ocid, sizeof ocid, "ocid1.%s.oc1..aaaaaaaalab%s", rules->ocid, id);
    json_object_set_new(new, "id", json_string(id));
    json_object_set_new(new, "ocid", json_string(ocid));
    json_object_set_new(new, "tenancyOcid", json_string(l->opt.tenancy));
    if (!check(l, k, new, NULL, w))
        return false;
    stamp(l, rules, new, NULL);
    json_array_append(l->scim.all[k], new);
    return true;
}

bool lab_scim_change(struct lab *l, enum lab_scim_kind k, const json_t *old, json_t *new,
                     struct lab_scim_why *w)
{
    static const char *const made[] = {"id", "ocid", "tenancyOcid"};
    size_t at;
    for (size_t i = 0; i < 3; i++)
        if (!same(json_object_get(old, made[i]), json_object_get(new, made[i])))
            return lab_scim_no(w, 400, "error.common.validation.readOnlyAttribute",
                               "Attribute %s is read-only.", made[i]);
    if (!check(l, k, new, old, w) || lab_scim_find(l, k, lab_text(old, "id"), &at) == NULL)
        return false;
    char created[64];
    snprintf(created, sizeof created, "%s", lab_text(json_object_get(old, "meta"), "created"));
    stamp(l, &lab_scim_rules[k], new, created);
    json_array_set(l->scim.all[k], at, new);
    return true;
}

bool lab_scim_remove(struct lab *l, enum lab_scim_kind k, const char *id, struct lab_scim_why *w)
{
    size_t at = 0;
    const json_t *old = lab_scim_find(l, k, id, &at);
    if (old == NULL)
        return lab_scim_no(w, 404, "error.common.common.resourceNotFound", "Not found: %s", id);
    if (lab_scim_rules[k].removable != NULL && !lab_scim_rules[k].removable(l, old, w))
        return false;
    json_array_remove(l->scim.all[k], at);
    return true;
}

void lab_scim_born(struct lab *l)
{
    static const char *const roles[] = {"User Administrator", "Application Administrator",
                                        LAB_ADMIN, "Security Administrator"};
    struct lab_scim_why w;
    pthread_mutex_lock(&l->scim.lock);
    for (int k = 0; k < LAB_SCIM_KINDS; k++) {
        json_decref(l->scim.all[k]);
        l->scim.all[k] = json_array();
    }
    json_decref(l->scim.policies);
    l->scim.policies = json_array();
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        json_t *role = json_pack("{s:[s], s:s, s:{s:s}}", "schemas", LAB_SCIM_URN "AppRole",
                                 "displayName", roles[i], "app", "value", LAB_ADMIN_APP);
        (void)lab_scim_create(l, LAB_APP_ROLES, role, &w);
        json_decref(role);
    }
    pthread_mutex_unlock(&l->scim.lock);
}

void lab_scim_free(struct lab *l)
{
    for (int k = 0; k < LAB_SCIM_KINDS; k++)
        json_decref(l->scim.all[k]);
    json_decref(l->scim.policies);
}
