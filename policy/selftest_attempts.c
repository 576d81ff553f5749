/* SPDX-License-Identifier: Apache-2.0
 *
 * The attempts, as data: what is tried, and what must come of it in keeper,
 * exchanger and dialer.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "selftest.h"
#include "table.h"

#define VIOLATES(name)                                                                             \
    {                                                                                              \
        .outcome = KW_O_VIOLATION, .call = (name)                                                  \
    }
#define REFUSES(e)                                                                                 \
    {                                                                                              \
        .outcome = KW_O_ERRNO, .error = (e)                                                        \
    }
#define REFUSES_FROM(e, since)                                                                     \
    {                                                                                              \
        .outcome = KW_O_ERRNO, .error = (e), .abi = (since)                                        \
    }
#define KILLS                                                                                      \
    {                                                                                              \
        .outcome = KW_O_KILLED                                                                     \
    }
#define WORKS                                                                                      \
    {                                                                                              \
        .outcome = KW_O_WORKS                                                                      \
    }

#define BAD               ((unsigned long)-1) /* no descriptor, no address, no process */
#define IPPROTO_MULTIPATH 262

/* A violation in all three, in the exchanger alone, or as the row says; a role that is
 * not named does not try it. */
#define ALL(n, text, call, ...)                                                                    \
    {                                                                                              \
        .name = (n), .what = (text), .nr = SYS_##call, .args = {__VA_ARGS__},                      \
        .keeper = VIOLATES(#call), .exchanger = VIOLATES(#call), .dialer = VIOLATES(#call)         \
    }
#define EXCHANGER(n, text, call, ...)                                                              \
    {                                                                                              \
        .name = (n), .what = (text), .nr = SYS_##call, .args = {__VA_ARGS__},                      \
        .exchanger = VIOLATES(#call)                                                               \
    }
#define CALL(n, text, call, ...)                                                                   \
    .name = (n), .what = (text), .nr = SYS_##call, .args = {__VA_ARGS__}
#define DO(n, text, function) .name = (n), .what = (text), .run = (function)

static long open_read(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC, 0);
}

static long open_write(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC, 0);
}

static long open_device(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/dev/zero", O_RDWR | O_CLOEXEC, 0);
}

static long fork_once(void)
{
    long pid = syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static void *nothing(void *arg)
{
    return arg;
}

static long thread_once(void)
{
    pthread_t t;
    int rc = pthread_create(&t, NULL, nothing, NULL);
    if (rc == 0)
        return pthread_join(t, NULL);
    errno = rc;
    return -1;
}

static long bind_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof a);
}

#ifdef __x86_64__
/* getpid by the 32-bit entry: number 20 there, writev here. */
static long i386_entry(void)
{
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return r;
}

static long x32_entry(void)
{
    return syscall((long)(KW_NR_X32 | SYS_getpid));
}
#endif

const struct kw_attempt kw_attempts[] = {
    /* files */
    {DO("open-read", "open a file for reading", open_read), .keeper = WORKS,
     .exchanger = REFUSES(EACCES), .dialer = REFUSES_FROM(EACCES, 1)},
    {DO("open-write", "open a file for writing", open_write), .keeper = REFUSES_FROM(EACCES, 1),
     .exchanger = VIOLATES("openat"), .dialer = WORKS},
    {DO("open-device", "open a device", open_device), .keeper = REFUSES_FROM(EACCES, 1),
     .exchanger = VIOLATES("openat"), .dialer = REFUSES_FROM(EACCES, 1)},
#ifdef SYS_open
    EXCHANGER("open", "the older open()", open, 0, O_RDONLY),
#endif
    EXCHANGER("openat2", "the newer open", openat2, BAD, 0, 0, 0),
    ALL("open-by-handle", "open a file by its number", open_by_handle_at, BAD, 0, O_RDONLY),
    EXCHANGER("unlinkat", "remove a file", unlinkat, BAD, 0, 0),
    EXCHANGER("renameat2", "rename a file", renameat2, BAD, 0, BAD, 0, 0),
    EXCHANGER("fchmod", "change a mode", fchmod, BAD, 0),
    EXCHANGER("getdents64", "list a folder", getdents64, BAD, 0, 0),
    EXCHANGER("memfd_create", "make a memory file", memfd_create, 0, BAD),
    ALL("mknod", "make a device", mknodat, BAD, 0, 0, 0),
    ALL("mount", "mount a file system", mount, 0, 0, 0, 0, 0),
    ALL("chroot", "change the root", chroot, 0),

    /* network */
    {CALL("socket-tcp", "make a TCP socket", socket, AF_INET, SOCK_STREAM, 0),
     .keeper = VIOLATES("socket"), .exchanger = VIOLATES("socket"), .dialer = WORKS},
    {CALL("socket-tcp6", "make a TCP socket (IPv6)", socket, AF_INET6, SOCK_STREAM, 0),
     .keeper = VIOLATES("socket"), .exchanger = VIOLATES("socket")},
    {CALL("socket-udp", "make a UDP socket", socket, AF_INET, SOCK_DGRAM, 0),
     .keeper = VIOLATES("socket"), .exchanger = VIOLATES("socket"), .dialer = WORKS},
    {CALL("socket-unix", "make a UNIX socket", socket, AF_UNIX, SOCK_STREAM, 0),
     .keeper = REFUSES(EACCES), .exchanger = VIOLATES("socket"), .dialer = REFUSES(EAFNOSUPPORT)},
    {CALL("socket-netlink", "make a netlink socket", socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
     .keeper = VIOLATES("socket"), .exchanger = VIOLATES("socket"), .dialer = WORKS},
    {CALL("pair-datagram", "make a pair of sockets that can be connected anew", socketpair, AF_UNIX,
          SOCK_DGRAM, 0, 0),
     .keeper = REFUSES(EACCES), .exchanger = VIOLATES("socketpair"),
     .dialer = REFUSES(EAFNOSUPPORT)},
    ALL("pair-tipc", "make a pair of sockets of a network", socketpair, AF_TIPC, SOCK_STREAM, 0, 0),
    ALL("socket-audit", "make a netlink socket to the audit", socket, AF_NETLINK, SOCK_RAW,
        NETLINK_AUDIT),
    ALL("socket-mptcp", "make a multipath TCP socket", socket, AF_INET, SOCK_STREAM,
        IPPROTO_MULTIPATH),
    ALL("socket-raw", "make a raw socket", socket, AF_INET, SOCK_RAW, IPPROTO_ICMP),
    ALL("socket-packet", "make a packet socket", socket, AF_PACKET, SOCK_RAW, 0),
    ALL("socket-vsock", "make a socket to the hypervisor", socket, AF_VSOCK, SOCK_STREAM, 0),
    ALL("socket-alg", "make a socket into the kernel's crypto", socket, AF_ALG, SOCK_SEQPACKET, 0),
    {.name = "connect",
     .what = "connect (never carried out, seems to succeed: libcurl 7.88 needs that)",
     .nr = SYS_connect,
     .args = {BAD, 0, 0},
     .exchanger = WORKS,
     .proxy = VIOLATES("connect")},
    {CALL("sendto", "send without an address", sendto, BAD, 0, 0, 0, 0, 0),
     .exchanger = REFUSES(EBADF), .dialer = REFUSES(EBADF)},
    EXCHANGER("sendto-address", "send to an address", sendto, BAD, 0, 0, 0, BAD, 16),
    {CALL("sendto-fastopen", "connect by TCP fast open", sendto, BAD, 0, 0, MSG_FASTOPEN, BAD, 16),
     .exchanger = VIOLATES("sendto"), .dialer = VIOLATES("sendto")},
    {CALL("sendmsg-fastopen", "connect by TCP fast open (sendmsg)", sendmsg, BAD, 0, MSG_FASTOPEN),
     .exchanger = VIOLATES("sendmsg"), .dialer = VIOLATES("sendmsg")},
    {DO("bind", "bind a TCP port", bind_tcp), .keeper = VIOLATES("socket"),
     .exchanger = VIOLATES("socket"), .dialer = REFUSES_FROM(EACCES, 4)},
    {CALL("listen", "listen", listen, BAD, 1), .exchanger = VIOLATES("listen"),
     .dialer = VIOLATES("listen")},
    {CALL("accept", "accept", accept4, BAD, 0, 0, 0), .exchanger = VIOLATES("accept4"),
     .dialer = VIOLATES("accept4")},

    /* programs and processes */
    ALL("execve", "start a program", execve, 0, 0, 0),
    ALL("execveat", "start a program from a descriptor", execveat, BAD, 0, 0, 0, 0),
    {DO("fork", "fork", fork_once), .keeper = REFUSES(EPERM), .exchanger = VIOLATES("clone"),
     .dialer = REFUSES(EPERM)},
    {CALL("clone3", "the newer clone", clone3, 0, 0), .keeper = REFUSES(ENOSYS),
     .exchanger = VIOLATES("clone3"), .dialer = REFUSES(ENOSYS)},
    {CALL("clone-namespace", "a thread in a namespace of its own", clone,
          CLONE_THREAD | CLONE_NEWNET),
     .keeper = VIOLATES("clone"), .exchanger = VIOLATES("clone"), .dialer = VIOLATES("clone")},
    {DO("thread", "start a thread", thread_once), .keeper = WORKS},
    ALL("unshare", "make namespaces", unshare, BAD),
    ALL("setns", "enter a namespace", setns, BAD, 0),
    ALL("ptrace", "trace a process", ptrace, BAD, BAD, 0, 0),
    ALL("process_vm_readv", "read another process's memory", process_vm_readv, BAD, 0, 0, 0, 0, 0),
    ALL("process_vm_writev", "write another process's memory", process_vm_writev, BAD, 0, 0, 0, 0,
        0),
    ALL("pidfd_getfd", "take another process's descriptor", pidfd_getfd, BAD, 0, 0),
    {CALL("kill", "signal other processes", kill, BAD, 0), .keeper = REFUSES(EPERM),
     .exchanger = VIOLATES("kill"), .dialer = REFUSES(EPERM)},
    {CALL("setrlimit", "lift the limits of main", prlimit64, 1, 0, 0, 0), .keeper = REFUSES(EPERM),
     .exchanger = VIOLATES("prlimit64"), .dialer = REFUSES(EPERM)},
    EXCHANGER("setuid", "change the user", setuid, BAD),

    /* memory */
    EXCHANGER("mmap-exec", "map executable memory", mmap, 0, 4096, PROT_READ | PROT_EXEC,
              MAP_PRIVATE | MAP_ANONYMOUS, BAD, 0),
    EXCHANGER("mmap-file", "map a file", mmap, 0, 4096, PROT_READ, MAP_PRIVATE, BAD, 0),
    EXCHANGER("mmap-shared", "map shared memory", mmap, 0, 4096, PROT_READ,
              MAP_SHARED | MAP_ANONYMOUS, BAD, 0),
    EXCHANGER("mprotect-exec", "make memory executable", mprotect, 0, 0, PROT_READ | PROT_EXEC),
    EXCHANGER("shmget", "make System V shared memory", shmget, 0, 0, 0),
    ALL("userfaultfd", "handle page faults of one's own", userfaultfd, BAD),

    /* the kernel */
    ALL("io_uring", "make calls that no filter sees", io_uring_setup, 0, 0),
    ALL("bpf", "load a program into the kernel", bpf, BAD, 0, 0),
    ALL("perf", "watch the kernel", perf_event_open, 0, BAD, BAD, BAD, 0),
    ALL("keyctl", "use the kernel's keyrings", keyctl, BAD),
    ALL("kexec", "load another kernel", kexec_load, 0, BAD, 0, BAD),
    ALL("module", "load a kernel module", finit_module, BAD, 0, 0),
    ALL("set-clock", "set the clock", clock_settime, BAD, 0),
    ALL("reboot", "stop the machine", reboot, BAD, BAD, BAD, 0),
    ALL("personality", "turn address randomisation off", personality, 0xffffffffUL),

    /* descriptors and the process itself */
    EXCHANGER("dup", "duplicate a descriptor", dup, BAD),
    EXCHANGER("fcntl-dup", "duplicate a descriptor by fcntl", fcntl, BAD, F_DUPFD, 0),
    EXCHANGER("fcntl-async", "ask for signals about a descriptor", fcntl, BAD, F_SETFL, O_ASYNC),
    EXCHANGER("fcntl-owner", "send signals by a descriptor", fcntl, BAD, F_SETOWN, 1),
    {CALL("ioctl-terminal", "ask whether it is a terminal", ioctl, BAD, TCGETS, 0),
     .exchanger = REFUSES(ENOTTY)},
    {CALL("ioctl-type", "type into the user's terminal", ioctl, BAD, TIOCSTI, 0),
     .keeper = REFUSES(EPERM), .exchanger = VIOLATES("ioctl"), .dialer = REFUSES(EPERM)},
    {CALL("dumpable", "open oneself to tracers", prctl, PR_SET_DUMPABLE, 0),
     .keeper = REFUSES(EPERM), .exchanger = VIOLATES("prctl"), .dialer = REFUSES(EPERM)},
    {CALL("sigsys", "replace the handler that reports violations", rt_sigaction, SIGSYS, BAD, 0, 8),
     .keeper = REFUSES(EPERM), .dialer = REFUSES(EPERM)},
    {.name = "new-call",
     .what = "a call newer than our list",
     .nr = KW_NR_KNOWN + 1,
     .keeper = REFUSES(ENOSYS),
     .exchanger = REFUSES(ENOSYS),
     .dialer = REFUSES(ENOSYS)},
#ifdef __x86_64__
    {DO("i386", "a call by the 32-bit entry", i386_entry), .keeper = KILLS, .exchanger = KILLS,
     .dialer = KILLS},
    {DO("x32", "a call by the x32 entry", x32_entry), .keeper = KILLS, .exchanger = KILLS,
     .dialer = KILLS},
#endif
    {.name = NULL},
};
