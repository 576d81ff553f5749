/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end of a connection, by the kernel's word alone. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; not in Debian 12's headers */
#endif

int64_t kw_boot_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Field 22 of /proc/PID/stat: when it began, in clock ticks after boot; -1 where it is gone.
 * The name in field 2 may hold anything, so what counts begins behind the last ')'. */
static int64_t began_ms(uint32_t pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    for (int field = 2; p != NULL && field < 22; field++)
        p = strchr(p + 1, ' ');
    long ticks = sysconf(_SC_CLK_TCK);
    return p != NULL && ticks > 0 ? (int64_t)(strtoull(p, NULL, 10) * 1000 / (uint64_t)ticks) : -1;
}

/* Before Linux 6.5: a number can be another process's by now. Whoever has it must have begun
 * before the connection was there. (Two that begin and end within a clock tick can't be told
 * apart; by then the connection has ended, too, and with it the job.) */
static int by_number(uint32_t pid, int64_t accepted_ms)
{
    enum { TICK_MS = 20 };
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    int64_t began = fd >= 0 ? began_ms(pid) : -1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (fd >= 0 && (began < 0 || began > accepted_ms + TICK_MS || poll(&p, 1, 0) != 0)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int kw_peer_identify(int fd, int64_t accepted_ms, struct kw_peer_id *id, struct kw_err *err)
{
    struct ucred c;
    socklen_t n = sizeof c;
    int pidfd = -1;
    *id = (struct kw_peer_id){.pidfd = -1};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) != 0 || n != sizeof c || c.pid <= 0)
        return kw_fail(err, KW_POLICY, "the kernel doesn't say who connected");
    *id = (struct kw_peer_id){.uid = c.uid, .gid = c.gid, .pid = (uint32_t)c.pid, .pidfd = -1};
    n = sizeof pidfd;
    int r = getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n);
    if (r != 0)
        pidfd = errno == ENOPROTOOPT ? by_number(id->pid, accepted_ms) : -1;
    else if (n == sizeof pidfd)
        (void)fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    else
        pidfd = -1;
    if (pidfd < 0)
        return kw_fail(err, KW_POLICY, "process %u, which connected, is no longer there", id->pid);
    id->pidfd = pidfd;
    return 0;
}

static bool add(uint32_t *list, unsigned *n, uint32_t id)
{
    if (*n >= 64)
        return false;
    list[(*n)++] = id;
    return true;
}

static int add_word(const char *word, struct kw_allowed *a, struct kw_err *err)
{
    bool group = word[0] == '@';
    const char *name = word + group;
    char *end = NULL;
    unsigned long number = name[0] >= '0' && name[0] <= '9' ? strtoul(name, &end, 10) : 0;
    bool numeric = end != NULL && *end == '\0' && number <= UINT32_MAX;
    const struct passwd *pw = !numeric && !group ? getpwnam(name) : NULL;
    const struct group *gr = !numeric && group ? getgrnam(name) : NULL;
    if (!numeric && pw == NULL && gr == NULL)
        return kw_fail(err, KW_USAGE, "[agent] allow: there is no %s %s", group ? "group" : "user",
                       name);
    bool fits = group ? add(a->gids, &a->n_gids, numeric ? (uint32_t)number : gr->gr_gid)
                      : add(a->uids, &a->n_uids, numeric ? (uint32_t)number : pw->pw_uid);
    return fits ? 0 : kw_fail(err, KW_USAGE, "[agent] allow names more than 64");
}

int kw_allowed_read(const char *words, struct kw_allowed *a, struct kw_err *err)
{
    char word[256];
    int r = 0;
    *a = (struct kw_allowed){.n_uids = 0};
    for (const char *p = words; r == 0 && *p != '\0';) {
        size_t n = strcspn(p, " ");
        if ((size_t)snprintf(word, sizeof word, "%.*s", (int)n, p) >= sizeof word)
            return kw_fail(err, KW_USAGE, "[agent] allow has a name that is too long");
        r = add_word(word, a, err);
        p += n + strspn(p + n, " ");
    }
    return r;
}

static bool has(const uint32_t *list, unsigned n, uint32_t id)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i] == id)
            return true;
    return false;
}

/* The further groups that it had when it connected: SO_PEERGROUPS, Linux 4.13. */
static bool in_group(const struct kw_allowed *a, int fd)
{
    gid_t groups[256];
    socklen_t n = sizeof groups;
    if (a->n_gids == 0 || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) != 0)
        return false;
    for (size_t i = 0; i < n / sizeof groups[0]; i++)
        if (has(a->gids, a->n_gids, groups[i]))
            return true;
    return false;
}

bool kw_allowed_is(const struct kw_allowed *a, int fd, const struct kw_peer_id *id)
{
    if (a->n_uids == 0 && a->n_gids == 0)
        return true;
    return has(a->uids, a->n_uids, id->uid) || has(a->gids, a->n_gids, id->gid) || in_group(a, fd);
}
