/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that is wiped before it is given back, for libraries whose buffers see secrets
 * and that don't wipe all they free. Measured, this leaves no copy behind, at a cost below
 * what can be measured.
 */
#ifndef KW_WIPE_H
#define KW_WIPE_H

#include <stddef.h>

void kw_wipe_free(void *p);

/* As realloc(), but always a new block: what moved in place would do, but not what was
 * copied and left behind. */
void *kw_wipe_realloc(void *p, size_t n);

/* jansson frees so from now on. First thing in the main() of each program that reads
 * tokens as JSON, before jansson has allocated. */
void kw_wipe_json(void);

#endif
