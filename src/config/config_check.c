/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration value must look like. Every checker returns the reason for
 * refusing, or NULL. A reason never quotes the value: it may be a secret that was put
 * in the wrong place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_keys.h"
#include "src/wire/url.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

typedef const char *check_word(const char *word);

/* Calls check for each word of a list separated by spaces. */
static const char *each_word(const char *list, check_word *check)
{
    char word[KW_INI_LINE + 1];
    for (const char *p = list; *p != '\0';) {
        size_t n = strcspn(p, " \t");
        if (p[n] == '\t')
            return "must be separated by spaces, not tabs";
        if (n >= sizeof word)
            return "is too long";
        memcpy(word, p, n);
        word[n] = '\0';
        const char *reason = n > 0 ? check(word) : NULL;
        if (reason != NULL)
            return reason;
        p += n + strspn(p + n, " ");
    }
    return NULL;
}

static const char *check_visible(const char *s)
{
    for (const char *p = s; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return "must be one word of visible ASCII (no spaces; a comment begins with ' ; ')";
    return NULL;
}

static const char *check_one_of_several(const char *s)
{
    return check_visible(s) == NULL ? NULL : "must be words of visible ASCII, separated by spaces";
}

static const char *check_path(const char *s)
{
    return s[0] == '/' ? NULL
                       : "must be an absolute path: the working directory, which may belong to a "
                         "repository, has no say";
}

static const char *check_name(const char *s)
{
    if (s[0] >= '0' && s[0] <= '9')
        return "must name environment variables (letters, digits and '_')";
    if (s[strspn(s, UPPER LOWER DIGITS "_")] != '\0')
        return "must name environment variables (letters, digits and '_')";
    if (strncmp(s, "LD_", 3) == 0)
        return "may not name LD_ variables, which load other code";
    return NULL;
}

static const char *check_secret_source(const char *s)
{
    if (strncmp(s, "file:", 5) == 0)
        return check_path(s + 5);
    if (strncmp(s, "credential:", 11) == 0) {
        s += 11;
        return *s != '\0' && *s != '.' && strlen(s) < 256 &&
                       s[strspn(s, UPPER LOWER DIGITS "._-")] == '\0'
                   ? NULL
                   : "must name a systemd credential after credential: (letters, digits, '.', '_' "
                     "and '-')";
    }
    if (strncmp(s, "fd:", 3) == 0) {
        s += 3;
        size_t n = strlen(s);
        return n > 0 && n < 5 && s[strspn(s, DIGITS)] == '\0' && (s[0] != '0' || n == 1)
                   ? NULL
                   : "must have a descriptor's number after fd:";
    }
    return "must begin with file:/, fd: or credential: (it says where to read, not what)";
}

static const char *check_pin_source(const char *s)
{
    if (strcmp(s, "prompt") == 0 || strcmp(s, "protected") == 0)
        return NULL;
    return check_secret_source(s) == NULL
               ? NULL
               : "must be prompt, protected, fd:N, file:/path or credential:NAME (it says where to "
                 "read the PIN, not the PIN)";
}

/* A name or "*." before one; what kw_host_match() understands and nothing else. */
/* A domain, of which sign.host and the services' names are made. */
static const char *check_universe(const char *s)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    return s[strspn(s, good)] == '\0' && strchr(s, '.') != NULL && s[0] != '.' && strlen(s) < 200
               ? NULL
               : "must be one domain, in lower case";
}

static const char *check_host(const char *s)
{
    char url[KW_HOST + 16];
    struct kw_url u;
    const char *name = strncmp(s, "*.", 2) == 0 ? s + 2 : s;
    bool v6 = strchr(name, ':') != NULL;
    if (strchr(name, '*') != NULL)
        return "must be host names, with '*' only as a leading '*.'";
    if ((size_t)snprintf(url, sizeof url, v6 ? "https://[%s]" : "https://%s", name) >= sizeof url ||
        kw_url_parse(url, "host", KW_USAGE, &u, NULL) != 0 || strcmp(u.target, "/") != 0 ||
        u.port != 443 || strcspn(name, "/?[]") != strlen(name))
        return "must be host names, each 'host' or '*.domain'";
    if (name != s && (v6 || strspn(name, DIGITS ".") == strlen(name)))
        return "can't have '*.' before an address";
    return NULL;
}

static bool port_good(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n < 6 && s[0] != '0' && s[strspn(s, DIGITS)] == '\0' &&
           strtoul(s, NULL, 10) <= 65535;
}

/* "host:port" with an IPv6 address in brackets; cuts s in two. */
static const char *split_port(char *s, char **host, char **port)
{
    char *colon = strrchr(s, ':');
    if (colon == NULL)
        return "must give a port after each host, as host:port";
    *colon = '\0';
    *host = s;
    *port = colon + 1;
    size_t n = strlen(s);
    if (n > 1 && s[0] == '[' && s[n - 1] == ']') {
        s[n - 1] = '\0';
        *host = s + 1;
    } else if (strchr(s, ':') != NULL) {
        return "must have IPv6 addresses in brackets, as [::1]:port";
    }
    return port_good(*port) ? NULL : "must have ports in 1..65535";
}

static const char *check_dial(const char *s)
{
    char copy[KW_HOST + 16], *host, *port;
    if ((size_t)snprintf(copy, sizeof copy, "%s", s) >= sizeof copy)
        return "has a host that is too long";
    const char *reason = split_port(copy, &host, &port);
    return reason != NULL ? reason : check_host(host);
}

/* host:port:address:port, as curl's --connect-to with all four parts. */
static const char *check_resolve(const char *s)
{
    char copy[2 * KW_HOST + 32], *port;
    if ((size_t)snprintf(copy, sizeof copy, "%s", s) >= sizeof copy)
        return "has a host that is too long";
    size_t host_len = copy[0] == '[' ? strcspn(copy, "]") + 1 : strcspn(copy, ":");
    char *rest = host_len < strlen(copy) ? strchr(copy + host_len + 1, ':') : NULL;
    if (rest == NULL)
        return "must be host:port:address:port";
    *rest = '\0';
    char *address;
    const char *reason = check_dial(copy);
    if (reason == NULL)
        reason = strchr(copy, '*') != NULL ? "can't have '*': name the host" : NULL;
    if (reason == NULL)
        reason = split_port(rest + 1, &address, &port);
    return reason != NULL ? reason : check_host(address);
}

static const char *check_proxy(const char *s)
{
    char copy[512], *host, *port;
    size_t n = strlen(s);
    if (strncmp(s, "http://", 7) != 0)
        return "must begin with http:// (requests inside the tunnel stay https)";
    if (strchr(s, '@') != NULL)
        return "can't carry a user or a password: they would stand in a file and in messages";
    if (s[n - 1] == '/')
        n--;
    (void)snprintf(copy, sizeof copy, "%.*s", (int)(n - 7), s + 7);
    const char *reason = split_port(copy, &host, &port);
    if (reason == NULL)
        reason = strchr(host, '*') != NULL ? "must be http://host:port" : check_host(host);
    return reason;
}

static const char *check_method(const char *s)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], s) == 0)
            return NULL;
    return "must be methods among GET HEAD POST PUT PATCH DELETE OPTIONS";
}

static const char *check_path_pattern(const char *s)
{
    return (s[0] == '/' || s[0] == '*') && check_visible(s) == NULL
               ? NULL
               : "must be patterns that begin with '/' or '*'";
}

/* A pattern that is meant as a comment would widen the policy. */
static const char *check_claim_pattern(const char *s)
{
    if (s[0] == '#' || s[0] == ';')
        return "has a pattern that looks like a comment; begin comments with ' ; '";
    return s[0] == '"' || s[0] == '\'' ? "has a quoted pattern; patterns are taken as they stand"
                                       : NULL;
}

static const char *check_text(const struct kw_key *k, const char *value)
{
    const char *reason = check_visible(value);
    if (reason == NULL && strcmp(k->name, "client_id") == 0 && strchr(value, ':') != NULL)
        reason = "can't hold a ':', which ends the name in Basic authentication";
    return reason;
}

const char *kw_key_check(const struct kw_key *k, const char *value)
{
    switch (k->kind) {
    case KW_K_COMMAND:
    case KW_K_NAMED:
    case KW_K_TEXT:
        return NULL;
    case KW_K_WORDS:
        return each_word(value, check_one_of_several);
    case KW_K_PATH:
        return check_path(value);
    case KW_K_NAME:
        return strchr(value, ' ') == NULL ? check_name(value)
                                          : "must name one environment variable";
    case KW_K_NAMES:
        return each_word(value, check_name);
    case KW_K_PIN:
        return check_pin_source(value);
    case KW_K_SECRET:
        return check_secret_source(value);
    case KW_K_PROXY:
        return check_proxy(value);
    case KW_K_HOSTS:
        return strcmp(k->name, "universe") == 0 ? check_universe(value)
                                                : each_word(value, check_host);
    case KW_K_METHODS:
        return each_word(value, check_method);
    case KW_K_PATHS:
        return each_word(value, check_path_pattern);
    case KW_K_DIAL:
        return each_word(value, check_dial);
    case KW_K_RESOLVE:
        return each_word(value, check_resolve);
    case KW_K_CLAIM:
        return each_word(value, check_claim_pattern);
    default:
        return check_text(k, value);
    }
}
