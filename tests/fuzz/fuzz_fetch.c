/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the endpoint that hands out a subject token. The first byte chooses the
 * status; the rest is the body. Also what error messages quote of it. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "src/wire/http_answer.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const unsigned statuses[] = {200, 200, 200, 301, 401, 404, 429, 503};
    struct kw_err err = {KW_OK, ""};
    struct kw_secret *token = NULL;
    char quoted[128], text[256];
    if (kw_secret_init(true, &err) != 0)
        abort();
    fault_seed(data, &size);
    if (size == 0)
        return 0;
    struct kw_answer a = {.status = statuses[data[0] % 8],
                          .headers = "location: https://b.test/x\n",
                          .body = data + 1,
                          .len = size - 1};
    fault_begin();
    int r = kw_fetch_answer(&a, "ci.test", "value", &token, &err);
    bool hit = fault_end();
    if ((r == 0) != (token != NULL) ||
        (r != 0 && r != KW_SUBJECT && r != KW_NET && !(r == KW_FAILED && hit)))
        abort();
    if (r == 0 && !kw_compact_ok(kw_secret_bytes(token), kw_secret_len(token)))
        abort();
    kw_secret_free(&token);
    size_t n = size - 1 < sizeof text - 1 ? size - 1 : sizeof text - 1;
    memcpy(text, data + 1, n);
    text[n] = '\0';
    kw_quote(quoted, sizeof quoted, text);
    if (strlen(quoted) >= sizeof quoted || strpbrk(quoted, "\r\n\033") != NULL)
        abort();
    return 0;
}
