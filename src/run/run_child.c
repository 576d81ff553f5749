/* SPDX-License-Identifier: Apache-2.0
 *
 * CMD shares our terminal and our process group, as with env(1): what the terminal sends
 * (^C, ^\, ^Z), or somebody to the whole group, reaches it by itself, unless it has left the
 * group. What somebody sends to us alone is passed on. */
#include "run_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"
#include "src/base/log.h"
#include "src/crew/spawn.h"
#include "src/ipc/ipc.h"

static pid_t cmd;
static bool ended;
static int code;

static void look(int flags)
{
    int status = 0;
    if (ended || cmd <= 0 || waitpid(cmd, &status, flags | WNOHANG) != cmd)
        return;
    if (WIFSTOPPED(status)) {
        /* A shell that controls jobs shall see us stopped, too; nobody else could wake us. */
        if (isatty(STDIN_FILENO) == 1 && WSTOPSIG(status) != SIGSTOP) {
            (void)raise(SIGSTOP);
            (void)kill(cmd, SIGCONT);
        }
        return;
    }
    ended = true;
    code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Sent to all of the group while CMD is in it. A terminal's keys always are; that it has hung up
 * the kernel tells the leader of the session only, which we may be. */
static bool has_it(const struct signalfd_siginfo *si)
{
    return getpgid(cmd) == getpgrp() &&
           ((si->ssi_code == SI_KERNEL && si->ssi_signo != SIGHUP) || kw_witness_saw(si));
}

static void pass(const struct signalfd_siginfo *si)
{
    int sig = (int)si->ssi_signo;
    if (sig == SIGCHLD)
        look(WUNTRACED);
    else if (!ended && cmd > 0 && !has_it(si))
        (void)kill(cmd, sig);
}

int kw_run_child_watch(pid_t pid, struct kw_err *err)
{
    cmd = pid;
    ended = false;
    return kw_signal_pass(pass, err);
}

bool kw_run_child_ended(int *ret_code)
{
    look(WUNTRACED);
    if (ended)
        *ret_code = code;
    return ended;
}

void kw_run_child_end(int ms)
{
    int64_t deadline = kw_now_ms() + ms;
    if (cmd <= 0)
        return;
    look(0);
    if (!ended)
        (void)kill(cmd, SIGTERM);
    while (!ended && kw_left_ms(deadline) > 0) {
        (void)poll(NULL, 0, 20);
        look(0);
    }
    if (!ended)
        (void)kill(cmd, SIGKILL);
    for (int i = 0; !ended && i < 100; i++) {
        (void)poll(NULL, 0, 20);
        look(0);
    }
}

/* --- what both kinds of run share ----------------------------------------------------------- */

int kw_run_launch(const struct kw_launch_want *want, struct kw_launch *l, struct kw_err *err)
{
    int r = kw_witness_start(err);
    if (r == 0)
        r = kw_launch_start(want, l, err);
    if (r != 0)
        kw_witness_end();
    return r;
}

int kw_run_launched(struct kw_launch *l, int64_t deadline_ms, struct kw_err *err)
{
    int r = kw_launch_ready(l, deadline_ms, err);
    if (r == 0 && l->missing[0] != '\0')
        kw_log(KW_WARN, "%s", l->missing);
    return r;
}

int kw_run_attend(struct kw_launch *l, int (*turn)(void *arg, struct kw_err *err), void *arg,
                  int *ret_code, struct kw_err *err)
{
    int r = kw_run_child_watch(l->pid, err);
    l->pid = 0; /* is CMD's now, which ends as it will */
    while (r == 0 && !kw_run_child_ended(ret_code))
        r = turn(arg, err);
    if (r != 0) {
        *ret_code = KW_RUN_FAILED;
        kw_run_child_end(KW_RUN_END_MS);
    }
    kw_witness_end();
    return r;
}
