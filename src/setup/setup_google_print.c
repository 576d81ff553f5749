/* SPDX-License-Identifier: Apache-2.0
 *
 * The same set-up for those who must run it elsewhere, as commands of gcloud. Nothing is known
 * here of what is there, so what removes asks first what --destroy would: has it keyward's mark,
 * and is nobody else in it? Only variables of the script's own are expanded in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"

#define POOL     "gcloud iam workload-identity-pools"
#define ACCOUNTS "gcloud iam service-accounts"
/* What is deleted can still be described. */
#define STATED " --format='value[separator=\" \"](state,description)'"

/* --- words ---------------------------------------------------------------------------------- */

static void word(struct kw_buf *b, const char *before, const char *text)
{
    kw_put_str(b, before);
    kw_setup_quote(b, text);
}

/* The member of an IAM policy: its project's number is the script's variable, if not known. */
static void put_member(const struct kw_setup *s, struct kw_buf *b)
{
    char member[800];
    kw_google_member(s, member, sizeof member);
    const char *number = strstr(member, "/$NUMBER/");
    if (number == NULL) {
        kw_setup_quote(b, member);
        return;
    }
    size_t n = (size_t)(number - member) + 1;
    kw_put(b, member, n);
    kw_put_str(b, "\"$NUMBER\"");
    kw_setup_quote(b, number + strlen("/$NUMBER"));
}

static bool occurs(const json_t *texts, const char *between)
{
    const json_t *one;
    size_t i;
    json_array_foreach(texts, i, one)
    {
        if (strstr(json_string_value(one), between) != NULL)
            return true;
    }
    return false;
}

/* gcloud takes a list with commas between, or with what ^...^ at its beginning says: something
 * that is in none of the texts. */
static void put_list(struct kw_buf *b, const char *option, const json_t *texts)
{
    static const char *const plain[] = {",", ";", "~", "#", "@"};
    char between[16] = ",";
    const json_t *one;
    size_t i;
    struct kw_buf all;
    for (unsigned n = 1; occurs(texts, between); n++)
        (void)(n < 5 ? snprintf(between, sizeof between, "%s", plain[n])
                     : snprintf(between, sizeof between, ":%u:", n));
    kw_buf_init(&all, 1 << 17);
    bool first = strncmp(json_string_value(json_array_get(texts, 0)), "^", 1) == 0;
    if (strcmp(between, ",") != 0 || first)
        kw_put_fmt(&all, "^%s^", between);
    json_array_foreach(texts, i, one)
    {
        kw_put_fmt(&all, "%s%s", i > 0 ? between : "", json_string_value(one));
    }
    word(b, option, kw_buf_str(&all));
    kw_buf_free(&all);
}

static void put_pool(const struct kw_google *g, struct kw_buf *b)
{
    kw_put_fmt(b, " --project=%s --location=global", g->project);
}

/* --- what is removed, and what isn't --------------------------------------------------------- */

static void put_number(const struct kw_google *g, struct kw_buf *b)
{
    if (g->number[0] == '\0')
        kw_put_fmt(b,
                   "NUMBER=$(gcloud projects describe %s --format='value(projectNumber)')\n"
                   ": \"${NUMBER:?is not known: the number of the project}\"\n",
                   g->project);
}

/* A shell of its own, so that whatever fails is the end of it, also where somebody pastes it. And
 * by what the script decides. */
void kw_google_command_begin(const struct kw_setup *s, struct kw_buf *b)
{
    static const char functions[] =
        "# Removes only what has keyward's mark, and nobody else in it; the rest is told, and "
        "stays.\n"
        "marked() { # WHAT DESCRIPTION\n"
        "    case $2 in\n"
        "    '" KW_SETUP_MARK "'* | 'ACTIVE " KW_SETUP_MARK "'*) return 0 ;;\n"
        "    esac\n"
        "    echo \"$1: is not there, or was not made by keyward: stays\" >&2\n"
        "    return 1\n"
        "}\n"
        "alone() { # WHAT LIST ONE: is nothing in the list but that one?\n"
        "    [ -n \"$(printf '%s\\n' \"$2\" | grep -vxF -e \"$3\" -e '' | grep -v '^deleted:')\" ] "
        "|| return 0\n"
        "    echo \"$1: others use it, or it can't be told: stays\" >&2\n"
        "    return 1\n"
        "}\n";
    const struct kw_google *g = kw_google_of(s);
    kw_put_str(b, "(\nset -eu\n");
    if (!s->destroy)
        return;
    kw_put_str(b, functions);
    put_number(g, b);
    kw_put_fmt(b,
               "OWN='' ALONE=no POOL=no ACCOUNT=no\n"
               "if marked 'provider %s' \"$(" POOL
               " providers describe %s --workload-identity-pool=%s",
               g->provider, g->provider, g->pool);
    put_pool(g, b);
    kw_put_fmt(b,
               STATED ")\"; then OWN=%s; fi\n"
                      "if alone 'pool %s' \"$(" POOL " providers list --workload-identity-pool=%s",
               g->provider, g->pool, g->pool);
    put_pool(g, b);
    kw_put_fmt(b,
               " --format='value(name.basename())' || echo '?')\" \"$OWN\"; then ALONE=yes; fi\n"
               "if [ \"$ALONE\" = yes ] && marked 'pool %s' \"$(" POOL " describe %s",
               g->pool, g->pool);
    put_pool(g, b);
    kw_put_str(b, STATED ")\"; then POOL=yes; fi\n");
    if (g->account[0] == '\0')
        return;
    kw_put_fmt(b,
               "if [ \"$ALONE\" = yes ] && marked 'service account %s' \"$(" ACCOUNTS
               " describe %s --project=%s --format='value(description)')\" &&\n"
               "    alone 'service account %s' \"$(" ACCOUNTS
               " get-iam-policy %s --project=%s --flatten='bindings[].members' "
               "--format='value(bindings.members)' || echo '?')\" ",
               g->account, g->account, g->project, g->account, g->account, g->project);
    put_member(s, b);
    kw_put_str(b, "; then ACCOUNT=yes; fi\n");
}

void kw_google_command_end(const struct kw_setup *s, struct kw_buf *b)
{
    (void)s;
    kw_put_str(b, ")\n");
}

static void put_if(const char *variable, struct kw_buf *b)
{
    kw_put_fmt(b, "if [ \"$%s\" = yes ]; then\n    ", variable);
}

/* --- the steps ------------------------------------------------------------------------------ */

void kw_google_command_api(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                           struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)undo; /* has none */
    kw_put_fmt(b, "gcloud services enable %s --project=%s\n", t->name, g->project);
    if (t->arg == 0)
        put_number(g, b);
}

void kw_google_command_pool(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                            struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)t;
    if (undo)
        put_if("POOL", b);
    kw_put_fmt(b, POOL " %s %s", undo ? "delete" : "create", g->pool);
    put_pool(g, b);
    kw_put_str(b, undo ? " --quiet\nfi\n"
                       : " --display-name=keyward --description='" KW_SETUP_MARK "'\n");
}

/* gcloud takes KEY=EXPRESSION pairs. */
static void put_mapping(json_t *mapping, struct kw_buf *b)
{
    const char *key;
    json_t *v, *pairs = json_array();
    json_object_foreach(mapping, key, v)
    {
        (void)json_array_append_new(pairs, json_sprintf("%s=%s", key, json_string_value(v)));
    }
    put_list(b, " --attribute-mapping=", pairs);
    json_decref(pairs);
}

static void put_oidc(const json_t *oidc, struct kw_buf *b)
{
    const json_t *audiences = json_object_get(oidc, "allowedAudiences");
    word(b, " --issuer-uri=", kw_google_text(oidc, "issuerUri"));
    if (json_array_size(audiences) > 0)
        put_list(b, " --allowed-audiences=", audiences);
    if (json_object_get(oidc, "jwksJson") != NULL)
        kw_put_str(b, " --jwk-json-path=keyward-jwks.json");
}

/* What gcloud reads from files (YAML, of which JSON is a part). */
static void put_files(const struct kw_google *g, struct kw_buf *b)
{
    const json_t *want = g->provider_want;
    const char *jwks = kw_google_text(json_object_get(want, "oidc"), "jwksJson");
    char *store = g->x509 ? json_dumps(json_object_get(want, "x509"), JSON_COMPACT) : NULL;
    if (store == NULL && jwks[0] == '\0')
        return;
    word(b, "printf '%s\\n' ", store != NULL ? store : jwks);
    kw_put_fmt(b, " >%s\n", store != NULL ? "keyward-trust-store.yaml" : "keyward-jwks.json");
    free(store);
}

static void remove_provider(const struct kw_google *g, struct kw_buf *b)
{
    kw_put_fmt(
        b, "if [ -n \"$OWN\" ]; then\n    " POOL " providers delete %s --workload-identity-pool=%s",
        g->provider, g->pool);
    put_pool(g, b);
    kw_put_str(b, " --quiet\nfi\n");
}

void kw_google_command_provider(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                                struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    const char *condition = kw_google_text(g->provider_want, "attributeCondition");
    (void)t;
    if (undo) {
        remove_provider(g, b);
        return;
    }
    put_files(g, b);
    kw_put_fmt(b, POOL " providers create-%s %s --workload-identity-pool=%s",
               g->x509 ? "x509" : "oidc", g->provider, g->pool);
    put_pool(g, b);
    kw_put_str(b, " --display-name=keyward --description='" KW_SETUP_MARK "'");
    if (g->x509)
        kw_put_str(b, " --trust-store-config-path=keyward-trust-store.yaml");
    else
        put_oidc(json_object_get(g->provider_want, "oidc"), b);
    put_mapping(json_object_get(g->provider_want, "attributeMapping"), b);
    if (condition[0] != '\0')
        word(b, " --attribute-condition=", condition);
    kw_put_str(b, "\n");
}

void kw_google_command_account(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                               struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    (void)t;
    if (g->account_id[0] == '\0')
        return;
    if (undo)
        put_if("ACCOUNT", b);
    kw_put_fmt(b, ACCOUNTS " %s %s --project=%s", undo ? "delete" : "create",
               undo ? g->account : g->account_id, g->project);
    kw_put_str(b, undo ? " --quiet\nfi\n"
                       : " --display-name=keyward --description='" KW_SETUP_MARK "'\n");
}

void kw_google_command_grant(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                             struct kw_buf *b)
{
    const struct kw_google *g = kw_google_of(s);
    const struct kw_google_grant *w = kw_google_grant_of(s, t);
    const char *verb = undo ? "remove" : "add", *bucket = kw_google_bucket(w);
    bool to_account = !kw_google_on_account(w) && g->account[0] != '\0';
    if (undo)
        put_if(to_account ? "ACCOUNT" : "POOL", b);
    if (bucket != NULL)
        kw_put_fmt(b, "gcloud storage buckets %s-iam-policy-binding gs://%s", verb, bucket);
    else if (kw_google_on_account(w))
        kw_put_fmt(b, ACCOUNTS " %s-iam-policy-binding %s --project=%s", verb, g->account,
                   g->project);
    else
        kw_put_fmt(b, "gcloud projects %s-iam-policy-binding %s", verb, g->project);
    kw_put_fmt(b, " --condition=None --role=%s --member=", w->role);
    if (to_account)
        kw_put_fmt(b, "serviceAccount:%s", g->account);
    else
        put_member(s, b);
    /* It may have been taken away already, which is no reason to leave the rest. */
    kw_put_str(b, undo ? " ||\n        echo 'a grant could not be taken away (see above)' >&2\nfi\n"
                       : "\n");
}
