/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a function in a child that has the descriptors of a role, as root or as an
 * ordinary user, and tells how it ended.
 */
#ifndef SANDBOXED_H
#define SANDBOXED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/sandbox.h"
#include "policy/selftest.h"

#define NOBODY 65534

struct ended {
    int status;
    bool said, violated;
    struct kw_tried tried;
    struct kw_violation violation;
};

static inline bool became(bool ordinary)
{
    if (!ordinary || geteuid() != 0)
        return true;
    return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
           setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

/* In the child: what a role finds at its numbers, and nothing else of ours. */
static inline bool placed(int ctl, int violation)
{
    int high_ctl = fcntl(ctl, F_DUPFD, 200), high_violation = fcntl(violation, F_DUPFD, 200);
    if (dup2(high_ctl, KW_FD_CTL) < 0 || dup2(high_violation, KW_FD_VIOLATION) < 0)
        return false;
    int null = open("/dev/null", O_RDONLY);
    for (int fd = KW_FD_PEER; fd <= KW_FD_DIAL; fd++)
        if (fd != null && dup2(null, fd) < 0)
            return false;
    return true;
}

/* Runs body(arg) in a child; a body that returns ends the child with its value. */
static inline struct ended run_child(bool ordinary, int (*body)(const void *), const void *arg)
{
    struct ended e = {0};
    int ctl[2], violation[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ctl), 0);
    assert_int_equal(pipe(violation), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!became(ordinary) || !placed(ctl[1], violation[1]))
            _exit(99);
        _exit(body(arg));
    }
    (void)close(ctl[1]);
    (void)close(violation[1]);
    e.said = recv(ctl[0], &e.tried, sizeof e.tried, 0) == (ssize_t)sizeof e.tried;
    assert_int_equal(waitpid(pid, &e.status, 0), pid);
    e.violated = kw_violation_read(violation[0], &e.violation);
    (void)close(ctl[0]);
    (void)close(violation[0]);
    return e;
}

/* What a body says through the channel: its fences or error, and a result. */
static inline int say(int code, int error, const char *text, const char *missing)
{
    struct kw_tried t = {.code = (uint32_t)code, .error = error};
    (void)snprintf(t.text, sizeof t.text, "%s", text);
    (void)snprintf(t.missing, sizeof t.missing, "%s", missing);
    return write(KW_FD_CTL, &t, sizeof t) == (ssize_t)sizeof t ? code : 98;
}

#endif
