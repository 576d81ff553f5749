/* SPDX-License-Identifier: Apache-2.0
 *
 * The roles that test_crew.c starts: this same program under their names, in a folder of its own.
 * What each does is in its start message. */
#ifndef KW_TEST_CREW_ROLES_H
#define KW_TEST_CREW_ROLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/audit.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/progress.h"
#include "policy/sandbox.h"
#include "src/base/io.h"
#include "src/base/log.h"
#include "src/crew/spawn.h"

enum {
    KEEPER = 1u << KW_ROLE_KEEPER,
    EXCHANGER = 1u << KW_ROLE_EXCHANGER,
    DIALER = 1u << KW_ROLE_DIALER
};

/* --- the roles ------------------------------------------------------------------- */

static struct kw_chan ctl;

static void role_ready(const char *fences, const char *missing)
{
    struct kw_m_keeper_ready k = {.min_bits = 1};
    struct kw_m_ready r = {.fences = ""};
    struct kw_err err;
    bool keeper = ctl.self == KW_ROLE_KEEPER;
    (void)snprintf(k.fences, sizeof k.fences, "%s", fences);
    (void)snprintf(r.fences, sizeof r.fences, "%s", fences);
    (void)snprintf(k.missing, sizeof k.missing, "%s", missing);
    (void)snprintf(r.missing, sizeof r.missing, "%s", missing);
    if (kw_msg_send(&ctl,
                    keeper                          ? KW_KM_READY
                    : ctl.self == KW_ROLE_EXCHANGER ? KW_XM_READY
                                                    : KW_DM_READY,
                    keeper ? (void *)&k : (void *)&r, NULL, 0, 1000, &err) != 0)
        _exit(99);
}

/* Which descriptors there are, which signals are ignored, which variables. */
static void role_inventory(void)
{
    char fds[256] = "", env[256] = "";
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    int seen[64] = {0};
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && strtol(e->d_name, NULL, 10) != dirfd(d) &&
            strtol(e->d_name, NULL, 10) < 64)
            seen[strtol(e->d_name, NULL, 10)] = 1;
    for (int i = 0; i < 64; i++)
        if (seen[i])
            n += (size_t)snprintf(fds + n, sizeof fds - n, "%d ", i);
    struct sigaction sa;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGALRM, SIGUSR1};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
            n += (size_t)snprintf(fds + n, sizeof fds - n, "-%d ", signals[i]);
    int dies = 0;
    (void)prctl(PR_GET_PDEATHSIG, &dies);
    (void)snprintf(fds + n, sizeof fds - n, "dies:%d", dies);
    n = 0;
    for (char **e = environ; *e != NULL; e++)
        if (strncmp(*e, "ASAN_", 5) != 0 && strncmp(*e, "UBSAN_", 6) != 0)
            n += (size_t)snprintf(env + n, sizeof env - n, "%.*s ", (int)strcspn(*e, "="), *e);
    role_ready(fds, env);
}

/* What a module could do to what it shares with main. */
static void role_page(void)
{
    bool cut = ftruncate(KW_FD_PROGRESS, 0) == 0, grown = ftruncate(KW_FD_PROGRESS, 1 << 20) == 0;
    role_ready(cut ? "cut" : grown ? "grown" : "sealed", "");
}

/* Whether the user's terminal can be had, and what is said on standard error. */
static void role_talks(void)
{
    static const char text[] = "\033]0;evil\a\x9b"
                               "31mkeyward: your PIN?\r\n"
                               "\nkeyward exchanger: a line of ours\nno end";
    char c;
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
    (void)kw_write_all(STDERR_FILENO, text, sizeof text - 1);
    role_ready(isatty(STDERR_FILENO) || tty >= 0         ? "has the terminal"
               : read(STDERR_FILENO, &c, 1) >= 0         ? "can read"
               : errno != EBADF || getsid(0) == getpid() ? "something else"
                                                         : "no terminal",
               "");
}

/* Never stops talking, never says that it is ready. */
static void role_chatter(void)
{
    char line[512];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (;;)
        (void)kw_write_all(STDERR_FILENO, line, sizeof line);
}

static void role_violation(size_t n)
{
    struct kw_violation v = {.nr = SYS_openat, .arch = AUDIT_ARCH_X86_64, .args = {1, 2, 3}};
#if defined(__aarch64__)
    v.arch = AUDIT_ARCH_AARCH64;
#endif
    (void)kw_write_all(KW_FD_VIOLATION, &v, n);
    _exit(KW_SANDBOX);
}

static void role_signal(int sig)
{
    const sigset_t none = {{0}};
    (void)signal(sig, SIG_DFL); /* the sanitizers' handlers would exit instead */
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)raise(sig);
    _exit(98);
}

static void role_hang(void)
{
    for (;;)
        (void)pause();
}

static void role_wait_for_end(void)
{
    struct kw_in in;
    struct kw_err err;
    while (kw_chan_recv(&ctl, &in, -1, &err) == 0)
        kw_in_free(&in);
    kw_in_free(&in);
}

static void role_error(enum kw_exit code, const char *text)
{
    struct kw_err e = {.code = code};
    (void)snprintf(e.text, sizeof e.text, "%s", text);
    kw_msg_send_error(&ctl, &e);
}

static void role_does(const char *what, int n)
{
    if (strcmp(what, "exit") == 0)
        _exit(n);
    if (strcmp(what, "signal") == 0)
        role_signal(n);
    if (strcmp(what, "hang") == 0)
        role_hang();
    if (strcmp(what, "violation") == 0)
        role_violation(sizeof(struct kw_violation));
    if (strcmp(what, "half-violation") == 0)
        role_violation(sizeof(struct kw_violation) / 2);
    if (strcmp(what, "chatter") == 0)
        role_chatter();
    if (strcmp(what, "inventory") == 0)
        role_inventory();
    else if (strcmp(what, "page") == 0)
        role_page();
    else if (strcmp(what, "talks") == 0)
        role_talks();
    else if (strcmp(what, "error") == 0)
        role_error((enum kw_exit)n, "the reason");
    else if (strcmp(what, "garbage") == 0)
        (void)send(KW_FD_CTL, "garbage", 7, MSG_NOSIGNAL);
    else if (strcmp(what, "deaf") == 0) { /* closes its channel and lives on */
        (void)close(KW_FD_CTL);
        role_hang();
    } else if (strcmp(what, "late-exit") == 0 || strcmp(what, "late-signal") == 0 ||
               strcmp(what, "late-violation") == 0 || strcmp(what, "late-hang") == 0) {
        role_ready("late", "");
        role_wait_for_end();
        role_does(what + 5, n);
    } else if (strcmp(what, "last-words") == 0) { /* two messages under way, then why */
        role_ready("", "");
        struct kw_m_verdict v = {.text = "v"};
        struct kw_err err;
        (void)kw_msg_send(&ctl, KW_KM_VERDICT, &v, NULL, 0, 1000, &err);
        (void)kw_msg_send(&ctl, KW_KM_VERDICT, &v, NULL, 0, 1000, &err);
        role_error(KW_PIN, "the reason");
        _exit(KW_PIN);
    } else
        role_ready(what, "");
}

/* "[NAME of a PKCS#11 call/]WHAT[:NUMBER]" */
static int role_main(const char *name)
{
    ctl.fd = -1;
    for (unsigned r = KW_ROLE_KEEPER; r < KW_ROLES; r++)
        if (strcmp(name, kw_role_name((enum kw_role)r)) == 0)
            kw_chan_init(&ctl, (enum kw_channel)(r - KW_ROLE_KEEPER), (enum kw_role)r, KW_FD_CTL);
    static union {
        struct kw_m_keeper_start keeper;
        struct kw_m_exchanger_start exchanger;
        struct kw_m_dialer_start dialer;
    } m;
    struct kw_in in;
    struct kw_err err;
    enum kw_msg start = ctl.self == KW_ROLE_KEEPER      ? KW_KM_START
                        : ctl.self == KW_ROLE_EXCHANGER ? KW_XM_START
                                                        : KW_DM_START;
    if (kw_msg_expect(&ctl, start, &m, &in, -1, &err) != 0)
        return 97;
    char *what = ctl.self == KW_ROLE_KEEPER      ? m.keeper.module
                 : ctl.self == KW_ROLE_EXCHANGER ? m.exchanger.ca_file
                                                 : m.dialer.dial;
    char *slash = strchr(what, '/'), *colon = strchr(what, ':');
    if (slash != NULL) {
        *slash = '\0';
        (void)kw_progress_map(KW_FD_PROGRESS);
        for (uint32_t c = 1; c < KW_P11_CALLS; c++)
            if (strcmp(kw_progress_name(c), what) == 0)
                (void)kw_progress_enter((enum kw_p11_call)c);
        what = slash + 1;
    }
    if (colon != NULL)
        *colon = '\0';
    role_does(what, colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 0);
    role_wait_for_end();
    return 0;
}

static char dir[64];

/* --- a folder where this program goes by all names ------------------------------------ */

static int copy_self(const char *to)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    static char chunk[65536];
    ssize_t n = -1;
    while (from >= 0 && out >= 0 && (n = read(from, chunk, sizeof chunk)) > 0)
        if (kw_write_all(out, chunk, (size_t)n) != 0)
            return -1;
    (void)close(from);
    return n == 0 && close(out) == 0 ? 0 : -1;
}

static int move_house(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[128];
    (void)snprintf(dir, sizeof dir, "%s/kw.XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return 1;
    static const char *const names[] = {"keyward-keeper", "keyward-exchanger", "keyward-dialer"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (symlink("crew", path) != 0)
            return 1;
    }
    (void)snprintf(path, sizeof path, "%s/crew", dir);
    int r = 1;
    if (copy_self(path) == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)execl(path, "crew", dir, (char *)NULL);
            _exit(127);
        }
        int status = 1;
        (void)waitpid(pid, &status, 0);
        r = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    (void)unlink(path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return r;
}

#endif
