/* SPDX-License-Identifier: Apache-2.0
 *
 * Pattern matching of all policies. Own code because fnmatch(3) depends on the
 * locale, knows brackets and backslashes that our patterns must not have, and
 * promises no bound on its running time. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "rules.h"

#define HOST_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"

static char fold(char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool kw_glob(const char *pattern, const char *text, bool nocase)
{
    /* Only the last * needs to be retried: a longer run for an earlier one could
     * never match what the last one can't. Hence no recursion and the bound. */
    const char *star = NULL, *mark = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            mark = text;
        } else if (*pattern != '\0' &&
                   (*pattern == '?' || fold(*pattern, nocase) == fold(*text, nocase))) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || strchr(host, ':') != NULL;
}

/* pattern is not NUL-terminated: lists are matched where they stand. */
static bool match(const char *pattern, size_t len, const char *host)
{
    size_t n = strlen(host);
    if (len == 0 || n == 0 || host[strspn(host, HOST_BYTES)] != '\0')
        return false;
    if (pattern[0] != '*')
        return len == n && strncasecmp(pattern, host, n) == 0;
    /* "*.suffix", with at least one byte for the star */
    if (len < 3 || pattern[1] != '.' || memchr(pattern + 1, '*', len - 1) != NULL ||
        is_address(host))
        return false;
    size_t tail = len - 1;
    return n > tail && strncasecmp(pattern + 1, host + n - tail, tail) == 0 && host[0] != '.';
}

bool kw_host_match(const char *pattern, const char *host)
{
    return match(pattern, strlen(pattern), host);
}

bool kw_host_in(const char *patterns, const char *host)
{
    for (const char *p = patterns; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (match(p, n, host))
            return true;
        p += n + strspn(p + n, " ");
    }
    return false;
}
