/* SPDX-License-Identifier: Apache-2.0
 *
 * What each issuer's preset makes of what was asked: every condition and mapping passes the
 * checker that Google's would, tokens as the issuers make them are let in or not by it, and
 * what is too wide is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/claims/google_map.h"
#include "src/setup/setup_preset.h"

static struct kw_err err;

/* Lets the claims in, by the provider that comes of it? */
static bool lets_in(const struct kw_preset *p, const char *claims)
{
    struct kw_google_map m;
    assert_int_equal(kw_google_map_init(&m, &err), 0);
    assert_int_equal(kw_google_map_name(&m,
                                        "projects/1/locations/global/workloadIdentityPools/pool/"
                                        "providers/prov",
                                        &err),
                     0);
    json_object_update(m.mapping, p->mapping);
    m.condition = p->condition[0] != '\0' ? json_string(p->condition) : NULL;
    assert_int_equal(kw_google_map_check(&m, &err), 0);
    json_t *c = json_loads(claims, 0, NULL), *header = json_object();
    assert_non_null(c);
    json_t *v = kw_google_map_explain(&m, header, c, 0);
    assert_non_null(v);
    const json_t *condition = json_object_get(v, "condition");
    const char *verdict = json_string_value(json_object_get(condition, "verdict"));
    const char *all = json_string_value(json_object_get(v, "principal"));
    bool in = (json_is_null(condition) || strcmp(verdict, "pass") == 0) && all != NULL;
    json_decref(v);
    json_decref(c);
    json_decref(header);
    kw_google_map_free(&m);
    return in;
}

static bool warns(const struct kw_preset *p, const char *word)
{
    const json_t *one;
    size_t i;
    json_array_foreach(p->warnings, i, one)
    {
        if (strstr(json_string_value(one), word) != NULL)
            return true;
    }
    return false;
}

static const char *rule(const struct kw_preset *p, size_t i)
{
    const char *r = json_string_value(json_array_get(p->rules, i));
    return r != NULL ? r : "";
}

static const char *claim(const struct kw_preset *p, const char *name)
{
    const char *v = json_string_value(json_object_get(p->claims, name));
    return v != NULL ? v : "";
}

#define GITHUB(id, ref)                                                                            \
    "{\"iss\":\"https://token.actions.githubusercontent.com\",\"sub\":\"repo:keyward/"             \
    "demo:ref:" ref "\",\"repository\":\"keyward/demo\",\"repository_id\":\"" id                   \
    "\",\"repository_owner_id\":\"65\",\"ref\":\"" ref "\",\"run_id\":\"1\"}"

static void github(void **state)
{
    (void)state;
    struct kw_preset p;
    const struct kw_preset_ask ask = {.issuer = "github",
                                      .repository = "keyward/demo",
                                      .repository_id = "592302719",
                                      .owner_id = "65",
                                      .branch = "main"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.issuer, "https://token.actions.githubusercontent.com");
    assert_string_equal(p.jwks_url, "https://token.actions.githubusercontent.com/.well-known/jwks");
    assert_true(p.shared);
    assert_string_equal(p.source, "github");
    assert_string_equal(p.condition, "assertion.repository_id == '592302719' && "
                                     "assertion.repository_owner_id == '65' && "
                                     "assertion.ref == 'refs/heads/main'");
    assert_string_equal(p.member, "attribute.repository_id/592302719");
    assert_string_equal(claim(&p, "ref"), "refs/heads/main");
    assert_string_equal(claim(&p, "repository_id"), "592302719");
    assert_int_equal(json_array_size(p.warnings), 0);
    assert_string_equal(rule(&p, 0), "sub eq repo:keyward/demo:ref:refs/heads/main");
    assert_string_equal(rule(&p, 1), "sub eq repo:keyward@65/demo@592302719:ref:refs/heads/main");
    assert_true(lets_in(&p, GITHUB("592302719", "refs/heads/main")));
    assert_false(lets_in(&p, GITHUB("592302719", "refs/heads/other")));
    assert_false(lets_in(&p, GITHUB("1", "refs/heads/main")));
    kw_preset_free(&p);
}

static void github_names(void **state)
{
    (void)state;
    struct kw_preset p;
    struct kw_preset_ask ask = {.issuer = "github", .repository = "keyward/demo"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.condition, "assertion.repository == 'keyward/demo'");
    assert_true(warns(&p, "--repository-id"));
    assert_true(warns(&p, "any branch"));
    assert_string_equal(rule(&p, 0), "sub eq repo:keyward/demo:*");
    kw_preset_free(&p);

    ask.environment = "prod";
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_false(warns(&p, "any branch"));
    assert_string_equal(rule(&p, 0), "sub eq repo:keyward/demo:environment:prod");
    assert_false(lets_in(&p, GITHUB("592302719", "refs/heads/main"))); /* it has no environment */
    kw_preset_free(&p);

    /* A sub that google.subject has no room for is not mapped. */
    char name[200] = "keyward/";
    memset(name + 8, 'x', 90);
    ask = (struct kw_preset_ask){.issuer = "github", .repository = name};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_null(strstr(json_string_value(json_object_get(p.mapping, "google.subject")), ".sub"));
    kw_preset_free(&p);

    ask = (struct kw_preset_ask){.issuer = "github", .owner_id = "65"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_true(warns(&p, "every repository"));
    kw_preset_free(&p);

    ask = (struct kw_preset_ask){.issuer = "github"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.condition, ""); /* whoever takes it must demand one: it is shared */
    kw_preset_free(&p);
}

static void gitlab(void **state)
{
    (void)state;
    struct kw_preset p;
    const struct kw_preset_ask ask = {.issuer = "gitlab",
                                      .issuer_url = "https://gitlab.test/",
                                      .repository = "a/b/c",
                                      .repository_id = "4711",
                                      .branch = "main"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.jwks_url, "https://gitlab.test/oauth/discovery/keys");
    assert_string_equal(rule(&p, 0), "sub eq project_path:a/b/c:ref_type:branch:ref:main");
#define GITLAB(type)                                                                               \
    "{\"sub\":\"x\",\"project_id\":\"4711\",\"project_path\":\"a/b/c\",\"namespace_id\":\"1\","    \
    "\"job_id\":\"302\",\"ref\":\"main\",\"ref_type\":\"" type "\"}"
    assert_true(lets_in(&p, GITLAB("branch")));
    assert_false(lets_in(&p, GITLAB("tag")));
    kw_preset_free(&p);
}

static void circleci(void **state)
{
    (void)state;
    struct kw_preset p;
    const struct kw_preset_ask ask = {
        .issuer = "circleci", .owner_id = "5b1c", .repository_id = "aa11", .branch = "main"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.issuer, "https://oidc.circleci.com/org/5b1c");
    assert_false(p.shared); /* one organization's own */
    assert_false(warns(&p, "every project"));
    assert_string_equal(p.jwks_url, "https://oidc.circleci.com/org/5b1c/.well-known/jwks-pub.json");
    assert_string_equal(claim(&p, "oidc.circleci.com/project-id"), "aa11");
    assert_true(lets_in(&p, "{\"sub\":\"x\",\"oidc.circleci.com/project-id\":\"aa11\","
                            "\"oidc.circleci.com/vcs-ref\":\"refs/heads/main\"}"));
    assert_false(lets_in(&p, "{\"sub\":\"x\",\"oidc.circleci.com/project-id\":\"aa11\"}"));
    kw_preset_free(&p);

    static const struct {
        struct kw_preset_ask ask;
        bool shared;
    } issuers[] = {{{.issuer = "circleci", .owner_id = "5b1c"}, false},
                   {{.issuer = "https://oidc.circleci.com/org/5b1c"}, false},
                   {{.issuer = "circleci", .issuer_url = "https://ci.test"}, true},
                   {{.issuer = "https://oidc.circleci.com/org/"}, true},
                   {{.issuer = "https://oidc.circleci.com/org/5b1c/x"}, true},
                   {{.issuer = "https://oidc.circleci.com"}, true}};
    for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++) {
        assert_int_equal(kw_preset(&issuers[i].ask, &p, &err), 0);
        assert_int_equal(p.shared, issuers[i].shared);
        assert_int_equal(warns(&p, "every project"), i == 0);
        kw_preset_free(&p);
    }
}

static void buildkite(void **state)
{
    (void)state;
    struct kw_preset p;
    const struct kw_preset_ask ask = {.issuer = "buildkite", .repository = "keyward/demo"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.member, "attribute.pipeline/keyward/demo");
    assert_string_equal(rule(&p, 0), "sub eq organization:keyward:pipeline:demo:*");
    assert_true(lets_in(&p, "{\"organization_slug\":\"keyward\",\"pipeline_slug\":\"demo\"}"));
    assert_false(lets_in(&p, "{\"organization_slug\":\"keyward\",\"pipeline_slug\":\"other\"}"));
    kw_preset_free(&p);
}

static void by_subject(void **state)
{
    (void)state;
    struct kw_preset p;
    struct kw_preset_ask ask = {
        .issuer = "kubernetes", .issuer_url = "https://k8s.test", .repository = "ci/deployer"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.jwks_url, "");
    assert_string_equal(p.member, "subject/system:serviceaccount:ci:deployer");
    assert_string_equal(rule(&p, 0), "sub eq system:serviceaccount:ci:deployer");
    assert_true(lets_in(&p, "{\"sub\":\"system:serviceaccount:ci:deployer\",\"kubernetes.io\":{"
                            "\"namespace\":\"ci\"}}"));
    kw_preset_free(&p);

    ask = (struct kw_preset_ask){
        .issuer = "token", .issuer_url = "https://hsm.test", .subject = "build-7"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.source, "token");
    assert_false(p.shared);
    assert_string_equal(p.condition, "assertion.sub == 'build-7'");
    kw_preset_free(&p);

    ask = (struct kw_preset_ask){.issuer = "https://own.test/x", .subject = "s"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.issuer, "https://own.test/x");
    assert_true(p.shared);
    kw_preset_free(&p);
}

/* --subject besides: one more term, and for OCI nothing wider beside it. */
static void whole_sub(void **state)
{
    static const char *const ci[] = {"github", "gitlab", "circleci", "buildkite"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct kw_preset p;
        struct kw_preset_ask ask = {
            .issuer = ci[i], .issuer_url = "https://ci.test", .subject = "who-it-is"};
        assert_int_equal(kw_preset(&ask, &p, &err), 0);
        assert_string_equal(p.condition, "assertion.sub == 'who-it-is'");
        assert_string_equal(p.member, "attribute.sub/who-it-is");
        assert_string_equal(claim(&p, "sub"), "who-it-is");
        assert_int_equal(json_array_size(p.rules), 1);
        assert_string_equal(rule(&p, 0), "sub eq who-it-is");
        kw_preset_free(&p);
        if (i == 2)
            continue;
        ask.repository = "a/b";
        assert_int_equal(kw_preset(&ask, &p, &err), 0);
        assert_non_null(strstr(p.condition, " && assertion.sub == 'who-it-is'"));
        assert_int_equal(json_array_size(p.rules), 1);
        assert_string_not_equal(p.member, "attribute.sub/who-it-is");
        kw_preset_free(&p);
    }
    struct kw_preset p;
    const struct kw_preset_ask ask = {
        .issuer = "circleci", .issuer_url = "https://ci.test", .owner_id = "5b1c"};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_string_equal(p.condition, "assertion.sub.startsWith('org/5b1c/')");
    kw_preset_free(&p);
}

static void refused(void **state)
{
    (void)state;
    const struct {
        struct kw_preset_ask ask;
        const char *says;
    } bad[] = {
        {{.issuer = NULL}, "Give --issuer"},
        {{.issuer = "jenkins"}, "--issuer is github"},
        {{.issuer = "github", .repository = "demo"}, "OWNER/NAME"},
        {{.issuer = "github", .repository = "a/b/c"}, "OWNER/NAME"},
        {{.issuer = "github", .repository = "a/"}, "OWNER/NAME"},
        {{.issuer = "github", .repository = "a/*"}, "one exact value"},
        {{.issuer = "github", .repository = "a/b' || true || 'c"}, "one exact value"},
        {{.issuer = "github", .repository = "a/b\\"}, "one exact value"},
        {{.issuer = "github", .branch = "a\nb"}, "one exact value"},
        {{.issuer = "github", .branch = ""}, "empty"},
        {{.issuer = "github", .repository_id = "12a"}, "are numbers"},
        {{.issuer = "gitlab", .owner_id = "x"}, "numbers"},
        {{.issuer = "gitlab", .issuer_url = "http://gitlab.test"}, "https://"},
        {{.issuer = "circleci", .repository_id = "aa"}, "--owner-id"},
        {{.issuer = "circleci", .owner_id = "5b", .repository = "a/b"}, "UUID"},
        {{.issuer = "buildkite", .repository_id = "1"}, "no numbers"},
        {{.issuer = "kubernetes", .repository = "a/b"}, "--issuer-url"},
        {{.issuer = "kubernetes", .issuer_url = "https://k", .branch = "b"}, "no numbers"},
        {{.issuer = "token", .subject = "x"}, "[issuer] iss"},
        {{.issuer = "token", .issuer_url = "https://k", .repository = "a/b"}, "--subject"},
        {{.issuer = "https://own.test", .repository = "a/b"}, "--subject"},
        {{.issuer = "https://own.test", .issuer_url = "https://k"}, "--issuer-url is not for"},
        {{.issuer = "kubernetes", .issuer_url = "https://k", .repository = "a/b", .subject = "s"},
         "give one of them"},
        {{.issuer = "circleci", .owner_id = "5b", .environment = "e"}, "--environment is not for"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kw_preset p;
        assert_int_equal(kw_preset(&bad[i].ask, &p, &err), KW_USAGE);
        if (strstr(err.text, bad[i].says) == NULL)
            fail_msg("%zu: %s", i, err.text);
        kw_preset_free(&p);
    }
    char longest[600];
    struct kw_preset p;
    memset(longest, 'x', sizeof longest);
    longest[599] = '\0';
    const struct kw_preset_ask ask = {.issuer = "github", .branch = longest};
    assert_int_equal(kw_preset(&ask, &p, &err), KW_USAGE);
    kw_preset_free(&p);
}

static void wide_rules(void **state)
{
    (void)state;
    static const char *const wide[] = {"sub eq *",
                                       "sub eq '*'",
                                       "sub eq repo:*",
                                       "sub eq repo:keyward*",
                                       "sub eq repo:keyward/*",
                                       "sub eq repo:keyward/de*"};
    static const char *const narrow[] = {"sub eq repo:keyward/demo:*", "sub eq x",
                                         "sub eq repo:keyward/demo:environment:prod",
                                         "groups co admin", "nonsense"};
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        assert_non_null(kw_preset_wide_rule(wide[i]));
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++)
        assert_null(kw_preset_wide_rule(narrow[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(github),    cmocka_unit_test(github_names), cmocka_unit_test(gitlab),
        cmocka_unit_test(circleci),  cmocka_unit_test(buildkite),    cmocka_unit_test(by_subject),
        cmocka_unit_test(whole_sub), cmocka_unit_test(refused),      cmocka_unit_test(wide_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
