/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding keys again, and making sure that destroyed ones can't be found.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "src/base/log.h"

#define FIND_MAX 256

enum { KW_FIND_NONE = -1 }; /* no error yet: another type may be there */

static const CK_OBJECT_CLASS class_private = CKO_PRIVATE_KEY, class_public = CKO_PUBLIC_KEY;
static const CK_KEY_TYPE type_rsa = CKK_RSA, type_ec = CKK_EC;
static const CK_BBOOL yes = CK_TRUE;

static CK_ATTRIBUTE attr(CK_ATTRIBUTE_TYPE type, const void *value, size_t n)
{
    return (CK_ATTRIBUTE){type, kw_unconst(value), n};
}

int kw_find(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n,
            CK_OBJECT_HANDLE *ret, size_t max, size_t *ret_n, struct kw_err *err)
{
    CK_RV rv, end;
    *ret_n = 0;
    KW_CK(rv, p, FindObjectsInit, s, t, n);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_FindObjectsInit", rv, "");
    bool more = false;
    for (;;) {
        CK_OBJECT_HANDLE o[16];
        CK_ULONG got = 0;
        KW_CK(rv, p, FindObjects, s, o, 16, &got);
        if (rv != CKR_OK || got == 0 || got > 16)
            break;
        for (CK_ULONG i = 0; i < got && !more; i++) {
            more = *ret_n == max;
            if (!more)
                ret[(*ret_n)++] = o[i];
        }
        if (more)
            break;
    }
    KW_CK(end, p, FindObjectsFinal, s);
    if (rv != CKR_OK || end != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_FindObjects", rv != CKR_OK ? rv : end, "");
    if (more)
        return kw_fail(err, KW_TOKEN, "more than %zu objects match in token %s", max, p->token);
    return 0;
}

/* A key may allow just one of the two mechanisms (CKA_ALLOWED_MECHANISMS, absent in
 * most). Where it doesn't tell, the token's choice stands. */
static CK_MECHANISM_TYPE pick_mech(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o)
{
    CK_MECHANISM_TYPE allowed[64];
    size_t n = 0;
    if (kw_attr_get(p, s, o, CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed, &n) != CKR_OK)
        return p->mech;
    bool raw = false;
    for (size_t i = 0; i < n / sizeof allowed[0]; i++) {
        if (allowed[i] == p->mech)
            return p->mech;
        raw = raw || allowed[i] == CKM_RSA_PKCS;
    }
    return raw ? CKM_RSA_PKCS : p->mech;
}

/* The public object with the key's CKA_ID, if there is just one. */
static int find_public(struct kw_p11 *p, CK_SESSION_HANDLE s, const CK_KEY_TYPE *type,
                       struct kw_p11_key *k, struct kw_err *err)
{
    CK_OBJECT_HANDLE found[2];
    size_t n = 0;
    CK_ATTRIBUTE t[] = {
        attr(CKA_CLASS, &class_public, sizeof class_public),
        attr(CKA_KEY_TYPE, type, sizeof *type),
        attr(CKA_ID, k->id, k->id_len),
    };
    if (k->id_len == 0)
        return 0;
    int r = kw_find(p, s, t, 3, found, 2, &n, err);
    k->pub = r == 0 && n == 1 ? found[0] : 0;
    return r;
}

/* An id that can't be read is not the same as none: a key to be destroyed would be taken for
 * another one. */
static int get_id(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, struct kw_p11_key *ret,
                  struct kw_err *err)
{
    CK_RV rv = kw_attr_get(p, s, o, CKA_ID, ret->id, sizeof ret->id, &ret->id_len);
    if (rv == CKR_OK)
        return 0;
    ret->id_len = 0;
    return rv == CKR_ATTRIBUTE_TYPE_INVALID
               ? 0
               : kw_ck_fail(p, err, KW_TOKEN, "C_GetAttributeValue of CKA_ID", rv, "");
}

/* Everything about a private key that was found. */
static int describe(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o,
                    const CK_KEY_TYPE *type, bool strict, unsigned accept, struct kw_p11_key *ret,
                    struct kw_err *err)
{
    memset(ret, 0, sizeof *ret);
    ret->priv = o;
    ret->mech = type == &type_ec ? CKM_ECDSA : p->mech;
    int r = get_id(p, s, o, ret, err);
    if (r == 0)
        r = find_public(p, s, type, ret, err);
    if (r == 0)
        r = kw_key_verify(p, s, strict, accept, ret, err);
    if (r == 0)
        r = type == &type_ec ? kw_ec_public(p, s, ret, err) : kw_key_public(p, s, ret, err);
    if (type != &type_ec)
        ret->mech = pick_mech(p, s, o);
    if (r == 0 && kw_attr_bool(p, s, o, CKA_ALWAYS_AUTHENTICATE) == 1)
        r = kw_fail(err, KW_TOKEN,
                    "the key in token %s wants the PIN at each signature "
                    "(CKA_ALWAYS_AUTHENTICATE); use another key",
                    p->token);
    return r;
}

/* The only private key of that label, id and type. 1: there is none. */
static int find_typed(struct kw_p11 *p, const char *label, const unsigned char *id, size_t id_len,
                      const CK_KEY_TYPE *type, bool strict, unsigned accept, struct kw_p11_key *ret,
                      struct kw_err *err)
{
    CK_OBJECT_HANDLE found[2];
    size_t n_found = 0;
    unsigned index = 0;
    CK_SESSION_HANDLE s = 0;
    CK_ATTRIBUTE t[4] = {
        attr(CKA_CLASS, &class_private, sizeof class_private),
        attr(CKA_KEY_TYPE, type, sizeof *type),
    };
    CK_ULONG n = 2;
    memset(ret, 0, sizeof *ret);
    if (label != NULL && label[0] != '\0')
        t[n++] = attr(CKA_LABEL, label, strlen(label));
    if (id_len > 0)
        t[n++] = attr(CKA_ID, id, id_len);
    if (n == 2)
        return kw_fail(err, KW_USAGE, "neither label nor id of the key in token %s is given",
                       p->token);
    int r = kw_pool_take(p, &index, &s, err);
    if (r != 0)
        return r;
    r = kw_find(p, s, t, n, found, 2, &n_found, err);
    if (r == 0 && n_found > 1)
        r = kw_fail(err, KW_TOKEN, "several keys %s in token %s; name one by its id",
                    label != NULL && label[0] != '\0' ? label : "with the given id", p->token);
    if (r == 0 && n_found == 1)
        r = describe(p, s, found[0], type, strict, accept, ret, err);
    kw_pool_give(p, index);
    if (r != 0)
        *ret = (struct kw_p11_key){0};
    return r == 0 && n_found == 0 ? KW_FIND_NONE : r;
}

static int no_key(const struct kw_p11 *p, const char *kind, const char *label, struct kw_err *err)
{
    return kw_fail(err, KW_TOKEN, "no %s private key %s in token %s; check its label and id", kind,
                   label != NULL && label[0] != '\0' ? label : "with the given id", p->token);
}

int kw_p11_find(struct kw_p11 *p, const char *label, const unsigned char *id, size_t id_len,
                bool strict, unsigned accept, struct kw_p11_key *ret, struct kw_err *err)
{
    int r = find_typed(p, label, id, id_len, &type_rsa, strict, accept, ret, err);
    return r == KW_FIND_NONE ? no_key(p, "RSA", label, err) : r;
}

int kw_p11_find_any(struct kw_p11 *p, const char *label, const unsigned char *id, size_t id_len,
                    struct kw_p11_key *ret, struct kw_err *err)
{
    int r = find_typed(p, label, id, id_len, &type_rsa, false, 0, ret, err);
    if (r == KW_FIND_NONE)
        r = find_typed(p, label, id, id_len, &type_ec, false, 0, ret, err);
    return r == KW_FIND_NONE ? no_key(p, "RSA or EC", label, err) : r;
}

typedef int each_key(const struct kw_p11_key *k, const char *label, void *arg);

/* A public half without a private one: a crash in the middle of a generation leaves it.
 * 1: it is one, and is in *ret. */
static int lone_half(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o,
                     struct kw_p11_key *ret, int *ret_r, struct kw_err *err)
{
    CK_OBJECT_HANDLE found[1];
    unsigned char modulus[1024];
    size_t n = 0, bytes = 0;
    memset(ret, 0, sizeof *ret);
    ret->pub = o;
    ret->token_object = true;
    *ret_r = get_id(p, s, o, ret, err);
    if (*ret_r != 0 || ret->id_len == 0)
        return 0;
    CK_ATTRIBUTE t[] = {attr(CKA_CLASS, &class_private, sizeof class_private),
                        attr(CKA_ID, ret->id, ret->id_len)};
    *ret_r = kw_find(p, s, t, 2, found, 1, &n, err);
    if (*ret_r != 0 || n > 0)
        return 0;
    if (kw_attr_get(p, s, o, CKA_MODULUS, modulus, sizeof modulus, &bytes) == CKR_OK)
        ret->bits = (unsigned)bytes * 8;
    (void)snprintf(ret->attributes, sizeof ret->attributes, "public half alone");
    return 1;
}

/* Goes through the pairs, or (class_public) the lone halves. */
static int each_label(struct kw_p11 *p, const CK_OBJECT_CLASS *class, const char *label,
                      each_key *each, void *arg, struct kw_err *err)
{
    CK_OBJECT_HANDLE found[FIND_MAX];
    struct kw_p11_key k;
    size_t n = 0;
    unsigned index = 0;
    CK_SESSION_HANDLE s = 0;
    CK_ATTRIBUTE t[] = {
        attr(CKA_CLASS, class, sizeof *class),
        attr(CKA_KEY_TYPE, &type_rsa, sizeof type_rsa),
        attr(CKA_TOKEN, &yes, sizeof yes),
        attr(CKA_LABEL, label, strlen(label)),
    };
    int r = kw_pool_take(p, &index, &s, err);
    if (r != 0)
        return r;
    r = kw_find(p, s, t, 4, found, FIND_MAX, &n, err);
    kw_pool_give(p, index); /* `each` may want a session of its own */
    for (size_t i = 0; r == 0 && i < n; i++) {
        int take = 1;
        r = kw_pool_take(p, &index, &s, err);
        if (r != 0)
            break;
        if (class == &class_public)
            take = lone_half(p, s, found[i], &k, &r, err);
        else
            r = describe(p, s, found[i], &type_rsa, false, 0, &k, err);
        kw_pool_give(p, index);
        if (r == 0 && take != 0)
            r = each(&k, label, arg);
    }
    return r;
}

int kw_p11_each(struct kw_p11 *p, each_key *each, void *arg, struct kw_err *err)
{
    static const char *const labels[] = {KW_LABEL_SESSION, KW_LABEL_TWIN};
    int r = 0;
    for (size_t i = 0; r == 0 && i < 2; i++) {
        r = each_label(p, &class_private, labels[i], each, arg, err);
        if (r == 0)
            r = each_label(p, &class_public, labels[i], each, arg, err);
    }
    return r;
}

/* A token that was reset has forgotten the login, and shows no private object to anybody. */
static bool still_in(struct kw_p11 *p, CK_SESSION_HANDLE s)
{
    CK_SESSION_INFO i = {0};
    CK_RV rv;
    KW_CK(rv, p, GetSessionInfo, s, &i);
    return rv == CKR_OK && (i.state == CKS_RO_USER_FUNCTIONS || i.state == CKS_RW_USER_FUNCTIONS);
}

/* Nothing with the key's random id may be left. */
static int check_gone(struct kw_p11 *p, const struct kw_p11_key *k, struct kw_err *err)
{
    CK_OBJECT_HANDLE found[2]; /* both halves */
    size_t n = 0;
    unsigned index = 0;
    CK_SESSION_HANDLE s = 0;
    CK_ATTRIBUTE t[] = {attr(CKA_ID, k->id, k->id_len)};
    int r = k->id_len > 0 ? kw_pool_take(p, &index, &s, err) : 0;
    if (r != 0 || k->id_len == 0)
        return r;
    const bool stored = k->token_object || k->rung > 2;
    bool blind = stored && p->logged_in && !still_in(p, s);
    r = kw_find(p, s, t, 1, found, 2, &n, NULL);
    kw_pool_give(p, index);
    if (r != 0 || n > 0 || blind)
        return kw_fail(err, KW_TOKEN, "the key in token %s was destroyed but %s", p->token,
                       n > 0    ? "is still there; `keyward keys --prune` or the vendor's tool "
                                  "removes it"
                       : stored ? "the token can't be asked whether it is gone; "
                                  "`keyward keys --prune` will tell"
                                : "the token can't be asked whether it is gone");
    return 0;
}

static CK_RV destroy_object(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *o)
{
    CK_RV rv = CKR_OK;
    if (*o != 0)
        KW_CK(rv, p, DestroyObject, s, *o);
    if (rv == CKR_OBJECT_HANDLE_INVALID || rv == CKR_KEY_HANDLE_INVALID)
        rv = CKR_OK; /* gone already */
    if (rv == CKR_OK)
        *o = 0;
    return rv;
}

CK_RV kw_key_sweep(struct kw_p11 *p, CK_SESSION_HANDLE s, const struct kw_p11_key *k)
{
    CK_OBJECT_HANDLE found[16];
    size_t n = 0;
    CK_ATTRIBUTE t[] = {attr(CKA_ID, k->id, k->id_len)};
    CK_RV rv = CKR_OK;
    if (k->id_len == 0 || k->rung == 0 || s == 0)
        return rv;
    if (kw_find(p, s, t, 1, found, 16, &n, NULL) != 0)
        return CKR_FUNCTION_FAILED;
    for (size_t i = 0; i < n; i++) {
        CK_RV one = destroy_object(p, s, &found[i]);
        rv = one != CKR_OK ? one : rv;
    }
    return rv;
}

static CK_RV destroy_in(struct kw_p11 *p, CK_SESSION_HANDLE s, struct kw_p11_key *key, bool sweep)
{
    CK_RV rv = destroy_object(p, s, &key->priv);
    CK_RV rv_pub = destroy_object(p, s, &key->pub);
    if (rv == CKR_OK)
        rv = rv_pub;
    return rv == CKR_OK && sweep ? kw_key_sweep(p, s, key) : rv;
}

int kw_p11_destroy(struct kw_p11 *p, struct kw_p11_key *key, struct kw_err *err)
{
    if (key->home == 0 && key->priv == 0 && key->pub == 0)
        return 0;
    CK_SESSION_HANDLE s = key->home;
    int r = s != 0 ? 0 : kw_token_session_open(p, true, &s, err);
    if (r != 0)
        return r;
    const bool dies_with_session = key->home != 0 && !key->token_object && key->rung <= 2;
    CK_RV rv = destroy_in(p, s, key, !dies_with_session);
    kw_token_session_close(p, &s);
    key->home = 0;
    if (rv != CKR_OK && !dies_with_session && kw_session_died(rv) &&
        kw_token_session_open(p, true, &s, NULL) == 0) {
        rv = destroy_in(p, s, key, true);
        kw_token_session_close(p, &s);
    }
    if (rv != CKR_OK && !dies_with_session)
        return kw_ck_fail(p, err, KW_TOKEN, "C_DestroyObject", rv,
                          "the key may still be in the token: `keyward keys --prune`");
    r = check_gone(p, key, err);
    if (r == 0)
        key->priv = key->pub = 0;
    return r;
}

void kw_key_discard(struct kw_p11 *p, struct kw_p11_key *k)
{
    struct kw_err why;
    bool stays = k->token_object || k->rung > 2;
    if (kw_p11_destroy(p, k, &why) != 0 && stays)
        kw_log(KW_WARN, "a key may be left in the token: `keyward keys --prune` (%s)", why.text);
}
