/* SPDX-License-Identifier: Apache-2.0
 *
 * The role's half of violation reports; main's half is in sandbox.h.
 */
#ifndef KW_VIOLATION_H
#define KW_VIOLATION_H

#include "src/base/err.h"

/* Installs the SIGSYS handler: record to KW_FD_VIOLATION, exit code KW_SANDBOX. */
int kw_violation_watch(struct kw_err *err);

#endif
