/* SPDX-License-Identifier: Apache-2.0
 *
 * What other roles say where main listens besides the channels: their standard error
 * (src/crew/relay.c) and the record of a violation (policy/violation.c). Input: a byte that
 * chooses the role, a record's bytes, then what is said. Whatever they say, our terminal
 * gets whole printable lines, each under the role's name. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "policy/sandbox.h"
#include "src/base/io.h"
#include "src/crew/relay.h"

static int terminal = -1; /* what stands in for it */

/* False if a call failed meanwhile: a line may then lack its end. */
static bool say(enum kw_role role, const unsigned char *data, size_t size)
{
    struct kw_err err;
    int fd = -1, saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (terminal < 0)
        terminal = memfd_create("terminal", MFD_CLOEXEC);
    must(saved >= 0 && ftruncate(terminal, 0) == 0 && lseek(terminal, 0, SEEK_SET) == 0);
    must(dup2(terminal, STDERR_FILENO) >= 0);
    fault_begin();
    int r = kw_relay_open(role, &fd, &err);
    bool hit = fault_end();
    must(r == 0 || hit);
    for (size_t at = 0; r == 0 && at < size;) {
        size_t n = size - at < 4096 ? size - at : 4096;
        (void)kw_write_all(fd, data + at, n); /* no longer heard where a read failed */
        fault_begin();
        kw_relay_take();
        hit |= fault_end();
        at += n;
    }
    if (r == 0)
        (void)close(fd);
    kw_relay_take();
    kw_relay_end();
    must(dup2(saved, STDERR_FILENO) >= 0 && close(saved) == 0);
    return !hit;
}

static void check(enum kw_role role)
{
    char name[32];
    struct kw_buf b;
    struct kw_err err;
    kw_buf_init(&b, 1 << 20);
    must(lseek(terminal, 0, SEEK_SET) == 0);
    must(kw_read_fd(terminal, &b, "terminal", KW_FAILED, &err) == 0);
    int n = snprintf(name, sizeof name, "keyward %s: ", kw_role_name(role));
    const char *p = kw_buf_str(&b);
    must(strlen(p) == b.len && n > 0);
    while (*p != '\0') {
        size_t len = strcspn(p, "\n");
        must(p[len] == '\n' && strncmp(p, name, (size_t)n) == 0);
        char line[4096];
        must(len < sizeof line);
        memcpy(line, p, len);
        line[len] = '\0';
        kw_printable(line);
        must(memcmp(line, p, len) == 0);
        p += len + 1;
    }
    kw_buf_free(&b);
}

static void record(const unsigned char *data, size_t size)
{
    int ends[2];
    struct kw_violation v;
    char name[64];
    must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && kw_write_all(ends[1], data, size) == 0);
    fault_begin();
    bool whole = kw_violation_read(ends[0], &v);
    bool hit = fault_end();
    must(hit || whole == (size == sizeof v));
    if (whole) {
        kw_violation_name(&v, name, sizeof name);
        must(name[0] != '\0' && strlen(name) < sizeof name);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    fault_seed(data, &size);
    (void)signal(SIGPIPE, SIG_IGN);
    if (size == 0)
        return 0;
    enum kw_role role = (enum kw_role)(data[0] % KW_ROLES);
    size_t n = size - 1 < sizeof(struct kw_violation) ? size - 1 : sizeof(struct kw_violation);
    record(data + 1, n);
    if (say(role, data + 1, size - 1))
        check(role);
    return 0;
}
