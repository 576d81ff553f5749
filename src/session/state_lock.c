/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that share one stored session. Without this, six of them that find it expired
 * at once would each make a new one, and five keys would stay in the token; and a renewal
 * could destroy the key that another command is just signing with. Two bytes of a file
 * beside the state are locked (open file description locks: they end with the process,
 * however it ends, and are not lost when another descriptor of the file is closed). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "src/crew/spawn.h"
#include "src/ipc/ipc.h"
#include "state.h"

int kw_state_lock_open(const struct kw_config *c, int *ret_fd, struct kw_err *err)
{
    char path[4096], name[4096 + 8];
    *ret_fd = -1;
    int r = kw_state_path(c, path, sizeof path, err);
    if (r == 0)
        r = kw_state_make_dirs(path, err);
    if (r != 0)
        return r;
    (void)snprintf(name, sizeof name, "%s.lock", path);
    *ret_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
    return *ret_fd >= 0 ? 0 : kw_fail_errno(err, KW_FAILED, "could not open %s", name);
}

int kw_state_lock(int fd, enum kw_state_lock which, bool alone, int64_t deadline_ms,
                  struct kw_err *err)
{
    enum { LOOK_MS = 20 };
    struct flock l = {.l_type = alone ? F_WRLCK : F_RDLCK,
                      .l_whence = SEEK_SET,
                      .l_start = (off_t)which,
                      .l_len = 1};
    while (fd > 0 && fcntl(fd, F_OFD_SETLK, &l) != 0) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return kw_fail_errno(err, KW_FAILED, "could not lock the session's state");
        struct pollfd p = {.fd = kw_signal_fd(), .events = POLLIN};
        if (poll(&p, 1, LOOK_MS) > 0)
            kw_signal_take();
        if (kw_interrupted())
            return kw_fail(err, KW_FAILED, "interrupted");
        if (kw_left_ms(deadline_ms) == 0)
            return kw_fail(err, KW_NET,
                           "another keyward is at work on this profile's session and did not end "
                           "in time ([dial] timeout); try again");
    }
    return 0;
}

void kw_state_unlock(int fd, enum kw_state_lock which)
{
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = (off_t)which, .l_len = 1};
    if (fd > 0)
        (void)fcntl(fd, F_OFD_SETLK, &l);
}
