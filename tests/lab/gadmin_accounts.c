/* SPDX-License-Identifier: Apache-2.0
 *
 * Google's service accounts, and who may be them.
 */
#include <string.h>

#include "lab.h"

static const char API[] = "iam.googleapis.com";
static const char LOWER[] = "abcdefghijklmnopqrstuvwxyz";

/* [a-z]([-a-z0-9]*[a-z0-9]), 6 to 30 of them */
static bool id_good(const char *id)
{
    size_t n = strlen(id);
    return n >= 6 && n <= 30 && strchr(LOWER, id[0]) != NULL &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && id[n - 1] != '-';
}

/* By e-mail or unique id; the lock is held. */
static json_t *find(struct lab *l, const char *name)
{
    const char *email;
    json_t *o;
    json_object_foreach(l->gadmin.accounts, email,
                        o) if (strcmp(email, name) == 0 ||
                               strcmp(lab_text(o, "uniqueId"), name) == 0) return o;
    return NULL;
}

/* Is it there for those who ask about it by now? */
static bool spread(struct lab *l, const json_t *o)
{
    return o != NULL && lab_now(l) >= json_integer_value(json_object_get(o, "_at"));
}

bool lab_gaccount_find(struct lab *l, const char *name, char *email, char *id, size_t size)
{
    pthread_mutex_lock(&l->gadmin.lock);
    const json_t *o = find(l, name);
    bool there = spread(l, o);
    snprintf(email, size, "%s", there ? lab_text(o, "email") : "");
    snprintf(id, size, "%s", there ? lab_text(o, "uniqueId") : "");
    pthread_mutex_unlock(&l->gadmin.lock);
    return there;
}

void lab_gaccount_create(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char email[128], random[17], unique[24];
    if (!lab_gadmin_may(l, r, a, "iam.serviceAccounts.create", API))
        return;
    json_t *body = lab_gadmin_body(r, a);
    const json_t *given = json_object_get(body, "serviceAccount");
    const char *id = lab_text(body, "accountId");
    if (body == NULL)
        return;
    snprintf(email, sizeof email, "%.40s@" LAB_G_PROJECT ".iam.gserviceaccount.com", id);
    pthread_mutex_lock(&l->gadmin.lock);
    if (!id_good(id)) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL,
                         "account_id must be 6 to 30 characters: [a-z]([-a-z0-9]*[a-z0-9]).");
    } else if (find(l, email) != NULL) {
        lab_google_error(
            r, a, 409, "ALREADY_EXISTS", NULL,
            "Service account %s already exists within project projects/" LAB_G_PROJECT ".", id);
    } else {
        lab_random_hex(random, 8);
        for (size_t i = 0; i < 16; i++) /* digits will do */
            random[i] = (char)('0' + (random[i] <= '9' ? random[i] - '0' : random[i] - 'a'));
        snprintf(unique, sizeof unique, "11000%s", random);
        json_t *o = json_pack("{s:s+, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "name",
                              "projects/" LAB_G_PROJECT "/serviceAccounts/", email, "projectId",
                              LAB_G_PROJECT, "uniqueId", unique, "email", email, "displayName",
                              lab_text(given, "displayName"), "description",
                              lab_text(given, "description"), "oauth2ClientId", unique, "etag",
                              "MDEwMjE5MjA=", "_at", (json_int_t)lab_gadmin_spread(l));
        json_object_set_new(l->gadmin.accounts, email, o);
        lab_verdict(r, "made: %s", email);
        lab_reply_json(a, 200, lab_gadmin_shown(o));
    }
    pthread_mutex_unlock(&l->gadmin.lock);
    json_decref(body);
}

void lab_gaccount_list(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    const char *email;
    json_t *o;
    if (!lab_gadmin_may(l, r, a, "iam.serviceAccounts.list", API))
        return;
    json_t *all = json_array();
    pthread_mutex_lock(&l->gadmin.lock);
    json_object_foreach(l->gadmin.accounts, email, o) if (spread(l, o))
        json_array_append_new(all, lab_gadmin_shown(o));
    pthread_mutex_unlock(&l->gadmin.lock);
    lab_gadmin_page(r, a, "accounts", all, 20, 100);
}

/* The path's account; false: the answer is made. As Google documents it, of no account where the
 * project is a dash it says 403, which it would say of one that one may not see. */
static bool named(struct lab *l, struct lab_request *r, struct lab_response *a, char *email,
                  size_t size)
{
    char project[128], name[256], id[256];
    lab_gadmin_param(r, 0, project, sizeof project);
    lab_gadmin_param(r, 1, name, sizeof name);
    if (lab_gaccount_find(l, name, email, id, size))
        return true;
    if (strcmp(project, "-") == 0) {
        lab_google_error(r, a, 403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED",
                         "Permission denied on resource (or it may not exist).");
        return false;
    }
    lab_google_error(r, a, 404, "NOT_FOUND", NULL,
                     "Unknown service account (projects/" LAB_G_PROJECT "/serviceAccounts/%.100s).",
                     name);
    return false;
}

void lab_gaccount_get(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char email[256];
    if (!lab_gadmin_may(l, r, a, "iam.serviceAccounts.get", API) ||
        !named(l, r, a, email, sizeof email))
        return;
    pthread_mutex_lock(&l->gadmin.lock);
    lab_reply_json(a, 200, lab_gadmin_shown(json_object_get(l->gadmin.accounts, email)));
    pthread_mutex_unlock(&l->gadmin.lock);
}

/* Its policy goes with it. */
void lab_gaccount_delete(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char email[256], resource[300];
    if (!lab_gadmin_may(l, r, a, "iam.serviceAccounts.delete", API) ||
        !named(l, r, a, email, sizeof email))
        return;
    snprintf(resource, sizeof resource, "serviceAccounts/%s", email);
    pthread_mutex_lock(&l->gadmin.lock);
    json_object_del(l->gadmin.accounts, email);
    lab_gpolicy_drop(l, resource);
    pthread_mutex_unlock(&l->gadmin.lock);
    lab_reply_json(a, 200, json_object());
}

/* The version is asked for in the query, as Google's own clients do. */
void lab_gaccount_policy(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char email[256], resource[300], version[8] = "0";
    if (!lab_gadmin_may(l, r, a, "iam.serviceAccounts.getIamPolicy", API) ||
        !named(l, r, a, email, sizeof email))
        return;
    snprintf(resource, sizeof resource, "serviceAccounts/%s", email);
    (void)lab_query(r, "options.requestedPolicyVersion", version, sizeof version);
    lab_gpolicy_get(l, r, a, resource, strtol(version, NULL, 10));
}

void lab_gaccount_set_policy(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char email[256], resource[300];
    if (!lab_gadmin_may(l, r, a, "iam.serviceAccounts.setIamPolicy", API) ||
        !named(l, r, a, email, sizeof email))
        return;
    json_t *body = lab_gadmin_body(r, a);
    snprintf(resource, sizeof resource, "serviceAccounts/%s", email);
    if (body != NULL)
        lab_gpolicy_set(l, r, a, resource, json_incref(json_object_get(body, "policy")), 409);
    json_decref(body);
}

bool lab_gaccount_granted(struct lab *l, const char *email, const char *who, const char *sets)
{
    static const char *const roles[] = {"roles/iam.workloadIdentityUser",
                                        "roles/iam.serviceAccountTokenCreator", NULL};
    char resource[300];
    snprintf(resource, sizeof resource, "serviceAccounts/%.250s", email);
    return lab_granted(l, resource, who, sets, roles);
}

/* Of what is asked, what the caller has: anybody may ask about himself. */
void lab_gaccount_test(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char email[256], who[600];
    struct lab_grant g;
    json_t *body, *one, *held;
    size_t i;
    if (!lab_google_bearer(l, r, a, &g) || !lab_api_guard(l, r, a, API) ||
        !named(l, r, a, email, sizeof email) || (body = lab_gadmin_body(r, a)) == NULL)
        return;
    snprintf(who, sizeof who, "%s%s", g.kind == LAB_OF_ACCOUNT ? "serviceAccount:" : "", g.who);
    bool granted = lab_gaccount_granted(l, email, who, g.sets);
    held = json_array();
    json_array_foreach(json_object_get(body, "permissions"), i, one)
    {
        const char *p = json_is_string(one) ? json_string_value(one) : "";
        bool token = strcmp(p, "iam.serviceAccounts.getAccessToken") == 0 ||
                     strcmp(p, "iam.serviceAccounts.getOpenIdToken") == 0;
        bool admins = g.kind == LAB_OF_ADMIN && strncmp(p, "iam.", 4) == 0 && !token;
        if (((granted && token) || admins) && !lab_faults_denied(&l->faults, p))
            json_array_append(held, one);
    }
    json_t *o = json_object();
    if (json_array_size(held) > 0)
        json_object_set(o, "permissions", held);
    lab_reply_json(a, 200, o);
    json_decref(held);
    json_decref(body);
}
