/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the PKCS#11 layer share: a SoftHSM with the tokens "one" and "two"
 * (PIN 1234) in a scratch directory, and modules loaded through the spy (spy.c), which
 * counts calls and misbehaves. Functions fail the running test where they can't do
 * their work.
 */
#ifndef KW_P11_FIXTURE_H
#define KW_P11_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkcs11/p11.h"

extern char conf[300], calls[300];   /* SoftHSM's configuration, the spy's log */
extern struct kw_m_keeper_start cfg; /* of the next loaded() */

/* For cmocka: the directory with its tokens, and its end; after each test. */
int set_up(void **state);
int tear_down(void **state);
int drop(void **state);

/* Fills cfg, tells the spy what to do, and empties its log. */
void configure(const char *module, const char *label, const char *spy_does);
/* One at a time: loads cfg->module; done() frees it. */
struct kw_p11 *loaded(void);
void done(void);
/* Token "one" through the spy: chosen; and also logged in. */
struct kw_p11 *chosen(const char *spy_does);
struct kw_p11 *ready(const char *spy_does);

int log_in(struct kw_p11 *p, const char *pin, struct kw_err *err);
/* kw_p11_generate() that must succeed. */
void made(struct kw_p11 *p, unsigned bits, bool stored, struct kw_p11_key *k);
/* Calls of a function since configure(); NULL: of all. */
unsigned count(const char *function);
/* SHA-256 over names and contents of all files of the token directory. */
void hash_tokens(unsigned char out[32]);

#endif
