/* SPDX-License-Identifier: Apache-2.0
 *
 * A role seen from outside: by what /proc tells, and by what a process of the same
 * user, without privileges, can do to it (claim 12).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/limits.h"
#include "selftest_run.h"
#include "src/base/io.h"

static long status_line(const char *text, const char *name)
{
    char key[32];
    (void)snprintf(key, sizeof key, "\n%s:", name);
    const char *line = strstr(text, key);
    return line != NULL ? strtol(line + strlen(key), NULL, 10) : -1;
}

static int read_status(pid_t pid, struct kw_outside *o, struct kw_err *err)
{
    char path[64];
    struct kw_buf b;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    kw_buf_init(&b, 16384);
    int r = kw_read_file(path, &b, KW_FAILED, err);
    if (r == 0) {
        const char *text = kw_buf_str(&b);
        o->seccomp = (int)status_line(text, "Seccomp");
        o->no_new_privs = (int)status_line(text, "NoNewPrivs");
        o->threads = (unsigned)status_line(text, "Threads");
    }
    kw_buf_free(&b);
    return r;
}

static bool denied(long result)
{
    return result == -1 && (errno == EPERM || errno == EACCES);
}

static bool open_denied(pid_t pid, const char *what)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return denied(fd);
    char c;
    bool none = denied(pread(fd, &c, 1, 4096));
    (void)close(fd);
    return none;
}

/* In a child, so that giving up capabilities costs us nothing: root without them is
 * what "the same user" means for root. Bits tell what was denied. */
static int attack(pid_t pid)
{
    struct kw_err err;
    char c;
    struct iovec here = {&c, 1}, there = {&c, 1}; /* some address: access is judged first */
    if (kw_limits_capabilities(0, &err) != 0)
        return 0;
    int bits = 0;
    if (denied(ptrace(PTRACE_SEIZE, pid, NULL, NULL)))
        bits |= 1;
    if (denied(process_vm_readv(pid, &here, 1, &there, 1, 0)))
        bits |= 2;
    if (open_denied(pid, "mem"))
        bits |= 4;
    if (open_denied(pid, "environ"))
        bits |= 8;
    return bits;
}

int kw_outside_look(pid_t pid, struct kw_outside *o, struct kw_err *err)
{
    *o = (struct kw_outside){0};
    int r = read_status(pid, o, err);
    if (r != 0)
        return r;
    struct rlimit core;
    /* Needs the same ids, not ptrace's rights. */
    o->core_zero = prlimit(pid, RLIMIT_CORE, NULL, &core) == 0 && core.rlim_max == 0;
    pid_t child = fork();
    if (child == 0)
        _exit(attack(pid));
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (child < 0 || !WIFEXITED(status))
        return kw_fail_errno(err, KW_FAILED, "selftest: could not look at process %d", (int)pid);
    int bits = WEXITSTATUS(status);
    o->ptrace_denied = (bits & 1) != 0;
    o->vm_denied = (bits & 2) != 0;
    o->mem_denied = (bits & 4) != 0;
    o->environ_denied = (bits & 8) != 0;
    return 0;
}
