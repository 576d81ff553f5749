/* SPDX-License-Identifier: Apache-2.0 */
#include "tty.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool have;

static int terminal(void)
{
    return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

void kw_tty_save(void)
{
    int fd = terminal();
    if (fd < 0)
        return;
    have = tcgetattr(fd, &saved) == 0;
    (void)close(fd);
}

void kw_tty_restore(void)
{
    int fd = have ? terminal() : -1;
    if (fd < 0)
        return;
    struct termios now;
    /* A background process that sets the terminal would be stopped by SIGTTOU. */
    if (tcgetattr(fd, &now) == 0 && now.c_lflag != saved.c_lflag && tcgetpgrp(fd) == getpgrp())
        (void)tcsetattr(fd, TCSANOW, &saved);
    have = false;
    (void)close(fd);
}

void kw_tty_leave(void)
{
    int fd = terminal();
    if (fd < 0)
        return;
    (void)ioctl(fd, TIOCNOTTY);
    (void)close(fd);
}
