/* SPDX-License-Identifier: Apache-2.0
 *
 * Providers that were made, and those of the lab's pool: issuer, attribute mapping, condition and
 * audiences, as Google has them. lab-ci's can be any that `gcloud iam workload-identity-pools
 * providers describe --format=json` prints (--google-provider FILE, read anew for each exchange);
 * the others map `sub` and demand one claim.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "src/base/io.h"

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

static bool find_built_in(struct lab *l, const char *name, struct lab_provider *p,
                          struct kw_err *err)
{
    static const char before[] = LAB_G_POOL "/providers/lab-";
    if (l->opt.bare || strncmp(name, before, sizeof before - 1) != 0)
        return false;
    p->x509 = strcmp(name + sizeof before - 1, "x509") == 0;
    int rc = p->x509 ? kw_google_map_add(&p->map, "google.subject=assertion.subject.dn.cn", err)
                     : fill(l, name + sizeof before - 1, p, err);
    return rc == 0 && kw_google_map_name(&p->map, name, err) == 0;
}

/* One that was made by IAM requests. */
static bool take_made(const json_t *made, struct lab_provider *p, struct kw_err *err)
{
    const json_t *oidc = json_object_get(made, "oidc");
    const char *uploaded = lab_text(oidc, "jwksJson");
    if (lab_gprovider_map(made, &p->map, err) != 0)
        return false;
    snprintf(p->issuer, sizeof p->issuer, "%s", lab_text(oidc, "issuerUri"));
    p->x509 = oidc == NULL;
    p->store = json_incref(json_object_get(json_object_get(made, "x509"), "trustStore"));
    if (uploaded[0] == 0)
        return true;
    json_t *set = json_loads(uploaded, JSON_REJECT_DUPLICATES, NULL);
    p->jwks = calloc(1, sizeof *p->jwks);
    bool good = p->jwks != NULL && lab_jwks_take(p->jwks, set, "jwks", err) == 0;
    json_decref(set);
    return good;
}

bool lab_provider_find(struct lab *l, const char *name, struct lab_provider *p)
{
    struct kw_err err;
    *p = (struct lab_provider){.x509 = false};
    if (kw_google_map_init(&p->map, &err) != 0)
        return false;
    json_t *made = lab_gprovider_made(l, name);
    bool found = made != NULL ? take_made(made, p, &err) : find_built_in(l, name, p, &err);
    json_decref(made);
    if (!found)
        lab_provider_free(p);
    return found;
}

void lab_provider_free(struct lab_provider *p)
{
    if (p->jwks != NULL)
        lab_keys_free(p->jwks);
    free(p->jwks);
    json_decref(p->store);
    kw_google_map_free(&p->map);
    *p = (struct lab_provider){.x509 = false};
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

/* The names that policies know it by. */
static bool put_names(const json_t *o, struct lab_mapped *m)
{
    const json_t *one, *sets = json_object_get(o, "principal_sets");
    const char *who = lab_text(o, "principal");
    size_t i, n = 0;
    m->sets[0] = 0;
    json_array_foreach(sets, i, one) if (n < sizeof m->sets) n +=
        (size_t)snprintf(m->sets + n, sizeof m->sets - n, "%s\n", json_string_value(one));
    return who[0] != 0 && n < sizeof m->sets &&
           (size_t)snprintf(m->who, sizeof m->who, "%s", who) < sizeof m->who;
}

const char *lab_provider_judge(const struct lab_provider *p, const json_t *header,
                               const json_t *claims, int64_t now, const char **error,
                               struct lab_mapped *m)
{
    json_t *o = kw_google_map_explain(&p->map, header, claims, now);
    const json_t *mapping = json_object_get(o, "mapping"), *one;
    const json_t *mapped = row(mapping, "key", "google.subject");
    const char *value = json_string_value(json_object_get(mapped, "value")), *why = NULL;
    size_t i;
    if (!p->x509 && refused(row(json_object_get(o, "checks"), "name", "audience"))) {
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
    if (why == NULL && (value == NULL || !put_names(o, m))) {
        *error = "invalid_request";
        why = "google.subject is not mapped.";
    }
    json_decref(o);
    return why;
}
