/* SPDX-License-Identifier: Apache-2.0
 *
 * A command that prints a subject token. popen(3) would leave the output in a stdio
 * buffer that nobody wipes, and has neither a bound nor a time-out. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "source_int.h"
#include "src/crew/spawn.h" /* ours, not the C library's */
#include "src/ipc/ipc.h"

enum { CHUNK = 1024 };

struct run {
    pid_t pid;
    int pidfd, out;
    struct kw_secret *text;
};

/* Signals as a shell expects them, a group of its own so that all of it can be ended,
 * no input. */
static int set_up(posix_spawn_file_actions_t *fa, posix_spawnattr_t *attr, int out)
{
    sigset_t all, none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int r = posix_spawn_file_actions_addopen(fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(fa, out, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawnattr_setpgroup(attr, 0);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attr, &all);
    if (r == 0)
        r = posix_spawnattr_setsigmask(attr, &none);
    if (r == 0)
        r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETSIGMASK);
    return r;
}

enum { ARGS = 12 };

/* posix_spawn() wants what it doesn't change as if it did. */
static char **copy_args(const char *const *argv)
{
    char **copy = calloc(ARGS + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < ARGS && argv[i] != NULL; i++)
        copy[i] = strdup(argv[i]);
    return copy;
}

static void free_args(char **copy)
{
    for (size_t i = 0; copy != NULL && copy[i] != NULL; i++)
        free(copy[i]);
    free(copy);
}

static int start(struct run *run, const char *const *command, struct kw_err *err)
{
    char **argv = copy_args(command);
    int ends[2], r = ENOMEM;
    if (argv == NULL || argv[0] == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        free_args(argv);
        return kw_fail_errno(err, KW_FAILED, "could not make a pipe for the token command");
    }
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    if (posix_spawn_file_actions_init(&fa) == 0) {
        if (posix_spawnattr_init(&attr) == 0) {
            r = set_up(&fa, &attr, ends[1]);
            if (r == 0)
                r = posix_spawnp(&run->pid, argv[0], &fa, &attr, argv, environ);
            (void)posix_spawnattr_destroy(&attr);
        }
        (void)posix_spawn_file_actions_destroy(&fa);
    }
    free_args(argv);
    (void)close(ends[1]);
    run->out = ends[0];
    errno = r;
    if (r != 0)
        return kw_fail_errno(err, KW_SUBJECT, "could not start %s", command[0]);
    run->pidfd = pidfd_open(run->pid, 0);
    if (run->pidfd < 0 || fcntl(run->out, F_SETFL, O_NONBLOCK) != 0)
        return kw_fail_errno(err, KW_FAILED, "could not watch the token command");
    return 0;
}

/* Takes what is there. Sets *end at the end of the output. */
static int drain(struct run *run, bool *end, struct kw_err *err)
{
    char chunk[CHUNK];
    int r = 0;
    for (;;) {
        ssize_t n = read(run->out, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            r = kw_fail_errno(err, KW_SUBJECT, "could not read what the token command printed");
        else if (n == 0)
            *end = true;
        else if (!kw_secret_add(run->text, chunk, (size_t)n))
            r = kw_fail(err, KW_SUBJECT, "the token command printed more than %d bytes",
                        KW_TOKEN_MAX);
        if (n <= 0 || r != 0)
            break;
    }
    explicit_bzero(chunk, sizeof chunk);
    return r;
}

/* Until the shell has ended: a daemon it left behind may hold the pipe open, so the
 * end of the output is not what we wait for. */
static int watch(struct run *run, int64_t deadline, uint32_t timeout_s, struct kw_err *err)
{
    bool end = false;
    for (;;) {
        struct pollfd fds[3] = {
            {run->pidfd, POLLIN, 0}, {end ? -1 : run->out, POLLIN, 0}, {kw_signal_fd(), POLLIN, 0}};
        int n = poll(fds, 3, kw_left_ms(deadline));
        if (n < 0 && errno != EINTR)
            return kw_fail_errno(err, KW_FAILED, "could not wait for the token command");
        if (fds[2].revents != 0)
            kw_signal_take();
        if (kw_interrupted())
            return kw_fail(err, KW_FAILED, "interrupted while the token command ran");
        if (n == 0)
            return kw_fail(err, KW_SUBJECT,
                           "the token command was still running after %u s and "
                           "was killed ([dial] timeout)",
                           timeout_s);
        if (n < 0)
            continue;
        int r = end ? 0 : drain(run, &end, err);
        if (r != 0 || fds[0].revents != 0)
            return r;
    }
}

/* Reaps; on trouble ends the whole group first, while the shell's pid still pins its
 * number. */
static int finish(struct run *run, int r, struct kw_err *err)
{
    int status = 0;
    if (r != 0)
        (void)kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (r != 0)
        return r;
    if (WIFSIGNALED(status))
        return kw_fail(err, KW_SUBJECT, "the token command was ended by signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return kw_fail(
            err, KW_SUBJECT, "the token command ended with exit status %d%s; what it said is above",
            WEXITSTATUS(status), WEXITSTATUS(status) == 127 ? " (a program was not found)" : "");
    return 0;
}

int kw_source_command(const char *command, uint32_t timeout_s, struct kw_secret **ret,
                      struct kw_err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    return kw_source_run(argv, timeout_s, ret, err);
}

int kw_source_run(const char *const *argv, uint32_t timeout_s, struct kw_secret **ret,
                  struct kw_err *err)
{
    struct run run = {.pid = 0, .pidfd = -1, .out = -1};
    *ret = NULL;
    run.text = kw_secret_new(KW_TOKEN_MAX + 2); /* and a line end */
    if (run.text == NULL)
        return kw_fail(err, KW_FAILED, "no room for the subject token");
    int r = start(&run, argv, err);
    if (r == 0)
        r = watch(&run, kw_now_ms() + (int64_t)timeout_s * 1000, timeout_s, err);
    if (run.pid > 0)
        r = finish(&run, r, err);
    if (run.out >= 0)
        (void)close(run.out);
    if (run.pidfd >= 0)
        (void)close(run.pidfd);
    if (r != 0) {
        kw_secret_free(&run.text);
        return r;
    }
    kw_secret_trim(run.text);
    *ret = run.text;
    return 0;
}
