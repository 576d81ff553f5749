/* SPDX-License-Identifier: Apache-2.0
 *
 * Key generation. Modules differ in which attributes they take in a template, so the
 * strictest one is tried first and then less strict ones; what a rung gives up is
 * only belt and braces (COPYABLE, ALLOWED_MECHANISMS). A module may also take such a
 * template and make a key of it that can't sign, so a key of a strict rung signs once
 * before it is taken. Rungs 3 and 4 write to the token's store.
 */
#include <openssl/rand.h>
#include <string.h>

#include "internal.h"
#include "src/base/log.h"

#define ID_LEN 16

struct templ {
    CK_ATTRIBUTE a[20];
    CK_ULONG n;
};

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void add(struct templ *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t n)
{
    t->a[t->n++] = (CK_ATTRIBUTE){type, kw_unconst(value), n};
}

static void add_bool(struct templ *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    add(t, type, value ? &yes : &no, sizeof yes);
}

/* Every usage is stated: modules take DECRYPT, UNWRAP and SIGN_RECOVER for granted
 * where the template is silent, and SENSITIVE and EXTRACTABLE as they like. */
static void private_template(struct templ *t, const struct kw_p11_key *k, bool token_object)
{
    t->n = 0;
    add_bool(t, CKA_TOKEN, token_object);
    add_bool(t, CKA_PRIVATE, true);
    add_bool(t, CKA_SENSITIVE, true);
    add_bool(t, CKA_EXTRACTABLE, false);
    add_bool(t, CKA_SIGN, true);
    add_bool(t, CKA_DECRYPT, false);
    add_bool(t, CKA_UNWRAP, false);
    add_bool(t, CKA_SIGN_RECOVER, false);
    add_bool(t, CKA_DERIVE, false);
    add_bool(t, CKA_MODIFIABLE, false);
    add(t, CKA_ID, k->id, k->id_len);
}

/* Without VERIFY and ENCRYPT: tpm2-pkcs11 ties them to DECRYPT and SIGN. */
static void public_template(struct templ *t, const struct kw_p11_key *k, bool token_object,
                            const CK_ULONG *bits)
{
    static const unsigned char f4[3] = {1, 0, 1};
    t->n = 0;
    add_bool(t, CKA_TOKEN, token_object);
    add(t, CKA_MODULUS_BITS, bits, sizeof *bits);
    add(t, CKA_PUBLIC_EXPONENT, f4, sizeof f4);
    add(t, CKA_ID, k->id, k->id_len);
}

static bool is_strict(unsigned rung)
{
    return rung == 1 || rung == 3;
}

/* Did the module dislike the template, so that another one may do? */
static bool template_refused(CK_RV rv)
{
    switch (rv) {
    case CKR_ATTRIBUTE_TYPE_INVALID:
    case CKR_ATTRIBUTE_VALUE_INVALID:
    case CKR_ATTRIBUTE_READ_ONLY:
    case CKR_TEMPLATE_INCOMPLETE:
    case CKR_TEMPLATE_INCONSISTENT:
    case CKR_ARGUMENTS_BAD:
    case CKR_FUNCTION_FAILED:
    case CKR_GENERAL_ERROR: /* NSS, for COPYABLE in a token object */
    case CKR_ACTION_PROHIBITED:
        return true;
    default:
        return false;
    }
}

/* With the label, else without it: it only serves people and `keys`, so a module
 * that won't take it is no reason to leave a rung, as long as nothing stays behind
 * that `keys` could not find again. */
static CK_RV try_rung(struct kw_p11 *p, unsigned rung, const char *label, CK_ULONG bits,
                      struct kw_p11_key *k)
{
    const bool token_object = rung >= 3, strict = is_strict(rung);
    struct templ pub, priv;
    CK_MECHANISM m = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_RV rv = CKR_OK;
    for (int labelled = 1; labelled >= (token_object ? 1 : 0); labelled--) {
        public_template(&pub, k, token_object, &bits);
        private_template(&priv, k, token_object);
        if (labelled) {
            add(&pub, CKA_LABEL, label, strlen(label));
            add(&priv, CKA_LABEL, label, strlen(label));
        }
        if (strict) {
            add_bool(&priv, CKA_COPYABLE, false);
            add(&priv, CKA_ALLOWED_MECHANISMS, &p->mech, sizeof p->mech);
        }
        KW_CK(rv, p, GenerateKeyPair, k->home, &m, pub.a, pub.n, priv.a, priv.n, &k->pub, &k->priv);
        if (rv == CKR_OK || !template_refused(rv))
            break;
    }
    return rv;
}

static const char *cure(CK_RV rv, bool token_object)
{
    if (rv == CKR_KEY_SIZE_RANGE || rv == CKR_ATTRIBUTE_VALUE_INVALID)
        return token_object ? "check [key] bits"
                            : "check [key] bits; if the token has no session objects, set "
                              "[key] storage = token";
    if (rv == CKR_SESSION_READ_ONLY || rv == CKR_TOKEN_WRITE_PROTECTED)
        return "the token is write-protected: use [key] storage = session";
    return token_object ? "" : "if the token has no session objects, set [key] storage = token";
}

/* Is it this key that can't sign, so that one of another template may? Not a session that
 * ended, not a device or a login that is gone: with those no key would sign. */
static bool key_unfit(CK_RV rv)
{
    switch (rv) {
    /* openCryptoki 3.23, whose CKM_SHA256_RSA_PKCS hashes and then wants CKM_RSA_PKCS of the
     * key, which is not among those allowed: */
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_KEY_TYPE_INCONSISTENT:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_FUNCTION_FAILED:
        return true;
    default:
        return false;
    }
}

/* One signature by the new key, made as all later ones and checked with its public half;
 * *ret_unfit: another rung is to be tried. Nothing takes what is signed for a request or a promise
 * of anybody's: OCI's signing strings are lines of "name: value", JWTs have no blanks, certificates
 * and what else is in DER start with a SEQUENCE (0x30), TLS handshakes with a message type. It
 * never leaves this function, so it counts for no budget and stands in no log. */
static int try_key(struct kw_p11 *p, struct kw_p11_key *k, bool *ret_unfit, struct kw_err *err)
{
    static const char text[] = "keyward tries whether a new key signs and asks nobody for anything";
    unsigned char sig[512];
    size_t n = 0;
    CK_RV rv = CKR_OK;
    int r = kw_sign_pooled(p, k, text, sizeof text - 1, sig, &n, &rv, err);
    *ret_unfit = key_unfit(rv);
    return r != 0 ? r : kw_p11_check(k, text, sizeof text - 1, sig, n, err);
}

/* Away with a key that doesn't sign; its session goes with it, the next rung has another. */
static int start_over(struct kw_p11 *p, struct kw_p11_key *k, struct kw_err *err)
{
    int r = kw_p11_destroy(p, k, err);
    if (r == 0)
        r = kw_token_session_open(p, true, &k->home, err);
    return r;
}

int kw_ladder_climb(struct kw_p11 *p, const char *label, unsigned bits, bool token_object,
                    struct kw_p11_key *k, struct kw_err *err)
{
    k->id_len = ID_LEN;
    if (RAND_bytes(k->id, ID_LEN) != 1)
        return kw_fail(err, KW_FAILED, "no random numbers from OpenSSL");
    k->mech = p->mech;
    const unsigned last = token_object ? 4 : 2;
    CK_RV rv = CKR_OK;
    for (unsigned rung = token_object ? 3 : 1; rung <= last; rung++) {
        k->rung = rung; /* also where it fails: then it tells what may be left */
        rv = try_rung(p, rung, label, bits, k);
        if (rv == CKR_OK) {
            bool unfit = false;
            int r = kw_key_public(p, k->home, k, err);
            if (r == 0 && is_strict(rung))
                r = try_key(p, k, &unfit, err);
            if (r == 0 || !unfit)
                return r;
            kw_log(KW_INFO, "rung %u of the template ladder: %s", rung, err->text);
            if ((r = start_over(p, k, err)) != 0)
                return r;
            continue; /* there is a rung that is not strict */
        }
        k->priv = k->pub = 0;
        /* It may have made the key all the same: an answer that came too late, say. */
        if (!template_refused(rv) || (token_object && kw_key_sweep(p, k->home, k) != CKR_OK))
            break;
    }
    char call[128];
    (void)snprintf(call, sizeof call, "C_GenerateKeyPair of %u bits (the token says %lu to %lu)",
                   bits, p->min_bits, p->max_bits);
    return kw_ck_fail(p, err, KW_TOKEN, call, rv, cure(rv, token_object));
}

int kw_p11_generate(struct kw_p11 *p, unsigned bits, bool token_object, unsigned accept,
                    struct kw_p11_key *ret, struct kw_err *err)
{
    memset(ret, 0, sizeof *ret);
    int r = kw_token_session_open(p, true, &ret->home, err);
    if (r == 0)
        r = kw_ladder_climb(p, KW_LABEL_SESSION, bits, token_object, ret, err);
    if (r == 0)
        r = kw_key_verify(p, ret->home, true, accept, ret, err);
    if (r == 0 && ret->bits != bits)
        r = kw_fail(err, KW_TOKEN, "token %s made a key of %u bits when asked for %u", p->token,
                    ret->bits, bits);
    if (r == 0 && ret->token_object != token_object)
        r = kw_fail(err, KW_TOKEN, "token %s made a %s object when asked for a %s object", p->token,
                    ret->token_object ? "token" : "session", token_object ? "token" : "session");
    if (r != 0)
        kw_key_discard(p, ret);
    else if (token_object)
        kw_token_session_close(p, &ret->home);
    return r;
}
