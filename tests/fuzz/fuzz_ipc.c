/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel whose peer sends what it likes: the first byte picks channel and end, then come
 * packets (u16 length; a type byte, or 0 for raw bytes; descriptors). In between, our end
 * sends what it may, so that the states are walked. What is taken was legal and no
 * descriptor stays. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/ipc/talk.h"

static const struct {
    enum kw_channel name;
    enum kw_role self;
} ends[] = {
    {KW_CHAN_KEEPER, KW_ROLE_MAIN},    {KW_CHAN_KEEPER, KW_ROLE_KEEPER},
    {KW_CHAN_EXCHANGER, KW_ROLE_MAIN}, {KW_CHAN_EXCHANGER, KW_ROLE_EXCHANGER},
    {KW_CHAN_DIALER, KW_ROLE_MAIN},    {KW_CHAN_DIALER, KW_ROLE_DIALER},
    {KW_CHAN_SIGN, KW_ROLE_EXCHANGER}, {KW_CHAN_SIGN, KW_ROLE_KEEPER},
    {KW_CHAN_DIAL, KW_ROLE_EXCHANGER}, {KW_CHAN_DIAL, KW_ROLE_DIALER},
    {KW_CHAN_PROXY, KW_ROLE_MAIN},     {KW_CHAN_PROXY, KW_ROLE_PROXY},
    {KW_CHAN_PSIGN, KW_ROLE_PROXY},    {KW_CHAN_PSIGN, KW_ROLE_KEEPER},
    {KW_CHAN_PDIAL, KW_ROLE_PROXY},    {KW_CHAN_PDIAL, KW_ROLE_DIALER},
    {KW_CHAN_AGENT, KW_ROLE_CLIENT},   {KW_CHAN_AGENT, KW_ROLE_AGENT},
    {KW_CHAN_JOB, KW_ROLE_AGENT},      {KW_CHAN_JOB, KW_ROLE_JOB},
};

/* Sends a packet as the peer would: as it is, nfds descriptors along. */
static void inject(int fd, const unsigned char *p, size_t n, unsigned nfds)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 4)];
    } control;
    memset(&control, 0, sizeof control);
    unsigned char copy[4096];
    memcpy(copy, p, n);
    struct iovec iov = {.iov_base = copy, .iov_len = n};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds > 0) {
        mh.msg_control = control.space;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        const int fds[4] = {fd, fd, fd, fd};
        memcpy(CMSG_DATA(cm), fds, sizeof(int) * nfds);
    }
    (void)sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Our end says what it may in this state: an empty body of that type. */
static void speak(struct kw_chan *c, unsigned type)
{
    int fds[KW_IPC_FDS] = {c->fd, c->fd};
    unsigned next, nfds;
    size_t max;
    fault_begin();
    if (kw_msg_legal((enum kw_msg)type, c->name, c->self, c->state, &next, &max, &nfds))
        (void)kw_chan_send(c, (enum kw_msg)type, NULL, fds, nfds, 0, NULL);
    (void)fault_end();
}

static bool listen_once(struct kw_chan *c)
{
    struct kw_in in;
    struct kw_err err = {0};
    uint32_t rx = c->rx;
    unsigned state = c->state;
    fault_begin();
    int r = kw_chan_recv(c, &in, 0, &err);
    (void)fault_end();
    if (r == 0) {
        must(in.type != KW_MSG_NONE && c->rx == rx + 1 && in.body.len <= KW_IPC_MAX);
        for (unsigned i = 0; i < in.nfds; i++)
            must(fcntl(in.fds[i], F_GETFD) == FD_CLOEXEC);
        void *m = malloc(kw_msg_size(in.type));
        must(m != NULL);
        if (kw_msg_get(&in.body, in.type, m))
            kw_msg_free(in.type, m);
        free(m);
    } else
        must(in.type == KW_MSG_NONE && c->rx == rx && c->state == state && err.text[0] != '\0');
    kw_in_free(&in);
    return r == 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    int fds[2];
    must(kw_secret_init(true, NULL) == 0);
    fault_seed(data, &size);
    if (size < 1 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return 0;
    int lowest = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    (void)close(lowest);
    struct kw_chan c;
    size_t end = data[0] % (sizeof ends / sizeof ends[0]); /* new ones go to the list's end */
    kw_chan_init(&c, ends[end].name, ends[end].self, fds[0]);
    size_t at = 1;
    while (size - at >= 4) {
        size_t n = ((size_t)data[at] | (size_t)data[at + 1] << 8) % 2048;
        unsigned type = data[at + 2] % (KW_MSGS + 2), how = data[at + 3];
        at += 4;
        n = n < size - at ? n : size - at;
        if ((how & 0x80) != 0)
            speak(&c, type);
        else if (type == 0)
            inject(fds[1], data + at, n, how % 5);
        else { /* with a header that fits, or the walk would end at once */
            struct kw_buf b;
            kw_buf_init(&b, 4096);
            kw_put_u32(&b, type);
            kw_put_u32(&b, c.rx);
            kw_put_blob(&b, data + at, n);
            inject(fds[1], b.p, b.len, how % 5);
            kw_buf_free(&b);
        }
        at += (how & 0x80) != 0 ? 0 : n;
        if ((how & 0x80) == 0 && !listen_once(&c))
            break; /* as every caller does: the conversation is over */
    }
    int now = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    must(now == lowest); /* every descriptor that came is closed again */
    (void)close(now);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}
