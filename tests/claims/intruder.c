/* SPDX-License-Identifier: Apache-2.0
 *
 * What another process of the same user can try on a process: every way to read its
 * memory, its descriptors or its environment, or to take it over. One line each,
 * `refused` or `open`; ends with 0 if all were refused, 1 if one was not, 2 if it could
 * not try.
 *
 *   intruder PID
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned opened;

static void tell(const char *what, bool refused)
{
    printf("%s %s%s%s\n", refused ? "refused" : "open   ", what, refused ? ": " : "",
           refused ? strerror(errno) : "");
    opened += refused ? 0 : 1;
}

/* Access is what counts, not whether there was something at the address. */
static bool denied(long result)
{
    return result < 0 && (errno == EPERM || errno == EACCES);
}

static void try_file(pid_t pid, const char *name)
{
    char path[64], what[80], byte;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    (void)snprintf(what, sizeof what, "read %s", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    /* Some of these open for anybody and tell at the first read. */
    bool refused = fd < 0 ? denied(fd) : read(fd, &byte, 1) < 0 && denied(-1);
    tell(what, refused);
    if (fd >= 0)
        (void)close(fd);
}

static void try_directory(pid_t pid, const char *name)
{
    char path[64], what[80];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    (void)snprintf(what, sizeof what, "list %s", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tell(what, denied(fd));
    if (fd >= 0)
        (void)close(fd);
}

static void try_write(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    tell("open its memory for writing", denied(fd));
    if (fd >= 0)
        (void)close(fd);
}

static void try_ptrace(pid_t pid)
{
    long r = ptrace(PTRACE_SEIZE, pid, NULL, NULL);
    tell("PTRACE_SEIZE", denied(r));
    if (r == 0 && ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && waitpid(pid, NULL, 0) == pid)
        (void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
    r = ptrace(PTRACE_ATTACH, pid, NULL, NULL);
    tell("PTRACE_ATTACH", denied(r));
    if (r == 0 && waitpid(pid, NULL, 0) == pid) {
        /* What a debugger would go on with: or it is open by its word only. */
        struct user_regs_struct registers;
        struct iovec all = {&registers, sizeof registers};
        if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all) != 0) {
            perror("intruder: attached, but no registers");
            exit(2);
        }
        (void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
    }
}

static void try_vm(pid_t pid)
{
    char here[16] = {0};
    struct iovec local = {here, sizeof here}, remote = {here, sizeof here};
    tell("process_vm_readv", denied(process_vm_readv(pid, &local, 1, &remote, 1, 0)));
    tell("process_vm_writev", denied(process_vm_writev(pid, &local, 0, &remote, 0, 0)) ||
                                  denied(process_vm_writev(pid, &local, 1, &remote, 1, 0)));
}

static void try_pidfd(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        if (errno == ENOENT || errno == EINVAL)
            return; /* a thread: there is no such descriptor of it */
        perror("intruder: pidfd_open");
        exit(2);
    }
    for (int fd = 0; fd < 9; fd += 3) {
        char what[48];
        (void)snprintf(what, sizeof what, "pidfd_getfd of descriptor %d", fd);
        long got = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        tell(what, denied(got));
        if (got >= 0)
            (void)close((int)got);
    }
    (void)close(pidfd);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long n = argc == 2 ? strtol(argv[1], &end, 10) : 0;
    if (n <= 0 || *end != '\0' || kill((pid_t)n, 0) != 0) {
        (void)fprintf(stderr, "intruder: no such process\n");
        return 2;
    }
    const pid_t pid = (pid_t)n;
    static const char *const files[] = {"mem",  "maps",    "smaps",  "environ",
                                        "auxv", "syscall", "pagemap"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        try_file(pid, files[i]);
    try_directory(pid, "fd");
    try_directory(pid, "map_files");
    try_write(pid);
    try_vm(pid);
    try_pidfd(pid);
    try_ptrace(pid);
    return opened > 0 ? 1 : 0;
}
