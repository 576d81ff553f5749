/* SPDX-License-Identifier: Apache-2.0
 *
 * Which conditions keep strangers' tokens out, of issuers that give tokens to everybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/setup/setup_google.h"

const struct kw_command *const kw_commands[] = {NULL}; /* main.c's */

static bool lets_in(const char *issuer, const char *condition)
{
    struct kw_preset p;
    struct kw_err err;
    const struct kw_preset_ask ask = {
        .issuer = issuer, .issuer_url = strcmp(issuer, "circleci") == 0 ? "https://ci.test" : NULL};
    assert_int_equal(kw_preset(&ask, &p, &err), 0);
    assert_true(p.shared);
    (void)json_object_set_new(p.mapping, "attribute.owner",
                              json_string("assertion.repository.split('/')[0]"));
    (void)json_object_set_new(p.mapping, "google.subject", json_string("assertion.sub"));
    (void)json_object_set_new(p.mapping, "attribute.where", json_string("assertion.ref"));
    (void)json_object_set_new(p.mapping, "attribute.both",
                              json_string("assertion.repository + assertion.ref"));
    (void)snprintf(p.condition, sizeof p.condition, "%s", condition);
    bool in = kw_google_lets_strangers_in(&p);
    kw_preset_free(&p);
    return in;
}

struct row {
    const char *issuer, *condition;
};

static void keeps_out(void **state)
{
    static const struct row rows[] = {
        {"github", "assertion.repository_id == '1'"},
        {"github", "'1' == assertion.repository_id"},
        {"github", "assertion['repository_id'] == '1'"},
        {"github", "assertion.repository_id in ['1', '2', '3']"},
        {"github", "assertion.repository_id == '1' || assertion.repository_id == '2'"},
        {"github", "assertion.ref == 'refs/heads/main' && assertion.repository == 'o/r'"},
        {"github", "assertion.ref.matches('main|dev') && assertion.repository == 'o/r'"},
        {"github", "assertion.repository.startsWith('my-org/')"},
        {"github", "assertion.repository.matches('^my-org/')"},
        {"github", "assertion.repository.matches('^my-org/[a-z]+$')"},
        {"github", "assertion.repository.matches('^my-org/x?$')"},
        {"github", "assertion.repository.matches('^my-org/+')"},
        {"github", "assertion.sub.matches('^repo:my-org/.*:ref:refs/heads/main$')"},
        {"github", "assertion.repository_owner.matches('^my-org$')"},
        {"github", "assertion.repository_owner == 'my-org'"},
        {"github", "assertion.sub == 'repo:o/r:ref:refs/heads/main'"},
        {"github", "assertion.sub.startsWith('repo:my-org/')"},
        {"github", "google.subject == 'repo:o/r:environment:prod'"},
        {"github", "attribute.repository_id == '1'"},
        {"github", "assertion.repository_owner_id == '65' && assertion.actor.contains('x')"},
        {"gitlab", "assertion.namespace_path.startsWith('my-group/')"},
        {"gitlab", "assertion.sub.startsWith('project_path:my-group/x:')"},
        {"circleci", "assertion['oidc.circleci.com/project-id'] == 'aa11'"},
        {"circleci", "'c0' in assertion['oidc.circleci.com/context-ids']"},
        {"buildkite", "assertion.organization_slug == 'o' && assertion.pipeline_slug == 'p'"},
        {"https://own.test", "assertion.sub == 'me'"},
        {"https://token.actions.githubusercontent.com", "assertion.repository_id == '1'"},
        {"https://token.actions.githubusercontent.com.test", "assertion.ref == 'x'"},
        {"https://own.test", "assertion.tenant == 5"},
        {"https://own.test", "assertion.repository == 'o/r'"},
        {"github", "assertion.repository_owner_id == '123' && assertion.repository == 'a/b'"},
        {"github", "(assertion.ref == 'x' && (assertion.repository == 'a/b'))"},
        {"github", "(assertion.repository == 'a/b' && assertion.ref == 'x') || "
                   "assertion.repository_id in ['1']"},
        {"github", "attribute['repository_id'] in ['1', '2']"},
        {"github", "assertion.sub.startsWith('repo:org/repo:')"},
        {"github", "assertion.sub.startsWith('repo:org@65/repo@592:ref:')"},
        {"github", "assertion.sub == 'repo:org@65/repo@592:ref:refs/heads/main'"},
        {"github", "google.subject.startsWith('repo:org@65/')"},
        {"github", "assertion.sub == 'repository_owner_id:65'"},
        {"github", "assertion.sub.startsWith('repository_owner:my-org:')"},
        {"github", "assertion.workflow_ref.startsWith('my-org/ci/.github/workflows/')"},
        {"github", "assertion.enterprise == 'my-firm'"},
        {"github", "assertion.actor == 'octocat' && assertion.repository_id == '1'"},
        {"github", "assertion.sub.split(':')[3] == 'refs/heads/main' && "
                   "assertion.repository_id == '1'"}, /* what can't be judged may stand beside */
        {"gitlab", "assertion.project_id == '1' && assertion.ref_type == 'branch'"},
        {"gitlab", "assertion.project_path.startsWith('my-group/')"},
        {"gitlab", "assertion.ci_config_ref_uri.startsWith('gitlab.com/my-group/')"},
        {"circleci", "assertion.sub.startsWith('org/5b/')"},
        {"buildkite", "assertion.sub.startsWith('organization:o:pipeline:')"},
        {"https://own.test", "assertion.sub.startsWith('system:serviceaccount:ci:')"},
        {"https://own.test", "assertion.sub.startsWith('owner:acme:project:')"},
        {"https://own.test", "assertion['kubernetes.io'].namespace == 'ci'"},
        {"https://own.test", "'ops' in assertion.groups"},
        {"github", "assertion.sub =="}, /* is no condition, which others say */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (lets_in(rows[i].issuer, rows[i].condition))
            fail_msg("%s: %s", rows[i].issuer, rows[i].condition);
}

static void lets_strangers_in(void **state)
{
    static const struct row rows[] = {
        {"github", "true"},
        {"github", "'assertion.repository_id' == 'assertion.repository_id'"},
        {"github", "assertion.repository_id == assertion.repository_id"},
        {"github", "assertion.repository_id == '1' || true"},
        {"github", "true || assertion.repository_id == '1'"},
        {"github", "true // assertion.repository_id == '1'"},
        {"github", "assertion.repository_id == '1' || assertion.ref == 'refs/heads/main'"},
        {"github", "assertion.repository_id != '1'"},
        {"github", "!(assertion.repository_id == '1')"},
        {"github", "assertion.ref == 'refs/heads/main'"},
        {"github", "assertion.environment == 'prod'"},
        {"github", "assertion.aud == 'https://me'"},
        {"github", "assertion.repository_visibility == 'private'"},
        {"github", "assertion.repository_id == assertion.ref"},
        {"github", "has(assertion.repository_id)"},
        {"github", "size(assertion.repository_id) > 0"},
        {"github", "assertion.repository_id > '0'"},
        {"github", "assertion.repository.endsWith('/deploy')"},
        {"github", "assertion.repository.contains('my-org/')"},
        {"github", "assertion.repository.matches('my-org/.*')"},
        {"github", "assertion.repository.matches('^my-org/a$|x')"},
        {"github", "assertion.repository.matches('^[a-z]+/deploy$')"},
        {"github", "assertion.repository_owner.startsWith('my-org')"},
        {"github", "assertion.repository_owner.matches('^my-org')"},
        {"github", "assertion.sub.startsWith('repo:')"},
        {"github", "assertion.sub.startsWith('repo:my-org')"},
        {"github", "assertion.sub.endsWith(':ref:refs/heads/main')"},
        {"github", "attribute.where == 'refs/heads/main'"},
        {"github", "attribute.none == 'x' || true"},
        {"github", "assertion.repository.lowerAscii() == 'o/r'"}, /* can't be judged */
        {"github", "assertion.iss == 'https://token.actions.githubusercontent.com'"},
        {"gitlab", "assertion.ref_protected == 'true'"},
        {"circleci", "assertion['oidc.circleci.com/vcs-ref'] == 'refs/heads/main'"},
        {"buildkite", "assertion.pipeline_slug == 'demo'"},
        {"github", "assertion.repository.matches('^my-org/*')"},
        {"github", "assertion.repository.matches('^my-org/?.*')"},
        {"github", "assertion.repository.matches('^my-org/{0,1}')"},
        {"https://token.actions.githubusercontent.com", "assertion.ref == 'refs/heads/main'"},
        {"https://token.actions.githubusercontent.com/my-firm", "assertion.environment == 'prod'"},
        {"https://token.actions.githubusercontent.com", "assertion.sub.startsWith('repo:my-org')"},
        {"https://gitlab.com", "assertion.ref == 'main'"},
        {"https://oidc.circleci.com", "assertion['oidc.circleci.com/vcs-ref'] == 'r'"},
        /* what may keep out whom it will, but does not say so */
        {"github", "!(assertion.repository_id != '1')"},
        {"github", "assertion.repository_id == '1' ? true : false"},
        {"github", "attribute.owner == 'my-org'"},
        {"github", "false"},
        {"github", "assertion.sub == 'repo:' + assertion.repository + ':ref:refs/heads/main'"},
        {"github", "assertion.repository.startsWith(assertion.repository_owner + '/')"},
        {"github", "assertion.sub.split(':')[3] == 'refs/heads/main'"},
        {"github", "assertion.sub.extract(':environment:{e}') == 'prod'"},
        {"github", "assertion.workflow_ref.split('@')[1] == 'refs/heads/main'"},
        {"github", "size(assertion.repository) == 30"},
        {"github", "assertion.repository < 'b'"},
        {"github", "int(assertion.repository_id) > 100"},
        {"github", "!assertion.repository.contains('stranger')"},
        {"github", "!has(assertion.enterprise)"},
        {"github", "assertion.repository_id != assertion.repository_owner_id"},
        {"github", "'abcdef'.contains(assertion.repository_owner)"},
        {"github", "assertion.actor == 'octocat'"},
        {"github", "assertion.actor_id == '1'"},
        {"github", "assertion.job_workflow_ref.startsWith('my-org/ci/')"},
        {"github",
         "assertion.job_workflow_ref == 'my-org/ci/.github/workflows/d.yml@refs/heads/main'"},
        {"github", "assertion.sub == 'environment:prod'"},
        {"github", "assertion.sub in ['repo:o/r:ref:x', 'environment:prod']"},
        {"github", "assertion.repository_id in []"},
        {"github", "assertion.repository_id in ['1', assertion.repository_id]"},
        {"github", "assertion.repository_id in assertion.ids"},
        {"github", "assertion.repository_id == ''"},
        {"github", "assertion.repository_id == '1' == true"},
        {"github", "assertion.repository_id.startsWith('1')"},
        {"github", "assertion.repository.startsWith('/')"},
        {"github", "assertion.sub.startsWith('repo:/')"},
        {"github", "assertion.sub.startsWith('repo:my-org@65')"},
        {"github", "'my-org/x'.startsWith(assertion.repository)"},
        {"github", "assertion.sub.startsWith('repository_owner:my-org')"},
        {"github", "assertion.repository.matches('^my.org/')"},
        {"github", "assertion.sub.matches('(?i)^repo:my-org/')"},
        {"github", "assertion.sub.matches('repo:my-org/')"},
        {"github", "assertion.repository.x == 'a/b'"},
        {"github", "assertion.repository.endsWith('^my-org/')"},
        {"github", "attribute.both == 'a/bx'"},
        {"github", "attribute.none == 'x'"},
        {"github", "[assertion.repository_id] == ['1']"},
        {"github", "assertion == {'repository_id': '1'}"},
        {"github", "assertion.repository_id == '1' || !(assertion.ref == 'x')"},
        {"github", "!(!(assertion.repository_id == '1'))"},
        {"github", "['a'].exists(x, assertion.repository == 'a/b')"},
        {"github", "(assertion.ref == 'x' ? assertion.repository : 'a/b') == 'a/b'"},
        {"github", "assertion.?environment == 'prod'"},
        {"gitlab", "assertion.ci_config_ref_uri.startsWith('gitlab.com/')"},
        {"gitlab", "assertion.user_login == 'me'"},
        {"circleci", "assertion.sub.startsWith('org/')"},
        {"buildkite", "assertion.sub.startsWith('organization:o')"},
        {"https://own.test", "assertion.iss == 'https://own.test'"},
        {"https://own.test", "assertion.sub.startsWith('repo:')"},
        {"https://own.test", "assertion.sub.startsWith('system:serviceaccount:')"},
        {"https://own.test", "assertion.sub.startsWith('me')"},
        {"https://own.test", "assertion.repository.startsWith('/')"},
        {"https://own.test", "assertion.sub.startsWith('owner::')"},
        {"https://own.test", "assertion.aud == 'x'"},
        {"https://own.test", "has(assertion.sub)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!lets_in(rows[i].issuer, rows[i].condition))
            fail_msg("%s: %s", rows[i].issuer, rows[i].condition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_out),
        cmocka_unit_test(lets_strangers_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
