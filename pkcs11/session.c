/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions and the one login. A pool of sessions signs in parallel; keys are born in
 * sessions of their own, because session objects die with theirs.
 */
#include <string.h>

#include "internal.h"
#include "src/base/log.h"

/* One at a time: where two threads open and close sessions at once, tpm2-pkcs11 1.9 loses some
 * (CKR_SESSION_HANDLE_INVALID in whatever comes next; tests/interop/tokens/tpm2.sh). */
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;

int kw_token_session_open(struct kw_p11 *p, bool rw, CK_SESSION_HANDLE *ret, struct kw_err *err)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION | (rw && !p->read_only ? CKF_RW_SESSION : 0);
    CK_RV rv;
    *ret = 0;
    (void)pthread_mutex_lock(&table);
    KW_CK(rv, p, OpenSession, p->slot, flags, NULL, NULL, ret);
    (void)pthread_mutex_unlock(&table);
    if (rv != CKR_OK) {
        *ret = 0;
        return kw_ck_fail(p, err, KW_TOKEN, "C_OpenSession", rv,
                          rv == CKR_SESSION_COUNT ? "lower [token] sessions" : "");
    }
    if (*ret == 0)
        return kw_fail(err, KW_TOKEN, "C_OpenSession on token %s gave an invalid session",
                       p->token);
    return 0;
}

void kw_token_session_close(struct kw_p11 *p, CK_SESSION_HANDLE *s)
{
    CK_RV rv;
    if (*s == 0)
        return;
    (void)pthread_mutex_lock(&table);
    KW_CK(rv, p, CloseSession, *s);
    (void)pthread_mutex_unlock(&table);
    (void)rv; /* it may have died before; then it is closed */
    *s = 0;
}

int kw_pool_take(struct kw_p11 *p, unsigned *ret_index, CK_SESSION_HANDLE *ret, struct kw_err *err)
{
    struct kw_pool *pool = &p->pool;
    unsigned i = 0;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->n == 0) {
        (void)pthread_mutex_unlock(&pool->lock);
        return kw_fail(err, KW_TOKEN, "not logged in to token %s", p->token);
    }
    for (;;) {
        for (i = 0; i < pool->n && pool->busy[i]; i++)
            ;
        if (i < pool->n)
            break;
        (void)pthread_cond_wait(&pool->freed, &pool->lock);
    }
    pool->busy[i] = true;
    (void)pthread_mutex_unlock(&pool->lock);
    *ret_index = i;
    *ret = pool->all[i]; /* ours alone while busy */
    if (*ret != 0)
        return 0;
    int r = kw_pool_renew(p, i, ret, err);
    if (r != 0)
        kw_pool_give(p, i);
    return r;
}

int kw_pool_renew(struct kw_p11 *p, unsigned index, CK_SESSION_HANDLE *ret, struct kw_err *err)
{
    /* The new one first: closing an application's last session logs it out. */
    int r = kw_token_session_open(p, false, ret, err);
    kw_token_session_close(p, &p->pool.all[index]);
    p->pool.all[index] = *ret; /* 0 if it could not be opened: tried again at the next take */
    return r;
}

void kw_pool_give(struct kw_p11 *p, unsigned index)
{
    (void)pthread_mutex_lock(&p->pool.lock);
    p->pool.busy[index] = false;
    (void)pthread_cond_signal(&p->pool.freed);
    (void)pthread_mutex_unlock(&p->pool.lock);
}

void kw_pool_close(struct kw_p11 *p)
{
    for (unsigned i = 0; i < p->pool.n; i++)
        kw_token_session_close(p, &p->pool.all[i]);
    p->pool.n = 0;
}

static int fill_pool(struct kw_p11 *p, struct kw_err *err)
{
    while (p->pool.n < p->sessions) {
        int r = kw_token_session_open(p, false, &p->pool.all[p->pool.n], err);
        if (r != 0 && p->pool.n == 0)
            return r;
        if (r != 0) {
            kw_log(KW_INFO, "%u sessions instead of %u: %s", p->pool.n, p->sessions, err->text);
            break;
        }
        p->pool.n++;
    }
    return 0;
}

/* What C_Login answers when the PIN was certainly not looked at. Anything else may
 * have cost a try, so that it gets the exit code on which nobody restarts us. */
static bool no_try_spent(CK_RV rv)
{
    switch (rv) {
    case CKR_HOST_MEMORY:
    case CKR_ARGUMENTS_BAD:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
    case CKR_DEVICE_MEMORY:
    case CKR_DEVICE_REMOVED:
    case CKR_OPERATION_ACTIVE:
    case CKR_SESSION_CLOSED:
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_READ_ONLY_EXISTS:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_USER_ANOTHER_ALREADY_LOGGED_IN:
    case CKR_USER_TOO_MANY_TYPES:
    case CKR_USER_TYPE_INVALID:
        return true;
    default:
        return false;
    }
}

static const char *login_cure(CK_RV rv)
{
    switch (rv) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
        return "the PIN is wrong; it is not tried again: correct the PIN source first";
    case CKR_PIN_LOCKED:
        return "unlock the PIN with the security officer's tool";
    case CKR_PIN_EXPIRED:
        return "set a new PIN with the vendor's tool";
    case CKR_USER_PIN_NOT_INITIALIZED:
        return "set the user PIN first";
    default:
        return no_try_spent(rv) ? "" : "it may have cost a try of the PIN, so it is not repeated";
    }
}

/* A field as libp11 reads it: without the blanks at its end. */
static bool field_is(const unsigned char *field, size_t size, const char *text)
{
    char copy[65];
    while (size > 0 && field[size - 1] == ' ')
        size--;
    memcpy(copy, field, size);
    copy[size] = '\0';
    return strcmp(copy, text) == 0;
}

/* May C_Login be called at all? Fresh flags: others share the token. And the same token:
 * where readers come and go, another one may be in the slot by now, and would take our PIN
 * for a wrong one. */
static int judge_flags(struct kw_p11 *p, bool has_pin, bool *ret_needed, bool *ret_low,
                       struct kw_err *err)
{
    CK_TOKEN_INFO i;
    CK_RV rv;
    memset(&i, 0, sizeof i);
    KW_CK(rv, p, GetTokenInfo, p->slot, &i);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_GetTokenInfo", rv, "");
    if (!field_is(i.label, sizeof i.label, p->has_label) ||
        !field_is(i.serialNumber, sizeof i.serialNumber, p->has_serial))
        return kw_fail(err, KW_TOKEN,
                       "token %s is no longer in the slot where it was found, and another one is; "
                       "the PIN was not tried: start over",
                       p->token);
    if (i.flags & CKF_USER_PIN_LOCKED)
        return kw_fail(err, KW_PIN,
                       "the PIN of token %s is locked, so it was not tried; unlock it with the "
                       "security officer's tool",
                       p->token);
    if (i.flags & CKF_USER_PIN_FINAL_TRY)
        return kw_fail(err, KW_PIN,
                       "token %s allows one more PIN try before it locks, so it was not tried; "
                       "log in by hand once (pkcs11-tool --login) and correct the PIN source",
                       p->token);
    *ret_low = (i.flags & CKF_USER_PIN_COUNT_LOW) != 0;
    *ret_needed = has_pin || (i.flags & CKF_LOGIN_REQUIRED) != 0;
    if (!has_pin && *ret_needed && (i.flags & CKF_PROTECTED_AUTHENTICATION_PATH) == 0)
        return kw_fail(err, KW_PIN,
                       "token %s wants a PIN and has no PIN pad of its own; give a PIN source",
                       p->token);
    return 0;
}

int kw_p11_login(struct kw_p11 *p, const struct kw_secret *pin, struct kw_err *err)
{
    bool needed = true, low = false;
    if (!p->chosen)
        return kw_fail(err, KW_TOKEN, "no token has been chosen in module %s", p->module);
    int r = fill_pool(p, err); /* first: a session stays with its token, a slot may not */
    if (r == 0)
        r = judge_flags(p, pin != NULL, &needed, &low, err);
    if (r != 0 || !needed)
        return r;
    CK_RV rv;
    KW_CK(rv, p, Login, p->pool.all[0], CKU_USER,
          pin != NULL ? kw_unconst(kw_secret_bytes(pin)) : NULL,
          pin != NULL ? kw_secret_len(pin) : 0);
    if (rv == CKR_USER_ALREADY_LOGGED_IN)
        return kw_fail(err, KW_TOKEN,
                       "token %s says that we are logged in already, so the PIN proves nothing; "
                       "load the module without its own login",
                       p->token);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, no_try_spent(rv) ? KW_TOKEN : KW_PIN, "C_Login", rv,
                          login_cure(rv));
    p->logged_in = true;
    if (low) /* news only where this PIN was right: the error says it otherwise */
        kw_log(KW_WARN, "token %s reports earlier wrong PINs", p->token);
    return 0;
}
