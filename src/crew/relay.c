/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "src/base/io.h"

enum {
    LINE = KW_ERR_TEXT + 64, /* longest line of kw_log(); longer ones are folded */
    CHUNK = 4096,
    REST = 64 /* chunks at the end: as much as a pipe holds */
};

static struct said {
    int fd; /* read end, 0: none */
    char line[LINE];
    size_t n;
} said[KW_ROLES];
static int all = -1; /* epoll: one descriptor for the waits, whoever is there */

int kw_relay_fd(void)
{
    return all;
}

int kw_relay_open(enum kw_role role, int *ret_fd, struct kw_err *err)
{
    int ends[2];
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = role};
    if (all < 0)
        all = epoll_create1(EPOLL_CLOEXEC);
    if (all < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return kw_fail_errno(err, KW_FAILED, "could not make the channels between processes");
    if (epoll_ctl(all, EPOLL_CTL_ADD, ends[0], &e) != 0) {
        int r = kw_fail_errno(err, KW_FAILED, "could not make the channels between processes");
        (void)close(ends[0]);
        (void)close(ends[1]);
        return r;
    }
    said[role] = (struct said){.fd = ends[0]};
    *ret_fd = ends[1];
    return 0;
}

/* Our own roles' lines begin with their name already; those of a module or a library
 * below them get it. */
static void pass_on(enum kw_role role)
{
    struct said *s = &said[role];
    char name[32], out[sizeof name + LINE + 1];
    (void)snprintf(name, sizeof name, "keyward %s: ", kw_role_name(role));
    s->line[s->n] = '\0';
    for (size_t i = 0; i < s->n; i++) /* a NUL would hide what follows it */
        if (s->line[i] == '\0' || s->line[i] == '\t')
            s->line[i] = ' ';
    kw_printable(s->line);
    bool named = strncmp(s->line, name, strlen(name)) == 0;
    int n = snprintf(out, sizeof out, "%s%s\n", named ? "" : name, s->line);
    if (n > 0 && s->n > 0)
        (void)kw_write_now(STDERR_FILENO, out, (size_t)n);
    s->n = 0;
}

static void take_bytes(enum kw_role role, const char *bytes, size_t n)
{
    struct said *s = &said[role];
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r')
            s->line[s->n++] = bytes[i];
        if (bytes[i] == '\n' || s->n == sizeof s->line - 1)
            pass_on(role);
    }
}

/* One piece; false when there is no more for now. */
static bool take_from(enum kw_role role)
{
    char chunk[CHUNK];
    struct said *s = &said[role];
    ssize_t n = s->fd > 0 ? read(s->fd, chunk, sizeof chunk) : 0;
    if (n > 0) {
        take_bytes(role, chunk, (size_t)n);
        return true;
    }
    if (s->fd > 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
        (void)close(s->fd); /* also out of the epoll: nobody else has this end */
        s->fd = 0;
    }
    return false;
}

void kw_relay_take(void)
{
    for (unsigned role = 0; role < KW_ROLES; role++)
        (void)take_from((enum kw_role)role);
}

void kw_relay_end(void)
{
    for (unsigned role = 0; role < KW_ROLES; role++) {
        for (int i = 0; i < REST && take_from((enum kw_role)role); i++)
            continue;
        pass_on((enum kw_role)role);
        if (said[role].fd > 0)
            (void)close(said[role].fd);
        said[role].fd = 0;
    }
    if (all >= 0)
        (void)close(all);
    all = -1;
}
