/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "messages.h"

enum { HEADER = 12 };

union fd_space {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * KW_IPC_FDS)];
};

int64_t kw_now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int kw_left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - kw_now_ms();
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

void kw_chan_init(struct kw_chan *c, enum kw_channel name, enum kw_role self, int fd)
{
    *c = (struct kw_chan){.fd = fd, .name = name, .self = self};
}

static enum kw_role peer_of(const struct kw_chan *c)
{
    static const enum kw_role ends[KW_CHANNELS][2] = {
        [KW_CHAN_KEEPER] = {KW_ROLE_MAIN, KW_ROLE_KEEPER},
        [KW_CHAN_EXCHANGER] = {KW_ROLE_MAIN, KW_ROLE_EXCHANGER},
        [KW_CHAN_DIALER] = {KW_ROLE_MAIN, KW_ROLE_DIALER},
        [KW_CHAN_SIGN] = {KW_ROLE_EXCHANGER, KW_ROLE_KEEPER},
        [KW_CHAN_DIAL] = {KW_ROLE_EXCHANGER, KW_ROLE_DIALER},
        [KW_CHAN_PROXY] = {KW_ROLE_MAIN, KW_ROLE_PROXY},
        [KW_CHAN_PSIGN] = {KW_ROLE_PROXY, KW_ROLE_KEEPER},
        [KW_CHAN_PDIAL] = {KW_ROLE_PROXY, KW_ROLE_DIALER},
        [KW_CHAN_AGENT] = {KW_ROLE_CLIENT, KW_ROLE_AGENT},
        [KW_CHAN_JOB] = {KW_ROLE_AGENT, KW_ROLE_JOB},
    };
    return ends[c->name][ends[c->name][0] == c->self];
}

/* Waits for events on the channel: 1 ready, 0 time-out, -1 error. */
static int wait_for(const struct kw_chan *c, short events, int64_t deadline)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    if (c->fd < 0) { /* poll() would wait for ever */
        errno = EBADF;
        return -1;
    }
    for (;;) {
        int n = poll(&p, 1, deadline < 0 ? -1 : kw_left_ms(deadline));
        if (n >= 0 || errno != EINTR)
            return n;
    }
}

/* A message with descriptors needs sendmsg(); one without goes by send(), which the
 * exchanger's filter can bound to connected sockets (sendmsg's address is behind a
 * pointer, where no filter looks). */
static ssize_t transmit(int fd, const unsigned char *packet, size_t n, const int *fds,
                        unsigned nfds)
{
    if (nfds == 0)
        return send(fd, packet, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    union fd_space control = {.space = {0}};
    struct iovec iov = {.iov_len = n};
    memcpy(&iov.iov_base, &packet, sizeof packet); /* sendmsg does not write to it */
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = CMSG_SPACE(sizeof(int) * nfds)};
    struct cmsghdr *cm = &control.align; /* the first and only one */
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
    memcpy(CMSG_DATA(cm), fds, sizeof(int) * nfds);
    return sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int kw_chan_send(struct kw_chan *c, enum kw_msg type, const struct kw_buf *body, const int *fds,
                 unsigned nfds, int timeout_ms, struct kw_err *err)
{
    size_t n = body != NULL ? body->len : 0, max = 0;
    unsigned next = 0, want = 0;
    if (!kw_msg_legal(type, c->name, c->self, c->state, &next, &max, &want) || n > max ||
        nfds != want)
        return kw_fail(err, KW_FAILED, "%s: %s can't be sent now (state %u, %zu bytes)",
                       kw_channel_name(c->name), kw_msg_name(type), c->state, n);
    struct kw_buf packet;
    kw_buf_init(&packet, HEADER + KW_IPC_MAX);
    kw_put_u32(&packet, type);
    kw_put_u32(&packet, c->tx);
    kw_put_u32(&packet, (uint32_t)n);
    if (n > 0)
        kw_put(&packet, body->p, n);
    int r = 0;
    int64_t deadline = timeout_ms < 0 ? -1 : kw_now_ms() + timeout_ms;
    if (packet.bad)
        r = kw_fail(err, KW_FAILED, "out of memory");
    for (bool sent = false; r == 0 && !sent;) {
        ssize_t w = transmit(c->fd, packet.p, packet.len, fds, nfds);
        if (w == (ssize_t)packet.len)
            sent = true;
        else if (w < 0 && errno == EAGAIN) {
            int ready = wait_for(c, POLLOUT, deadline);
            if (ready == 0)
                r = kw_fail(err, KW_NET, "%s: %s takes no message", kw_channel_name(c->name),
                            kw_role_name(peer_of(c)));
            else if (ready < 0)
                r = kw_fail_errno(err, KW_FAILED, "%s: could not wait", kw_channel_name(c->name));
        } else if (w < 0 && (errno == EPIPE || errno == ECONNRESET))
            r = kw_fail(err, KW_FAILED, "%s: %s has gone", kw_channel_name(c->name),
                        kw_role_name(peer_of(c)));
        else if (w >= 0 || errno != EINTR)
            r = kw_fail_errno(err, KW_FAILED, "%s: could not send %s", kw_channel_name(c->name),
                              kw_msg_name(type));
    }
    kw_buf_free(&packet);
    if (r == 0) {
        c->tx++;
        c->state = next;
    }
    return r;
}

/* Takes the descriptors out of the control message; more than fit were closed by the
 * kernel (MSG_CTRUNC), which makes the message malformed. */
static void take_fds(struct msghdr *mh, struct kw_in *in)
{
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        const unsigned char *data = CMSG_DATA(cm);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, data + i * sizeof fd, sizeof fd);
            if (in->nfds < KW_IPC_FDS)
                in->fds[in->nfds++] = fd;
            else
                (void)close(fd);
        }
    }
}

static int malformed(const struct kw_chan *c, const char *why, struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "%s: malformed message from %s (%s)", kw_channel_name(c->name),
                   kw_role_name(peer_of(c)), why);
}

static int take_packet(struct kw_chan *c, struct kw_in *in, struct kw_buf *packet, size_t n,
                       bool truncated, struct kw_err *err)
{
    packet->len = n;
    uint32_t type = kw_get_u32(packet), serial = kw_get_u32(packet), len = kw_get_u32(packet);
    size_t max = 0;
    unsigned next = 0, want = 0;
    if (truncated || packet->bad || len != n - HEADER)
        return malformed(c, "length", err);
    if (serial != c->rx)
        return malformed(c, "serial", err);
    if (type >= KW_MSGS ||
        !kw_msg_legal((enum kw_msg)type, c->name, peer_of(c), c->state, &next, &max, &want))
        return malformed(c, type < KW_MSGS ? kw_msg_name((enum kw_msg)type) : "type", err);
    if (len > max || in->nfds != want)
        return malformed(c, len > max ? "too long" : "descriptors", err);
    kw_put(&in->body, packet->p + HEADER, len);
    if (in->body.bad)
        return kw_fail(err, KW_FAILED, "out of memory");
    in->type = (enum kw_msg)type;
    c->rx++;
    c->state = next;
    return 0;
}

/* Receives one packet, as large as it is (a buffer for the largest message would cost
 * each process its resident memory for good). Returns its length, 0 at the end. */
static ssize_t receive(const struct kw_chan *c, struct kw_buf *packet, struct kw_in *in,
                       bool *truncated)
{
    ssize_t n;
    do
        n = recv(c->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n;
    size_t room = (size_t)n < packet->max ? (size_t)n : packet->max;
    union fd_space control;
    struct iovec iov = {.iov_base = kw_buf_room(packet, room), .iov_len = room};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space};
    if (iov.iov_base == NULL) {
        errno = ENOMEM;
        return -1;
    }
    do
        n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        take_fds(&mh, in);
    *truncated = (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return n;
}

int kw_chan_recv(struct kw_chan *c, struct kw_in *in, int timeout_ms, struct kw_err *err)
{
    *in = (struct kw_in){.type = KW_MSG_NONE, .fds = {-1, -1}};
    kw_buf_init(&in->body, KW_IPC_MAX);
    int64_t deadline = timeout_ms < 0 ? -1 : kw_now_ms() + timeout_ms;
    struct kw_buf packet;
    kw_buf_init(&packet, HEADER + KW_IPC_MAX);
    bool truncated = false;
    ssize_t n = -1;
    int ready, r, error;
    do { /* poll() may be wrong: there is nothing */
        ready = wait_for(c, POLLIN, deadline);
        if (ready > 0)
            n = receive(c, &packet, in, &truncated);
        error = ready < 0 || (ready > 0 && n < 0) ? errno : 0;
    } while (ready > 0 && error == EAGAIN && (timeout_ms < 0 || kw_left_ms(deadline) > 0));
    errno = error; /* looking at the clock may have changed it */
    if (ready == 0 || (ready > 0 && error == EAGAIN))
        r = kw_fail(err, KW_NET, "%s: no answer from %s in time", kw_channel_name(c->name),
                    kw_role_name(peer_of(c)));
    else if (ready < 0)
        r = kw_fail_errno(err, KW_FAILED, "%s: could not wait", kw_channel_name(c->name));
    else if (n == 0 || (n < 0 && errno == ECONNRESET))
        r = kw_fail(err, KW_FAILED, "%s: %s has gone", kw_channel_name(c->name),
                    kw_role_name(peer_of(c)));
    else if (n < 0)
        r = kw_fail_errno(err, KW_FAILED, "%s: could not receive", kw_channel_name(c->name));
    else
        r = take_packet(c, in, &packet, (size_t)n, truncated, err);
    kw_buf_free(&packet);
    return r;
}

void kw_in_free(struct kw_in *in)
{
    kw_buf_free(&in->body);
    for (unsigned i = 0; i < KW_IPC_FDS; i++)
        if (in->fds[i] >= 0)
            (void)close(in->fds[i]);
    in->nfds = 0;
    in->fds[0] = in->fds[1] = -1;
    in->type = KW_MSG_NONE;
}
