/* SPDX-License-Identifier: Apache-2.0
 *
 * Internal to pkcs11/: the part of the extraction self-test that wraps.
 */
#ifndef KW_WRAP_H
#define KW_WRAP_H

#include "internal.h"

#define KW_WRAP_MECHS 64
#define KW_WRAP_KEYS  3

struct kw_wrap {
    bool listed;                            /* the token told its mechanisms */
    CK_MECHANISM_TYPE mechs[KW_WRAP_MECHS]; /* those with CKF_WRAP */
    unsigned n_mechs;
    CK_OBJECT_HANDLE keys[KW_WRAP_KEYS]; /* AES, RSA, 3DES; 0 where it can't be had */
    bool had[KW_WRAP_KEYS];              /* the same, for the report */
    unsigned tried;                      /* C_WrapKey calls */
    CK_RV lost;                          /* an answer after which nothing is proved, or CKR_OK */
    /* what came out */
    CK_MECHANISM_TYPE by;
    CK_ULONG bytes;
};

/* Collects the mechanisms and makes the wrapping keys, session objects of s. */
void kw_wrap_prepare(struct kw_p11 *p, CK_SESSION_HANDLE s, const struct kw_p11_key *twin,
                     struct kw_wrap *w);
/* True if some mechanism with some key wraps `key`; then by and bytes say which. */
bool kw_wrap_try(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, struct kw_wrap *w);
void kw_wrap_end(struct kw_p11 *p, CK_SESSION_HANDLE s, struct kw_wrap *w);

/* Not a refusal: the session or the token is gone, so that the answer proves nothing
 * (extract.c). */
bool kw_rv_lost(CK_RV rv);

#endif
