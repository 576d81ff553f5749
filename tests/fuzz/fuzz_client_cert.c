/* SPDX-License-Identifier: Apache-2.0
 *
 * Files with a client certificate and its chain. Input: such a file. What is taken holds no
 * private key, is valid now, is shown without control characters, and becomes a JSON array of one
 * to five certificates. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/session/client_cert.h"

enum { NOW = 1800000000 }; /* 2027 */

static bool plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static void check(const struct kw_client_cert *c)
{
    struct kw_secret *token = NULL;
    struct kw_err err = {0};
    must(strstr(c->pem, "PRIVATE KEY") == NULL && c->not_after >= NOW);
    must(strlen(c->subject) < sizeof c->subject && strlen(c->shown) < sizeof c->shown);
    must(strstr(c->shown, " sha256=") != NULL);
    must(plain(c->shown) && plain(c->subject));
    int r = kw_client_cert_token(c, &token, &err);
    must(r == 0 ? token != NULL : r == KW_USAGE && err.text[0] != '\0');
    if (r == 0) {
        json_t *a = json_loadb(kw_secret_bytes(token), kw_secret_len(token), 0, NULL);
        must(json_array_size(a) >= 1 && json_array_size(a) <= 5);
        must(json_string_length(json_array_get(a, 0)) > 0);
        json_decref(a);
    }
    kw_secret_free(&token);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_client_cert c;
    struct kw_err err = {0};
    char path[64];
    fault_seed(data, &size);
    must(kw_secret_init(true, &err) == 0);
    int fd = memfd_create("certificate", MFD_CLOEXEC);
    must(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fault_begin();
    int r = kw_client_cert_read(path, NOW, &c, &err);
    bool hit = fault_end();
    (void)close(fd);
    must(r == 0 || r == KW_USAGE || r == KW_SUBJECT || (hit && r == KW_FAILED));
    must(r == 0 || err.text[0] != '\0');
    if (r == 0)
        check(&c);
    return 0;
}
