/* SPDX-License-Identifier: Apache-2.0 */
#include "selftest_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/progress.h"
#include "policy/table.h"
#include "spawn.h"
#include "src/base/io.h"

enum { PATIENCE_MS = 10000 };

static void become_probe(enum kw_role role, const char *path, const char *name, const int fds[4])
    __attribute__((noreturn));

/* fds: control, violation, progress page (keeper), a channel to nobody. */
static void become_probe(enum kw_role role, const char *path, const char *name, const int fds[4])
{
    const int to[4] = {KW_FD_CTL, KW_FD_VIOLATION,
                       role == KW_ROLE_KEEPER ? KW_FD_PROGRESS : KW_FD_DIAL, KW_FD_PEER};
    int high[4];
    bool ok = true;
    for (int i = 0; i < 4 && ok; i++) /* out of each other's way first */
        ok = (high[i] = fcntl(fds[i], F_DUPFD, KW_FD_END + 32)) >= 0;
    for (int i = 0; i < 4 && ok; i++)
        ok = dup2(high[i], to[i]) >= 0;
    char program[64], option[128];
    (void)snprintf(program, sizeof program, "keyward-%s", kw_role_name(role));
    (void)snprintf(option, sizeof option, "--selftest=%s", name);
    char *argv[] = {program, option, NULL}, *env[] = {NULL};
    if (ok && close_range(KW_FD_END, ~0U, 0) == 0)
        (void)execve(path, argv, env);
    _exit(KW_FAILED);
}

/* Ours are closed by kw_probe_end(), the probe's by whoever has made them. */
static bool make_channels(struct kw_probe *p, int ctl[2], int violation[2], int nobody[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) != 0)
        return false;
    p->ctl = ctl[0];
    if (pipe2(violation, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    p->violation = violation[0];
    p->progress = memfd_create("keyward progress", MFD_CLOEXEC);
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, nobody) == 0 && p->progress >= 0 &&
           ftruncate(p->progress, sizeof(struct kw_progress)) == 0;
}

int kw_probe_start(struct kw_probe *p, enum kw_role role, const char *name, struct kw_err *err)
{
    char path[4200];
    int ctl[2] = {-1, -1}, violation[2] = {-1, -1}, nobody[2] = {-1, -1};
    *p = (struct kw_probe){.ctl = -1, .violation = -1, .progress = -1};
    int r = kw_role_program(role, path, sizeof path, err);
    if (r != 0)
        return r;
    if (!make_channels(p, ctl, violation, nobody))
        r = kw_fail_errno(err, KW_FAILED, "selftest: no channel");
    if (r == 0 && (p->pid = fork()) == 0) {
        const int fds[4] = {ctl[1], violation[1], p->progress, nobody[1]};
        become_probe(role, path, name, fds);
    }
    if (p->pid < 0) {
        p->pid = 0;
        r = kw_fail_errno(err, KW_FAILED, "selftest: could not start %s", path);
    }
    const int theirs[4] = {ctl[1], violation[1], nobody[0], nobody[1]};
    for (int i = 0; i < 4; i++)
        if (theirs[i] >= 0)
            (void)close(theirs[i]);
    return r;
}

bool kw_probe_hear(const struct kw_probe *p, struct kw_tried *t)
{
    struct pollfd w = {.fd = p->ctl, .events = POLLIN};
    int n;
    do
        n = poll(&w, 1, PATIENCE_MS);
    while (n < 0 && errno == EINTR);
    if (n != 1 || recv(p->ctl, t, sizeof *t, 0) != (ssize_t)sizeof *t)
        return false;
    t->text[sizeof t->text - 1] = t->missing[sizeof t->missing - 1] = '\0';
    kw_printable(t->text);
    kw_printable(t->missing);
    return true;
}

int kw_probe_end(struct kw_probe *p)
{
    int status = 0;
    if (p->pid != 0) {
        struct pollfd w = {.fd = (int)syscall(SYS_pidfd_open, p->pid, 0), .events = POLLIN};
        (void)shutdown(p->ctl, SHUT_RDWR);
        if (w.fd < 0 || poll(&w, 1, PATIENCE_MS) != 1)
            (void)kill(p->pid, SIGKILL);
        if (w.fd >= 0)
            (void)close(w.fd);
        while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    const int fds[3] = {p->ctl, p->violation, p->progress};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    *p = (struct kw_probe){.ctl = -1, .violation = -1, .progress = -1};
    return status;
}

static bool judge_answer(const struct kw_expected *e, const struct kw_tried *t, char *came,
                         size_t size)
{
    if (t->error == 0)
        (void)snprintf(came, size, "worked");
    else {
        const char *name = strerrorname_np(t->error);
        (void)snprintf(came, size, "%s", name != NULL ? name : "unknown error");
    }
    return e->outcome == KW_O_WORKS ? t->error == 0
                                    : e->outcome == KW_O_ERRNO && t->error == e->error;
}

static bool judge_violation(const struct kw_expected *e, const struct kw_violation *v, char *came,
                            size_t size)
{
    char name[64];
    kw_violation_name(v, name, sizeof name);
    (void)snprintf(came, size, "violation: %s", name);
    return e->outcome == KW_O_VIOLATION && strcmp(name, e->call) == 0;
}

int kw_attempt_run(const struct kw_attempt *a, enum kw_role role, bool *held, char *came,
                   size_t size, struct kw_err *err)
{
    const struct kw_expected *e = kw_attempt_expected(a, role);
    struct kw_probe p;
    struct kw_tried t = {0};
    struct kw_violation v;
    int r = kw_probe_start(&p, role, a->name, err);
    bool heard = r == 0 && kw_probe_hear(&p, &t);
    /* The record is written before the process ends, and the end is what made us stop
     * listening: it is there now or never. */
    bool violated = r == 0 && kw_violation_read(p.violation, &v);
    int status = kw_probe_end(&p);
    if (r != 0)
        return r;
    if (heard && t.code != KW_OK)
        return kw_fail(err, (enum kw_exit)t.code, "%s: %s", kw_role_name(role), t.text);
    if (heard)
        *held = judge_answer(e, &t, came, size);
    else if (violated)
        *held = judge_violation(e, &v, came, size) && WIFEXITED(status) &&
                WEXITSTATUS(status) == KW_SANDBOX;
    else if (WIFSIGNALED(status)) {
        /* Without 32-bit support in the kernel, int 0x80 is a fault. */
        int sig = WTERMSIG(status);
        (void)snprintf(came, size, "killed: SIG%s", sigabbrev_np(sig));
        *held = e->outcome == KW_O_KILLED && (sig == SIGSYS || sig == SIGSEGV);
    } else
        return kw_fail(err, KW_FAILED, "selftest: keyward-%s ended with code %d and said nothing",
                       kw_role_name(role), WEXITSTATUS(status));
    return 0;
}
