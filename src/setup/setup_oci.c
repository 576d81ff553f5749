/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward setup oci: the order of things. */
#include <stdlib.h>

#include "setup_oci.h"

static void end(struct kw_setup *s)
{
    struct kw_oci_setup *o = kw_oci(s);
    if (o == NULL)
        return;
    json_decref(o->from);
    json_decref(o->certificate);
    json_decref(o->users);
    json_decref(o->statements);
    json_decref(o->key_pem);
    json_decref(o->rules);
    json_decref(o->validations);
    json_decref(o->propagations);
    json_decref(o->ids);
    json_decref(o->trusts);
    kw_preset_free(&o->preset);
    kw_secret_free(&o->temp_bearer);
    kw_oci_admin_free(&o->admin);
    free(o);
    s->own = NULL;
}

static int blank(struct kw_setup *s, struct kw_err *err)
{
    struct kw_oci_setup *o = calloc(1, sizeof *o);
    if (o == NULL)
        return kw_fail(err, KW_FAILED, "there is no memory left");
    s->own = o;
    o->users = json_array();
    o->statements = json_array();
    o->rules = json_array();
    o->validations = json_array();
    o->propagations = json_array();
    o->ids = json_object();
    return 0;
}

static int begin(struct kw_setup *s, struct kw_err *err)
{
    int r = blank(s, err);
    if (r == 0)
        r = kw_oci_wish(s, kw_oci(s), err);
    if (r == 0 && s->destroy) /* the first is told last */
        r = kw_oci_add_left(s, err);
    if (r == 0)
        r = kw_oci_add_app(s, err);
    if (r == 0)
        r = kw_oci_add_temp(s, false, err);
    if (r == 0)
        r = kw_oci_add_who(s, err);
    if (r == 0)
        r = kw_oci_add_trust(s, err);
    return r == 0 && !s->destroy ? kw_oci_add_temp(s, true, err) : r;
}

static int prepare(struct kw_setup *s, struct kw_err *err)
{
    int r = blank(s, err);
    return r == 0 ? kw_oci_wish_revoke(s, kw_oci(s), err) : r;
}

static int revoke(struct kw_setup *s, struct kw_err *err)
{
    int r = prepare(s, err);
    return r == 0 ? kw_oci_add_revoke(s, err) : r;
}

const struct kw_setup_cloud kw_setup_oci = {
    .name = "oci",
    .options = kw_oci_options,
    .begin = begin,
    .open = kw_oci_open,
    .commands = kw_oci_commands_begin,
    .commands_end = kw_oci_commands_end,
    .ini = kw_oci_ini,
    .revoke = revoke,
    .revoked = kw_oci_revoked,
    .free = end,
    .abandon = kw_oci_abandon,
    .prepare = prepare,
    .examine = kw_oci_examine,
};
