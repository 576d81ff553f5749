/* SPDX-License-Identifier: Apache-2.0
 *
 * Dial policy: which host and port the dialer may connect to, and which of them the
 * user redirects to an address of their own (the lab, a test). Both lists are short
 * texts from the configuration: kw_dial_check() finds what is malformed in them
 * before anything is dialled; a malformed entry never matches.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/rules.h"

enum { ENTRY = 2 * KW_HOST + 16 };

/* Copies the next entry to `entry`: 1, 0 at the end, -1 if it is over-long. */
static int next_entry(const char **cursor, char *entry, size_t size)
{
    const char *p = *cursor + strspn(*cursor, " \t");
    size_t n = strcspn(p, " \t");
    *cursor = p + n;
    if (n == 0)
        return 0;
    if (n >= size)
        return -1;
    memcpy(entry, p, n);
    entry[n] = '\0';
    return 1;
}

static bool read_port(const char *text, uint32_t *ret)
{
    size_t n = strlen(text);
    if (n == 0 || n > 5 || strspn(text, "0123456789") != n)
        return false;
    unsigned long v = strtoul(text, NULL, 10);
    *ret = (uint32_t)v;
    return v >= 1 && v <= 65535;
}

/* Cuts one "host:" or "[v6]:" off the front of *text; NULL if there is none. */
static char *cut_host(char **text)
{
    char *host = *text, *end;
    if (host[0] == '[') {
        host++;
        end = strchr(host, ']');
        if (end == NULL || end[1] != ':')
            return NULL;
        *end++ = '\0';
    } else {
        end = strchr(host, ':');
        if (end == NULL)
            return NULL;
    }
    *end = '\0';
    *text = end + 1;
    return host[0] != '\0' && strlen(host) < KW_HOST ? host : NULL;
}

/* Reads "pattern:port" (cutting it up); false if it is none. */
static bool read_rule(char *entry, char **ret_pattern, uint32_t *ret_port)
{
    *ret_pattern = cut_host(&entry);
    return *ret_pattern != NULL && read_port(entry, ret_port);
}

struct override {
    char *pattern, *address;
    uint32_t from, to;
};

/* Reads "pattern:port:address:port" (cutting it up); false if it is none. */
static bool read_override(char *entry, struct override *o)
{
    o->pattern = cut_host(&entry);
    char *colon = o->pattern != NULL ? strchr(entry, ':') : NULL;
    if (colon == NULL)
        return false;
    *colon = '\0';
    if (!read_port(entry, &o->from))
        return false;
    entry = colon + 1;
    o->address = cut_host(&entry);
    return o->address != NULL && read_port(entry, &o->to);
}

static int malformed(const char *what, const char *entry, const char *form, struct kw_err *err)
{
    return kw_fail(err, KW_USAGE, "%s: entry \"%.100s\" can't be read; write it as in %s", what,
                   entry, form);
}

int kw_dial_check(const char *dial, const char *resolve, struct kw_err *err)
{
    char entry[ENTRY] = "", shown[ENTRY], *pattern;
    struct override o;
    uint32_t port;
    int more;
    while ((more = next_entry(&dial, entry, sizeof entry)) != 0) {
        memcpy(shown, entry, sizeof shown); /* reading cuts it up */
        if (more < 0 || !read_rule(entry, &pattern, &port))
            return malformed("policy dial", more < 0 ? "(over-long)" : shown,
                             "*.oraclecloud.com:443", err);
    }
    while ((more = next_entry(&resolve, entry, sizeof entry)) != 0) {
        memcpy(shown, entry, sizeof shown);
        if (more < 0 || !read_override(entry, &o))
            return malformed("dial resolve", more < 0 ? "(over-long)" : shown,
                             "git.example.com:443:127.0.0.1:8443", err);
    }
    return 0;
}

int kw_dial_judge(const char *dial, const char *host, uint32_t port, struct kw_err *err)
{
    char entry[ENTRY], *pattern;
    uint32_t p;
    int more;
    for (const char *c = dial; (more = next_entry(&c, entry, sizeof entry)) != 0;)
        if (more > 0 && read_rule(entry, &pattern, &p) && p == port && kw_host_match(pattern, host))
            return 0;
    return kw_fail(err, KW_POLICY,
                   "policy dial: connecting to %s:%u is not allowed by \"%.300s\"; if it is meant, "
                   "add %s:%u to dial in the [policy] section",
                   host, (unsigned)port, dial, host, (unsigned)port);
}

bool kw_dial_resolve(const char *resolve, const char *host, uint32_t port, char *address,
                     size_t size, uint32_t *ret_port)
{
    char entry[ENTRY];
    struct override o;
    int more;
    for (const char *c = resolve; (more = next_entry(&c, entry, sizeof entry)) != 0;) {
        if (more < 0 || !read_override(entry, &o) || o.from != port ||
            !kw_host_match(o.pattern, host) || strlen(o.address) >= size)
            continue;
        memcpy(address, o.address, strlen(o.address) + 1);
        *ret_port = o.to;
        return true;
    }
    return false;
}
