/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.so: calls to the kernel that are interrupted (EINTR), would have to wait
 * (EAGAIN), or do less than they were asked to; and a wall clock that is wrong. Only what
 * the kernel itself may answer: EAGAIN where nothing shall wait, a part of what a file, a
 * pipe or a stream holds, never a part of a packet or of a record.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "page.h"

#define EXPORT __attribute__((visibility("default")))
/* The next library's function of this name: the sanitizer's, or libc's. */
#define NEXT(name)                                                                                 \
    static __typeof__(name) *next;                                                                 \
    if (next == NULL) {                                                                            \
        void *found = dlsym(RTLD_NEXT, #name);                                                     \
        memcpy(&next, &found, sizeof next);                                                        \
    }

/* Records that the kernel hands over whole or not at all: counters, signals, what fits a
 * pipe's atomic write in our programs. */
enum { RECORD = 128, OF = 1024 };

/* splitmix64: one number for each call, the same for the same seed and order. */
static uint64_t draw(void)
{
    uint64_t z = atomic_fetch_add(&kw_faults->random, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool chosen(uint64_t *ret)
{
    if (kw_faults == NULL || kw_faults->rate == 0 || kw_faults_inside > 0)
        return false;
    *ret = draw();
    return *ret % OF < kw_faults->rate;
}

static bool interrupt(uint64_t r)
{
    if ((r >> 16) % 2 != 0)
        return false;
    (void)atomic_fetch_add(&kw_faults->disturbed, 1);
    (void)atomic_fetch_add(&kw_faults->interrupted, 1);
    errno = EINTR;
    return true;
}

/* EINTR, for calls that know nothing else. */
static bool interrupted(void)
{
    uint64_t r;
    return chosen(&r) && interrupt(r);
}

/* What becomes of a transfer: -1 with errno, or as many bytes as shall be asked for. */
static ssize_t disturb(int fd, bool impatient, bool may_cut, size_t n)
{
    uint64_t r;
    if (!chosen(&r))
        return (ssize_t)n;
    if (interrupt(r))
        return -1;
    if ((r >> 17) % 2 == 0 && (impatient || (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)) {
        (void)atomic_fetch_add(&kw_faults->disturbed, 1);
        (void)atomic_fetch_add(&kw_faults->again, 1);
        errno = EAGAIN;
        return -1;
    }
    if (!may_cut || n < 2)
        return (ssize_t)n;
    (void)atomic_fetch_add(&kw_faults->disturbed, 1);
    (void)atomic_fetch_add(&kw_faults->cut, 1);
    return (r >> 18) % 3 == 0 ? 1 : (ssize_t)(1 + (r >> 20) % (n - 1));
}

static bool interrupted_counter(size_t n)
{
    return n == sizeof(uint64_t) && interrupted();
}

static bool is_stream(int fd)
{
    return kw_faults != NULL && kw_faults->stream_from != 0 && fd >= (int)kw_faults->stream_from;
}

/* --- transfers ---------------------------------------------------------------------- */

EXPORT ssize_t read(int fd, void *to, size_t n)
{
    NEXT(read);
    ssize_t ask = disturb(fd, false, n > RECORD, n);
    return ask < 0 ? -1 : next(fd, to, (size_t)ask);
}

/* A counter takes eight bytes unless it is full, which it is not; a memory file, which is
 * what libseccomp writes to, is never interrupted. */
EXPORT ssize_t write(int fd, const void *from, size_t n)
{
    NEXT(write);
    if (n == sizeof(uint64_t) || kw_faults_assured(__builtin_return_address(0)))
        return interrupted_counter(n) ? -1 : next(fd, from, n);
    ssize_t ask = disturb(fd, false, true, n);
    return ask < 0 ? -1 : next(fd, from, (size_t)ask);
}

EXPORT ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    NEXT(pread);
    ssize_t ask = disturb(fd, false, true, n);
    return ask < 0 ? -1 : next(fd, to, (size_t)ask, at);
}

EXPORT ssize_t recv(int fd, void *to, size_t n, int flags)
{
    NEXT(recv);
    ssize_t ask = disturb(fd, (flags & MSG_DONTWAIT) != 0, is_stream(fd), n);
    return ask < 0 ? -1 : next(fd, to, (size_t)ask, flags);
}

EXPORT ssize_t send(int fd, const void *from, size_t n, int flags)
{
    NEXT(send);
    ssize_t ask = disturb(fd, (flags & MSG_DONTWAIT) != 0, is_stream(fd), n);
    return ask < 0 ? -1 : next(fd, from, (size_t)ask, flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    NEXT(recvmsg);
    return disturb(fd, (flags & MSG_DONTWAIT) != 0, false, 1) < 0 ? -1 : next(fd, m, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    NEXT(sendmsg);
    return disturb(fd, (flags & MSG_DONTWAIT) != 0, false, 1) < 0 ? -1 : next(fd, m, flags);
}

/* With _FORTIFY_SOURCE calls go by these names; the sizes are still checked. */
EXPORT ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
EXPORT ssize_t __read_chk(int fd, void *to, size_t n, size_t room)
{
    return n > room ? (errno = EFAULT, -1) : read(fd, to, n);
}
EXPORT ssize_t __pread_chk(int fd, void *to, size_t n, off_t at, size_t room);
EXPORT ssize_t __pread_chk(int fd, void *to, size_t n, off_t at, size_t room)
{
    return n > room ? (errno = EFAULT, -1) : pread(fd, to, n, at);
}
EXPORT ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags);
EXPORT ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags)
{
    return n > room ? (errno = EFAULT, -1) : recv(fd, to, n, flags);
}

/* --- waits and what else a signal can interrupt --------------------------------------- */

EXPORT int poll(struct pollfd *fds, nfds_t n, int ms)
{
    NEXT(poll);
    return interrupted() ? -1 : next(fds, n, ms);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);
EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room)
{
    return n * sizeof *fds > room ? (errno = EFAULT, -1) : poll(fds, n, ms);
}

EXPORT int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
    NEXT(epoll_wait);
    return interrupted() ? -1 : next(fd, events, n, ms);
}

EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
    NEXT(waitpid);
    return interrupted() ? -1 : next(pid, status, options);
}

EXPORT int fsync(int fd)
{
    NEXT(fsync);
    return interrupted() ? -1 : next(fd);
}

EXPORT int fdatasync(int fd)
{
    NEXT(fdatasync);
    return interrupted() ? -1 : next(fd);
}

EXPORT int flock(int fd, int how)
{
    NEXT(flock);
    return (how & LOCK_UN) == 0 && interrupted() ? -1 : next(fd, how);
}

EXPORT int fcntl(int fd, int what, ...)
{
    NEXT(fcntl);
    va_list ap;
    va_start(ap, what);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    bool lock = what == F_OFD_SETLK || what == F_OFD_SETLKW || what == F_SETLKW;
    return lock && interrupted() ? -1 : next(fd, what, argument);
}

EXPORT int nanosleep(const struct timespec *t, struct timespec *left)
{
    NEXT(nanosleep);
    if (left != NULL && interrupted()) {
        *left = *t;
        return -1;
    }
    return next(t, left);
}

/* --- the wall clock ------------------------------------------------------------------- */

/* A step comes at a look of the program; libraries look often, and as it happens. */
static int64_t ahead(const void *caller)
{
    if (kw_faults == NULL || kw_faults->clock_s == 0)
        return 0;
    if (kw_faults_program(caller))
        (void)atomic_fetch_add(&kw_faults->looks, 1);
    return kw_faults->looks < kw_faults->clock_at ? 0 : kw_faults->clock_s;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *t)
{
    NEXT(clock_gettime);
    int r = next(clock, t);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        t->tv_sec += ahead(__builtin_return_address(0));
    return r;
}

EXPORT time_t time(time_t *ret)
{
    NEXT(time);
    time_t t = next(NULL) + ahead(__builtin_return_address(0));
    if (ret != NULL)
        *ret = t;
    return t;
}

EXPORT int gettimeofday(struct timeval *t, void *zone)
{
    NEXT(gettimeofday);
    int r = next(t, zone);
    if (r == 0)
        t->tv_sec += ahead(__builtin_return_address(0));
    return r;
}

/* Found before a fence stands and before another function of this file is needed for it. */
__attribute__((constructor)) static void find_all(void)
{
    static const struct timespec none;
    struct timespec t;
    struct timeval v;
    char byte[1];
    struct msghdr m = {.msg_iovlen = 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t), (void)time(NULL), (void)gettimeofday(&v, NULL);
    ssize_t n = read(-1, byte, 1);
    n += write(-1, byte, 1) + pread(-1, byte, 1, 0) + recv(-1, byte, 1, 0) + send(-1, byte, 1, 0);
    n += recvmsg(-1, &m, 0) + sendmsg(-1, &m, 0);
    struct epoll_event e;
    n += poll(NULL, 0, 0) + epoll_wait(-1, &e, 1, 0) + waitpid(-1, NULL, WNOHANG) + fsync(-1) +
         fdatasync(-1) + flock(-1, LOCK_UN);
    n += fcntl(-1, F_GETFD) + nanosleep(&none, NULL);
    errno = n > 0 ? EIO : 0;
}
