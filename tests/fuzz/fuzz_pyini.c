/* SPDX-License-Identifier: Apache-2.0
 *
 * INI files of Python programs: setupConfig.ini, ~/.oci/config. What is taken is text, within
 * sections, and is found again. The first byte says how comments are taken. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/base/io.h"
#include "src/base/pyini.h"

/* The same as a file. */
static int from_file(const char *text, size_t n, bool comments, json_t **ret, struct kw_err *err)
{
    char path[64];
    int mem = memfd_create("pyini", MFD_CLOEXEC);
    must(mem >= 0 && fchmod(mem, 0600) == 0 && kw_write_all(mem, text, n) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", mem);
    fault_begin();
    int r = kw_pyini_read(path, comments, ret, err);
    (void)fault_end();
    (void)close(mem);
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_err err = {0};
    json_t *ini = NULL, *section, *value;
    const char *name, *key;
    fault_seed(data, &size);
    bool comments = size > 0 && (data[0] & 1) != 0;
    const char *text = (const char *)data + (size > 0 ? 1 : 0);
    fault_begin();
    int r = kw_pyini_parse(text, size > 0 ? size - 1 : 0, "f", comments, &ini, &err);
    bool failed = fault_end();
    must(r == 0
             ? ini != NULL
             : ini == NULL && (r == KW_USAGE || (failed && r == KW_FAILED)) && err.text[0] != '\0');
    json_t *again = NULL;
    struct kw_err why = {0};
    int r2 = from_file(text, size > 0 ? size - 1 : 0, comments, &again, &why);
    must(r2 == 0 || again == NULL);
    if (r == 0 && r2 == 0 && ini != NULL && again != NULL)
        must(json_equal(ini, again) == 1);
    json_decref(again);
    json_object_foreach(ini, name, section)
    {
        must(name[0] != '\0' && json_is_object(section));
        json_object_foreach(section, key, value)
        {
            const char *v = kw_pyini_get(ini, name, key, false);
            must(v != NULL && v == json_string_value(value) &&
                 strlen(v) == json_string_length(value));
            must(strpbrk(v, "\n\r\x7f\x1b") == NULL && key[0] != '\0');
            for (const char *p = key; *p != '\0'; p++)
                must(*p < 'A' || *p > 'Z');
        }
    }
    must(kw_pyini_get(ini, "", "", true) == NULL || json_object_get(ini, "DEFAULT") != NULL);
    json_decref(ini);
    return 0;
}
