/* SPDX-License-Identifier: Apache-2.0
 *
 * The plain fences of a role: its descriptors, capabilities and resource limits.
 */
#ifndef KW_LIMITS_H
#define KW_LIMITS_H

#include <stdint.h>
#include <sys/resource.h>

#include "src/base/err.h"
#include "src/ipc/roles.h"

/* Closes every descriptor that roles.h doesn't give the role, and puts /dev/null where
 * one of 0, 1, 2 is missing, so that nothing else ever gets these numbers. */
int kw_limits_descriptors(enum kw_role role, struct kw_err *err);

/* Gives up every capability but those in `keep` (bit = number). */
int kw_limits_capabilities(uint32_t keep, struct kw_err *err);

/* Lowers a limit, soft and hard, to at most n. */
int kw_limits_set(__rlimit_resource_t what, rlim_t n, const char *name, struct kw_err *err);

/* How many threads this process has; 0 if unknown. */
unsigned kw_limits_threads(void);

/* The process that traces this one, 0 if none or unknown. */
int kw_limits_tracer(void);

#endif
