/* SPDX-License-Identifier: Apache-2.0
 *
 * Where no credential may be written: the workspace of a job, by whatever name and link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/workspace.h"

static char top[] = "/tmp/kw-workspace.XXXXXX";

static const char *at(const char *name)
{
    static char path[2][256];
    static unsigned turn;
    char *p = path[turn++ % 2];
    (void)snprintf(p, sizeof path[0], "%s/%s", top, name);
    return p;
}

static void make(const char *dir)
{
    assert_int_equal(mkdir(at(dir), 0700), 0);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const dirs[] = {"out",  "repo", "repo/.git", "repo/a",   "repo/a/b",
                                       "tree", "ws",   "ws/deep",   "ws-other", "home"};
    unsetenv("GITHUB_WORKSPACE");
    unsetenv("CI_PROJECT_DIR");
    unsetenv("BUILDKITE_BUILD_CHECKOUT_PATH");
    unsetenv("WORKSPACE");
    unsetenv("CIRCLE_WORKING_DIRECTORY");
    unsetenv("BITBUCKET_CLONE_DIR");
    assert_non_null(mkdtemp(top));
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        make(dirs[i]);
    /* As `git worktree` and submodules have it: .git is a file. */
    FILE *f = fopen(at("tree/.git"), "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(symlink(at("ws/deep"), at("out/dir")), 0);
    assert_int_equal(symlink(at("ws/file"), at("out/file")), 0);
    assert_int_equal(symlink(at("out"), at("ws/away")), 0);
    f = fopen(at("ws/file"), "w");
    assert_non_null(f);
    return fclose(f);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"tree/.git", "out/dir", "out/file",  "ws/file", "ws/away",
                                        "repo/a/b",  "repo/a",  "repo/.git", "repo",    "tree",
                                        "ws/deep",   "ws",      "ws-other",  "home",    "out"};
    int r = chdir("/");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        r |= remove(at(names[i]));
    return r | rmdir(top);
}

static void refused(const char *file, const char *why)
{
    struct kw_err err = {0};
    assert_int_equal(kw_workspace_refuse(at(file), &err), KW_USAGE);
    assert_int_equal(err.code, KW_USAGE);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", file, err.text, why);
}

static void passes(const char *file)
{
    struct kw_err err = {0};
    if (kw_workspace_refuse(at(file), &err) != 0)
        fail_msg("%s: %s", file, err.text);
}

static void working_directory(void **state)
{
    (void)state;
    assert_int_equal(chdir(at("repo/a")), 0);
    refused("repo/a/token", "lies in the working directory (");
    refused("repo/a/b/token", "lies in the working directory (");
    refused("repo/a/b/../token", "lies in the working directory (");
    refused("repo/token", "git work tree");
    refused("repo/.git/token", "git work tree");
    passes("out/token");
    assert_int_equal(chdir(at("tree")), 0);
    refused("tree/token", "working directory");
    passes("repo/token");
    assert_int_equal(chdir(at("out")), 0);
    refused("ws/away/token", "working directory");
    assert_int_equal(chdir("/"), 0);
    passes("out/token");
}

static void variables(void **state)
{
    (void)state;
    static const char *const names[] = {
        "GITHUB_WORKSPACE", "CI_PROJECT_DIR",           "BUILDKITE_BUILD_CHECKOUT_PATH",
        "WORKSPACE",        "CIRCLE_WORKING_DIRECTORY", "BITBUCKET_CLONE_DIR"};
    assert_int_equal(chdir("/"), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        passes("ws/token");
        assert_int_equal(setenv(names[i], at("ws"), 1), 0);
        refused("ws/token", names[i]);
        refused("ws/deep/token", names[i]);
        refused("ws/file", names[i]);
        refused("out/dir/token", names[i]);
        refused("out/file", names[i]);
        passes("ws/away/token");
        passes("ws-other/token");
        passes("out/token");
        assert_int_equal(unsetenv(names[i]), 0);
    }
    assert_int_equal(setenv("HOME", at("home"), 1), 0);
    assert_int_equal(setenv("CIRCLE_WORKING_DIRECTORY", "~", 1), 0);
    refused("home/token", "CIRCLE_WORKING_DIRECTORY");
    assert_int_equal(unsetenv("CIRCLE_WORKING_DIRECTORY"), 0);
}

/* A variable that names nothing, or everything, is no reason; nor is a place that isn't. */
static void odd(void **state)
{
    (void)state;
    static const char *const values[] = {"", "/", "relative", "/nonexistent"};
    assert_int_equal(chdir("/"), 0);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(setenv("WORKSPACE", values[i], 1), 0);
        passes("ws/token");
    }
    assert_int_equal(setenv("WORKSPACE", at("ws"), 1), 0);
    passes("ws/none/token");
    assert_int_equal(unsetenv("WORKSPACE"), 0);
    struct kw_err err;
    char long_path[8192];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(kw_workspace_refuse(long_path, &err), KW_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(working_directory),
        cmocka_unit_test(variables),
        cmocka_unit_test(odd),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
