/* SPDX-License-Identifier: Apache-2.0
 *
 * Differences between what an identity domain has and what is wanted of it, and what is made
 * of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/wire/scim.h"

static struct kw_err err;

static json_t *load(const char *text)
{
    json_error_t why;
    json_t *o = json_loads(text, JSON_DECODE_ANY, &why);
    if (o == NULL)
        fail_msg("%s: %s", text, why.text);
    return o;
}

static bool same(const char *have, const char *want)
{
    json_t *h = load(have), *w = load(want);
    bool r = kw_scim_same(h, w);
    json_decref(h);
    json_decref(w);
    return r;
}

static void equality(void **state)
{
    (void)state;
    assert_true(same("1", "1"));
    assert_false(same("\"1\"", "1"));
    assert_true(same("null", "[]"));
    assert_true(same("\"\"", "null"));
    assert_false(same("[\"a\"]", "null"));
    assert_false(same("false", "true"));
    assert_true(same("false", "false"));
    assert_false(same("true", "false"));
    /* texts in any order, objects in theirs: the first rule that matches wins */
    assert_true(same("[\"a\",\"b\"]", "[\"b\",\"a\"]"));
    assert_false(same("[\"a\",\"b\",\"c\"]", "[\"b\",\"a\"]"));
    assert_false(same("[\"a\",\"a\"]", "[\"b\",\"a\"]"));
    assert_false(same("[\"b\",\"a\"]", "[\"a\",\"a\"]"));
    assert_false(same("[\"a\",\"b\",\"b\"]", "[\"a\",\"a\",\"b\"]"));
    assert_true(same("[\"a\",\"b\",\"a\"]", "[\"b\",\"a\",\"a\"]"));
    assert_true(same("[{\"rule\":\"r\",\"value\":\"1\",\"ocid\":\"o\"}]",
                     "[{\"rule\":\"r\",\"value\":\"1\"}]"));
    assert_false(same("[{\"rule\":\"r\",\"value\":\"1\"},{\"rule\":\"s\",\"value\":\"1\"}]",
                      "[{\"rule\":\"s\",\"value\":\"1\"},{\"rule\":\"r\",\"value\":\"1\"}]"));
    assert_false(same("\"a\"", "[\"a\"]"));
    assert_false(same("[\"a\"]", "{\"a\":1}"));
}

static char *changes(const char *have, const char *want, const char *const *fixed)
{
    json_t *h = load(have), *w = load(want), *ops = kw_scim_changes(h, w, fixed);
    char *text = json_dumps(ops, JSON_COMPACT);
    json_decref(h);
    json_decref(w);
    json_decref(ops);
    assert_non_null(text);
    return text;
}

static void differences(void **state)
{
    (void)state;
    static const char *const fixed[] = {"name", NULL};
    char *text = changes("{\"id\":\"1\",\"name\":\"x\",\"active\":false,\"old\":[\"v\"]}",
                         "{\"schemas\":[\"s\"],\"tags\":[1],\"name\":\"y\",\"active\":true,"
                         "\"old\":null,\"absent\":null,\"new\":\"n\"}",
                         fixed);
    assert_string_equal(text, "[{\"op\":\"replace\",\"path\":\"active\",\"value\":true},"
                              "{\"op\":\"remove\",\"path\":\"old\"},"
                              "{\"op\":\"replace\",\"path\":\"new\",\"value\":\"n\"}]");
    free(text);
    text = changes("{\"a\":[1],\"b\":2}", "{\"b\":2,\"c\":[]}", NULL);
    assert_string_equal(text, "[]");
    free(text);
}

static void bodies(void **state)
{
    (void)state;
    json_t *want = load("{\"a\":1,\"b\":null,\"c\":[],\"d\":false}"), *new = kw_scim_new(want);
    assert_int_equal(json_object_size(new), 2); /* false is a value */
    json_decref(new);
    json_decref(want);
    json_t *patch = kw_scim_patch(json_array());
    assert_string_equal(json_string_value(json_array_get(json_object_get(patch, "schemas"), 0)),
                        "urn:ietf:params:scim:api:messages:2.0:PatchOp");
    json_decref(patch);
}

static void marks(void **state)
{
    (void)state;
    static const struct {
        const char *o, *mark;
    } all[] = {{"{}", ""},
               {"{\"tags\":[{\"key\":\"team\",\"value\":\"x\"}]}", ""},
               {"{\"tags\":[{\"key\":\"team\",\"value\":\"x\"},{\"key\":\"keyward\",\"value\":"
                "\"setup\"}]}",
                "setup"},
               {"{\"tags\":[{\"key\":\"Keyward\",\"value\":\"setup\"}]}", ""},
               {"{\"tags\":[1,null,{\"key\":7}]}", ""},
               {"{\"freeformTags\":{\"keyward\":\"setup\"}}", "setup"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        json_t *o = load(all[i].o);
        assert_string_equal(kw_scim_mark(o), all[i].mark);
        json_decref(o);
    }
    /* others' tags stay */
    json_t *o = load(
        "{\"tags\":[{\"key\":\"team\",\"value\":\"x\"},{\"key\":\"keyward\",\"value\":\"y\"}]}");
    json_t *tags = kw_scim_tags_with(o, "setup");
    assert_int_equal(json_array_size(tags), 2);
    json_decref(tags);
    json_decref(o);
    o = load("{\"freeformTags\":{\"team\":\"x\",\"keyward\":\"y\"}}");
    tags = kw_scim_freeform_with(o, "setup");
    json_t *expected = load("{\"team\":\"x\",\"keyward\":\"setup\"}");
    assert_true(json_equal(tags, expected));
    json_decref(tags);
    json_decref(expected);
    json_decref(o);
    tags = kw_scim_freeform_with(NULL, "setup");
    assert_int_equal(json_object_size(tags), 1);
    json_decref(tags);
}

/* What an answer calls an id goes into the path of a signed request. */
static void ids(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0123456789abcdef0123456789abcdef", "My_APPID",
                                       "ocid1.policy.oc1..aaaa", "x-1"};
    static const char *const bad[] = {"",    ".",    "..",       "../Users", "a/b",  "a?b",
                                      "a#b", "a b",  "a%2fb",    "a\nb",     "a\"b", "-a",
                                      "_a",  "a\\b", "\xc3\xa9", "a&count=1"};
    char big[KW_SCIM_ID + 2];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!kw_scim_is_id(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (kw_scim_is_id(bad[i]))
            fail_msg("taken: %s", bad[i]);
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_false(kw_scim_is_id(big));
    big[KW_SCIM_ID] = '\0';
    assert_true(kw_scim_is_id(big));
}

static void queries(void **state)
{
    (void)state;
    char *q = kw_scim_query("https://d", "Apps", "displayName", "a \"b\\ c&d", "name,tags");
    assert_string_equal(q,
                        "https://d/admin/v1/Apps?filter=displayName%20eq%20%22a%20%5C%22b%5C%5C%20"
                        "c%26d%22&count=2&attributes=name,tags");
    free(q);
    char big[6000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_null(kw_scim_query("https://d", "Apps", "displayName", big, "name"));
}

static int one(const char *answer, bool *found)
{
    json_t *o = answer != NULL ? load(answer) : NULL, *got;
    int r = kw_scim_one(o, "thing", &got, &err);
    *found = got != NULL;
    json_decref(o);
    return r;
}

static void lists(void **state)
{
    (void)state;
    bool found;
    assert_int_equal(one("{\"totalResults\":0}", &found), 0);
    assert_false(found);
    assert_int_equal(one("{\"totalResults\":0,\"Resources\":[]}", &found), 0);
    assert_false(found);
    assert_int_equal(one("{\"totalResults\":1,\"Resources\":[{\"id\":\"1\"}]}", &found), 0);
    assert_true(found);
    assert_int_equal(one("[]", &found), 0);
    assert_false(found);
    assert_int_equal(one("[{\"id\":\"1\"}]", &found), 0);
    assert_true(found);
    assert_int_equal(one("{\"totalResults\":2,\"Resources\":[{},{}]}", &found), KW_CLOUD);
    assert_non_null(strstr(err.text, "several"));
    /* a page of one of many is no better */
    assert_int_equal(one("{\"totalResults\":9,\"Resources\":[{}]}", &found), KW_CLOUD);
    assert_int_equal(one("[{},{}]", &found), KW_CLOUD);
    assert_int_equal(one("{}", &found), KW_CLOUD);
    assert_int_equal(one("{\"Resources\":{}}", &found), KW_CLOUD);
    assert_int_equal(one("7", &found), KW_CLOUD);
    assert_int_equal(one(NULL, &found), KW_CLOUD);
}

static int whole(const char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    int r = kw_scim_whole(o, "things", &err);
    json_decref(o);
    return r;
}

static void whole_lists(void **state)
{
    (void)state;
    assert_int_equal(whole("{\"totalResults\":0}"), 0);
    assert_int_equal(whole("{\"totalResults\":0,\"Resources\":[]}"), 0);
    assert_int_equal(whole("{\"totalResults\":2,\"Resources\":[{},{}]}"), 0);
    assert_int_equal(whole("{\"totalResults\":3,\"Resources\":[{},{}]}"), KW_CLOUD);
    assert_non_null(strstr(err.text, "things: the cloud shows 2 of 3"));
    assert_int_equal(whole("{\"totalResults\":1}"), KW_CLOUD);
    assert_int_equal(whole("{\"totalResults\":0,\"Resources\":{}}"), KW_CLOUD);
    assert_int_equal(whole("{\"Resources\":[]}"), KW_CLOUD);
    assert_int_equal(whole("[]"), KW_CLOUD);
    assert_int_equal(whole("7"), KW_CLOUD);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *body, *words[3];
        int code;
    } all[] = {
        {403,
         "{\"detail\":\"You do not have the right "
         "Apps.create.\",\"status\":\"403\",\"urn:ietf:params:"
         "scim:api:oracle:idcs:extension:messages:Error\":{\"messageId\":\"error.forbidden\"}}",
         {"Apps.create", "error.forbidden", "Identity Domain Administrator"},
         KW_CLOUD},
        {404,
         "{\"code\":\"NotAuthorizedOrNotFound\",\"message\":\"m\"}",
         {"NotAuthorizedOrNotFound", "may not see", NULL},
         KW_CLOUD},
        {401,
         "{\"error\":\"invalid_client\",\"error_description\":\"d\"}",
         {"invalid_client: d", NULL, NULL},
         KW_CLOUD},
        {409,
         "{\"detail\":\"d\",\"urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error\":{"
         "\"messageId\":\"error.common.validation.uniquenessViolation\"}}",
         {"meanwhile", NULL, NULL},
         KW_CLOUD},
        {409,
         "{\"code\":\"PolicyAlreadyExists\",\"message\":\"m\"}",
         {"PolicyAlreadyExists: m", "meanwhile", NULL},
         KW_CLOUD},
        {412, NULL, {"changed it meanwhile", NULL, NULL}, KW_CLOUD},
        {429, NULL, {"goes on from there", NULL, NULL}, KW_NET},
        {503, "[]", {"goes on from there", NULL, NULL}, KW_NET},
        {400, "{\"detail\":7,\"code\":[],\"error\":{}}", {"refused: 400", NULL, NULL}, KW_CLOUD},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        json_t *body = all[i].body != NULL ? load(all[i].body) : NULL;
        assert_int_equal(kw_scim_refused(all[i].status, body, "abc", "the trust", &err),
                         all[i].code);
        assert_non_null(strstr(err.text, "the trust: refused"));
        assert_non_null(strstr(err.text, "opc-request-id abc"));
        for (size_t k = 0; k < 3 && all[i].words[k] != NULL; k++)
            if (strstr(err.text, all[i].words[k]) == NULL)
                fail_msg("\"%s\" lacks %s", err.text, all[i].words[k]);
        json_decref(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality),    cmocka_unit_test(differences), cmocka_unit_test(bodies),
        cmocka_unit_test(marks),       cmocka_unit_test(queries),     cmocka_unit_test(lists),
        cmocka_unit_test(whole_lists), cmocka_unit_test(refusals),    cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
