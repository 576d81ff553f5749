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

#define RUN "/run"

/* Where the agent's socket is, with no link on the way; false: there is none. */
static bool folder_of(const char *socket, char folder[PATH_MAX])
{
    char path[sizeof((struct kw_config *)0)->agent_socket];
    (void)snprintf(path, sizeof path, "%s", socket);
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    slash[slash == path] = '\0';
    return realpath(path, folder) != NULL;
}

/* What leads from /run to it: the first name; "" where it is elsewhere. */
static void in_run(const char *socket, const char *folder, char name[NAME_MAX + 1])
{
    size_t n = sizeof RUN - 1;
    name[0] = '\0';
    if (strcmp(folder, RUN) == 0)
        (void)snprintf(name, NAME_MAX + 1, "%s", strrchr(socket, '/') + 1);
    else if (strncmp(folder, RUN "/", n + 1) == 0)
        (void)snprintf(name, NAME_MAX + 1, "%.*s", (int)strcspn(folder + n + 1, "/"),
                       folder + n + 1);
}

/* Whether a folder can be taken from CMD: there is nothing else in it. */
static int only_sockets(const char *folder, const char *socket, struct kw_err *err)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    struct stat st;
    bool only = d != NULL;
    while (only && (e = readdir(d)) != NULL)
        only =
            strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode));
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
    if (!folder_of(socket, folder))
        return 0;
    in_run(socket, folder, name);
    return name[0] != '\0' ? 0 : only_sockets(folder, socket, err);
}

/* --- /run ---------------------------------------------------------------------------------- */

static bool hidden(const char *name, const char *agents)
{
    static const char *const names[] = {"docker.sock", "containerd", "podman", "crio",
                                        "dbus",        "pcscd",      "user",   "credentials"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strcmp(name, agents) == 0;
}

/* One entry of what was at /run, in what is there now. What can't be mounted stays empty. */
static int carry_over(int was, int now, const char *name, bool hide, struct kw_err *err)
{
    char from[64 + NAME_MAX], to[sizeof RUN + 1 + NAME_MAX], target[PATH_MAX];
    struct stat st;
    if (fstatat(was, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || (hide && !S_ISDIR(st.st_mode)))
        return 0;
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(was, name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        return n <= 0 || symlinkat(target, now, name) == 0
                   ? 0
                   : kw_fail_errno(err, KW_SANDBOX, "CMD's " RUN "/%s", name);
    }
    int fd = S_ISDIR(st.st_mode)
                 ? mkdirat(now, name, 0755)
                 : openat(now, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return kw_fail_errno(err, KW_SANDBOX, "CMD's " RUN "/%s", name);
    if (!S_ISDIR(st.st_mode))
        (void)close(fd);
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d/%s", was, name);
    (void)snprintf(to, sizeof to, RUN "/%s", name);
    if (!hide)
        (void)mount(from, to, NULL, MS_BIND | MS_REC, NULL);
    return 0;
}

static int own_run(const char *agents, struct kw_err *err)
{
    int was = open(RUN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (was < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    DIR *d = was >= 0 ? fdopendir(was) : NULL;
    if (d == NULL || mount("tmpfs", RUN, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m") != 0)
        return kw_fail_errno(err, KW_SANDBOX, "a " RUN " of CMD's own could not be made");
    int now = open(RUN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = now >= 0 ? 0 : kw_fail_errno(err, KW_SANDBOX, "CMD's " RUN " could not be opened");
    for (const struct dirent *e; r == 0 && (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = carry_over(was, now, e->d_name, hidden(e->d_name, agents), err);
    if (now >= 0)
        (void)close(now);
    (void)closedir(d);
    return r;
}

int kw_launch_hide_sockets(const struct kw_stage_set *s, struct kw_err *err)
{
    const struct kw_config *c = s->want->config;
    const char *socket = c != NULL ? c->agent_socket : "";
    char folder[PATH_MAX], name[NAME_MAX + 1] = "";
    int r = 0;
    if (folder_of(socket, folder)) {
        in_run(socket, folder, name);
        if (name[0] == '\0') {
            r = only_sockets(folder, socket, err);
            if (r == 0)
                r = kw_launch_cover(s, folder, err);
        }
    }
    return r == 0 ? own_run(name, err) : r;
}
