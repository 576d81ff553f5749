/* SPDX-License-Identifier: Apache-2.0
 *
 * The stand-in key. EVP_RSA_gen() would do, but takes ten times as long (100 ms and more), most of
 * it to be surer than anybody has to be of a key that is worth nothing and gone with the run; CMD
 * would start later by that, each time. So the primes are searched for here: random, none of the
 * small ones divides them, and 2^(p-1) is 1 modulo p. That a random number of this size passes
 * and is no prime is less likely than 2^-100 (Damgard, Landrock, Pomerance); its key would sign
 * wrongly, and nothing else. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "launch_int.h"

enum { BITS = 2048, SMALL = 2048, WINDOW = 1 << 14, E = 65537 };

/* What one search needs. */
struct search {
    BN_CTX *ctx;
    BIGNUM *minus_one, *power;
    BN_MONT_CTX *mont;
    unsigned small[SMALL], rest[SMALL]; /* odd primes; the candidate modulo each */
};

static void find_small(struct search *s)
{
    size_t n = 0;
    for (unsigned c = 3; n < SMALL; c += 2) {
        size_t i = 0;
        while (i < n && s->small[i] * s->small[i] <= c && c % s->small[i] != 0)
            i++;
        if (i == n || s->small[i] * s->small[i] > c)
            s->small[n++] = c;
    }
}

static bool divided(const struct search *s, unsigned more)
{
    for (size_t i = 0; i < SMALL; i++)
        if ((s->rest[i] + more) % s->small[i] == 0)
            return true;
    return false;
}

/* Fermat's test to the base 2, and e has an inverse modulo p-1. */
static int looks_prime(struct search *s, const BIGNUM *p)
{
    if (BN_copy(s->minus_one, p) == NULL || BN_sub_word(s->minus_one, 1) != 1 ||
        BN_MONT_CTX_set(s->mont, p, s->ctx) != 1 ||
        BN_mod_exp_mont_word(s->power, 2, s->minus_one, p, s->ctx, s->mont) != 1)
        return -1;
    return BN_is_one(s->power) && BN_mod_word(s->minus_one, E) != 0;
}

/* With its two highest bits set, so that a product of two has all the bits that it is to have. */
static bool find_prime(struct search *s, BIGNUM *p)
{
    for (;;) {
        unsigned at = 0;
        if (BN_rand(p, BITS / 2, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD) != 1)
            return false;
        for (size_t i = 0; i < SMALL; i++)
            s->rest[i] = (unsigned)BN_mod_word(p, s->small[i]);
        for (unsigned more = 0; more < WINDOW; more += 2) {
            if (divided(s, more))
                continue;
            int is = BN_add_word(p, more - at) == 1 ? looks_prime(s, p) : -1;
            if (is != 0)
                return is > 0;
            at = more;
        }
    }
}

/* n, d and what clients want for the Chinese remainder theorem. */
static bool compute(BN_CTX *ctx, BIGNUM *const v[8])
{
    BIGNUM *n = v[0], *e = v[1], *d = v[2], *p = v[3], *q = v[4], *dp = v[5], *dq = v[6];
    BN_CTX_start(ctx);
    BIGNUM *p1 = BN_CTX_get(ctx), *q1 = BN_CTX_get(ctx), *phi = BN_CTX_get(ctx);
    bool ok = phi != NULL && BN_set_word(e, E) == 1 && BN_mul(n, p, q, ctx) == 1 &&
              BN_sub(p1, p, BN_value_one()) == 1 && BN_sub(q1, q, BN_value_one()) == 1 &&
              BN_mul(phi, p1, q1, ctx) == 1 && BN_mod_inverse(d, e, phi, ctx) != NULL &&
              BN_mod(dp, d, p1, ctx) == 1 && BN_mod(dq, d, q1, ctx) == 1 &&
              BN_mod_inverse(v[7], q, p, ctx) != NULL;
    BN_CTX_end(ctx);
    return ok;
}

static EVP_PKEY *assemble(BIGNUM *const v[8])
{
    static const char *const names[8] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    bool ok = ctx != NULL && b != NULL && EVP_PKEY_fromdata_init(ctx) == 1;
    for (size_t i = 0; ok && i < 8; i++)
        ok = OSSL_PARAM_BLD_push_BN(b, names[i], v[i]) == 1;
    OSSL_PARAM *params = ok ? OSSL_PARAM_BLD_to_param(b) : NULL;
    if (params == NULL || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

EVP_PKEY *kw_launch_key(void)
{
    static struct search s; /* large */
    EVP_PKEY *key = NULL;
    BIGNUM *v[8];
    bool ok = true;
    s.ctx = BN_CTX_new();
    s.minus_one = BN_new();
    s.power = BN_new();
    s.mont = BN_MONT_CTX_new();
    for (size_t i = 0; i < 8; i++)
        ok = (v[i] = BN_new()) != NULL && ok;
    if (ok && s.ctx != NULL && s.minus_one != NULL && s.power != NULL && s.mont != NULL) {
        find_small(&s);
        ok = find_prime(&s, v[3]) && find_prime(&s, v[4]) && BN_cmp(v[3], v[4]) != 0;
        key = ok && compute(s.ctx, v) ? assemble(v) : NULL;
    }
    for (size_t i = 0; i < 8; i++)
        BN_free(v[i]);
    BN_MONT_CTX_free(s.mont);
    BN_free(s.power);
    BN_free(s.minus_one);
    BN_CTX_free(s.ctx);
    return key;
}
