/* SPDX-License-Identifier: Apache-2.0
 *
 * The same set-up for those who must run it elsewhere, as commands of the OCI command line. Only
 * variables of the script's own are expanded in it. What removes asks first, as --destroy does,
 * for this set-up's mark.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_oci.h"

/* Where in a request's body a variable of the script's stands; what stands elsewhere is somebody's
 * text, whatever it looks like. Members of arrays are where the array is. */
static bool has_variable(const char *path)
{
    static const char *const paths[] = {".oauthClients",
                                        ".impersonationServiceUsers.value",
                                        ".publicCertificate",
                                        ".Operations.value.value",
                                        ".Operations.path",
                                        ".id",
                                        ".appId"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(paths[i], path) == 0)
            return true;
    return false;
}

/* Inside single quotes; with variables, these in double ones between. */
static void put_inside(struct kw_buf *b, const char *text, bool variables)
{
    static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    while (*text != '\0') {
        size_t n = variables && *text == '$' ? strspn(text + 1, name) : 0;
        if (n > 0)
            kw_put_fmt(b, "'\"%.*s\"'", (int)n + 1, text);
        else if (*text == '\'')
            kw_put_str(b, "'\\''");
        else
            kw_put(b, text, 1);
        text += n + 1;
    }
}

static void put_json(struct kw_buf *b, const json_t *v, const char *path)
{
    const char *key, *between = "";
    json_t *one;
    size_t i;
    char below[200];
    if (json_is_object(v)) {
        kw_put_str(b, "{");
        json_object_foreach((json_t *)(uintptr_t)v, key, one)
        {
            kw_put_fmt(b, "%s\"%s\":", between, key); /* names of ours, all of them */
            (void)snprintf(below, sizeof below, "%s.%s", path, key);
            put_json(b, one, below);
            between = ",";
        }
        kw_put_str(b, "}");
    } else if (json_is_array(v)) {
        kw_put_str(b, "[");
        json_array_foreach(v, i, one)
        {
            kw_put_str(b, i > 0 ? "," : "");
            put_json(b, one, path);
        }
        kw_put_str(b, "]");
    } else {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        put_inside(b, text != NULL ? text : "null", has_variable(path));
        free(text);
    }
}

/* One call: a URL and, if given, the id in a variable behind it; a body, which is taken over; what
 * of the answer goes into which variable, NULL: is shown. */
struct line {
    const char *method, *url, *id, *after;
    json_t *body;
    const char *query, *into;
};

static void put_call(struct kw_buf *b, const struct line *l)
{
    kw_put_fmt(b, "oci raw-request --http-method %s --target-uri ", l->method);
    kw_setup_quote(b, l->url);
    if (l->id != NULL)
        kw_put_fmt(b, "\"$%s\"%s", l->id, l->after != NULL ? l->after : "");
    if (l->body != NULL) {
        kw_put_str(b, " --request-body '");
        put_json(b, l->body, "");
        kw_put_str(b, "'");
    }
    if (l->query != NULL) {
        kw_put_str(b, " --query ");
        kw_setup_quote(b, l->query);
        kw_put_str(b, " --raw-output");
    }
    json_decref(l->body);
}

/* A line of it; where something is to come of it that others need, that it has come. */
static void put_line(struct kw_buf *b, const struct line *l)
{
    if (l->into != NULL)
        kw_put_fmt(b, "%s=$(", l->into);
    put_call(b, l);
    if (l->into != NULL)
        kw_put_fmt(b, ")\n: \"${%s:?there is none}\"\n", l->into);
    else
        kw_put_str(b, "\n");
}

static void url_of(const struct kw_oci_setup *o, const char *kind, char *url, size_t size)
{
    (void)snprintf(url, size, "%s/admin/v1/%s", o->domain, kind);
}

static void create(const struct kw_oci_setup *o, struct kw_buf *b, const char *into,
                   const char *kind, json_t *want)
{
    char url[700];
    json_t *new = kw_scim_new(want);
    (void)json_object_set_new(new, "tags", kw_scim_tags(o->base));
    url_of(o, kind, url, sizeof url);
    const struct line l = {.method = "POST",
                           .url = url,
                           .body = new,
                           .query = into != NULL ? "data.id" : NULL,
                           .into = into};
    put_line(b, &l);
    json_decref(want);
}

/* A text in an expression of JMESPath's. */
static void put_literal(struct kw_buf *b, const char *text)
{
    kw_put_str(b, "'");
    for (const char *p = text; *p != '\0'; p++) {
        kw_put_str(b, *p == '\'' || *p == '\\' ? "\\" : "");
        kw_put(b, p, 1);
    }
    kw_put_str(b, "'");
}

/* The variable is the id of the one of that name that has this set-up's mark, else nothing. */
static void find_ours(const struct kw_oci_setup *o, struct kw_buf *b, const char *into,
                      const char *kind, const char *attribute, const char *value)
{
    bool group = strcmp(kind, "Groups") == 0;
    char *url =
        kw_scim_query(o->domain, kind, attribute, value, group ? "id,tags,members" : "id,tags");
    struct kw_buf query;
    kw_buf_init(&query, 1024);
    kw_put_str(&query, "data.Resources[?tags[?key=='" KW_SCIM_TAG "' && value==");
    put_literal(&query, o->base);
    kw_put_fmt(&query, "]%s].id | [0]", group && strcmp(into, "EMPTY") == 0 ? " && !members" : "");
    const struct line l = {.method = "GET", .url = url, .query = kw_buf_str(&query)};
    kw_put_fmt(b, "%s=$(", into);
    if (url != NULL)
        put_call(b, &l);
    kw_put_str(b, ")\n");
    kw_buf_free(&query);
    free(url);
}

static void begin_if(struct kw_buf *b, const char *variable)
{
    kw_put_fmt(b, "if [ -n \"$%s\" ] && [ \"$%s\" != null ]; then\n", variable, variable);
}

static void end_if(const struct kw_oci_setup *o, struct kw_buf *b, const char *what,
                   const char *name)
{
    kw_put_str(b, "else\n    printf '%s\\n' ");
    char text[900];
    (void)snprintf(text, sizeof text, "%s %s: is not there, %s of the set-up %s: stays", what, name,
                   strcmp(what, "Groups") == 0 ? "has others in it, or is not" : "or not", o->base);
    kw_setup_quote(b, text);
    kw_put_str(b, " >&2\nfi\n");
}

static void drop(const struct kw_oci_setup *o, struct kw_buf *b, const char *kind,
                 const char *attribute, const char *value)
{
    const char *id = strcmp(kind, "Groups") == 0 ? "EMPTY" : "ID"; /* others may be in a group */
    char url[700];
    find_ours(o, b, id, kind, attribute, value);
    begin_if(b, id);
    if (strcmp(kind, "Apps") == 0) {
        url_of(o, "AppStatusChanger/", url, sizeof url);
        const struct line off = {
            .method = "PUT", .url = url, .id = "ID", .body = kw_oci_status("$ID", false)};
        kw_put_str(b, "    ");
        put_line(b, &off);
    }
    (void)snprintf(url, sizeof url, "%s/admin/v1/%s/", o->domain, kind);
    const struct line del = {.method = "DELETE", .url = url, .id = id};
    kw_put_str(b, "    ");
    put_line(b, &del);
    end_if(o, b, kind, value);
}

static void app(const struct kw_oci_setup *o, struct kw_buf *b)
{
    char apps[700], secret[700], status[700];
    url_of(o, "Apps/", apps, sizeof apps);
    url_of(o, "AppClientSecretRegenerator", secret, sizeof secret);
    url_of(o, "AppStatusChanger/", status, sizeof status);
    if (o->secret != NULL) /* the one that is there may be in use */
        kw_put_str(b, "if [ -e client-secret ]; then\n"
                      "    printf '%s\\n' 'client-secret is there already: move it away' >&2\n"
                      "    exit 1\nfi\n");
    create(o, b, "APP", "Apps", kw_oci_want_app(o));
    const struct line name = {.method = "GET",
                              .url = apps,
                              .id = "APP",
                              .after = "'?attributes=name'",
                              .query = "data.name",
                              .into = "CLIENT_ID"};
    put_line(b, &name);
    if (o->secret != NULL) {
        const struct line l = {.method = "POST",
                               .url = secret,
                               .body = kw_oci_new_secret("$APP"),
                               .query = "data.clientSecret"};
        kw_put_str(b, "# its only sight: into a new file, that only its user can read\n"
                      "(umask 077; set -C; ");
        put_call(b, &l);
        kw_put_str(b, " >client-secret.new)\nmv client-secret.new client-secret\n");
    }
    const struct line on = {
        .method = "PUT", .url = status, .id = "APP", .body = kw_oci_status("$APP", true)};
    put_line(b, &on);
}

static void member(const struct kw_oci_setup *o, const struct kw_setup_step *t, bool undo,
                   struct kw_buf *b)
{
    char url[700], text[32] = "";
    const char *user = json_string_value(json_array_get(o->users, (size_t)t->arg / 16));
    struct line l = {.method = "PATCH", .url = url, .id = "GROUP"};
    url_of(o, "Groups/", url, sizeof url);
    if (undo) { /* of a group of others it goes with the user */
        find_ours(o, b, "ID", "Users", "userName", user);
        find_ours(o, b, "GROUP", "Groups", "displayName", o->group);
        begin_if(b, "ID");
        begin_if(b, "GROUP");
        l.body = kw_oci_member("$ID", false);
        put_line(b, &l);
        kw_put_str(b, "fi\nfi\n");
        return;
    }
    char *find = kw_scim_query(o->domain, "Groups", "displayName", o->group, "id");
    const struct line group = {
        .method = "GET", .url = find, .query = "data.Resources[0].id", .into = "GROUP"};
    if (find != NULL)
        put_line(b, &group);
    free(find);
    l.body = kw_oci_member(kw_oci_user_id(o, user, text, sizeof text), true);
    put_line(b, &l);
}

static void put_where(const struct kw_oci_setup *o, struct kw_buf *b)
{
    kw_put_str(b, " --compartment-id ");
    if (o->compartment != NULL)
        kw_setup_quote(b, o->compartment);
    else
        kw_put_str(b, "\"$TENANCY\"");
    kw_put_str(b, " --name ");
    kw_setup_quote(b, o->policy);
}

static void drop_policy(const struct kw_oci_setup *o, struct kw_buf *b)
{
    struct kw_buf query;
    kw_buf_init(&query, 1024);
    kw_put_str(&query, "data[?\"freeform-tags\"." KW_SCIM_TAG "==");
    put_literal(&query, o->base);
    kw_put_str(&query, "].id | [0]");
    kw_put_str(b, "ID=$(oci iam policy list");
    put_where(o, b);
    kw_put_str(b, " --query ");
    kw_setup_quote(b, kw_buf_str(&query));
    kw_put_str(b, " --raw-output)\n");
    begin_if(b, "ID");
    kw_put_str(b, "    oci iam policy delete --policy-id \"$ID\" --force\n");
    end_if(o, b, "policy", o->policy);
    kw_buf_free(&query);
}

static void policy(const struct kw_oci_setup *o, bool undo, struct kw_buf *b)
{
    json_t *tags = json_pack("{s:s}", KW_SCIM_TAG, o->base);
    if (undo) {
        drop_policy(o, b);
    } else {
        kw_put_str(b, "oci iam policy create");
        put_where(o, b);
        kw_put_str(b, " --description ");
        kw_setup_quote(b, KW_SETUP_MARK);
        kw_put_str(b, " --statements '");
        put_json(b, o->statements, "");
        kw_put_str(b, "' --freeform-tags '");
        put_json(b, tags, "");
        kw_put_str(b, "'\n");
    }
    json_decref(tags);
}

/* The key of the token that issues is not looked at here; in JSON its lines are \n. */
static void trust(const struct kw_oci_setup *o, struct kw_buf *b)
{
    if (o->key_pem != NULL)
        kw_put_str(b, "ISSUER_KEY_PEM=$(printf '%s\\n' \"$ISSUER_KEY_PEM\" | sed 's/$/\\\\n/' | "
                      "tr -d '\\n')\n");
    create(o, b, NULL, "IdentityPropagationTrusts", kw_oci_want_trust(o));
}

void kw_oci_commands(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                     struct kw_buf *b)
{
    const struct kw_oci_setup *o = kw_oci(s);
    char text[32] = "", title[600];
    kw_put_fmt(b, "# %s\n", kw_setup_title(t, title, sizeof title));
    switch (t->arg % 16) {
    case KW_OCI_CERTIFICATE:
        if (undo)
            drop(o, b, "OAuthClientCertificates", "certificateAlias", t->name);
        else
            create(o, b, NULL, "OAuthClientCertificates", kw_oci_want_certificate(o));
        break;
    case KW_OCI_APP:
        if (undo)
            drop(o, b, "Apps", "displayName", t->name);
        else
            app(o, b);
        break;
    case KW_OCI_USER:
        if (undo)
            drop(o, b, "Users", "userName", t->name);
        else
            create(o, b, kw_oci_user_id(o, t->name, text, sizeof text) + 1, "Users",
                   kw_oci_want_user(t->name));
        break;
    case KW_OCI_GROUP:
        if (undo)
            drop(o, b, "Groups", "displayName", t->name);
        else
            create(o, b, "GROUP", "Groups", kw_oci_want_group(o));
        break;
    case KW_OCI_MEMBER:
        member(o, t, undo, b);
        break;
    case KW_OCI_POLICY:
        policy(o, undo, b);
        break;
    case KW_OCI_TRUST:
        if (undo)
            drop(o, b, "IdentityPropagationTrusts", "issuer", t->name);
        else
            trust(o, b);
        break;
    default:
        break;
    }
}

/* A shell of its own, so that whatever fails is the end of it, also where somebody pastes it. What
 * is to be given to it is asked for before anything is made. */
void kw_oci_commands_begin(const struct kw_setup *s, struct kw_buf *b)
{
    const struct kw_oci_setup *o = kw_oci(s);
    kw_put_str(b, "(\nset -eu\n");
    if (o->policy != NULL && o->compartment == NULL)
        kw_put_str(b, ": \"${TENANCY:?is to be set, to the OCID of the tenancy}\"\n");
    if (o->key_pem != NULL && !s->destroy)
        kw_put_str(b, ": \"${ISSUER_KEY_PEM:?is to be set, to the public key of the token that "
                      "issues, in PEM}\"\n");
}

void kw_oci_commands_end(const struct kw_setup *s, struct kw_buf *b)
{
    (void)s;
    kw_put_str(b, ")\n");
}

/* `revoke`: a trust is switched off whoever's it is, an application if it is ours. */
void kw_oci_switch_command(const struct kw_oci_setup *o, const char *attribute, const char *name,
                           bool on, struct kw_buf *b)
{
    char url[700];
    bool is_app = strcmp(attribute, "issuer") != 0;
    const char *kind = is_app ? "Apps" : "IdentityPropagationTrusts";
    if (is_app) {
        find_ours(o, b, "ID", kind, attribute, name);
    } else {
        char *find = kw_scim_query(o->domain, kind, attribute, name, "id");
        const struct line l = {.method = "GET", .url = find, .query = "data.Resources[0].id"};
        kw_put_str(b, "ID=$(");
        if (find != NULL)
            put_call(b, &l);
        kw_put_str(b, ")\n");
        free(find);
    }
    url_of(o, is_app ? "AppStatusChanger/" : "IdentityPropagationTrusts/", url, sizeof url);
    const struct line l = {.method = is_app ? "PUT" : "PATCH",
                           .url = url,
                           .id = "ID",
                           .body = is_app
                                       ? kw_oci_status("$ID", on)
                                       : kw_scim_patch(json_pack("[{s:s,s:s,s:b}]", "op", "replace",
                                                                 "path", "active", "value", on))};
    begin_if(b, "ID");
    kw_put_str(b, "    ");
    put_line(b, &l);
    end_if(o, b, kind, name);
}
