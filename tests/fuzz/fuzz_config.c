/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration text: whatever it holds, it is taken or refused with a reason, and
 * what is taken keeps its promises. A first line "#profile NAME" chooses a profile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/config_keys.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct kw_config *c)
{
    char uri[4096];
    must(c->timeout_s >= 1 && c->timeout_s <= 600 && c->token_sessions >= 1);
    must(c->key_bits == 2048 || c->key_bits == 3072 || c->key_bits == 4096);
    must(c->domain_url[0] == '\0' || strncmp(c->domain_url, "https://", 8) == 0);
    must(c->ca_file[0] == '\0' || c->ca_file[0] == '/');
    must(strstr(c->sign_host, "**") == NULL && strcmp(c->sign_host, "*") != 0);
    must(c->n_rules <= KW_CLAIM_RULES);
    must(!c->token_set || c->token_uri.module_path[0] == '/');
    must(!c->token_set || kw_uri_print(&c->token_uri, uri, sizeof uri));
    struct kw_err err = {0};
    if (kw_config_check_oci(c, &err) != 0)
        must(err.code == KW_USAGE && err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_ini ini;
    static struct kw_config config;
    struct kw_err err = {0};
    char profile[64] = "";
    const char *text = (const char *)data;
    if (size > 9 && memcmp(text, "#profile ", 9) == 0)
        for (size_t i = 9; i < size && i < 60 && text[i] > ' '; i++)
            profile[i - 9] = text[i];
    int r = kw_ini_parse(text, size, "fuzz.ini", &ini, &err);
    if (r == 0)
        r = kw_config_build(&config, &ini, profile[0] != '\0' ? profile : NULL, NULL, &err);
    kw_ini_free(&ini);
    if (r == 0)
        check(&config);
    else
        must(err.code == (enum kw_exit)r && err.text[0] != '\0');
    return 0;
}
