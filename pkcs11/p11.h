/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's view of a PKCS#11 token. Raw Cryptoki (PKCS#11 v2.40) does the key's
 * life: load, login, generate, verify, try to extract, sign, destroy. libp11 does
 * the enumeration and choice of slot and token, and (for TLS client keys, later)
 * EVP_PKEY. Both use one and the same function list.
 *
 * Errors carry the call's name, the CKR name and number, the token, and the cure;
 * KW_TOKEN unless said otherwise.
 */
#ifndef KW_P11_H
#define KW_P11_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/base/secret.h"
#include "src/ipc/messages.h"

struct kw_p11; /* a loaded module with one chosen token */

/* Loads cfg->module once (dlopen, one C_GetFunctionList, C_Initialize with OS
 * locking and cfg->module_args). Standard output points to standard error while
 * and after the module is loaded, so that it can't write into our results. */
int kw_p11_load(const struct kw_m_keeper_start *cfg, struct kw_p11 **ret, struct kw_err *err);

/* Chooses the token by label, serial, manufacturer and model through libp11; none
 * or several matches are errors that list what is there. Looks again a few times
 * before it says that a token is missing (SoftHSM rewrites its files at login).
 * Fills the token's part of *info, the mechanism and the key sizes. */
int kw_p11_choose(struct kw_p11 *p, struct kw_m_keeper_ready *info, struct kw_err *err);

/* Reads the PIN from where cfg says (messages.h, enum kw_pin_source): descriptor,
 * file with strict owner and mode, prompt on /dev/tty without echo. At most 256
 * bytes. KW_PIN_NONE gives *ret = NULL. KW_PIN where it can't be had. */
int kw_pin_read(const struct kw_m_keeper_start *cfg, struct kw_secret **ret, struct kw_err *err);

/* Opens the sessions and logs in: exactly one C_Login. A token that says FINAL_TRY
 * or LOCKED is refused before that (KW_PIN), as is a wrong PIN after it. NULL pin:
 * protected authentication path. CKR_USER_ALREADY_LOGGED_IN is an error: it would
 * not prove the PIN. */
int kw_p11_login(struct kw_p11 *p, const struct kw_secret *pin, struct kw_err *err);

struct kw_p11_key {
    CK_SESSION_HANDLE home;     /* session that a session object lives and dies with, else 0 */
    CK_OBJECT_HANDLE priv, pub; /* pub 0 where the token has no such object */
    CK_MECHANISM_TYPE mech;     /* CKM_SHA256_RSA_PKCS, or CKM_RSA_PKCS with DigestInfo; or
                                   CKM_ECDSA: P-256, signature r and s of 32 bytes each */
    unsigned bits;
    unsigned rung;     /* 1..4; 0 for a key that was found, not made */
    bool token_object; /* survives the session */
    unsigned char id[32];
    size_t id_len;
    char attributes[512]; /* as read back one by one */
    unsigned char spki[KW_SPKI_MAX];
    size_t spki_len;
};

/* Generates an RSA key pair on the strictest rung of the template ladder that the
 * token takes (facts: rungs 1, 2 session objects; 3, 4 token objects and only if
 * token_object), reads every attribute back one by one and checks it; a deviation
 * not in `accept` (enum kw_accept) destroys the key and fails. A key of rung 1 or 3 that
 * can't sign is destroyed, too, and the next rung is taken: it is tried by one signature of
 * fixed text that is no request, which is in no budget and no log. May run on a thread
 * of its own: takes its own session. CKA_ID is random; label "keyward session". */
int kw_p11_generate(struct kw_p11 *p, unsigned bits, bool token_object, unsigned accept,
                    struct kw_p11_key *ret, struct kw_err *err);

/* Generates a throwaway twin (same template, smallest size the mechanism allows,
 * at least 1024 bits) and tries to get its private part out: C_GetAttributeValue
 * of each private attribute, C_WrapKey with every wrap mechanism on offer (AES and
 * RSA wrapping keys made for it), C_CopyObject and C_SetAttributeValue to
 * EXTRACTABLE or not SENSITIVE; then destroys it. Says what came out. An extraction
 * not in `accept` fails with KW_TOKEN. */
int kw_p11_try_extract(struct kw_p11 *p, bool token_object, unsigned accept,
                       struct kw_m_verdict *ret, struct kw_err *err);

/* Finds a private RSA key by label and/or id (exactly one must match), with its
 * public half; for client and audit keys, and for stored session keys, whose
 * attributes are checked again as in kw_p11_generate() if `strict`. */
int kw_p11_find(struct kw_p11 *p, const char *label, const unsigned char *id, size_t id_len,
                bool strict, unsigned accept, struct kw_p11_key *ret, struct kw_err *err);

/* The same for a key of either kind, RSA or EC on P-256: issuers of JWTs, TLS client keys. */
int kw_p11_find_any(struct kw_p11 *p, const char *label, const unsigned char *id, size_t id_len,
                    struct kw_p11_key *ret, struct kw_err *err);

/* r and s of 32 bytes each as the DER that TLS and X.509 have (RFC 3279 section 2.2.3). */
bool kw_ec_raw_to_der(const unsigned char *raw, size_t n, unsigned char *der, size_t max,
                      size_t *ret_n);

/* Calls each for every key pair stored in the token that keyward made (by label:
 * session keys, and twins that a crash left behind), and for public halves that are
 * left alone (priv is 0 then, and only id and bits are known); stops at the first non-zero
 * answer and returns it. */
int kw_p11_each(struct kw_p11 *p,
                int (*each)(const struct kw_p11_key *k, const char *label, void *arg), void *arg,
                struct kw_err *err);

/* Signs n bytes (with SHA-256; RSASSA-PKCS1-v1_5, or ECDSA): two PKCS#11 calls, C_SignInit and
 * C_Sign. Thread-safe: each call takes one of cfg->sessions sessions, waiting for a
 * free one. A session that died is replaced once. sig has room for 512 bytes. */
int kw_p11_sign(struct kw_p11 *p, const struct kw_p11_key *key, const void *data, size_t n,
                unsigned char *sig, size_t *ret_n, struct kw_err *err);

/* Checks a signature with OpenSSL against the key's public half: does the module
 * sign correctly? */
int kw_p11_check(const struct kw_p11_key *key, const void *data, size_t n, const unsigned char *sig,
                 size_t sig_n, struct kw_err *err);

/* Destroys both halves and makes sure they are gone. Idempotent. */
int kw_p11_destroy(struct kw_p11 *p, struct kw_p11_key *key, struct kw_err *err);

/* Logs out and finalizes; session objects die. The module's code stays mapped: its
 * threads and atexit handlers must not find it gone. Accepts NULL. */
void kw_p11_free(struct kw_p11 *p);

/* "CKR_PIN_INCORRECT" for 0xa0; "CKR 0x..." for unknown ones. */
const char *kw_ckr_name(CK_RV rv);

#endif
