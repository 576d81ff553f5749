/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchanger (and, for the most part, the proxy) after its lock: TLS and HTTP over descriptors
 * it was handed, memory that is never executable, and its end. Anything else is a violation, but
 * for a short list of probes that libraries make and can do without.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "table.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* O_LARGEFILE as the kernel reports it (libc defines it as 0 on 64 bit), on x86-64 and on
 * arm64: each is O_NOFOLLOW to the other, and F_SETFL looks at neither. */
#define LARGEFILE    (0100000u | 0400000u)
#define FUTEX_PLAIN  (FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
#define OPEN_CHANGES (O_ACCMODE | O_CREAT | O_TRUNC)

static const struct kw_rule io[] = {
    {ON(read), .why = "descriptors it was handed"},
    {ON(write), .why = "descriptors it was handed"},
    {ON(writev), .why = "libc's last words before abort()"},
    {ON(close), .why = "connections and pipes end"},
    {ON(poll), .why = "waiting"},
    {ON(ppoll), .why = "waiting"},
    {ON(recvfrom), .why = "connections and channels"},
    {ON(recvmsg), .why = "connected descriptors come from the dialer"},
    {ON(sendto), .limits = {EQ(4, 0)}, .why = "no address: connected sockets only, no fast open"},
    {ON(shutdown), .why = "connections end"},
    {ON(getsockname), .why = "libcurl reports it"},
    {ON(getpeername), .why = "libcurl reports it"},
    {ON(getsockopt), .limits = {EQ(1, SOL_SOCKET), EQ(2, SO_ERROR)}, .why = "was it connected"},
    {ON(setsockopt), .limits = {EQ(1, IPPROTO_TCP), EQ(2, TCP_NODELAY)}, .why = "small writes"},
    {ON(fcntl), .limits = {EQ(1, F_GETFL)}, .why = "before setting O_NONBLOCK"},
    {ON(fcntl),
     .limits = {EQ(1, F_SETFL), BITS(2, ~(uint64_t)(O_ACCMODE | O_NONBLOCK | LARGEFILE), 0)},
     .why = "O_NONBLOCK and nothing else; no O_ASYNC"},
    {ON(fcntl), .limits = {EQ(1, F_GETFD)}, .why = "is it open"},
    {ON(fcntl), .limits = {EQ(1, F_SETFD), EQ(2, FD_CLOEXEC)}, .why = "harmless"},
};

static const struct kw_rule curl[] = {
    {ON(connect), .answer = KW_REFUSE, .error = 0,
     .why = "never executed, seems to succeed: libcurl 7.88 calls it on connected sockets"},
};

static const struct kw_rule memory[] = {
    {ON(brk), .why = "heap"},
    {ON(mmap), .limits = {BITS(2, PROT_EXEC, 0), EQ(3, MAP_PRIVATE | MAP_ANONYMOUS)},
     .why = "heap; private, anonymous, never executable"},
    {ON(mmap), .limits = {BITS(2, PROT_EXEC, 0), EQ(3, MAP_DROPPABLE | MAP_ANONYMOUS)},
     .why = "state of glibc 2.41's getrandom()"},
    {ON(munmap), .why = "heap"},
    {ON(mremap), .limits = {EQ(3, MREMAP_MAYMOVE)}, .why = "realloc(); never to a fixed place"},
    {ON(madvise), .limits = {EQ(2, MADV_DONTNEED)}, .why = "heap is given back"},
    {ON(madvise), .limits = {EQ(2, MADV_DONTDUMP)}, .why = "only ever hides"},
    {ON(futex), .limits = {BITS(1, ~(uint64_t)FUTEX_PLAIN, FUTEX_WAIT)},
     .why = "locks of OpenSSL and libc"},
    {ON(futex), .limits = {BITS(1, ~(uint64_t)FUTEX_PLAIN, FUTEX_WAKE)}, .why = "the same"},
    {ON(futex), .limits = {BITS(1, ~(uint64_t)FUTEX_PLAIN, FUTEX_WAIT_BITSET)}, .why = "the same"},
};

static const struct kw_rule process[] = {
    {ON(getpid), .why = "OpenSSL notices forks by it"},
    {ON(gettid), .why = "abort()"},
    {ON(getrandom), .why = "TLS"},
    {ON(clock_gettime), .why = "time-outs, where the vDSO can't tell"},
    {ON(gettimeofday), .why = "the same"},
    {ON(time), .why = "the same"},
    {ON(rt_sigreturn), .why = "end of a signal handler"},
    {ON(rt_sigprocmask), .why = "abort(); a blocked SIGSYS kills"},
    {ON(restart_syscall), .why = "poll() after a stop"},
    {ON(tgkill), .limits = {SELF(0), EQ(2, SIGABRT)}, .why = "abort() is told as such"},
    {ON(exit), .why = "its end"},
    {ON(exit_group), .why = "its end"},
};

/* What libraries try in passing and can live without: refused, not fatal. None of
 * these calls is carried out. */
static const struct kw_rule probes[] = {
    {ON(openat), .answer = KW_REFUSE, .error = EACCES,
     .limits = {BITS(2, (uint64_t)OPEN_CHANGES, 0)},
     .why = "reading a time zone or openssl.cnf late"},
    {ON(newfstatat), .answer = KW_REFUSE, .error = EACCES, .why = "stdio's first write"},
    {ON(fstat), .answer = KW_REFUSE, .error = EACCES, .why = "the same"},
    {ON(statx), .answer = KW_REFUSE, .error = EACCES, .why = "is the file there"},
    {ON(access), .answer = KW_REFUSE, .error = EACCES, .why = "the same"},
    {ON(faccessat), .answer = KW_REFUSE, .error = EACCES, .why = "the same"},
    {ON(faccessat2), .answer = KW_REFUSE, .error = EACCES, .why = "the same"},
    {ON(readlink), .answer = KW_REFUSE, .error = EACCES, .why = "the same"},
    {ON(readlinkat), .answer = KW_REFUSE, .error = EACCES, .why = "the same"},
    {ON(ioctl), .answer = KW_REFUSE, .error = ENOTTY, .limits = {INT(1, TCGETS)},
     .why = "isatty(); no ioctl is carried out"},
    {ON(prctl), .answer = KW_REFUSE, .error = EINVAL, .limits = {INT(0, PR_SET_VMA)},
     .why = "libc names its mappings"},
    {ON(sched_getaffinity), .answer = KW_REFUSE, .error = EPERM, .why = "how many processors"},
    {ON(sysinfo), .answer = KW_REFUSE, .error = EPERM, .why = "how much memory"},
    {ON(uname), .answer = KW_REFUSE, .error = EPERM, .why = "which kernel"},
};

/* AddressSanitizer's allocator and its report. Never in a release. */
static const struct kw_rule sanitizer[] = {
    {ON(mmap),
     .limits = {BITS(2, PROT_EXEC, 0), EQ(3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)},
     .why = "shadow and quarantine"},
    {ON(mmap),
     .limits = {BITS(2, PROT_EXEC, 0),
                EQ(3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED)},
     .why = "shadow and quarantine"},
    {ON(mmap), .limits = {BITS(2, PROT_EXEC, 0), EQ(3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)},
     .why = "shadow and quarantine"},
    {ON(madvise), .limits = {EQ(2, MADV_NOHUGEPAGE)}, .why = "shadow"},
    {ON(mprotect), .limits = {BITS(2, PROT_EXEC, 0)}, .why = "stacks and quarantine"},
    {ON(sigaltstack), .why = "taken down at the end"},
    {ON(sched_yield), .why = "its locks"},
    {ON(rt_sigaction), .why = "its handlers"},
    {ON(prctl), .limits = {EQ(0, PR_GET_DUMPABLE)}, .why = "before a report"},
};

const struct kw_group kw_group_io = {RULES(io), .title = "descriptors it was handed"};
const struct kw_group kw_group_memory = {RULES(memory), .title = "memory, never executable"};
const struct kw_group kw_group_itself = {RULES(process), .title = "itself"};
const struct kw_group kw_group_probes = {RULES(probes), .title = "harmless probes, refused"};
const struct kw_group kw_group_sanitizer = {RULES(sanitizer), .sanitizer = true,
                                            .title = "builds with AddressSanitizer"};
static const struct kw_group group_curl = {RULES(curl), .title = "libcurl"};

static const struct kw_group *const groups[] = {&kw_group_io,
                                                &kw_group_memory,
                                                &kw_group_itself,
                                                &kw_group_probes,
                                                &group_curl,
                                                &kw_group_sanitizer,
                                                NULL};

const struct kw_table kw_table_exchanger = {
    .role = KW_ROLE_EXCHANGER,
    .otherwise = KW_VIOLATE,
    .groups = groups,
    .title = "after the certificate roots are loaded and TLS is initialised",
};
