/* SPDX-License-Identifier: Apache-2.0
 *
 * The one type that owns secrets: PINs, subject tokens, client secrets, session
 * tokens. Bytes live in one arena per process, made before any sandbox closes:
 * memfd_secret(2) where the kernel has it (not even root's ptrace reads it),
 * else locked anonymous memory; in both cases left out of core dumps and not
 * inherited by fork. Wiped with explicit_bzero on free.
 */
#ifndef KW_SECRET_H
#define KW_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct kw_secret; /* opaque on purpose: nothing can print it by accident */

#define KW_SECRET_ARENA (512u * 1024u) /* bytes per process */
#define KW_SECRET_MAX   (64u * 1024u)  /* largest single secret, bytes */

/* Makes the arena. To be called once, before the sandbox locks. Not being able
 * to lock memory is an error unless best_effort is set. */
int kw_secret_init(bool best_effort, struct kw_err *err);

/* "memfd_secret", "mlock" or "unlocked": for doctor and audit. */
const char *kw_secret_kind(void);

/* Room for max bytes (1..KW_SECRET_MAX), empty at first. NULL if the arena is
 * full: callers treat that as KW_FAILED. Freed with kw_secret_free(). */
struct kw_secret *kw_secret_new(size_t max);

/* A new secret holding a copy of n bytes; NULL as above. */
struct kw_secret *kw_secret_from(const void *bytes, size_t n);

/* Appends n bytes; false (and nothing appended) if they don't fit. */
bool kw_secret_add(struct kw_secret *s, const void *bytes, size_t n);

/* Cuts to n bytes (n <= length), wiping what is cut. */
void kw_secret_cut(struct kw_secret *s, size_t n);

/* Removes trailing CR, LF, space and tab. */
void kw_secret_trim(struct kw_secret *s);

/* The bytes, always followed by a NUL, valid until the next change. */
const char *kw_secret_bytes(const struct kw_secret *s);
size_t kw_secret_len(const struct kw_secret *s);

/* Reads fd to its end into a new secret of at most max bytes and trims it.
 * EINTR is retried. `what` names the source in errors, which carry `code`. */
int kw_secret_read_fd(int fd, size_t max, const char *what, enum kw_exit code,
                      struct kw_secret **ret, struct kw_err *err);

/* Opens path (no symlink in its last part), demands a regular file owned by the
 * caller or root with no access for group or others, and reads it as above. */
int kw_secret_read_file(const char *path, size_t max, enum kw_exit code, struct kw_secret **ret,
                        struct kw_err *err);

/* Wipes and frees; *s becomes NULL. Accepts NULL and pointers to NULL. */
void kw_secret_free(struct kw_secret **s);

#endif
