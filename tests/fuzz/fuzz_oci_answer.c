/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of a token endpoint: the first line is "STATUS", then header lines up to an
 * empty line, then the body. Whatever comes, a token that is believed has the form of
 * one, and an error is one bounded printable line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "src/wire/http_answer.h"

static void check(int r, struct kw_secret *token, const struct kw_err *err)
{
    if ((r == 0) != (token != NULL))
        abort();
    if (r == 0 && (!kw_compact_ok(kw_secret_bytes(token), kw_secret_len(token)) ||
                   kw_secret_len(token) > KW_TOKEN_MAX))
        abort();
    if (r != 0 && ((int)err->code != r || err->text[0] == '\0' || strpbrk(err->text, "\r\n\033")))
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char head[KW_LINES];
    struct kw_err err = {KW_OK, ""};
    struct kw_secret *token = NULL;
    char id[64];
    if (kw_secret_init(true, &err) != 0)
        abort();
    fault_seed(data, &size);
    const unsigned char *line = memchr(data, '\n', size);
    if (line == NULL || size > 1 << 17)
        return 0;
    struct kw_answer a = {.status = 0};
    for (const unsigned char *p = data; p < line && a.status < 100 && *p >= '0' && *p <= '9'; p++)
        a.status = a.status * 10 + (unsigned)(*p - '0');
    const unsigned char *from = line + 1, *end = data + size;
    const unsigned char *empty = memmem(from - 1, (size_t)(end - from) + 1, "\n\n", 2);
    size_t n = empty != NULL ? (size_t)(empty + 1 - from) : 0;
    if (n >= sizeof head)
        return 0;
    memcpy(head, from, n);
    head[n] = '\0';
    a.headers = head;
    a.body = empty != NULL ? empty + 2 : from;
    a.len = (size_t)(end - (const unsigned char *)a.body);
    fault_begin();
    int r = kw_oci_answer(&a, "idcs.test", &token, &err);
    (void)fault_end();
    check(r, token, &err);
    kw_secret_free(&token);
    kw_oci_correlation(a.headers, id, sizeof id);
    return 0;
}
