/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 and hex, both ways: what was encoded decodes to itself, what decodes encodes to
 * itself, and OpenSSL reads and writes the same. */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "fuzz.h"
#include "src/base/b64.h"

static bool same(const struct kw_buf *b, const void *bytes, size_t n)
{
    return !b->bad && b->len == n && (n == 0 || memcmp(b->p, bytes, n) == 0);
}

/* Bytes to text and back; OpenSSL writes the same text. */
static void encode(const unsigned char *data, size_t size)
{
    struct kw_buf text, back;
    kw_buf_init(&text, 2 * size + 8);
    kw_buf_init(&back, size);
    unsigned char *theirs = malloc(2 * size + 8);
    must(theirs != NULL);
    kw_b64_put(&text, data, size);
    int n = EVP_EncodeBlock(theirs, data, (int)size);
    must(n >= 0 && same(&text, theirs, (size_t)n));
    must(kw_b64_get(&back, kw_buf_str(&text), text.len) && same(&back, data, size));
    free(theirs);
    kw_buf_reset(&text);
    kw_buf_reset(&back);
    kw_b64url_put(&text, data, size);
    must(kw_b64url_get(&back, kw_buf_str(&text), text.len) && same(&back, data, size));
    kw_buf_free(&text);
    kw_buf_free(&back);
    char *hex = malloc(2 * size + 1);
    unsigned char *bytes = malloc(size + 1);
    size_t got = 0;
    must(hex != NULL && bytes != NULL);
    kw_hex(hex, data, size);
    must(kw_unhex(bytes, size, &got, hex) && got == size &&
         (size == 0 || memcmp(bytes, data, size) == 0));
    free(hex);
    free(bytes);
}

/* Text that is foreign: if it decodes, it is the one way to write those bytes, and OpenSSL
 * reads the same. */
static void decode(const unsigned char *data, size_t size)
{
    char *text = malloc(size + 1); /* its own block: no byte behind it is looked at */
    struct kw_buf out, again;
    kw_buf_init(&out, size + 1);
    kw_buf_init(&again, 2 * size + 8);
    must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (kw_b64_get(&out, text, size)) {
        kw_b64_put(&again, out.p, out.len);
        must(same(&again, data, size));
        unsigned char *theirs = malloc(size + 1);
        int n = EVP_DecodeBlock(theirs, data, (int)size); /* counts padding as zeros */
        must(theirs != NULL && n >= 0 && (size_t)n >= out.len);
        must(out.len == 0 || memcmp(theirs, out.p, out.len) == 0);
        free(theirs);
    } else
        must(out.len == 0);
    kw_buf_reset(&out);
    kw_buf_reset(&again);
    if (kw_b64url_get(&out, text, size)) {
        kw_b64url_put(&again, out.p, out.len);
        must(same(&again, data, size));
    } else
        must(out.len == 0);
    kw_buf_free(&out);
    kw_buf_free(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    fault_seed(data, &size);
    encode(data, size);
    decode(data, size);
    /* Where memory runs out, nothing is taken for the whole. */
    struct kw_buf b;
    kw_buf_init(&b, 2 * size + 8);
    fault_begin();
    kw_b64_put(&b, data, size);
    kw_b64url_put(&b, data, size);
    bool got = kw_b64_get(&b, (const char *)data, size);
    must(!fault_end() || !got || !b.bad);
    kw_buf_free(&b);
    return 0;
}
