/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fetch.h"
#include "policy/rules.h"
#include "src/base/io.h"
#include "src/base/workspace.h"
#include "src/wire/google_name.h"
#include "src/wire/jwt.h"

int kw_format_find(const char *name, enum kw_format *ret, struct kw_err *err)
{
    static const struct {
        const char *name;
        enum kw_format format;
    } all[] = {{"text", KW_FORMAT_TEXT},
               {"access-token", KW_FORMAT_ACCESS_TOKEN},
               {"external-account", KW_FORMAT_EXTERNAL_ACCOUNT},
               {"executable", KW_FORMAT_EXECUTABLE},
               {"env", KW_FORMAT_ENV}};
    *ret = KW_FORMAT_TEXT;
    for (size_t i = 0; name != NULL && i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].name, name) == 0) {
            *ret = all[i].format;
            return 0;
        }
    return name == NULL ? 0
                        : kw_fail(err, KW_USAGE,
                                  "--format must be text, access-token, external-account, "
                                  "executable or env");
}

/* --- output ------------------------------------------------------------------------- */

static bool to_stdout(const char *output)
{
    return output == NULL || strcmp(output, "-") == 0;
}

int kw_format_place(const char *output, struct kw_err *err)
{
    if (to_stdout(output))
        return 0;
    if (output[0] != '/')
        return kw_fail(err, KW_USAGE,
                       "-o must be an absolute path here: what lies in the working directory ends "
                       "in commits, images and caches");
    int r = kw_workspace_refuse(output, err);
    return r != 0 ? kw_err_wrap(err, "-o") : kw_atomic_could(output, err);
}

int kw_format_write(const char *output, const char *text, struct kw_err *err)
{
    if (to_stdout(output))
        return printf("%s\n", text) >= 0
                   ? 0
                   : kw_fail_errno(err, KW_FAILED, "could not write the result");
    struct kw_atomic file = {.fd = -1};
    int r = kw_format_place(output, err);
    if (r == 0)
        r = kw_atomic_result(&file, output, 0600, err);
    if (r == 0 && kw_write_all(file.fd, text, strlen(text)) != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not write %s", output);
    if (r == 0)
        r = kw_atomic_commit(&file, err);
    kw_atomic_abort(&file);
    return r;
}

static int write_json(const char *output, json_t *o, size_t flags, struct kw_err *err)
{
    char *text = o != NULL ? json_dumps(o, flags | JSON_ENSURE_ASCII) : NULL;
    json_decref(o);
    if (text == NULL)
        return kw_fail(err, KW_FAILED, "the result can't be written as JSON");
    int r = kw_format_write(output, text, err);
    explicit_bzero(text, strlen(text));
    free(text);
    return r;
}

/* --- the external account file -------------------------------------------------------- */

/* Clients split the command on white space, each in its own way, and none of them takes
 * quotes alike: so there may be nothing to quote. */
static bool plain(const char *word)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               "/._-+=:@,";
    return word[0] != '\0' && word[strspn(word, good)] == '\0';
}

static int command(const struct kw_config *c, char *out, size_t size, struct kw_err *err)
{
    char self[1024], path[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return kw_fail_errno(err, KW_FAILED, "could not find out keyward's own path");
    self[n] = '\0';
    if (c->path[0] == '\0' || realpath(c->path, path) == NULL)
        return kw_fail(err, KW_USAGE,
                       "an external account file needs a configuration file that keyward can be "
                       "called with again; there is none");
    if (!plain(self) || !plain(path) || !plain(c->profile))
        return kw_fail(err, KW_USAGE,
                       "clients split the command of an external account file on white space: the "
                       "paths of keyward and of its configuration must have none, nor quotes");
    int len = snprintf(out, size,
                       "%s --config %s --profile %s exchange --cloud google --format executable",
                       self, path, c->profile);
    return len > 0 && (size_t)len < size ? 0 : kw_fail(err, KW_USAGE, "the paths are too long");
}

/* What the file has no words for would be dropped without a word. */
static int check_expressible(const struct kw_config *c, struct kw_err *err)
{
    if (c->client_cert[0] != '\0')
        return kw_fail(
            err, KW_USAGE,
            "[google] client_cert: an external account file would have the client do TLS "
            "with a key it can't have; use --format access-token or env");
    if (c->delegates[0] != '\0')
        return kw_fail(err, KW_USAGE,
                       "[google] delegates: an external account file has no chain of service "
                       "accounts; use --format access-token or env");
    return 0;
}

/* Google's libraries refuse a file with less (gcloud, too, when it makes one). */
static int check_lifetime(const struct kw_config *c, struct kw_err *err)
{
    enum { LEAST = 600 };
    return c->service_account[0] == '\0' || c->lifetime >= LEAST
               ? 0
               : kw_fail(err, KW_USAGE,
                         "[google %s] lifetime = %u: Google's libraries refuse an external account "
                         "file with a token_lifetime_seconds below %d; raise it, or use --format "
                         "access-token or env",
                         c->profile, (unsigned)c->lifetime, LEAST);
}

int kw_format_external_account(const struct kw_config *c, const char *output, struct kw_err *err)
{
    struct kw_google_provider p;
    char line[8192], audience[512], type[64], token_url[256], info_url[256], account[256] = "";
    int r = check_expressible(c, err);
    if (r == 0)
        r = check_lifetime(c, err);
    if (r == 0)
        r = kw_google_provider(c->provider, &p, err);
    if (r == 0)
        r = command(c, line, sizeof line, err);
    if (r == 0 && c->service_account[0] != '\0')
        r = kw_google_account(c->service_account, "[google] service_account", account,
                              sizeof account, err);
    if (r != 0)
        return r;
    kw_google_audience(&p, audience, sizeof audience);
    (void)snprintf(type, sizeof type, "urn:ietf:params:oauth:token-type:%s", c->subject_type);
    (void)snprintf(token_url, sizeof token_url, "https://sts.%s/v1/token", c->universe);
    (void)snprintf(info_url, sizeof info_url, "https://sts.%s/v1/introspect", c->universe);
    json_t *o =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:{s:{s:s,s:i}}}", "type", "external_account",
                  "universe_domain", c->universe, "audience", audience, "subject_token_type", type,
                  "token_url", token_url, "token_info_url", info_url, "credential_source",
                  "executable", "command", line, "timeout_millis", 30000);
    if (o != NULL && account[0] != '\0') {
        char url[512];
        (void)snprintf(url, sizeof url,
                       "https://iamcredentials.%s/v1/projects/-/serviceAccounts/%s:"
                       "generateAccessToken",
                       c->universe, account);
        (void)json_object_set_new(o, "service_account_impersonation_url", json_string(url));
        (void)json_object_set_new(o, "service_account_impersonation",
                                  json_pack("{s:i}", "token_lifetime_seconds", (int)c->lifetime));
    }
    if (o != NULL && c->quota_project[0] != '\0')
        (void)json_object_set_new(o, "quota_project_id", json_string(c->quota_project));
    return write_json(output, o, JSON_INDENT(2), err);
}

/* --- the executable's answer ------------------------------------------------------------ */

/* A client that is after another provider's token shall not get ours. */
static int check_audience(const struct kw_config *c, struct kw_err *err)
{
    const char *wanted = getenv("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE");
    struct kw_google_provider p, asked;
    int r = kw_config_check_google(c, err);
    if (r == 0)
        r = check_expressible(c, err);
    if (r != 0 || wanted == NULL || wanted[0] == '\0')
        return r;
    r = kw_google_provider(c->provider, &p, err);
    if (r == 0 &&
        (kw_google_provider(wanted, &asked, NULL) != 0 || strcmp(asked.name, p.name) != 0))
        r = kw_fail(err, KW_POLICY, "the client asks for a token for %.300s, but profile %s is %s",
                    wanted, c->profile, p.name);
    return r;
}

static json_t *success(const struct kw_config *c, const struct kw_secret *token, int64_t exp)
{
    char type[64];
    (void)snprintf(type, sizeof type, "urn:ietf:params:oauth:token-type:%s", c->subject_type);
    return json_pack("{s:i,s:b,s:s,s:s,s:I}", "version", 1, "success", 1, "token_type", type,
                     "id_token", kw_secret_bytes(token), "expiration_time", (json_int_t)exp);
}

static int subject(struct kw_config *c, struct kw_secret **ret, int64_t *ret_exp,
                   struct kw_err *err)
{
    char source[256];
    struct kw_jwt j;
    const struct kw_source_ways ways = kw_ways_alone(c, true);
    int r = check_audience(c, err);
    if (r == 0)
        r = kw_source_get(c, &ways, source, sizeof source, ret, err);
    if (r == 0)
        r = kw_jwt_decode(kw_secret_bytes(*ret), kw_secret_len(*ret), "the subject token",
                          KW_SUBJECT, &j, err);
    if (r != 0)
        return r;
    struct kw_m_keeper_session given = {.principal = ""}; /* for the log */
    const char *sub = kw_jwt_str(&j, "sub");
    (void)snprintf(given.principal, sizeof given.principal, "%s", sub != NULL ? sub : "?");
    kw_printable(given.principal);
    r = kw_source_judge(c, &j, given.claims, sizeof given.claims, err);
    if (r == 0 && !kw_jwt_time(&j, "exp", ret_exp))
        r = kw_fail(err, KW_SUBJECT, "the subject token has no exp");
    kw_jwt_free(&j);
    given.not_after = r == 0 && *ret_exp > 0 ? (uint64_t)*ret_exp : 0;
    return r != 0 ? r : kw_given_alone(c, &given, err);
}

int kw_format_executable(struct kw_config *c, struct kw_err *err)
{
    struct kw_secret *token = NULL;
    int64_t exp = 0;
    char code[16];
    const char *file = getenv("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE");
    int failed = file != NULL && file[0] != '\0' ? kw_format_place(file, err) : 0;
    if (failed == 0)
        failed = subject(c, &token, &exp, err);
    (void)snprintf(code, sizeof code, "%d", failed);
    json_t *o = failed == 0 ? success(c, token, exp)
                            : json_pack("{s:i,s:b,s:s,s:s}", "version", 1, "success", 0, "code",
                                        code, "message", err->text);
    kw_secret_free(&token);
    int r = 0;
    /* Only what a client may take from there again: an error is not to be kept. */
    if (failed == 0 && file != NULL && file[0] != '\0')
        r = write_json(file, json_incref(o), JSON_COMPACT, err);
    int printed = write_json(NULL, o, JSON_COMPACT, err);
    if (failed == KW_SANDBOX)
        return failed; /* whatever the client makes of it */
    return r != 0 ? r : printed;
}

/* --- environment ----------------------------------------------------------------------- */

static int print_variable(const char *name, const char *value, struct kw_err *err)
{
    if (strchr(value, '\'') != NULL)
        return kw_fail(err, KW_USAGE, "the path of -o has a quote, which no line for a shell may");
    (void)printf("export %s='%s'\n", name, value);
    return 0;
}

int kw_format_env(const struct kw_session *s, const char *file, struct kw_err *err)
{
    if (to_stdout(file))
        return kw_fail(err, KW_USAGE,
                       "--format env needs -o FILE for the token: a token in the environment is "
                       "open to everything that is started from there");
    int r = kw_format_write(file, kw_secret_bytes(s->token), err);
    if (r == 0)
        r = print_variable("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", file, err);
    if (r == 0 && s->config->quota_project[0] != '\0')
        r = print_variable("GOOGLE_CLOUD_QUOTA_PROJECT", s->config->quota_project, err);
    return r;
}
