/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider in the pool: held against what is wanted, field by field, made and changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"

/* Key sets and certificates are the same however they are laid out. */
static json_t *parsed(const json_t *text)
{
    return json_is_string(text) ? json_loads(json_string_value(text), JSON_REJECT_DUPLICATES, NULL)
                                : NULL;
}

static json_t *without_space(const json_t *list)
{
    json_t *out = json_array();
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        const char *p = kw_google_text(one, "pemCertificate");
        struct kw_buf b;
        kw_buf_init(&b, 1 << 16);
        for (; *p != '\0'; p++)
            if (strchr(" \t\r\n", *p) == NULL)
                kw_put(&b, p, 1);
        (void)json_array_append_new(out, json_string(kw_buf_str(&b)));
        kw_buf_free(&b);
    }
    return out;
}

static bool differ_oidc(struct kw_setup_step *t, const json_t *have, const json_t *want)
{
    bool d = kw_setup_differs(t, "oidc.issuerUri", json_object_get(have, "issuerUri"),
                              json_object_get(want, "issuerUri"));
    d = kw_setup_differs(t, "oidc.allowedAudiences", json_object_get(have, "allowedAudiences"),
                         json_object_get(want, "allowedAudiences")) ||
        d;
    json_t *a = parsed(json_object_get(have, "jwksJson")),
           *b = parsed(json_object_get(want, "jwksJson"));
    d = kw_setup_differs(t, "oidc.jwksJson", a, b) || d;
    json_decref(a);
    json_decref(b);
    return d;
}

static bool differ_x509(struct kw_setup_step *t, const json_t *have, const json_t *want)
{
    static const char *const lists[] = {"trustAnchors", "intermediateCas"};
    bool d = false;
    for (size_t i = 0; i < 2; i++) {
        char field[64];
        json_t *a = without_space(json_object_get(json_object_get(have, "trustStore"), lists[i])),
               *b = without_space(json_object_get(json_object_get(want, "trustStore"), lists[i]));
        (void)snprintf(field, sizeof field, "x509.%s", lists[i]);
        d = kw_setup_differs(t, field, a, b) || d;
        json_decref(a);
        json_decref(b);
    }
    return d;
}

/* Key by key: a mapping as a whole is too long to be read. */
static bool differ_mapping(struct kw_setup_step *t, json_t *have, json_t *want)
{
    const char *key;
    json_t *v;
    bool d = false;
    json_object_foreach(want, key, v)
    {
        char field[160];
        (void)snprintf(field, sizeof field, "attributeMapping %s", key);
        d = kw_setup_differs(t, field, json_object_get(have, key), v) || d;
    }
    json_object_foreach(have, key, v)
    {
        char field[160];
        (void)snprintf(field, sizeof field, "attributeMapping %.120s", key);
        if (json_object_get(want, key) == NULL)
            d = kw_setup_differs(t, field, v, NULL) || d;
    }
    return d;
}

static bool differ(struct kw_setup_step *t, const json_t *have, const json_t *want)
{
    const json_t *oidc = json_object_get(want, "oidc"), *x509 = json_object_get(want, "x509");
    bool d = oidc != NULL ? differ_oidc(t, json_object_get(have, "oidc"), oidc)
                          : differ_x509(t, json_object_get(have, "x509"), x509);
    d = differ_mapping(t, json_object_get(have, "attributeMapping"),
                       json_object_get(want, "attributeMapping")) ||
        d;
    return kw_setup_differs(t, "attributeCondition", json_object_get(have, "attributeCondition"),
                            json_object_get(want, "attributeCondition")) ||
           d;
}

static void judge_provider(struct kw_setup_step *t, const json_t *want)
{
    bool x509 = json_object_get(want, "x509") != NULL;
    if (json_object_get(t->found, x509 ? "x509" : "oidc") == NULL) {
        kw_google_note(
            t, KW_SETUP_FOREIGN,
            "it is of another kind (OIDC, X.509, SAML, AWS), which can't be changed; choose "
            "another --provider");
        return;
    }
    if (!differ(t, t->found, want))
        kw_google_note(t, KW_SETUP_SAME,
                       t->mine ? "" : "it was not made by keyward, and is used as it is");
    else if (t->mine)
        t->state = KW_SETUP_DIFFERS;
    else
        kw_google_note(
            t, KW_SETUP_FOREIGN,
            "it was not made by keyward, and is not as wanted; choose another --provider, or "
            "change it yourself");
}

static int look_provider(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    enum kw_google_seen seen = KW_GOOGLE_ABSENT;
    enum kw_setup_state pool = g->pool_step->state;
    int r = 0;
    if (pool == KW_SETUP_UNSEEN || pool == KW_SETUP_DELETED)
        kw_google_note(t, KW_SETUP_UNSEEN, s->destroy ? "" : "its pool is not there yet");
    else if (pool != KW_SETUP_ABSENT)
        r = kw_google_fetch(s, t, &seen, err);
    if (r != 0)
        return r;
    if (seen == KW_GOOGLE_OFF)
        kw_google_note(t, KW_SETUP_UNSEEN,
                       s->destroy ? "the API is not enabled" : "the API is not enabled yet");
    else if (seen == KW_GOOGLE_THERE && kw_google_usable(t, t->found) && s->destroy)
        t->state = KW_SETUP_SAME;
    else if (seen == KW_GOOGLE_THERE && t->note[0] == '\0' && t->state == KW_SETUP_UNSEEN)
        judge_provider(t, g->provider_want);
    else if (seen == KW_GOOGLE_ABSENT && t->note[0] == '\0')
        t->state = KW_SETUP_ABSENT;
    if (!s->destroy && (t->state == KW_SETUP_ABSENT || t->state == KW_SETUP_UNSEEN))
        (void)differ(t, NULL, g->provider_want);
    return 0;
}

static int make_provider(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    char url[1200], pool[600];
    if (t->state == KW_SETUP_DELETED)
        return kw_google_undelete(s, t, err);
    kw_google_pool_url(s, pool, sizeof pool);
    bool change = t->state == KW_SETUP_DIFFERS;
    if (change)
        (void)snprintf(url, sizeof url,
                       "%s/providers/%s?updateMask=attributeMapping,"
                       "attributeCondition,%s",
                       pool, g->provider,
                       g->x509 ? "x509" : "oidc.issuer_uri,oidc.allowed_audiences,oidc.jwks_json");
    else
        (void)snprintf(url, sizeof url, "%s/providers?workloadIdentityPoolProviderId=%s", pool,
                       g->provider);
    return kw_google_operate(s, "iam", change ? "PATCH" : "POST", url, g->provider_want, t->name,
                             err);
}

static bool occurs(json_t *mapping, char c)
{
    const char *key;
    json_t *v;
    bool found = false;
    json_object_foreach(mapping, key, v) found = found || strchr(json_string_value(v), c) != NULL;
    return found;
}

/* gcloud takes KEY=EXPRESSION pairs behind one another, with what none of them has between. */
static void command_mapping(json_t *mapping, struct kw_buf *b)
{
    static const char between[] = ",;~#@";
    struct kw_buf all;
    const char *key, *comma = between;
    json_t *v;
    size_t n = 0;
    while (comma[1] != '\0' && occurs(mapping, *comma))
        comma++;
    kw_buf_init(&all, 1 << 16);
    if (*comma != ',')
        kw_put_fmt(&all, "^%c^", *comma);
    json_object_foreach(mapping, key, v)
    {
        if (n++ > 0)
            kw_put(&all, comma, 1);
        kw_put_fmt(&all, "%s=%s", key, json_string_value(v));
    }
    kw_put_str(b, " --attribute-mapping=");
    kw_setup_quote(b, kw_buf_str(&all));
    kw_buf_free(&all);
}

static void command_oidc(const json_t *oidc, struct kw_buf *b)
{
    const json_t *one;
    size_t i;
    kw_put_str(b, " --issuer-uri=");
    kw_setup_quote(b, kw_google_text(oidc, "issuerUri"));
    json_array_foreach(json_object_get(oidc, "allowedAudiences"), i, one)
    {
        kw_put_str(b, i == 0 ? " --allowed-audiences=" : ",");
        kw_setup_quote(b, json_string_value(one));
    }
    if (json_object_get(oidc, "jwksJson") != NULL)
        kw_put_str(b, " --jwk-json-path=keyward-jwks.json");
}

static void command_files(const struct kw_google *g, struct kw_buf *b)
{
    const json_t *want = g->provider_want;
    const char *jwks = kw_google_text(json_object_get(want, "oidc"), "jwksJson");
    char *store = g->x509 ? json_dumps(json_object_get(want, "x509"), JSON_COMPACT) : NULL;
    if (store == NULL && jwks[0] == '\0')
        return;
    kw_put_str(b, "printf '%s\\n' ");
    kw_setup_quote(b, store != NULL ? store : jwks);
    kw_put_fmt(b, " >%s\n", store != NULL ? "keyward-trust-store.yaml" : "keyward-jwks.json");
    free(store);
}

static void command_provider(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                             struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)t;
    if (!undo)
        command_files(g, b);
    kw_put_fmt(b,
               "gcloud iam workload-identity-pools providers %s %s --project=%s --location=global "
               "--workload-identity-pool=%s",
               undo      ? "delete"
               : g->x509 ? "create-x509"
                         : "create-oidc",
               g->provider, g->project, g->pool);
    if (undo) {
        kw_put_str(b, " --quiet\n");
        return;
    }
    kw_put_str(b, " --display-name=keyward --description='" KW_SETUP_MARK "'");
    if (g->x509)
        kw_put_str(b, " --trust-store-config-path=keyward-trust-store.yaml");
    else
        command_oidc(json_object_get(g->provider_want, "oidc"), b);
    command_mapping(json_object_get(g->provider_want, "attributeMapping"), b);
    if (kw_google_text(g->provider_want, "attributeCondition")[0] != '\0') {
        kw_put_str(b, " --attribute-condition=");
        kw_setup_quote(b, kw_google_text(g->provider_want, "attributeCondition"));
    }
    kw_put_str(b, "\n");
}

int kw_google_add_provider(struct kw_setup *s, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    struct kw_setup_step *t = kw_setup_add(s, err, "provider", "%s", g->provider);
    if (t == NULL)
        return (int)err->code;
    t->arg = 1;
    t->look = look_provider;
    t->act = make_provider;
    t->undo = kw_google_delete;
    t->command = command_provider;
    g->provider_step = t;
    return 0;
}
