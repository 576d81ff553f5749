/* SPDX-License-Identifier: Apache-2.0
 *
 * Bookkeeping of the PKCS#11 calls under way. Several threads may be inside the
 * module at once: each has a slot of the page while it is, with the call and a number
 * that grows from call to call, so that the reader can tell which is there the longest.
 */
#include "progress.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
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
static _Thread_local uint64_t mine; /* what this thread's slot holds; 0: not in a call */
static _Thread_local size_t slot;   /* which one; KW_PROGRESS_SLOTS: none was free */

/* A slot's value: the number of the call above its kind. One word, so that no reader sees
 * the one without the other. */
enum { KIND_BITS = 8, KIND_MASK = (1 << KIND_BITS) - 1 };
static_assert((int)KW_P11_CALLS <= (int)KIND_MASK, "a kind of call fits");

const char *kw_progress_name(uint32_t call)
{
    return call < KW_P11_CALLS ? names[call] : "";
}

/* The oldest call that began after `after`; 0: none. */
static uint64_t next_oldest(const struct kw_progress *p, uint64_t after)
{
    uint64_t oldest = 0;
    for (size_t i = 0; i < KW_PROGRESS_SLOTS; i++) {
        uint64_t v = atomic_load(&p->slots[i]);
        if (v > after && (oldest == 0 || v < oldest))
            oldest = v;
    }
    return oldest;
}

uint32_t kw_progress_call(const struct kw_progress *p)
{
    return (uint32_t)(next_oldest(p, 0) & KIND_MASK);
}

void kw_progress_calls(const struct kw_progress *p, char *text, size_t size)
{
    bool told[KW_P11_CALLS] = {false};
    size_t at = 0;
    text[0] = '\0';
    /* (The page is another's to write: no more rounds than it has slots.) */
    uint64_t v = 0;
    for (size_t i = 0; i < KW_PROGRESS_SLOTS && (v = next_oldest(p, v)) != 0; i++) {
        uint64_t call = v & KIND_MASK;
        if (call >= KW_P11_CALLS || told[call] || names[call][0] == '\0')
            continue;
        told[call] = true;
        int n = snprintf(text + at, size - at, "%s%s", at > 0 ? ", " : "", names[call]);
        if (n < 0 || (size_t)n >= size - at)
            return;
        at += (size_t)n;
    }
}

bool kw_progress_inside(const struct kw_progress *p, enum kw_p11_call call)
{
    bool inside = false;
    for (size_t i = 0; i < KW_PROGRESS_SLOTS && !inside; i++)
        inside = (atomic_load(&p->slots[i]) & KIND_MASK) == (uint64_t)call;
    return inside;
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

/* A free slot for this thread: the one it had last, mostly. */
static void take_slot(uint64_t value)
{
    size_t first = slot;
    for (size_t i = 0; i < KW_PROGRESS_SLOTS; i++) {
        uint64_t none = 0;
        slot = (first + i) % KW_PROGRESS_SLOTS;
        if (atomic_compare_exchange_strong(&page->slots[slot], &none, value))
            return;
    }
    slot = KW_PROGRESS_SLOTS;
}

uint64_t kw_progress_enter(enum kw_p11_call call)
{
    uint64_t previous = mine;
    mine = (atomic_fetch_add(&page->count, 1) + 1) << KIND_BITS | (uint64_t)call;
    if (previous == 0)
        take_slot(mine);
    else if (slot < KW_PROGRESS_SLOTS)
        atomic_store(&page->slots[slot], mine);
    return previous;
}

void kw_progress_leave(uint64_t previous)
{
    mine = previous;
    if (slot < KW_PROGRESS_SLOTS)
        atomic_store(&page->slots[slot], mine);
}
