/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider in the pool: held against what is wanted, field by field, made and changed.
 */
#include <stdio.h>
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

/* Keys that were uploaded are not in the profile: where neither it nor an option says what they are
 * to be, they stay as they are. */
static bool keeps_keys(const struct kw_setup *s)
{
    const json_t *oidc = json_object_get(kw_google_of(s)->provider_want, "oidc");
    return kw_arg(s->args, "issuer") == NULL && json_object_get(oidc, "jwksJson") == NULL;
}

static bool differ_oidc(const struct kw_setup *s, struct kw_setup_step *t, const json_t *have,
                        const json_t *want)
{
    bool d = kw_setup_differs(t, "oidc.issuerUri", json_object_get(have, "issuerUri"),
                              json_object_get(want, "issuerUri"));
    d = kw_setup_differs(t, "oidc.allowedAudiences", json_object_get(have, "allowedAudiences"),
                         json_object_get(want, "allowedAudiences")) ||
        d;
    if (keeps_keys(s))
        return d;
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

static bool differ(const struct kw_setup *s, struct kw_setup_step *t, const json_t *have)
{
    const json_t *want = kw_google_of(s)->provider_want;
    const json_t *oidc = json_object_get(want, "oidc"), *x509 = json_object_get(want, "x509");
    bool d = oidc != NULL ? differ_oidc(s, t, json_object_get(have, "oidc"), oidc)
                          : differ_x509(t, json_object_get(have, "x509"), x509);
    d = differ_mapping(t, json_object_get(have, "attributeMapping"),
                       json_object_get(want, "attributeMapping")) ||
        d;
    return kw_setup_differs(t, "attributeCondition", json_object_get(have, "attributeCondition"),
                            json_object_get(want, "attributeCondition")) ||
           d;
}

static void judge_provider(const struct kw_setup *s, struct kw_setup_step *t)
{
    bool x509 = kw_google_of(s)->x509;
    bool deleted = t->state == KW_SETUP_DELETED;
    if (json_object_get(t->found, x509 ? "x509" : "oidc") == NULL) {
        kw_google_note(
            t, KW_SETUP_FOREIGN,
            "it is of another kind (OIDC, X.509, SAML, AWS), which can't be changed; choose "
            "another --provider");
        return;
    }
    bool differs = differ(s, t, t->found);
    if (deleted)
        kw_google_note(t, KW_SETUP_DELETED,
                       differs ? "it comes back as it was, and is changed at once" : "");
    else if (!differs)
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

/* Reads it, where there can be one. In a pool that is deleted it may hide: then it is judged once
 * the pool is back. */
static int find_provider(struct kw_setup *s, struct kw_setup_step *t, enum kw_google_seen *seen,
                         struct kw_err *err)
{
    enum kw_setup_state pool = kw_google_of(s)->pool_step->state;
    *seen = pool == KW_SETUP_UNSEEN ? KW_GOOGLE_OFF : KW_GOOGLE_ABSENT;
    if (pool == KW_SETUP_UNSEEN || pool == KW_SETUP_ABSENT)
        return 0;
    int r = kw_google_fetch(s, t, seen, err);
    if (r != KW_CLOUD || pool != KW_SETUP_DELETED)
        return r;
    *seen = KW_GOOGLE_OFF;
    return 0;
}

static int look_provider(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    enum kw_google_seen seen;
    int r = find_provider(s, t, &seen, err);
    if (r != 0)
        return r;
    if (seen == KW_GOOGLE_OFF)
        kw_google_note(t, KW_SETUP_UNSEEN,
                       s->destroy                                ? "the API is not enabled"
                       : g->pool_step->state == KW_SETUP_DELETED ? "its pool is not back yet"
                                                                 : "the API is not enabled yet");
    else if (seen == KW_GOOGLE_ABSENT)
        t->state = KW_SETUP_ABSENT;
    else if (kw_google_usable(t, t->found) && s->destroy)
        t->state = KW_SETUP_SAME;
    else if (!s->destroy && t->state != KW_SETUP_FOREIGN)
        judge_provider(s, t);
    if (!s->destroy && (t->state == KW_SETUP_ABSENT || t->state == KW_SETUP_UNSEEN))
        (void)differ(s, t, NULL);
    if (!s->destroy && t->state == KW_SETUP_ABSENT && keeps_keys(s))
        kw_google_warn_of_keys(s, g);
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
                       g->x509         ? "x509"
                       : keeps_keys(s) ? "oidc.issuer_uri,oidc.allowed_audiences"
                                       : "oidc.issuer_uri,oidc.allowed_audiences,oidc.jwks_json");
    else
        (void)snprintf(url, sizeof url, "%s/providers?workloadIdentityPoolProviderId=%s", pool,
                       g->provider);
    return kw_google_operate(s, "iam", change ? "PATCH" : "POST", url, g->provider_want, t->name,
                             err);
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
    t->command = kw_google_command_provider;
    t->only_new = true;
    g->provider_step = t;
    return 0;
}
