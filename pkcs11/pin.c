/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the PIN comes from. The keeper reads it itself, so that no other process
 * sees it. A PIN that is empty or holds control characters is refused here: the
 * wrong file must not cost one of the token's few tries.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "internal.h"
#include "src/base/io.h"
#include "src/ipc/roles.h"

#define PIN_MAX 256

enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, CTRL_U = 21, DELETE = 127 };

/* What would kill or stop us with the terminal's echo still off. */
static void fatal_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGQUIT);
    (void)sigaddset(set, SIGTSTP);
}

static bool signal_waits(const sigset_t *set)
{
    sigset_t pending;
    if (sigpending(&pending) != 0)
        return false;
    for (int s = 1; s < NSIG; s++)
        if (sigismember(set, s) == 1 && sigismember(&pending, s) == 1)
            return true;
    return false;
}

/* Takes one key stroke. 0: go on, 1: done, -1: cancelled. */
static int stroke(struct kw_secret *pin, char c)
{
    switch (c) {
    case '\r':
    case '\n':
        return 1;
    case CTRL_C:
        return -1;
    case CTRL_D:
        return kw_secret_len(pin) > 0 ? 1 : -1;
    case CTRL_U:
        kw_secret_cut(pin, 0);
        return 0;
    case BACKSPACE:
    case DELETE:
        if (kw_secret_len(pin) > 0)
            kw_secret_cut(pin, kw_secret_len(pin) - 1);
        return 0;
    default:
        return kw_secret_add(pin, &c, 1) ? 0 : -1;
    }
}

/* Reads a line without echo; the terminal is as it was afterwards. */
static int ask_on(int tty, struct kw_secret *pin, struct kw_err *err)
{
    struct termios was, raw;
    sigset_t block, old;
    int done = 0;
    if (tcgetattr(tty, &was) != 0)
        return kw_fail_errno(err, KW_PIN,
                             "cannot switch the terminal's echo off to ask for the PIN");
    raw = was;
    /* no line editing by the kernel: it would keep the PIN in its buffer */
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
    fatal_signals(&block);
    (void)pthread_sigmask(SIG_BLOCK, &block, &old);
    if (tcsetattr(tty, TCSAFLUSH, &raw) != 0)
        done = -2;
    else
        (void)kw_write_all(tty, "PIN of the token: ", 18);
    while (done == 0) {
        struct pollfd p = {.fd = tty, .events = POLLIN};
        char c = 0;
        if (signal_waits(&block))
            done = -1;
        else if (poll(&p, 1, 200) > 0) {
            ssize_t n = read(tty, &c, 1);
            if (n == 1)
                done = stroke(pin, c);
            else if (n == 0 || (errno != EINTR && errno != EAGAIN))
                done = -1;
        }
        explicit_bzero(&c, sizeof c);
    }
    (void)tcsetattr(tty, TCSAFLUSH, &was);
    (void)kw_write_all(tty, "\n", 1);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (done == -2)
        return kw_fail(err, KW_PIN, "cannot switch the terminal's echo off to ask for the PIN");
    return done > 0 ? 0 : kw_fail(err, KW_PIN, "no PIN was entered");
}

static int prompt(struct kw_secret **ret, struct kw_err *err)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return kw_fail_errno(err, KW_PIN,
                             "there is no terminal to ask for the PIN; set pin_source to a file, "
                             "descriptor or credential");
    int r = 0;
    *ret = kw_secret_new(PIN_MAX);
    if (*ret == NULL)
        r = kw_fail(err, KW_FAILED, "no room for the PIN in locked memory");
    else
        r = ask_on(tty, *ret, err);
    (void)close(tty);
    return r;
}

static int check(const struct kw_secret *pin, struct kw_err *err)
{
    const char *s = kw_secret_bytes(pin);
    const size_t n = kw_secret_len(pin);
    if (n == 0)
        return kw_fail(err, KW_PIN, "the PIN is empty, so it was not tried; check the PIN source");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return kw_fail(err, KW_PIN,
                           "the PIN source holds more than one line or control characters, so it "
                           "was not tried; is it the right one?");
    return 0;
}

int kw_pin_read(const struct kw_m_keeper_start *cfg, struct kw_secret **ret, struct kw_err *err)
{
    int r = 0;
    *ret = NULL;
    switch ((enum kw_pin_source)cfg->pin_source) {
    case KW_PIN_NONE:
        return 0;
    case KW_PIN_FD:
        r = kw_secret_read_fd(KW_FD_PIN, PIN_MAX, "the PIN descriptor", KW_PIN, ret, err);
        (void)close(KW_FD_PIN); /* nothing that runs later has business with it */
        break;
    case KW_PIN_FILE:
        r = kw_secret_read_file(cfg->pin_path, PIN_MAX, KW_PIN, ret, err);
        break;
    case KW_PIN_PROMPT:
        r = prompt(ret, err);
        break;
    default:
        return kw_fail(err, KW_USAGE, "unknown PIN source %u", cfg->pin_source);
    }
    if (r == 0)
        r = check(*ret, err);
    if (r != 0)
        kw_secret_free(ret);
    return r;
}
