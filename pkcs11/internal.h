/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of pkcs11/ share and nobody else sees: the module's state, the one
 * way to call Cryptoki, and the steps that generation, search and the extraction
 * self-test have in common.
 */
#ifndef KW_P11_INTERNAL_H
#define KW_P11_INTERNAL_H

#include <pthread.h>

#include "pkcs11/p11.h"
#include "pkcs11/progress.h"

#define KW_P11_SESSIONS 64

#define KW_LABEL_SESSION "keyward session"
#define KW_LABEL_TWIN    "keyward twin"

struct kw_pool {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    unsigned n;                             /* entries in use */
    CK_SESSION_HANDLE all[KW_P11_SESSIONS]; /* 0: died, to be opened again */
    bool busy[KW_P11_SESSIONS];
};

struct kw_p11 {
    void *handle;        /* dlopen's */
    CK_FUNCTION_LIST *f; /* the one list; raw calls and libp11 both use it */
    char module[1024];
    char module_args[512];
    char label[33], manufacturer[33], serial[17], model[17]; /* asked for, "" = any */
    unsigned sessions;

    /* set by kw_p11_choose(), constant afterwards */
    bool chosen;
    CK_SLOT_ID slot;
    bool read_only;                     /* write-protected token: no R/W sessions */
    char has_label[33], has_serial[17]; /* what it said of itself then */
    char token[64];                     /* for messages: label and serial */
    CK_MECHANISM_TYPE mech;
    CK_ULONG min_bits, max_bits; /* of key generation */
    CK_ULONG mech_min_bits;      /* of the signature mechanism */

    bool logged_in;
    struct kw_pool pool;
};

/* One Cryptoki call: rv = C_name(...), with its name on the progress page. Old or
 * small modules leave entries NULL that they don't implement. */
#define KW_CK(rv, p, name, ...)                                                                    \
    do {                                                                                           \
        uint64_t kw_before_ = kw_progress_enter(KW_P11_##name);                                    \
        (rv) = (p)->f->C_##name != NULL ? (p)->f->C_##name(__VA_ARGS__)                            \
                                        : (CK_RV)CKR_FUNCTION_NOT_SUPPORTED;                       \
        kw_progress_leave(kw_before_);                                                             \
    } while (0)

/* Cryptoki's prototypes know no const; the bytes are only read. */
static inline void *kw_unconst(const void *bytes)
{
    return (void *)(uintptr_t)bytes;
}

/* "<call> on token ... failed: CKR_... (0x..)<; cure>". Returns code. */
int kw_ck_fail(const struct kw_p11 *p, struct kw_err *err, enum kw_exit code, const char *call,
               CK_RV rv, const char *cure);

/* C_Initialize with our arguments (module.c); used again when looking for a token
 * that was not there. */
int kw_p11_initialize(struct kw_p11 *p, struct kw_err *err);

/* The list that libp11 gets from our exported C_GetFunctionList while `p` is lent to
 * it; kw_p11_lend(NULL) takes it back (share.c). */
void kw_p11_lend(const struct kw_p11 *p);

/* Sessions (session.c). rw is ignored on write-protected tokens. */
int kw_token_session_open(struct kw_p11 *p, bool rw, CK_SESSION_HANDLE *ret, struct kw_err *err);
void kw_token_session_close(struct kw_p11 *p, CK_SESSION_HANDLE *s);
/* Takes a session of the pool, waiting for a free one; *ret_index for the rest. A
 * dead one is opened anew. */
int kw_pool_take(struct kw_p11 *p, unsigned *ret_index, CK_SESSION_HANDLE *ret, struct kw_err *err);
/* Closes the session at index and opens another in its place. */
int kw_pool_renew(struct kw_p11 *p, unsigned index, CK_SESSION_HANDLE *ret, struct kw_err *err);
void kw_pool_give(struct kw_p11 *p, unsigned index);
void kw_pool_close(struct kw_p11 *p);

/* One rung after the other in session k->home, which may be another afterwards (ladder.c);
 * fills handles, rung, id and the public half, not the attributes. A key of a strict rung
 * has signed once then, by a signature that is right. */
int kw_ladder_climb(struct kw_p11 *p, const char *label, unsigned bits, bool token_object,
                    struct kw_p11_key *k, struct kw_err *err);

/* Reads one attribute of at most max bytes (verify.c); *ret_n its length. */
CK_RV kw_attr_get(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
                  void *out, size_t max, size_t *ret_n);
/* 0 or 1; -1 if it can't be read or is no CK_BBOOL. */
int kw_attr_bool(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type);
/* Reads the attributes of k->priv into k->attributes and k->token_object; if `strict`,
 * each one that is not as it must be and not in `accept` is an error. */
int kw_key_verify(struct kw_p11 *p, CK_SESSION_HANDLE s, bool strict, unsigned accept,
                  struct kw_p11_key *k, struct kw_err *err);
/* Reads modulus and exponent, checks that both halves agree, fills bits and spki. */
int kw_key_public(struct kw_p11 *p, CK_SESSION_HANDLE s, struct kw_p11_key *k, struct kw_err *err);

/* The same for a P-256 key, whose public half must be there (ec.c). */
int kw_ec_public(struct kw_p11 *p, CK_SESSION_HANDLE s, struct kw_p11_key *k, struct kw_err *err);

/* Objects that match the template, at most max (find.c); one more is an error. */
int kw_find(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n,
            CK_OBJECT_HANDLE *ret, size_t max, size_t *ret_n, struct kw_err *err);

/* Destroys every object with the random id of a key that we made, and nothing else has: also
 * copies, and what a call has made that then answered with an error (find.c). */
CK_RV kw_key_sweep(struct kw_p11 *p, CK_SESSION_HANDLE s, const struct kw_p11_key *k);
/* kw_p11_destroy() after another error, which is the one to return: says in the log if a
 * token object may be left. */
void kw_key_discard(struct kw_p11 *p, struct kw_p11_key *k);

/* Did the session end, so that another one may do? (sign.c) */
bool kw_session_died(CK_RV rv);
/* Signs in session s, two calls (sign.c). */
CK_RV kw_sign_in(struct kw_p11 *p, CK_SESSION_HANDLE s, const struct kw_p11_key *key,
                 const void *data, size_t n, unsigned char sig[512], size_t *ret_n,
                 const char **ret_call);

/* kw_p11_sign(); *ret_rv what the module answered, CKR_OK if it was not that which failed. */
int kw_sign_pooled(struct kw_p11 *p, const struct kw_p11_key *key, const void *data, size_t n,
                   unsigned char *sig, size_t *ret_n, CK_RV *ret_rv, struct kw_err *err);

/* "CKM_AES_CBC_PAD" or "CKM 0x..." into out (ckr.c). */
const char *kw_ckm_name(CK_MECHANISM_TYPE m, char out[32]);

#endif
