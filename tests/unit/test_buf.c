/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounded buffer: never beyond its maximum, never read past its end, sticky about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/buf.h"

static void test_round_trip(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 1000);
    kw_put_u32(&b, 0x01020304);
    kw_put_u64(&b, UINT64_C(0x1122334455667788));
    kw_put_blob(&b, "hello", 5);
    kw_put_blob(&b, NULL, 0);
    kw_put_u32(&b, UINT32_MAX);
    assert_false(b.bad);
    static const unsigned char head[] = {4,    3,    2,    1,    0x88, 0x77, 0x66, 0x55,
                                         0x44, 0x33, 0x22, 0x11, 5,    0,    0,    0};
    assert_memory_equal(b.p, head, sizeof head);
    assert_false(kw_buf_done(&b));
    assert_int_equal(kw_get_u32(&b), 0x01020304);
    assert_true(kw_get_u64(&b) == UINT64_C(0x1122334455667788));
    struct kw_view v = kw_get_blob(&b, 5);
    assert_int_equal(v.len, 5);
    assert_memory_equal(v.p, "hello", 5);
    assert_int_equal(kw_get_blob(&b, 0).len, 0);
    assert_true(kw_get_u32(&b) == UINT32_MAX);
    assert_true(kw_buf_done(&b));
    assert_int_equal(kw_get_u32(&b), 0);
    assert_true(b.bad);
    assert_false(kw_buf_done(&b));
    kw_buf_free(&b);
    assert_null(b.p);
    assert_true(kw_buf_done(&b));
}

static void test_maximum(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 8);
    kw_put(&b, "12345678", 8);
    assert_false(b.bad);
    assert_string_equal(kw_buf_str(&b), "12345678");
    kw_put(&b, "", 0);
    assert_false(b.bad);
    kw_put(&b, "9", 1);
    assert_true(b.bad);
    assert_int_equal(b.len, 8);
    assert_string_equal(kw_buf_str(&b), ""); /* bad stays bad ... */
    kw_buf_reset(&b);                        /* ... until it is emptied */
    assert_string_equal(kw_buf_str(&b), "");
    kw_put_str(&b, "again");
    assert_string_equal(kw_buf_str(&b), "again");
    kw_buf_free(&b);

    kw_buf_init(&b, 0);
    assert_string_equal(kw_buf_str(&b), "");
    assert_null(kw_buf_room(&b, 1));
    assert_true(b.bad);
    kw_buf_free(&b);

    /* a maximum so large that sums with it would wrap */
    kw_buf_init(&b, SIZE_MAX);
    kw_put_str(&b, "x");
    assert_false(b.bad);
    assert_null(kw_buf_room(&b, SIZE_MAX));
    assert_true(b.bad);
    kw_buf_free(&b);
}

static void test_truncated(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 100);
    kw_put_blob(&b, "hello", 5);
    for (size_t n = 0; n < 9; n++) { /* every prefix */
        b.len = n;
        b.rd = 0;
        b.bad = false;
        struct kw_view v = kw_get_blob(&b, 5);
        assert_true(b.bad);
        assert_int_equal(v.len, 0);
        assert_non_null(v.p);
    }
    b.len = 9;
    b.rd = 0;
    b.bad = false;
    assert_int_equal(kw_get_blob(&b, 4).len, 0); /* longer than its reader allows */
    assert_true(b.bad);
    kw_buf_reset(&b);
    kw_put_u32(&b, UINT32_MAX); /* a length as large as can be said */
    assert_int_equal(kw_get_blob(&b, SIZE_MAX).len, 0);
    assert_true(b.bad);
    kw_buf_reset(&b);
    kw_put_u32(&b, 7); /* half of a 64 bit number */
    assert_true(kw_get_u64(&b) <= UINT32_MAX);
    assert_true(b.bad);
    kw_buf_free(&b);
}

static void test_room_and_reset(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 64);
    unsigned char *to = kw_buf_room(&b, 32);
    assert_non_null(to);
    memset(to, 's', 32); /* written, but never added to len */
    kw_buf_reset(&b);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(b.p[i], 0);
    kw_put_fmt(&b, "%d-%s", 7, "x");
    assert_string_equal(kw_buf_str(&b), "7-x");
    kw_put_fmt(&b, "%2048d", 1); /* longer than one formatted piece can be */
    assert_true(b.bad);
    kw_buf_free(&b);
}

static void test_growth_keeps_content(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 100000);
    for (uint32_t i = 0; i < 25000; i++)
        kw_put_u32(&b, i);
    assert_false(b.bad);
    assert_true(b.cap <= 100001);
    kw_put(&b, "", 1);
    assert_true(b.bad);
    b.bad = false;
    for (uint32_t i = 0; i < 25000; i++)
        assert_int_equal(kw_get_u32(&b), i);
    assert_true(kw_buf_done(&b));
    kw_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_room_and_reset),
        cmocka_unit_test(test_growth_keeps_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
