/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart uploads of Object Storage: parts in memory, within the store's bounds, until they
 * are committed or the upload is aborted.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "objects.h"
#include "src/base/b64.h"

enum { PARTS_MAX = 10000 };

static void put_time(json_t *item, int64_t t)
{
    char when[40];
    time_t at = (time_t)t;
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&at, &tm));
    json_object_set_new(item, "timeCreated", json_string(when));
}

static json_t *describe(const struct lab *l, const struct lab_upload *u)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s}", "namespace", l->ns, "bucket", l->bucket,
                          "object", u->name, "uploadId", u->id, "storageTier", "Standard");
    put_time(j, u->created);
    return j;
}

static void free_upload(struct lab_store *s, struct lab_upload **at)
{
    struct lab_upload *u = *at;
    *at = u->next;
    s->uploads--;
    while (u->part != NULL)
        lab_object_unlink(s, &u->part);
    free(u->name);
    free(u->type);
    free(u);
}

void lab_store_free(struct lab_store *s)
{
    while (s->first != NULL)
        lab_object_unlink(s, &s->first);
    while (s->upload != NULL)
        free_upload(s, &s->upload);
}

/* The upload that name in the path and uploadId in the query speak of; NULL: the answer is
 * made. */
static struct lab_upload **named(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[OBJECT_NAME_MAX], id[64] = "";
    if (!lab_object_name(l, r, a, name))
        return NULL;
    if (lab_query(r, "uploadId", id, sizeof id) != 1) {
        lab_oci_error(a, 400, "InvalidParameter", "uploadId is missing or invalid.");
        return NULL;
    }
    for (struct lab_upload **at = &l->store.upload; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->id, id) == 0 && strcmp((*at)->name, name) == 0)
            return at;
    lab_oci_error(a, 404, "NoSuchUpload", "There is no such upload of the object '%s'.", name);
    return NULL;
}

static struct lab_upload *new_upload(struct lab *l, const char *name, const char *type)
{
    struct lab_upload *u = calloc(1, sizeof *u);
    if (u == NULL)
        return NULL;
    lab_random_hex(u->id, 16);
    u->created = lab_now(l);
    u->name = strdup(name);
    u->type = strdup(type == NULL ? "application/octet-stream" : type);
    if (u->name == NULL || u->type == NULL) {
        free(u->name);
        free(u->type);
        free(u);
        return NULL;
    }
    u->next = l->store.upload;
    l->store.upload = u;
    l->store.uploads++;
    return u;
}

/* With the store locked. */
static void create(struct lab *l, struct lab_request *r, struct lab_response *a, const char *name,
                   const char *type)
{
    const struct lab_object *old = *lab_object_find(&l->store, name);
    if (!lab_object_conditions(r, lab_object_is(old, name) ? old : NULL, NULL, a))
        return;
    if (l->store.uploads == STORE_UPLOADS_MAX) {
        lab_oci_error(a, 400, "QuotaExceeded", "The lab holds no more uploads.");
        return;
    }
    const struct lab_upload *u = new_upload(l, name, type);
    if (u == NULL)
        lab_oci_status(l, a, 500);
    else
        lab_reply_json(a, 200, describe(l, u));
}

void lab_upload_create(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_bucket_good(l, r, a))
        return;
    json_t *j = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(j, "object"));
    const char *type = json_string_value(json_object_get(j, "contentType"));
    if (name == NULL || name[0] == 0 || strlen(name) >= OBJECT_NAME_MAX) {
        lab_oci_error(a, 400, "InvalidObjectName", "The object name is not valid.");
    } else {
        pthread_mutex_lock(&l->store.lock);
        create(l, r, a, name, type);
        pthread_mutex_unlock(&l->store.lock);
    }
    json_decref(j);
}

void lab_uploads_list(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_bucket_good(l, r, a))
        return;
    json_t *all = json_array();
    pthread_mutex_lock(&l->store.lock);
    for (const struct lab_upload *u = l->store.upload; u != NULL; u = u->next)
        json_array_append_new(all, describe(l, u));
    pthread_mutex_unlock(&l->store.lock);
    lab_oci_page(r, a, all);
}

/* --- parts ------------------------------------------------------------------------ */

/* The slot of that number, or where it would be put. */
static struct lab_object **slot(struct lab_upload *u, unsigned number)
{
    struct lab_object **at = &u->part;
    while (*at != NULL && (*at)->number < number)
        at = &(*at)->next;
    return at;
}

static unsigned part_number(const struct lab_request *r)
{
    char text[8] = "";
    if (lab_query(r, "uploadPartNum", text, sizeof text) != 1 || text[0] < '1' || text[0] > '9' ||
        strspn(text, "0123456789") != strlen(text))
        return 0;
    unsigned long n = strtoul(text, NULL, 10);
    return n <= PARTS_MAX ? (unsigned)n : 0;
}

/* With the store locked. True: o is in the store. */
static bool put_part(struct lab *l, struct lab_request *r, struct lab_response *a,
                     struct lab_object *o)
{
    struct lab_upload **u = named(l, r, a);
    if (u == NULL)
        return false;
    struct lab_object **at = slot(*u, o->number);
    struct lab_object *old = *at != NULL && (*at)->number == o->number ? *at : NULL;
    if (!lab_object_room(&l->store, o->n, old)) {
        lab_oci_error(a, 400, "QuotaExceeded", "The lab holds no more parts.");
        return false;
    }
    if (!lab_object_conditions(r, old, o, a))
        return false;
    if (old != NULL)
        lab_object_unlink(&l->store, at);
    lab_object_link(&l->store, at, o);
    a->status = 200;
    lab_reply_header(a, "etag", "%s", o->etag);
    lab_reply_header(a, "opc-content-md5", "%s", o->md5);
    return true;
}

void lab_upload_part(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    unsigned number = part_number(r);
    if (number == 0) {
        lab_oci_error(a, 400, "InvalidParameter", "uploadPartNum is not from 1 to 10000.");
        return;
    }
    struct lab_object *o = lab_object_received(l, r, "");
    if (o == NULL) {
        lab_oci_status(l, a, 500);
        return;
    }
    o->number = number;
    pthread_mutex_lock(&l->store.lock);
    bool kept = put_part(l, r, a, o);
    pthread_mutex_unlock(&l->store.lock);
    if (!kept)
        lab_object_free(o);
}

void lab_upload_parts(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    pthread_mutex_lock(&l->store.lock);
    struct lab_upload **u = named(l, r, a);
    json_t *all = u == NULL ? NULL : json_array();
    for (const struct lab_object *o = u == NULL ? NULL : (*u)->part; o != NULL; o = o->next)
        json_array_append_new(all,
                              json_pack("{s:i, s:s, s:s, s:I}", "partNumber", (int)o->number,
                                        "etag", o->etag, "md5", o->md5, "size", (json_int_t)o->n));
    pthread_mutex_unlock(&l->store.lock);
    if (all != NULL)
        lab_oci_page(r, a, all);
}

void lab_upload_abort(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    pthread_mutex_lock(&l->store.lock);
    struct lab_upload **u = named(l, r, a);
    if (u != NULL) {
        free_upload(&l->store, u);
        a->status = 204;
    }
    pthread_mutex_unlock(&l->store.lock);
}

/* --- commit ----------------------------------------------------------------------- */

/* How many elements of partsToCommit name this part, by number and etag; and how many of
 * partsToExclude, by number. */
static size_t committed(const json_t *list, const struct lab_object *o)
{
    size_t i, n = 0;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *etag = json_string_value(json_object_get(item, "etag"));
        n += json_integer_value(json_object_get(item, "partNum")) == (json_int_t)o->number &&
             etag != NULL && strcmp(etag, o->etag) == 0;
    }
    return n;
}

static size_t excluded(const json_t *list, const struct lab_object *o)
{
    size_t i, n = 0;
    const json_t *item;
    json_array_foreach(list, i, item) n += json_integer_value(item) == (json_int_t)o->number;
    return n;
}

/* Every part there is is named once, to be taken or left; and nothing else is named. Leaves
 * only those to be taken. */
static bool select_parts(struct lab_store *s, struct lab_upload *u, const json_t *take,
                         const json_t *leave)
{
    size_t named_parts = 0, taken = 0;
    for (const struct lab_object *o = u->part; o != NULL; o = o->next, named_parts++) {
        size_t n = committed(take, o);
        if (n + excluded(leave, o) != 1)
            return false;
        taken += n;
    }
    if (taken == 0 || named_parts != json_array_size(take) + json_array_size(leave))
        return false;
    for (struct lab_object **at = &u->part; *at != NULL;) {
        if (excluded(leave, *at) > 0)
            lab_object_unlink(s, at);
        else
            at = &(*at)->next;
    }
    return true;
}

/* As OCI has it: the MD5 of the parts' MD5s, "-", their count. */
static bool digest_parts(const struct lab_upload *u, char md5[32])
{
    unsigned char md[16];
    unsigned count = 0;
    struct kw_buf text, one;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1;
    for (const struct lab_object *o = u->part; ok && o != NULL; o = o->next, count++) {
        kw_buf_init(&one, sizeof md);
        ok = kw_b64_get(&one, o->md5, strlen(o->md5)) && EVP_DigestUpdate(ctx, one.p, one.len) == 1;
        kw_buf_free(&one);
    }
    kw_buf_init(&text, 32);
    ok = ok && EVP_DigestFinal_ex(ctx, md, NULL) == 1;
    kw_b64_put(&text, md, sizeof md);
    snprintf(md5, 32, "%.24s-%u", kw_buf_str(&text), count);
    kw_buf_free(&text);
    EVP_MD_CTX_free(ctx);
    return ok;
}

/* All parts' bytes one after the other; each part goes as soon as it is copied. */
static struct lab_object *join(struct lab *l, struct lab_upload *u)
{
    char md5[32];
    size_t n = 0, at = 0;
    for (const struct lab_object *o = u->part; o != NULL; o = o->next)
        n += o->n;
    char *all = digest_parts(u, md5) ? malloc(n + 1) : NULL;
    if (all == NULL)
        return NULL;
    while (u->part != NULL) {
        memcpy(all + at, u->part->n > 0 ? u->part->p : "", u->part->n);
        at += u->part->n;
        lab_object_unlink(&l->store, &u->part);
    }
    struct lab_object *o = lab_object_new(l, u->name, u->type, all, n);
    if (o != NULL)
        memcpy(o->md5, md5, sizeof o->md5);
    return o;
}

/* With the store locked. */
static void commit(struct lab *l, struct lab_request *r, struct lab_response *a, const json_t *j)
{
    char date[40];
    struct lab_upload **u = named(l, r, a);
    if (u == NULL)
        return;
    struct lab_object **at = lab_object_find(&l->store, (*u)->name);
    struct lab_object *old = lab_object_is(*at, (*u)->name) ? *at : NULL;
    if (!lab_object_conditions(r, old, NULL, a))
        return;
    if (!select_parts(&l->store, *u, json_object_get(j, "partsToCommit"),
                      json_object_get(j, "partsToExclude"))) {
        lab_oci_error(a, 400, "InvalidUploadPart",
                      "The parts named are not those that were uploaded.");
        return;
    }
    struct lab_object *o = join(l, *u);
    if (o == NULL) {
        lab_oci_status(l, a, 500);
        return;
    }
    free_upload(&l->store, u);
    if (old != NULL)
        lab_object_unlink(&l->store, at);
    lab_object_link(&l->store, at, o);
    lab_http_date(o->created, date);
    a->status = 200;
    lab_reply_header(a, "etag", "%s", o->etag);
    lab_reply_header(a, "opc-multipart-md5", "%s", o->md5);
    lab_reply_header(a, "last-modified", "%s", date);
}

void lab_upload_commit(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    json_t *j = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    pthread_mutex_lock(&l->store.lock);
    commit(l, r, a, j);
    pthread_mutex_unlock(&l->store.lock);
    json_decref(j);
}
