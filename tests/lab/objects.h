/* SPDX-License-Identifier: Apache-2.0
 *
 * What objects.c and uploads.c share: stored bytes, by name or by part number. The store's
 * lock is held by who calls anything that takes a struct lab_store.
 */
#ifndef KW_LAB_OBJECTS_H
#define KW_LAB_OBJECTS_H

#include "lab.h"

enum {
    STORE_OBJECTS_MAX = 10000,
    STORE_BYTES_MAX = 640 << 20,
    STORE_UPLOADS_MAX = 100,
    OBJECT_NAME_MAX = 1025
};

/* Namespace and bucket in the path are ours? Else the vendor's 404. The second one also takes
 * the object's name out of it. False: the answer is made. */
bool lab_bucket_good(struct lab *l, struct lab_request *r, struct lab_response *a);
bool lab_object_name(struct lab *l, struct lab_request *r, struct lab_response *a,
                     char name[OBJECT_NAME_MAX]);

/* The slot where name is, or where it would be put; and is it there? */
struct lab_object **lab_object_find(struct lab_store *s, const char *name);
bool lab_object_is(const struct lab_object *o, const char *name);

/* NULL: no memory. The first takes the (malloc'ed) bytes over in any case, the second the
 * request's body. */
struct lab_object *lab_object_new(struct lab *l, const char *name, const char *type, void *steal,
                                  size_t n);
struct lab_object *lab_object_received(struct lab *l, struct lab_request *r, const char *name);
void lab_object_free(struct lab_object *o);

/* May n bytes be stored, in old's stead if there is one? Then: out of a list, into a list. */
bool lab_object_room(const struct lab_store *s, size_t n, const struct lab_object *old);
void lab_object_unlink(struct lab_store *s, struct lab_object **at);
void lab_object_link(struct lab_store *s, struct lab_object **at, struct lab_object *o);

/* if-match, if-none-match: * and content-md5 (where there is something new to hold it
 * against). False: the answer is made. */
bool lab_object_conditions(const struct lab_request *r, const struct lab_object *old,
                           const struct lab_object *new, struct lab_response *a);

/* uploads.c */
lab_handler lab_upload_create, lab_upload_part, lab_upload_parts, lab_upload_commit,
    lab_upload_abort, lab_uploads_list;

#endif
