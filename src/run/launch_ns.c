/* SPDX-License-Identifier: Apache-2.0
 *
 * Namespaces: a network in which there is nothing but our listeners, a view of the files in
 * which we may cover some, and a user namespace, so that an ordinary user can have both, and
 * root's CMD has no power over what is outside. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch_int.h"
#include "src/base/io.h"

#define METADATA_ADDRESS "169.254.169.254"

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r = fd >= 0 && kw_write_all(fd, text, strlen(text)) == 0 ? 0 : -1;
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return r;
}

static bool reads_one(const char *path, char digit)
{
    char c = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is = fd >= 0 && read(fd, &c, 1) == 1 && c == digit;
    if (fd >= 0)
        (void)close(fd);
    return is;
}

/* What forbids it, and the cure: worth more than EPERM. */
static const char *why_not(int error)
{
    if (reads_one("/proc/sys/kernel/unprivileged_userns_clone", '0'))
        return "the sysctl kernel.unprivileged_userns_clone is 0; an administrator can set it to 1";
    if (reads_one("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'))
        return "AppArmor restricts user namespaces; an administrator can give keyward a profile "
               "with \"userns,\" or set kernel.apparmor_restrict_unprivileged_userns to 0";
    if (reads_one("/proc/sys/user/max_user_namespaces", '0'))
        return "the sysctl user.max_user_namespaces is 0";
    if (error == EPERM)
        return "a container, or a chroot, forbids it; give the container that right (seccomp "
               "profile, user namespaces)";
    return strerror(error);
}

static int map_ids(uid_t uid, gid_t gid)
{
    char line[64];
    if (write_file("/proc/self/setgroups", "deny") != 0 && errno != ENOENT)
        return -1;
    (void)snprintf(line, sizeof line, "%u %u 1", (unsigned)uid, (unsigned)uid);
    if (write_file("/proc/self/uid_map", line) != 0)
        return -1;
    (void)snprintf(line, sizeof line, "%u %u 1", (unsigned)gid, (unsigned)gid);
    return write_file("/proc/self/gid_map", line);
}

static bool set_interface(int fd, const char *name, const char *address)
{
    struct ifreq r = {0};
    (void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (address != NULL) {
        struct sockaddr_in a = {.sin_family = AF_INET};
        (void)inet_pton(AF_INET, address, &a.sin_addr);
        memcpy(&r.ifr_addr, &a, sizeof a);
        return ioctl(fd, SIOCSIFADDR, &r) == 0;
    }
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, &r) == 0;
}

static int separate(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int rest = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC;
    if (unshare(CLONE_NEWUSER | rest) != 0) {
        /* Root can do without a user namespace: its capabilities go before CMD is executed. */
        if (uid != 0 || unshare(rest) != 0)
            return -1;
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    }
    /* /proc/self is root's as long as we are closed to tracers. There is nothing secret in this
     * process yet. */
    int r = prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || map_ids(uid, gid) != 0 ? -1 : 0;
    int saved = errno;
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    errno = saved;
    return r != 0 ? -1 : mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* Whether it would work, down to the network's interface: some systems let one make the
 * namespaces and then do nothing in them, and there is no way back out of them. errno says why
 * not. */
static bool separates(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = separate() == 0 ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
        bool ok = fd >= 0 && set_interface(fd, "lo", NULL) &&
                  mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") == 0;
        _exit(ok ? 0 : errno < 256 ? errno : EPERM);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int kw_launch_namespaces(const struct kw_launch_want *want, struct kw_hello *h, struct kw_err *err)
{
    if (want->isolation == KW_ISOLATION_OFF) {
        (void)snprintf(h->missing, sizeof h->missing,
                       "CMD is not isolated (isolation = off): other processes of this machine "
                       "can reach its proxy, and CMD the user's credential files");
        return 0;
    }
    if ((want->isolation == KW_ISOLATION_REQUIRED || separates()) && separate() == 0) {
        h->isolated = true;
        return 0;
    }
    const char *why = why_not(errno);
    if (want->isolation == KW_ISOLATION_REQUIRED)
        return kw_fail(err, KW_SANDBOX,
                       "CMD can't be isolated: %s. Or accept less with --isolation=auto", why);
    (void)snprintf(h->missing, sizeof h->missing,
                   "CMD is not isolated (%.110s): other processes of this machine can reach its "
                   "proxy, and CMD the user's credential files",
                   why);
    return 0;
}

/* --- listeners -------------------------------------------------------------------------- */

static int listen_on(const char *address, unsigned port, unsigned *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr sa;
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)inet_pton(AF_INET, address, &a.sin_addr);
    memcpy(&sa, &a, sizeof a);
    if (fd >= 0 && bind(fd, &sa, sizeof a) == 0 && listen(fd, SOMAXCONN) == 0 &&
        getsockname(fd, &sa, &n) == 0) {
        memcpy(&a, &sa, sizeof a);
        *ret_port = ntohs(a.sin_port);
        return fd;
    }
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -1;
}

int kw_launch_listen(struct kw_hello *h, int listeners[2], struct kw_err *err)
{
    unsigned port80 = 0;
    listeners[0] = listeners[1] = -1;
    if (h->isolated) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool up = fd >= 0 && set_interface(fd, "lo", NULL);
        bool aliased = up && set_interface(fd, "lo:0", METADATA_ADDRESS);
        int saved = errno;
        if (fd >= 0)
            (void)close(fd);
        errno = saved;
        if (!up)
            return kw_fail_errno(err, KW_SANDBOX, "CMD's network could not be brought up");
        if (aliased)
            listeners[1] = listen_on(METADATA_ADDRESS, 80, &port80);
    }
    listeners[0] = listen_on("127.0.0.1", 0, &h->port);
    if (listeners[0] < 0)
        return kw_fail_errno(err, KW_FAILED, "could not listen on 127.0.0.1 for CMD");
    h->metadata = listeners[1] >= 0;
    return 0;
}
