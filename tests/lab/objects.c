/* SPDX-License-Identifier: Apache-2.0
 *
 * Object Storage: the namespace, one bucket, objects in memory (bounded).
 */
#include "objects.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/b64.h"

static void namespace(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    lab_reply_json(a, 200, json_string(l->ns));
}

bool lab_bucket_good(struct lab *l, struct lab_request *r, struct lab_response *a)
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

bool lab_object_name(struct lab *l, struct lab_request *r, struct lab_response *a,
                     char name[OBJECT_NAME_MAX])
{
    if (!lab_bucket_good(l, r, a))
        return false;
    if (r->param[2].len > 0 &&
        lab_unpct((const char *)r->param[2].p, r->param[2].len, false, name, OBJECT_NAME_MAX))
        return true;
    lab_oci_error(a, 400, "InvalidObjectName", "The object name is not valid.");
    return false;
}

struct lab_object **lab_object_find(struct lab_store *s, const char *name)
{
    struct lab_object **at = &s->first;
    while (*at != NULL && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    return at;
}

bool lab_object_is(const struct lab_object *o, const char *name)
{
    return o != NULL && strcmp(o->name, name) == 0;
}

void lab_object_free(struct lab_object *o)
{
    free(o->name);
    free(o->type);
    free(o->p);
    free(o);
}

void lab_object_unlink(struct lab_store *s, struct lab_object **at)
{
    struct lab_object *o = *at;
    *at = o->next;
    s->n--;
    s->bytes -= o->n;
    lab_object_free(o);
}

bool lab_object_room(const struct lab_store *s, size_t n, const struct lab_object *old)
{
    return s->bytes - (old == NULL ? 0 : old->n) + n <= STORE_BYTES_MAX &&
           (old != NULL || s->n < STORE_OBJECTS_MAX);
}

void lab_object_link(struct lab_store *s, struct lab_object **at, struct lab_object *o)
{
    o->next = *at;
    *at = o;
    s->n++;
    s->bytes += o->n;
}

struct lab_object *lab_object_new(struct lab *l, const char *name, const char *type, void *steal,
                                  size_t n)
{
    unsigned char digest[16];
    struct kw_buf text;
    struct lab_object *o = calloc(1, sizeof *o);
    if (o == NULL) {
        free(steal);
        return NULL;
    }
    kw_buf_init(&text, sizeof o->md5);
    o->name = strdup(name);
    o->type = strdup(type == NULL ? "application/octet-stream" : type);
    o->p = steal;
    o->n = n;
    o->created = lab_now(l);
    lab_random_hex(o->etag, 16);
    if (o->name == NULL || o->type == NULL ||
        EVP_Digest(n > 0 ? steal : "", n, digest, NULL, EVP_md5(), NULL) != 1) {
        lab_object_free(o);
        return NULL;
    }
    kw_b64_put(&text, digest, sizeof digest);
    snprintf(o->md5, sizeof o->md5, "%s", kw_buf_str(&text));
    kw_buf_free(&text);
    return o;
}

struct lab_object *lab_object_received(struct lab *l, struct lab_request *r, const char *name)
{
    void *p = r->body.p; /* no copy: it may be large */
    size_t n = r->body.len;
    r->body = (struct kw_buf){.len = n}; /* the length is for the log */
    return lab_object_new(l, name, lab_header(r, "content-type"), p, n);
}

bool lab_object_conditions(const struct lab_request *r, const struct lab_object *old,
                           const struct lab_object *new, struct lab_response *a)
{
    const char *match = lab_header(r, "if-match"), *none = lab_header(r, "if-none-match");
    const char *md5 = lab_header(r, "content-md5");
    if (match != NULL &&
        (old == NULL || (strcmp(match, "*") != 0 && strcmp(match, old->etag) != 0)))
        lab_oci_error(a, 412, "IfMatchFailed", "The If-Match condition failed.");
    else if (none != NULL && strcmp(none, "*") == 0 && old != NULL)
        lab_oci_error(a, 412, "IfNoneMatchFailed", "The If-None-Match condition failed.");
    else if (md5 != NULL && new != NULL && strcmp(md5, new->md5) != 0)
        lab_oci_error(a, 400, "UnmatchedContentMD5",
                      "The computed MD5 of the request body (%s) does not match the Content-MD5 "
                      "header.",
                      new->md5);
    else
        return true;
    return false;
}

/* HEAD and GET of the bucket itself. */
static void get_bucket(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_bucket_good(l, r, a))
        return;
    lab_reply_json(a, 200,
                   json_pack("{s:s, s:s, s:s, s:s}", "namespace", l->ns, "name", l->bucket,
                             "compartmentId", lab_compartment, "publicAccessType",
                             "NoPublicAccess"));
    lab_reply_header(a, "etag", "%s", l->bucket);
}

static void put_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[OBJECT_NAME_MAX], date[40];
    if (!lab_object_name(l, r, a, name))
        return;
    struct lab_object *o = lab_object_received(l, r, name);
    if (o == NULL) {
        lab_oci_status(l, a, 500);
        return;
    }
    pthread_mutex_lock(&l->store.lock);
    struct lab_object **at = lab_object_find(&l->store, name),
                      *old = lab_object_is(*at, name) ? *at : NULL;
    if (!lab_object_room(&l->store, o->n, old)) {
        lab_oci_error(a, 400, "QuotaExceeded", "The lab holds no more objects.");
        lab_object_free(o);
    } else if (!lab_object_conditions(r, old, o, a)) {
        lab_object_free(o);
    } else {
        if (old != NULL)
            lab_object_unlink(&l->store, at);
        lab_object_link(&l->store, at, o);
        lab_http_date(o->created, date);
        a->status = 200;
        lab_reply_header(a, "etag", "%s", o->etag);
        lab_reply_header(a, "opc-content-md5", "%s", o->md5);
        lab_reply_header(a, "last-modified", "%s", date);
    }
    pthread_mutex_unlock(&l->store.lock);
}

/* One decimal number of a range into *at; *p moves behind it. */
static bool range_number(const char **p, uint64_t *at)
{
    size_t n = strspn(*p, "0123456789");
    if (n == 0 || n > 18)
        return false;
    *at = strtoull(*p, NULL, 10);
    *p += n;
    return true;
}

/* "bytes=A-B", "bytes=A-" or "bytes=-LAST" of an object of size bytes: 206 and what to
 * answer, 416 where it lies outside, 400 where it is nothing of that. */
static int range(const char *text, uint64_t size, size_t *from, size_t *n)
{
    uint64_t first = 0, last = UINT64_MAX;
    if (strncmp(text, "bytes=", 6) != 0)
        return 400;
    const char *p = text + 6;
    bool suffix = *p == '-';
    if (!suffix && (!range_number(&p, &first) || *p != '-'))
        return 400;
    p++; /* the '-' */
    if ((suffix || *p != 0) && (!range_number(&p, &last) || (!suffix && last < first)))
        return 400;
    if (*p != 0)
        return 400;
    if (suffix ? last == 0 || size == 0 : first >= size)
        return 416;
    if (suffix) {
        first = last < size ? size - last : 0;
        last = size - 1;
    }
    *from = (size_t)first;
    *n = (size_t)((last < size ? last + 1 : size) - first);
    return 206;
}

static void send_object(struct lab_request *r, struct lab_response *a, const struct lab_object *o)
{
    const char *wanted = strcmp(r->method, "GET") == 0 ? lab_header(r, "range") : NULL;
    size_t from = 0, n = o->n;
    int status = wanted == NULL ? 200 : range(wanted, o->n, &from, &n);
    if (status >= 400) {
        lab_oci_error(a, status, "InvalidRange", "The range is not one of the object's bytes.");
        if (status == 416)
            lab_reply_header(a, "content-range", "bytes */%zu", o->n);
        return;
    }
    lab_reply_bytes(a, status, o->type, n > 0 ? (const char *)o->p + from : "", n);
    if (status == 206)
        lab_reply_header(a, "content-range", "bytes %zu-%zu/%zu", from, from + n - 1, o->n);
}

/* GET and HEAD; the wire leaves the body of a HEAD away. */
static void get_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[OBJECT_NAME_MAX], date[40];
    if (!lab_object_name(l, r, a, name))
        return;
    pthread_mutex_lock(&l->store.lock);
    const struct lab_object *o = *lab_object_find(&l->store, name);
    if (lab_object_is(o, name)) {
        send_object(r, a, o);
        lab_http_date(o->created, date);
        lab_reply_header(a, "accept-ranges", "bytes");
        lab_reply_header(a, "etag", "%s", o->etag);
        lab_reply_header(a, strchr(o->md5, '-') == NULL ? "content-md5" : "opc-multipart-md5", "%s",
                         o->md5);
        lab_reply_header(a, "last-modified", "%s", date);
    } else {
        lab_oci_error(a, 404, "ObjectNotFound", "The object '%s' was not found in the bucket '%s'",
                      name, l->bucket);
    }
    pthread_mutex_unlock(&l->store.lock);
}

static void delete_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char name[OBJECT_NAME_MAX];
    if (!lab_object_name(l, r, a, name))
        return;
    pthread_mutex_lock(&l->store.lock);
    struct lab_object **at = lab_object_find(&l->store, name);
    if (lab_object_is(*at, name)) {
        lab_object_unlink(&l->store, at);
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
    struct lab_object **at = lab_object_find(s, from), *o = *at;
    char *name = lab_object_is(o, from) ? strdup(to) : NULL;
    if (name == NULL)
        return false;
    *at = o->next;
    free(o->name);
    o->name = name;
    at = lab_object_find(s, to);
    if (lab_object_is(*at, to))
        lab_object_unlink(s, at);
    o->next = *at;
    *at = o;
    return true;
}

static void rename_object(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    if (!lab_bucket_good(l, r, a))
        return;
    json_t *j = json_loadb(kw_buf_str(&r->body), r->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *from = json_string_value(json_object_get(j, "sourceName"));
    const char *to = json_string_value(json_object_get(j, "newName"));
    if (from == NULL || to == NULL || *to == 0 || strlen(to) >= OBJECT_NAME_MAX) {
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
    char prefix[OBJECT_NAME_MAX] = "", start[OBJECT_NAME_MAX] = "", limit[16] = "1000";
    char fields[128] = "";
    if (!lab_bucket_good(l, r, a))
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
    for (const struct lab_object *o = *lab_object_find(&l->store, start); o != NULL; o = o->next) {
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

static const struct lab_route ROUTES[] = {
    {"GET", "/n", namespace},
    {"GET", "/n/", namespace},
    {"GET", "/n/{}/b/{}", get_bucket},
    {"HEAD", "/n/{}/b/{}", get_bucket},
    {"GET", "/n/{}/b/{}/o", list_objects},
    {"GET", "/n/{}/b/{}/o/", list_objects},
    {"POST", "/n/{}/b/{}/actions/renameObject", rename_object},
    {"PUT", "/n/{}/b/{}/o/{*}", put_object},
    {"GET", "/n/{}/b/{}/o/{*}", get_object},
    {"HEAD", "/n/{}/b/{}/o/{*}", get_object},
    {"DELETE", "/n/{}/b/{}/o/{*}", delete_object},
    {"GET", "/n/{}/b/{}/u", lab_uploads_list},
    {"POST", "/n/{}/b/{}/u", lab_upload_create},
    {"PUT", "/n/{}/b/{}/u/{*}", lab_upload_part},
    {"GET", "/n/{}/b/{}/u/{*}", lab_upload_parts},
    {"POST", "/n/{}/b/{}/u/{*}", lab_upload_commit},
    {"DELETE", "/n/{}/b/{}/u/{*}", lab_upload_abort},
    {NULL, NULL, NULL},
};
const struct lab_service lab_objects = {"objectstorage", ROUTES, lab_oci_guard, lab_oci_status,
                                        lab_oci_finish};
