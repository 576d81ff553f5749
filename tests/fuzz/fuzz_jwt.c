/* SPDX-License-Identifier: Apache-2.0
 *
 * JWTs and bare claims. The first byte chooses: 'c' and the rest is a claims text, else
 * all is a compact token. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "src/base/buf.h"
#include "src/wire/jwt.h"

static void use(struct kw_jwt *j)
{
    static const char *const names[] = {"exp", "nbf", "iat", "sub"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t t;
        if (kw_jwt_time(j, names[i], &t))
            must(t >= 0 && t <= INT64_C(1) << 53);
        (void)kw_jwt_str(j, names[i]);
    }
    struct kw_buf n, e;
    kw_buf_init(&n, 1024);
    kw_buf_init(&e, 16);
    if (kw_jwt_jwk(j, &n, &e, NULL) == 0)
        must(n.len >= 256 && n.len <= 512 && n.p[0] != 0 && e.len >= 1 && e.p[0] != 0);
    kw_buf_free(&n);
    kw_buf_free(&e);
    kw_jwt_free(j);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_jwt j;
    struct kw_err err = {0};
    fault_seed(data, &size);
    fault_begin();
    int r = size > 0 && data[0] == 'c'
                ? kw_jwt_claims((const char *)data + 1, size - 1, "it", KW_SUBJECT, &j, &err)
                : kw_jwt_decode((const char *)data, size, "it", KW_SUBJECT, &j, &err);
    bool hit = fault_end();
    if (r == 0) {
        must(json_is_object(j.header) && json_is_object(j.claims));
        use(&j);
    } else {
        must((r == KW_SUBJECT || (hit && r == KW_FAILED)) && j.header == NULL && j.claims == NULL &&
             err.text[0] != '\0');
    }
    return 0;
}
