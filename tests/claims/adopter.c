/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs COMMAND, adopts whatever it leaves behind, and writes to FILE how each process that
 * it adopted ended, one line each: `PID exit CODE`, `PID signal NUMBER core` or `PID signal
 * NUMBER no core`. The kernel's own word on a core dump, for files and for pipes, is had by
 * the parent alone. Ends as COMMAND does; FILE is gone then.
 *
 *   adopter FILE COMMAND...
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    (void)fprintf(stderr, "adopter: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void tell(int fd, pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        (void)dprintf(fd, "%d signal %d %s\n", (int)pid, WTERMSIG(status),
                      WCOREDUMP(status) ? "core" : "no core");
    else
        (void)dprintf(fd, "%d exit %d\n", (int)pid, WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: adopter FILE COMMAND...\n");
        return 2;
    }
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        die(argv[1]);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        die("PR_SET_CHILD_SUBREAPER");
    pid_t command = fork();
    if (command < 0)
        die("fork");
    if (command == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
        (void)execvp(argv[2], argv + 2);
        die(argv[2]);
    }
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            die("waitpid");
        if (pid != command) {
            tell(fd, pid, status);
            continue;
        }
        (void)unlink(argv[1]);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}
