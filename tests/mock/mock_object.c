/* SPDX-License-Identifier: Apache-2.0
 *
 * mock.so: objects, their attributes, who may see and change them, and how they end.
 */
#include "mock.h"

#include <string.h>

/* As the standard and the modules that we know have it, where the template is silent. */
const struct mk_bool mk_bools[] = {
    {CKA_PRIVATE, true, false, false},
    {CKA_MODIFIABLE, true, true, true},
    {CKA_COPYABLE, true, true, true},
    {CKA_SENSITIVE, true, false, true},
    {CKA_EXTRACTABLE, false, false, false},
    {CKA_ALWAYS_SENSITIVE, true, false, true},
    {CKA_NEVER_EXTRACTABLE, true, false, true},
    {CKA_LOCAL, true, true, true},
    {CKA_SIGN, true, false, false},
    {CKA_DECRYPT, true, false, true},
    {CKA_UNWRAP, true, false, true},
    {CKA_SIGN_RECOVER, true, false, false},
    {CKA_DERIVE, false, false, false},
    {CKA_VERIFY, false, true, false},
    {CKA_ENCRYPT, false, true, true},
    {CKA_WRAP, false, true, true},
    {CKA_ALWAYS_AUTHENTICATE, false, false, false},
};
const unsigned mk_n_bools = sizeof mk_bools / sizeof mk_bools[0];

static uint32_t bit(CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < mk_n_bools; i++)
        if (mk_bools[i].type == type)
            return 1u << i;
    return 0;
}

bool mk_flag(const struct mk_object *o, CK_ATTRIBUTE_TYPE type)
{
    return (o->flags & bit(type)) != 0;
}

void mk_set_flag(struct mk_object *o, CK_ATTRIBUTE_TYPE type, bool on)
{
    o->flags = on ? o->flags | bit(type) : o->flags & ~bit(type);
}

/* --- birth and end ------------------------------------------------------------------------- */

static bool true_in(const CK_ATTRIBUTE *a)
{
    return a->pValue != NULL && a->ulValueLen == 1 && *(const CK_BBOOL *)a->pValue != CK_FALSE;
}

/* What the template says of one attribute. Key material is for whoever asked. */
static CK_RV take(struct mk_object *o, const CK_ATTRIBUTE *a, CK_SESSION_HANDLE home)
{
    if (mk_refused(a->type))
        return CKR_ATTRIBUTE_TYPE_INVALID;
    switch (a->type) {
    case CKA_TOKEN:
        o->home = true_in(a) ? 0 : home;
        return CKR_OK;
    case CKA_ID:
    case CKA_LABEL:
        if (a->ulValueLen > sizeof o->id)
            return CKR_ATTRIBUTE_VALUE_INVALID;
        memcpy(a->type == CKA_ID ? o->id : o->label, a->pValue, a->ulValueLen);
        *(a->type == CKA_ID ? &o->id_n : &o->label_n) = a->ulValueLen;
        return CKR_OK;
    case CKA_ALLOWED_MECHANISMS:
        if (a->ulValueLen != sizeof o->allowed)
            return CKR_ATTRIBUTE_VALUE_INVALID;
        memcpy(&o->allowed, a->pValue, sizeof o->allowed);
        return CKR_OK;
    case CKA_MODULUS_BITS:
        memcpy(&o->bits, a->pValue, sizeof o->bits);
        return CKR_OK;
    case CKA_VALUE_LEN:
        memcpy(&o->value_n, a->pValue, sizeof o->value_n);
        return CKR_OK;
    case CKA_VALUE:
        if (o->class != CKO_SECRET_KEY || a->ulValueLen > sizeof o->value)
            return CKR_ATTRIBUTE_VALUE_INVALID;
        o->value_n = a->ulValueLen;
        memcpy(o->value, a->pValue, a->ulValueLen);
        return CKR_OK;
    case CKA_CLASS:
    case CKA_KEY_TYPE:
    case CKA_PUBLIC_EXPONENT:
    case CKA_EC_PARAMS:
    case CKA_MODULUS:
        return CKR_OK;
    default:
        mk_set_flag(o, a->type, true_in(a));
        return bit(a->type) != 0 && a->ulValueLen == 1 ? CKR_OK : (CK_RV)CKR_ATTRIBUTE_TYPE_INVALID;
    }
}

CK_RV mk_object_new(struct mk_session *s, CK_OBJECT_CLASS class, CK_KEY_TYPE type,
                    const CK_ATTRIBUTE *t, CK_ULONG n, struct mk_object **ret)
{
    struct mk_object *o = NULL;
    CK_RV rv = CKR_OK;
    for (unsigned i = 0; i < MK_OBJECTS && o == NULL; i++)
        if (mk_store->objects[i].handle == 0)
            o = &mk_store->objects[i];
    if (o == NULL)
        return CKR_DEVICE_MEMORY;
    memset(o, 0, sizeof *o);
    o->class = class;
    o->type = type;
    o->token = s->token;
    o->home = s->handle;
    o->allowed = ~0UL;
    for (unsigned i = 0; i < mk_n_bools; i++)
        mk_set_flag(o, mk_bools[i].type,
                    class == CKO_PRIVATE_KEY  ? mk_bools[i].private
                    : class == CKO_PUBLIC_KEY ? mk_bools[i].public
                                              : mk_bools[i].secret);
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
        rv = take(o, &t[i], s->handle);
    if (rv == CKR_OK && o->home == 0 && !s->rw)
        rv = CKR_SESSION_READ_ONLY;
    if (rv == CKR_OK && o->home != 0 && class == CKO_PRIVATE_KEY && mk_told("no-session-objects"))
        rv = CKR_ATTRIBUTE_VALUE_INVALID;
    if (rv == CKR_OK && s->handle != 0 && mk_flag(o, CKA_PRIVATE) && !mk_logged_in(s->token) &&
        !mk_told("no-login"))
        rv = CKR_USER_NOT_LOGGED_IN;
    for (unsigned i = 0; class == CKO_PRIVATE_KEY && i < mk_n_bools; i++) {
        const char *forced = mk_forced(mk_bools[i].type);
        if (forced != NULL)
            mk_set_flag(o, mk_bools[i].type, forced[0] == '1');
    }
    if (!mk_flag(o, CKA_SENSITIVE))
        mk_set_flag(o, CKA_ALWAYS_SENSITIVE, false);
    if (mk_flag(o, CKA_EXTRACTABLE))
        mk_set_flag(o, CKA_NEVER_EXTRACTABLE, false);
    o->handle = rv == CKR_OK ? ++mk_store->last : 0;
    *ret = o;
    return rv;
}

struct mk_object *mk_object(const struct mk_session *s, CK_OBJECT_HANDLE h)
{
    for (unsigned i = 0; h != 0 && i < MK_OBJECTS; i++) {
        struct mk_object *o = &mk_store->objects[i];
        if (o->handle == h && o->token == s->token &&
            (!mk_flag(o, CKA_PRIVATE) || mk_logged_in(s->token) || mk_told("no-login")))
            return o;
    }
    return NULL;
}

void mk_object_free(struct mk_object *o)
{
    explicit_bzero(o, sizeof *o);
}

void mk_objects_of(CK_SESSION_HANDLE home)
{
    for (unsigned i = 0; i < MK_OBJECTS; i++)
        if (mk_store->objects[i].handle != 0 && mk_store->objects[i].home == home)
            mk_object_free(&mk_store->objects[i]);
}

void mk_objects_private(uint32_t token)
{
    for (unsigned i = 0; i < MK_OBJECTS; i++) {
        struct mk_object *o = &mk_store->objects[i];
        if (o->handle != 0 && o->token == token && o->home != 0 && mk_flag(o, CKA_PRIVATE))
            mk_object_free(o);
    }
}

static CK_RV destroy(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE oh)
{
    const struct mk_session *s = mk_session(h);
    struct mk_object *o = s != NULL ? mk_object(s, oh) : NULL;
    if (s == NULL || o == NULL)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OBJECT_HANDLE_INVALID;
    if (o->home == 0 && !s->rw)
        return CKR_SESSION_READ_ONLY;
    if (!mk_told("undead"))
        mk_object_free(o);
    return CKR_OK;
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o)
{
    MK_LOCKED("C_DestroyObject", h, destroy(h, o));
}

/* --- attributes ------------------------------------------------------------------------------ */

static CK_RV give(const void *bytes, CK_ULONG n, unsigned char *out, CK_ULONG room, CK_ULONG *ret_n)
{
    *ret_n = n;
    if (out != NULL && n <= room)
        memcpy(out, bytes, n);
    return out != NULL && n > room ? CKR_BUFFER_TOO_SMALL : CKR_OK;
}

CK_RV mk_attr(const struct mk_object *o, CK_ATTRIBUTE_TYPE type, unsigned char *out, CK_ULONG room,
              CK_ULONG *ret_n)
{
    CK_BBOOL is = CK_FALSE;
    switch (type) {
    case CKA_CLASS:
        return give(&o->class, sizeof o->class, out, room, ret_n);
    case CKA_KEY_TYPE:
        return give(&o->type, sizeof o->type, out, room, ret_n);
    case CKA_ID:
        return give(o->id, o->id_n, out, room, ret_n);
    case CKA_LABEL:
        return give(o->label, o->label_n, out, room, ret_n);
    case CKA_TOKEN:
        is = o->home == 0 ? CK_TRUE : CK_FALSE;
        return give(&is, 1, out, room, ret_n);
    case CKA_ALLOWED_MECHANISMS:
        return give(&o->allowed, o->allowed != ~0UL ? sizeof o->allowed : 0, out, room, ret_n);
    default:
        if (bit(type) == 0)
            return mk_key_attr(o, type, out, room, ret_n);
        is = mk_flag(o, type) ? CK_TRUE : CK_FALSE;
        return give(&is, 1, out, room, ret_n);
    }
}

bool mk_secret_part(const struct mk_object *o, CK_ATTRIBUTE_TYPE type)
{
    return o->class != CKO_PUBLIC_KEY &&
           (type == CKA_VALUE || (type >= CKA_PRIVATE_EXPONENT && type <= CKA_COEFFICIENT));
}

bool mk_leaks(const char *how)
{
    const char *value;
    for (unsigned i = 0; (value = mk_next("leak", &i)) != NULL;)
        if (strcmp(value, how) == 0)
            return true;
    return false;
}

static CK_RV show(const char *how, CK_ATTRIBUTE *a, CK_ULONG room)
{
    if (strcmp(how, "gone") == 0) {
        a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    if (strcmp(how, "long") == 0)
        a->ulValueLen = room + 1000; /* a lie: nothing was written there */
    else if (a->pValue != NULL && a->ulValueLen > 0 && strcmp(how, "flip") == 0)
        ((unsigned char *)a->pValue)[a->ulValueLen / 2] ^= 2;
    else if (a->pValue != NULL && a->ulValueLen == 1)
        *(unsigned char *)a->pValue = how[0] == '1' ? CK_TRUE : CK_FALSE;
    return CKR_OK;
}

static CK_RV read_one(const struct mk_object *o, CK_ATTRIBUTE *a)
{
    CK_ULONG n = 0, room = a->ulValueLen;
    const char *shown = o->class == CKO_PRIVATE_KEY ? mk_shown(a->type) : NULL;
    if (mk_secret_part(o, a->type) && !mk_leaks("value") &&
        (mk_flag(o, CKA_SENSITIVE) || !mk_flag(o, CKA_EXTRACTABLE))) {
        a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_SENSITIVE;
    }
    CK_RV rv = mk_attr(o, a->type, a->pValue, a->ulValueLen, &n);
    a->ulValueLen = rv == CKR_OK ? n : CK_UNAVAILABLE_INFORMATION;
    return rv == CKR_OK && shown != NULL ? show(shown, a, room) : rv;
}

static CK_RV get(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE oh, CK_ATTRIBUTE *t, CK_ULONG n)
{
    const struct mk_session *s = mk_session(h);
    const struct mk_object *o = s != NULL ? mk_object(s, oh) : NULL;
    CK_RV rv = s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OBJECT_HANDLE_INVALID;
    for (CK_ULONG i = 0; o != NULL && i < n; i++) {
        CK_RV one = read_one(o, &t[i]);
        rv = i == 0 || one != CKR_OK ? one : rv;
    }
    return rv;
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n)
{
    MK_LOCKED("C_GetAttributeValue", h, get(h, o, t, n));
}

/* Sensitivity only ever grows. */
static bool weaker(const struct mk_object *o, const CK_ATTRIBUTE *a)
{
    return o->class == CKO_PRIVATE_KEY && ((a->type == CKA_SENSITIVE && !true_in(a)) ||
                                           (a->type == CKA_EXTRACTABLE && true_in(a)));
}

static CK_RV set(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE oh, const CK_ATTRIBUTE *t, CK_ULONG n)
{
    const struct mk_session *s = mk_session(h);
    struct mk_object *o = s != NULL ? mk_object(s, oh) : NULL;
    CK_RV rv = CKR_OK;
    if (s == NULL || o == NULL)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OBJECT_HANDLE_INVALID;
    for (CK_ULONG i = 0; i < n && !mk_leaks("change"); i++)
        if (!mk_flag(o, CKA_MODIFIABLE) || weaker(o, &t[i]))
            return CKR_ATTRIBUTE_READ_ONLY;
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
        rv = take(o, &t[i], o->home);
    return rv;
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n)
{
    MK_LOCKED("C_SetAttributeValue", h, set(h, o, t, n));
}

static CK_RV copy(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE oh, const CK_ATTRIBUTE *t, CK_ULONG n,
                  CK_OBJECT_HANDLE *ret)
{
    struct mk_session *s = mk_session(h);
    const struct mk_object *o = s != NULL ? mk_object(s, oh) : NULL;
    struct mk_object *new = NULL;
    if (s == NULL || o == NULL)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OBJECT_HANDLE_INVALID;
    for (CK_ULONG i = 0; i < n && !mk_leaks("copy"); i++)
        if (!mk_flag(o, CKA_COPYABLE) || weaker(o, &t[i]))
            return mk_flag(o, CKA_COPYABLE) ? CKR_TEMPLATE_INCONSISTENT : CKR_ACTION_PROHIBITED;
    CK_RV rv = mk_object_new(s, o->class, o->type, NULL, 0, &new);
    if (rv != CKR_OK)
        return rv;
    CK_OBJECT_HANDLE handle = new->handle;
    *new = *o;
    new->handle = *ret = handle;
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
        rv = take(new, &t[i], s->handle);
    if (rv != CKR_OK)
        mk_object_free(new);
    return rv;
}

CK_RV C_CopyObject(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n,
                   CK_OBJECT_HANDLE *ret)
{
    MK_LOCKED("C_CopyObject", h, copy(h, o, t, n, ret));
}
