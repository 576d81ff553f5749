/* SPDX-License-Identifier: Apache-2.0
 *
 * Apart from memory_libs.c, because every program notes what failed, and not every one
 * links OpenSSL and jansson. */
#include "memory.h"

#include <stdatomic.h>
#include <unistd.h>

static atomic_bool none;
static atomic_int end_with;
static void (*last_words)(void);

void kw_memory_must(int exit_code, void (*last)(void))
{
    last_words = last;
    atomic_store(&end_with, exit_code);
}

void kw_memory_none(void)
{
    int code = atomic_load(&end_with);
    atomic_store(&none, true);
    if (code == 0)
        return;
    if (last_words != NULL)
        last_words();
    _exit(code);
}

bool kw_memory_short(void)
{
    return atomic_load(&none);
}
