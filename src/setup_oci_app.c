/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks the token endpoint: a confidential application, with a secret or a certificate.
 *
 * The domain shows a secret once. So it is handed out before the application becomes active:
 * one that isn't yet may have a secret that got lost on the way, and gets another.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "setup_oci.h"

#define CREDSTORE "/etc/credstore" /* where systemd's LoadCredential=NAME looks */
#define SHOWN                                                                                      \
    "name,displayName,description,active,isOAuthClient,clientType,allowedGrants,certificates,"     \
    "basedOnTemplate,tags"

static const char *const fixed[] = {"displayName", "basedOnTemplate", NULL};

/* --- the secret -------------------------------------------------------------------------- */

/* The file that it goes to; "" for a descriptor. */
static void secret_file(const struct kw_oci_setup *o, char *path, size_t size)
{
    bool file = strncmp(o->secret, "file:", 5) == 0;
    bool credential = strncmp(o->secret, "credential:", 11) == 0;
    (void)snprintf(path, size, "%s%s", credential ? CREDSTORE "/" : "",
                   file         ? o->secret + 5
                   : credential ? o->secret + 11
                                : "");
}

/* Is there something in that file? For a descriptor that can't be known. */
static bool file_is_there(const struct kw_oci_setup *o)
{
    struct stat st;
    char path[1100];
    secret_file(o, path, sizeof path);
    return path[0] != '\0' && lstat(path, &st) == 0;
}

/* Does the application need a new one? What is active has handed its secret out. */
static bool needs_secret(const struct kw_oci_setup *o, bool active)
{
    bool lost = strncmp(o->secret != NULL ? o->secret : "fd:", "fd:", 3) != 0 && !file_is_there(o);
    return o->secret != NULL && !o->told && (!active || lost);
}

/* Of the two places that we name ourselves: ~/.config/keyward and the credentials' store. If it
 * can't be, writing says why. */
static void make_folder(const char *path)
{
    static const char *const ours[] = {"/.config", "/.config/keyward", CREDSTORE};
    char folder[1100];
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        const char *at = strstr(path, ours[i]);
        size_t n = at != NULL ? (size_t)(at - path) + strlen(ours[i]) : 0;
        if (n == 0 || path[n] != '/')
            continue;
        (void)snprintf(folder, sizeof folder, "%.*s", (int)n, path);
        (void)mkdir(folder, 0700);
    }
}

static int hand_out(struct kw_oci_setup *o, const char *secret, struct kw_err *err)
{
    char path[1100];
    struct kw_atomic file = {.fd = -1};
    int fd = -1, r = 0;
    secret_file(o, path, sizeof path);
    if (path[0] != '\0') {
        make_folder(path);
        r = kw_atomic_open(&file, path, 0600, err);
    } else if (sscanf(o->secret, "fd:%d", &fd) != 1)
        r = kw_fail(err, KW_USAGE, "%s is no descriptor", o->secret);
    if (r == 0 && kw_write_all(path[0] != '\0' ? file.fd : fd, secret, strlen(secret)) != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not write the client secret to %s", o->secret);
    if (r == 0 && path[0] != '\0')
        r = kw_atomic_commit(&file, err);
    kw_atomic_abort(&file);
    o->told = r == 0;
    return r;
}

/* From an answer that has one; it is never kept, shown or logged. */
static int take_secret(struct kw_oci_setup *o, json_t *answer, struct kw_err *err)
{
    const char *secret = kw_oci_text(answer, "clientSecret");
    int r = o->secret != NULL && secret[0] != '\0' ? hand_out(o, secret, err) : 0;
    json_decref(answer); /* main's allocator wipes it */
    return r;
}

/* --- the application --------------------------------------------------------------------- */

/* What of it nobody may change, though it isn't as wanted; NULL: nothing. */
static const char *obstacle(const struct kw_oci_setup *o, const struct kw_setup_step *t,
                            bool theirs, bool secret)
{
    if (t->found == NULL)
        return o->secret != NULL && file_is_there(o) && !o->told
                   ? "something is where its secret is to go, and would be overwritten: move it "
                     "away, or choose another place by --client-secret"
                   : NULL;
    if (!theirs || t->state == KW_SETUP_SAME)
        return NULL;
    return secret ? "keyward didn't make it, and its secret isn't where --client-secret says: put "
                    "it there, or --adopt the application, which voids the secret that is in use"
                  : "it is there, not as wanted, and keyward didn't make it: choose another name "
                    "by --app, or --adopt it";
}

static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    json_t *have;
    int r = kw_oci_find(s, "Apps", "displayName", o->app, SHOWN, "application", &have, err);
    if (r != 0)
        return r;
    (void)snprintf(o->client_id, sizeof o->client_id, "%s", kw_oci_text(have, "name"));
    bool active = json_is_true(json_object_get(have, "active")), secret = needs_secret(o, active);
    r = kw_oci_compare(s, t, have, kw_oci_want_app(o), fixed, err);
    if (!active)
        (void)kw_setup_differs(t, "active", NULL, json_true());
    if (secret)
        (void)kw_setup_differs_text(t, "client secret", NULL, o->secret);
    if (t->state == KW_SETUP_SAME && (!active || secret))
        t->state = KW_SETUP_DIFFERS;
    const char *why = obstacle(o, t, !t->mine && !o->adopt, secret);
    if (why != NULL) {
        t->state = KW_SETUP_FOREIGN;
        (void)snprintf(t->note, sizeof t->note, "%s", why);
    }
    return r;
}

int kw_oci_app_switch(struct kw_setup *s, const char *id, bool active, struct kw_err *err)
{
    char path[512];
    json_t *body = kw_oci_status(id, active);
    (void)snprintf(path, sizeof path, "/admin/v1/AppStatusChanger/%.128s", id);
    const struct kw_oci_call c = {
        .method = "PUT", .target = path, .what = "application's status", .body = body};
    int r = kw_oci_call(s, &c, NULL, err);
    json_decref(body);
    return r;
}

int kw_oci_app_secret(struct kw_setup *s, const char *id, const char *what, json_t **ret,
                      struct kw_err *err)
{
    json_t *body = kw_oci_new_secret(id);
    const struct kw_oci_call c = {.method = "POST",
                                  .target = "/admin/v1/AppClientSecretRegenerator",
                                  .what = what,
                                  .body = body};
    int r = kw_oci_call(s, &c, ret, err);
    json_decref(body);
    return r;
}

static int act(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    json_t *answer = NULL;
    char id[128];
    bool active = json_is_true(json_object_get(t->found, "active"));
    int r = kw_oci_make(s, t, "Apps", kw_oci_want_app(o), fixed, &answer, err);
    (void)snprintf(id, sizeof id, "%s", kw_oci_text(t->found != NULL ? t->found : answer, "id"));
    if (r == 0 && answer != NULL)
        r = take_secret(o, answer, err);
    if (r == 0 && needs_secret(o, active)) {
        r = kw_oci_app_secret(s, id, "client secret", &answer, err);
        if (r == 0)
            r = take_secret(o, answer, err);
        if (r == 0 && !o->told)
            r = kw_fail(err, KW_CLOUD, "the domain gave no client secret");
    }
    return r == 0 && !active ? kw_oci_app_switch(s, id, true, err) : r;
}

/* Only what isn't active can be deleted. With it goes the file that held its secret. */
static int undo(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    char path[1100] = "";
    int r = 0;
    if (json_is_true(json_object_get(t->found, "active")))
        r = kw_oci_app_switch(s, kw_oci_text(t->found, "id"), false, err);
    if (r == 0)
        r = kw_oci_remove(s, t, "Apps", err);
    if (o->secret != NULL)
        secret_file(o, path, sizeof path);
    if (r == 0 && path[0] != '\0' && unlink(path) == 0)
        kw_setup_warn(s, "%s held the secret of %s, and is removed with it", path, o->app);
    return r;
}

/* --- the certificate --------------------------------------------------------------------- */

static const char *const all_fixed[] = {"certificateAlias", NULL};

static int look_certificate(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    json_t *have;
    int r = kw_oci_find(s, "OAuthClientCertificates", "certificateAlias", o->alias,
                        "certificateAlias,x509Base64Certificate,tags", "certificate", &have, err);
    if (r != 0)
        return r;
    if (have != NULL && json_object_get(have, "x509Base64Certificate") == NULL)
        (void)json_object_set(have, "x509Base64Certificate", o->certificate); /* it isn't told */
    r = kw_oci_compare(s, t, have, kw_oci_want_certificate(o), all_fixed, err);
    if (t->state == KW_SETUP_DIFFERS && t->mine) {
        t->state = KW_SETUP_FOREIGN; /* it can't be changed */
        (void)snprintf(t->note, sizeof t->note,
                       "another certificate has this alias: choose one by --certificate-alias");
    }
    return r;
}

static int act_certificate(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_t *answer;
    int r = kw_oci_make(s, t, "OAuthClientCertificates", kw_oci_want_certificate(kw_oci(s)),
                        all_fixed, &answer, err);
    json_decref(answer);
    return r;
}

static int undo_certificate(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    return kw_oci_remove(s, t, "OAuthClientCertificates", err);
}

int kw_oci_add_app(struct kw_setup *s, struct kw_err *err)
{
    const struct kw_oci_setup *o = kw_oci(s);
    struct kw_setup_step *t;
    if (o->app == NULL)
        return 0;
    if (o->alias[0] != '\0') {
        t = kw_setup_add(s, err, "certificate", "%s", o->alias);
        if (t == NULL)
            return (int)err->code;
        t->look = look_certificate;
        t->act = act_certificate;
        t->undo = undo_certificate;
        t->command = kw_oci_commands;
        t->arg = KW_OCI_CERTIFICATE;
    }
    t = kw_setup_add(s, err, "application", "%s", o->app);
    if (t == NULL)
        return (int)err->code;
    t->look = look;
    t->act = act;
    t->undo = undo;
    t->command = kw_oci_commands;
    t->arg = KW_OCI_APP;
    return 0;
}
