/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { POINT = 65, SIG_MAX = 72 };

#define NAME   "keyward"
#define ONLY   "provider=" NAME
#define GROUP  "prime256v1"
#define PREFER "?provider!=" NAME

static kw_tls_sign *callback;
static void *callback_arg;

/* --- the key: its public half ----------------------------------------------------------- */

struct key {
    unsigned char point[POINT];
    size_t n;
};

static void *key_new(void *provider)
{
    (void)provider;
    return calloc(1, sizeof(struct key));
}

static void key_free(void *key)
{
    free(key);
}

/* The private half is there, as far as anybody asks: it can sign. */
static int key_has(const void *key, int selection)
{
    (void)selection;
    return ((const struct key *)key)->n == POINT;
}

static int key_import(void *key, int selection, const OSSL_PARAM params[])
{
    struct key *k = key;
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    const OSSL_PARAM *pub = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
    const char *name = NULL;
    const void *point = NULL;
    size_t n = 0;
    (void)selection;
    if (group == NULL || pub == NULL || OSSL_PARAM_get_utf8_string_ptr(group, &name) != 1 ||
        strcmp(name, GROUP) != 0 || OSSL_PARAM_get_octet_string_ptr(pub, &point, &n) != 1 ||
        n != POINT)
        return 0;
    memcpy(k->point, point, POINT);
    k->n = POINT;
    return 1;
}

static const OSSL_PARAM *key_types(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                       OSSL_PARAM_END};
    (void)selection;
    return types;
}

/* To compare it with the certificate's, OpenSSL takes the public half out; of the private
 * one there is none, which also keeps the signature here. */
static int key_export(void *key, int selection, OSSL_CALLBACK *take, void *arg)
{
    struct key *k = key;
    char group[] = GROUP;
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || k->n != POINT)
        return 0;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, k->point, k->n),
        OSSL_PARAM_construct_end()};
    return take(params, arg);
}

static int key_get_params(void *key, OSSL_PARAM params[])
{
    const struct key *k = key;
    OSSL_PARAM *p;
    if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_BITS)) != NULL &&
        OSSL_PARAM_set_int(p, 256) != 1)
        return 0;
    if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_SECURITY_BITS)) != NULL &&
        OSSL_PARAM_set_int(p, 128) != 1)
        return 0;
    if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE)) != NULL &&
        OSSL_PARAM_set_int(p, SIG_MAX) != 1)
        return 0;
    if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME)) != NULL &&
        OSSL_PARAM_set_utf8_string(p, GROUP) != 1)
        return 0;
    if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST)) != NULL &&
        OSSL_PARAM_set_utf8_string(p, "SHA256") != 1)
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);
    return p == NULL || OSSL_PARAM_set_octet_string(p, k->point, k->n) == 1;
}

static const OSSL_PARAM *key_gettable(void *provider)
{
    static const OSSL_PARAM all[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_END};
    (void)provider;
    return all;
}

static const char *key_operation(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* --- the signature ------------------------------------------------------------------------- */

static void *sign_new(void *provider, const char *query)
{
    (void)provider, (void)query;
    return calloc(1, 1);
}

static void sign_free(void *ctx)
{
    free(ctx);
}

/* The content's digest is made where the key is. */
static int sign_init(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
    (void)ctx, (void)key, (void)params;
    return digest == NULL || strcasecmp(digest, "SHA256") == 0 ||
           strcasecmp(digest, "SHA2-256") == 0;
}

static int sign_content(void *ctx, unsigned char *sig, size_t *n, size_t size,
                        const unsigned char *content, size_t content_n)
{
    unsigned char made[SIG_MAX];
    size_t made_n = sizeof made;
    (void)ctx;
    if (sig == NULL) {
        *n = SIG_MAX;
        return 1;
    }
    if (callback == NULL || callback(callback_arg, content, content_n, made, &made_n) != 0 ||
        made_n > sizeof made || made_n > size)
        return 0;
    memcpy(sig, made, made_n);
    *n = made_n;
    return 1;
}

/* --- the provider ---------------------------------------------------------------------------- */

typedef void function(void);
#define ENTRY(id, f)                                                                               \
    {                                                                                              \
        OSSL_FUNC_##id, (function *)(f)                                                            \
    }

static const OSSL_DISPATCH key_functions[] = {ENTRY(KEYMGMT_NEW, key_new),
                                              ENTRY(KEYMGMT_FREE, key_free),
                                              ENTRY(KEYMGMT_HAS, key_has),
                                              ENTRY(KEYMGMT_IMPORT, key_import),
                                              ENTRY(KEYMGMT_IMPORT_TYPES, key_types),
                                              ENTRY(KEYMGMT_EXPORT, key_export),
                                              ENTRY(KEYMGMT_EXPORT_TYPES, key_types),
                                              ENTRY(KEYMGMT_GET_PARAMS, key_get_params),
                                              ENTRY(KEYMGMT_GETTABLE_PARAMS, key_gettable),
                                              ENTRY(KEYMGMT_QUERY_OPERATION_NAME, key_operation),
                                              {0, NULL}};
static const OSSL_DISPATCH sign_functions[] = {ENTRY(SIGNATURE_NEWCTX, sign_new),
                                               ENTRY(SIGNATURE_FREECTX, sign_free),
                                               ENTRY(SIGNATURE_DIGEST_SIGN_INIT, sign_init),
                                               ENTRY(SIGNATURE_DIGEST_SIGN, sign_content),
                                               {0, NULL}};
static const OSSL_ALGORITHM keys[] = {
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", ONLY, key_functions, NULL}, {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM signatures[] = {{"ECDSA", ONLY, sign_functions, NULL},
                                            {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **ctx)
{
    static const OSSL_DISPATCH functions[] = {ENTRY(PROVIDER_QUERY_OPERATION, query), {0, NULL}};
    static char self;
    (void)handle, (void)in;
    *ctx = &self;
    *out = functions;
    return 1;
}

int kw_tls_key_init(kw_tls_sign *sign, void *arg, struct kw_err *err)
{
    callback = sign;
    callback_arg = arg;
    /* Whoever doesn't ask for ours by name gets the default provider's. */
    static OSSL_PROVIDER *theirs, *ours; /* as long as the process */
    EVP_PKEY_CTX *touch = NULL;
    if ((theirs = OSSL_PROVIDER_load(NULL, "default")) == NULL ||
        OSSL_PROVIDER_add_builtin(NULL, NAME, init) != 1 ||
        (ours = OSSL_PROVIDER_load(NULL, NAME)) == NULL ||
        EVP_set_default_properties(NULL, PREFER) != 1 ||
        (touch = EVP_PKEY_CTX_new_from_name(NULL, "EC", ONLY)) == NULL)
        return kw_fail(err, KW_FAILED, "OpenSSL did not take the provider of TLS client keys");
    EVP_PKEY_CTX_free(touch);
    return 0;
}

int kw_tls_key_new(EVP_PKEY *pub, EVP_PKEY **ret, struct kw_err *err)
{
    unsigned char point[POINT];
    char group[32];
    size_t n = 0, group_n = 0;
    *ret = NULL;
    if (EVP_PKEY_is_a(pub, "EC") != 1 ||
        EVP_PKEY_get_utf8_string_param(pub, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       &group_n) != 1 ||
        strcmp(group, GROUP) != 0 ||
        EVP_PKEY_get_octet_string_param(pub, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                        sizeof point, &n) != 1 ||
        n != POINT)
        return kw_fail(err, KW_USAGE, "the client certificate's key is not EC on P-256");
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, n),
                           OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", ONLY);
    bool ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, ret, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? 0 : kw_fail(err, KW_FAILED, "OpenSSL did not take the TLS client key");
}
