/* SPDX-License-Identifier: Apache-2.0
 *
 * What the keeper is told at its start: token, PIN source, key and signing policy. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session.h"
#include "src/base/b64.h"
#include "src/wire/google_name.h"
#include "src/wire/url.h"

#define TOKEN_TARGET "/oauth2/v1/token"

/* "fd:N" as a descriptor of the keeper's. The original stays the user's, but nobody whom
 * we start later (a source command) shall inherit it. */
static int pin_from_fd(const char *text, int *ret_fd, struct kw_err *err)
{
    char *end = NULL;
    errno = 0;
    long fd = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || fd < 0 || fd > 65535 ||
        fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0 ||
        (*ret_fd = fcntl((int)fd, F_DUPFD_CLOEXEC, 3)) < 0)
        return kw_fail(err, KW_PIN, "pin_source = fd:%s names no open descriptor", text);
    (void)lseek(*ret_fd, 0, SEEK_SET); /* a file can be read again, a pipe can't */
    return 0;
}

/* systemd's credentials are root's, mode 0400, or 0440 with an access list for the
 * service's user, which shows as group bits: only here are those good. */
static int check_credential(int fd, const char *path, struct kw_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return kw_fail(err, KW_USAGE, "the credential %s is not a regular file", path);
    if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
        (st.st_mode & (st.st_uid == 0 ? 037 : 077)) != 0)
        return kw_fail(err, KW_USAGE,
                       "the credential %s could be read or written by others (uid %u, mode %04o)",
                       path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
    return 0;
}

int kw_credential_open(const char *name, int *ret_fd, struct kw_err *err)
{
    const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
    char path[1100];
    if (dir == NULL || dir[0] != '/')
        return kw_fail(err, KW_USAGE,
                       "credential:%s needs systemd's LoadCredential= (CREDENTIALS_DIRECTORY is "
                       "not set)",
                       name);
    if (strchr(name, '/') != NULL || name[0] == '\0' || name[0] == '.' ||
        (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return kw_fail(err, KW_USAGE, "credential:%s is no name of a credential", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return kw_fail_errno(err, KW_USAGE, "could not open the credential %s", path);
    int r = check_credential(fd, path, err);
    if (r != 0)
        (void)close(fd);
    else
        *ret_fd = fd;
    return r;
}

/* The name of a credential that a path points at, else NULL. */
static const char *credential_name(const char *path)
{
    const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
    size_t n = dir != NULL ? strlen(dir) : 0;
    bool inside = n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/';
    return inside && strchr(path + n + 1, '/') == NULL ? path + n + 1 : NULL;
}

static bool has_terminal(void)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty >= 0)
        (void)close(tty);
    return tty >= 0;
}

/* pin_source of the configuration, else the URI's, else the terminal. */
static int choose_pin(const struct kw_config *c, struct kw_m_keeper_start *m, int *ret_fd,
                      struct kw_err *err)
{
    const char *s = c->pin_source;
    const char *path = strncmp(s, "file:", 5) == 0 ? s + 5
                       : s[0] == '\0'              ? c->token_uri.pin_source
                                                   : "";
    const char *credential = strncmp(s, "credential:", 11) == 0 ? s + 11 : credential_name(path);
    m->pin_source = KW_PIN_FD;
    if (strncmp(s, "fd:", 3) == 0)
        return pin_from_fd(s + 3, ret_fd, err);
    if (credential != NULL)
        return kw_credential_open(credential, ret_fd, err);
    m->pin_source = KW_PIN_FILE;
    (void)snprintf(m->pin_path, sizeof m->pin_path, "%s", path);
    if (path[0] != '\0')
        return 0;
    m->pin_source = KW_PIN_NONE;
    if (strcmp(s, "protected") == 0)
        return 0;
    m->pin_source = KW_PIN_PROMPT;
    if (s[0] != '\0' && strcmp(s, "prompt") != 0)
        return kw_fail(err, KW_USAGE,
                       "[token] pin_source = %s is none of fd:N, file:/PATH, "
                       "credential:NAME, prompt, protected",
                       s);
    if (!has_terminal())
        return kw_fail(err, KW_PIN,
                       "no PIN: there is no terminal to ask on; set [token] pin_source or "
                       "pin-source in the token's URI");
    return 0;
}

/* The key that authenticates the exchange itself may sign one thing only: a POST to the
 * domain's token endpoint. */
static int client_key(const struct kw_config *c, struct kw_m_keeper_start *m, struct kw_err *err)
{
    if (c->client_auth == KW_AUTH_BASIC || !c->client_key_set)
        return 0;
    struct kw_url url;
    int r = kw_url_parse(c->domain_url, "[oci] domain_url", KW_USAGE, &url, err);
    if (r != 0)
        return r;
    (void)snprintf(m->client_label, sizeof m->client_label, "%s", c->client_key.object);
    kw_hex(m->client_id_hex, c->client_key.id, c->client_key.id_len);
    (void)snprintf(m->client_host, sizeof m->client_host, "%s", url.authority);
    (void)snprintf(m->client_target, sizeof m->client_target, TOKEN_TARGET);
    (void)snprintf(m->client_name, sizeof m->client_name, "%s", c->client_id);
    (void)snprintf(m->client_kid, sizeof m->client_kid, "%s", c->client_key_kid);
    return 0;
}

/* The one place for the federated token. An account whose name is no good is told when the
 * exchange is prepared. */
static void federated(const struct kw_config *c, struct kw_m_keeper_start *m)
{
    char account[256];
    struct kw_buf name;
    if (c->cloud != KW_CLOUD_GOOGLE || c->service_account[0] == '\0' ||
        kw_google_account(c->service_account, "", account, sizeof account, NULL) != 0)
        return;
    kw_buf_init(&name, 3 * sizeof account);
    kw_pct_put(&name, account, strlen(account));
    (void)snprintf(m->client_host, sizeof m->client_host, "iamcredentials.%s", c->universe);
    (void)snprintf(m->client_target, sizeof m->client_target,
                   "/v1/projects/-/serviceAccounts/%s:", kw_buf_str(&name));
    kw_buf_free(&name);
}

int kw_keeper_config(const struct kw_config *c, enum kw_purpose purpose, const char *caller,
                     struct kw_m_keeper_start *m, int *ret_pin_fd, struct kw_err *err)
{
    *m = (struct kw_m_keeper_start){
        .purpose = purpose,
        .verbosity = (uint32_t)c->verbosity,
        .best_effort = c->best_effort,
        .network = c->token_network,
        .bits = c->key_bits,
        .token_object = c->key_stored,
        .accept = c->key_accept,
        .sessions = c->token_sessions,
        .per_minute = c->sign_per_minute,
        .max_count = c->sign_max_count,
    };
    *ret_pin_fd = -1;
    const struct kw_uri *u = &c->token_uri;
    /* Where a bearer goes can be judged and logged without a token; not so what a key of the
     * token signs. */
    bool issues = purpose == KW_FOR_ISSUE || strcmp(c->source_type, "token") == 0;
    bool tls = purpose == KW_FOR_BEARER && c->tls_key_set;
    bool admin = purpose == KW_FOR_BEARER && c->client_key_admin;
    bool needs_token =
        purpose != KW_FOR_BEARER || c->audit_key[0] != '\0' || issues || tls || admin;
    if (needs_token && !c->token_set)
        return kw_fail(err, KW_USAGE,
                       "no PKCS#11 token is configured; set [token] uri = "
                       "pkcs11:token=NAME?module-path=/path/to/module.so");
    if (needs_token)
        (void)snprintf(m->module, sizeof m->module, "%s", u->module_path);
    (void)snprintf(m->module_args, sizeof m->module_args, "%s", c->token_args);
    (void)snprintf(m->label, sizeof m->label, "%s", u->token);
    (void)snprintf(m->manufacturer, sizeof m->manufacturer, "%s", u->manufacturer);
    (void)snprintf(m->serial, sizeof m->serial, "%s", u->serial);
    (void)snprintf(m->model, sizeof m->model, "%s", u->model);
    if (tls) {
        (void)snprintf(m->tls_label, sizeof m->tls_label, "%s", c->tls_key.object);
        kw_hex(m->tls_id_hex, c->tls_key.id, c->tls_key.id_len);
    }
    if (admin) {
        (void)snprintf(m->client_label, sizeof m->client_label, "%s", c->client_key.object);
        kw_hex(m->client_id_hex, c->client_key.id, c->client_key.id_len);
    }
    if (issues) {
        (void)snprintf(m->issuer_label, sizeof m->issuer_label, "%s", c->issuer_key.object);
        kw_hex(m->issuer_id_hex, c->issuer_key.id, c->issuer_key.id_len);
        (void)snprintf(m->issuer_name, sizeof m->issuer_name, "%s", c->issuer_iss);
        m->issuer_life = c->issuer_life;
    }
    (void)snprintf(m->audit_label, sizeof m->audit_label, "%s", c->audit_key);
    (void)snprintf(m->profile, sizeof m->profile, "%s", c->profile);
    (void)snprintf(m->sign_host, sizeof m->sign_host, "%s", c->sign_host);
    (void)snprintf(m->sign_method, sizeof m->sign_method, "%s", c->sign_method);
    (void)snprintf(m->sign_path, sizeof m->sign_path, "%s", c->sign_path);
    (void)snprintf(m->caller, sizeof m->caller, "uid %u pid %d %s", (unsigned)getuid(),
                   (int)getpid(), caller);
    if (purpose == KW_FOR_BEARER)
        federated(c, m);
    int r = purpose == KW_FOR_ISSUE || purpose == KW_FOR_BEARER ? 0 : client_key(c, m, err);
    if (r != 0 || needs_token)
        return r != 0 ? r : choose_pin(c, m, ret_pin_fd, err);
    m->pin_source = KW_PIN_NONE;
    return 0;
}

int kw_audit_open(const struct kw_config *c, int *ret_fd, struct kw_err *err)
{
    *ret_fd = -1;
    if (c->audit_file[0] == '\0')
        return 0;
    int fd =
        open(c->audit_file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        int r = kw_fail_errno(err, KW_USAGE, "could not open the audit log %s", c->audit_file);
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 022) != 0 ||
        (st.st_uid != geteuid() && st.st_uid != 0)) {
        (void)close(fd);
        return kw_fail(err, KW_USAGE,
                       "the audit log %s must be a regular file that is yours or root's and that "
                       "only its owner can write",
                       c->audit_file);
    }
    *ret_fd = fd;
    return 0;
}

int64_t kw_deadline(const struct kw_config *c)
{
    return kw_now_ms() + (int64_t)c->timeout_s * 1000;
}
