/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

enum { MOST = 1024 };

static int from_fd(const char *text, struct kw_secret **ret, struct kw_err *err)
{
    char *end = NULL;
    errno = 0;
    long fd = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || fd < 0 || fd > 65535)
        return kw_fail(err, KW_USAGE, "client_secret_source = fd:%s is no descriptor", text);
    return kw_secret_read_fd((int)fd, MOST, "the client secret's descriptor", KW_USAGE, ret, err);
}

int kw_client_secret(const struct kw_config *c, struct kw_secret **ret, struct kw_err *err)
{
    *ret = NULL;
    if (c->client_secret != NULL) {
        *ret = kw_secret_from(kw_secret_bytes(c->client_secret), kw_secret_len(c->client_secret));
        return *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no room for the client secret");
    }
    const char *s = c->client_secret_source;
    int fd = -1;
    int r;
    if (strncmp(s, "fd:", 3) == 0)
        r = from_fd(s + 3, ret, err);
    else if (strncmp(s, "file:/", 6) == 0)
        r = kw_secret_read_file(s + 5, MOST, KW_USAGE, ret, err);
    else if (strncmp(s, "credential:", 11) == 0) {
        r = kw_credential_open(s + 11, &fd, err);
        if (r == 0) {
            r = kw_secret_read_fd(fd, MOST, "the credential", KW_USAGE, ret, err);
            (void)close(fd);
        }
    } else
        r = kw_fail(err, KW_USAGE,
                    "[oci %s] client_secret_source must be file:/PATH, fd:N or credential:NAME",
                    c->profile);
    if (r == 0 && kw_secret_len(*ret) == 0) {
        kw_secret_free(ret);
        r = kw_fail(err, KW_USAGE, "the client secret (%s) is empty", s);
    }
    return r != 0 ? kw_err_wrap(err, "client secret") : 0;
}
