/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch_int.h"
#include "src/ipc/ipc.h"

enum { PAIR_FD = 3, KEEPER_FD = 4, EXEC_FAILED = 126, NOT_FOUND = 127 };

/* What became of CMD, where it was not executed; nothing is sent where it was. */
struct fate {
    int error; /* errno of execve(), or 0 and text */
    int code;
    char text[KW_ERR_TEXT];
};

/* --- the launcher ---------------------------------------------------------------------- */

static void send_hello(int fd, const struct kw_hello *h, const int listeners[2])
{
    struct iovec iov = {.iov_len = sizeof *h};
    char room[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))) = {0};
    struct kw_hello copy = *h;
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    unsigned n = listeners[0] < 0 ? 0 : listeners[1] < 0 ? 1 : 2;
    iov.iov_base = &copy;
    if (n > 0) {
        m.msg_control = room;
        m.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), listeners, n * sizeof(int));
    }
    (void)sendmsg(fd, &m, MSG_NOSIGNAL);
}

static void give_up(int fd, int code, int error, const char *text) __attribute__((noreturn));

static void give_up(int fd, int code, int error, const char *text)
{
    struct fate f = {.error = error, .code = code};
    (void)snprintf(f.text, sizeof f.text, "%s", text);
    (void)send(fd, &f, sizeof f, MSG_NOSIGNAL);
    _exit(code);
}

/* Only these descriptors, and the terminal's three, go on. */
static int keep_only(int pair, int keeper)
{
    int high = fcntl(keeper, F_DUPFD_CLOEXEC, 64), low = fcntl(pair, F_DUPFD_CLOEXEC, 64);
    if (high < 0 || low < 0 || dup3(low, PAIR_FD, O_CLOEXEC) < 0 ||
        dup3(high, KEEPER_FD, O_CLOEXEC) < 0)
        return -1;
    return close_range(KEEPER_FD + 1, ~0U, 0);
}

static void execute(const struct kw_stage_set *s) __attribute__((noreturn));

static void execute(const struct kw_stage_set *s)
{
    char text[KW_ERR_TEXT];
    struct kw_err err;
    char **env = kw_launch_env(s);
    if (env == NULL)
        give_up(PAIR_FD, EXEC_FAILED, 0, "out of memory");
    if (kw_launch_fence(&err) != 0)
        give_up(PAIR_FD, EXEC_FAILED, 0, err.text);
    (void)execvpe(s->want->argv[0], s->want->argv, env);
    int error = errno;
    (void)snprintf(text, sizeof text, "%s could not be executed: %s", s->want->argv[0],
                   strerror(error));
    give_up(PAIR_FD, error == ENOENT ? NOT_FOUND : EXEC_FAILED, error, text);
}

static void launcher(const struct kw_launch_want *want, int fd, int keeper)
    __attribute__((noreturn));

static void launcher(const struct kw_launch_want *want, int fd, int keeper)
{
    static struct kw_stage_set s;
    struct kw_hello h = {.port = 0};
    struct kw_err err = {0};
    unsigned char *spki = NULL;
    int listeners[2] = {-1, -1};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (keep_only(fd, keeper) != 0)
        _exit(EXEC_FAILED);
    h.failed = kw_launch_namespaces(want, &h, &err);
    if (h.failed == 0)
        h.failed = kw_launch_listen(&h, listeners, &err);
    (void)snprintf(h.text, sizeof h.text, "%s", err.text);
    send_hello(PAIR_FD, &h, listeners);
    if (h.failed != 0)
        _exit(EXEC_FAILED);
    (void)close(listeners[0]);
    if (listeners[1] >= 0)
        (void)close(listeners[1]);
    s.want = want;
    s.keeper_fd = KEEPER_FD;
    s.isolated = h.isolated;
    s.port = h.port;
    s.key = kw_launch_key();
    int n = s.key != NULL ? i2d_PUBKEY(s.key, &spki) : 0;
    if (n <= 0 || send(PAIR_FD, spki, (size_t)n, MSG_NOSIGNAL) != n)
        _exit(EXEC_FAILED);
    int r = kw_launch_prepare(&s, &err);
    if (recv(PAIR_FD, &s.go, sizeof s.go, 0) != (ssize_t)sizeof s.go)
        _exit(EXEC_FAILED); /* main has given up */
    if (r != 0 || kw_launch_lay(&s, &err) != 0)
        give_up(PAIR_FD, EXEC_FAILED, 0, err.text);
    execute(&s);
}

/* --- main's side --------------------------------------------------------------------------- */

int kw_launch_start(const struct kw_launch_want *want, struct kw_launch *l, struct kw_err *err)
{
    int pair[2], keeper[2];
    *l = (struct kw_launch){.fd = -1, .listeners = {-1, -1}, .keeper_fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return kw_fail_errno(err, KW_FAILED, "could not make a socket pair");
    l->fd = pair[0];
    if (pipe2(keeper, O_CLOEXEC) != 0) {
        (void)close(pair[1]);
        kw_launch_abandon(l);
        return kw_fail_errno(err, KW_FAILED, "could not make a pipe");
    }
    l->keeper_fd = keeper[1];
    l->pid = fork();
    if (l->pid == 0)
        launcher(want, pair[1], keeper[0]);
    (void)close(pair[1]);
    (void)close(keeper[0]);
    if (l->pid < 0) {
        l->pid = 0;
        kw_launch_abandon(l);
        return kw_fail_errno(err, KW_FAILED, "could not start a process for CMD");
    }
    return 0;
}

static int await(const struct kw_launch *l, int64_t deadline_ms, struct kw_err *err)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    int n;
    do
        n = poll(&p, 1, kw_left_ms(deadline_ms));
    while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : kw_fail(err, KW_FAILED, "CMD's process was not ready in time");
}

static int take_hello(struct kw_launch *l, struct kw_err *err)
{
    struct kw_hello h = {.port = 0};
    struct iovec iov = {.iov_base = &h, .iov_len = sizeof h};
    char room[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    if (recvmsg(l->fd, &m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof h)
        return kw_fail(err, KW_FAILED, "CMD's process ended before it began");
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len >= CMSG_LEN(sizeof(int)))
        memcpy(l->listeners, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    if (h.failed != 0)
        return kw_fail(err, (enum kw_exit)h.failed, "%s", h.text);
    l->port = h.port;
    l->isolated = h.isolated;
    l->metadata = h.metadata;
    (void)snprintf(l->missing, sizeof l->missing, "%s", h.missing);
    return l->listeners[0] >= 0 ? 0 : kw_fail(err, KW_FAILED, "CMD's process gave no listener");
}

int kw_launch_ready(struct kw_launch *l, int64_t deadline_ms, struct kw_err *err)
{
    int r = await(l, deadline_ms, err);
    if (r == 0)
        r = take_hello(l, err);
    if (r == 0)
        r = await(l, deadline_ms, err);
    if (r != 0)
        return r;
    ssize_t n = recv(l->fd, l->spki, sizeof l->spki, 0);
    l->spki_len = n > 0 ? (size_t)n : 0;
    return n > 0 ? 0 : kw_fail(err, KW_FAILED, "CMD's process could not make the stand-in key");
}

static bool copy(char *to, size_t size, const char *from)
{
    return (size_t)snprintf(to, size, "%s", from) < size;
}

int kw_launch_go(struct kw_launch *l, const struct kw_launch_decoys *d, int *ret_code,
                 struct kw_err *err)
{
    static struct kw_go g; /* large */
    struct fate f;
    g.cloud = d->cloud;
    bool fits =
        copy(g.ca_pem, sizeof g.ca_pem, d->ca_pem) && copy(g.token, sizeof g.token, d->token) &&
        copy(g.region, sizeof g.region, d->region) &&
        copy(g.tenancy, sizeof g.tenancy, d->tenancy) && copy(g.user, sizeof g.user, d->user) &&
        copy(g.project, sizeof g.project, d->project) && copy(g.email, sizeof g.email, d->email) &&
        copy(g.profile, sizeof g.profile, d->profile);
    if (!fits || send(l->fd, &g, sizeof g, MSG_NOSIGNAL) != (ssize_t)sizeof g)
        return kw_fail(err, KW_FAILED, "CMD's process could not be told to begin");
    ssize_t n;
    do
        n = recv(l->fd, &f, sizeof f, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0) /* closed by execve(): CMD runs */
        return 0;
    *ret_code = n == (ssize_t)sizeof f ? f.code : EXEC_FAILED;
    if (n == (ssize_t)sizeof f && f.error == 0)
        *ret_code = 125; /* ours, not CMD's */
    return kw_fail(err, KW_FAILED, "%s", n == (ssize_t)sizeof f ? f.text : "CMD was not executed");
}

void kw_launch_abandon(struct kw_launch *l)
{
    int *const fds[] = {&l->fd, &l->listeners[0], &l->listeners[1], &l->keeper_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
    if (l->pid > 0) {
        (void)kill(l->pid, SIGKILL);
        (void)waitpid(l->pid, NULL, 0);
    }
    l->pid = 0;
}
