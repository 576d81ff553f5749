/* SPDX-License-Identifier: Apache-2.0
 *
 * No memory: what an error says then, when a process ends at once, and that filters are
 * compiled whole or not at all where the kernel gives no more.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/sandbox.h"
#include "policy/table.h"
#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/base/memory.h"

/* Each in a process of its own: that memory ran out is not forgotten. */
static int in_child(int (*test)(void))
{
    pid_t pid = fork();
    int status = 0;
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(test());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

enum { GOOD = 77, BAD = 78 };

static int said(void)
{
    struct kw_err err;
    bool good = kw_fail(&err, KW_CLOUD, "the certificate is not to be trusted") == KW_CLOUD;
    kw_memory_none();
    good = good && kw_memory_short() &&
           kw_fail(&err, KW_CLOUD, "the certificate is not to be trusted") == KW_FAILED &&
           err.code == KW_FAILED &&
           strcmp(err.text, "out of memory: the certificate is not to be trusted") == 0 &&
           kw_err_wrap(&err, "exchange") == KW_FAILED &&
           strcmp(err.text, "exchange: out of memory: the certificate is not to be trusted") == 0;
    good = good && kw_fail(&err, KW_PIN, "wrong PIN") == KW_PIN &&
           strcmp(err.text, "wrong PIN") == 0 && kw_fail(&err, KW_SANDBOX, "x") == KW_SANDBOX;
    char longest[2 * KW_ERR_TEXT];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    good = good && kw_fail(&err, KW_NET, "%s", longest) == KW_FAILED &&
           strncmp(err.text, "out of memory: xxx", 18) == 0 && strlen(err.text) == KW_ERR_TEXT - 1;
    return good ? GOOD : BAD;
}

static void test_said(void **state)
{
    (void)state;
    assert_int_equal(in_child(said), GOOD);
}

static void last(void)
{
    _exit(GOOD);
}

static int must_end(void)
{
    kw_memory_must(KW_EXIT_MEMORY, NULL);
    kw_memory_none();
    return BAD;
}

static int must_say(void)
{
    kw_memory_must(KW_EXIT_MEMORY, last);
    kw_memory_none();
    return BAD;
}

static int need_not_end(void)
{
    kw_memory_must(KW_EXIT_MEMORY, NULL);
    kw_memory_must(0, NULL);
    kw_memory_none();
    return kw_memory_short() ? GOOD : BAD;
}

static void test_must(void **state)
{
    (void)state;
    assert_int_equal(in_child(must_end), KW_EXIT_MEMORY);
    assert_int_equal(in_child(must_say), GOOD);
    assert_int_equal(in_child(need_not_end), GOOD);
    assert_false(kw_memory_short());
}

#ifndef KW_SANITIZE /* has an allocator of its own, which ends the process itself */
static int grow(void)
{
    const struct rlimit nothing = {0, 0};
    struct kw_buf b;
    kw_buf_init(&b, SIZE_MAX / 8);
    if (setrlimit(RLIMIT_AS, &nothing) != 0 || kw_memory_short())
        return BAD;
    return kw_buf_room(&b, (size_t)1 << 30) == NULL && b.bad && kw_memory_short() ? GOOD : BAD;
}

static void test_buffer(void **state)
{
    (void)state;
    assert_int_equal(in_child(grow), GOOD);
}

static size_t address_space(void)
{
    char text[64] = "";
    FILE *f = fopen("/proc/self/statm", "re");
    bool read = f != NULL && fgets(text, sizeof text, f) != NULL;
    if (f != NULL)
        (void)fclose(f);
    return read ? strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Whether they are the same, but for the number of the process that each is for. */
static bool same(const struct kw_filter *a, pid_t pid_a, const struct kw_filter *b, pid_t pid_b)
{
    bool same = a->n == b->n && a->n > 20;
    for (size_t i = 0; same && i < a->n; i++) {
        struct sock_filter x = a->code[i], y = b->code[i];
        if (x.k == (uint32_t)pid_a && y.k == (uint32_t)pid_b)
            x.k = y.k;
        same = memcmp(&x, &y, sizeof x) == 0;
    }
    return same;
}

/* The filter of a role, compiled in a process that gets only so many bytes more than it
 * has: its exit code, or BAD where it is not the one that is compiled with plenty. */
static int compile_within(enum kw_role role, size_t more)
{
    static struct kw_filter whole;
    struct kw_filter *got =
        mmap(NULL, sizeof *got, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kw_err err;
    assert_ptr_not_equal(got, MAP_FAILED);
    (void)malloc_trim(0); /* nothing to spare from what was compiled before */
    pid_t pid = fork();
    if (pid == 0) {
        size_t now = address_space();
        const struct rlimit l = {now + more, now + more};
        if (now == 0 || setrlimit(RLIMIT_AS, &l) != 0)
            _exit(BAD);
        _exit(kw_seccomp_build(kw_table_of(role), KW_SB_NETWORK, false, kw_arch_native, got, &err));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status)); /* libseccomp did not crash */
    int r = WEXITSTATUS(status);
    assert_int_equal(
        kw_seccomp_build(kw_table_of(role), KW_SB_NETWORK, false, kw_arch_native, &whole, &err), 0);
    if (r == 0 && !same(got, pid, &whole, getpid()))
        r = BAD;
    (void)munmap(got, sizeof *got);
    return r;
}

/* 128 KiB is what malloc() asks the kernel for besides. */
static void test_filter(void **state)
{
    (void)state;
    enum { BESIDES = 144 * 1024 };
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++) {
        assert_int_equal(compile_within((enum kw_role)role, KW_FILTER_MEMORY + BESIDES), 0);
        for (size_t more = 0; more < KW_FILTER_MEMORY / 2; more += 64 * 1024)
            assert_int_equal(compile_within((enum kw_role)role, more), KW_SANDBOX);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_said),
        cmocka_unit_test(test_must),
#ifndef KW_SANITIZE
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_filter),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
