/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pkcs11/progress.h"
#include "relay.h"
#include "src/base/io.h"
#include "src/base/tty.h"

/* All descriptors of a crew in the making; every one is close-on-exec, and what a
 * role is to have is put at its number by place_fds(). */
struct plan {
    int ctl[KW_ROLES][2];       /* [0] main's end, [1] the role's */
    int violation[KW_ROLES][2]; /* [0] read end */
    int sign[2];                /* exchanger, keeper */
    int dial[2];                /* exchanger, dialer */
    int psign[2];               /* proxy, keeper */
    int pdial[2];               /* proxy, dialer */
    int said[KW_ROLES];         /* what becomes the role's standard error */
    int progress, audit, pin;
};

static int signal_fd = -1;
static bool interrupted;
static void (*pass_on)(const struct signalfd_siginfo *si);

bool kw_interrupted(void)
{
    return interrupted;
}

bool kw_interrupt_aside(void)
{
    bool came = interrupted;
    interrupted = false;
    return came;
}

void kw_interrupt_again(void)
{
    interrupted = true;
}

int kw_signal_fd(void)
{
    return signal_fd;
}

void kw_signal_take(void)
{
    struct signalfd_siginfo si;
    if (read(signal_fd, &si, sizeof si) != (ssize_t)sizeof si)
        return;
    if (pass_on != NULL)
        pass_on(&si);
    else
        interrupted = true;
}

int kw_signal_pass(void (*pass)(const struct signalfd_siginfo *si), struct kw_err *err)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        (void)sigaddset(&set, all[i]);
    pass_on = pass;
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signalfd(signal_fd, &set, 0) < 0)
        return kw_fail_errno(err, KW_FAILED, "could not watch CMD's signals");
    return 0;
}

/* Signals that ask us to stop are read from a descriptor, so that each wait sees them
 * and the crew is always ended in order (the keeper destroys the key). */
void kw_signal_watch(void)
{
    sigset_t set;
    /* Inherited as ignored, it would have the kernel throw away how a role ended. */
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    if (signal_fd < 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void close_pair(int fds[2])
{
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
        fds[i] = -1;
    }
}

static void plan_close(struct plan *p)
{
    for (unsigned r = 0; r < KW_ROLES; r++) {
        close_pair(p->ctl[r]);
        close_pair(p->violation[r]);
        if (p->said[r] >= 0)
            (void)close(p->said[r]);
        p->said[r] = -1;
    }
    close_pair(p->sign);
    close_pair(p->dial);
    close_pair(p->psign);
    close_pair(p->pdial);
    if (p->progress >= 0)
        (void)close(p->progress);
    p->progress = -1;
}

/* The page is main's to read and a stranger's (the module's) to write: sealed, so that it
 * can't be cut off under main's feet, which would be its death by SIGBUS. */
static int make_page(void)
{
    int fd = memfd_create("keyward progress", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && ftruncate(fd, sizeof(struct kw_progress)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static int make_plan(struct plan *p, unsigned roles, struct kw_err *err)
{
    bool ok = true;
    for (unsigned r = KW_ROLE_KEEPER; r < KW_ROLES; r++)
        if ((roles & 1u << r) != 0 && kw_relay_open((enum kw_role)r, &p->said[r], err) != 0)
            return (int)err->code;
    for (unsigned r = KW_ROLE_KEEPER; ok && r < KW_ROLES; r++)
        if ((roles & 1u << r) != 0)
            ok = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->ctl[r]) == 0 &&
                 pipe2(p->violation[r], O_CLOEXEC | O_NONBLOCK) == 0;
    if (ok)
        ok = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->sign) == 0 &&
             socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->dial) == 0;
    if (ok && (roles & 1u << KW_ROLE_PROXY) != 0)
        ok = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->psign) == 0 &&
             socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->pdial) == 0;
    if (ok) {
        p->progress = make_page();
        ok = p->progress >= 0;
    }
    return ok ? 0 : kw_fail_errno(err, KW_FAILED, "could not make the channels between processes");
}

/* In the child: moves each descriptor of the role to its number. All are first copied
 * out of the way, because a source may sit on another's target. */
static bool place_fds(enum kw_role role, const struct plan *p)
{
    int want[KW_FD_END];
    for (int i = 0; i < KW_FD_END; i++)
        want[i] = -1;
    want[KW_FD_CTL] = p->ctl[role][1];
    want[KW_FD_VIOLATION] = p->violation[role][1];
    if (role == KW_ROLE_KEEPER) {
        want[KW_FD_PEER] = p->sign[1];
        want[KW_FD_PROGRESS] = p->progress;
        want[KW_FD_AUDIT] = p->audit;
        want[KW_FD_PIN] = p->pin;
        want[KW_FD_PROXY] = p->psign[1];
    } else if (role == KW_ROLE_EXCHANGER) {
        want[KW_FD_PEER] = p->sign[0];
        want[KW_FD_DIAL] = p->dial[0];
    } else if (role == KW_ROLE_PROXY) {
        want[KW_FD_PEER] = p->psign[0];
        want[KW_FD_DIAL] = p->pdial[0];
    } else {
        want[KW_FD_PEER] = p->dial[1];
        want[KW_FD_PROXY] = p->pdial[1];
    }
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return false;
    for (int i = KW_FD_CTL; i < KW_FD_END; i++)
        if (want[i] >= 0 && (want[i] = fcntl(want[i], F_DUPFD, KW_FD_END + 32)) < 0)
            return false;
    if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(p->said[role], STDERR_FILENO) < 0)
        return false;
    for (int i = KW_FD_CTL; i < KW_FD_END; i++) {
        if (want[i] >= 0 ? dup2(want[i], i) < 0 : close(i) < 0 && errno != EBADF)
            return false;
    }
    return close_range(KW_FD_END, ~0U, 0) == 0;
}

/* What a PKCS#11 module may need to find its token, and nothing that could carry a
 * credential. */
static bool module_may_see(const char *entry, const char *also)
{
    static const char *const prefixes[] = {
        "SOFTHSM2_CONF=",
        "P11_KIT_",
        "TPM2_PKCS11_",
        "TSS2_",
        "PKCS11_PROXY_",
        "OPENCRYPTOKI",
        "YUBIHSM_",
        "CKNFAST_",
        "ChrystokiConfigurationPath=",
        "LANG=",
        "LC_ALL=",
        "HOME=",
        "PATH=",
        "DBUS_SESSION_BUS_ADDRESS=",
        "NSS_LIB_PARAMS=",
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    size_t name = strcspn(entry, "=");
    for (const char *p = also; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n == name && strncmp(p, entry, n) == 0)
            return true;
        p += n + strspn(p + n, " ");
    }
    return false;
}

static bool sanitizer_option(const char *entry)
{
#ifdef KW_SANITIZE
    return strncmp(entry, "ASAN_OPTIONS=", 13) == 0 || strncmp(entry, "UBSAN_OPTIONS=", 14) == 0;
#else
    (void)entry;
    return false;
#endif
}

static char **role_env(enum kw_role role, const char *also)
{
    size_t n = 0, used = 0;
    while (environ[n] != NULL)
        n++;
    char **env = calloc(n + 1, sizeof *env);
    for (size_t i = 0; env != NULL && i < n; i++)
        if (sanitizer_option(environ[i]) ||
            (role == KW_ROLE_KEEPER && module_may_see(environ[i], also)))
            env[used++] = environ[i];
    return env;
}

int kw_role_program(enum kw_role role, char *path, size_t size, struct kw_err *err)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        const char *dir = dirname(self);
        (void)snprintf(path, size, "%s/keyward-%s", dir, kw_role_name(role));
        if (access(path, X_OK) == 0)
            return 0;
    }
    (void)snprintf(path, size, "%s/keyward-%s", KW_LIBEXECDIR, kw_role_name(role));
    if (access(path, X_OK) == 0)
        return 0;
    return kw_fail_errno(err, KW_FAILED, "could not find keyward-%s beside keyward or in %s",
                         kw_role_name(role), KW_LIBEXECDIR);
}

static void become_role(enum kw_role role, const struct plan *p, const char *path, char **env,
                        pid_t parent) __attribute__((noreturn));

static void become_role(enum kw_role role, const struct plan *p, const char *path, char **env,
                        pid_t parent)
{
    /* What our own parent had ignored (SIGALRM: the keeper's clock when a module hangs) is
     * no part of how a role lives. */
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    /* A terminal's ^C is for main, which ends the others in order. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error (it counts memfds, too) */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* No way to the terminal, not by /dev/tty either. The keeper may have to ask for a
     * PIN there; it leaves by itself (keeper_start.c). */
    if (role != KW_ROLE_KEEPER)
        kw_tty_leave();
    /* The keeper gets a while to destroy the key when main has died. */
    (void)prctl(PR_SET_PDEATHSIG, role == KW_ROLE_KEEPER ? SIGUSR1 : SIGKILL);
    if (getppid() == parent && place_fds(role, p)) {
        char name[64];
        (void)snprintf(name, sizeof name, "keyward-%s", kw_role_name(role));
        char *argv[] = {name, NULL};
        (void)execve(path, argv, env);
    }
    static const char text[] = "keyward: could not start a process\n";
    (void)kw_write_now(STDERR_FILENO, text, sizeof text - 1);
    _exit(KW_FAILED);
}

static int start_role(struct kw_child *ch, enum kw_role role, struct plan *p, const char *also,
                      struct kw_err *err)
{
    static const enum kw_channel chans[KW_ROLES] = {
        [KW_ROLE_KEEPER] = KW_CHAN_KEEPER,
        [KW_ROLE_EXCHANGER] = KW_CHAN_EXCHANGER,
        [KW_ROLE_DIALER] = KW_CHAN_DIALER,
        [KW_ROLE_PROXY] = KW_CHAN_PROXY,
    };
    char path[4200];
    int r = kw_role_program(role, path, sizeof path, err);
    if (r != 0)
        return r;
    char **env = role_env(role, also);
    if (env == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    pid_t parent = getpid();
    ch->pid = fork();
    if (ch->pid == 0)
        become_role(role, p, path, env, parent);
    free(env);
    if (ch->pid < 0) {
        ch->pid = 0;
        return kw_fail_errno(err, KW_FAILED, "could not start %s", path);
    }
    kw_chan_init(&ch->ctl, chans[role], KW_ROLE_MAIN, p->ctl[role][0]);
    ch->violation_fd = p->violation[role][0];
    p->ctl[role][0] = p->violation[role][0] = -1;
    if (role == KW_ROLE_KEEPER) {
        void *page = mmap(NULL, sizeof(struct kw_progress), PROT_READ, MAP_SHARED, p->progress, 0);
        ch->progress = page != MAP_FAILED ? page : NULL;
    }
    return 0;
}

int kw_crew_start(struct kw_crew *crew, unsigned roles, int audit_fd, int pin_fd, const char *env,
                  struct kw_err *err)
{
    struct plan p;
    memset(&p, 0xff, sizeof p); /* every descriptor -1 */
    p.audit = audit_fd;
    p.pin = pin_fd;
    static const struct kw_child none = {.ctl.fd = -1, .violation_fd = -1};
    *crew = (struct kw_crew){.keeper = none, .exchanger = none, .dialer = none, .proxy = none};
    crew->keeper.role = KW_ROLE_KEEPER;
    crew->exchanger.role = KW_ROLE_EXCHANGER;
    crew->dialer.role = KW_ROLE_DIALER;
    crew->proxy.role = KW_ROLE_PROXY;
    struct kw_child *const children[KW_ROLES] = {NULL, &crew->keeper, &crew->exchanger,
                                                 &crew->dialer, &crew->proxy};
    kw_signal_watch();
    int r = make_plan(&p, roles, err);
    for (unsigned role = KW_ROLE_KEEPER; r == 0 && role < KW_ROLES; role++)
        if ((roles & 1u << role) != 0)
            r = start_role(children[role], (enum kw_role)role, &p, env, err);
    plan_close(&p);
    if (r != 0) {
        struct kw_err ignored;
        (void)kw_crew_end(crew, &ignored);
    }
    return r;
}
