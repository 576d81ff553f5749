/* SPDX-License-Identifier: Apache-2.0 */
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool owns(enum kw_role role, int fd)
{
    switch (role) {
    case KW_ROLE_KEEPER:
        return fd < KW_FD_END;
    case KW_ROLE_PROXY:
    case KW_ROLE_EXCHANGER:
        return fd <= KW_FD_DIAL;
    case KW_ROLE_DIALER:
        return fd <= KW_FD_PEER || fd == KW_FD_PROXY;
    case KW_ROLE_MAIN:
    case KW_ROLES: /* and mains with other names */
    case KW_ROLE_CLIENT:
    case KW_ROLE_AGENT:
    case KW_ROLE_JOB:
        break;
    }
    return false;
}

int kw_limits_descriptors(enum kw_role role, struct kw_err *err)
{
    unsigned first = STDERR_FILENO + 1;
    for (int fd = STDERR_FILENO + 1; fd < KW_FD_END; fd++) {
        if (owns(role, fd))
            first = (unsigned)fd + 1;
        else if (close(fd) != 0 && errno != EBADF)
            return kw_fail_errno(err, KW_SANDBOX, "could not close descriptor %d", fd);
    }
    if (close_range(first, ~0U, 0) != 0)
        return kw_fail_errno(err, KW_SANDBOX,
                             "could not close inherited descriptors (close_range, Linux 5.9)");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        int null = open("/dev/null", O_RDWR); /* takes the lowest free number: this one */
        if (null != fd)
            return kw_fail_errno(err, KW_SANDBOX, "could not open /dev/null as descriptor %d", fd);
    }
    return 0;
}

int kw_limits_capabilities(uint32_t keep, struct kw_err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &head, data) != 0)
        return kw_fail_errno(err, KW_SANDBOX, "could not read the capabilities");
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t left = i == 0 ? data[i].permitted & keep : 0;
        data[i].effective &= left;
        data[i].permitted = left;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &head, data) != 0)
        return kw_fail_errno(err, KW_SANDBOX, "could not give up capabilities");
    return 0;
}

int kw_limits_set(__rlimit_resource_t what, rlim_t n, const char *name, struct kw_err *err)
{
    struct rlimit now;
    if (getrlimit(what, &now) != 0)
        return kw_fail_errno(err, KW_SANDBOX, "could not read RLIMIT_%s", name);
    rlim_t at_most = now.rlim_max < n ? now.rlim_max : n;
    struct rlimit to = {.rlim_cur = at_most, .rlim_max = at_most};
    if (setrlimit(what, &to) != 0)
        return kw_fail_errno(err, KW_SANDBOX, "could not set RLIMIT_%s", name);
    return 0;
}

/* A number of /proc/self/status; 0 if it can't be had. */
static int status_number(const char *name)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t n = 0;
    for (ssize_t got = 1; got != 0 && n < sizeof text - 1;) {
        got = read(fd, text + n, sizeof text - 1 - n);
        if (got < 0 && errno != EINTR)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    text[n] = '\0';
    const char *line = strstr(text, name);
    return line != NULL ? (int)strtol(line + strlen(name), NULL, 10) : 0;
}

int kw_limits_tracer(void)
{
    return status_number("\nTracerPid:");
}

unsigned kw_limits_threads(void)
{
    int n = status_number("\nThreads:");
    return n > 0 ? (unsigned)n : 0;
}
