/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit logs of hostile content, for the verifier, and then for the writer, which has
 * to find its way at the end of such a file: what it then wrote to, verifies as before
 * or better. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/audit.h"
#include "src/io.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_audit_report before, after;
    struct kw_audit a;
    struct kw_err err;
    char path[64];
    int mem = memfd_create("log", MFD_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", mem);
    int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (mem < 0 || fd < 0 || kw_write_all(fd, data, size) != 0)
        abort();
    int good = kw_audit_verify(path, NULL, &before, &err);
    if (kw_audit_begin(&a, fd, &err) == 0 &&
        kw_audit_write(&a, "x", json_object(), false, &err) == 0) {
        int again = kw_audit_verify(path, NULL, &after, &err);
        if (good == 0 && (again != 0 || after.lines != before.lines + 1))
            abort();
    }
    (void)close(fd);
    (void)close(mem);
    return 0;
}
