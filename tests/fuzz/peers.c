/* SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GONE = 0x80, RAW = 0x40, LENGTH = 0x20, SERIAL = 0x10, FDS = 3 };

struct script {
    const unsigned char *p, *end;
};

static unsigned byte(struct script *s)
{
    return s->p < s->end ? *s->p++ : 0;
}

static unsigned u16(struct script *s)
{
    unsigned low = byte(s);
    return low | byte(s) << 8;
}

static void text(struct script *s, struct kw_buf *b, size_t n, bool length)
{
    n = n < (size_t)(s->end - s->p) ? n : (size_t)(s->end - s->p);
    if (length)
        kw_put_u32(b, (uint32_t)n);
    kw_put(b, s->p, n);
    s->p += n;
}

/* One item; false where the packet ends. */
static bool item(struct script *s, struct kw_buf *b)
{
    unsigned c, n;
    switch (byte(s)) {
    case 1:
        n = u16(s);
        kw_put_u32(b, n | u16(s) << 16);
        return true;
    case 2:
        n = u16(s);
        kw_put_u32(b, n | u16(s) << 16);
        n = u16(s);
        kw_put_u32(b, n | u16(s) << 16);
        return true;
    case 3:
        text(s, b, byte(s), true);
        return true;
    case 4:
        text(s, b, u16(s), true);
        return true;
    case 5:
        text(s, b, byte(s), false);
        return true;
    case 6:
        c = byte(s);
        n = u16(s);
        kw_put_u32(b, n);
        for (unsigned char one = (unsigned char)c; n > 0 && !b->bad; n--)
            kw_put(b, &one, 1);
        return true;
    default:
        return false;
    }
}

static void say(int fd, const struct kw_buf *b, unsigned nfds, int file)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDS)];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec iov = {.iov_base = b->p, .iov_len = b->len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds > 0) {
        const int fds[FDS] = {file, file, file};
        mh.msg_control = control.space;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(cm), fds, sizeof(int) * nfds);
    }
    if (b->len > 0)
        (void)sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One packet, but for a peer's going; its body is in *body. */
static void send_packet(int fd, unsigned op, unsigned type, struct script *s, uint32_t *serial,
                        struct kw_buf *body, int file)
{
    struct kw_buf packet;
    unsigned more = (op & SERIAL) != 0 ? byte(s) : 0, longer = (op & LENGTH) != 0 ? byte(s) : 0;
    kw_buf_init(&packet, KW_IPC_MAX + 128);
    while (item(s, body))
        continue;
    if ((op & RAW) == 0) {
        kw_put_u32(&packet, type % (KW_MSGS + 2));
        kw_put_u32(&packet, (*serial)++ + more);
        kw_put_u32(&packet, (uint32_t)body->len + longer);
    }
    kw_put(&packet, body->p != NULL ? (const void *)body->p : "", body->len);
    if (fd >= 0)
        say(fd, &packet, op >> 2 & 3, file);
    kw_buf_free(&packet);
}

static int given(void)
{
    int file = memfd_create("given", MFD_CLOEXEC);
    must(file >= 0 && write(file, "body", 4) == 4 && lseek(file, 0, SEEK_SET) == 0);
    return file;
}

/* The next packet, or a peer's going. */
static void say_next(const int *fds, size_t n, struct script *s, uint32_t *serial, int file,
                     struct kw_buf *side)
{
    struct kw_buf body;
    unsigned op = byte(s), to = (op & 3) % (unsigned)(n + 1);
    if ((op & GONE) != 0) {
        if (to < n)
            (void)shutdown(fds[to], SHUT_WR);
        return;
    }
    unsigned type = byte(s);
    kw_buf_init(&body, KW_IPC_MAX + 64);
    send_packet(to < n ? fds[to] : -1, op, type, s, &serial[to], &body, file);
    if (to == n && side != NULL)
        kw_put_blob(side, body.p != NULL ? (const void *)body.p : "", body.len);
    kw_buf_free(&body);
}

void peers_say(const int *fds, size_t n, const unsigned char *data, size_t size,
               struct kw_buf *side)
{
    struct script s = {data, data + size};
    uint32_t serial[PEERS + 1] = {0};
    int file = given();
    while (s.p < s.end)
        say_next(fds, n, &s, serial, file, side);
    (void)close(file);
}

bool peers_step(struct peers *p)
{
    struct script s = {p->at, p->end};
    if (s.p >= s.end)
        return false;
    say_next(p->mine, p->n, &s, p->serial, p->file, &p->side);
    p->at = s.p;
    return true;
}

/* Whether the role may send such a message over this channel, in whatever state. */
static bool may_say(const struct peers *p, size_t i, enum kw_msg type, size_t n, unsigned nfds)
{
    size_t max = 0;
    unsigned next = 0, want = 0;
    for (unsigned state = 0; state < 32; state++)
        if (kw_msg_legal(type, p->chans[i], p->roles[i], state, &next, &max, &want))
            return n <= max && nfds == want;
    return false;
}

/* What came along is a pipe to write to (a body's), or is not wanted. */
static unsigned take_fds(struct msghdr *mh)
{
    unsigned n = 0;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm))
        for (; (n + 1) * sizeof(int) <= cm->cmsg_len - CMSG_LEN(0); n++) {
            int fd;
            struct stat st;
            memcpy(&fd, CMSG_DATA(cm) + n * sizeof fd, sizeof fd);
            if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
                (void)!write(fd, "body", 4);
            (void)close(fd);
        }
    return n;
}

static void check(struct peers *p, size_t i, struct kw_buf *b, unsigned nfds)
{
    uint32_t type = kw_get_u32(b), serial = kw_get_u32(b), n = kw_get_u32(b);
    must(!b->bad && serial == p->heard[i]++);
    must(type < KW_MSGS && n == b->len - b->rd);
    must(may_say(p, i, (enum kw_msg)type, n, nfds));
    void *m = malloc(kw_msg_size((enum kw_msg)type));
    must(m != NULL && kw_msg_get(b, (enum kw_msg)type, m));
    kw_msg_free((enum kw_msg)type, m);
    free(m);
}

/* One packet that the role sent; false when there is none. */
static bool hear(struct peers *p, size_t i)
{
    struct kw_buf b;
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDS)];
    } control;
    ssize_t n = recv(p->mine[i], NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (n <= 0)
        return false;
    kw_buf_init(&b, KW_IPC_MAX + 64);
    struct iovec iov = {.iov_base = kw_buf_room(&b, (size_t)n), .iov_len = (size_t)n};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof control.space};
    must(iov.iov_base != NULL && recvmsg(p->mine[i], &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == n);
    b.len = (size_t)n;
    check(p, i, &b, take_fds(&mh));
    kw_buf_free(&b);
    return true;
}

static struct peers *last;

void peers_idle(bool for_ever)
{
    for (size_t i = 0; i < last->n; i++) {
        while (hear(last, i))
            continue;
        if (for_ever)
            (void)shutdown(last->mine[i], SHUT_WR);
    }
}

static uint64_t open_fds(void)
{
    uint64_t set = 0;
    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            set |= UINT64_C(1) << fd;
    return set;
}

void peers_open(struct peers *p, enum kw_role role, const enum kw_channel *chans, size_t n,
                const unsigned char *data, size_t size)
{
    int pair[2];
    (void)signal(SIGPIPE, SIG_IGN); /* as every role has it */
    *p = (struct peers){.n = n, .open = open_fds(), .at = data, .end = data + size};
    kw_buf_init(&p->side, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        p->chans[i] = chans[i];
        p->roles[i] = role;
        p->mine[i] = pair[0];
        p->fds[i] = pair[1];
    }
    p->file = given();
    last = p;
}

void peers_begin(struct peers *p, enum kw_role role, const enum kw_channel *chans, size_t n,
                 const unsigned char *data, size_t size)
{
    peers_open(p, role, chans, n, data, size);
    while (peers_step(p))
        continue;
    (void)close(p->file);
    p->file = -1;
}

void peers_end(struct peers *p)
{
    for (size_t i = 0; i < p->n; i++) {
        while (hear(p, i))
            continue;
        (void)close(p->mine[i]);
    }
    if (p->file >= 0)
        (void)close(p->file);
    kw_buf_free(&p->side);
    must(open_fds() == p->open);
}
