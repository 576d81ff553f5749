/* SPDX-License-Identifier: Apache-2.0
 *
 * Session tokens and the key that they must be bound to. Input: the key's
 * SubjectPublicKeyInfo with a length of two bytes before it, then the token. A token that
 * is believed is in time and bound to that key. */
#include <string.h>
#include <time.h>

#include "fuzz.h"
#include "src/session/session.h"
#include "src/session/session_token.h"
#include "src/wire/jwt.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_session s;
    struct kw_err err = {0};
    fault_seed(data, &size);
    must(kw_secret_init(true, &err) == 0);
    if (size < 2)
        return 0;
    size_t n = (size_t)data[0] | (size_t)data[1] << 8;
    n = n < size - 2 ? n : size - 2;
    memset(&s, 0, sizeof s);
    if (n > sizeof s.spki || size - 2 - n > KW_TOKEN_MAX)
        return 0;
    memcpy(s.spki, data + 2, n);
    s.key.spki = (struct kw_view){s.spki, n};
    s.token = kw_secret_from(data + 2 + n, size - 2 - n);
    must(s.token != NULL);
    fault_begin();
    int r = kw_session_judge(&s, &err);
    bool hit = fault_end();
    must(r == 0 || r == KW_CLOUD || (hit && r == KW_FAILED));
    if (r == 0) {
        struct kw_jwt j;
        struct kw_buf mod, exp;
        kw_buf_init(&mod, 1024);
        kw_buf_init(&exp, 16);
        must(s.not_after > (int64_t)time(NULL));
        must(kw_jwt_decode(kw_secret_bytes(s.token), kw_secret_len(s.token), "it", KW_CLOUD, &j,
                           &err) == 0 &&
             kw_jwt_jwk(&j, &mod, &exp, &err) == 0);
        must(kw_spki_is(s.spki, n, mod.p, mod.len, exp.p, exp.len));
        mod.p[0] ^= 1; /* and to no other */
        must(!kw_spki_is(s.spki, n, mod.p, mod.len, exp.p, exp.len));
        kw_buf_free(&mod);
        kw_buf_free(&exp);
        kw_jwt_free(&j);
    } else
        must(err.text[0] != '\0');
    kw_secret_free(&s.token);
    return 0;
}
