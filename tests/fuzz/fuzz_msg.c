/* SPDX-License-Identifier: Apache-2.0
 *
 * Message bodies: the first byte picks the type, the rest is what a peer sent. What is
 * taken is written again byte for byte, and a refusal keeps nothing of the arena. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "src/ipc/talk.h"

/* All 64 places of the arena are free: nothing was left behind by what came before. */
static void arena_is_empty(void)
{
    struct kw_secret *all[64];
    for (size_t i = 0; i < 64; i++)
        must((all[i] = kw_secret_new(1)) != NULL);
    for (size_t i = 0; i < 64; i++)
        kw_secret_free(&all[i]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    must(kw_secret_init(true, NULL) == 0);
    fault_seed(data, &size);
    if (size == 0 || size - 1 > KW_IPC_MAX)
        return 0;
    enum kw_msg type = (enum kw_msg)(KW_MSG_ERROR + data[0] % (KW_MSGS - KW_MSG_ERROR));
    void *m = malloc(kw_msg_size(type)); /* its own block, so that ASan sees its end */
    struct kw_buf b, again;
    kw_buf_init(&b, KW_IPC_MAX);
    kw_buf_init(&again, KW_IPC_MAX);
    must(m != NULL);
    kw_put(&b, data + 1, size - 1);
    fault_begin();
    bool got = kw_msg_get(&b, type, m);
    (void)fault_end();
    if (got) {
        must(kw_msg_put(&again, type, m));
        must(again.len == size - 1 &&
             (again.len == 0 || memcmp(again.p, data + 1, again.len) == 0));
        kw_msg_free(type, m);
    }
    arena_is_empty();
    free(m);
    kw_buf_free(&b);
    kw_buf_free(&again);
    return 0;
}
