/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs: what is taken can be put together again and is taken as the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "policy/rules.h"
#include "src/wire/url.h"

/* Plainly: decoded until nothing changes, then cut into segments. */
static bool plain_dotted(const char *path, size_t n)
{
    static char text[KW_TARGET];
    memcpy(text, path, n);
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i + 2 < n; i++) {
            unsigned v;
            if (text[i] != '%' || strspn((const char[]){text[i + 1], text[i + 2], '\0'},
                                         "0123456789abcdefABCDEF") != 2)
                continue;
            (void)sscanf((const char[]){text[i + 1], text[i + 2], '\0'}, "%x", &v);
            text[i] = (char)v;
            memmove(text + i + 1, text + i + 3, n - i - 3);
            n -= 2;
            again = true;
        }
    }
    for (size_t i = 0; i <= n; i++) {
        size_t end = i;
        while (end < n && memchr("/\\?#", text[end], 4) == NULL)
            end++;
        size_t dots = 0;
        while (i + dots < end && text[i + dots] == '.')
            dots++;
        char after = i + dots < end ? text[i + dots] : ';';
        if ((dots == 1 || dots == 2) && (after == ';' || after == '\0'))
            return true;
        i = end;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char text[2 * KW_TARGET], again[2 * KW_TARGET];
    struct kw_url u, v;
    struct kw_err err = {0};
    fault_seed(data, &size); /* nothing in it can fail */
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (kw_url_parse(text, "it", KW_USAGE, &u, &err) != 0) {
        must(err.code == KW_USAGE && u.host[0] == '\0' && u.target[0] == '\0');
        return 0;
    }
    must(u.port != 0 && u.host[0] != '\0' && u.target[0] == '/');
    must(u.host[strspn(u.host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:")] == '\0');
    must(strpbrk(u.target, " \t\r\n#\\\"<>") == NULL);
    /* in a query they're just bytes */
    must(!plain_dotted(u.target, strcspn(u.target, "?")));
    must(kw_host_in(u.host, u.host));
    (void)snprintf(again, sizeof again, "https://%s%s", u.authority, u.target);
    must(kw_url_parse(again, "it", KW_USAGE, &v, &err) == 0);
    must(strcmp(u.host, v.host) == 0 && strcmp(u.authority, v.authority) == 0 && u.port == v.port &&
         strcmp(u.target, v.target) == 0);
    return 0;
}
