/* SPDX-License-Identifier: Apache-2.0
 *
 * Bookkeeping of the PKCS#11 calls under way. Several threads may be inside the
 * module at once; a page that just held the last value written would end up naming
 * a call that returned long ago, so calls are counted per kind and the page shows
 * one whose count is not zero.
 */
#include "progress.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char *const names[KW_P11_CALLS] = {
    [KW_P11_NONE] = "",
    [KW_P11_DLOPEN] = "dlopen",
    [KW_P11_GetFunctionList] = "C_GetFunctionList",
    [KW_P11_Initialize] = "C_Initialize",
    [KW_P11_GetSlotList] = "C_GetSlotList",
    [KW_P11_GetTokenInfo] = "C_GetTokenInfo",
    [KW_P11_GetMechanismList] = "C_GetMechanismList",
    [KW_P11_GetMechanismInfo] = "C_GetMechanismInfo",
    [KW_P11_OpenSession] = "C_OpenSession",
    [KW_P11_GetSessionInfo] = "C_GetSessionInfo",
    [KW_P11_Login] = "C_Login",
    [KW_P11_GenerateKeyPair] = "C_GenerateKeyPair",
    [KW_P11_GetAttributeValue] = "C_GetAttributeValue",
    [KW_P11_SetAttributeValue] = "C_SetAttributeValue",
    [KW_P11_CreateObject] = "C_CreateObject",
    [KW_P11_CopyObject] = "C_CopyObject",
    [KW_P11_WrapKey] = "C_WrapKey",
    [KW_P11_GenerateKey] = "C_GenerateKey",
    [KW_P11_FindObjectsInit] = "C_FindObjectsInit",
    [KW_P11_FindObjects] = "C_FindObjects",
    [KW_P11_FindObjectsFinal] = "C_FindObjectsFinal",
    [KW_P11_SignInit] = "C_SignInit",
    [KW_P11_Sign] = "C_Sign",
    [KW_P11_DestroyObject] = "C_DestroyObject",
    [KW_P11_CloseSession] = "C_CloseSession",
    [KW_P11_Logout] = "C_Logout",
    [KW_P11_Finalize] = "C_Finalize",
    [KW_P11_LIBP11] = "the enumeration of slots",
};

static struct kw_progress private_page;
static struct kw_progress *page = &private_page;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned inside[KW_P11_CALLS]; /* threads inside each call */
static _Thread_local uint32_t mine;   /* the call that this thread is in */

const char *kw_progress_name(uint32_t call)
{
    return call < KW_P11_CALLS ? names[call] : "";
}

struct kw_progress *kw_progress_map(int fd)
{
    struct stat st;
    page = &private_page;
    /* a shorter file would turn a store into SIGBUS */
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof *page) {
        void *m = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (m != MAP_FAILED)
            page = m;
    }
    return page;
}

/* Moves this thread from one call to another and republishes. */
static void move(uint32_t from, uint32_t to)
{
    uint32_t shown = to;
    (void)pthread_mutex_lock(&lock);
    if (from != KW_P11_NONE && inside[from] > 0)
        inside[from]--;
    if (to != KW_P11_NONE)
        inside[to]++;
    for (uint32_t i = 1; shown == KW_P11_NONE && i < KW_P11_CALLS; i++)
        if (inside[i] > 0)
            shown = i;
    atomic_store(&page->call, shown);
    (void)pthread_mutex_unlock(&lock);
    mine = to;
}

uint32_t kw_progress_enter(enum kw_p11_call call)
{
    uint32_t previous = mine;
    move(previous, call);
    atomic_fetch_add(&page->count, 1);
    return previous;
}

void kw_progress_leave(uint32_t previous)
{
    move(mine, previous < KW_P11_CALLS ? previous : KW_P11_NONE);
}
