/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of the key that signs an application's assertions: registered under an alias
 * with its digest in it, so that its successor gets another; those of before are removed once
 * the application has the new one.
 */
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"

#define KIND "OAuthClientCertificates"

static const char *const all_fixed[] = {"certificateAlias", NULL};

/* --destroy: where the application stays, what it has does, too. */
static int note_shared(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const char *issuer = NULL;
    json_t *app;
    int r = kw_oci_find(s, "Apps", "displayName", kw_oci(s)->app, "name",
                        "looking for its application", &app, err);
    if (r == 0)
        r = kw_oci_other_trust(s, kw_oci_text(app, "name"), &issuer, err);
    kw_oci_note_needed(t, issuer);
    json_decref(app);
    return r;
}

static int look_certificate(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    json_t *have;
    int r =
        kw_oci_find(s, KIND, "certificateAlias", o->alias,
                    "certificateAlias,x509Base64Certificate,tags", "looking for it", &have, err);
    if (r != 0)
        return r;
    if (have != NULL && json_object_get(have, "x509Base64Certificate") == NULL)
        (void)json_object_set(have, "x509Base64Certificate", o->certificate); /* it isn't told */
    r = kw_oci_compare(s, t, have, kw_oci_want_certificate(o), all_fixed, err);
    if (r == 0 && s->destroy && t->mine)
        r = note_shared(s, t, err);
    bool other = have != NULL && strcmp(kw_oci_text(have, "x509Base64Certificate"),
                                        json_string_value(o->certificate)) != 0;
    if (other) {
        t->state = KW_SETUP_FOREIGN; /* it can't be changed, whosever it is */
        (void)snprintf(t->note, sizeof t->note,
                       "another certificate has this alias: choose one by --certificate-alias");
    }
    return r;
}

static int act_certificate(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *answer;
    int r = kw_oci_make(s, t, KIND, kw_oci_want_certificate(kw_oci(s)), all_fixed, &answer, err);
    json_decref(answer);
    return r;
}

static int undo_certificate(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return kw_oci_remove(s, t, KIND, err);
}

int kw_oci_add_certificate(struct kw_setup *s, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "certificate", "%s", kw_oci(s)->alias);
    if (t == NULL)
        return (int)err->code;
    t->look = look_certificate;
    t->act = act_certificate;
    t->undo = undo_certificate;
    t->command = kw_oci_commands;
    t->arg = KW_OCI_CERTIFICATE;
    return 0;
}

/* --- older ones -------------------------------------------------------------------------- */

/* t->found: those of this set-up that aren't the one that is wanted. */
static int look_older(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    json_t *list, *one, *names = json_array();
    size_t i;
    int r = kw_oci_list(s, "/admin/v1/" KIND "?count=1000&attributes=certificateAlias,tags",
                        "looking for them", &list, err);
    t->found = json_array();
    json_array_foreach(json_object_get(list, "Resources"), i, one)
    {
        const char *alias = kw_oci_text(one, "certificateAlias");
        if (strcmp(kw_scim_mark(one), o->base) != 0 || strcmp(alias, o->alias) == 0)
            continue;
        (void)json_array_append(t->found, one);
        (void)json_array_append_new(names, json_string(alias));
    }
    json_decref(list);
    if (r == 0)
        (void)kw_setup_differs(t, "registered", names, NULL);
    bool none = json_array_size(t->found) == 0;
    t->mine = !none;
    if (r == 0 && s->destroy && t->mine)
        r = note_shared(s, t, err);
    t->state = !none ? KW_SETUP_DIFFERS : s->destroy ? KW_SETUP_ABSENT : KW_SETUP_SAME;
    json_decref(names);
    return r;
}

static int remove_older(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_setup_step one = {.kind = t->kind};
    size_t i;
    json_t *v;
    int r = 0;
    json_array_foreach(t->found, i, v)
    {
        one.found = v;
        if (r == 0)
            r = kw_oci_remove(s, &one, KIND, err);
    }
    return r;
}

int kw_oci_add_older(struct kw_setup *s, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "older certificates", "of %s", kw_oci(s)->base);
    if (t == NULL)
        return (int)err->code;
    t->look = look_older;
    t->act = t->undo = remove_older;
    t->arg = KW_OCI_OLDER;
    return 0;
}
