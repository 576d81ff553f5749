/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests that run a real role program: starts it with its descriptors, as this user
 * or as nobody, and tells how it ended. The test plays main and the role's peers. */
#ifndef KW_TEST_ROLE_H
#define KW_TEST_ROLE_H

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/sandbox.h"
#include "src/ipc/talk.h"

enum { NOBODY = 65534 };

struct role {
    pid_t pid;
    int violation;
    int ends[KW_FD_END]; /* ours of each channel, by the role's descriptor number */
};

static void role_child(int program, const int *theirs, uid_t uid) __attribute__((noreturn));

static void role_child(int program, const int *theirs, uid_t uid)
{
    char *argv[] = {NULL, NULL}, *env[] = {NULL};
    char name[] = "role";
    argv[0] = name;
    /* out of the way first: the targets may be in use */
    int high[KW_FD_END];
    program = fcntl(program, F_DUPFD_CLOEXEC, 64);
    for (int i = KW_FD_CTL; i < KW_FD_END; i++)
        high[i] = theirs[i] >= 0 ? fcntl(theirs[i], F_DUPFD_CLOEXEC, 64) : -1;
    for (int i = KW_FD_CTL; i < KW_FD_END; i++)
        if (high[i] >= 0 && dup2(high[i], i) < 0)
            _exit(120);
    if (uid != geteuid() && (setgid(uid) != 0 || setuid(uid) != 0))
        _exit(121);
    (void)fexecve(program, argv, env);
    _exit(122);
}

/* Starts build/keyward-NAME; `channels` has a bit per descriptor number that is a
 * channel. 0 on success. */
static int role_start(struct role *r, const char *name, unsigned channels, uid_t uid)
{
    char self[3000], path[4096];
    int theirs[KW_FD_END], pair[2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return -1;
    self[n] = '\0';
    (void)snprintf(path, sizeof path, "%s/../keyward-%s", dirname(self), name);
    int program = open(path, O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < KW_FD_END; i++)
        theirs[i] = r->ends[i] = -1;
    for (int i = KW_FD_CTL; i < KW_FD_END; i++) {
        if ((channels & 1u << i) == 0)
            continue;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
            return -1;
        r->ends[i] = pair[0];
        theirs[i] = pair[1];
    }
    if (program < 0 || pipe2(pair, O_CLOEXEC) != 0)
        return -1;
    r->violation = pair[0];
    theirs[KW_FD_VIOLATION] = pair[1];
    r->pid = fork();
    if (r->pid == 0)
        role_child(program, theirs, uid);
    for (int i = 0; i < KW_FD_END; i++)
        if (theirs[i] >= 0)
            (void)close(theirs[i]);
    (void)close(program);
    return r->pid > 0 ? 0 : -1;
}

/* Waits for its end: the exit code, or 1000 and a message for a violation, a signal, or
 * a role that had to be killed after ten seconds. */
static int role_end(struct role *r)
{
    int status = 0, code = 1000;
    struct kw_violation v;
    char name[64];
    for (int i = 0; i < 1000 && waitpid(r->pid, &status, WNOHANG) == 0; i++) {
        (void)usleep(10000);
        if (i == 999) {
            (void)kill(r->pid, SIGKILL);
            (void)waitpid(r->pid, &status, 0);
        }
    }
    if (kw_violation_read(r->violation, &v)) {
        kw_violation_name(&v, name, sizeof name);
        (void)fprintf(stderr, "sandbox violation: %s(%#llx, %#llx, %#llx)\n", name,
                      (unsigned long long)v.args[0], (unsigned long long)v.args[1],
                      (unsigned long long)v.args[2]);
    } else if (WIFSIGNALED(status))
        (void)fprintf(stderr, "role died: %s\n", strsignal(WTERMSIG(status)));
    else
        code = WEXITSTATUS(status);
    (void)close(r->violation);
    for (int i = 0; i < KW_FD_END; i++)
        if (r->ends[i] >= 0)
            (void)close(r->ends[i]);
    return code;
}

#endif
