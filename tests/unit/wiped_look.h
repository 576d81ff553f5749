/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks at everything that is freed, for secrets. */
#ifndef KW_TEST_WIPED_LOOK_H
#define KW_TEST_WIPED_LOOK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "src/base/io.h"
#include "src/base/memory.h"
#include "src/exchanger/exchanger.h"
#include "src/session/state.h"
#include "tls_server.h"

/* --- looking at what is freed --------------------------------------------------------- */

#define SUBJECT   "eyJh.SUBJECTmarkerQ7x2ZkP9vLw4.c2ln"
#define SESSION   "eyJh.SESSIONmarker8sKd72hQpLmN1.c2ln"
#define BEARER    "BEARERmarkerN4vT60sXyWq12"
#define SECRET    "CLIENTmarkerH3bR81dZuGe77"
#define FEDERATED "ya29.d.FEDERATEDmarkerB5k19"
#define ACCESS    "ya29.c.ACCESSmarkerW8z20yUf7"
#define ASSERTION "eyJh.ASSERTmarkerT6gV05mCjRx38.c2ln"

/* The middle of each, and of the client's secret as Basic authorization has it. */
static char basic[96];
static const struct {
    const char *name, *text;
    size_t n;
} markers[] = {
    {"subject token", SUBJECT + 5, 20},
    {"session token", SESSION + 5, 20},
    {"bearer", BEARER, 20},
    {"client secret", SECRET, 20},
    {"client secret, base64", basic, 20},
    {"client assertion", ASSERTION + 5, 20},
    {"federated token", FEDERATED + 6, 20},
    {"access token", ACCESS + 6, 20},
};
enum { MARKERS = sizeof markers / sizeof markers[0] };

/* volatile: the compiler believes that free() looks at nothing. */
static volatile bool armed;
static volatile unsigned looked_at, found[MARKERS];
static volatile size_t found_size;

static void look(const void *p, size_t n)
{
    if (!armed || p == NULL)
        return;
    looked_at = looked_at + 1;
    for (size_t i = 0; i < MARKERS; i++)
        if (memmem(p, n, markers[i].text, markers[i].n) != NULL) {
            found[i] = found[i] + 1;
            found_size = n;
        }
}

#ifdef KW_SANITIZE
/* gcc has no header for these (sanitizer/allocator_interface.h). */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *p);

static void on_malloc(const volatile void *p, size_t n)
{
    (void)p, (void)n;
}

static void on_free(const volatile void *p)
{
    const void *q;
    memcpy(&q, &p, sizeof q);
    if (p != NULL)
        look(q, __sanitizer_get_allocated_size(p));
}
#else
/* In front of libc's, for all that is loaded. */
void __libc_free(void *p);

void free(void *p)
{
    if (p != NULL)
        look(p, malloc_usable_size(p));
    __libc_free(p);
}

/* What moves leaves its old block behind. */
void *realloc(void *p, size_t n)
{
    void *q = malloc(n);
    if (q != NULL && p != NULL) {
        size_t had = malloc_usable_size(p);
        memcpy(q, p, had < n ? had : n);
    }
    if (q != NULL)
        free(p);
    return q;
}
#endif

static void arm(void)
{
    for (size_t i = 0; i < MARKERS; i++)
        found[i] = 0;
    looked_at = 0;
    armed = true;
}

static unsigned disarm(void)
{
    unsigned all = 0;
    armed = false;
    for (size_t i = 0; i < MARKERS; i++)
        all += found[i];
    return all;
}

static void none_found(unsigned least)
{
    if (disarm() != 0)
        for (size_t i = 0; i < MARKERS; i++)
            if (found[i] != 0)
                fail_msg("the %s was in %u blocks that were freed, one of %zu bytes",
                         markers[i].name, found[i], found_size);
    assert_true(looked_at >= least);
}

#endif
