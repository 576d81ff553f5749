/* SPDX-License-Identifier: Apache-2.0
 *
 * mock.so: searches.
 */
#include "mock.h"

#include <string.h>

static bool matches(const struct mk_object *o, const CK_ATTRIBUTE *t, CK_ULONG n)
{
    unsigned char have[MK_VALUE];
    CK_ULONG len = 0;
    for (CK_ULONG i = 0; i < n; i++)
        if (mk_secret_part(o, t[i].type) ||
            mk_attr(o, t[i].type, have, sizeof have, &len) != CKR_OK || len != t[i].ulValueLen ||
            memcmp(have, t[i].pValue, len) != 0)
            return false;
    return true;
}

static CK_RV find_init(CK_SESSION_HANDLE h, const CK_ATTRIBUTE *t, CK_ULONG n)
{
    struct mk_session *s = mk_session(h);
    if (s == NULL || s->finding)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_ACTIVE;
    s->finding = true;
    s->n_found = s->at = 0;
    for (unsigned i = 0; i < MK_OBJECTS; i++) {
        const struct mk_object *o = mk_object(s, mk_store->objects[i].handle);
        if (o != NULL && matches(o, t, n))
            s->found[s->n_found++] = o->handle;
    }
    return CKR_OK;
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n)
{
    MK_LOCKED("C_FindObjectsInit", h, find_init(h, t, n));
}

static CK_RV find(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, CK_ULONG max, CK_ULONG *n, bool many)
{
    struct mk_session *s = mk_session(h);
    if (s == NULL || !s->finding)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    for (*n = 0; *n < max && s->at < s->n_found; (*n)++)
        o[*n] = s->found[s->at++];
    if (many)
        *n = max + 1000;
    return CKR_OK;
}

CK_RV C_FindObjects(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, CK_ULONG max, CK_ULONG *n)
{
    MK_LOCKED("C_FindObjects", h, find(h, o, max, n, strcmp(call.what, "many") == 0));
}

static CK_RV find_final(CK_SESSION_HANDLE h)
{
    struct mk_session *s = mk_session(h);
    if (s == NULL || !s->finding)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    s->finding = false;
    return CKR_OK;
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE h)
{
    MK_LOCKED("C_FindObjectsFinal", h, find_final(h));
}
