/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes and reads the page of faults.so.
 *
 *   steer FILE new [NAME=NUMBER...]   a new page; NAME: fail, fail-module, for-good, survey,
 *                                     rate, seed, stream-from, clock, clock-at
 *   steer FILE set NAME=NUMBER...     changes a page that may be in use
 *   steer FILE get NAME...            prints numbers, one a line: allocations,
 *                                     allocations-module, failed, disturbed, interrupted,
 *                                     again, cut, looks, leaked, leaked-bytes
 *   steer FILE who                    who asked for the allocation that failed
 *   steer FILE stacks                 after survey=1: the number of the first allocation
 *                                     of each stack of callers, and that stack's hash
 *   steer nonblocking PROGRAM ARGUMENT...   runs it with standard input and output that
 *                                     don't wait
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "page.h"

static bool set_one(struct kw_faults_page *p, const char *name, long long v)
{
    uint64_t u = (uint64_t)v;
    if (strcmp(name, "fail") == 0)
        p->fail[KW_OURS] = u;
    else if (strcmp(name, "fail-module") == 0)
        p->fail[KW_MODULE] = u;
    else if (strcmp(name, "for-good") == 0)
        p->for_good = u;
    else if (strcmp(name, "survey") == 0)
        p->survey = u;
    else if (strcmp(name, "rate") == 0)
        p->rate = u;
    else if (strcmp(name, "seed") == 0)
        p->random = u;
    else if (strcmp(name, "stream-from") == 0)
        p->stream_from = u;
    else if (strcmp(name, "clock") == 0)
        p->clock_s = v;
    else if (strcmp(name, "clock-at") == 0)
        p->clock_at = u;
    else
        return false;
    return true;
}

static bool set(struct kw_faults_page *p, int n, char **words)
{
    for (int i = 0; i < n; i++) {
        char *eq = strchr(words[i], '='), *end = NULL;
        if (eq == NULL)
            return false;
        *eq = '\0';
        long long v = strtoll(eq + 1, &end, 10);
        if (end == eq + 1 || *end != '\0' || !set_one(p, words[i], v))
            return false;
    }
    return true;
}

static bool get(const struct kw_faults_page *p, int n, char **words)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"allocations", p->allocations[KW_OURS]},
               {"allocations-module", p->allocations[KW_MODULE]},
               {"failed", p->failed},
               {"disturbed", p->disturbed},
               {"interrupted", p->interrupted},
               {"again", p->again},
               {"cut", p->cut},
               {"looks", p->looks},
               {"leaked", p->leaked},
               {"leaked-bytes", p->leaked_bytes}};
    for (int i = 0; i < n; i++) {
        size_t k = 0;
        while (k < sizeof all / sizeof all[0] && strcmp(all[k].name, words[i]) != 0)
            k++;
        if (k == sizeof all / sizeof all[0])
            return false;
        (void)printf("%llu\n", (unsigned long long)all[k].value);
    }
    return true;
}

static int by_first(const void *a, const void *b)
{
    const struct kw_fault_stack *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorted where they lie: a survey is read once. */
static void stacks(struct kw_faults_page *p)
{
    qsort(p->stacks, KW_STACKS, sizeof p->stacks[0], by_first);
    for (size_t i = 0; i < KW_STACKS; i++)
        if (p->stacks[i].first != 0)
            (void)printf("%llu %016llx\n", (unsigned long long)p->stacks[i].first,
                         (unsigned long long)p->stacks[i].hash);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "nonblocking") == 0) {
        for (int i = STDIN_FILENO; i <= STDOUT_FILENO; i++)
            if (fcntl(i, F_SETFL, fcntl(i, F_GETFL) | O_NONBLOCK) != 0)
                return 2;
        (void)execv(argv[2], argv + 2);
        return 2;
    }
    bool fresh = argc > 2 && strcmp(argv[2], "new") == 0, ok = false;
    int fd =
        argc > 2 ? open(argv[1], O_RDWR | O_CLOEXEC | (fresh ? O_CREAT | O_TRUNC : 0), 0600) : -1;
    struct kw_faults_page *p = MAP_FAILED;
    if (fd >= 0 && (!fresh || ftruncate(fd, sizeof *p) == 0))
        p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        perror("steer");
        return 2;
    }
    if (fresh || strcmp(argv[2], "set") == 0)
        ok = set(p, argc - 3, argv + 3);
    else if (strcmp(argv[2], "get") == 0)
        ok = get(p, argc - 3, argv + 3);
    else if (strcmp(argv[2], "who") == 0) {
        for (uint64_t i = 0; i < p->frames && i < KW_FRAMES; i++)
            (void)printf("%.*s\n", KW_FRAME_TEXT, p->frame[i]);
        ok = true;
    } else if (strcmp(argv[2], "stacks") == 0) {
        stacks(p);
        ok = true;
    }
    if (!ok)
        (void)fprintf(stderr, "steer: see the top of tests/faults/steer.c\n");
    return ok ? 0 : 2;
}
