/* SPDX-License-Identifier: Apache-2.0
 *
 * An X509_LOOKUP as OpenSSL's own for hashed directories, but of a bundle in memory. */
#include "roots.h"

#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct root {
    X509_NAME *subject;
    unsigned char *der; /* NULL once it is in the store */
    long len;
};

struct roots {
    struct root *root;
    size_t n, room;
};

static void roots_free(X509_LOOKUP *l)
{
    struct roots *all = X509_LOOKUP_get_method_data(l);
    for (size_t i = 0; all != NULL && i < all->n; i++) {
        X509_NAME_free(all->root[i].subject);
        OPENSSL_free(all->root[i].der);
    }
    if (all != NULL)
        free(all->root);
    free(all);
}

/* Puts all certificates of this subject into the store; whether there were any. */
static bool offer(X509_STORE *store, struct roots *all, const X509_NAME *subject)
{
    bool any = false;
    for (size_t i = 0; i < all->n; i++) {
        struct root *r = &all->root[i];
        if (r->der == NULL || X509_NAME_cmp(r->subject, subject) != 0)
            continue;
        const unsigned char *p = r->der;
        X509 *x = d2i_X509(NULL, &p, r->len);
        any = (x != NULL && X509_STORE_add_cert(store, x) == 1) || any;
        X509_free(x);
        OPENSSL_free(r->der);
        r->der = NULL;
    }
    return any;
}

/* Called where the store has no certificate of that subject; it looks again afterwards. */
static int by_subject(X509_LOOKUP *l, X509_LOOKUP_TYPE type, const X509_NAME *name,
                      X509_OBJECT *ret)
{
    X509_STORE *store = X509_LOOKUP_get_store(l);
    struct roots *all = X509_LOOKUP_get_method_data(l);
    if (type != X509_LU_X509 || all == NULL || !offer(store, all, name))
        return 0;
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (x == NULL || X509_NAME_cmp(X509_get_subject_name(x), name) != 0)
            continue;
        int set = X509_OBJECT_set1_X509(ret, x);
        if (set == 1)
            X509_free(x); /* the caller counts it again: X509_LOOKUP_meth_new(3) */
        return set;
    }
    return 0;
}

/* Steps over one DER element with this tag, or into it. */
static bool step(const unsigned char **p, const unsigned char *end, int tag, bool into)
{
    long len;
    int got, class;
    const unsigned char *q = *p;
    if (q >= end || (ASN1_get_object(&q, &len, &got, &class, end - q) & 0x80) != 0 || got != tag)
        return false;
    *p = into ? q : q + len;
    return true;
}

/* The subject within a certificate (RFC 5280, section 4.1), all before it unread; NULL if
 * this is none. */
static X509_NAME *subject_of(const unsigned char *der, long len)
{
    const unsigned char *p = der, *end = der + len;
    for (int depth = 0; depth < 2; depth++)
        if (!step(&p, end, V_ASN1_SEQUENCE, true))
            return NULL;
    (void)step(&p, end, 0, false); /* [0] version, absent in version 1 */
    if (!step(&p, end, V_ASN1_INTEGER, false) || !step(&p, end, V_ASN1_SEQUENCE, false) ||
        !step(&p, end, V_ASN1_SEQUENCE, false) || !step(&p, end, V_ASN1_SEQUENCE, false))
        return NULL; /* serial, algorithm, issuer, validity */
    return d2i_X509_NAME(NULL, &p, end - p);
}

/* Takes der over, also where it is of no use. */
static void note(struct roots *all, unsigned char *der, long len)
{
    X509_NAME *subject = subject_of(der, len);
    if (subject != NULL && all->n == all->room) {
        size_t room = all->room * 2 + 64;
        struct root *more = realloc(all->root, room * sizeof *more);
        if (more != NULL) {
            all->root = more;
            all->room = room;
        }
    }
    if (subject == NULL || all->n == all->room) {
        X509_NAME_free(subject);
        OPENSSL_free(der);
        return;
    }
    all->root[all->n++] = (struct root){subject, der, len};
}

static void read_bundle(struct roots *all, BIO *in)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    while (PEM_read_bio(in, &name, &header, &der, &len) == 1) {
        bool plain = strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0;
        if (plain)
            note(all, der, len);
        else
            OPENSSL_free(der);
        OPENSSL_free(name);
        OPENSSL_free(header);
    }
}

static X509_LOOKUP_METHOD *method(void)
{
    static X509_LOOKUP_METHOD *m;
    if (m == NULL && (m = X509_LOOKUP_meth_new("keyward roots")) != NULL) {
        (void)X509_LOOKUP_meth_set_free(m, roots_free);
        (void)X509_LOOKUP_meth_set_get_by_subject(m, by_subject);
    }
    return m;
}

unsigned kw_roots_add(X509_STORE *store, const char *path)
{
    BIO *in = BIO_new_file(path, "r");
    X509_LOOKUP *l = NULL;
    struct roots *all = in != NULL ? calloc(1, sizeof *all) : NULL;
    if (all != NULL && method() != NULL)
        l = X509_STORE_add_lookup(store, method());
    if (l == NULL || X509_LOOKUP_get_method_data(l) != NULL) { /* one bundle a store */
        free(all);
        BIO_free(in);
        return 0;
    }
    (void)X509_LOOKUP_set_method_data(l, all);
    read_bundle(all, in);
    BIO_free(in);
    /* The store asks only for subjects that it has none of: those it has, it gets now. */
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    unsigned n = (unsigned)all->n;
    for (int i = 0, have = sk_X509_OBJECT_num(objects); i < have; i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        X509_NAME *name = x != NULL ? X509_NAME_dup(X509_get_subject_name(x)) : NULL;
        if (name != NULL && offer(store, all, name)) {
            have = sk_X509_OBJECT_num(objects); /* sorted anew */
            i = -1;
        }
        X509_NAME_free(name);
    }
    return n;
}
