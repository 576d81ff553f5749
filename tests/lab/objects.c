/* SPDX-License-Identifier: Apache-2.0
 *
 * Object Storage: the namespace, one bucket, objects in memory (bounded).
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lab.h"
#include "src/b64.h"

enum { OBJECTS_MAX = 10000, BYTES_MAX = 512 << 20, NAME_MAX_BYTES = 1025 };

static void namespace(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    lab_reply_json(a, 200, json_string(l->ns));
}

/* Namespace and bucket in the path are ours? Else the vendor's 404. */
static bool bucket_good(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char ns[128], bucket[300];
    if (!lab_unpct((const char *)r->param[0].p, r->param[0].len, false, ns, sizeof ns) ||
        !lab_unpct((const char *)r->param[1].p, r->param[1].len, false, bucket, sizeof bucket)) {
        lab_oci_status(l, a, 400);
        return false;
    }
    if (strcmp(ns, l->ns) == 0 && strcmp(bucket, l->bucket) == 0)
        return true;
    lab_oci_error(a, 404, "BucketNotFound",
                  "Either the bucket named '%s' does not exist in the namespace '%s' or you are "
                  "not authorized to access it",
                  bucket, ns);
    return false;
}

static bool object_name(struct lab *l, struct lab_request *r, struct lab_response *a, char *name)
{
    if (!bucket_good(l, r, a))
        return false;
    if (r->param[2].len > 0 &&
        lab_unpct((const char *)r->param[2].p, r->param[2].len, false, name, NAME_MAX_BYTES))
        return true;
    lab_oci_error(a, 400, "InvalidObjectName", "The object name is not valid.");
    return false;
}

/* The slot where name is, or where it would be put. */
static struct lab_object **find(struct lab_store *s, const char *name)
{
    struct lab_object **at = &s->first;
    while (*at != NULL && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    return at;
}

static bool is(const struct lab_object *o, const char *name)
{
    return o != NULL && strcmp(o->name, name) == 0;
}

static void free_object(struct lab_object *o)
{
    free(o->name);
    free(o->type);
    free(o->p);
    free(o);
}

static void unlink_object(struct lab_store *s, struct lab_object **at)
{
    struct lab_object *o = *at;
    *at = o->next;
    s->n--;
    s->bytes -= o->n;
    free_object(o);
}

static struct lab_object *new_object(struct lab *l, const struct lab_request *r, const char *name)
{
    const char *type = lab_header(r, "content-type");
    unsigned char digest[16];
    struct kw_buf text;
    struct lab_object *o = calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    kw_buf_init(&text, sizeof o->md5);
    o->name = strdup(name);
    o->type = strdup(type == NULL ? "application/octet-stream" : type);
    o->n = r->body.len;
    o->p = malloc(o->n + 1);
    o->created = lab_now(l);
    lab_random_hex(o->etag, 16);
    const void *p = o->n > 0 ? (const void *)r->body.p : "";
    if (o->name == NULL || o->type == NULL || o->p == NULL ||
        EVP_Digest(p, o->n, digest, NULL, EVP_md5(), NULL) != 1) {
        free_object(o);
        return NULL;
    }
    memcpy(o->p, p, o->n);
    kw_b64_put(&text, digest, sizeof digest);
    snprintf(o->md5, sizeof o->md5, "%s", kw_buf_str(&text));
    kw_buf_free(&text);
    return o;
}

/* if-match, if-none-match: * and content-md5. */
static bool conditions(const struct lab_request *r, const struct lab_object *old,
                       const struct lab_object *new, struct lab_response *a)
{
    const char *match = lab_header(r, "if-match"), *none = lab_header(r, "if-none-match");
    const char *md5 = lab_header(r, "content-md5");
    if (match != NULL &&
        (old == NULL || (strcmp(match, "*") != 0 && strcmp(match, old->etag) != 0)))
        lab_oci_error(a, 412, "IfMatchFailed", "The If-Match condition failed.");
    else if (none != NULL && strcmp(none, "*") == 0 && old != NULL)
        lab_oci_error(a, 412, "IfNoneMatchFailed", "The If-None-Match condition failed.");
    else if (md5 != NULL && strcmp(md5, new->md5) != 0)
        lab_oci_error(a, 400, "UnmatchedContentMD5",
                      "The computed MD5 of the request body (%s) does not match the Content-MD5 "
                      "header.",
                      new->md5);
    else
        return true;
    return false;
}

static void put_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[NAME_MAX_BYTES], date[40];
    if (!object_name(l, r, a, name))
        return;
    struct lab_object *o = new_object(l, r, name);
    if (o == NULL) {
        lab_oci_status(l, a, 500);
        return;
    }
    pthread_mutex_lock(&l->store.lock);
    struct lab_object **at = find(&l->store, name), *old = is(*at, name) ? *at : NULL;
    size_t freed = old == NULL ? 0 : old->n;
    bool room = l->store.bytes - freed + o->n <= BYTES_MAX && l->store.n < OBJECTS_MAX;
    if (!room) {
        lab_oci_error(a, 400, "QuotaExceeded", "The lab holds no more objects.");
        free_object(o);
    } else if (!conditions(r, old, o, a)) {
        free_object(o);
    } else {
        if (old != NULL)
            unlink_object(&l->store, at);
        o->next = *at;
        *at = o;
        l->store.n++;
        l->store.bytes += o->n;
        lab_http_date(o->created, date);
        a->status = 200;
        lab_reply_header(a, "etag", "%s", o->etag);
        lab_reply_header(a, "opc-content-md5", "%s", o->md5);
        lab_reply_header(a, "last-modified", "%s", date);
    }
    pthread_mutex_unlock(&l->store.lock);
}

/* GET and HEAD; the wire leaves the body of a HEAD away. */
static void get_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[NAME_MAX_BYTES], date[40];
    if (!object_name(l, r, a, name))
        return;
    pthread_mutex_lock(&l->store.lock);
    const struct lab_object *o = *find(&l->store, name);
    if (is(o, name)) {
        lab_reply_bytes(a, 200, o->type, o->p, o->n);
        lab_http_date(o->created, date);
        lab_reply_header(a, "etag", "%s", o->etag);
        lab_reply_header(a, "content-md5", "%s", o->md5);
        lab_reply_header(a, "last-modified", "%s", date);
    } else {
        lab_oci_error(a, 404, "ObjectNotFound", "The object '%s' was not found in the bucket '%s'",
                      name, l->bucket);
    }
    pthread_mutex_unlock(&l->store.lock);
}

static void delete_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[NAME_MAX_BYTES];
    if (!object_name(l, r, a, name))
        return;
    pthread_mutex_lock(&l->store.lock);
    struct lab_object **at = find(&l->store, name);
    if (is(*at, name)) {
        unlink_object(&l->store, at);
        a->status = 204;
    } else {
        lab_oci_error(a, 404, "ObjectNotFound", "The object '%s' was not found in the bucket '%s'",
                      name, l->bucket);
    }
    pthread_mutex_unlock(&l->store.lock);
}

/* POST .../actions/renameObject with sourceName and newName. The slots are looked up one
 * after the other: taking an object out may move the next one's. */
static bool rename_stored(struct lab_store *s, const char *from, const char *to)
{
    struct lab_object **at = find(s, from), *o = *at;
    char *name = is(o, from) ? strdup(to) : NULL;
    if (name == NULL)
        return false;
    *at = o->next;
    free(o->name);
    o->name = name;
    at = find(s, to);
    if (is(*at, to))
        unlink_object(s, at);
    o->next = *at;
    *at = o;
    return true;
}

static void rename_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!bucket_good(l, r, a))
        return;
    json_t *j = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *from = json_string_value(json_object_get(j, "sourceName"));
    const char *to = json_string_value(json_object_get(j, "newName"));
    if (from == NULL || to == NULL || *to == 0 || strlen(to) >= NAME_MAX_BYTES) {
        lab_oci_error(a, 400, "InvalidParameter", "sourceName and newName are required.");
    } else {
        pthread_mutex_lock(&l->store.lock);
        bool done = rename_stored(&l->store, from, to);
        pthread_mutex_unlock(&l->store.lock);
        if (done)
            a->status = 200;
        else
            lab_oci_error(a, 404, "ObjectNotFound",
                          "The object '%s' was not found in the bucket '%s'", from, l->bucket);
    }
    json_decref(j);
}

static json_t *summary(const struct lab_object *o, const char *fields)
{
    json_t *item = json_pack("{s:s}", "name", o->name);
    char when[40];
    time_t at = (time_t)o->created;
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&at, &tm));
    if (strstr(fields, "size") != NULL)
        json_object_set_new(item, "size", json_integer((json_int_t)o->n));
    if (strstr(fields, "md5") != NULL)
        json_object_set_new(item, "md5", json_string(o->md5));
    if (strstr(fields, "etag") != NULL)
        json_object_set_new(item, "etag", json_string(o->etag));
    if (strstr(fields, "timeCreated") != NULL)
        json_object_set_new(item, "timeCreated", json_string(when));
    return item;
}

static void list_objects(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char prefix[NAME_MAX_BYTES] = "", start[NAME_MAX_BYTES] = "", limit[16] = "1000";
    char fields[128] = "";
    if (!bucket_good(l, r, a))
        return;
    bool good = lab_query(r, "prefix", prefix, sizeof prefix) >= 0 &&
                lab_query(r, "start", start, sizeof start) >= 0 &&
                lab_query(r, "limit", limit, sizeof limit) >= 0 &&
                lab_query(r, "fields", fields, sizeof fields) >= 0 &&
                strspn(limit, "0123456789") == strlen(limit);
    long most = good ? strtol(limit, NULL, 10) : 0, n = 0;
    if (most < 1 || most > 1000) {
        lab_oci_error(a, 400, "InvalidParameter", "A query parameter is invalid.");
        return;
    }
    json_t *list = json_array(), *answer = json_pack("{s:o, s:[]}", "objects", list, "prefixes");
    pthread_mutex_lock(&l->store.lock);
    for (const struct lab_object *o = *find(&l->store, start); o != NULL; o = o->next) {
        if (strncmp(o->name, prefix, strlen(prefix)) != 0)
            continue;
        if (n++ == most) {
            json_object_set_new(answer, "nextStartWith", json_string(o->name));
            break;
        }
        json_array_append_new(list, summary(o, fields));
    }
    pthread_mutex_unlock(&l->store.lock);
    lab_reply_json(a, 200, answer);
}

void lab_store_free(struct lab_store *s)
{
    while (s->first != NULL)
        unlink_object(s, &s->first);
}

static const struct lab_route ROUTES[] = {
    {"GET", "/n", namespace},
    {"GET", "/n/", namespace},
    {"GET", "/n/{}/b/{}/o", list_objects},
    {"GET", "/n/{}/b/{}/o/", list_objects},
    {"POST", "/n/{}/b/{}/actions/renameObject", rename_object},
    {"PUT", "/n/{}/b/{}/o/{*}", put_object},
    {"GET", "/n/{}/b/{}/o/{*}", get_object},
    {"HEAD", "/n/{}/b/{}/o/{*}", get_object},
    {"DELETE", "/n/{}/b/{}/o/{*}", delete_object},
    {NULL, NULL, NULL},
};
const struct lab_service lab_objects = {"objectstorage", ROUTES, lab_oci_guard, lab_oci_status,
                                        lab_oci_finish};
