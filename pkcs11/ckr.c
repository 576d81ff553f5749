/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of return values and mechanisms, for messages. A table of our own because
 * neither libp11 nor p11-kit gives the CKR_ names that documentation and search
 * engines know.
 */
#include <stdio.h>

#include "internal.h"

struct name {
    CK_ULONG value;
    const char *text;
};

#define NAME(x)                                                                                    \
    {                                                                                              \
        x, #x                                                                                      \
    }

static const struct name rvs[] = {
    NAME(CKR_ACTION_PROHIBITED),
    NAME(CKR_ARGUMENTS_BAD),
    NAME(CKR_ATTRIBUTE_READ_ONLY),
    NAME(CKR_ATTRIBUTE_SENSITIVE),
    NAME(CKR_ATTRIBUTE_TYPE_INVALID),
    NAME(CKR_ATTRIBUTE_VALUE_INVALID),
    NAME(CKR_BUFFER_TOO_SMALL),
    NAME(CKR_CANCEL),
    NAME(CKR_CANT_LOCK),
    NAME(CKR_CRYPTOKI_ALREADY_INITIALIZED),
    NAME(CKR_CRYPTOKI_NOT_INITIALIZED),
    NAME(CKR_CURVE_NOT_SUPPORTED),
    NAME(CKR_DATA_INVALID),
    NAME(CKR_DATA_LEN_RANGE),
    NAME(CKR_DEVICE_ERROR),
    NAME(CKR_DEVICE_MEMORY),
    NAME(CKR_DEVICE_REMOVED),
    NAME(CKR_DOMAIN_PARAMS_INVALID),
    NAME(CKR_ENCRYPTED_DATA_INVALID),
    NAME(CKR_ENCRYPTED_DATA_LEN_RANGE),
    NAME(CKR_EXCEEDED_MAX_ITERATIONS),
    NAME(CKR_FIPS_SELF_TEST_FAILED),
    NAME(CKR_FUNCTION_CANCELED),
    NAME(CKR_FUNCTION_FAILED),
    NAME(CKR_FUNCTION_NOT_PARALLEL),
    NAME(CKR_FUNCTION_NOT_SUPPORTED),
    NAME(CKR_FUNCTION_REJECTED),
    NAME(CKR_GENERAL_ERROR),
    NAME(CKR_HOST_MEMORY),
    NAME(CKR_INFORMATION_SENSITIVE),
    NAME(CKR_KEY_CHANGED),
    NAME(CKR_KEY_FUNCTION_NOT_PERMITTED),
    NAME(CKR_KEY_HANDLE_INVALID),
    NAME(CKR_KEY_INDIGESTIBLE),
    NAME(CKR_KEY_NEEDED),
    NAME(CKR_KEY_NOT_NEEDED),
    NAME(CKR_KEY_NOT_WRAPPABLE),
    NAME(CKR_KEY_SIZE_RANGE),
    NAME(CKR_KEY_TYPE_INCONSISTENT),
    NAME(CKR_KEY_UNEXTRACTABLE),
    NAME(CKR_LIBRARY_LOAD_FAILED),
    NAME(CKR_MECHANISM_INVALID),
    NAME(CKR_MECHANISM_PARAM_INVALID),
    NAME(CKR_MUTEX_BAD),
    NAME(CKR_MUTEX_NOT_LOCKED),
    NAME(CKR_NEED_TO_CREATE_THREADS),
    NAME(CKR_NEW_PIN_MODE),
    NAME(CKR_NEXT_OTP),
    NAME(CKR_NO_EVENT),
    NAME(CKR_OBJECT_HANDLE_INVALID),
    NAME(CKR_OK),
    NAME(CKR_OPERATION_ACTIVE),
    NAME(CKR_OPERATION_NOT_INITIALIZED),
    NAME(CKR_PIN_EXPIRED),
    NAME(CKR_PIN_INCORRECT),
    NAME(CKR_PIN_INVALID),
    NAME(CKR_PIN_LEN_RANGE),
    NAME(CKR_PIN_LOCKED),
    NAME(CKR_PIN_TOO_WEAK),
    NAME(CKR_PUBLIC_KEY_INVALID),
    NAME(CKR_RANDOM_NO_RNG),
    NAME(CKR_RANDOM_SEED_NOT_SUPPORTED),
    NAME(CKR_SAVED_STATE_INVALID),
    NAME(CKR_SESSION_CLOSED),
    NAME(CKR_SESSION_COUNT),
    NAME(CKR_SESSION_EXISTS),
    NAME(CKR_SESSION_HANDLE_INVALID),
    NAME(CKR_SESSION_PARALLEL_NOT_SUPPORTED),
    NAME(CKR_SESSION_READ_ONLY),
    NAME(CKR_SESSION_READ_ONLY_EXISTS),
    NAME(CKR_SESSION_READ_WRITE_SO_EXISTS),
    NAME(CKR_SIGNATURE_INVALID),
    NAME(CKR_SIGNATURE_LEN_RANGE),
    NAME(CKR_SLOT_ID_INVALID),
    NAME(CKR_STATE_UNSAVEABLE),
    NAME(CKR_TEMPLATE_INCOMPLETE),
    NAME(CKR_TEMPLATE_INCONSISTENT),
    NAME(CKR_TOKEN_NOT_PRESENT),
    NAME(CKR_TOKEN_NOT_RECOGNIZED),
    NAME(CKR_TOKEN_WRITE_PROTECTED),
    NAME(CKR_UNWRAPPING_KEY_HANDLE_INVALID),
    NAME(CKR_UNWRAPPING_KEY_SIZE_RANGE),
    NAME(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT),
    NAME(CKR_USER_ALREADY_LOGGED_IN),
    NAME(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
    NAME(CKR_USER_NOT_LOGGED_IN),
    NAME(CKR_USER_PIN_NOT_INITIALIZED),
    NAME(CKR_USER_TOO_MANY_TYPES),
    NAME(CKR_USER_TYPE_INVALID),
    NAME(CKR_WRAPPED_KEY_INVALID),
    NAME(CKR_WRAPPED_KEY_LEN_RANGE),
    NAME(CKR_WRAPPING_KEY_HANDLE_INVALID),
    NAME(CKR_WRAPPING_KEY_SIZE_RANGE),
    NAME(CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
};

static const struct name mechs[] = {
    NAME(CKM_RSA_PKCS),        NAME(CKM_RSA_PKCS_OAEP),    NAME(CKM_RSA_X_509),
    NAME(CKM_SHA256_RSA_PKCS), NAME(CKM_DES3_ECB),         NAME(CKM_DES3_CBC),
    NAME(CKM_DES3_CBC_PAD),    NAME(CKM_AES_ECB),          NAME(CKM_AES_CBC),
    NAME(CKM_AES_CBC_PAD),     NAME(CKM_AES_CTR),          NAME(CKM_AES_GCM),
    NAME(CKM_AES_KEY_WRAP),    NAME(CKM_AES_KEY_WRAP_PAD), NAME(CKM_RSA_AES_KEY_WRAP),
};

static const char *find(const struct name *t, size_t n, CK_ULONG value)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].value == value)
            return t[i].text;
    return NULL;
}

const char *kw_ckr_name(CK_RV rv)
{
    static _Thread_local char unknown[32];
    const char *text = find(rvs, sizeof rvs / sizeof rvs[0], rv);
    if (text != NULL)
        return text;
    (void)snprintf(unknown, sizeof unknown, "CKR 0x%lx", rv);
    return unknown;
}

const char *kw_ckm_name(CK_MECHANISM_TYPE m, char out[32])
{
    const char *text = find(mechs, sizeof mechs / sizeof mechs[0], m);
    if (text != NULL)
        (void)snprintf(out, 32, "%s", text);
    else
        (void)snprintf(out, 32, "CKM 0x%lx", m);
    return out;
}

int kw_ck_fail(const struct kw_p11 *p, struct kw_err *err, enum kw_exit code, const char *call,
               CK_RV rv, const char *cure)
{
    return kw_fail(err, code, "%s on %s%s failed: %s (0x%lx)%s%s", call,
                   p->token[0] != '\0' ? "token " : "module ",
                   p->token[0] != '\0' ? p->token : p->module, kw_ckr_name(rv), rv,
                   cure[0] != '\0' ? "; " : "", cure);
}
