/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling main about a forbidden call: the kernel raises SIGSYS instead of carrying
 * it out, the handler writes one fixed record to a pipe and ends the process. Where
 * the handler can't run (SIGSYS blocked, foreign architecture) the kernel kills, and
 * the wait status says SIGSYS.
 */
#include "violation.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "sandbox.h"

static void take_args(const ucontext_t *uc, uint64_t args[6])
{
#if defined(__x86_64__)
    static const int regs[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    for (int i = 0; i < 6; i++)
        args[i] = (uint64_t)uc->uc_mcontext.gregs[regs[i]];
#elif defined(__aarch64__)
    for (int i = 0; i < 6; i++)
        args[i] = uc->uc_mcontext.regs[i];
#else
    (void)uc;
    (void)args;
#endif
}

/* Async-signal-safe: write() and _exit() only. */
static void on_sigsys(int sig, siginfo_t *si, void *context)
{
    (void)sig;
    struct kw_violation v = {.nr = (uint32_t)si->si_syscall, .arch = si->si_arch};
    take_args(context, v.args);
    ssize_t n = write(KW_FD_VIOLATION, &v, sizeof v);
    (void)n; /* main is gone or doesn't read: the exit code still tells */
    _exit(KW_SANDBOX);
}

int kw_violation_watch(struct kw_err *err)
{
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    sigset_t set;
    (void)sigfillset(&sa.sa_mask);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGSYS);
    if (sigaction(SIGSYS, &sa, NULL) != 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) != 0)
        return kw_fail_errno(err, KW_SANDBOX, "could not install the SIGSYS handler");
    return 0;
}

bool kw_violation_read(int fd, struct kw_violation *v)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&p, 1, 0);
    while (ready < 0 && errno == EINTR);
    if (ready != 1 || (p.revents & POLLIN) == 0)
        return false;
    ssize_t n;
    do
        n = read(fd, v, sizeof *v);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *v;
}

void kw_violation_name(const struct kw_violation *v, char *out, size_t size)
{
    uint32_t native = seccomp_arch_native();
    char *name = v->arch == native && v->nr <= INT32_MAX
                     ? seccomp_syscall_resolve_num_arch(native, (int)v->nr)
                     : NULL;
    if (name != NULL)
        (void)snprintf(out, size, "%s", name);
    else
        (void)snprintf(out, size, "syscall %" PRIu32 " of arch %#" PRIx32, v->nr, v->arch);
    free(name);
}
