/* SPDX-License-Identifier: Apache-2.0
 *
 * Command lines, words separated by NUL: parsed or refused with one line; what is taken
 * came from the line, and the repeated reading of options sees the same as the first. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/cli/args.h"

const struct kw_command *const kw_commands[] = {
    &kw_cmd_exchange, &kw_cmd_request, &kw_cmd_sign, &kw_cmd_claims, &kw_cmd_doctor,
    &kw_cmd_selftest, &kw_cmd_policy,  &kw_cmd_keys, &kw_cmd_audit,  NULL,
};

enum { WORDS = 64 };

static void check(const struct kw_command *c, const struct kw_args *a, const char *from,
                  size_t size)
{
    must(a->n_operands >= c->min_operands && a->n_operands <= c->max_operands);
    for (int i = 0; i < a->n_operands; i++)
        must(a->operands[i] >= from && a->operands[i] < from + size);
    for (size_t i = 0; c->options != NULL && c->options[i].name != NULL; i++) {
        const char *name = c->options[i].name, *last = NULL, *value;
        int pos = 0;
        while ((value = kw_args_each(a, name, &pos)) != NULL)
            last = value;
        const char *once = kw_arg(a, name); /* the last one wins */
        must((once == NULL) == (last == NULL) && (once == NULL || strcmp(once, last) == 0));
    }
}

/* Help goes to standard output, which is not what is looked at here. */
static int quietly(int argc, char **argv, struct kw_cli *cli, const struct kw_command **c,
                   struct kw_args *args, struct kw_err *err)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out = dup(STDOUT_FILENO);
    must(null >= 0 && out >= 0 && fflush(stdout) == 0 && dup2(null, STDOUT_FILENO) >= 0);
    int r = kw_args_parse(argc, argv, cli, c, args, err);
    must(fflush(stdout) == 0 && dup2(out, STDOUT_FILENO) >= 0);
    (void)close(null);
    (void)close(out);
    return r;
}

/* Help was asked for, and the answer is all that there is to do. */
static bool answered(char **argv, int argc)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    fault_seed(data, &size); /* nothing in it can fail */
    char *text = malloc(size + 1), *argv[WORDS + 2], name[] = "keyward";
    int argc = 0;
    must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    argv[argc++] = name;
    for (size_t at = 0; at < size && argc <= WORDS; at += strlen(text + at) + 1)
        argv[argc++] = text + at;
    argv[argc] = NULL;
    struct kw_cli cli = {0};
    struct kw_args args;
    struct kw_err err = {0};
    const struct kw_command *c = NULL;
    int r = quietly(argc, argv, &cli, &c, &args, &err);
    must((r == 0) == (c != NULL) || (r == 0 && answered(argv, argc)));
    must(r == 0 || (r == KW_USAGE && err.text[0] != '\0'));
    must(strpbrk(err.text, "\n\r\x1b") == NULL);
    if (c != NULL)
        check(c, &args, text, size);
    free(text);
    return 0;
}
