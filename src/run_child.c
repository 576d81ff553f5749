/* SPDX-License-Identifier: Apache-2.0
 *
 * CMD shares our terminal and our process group, as with env(1): what the terminal sends
 * (^C, ^\, ^Z) reaches it by itself. What somebody sends to us alone is passed on. */
#include "run_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc.h"
#include "spawn.h"

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

static void pass(const struct signalfd_siginfo *si)
{
    int sig = (int)si->ssi_signo;
    if (sig == SIGCHLD)
        look(WUNTRACED);
    else if (si->ssi_code != SI_KERNEL && !ended && cmd > 0)
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
