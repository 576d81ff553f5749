/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* By device and number rather than by name: a directory may be mounted at several places. */
static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Cuts the last part off; false when only "/" is left. */
static bool up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || path[1] == '\0')
        return false;
    slash[slash == path] = '\0';
    return true;
}

/* Is the directory `place`, or one above it, this one? Both without links. */
static bool inside(const char *place, const char *dir)
{
    char at[PATH_MAX];
    struct stat want, st;
    if (strcmp(dir, "/") == 0 || stat(dir, &want) != 0)
        return false;
    (void)snprintf(at, sizeof at, "%s", place);
    do {
        if (stat(at, &st) == 0 && same(&st, &want))
            return true;
    } while (up(at));
    return false;
}

/* The directory that the file comes to lie in: behind a link, the one of what it names. */
static int place_of(const char *path, char *out, struct kw_err *err)
{
    char copy[PATH_MAX];
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
        return kw_fail(err, KW_USAGE, "the path is too long");
    if (realpath(copy, out) != NULL)
        return up(out) ? 0 : kw_fail(err, KW_USAGE, "%s is a directory", path);
    if (up(copy) && realpath(copy, out) != NULL)
        return 0;
    out[0] = '\0';
    return errno == ENOENT || errno == ENOTDIR
               ? 0
               : kw_fail_errno(err, KW_FAILED, "could not find out where %s lies", path);
}

static int refuse(const char *path, const char *what, const char *dir, struct kw_err *err)
{
    return kw_fail(err, KW_USAGE,
                   "%.300s lies in %s (%.300s), and what lies there ends in commits, images, "
                   "artifacts and caches; name a file outside it, in $RUNNER_TEMP say",
                   path, what, dir);
}

static int working_directory(const char *path, const char *place, struct kw_err *err)
{
    char at[PATH_MAX], git[PATH_MAX + 8];
    struct stat st;
    if (getcwd(at, sizeof at) == NULL)
        return 0; /* deleted meanwhile: nothing can be in it */
    if (inside(place, at))
        return refuse(path, "the working directory", at, err);
    do {
        (void)snprintf(git, sizeof git, "%s/.git", at);
        if (lstat(git, &st) == 0 && inside(place, at))
            return refuse(path, "the working directory's git work tree", at, err);
    } while (up(at));
    return 0;
}

int kw_workspace_refuse(const char *path, struct kw_err *err)
{
    static const char *const variables[] = {
        "GITHUB_WORKSPACE", "CI_PROJECT_DIR",           "BUILDKITE_BUILD_CHECKOUT_PATH",
        "WORKSPACE",        "CIRCLE_WORKING_DIRECTORY", "BITBUCKET_CLONE_DIR",
    };
    char place[PATH_MAX], named[PATH_MAX], dir[PATH_MAX];
    int r = place_of(path, place, err);
    if (r == 0 && place[0] != '\0')
        r = working_directory(path, place, err);
    for (size_t i = 0; r == 0 && i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = getenv(variables[i]), *home = getenv("HOME");
        if (value == NULL || place[0] == '\0')
            continue;
        /* CircleCI gives what the job's file says, "~/project" as a rule. */
        bool tilde = value[0] == '~' && (value[1] == '/' || value[1] == '\0') && home != NULL;
        (void)snprintf(named, sizeof named, "%s%s", tilde ? home : "", value + tilde);
        if (named[0] == '/' && realpath(named, dir) != NULL && inside(place, dir))
            r = refuse(path, variables[i], dir, err);
    }
    return r;
}
