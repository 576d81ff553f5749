/* SPDX-License-Identifier: Apache-2.0
 *
 * `revoke google`: the pool, disabled. A disabled provider would only stop new exchanges; a
 * disabled pool stops the federated tokens that are out there, too.
 */
#include <stdio.h>
#include <string.h>

#include "setup_google.h"

static bool deleted(const json_t *pool)
{
    return strcmp(kw_google_text(pool, "state"), "DELETED") == 0;
}

/* What brings a deleted one back: a set-up does, if it was keyward's and was on. */
static const char *cure(const json_t *pool)
{
    return kw_setup_marked(kw_google_text(pool, "description")) &&
                   !json_is_true(json_object_get(pool, "disabled"))
               ? "keyward setup google --apply brings it back"
               : "bring it back yourself (gcloud iam workload-identity-pools undelete), and then "
                 "keyward revoke google --restore";
}

static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[600];
    enum kw_google_seen seen;
    kw_google_pool_url(s, url, sizeof url);
    int r = kw_google_read(s, "GET", url, NULL, &seen, &t->found, err);
    if (r == 0 && seen != KW_GOOGLE_THERE)
        r = kw_fail(err, KW_CLOUD, "it is not there: nothing to switch off or on");
    if (r != 0)
        return r;
    t->mine = kw_setup_marked(kw_google_text(t->found, "description"));
    if (deleted(t->found)) {
        t->state = s->restore ? KW_SETUP_FOREIGN : KW_SETUP_SAME;
        (void)snprintf(t->note, sizeof t->note, "it is deleted, so nobody is let in%s%s",
                       s->restore ? ": " : "", s->restore ? cure(t->found) : "");
        return 0;
    }
    if (!t->mine)
        (void)snprintf(t->note, sizeof t->note,
                       "it was not made by keyward: all that use it are concerned");
    json_t *want = json_boolean(!s->restore);
    t->state = kw_setup_differs(t, "disabled", json_object_get(t->found, "disabled"), want)
                   ? KW_SETUP_DIFFERS
                   : KW_SETUP_SAME;
    json_decref(want);
    return 0;
}

static int act(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char url[600], patch[640];
    kw_google_pool_url(s, url, sizeof url);
    (void)snprintf(patch, sizeof patch, "%s?updateMask=disabled", url);
    json_t *body = json_pack("{s:b}", "disabled", !s->restore);
    int r = body == NULL ? kw_fail(err, KW_FAILED, "there is no memory left")
                         : kw_google_operate(s, "iam", "PATCH", patch, body, t->name, err);
    json_decref(body);
    return r;
}

static void command(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                    struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)t, (void)undo;
    kw_put_fmt(b,
               "gcloud iam workload-identity-pools update %s --project=%s --location=global "
               "--%sdisabled\n",
               g->pool, g->project, s->restore ? "no-" : "");
}

int kw_google_revoke(struct kw_setup *s, struct kw_err *err)
{
    const struct kw_google *g = kw_google_of(s);
    struct kw_setup_step *t = kw_setup_add(s, err, "pool", "%s in project %s", g->pool, g->project);
    if (t == NULL)
        return (int)err->code;
    t->look = look;
    t->act = act;
    t->command = command;
    return 0;
}

void kw_google_revoked(const struct kw_setup *s, struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    if (s->restore) {
        kw_put_fmt(b,
                   "Pool %s is on: exchanges work again, and federated tokens that have not "
                   "expired meanwhile do, too. It takes a few minutes until all of Google has "
                   "heard.\n",
                   g->pool);
        return;
    }
    const json_t *pool = s->steps[0].found;
    kw_put_fmt(b,
               "Pool %s is %s.\n"
               "  no token is exchanged any more, by whichever provider of the pool\n"
               "  federated tokens that are out there stop, until the pool is %s\n"
               "  it takes a few minutes until all of Google has heard\n"
               "  STILL VALID to their end: access tokens of service accounts that were taken "
               "before,\n"
               "    an hour by default, up to 12 where the organization allows it\n",
               g->pool, deleted(pool) ? "deleted" : "off", deleted(pool) ? "back" : "on again");
    if (g->account[0] != '\0')
        kw_put_fmt(b,
                   "    to stop those as well: gcloud iam service-accounts disable %s\n"
                   "    (and see what it has done: its lines in the audit logs since)\n",
                   g->account);
    kw_put_fmt(b, "  %s\n",
               deleted(pool) ? cure(pool) : "keyward revoke google --restore switches it on again");
}
