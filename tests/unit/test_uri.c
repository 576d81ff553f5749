/* SPDX-License-Identifier: Apache-2.0
 *
 * PKCS#11 URIs: what is taken, what is refused and why, and that printing and
 * parsing are each other's inverse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/uri.h"

static const char whole[] =
    "pkcs11:token=ci%20hsm;manufacturer=SoftHSM%20project;serial=0123456789abcdef;"
    "model=SoftHSM%20v2;object=k%2F1;id=%00%01%FF;type=private?"
    "module-path=%2Fusr%2Flib%2Fm.so&pin-source=%2Frun%2Fpin";

static void takes_every_attribute(void **state)
{
    struct kw_uri u;
    struct kw_err err;
    (void)state;
    assert_int_equal(kw_uri_parse(whole, KW_URI_TOKEN | KW_URI_OBJECT, &u, &err), 0);
    assert_string_equal(u.token, "ci hsm");
    assert_string_equal(u.manufacturer, "SoftHSM project");
    assert_string_equal(u.serial, "0123456789abcdef");
    assert_string_equal(u.model, "SoftHSM v2");
    assert_string_equal(u.object, "k/1");
    assert_int_equal(u.id_len, 3);
    assert_memory_equal(u.id, "\0\1\xff", 3);
    assert_string_equal(u.type, "private");
    assert_string_equal(u.module_path, "/usr/lib/m.so");
    assert_string_equal(u.pin_source, "/run/pin");
}

static void takes_what_people_write(void **state)
{
    struct kw_uri u;
    struct kw_err err;
    (void)state;
    assert_int_equal(kw_uri_parse("pkcs11:token=ci-hsm?module-path=/usr/lib/softhsm/libsofthsm2.so&"
                                  "pin-source=file:/run/credentials/keyward/pin",
                                  KW_URI_TOKEN, &u, &err),
                     0);
    assert_string_equal(u.pin_source, "/run/credentials/keyward/pin");
    assert_int_equal(kw_uri_parse("pkcs11:object=a?pin-source=file:///p", KW_URI_OBJECT, &u, &err),
                     0);
    assert_string_equal(u.pin_source, "/p");
    /* all of the sizes that the token's structures have */
    assert_int_equal(kw_uri_parse("pkcs11:token=12345678901234567890123456789012", 0, &u, &err), 0);
    assert_int_equal(strlen(u.token), 32);
    assert_int_equal(kw_uri_parse("pkcs11:token=caf%C3%A9;object=a=b&c", 0, &u, &err), 0);
    assert_string_equal(u.object, "a=b&c");
    assert_int_equal(kw_uri_parse("pkcs11:", 0, &u, &err), 0);
}

static void prints_what_it_parses(void **state)
{
    struct kw_uri u, v;
    struct kw_err err;
    char text[1024], small[32];
    (void)state;
    assert_int_equal(kw_uri_parse(whole, 0, &u, &err), 0);
    assert_true(kw_uri_print(&u, text, sizeof text));
    assert_string_equal(text, whole);
    assert_int_equal(kw_uri_parse(text, 0, &v, &err), 0);
    assert_memory_equal(&u, &v, sizeof u);
    assert_false(kw_uri_print(&u, small, sizeof small));
    assert_false(kw_uri_print(&u, small, 0));
    assert_true(strlen(small) < sizeof small);
    /* exactly enough, and one less */
    assert_true(kw_uri_print(&u, text, sizeof whole));
    assert_false(kw_uri_print(&u, text, sizeof whole - 1));
    memset(&u, 0, sizeof u);
    assert_true(kw_uri_print(&u, text, sizeof text));
    assert_string_equal(text, "pkcs11:");
}

static const struct {
    const char *text;
    unsigned need;
    const char *says;
} refused[] = {
    {"", 0, "scheme"},
    {"token=a", 0, "scheme"},
    {"PKCS11:token=a", 0, "scheme"},
    {"pkcs11:token=a;token=b", 0, "token: given twice"},
    {"pkcs11:token=a;token=a", 0, "given twice"},
    {"pkcs11:token=", 0, "token: empty"},
    {"pkcs11:id=", 0, "id: empty"},
    {"pkcs11:token", 0, "an attribute without"},
    {"pkcs11:=a", 0, "unknown attribute"},
    {"pkcs11:token=a;", 0, "empty attribute"},
    {"pkcs11:;token=a", 0, "empty attribute"},
    {"pkcs11:token=a;;model=b", 0, "empty attribute"},
    {"pkcs11:token=a?", 0, "empty attribute"},
    {"pkcs11:token=a?module-path=/m&", 0, "empty attribute"},
    {"pkcs11:token=123456789012345678901234567890123", 0, "token: too long"},
    {"pkcs11:serial=12345678901234567", 0, "serial: too long"},
    {"pkcs11:id=%00%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13%14%15%16%17%18%19"
     "%1a%1b%1c%1d%1e%1f%20",
     0, "id: too long"},
    {"pkcs11:token=a%0", 0, "incomplete percent-encoding"},
    {"pkcs11:token=a%", 0, "incomplete percent-encoding"},
    {"pkcs11:token=%zz", 0, "bad percent-encoding"},
    {"pkcs11:token=a%00b", 0, "control characters"},
    {"pkcs11:token=a%0ab", 0, "control characters"},
    {"pkcs11:token=a%ff", 0, "not UTF-8"},
    {"pkcs11:token=a b", 0, "must be percent-encoded"},
    {"pkcs11:token=a/b", 0, "must be percent-encoded"},
    {"pkcs11:token=a#b", 0, "must be percent-encoded"},
    {"pkcs11:token=caf\xc3\xa9", 0, "must be percent-encoded"},
    {"pkcs11:Token=a", 0, "unknown attribute"},
    {"pkcs11:x-vendor=a", 0, "unknown attribute"},
    {"pkcs11:slot-id=1", 0, "slot-id"},
    {"pkcs11:slot-description=1", 0, "slot-description"},
    {"pkcs11:library-version=1", 0, "library-version"},
    {"pkcs11:token=a?module-name=softhsm", 0, "module-name"},
    {"pkcs11:token=a?pin-value=1234", 0, "pin-value"},
    {"pkcs11:token=a?module-path=lib/m.so", 0, "module-path: not an absolute path"},
    {"pkcs11:token=a?module-path=m.so", 0, "module-path: not an absolute path"},
    {"pkcs11:token=a?pin-source=%7Ccat%20/pin", 0, "pin-source: a command"},
    {"pkcs11:token=a?pin-source=|cat", 0, "pin-source: a command"},
    {"pkcs11:token=a?pin-source=pin", 0, "pin-source: not an absolute path"},
    {"pkcs11:token=a?pin-source=file:pin", 0, "pin-source: not an absolute path"},
    {"pkcs11:token=a?pin-source=file://host/pin", 0, "a file: URL with a host"},
    {"pkcs11:token=a?pin-source=https://h/pin", 0, "pin-source: not an absolute path"},
    {"pkcs11:module-path=/m", 0, "belongs after the '?'"},
    {"pkcs11:?token=a", 0, "belongs before the '?'"},
    {"pkcs11:type=secret-key", 0, "type"},
    {"pkcs11:type=privates", 0, "type: too long"},
    {"pkcs11:", KW_URI_TOKEN, "must name a token"},
    {"pkcs11:model=m?module-path=/m", KW_URI_TOKEN, "must name a token"},
    {"pkcs11:token=a", KW_URI_TOKEN, "module-path: missing"},
    {"pkcs11:token=a", KW_URI_OBJECT, "must name a key"},
};

static void refuses_every_doubt(void **state)
{
    static const struct kw_uri zero;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct kw_uri u;
        struct kw_err err = {0};
        memset(&u, 0xaa, sizeof u);
        if (kw_uri_parse(refused[i].text, refused[i].need, &u, &err) != KW_USAGE)
            fail_msg("taken: %s", refused[i].text);
        if (strstr(err.text, refused[i].says) == NULL)
            fail_msg("%s: says \"%s\", not \"%s\"", refused[i].text, err.text, refused[i].says);
        assert_memory_equal(&u, &zero, sizeof u);
    }
}

/* The error must not repeat the PIN that somebody put into the URI. */
static void never_repeats_a_pin(void **state)
{
    struct kw_uri u;
    struct kw_err err;
    (void)state;
    assert_int_equal(kw_uri_parse("pkcs11:token=a?pin-value=S3CRET", 0, &u, &err), KW_USAGE);
    assert_null(strstr(err.text, "S3CRET"));
    assert_int_equal(kw_uri_parse("pkcs11:token=a?pin-value:S3CRET", 0, &u, &err), KW_USAGE);
    assert_null(strstr(err.text, "S3CRET"));
}

static void refuses_endless_text(void **state)
{
    static char text[20000];
    struct kw_uri u;
    struct kw_err err;
    (void)state;
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "pkcs11:token=", 13);
    assert_int_equal(kw_uri_parse(text, 0, &u, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "8192"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_attribute), cmocka_unit_test(takes_what_people_write),
        cmocka_unit_test(prints_what_it_parses), cmocka_unit_test(refuses_every_doubt),
        cmocka_unit_test(never_repeats_a_pin),   cmocka_unit_test(refuses_endless_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
