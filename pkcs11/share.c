/* SPDX-License-Identifier: Apache-2.0
 *
 * One function list for us and for libp11. Some modules (p11-kit-client) hand out a
 * new instance, with its own login and objects, at each C_GetFunctionList, so libp11
 * must not load the module itself. It has no call that takes a list, but
 * PKCS11_CTX_load(ctx, "") does dlopen(""), which in glibc is the main program, and
 * asks that for C_GetFunctionList: the one below, exported by the linker option in
 * CMakeLists.txt.
 *
 * The list differs from the module's where libp11 would do harm: it must neither
 * initialise, finalise nor close what is ours, and an error of C_OpenSession makes
 * 0.4.12 wait for ever.
 */
#include <dlfcn.h>
#include <string.h>

#include "internal.h"

static const struct kw_p11 *lent; /* while libp11 is at work */
static CK_FUNCTION_LIST list;
static CK_C_GetFunctionList own; /* the module's */

static CK_RV initialize(void *args)
{
    (void)args;
    return CKR_CRYPTOKI_ALREADY_INITIALIZED;
}

static CK_RV finalize(void *reserved)
{
    (void)reserved;
    return CKR_OK;
}

static CK_RV close_all(CK_SLOT_ID slot)
{
    (void)slot;
    return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *ret)
{
    CK_RV rv = lent->f->C_OpenSession(slot, flags, app, notify, ret);
    if (rv != CKR_OK)
        *ret = 0; /* every later call in it fails, which libp11 can cope with */
    return CKR_OK;
}

/* One broken reader must not hide the others: libp11 gives up (and 0.4.12 leaks) at the
 * first slot that can't be read, or whose token can't. An empty slot is just passed over. */
static CK_RV slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    if (lent->f->C_GetSlotInfo(slot, info) != CKR_OK)
        *info = (CK_SLOT_INFO){.flags = 0};
    return CKR_OK;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv;
    KW_CK(rv, lent, GetTokenInfo, slot, info);
    return rv == CKR_OK ? CKR_OK : (CK_RV)CKR_TOKEN_NOT_PRESENT;
}

void kw_p11_lend(const struct kw_p11 *p)
{
    lent = p;
    if (p == NULL)
        return;
    void *symbol = dlsym(p->handle, "C_GetFunctionList");
    memcpy(&own, &symbol, sizeof own); /* ISO C has no cast from object to function */
    list = *p->f;
    list.C_Initialize = initialize;
    list.C_Finalize = finalize;
    list.C_CloseAllSessions = close_all;
    list.C_OpenSession = open_session;
    list.C_GetSlotInfo = slot_info;
    list.C_GetTokenInfo = token_info;
}

/* An exported symbol comes first in the dynamic linker's order, so a module that
 * refers to its own C_GetFunctionList may end up here: it gets its own. */
__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    if (lent != NULL) {
        *ret = &list;
        return CKR_OK;
    }
    return own != NULL ? own(ret) : (CK_RV)CKR_GENERAL_ERROR;
}
