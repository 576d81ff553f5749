/* SPDX-License-Identifier: Apache-2.0
 *
 * Configurations as text, taken or refused. */
#ifndef KW_TEST_CONFIG_TEXT_H
#define KW_TEST_CONFIG_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/config/config_keys.h"

static struct kw_config config;
static struct kw_err err;

/* Reads text with the profile and environment (NULL: none). */
static inline int build_n(const char *text, size_t n, const char *profile, char *const *env)
{
    static struct kw_ini ini;
    memset(&err, 0, sizeof err);
    int r = kw_ini_parse(text, n, "/t/k.ini", &ini, &err);
    if (r == 0)
        r = kw_config_build(&config, &ini, profile, env, &err);
    kw_ini_free(&ini);
    return r;
}

static inline int build(const char *text, const char *profile)
{
    return build_n(text, strlen(text), profile, NULL);
}

static inline void good(const char *text)
{
    if (build(text, NULL) != 0)
        fail_msg("refused: %s\n%s", err.text, text);
}

/* Refused with all of the words in the error. */
static inline void bad(const char *text, const char *word1, const char *word2)
{
    if (build(text, NULL) != KW_USAGE)
        fail_msg("taken: %s", text);
    if (strstr(err.text, word1) == NULL || strstr(err.text, word2) == NULL)
        fail_msg("'%s' lacks '%s' or '%s'", err.text, word1, word2);
}

#define URI "uri = pkcs11:token=a;serial=b?module-path=/usr/lib/m.so&pin-source=file:/run/pin\n"

#endif
