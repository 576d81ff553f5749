/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets share: the demand that something holds, and calls that fail.
 *
 * Allocations and I/O calls of keyward's own code, and jansson's that allocate, are wrapped
 * at link time (--wrap; the list is in CMakeLists.txt). They fail, or do less than asked, with a
 * probability, from a generator whose seed is the end of the input: 0xfa and four bytes. An input
 * that doesn't end so meets no failure. So a failure is found, kept in the corpus and repeated like
 * any other input.
 */
#ifndef KW_FUZZ_H
#define KW_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static inline void must(bool holds)
{
    if (!holds)
        abort();
}

/* Takes the seed off the input's end, if there is one. */
void fault_seed(const unsigned char *data, size_t *size);

/* If there was a seed, calls fail from here to fault_end(), which tells whether one did:
 * what was refused may have been refused for that. What was not refused must be right. */
void fault_begin(void);
bool fault_end(void);

/* Whether something that the target stands in for shall fail now; and what it does itself
 * in between, which shall not. */
bool fault_now(void);
bool fault_pause(void);
void fault_resume(bool paused);

/* From now on nobody waits: poll() and epoll_wait() with nothing ready return at once, and the
 * monotonic clock has gone on by what they would have waited. For targets whose peers have said
 * all that they have to say. Before time passes so, idle() is called, which may make something
 * ready; where somebody would wait for ever it is called until it has. */
void fault_no_waiting(void (*idle)(bool for_ever));

#endif
