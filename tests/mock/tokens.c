/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks into a store of mock.so from outside, for scripts.
 *
 * usage: mock-tokens STORE      a line for each token: "token LABEL wrong N", and for each
 *                               object in it that outlives sessions: "object LABEL ID"
 */
#include <stdio.h>
#include <string.h>

#include "mock.h"

static void object(const struct mk_object *o)
{
    if (o->handle == 0 || o->home != 0)
        return;
    (void)printf("object %.*s ", (int)o->label_n, (const char *)o->label);
    for (CK_ULONG i = 0; i < o->id_n; i++)
        (void)printf("%02x", o->id[i]);
    (void)printf("\n");
}

int main(int argc, char **argv)
{
    static struct mk_store store;
    FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
    if (f == NULL || fread(&store, sizeof store, 1, f) != 1 || store.n_tokens > MK_TOKENS)
        return 1;
    (void)fclose(f);
    for (uint32_t t = 0; t < store.n_tokens; t++)
        (void)printf("token %s wrong %u\n", store.tokens[t].label, store.tokens[t].wrong);
    for (unsigned i = 0; i < MK_OBJECTS; i++)
        object(&store.objects[i]);
    return 0;
}
