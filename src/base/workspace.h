/* SPDX-License-Identifier: Apache-2.0
 *
 * The workspace of a CI job: what lies in it ends in commits, images, artifacts and caches,
 * which is no place for a credential.
 */
#ifndef KW_WORKSPACE_H
#define KW_WORKSPACE_H

#include "err.h"

/* KW_USAGE if a file at path (absolute) would lie in the working directory, in a directory
 * above it that holds .git, or in what GITHUB_WORKSPACE, CI_PROJECT_DIR,
 * BUILDKITE_BUILD_CHECKOUT_PATH, WORKSPACE (Jenkins), CIRCLE_WORKING_DIRECTORY or
 * BITBUCKET_CLONE_DIR name, wherever links lead. "/" is nobody's workspace. A path whose
 * directory isn't there passes: nothing can be written to it. */
int kw_workspace_refuse(const char *path, struct kw_err *err);

#endif
