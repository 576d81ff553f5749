/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's set-up. */
#include "http.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http_int.h"
#include "src/base/memory.h"

static int start_curl(struct kw_http *h, struct kw_err *err)
{
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, kw_memory_curl_new, kw_memory_curl_free,
                             kw_memory_again, kw_memory_text, kw_memory_zeroed) != CURLE_OK)
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
