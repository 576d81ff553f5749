/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of Google's token service (first byte 's'), IAM Credentials ('a', or 'i' for ID
 * tokens) and names ('p' provider, 'n' account, 't' time): "STATUS\\n" and the body, or
 * the text. Whatever comes, a token that is believed can stand in a header, and an error is
 * one bounded printable line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/wire/google_name.h"
#include "src/wire/google_sts.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(int r, struct kw_secret **token, const struct kw_err *err)
{
    if ((r == 0) != (*token != NULL))
        abort();
    for (size_t i = 0; r == 0 && i < kw_secret_len(*token); i++)
        if (kw_secret_bytes(*token)[i] <= ' ' || kw_secret_bytes(*token)[i] >= 0x7f)
            abort();
    if (r != 0 && ((int)err->code != r || err->text[0] == '\0' || strpbrk(err->text, "\r\n\033")))
        abort();
    kw_secret_free(token);
}

static void answer(char kind, const char *text, size_t n)
{
    struct kw_err err = {KW_OK, ""};
    struct kw_m_google g = {.service_account = "a@b.c"};
    struct kw_secret *token = NULL;
    uint32_t expires = 0;
    int64_t until = 0;
    char *end = NULL;
    struct kw_answer a = {.headers = "location: https://h.example/x\n"};
    a.status = (unsigned)strtoul(text, &end, 10) % 1000;
    a.body = *end == '\n' ? end + 1 : end;
    a.len = n - (size_t)((const char *)a.body - text);
    if (kind == 'i')
        memcpy(g.id_audience, "x", 2);
    int r = kind == 's' ? kw_sts_answer(&a, "sts.test", &token, &expires, &err)
                        : kw_iam_answer(&a, "iam.test", &g, &token, &until, &err);
    check(r, &token, &err);
}

static void names(char kind, const char *text)
{
    struct kw_google_provider p, again;
    struct kw_err err;
    char out[128], twice[128];
    int64_t t;
    if (kind == 't')
        (void)kw_rfc3339(text, &t);
    else if (kind == 'p' && kw_google_provider(text, &p, &err) == 0 &&
             (kw_google_provider(p.name, &again, &err) != 0 || strcmp(p.name, again.name) != 0))
        abort();
    else if (kind == 'n' && kw_google_account(text, "x", out, sizeof out, &err) == 0 &&
             (kw_google_account(out, "x", twice, sizeof twice, &err) != 0 ||
              strcmp(out, twice) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (kw_secret_init(true, NULL) != 0)
        abort();
    if (size < 1 || size > 1 << 17)
        return 0;
    char *text = malloc(size);
    if (text == NULL)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (strchr("sai", data[0]) != NULL && data[0] != '\0')
        answer((char)data[0], text, size - 1);
    else
        names((char)data[0], text);
    free(text);
    return 0;
}
