/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets behind which somebody acts for whoever connects: Docker's, D-Bus's, the agent's. A
 * cover over a socket holds as long as the socket: the kernel takes it off when the file is
 * removed, and who restarts makes it anew. So CMD's /run is a folder of our own, in which what was
 * there is mounted, but for these; what comes later doesn't come there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch_int.h"

#define RUN     "/run"
#define VAR_RUN "/var/run"

/* Cuts the last name off. */
static bool cut(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path] = '\0';
    return slash != NULL;
}

/* Where the agent's socket is, with no link on the way (it may be one itself); false: there is
 * no such folder. */
static bool folder_of(const char *socket, char folder[PATH_MAX], char name[NAME_MAX + 1])
{
    char path[PATH_MAX];
    const char *slash = strrchr(socket, '/');
    if (slash == NULL)
        return false;
    if (realpath(socket, folder) != NULL) {
        (void)snprintf(name, NAME_MAX + 1, "%s", strrchr(folder, '/') + 1);
        return cut(folder);
    }
    (void)snprintf(name, NAME_MAX + 1, "%s", slash + 1);
    (void)snprintf(path, sizeof path, "%s", socket);
    return cut(path) && realpath(path, folder) != NULL;
}

/* What leads from /run to it: the first name; "" where it is elsewhere. */
static void in_run(const char *folder, char name[NAME_MAX + 1])
{
    size_t n = sizeof RUN - 1;
    if (strncmp(folder, RUN "/", n + 1) == 0)
        (void)snprintf(name, NAME_MAX + 1, "%.*s", (int)strcspn(folder + n + 1, "/"),
                       folder + n + 1);
    else if (strcmp(folder, RUN) != 0)
        name[0] = '\0';
}

/* Whether a folder can be taken from CMD: there is nothing else in it. */
static int only_sockets(const char *folder, const char *socket, struct kw_err *err)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    struct stat st;
    int fd = d != NULL ? dirfd(d) : -1;
    bool only = fd >= 0;
    while (only && (e = readdir(d)) != NULL)
        only = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
               (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode));
    if (d != NULL)
        (void)closedir(d);
    return only ? 0
                : kw_fail(err, KW_USAGE,
                          "the agent's socket %s can't be hidden from CMD: %s has other things "
                          "than sockets in it (or can't be read). Give it a folder of its own, or "
                          "one in " RUN " ([agent] socket)",
                          socket, folder);
}

int kw_launch_can_hide(const char *socket, struct kw_err *err)
{
    char folder[PATH_MAX], name[NAME_MAX + 1];
    if (!folder_of(socket, folder, name))
        return 0;
    in_run(folder, name);
    return name[0] != '\0' ? 0 : only_sockets(folder, socket, err);
}

/* --- /run ---------------------------------------------------------------------------------- */

static bool hidden(const char *name, const char *agents)
{
    static const char *const names[] = {
        "docker.sock", "containerd", "podman",      "crio",    "dbus",
        "pcscd",       "user",       "credentials", "private", "io.systemd.Manager"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strcmp(name, agents) == 0;
}

/* One entry of what was at /run, in what is there now. What can't be mounted stays empty. */
static int carry_over(int was, int now, const char *name, bool hide, struct kw_err *err)
{
    char from[64 + NAME_MAX], to[64 + NAME_MAX], target[PATH_MAX];
    struct stat st;
    if (fstatat(was, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || (hide && !S_ISDIR(st.st_mode)))
        return 0;
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(was, name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        return n <= 0 || symlinkat(target, now, name) == 0
                   ? 0
                   : kw_fail_errno(err, KW_SANDBOX, "%s in CMD's " RUN, name);
    }
    int fd = S_ISDIR(st.st_mode)
                 ? mkdirat(now, name, 0755)
                 : openat(now, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return kw_fail_errno(err, KW_SANDBOX, "%s in CMD's " RUN, name);
    if (!S_ISDIR(st.st_mode))
        (void)close(fd);
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d/%s", was, name);
    (void)snprintf(to, sizeof to, "/proc/self/fd/%d/%s", now, name);
    if (!hide)
        (void)mount(from, to, NULL, MS_BIND | MS_REC, NULL);
    return 0;
}

/* A folder of CMD's own with what was there. */
static int own(const char *path, const char *agents, struct kw_err *err)
{
    int was = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (was < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    DIR *d = was >= 0 ? fdopendir(was) : NULL;
    if (d == NULL || mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m") != 0)
        return kw_fail_errno(err, KW_SANDBOX, "a %s of CMD's own could not be made", path);
    int now = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = now >= 0 ? 0 : kw_fail_errno(err, KW_SANDBOX, "CMD's %s could not be opened", path);
    for (const struct dirent *e; r == 0 && (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = carry_over(was, now, e->d_name, hidden(e->d_name, agents), err);
    if (now >= 0)
        (void)close(now);
    (void)closedir(d);
    return r;
}

/* The service manager's socket is made anew, too, when it executes itself. */
static int own_run(const char *run, const char *agents, struct kw_err *err)
{
    char systemd[64];
    (void)snprintf(systemd, sizeof systemd, "%s/systemd", run);
    int r = own(run, agents, err);
    return r == 0 ? own(systemd, "", err) : r;
}

/* (In some containers it is a folder, or /run mounted once more.) */
static bool no_link(const char *path)
{
    char real[PATH_MAX];
    return realpath(path, real) != NULL && strcmp(path, real) == 0;
}

int kw_launch_hide_sockets(const struct kw_stage_set *s, struct kw_err *err)
{
    const struct kw_config *c = s->want->config;
    const char *socket = c != NULL ? c->agent_socket : "";
    char folder[PATH_MAX], name[NAME_MAX + 1] = "";
    int r = 0;
    if (!folder_of(socket, folder, name))
        name[0] = '\0';
    else {
        in_run(folder, name);
        if (name[0] == '\0') {
            r = only_sockets(folder, socket, err);
            if (r == 0)
                r = kw_launch_cover(s, folder, err);
        }
    }
    if (r == 0)
        r = own_run(RUN, name, err);
    return r == 0 && no_link(VAR_RUN) ? own_run(VAR_RUN, name, err) : r;
}
