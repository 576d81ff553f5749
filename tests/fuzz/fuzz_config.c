/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration text: whatever it holds, it is taken or refused with a reason, and
 * what is taken keeps its promises: printed plainly it is taken as the same. A first line
 * "#profile NAME" chooses a profile; lines after a line "#env" are environment variables. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/base/io.h"
#include "src/config/config_keys.h"

static void told(int r, const struct kw_err *err)
{
    must(r == 0 || (r == KW_USAGE && (int)err->code == r && err->text[0] != '\0'));
}

/* What commands ask of it for Google, and as an issuer. */
static void check_google(const struct kw_config *c)
{
    static const char *const names[] = {NULL, "oci", "google", "other"};
    static const char *const hosts[] = {"a.oraclecloud.com", "compute.googleapis.com", "a.test"};
    static struct kw_config copy;
    struct kw_err err = {0};
    char audience[1024];
    told(kw_config_check_google(c, &err), &err);
    told(kw_config_check_issuer(c, &err), &err);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        copy = *c;
        told(kw_config_choose_cloud(&copy, names[i], &err), &err);
        kw_config_audience(&copy, audience, sizeof audience);
        must(strlen(audience) < sizeof audience);
    }
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        copy = *c;
        told(kw_config_cloud_of_host(&copy, hosts[i], &err), &err);
    }
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
    check_google(c);
}

/* All that was read, written in the plainest way, reads as the same: parse(print(x)) = x. */
static void reprint(const struct kw_ini *ini)
{
    static struct kw_ini again;
    struct kw_buf b;
    struct kw_err err;
    kw_buf_init(&b, (size_t)4 * KW_INI_BYTES);
    size_t at = 0;
    for (size_t s = 0; s < ini->n_sections; s++) {
        kw_put_str(&b, "[");
        kw_put_str(&b, ini->sections[s].name);
        kw_put_str(&b, "]\n");
        for (; at < ini->n && strcmp(ini->entries[at].section, ini->sections[s].name) == 0; at++) {
            kw_put_str(&b, ini->entries[at].name);
            kw_put_str(&b, " = ");
            kw_put_str(&b, ini->entries[at].value);
            kw_put_str(&b, "\n");
        }
    }
    must(!b.bad && at == ini->n);
    if (b.len <= KW_INI_BYTES) { /* it may be larger than it was */
        must(kw_ini_parse(kw_buf_str(&b), b.len, "fuzz.ini", &again, &err) == 0);
        must(again.n == ini->n && again.n_sections == ini->n_sections);
        for (size_t i = 0; i < ini->n; i++)
            must(strcmp(again.entries[i].section, ini->entries[i].section) == 0 &&
                 strcmp(again.entries[i].name, ini->entries[i].name) == 0 &&
                 strcmp(again.entries[i].value, ini->entries[i].value) == 0);
        kw_ini_free(&again);
    }
    kw_buf_free(&b);
}

enum { VARIABLES = 32 };

/* Cuts the lines after "#env" off; they are NUL-terminated and listed. */
static size_t cut_environment(char *text, size_t size, char *list[VARIABLES + 1])
{
    char *mark = size > 0 ? memmem(text, size, "\n#env\n", 6) : NULL;
    size_t n = 0;
    list[0] = NULL;
    if (mark == NULL)
        return size;
    for (char *p = mark + 6; p < text + size && n < VARIABLES;) {
        char *end = memchr(p, '\n', (size_t)(text + size - p));
        if (end == NULL)
            break;
        *end = '\0';
        list[n++] = p;
        p = end + 1;
    }
    list[n] = NULL;
    return (size_t)(mark + 1 - text);
}

/* The same from a file, and what is wrong with the file itself is refused. */
static void load(const char *text, size_t size, const char *profile, int want)
{
    static struct kw_config c;
    struct kw_err err = {0};
    char path[64];
    bool open_to_all = size > 0 && text[0] == '!';
    int fd = memfd_create("ini", MFD_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    must(fd >= 0 && kw_write_all(fd, text, size) == 0);
    must(fchmod(fd, open_to_all ? 0666 : 0644) == 0);
    fault_begin();
    int r = kw_config_load(&c, path, profile[0] != '\0' ? profile : NULL, &err);
    bool hit = fault_end();
    must(r == 0 || (err.code == (enum kw_exit)r && err.text[0] != '\0'));
    must(hit || open_to_all || want < 0 || r == want);
    must(!open_to_all || r != 0);
    kw_config_free(&c);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_ini ini;
    static struct kw_config config;
    struct kw_err err = {0};
    char profile[64] = "", *list[VARIABLES + 1], *text = malloc(size + 1);
    fault_seed(data, &size);
    must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    size = cut_environment(text, size, list);
    if (size > 9 && memcmp(text, "#profile ", 9) == 0)
        for (size_t i = 9; i < size && i < 60 && text[i] > ' '; i++)
            profile[i - 9] = text[i];
    fault_begin();
    int r = kw_ini_parse(text, size, "fuzz.ini", &ini, &err);
    bool parsed = r == 0;
    if (r == 0)
        r = kw_config_build(&config, &ini, profile[0] != '\0' ? profile : NULL, list, &err);
    bool hit = fault_end();
    load(text, size, profile, hit || list[0] != NULL ? -1 : r);
    if (parsed)
        reprint(&ini);
    kw_ini_free(&ini);
    if (r == 0)
        check(&config);
    else
        must(err.code == (enum kw_exit)r && err.text[0] != '\0');
    free(text);
    return 0;
}
