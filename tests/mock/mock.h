/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of mock.so share: the store (tokens and their objects), sessions, the
 * hook that every call passes. mock.c says what the module is for and how it is steered.
 *
 * One lock over the store and the sessions; no call sleeps, hangs or computes under it,
 * so that as many calls run at once as there are sessions.
 */
#ifndef KW_MOCK_H
#define KW_MOCK_H

#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MK_TOKENS   4
#define MK_OBJECTS  96
#define MK_SESSIONS 128
#define MK_VALUE    2560 /* an RSA-4096 key in DER */

/* --- the store: all that is in the tokens ------------------------------------------ */

struct mk_object {
    CK_OBJECT_HANDLE handle; /* 0: a free place */
    uint32_t token;
    CK_SESSION_HANDLE home; /* session of a session object; 0: a token object */
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    CK_ULONG bits;
    uint32_t flags; /* a bit per row of mk_bools */
    unsigned char id[64], label[64];
    CK_ULONG id_n, label_n;
    CK_MECHANISM_TYPE allowed; /* one mechanism; ~0: any */
    unsigned char value[MK_VALUE];
    CK_ULONG value_n; /* DER of the private key, SubjectPublicKeyInfo, or a secret */
};

struct mk_token {
    char label[33], serial[17], pin[33];
    uint32_t wrong; /* PINs in a row: one is "low", two "final", three "locked" */
};

struct mk_store {
    uint32_t n_tokens;
    struct mk_token tokens[MK_TOKENS];
    CK_OBJECT_HANDLE last; /* handle given out */
    struct mk_object objects[MK_OBJECTS];
};

/* CK_BBOOL attributes; what an object has where its template is silent, by class. */
struct mk_bool {
    CK_ATTRIBUTE_TYPE type;
    bool private, public, secret; /* defaults */
};
extern const struct mk_bool mk_bools[];
extern const unsigned mk_n_bools;
bool mk_flag(const struct mk_object *o, CK_ATTRIBUTE_TYPE type);
void mk_set_flag(struct mk_object *o, CK_ATTRIBUTE_TYPE type, bool on);

extern struct mk_store *mk_store; /* never NULL once the module is loaded */
extern pthread_mutex_t mk_lock;   /* over all of this header but the script */

/* --- sessions and what is plugged in (mock_session.c) -------------------------------- */

struct mk_session {
    bool open, rw;
    uint32_t token;
    CK_SESSION_HANDLE handle;
    bool signing;
    CK_MECHANISM_TYPE mech;
    CK_OBJECT_HANDLE key;
    bool finding;
    CK_OBJECT_HANDLE found[MK_OBJECTS];
    CK_ULONG n_found, at;
};

struct mk_session *mk_session(CK_SESSION_HANDLE h); /* NULL: no such session */
bool mk_logged_in(uint32_t token);
/* The token in a slot: CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_PRESENT. */
CK_RV mk_slot(CK_SLOT_ID slot, uint32_t *ret_token);
void mk_sessions_reset(void); /* all sessions and logins gone, slots as at the start */
void mk_end_all(void);        /* as C_Finalize does */
extern atomic_bool mk_initialized;
/* What a call of the script does to the world: "die", "reset", "remove", "renumber". */
CK_RV mk_fate(const char *what, CK_SESSION_HANDLE h);

/* "hang" or "crash" if the script has it for signatures by the key of this label, else "";
 * and what comes of it. */
const char *mk_fate_of(const unsigned char *label, size_t n);
void mk_meet_fate(const char *what);

/* --- objects (mock_object.c) ---------------------------------------------------------- */

/* Fills a free place by the template and the class's defaults; not yet its value. */
CK_RV mk_object_new(struct mk_session *s, CK_OBJECT_CLASS class, CK_KEY_TYPE type,
                    const CK_ATTRIBUTE *t, CK_ULONG n, struct mk_object **ret);
struct mk_object *mk_object(const struct mk_session *s, CK_OBJECT_HANDLE h); /* NULL: none to see */
void mk_object_free(struct mk_object *o);
/* Those of a session that ended; those that need a login. */
void mk_objects_of(CK_SESSION_HANDLE home);
void mk_objects_private(uint32_t token);
/* One attribute as it is, whatever the script shows of it. */
CK_RV mk_attr(const struct mk_object *o, CK_ATTRIBUTE_TYPE type, unsigned char *out, CK_ULONG room,
              CK_ULONG *ret_n);

/* What may not be read of a key that is not extractable. */
bool mk_secret_part(const struct mk_object *o, CK_ATTRIBUTE_TYPE type);
bool mk_leaks(const char *how); /* "leak=HOW" is in the script */

/* --- keys (mock_key.c, mock_pool.c) --------------------------------------------------- */

void mk_keys_reset(void); /* the pool starts anew, as all else does */
CK_RV mk_key_attr(const struct mk_object *o, CK_ATTRIBUTE_TYPE type, unsigned char *out,
                  CK_ULONG room, CK_ULONG *ret_n);
/* The key of an object, with a reference for the caller; NULL: it has none. */
EVP_PKEY *mk_key(const struct mk_object *o);
/* A key pair that is in the token from the start, as keyward would have made it. */
void mk_key_stock(const char *label, const char *id_hex);
/* DER of the nth ready-made RSA key of this size, as base64 (the last one is followed by
 * the first); NULL: there is none. */
const char *mk_pool(CK_ULONG bits, unsigned nth);

/* --- the script (mock_script.c) -------------------------------------------------------- */

struct mk_call {
    CK_RV rv;      /* not CKR_OK: the answer; the call's work is not done */
    CK_RV late;    /* not CKR_OK: the answer after the work is done */
    char what[32]; /* what the script says, for the few calls that act on it themselves */
};

void mk_script_read(void);                          /* KW_MOCK, KW_MOCK_LOG; counts start anew */
bool mk_told(const char *word);                     /* is it in the script? */
const char *mk_next(const char *word, unsigned *i); /* the values of all "word=value" */
/* What reading this attribute for the nth time shows: "0", "1", "flip", "gone", "long";
 * NULL: what it is. Each question is a reading. */
const char *mk_shown(CK_ATTRIBUTE_TYPE type);
/* What the script says of a template's attribute: "force:" and "refuse:". */
const char *mk_forced(CK_ATTRIBUTE_TYPE type);
bool mk_refused(CK_ATTRIBUTE_TYPE type);
/* Logs and counts the call and lets the script do its worst; h: its session, or 0. */
struct mk_call mk_enter(const char *function, CK_SESSION_HANDLE h);
void mk_noise(int fd);

/* A call: MK_CALL(name, session, work); MK_LOCKED does the work under the lock. */
#define MK_CALL(name, h, work)                                                                     \
    struct mk_call call = mk_enter(name, h);                                                       \
    CK_RV rv_ = call.rv != CKR_OK ? call.rv : (work);                                              \
    return rv_ == CKR_OK && call.late != CKR_OK ? call.late : rv_
#define MK_LOCKED(name, h, work)                                                                   \
    struct mk_call call = mk_enter(name, h);                                                       \
    (void)pthread_mutex_lock(&mk_lock);                                                            \
    CK_RV rv_ = call.rv != CKR_OK ? call.rv : (work);                                              \
    (void)pthread_mutex_unlock(&mk_lock);                                                          \
    return rv_ == CKR_OK && call.late != CKR_OK ? call.late : rv_

#endif
