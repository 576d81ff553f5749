/* SPDX-License-Identifier: Apache-2.0
 *
 * Landlock by its raw system calls, with own definitions: Debian 12's kernel headers
 * end at ABI 2, and its libc has no wrappers.
 */
#ifndef KW_LANDLOCK_H
#define KW_LANDLOCK_H

#include <stdint.h>

#include "src/base/err.h"

enum kw_ll_fs {
    KW_LL_EXECUTE = 1 << 0,
    KW_LL_WRITE_FILE = 1 << 1,
    KW_LL_READ_FILE = 1 << 2,
    KW_LL_READ_DIR = 1 << 3,
    KW_LL_REMOVE_DIR = 1 << 4,
    KW_LL_REMOVE_FILE = 1 << 5,
    KW_LL_MAKE_CHAR = 1 << 6,
    KW_LL_MAKE_DIR = 1 << 7,
    KW_LL_MAKE_REG = 1 << 8,
    KW_LL_MAKE_SOCK = 1 << 9,
    KW_LL_MAKE_FIFO = 1 << 10,
    KW_LL_MAKE_BLOCK = 1 << 11,
    KW_LL_MAKE_SYM = 1 << 12,
    KW_LL_REFER = 1 << 13,     /* ABI 2 */
    KW_LL_TRUNCATE = 1 << 14,  /* ABI 3 */
    KW_LL_IOCTL_DEV = 1 << 15, /* ABI 5 */

    KW_LL_READ = KW_LL_READ_FILE | KW_LL_READ_DIR,
    KW_LL_FS_ALL = (1 << 16) - 1,
    KW_LL_WRITES = KW_LL_FS_ALL & ~(KW_LL_READ | KW_LL_EXECUTE | KW_LL_IOCTL_DEV),
};
enum kw_ll_net { KW_LL_BIND_TCP = 1, KW_LL_CONNECT_TCP = 2 };   /* ABI 4 */
enum kw_ll_scope { KW_LL_ABSTRACT_UNIX = 1, KW_LL_SIGNAL = 2 }; /* ABI 6 */

/* One path that stays open; paths that don't exist are passed over. */
struct kw_ll_path {
    const char *path;
    uint64_t fs; /* on files only those of these rights that files can have count */
};

/* A layer: what it forbids, and where it doesn't. */
struct kw_ll_layer {
    uint64_t fs, net, scope;         /* denied, as far as the kernel knows them */
    const struct kw_ll_path *except; /* ended by a NULL path; NULL for none */
};

/* The kernel's Landlock ABI; 0 and errno (ENOSYS, EOPNOTSUPP, EPERM) if it has none. */
int kw_landlock_abi(void);

/* Puts the layer around the calling thread (and those it starts), masked to what `abi`
 * knows. KW_SANDBOX on error. */
int kw_landlock_restrict(const struct kw_ll_layer *l, int abi, struct kw_err *err);

#endif
