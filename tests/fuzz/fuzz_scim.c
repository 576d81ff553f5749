/* SPDX-License-Identifier: Apache-2.0
 *
 * What an identity domain or IAM answers to `setup oci`: lists, resources, refusals. Input: a
 * line with what is wanted, then the answer, both JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "src/wire/scim.h"

/* What changes says is all that differs. */
static void changes(const json_t *have, json_t *want)
{
    static const char *const fixed[] = {"name", NULL};
    json_t *ops = kw_scim_changes(have, want, fixed), *one, *v;
    const char *name;
    size_t i;
    json_array_foreach(ops, i, one)
    {
        const char *path = json_string_value(json_object_get(one, "path"));
        must(path != NULL && strcmp(path, "name") != 0 && strcmp(path, "tags") != 0);
        must(!kw_scim_same(json_object_get(have, path), json_object_get(want, path)));
    }
    json_object_foreach(want, name, v) must(
        strcmp(name, "name") == 0 || strcmp(name, "schemas") == 0 || strcmp(name, "tags") == 0 ||
        json_array_size(ops) > 0 || kw_scim_same(json_object_get(have, name), v));
    json_t *patch = kw_scim_patch(ops), *new = kw_scim_new(want);
    must(json_object_size(new) <= json_object_size(want));
    json_decref(patch);
    json_decref(new);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_err err = {0};
    const char *text = (const char *)data;
    const char *nl = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = nl != NULL ? (size_t)(nl - text) : size;
    json_t *want = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL), *one = NULL;
    json_t *answer =
        nl != NULL ? json_loadb(nl + 1, size - n - 1, JSON_REJECT_DUPLICATES, NULL) : NULL;
    int r = kw_scim_one(answer, "thing", &one, &err);
    must(r == 0 || (r == KW_CLOUD && one == NULL && err.text[0] != '\0'));
    const unsigned statuses[] = {400, 401, 403, 404, 409, 412, 429, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        r = kw_scim_refused(statuses[i], answer, i % 2 != 0 ? "id" : NULL, "thing", &err);
        must(r == (statuses[i] == 429 || statuses[i] == 503 ? KW_NET : KW_CLOUD));
        must(strncmp(err.text, "thing: refused", 14) == 0);
    }
    const json_t *have = one != NULL ? one : answer;
    const char *mark = kw_scim_mark(have);
    must(mark != NULL);
    json_t *tags = kw_scim_tags_with(have, "setup");
    must(json_array_size(tags) >= 1);
    json_decref(tags);
    json_t *freeform = kw_scim_freeform_with(have, "setup");
    must(json_is_string(json_object_get(freeform, KW_SCIM_TAG)));
    json_decref(freeform);
    must(!kw_scim_is_id(mark) || (strpbrk(mark, "/?#%&\"\\ \n") == NULL && mark[0] != '.'));
    if (json_is_object(want))
        changes(have, want);
    must(kw_scim_same(answer, answer) || answer == NULL);
    char name[512];
    (void)snprintf(name, sizeof name, "%s", mark);
    char *query = kw_scim_query("https://d", "Apps", "displayName", name, "id");
    must(query == NULL || (strchr(query, ' ') == NULL && strchr(query, '"') == NULL &&
                           strpbrk(query, "\n#") == NULL));
    free(query);
    json_decref(want);
    json_decref(answer);
    return 0;
}
