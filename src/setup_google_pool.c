/* SPDX-License-Identifier: Apache-2.0
 *
 * The first steps of `setup google`: APIs and pool, and what a provider has in common with a pool.
 * What is deleted at Google keeps its name for 30 days, so it is brought back, not made anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"

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
        if (t->mine)
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
    return kw_google_read(s, "GET", url, NULL, seen, &t->found, err);
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

/* A pool goes with all that is in it: with another provider it stays. */
static int look_for_others(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    enum kw_google_seen seen;
    json_t *o;
    const json_t *one;
    size_t i;
    kw_google_step_url(s, t, "/providers?pageSize=100", url, sizeof url);
    int r = kw_google_read(s, "GET", url, NULL, &seen, &o, err);
    json_array_foreach(json_object_get(o, "workloadIdentityPoolProviders"), i, one)
    {
        const char *slash = strrchr(kw_google_text(one, "name"), '/');
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
    return s->destroy && there && t->mine ? look_for_others(s, t, err) : 0;
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

int kw_google_add_pool(struct kw_setup *s, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    struct kw_setup_step *t = kw_setup_add(s, err, "pool", "%s", g->pool);
    if (t == NULL)
        return (int)err->code;
    t->look = look_pool;
    t->act = make_pool;
    t->undo = kw_google_delete;
    t->command = command_pool;
    g->pool_step = t;
    return kw_google_add_provider(s, err);
}
