/* SPDX-License-Identifier: Apache-2.0
 *
 * The extraction self-test: a twin of the session key, made with the same template,
 * is attacked in every way that PKCS#11 offers. What works on the twin would work on
 * the key.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wrap.h"

struct attack {
    struct kw_p11 *p;
    struct kw_p11_key twin; /* twin.home is the session of all of this */
    struct kw_wrap wrap;
    struct kw_m_verdict *verdict;
    unsigned reads, copies, changes; /* calls made */
    CK_RV lost;                      /* as in struct kw_wrap */
};

static const struct {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
} parts[] = {
    {CKA_PRIVATE_EXPONENT, "CKA_PRIVATE_EXPONENT"},
    {CKA_PRIME_1, "CKA_PRIME_1"},
    {CKA_PRIME_2, "CKA_PRIME_2"},
    {CKA_EXPONENT_1, "CKA_EXPONENT_1"},
    {CKA_EXPONENT_2, "CKA_EXPONENT_2"},
    {CKA_COEFFICIENT, "CKA_COEFFICIENT"},
    {CKA_VALUE, "CKA_VALUE"},
};

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

/* The ways in which a copy or a change would weaken the key. */
static CK_ATTRIBUTE weaker[] = {
    {CKA_EXTRACTABLE, &yes, sizeof yes},
    {CKA_SENSITIVE, &no, sizeof no},
};

bool kw_rv_lost(CK_RV rv)
{
    switch (rv) {
    case CKR_HOST_MEMORY:
    case CKR_DEVICE_REMOVED:
    case CKR_SESSION_CLOSED:
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_USER_NOT_LOGGED_IN:
        return true;
    default:
        return false;
    }
}

static CK_RV note(struct attack *a, CK_RV rv)
{
    if (kw_rv_lost(rv))
        a->lost = rv;
    return rv;
}

__attribute__((format(printf, 3, 4))) static void weak(struct attack *a, unsigned bit,
                                                       const char *fmt, ...)
{
    char *text = a->verdict->text;
    const size_t size = sizeof a->verdict->text, n = strlen(text);
    va_list ap;
    a->verdict->weaknesses |= bit;
    if (n + 3 >= size)
        return;
    if (n > 0)
        memcpy(text + n, ", ", 3);
    va_start(ap, fmt);
    (void)vsnprintf(text + strlen(text), size - strlen(text), fmt, ap);
    va_end(ap);
}

/* Tries to get bytes out of one object: the attributes, then wrapping. */
static void try_read(struct attack *a, CK_OBJECT_HANDLE o, const char *what)
{
    unsigned char out[1024];
    char name[32];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t n = 0;
        CK_RV rv = note(a, kw_attr_get(a->p, a->twin.home, o, parts[i].type, out, sizeof out, &n));
        a->reads++;
        if ((rv == CKR_OK && n > 0) || rv == CKR_BUFFER_TOO_SMALL) {
            weak(a, KW_ACCEPT_EXTRACTABLE, "%s of %s can be read", parts[i].name, what);
            break; /* one is proof enough */
        }
    }
    explicit_bzero(out, sizeof out);
    if (kw_wrap_try(a->p, a->twin.home, o, &a->wrap))
        weak(a, KW_ACCEPT_EXTRACTABLE, "C_WrapKey by %s gives %s out (%lu bytes)",
             kw_ckm_name(a->wrap.by, name), what, a->wrap.bytes);
}

static bool is_weak(struct attack *a, CK_OBJECT_HANDLE o)
{
    return kw_attr_bool(a->p, a->twin.home, o, CKA_EXTRACTABLE) == 1 ||
           kw_attr_bool(a->p, a->twin.home, o, CKA_SENSITIVE) == 0;
}

/* Copies that are asked to be weaker: one attribute, the other, both. */
static void try_copies(struct attack *a)
{
    static const struct {
        unsigned first, n;
    } ways[] = {{0, 1}, {1, 1}, {0, 2}};
    const unsigned before = a->verdict->weaknesses;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        CK_OBJECT_HANDLE copy = 0;
        CK_RV rv;
        KW_CK(rv, a->p, CopyObject, a->twin.home, a->twin.priv, weaker + ways[i].first, ways[i].n,
              &copy);
        a->copies++;
        if (note(a, rv) != CKR_OK)
            continue;
        if (is_weak(a, copy))
            weak(a, KW_ACCEPT_EXTRACTABLE, "C_CopyObject makes an extractable copy");
        try_read(a, copy, "a copy");
        /* NSS tells stored keys apart by CKA_ID: it answers with the key itself */
        if (copy != a->twin.priv) {
            KW_CK(rv, a->p, DestroyObject, a->twin.home, copy);
            (void)note(a, rv);
        }
        if (a->verdict->weaknesses != before)
            break; /* one is proof enough */
    }
}

static void try_changes(struct attack *a)
{
    bool taken = false;
    for (size_t i = 0; i < sizeof weaker / sizeof weaker[0]; i++) {
        CK_RV rv;
        KW_CK(rv, a->p, SetAttributeValue, a->twin.home, a->twin.priv, weaker + i, 1);
        a->changes++;
        taken = note(a, rv) == CKR_OK || taken;
    }
    if (!taken)
        return;
    /* tpm2-pkcs11 answers OK: what counts is what it changed */
    const unsigned before = a->verdict->weaknesses;
    if (is_weak(a, a->twin.priv))
        weak(a, KW_ACCEPT_MODIFIABLE, "C_SetAttributeValue marks the key extractable");
    try_read(a, a->twin.priv, "the changed key");
    if (before == 0 && a->verdict->weaknesses == KW_ACCEPT_MODIFIABLE)
        weak(a, KW_ACCEPT_MODIFIABLE, "but nothing came out of it");
}

/* Refusals only mean something if the twin was a live key all the time. */
static int check_alive(struct attack *a, struct kw_err *err)
{
    static const char data[] = "keyward extraction self-test";
    unsigned char sig[512];
    const char *call = "";
    size_t n = 0;
    if (a->lost == CKR_OK)
        a->lost = a->wrap.lost;
    if (a->lost != CKR_OK)
        return kw_ck_fail(a->p, err, KW_TOKEN, "the extraction self-test", a->lost,
                          "the token went away, nothing is proved");
    if (!a->wrap.listed)
        return kw_fail(err, KW_TOKEN,
                       "token %s doesn't list its mechanisms, so that wrapping can't be tested",
                       a->p->token);
    CK_RV rv = kw_sign_in(a->p, a->twin.home, &a->twin, data, sizeof data, sig, &n, &call);
    if (rv != CKR_OK)
        return kw_ck_fail(a->p, err, KW_TOKEN, call, rv,
                          "the twin key of the extraction self-test doesn't sign");
    return kw_p11_check(&a->twin, data, sizeof data, sig, n, err);
}

static int judge(const struct attack *a, unsigned accept, struct kw_err *err)
{
    struct kw_m_verdict *v = a->verdict;
    kw_printable(v->text);
    if (v->weaknesses == 0)
        (void)snprintf(v->text, sizeof v->text,
                       "nothing came out: %u reads of private attributes, %u wraps by %u "
                       "mechanisms (keys:%s%s%s%s), %u copies, %u changes",
                       a->reads, a->wrap.tried, a->wrap.n_mechs, a->wrap.had[0] ? " AES" : "",
                       a->wrap.had[1] ? " RSA" : "", a->wrap.had[2] ? " 3DES" : "",
                       a->wrap.had[0] || a->wrap.had[1] || a->wrap.had[2] ? "" : " none", a->copies,
                       a->changes);
    const unsigned left = v->weaknesses & ~accept;
    if (left == 0)
        return 0;
    return kw_fail(
        err, KW_TOKEN,
        "token %s %s: %s; use another token, or take the risk with [key] accept =%s%s", a->p->token,
        v->weaknesses & KW_ACCEPT_EXTRACTABLE ? "gives keys out that it calls safe"
                                              : "lets keys be changed that it calls safe",
        v->text, left & KW_ACCEPT_EXTRACTABLE ? " extractable" : "",
        left & KW_ACCEPT_MODIFIABLE ? " modifiable" : "");
}

static unsigned twin_bits(const struct kw_p11 *p)
{
    CK_ULONG bits = 1024;
    if (p->min_bits > bits && p->min_bits <= 4096)
        bits = p->min_bits;
    if (p->mech_min_bits > bits && p->mech_min_bits <= 4096)
        bits = p->mech_min_bits;
    return (unsigned)bits;
}

int kw_p11_try_extract(struct kw_p11 *p, bool token_object, unsigned accept,
                       struct kw_m_verdict *ret, struct kw_err *err)
{
    struct attack a = {.p = p, .verdict = ret};
    memset(ret, 0, sizeof *ret);
    int r = kw_token_session_open(p, true, &a.twin.home, err);
    if (r == 0)
        r = kw_ladder_climb(p, KW_LABEL_TWIN, twin_bits(p), token_object, &a.twin, err);
    if (r == 0) {
        kw_wrap_prepare(p, a.twin.home, &a.twin, &a.wrap);
        try_read(&a, a.twin.priv, "the key");
        try_copies(&a);
        try_changes(&a); /* last: it may leave the twin weaker */
        r = check_alive(&a, err);
        kw_wrap_end(p, a.twin.home, &a.wrap);
    }
    a.twin.token_object = token_object;
    if (r == 0)
        r = kw_p11_destroy(p, &a.twin, err);
    else
        kw_key_discard(p, &a.twin);
    return r != 0 ? r : judge(&a, accept, err);
}
