/* SPDX-License-Identifier: Apache-2.0
 *
 * What the matrices share (claim 16): thousands of small runs, each with one misbehaviour
 * of mock.so, spread over processes, so that a crash, a hang or a leak costs that one run
 * and is told with its name.
 */
#ifndef KW_MATRIX_H
#define KW_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

#include "mock.h"

struct mx_case {
    unsigned scenario; /* of the driver's own list */
    unsigned call;     /* the nth call of the run, counted from 1 */
    char what[32];     /* what mock.so does there: "0x30", "late0x30", "die" */
    bool from_here;    /* and at each call after it */
};

extern char mx_dir[256];          /* scratch directory of this process */
extern struct mk_store *mx_store; /* mock.so's tokens, empty at the start of each case */

/* A file in the scratch directory. The result is static. */
const char *mx_file(const char *name);
/* Sets mock.so's environment for a run: `base` and the case's misbehaviour. */
void mx_prepare(const char *base, const struct mx_case *c);
/* The names of the calls made in this run, in order; how many there are. */
unsigned mx_calls(char (*names)[32], unsigned max);
unsigned mx_count(const char *function);
/* Objects in the tokens' own store, those of `key=` in the script included. */
unsigned mx_stored(void);
/* What was written to standard error in this run. */
const char *mx_said(void);

/* Says why the running case is not as it must be; true, for `return mx_wrong(...)`. */
bool mx_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Runs all cases and prints a summary. `run` is true if the
 * case went wrong. The exit code of the program. */
int mx_run(const char *name, const struct mx_case *cases, unsigned n, unsigned workers,
           void (*title)(const struct mx_case *c, char *out, size_t size),
           bool (*run)(const struct mx_case *c));
/* The scratch directory, for a first run that counts the calls; and its end. */
bool mx_begin(void);
void mx_end(void);

/* All the cases of a run of `calls` calls in one scenario: appended to *cases. `full`:
 * every documented CKR at every call, before and after its work; else each call once, each
 * CKR at least once. */
unsigned mx_cases(struct mx_case **cases, unsigned n, unsigned scenario, unsigned calls, bool full);
/* Every documented CKR at one call, before and after its work. */
unsigned mx_every(struct mx_case **cases, unsigned n, unsigned scenario, unsigned call);

#endif
