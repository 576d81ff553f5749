/* SPDX-License-Identifier: Apache-2.0
 *
 * The service account of `setup google`: made if it isn't there, and removed only where nobody
 * else may be it.
 */
#include <stdio.h>
#include <string.h>

#include "setup_google.h"
#include "src/ipc/ipc.h"

/* With its project, which its e-mail names ("a@p.x.org.iam..." is of x.org:p): asked for without
 * one (projects/-), Google answers 403 instead of 404 where there is no such account. */
void kw_google_account_url(const struct kw_setup *s, const char *more, char *url, size_t size)
{
    static const char domain[] = ".iam.gserviceaccount.com";
    const char *account = kw_google_of(s)->account, *at = strchr(account, '@');
    const char *end = at != NULL ? strstr(at, domain) : NULL;
    char project[300] = "-";
    if (end != NULL && end[sizeof domain - 1] == '\0' && end > at + 1) {
        size_t n = strcspn(at + 1, "."), all = (size_t)(end - at) - 1;
        if (n < all)
            (void)snprintf(project, sizeof project, "%.*s:%.*s", (int)(all - n - 1), at + n + 2,
                           (int)n, at + 1);
        else
            (void)snprintf(project, sizeof project, "%.*s", (int)all, at + 1);
    }
    kw_google_url(s, url, size, "iam", "v1/projects/%s/serviceAccounts/%s%s", project, account,
                  more);
}

/* Somebody else whom its policy names, by whatever role; NULL: nobody. */
static const char *somebody(const struct kw_setup *s, const json_t *policy)
{
    const json_t *b, *m;
    size_t i, k;
    json_array_foreach(json_object_get(policy, "bindings"), i, b)
    {
        json_array_foreach(json_object_get(b, "members"), k, m)
        {
            const char *who = json_is_string(m) ? json_string_value(m) : "somebody";
            if (strncmp(who, "deleted:", 8) != 0 &&
                !kw_google_meant(s, &kw_google_of(s)->grants[0], who))
                return who;
        }
    }
    return NULL;
}

/* An account that others act as is not this set-up's alone, whoever made it. */
static int stay_for_others(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    enum kw_google_seen seen = KW_GOOGLE_ABSENT;
    json_t *policy = NULL;
    int r = 0;
    enum kw_setup_state pool = g->pool_step->state;
    bool pool_stays = (pool == KW_SETUP_SAME || pool == KW_SETUP_FOREIGN) && !g->pool_step->mine;
    if (g->neighbour[0] != '\0')
        (void)snprintf(t->note, sizeof t->note,
                       "provider %s stays in pool %s, and its jobs may act as it: remove it "
                       "yourself if they don't",
                       g->neighbour, g->pool);
    else
        r = kw_google_policy(s, &g->grants[0], &seen, &policy, err);
    const char *who = somebody(s, policy);
    if (who != NULL)
        (void)snprintf(t->note, sizeof t->note, "it has a use for others: %.300s is in its policy",
                       who);
    else if (pool_stays && g->preset.member[0] == '\0' &&
             json_array_size(json_object_get(policy, "bindings")) > 0)
        (void)snprintf(t->note, sizeof t->note,
                       "pool %s stays, and who of it may act as it was set up is not known: say it "
                       "as at --apply (--issuer ...)",
                       g->pool);
    t->mine = t->note[0] == '\0';
    json_decref(policy);
    return r;
}

static int look_account(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    char url[700];
    enum kw_google_seen seen;
    kw_google_account_url(s, "", url, sizeof url);
    int r = kw_google_read(s, "GET", url, NULL, &seen, &t->found, err);
    if (r != 0)
        return r;
    const char *why = "", *mail = kw_google_text(t->found, "email");
    if (mail[0] != '\0' && strcmp(mail, g->account) != 0)
        return kw_fail(err, KW_CLOUD, "asked for it, Google told of %.100s", mail);
    if (seen == KW_GOOGLE_OFF) {
        why = "the API is not enabled yet";
    } else if (seen == KW_GOOGLE_ABSENT) {
        t->state = g->account_id[0] != '\0' ? KW_SETUP_ABSENT : KW_SETUP_FOREIGN;
        if (g->account_id[0] == '\0')
            why = "it is not there, and not of this project: make it there first";
    } else if (json_is_true(json_object_get(t->found, "disabled"))) {
        t->state = KW_SETUP_FOREIGN;
        why = "it is disabled, and somebody will have had a reason; enable it yourself";
    } else {
        t->state = KW_SETUP_SAME;
        t->mine = kw_setup_marked(kw_google_text(t->found, "description"));
        if (!t->mine && !s->destroy)
            why = "it was not made by keyward, and is used as it is";
    }
    (void)snprintf(t->note, sizeof t->note, "%s", why);
    if (seen != KW_GOOGLE_THERE && g->account_id[0] != '\0')
        (void)kw_setup_differs_text(t, "displayName", NULL, "keyward");
    if (!s->destroy || !t->mine)
        return 0;
    r = stay_for_others(s, t, err);
    if (r == 0 && t->mine && g->n_grants == 1)
        (void)snprintf(t->note, sizeof t->note,
                       "what it was granted elsewhere is taken away only if --grant says it again");
    return r;
}

static int make_account(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    char url[700];
    (void)t;
    kw_google_url(s, url, sizeof url, "iam", "v1/projects/%s/serviceAccounts", g->project);
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "accountId", g->account_id, "serviceAccount",
                             "displayName", "keyward", "description", KW_SETUP_MARK);
    int r = body == NULL ? kw_fail(err, KW_FAILED, "there is no memory left")
                         : kw_google_write(s, "POST", url, body, NULL, err);
    json_decref(body);
    kw_google_of(s)->account_made = kw_now_ms();
    return r;
}

static int delete_account(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[700];
    (void)t;
    kw_google_account_url(s, "", url, sizeof url);
    return kw_google_write(s, "DELETE", url, NULL, NULL, err);
}

int kw_google_add_account(struct kw_setup *s, struct kw_err *err)
{
    struct kw_google *g = kw_google_of(s);
    if (g->account[0] == '\0')
        return 0;
    struct kw_setup_step *t = kw_setup_add(s, err, "service account", "%s", g->account);
    if (t == NULL)
        return (int)err->code;
    t->look = look_account;
    t->act = make_account;
    t->undo = delete_account;
    t->command = kw_google_command_account;
    t->only_new = true;
    g->account_step = t;
    return 0;
}
