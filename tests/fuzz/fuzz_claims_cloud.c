/* SPDX-License-Identifier: Apache-2.0
 *
 * What `claims` makes of a provider and of rules: from the configuration, from options and
 * from gcloud's JSON. Input: lines up to an empty one, "!KEY VALUE" for the configuration
 * and "OPTION VALUE" for options; then the provider's JSON (if there is any) up to a NUL,
 * and the claims of a token. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/claims/claims_cloud.h"
#include "src/cli/args.h"

const struct kw_command *const kw_commands[] = {&kw_cmd_claims, NULL};

enum { OPTIONS = 16, NOW = 1765000000 };

static char words[2 * OPTIONS + 2][8192], *argv[2 * OPTIONS + 3];
static int argc;

/* A line of the configuration more, where it has several. */
static void put_line(char *to, size_t size, const char *text)
{
    size_t n = strlen(to);
    if (strchr(text, '=') != NULL && n + strlen(text) + 2 < size)
        (void)snprintf(to + n, size - n, "%s\n", text);
}

static void set(struct kw_config *c, const char *text)
{
    const struct {
        const char *key;
        char *to;
        size_t size;
        bool lines;
    } keys[] = {
        {"provider ", c->provider, sizeof c->provider, false},
        {"mapping ", c->attribute_mapping, sizeof c->attribute_mapping, true},
        {"condition ", c->attribute_condition, sizeof c->attribute_condition, false},
        {"audiences ", c->allowed_audiences, sizeof c->allowed_audiences, false},
        {"issuer ", c->issuer_uri, sizeof c->issuer_uri, false},
        {"members ", c->members, sizeof c->members, false},
        {"rule ", c->oci_rules, sizeof c->oci_rules, true},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *value = text + strlen(keys[i].key);
        if (strncmp(text, keys[i].key, strlen(keys[i].key)) != 0)
            continue;
        if (keys[i].lines)
            put_line(keys[i].to, keys[i].size, value);
        else
            (void)snprintf(keys[i].to, keys[i].size, "%s", value);
    }
}

static void add(const char *word)
{
    (void)snprintf(words[argc], sizeof words[0], "%s", word);
    argv[argc] = words[argc];
    argc++;
}

/* Files are none of the input's business. */
static void add_option(const char *text)
{
    static const char *const known[] = {"provider", "mapping", "condition", "issuer",
                                        "audience", "member",  "oci-rule"};
    char option[32];
    const char *blank = strchr(text, ' ');
    for (size_t i = 0; blank != NULL && i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == (size_t)(blank - text) &&
            strncmp(text, known[i], (size_t)(blank - text)) == 0 && argc < 2 * OPTIONS - 2) {
            (void)snprintf(option, sizeof option, "--%s", known[i]);
            add(option);
            add(blank + 1);
        }
}

static size_t take_lines(struct kw_config *c, const char *p, size_t n)
{
    static char line[8192];
    size_t at = 0;
    while (at < n && p[at] != '\n') {
        const char *end = memchr(p + at, '\n', n - at);
        size_t len = end != NULL ? (size_t)(end - p) - at : n - at;
        (void)snprintf(line, sizeof line, "%.*s", (int)len, p + at);
        if (line[0] == '!')
            set(c, line + 1);
        else
            add_option(line);
        at += len + (end != NULL ? 1 : 0);
    }
    return at < n ? at + 1 : n;
}

static void explain(struct kw_claims_clouds *k, const char *claims, size_t n)
{
    struct kw_jwt j;
    struct kw_err err = {0}, refusal = {0};
    bool paused = fault_pause();
    int r = kw_jwt_claims(claims, n, "it", KW_SUBJECT, &j, &err);
    fault_resume(paused);
    if (r != 0)
        return;
    r = kw_claims_explain(k, &j, NOW, &err);
    must(r == 0 || (r == KW_FAILED && err.text[0] != '\0'));
    if (r == 0) {
        const char *v = kw_claims_verdict(k, &refusal);
        bool refused = strcmp(v, "refused") == 0;
        must(refused || strcmp(v, "unknown") == 0 || strcmp(v, "accepted") == 0);
        must(refused == (refusal.code == KW_POLICY && refusal.text[0] != '\0'));
    }
    kw_jwt_free(&j);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_config c;
    struct kw_claims_clouds k = {0};
    struct kw_cli cli = {0};
    struct kw_args args;
    struct kw_err err = {0};
    const struct kw_command *command = NULL;
    char path[64];
    fault_seed(data, &size);
    memset(&c, 0, sizeof c);
    argc = 0;
    add("keyward");
    add("claims");
    size_t at = take_lines(&c, (const char *)data, size);
    const char *rest = (const char *)data + at;
    const char *nul = memchr(rest, '\0', size - at);
    int fd = memfd_create("provider", MFD_CLOEXEC);
    must(fd >= 0);
    if (nul != NULL) {
        must(pwrite(fd, rest, (size_t)(nul - rest), 0) == nul - rest);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        add("--provider-json");
        add(path);
        rest = nul + 1;
    }
    argv[argc] = NULL;
    if (kw_args_parse(argc, argv, &cli, &command, &args, &err) == 0) {
        fault_begin();
        int r = kw_claims_prepare(&c, &args, &k, &err);
        if (r == 0)
            explain(&k, rest, (size_t)((const char *)data + size - rest));
        bool hit = fault_end();
        must(r == 0 || (err.text[0] != '\0' && (r == KW_USAGE || (hit && r == KW_FAILED))));
        kw_claims_free(&k);
    }
    (void)close(fd);
    return 0;
}
