/* SPDX-License-Identifier: Apache-2.0
 *
 * The Python scripts' runtimeConfig.ini: taken with all that an exchange needs, or refused
 * with nothing kept. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/base/io.h"
#include "src/config/config_keys.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_config c;
    struct kw_err err = {0};
    char path[64];
    fault_seed(data, &size);
    must(kw_secret_init(true, &err) == 0);
    int mem = memfd_create("from", MFD_CLOEXEC);
    must(mem >= 0 && fchmod(mem, 0600) == 0 && kw_write_all(mem, data, size) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", mem);
    must(kw_config_build(&c, NULL, NULL, NULL, &err) == 0);
    fault_begin();
    int r = kw_config_from(&c, path, &err);
    (void)fault_end();
    if (r == 0) {
        must(c.oci_set && c.client_id[0] != '\0' && strncmp(c.domain_url, "https://", 8) == 0);
        must(c.client_secret != NULL && kw_secret_len(c.client_secret) > 0);
        must(c.dial[0] != '\0' && c.client_auth == KW_AUTH_BASIC);
        for (size_t i = 0; i < kw_secret_len(c.client_secret); i++)
            must(kw_secret_bytes(c.client_secret)[i] > ' ');
    } else {
        must(err.code == (enum kw_exit)r && err.text[0] != '\0');
        must(c.client_secret == NULL && c.subject == NULL && c.domain_url[0] == '\0');
    }
    kw_config_free(&c);
    (void)close(mem);
    return 0;
}
