/* SPDX-License-Identifier: Apache-2.0
 *
 * `revoke oci`: the trust is deactivated, and the application if it is keyward's, so that no
 * JWT becomes a session any more. What sessions there are, OCI knows no way to end.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"

/* Fills state and diff from whether it is active. */
static void compare(const struct kw_setup *s, struct kw_setup_step *t, json_t *have)
{
    bool active = json_is_true(json_object_get(have, "active"));
    t->found = have;
    t->mine = kw_scim_mark(have)[0] != '\0';
    t->state = active == s->restore ? KW_SETUP_SAME : KW_SETUP_DIFFERS;
    if (t->state == KW_SETUP_DIFFERS)
        (void)kw_setup_differs_text(t, "state", active ? "active" : "inactive",
                                    active ? "inactive" : "active");
    if (!t->mine)
        (void)snprintf(t->note, sizeof t->note,
                       "it was not made by keyward: all that use it are concerned");
}

static int look_trust(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *have;
    int r = kw_oci_find(s, "IdentityPropagationTrusts", "issuer", kw_oci(s)->issuer,
                        "name,issuer,active,tags", "trust", &have, err);
    if (r == 0 && have == NULL)
        r = kw_fail(err, KW_CLOUD, "it is not there: nothing to switch off or on");
    if (r == 0)
        compare(s, t, have);
    return r;
}

static int act_trust(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    char path[256], title[600];
    json_t *body = kw_scim_patch(
        json_pack("[{s:s,s:s,s:b}]", "op", "replace", "path", "active", "value", s->restore));
    (void)snprintf(path, sizeof path, "/admin/v1/IdentityPropagationTrusts/%.128s",
                   kw_oci_text(t->found, "id"));
    const struct kw_oci_call c = {.method = "PATCH",
                                  .target = path,
                                  .what = kw_setup_title(t, title, sizeof title),
                                  .body = body};
    int r = kw_oci_call(s, &c, NULL, err);
    json_decref(body);
    return r;
}

static int look_app(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *have;
    int r = kw_oci_find(s, "Apps", "name", t->name, "name,displayName,active,tags", "application",
                        &have, err);
    if (r != 0)
        return r;
    if (have != NULL && kw_scim_mark(have)[0] != '\0') {
        compare(s, t, have);
        return 0;
    }
    t->state = KW_SETUP_SAME;
    (void)snprintf(t->note, sizeof t->note, "%s",
                   have == NULL ? "it is not there" : "not made by keyward: left as it is");
    json_decref(have);
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
    kw_oci_switch_command(kw_oci(s), t->act == act_app, t->name, s->restore, b);
}

int kw_oci_add_revoke(struct kw_setup *s, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "trust", "%s", kw_oci(s)->issuer);
    if (t == NULL)
        return (int)err->code;
    t->look = look_trust;
    t->act = act_trust;
    t->command = command;
    if (s->config->client_id[0] == '\0')
        return 0;
    t = kw_setup_add(s, err, "application", "%s", s->config->client_id);
    if (t == NULL)
        return (int)err->code;
    t->look = look_app;
    t->act = act_app;
    t->command = command;
    return 0;
}

void kw_oci_revoked(const struct kw_setup *s, struct kw_buf *b)
{
    const struct kw_oci_setup *o = kw_oci(s);
    if (s->restore) {
        kw_put_fmt(b, "The trust in %s is active: its tokens become sessions again.\n", o->issuer);
        return;
    }
    kw_put_fmt(b,
               "The trust in %s is off.\n"
               "  no JWT of it becomes a session any more\n"
               "  STILL VALID to their end: sessions that were made before: an hour at most,\n"
               "    resource principals' (requested = rpst) up to 12 hours, by rpst_exp\n"
               "    to stop those as well: take away what they may, the IAM policy or the service\n"
               "    user's membership in its group; services heed that within a minute or so\n"
               "    (keyward's own processes: end them, and the key of a session is gone)\n"
               "  keyward revoke oci --restore switches it on again\n",
               o->issuer);
}
