/* SPDX-License-Identifier: Apache-2.0
 *
 * Own reader because libcurl's URL API normalises, guesses schemes and accepts
 * forms of addresses ("127.1", "0x7f000001") that a host policy would not
 * recognise. What we can't read in one way only, we refuse. */
#include "url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_unreserved(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("-._~", c) != NULL);
}

/* Resolvers take a name whose last label is a number, decimal or hex, for an
 * address in one of inet_aton's forms. Only dotted quads may look like that. */
static bool ends_in_number(const char *host)
{
    const char *last = strrchr(host, '.');
    last = last != NULL ? last + 1 : host;
    if (strncasecmp(last, "0x", 2) == 0)
        return true;
    return strspn(last, "0123456789") == strlen(last);
}

static const char *name_reason(const char *host)
{
    size_t label = 0;
    for (const char *p = host;; p++) {
        if (*p == '.' || *p == '\0') {
            if (label == 0)
                return "the host has an empty label (or ends in a dot)";
            if (label > 63)
                return "a label of the host is longer than 63 bytes";
            if (*p == '\0')
                break;
            label = 0;
            continue;
        }
        if (!is_alnum(*p) && *p != '-' && *p != '_')
            return "the host holds a byte other than letters, digits, '-', '_' and '.'";
        label++;
    }
    struct in_addr v4;
    if (ends_in_number(host) && inet_pton(AF_INET, host, &v4) != 1)
        return "the host is a number, but no dotted IPv4 address";
    return NULL;
}

/* Lower-cases n bytes of text into ret->host. */
static const char *take_host(struct kw_url *ret, const char *text, size_t n)
{
    if (n == 0)
        return "the host is empty";
    if (n > 253)
        return "the host is longer than 253 bytes";
    for (size_t i = 0; i < n; i++)
        ret->host[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    ret->host[n] = '\0';
    return NULL;
}

static const char *take_port(struct kw_url *ret, const char *text, size_t n)
{
    unsigned long port = 0;
    if (n == 0 || n > 5 || text[0] == '0')
        return "the port is not a number in 1..65535";
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text[i]))
            return "the port is not a number in 1..65535";
        port = port * 10 + (unsigned long)(text[i] - '0');
    }
    if (port > 65535)
        return "the port is not a number in 1..65535";
    ret->port = (uint16_t)port;
    return NULL;
}

/* text is n bytes of "host", "host:port", "[v6]" or "[v6]:port". */
static const char *take_authority(struct kw_url *ret, const char *text, size_t n, uint16_t usual)
{
    const char *reason, *rest;
    bool v6 = n > 0 && text[0] == '[';
    if (memchr(text, '@', n) != NULL)
        return "user information is not allowed in it";
    if (v6) {
        const char *end = memchr(text, ']', n);
        if (end == NULL)
            return "the address has no closing bracket";
        reason = take_host(ret, text + 1, (size_t)(end - text) - 1);
        struct in6_addr address;
        if (reason == NULL && inet_pton(AF_INET6, ret->host, &address) != 1)
            reason = "the host in brackets is no IPv6 address";
        rest = end + 1;
    } else {
        const char *colon = memchr(text, ':', n);
        rest = colon != NULL ? colon : text + n;
        reason = take_host(ret, text, (size_t)(rest - text));
        if (reason == NULL)
            reason = name_reason(ret->host);
    }
    if (reason != NULL)
        return reason;
    size_t left = (size_t)(text + n - rest);
    ret->port = usual;
    if (left > 0 && *rest != ':')
        return "something follows the address that is no port";
    if (left > 0)
        reason = take_port(ret, rest + 1, left - 1);
    if (reason != NULL)
        return reason;
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    int len = ret->port == usual ? snprintf(ret->authority, sizeof ret->authority, "%s%s%s", open,
                                            ret->host, close)
                                 : snprintf(ret->authority, sizeof ret->authority, "%s%s%s:%u",
                                            open, ret->host, close, ret->port);
    return len > 0 && (size_t)len < sizeof ret->authority ? NULL : "the host is too long";
}

static unsigned hex_value(char c)
{
    return is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Percent-decodes until nothing is left to decode, as a row of servers may do it: what a
 * decoded byte makes of those before it ("%2%65") is looked at as well. */
static size_t decode_all(const char *path, size_t n, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        out[len++] = path[i];
        while (len >= 3 && out[len - 3] == '%' && is_hex(out[len - 2]) && is_hex(out[len - 1])) {
            out[len - 3] = (char)(16 * hex_value(out[len - 2]) + hex_value(out[len - 1]));
            len -= 2;
        }
    }
    return len;
}

bool kw_path_dotted(const char *path, size_t n)
{
    char text[KW_TARGET];
    unsigned dots = 0;
    bool name = false, parameters = false; /* has other bytes; behind a ';' */
    if (n > sizeof text)
        return true; /* can't be judged */
    n = decode_all(path, n, text);
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '/' || c == '\\' || c == '?' || c == '#') {
            if (!name && (dots == 1 || dots == 2))
                return true;
            dots = 0;
            name = parameters = false;
        } else if (c == ';' || c == '\0') {
            parameters = true;
        } else if (!parameters) {
            dots += c == '.' && dots < 3;
            name = name || c != '.';
        }
    }
    return !name && (dots == 1 || dots == 2);
}

static const char *take_target(struct kw_url *ret, const char *text)
{
    size_t n = 0;
    bool query = false;
    if (*text != '/')
        ret->target[n++] = '/';
    for (const char *p = text; *p != '\0'; p++) {
        if (n >= sizeof ret->target - 4)
            return "its path and query are too long";
        if (*p == '%') {
            if (!is_hex(p[1]) || !is_hex(p[2]))
                return "it has a '%' that no two hex digits follow";
            memcpy(ret->target + n, p, 3);
            n += 3;
            p += 2;
            continue;
        }
        if (*p == '#')
            return "it has a fragment ('#'), which is never sent";
        if (*p == '?')
            query = true;
        else if (!is_unreserved(*p) && strchr("!$&'()*+,;=:@/", *p) == NULL)
            return query ? "its query holds a byte that must be percent-encoded"
                         : "its path holds a byte that must be percent-encoded";
        ret->target[n++] = *p;
    }
    ret->target[n] = '\0';
    return kw_path_dotted(ret->target, strcspn(ret->target, "?"))
               ? "its path has a '.' or '..' segment, which servers resolve"
               : NULL;
}

/* scheme ends in "://". The reason why it can't be read, or NULL. */
static const char *parse(const char *text, const char *scheme, uint16_t usual, struct kw_url *ret)
{
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '\\')
            return "it holds a space, a backslash, a control or a non-ASCII byte";
    if (strncasecmp(text, scheme, strlen(scheme)) != 0)
        return "it does not begin with https://";
    const char *authority = text + strlen(scheme);
    size_t n = strcspn(authority, "/?#");
    const char *reason = take_authority(ret, authority, n, usual);
    return reason != NULL ? reason : take_target(ret, authority + n);
}

int kw_url_parse(const char *text, const char *what, enum kw_exit code, struct kw_url *ret,
                 struct kw_err *err)
{
    memset(ret, 0, sizeof *ret);
    const char *reason = parse(text, "https://", 443, ret);
    if (reason == NULL)
        return 0;
    *ret = (struct kw_url){0};
    return kw_fail(err, code, "%s is no good https URL: %s", what, reason);
}

bool kw_host_local(const char *host)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127)
        return true;
    return strcmp(host, &KW_AZURE_METADATA[7]) == 0 || strcmp(host, &KW_GCE_METADATA[7]) == 0 ||
           strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

int kw_url_parse_local(const char *text, const char *what, enum kw_exit code, struct kw_url *ret,
                       struct kw_err *err)
{
    if (strncasecmp(text, "http://", 7) != 0)
        return kw_url_parse(text, what, code, ret, err);
    memset(ret, 0, sizeof *ret);
    const char *reason = parse(text, "http://", 80, ret);
    if (reason == NULL && !kw_host_local(ret->host))
        reason = "http is for metadata services and this machine only; others need https";
    ret->plain = true;
    if (reason == NULL)
        return 0;
    *ret = (struct kw_url){.port = 0};
    return kw_fail(err, code, "%s is no good URL: %s", what, reason);
}

void kw_pct_put(struct kw_buf *b, const void *text, size_t n)
{
    const char *p = text;
    for (size_t i = 0; i < n; i++) {
        if (is_unreserved(p[i])) {
            kw_put(b, p + i, 1);
        } else {
            const unsigned char c = (unsigned char)p[i];
            const char out[3] = {'%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
            kw_put(b, out, sizeof out);
        }
    }
}

void kw_form_put(struct kw_buf *b, const char *name, const void *value, size_t n)
{
    if (b->len > 0)
        kw_put_str(b, "&");
    kw_put_str(b, name);
    kw_put_str(b, "=");
    kw_pct_put(b, value, n);
}

void kw_form_text(struct kw_buf *b, const char *name, const char *value)
{
    kw_form_put(b, name, value, strlen(value));
}
