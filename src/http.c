/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's set-up. Allocators that wipe: tokens pass through the buffers of
 * libcurl, OpenSSL and jansson, none of which wipes all it frees; measured, this
 * leaves no copy behind, at a cost below what can be measured. */
#include "http.h"

#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http_int.h"

/* --- allocators ----------------------------------------------------------------- */

static void wipe_free(void *p)
{
    if (p != NULL)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

/* A new block, never realloc: that would leave the old one's bytes. */
static void *wipe_realloc(void *p, size_t n)
{
    if (n == 0) {
        wipe_free(p);
        return NULL;
    }
    void *q = malloc(n);
    if (q == NULL || p == NULL)
        return q;
    size_t had = malloc_usable_size(p);
    memcpy(q, p, had < n ? had : n);
    wipe_free(p);
    return q;
}

static void *ssl_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return n > 0 ? malloc(n) : NULL;
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return wipe_realloc(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    wipe_free(p);
}

int kw_http_wipe_frees(struct kw_err *err)
{
    json_set_alloc_funcs(malloc, wipe_free);
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1)
        return kw_fail(err, KW_FAILED,
                       "OpenSSL did not take the wiping allocator: a library used "
                       "it before the program started");
    return 0;
}

/* --- the client ----------------------------------------------------------------- */

static int start_curl(struct kw_http *h, struct kw_err *err)
{
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wipe_free, wipe_realloc, strdup,
                             calloc) != CURLE_OK)
        return kw_fail(err, KW_FAILED, "libcurl could not be initialised");
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    if (v->ssl_version == NULL || strncmp(v->ssl_version, "OpenSSL/", 8) != 0)
        return kw_fail(err, KW_FAILED,
                       "libcurl %s uses %s; keyward needs the one that uses OpenSSL "
                       "(Debian: libcurl4)",
                       v->version, v->ssl_version != NULL ? v->ssl_version : "no TLS");
    h->multi = curl_multi_init(); /* makes descriptors: not possible later */
    CURL *once = curl_easy_init();
    /* Few and young connections: libcurl 7.88 gives up after five dead ones. */
    bool ok = h->multi != NULL && once != NULL &&
              curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 4L) == CURLM_OK;
    /* The multi handle takes NOSIGNAL over from what was last added to it; without that
     * it would change signal handlers when it is freed. */
    ok = ok && curl_easy_setopt(once, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_multi_add_handle(h->multi, once) == CURLM_OK &&
         curl_multi_remove_handle(h->multi, once) == CURLM_OK;
    curl_easy_cleanup(once);
    if (!ok)
        return kw_fail(err, KW_FAILED, "libcurl could not be initialised");
    return 0;
}

int kw_http_new(const char *ca_file, kw_http_dial *dial, void *dial_arg, struct kw_http **ret,
                struct kw_err *err)
{
    struct kw_http *h = calloc(1, sizeof *h);
    *ret = NULL;
    if (h == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    h->dial = dial;
    h->dial_arg = dial_arg;
    tzset();             /* else /etc/localtime is opened at the first date */
    json_object_seed(0); /* else /dev/urandom is opened at the first object */
    int r = kw_tls_roots(ca_file, &h->roots, err);
    if (r == 0)
        r = start_curl(h, err);
    if (r != 0) {
        kw_http_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

void kw_http_free(struct kw_http *h)
{
    if (h == NULL)
        return;
    (void)kw_http_cool(h);
    if (h->multi != NULL)
        (void)curl_multi_cleanup(h->multi);
    X509_STORE_free(h->roots);
    kw_tls_forget(h);
    free(h);
}
