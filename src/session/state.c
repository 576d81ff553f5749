/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/b64.h"
#include "src/base/io.h"

int kw_state_path(const struct kw_config *c, char *path, size_t size, struct kw_err *err)
{
    const char *systemd = secure_getenv("STATE_DIRECTORY");
    const char *xdg = secure_getenv("XDG_STATE_HOME");
    const char *home = secure_getenv("HOME");
    int n;
    if (c->profile[0] == '\0' || c->profile[0] == '.' || strchr(c->profile, '/') != NULL)
        return kw_fail(err, KW_USAGE,
                       "the profile's name '%s' can't be a file's, so its session can't be stored",
                       c->profile);
    if (systemd != NULL && systemd[0] == '/' && strchr(systemd, ':') == NULL)
        n = snprintf(path, size, "%s/%s.session", systemd, c->profile);
    else if (xdg != NULL && xdg[0] == '/')
        n = snprintf(path, size, "%s/keyward/%s.session", xdg, c->profile);
    else if (home != NULL && home[0] == '/')
        n = snprintf(path, size, "%s/.local/state/keyward/%s.session", home, c->profile);
    else
        return kw_fail(err, KW_USAGE,
                       "no place for the session's state: set HOME, XDG_STATE_HOME or "
                       "STATE_DIRECTORY");
    return n >= 0 && (size_t)n < size
               ? 0
               : kw_fail(err, KW_USAGE, "the path of the session's state is too long");
}

static void put_text(struct kw_buf *b, const char *text)
{
    kw_put_blob(b, text, strlen(text));
}

/* Which configuration a state belongs to: a session for another token, domain or client
 * must not be taken for this one, nor one that the claim policy would refuse by now. */
static int fingerprint(const struct kw_config *c, char *hex, struct kw_err *err)
{
    char uri[4096];
    struct kw_uri token = c->token_uri;
    struct kw_buf text;
    kw_buf_init(&text, 2 * sizeof *c);
    token.pin_source[0] = '\0'; /* where its PIN lies makes no other token of it */
    if (!kw_uri_print(&token, uri, sizeof uri)) {
        uri[0] = '\0'; /* what is in it then need not end */
        text.bad = true;
    }
    put_text(&text, uri);
    put_text(&text, c->domain_url);
    put_text(&text, c->client_id);
    put_text(&text, c->client_key_id);
    kw_put_u32(&text, (uint32_t)c->client_auth);
    kw_put_u32(&text, (uint32_t)c->requested);
    put_text(&text, c->res_type);
    put_text(&text, c->issuer);
    put_text(&text, c->audience);
    for (size_t i = 0; i < c->n_rules; i++) {
        put_text(&text, c->rules[i].claim);
        put_text(&text, c->rules[i].values);
    }
    int r = 0;
    unsigned char hash[SHA256_DIGEST_LENGTH];
    if (text.bad)
        r = kw_fail(err, KW_USAGE, "[token] uri is too long for a stored session");
    else {
        if (SHA256(text.p, text.len, hash) != NULL)
            kw_hex(hex, hash, sizeof hash);
        else
            r = kw_fail(err, KW_FAILED, "could not compute a SHA-256");
    }
    kw_buf_free(&text);
    return r;
}

/* jansson's copy of the token goes the way of all secrets. */
static void forget(json_t *o)
{
    json_t *token = json_object_get(o, "token");
    const char *text = json_string_value(token);
    if (text != NULL) {
        char *at;
        memcpy(&at, &text, sizeof at);
        explicit_bzero(at, json_string_length(token));
    }
    json_decref(o);
}

static bool is_hex_id(const char *id)
{
    unsigned char bytes[32];
    size_t n = 0;
    return kw_unhex(bytes, sizeof bytes, &n, id) && n > 0;
}

/* A JWT's characters. Others could end the JSON string that holds it. */
static bool needs_no_escape(const char *token, size_t n)
{
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
    return n > 0 && strspn(token, ok) == n;
}

static int parse(const struct kw_config *c, const char *path, const struct kw_secret *text,
                 int64_t now, struct kw_state *s, bool *ret_found, struct kw_err *err)
{
    json_t *o =
        json_loadb(kw_secret_bytes(text), kw_secret_len(text), JSON_REJECT_DUPLICATES, NULL);
    const char *config = NULL, *key_id = NULL, *token = NULL;
    json_int_t version = 0, not_after = 0;
    char mine[65];
    int r = fingerprint(c, mine, err);
    if (r != 0)
        ;
    else if (o == NULL ||
             json_unpack(o, "{s:I,s:s,s:s,s:I,s:s!}", "version", &version, "config", &config, "key",
                         &key_id, "not_after", &not_after, "token", &token) != 0)
        r = kw_fail(err, KW_USAGE, "%s is not a state file of this version; remove it", path);
    else if (version != 1)
        r = kw_fail(err, KW_USAGE, "%s is of another version; remove it", path);
    else if (!is_hex_id(key_id))
        r = kw_fail(err, KW_USAGE, "%s holds no key's id; remove it", path);
    else if (!needs_no_escape(token, strlen(token)))
        r = kw_fail(err, KW_USAGE, "%s holds no session token; remove it", path);
    else {
        (void)snprintf(s->key_id, sizeof s->key_id, "%s", key_id);
        s->not_after = not_after;
        *ret_found = strcmp(config, mine) == 0 && not_after > now + KW_STATE_EARLY_S;
        s->token = *ret_found ? kw_secret_from(token, strlen(token)) : NULL;
        if (*ret_found && s->token == NULL)
            r = kw_fail(err, KW_FAILED, "no room for the session token in %s", path);
    }
    forget(o);
    return r;
}

int kw_state_read(const struct kw_config *c, int64_t now, struct kw_state *s, bool *ret_found,
                  struct kw_err *err)
{
    *s = (struct kw_state){0};
    *ret_found = false;
    char path[4096];
    int r = kw_state_path(c, path, sizeof path, err);
    if (r != 0)
        return r;
    struct stat st;
    if (lstat(path, &st) != 0 && errno == ENOENT)
        return 0;
    struct kw_secret *text = NULL;
    r = kw_secret_read_file(path, KW_TOKEN_MAX + 1024, KW_USAGE, &text, err);
    if (r == 0)
        r = parse(c, path, text, now, s, ret_found, err);
    kw_secret_free(&text);
    return r;
}

int kw_state_make_dirs(const char *path, struct kw_err *err)
{
    char dir[4096];
    (void)snprintf(dir, sizeof dir, "%s", path);
    for (char *p = dir + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        if (mkdir(dir, 0700) != 0 && errno != EEXIST)
            return kw_fail_errno(err, KW_FAILED, "could not make %s", dir);
        *p = '/';
    }
    return 0;
}

int kw_state_write(const struct kw_config *c, const struct kw_state *s, struct kw_err *err)
{
    char path[4096], config[65];
    int r = kw_state_path(c, path, sizeof path, err);
    if (r == 0)
        r = kw_state_make_dirs(path, err);
    if (r != 0)
        return r;
    r = fingerprint(c, config, err);
    if (r == 0 && (!is_hex_id(s->key_id) ||
                   !needs_no_escape(kw_secret_bytes(s->token), kw_secret_len(s->token))))
        r = kw_fail(err, KW_FAILED, "the session can't be stored: no JWT or no key id");
    if (r != 0)
        return r;
    struct kw_buf text; /* wiped when freed */
    kw_buf_init(&text, KW_TOKEN_MAX + 1024);
    kw_put_fmt(&text,
               "{\"version\":1,\"config\":\"%s\",\"key\":\"%s\",\"not_after\":%lld,\"token\":\"",
               config, s->key_id, (long long)s->not_after);
    kw_put(&text, kw_secret_bytes(s->token), kw_secret_len(s->token));
    kw_put_str(&text, "\"}\n");
    struct kw_atomic file = {.fd = -1};
    if (text.bad)
        r = kw_fail(err, KW_FAILED, "the session token is too long for a state file");
    else
        r = kw_atomic_open(&file, path, 0600, err);
    if (r == 0 && kw_write_all(file.fd, text.p, text.len) != 0) {
        r = kw_fail_errno(err, KW_FAILED, "could not write %s", path);
        kw_atomic_abort(&file);
    } else if (r == 0)
        r = kw_atomic_commit(&file, err);
    kw_buf_free(&text);
    return r;
}

int kw_state_remove(const struct kw_config *c, struct kw_err *err)
{
    char path[4096];
    int r = kw_state_path(c, path, sizeof path, err);
    if (r == 0 && unlink(path) != 0 && errno != ENOENT)
        r = kw_fail_errno(err, KW_FAILED, "could not remove %s", path);
    return r;
}

void kw_state_free(struct kw_state *s)
{
    kw_secret_free(&s->token);
}
