/* SPDX-License-Identifier: Apache-2.0
 *
 * Talking to the other roles, and telling truthfully how one ended. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/progress.h"
#include "policy/sandbox.h"
#include "relay.h"
#include "spawn.h"
#include "src/base/log.h"
#include "src/base/memory.h"
#include "src/base/tty.h"

/* A key generation under way can't be called off, and the key can be destroyed only after
 * it: what the keeper gets to end is as long as where main has died (keeper.c). */
enum { GRACE_MS = 2000, KEEPER_GRACE_MS = 10000, NETWORK_GRACE_MS = 300 };

/* Waits until the child has ended, at most ms, without consuming anything else. Without
 * a pidfd (no descriptor left, or a filter around us) it looks every few milliseconds. */
static bool reap(struct kw_child *ch, int ms, int *status)
{
    int64_t deadline = kw_now_ms() + ms;
    int pidfd = (int)syscall(SYS_pidfd_open, ch->pid, 0);
    struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = kw_relay_fd(), .events = POLLIN}};
    pid_t got;
    for (;;) {
        got = waitpid(ch->pid, status, WNOHANG);
        int left = kw_left_ms(deadline);
        if ((got < 0 && errno != EINTR) || got > 0 || (got == 0 && left == 0))
            break;
        if (poll(p, 2, pidfd >= 0 || left < 10 ? left : 10) > 0 && p[1].revents != 0)
            kw_relay_take();
    }
    if (pidfd >= 0)
        (void)close(pidfd);
    if (got == 0)
        return false;
    ch->pid = 0;
    return true;
}

/* A process stuck in a driver can't even be killed at once: it isn't waited for longer
 * than for one that is asked to end, so that main never hangs with it. */
static void kill_child(struct kw_child *ch, int *status)
{
    if (ch->pid == 0)
        return;
    (void)kill(ch->pid, SIGKILL);
    if (!reap(ch, GRACE_MS, status))
        ch->pid = 0;
}

/* Several threads may be in calls: the one that hangs is there the longest. */
static const char *call_under_way(const struct kw_child *ch)
{
    return ch->progress != NULL ? kw_progress_name(kw_progress_call(ch->progress)) : "";
}

static int violation_error(const struct kw_child *ch, const struct kw_violation *v,
                           struct kw_err *err)
{
    char name[64];
    kw_violation_name(v, name, sizeof name);
    return kw_fail(
        err, KW_SANDBOX,
        "sandbox: the %s tried %s(%#llx, %#llx, %#llx), which it may never do, and was "
        "ended; nothing was done on its behalf. This is a bug, an unusual PKCS#11 module "
        "or an attack: see SECURITY.md for how to report it, with this line",
        kw_role_name(ch->role), name, (unsigned long long)v->args[0],
        (unsigned long long)v->args[1], (unsigned long long)v->args[2]);
}

/* A broken sandbox, by the record or by the kernel's own signal; 0 if neither. (A crew
 * that was never started is all zero: 0 is then no descriptor of ours.) */
static int sandbox_error(const struct kw_child *ch, int status, struct kw_err *err)
{
    struct kw_violation v;
    if (ch->violation_fd > 0 && kw_violation_read(ch->violation_fd, &v))
        return violation_error(ch, &v, err);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return kw_fail(err, KW_SANDBOX,
                       "sandbox: the %s was killed for a system call that it may never make; see "
                       "the kernel's log (audit type 1326) for its number and SECURITY.md",
                       kw_role_name(ch->role));
    return 0;
}

/* How an ended child ended. status as from waitpid(). */
static int death_error(const struct kw_child *ch, int status, struct kw_err *err)
{
    int broke = sandbox_error(ch, status, err);
    if (broke != 0)
        return broke;
    if (WIFEXITED(status) && WEXITSTATUS(status) == KW_SANDBOX) /* the record got lost */
        return kw_fail(err, KW_SANDBOX,
                       "sandbox: the %s ended itself for a system call that it may never make, "
                       "and could not say which; see SECURITY.md",
                       kw_role_name(ch->role));
    if (WIFEXITED(status) && WEXITSTATUS(status) == KW_EXIT_MEMORY)
        return kw_fail(err, KW_FAILED, "the %s ended: out of memory", kw_role_name(ch->role));
    char call[256] = "";
    if (ch->progress != NULL)
        kw_progress_calls(ch->progress, call, sizeof call);
    if (ch->role == KW_ROLE_KEEPER && call[0] != '\0') {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            return kw_fail(err, KW_TOKEN,
                           "the keeper was killed while the PKCS#11 module %s was in %s (by "
                           "somebody, or by the kernel for want of memory); the session key is "
                           "gone with it",
                           ch->module, call);
        if (WIFSIGNALED(status))
            return kw_fail(err, KW_TOKEN,
                           "the PKCS#11 module %s crashed (%s) in %s; the session key is gone with "
                           "it. Report it to the module's vendor",
                           ch->module, strsignal(WTERMSIG(status)), call);
        return kw_fail(err, KW_TOKEN,
                       "the PKCS#11 module %s ended the process (exit code %d) in %s; the session "
                       "key is gone with it. Report it to the module's vendor",
                       ch->module, WEXITSTATUS(status), call);
    }
    if (WIFSIGNALED(status))
        return kw_fail(err, KW_FAILED, "the %s died: %s", kw_role_name(ch->role),
                       strsignal(WTERMSIG(status)));
    return kw_fail(err, KW_FAILED, "the %s ended with exit code %d without saying why",
                   kw_role_name(ch->role), WEXITSTATUS(status));
}

static int silent_error(struct kw_child *ch, struct kw_err *err)
{
    const char *call = call_under_way(ch);
    int status = 0;
    int r;
    if (ch->role == KW_ROLE_KEEPER && call[0] != '\0')
        r = kw_fail(err, KW_TOKEN,
                    "the PKCS#11 module %s did not come back from %s in time and was ended with "
                    "its process; is the HSM reachable? [dial] timeout sets how long we wait",
                    ch->module, call);
    else
        r = kw_fail(err, ch->role == KW_ROLE_KEEPER ? KW_TOKEN : KW_NET,
                    "no answer from the %s in time ([dial] timeout)", kw_role_name(ch->role));
    kill_child(ch, &status);
    return r;
}

static int interrupted_error(struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "interrupted");
}

/* The channel failed without a message: time-out, end of file, or a malformed packet. */
static int broken(struct kw_child *ch, struct kw_err *err)
{
    if (err->code == KW_NET)
        return silent_error(ch, err);
    if (kw_memory_short()) /* ours, and none of its doing: it shall put its things in order */
        return (int)err->code;
    int status = 0;
    if (ch->pid != 0 && !reap(ch, GRACE_MS, &status)) {
        kill_child(ch, &status); /* alive, but talks nonsense: *err says what */
        return kw_err_wrap(err, "the %s was ended", kw_role_name(ch->role));
    }
    return death_error(ch, status, err);
}

/* Ready to read, or 0 with *err set. */
static int wait_child(const struct kw_child *ch, int64_t deadline_ms, struct kw_err *err)
{
    struct pollfd p[3] = {{.fd = ch->ctl.fd, .events = POLLIN},
                          {.fd = kw_signal_fd(), .events = POLLIN},
                          {.fd = kw_relay_fd(), .events = POLLIN}};
    for (;;) {
        int n = poll(p, 3, kw_left_ms(deadline_ms));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kw_fail_errno(err, KW_FAILED, "could not wait for the %s",
                                 kw_role_name(ch->role));
        if (p[1].revents != 0)
            kw_signal_take();
        if (kw_interrupted())
            return interrupted_error(err);
        if (p[2].revents != 0)
            kw_relay_take();
        if (p[0].revents != 0)
            return 0;
        if (kw_left_ms(deadline_ms) == 0) /* also where a role never stops talking */
            return kw_fail(err, KW_NET, "no answer");
    }
}

int kw_child_recv(struct kw_child *ch, struct kw_in *in, int64_t deadline_ms, struct kw_err *err)
{
    *in = (struct kw_in){.type = KW_MSG_NONE, .fds = {-1, -1}};
    if (ch->pid == 0)
        return kw_fail(err, KW_FAILED, "the %s is not running", kw_role_name(ch->role));
    int r = wait_child(ch, deadline_ms, err);
    if (r != 0)
        return kw_interrupted() ? r : broken(ch, err);
    r = kw_chan_recv(&ch->ctl, in, 1000, err);
    if (r != 0)
        return broken(ch, err);
    if (in->type != KW_MSG_ERROR)
        return 0;
    struct kw_m_error e;
    if (!kw_msg_get_shown(&in->body, KW_MSG_ERROR, &e) || e.code == KW_OK || e.code > KW_SANDBOX)
        return kw_fail(err, KW_FAILED, "malformed error message from the %s",
                       kw_role_name(ch->role));
    /* Only the keeper has a PIN: from anybody else, "never restart on it" would be a lie. */
    if (e.code == KW_PIN && ch->role != KW_ROLE_KEEPER)
        e.code = KW_FAILED;
    return kw_fail(err, (enum kw_exit)e.code, "%s", e.text);
}

int kw_child_settle(struct kw_child *ch, enum kw_msg last, int64_t deadline_ms, struct kw_err *err)
{
    while (ch->owes) {
        struct kw_err said; /* of what nobody waits for any more */
        struct kw_in in;
        int r = kw_child_recv(ch, &in, deadline_ms, &said);
        ch->owes = in.type != last && in.type != KW_MSG_ERROR;
        kw_in_free(&in);
        if (r != 0 && ch->owes) {
            *err = said;
            return r;
        }
    }
    return 0;
}

int kw_child_expect(struct kw_child *ch, enum kw_msg type, void *m, struct kw_in *in,
                    int64_t deadline_ms, struct kw_err *err)
{
    int r = kw_child_recv(ch, in, deadline_ms, err);
    if (r != 0)
        return r;
    struct kw_m_empty none;
    if (in->type != type || !kw_msg_get_shown(&in->body, type, m != NULL ? m : &none)) {
        int status = 0;
        kill_child(ch, &status);
        return kw_fail(err, KW_FAILED,
                       "the %s sent a malformed %s where %s was awaited, and was "
                       "ended",
                       kw_role_name(ch->role), kw_msg_name(in->type), kw_msg_name(type));
    }
    return 0;
}

/* Is the module in a signature? That takes milliseconds, where it doesn't hang. */
static bool is_signing(const struct kw_child *keeper)
{
    return keeper->pid != 0 && keeper->progress != NULL &&
           (kw_progress_inside(keeper->progress, KW_P11_SignInit) ||
            kw_progress_inside(keeper->progress, KW_P11_Sign));
}

/* What one that has gone had to say, behind messages that were under way already. */
static int last_words(struct kw_child *ch, struct kw_err *err)
{
    int r = 0;
    while (r == 0) {
        struct kw_in in;
        r = kw_child_recv(ch, &in, kw_now_ms() + GRACE_MS, err);
        kw_in_free(&in);
    }
    return r;
}

int kw_crew_reason(struct kw_crew *crew, int64_t deadline_ms, int r, struct kw_err *err)
{
    enum { SLACK_MS = 500 }; /* the exchanger has a clock of its own */
    /* an end is told without asking */
    struct pollfd p[2] = {{.fd = crew->keeper.ctl.fd}, {.fd = crew->dialer.ctl.fd}};
    struct kw_err why;
    if (kw_interrupted())
        return r;
    bool late = r == KW_NET && kw_left_ms(deadline_ms) < SLACK_MS;
    if ((late || r == KW_TOKEN) && is_signing(&crew->keeper))
        return silent_error(&crew->keeper, err);
    /* Who ends closes one descriptor after the other: the exchanger may hear it first. */
    if (r != KW_FAILED || crew->exchanger.pid == 0 || poll(p, 2, GRACE_MS) <= 0)
        return r;
    int gone = last_words(p[0].revents != 0 ? &crew->keeper : &crew->dialer, &why);
    kw_log(KW_INFO, "%s", err->text);
    *err = why;
    return gone;
}

int kw_child_send(struct kw_child *ch, enum kw_msg type, const void *m, const int *fds,
                  unsigned nfds, struct kw_err *err)
{
    if (ch->pid == 0)
        return kw_fail(err, KW_FAILED, "the %s is not running", kw_role_name(ch->role));
    int r = kw_msg_send(&ch->ctl, type, m, fds, nfds, GRACE_MS, err);
    if (r == 0 || r == KW_USAGE || kw_memory_short())
        return r;
    /* It may have said why before it went, behind messages that were under way already:
     * prefer that to "has gone". */
    int64_t deadline = kw_now_ms() + GRACE_MS;
    struct kw_err why = *err;
    struct kw_in in;
    int last;
    do {
        last = kw_child_recv(ch, &in, deadline, &why);
        kw_in_free(&in);
    } while (last == 0 && kw_left_ms(deadline) > 0);
    if (last != 0)
        *err = why;
    return (int)err->code;
}

static int end_child(struct kw_child *ch, struct kw_err *err)
{
    int status = 0, r;
    bool killed = false;
    /* Only the keeper has something to put in order. Nobody shall wait for a server that
     * does not answer the exchanger, least of all who interrupted us. */
    bool keeper = ch->role == KW_ROLE_KEEPER;
    int grace = keeper ? KEEPER_GRACE_MS : kw_interrupted() ? 0 : NETWORK_GRACE_MS;
    if (ch->pid != 0 && !reap(ch, grace, &status)) {
        if (keeper)
            kw_log(KW_WARN, "the keeper did not end in time%s%s and was killed",
                   call_under_way(ch)[0] != '\0' ? ", being in " : "", call_under_way(ch));
        kill_child(ch, &status);
        killed = true;
    }
    r = sandbox_error(ch, status, err);
    if (r == 0 && WIFSIGNALED(status) && !killed)
        kw_log(KW_WARN, "the %s died while ending%s%s: %s", kw_role_name(ch->role),
               call_under_way(ch)[0] != '\0' ? ", in " : "", call_under_way(ch),
               strsignal(WTERMSIG(status)));
    if (ch->violation_fd > 0)
        (void)close(ch->violation_fd);
    ch->violation_fd = -1;
    if (ch->progress != NULL) {
        void *page;
        memcpy(&page, &ch->progress, sizeof page); /* munmap takes no const */
        (void)munmap(page, sizeof *ch->progress);
        ch->progress = NULL;
    }
    return r;
}

int kw_crew_end(struct kw_crew *crew, struct kw_err *err)
{
    struct kw_child *const children[] = {&crew->exchanger, &crew->proxy, &crew->keeper,
                                         &crew->dialer};
    struct kw_err ignored; /* the first one to break its fence is the one to tell of */
    int r = 0;
    /* All hear of it first, so that they end side by side. */
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++) {
        if (children[i]->ctl.fd > 0)
            (void)close(children[i]->ctl.fd);
        children[i]->ctl.fd = -1;
    }
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++) {
        int one = end_child(children[i], r == 0 ? err : &ignored);
        r = r != 0 ? r : one;
    }
    kw_relay_end();
    kw_tty_restore();
    return r;
}
