/* SPDX-License-Identifier: Apache-2.0
 *
 * The wrapped calls (fuzz.h), and the mutator that knows of the seed. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef KW_MSAN
#include <sanitizer/msan_interface.h>
#endif

#include "fuzz.h"
#include "src/base/secret.h"

enum { TRAILER = 5, MARK = 0xfa };

static bool armed, hit;
static void (*when_idle)(bool for_ever);
static uint64_t state;
static unsigned one_in;
static int64_t ahead_ms; /* of the real clock */

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 16;
}

bool fault_now(void)
{
    if (!armed || next() % one_in != 0)
        return false;
    hit = true;
    return true;
}

static int io_error(void)
{
    static const int errors[] = {EINTR, EAGAIN, EIO, ENOSPC, ENOMEM, EMFILE, ECONNRESET};
    errno = errors[next() % (sizeof errors / sizeof errors[0])];
    return -1;
}

/* A part of n, where a call may do less than it was asked. */
static size_t part(size_t n)
{
    return n > 1 && fault_now() ? 1 + (size_t)(next() % (n - 1)) : n;
}

void fault_seed(const unsigned char *data, size_t *size)
{
    hit = armed = false;
    ahead_ms = 0;
    one_in = 0;
    if (*size < TRAILER || data[*size - TRAILER] != MARK)
        return;
    *size -= TRAILER;
    uint32_t seed;
    memcpy(&seed, data + *size + 1, sizeof seed);
    one_in = 2U << (seed & 7); /* 1/2 to 1/256: inputs make few calls or many */
    state = (uint64_t)seed << 8 | 1;
}

void fault_begin(void)
{
    armed = one_in > 0;
}

bool fault_end(void)
{
    armed = false;
    return hit;
}

bool fault_pause(void)
{
    bool was = armed;
    armed = false;
    return was;
}

void fault_resume(bool paused)
{
    armed = paused;
}

void fault_no_waiting(void (*idle)(bool for_ever))
{
    when_idle = idle;
}

/* The wrapped: each fails as the real one may. */
#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* A lack of memory that we made up is no reason to end, nor one for the next input to be
 * told that there is none (src/base/memory.h). */
void __wrap_kw_memory_none(void);
void __wrap_kw_memory_none(void)
{
}

void __wrap_kw_memory_must(int exit_code, void (*last)(void));
void __wrap_kw_memory_must(int exit_code, void (*last)(void))
{
    (void)exit_code, (void)last;
}

WRAP(void *, malloc, size_t n)
{
    return fault_now() ? NULL : __real_malloc(n);
}

WRAP(void *, calloc, size_t n, size_t size)
{
    return fault_now() ? NULL : __real_calloc(n, size);
}

WRAP(void *, realloc, void *p, size_t n)
{
    return fault_now() ? NULL : __real_realloc(p, n);
}

WRAP(char *, strdup, const char *s)
{
    return fault_now() ? NULL : __real_strdup(s);
}

/* jansson 2.14 does not survive the loss of memory itself (it asserts): its calls fail as
 * a whole. */
WRAP(json_t *, json_loadb, const char *text, size_t n, size_t flags, json_error_t *e)
{
    n = fault_now() ? 0 : n;
#ifdef KW_MSAN /* msan.c says why */
    __msan_scoped_disable_interceptor_checks();
    json_t *o = __real_json_loadb(text, n, flags, e);
    __msan_scoped_enable_interceptor_checks();
    if (e != NULL)
        __msan_unpoison(e, sizeof *e);
    return o;
#else
    return __real_json_loadb(text, n, flags, e);
#endif
}

WRAP(char *, json_dumps, const json_t *o, size_t flags)
{
    return fault_now() ? NULL : __real_json_dumps(o, flags);
}

WRAP(struct kw_secret *, kw_secret_new, size_t max)
{
    return fault_now() ? NULL : __real_kw_secret_new(max);
}

WRAP(struct kw_secret *, kw_secret_from, const void *bytes, size_t n)
{
    return fault_now() ? NULL : __real_kw_secret_from(bytes, n);
}

WRAP(ssize_t, read, int fd, void *p, size_t n)
{
    return fault_now() ? io_error() : __real_read(fd, p, part(n));
}

WRAP(ssize_t, pread, int fd, void *p, size_t n, off_t at)
{
    return fault_now() ? io_error() : __real_pread(fd, p, part(n), at);
}

WRAP(ssize_t, write, int fd, const void *p, size_t n)
{
    return fault_now() ? io_error() : __real_write(fd, p, part(n));
}

WRAP(ssize_t, recv, int fd, void *p, size_t n, int flags)
{
    return fault_now() ? io_error() : __real_recv(fd, p, n, flags);
}

WRAP(ssize_t, send, int fd, const void *p, size_t n, int flags)
{
    return fault_now() ? io_error() : __real_send(fd, p, n, flags);
}

WRAP(ssize_t, recvmsg, int fd, struct msghdr *m, int flags)
{
    return fault_now() ? io_error() : __real_recvmsg(fd, m, flags);
}

WRAP(ssize_t, sendmsg, int fd, const struct msghdr *m, int flags)
{
    return fault_now() ? io_error() : __real_sendmsg(fd, m, flags);
}

WRAP(int, fstat, int fd, struct stat *st)
{
    return fault_now() ? io_error() : __real_fstat(fd, st);
}

WRAP(int, ftruncate, int fd, off_t n)
{
    return fault_now() ? io_error() : __real_ftruncate(fd, n);
}

WRAP(int, fsync, int fd)
{
    return fault_now() ? io_error() : __real_fsync(fd);
}

WRAP(int, rename, const char *from, const char *to)
{
    return fault_now() ? io_error() : __real_rename(from, to);
}

WRAP(int, pipe2, int *fds, int flags)
{
    return fault_now() ? io_error() : __real_pipe2(fds, flags);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    unsigned mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(ap, unsigned) : 0;
    va_end(ap);
    return fault_now() ? io_error() : __real_open(path, flags, mode);
}

/* The call, after what idle() made ready if nothing was; time goes on by what it would have
 * waited. Who waits for ever is idled until something is ready: nothing that will ever come is
 * an error of the target's. */
#define WITHOUT_WAITING(call, ms)                                                                  \
    do {                                                                                           \
        int ready = (call);                                                                        \
        bool was = fault_pause();                                                                  \
        for (unsigned n_idle = 0; ready == 0 && (ms) != 0 && (n_idle == 0 || (ms) < 0);            \
             n_idle++) {                                                                           \
            must(n_idle < 65536);                                                                  \
            when_idle((ms) < 0);                                                                   \
            ready = (call);                                                                        \
        }                                                                                          \
        fault_resume(was);                                                                         \
        ahead_ms += ready == 0 ? (ms) : 0;                                                         \
        return ready;                                                                              \
    } while (0)

WRAP(int, poll, struct pollfd *p, nfds_t n, int ms)
{
    if (fault_now())
        return io_error();
    if (when_idle == NULL)
        return __real_poll(p, n, ms);
    WITHOUT_WAITING(__real_poll(p, n, 0), ms);
}

WRAP(int, epoll_wait, int fd, struct epoll_event *events, int most, int ms)
{
    if (when_idle == NULL)
        return __real_epoll_wait(fd, events, most, ms);
    WITHOUT_WAITING(__real_epoll_wait(fd, events, most, 0), ms);
}

WRAP(int, clock_gettime, clockid_t clock, struct timespec *ts)
{
    int r = __real_clock_gettime(clock, ts);
    if (clock == CLOCK_MONOTONIC) {
        int64_t ns = ts->tv_nsec + ahead_ms % 1000 * 1000000;
        ts->tv_sec += ahead_ms / 1000 + ns / 1000000000;
        ts->tv_nsec = ns % 1000000000;
    }
    return r;
}

#ifdef KW_FUZZ
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

/* What is before the seed changes, or the seed alone. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    uint8_t trailer[TRAILER] = {MARK};
    bool has = size >= TRAILER && data[size - TRAILER] == MARK;
    size_t n = has ? size - TRAILER : size;
    if (max < 2 * TRAILER || n > max - TRAILER)
        return LLVMFuzzerMutate(data, size, max);
    if (has)
        memcpy(trailer, data + n, TRAILER);
    switch (seed % 8) {
    case 0: /* another seed */
    case 1:
        seed *= 2654435761u;
        memcpy(trailer + 1, &seed, sizeof seed);
        has = true;
        break;
    case 2: /* none */
        n = LLVMFuzzerMutate(data, n, max - TRAILER);
        has = false;
        break;
    default:
        n = LLVMFuzzerMutate(data, n, max - TRAILER);
    }
    if (has)
        memcpy(data + n, trailer, TRAILER);
    return has ? n + TRAILER : n;
}
#endif
