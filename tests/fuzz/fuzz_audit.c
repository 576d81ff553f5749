/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit logs of hostile content, for the verifier, and then for the writer, which has
 * to find its way at the end of such a file: what it then wrote to, verifies as before
 * or better. Input: the log; before it, if it begins with '-', the PEM of the key that is
 * trusted, up to a NUL. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/base/io.h"
#include "src/keeper/audit.h"

struct file {
    int mem, fd;
    char path[64];
};

static void make(struct file *f, const unsigned char *bytes, size_t n)
{
    f->mem = memfd_create("fuzz", MFD_CLOEXEC);
    (void)snprintf(f->path, sizeof f->path, "/proc/self/fd/%d", f->mem);
    f->fd = open(f->path, O_RDWR | O_APPEND | O_CLOEXEC);
    must(f->mem >= 0 && f->fd >= 0 && kw_write_all(f->fd, bytes, n) == 0);
}

static void end(const struct file *f)
{
    (void)close(f->fd);
    (void)close(f->mem);
}

static int no_signature(void *arg, const void *data, size_t n, unsigned char *sig, size_t *ret_n,
                        struct kw_err *err)
{
    (void)arg, (void)data, (void)n, (void)err;
    memset(sig, 's', 256);
    *ret_n = 256;
    return 0;
}

/* A head whose signature is none is found out, and nothing else. */
static void sign_head(struct kw_audit *a, bool good, const char *path)
{
    char id[65];
    struct kw_err err;
    struct kw_audit_report report;
    if (!good)
        return;
    must(kw_audit_key(a, (const unsigned char *)"spki", 4, "fuzz", id, &err) == 0);
    fault_begin();
    int r = kw_audit_head(a, id, no_signature, NULL, &err);
    (void)fault_end();
    if (r == 0)
        must(kw_audit_verify(path, NULL, &report, &err) == KW_FAILED &&
             strstr(err.text, "the signature is wrong") != NULL);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_audit_report before, after, again;
    struct kw_audit a;
    struct kw_err err;
    struct file log, key;
    fault_seed(data, &size);
    const unsigned char *nul = size > 0 && data[0] == '-' ? memchr(data, 0, size) : NULL;
    size_t n = nul != NULL ? (size_t)(nul + 1 - data) : 0;
    make(&key, data, n > 0 ? n - 1 : 0);
    make(&log, data + n, size - n);
    (void)kw_audit_verify(log.path, n > 0 ? key.path : NULL, &before, &err);
    fault_begin();
    int good = kw_audit_verify(log.path, NULL, &before, &err);
    bool wrote = kw_audit_begin(&a, log.fd, &err) == 0 &&
                 kw_audit_write(&a, "x", json_object(), true, &err) == 0;
    bool hit = fault_end();
    int now = kw_audit_verify(log.path, NULL, &after, &err);
    /* Whatever failed: a log that was good is good, and has the line or hasn't. */
    must(good != 0 || hit || (wrote && now == 0));
    must(good != 0 || !wrote || (now == 0 && after.lines == before.lines + 1));
    if (good == 0 && !wrote) /* a torn line may be left: the next writer heals it */
        must(kw_audit_begin(&a, log.fd, &err) == 0 &&
             kw_audit_verify(log.path, NULL, &again, &err) == 0 && again.lines >= before.lines);
    sign_head(&a, now == 0 && wrote, log.path);
    end(&log);
    end(&key);
    return 0;
}
