/* SPDX-License-Identifier: Apache-2.0
 *
 * The providers of the lab's pool: issuer, attribute mapping, condition and audiences, as
 * Google has them. lab-ci's can be any that `gcloud iam workload-identity-pools providers
 * describe --format=json` prints (--google-provider FILE, read anew for each exchange);
 * the others map `sub` and demand one claim.
 */
#include <string.h>

#include "lab.h"
#include "src/io.h"

int lab_provider_read(const char *path, struct kw_google_map *map, struct kw_err *err)
{
    struct kw_buf b;
    kw_buf_init(&b, 65536);
    int r = kw_read_file(path, &b, KW_USAGE, err);
    if (r == 0)
        r = kw_google_map_read(map, kw_buf_str(&b), b.len, path, err);
    kw_buf_free(&b);
    if (r == 0)
        r = kw_google_map_check(map, err);
    return r;
}

/* The mapping of `sub`, and the claim that must have that value (neither has quotes). */
static int demand(struct kw_google_map *map, const char *claim, const char *value,
                  struct kw_err *err)
{
    map->condition = json_sprintf("assertion['%s'] == '%s'", claim, value);
    return kw_google_map_add(map, "google.subject=assertion.sub", err);
}

static int fill(struct lab *l, const char *id, struct lab_provider *p, struct kw_err *err)
{
    const struct lab_options *o = &l->opt;
    const struct lab_shape *s = lab_shape_find(id);
    bool own = strcmp(id, "ci") == 0;
    if (own && o->google_provider != NULL) {
        char issuer[sizeof p->map.issuer];
        int r = lab_provider_read(o->google_provider, &p->map, err);
        snprintf(issuer, sizeof issuer, "%s", p->map.issuer);
        snprintf(p->issuer, sizeof p->issuer, "%s", issuer[0] != 0 ? issuer : o->issuer);
        return r;
    }
    if (strcmp(id, "hsm") == 0 && o->n_trust > 0) { /* whose key set was uploaded */
        snprintf(p->issuer, sizeof p->issuer, "%s", o->trust[0].name);
        return demand(&p->map, "job", "nightly", err);
    }
    if (!own && s == NULL)
        return kw_fail(err, KW_USAGE, "there is no provider lab-%s", id);
    snprintf(p->issuer, sizeof p->issuer, "%s", own ? o->issuer : s->issuer);
    return own ? demand(&p->map, "repository_id", "592302719", err)
               : demand(&p->map, s->claim, s->value, err);
}

bool lab_provider_find(struct lab *l, const char *name, struct lab_provider *p)
{
    static const char before[] = LAB_G_POOL "/providers/lab-";
    struct kw_err err;
    if (strncmp(name, before, sizeof before - 1) != 0 || kw_google_map_init(&p->map, &err) != 0)
        return false;
    if (fill(l, name + sizeof before - 1, p, &err) == 0 &&
        kw_google_map_name(&p->map, name, &err) == 0)
        return true;
    kw_google_map_free(&p->map);
    return false;
}

static bool refused(const json_t *verdict)
{
    return json_is_object(verdict) &&
           strcmp(json_string_value(json_object_get(verdict, "verdict")), "pass") != 0;
}

static const json_t *row(const json_t *rows, const char *name, const char *value)
{
    size_t i;
    const json_t *one;
    json_array_foreach(rows, i, one) if (strcmp(json_string_value(json_object_get(one, name)),
                                                value) == 0) return one;
    return NULL;
}

const char *lab_provider_judge(const struct lab_provider *p, const struct kw_jwt *j, int64_t now,
                               const char **error, char *subject, size_t size)
{
    json_t *o = kw_google_map_explain(&p->map, j->header, j->claims, now);
    const json_t *mapping = json_object_get(o, "mapping"), *one;
    const json_t *mapped = row(mapping, "key", "google.subject");
    const char *value = json_string_value(json_object_get(mapped, "value")), *why = NULL;
    size_t i;
    if (refused(row(json_object_get(o, "checks"), "name", "audience"))) {
        *error = "invalid_grant";
        why = "The audience in ID Token does not match the expected audience.";
    } else if (value != NULL && strlen(value) > KW_GOOGLE_SUBJECT) {
        *error = "invalid_request";
        why = "The size of mapped attribute google.subject exceeds the 127 bytes limit. Either "
              "modify your attribute mapping or the incoming assertion to produce a mapped "
              "attribute that is less than 127 bytes.";
    }
    json_array_foreach(mapping, i, one) if (why == NULL && refused(one))
    {
        *error = "invalid_request";
        why = "The attribute mapping can't be evaluated for the given credential.";
    }
    if (why == NULL && refused(json_object_get(o, "condition"))) {
        *error = "unauthorized_client";
        why = "The given credential is rejected by the attribute condition.";
    }
    if (why == NULL && (value == NULL || (size_t)snprintf(subject, size, "%s", value) >= size)) {
        *error = "invalid_request";
        why = "google.subject is not mapped.";
    }
    json_decref(o);
    return why;
}
