/* SPDX-License-Identifier: Apache-2.0
 *
 * The first steps of `setup google`: APIs, pool, provider. What is deleted at Google keeps its
 * name for 30 days, so it is brought back rather than made anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"

static const char *text_of(const json_t *o, const char *name)
{
    const char *v = json_string_value(json_object_get(o, name));
    return v != NULL ? v : "";
}

static void note(struct kw_setup_step *t, enum kw_setup_state state, const char *text)
{
    t->state = state;
    (void)snprintf(t->note, sizeof t->note, "%s", text);
}

/* --- APIs
 * ------------------------------------------------------------------------------------------ */

static void api_url(const struct kw_setup *s, const struct kw_setup_step *t, const char *verb,
                    char *url, size_t size)
{
    kw_google_url(s, url, size, "serviceusage", "v1/projects/%s/services/%s%s",
                  kw_google_of(s)->project, t->name, verb);
}

static int look_api(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[600];
    enum kw_google_seen seen;
    json_t *o;
    api_url(s, t, "", url, sizeof url);
    int r = kw_google_read(s, "GET", url, NULL, &seen, &o, err);
    if (r == 0 && seen != KW_GOOGLE_THERE)
        r = kw_fail(err, KW_CLOUD, "Google has no such API, or Service Usage is off in project %s",
                    kw_google_of(s)->project);
    if (r == 0)
        t->state = strcmp(text_of(o, "state"), "ENABLED") == 0 ? KW_SETUP_SAME : KW_SETUP_ABSENT;
    json_decref(o);
    return r;
}

static int enable_api(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[600];
    json_t *empty = json_object();
    api_url(s, t, ":enable", url, sizeof url);
    int r = kw_google_operate(s, "serviceusage", "POST", url, empty, t->name, err);
    json_decref(empty);
    return r;
}

static void command_api(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                        struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)undo;
    kw_put_fmt(b, "gcloud services enable %s --project=%s\n", t->name, g->project);
    if (t->arg == 0 && g->number[0] == '\0')
        kw_put_fmt(b, "NUMBER=$(gcloud projects describe %s --format='value(projectNumber)')\n",
                   g->project);
}

static int add_api(struct kw_setup *s, const char *service, int index, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "API", "%s.%s", service, s->config->universe);
    if (t == NULL)
        return (int)err->code;
    t->look = look_api;
    t->act = enable_api;
    t->command = command_api;
    t->arg = index;
    t->stays = "it stays enabled: others may use it by now";
    return 0;
}

int kw_google_add_apis(struct kw_setup *s, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    bool project = false, bucket = false;
    for (size_t i = 0; i < g->n_grants; i++) {
        project = project || strcmp(g->grants[i].resource, "project") == 0;
        bucket = bucket || strncmp(g->grants[i].resource, "bucket ", 7) == 0;
    }
    const struct {
        const char *service;
        bool needed;
    } apis[] = {{"iam", true},
                {"sts", true},
                {"iamcredentials", g->account[0] != '\0'},
                {"cloudresourcemanager", project},
                {"storage", bucket}};
    int r = 0, n = 0;
    for (size_t i = 0; r == 0 && i < sizeof apis / sizeof apis[0]; i++)
        if (apis[i].needed)
            r = add_api(s, apis[i].service, n++, err);
    return r;
}

/* --- pools and providers alike
 * ------------------------------------------------------------------------ */

void kw_google_pool_url(const struct kw_setup *s, char *url, size_t size)
{
    const struct kw_google *g = kw_google_of(s);
    kw_google_url(s, url, size, "iam", "v1/projects/%s/locations/global/workloadIdentityPools/%s",
                  g->project, g->pool);
}

static void step_url(const struct kw_setup *s, const struct kw_setup_step *t, const char *more,
                     char *url, size_t size)
{
    char pool[600];
    kw_google_pool_url(s, pool, sizeof pool);
    (void)snprintf(url, size, "%s%s%s%s", pool, t->arg != 0 ? "/providers/" : "",
                   t->arg != 0 ? kw_google_of(s)->provider : "", more);
}

/* Where it begins: pool or provider, as it lies there. False: state and note are set. */
static bool usable(struct kw_setup_step *t, const json_t *o)
{
    t->mine = kw_setup_marked(text_of(o, "description"));
    if (strcmp(text_of(o, "state"), "DELETED") == 0) {
        if (t->mine)
            note(t, KW_SETUP_DELETED, "");
        else
            note(t, KW_SETUP_FOREIGN,
                 "one of that name, not made by keyward, was deleted; it keeps its name for 30 "
                 "days: bring it back yourself, or choose another name");
        return false;
    }
    if (json_is_true(json_object_get(o, "disabled"))) {
        note(t, KW_SETUP_FOREIGN,
             t->arg == 0
                 ? "it is disabled, maybe by keyward revoke: only keyward revoke "
                   "--restore enables it again"
                 : "it is disabled, and somebody will have had a reason; enable it yourself");
        return false;
    }
    return true;
}

static int fetch(struct kw_setup *s, struct kw_setup_step *t, enum kw_google_seen *seen,
                 struct kw_err *err)
{
    char url[700];
    step_url(s, t, "", url, sizeof url);
    return kw_google_read(s, "GET", url, NULL, seen, &t->found, err);
}

static int undelete(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    json_t *empty = json_object();
    step_url(s, t, ":undelete", url, sizeof url);
    int r = kw_google_operate(s, "iam", "POST", url, empty, t->name, err);
    json_decref(empty);
    return r;
}

static int delete (struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    step_url(s, t, "", url, sizeof url);
    return kw_google_operate(s, "iam", "DELETE", url, NULL, t->name, err);
}

/* --- the pool
 * -------------------------------------------------------------------------------------- */

/* A pool goes with all that is in it: with another provider it stays. */
static int look_for_others(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    enum kw_google_seen seen;
    json_t *o;
    const json_t *one;
    size_t i;
    step_url(s, t, "/providers?pageSize=100", url, sizeof url);
    int r = kw_google_read(s, "GET", url, NULL, &seen, &o, err);
    json_array_foreach(json_object_get(o, "workloadIdentityPoolProviders"), i, one)
    {
        const char *slash = strrchr(text_of(one, "name"), '/');
        if (slash != NULL && strcmp(slash + 1, kw_google_of(s)->provider) != 0) {
            t->mine = false;
            (void)snprintf(t->note, sizeof t->note, "provider %.100s is in it", slash + 1);
        }
    }
    json_decref(o);
    return r;
}

static int look_pool(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    enum kw_google_seen seen;
    int r = fetch(s, t, &seen, err);
    if (r != 0)
        return r;
    kw_google_of(s)->pool_marked = kw_setup_marked(text_of(t->found, "description"));
    if (seen == KW_GOOGLE_OFF)
        note(t, KW_SETUP_UNSEEN,
             s->destroy ? "the API is not enabled" : "the API is not enabled yet");
    else if (seen == KW_GOOGLE_ABSENT)
        t->state = KW_SETUP_ABSENT;
    else if (usable(t, t->found)) {
        const char *mode = text_of(t->found, "mode");
        if (mode[0] != '\0' && strcmp(mode, "FEDERATION_ONLY") != 0)
            note(t, KW_SETUP_FOREIGN,
                 "it is of a mode that takes no providers; choose another --pool");
        else
            note(t, KW_SETUP_SAME,
                 t->mine || s->destroy ? "" : "it was not made by keyward, and is used as it is");
    }
    if (t->state == KW_SETUP_ABSENT || t->state == KW_SETUP_UNSEEN)
        (void)kw_setup_differs_text(t, "displayName", NULL, "keyward");
    bool there = t->state == KW_SETUP_SAME || t->state == KW_SETUP_FOREIGN;
    return s->destroy && there && t->mine ? look_for_others(s, t, err) : 0;
}

static int make_pool(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    char url[700];
    if (t->state == KW_SETUP_DELETED)
        return undelete(s, t, err);
    kw_google_url(s, url, sizeof url, "iam",
                  "v1/projects/%s/locations/global/workloadIdentityPools?workloadIdentityPoolId=%s",
                  g->project, g->pool);
    json_t *body = json_pack("{s:s, s:s}", "displayName", "keyward", "description", KW_SETUP_MARK);
    int r = body == NULL ? kw_fail(err, KW_FAILED, "there is no memory left")
                         : kw_google_operate(s, "iam", "POST", url, body, t->name, err);
    json_decref(body);
    return r;
}

static void command_pool(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                         struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)t;
    kw_put_fmt(b, "gcloud iam workload-identity-pools %s %s --project=%s --location=global",
               undo ? "delete" : "create", g->pool, g->project);
    kw_put_str(b,
               undo ? " --quiet\n" : " --display-name=keyward --description='" KW_SETUP_MARK "'\n");
}

/* --- the provider
 * ------------------------------------------------------------------------------------ */

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
        const char *p = text_of(one, "pemCertificate");
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

static bool differ(struct kw_setup_step *t, const json_t *have, const json_t *want)
{
    const json_t *oidc = json_object_get(want, "oidc"), *x509 = json_object_get(want, "x509");
    bool d = oidc != NULL ? differ_oidc(t, json_object_get(have, "oidc"), oidc)
                          : differ_x509(t, json_object_get(have, "x509"), x509);
    d = kw_setup_differs(t, "attributeMapping", json_object_get(have, "attributeMapping"),
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
        note(t, KW_SETUP_FOREIGN,
             "it is of another kind (OIDC, X.509, SAML, AWS), which can't be changed; choose "
             "another --provider");
        return;
    }
    if (!differ(t, t->found, want))
        note(t, KW_SETUP_SAME, t->mine ? "" : "it was not made by keyward, and is used as it is");
    else if (t->mine)
        t->state = KW_SETUP_DIFFERS;
    else
        note(t, KW_SETUP_FOREIGN,
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
        note(t, KW_SETUP_UNSEEN, s->destroy ? "" : "its pool is not there yet");
    else if (pool != KW_SETUP_ABSENT)
        r = fetch(s, t, &seen, err);
    if (r != 0)
        return r;
    if (seen == KW_GOOGLE_OFF)
        note(t, KW_SETUP_UNSEEN,
             s->destroy ? "the API is not enabled" : "the API is not enabled yet");
    else if (seen == KW_GOOGLE_THERE && usable(t, t->found) && s->destroy)
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
        return undelete(s, t, err);
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
    kw_setup_quote(b, text_of(oidc, "issuerUri"));
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
    const char *jwks = text_of(json_object_get(want, "oidc"), "jwksJson");
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
    if (text_of(g->provider_want, "attributeCondition")[0] != '\0') {
        kw_put_str(b, " --attribute-condition=");
        kw_setup_quote(b, text_of(g->provider_want, "attributeCondition"));
    }
    kw_put_str(b, "\n");
}

int kw_google_add_pool(struct kw_setup *s, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    struct kw_setup_step *t = kw_setup_add(s, err, "pool", "%s", g->pool);
    if (t == NULL)
        return (int)err->code;
    t->look = look_pool;
    t->act = make_pool;
    t->undo = delete;
    t->command = command_pool;
    g->pool_step = t;
    t = kw_setup_add(s, err, "provider", "%s", g->provider);
    if (t == NULL)
        return (int)err->code;
    t->arg = 1;
    t->look = look_provider;
    t->act = make_provider;
    t->undo = delete;
    t->command = command_provider;
    g->provider_step = t;
    return 0;
}
