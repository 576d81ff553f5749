/* SPDX-License-Identifier: Apache-2.0
 *
 * What a proxy answers to CONNECT, and the two lists of the dial policy. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "policy/rules.h"
#include "src/dialer/dialer_connect.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    fault_seed(data, &size); /* nothing in it can fail */
    char text[4096], host[KW_HOST], address[64];
    unsigned status = 0;
    uint16_t port = 0;
    uint32_t to = 0;
    struct kw_err err;
    if (kw_proxy_status((const char *)data, size, &status) && (status > 999 || size < 16))
        abort();
    size_t n = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    if (kw_proxy_parse(text, host, sizeof host, &port, &err) == 0 && (port == 0 || host[0] == '\0'))
        abort();
    (void)kw_dial_check(text, text, &err);
    (void)kw_dial_judge(text, "a.b.test", 443, &err);
    if (kw_dial_resolve(text, "a.b.test", 443, address, sizeof address, &to) &&
        (to < 1 || to > 65535 || address[0] == '\0'))
        abort();
    return 0;
}
