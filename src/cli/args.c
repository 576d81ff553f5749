/* SPDX-License-Identifier: Apache-2.0
 *
 * Own parser, because getopt_long() accepts abbreviations, reorders operands, prints
 * its own messages, and knows nothing of commands. */
#include "args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 64 };

const struct kw_option kw_global_options[] = {
    {"config", '\0', "FILE", "read this configuration file (see keyward --help config)"},
    {"profile", '\0', "NAME", "use [oci NAME], [google NAME] and [policy NAME]"},
    {"json", '\0', NULL, "print one JSON object instead of text"},
    {"verbose", 'v', NULL, "say what is done; twice: say more (never a secret)"},
    {"help", '\0', NULL, "print help and exit"},
    {"version", '\0', NULL, "print the version and exit"},
    {NULL, '\0', NULL, NULL},
};

static int index_of(const struct kw_option *options, const char *name, size_t n, char letter)
{
    for (int i = 0; options != NULL && options[i].name != NULL; i++)
        if (letter != '\0' ? options[i].letter == letter
                           : strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return i;
    return -1;
}

const char *kw_arg(const struct kw_args *a, const char *name)
{
    int i = index_of(a->options, name, strlen(name), '\0');
    return i >= 0 ? a->values[i] : NULL;
}

/* One option as given at argv[*pos]: which table, which index, its value. Advances
 * *pos past it. */
struct given {
    const struct kw_option *table;
    int index;
    const char *value;
};

static int bad(struct kw_err *err, const char *what, const char *arg)
{
    /* of an option only its name: `--pin=1234` is unknown, and nobody else's business */
    size_t n = strlen(arg);
    if (arg[0] == '-' && arg[1] != '\0')
        n = arg[1] == '-' ? strcspn(arg, "=") : 2;
    return kw_fail(err, KW_USAGE, "%s %.*s; see keyward --help", what, (int)(n < 256 ? n : 256),
                   arg);
}

static int read_option(int argc, char **argv, int *pos, const struct kw_option *own,
                       struct given *g, struct kw_err *err)
{
    const char *arg = argv[*pos], *value = NULL;
    bool is_long = arg[1] == '-';
    const char *name = arg + (is_long ? 2 : 1);
    size_t n = is_long ? strcspn(name, "=") : 1;
    char letter = is_long ? '\0' : name[0];
    if (name[n] != '\0')
        value = is_long ? name + n + 1 : name + n;
    g->table = own;
    g->index = own != NULL ? index_of(own, name, n, letter) : -1;
    if (g->index < 0) {
        g->table = kw_global_options;
        g->index = index_of(kw_global_options, name, n, letter);
    }
    if (g->index < 0)
        return bad(err, "unknown option", arg);
    (*pos)++;
    const struct kw_option *o = &g->table[g->index];
    if (o->arg == NULL) {
        if (value != NULL && !(letter == 'v' && strspn(value, "v") == strlen(value)))
            return bad(err, "this option takes no value:", arg);
        g->value = value != NULL ? value : "";
        return 0;
    }
    if (value == NULL) {
        if (*pos >= argc)
            return bad(err, "a value is missing after", arg);
        value = argv[(*pos)++];
    }
    g->value = value;
    return 0;
}

const char *kw_args_each(const struct kw_args *a, const char *name, int *pos)
{
    int wanted = index_of(a->options, name, strlen(name), '\0');
    struct given g;
    while (*pos < a->argc) {
        const char *arg = a->argv[*pos];
        if (strcmp(arg, "--") == 0)
            return NULL;
        if (arg[0] != '-' || arg[1] == '\0') {
            (*pos)++;
            continue;
        }
        if (read_option(a->argc, a->argv, pos, a->options, &g, NULL) != 0)
            return NULL;
        if (g.table == a->options && g.index == wanted)
            return g.value;
    }
    return NULL;
}

static const struct kw_command *find_command(const char *name)
{
    for (size_t i = 0; kw_commands[i] != NULL; i++)
        if (strcmp(kw_commands[i]->name, name) == 0)
            return kw_commands[i];
    return NULL;
}

enum asked { NOTHING, HELP, VERSION };

static enum asked take_global(const struct given *g, struct kw_cli *cli)
{
    const char *name = g->table[g->index].name;
    if (strcmp(name, "config") == 0)
        cli->config_path = g->value;
    else if (strcmp(name, "profile") == 0)
        cli->profile = g->value;
    else if (strcmp(name, "json") == 0)
        cli->json = true;
    else if (strcmp(name, "verbose") == 0)
        cli->verbosity += 1 + (int)strlen(g->value);
    else
        return strcmp(name, "help") == 0 ? HELP : VERSION;
    return NOTHING;
}

static int answer(enum asked asked, const struct kw_command *c, const char *topic,
                  struct kw_err *err)
{
    if (asked == VERSION)
        (void)printf("keyward %s\n", KW_VERSION);
    else if (c != NULL)
        kw_help_command(stdout, c);
    else if (topic == NULL)
        kw_help(stdout);
    else if (strcmp(topic, "config") == 0)
        kw_config_print_help(stdout);
    else if (strcmp(topic, "man") == 0)
        kw_help_man(stdout);
    else if (strcmp(topic, "man-config") == 0)
        kw_config_print_man(stdout);
    else if (strcmp(topic, "bash") == 0)
        kw_help_bash(stdout);
    else
        return bad(err, "no help on", topic);
    return 0;
}

static int check_operands(const struct kw_command *c, const struct kw_args *a, struct kw_err *err)
{
    if (a->n_operands < c->min_operands)
        return kw_fail(err, KW_USAGE, "keyward %s needs %s; see keyward %s --help", c->name,
                       c->operands, c->name);
    if (a->n_operands > c->max_operands)
        return kw_fail(err, KW_USAGE, "keyward %s: unexpected operand %s; see keyward %s --help",
                       c->name, a->operands[c->max_operands], c->name);
    return 0;
}

int kw_args_parse(int argc, char **argv, struct kw_cli *cli, const struct kw_command **command,
                  struct kw_args *args, struct kw_err *err)
{
    static char *operands[8];
    *args = (struct kw_args){.operands = operands};
    *command = NULL;
    const struct kw_command *c = NULL;
    enum asked asked = NOTHING;
    const char *topic = NULL;
    bool options = true;
    for (int pos = 1; pos < argc;) {
        char *arg = argv[pos];
        if (options && strcmp(arg, "--") == 0) {
            options = false;
            pos++;
            if (c != NULL && c->takes_command && args->n_operands == 0) {
                args->operands = argv + pos; /* ended by NULL */
                args->n_operands = argc - pos;
                break;
            }
        } else if (options && arg[0] == '-' && arg[1] != '\0') {
            struct given g;
            int r = read_option(argc, argv, &pos, c != NULL ? c->options : NULL, &g, err);
            if (r != 0)
                return r;
            if (g.table == kw_global_options) {
                enum asked a = take_global(&g, cli);
                asked = a != NOTHING ? a : asked;
            } else if (g.index < MAX_OPTIONS)
                args->values[g.index] = g.value;
            else /* a table that outgrew kw_args: never ignored */
                return bad(err, "no room for the option", arg);
        } else if (asked == HELP && c == NULL) {
            topic = arg;
            c = find_command(arg);
            pos++;
        } else if (c == NULL) {
            c = find_command(arg);
            if (c == NULL)
                return bad(err, "unknown command", arg);
            args->options = c->options;
            args->argc = options ? argc - pos - 1 : 0; /* behind "--" there are none */
            args->argv = argv + pos + 1;
            pos++;
        } else {
            if (c->takes_command)
                return kw_fail(err, KW_USAGE,
                               "put -- before the command to be run, as in keyward %s -- %s",
                               c->name, arg);
            if (args->n_operands == (int)(sizeof operands / sizeof operands[0]))
                return bad(err, "unexpected operand", arg);
            operands[args->n_operands++] = arg;
            pos++;
        }
    }
    if (asked != NOTHING)
        return answer(asked, c, topic, err);
    if (c == NULL)
        return kw_fail(err, KW_USAGE, "no command given; see keyward --help");
    int r = check_operands(c, args, err);
    if (r == 0)
        *command = c;
    return r;
}
