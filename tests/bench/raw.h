/* SPDX-License-Identifier: Apache-2.0
 *
 * Raw Cryptoki, as little of it as does the work: what keyward is measured against. Whatever
 * fails ends the program. */
#ifndef KW_BENCH_RAW_H
#define KW_BENCH_RAW_H

#include <p11-kit/pkcs11.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            (void)fprintf(stderr, "bench: %s failed (%s:%d)\n", #x, __FILE__, __LINE__);           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct raw {
    const char *module, *label, *pin;
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE priv;
    unsigned char spki[512];
    size_t spki_len;
};

/* Loads the module, logs in, generates an RSA-2048 session key. */
void raw_open(struct raw *k);
CK_SESSION_HANDLE raw_session(struct raw *k); /* one more */

/* C_SignInit and C_Sign with CKM_SHA256_RSA_PKCS; the signature's length. */
size_t raw_sign(struct raw *k, CK_SESSION_HANDLE session, const void *data, size_t n,
                unsigned char sig[512]);

#endif
