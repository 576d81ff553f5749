/* SPDX-License-Identifier: Apache-2.0
 *
 * PKCS#11 URIs: no input may crash the reader; what it takes must print, the print
 * must parse to the same, and be its own canonical form; what it refuses must leave
 * nothing behind.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pkcs11/uri.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct kw_uri zero;
    static char text[16384], once[16384], twice[16384];
    struct kw_uri u, v;
    struct kw_err err;
    fault_seed(data, &size); /* nothing in it can fail */
    const unsigned need = size > 0 ? data[0] & 3u : 0;
    const size_t n = size > 1 ? size - 1 : 0;
    if (n >= sizeof text)
        return 0;
    if (n > 0)
        memcpy(text, data + 1, n);
    text[n] = '\0';
    if (kw_uri_parse(text, need, &u, &err) != 0) {
        must(memcmp(&u, &zero, sizeof u) == 0);
        must(err.text[0] != '\0');
        return 0;
    }
    must(!(need & KW_URI_TOKEN) || u.token[0] != '\0' || u.serial[0] != '\0');
    must(!(need & KW_URI_TOKEN) || u.module_path[0] == '/');
    must(!(need & KW_URI_OBJECT) || u.object[0] != '\0' || u.id_len > 0);
    must(u.pin_source[0] == '\0' || u.pin_source[0] == '/');
    must(kw_uri_print(&u, once, sizeof once));
    must(kw_uri_parse(once, need, &v, &err) == 0);
    must(memcmp(&u, &v, sizeof u) == 0);
    must(kw_uri_print(&v, twice, sizeof twice));
    must(strcmp(once, twice) == 0);
    return 0;
}
