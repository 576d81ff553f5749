/* SPDX-License-Identifier: Apache-2.0
 *
 * Time tells nothing of a secret (claim 31), as dudect has it: many measurements of one
 * fixed input and of random ones, in random order, and Welch's t-test on the two. Noise of
 * the machine meets both alike. The threshold is far above what chance gives (|t| of 4.5
 * is one in 100,000), and the same test must find a compare that stops at the first
 * difference, and a base64 that takes a branch.
 *
 * Under valgrind (test_constant_time --taint, by claim 31's script) the proof is another:
 * secrets are marked as undefined, and no branch and no address may depend on them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif

#include "src/base/b64.h"

enum { ROUNDS = 20000, SECRET = 96, FAR = 30 };

typedef void work(const unsigned char *secret);

static struct kw_buf out;
static unsigned char known[SECRET]; /* what a compare compares with */
static volatile unsigned sink;

/* --- what is measured ------------------------------------------------------------------- */

static void encode(const unsigned char *secret)
{
    kw_buf_reset(&out);
    kw_b64_put(&out, secret, SECRET);
}

static void encode_url(const unsigned char *secret)
{
    kw_buf_reset(&out);
    kw_b64url_put(&out, secret, SECRET);
}

/* The secret is base64 here: see make(). */
static void decode_url(const unsigned char *secret)
{
    kw_buf_reset(&out);
    sink = kw_b64url_get(&out, (const char *)secret, SECRET);
}

static void compare(const unsigned char *secret)
{
    sink = (unsigned)CRYPTO_memcmp(secret, known, SECRET);
}

/* What must be found out. */
static void leaky_compare(const unsigned char *secret)
{
    volatile const unsigned char *a = secret, *b = known;
    size_t i = 0;
    while (i < SECRET && a[i] == b[i])
        i++;
    sink = i < SECRET;
}

static void leaky_encode(const unsigned char *secret)
{
    encode(secret);
    /* Much work: what one branch less costs, a branch that is foreseen wrongly may cost again. */
    for (size_t i = 0; i < SECRET; i++)
        if (((volatile const unsigned char *)secret)[i] < 26)
            for (unsigned n = 0; n < 16; n++)
                sink = sink * 3 / 7;
}

/* --- the test ----------------------------------------------------------------------------- */

static uint64_t ticks(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void make(unsigned char *secret, bool random, bool text)
{
    unsigned char bytes[SECRET];
    struct kw_buf b;
    memset(bytes, 0, sizeof bytes);
    if (random && RAND_bytes(bytes, sizeof bytes) != 1)
        abort();
    memcpy(secret, bytes, SECRET);
    if (!text)
        return;
    kw_buf_init(&b, 2 * sizeof bytes);
    kw_b64url_put(&b, bytes, sizeof bytes);
    memcpy(secret, kw_buf_str(&b), SECRET);
    kw_buf_free(&b);
}

/* Welch's t of the two classes, of what is not above the limit: the rest is what else
 * happened on the machine. */
static double welch(const uint64_t *took, const bool *random, uint64_t limit)
{
    double n[2] = {0}, mean[2] = {0}, m2[2] = {0};
    for (size_t i = 0; i < ROUNDS; i++) {
        int c = random[i];
        if (took[i] > limit)
            continue;
        double x = (double)took[i], d = x - mean[c];
        n[c]++;
        mean[c] += d / n[c];
        m2[c] += d * (x - mean[c]);
    }
    if (n[0] < 100 || n[1] < 100)
        return INFINITY;
    double spread = m2[0] / (n[0] - 1) / n[0] + m2[1] / (n[1] - 1) / n[1];
    return spread > 0 ? fabs(mean[0] - mean[1]) / sqrt(spread) : 0;
}

/* The largest |t|, over all measurements and over the quicker ones alone. */
static double measure(work *f, bool text)
{
    static unsigned char secrets[ROUNDS][SECRET];
    static uint64_t took[ROUNDS], sorted[ROUNDS];
    static bool random[ROUNDS];
    unsigned char coins[ROUNDS], at[SECRET]; /* always the same place */
    if (RAND_bytes(coins, sizeof coins) != 1)
        abort();
    for (size_t i = 0; i < ROUNDS; i++) {
        random[i] = (coins[i] & 1) != 0;
        make(secrets[i], random[i], text);
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        memcpy(at, secrets[i], sizeof at);
        uint64_t from = ticks();
        f(at);
        took[i] = ticks() - from;
    }
    memcpy(sorted, took, sizeof sorted);
    qsort(sorted, ROUNDS, sizeof sorted[0], by_size);
    double most = 0;
    static const unsigned percents[] = {50, 75, 90, 99};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        double t = welch(took, random, sorted[ROUNDS / 100 * percents[i]]);
        most = t > most ? t : most;
    }
    return most;
}

static const struct {
    const char *name;
    work *f;
    bool text, leaks;
} cases[] = {
    {"base64, encoding", encode, false, false},
    {"base64url, encoding", encode_url, false, false},
    {"base64url, decoding", decode_url, true, false},
    {"compare", compare, false, false},
    {"control: compare that stops", leaky_compare, false, true},
    {"control: base64 with a branch", leaky_encode, false, true},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* What is found once may have been the machine; what is found three times was not. What
 * leaks must be found once in three. */
static void time_tells_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        bool far = !cases[i].leaks;
        double t = 0;
        for (unsigned again = 0; again < 3 && far != cases[i].leaks; again++) {
            t = measure(cases[i].f, cases[i].text);
            far = t > FAR;
        }
        print_message("%-32s |t| = %.1f\n", cases[i].name, t);
        if (far != cases[i].leaks)
            fail_msg("%s: |t| = %.1f, the threshold is %d", cases[i].name, t, FAR);
    }
}

/* --- under valgrind ------------------------------------------------------------------------ */

#ifdef VALGRIND_MAKE_MEM_UNDEFINED
/* 0 if branches and addresses depend on the secret in the controls alone, and in decoding
 * once: whether it was base64 is no secret. */
static int taint(void)
{
    int wrong = RUNNING_ON_VALGRIND ? 0 : 1;
    for (size_t i = 0; i < CASES; i++) {
        unsigned char secret[SECRET];
        make(secret, true, cases[i].text);
        memcpy(known, secret, sizeof known); /* a compare that stops goes on to the end */
        long before = (long)VALGRIND_COUNT_ERRORS;
        (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof secret);
        cases[i].f(secret);
        long errors = (long)VALGRIND_COUNT_ERRORS - before;
        if (out.p != NULL)
            (void)VALGRIND_MAKE_MEM_DEFINED(out.p, out.cap);
        bool right = cases[i].leaks ? errors > 0 : errors == (cases[i].text ? 1 : 0);
        (void)printf("%-32s %ld dependences%s\n", cases[i].name, errors, right ? "" : ": WRONG");
        wrong += !right;
    }
    return wrong;
}
#else
static int taint(void)
{
    (void)fprintf(stderr, "built without valgrind's headers\n");
    return 2;
}
#endif

int main(int argc, char **argv)
{
    kw_buf_init(&out, 4096);
    (void)kw_buf_room(&out, 4096); /* all at once: growing takes its time */
    if (argc == 2 && strcmp(argv[1], "--taint") == 0)
        return taint();
    const struct CMUnitTest tests[] = {cmocka_unit_test(time_tells_nothing)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kw_buf_free(&out);
    return failed;
}
