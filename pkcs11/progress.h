/* SPDX-License-Identifier: Apache-2.0
 *
 * One page shared by keeper (writer) and main (reader), so that main can name the
 * PKCS#11 call in which a module hangs or dies. Nothing secret in it.
 */
#ifndef KW_PROGRESS_H
#define KW_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than threads that the keeper can have: 64 sessions sign, and it works itself. */
enum { KW_PROGRESS_SLOTS = 72 };

struct kw_progress {
    _Atomic uint64_t count;                    /* PKCS#11 calls made so far */
    _Atomic uint64_t slots[KW_PROGRESS_SLOTS]; /* one a thread that is in a call; else 0 */
};

enum kw_p11_call {
    KW_P11_NONE,
    KW_P11_DLOPEN,
    KW_P11_GetFunctionList,
    KW_P11_Initialize,
    KW_P11_GetSlotList,
    KW_P11_GetTokenInfo,
    KW_P11_GetMechanismList,
    KW_P11_GetMechanismInfo,
    KW_P11_OpenSession,
    KW_P11_GetSessionInfo,
    KW_P11_Login,
    KW_P11_GenerateKeyPair,
    KW_P11_GetAttributeValue,
    KW_P11_SetAttributeValue,
    KW_P11_CreateObject,
    KW_P11_CopyObject,
    KW_P11_WrapKey,
    KW_P11_GenerateKey,
    KW_P11_FindObjectsInit,
    KW_P11_FindObjects,
    KW_P11_FindObjectsFinal,
    KW_P11_SignInit,
    KW_P11_Sign,
    KW_P11_DestroyObject,
    KW_P11_CloseSession,
    KW_P11_Logout,
    KW_P11_Finalize,
    KW_P11_LIBP11, /* inside libp11's enumeration */
    KW_P11_CALLS
};

/* "C_Sign"; "" for none. */
const char *kw_progress_name(uint32_t call);

/* The reader's: the call that is under way for the longest, for kw_progress_name(), or
 * KW_P11_NONE. */
uint32_t kw_progress_call(const struct kw_progress *p);
/* All of them, the one that is under way the longest first: "C_GenerateKeyPair, C_Sign". A death
 * doesn't tell which thread's it was. Each name once; cut where the room ends. */
void kw_progress_calls(const struct kw_progress *p, char *text, size_t size);
/* Whether any thread is in that call. */
bool kw_progress_inside(const struct kw_progress *p, enum kw_p11_call call);

/* The page of this process: mapped from KW_FD_PROGRESS, or a private one where
 * there is none (fd -1, or not a page; tests). kw_progress_enter() returns what this
 * thread was in before, for kw_progress_leave(). A thread for which there is no slot
 * isn't shown, and nothing else changes for it. */
struct kw_progress *kw_progress_map(int fd);
uint64_t kw_progress_enter(enum kw_p11_call call);
void kw_progress_leave(uint64_t previous);

#endif
