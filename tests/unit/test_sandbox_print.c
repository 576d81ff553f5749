/* SPDX-License-Identifier: Apache-2.0
 *
 * `keyward policy --sandbox`: the printed table has every rule, with its reason, and
 * the JSON says the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/table.h"

static char *printed(bool json)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    kw_sandbox_print(out, json);
    assert_int_equal(fclose(out), 0);
    return text;
}

static size_t rules_of(enum kw_role role)
{
    const struct kw_table *t = kw_table_of(role);
    size_t n = 0;
    for (size_t i = 0; t->groups[i] != NULL; i++)
        if (kw_group_applies(t->groups[i], t->groups[i]->only, KW_SANITIZED))
            n += t->groups[i]->n;
    return n;
}

static void as_json(void **state)
{
    (void)state;
    char *text = printed(true);
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *role;
    assert_non_null(o);
    assert_int_equal(json_array_size(json_object_get(o, "roles")), KW_ROLES);
    size_t at;
    json_array_foreach(json_object_get(o, "roles"), at, role)
    {
        size_t n = 0, i, j;
        json_t *group, *rule;
        assert_string_equal(json_string_value(json_object_get(role, "role")),
                            kw_role_name((enum kw_role)at));
        json_array_foreach(json_object_get(role, "groups"), i, group)
        {
            json_array_foreach(json_object_get(group, "rules"), j, rule)
            {
                assert_true(json_string_length(json_object_get(rule, "call")) > 0);
                assert_true(json_string_length(json_object_get(rule, "answer")) > 0);
                assert_true(json_string_length(json_object_get(rule, "why")) > 0);
                n++;
            }
        }
        assert_int_equal(n, at == KW_ROLE_MAIN ? 0 : rules_of((enum kw_role)at));
    }
    json_decref(o);
    free(text);
}

static void as_text(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "allow     mmap                 a2 & (PROT_EXEC) == 0, a3 == MAP_PRIVATE | MAP_ANONYMOUS;",
        "pretend   connect ",
        "violation execve ",
        "ENOSYS    clone3 ",
        "EACCES    openat ",
        "EPERM     kill                 a0 != own pid;",
        "violation socket               a0 != AF_UNIX;",
    };
    char *text = printed(false);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strstr(text, lines[i]) == NULL)
            fail_msg("not printed: %s", lines[i]);
    size_t n = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        n++;
    assert_in_range(
        n, rules_of(KW_ROLE_KEEPER) + rules_of(KW_ROLE_EXCHANGER) + rules_of(KW_ROLE_DIALER), 2000);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_json), cmocka_unit_test(as_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
