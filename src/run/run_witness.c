/* SPDX-License-Identifier: Apache-2.0
 *
 * The witness: a process in our group that does nothing but tell which signals reach it. What
 * somebody sends to the whole group (kill -INT -PGID, as CI runners cancel a job) reaches CMD by
 * itself, and would reach it twice if we passed it on; the kernel doesn't say to whom it was sent.
 * But then the witness has it, too. */
#include "run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/ipc/ipc.h"

enum { WAIT_MS = 100, RECENT_MS = 1000, KEPT = 16 };

/* By whom it was sent goes with it: what a terminal sent to the group must not be taken for what
 * somebody sent to us a moment later, nor one sender's for another's. */
struct seen {
    int64_t at_ms;
    int sig, code, pid;
};

static pid_t witness;
static int from_witness = -1;
static struct seen kept[KEPT]; /* read, and not asked for yet; .sig 0: free */

static void tell(int fd) __attribute__((noreturn));

static void tell(int fd)
{
    static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        (void)sigaddset(&set, passed[i]);
    for (;;) {
        siginfo_t info = {.si_code = 0};
        int sig = sigwaitinfo(&set, &info);
        const struct seen s = {
            .at_ms = kw_now_ms(), .sig = sig, .code = info.si_code, .pid = info.si_pid};
        if (sig > 0 && write(fd, &s, sizeof s) < 0 && errno != EAGAIN)
            _exit(0);
    }
}

/* It has nothing of ours: no descriptor but the pipe, no terminal, no environment. */
static void become_witness(int fd, pid_t parent) __attribute__((noreturn));

static void become_witness(int fd, pid_t parent)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "keyward-witness");
    for (char **e = environ; *e != NULL; e++)
        explicit_bzero(*e, strlen(*e));
    if (getppid() != parent || dup2(fd, 0) != 0 || close_range(1, ~0U, 0) != 0)
        _exit(1);
    tell(0);
}

int kw_witness_start(struct kw_err *err)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return kw_fail_errno(err, KW_FAILED, "could not make a pipe");
    witness = fork();
    if (witness == 0)
        become_witness(ends[1], parent);
    (void)close(ends[1]);
    from_witness = ends[0];
    if (witness > 0)
        return 0;
    witness = 0;
    kw_witness_end();
    return kw_fail_errno(err, KW_FAILED, "could not start a process");
}

/* What it wrote since. False: it has gone. */
static bool take_in(void)
{
    struct seen s;
    ssize_t n;
    while ((n = read(from_witness, &s, sizeof s)) == (ssize_t)sizeof s) {
        struct seen *to = &kept[0]; /* the oldest makes room */
        for (size_t i = 1; i < KEPT; i++)
            if (to->sig != 0 && (kept[i].sig == 0 || kept[i].at_ms < to->at_ms))
                to = &kept[i];
        *to = s;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Each record answers for one signal. */
static bool use_up(const struct signalfd_siginfo *si, int64_t now)
{
    for (size_t i = 0; i < KEPT; i++)
        if (kept[i].sig == (int)si->ssi_signo && kept[i].code == si->ssi_code &&
            kept[i].pid == (int)si->ssi_pid) {
            kept[i].sig = 0;
            if (now - kept[i].at_ms < RECENT_MS)
                return true;
        }
    return false;
}

bool kw_witness_saw(const struct signalfd_siginfo *si)
{
    int64_t now = kw_now_ms(), deadline = now + WAIT_MS;
    while (from_witness >= 0) {
        bool there = take_in();
        if (use_up(si, now))
            return true;
        struct pollfd p = {.fd = from_witness, .events = POLLIN};
        if (!there || kw_left_ms(deadline) == 0 || poll(&p, 1, kw_left_ms(deadline)) == 0)
            return false;
    }
    return false;
}

void kw_witness_end(void)
{
    memset(kept, 0, sizeof kept);
    if (witness > 0) {
        (void)kill(witness, SIGKILL);
        (void)waitpid(witness, NULL, 0);
    }
    if (from_witness >= 0)
        (void)close(from_witness);
    witness = 0;
    from_witness = -1;
}
