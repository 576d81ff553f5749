/* SPDX-License-Identifier: Apache-2.0
 *
 * INI files of Python programs: setupConfig.ini, ~/.oci/config. What is taken is text, within
 * sections, and is found again. The first byte says how comments are taken. */
#include <string.h>

#include "fuzz.h"
#include "src/pyini.h"

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
    must(r == 0 ? ini != NULL || failed : ini == NULL && r == KW_USAGE && err.text[0] != '\0');
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
