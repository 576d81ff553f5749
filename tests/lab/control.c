/* SPDX-License-Identifier: Apache-2.0
 *
 * /lab/...: how tests and people steer the lab. On localhost and 127.0.0.1 only,
 * guarded by the token in DIR/control-token.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"

static void control_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    lab_reply_json(a, status,
                   json_pack("{s:s}", "error",
                             status == 404   ? "no such path; see keyward-lab --help"
                             : status == 405 ? "wrong method"
                                             : "refused"));
}

static bool guard(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    const char *z = lab_header(r, "authorization");
    if (z != NULL && strncmp(z, "Bearer ", 7) == 0 && lab_same(z + 7, l->control_token))
        return true;
    lab_reply_json(
        a, 401,
        json_pack("{s:s}", "error", "Authorization: Bearer <content of control-token> needed"));
    return false;
}

static void get_log(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    lab_reply_json(a, 200, lab_journal_copy(&l->journal));
}

static void delete_log(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    lab_journal_clear(&l->journal);
    a->status = 204;
}

static void get_faults(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    lab_reply_json(a, 200, lab_faults_list(&l->faults));
}

/* Checks or adds each line that is not blank; stops at the first that fails. */
static int each_spec(struct lab *l, struct lab_request *r, bool add, struct kw_err *err)
{
    char *text = strndup(kw_buf_str(&r->body), r->body.len), *rest = text, *line;
    struct lab_fault_rule scratch;
    int rc = 0;
    while (rc == 0 && (line = strsep(&rest, "\n")) != NULL)
        if (line[strspn(line, " \t\r")] != 0)
            rc = add ? lab_faults_add(&l->faults, line, err) : lab_fault_parse(line, &scratch, err);
    free(text);
    return rc;
}

/* One SPEC a line; nothing is added if one of them is bad. */
static void post_faults(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    struct kw_err err = {KW_OK, ""};
    if (each_spec(l, r, false, &err) != 0 || each_spec(l, r, true, &err) != 0)
        lab_reply_json(a, 400, json_pack("{s:s}", "error", err.text));
    else
        get_faults(l, r, a);
}

static void delete_faults(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    lab_faults_clear(&l->faults);
    a->status = 204;
}

static void get_claims(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    json_t *claims;
    (void)r;
    lab_issuer_claims(l, "https://github.com/keyward", &claims);
    lab_reply_json(a, 200, claims);
}

/* A JSON object: merged over the overrides in force; null takes a claim away. */
static void post_claims(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    json_t *given = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(given)) {
        json_decref(given);
        lab_reply_json(a, 400, json_pack("{s:s}", "error", "the body must be a JSON object"));
        return;
    }
    pthread_mutex_lock(&l->claims_lock);
    json_object_update(l->claims, given);
    pthread_mutex_unlock(&l->claims_lock);
    json_decref(given);
    get_claims(l, r, a);
}

static void delete_claims(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    pthread_mutex_lock(&l->claims_lock);
    json_decref(l->claims);
    l->claims = json_deep_copy(l->opt.claims);
    pthread_mutex_unlock(&l->claims_lock);
    a->status = 204;
}

/* A token as another system issues it: /lab/mint?shape=gitlab&audience=...[&expired=yes] */
static void get_mint(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[64] = "", audience[1024], expired[8];
    const struct lab_shape *s = NULL;
    if (lab_query(r, "shape", name, sizeof name) == 1)
        s = lab_shape_find(name);
    if (s == NULL || lab_query(r, "audience", audience, sizeof audience) != 1) {
        lab_reply_json(a, 400, json_pack("{s:s}", "error", "shape and audience are needed"));
        return;
    }
    r->hit.on[LAB_JWT_EXPIRED] = lab_query(r, "expired", expired, sizeof expired) == 1;
    char *jwt = lab_shape_mint(l, s, audience, &r->hit);
    lab_reply_bytes(a, 200, "text/plain", jwt != NULL ? jwt : "", jwt != NULL ? strlen(jwt) : 0);
    free(jwt);
}

static void get_state(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    pthread_mutex_lock(&l->store.lock);
    size_t objects = l->store.n, bytes = l->store.bytes, uploads = l->store.uploads;
    pthread_mutex_unlock(&l->store.lock);
    pthread_mutex_lock(&l->journal.lock);
    uint64_t seen = l->journal.seen;
    pthread_mutex_unlock(&l->journal.lock);
    lab_reply_json(a, 200,
                   json_pack("{s:I, s:i, s:I, s:I, s:I, s:I}", "time", (json_int_t)lab_now(l),
                             "sessions_issued", (int)atomic_load(&l->issued), "requests",
                             (json_int_t)seen, "objects", (json_int_t)objects, "object_bytes",
                             (json_int_t)bytes, "uploads", (json_int_t)uploads));
}

static void post_reset(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    lab_faults_clear(&l->faults);
    lab_journal_clear(&l->journal);
    delete_claims(l, r, a);
    pthread_mutex_lock(&l->store.lock);
    lab_store_free(&l->store);
    pthread_mutex_unlock(&l->store.lock);
    lab_scim_born(l);
    lab_gadmin_born(l);
    atomic_store(&l->issued, 0);
}

static const struct lab_route ROUTES[] = {
    {"GET", "/lab/log", get_log},
    {"DELETE", "/lab/log", delete_log},
    {"GET", "/lab/faults", get_faults},
    {"POST", "/lab/faults", post_faults},
    {"DELETE", "/lab/faults", delete_faults},
    {"GET", "/lab/claims", get_claims},
    {"POST", "/lab/claims", post_claims},
    {"DELETE", "/lab/claims", delete_claims},
    {"GET", "/lab/mint", get_mint},
    {"GET", "/lab/state", get_state},
    {"POST", "/lab/reset", post_reset},
    {NULL, NULL, NULL},
};
const struct lab_service lab_control = {"control", ROUTES, guard, control_status, NULL};
