/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets that the configuration names the place of: file:/PATH, fd:N, credential:NAME. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

enum { MOST = 1024 };

static int from_fd(const char *text, const char *what, size_t most, struct kw_secret **ret,
                   struct kw_err *err)
{
    char *end = NULL;
    errno = 0;
    long fd = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || fd < 0 || fd > 65535)
        return kw_fail(err, KW_USAGE, "%s = fd:%s is no descriptor", what, text);
    return kw_secret_read_fd((int)fd, most, what, KW_USAGE, ret, err);
}

int kw_secret_from_source(const char *source, const char *what, size_t most, struct kw_secret **ret,
                          struct kw_err *err)
{
    int fd = -1, r;
    *ret = NULL;
    if (strncmp(source, "fd:", 3) == 0)
        r = from_fd(source + 3, what, most, ret, err);
    else if (strncmp(source, "file:/", 6) == 0)
        r = kw_secret_read_file(source + 5, most, KW_USAGE, ret, err);
    else if (strncmp(source, "credential:", 11) == 0) {
        r = kw_credential_open(source + 11, &fd, err);
        if (r == 0) {
            r = kw_secret_read_fd(fd, most, "the credential", KW_USAGE, ret, err);
            (void)close(fd);
        }
    } else
        r = kw_fail(err, KW_USAGE, "%s must be file:/PATH, fd:N or credential:NAME", what);
    if (r == 0 && kw_secret_len(*ret) == 0) {
        kw_secret_free(ret);
        r = kw_fail(err, KW_USAGE, "%s (%s) is empty", what, source);
    }
    return r;
}

int kw_client_secret(const struct kw_config *c, struct kw_secret **ret, struct kw_err *err)
{
    *ret = NULL;
    if (c->client_secret != NULL) {
        *ret = kw_secret_from(kw_secret_bytes(c->client_secret), kw_secret_len(c->client_secret));
        return *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no room for the client secret");
    }
    int r = kw_secret_from_source(c->client_secret_source, "client_secret_source", MOST, ret, err);
    return r != 0 ? kw_err_wrap(err, "client secret") : 0;
}
