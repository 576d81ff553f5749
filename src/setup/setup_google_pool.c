/* SPDX-License-Identifier: Apache-2.0
 *
 * The first steps of `setup google`: APIs and pool, and what a provider has in common with a pool.
 * What is deleted at Google keeps its name for 30 days, so it is brought back, not made anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"
#include "src/wire/url.h"

enum { URL_MOST = 1000, PAGES = 100 };

void kw_google_note(struct kw_setup_step *t, enum kw_setup_state state, const char *text)
{
    t->state = state;
    (void)snprintf(t->note, sizeof t->note, "%s", text);
}

/* --- APIs ----------------------------------------------------------------------------------- */

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
        t->state =
            strcmp(kw_google_text(o, "state"), "ENABLED") == 0 ? KW_SETUP_SAME : KW_SETUP_ABSENT;
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

static int add_api(struct kw_setup *s, const char *service, int index, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "API", "%s.%s", service, s->config->universe);
    if (t == NULL)
        return (int)err->code;
    t->look = look_api;
    t->act = enable_api;
    t->command = kw_google_command_api;
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

/* --- pools and providers alike -------------------------------------------------------------- */

void kw_google_pool_url(const struct kw_setup *s, char *url, size_t size)
{
    const struct kw_google *g = kw_google_of(s);
    kw_google_url(s, url, size, "iam", "v1/projects/%s/locations/global/workloadIdentityPools/%s",
                  g->project, g->pool);
}

static void kw_google_step_url(const struct kw_setup *s, const struct kw_setup_step *t,
                               const char *more, char *url, size_t size)
{
    char pool[600];
    kw_google_pool_url(s, pool, sizeof pool);
    (void)snprintf(url, size, "%s%s%s%s", pool, t->arg != 0 ? "/providers/" : "",
                   t->arg != 0 ? kw_google_of(s)->provider : "", more);
}

/* Where it begins: pool or provider, as it lies there. False: state and note are set. */
bool kw_google_usable(struct kw_setup_step *t, const json_t *o)
{
    t->mine = kw_setup_marked(kw_google_text(o, "description"));
    if (strcmp(kw_google_text(o, "state"), "DELETED") == 0) {
        if (t->mine && json_is_true(json_object_get(o, "disabled")))
            kw_google_note(t, KW_SETUP_FOREIGN,
                           "it is deleted, and was disabled before: bring it back (gcloud: "
                           "undelete) and enable it yourself, or choose another name");
        else if (t->mine)
            kw_google_note(t, KW_SETUP_DELETED, "");
        else
            kw_google_note(
                t, KW_SETUP_FOREIGN,
                "one of that name, not made by keyward, was deleted; it keeps its name for 30 "
                "days: bring it back yourself, or choose another name");
        return false;
    }
    if (json_is_true(json_object_get(o, "disabled"))) {
        kw_google_note(
            t, KW_SETUP_FOREIGN,
            t->arg == 0
                ? "it is disabled, maybe by keyward revoke: only keyward revoke "
                  "--restore enables it again"
                : "it is disabled, and somebody will have had a reason; enable it yourself");
        return false;
    }
    return true;
}

int kw_google_fetch(struct kw_setup *s, struct kw_setup_step *t, enum kw_google_seen *seen,
                    struct kw_err *err)
{
    char url[700];
    kw_google_step_url(s, t, "", url, sizeof url);
    int r = kw_google_read(s, "GET", url, NULL, seen, &t->found, err);
    const char *name = kw_google_text(t->found, "name"), *slash = strrchr(name, '/');
    const struct kw_google *g = kw_google_of(s);
    if (r == 0 && slash != NULL && strcmp(slash + 1, t->arg != 0 ? g->provider : g->pool) != 0)
        r = kw_fail(err, KW_CLOUD, "asked for it, Google told of %.100s", slash + 1);
    return r;
}

int kw_google_undelete(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    json_t *empty = json_object();
    kw_google_step_url(s, t, ":undelete", url, sizeof url);
    int r = kw_google_operate(s, "iam", "POST", url, empty, t->name, err);
    json_decref(empty);
    return r;
}

int kw_google_delete(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    kw_google_step_url(s, t, "", url, sizeof url);
    return kw_google_operate(s, "iam", "DELETE", url, NULL, t->name, err);
}

/* --- the pool ------------------------------------------------------------------------------- */

/* Can tokens of that provider be whom this set-up grants to? By the attribute that it goes by;
 * of a member that isn't known any can. */
static bool could_be(const struct kw_google *g, const json_t *provider)
{
    const char *m = g->preset.member;
    const json_t *mapping = json_object_get(provider, "attributeMapping");
    char key[160];
    (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(m, "/"), m);
    return strncmp(m, "attribute.", 10) != 0 || mapping == NULL ||
           json_object_get(mapping, key) != NULL;
}

/* Another provider in the pool: into the names, if it is in use, or would be again. Where things
 * are removed, one of this set-up's name that keyward did not make is another one, too: it stays.
 */
static void meet(const struct kw_setup *s, const json_t *one, json_t *names)
{
    struct kw_google *g = kw_google_of(s);
    const char *slash = strrchr(kw_google_text(one, "name"), '/');
    const char *id = slash != NULL ? slash + 1 : "of no name";
    bool own = strcmp(id, g->provider) == 0 &&
               (!s->destroy || kw_setup_marked(kw_google_text(one, "description")));
    if (strcmp(kw_google_text(one, "state"), "DELETED") == 0 || own)
        return;
    (void)json_array_append_new(names, json_string(id));
    if (could_be(g, one) && g->neighbour[0] == '\0')
        (void)snprintf(g->neighbour, sizeof g->neighbour, "%s", id);
}

/* The ids of all other providers in it, page by page; *ret is new. */
static int find_others(struct kw_setup *s, struct kw_setup_step *t, json_t **ret,
                       struct kw_err *err)
{
    struct kw_buf url;
    char base[700], next[URL_MOST] = "";
    enum kw_google_seen seen;
    json_t *o;
    const json_t *one;
    size_t i;
    int r = 0, pages = 0;
    kw_google_of(s)->neighbour[0] = '\0';
    kw_google_step_url(s, t, "/providers?pageSize=100", base, sizeof base);
    *ret = json_array();
    do {
        kw_buf_init(&url, URL_MOST);
        kw_put_str(&url, base);
        kw_put_str(&url, next[0] != '\0' ? "&pageToken=" : "");
        kw_pct_put(&url, next, strlen(next));
        o = NULL;
        r = url.bad ? kw_fail(err, KW_CLOUD, "Google's list of providers goes on under a long name")
                    : kw_google_read(s, "GET", kw_buf_str(&url), NULL, &seen, &o, err);
        kw_buf_free(&url);
        json_array_foreach(json_object_get(o, "workloadIdentityPoolProviders"), i, one)
        {
            meet(s, one, *ret);
        }
        /* Cut off, it would be another one; but then the URL is too long for the whole as well. */
        (void)snprintf(next, sizeof next, "%s", kw_google_text(o, "nextPageToken"));
        json_decref(o);
    } while (r == 0 && next[0] != '\0' && ++pages < PAGES);
    if (r == 0 && next[0] != '\0')
        r = kw_fail(err, KW_CLOUD, "Google's list of providers has no end");
    return r;
}

/* "a, b, c", or as many of them as there is room for. */
static void name_all(const json_t *names, char *text, size_t size)
{
    const json_t *one;
    size_t i, at = 0, n = json_array_size(names);
    text[0] = '\0';
    json_array_foreach(names, i, one)
    {
        int len = at + 80 < size ? snprintf(text + at, size - at, "%s%.40s", i > 0 ? ", " : "",
                                            json_string_value(one))
                                 : snprintf(text + at, size - at, " and %zu more", n - i);
        if (at + 80 >= size)
            return;
        at += (size_t)len;
    }
}

/* A pool goes with all that is in it: with another provider it stays. */
static int stay_with_others(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *names;
    char text[300];
    int r = find_others(s, t, &names, err);
    name_all(names, text, sizeof text);
    if (r == 0 && t->mine && json_array_size(names) > 0) {
        t->mine = false;
        (void)snprintf(t->note, sizeof t->note, "provider %s is in it", text);
    }
    json_decref(names);
    return r;
}

/* What is granted to identities of a pool is granted to whatever provider makes them. Who may
 * not list them, is told that. */
static int warn_of_others(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    json_t *names;
    char text[300];
    if (g->n_grants == 0)
        return 0;
    int r = find_others(s, t, &names, err);
    name_all(names, text, sizeof text);
    if (r == KW_CLOUD) {
        kw_setup_warn(s, "whether pool %s has other providers can't be told (%s)", g->pool,
                      err->text);
        r = 0;
    } else if (r == 0 && g->neighbour[0] != '\0')
        kw_setup_warn(s,
                      "pool %s has other providers in it: %s. Rights are granted to %s of the "
                      "pool, so tokens that %s makes the same of have them as well; a pool for "
                      "each issuer is safer (--pool)",
                      g->pool, text, g->preset.member, g->neighbour);
    json_decref(names);
    return r;
}

/* What was deleted comes back with all that was in it, which the plan has to say. */
static int tell_what_returns(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *names;
    int r = find_others(s, t, &names, err);
    if (r == 0 && kw_setup_differs(t, "providers that come back with it", NULL, names))
        kw_setup_warn(s,
                      "what is brought back lets in what it let in: look at the providers that "
                      "come back with pool %s",
                      kw_google_of(s)->pool);
    if (r == KW_CLOUD) {
        kw_google_note(t, KW_SETUP_DELETED, "what comes back with it can't be told");
        r = 0;
    }
    json_decref(names);
    return r;
}

static int look_pool(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    enum kw_google_seen seen;
    kw_google_of(s)->neighbour[0] = '\0';
    int r = kw_google_fetch(s, t, &seen, err);
    if (r != 0)
        return r;
    kw_google_of(s)->pool_marked = kw_setup_marked(kw_google_text(t->found, "description"));
    if (seen == KW_GOOGLE_OFF)
        kw_google_note(t, KW_SETUP_UNSEEN,
                       s->destroy ? "the API is not enabled" : "the API is not enabled yet");
    else if (seen == KW_GOOGLE_ABSENT)
        t->state = KW_SETUP_ABSENT;
    else if (kw_google_usable(t, t->found)) {
        const char *mode = kw_google_text(t->found, "mode");
        if (mode[0] != '\0' && strcmp(mode, "FEDERATION_ONLY") != 0)
            kw_google_note(t, KW_SETUP_FOREIGN,
                           "it is of a mode that takes no providers; choose another --pool");
        else
            kw_google_note(
                t, KW_SETUP_SAME,
                t->mine || s->destroy ? "" : "it was not made by keyward, and is used as it is");
    }
    if (t->state == KW_SETUP_ABSENT || t->state == KW_SETUP_UNSEEN)
        (void)kw_setup_differs_text(t, "displayName", NULL, "keyward");
    bool there = t->state == KW_SETUP_SAME || t->state == KW_SETUP_FOREIGN;
    if (s->destroy)
        return there ? stay_with_others(s, t, err) : 0;
    return t->state == KW_SETUP_SAME      ? warn_of_others(s, t, err)
           : t->state == KW_SETUP_DELETED ? tell_what_returns(s, t, err)
                                          : 0;
}

static int make_pool(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    char url[700];
    if (t->state == KW_SETUP_DELETED)
        return kw_google_undelete(s, t, err);
    kw_google_url(s, url, sizeof url, "iam",
                  "v1/projects/%s/locations/global/workloadIdentityPools?workloadIdentityPoolId=%s",
                  g->project, g->pool);
    json_t *body = json_pack("{s:s, s:s}", "displayName", "keyward", "description", KW_SETUP_MARK);
    int r = body == NULL ? kw_fail(err, KW_FAILED, "there is no memory left")
                         : kw_google_operate(s, "iam", "POST", url, body, t->name, err);
    json_decref(body);
    return r;
}

int kw_google_add_pool(struct kw_setup *s, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    struct kw_setup_step *t = kw_setup_add(s, err, "pool", "%s", g->pool);
    if (t == NULL)
        return (int)err->code;
    t->look = look_pool;
    t->act = make_pool;
    t->undo = kw_google_delete;
    t->command = kw_google_command_pool;
    t->only_new = true;
    g->pool_step = t;
    return kw_google_add_provider(s, err);
}
