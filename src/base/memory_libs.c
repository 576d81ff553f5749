/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocators for OpenSSL, jansson and libcurl. None of them wipes all that it frees;
 * measured, these leave no copy behind, at a cost below what can be measured. */
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static bool wipes;

static void *noted(void *p)
{
    if (p == NULL)
        kw_memory_none();
    return p;
}

void *kw_memory_new(size_t n)
{
    return noted(malloc(n));
}

void *kw_memory_zeroed(size_t n, size_t size)
{
    return noted(calloc(n, size));
}

char *kw_memory_text(const char *s)
{
    return noted(strdup(s));
}

void kw_memory_free(void *p)
{
    if (wipes && p != NULL)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

/* Where it is to be wiped, a new block and never realloc(): that would leave the old
 * one's bytes. */
void *kw_memory_again(void *p, size_t n)
{
    if (n == 0) {
        kw_memory_free(p);
        return NULL;
    }
    if (!wipes || p == NULL)
        return noted(realloc(p, n));
    void *q = noted(malloc(n));
    if (q == NULL)
        return NULL;
    size_t had = malloc_usable_size(p);
    memcpy(q, p, had < n ? had : n);
    kw_memory_free(p);
    return q;
}

/* As many as libcurl can have at once: one each way, and a spare. */
static struct {
    void *p;
    size_t n;
} scratch[4];

void *kw_memory_curl_new(size_t n)
{
    void *p = kw_memory_new(n);
    for (size_t i = 0; p != NULL && (n == KW_CURL_DOWN || n == KW_CURL_UP) &&
                       i < sizeof scratch / sizeof scratch[0];
         i++)
        if (scratch[i].p == NULL) {
            scratch[i].p = p;
            scratch[i].n = n;
            break;
        }
    return p;
}

void kw_memory_curl_free(void *p)
{
    for (size_t i = 0; p != NULL && i < sizeof scratch / sizeof scratch[0]; i++)
        if (scratch[i].p == p)
            scratch[i].p = NULL;
    kw_memory_free(p);
}

void kw_memory_scrub(void)
{
    for (size_t i = 0; i < sizeof scratch / sizeof scratch[0]; i++)
        if (scratch[i].p != NULL)
            explicit_bzero(scratch[i].p, scratch[i].n);
}

static void *ssl_new(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return n > 0 ? kw_memory_new(n) : NULL;
}

static void *ssl_again(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return kw_memory_again(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    kw_memory_free(p);
}

bool kw_memory_watch(bool wipe)
{
    wipes = wipe;
    json_set_alloc_funcs(kw_memory_new, kw_memory_free);
    return CRYPTO_set_mem_functions(ssl_new, ssl_again, ssl_free) == 1;
}

/* OpenSSL 3.0 crashes where its start finds no memory; after that it copes. */
void kw_memory_openssl(void)
{
    static bool started;
    if (!started && OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1)
        kw_memory_none();
    started = true;
}
