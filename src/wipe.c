/* SPDX-License-Identifier: Apache-2.0 */
#include "wipe.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void kw_wipe_free(void *p)
{
    if (p != NULL)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

void *kw_wipe_realloc(void *p, size_t n)
{
    if (n == 0) {
        kw_wipe_free(p);
        return NULL;
    }
    void *q = malloc(n);
    if (q == NULL || p == NULL)
        return q;
    size_t had = malloc_usable_size(p);
    memcpy(q, p, had < n ? had : n);
    kw_wipe_free(p);
    return q;
}

void kw_wipe_json(void)
{
    json_set_alloc_funcs(malloc, kw_wipe_free);
}
