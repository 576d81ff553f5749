/* SPDX-License-Identifier: Apache-2.0
 *
 * `revoke oci`: the trust is deactivated, and the application if it is this set-up's, so that no
 * JWT becomes a session any more: either will do, so one goes on where the other can't be. What
 * sessions there are, OCI knows no way to end.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"

/* Fills state and diff from whether it is active. */
static void compare(const struct kw_setup *s, struct kw_setup_step *t, json_t *have)
{
    bool active = json_is_true(json_object_get(have, "active"));
    const char *mark = kw_scim_mark(have);
    t->found = have;
    t->mine = strcmp(mark, kw_oci(s)->base) == 0;
    t->state = active == s->restore ? KW_SETUP_SAME : KW_SETUP_DIFFERS;
    if (t->state == KW_SETUP_DIFFERS)
        (void)kw_setup_differs_text(t, "state", active ? "active" : "inactive",
                                    active ? "inactive" : "active");
    if (!t->mine)
        (void)snprintf(t->note, sizeof t->note, "%s%.200s: all that use it are concerned",
                       mark[0] != '\0' ? "it belongs to the set-up " : "it was not made by keyward",
                       mark);
}

static int look_trust(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *have;
    int r = kw_oci_find(s, "IdentityPropagationTrusts", "issuer", kw_oci(s)->issuer,
                        "name,issuer,active,tags", "looking for it", &have, err);
    if (r == 0 && have == NULL)
        r = kw_fail(err, KW_CLOUD, "it is not there: nothing to switch off or on");
    if (r == 0)
        compare(s, t, have);
    return r;
}

static int act_trust(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char path[KW_SCIM_ID + 64];
    json_t *body = kw_scim_patch(
        json_pack("[{s:s,s:s,s:b}]", "op", "replace", "path", "active", "value", s->restore));
    (void)snprintf(path, sizeof path, "/admin/v1/IdentityPropagationTrusts/%s",
                   kw_oci_text(t->found, "id"));
    const struct kw_oci_call c = {.method = "PATCH",
                                  .target = path,
                                  .what = s->restore ? "switching it on" : "switching it off",
                                  .body = body};
    int r = kw_oci_call(s, &c, NULL, err);
    json_decref(body);
    return r;
}

/* By its client id, which the profile has, else by its name. */
static const char *app_by(const struct kw_setup_step *t)
{
    return t->arg == KW_OCI_APP ? "displayName" : "name";
}

static int look_app(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *have;
    int r = kw_oci_find(s, "Apps", app_by(t), t->name, "name,displayName,active,tags",
                        "looking for it", &have, err);
    if (r != 0)
        return r;
    const char *mark = kw_scim_mark(have);
    if (have != NULL && strcmp(mark, kw_oci(s)->base) == 0) {
        compare(s, t, have);
        return 0;
    }
    t->state = KW_SETUP_SAME;
    (void)snprintf(t->note, sizeof t->note, "%s%.200s%s",
                   have == NULL      ? "there is nothing to be switched"
                   : mark[0] != '\0' ? "it belongs to the set-up "
                                     : "not made by keyward: left as it is",
                   mark, mark[0] != '\0' ? ": left as it is" : "");
    t->found = have;
    return 0;
}

static int act_app(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return kw_oci_app_switch(s, kw_oci_text(t->found, "id"), s->restore, err);
}

static void command(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                    struct kw_buf *b)
{
    (void)undo;
    kw_oci_switch_command(kw_oci(s), t->act == act_app ? app_by(t) : "issuer", t->name, s->restore,
                          b);
}

int kw_oci_add_revoke(struct kw_setup *s, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "trust", "%s", kw_oci(s)->issuer);
    if (t == NULL)
        return (int)err->code;
    t->look = look_trust;
    t->act = act_trust;
    t->command = command;
    const struct kw_oci_setup *o = kw_oci(s);
    bool by_name = o->app != NULL || s->config->client_id[0] == '\0';
    if (by_name && o->app == NULL && s->config->client_auth == KW_AUTH_SIGNATURE)
        return 0; /* there is none */
    t = kw_setup_add(s, err, "application", "%s",
                     !by_name         ? s->config->client_id
                     : o->app != NULL ? o->app
                                      : o->base);
    if (t == NULL)
        return (int)err->code;
    t->look = look_app;
    t->act = act_app;
    t->arg = by_name ? KW_OCI_APP : 0;
    t->command = command;
    return 0;
}

/* What became of it. */
static bool is_done(const struct kw_setup_step *t)
{
    return t->state == KW_SETUP_SAME && t->failed[0] == '\0';
}

void kw_oci_revoked(const struct kw_setup *s, struct kw_buf *b)
{
    const struct kw_oci_setup *o = kw_oci(s);
    const struct kw_setup_step *trust = &s->steps[0], *app = s->n > 1 ? &s->steps[1] : NULL;
    bool off = is_done(trust), app_off = app != NULL && is_done(app) && app->mine;
    if (s->restore) {
        if (off)
            kw_put_fmt(b, "The trust in %s is active: its tokens become sessions again%s.\n",
                       o->issuer,
                       app != NULL && !is_done(app) ? ", once the application is active, too" : "");
        return;
    }
    if (off)
        kw_put_fmt(b, "The trust in %s is off%s.\n", o->issuer,
                   app_off ? ", and so is the application" : "");
    else
        kw_put_fmt(b, "The trust in %s is NOT off%s.\n", o->issuer,
                   app_off ? ", but the application is, so by that one nobody is let in" : "");
    if (!off && !app_off)
        return;
    kw_put_fmt(b,
               "%s"
               "  STILL VALID to their end: sessions that were made before: an hour at most,\n"
               "    resource principals' (requested = rpst) up to 12 hours, by rpst_exp\n"
               "    to stop those as well: take away what they may, the IAM policy or the service\n"
               "    user's membership in its group; services heed that within a minute or so\n"
               "    (keyward's own processes: end them, and the key of a session is gone)\n"
               "  keyward revoke oci --restore switches it on again\n",
               off ? "  no JWT of it becomes a session any more\n" : "");
}
