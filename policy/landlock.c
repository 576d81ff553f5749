/* SPDX-License-Identifier: Apache-2.0 */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same numbers on every architecture. */
enum { NR_CREATE_RULESET = 444, NR_ADD_RULE = 445, NR_RESTRICT_SELF = 446 };
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

struct ruleset_attr { /* 8, 16, 24 bytes by ABI */
    uint64_t fs, net, scoped;
};

struct path_beneath_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

/* Rights that make sense on a file that is no directory. */
static const uint64_t file_rights =
    KW_LL_EXECUTE | KW_LL_WRITE_FILE | KW_LL_READ_FILE | KW_LL_TRUNCATE | KW_LL_IOCTL_DEV;

int kw_landlock_abi(void)
{
    long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t known_fs(int abi)
{
    uint64_t known = KW_LL_FS_ALL;
    if (abi < 5)
        known &= ~(uint64_t)KW_LL_IOCTL_DEV;
    if (abi < 3)
        known &= ~(uint64_t)KW_LL_TRUNCATE;
    if (abi < 2)
        known &= ~(uint64_t)KW_LL_REFER;
    return known;
}

static int add_path(int ruleset, const struct kw_ll_path *p, uint64_t handled, struct kw_err *err)
{
    int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0) /* not on this machine, or not for us: then it stays closed */
        return 0;
    struct stat st;
    struct path_beneath_attr attr = {.allowed = p->fs & handled, .parent_fd = fd};
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        attr.allowed &= file_rights;
    int r = 0;
    if (attr.allowed != 0 && syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &attr, 0) != 0)
        r = kw_fail_errno(err, KW_SANDBOX, "landlock: no rule for %s", p->path);
    (void)close(fd);
    return r;
}

int kw_landlock_restrict(const struct kw_ll_layer *l, int abi, struct kw_err *err)
{
    struct ruleset_attr attr = {
        .fs = l->fs & known_fs(abi),
        .net = abi >= 4 ? l->net : 0,
        .scoped = abi >= 6 ? l->scope : 0,
    };
    if ((attr.fs | attr.net | attr.scoped) == 0)
        return 0;
    size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    int fd = (int)syscall(NR_CREATE_RULESET, &attr, size, 0);
    if (fd < 0)
        return kw_fail_errno(err, KW_SANDBOX, "landlock: no rule set (abi %d)", abi);
    int r = 0;
    for (const struct kw_ll_path *p = l->except; r == 0 && p != NULL && p->path != NULL; p++)
        r = add_path(fd, p, attr.fs, err);
    if (r == 0 && syscall(NR_RESTRICT_SELF, fd, 0) != 0)
        r = kw_fail_errno(err, KW_SANDBOX, "landlock: could not restrict the process");
    (void)close(fd);
    return r;
}
