/* SPDX-License-Identifier: Apache-2.0
 *
 * `--destroy` removes what its options name. What else has the set-up's mark, being made with other
 * options or left behind, is looked for and told, with the option that names it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "setup_oci.h"

static const struct kind {
    const char *path, *attribute; /* in SCIM, and what it is called by there */
    const char *kind, *option;    /* as its step's; what names it */
} kinds[] = {
    {"Apps", "displayName", "application", "--app"},
    {"Users", "userName", "service user", "--service-user"},
    {"Groups", "displayName", "group", "--group"},
    {"OAuthClientCertificates", "certificateAlias", "certificate", "--client-auth assertion"},
    {"IdentityPropagationTrusts", "issuer", "trust", "--issuer-url"},
};
static const struct kind administrator = {.kind = "administrator application",
                                          .option = "--admin-app"};
static const struct kind policy = {.kind = "policy", .option = "--statement, --policy"};

/* Is it one of the steps? Those know themselves what is to become of it. */
static bool is_step(const struct kw_setup *s, const struct kind *k, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct kw_setup_step *t = &s->steps[i];
        if (t->arg == KW_OCI_OLDER && strcmp(k->kind, "certificate") == 0)
            return true;
        if (strcmp(t->kind, k->kind) == 0 && strcasecmp(t->name, name) == 0)
            return true;
    }
    return false;
}

static void tell(const struct kw_setup *s, const struct kind *k, const char *name, struct kw_buf *b)
{
    if (is_step(s, k, name))
        return;
    kw_put_fmt(b, "%s%s %.80s (%s)", b->len > 0 ? ", " : "", k->kind, name, k->option);
}

static void tell_marked(const struct kw_setup *s, const struct kind *k, const json_t *list,
                        struct kw_buf *b)
{
    const char *base = kw_oci(s)->base;
    const json_t *one;
    char admin[128];
    size_t i;
    (void)kw_oci_temp_mark(kw_oci(s), admin, sizeof admin);
    json_array_foreach(list, i, one)
    {
        const char *mark = kw_scim_mark(one);
        const char *name = kw_oci_text(one, k->attribute != NULL ? k->attribute : "name");
        if (strcmp(mark, base) == 0)
            tell(s, k, name, b);
        else if (strcmp(mark, admin) == 0)
            tell(s, &administrator, name, b);
    }
}

/* Those that the domain finds by their tag; where it doesn't filter by that, all that there are. */
static int look_at(struct kw_setup *s, const struct kind *k, struct kw_buf *b, struct kw_err *err)
{
    char target[1024];
    json_t *list = NULL;
    struct kw_buf base;
    kw_buf_init(&base, 512);
    kw_pct_put(&base, kw_oci(s)->base, strlen(kw_oci(s)->base));
    int r = base.bad ? kw_fail(err, KW_FAILED, "there is no memory left") : 0;
    for (int i = 0; i < 2 && (i == 0 || r == KW_CLOUD); i++) {
        (void)snprintf(target, sizeof target, "/admin/v1/%s?%s%s%scount=1000&attributes=%s,tags",
                       k->path, i == 0 ? "filter=tags.value%20sw%20%22" : "",
                       i == 0 ? kw_buf_str(&base) : "", i == 0 ? "%22&" : "", k->attribute);
        r = kw_oci_list(s, target, k->path, &list, err);
    }
    kw_buf_free(&base);
    if (r == 0)
        tell_marked(s, k, json_object_get(list, "Resources"), b);
    json_decref(list);
    return r;
}

bool kw_oci_sees_policies(const struct kw_oci_setup *o)
{
    return o->admin.kind != KW_ADMIN_BEARER && o->compartment != NULL && o->region[0] != '\0';
}

static int look_at_policies(struct kw_setup *s, struct kw_buf *b, struct kw_err *err)
{
    enum { MOST = 1000 };
    const struct kw_oci_setup *o = kw_oci(s);
    struct kw_buf url;
    json_t *list = NULL;
    if (!kw_oci_sees_policies(o))
        return kw_fail(err, KW_CLOUD,
                       "IAM's policies: for those an API key (--admin-profile, --admin-key), the "
                       "region and the compartment have to be known");
    kw_buf_init(&url, 2048);
    kw_put_fmt(&url, "%s/20160918/policies?limit=%d&compartmentId=", o->identity, MOST);
    kw_pct_put(&url, o->compartment, strlen(o->compartment));
    const struct kw_oci_call c = {
        .method = "GET", .target = kw_buf_str(&url), .what = "IAM's policies"};
    int r = url.bad ? kw_fail(err, KW_FAILED, "there is no memory left")
                    : kw_oci_call(s, &c, &list, err);
    if (r == 0 && (!json_is_array(list) || json_array_size(list) >= MOST))
        r = kw_fail(err, KW_CLOUD, "IAM's policies: the answer is no list, or a part of one");
    if (r == 0)
        tell_marked(s, &policy, list, b);
    json_decref(list);
    kw_buf_free(&url);
    return r;
}

/* What can't be looked at keeps nothing else from being removed: it is told. */
static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    struct kw_err why;
    struct kw_buf b, unseen;
    int r = 0;
    kw_buf_init(&b, 4096);
    kw_buf_init(&unseen, 4096);
    for (size_t i = 0; i <= KINDS && r == 0; i++) {
        int one = i < KINDS ? look_at(s, &kinds[i], &b, &why) : look_at_policies(s, &b, &why);
        bool tells = one == KW_CLOUD || (one == KW_NET && i == KINDS);
        if (tells)
            kw_put_fmt(&unseen, "%s%.120s", unseen.len > 0 ? "; " : "", why.text);
        else if (one != 0) {
            *err = why;
            r = one;
        }
    }
    bool found = b.len > 0, some = unseen.len > 0;
    t->state = found || some ? KW_SETUP_FOREIGN : KW_SETUP_ABSENT;
    (void)snprintf(t->note, sizeof t->note, "%s%s%s%s%s",
                   found ? "left, unless the same command names it: " : "",
                   found ? kw_buf_str(&b) : "", found && some ? "; " : "",
                   some ? "what could not be looked at: " : "", some ? kw_buf_str(&unseen) : "");
    kw_buf_free(&b);
    kw_buf_free(&unseen);
    return r;
}

int kw_oci_add_left(struct kw_setup *s, struct kw_err *err)
{
    struct kw_setup_step *t = kw_setup_add(s, err, "anything else", "of %s", kw_oci(s)->base);
    if (t == NULL)
        return (int)err->code;
    t->look = look;
    t->arg = KW_OCI_LEFT;
    return 0;
}
