/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose rights a set-up at OCI uses. A key file of the OCI command line's is the
 * administrator's own and on the disk already: it is read, used by main and wiped. A key in
 * the PKCS#11 token signs in the keeper.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "setup_oci.h"
#include "src/base/log.h"
#include "src/base/pyini.h"
#include "src/wire/jwt.h"

enum { PEM_MOST = 16 * 1024 };

/* ~/ is the home directory's, as the command line takes it. */
static int in_home(const char *path, char *out, size_t size, struct kw_err *err)
{
    const char *home = getenv("HOME");
    bool tilde = strncmp(path, "~/", 2) == 0;
    if (tilde && (home == NULL || home[0] != '/'))
        return kw_fail(err, KW_USAGE, "HOME is not set, so %s leads nowhere", path);
    if ((size_t)snprintf(out, size, "%s%s", tilde ? home : "", tilde ? path + 1 : path) >= size ||
        out[0] != '/')
        return kw_fail(err, KW_USAGE, "%.200s is no absolute path, or too long a one", path);
    return 0;
}

static int pass_phrase(char *buf, int size, int rwflag, void *arg)
{
    const struct kw_secret *pass = arg;
    size_t n = pass != NULL ? kw_secret_len(pass) : 0;
    (void)rwflag;
    if (n == 0 || n > (size_t)size)
        return -1;
    memcpy(buf, kw_secret_bytes(pass), n);
    return (int)n;
}

static int read_key(struct kw_oci_admin *a, const char *given, const char *pass, struct kw_err *err)
{
    char path[1024];
    struct kw_secret *pem = NULL, *phrase = NULL;
    int r = in_home(given, path, sizeof path, err);
    if (r == 0)
        r = kw_secret_read_file(path, PEM_MOST, KW_USAGE, &pem, err);
    if (r != 0)
        return r;
    if (pass != NULL)
        phrase = kw_secret_from(pass, strlen(pass));
    BIO *in = BIO_new_mem_buf(kw_secret_bytes(pem), (int)kw_secret_len(pem));
    if (in != NULL)
        a->key = PEM_read_bio_PrivateKey(in, NULL, pass_phrase, phrase);
    BIO_free(in);
    ERR_clear_error();
    kw_secret_free(&phrase);
    kw_secret_free(&pem);
    if (a->key == NULL)
        return kw_fail(err, KW_USAGE,
                       "%s holds no private key in PEM, or one that its pass_phrase doesn't open",
                       path);
    return EVP_PKEY_is_a(a->key, "RSA") == 1
               ? 0
               : kw_fail(err, KW_USAGE, "%s: OCI's API keys are RSA, this one isn't", path);
}

/* A session's keyId is ST$ and its token, which says itself until when. */
static int read_session(struct kw_oci_admin *a, const char *given, const char *profile,
                        struct kw_err *err)
{
    char path[1024];
    struct kw_secret *token = NULL;
    struct kw_jwt jwt;
    int64_t exp = 0;
    int r = in_home(given, path, sizeof path, err);
    if (r == 0)
        r = kw_secret_read_file(path, KW_TOKEN_MAX - 8, KW_USAGE, &token, err);
    if (r == 0)
        r = kw_jwt_decode(kw_secret_bytes(token), kw_secret_len(token), path, KW_USAGE, &jwt, err);
    if (r == 0) {
        if (kw_jwt_time(&jwt, "exp", &exp) && exp <= (int64_t)time(NULL))
            r = kw_fail(err, KW_USAGE,
                        "the session of the OCI profile %s has expired: oci session authenticate "
                        "--profile-name %s",
                        profile, profile);
        kw_jwt_free(&jwt);
    }
    a->key_id = r == 0 ? kw_secret_new(KW_TOKEN_MAX) : NULL;
    if (r == 0 && (a->key_id == NULL || !kw_secret_add(a->key_id, "ST$", 3) ||
                   !kw_secret_add(a->key_id, kw_secret_bytes(token), kw_secret_len(token))))
        r = kw_fail(err, KW_FAILED, "no room for the session token");
    kw_secret_free(&token);
    return r;
}

/* TENANCY/USER/FINGERPRINT, which goes into a header between quotes. */
static int take_key_id(struct kw_oci_admin *a, const char *id, struct kw_err *err)
{
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:/";
    if (id[strspn(id, all)] != '\0')
        return kw_fail(err, KW_USAGE, "'%.200s' is no key's id: it is OCIDs and a fingerprint", id);
    a->key_id = kw_secret_from(id, strlen(id));
    return a->key_id != NULL ? 0 : kw_fail(err, KW_FAILED, "no room for a key's id");
}

static int key_id_of(struct kw_oci_admin *a, const char *tenancy, const char *user,
                     const char *fingerprint, const char *profile, struct kw_err *err)
{
    char id[512];
    if (tenancy == NULL || user == NULL || fingerprint == NULL)
        return kw_fail(err, KW_USAGE, "the OCI profile %s lacks %s", profile,
                       tenancy == NULL ? "tenancy"
                       : user == NULL  ? "user"
                                       : "fingerprint");
    if ((size_t)snprintf(id, sizeof id, "%s/%s/%s", tenancy, user, fingerprint) >= sizeof id)
        return kw_fail(err, KW_USAGE, "the OCI profile %s has over-long values", profile);
    return take_key_id(a, id, err);
}

static int from_profile(struct kw_oci_admin *a, const char *file, const char *profile,
                        struct kw_err *err)
{
    char path[1024];
    json_t *ini = NULL;
    int r = in_home(file, path, sizeof path, err);
    if (r == 0)
        r = kw_pyini_read(path, false, &ini, err);
    if (r != 0)
        return r;
    if (json_object_get(ini, profile) == NULL) {
        json_decref(ini);
        return kw_fail(err, KW_USAGE, "%s has no profile [%s]; choose one by --admin-profile", path,
                       profile);
    }
    const char *key = kw_pyini_get(ini, profile, "key_file", true);
    const char *tenancy = kw_pyini_get(ini, profile, "tenancy", true);
    const char *region = kw_pyini_get(ini, profile, "region", true);
    const char *session = kw_pyini_get(ini, profile, "security_token_file", true);
    a->kind = KW_ADMIN_KEY;
    (void)snprintf(a->tenancy, sizeof a->tenancy, "%s", tenancy != NULL ? tenancy : "");
    (void)snprintf(a->region, sizeof a->region, "%s", region != NULL ? region : "");
    (void)snprintf(a->who, sizeof a->who, "profile %.100s of %.300s%s", profile, path,
                   session != NULL ? " (its session token)" : "");
    if (key == NULL)
        r = kw_fail(err, KW_USAGE, "the OCI profile %s has no key_file", profile);
    if (r == 0)
        r = read_key(a, key, kw_pyini_get(ini, profile, "pass_phrase", true), err);
    if (r == 0)
        r = session != NULL
                ? read_session(a, session, profile, err)
                : key_id_of(a, tenancy, kw_pyini_get(ini, profile, "user", true),
                            kw_pyini_get(ini, profile, "fingerprint", true), profile, err);
    json_decref(ini);
    return r;
}

/* keyId is tenancy/user/fingerprint; the key itself is found by the keeper. */
static int from_token(struct kw_setup *s, struct kw_oci_admin *a, const char *uri,
                      struct kw_err *err)
{
    const char *id = kw_arg(s->args, "admin-key-id");
    int r = kw_uri_parse(uri, KW_URI_OBJECT, &s->config->client_key, err);
    if (r != 0)
        return kw_err_wrap(err, "--admin-key");
    if (id == NULL || strchr(id, '/') == NULL || strlen(id) >= 512)
        return kw_fail(err, KW_USAGE,
                       "--admin-key needs --admin-key-id TENANCY/USER/FINGERPRINT, as the console "
                       "shows it beside the key");
    s->config->client_key_set = s->config->client_key_admin = true;
    a->kind = KW_ADMIN_TOKEN;
    (void)snprintf(a->tenancy, sizeof a->tenancy, "%.*s", (int)strcspn(id, "/"), id);
    (void)snprintf(a->who, sizeof a->who, "the API key %.200s in the token", uri);
    return take_key_id(a, id, err);
}

int kw_oci_admin(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *profile = kw_arg(s->args, "admin-profile"), *key = kw_arg(s->args, "admin-key");
    const char *file = getenv("OCI_CLI_CONFIG_FILE"), *named = getenv("OCI_CLI_PROFILE");
    bool bearer = kw_arg(s->args, "admin-token-file") != NULL ||
                  kw_arg(s->args, "admin-token-command") != NULL;
    if ((profile != NULL) + (key != NULL) + bearer > 1)
        return kw_fail(err, KW_USAGE,
                       "whose rights? Give one of --admin-profile, --admin-key and "
                       "--admin-token-...");
    if (s->commands)
        return 0;
    int r = 0;
    if (bearer) {
        o->admin.kind = KW_ADMIN_BEARER;
        (void)snprintf(o->admin.who, sizeof o->admin.who, "the access token that was given");
        return kw_setup_admin(s, NULL, err);
    }
    if (key != NULL)
        return from_token(s, &o->admin, key, err);
    if (profile == NULL)
        profile = kw_pyini_get(o->from, "OCIConfig", "cli_profile", false);
    if (profile == NULL || profile[0] == '\0')
        profile = named != NULL && named[0] != '\0' ? named : "DEFAULT";
    if (file == NULL || file[0] == '\0')
        file = "~/.oci/config";
    r = from_profile(&o->admin, file, profile, err);
    if (r != 0)
        return kw_err_wrap(err, "the administrator's rights");
    kw_log(KW_INFO, "asking as %s", o->admin.who);
    return 0;
}

void kw_oci_admin_free(struct kw_oci_admin *a)
{
    EVP_PKEY_free(a->key);
    kw_secret_free(&a->key_id);
    a->key = NULL;
}
