/* SPDX-License-Identifier: Apache-2.0
 *
 * What systemd and a service say to each other: sd_listen_fds(3) and sd_notify(3), both of which
 * document their protocol as stable so that one needs no library for it. Ours are forty lines;
 * libsystemd would bring compression and D-Bus into the process. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"

enum { LISTEN_FIRST = 3, BACKLOG = 64 };

static bool address_of(const char *path, struct sockaddr_un *a, socklen_t *n)
{
    size_t len = strlen(path);
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len == 0 || len >= sizeof a->sun_path)
        return false;
    memcpy(a->sun_path, path, len);
    *n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return true;
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t n = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &n) == 0 ? value : -1;
}

/* The one that systemd passed; -1: none. The variables are for us alone. */
static int inherited(struct kw_err *err)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    bool ours = pid != NULL && fds != NULL && strtol(pid, NULL, 10) == (long)getpid();
    long n = ours ? strtol(fds, NULL, 10) : 0;
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    if (n == 0)
        return -1;
    if (n != 1 || option(LISTEN_FIRST, SO_DOMAIN) != AF_UNIX ||
        option(LISTEN_FIRST, SO_TYPE) != SOCK_SEQPACKET ||
        option(LISTEN_FIRST, SO_ACCEPTCONN) != 1) {
        (void)kw_fail(err, KW_USAGE,
                      "systemd gave %ld sockets, and not the one that is served: the unit needs "
                      "one ListenSequentialPacket=",
                      n);
        return -2;
    }
    return LISTEN_FIRST;
}

/* A socket that is left of an agent that was killed is in the way; one of a living agent is
 * that agent's. */
static int bind_at(int fd, const char *path, struct kw_err *err)
{
    struct sockaddr_un a;
    struct stat st;
    socklen_t n = 0;
    if (!address_of(path, &a, &n))
        return kw_fail(err, KW_USAGE, "[agent] socket = %s is too long (107 bytes at most)", path);
    if (bind(fd, (const struct sockaddr *)&a, n) == 0)
        return 0;
    int probe = errno == EADDRINUSE ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1;
    if (probe < 0)
        return kw_fail_errno(err, KW_FAILED, "could not make the socket %s", path);
    bool served = connect(probe, (const struct sockaddr *)&a, n) == 0 || errno != ECONNREFUSED;
    (void)close(probe);
    if (served || lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return kw_fail(err, KW_FAILED, "another agent serves %s, or it is no socket", path);
    return unlink(path) == 0 && bind(fd, (const struct sockaddr *)&a, n) == 0
               ? 0
               : kw_fail_errno(err, KW_FAILED, "could not make the socket %s", path);
}

int kw_agent_listen(const char *path, int *ret_fd, bool *ret_made, struct kw_err *err)
{
    *ret_made = false;
    *ret_fd = inherited(err);
    if (*ret_fd == -2)
        return KW_USAGE;
    if (*ret_fd >= 0)
        return 0;
    if (path[0] == '\0')
        return kw_fail(
            err, KW_USAGE,
            "an agent needs a socket: start it by systemd (keyward-agent.socket), or set "
            "[agent] socket");
    *ret_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*ret_fd < 0)
        return kw_fail_errno(err, KW_FAILED, "could not make a socket");
    mode_t before = umask(0117);
    int r = bind_at(*ret_fd, path, err);
    (void)umask(before);
    if (r == 0 && listen(*ret_fd, BACKLOG) != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not listen at %s", path);
    *ret_made = r == 0;
    if (r != 0)
        (void)close(*ret_fd);
    return r;
}

void kw_agent_notify(const char *state, const char *status)
{
    struct sockaddr_un a;
    socklen_t n = 0;
    char text[512];
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@') || !address_of(path, &a, &n))
        return;
    if (path[0] == '@') { /* an abstract one has no NUL at its end, but at its beginning */
        a.sun_path[0] = '\0';
        n--;
    }
    int len = snprintf(text, sizeof text, "%s\nSTATUS=%s\n", state, status);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && len > 0 && (size_t)len < sizeof text)
        (void)sendto(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&a, n);
    if (fd >= 0)
        (void)close(fd);
}
