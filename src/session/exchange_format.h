/* SPDX-License-Identifier: Apache-2.0
 *
 * What `exchange --format` hands to other tools of Google's. Files are 0600, whole or not
 * there at all, without a trailing newline (Python's and Node's libraries don't trim), and
 * never in the job's workspace (workspace.h).
 */
#ifndef KW_EXCHANGE_FORMAT_H
#define KW_EXCHANGE_FORMAT_H

#include "session.h"

enum kw_format {
    KW_FORMAT_TEXT,             /* for people */
    KW_FORMAT_ACCESS_TOKEN,     /* the token alone: gcloud's --access-token-file */
    KW_FORMAT_EXTERNAL_ACCOUNT, /* AIP-4117 file whose executable source is keyward */
    KW_FORMAT_EXECUTABLE,       /* what that source answers: the subject token in JSON */
    KW_FORMAT_ENV,              /* lines NAME='value' for a shell */
};

/* The format of that name; KW_USAGE listing them. */
int kw_format_find(const char *name, enum kw_format *ret, struct kw_err *err);

/* Whether a credential may be written to output, and could be: to be asked before there is
 * one. KW_USAGE for a relative path and for one in the workspace. */
int kw_format_place(const char *output, struct kw_err *err);

/* Writes text to output (NULL or "-": standard output, where a line end is
 * added), if kw_format_place() agrees. */
int kw_format_write(const char *output, const char *text, struct kw_err *err);

/* The external account file: no secret in it, and no network is asked. config_path and
 * profile: how keyward is to be called again. */
int kw_format_external_account(const struct kw_config *c, const char *output, struct kw_err *err);

/* The executable's answer (AIP-4117): on success the subject token and its exp, else the
 * reason as {"success": false}; always exit code 0, because a client reads the answer only
 * then. GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE must be this profile's, where it is set; the file
 * named by GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE gets the same answer. */
int kw_format_executable(struct kw_config *c, struct kw_err *err);

/* CLOUDSDK_AUTH_ACCESS_TOKEN_FILE and its like for a token that was written to `file`. */
int kw_format_env(const struct kw_session *s, const char *file, struct kw_err *err);

#endif
