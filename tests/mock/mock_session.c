/* SPDX-License-Identifier: Apache-2.0
 *
 * mock.so: slots and what is plugged into them, sessions, logins, and their ends.
 */
#include "mock.h"

#include <stdlib.h>
#include <string.h>

pthread_mutex_t mk_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mk_session sessions[MK_SESSIONS];
static bool logged_in[MK_TOKENS];
static CK_SESSION_HANDLE last;
static unsigned shift;
static bool removed;

void mk_sessions_reset(void)
{
    memset(sessions, 0, sizeof sessions);
    memset(logged_in, 0, sizeof logged_in);
    shift = 0;
    removed = false;
}

/* --- slots ----------------------------------------------------------------------------- */

/* One slot more than tokens, so that numbers can move on: token t is in slot
 * 1 + (t + shift) modulo that. */
static CK_ULONG n_slots(void)
{
    unsigned i = 0;
    const char *empty = mk_next("slots", &i);
    return mk_store->n_tokens + 1 + (empty != NULL ? strtoul(empty, NULL, 10) : 0);
}

CK_RV mk_slot(CK_SLOT_ID slot, uint32_t *ret_token)
{
    if (slot < 1 || slot > n_slots())
        return CKR_SLOT_ID_INVALID;
    for (uint32_t t = 0; t < mk_store->n_tokens && !removed; t++)
        if (1 + (t + shift) % (mk_store->n_tokens + 1) == slot) {
            *ret_token = t;
            return CKR_OK;
        }
    return CKR_TOKEN_NOT_PRESENT;
}

static CK_RV slot_list(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *n)
{
    CK_ULONG room = *n, total = n_slots(), got = 0;
    uint32_t t;
    for (CK_SLOT_ID s = 1; s <= total; s++) {
        if (present == CK_TRUE && mk_slot(s, &t) != CKR_OK)
            continue;
        if (list != NULL && got < room)
            list[got] = s;
        got++;
    }
    *n = got;
    return list != NULL && got > room ? CKR_BUFFER_TOO_SMALL : CKR_OK;
}

CK_RV C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *n)
{
    MK_LOCKED("C_GetSlotList", 0, slot_list(present, list, n));
}

/* --- ends -------------------------------------------------------------------------------- */

struct mk_session *mk_session(CK_SESSION_HANDLE h)
{
    for (unsigned i = 0; h != 0 && i < MK_SESSIONS; i++)
        if (sessions[i].open && sessions[i].handle == h)
            return &sessions[i];
    return NULL;
}

bool mk_logged_in(uint32_t token)
{
    return logged_in[token];
}

static void end_login(uint32_t token)
{
    if (logged_in[token])
        mk_objects_private(token);
    logged_in[token] = false;
}

static void end_session(struct mk_session *s)
{
    uint32_t token = s->token;
    bool more = false;
    mk_objects_of(s->handle);
    s->open = false;
    for (unsigned i = 0; i < MK_SESSIONS; i++)
        more = more || (sessions[i].open && sessions[i].token == token);
    if (!more) /* the standard: closing the last one logs out */
        end_login(token);
}

void mk_end_all(void)
{
    for (unsigned i = 0; i < MK_SESSIONS; i++)
        if (sessions[i].open)
            end_session(&sessions[i]);
}

/* die: the call's session; reset: all sessions and the login; remove: the token, for good;
 * renumber: all tokens are in other slots than before, and what is open stays. */
CK_RV mk_fate(const char *what, CK_SESSION_HANDLE h)
{
    CK_RV rv = CKR_OK;
    (void)pthread_mutex_lock(&mk_lock);
    struct mk_session *s = mk_session(h);
    if (strcmp(what, "die") == 0) {
        if (s != NULL)
            end_session(s);
        rv = CKR_SESSION_HANDLE_INVALID;
    } else if (strcmp(what, "reset") == 0) {
        mk_end_all();
        rv = CKR_SESSION_HANDLE_INVALID;
    } else if (strcmp(what, "remove") == 0) {
        mk_end_all();
        removed = true;
        rv = CKR_DEVICE_REMOVED;
    } else if (strcmp(what, "renumber") == 0)
        shift++;
    else
        abort(); /* a test that asks for something else proves nothing */
    (void)pthread_mutex_unlock(&mk_lock);
    return rv;
}

/* --- sessions ------------------------------------------------------------------------------ */

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
    uint32_t token = 0;
    CK_RV rv = mk_slot(slot, &token);
    if (rv == CKR_OK && (flags & CKF_SERIAL_SESSION) == 0)
        rv = CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    if (rv == CKR_OK && (flags & CKF_RW_SESSION) != 0 && mk_told("read-only"))
        rv = CKR_TOKEN_WRITE_PROTECTED;
    if (rv != CKR_OK)
        return rv;
    for (unsigned i = 0; i < MK_SESSIONS; i++) {
        struct mk_session *s = &sessions[i];
        if (s->open)
            continue;
        memset(s, 0, sizeof *s);
        s->open = true;
        s->rw = (flags & CKF_RW_SESSION) != 0;
        s->token = token;
        s->handle = *ret = ++last;
        return CKR_OK;
    }
    return CKR_SESSION_COUNT;
}

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
                    CK_SESSION_HANDLE *ret)
{
    (void)app;
    (void)notify;
    MK_LOCKED("C_OpenSession", 0, open_session(slot, flags, ret));
}

static CK_RV close_session(CK_SESSION_HANDLE h)
{
    struct mk_session *s = mk_session(h);
    if (s == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    end_session(s);
    return CKR_OK;
}

CK_RV C_CloseSession(CK_SESSION_HANDLE h)
{
    MK_LOCKED("C_CloseSession", h, close_session(h));
}

static CK_RV close_all(CK_SLOT_ID slot)
{
    uint32_t token = 0;
    CK_RV rv = mk_slot(slot, &token);
    for (unsigned i = 0; rv == CKR_OK && i < MK_SESSIONS; i++)
        if (sessions[i].open && sessions[i].token == token)
            end_session(&sessions[i]);
    return rv;
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slot)
{
    MK_LOCKED("C_CloseAllSessions", 0, close_all(slot));
}

static CK_RV session_info(CK_SESSION_HANDLE h, CK_SESSION_INFO *info)
{
    const struct mk_session *s = mk_session(h);
    if (s == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    CK_STATE in = s->rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    CK_STATE out = s->rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
    memset(info, 0, sizeof *info);
    info->slotID = 1 + (s->token + shift) % (mk_store->n_tokens + 1);
    info->flags = CKF_SERIAL_SESSION | (s->rw ? CKF_RW_SESSION : 0);
    info->state = logged_in[s->token] ? in : out;
    return CKR_OK;
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE h, CK_SESSION_INFO *info)
{
    MK_LOCKED("C_GetSessionInfo", h, session_info(h, info));
}

/* --- the login ------------------------------------------------------------------------------- */

static CK_RV login(CK_SESSION_HANDLE h, CK_USER_TYPE user, const CK_BYTE *pin, CK_ULONG n)
{
    const struct mk_session *s = mk_session(h);
    if (s == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    struct mk_token *t = &mk_store->tokens[s->token];
    if (user != CKU_USER)
        return CKR_USER_TYPE_INVALID;
    if (logged_in[s->token])
        return CKR_USER_ALREADY_LOGGED_IN;
    if (t->wrong >= 3)
        return CKR_PIN_LOCKED;
    bool pad = pin == NULL && mk_told("pad");
    if (!pad && (pin == NULL || n != strlen(t->pin) || memcmp(pin, t->pin, n) != 0)) {
        t->wrong++;
        return CKR_PIN_INCORRECT;
    }
    t->wrong = 0;
    logged_in[s->token] = true;
    return CKR_OK;
}

CK_RV C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG n)
{
    MK_LOCKED("C_Login", h, login(h, user, pin, n));
}

static CK_RV logout(CK_SESSION_HANDLE h)
{
    const struct mk_session *s = mk_session(h);
    if (s == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    if (!logged_in[s->token])
        return CKR_USER_NOT_LOGGED_IN;
    end_login(s->token);
    return CKR_OK;
}

CK_RV C_Logout(CK_SESSION_HANDLE h)
{
    MK_LOCKED("C_Logout", h, logout(h));
}
