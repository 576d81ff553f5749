/* SPDX-License-Identifier: Apache-2.0
 *
 * Own code for CONNECT because libcurl is not linked here: the dialer needs a hundred
 * lines of it, and an address space without an HTTP client's thirty libraries. */
#include <stdlib.h>
#include <string.h>

#include "dialer_connect.h"

static int malformed(const char *text, struct kw_err *err)
{
    return kw_fail(
        err, KW_USAGE,
        "[dial] proxy \"%.100s\" can't be read; write it as in http://proxy.example:3128 "
        "(no user name, no path)",
        text);
}

int kw_proxy_parse(const char *text, char *host, size_t size, uint16_t *ret_port,
                   struct kw_err *err)
{
    static const char scheme[] = "http://";
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return malformed(text, err);
    const char *from = text + sizeof scheme - 1;
    bool v6 = *from == '[';
    const char *end = v6 ? strchr(from, ']') : strchr(from, ':');
    const char *colon = end != NULL && v6 ? end + 1 : end;
    from += v6 ? 1 : 0;
    if (end == NULL || *colon != ':' || end == from || (size_t)(end - from) >= size)
        return malformed(text, err);
    size_t n = (size_t)(end - from);
    memcpy(host, from, n);
    host[n] = '\0';
    if (strspn(host, v6 ? "0123456789abcdefABCDEF:."
                        : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != n)
        return malformed(text, err);
    const char *digits = colon + 1;
    size_t nd = strspn(digits, "0123456789");
    const char *rest = digits + nd;
    unsigned long port = nd >= 1 && nd <= 5 ? strtoul(digits, NULL, 10) : 0;
    if (port < 1 || port > 65535 || (*rest != '\0' && strcmp(rest, "/") != 0))
        return malformed(text, err);
    *ret_port = (uint16_t)port;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Only lines ended by CR LF, of printable bytes, tabs and what is above ASCII. */
static bool lines_ok(const char *head, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)head[i];
        if (c == '\r'   ? i + 1 == n || head[i + 1] != '\n'
            : c == '\n' ? i == 0 || head[i - 1] != '\r'
                        : c < 0x20 && c != '\t')
            return false;
    }
    return n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0;
}

bool kw_proxy_status(const char *head, size_t n, unsigned *ret_status)
{
    enum { START = 12 }; /* "HTTP/1.1 200" */
    if (n <= START || n > KW_PROXY_HEAD || !lines_ok(head, n) || memcmp(head, "HTTP/1.", 7) != 0 ||
        (head[7] != '0' && head[7] != '1') || head[8] != ' ' || !is_digit(head[9]) ||
        !is_digit(head[10]) || !is_digit(head[11]) || (head[START] != ' ' && head[START] != '\r'))
        return false;
    *ret_status = (unsigned)((head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0'));
    return true;
}
