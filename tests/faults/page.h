/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults inside a process, for tests: faults.so is preloaded into one of keyward's
 * programs and makes its libraries' calls fail. What it shall do, and what it did, lies in
 * a page of memory that it shares with the test: nothing needs to be opened, written or
 * sent from behind a fence. The page is a file, named by KW_FAULTS; steer.c writes and
 * reads it.
 */
#ifndef KW_FAULTS_PAGE_H
#define KW_FAULTS_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum kw_fault_whose {
    KW_OURS,    /* allocations of the program and its libraries */
    KW_MODULE,  /* those that the PKCS#11 module makes inside a call (gate.c) */
    KW_ASSURED, /* libseccomp's: there is memory for it already (policy/seccomp.c) */
    KW_WHOSE
};
enum { KW_FRAMES = 24, KW_FRAME_TEXT = 96, KW_STACKS = 1 << 16 };

/* One way in which an allocation was come to: the hash of its callers, and which
 * allocation was the first of them. */
struct kw_fault_stack {
    uint64_t hash, first;
};

struct kw_faults_page {
    /* the test's */
    uint64_t fail[KW_WHOSE];   /* this allocation fails, from 1; 0: none */
    uint64_t for_good;         /* and all that follow it */
    uint64_t survey;           /* the stacks below shall be filled (slow) */
    uint64_t rate;             /* of 1024 calls to the kernel so many are disturbed */
    uint64_t stream_from;      /* sockets from this number on are streams; 0: none is */
    _Atomic int64_t clock_s;   /* the wall clock is ahead by so much; may change any time */
    _Atomic uint64_t clock_at; /* ... from the program's look at it of this number on */
    _Atomic uint64_t random;   /* state of the generator that chooses what to disturb */
    /* the process's */
    _Atomic uint64_t allocations[KW_WHOSE];
    _Atomic uint64_t failed, disturbed, interrupted, again, cut, looks;
    _Atomic uint64_t leaked, leaked_bytes;
    uint64_t frames;
    char frame[KW_FRAMES][KW_FRAME_TEXT]; /* who asked for what failed: object+offset */
    struct kw_fault_stack stacks[KW_STACKS];
};

/* The page of this process, NULL until there is one; whether this thread is inside the
 * PKCS#11 module; and whether it is busy in faults.so itself. */
extern struct kw_faults_page *kw_faults __attribute__((visibility("hidden")));
extern _Thread_local int kw_faults_inside __attribute__((visibility("hidden")));
/* Whether this is code of libseccomp's. */
bool kw_faults_assured(const void *caller) __attribute__((visibility("hidden")));
/* Whether it is the program's own. */
bool kw_faults_program(const void *caller) __attribute__((visibility("hidden")));

#endif
