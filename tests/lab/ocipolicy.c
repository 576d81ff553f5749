/* SPDX-License-Identifier: Apache-2.0
 *
 * IAM policies of the tenancy: /20160918/policies of the identity service, and what they
 * allow to the users that were made in the domain. (The options' users may all; where a
 * statement holds, and its conditions, the lab does not judge.)
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lab.h"

enum { STATEMENTS = 50, NAME_LENGTH = 100, WORD = 200 };
enum verb { NO_VERB, INSPECT, READ, USE, MANAGE };

struct statement {
    char kind[32], subject[WORD], resource[WORD];
    enum verb verb;
};

/* --- statements: Allow SUBJECT to VERB RESOURCE in PLACE [where ...] ----------------------- */

static bool word(const char **p, char *out, size_t size)
{
    *p += strspn(*p, " ");
    size_t n = strcspn(*p, " ");
    if (n == 0 || n >= size)
        return false;
    memcpy(out, *p, n);
    out[n] = 0;
    *p += n;
    return true;
}

static bool expect(const char **p, const char *want)
{
    char text[WORD];
    return word(p, text, sizeof text) && strcasecmp(text, want) == 0;
}

static enum verb verb_of(const char *text)
{
    static const char *const verbs[] = {"inspect", "read", "use", "manage"};
    for (int i = 0; i < 4; i++)
        if (strcasecmp(text, verbs[i]) == 0)
            return (enum verb)(i + 1);
    return NO_VERB;
}

/* NAME, Domain/NAME or 'Domain'/'NAME' (which may have spaces), or id OCID: the last part. */
static bool read_subject(const char **p, struct statement *s)
{
    char text[WORD];
    if (!word(p, s->kind, sizeof s->kind))
        return false;
    if (strcasecmp(s->kind, "any-user") == 0)
        return true;
    if (strcasecmp(s->kind, "group") != 0 && strcasecmp(s->kind, "dynamic-group") != 0)
        return false;
    *p += strspn(*p, " ");
    const char *to = strcasestr(*p, " to ");
    if (to == NULL || to == *p || (size_t)(to - *p) >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)(to - *p), *p);
    *p = to;
    char *name = strncasecmp(text, "id ", 3) == 0 ? text + 3 : text, *slash = strchr(name, '/');
    if (slash != NULL)
        name = slash + 1;
    size_t n = strlen(name);
    if (n >= 2 && name[0] == '\'' && name[n - 1] == '\'') {
        name[n - 1] = 0;
        name++;
    }
    snprintf(s->subject, sizeof s->subject, "%s", name);
    return name[0] != 0 && strchr(name, '\'') == NULL;
}

static bool read_statement(const char *text, struct statement *s)
{
    char verb[16], place[WORD];
    *s = (struct statement){.verb = NO_VERB};
    if (!expect(&text, "allow") || !read_subject(&text, s) || !expect(&text, "to") ||
        !word(&text, verb, sizeof verb) || (s->verb = verb_of(verb)) == NO_VERB ||
        !word(&text, s->resource, sizeof s->resource) || !expect(&text, "in") ||
        !word(&text, place, sizeof place))
        return false;
    if (strcasecmp(place, "compartment") == 0) {
        if (!word(&text, place, sizeof place) ||
            (strcasecmp(place, "id") == 0 && !word(&text, place, sizeof place)))
            return false;
    } else if (strcasecmp(place, "tenancy") != 0) {
        return false;
    }
    text += strspn(text, " ");
    return *text == 0 || strncasecmp(text, "where ", 6) == 0;
}

bool lab_statement_good(const char *text)
{
    struct statement s;
    return read_statement(text, &s);
}

/* --- what they allow ------------------------------------------------------------------------- */

static bool covers(const struct statement *s, const char *host)
{
    static const char *const of[][5] = {
        {"objectstorage.", "objects", "buckets", "object-family", "all-resources"},
        {"identity.", "compartments", "policies", "all-resources", "all-resources"},
        {"iaas.", "vcns", "virtual-network-family", "all-resources", "all-resources"},
    };
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 1; strncmp(host, of[i][0], strlen(of[i][0])) == 0 && k < 5; k++)
            if (strcasecmp(s->resource, of[i][k]) == 0)
                return true;
    return false;
}

static bool is_member(struct lab *l, const struct statement *s, const char *user_id)
{
    const json_t *one, *group = lab_scim_by(l, LAB_GROUPS, "displayName", s->subject, false);
    size_t i;
    if (strcasecmp(s->kind, "any-user") == 0)
        return true;
    if (group == NULL)
        group = lab_scim_find(l, LAB_GROUPS, s->subject, NULL);
    json_array_foreach(json_object_get(group, "members"), i,
                       one) if (strcmp(lab_text(one, "value"), user_id) ==
                                0) return strcasecmp(s->kind, "group") == 0;
    return false;
}

bool lab_policies_allow(struct lab *l, const struct lab_request *r)
{
    bool gets = strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0, may = false;
    bool objects = strncmp(r->host, "objectstorage.", 14) == 0;
    enum verb need = !gets ? MANAGE : objects ? READ : INSPECT;
    struct statement s;
    size_t i, k;
    json_t *policy, *text;
    pthread_mutex_lock(&l->scim.lock);
    const json_t *user = lab_scim_find(l, LAB_USERS, r->principal, NULL);
    if (user == NULL || (objects && r->path_len <= 3)) /* the namespace is told to anybody */
        may = true;
    json_array_foreach(l->scim.policies, i, policy)
    {
        json_array_foreach(json_object_get(policy, "statements"), k, text)
        {
            may = may || (read_statement(json_string_value(text), &s) && s.verb >= need &&
                          covers(&s, r->host) && is_member(l, &s, lab_text(user, "id")));
        }
    }
    pthread_mutex_unlock(&l->scim.lock);
    return may;
}

/* --- the requests ------------------------------------------------------------------------ */

/* API keys are an administrator's; a right that is missing looks as if nothing were there. */
static bool allowed(struct lab *l, struct lab_request *r, struct lab_response *a, const char *right)
{
    bool session = strstr(lab_header(r, "authorization"), "keyId=\"ST$") != NULL;
    if (!session && !lab_faults_denied(&l->faults, right))
        return true;
    lab_verdict(r, "refused: the right %s is missing", right);
    lab_oci_status(l, a, 404);
    return false;
}

static bool check_statements(const json_t *list, struct lab_response *a)
{
    const json_t *one;
    struct statement s;
    size_t i;
    if (json_array_size(list) < 1 || json_array_size(list) > STATEMENTS) {
        lab_oci_error(a, 400, "InvalidParameter", "statements must be 1 to %d texts.", STATEMENTS);
        return false;
    }
    json_array_foreach(list, i,
                       one) if (!json_is_string(one) || !read_statement(json_string_value(one), &s))
    {
        lab_oci_error(a, 400, "InvalidParameter", "Failed to parse policy statement %zu.", i + 1);
        return false;
    }
    return true;
}

static bool check(struct lab *l, const json_t *body, struct lab_response *a)
{
    static const char *const needed[] = {"compartmentId", "name", "description"};
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *name = lab_text(body, "name"), *where = lab_text(body, "compartmentId");
    for (size_t i = 0; i < 3; i++)
        if (lab_text(body, needed[i])[0] == 0) {
            lab_oci_error(a, 400, "MissingParameter", "%s is required.", needed[i]);
            return false;
        }
    if (strlen(name) > NAME_LENGTH || strspn(name, chars) != strlen(name)) {
        lab_oci_error(a, 400, "InvalidParameter", "name is invalid.");
        return false;
    }
    if (strcmp(where, l->opt.tenancy) != 0 && strcmp(where, lab_compartment) != 0) {
        lab_oci_status(l, a, 404);
        return false;
    }
    return check_statements(json_object_get(body, "statements"), a);
}

static json_t *shown(struct lab_response *a, json_t *policy)
{
    json_t *out = json_deep_copy(policy);
    lab_reply_header(a, "etag", "%s", lab_text(policy, "_etag"));
    json_object_del(out, "_etag");
    json_object_del(out, "_retry");
    return out;
}

static void renew_etag(json_t *policy)
{
    char etag[41];
    lab_random_hex(etag, 20);
    json_object_set_new(policy, "_etag", json_string(etag));
}

static json_t *new_policy(struct lab *l, const json_t *body, const char *retry)
{
    char id[33], ocid[96], now[40];
    time_t t = (time_t)lab_now(l);
    struct tm tm;
    lab_random_hex(id, 16);
    snprintf(ocid, sizeof ocid, "ocid1.policy.oc1..aaaaaaaalab%s", id);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&t, &tm));
    json_t *p =
        json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:n, s:{}, s:{}, s:s}", "id", ocid,
                  "compartmentId", lab_text(body, "compartmentId"), "name", lab_text(body, "name"),
                  "description", lab_text(body, "description"), "statements",
                  json_object_get(body, "statements"), "timeCreated", now, "lifecycleState",
                  "ACTIVE", "inactiveStatus", "freeformTags", "definedTags", "_retry", retry);
    const json_t *tags = json_object_get(body, "freeformTags");
    if (json_is_object(tags))
        json_object_set_new(p, "freeformTags", json_deep_copy(tags));
    renew_etag(p);
    return p;
}

static json_t *read_body(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    json_t *body = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(body))
        return body;
    json_decref(body);
    lab_oci_status(l, a, 400);
    return NULL;
}

/* A policy of that member's text, in that compartment if it is not NULL. */
static json_t *find(struct lab *l, const char *member, const char *text, const char *where,
                    size_t *at)
{
    size_t i;
    json_t *one;
    json_array_foreach(
        l->scim.policies, i,
        one) if (strcmp(lab_text(one, member), text) == 0 &&
                 (where == NULL || strcmp(lab_text(one, "compartmentId"), where) == 0))
    {
        if (at != NULL)
            *at = i;
        return one;
    }
    return NULL;
}

void lab_policy_create(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    const char *retry = lab_header(r, "opc-retry-token");
    json_t *body = allowed(l, r, a, "policies.create") ? read_body(l, r, a) : NULL, *p;
    if (body != NULL && check(l, body, a)) {
        const char *where = lab_text(body, "compartmentId");
        pthread_mutex_lock(&l->scim.lock);
        p = retry != NULL ? find(l, "_retry", retry, NULL, NULL) : NULL;
        if (p != NULL &&
            (strcmp(lab_text(p, "name"), lab_text(body, "name")) != 0 ||
             !json_equal(json_object_get(p, "statements"), json_object_get(body, "statements")))) {
            lab_oci_error(a, 409, "InvalidatedRetryToken",
                          "The retry token was used for another request.");
        } else if (p != NULL) { /* done before: the same answer again */
            lab_reply_json(a, 200, shown(a, p));
        } else if (find(l, "name", lab_text(body, "name"), where, NULL) != NULL) {
            lab_oci_error(a, 409, "PolicyAlreadyExists", "Policy '%s' already exists.",
                          lab_text(body, "name"));
        } else {
            p = new_policy(l, body, retry != NULL ? retry : "");
            json_array_append_new(l->scim.policies, p);
            lab_reply_json(a, 200, shown(a, p));
        }
        pthread_mutex_unlock(&l->scim.lock);
    }
    json_decref(body);
}

void lab_policy_list(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char where[256], name[128] = "";
    json_t *all = json_array(), *one;
    size_t i;
    bool named = lab_query(r, "name", name, sizeof name) == 1;
    if (allowed(l, r, a, "policies.read")) {
        if (lab_query(r, "compartmentId", where, sizeof where) != 1) {
            lab_oci_error(a, 400, "MissingParameter", "compartmentId is required.");
        } else {
            pthread_mutex_lock(&l->scim.lock);
            json_array_foreach(l->scim.policies, i,
                               one) if (strcmp(lab_text(one, "compartmentId"), where) == 0 &&
                                        (!named || strcmp(lab_text(one, "name"), name) == 0))
            {
                struct lab_response none = {0}; /* the list has no etags */
                kw_buf_init(&none.headers, 256);
                json_array_append_new(all, shown(&none, one));
                kw_buf_free(&none.headers);
            }
            pthread_mutex_unlock(&l->scim.lock);
            lab_oci_page(r, a, json_incref(all));
        }
    }
    json_decref(all);
}

/* The path's policy, if its etag is the one that if-match wants; the lock is held. */
static json_t *named(struct lab *l, struct lab_request *r, struct lab_response *a, size_t *at)
{
    char id[160];
    const char *match = lab_header(r, "if-match");
    json_t *p = lab_unpct((const char *)r->param[0].p, r->param[0].len, false, id, sizeof id)
                    ? find(l, "id", id, NULL, at)
                    : NULL;
    if (p == NULL) {
        lab_oci_status(l, a, 404);
    } else if (match != NULL && strcmp(match, "*") != 0 &&
               strcmp(match, lab_text(p, "_etag")) != 0) {
        lab_oci_error(a, 412, "NoEtagMatch", "The etag is not the policy's.");
        p = NULL;
    }
    return p;
}

void lab_policy_get(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    size_t at;
    if (!allowed(l, r, a, "policies.read"))
        return;
    pthread_mutex_lock(&l->scim.lock);
    json_t *p = named(l, r, a, &at);
    if (p != NULL)
        lab_reply_json(a, 200, shown(a, p));
    pthread_mutex_unlock(&l->scim.lock);
}

/* Description, statements and tags (all of them at once) can be changed, the name can't. */
void lab_policy_update(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    size_t at;
    json_t *body = allowed(l, r, a, "policies.update") ? read_body(l, r, a) : NULL;
    json_t *statements = json_object_get(body, "statements");
    if (body != NULL && (statements == NULL || check_statements(statements, a))) {
        pthread_mutex_lock(&l->scim.lock);
        json_t *p = named(l, r, a, &at);
        if (p != NULL) {
            if (statements != NULL)
                json_object_set(p, "statements", statements);
            if (lab_text(body, "description")[0] != 0)
                json_object_set(p, "description", json_object_get(body, "description"));
            if (json_is_object(json_object_get(body, "freeformTags")))
                json_object_set(p, "freeformTags", json_object_get(body, "freeformTags"));
            renew_etag(p);
            lab_reply_json(a, 200, shown(a, p));
        }
        pthread_mutex_unlock(&l->scim.lock);
    }
    json_decref(body);
}

void lab_policy_delete(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    size_t at;
    if (!allowed(l, r, a, "policies.delete"))
        return;
    pthread_mutex_lock(&l->scim.lock);
    if (named(l, r, a, &at) != NULL) {
        json_array_remove(l->scim.policies, at);
        a->status = 204;
    }
    pthread_mutex_unlock(&l->scim.lock);
}
