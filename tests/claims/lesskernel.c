/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a program as on a kernel that lacks something. A filter put up beforehand answers
 * for the kernel, so that the program under test needs no switch for it.
 *
 *   lesskernel LACK... -- PROGRAM ARGUMENT...
 *
 *   no-landlock      built without it (ENOSYS)
 *   landlock-off     not in lsm= of the command line (EOPNOTSUPP)
 *   landlock=N       of ABI N: says so, and takes no larger rule sets
 *   no-seccomp       takes no filter
 *   no-userns        no user namespaces for anybody
 *   no-secretmem     no memfd_secret
 *   no-new-calls     of Linux 5.9: ENOSYS for whatever came later, but Landlock
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CREATE_RULESET = 444, MEMFD_SECRET = 447, NEWEST = 460, CLOSE_RANGE = 436 };

static scmp_filter_ctx ctx;
static int abi; /* 0: nothing is asked of us */

static void die(const char *what)
{
    (void)fprintf(stderr, "lesskernel: %s\n", what);
    exit(97);
}

static void fails(int nr, int error, unsigned n, const struct scmp_arg_cmp *when)
{
    if (seccomp_rule_add_exact_array(ctx, SCMP_ACT_ERRNO((uint32_t)error), nr, n, when) != 0)
        die("libseccomp did not take a rule");
}

/* Which ABI it is, is answered by us; what an older one doesn't know, by its size. */
static void landlock(int n)
{
    const struct scmp_arg_cmp version[] = {SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 1)};
    const struct scmp_arg_cmp large = SCMP_A1(SCMP_CMP_GT, n >= 6 ? 24 : n >= 4 ? 16 : 8);
    if (n < 1 ||
        seccomp_rule_add_exact_array(ctx, SCMP_ACT_NOTIFY, CREATE_RULESET, 2, version) != 0)
        die("landlock=N: N is a number, and the kernel must be of 5.0");
    fails(CREATE_RULESET, E2BIG, 1, &large);
    abi = n;
}

static void lack(const char *what)
{
    const struct scmp_arg_cmp filter = SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP);
    const struct scmp_arg_cmp user = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER);
    if (strcmp(what, "no-landlock") == 0)
        fails(CREATE_RULESET, ENOSYS, 0, NULL);
    else if (strcmp(what, "landlock-off") == 0)
        fails(CREATE_RULESET, EOPNOTSUPP, 0, NULL);
    else if (strncmp(what, "landlock=", 9) == 0)
        landlock((int)strtol(what + 9, NULL, 10));
    else if (strcmp(what, "no-seccomp") == 0) {
        fails(SCMP_SYS(seccomp), ENOSYS, 0, NULL);
        fails(SCMP_SYS(prctl), EINVAL, 1, &filter);
    } else if (strcmp(what, "no-userns") == 0) {
        fails(SCMP_SYS(unshare), EPERM, 1, &user);
        fails(SCMP_SYS(clone), EPERM, 1, &user);
        fails(SCMP_SYS(clone3), ENOSYS, 0, NULL); /* its flags are behind a pointer */
    } else if (strcmp(what, "no-secretmem") == 0)
        fails(MEMFD_SECRET, ENOSYS, 0, NULL);
    else if (strcmp(what, "no-new-calls") == 0) {
        for (int nr = CLOSE_RANGE + 1; nr <= NEWEST; nr++)
            if (nr < CREATE_RULESET || nr > CREATE_RULESET + 2)
                fails(nr, ENOSYS, 0, NULL);
    } else
        die("no such lack");
}

/* Answers what the program asks until it has ended; its exit code is ours. */
static int answer(pid_t pid)
{
    struct seccomp_notif *ask = NULL;
    struct seccomp_notif_resp *say = NULL;
    int fd = seccomp_notify_fd(ctx), status = 0;
    if (fd < 0 || seccomp_notify_alloc(&ask, &say) != 0)
        die("no notifications");
    struct pollfd w[2] = {{.fd = fd, .events = POLLIN},
                          {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN}};
    while (poll(w, 2, -1) > 0 && w[1].revents == 0) {
        if (seccomp_notify_receive(fd, ask) != 0)
            continue; /* who asked has gone */
        memset(say, 0, sizeof *say);
        say->id = ask->id;
        say->val = abi;
        (void)seccomp_notify_respond(fd, say);
        memset(ask, 0, sizeof *ask);
    }
    (void)waitpid(pid, &status, 0);
    seccomp_notify_free(ask, say);
    seccomp_release(ctx);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    int i = 1;
    ctx = seccomp_init(SCMP_ACT_ALLOW);
    if (ctx == NULL)
        die("libseccomp could not start");
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        lack(argv[i]);
    if (i + 1 >= argc)
        die("lesskernel LACK... -- PROGRAM ARGUMENT...");
    if (seccomp_load(ctx) != 0)
        die("the kernel took no filter");
    pid_t pid = abi != 0 ? fork() : 0;
    if (pid > 0)
        return answer(pid);
    seccomp_release(ctx);
    (void)execvp(argv[i + 1], argv + i + 1);
    die("the program can't be run");
}
