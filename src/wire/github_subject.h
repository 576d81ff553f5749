/* SPDX-License-Identifier: Apache-2.0
 *
 * The two forms of GitHub's subjects. Repositories that were made, renamed or moved since
 * 2026-07-15 have repo:OWNER@OWNERID/NAME@ID:..., others repo:OWNER/NAME:... unless they
 * opted in. A rule that knows one form refuses the other.
 */
#ifndef KW_GITHUB_SUBJECT_H
#define KW_GITHUB_SUBJECT_H

#include <jansson.h>
#include <stdbool.h>

enum kw_github_form {
    KW_GITHUB_NONE,     /* no such subject: another issuer, or a template of the user's */
    KW_GITHUB_NAMES,    /* repo:OWNER/NAME:... */
    KW_GITHUB_IMMUTABLE /* with the numbers */
};

/* Which form the claims' sub has, and (where that isn't NONE) *other, a new copy of the
 * claims with the other form: NULL where the numbers for it are missing. GitHub Enterprise
 * Server has one form only: KW_GITHUB_NONE. */
enum kw_github_form kw_github_form(const json_t *claims, json_t **other);

#endif
