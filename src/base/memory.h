/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens when there is no memory left. Our own code checks each allocation. What a
 * library makes of one that failed is another matter: it says that a signature is wrong, a
 * certificate not to be trusted or JSON not valid, and OpenSSL's start crashes. So
 *
 *   - from the first failed allocation on, an error is told as what it most likely is:
 *     "out of memory", with KW_FAILED (err.c), but a PIN that was refused and a fence that
 *     broke stay what they are;
 *   - where nothing has to be put in order, a process ends at once: the exchanger always,
 *     main and the keeper while OpenSSL starts.
 */
#ifndef KW_MEMORY_H
#define KW_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Exit code of a role that ended for want of memory; main tells it (child.c). */
enum { KW_EXIT_MEMORY = 64 };

/* An allocation failed: noted, and the end of the process where that was asked for. */
void kw_memory_none(void);
bool kw_memory_short(void); /* whether that ever happened here */

/* From now on, a failed allocation ends the process with this code, after last() (may be
 * NULL), which must do without memory; with 0 it doesn't. */
void kw_memory_must(int exit_code, void (*last)(void));

/* To be called first thing in main(), before a library has allocated: OpenSSL and jansson
 * get allocators that note what failed and, if asked to, wipe what they free: tokens pass
 * through both. False if OpenSSL was used already. */
bool kw_memory_watch(bool wipe);

/* Starts OpenSSL: whoever has no memory for that ends, see kw_memory_must(). */
void kw_memory_openssl(void);

/* libcurl 8 keeps the buffers that a transfer went through for the next one, with what was in
 * them. They are told by their sizes, which we choose (CURLOPT_BUFFERSIZE and its like) so that
 * nothing else has them; kw_memory_scrub() wipes them, when no transfer is under way. */
enum { KW_CURL_DOWN = 16411, KW_CURL_UP = 65551 };
void kw_memory_scrub(void);
void *kw_memory_curl_new(size_t n);
void kw_memory_curl_free(void *p);

/* The same allocators, for libcurl. */
void *kw_memory_new(size_t n);
void *kw_memory_zeroed(size_t n, size_t size);
void *kw_memory_again(void *p, size_t n);
char *kw_memory_text(const char *s);
void kw_memory_free(void *p);

#endif
