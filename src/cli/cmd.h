/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: one table of commands with their options. Parser, --help and
 * man page come from it (help.c, man.c), so that they can't disagree.
 */
#ifndef KW_CMD_H
#define KW_CMD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "src/base/err.h"
#include "src/config/config.h"

struct kw_cli {
    const char *config_path; /* --config, NULL if not given */
    const char *profile;     /* --profile, NULL if not given */
    bool json;
    int verbosity;
};

struct kw_option {
    const char *name; /* long name without dashes */
    char letter;      /* '\0' for none */
    const char *arg;  /* name of the argument in help, NULL for a flag */
    const char *help;
};

/* What a command was given: value of option i of its table (last one wins; "" for a
 * flag; NULL: not given), and the operands. Options with repeat lists are read by
 * kw_args_each(). */
struct kw_args {
    const struct kw_option *options;
    const char *values[64];
    int argc; /* as given, for repeated options */
    char **argv;
    int n_operands;
    char **operands;
};

const char *kw_arg(const struct kw_args *a, const char *name); /* NULL: not given */
/* Steps through all values of a repeatable option: start with *pos = 0; NULL at end. */
const char *kw_args_each(const struct kw_args *a, const char *name, int *pos);

struct kw_command {
    const char *name;
    const char *operands; /* in the synopsis: "METHOD URL" */
    int min_operands, max_operands;
    const char *summary;             /* one line */
    const char *text;                /* paragraphs for --help and man page */
    const struct kw_option *options; /* ended by a NULL name; NULL for none */
    /* Does it. Results to stdout, all else to stderr. Returns 0 or an exit code with
     * *err filled (main prints it). */
    int (*run)(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err);
    bool takes_command; /* operands are all that follows "--", which must be there */
};

/* One per file src/cmd_NAME.c; the list is in main.c. */
extern const struct kw_command kw_cmd_exchange, kw_cmd_request, kw_cmd_sign, kw_cmd_claims,
    kw_cmd_doctor, kw_cmd_selftest, kw_cmd_policy, kw_cmd_keys, kw_cmd_audit, kw_cmd_issue,
    kw_cmd_jwks, kw_cmd_run, kw_cmd_agent, kw_cmd_setup, kw_cmd_revoke;

/* NULL-ended list of all commands, in the order of the help text. */
extern const struct kw_command *const kw_commands[];

/* help.c: `keyward --help` and `keyward COMMAND --help`. */
void kw_help(FILE *out);
void kw_help_command(FILE *out, const struct kw_command *c);
extern const char kw_description[];
const char *kw_exit_meaning(int code); /* NULL: there is no such exit code */
void kw_option_name(const struct kw_option *o, char *text, size_t size); /* "-d, --data=DATA" */

/* man.c: keyward(1) (`--help man`) and a completion script (`--help bash`); the build makes
 * files of them. */
void kw_help_man(FILE *out);
void kw_help_bash(FILE *out);

/* Reads the configuration for a command: kw_config_load() with the global options. */
int kw_cli_config(const struct kw_cli *cli, struct kw_config *c, struct kw_err *err);

/* --json: hands over (also on error) the one object that main prints when the command is
 * done. A failure, also a later one, becomes its member "error", so that whatever happens
 * one object comes out. o NULL (json_pack() fails on bytes that are no UTF-8): KW_FAILED. */
int kw_cli_result(json_t *o, struct kw_err *err);
json_t *kw_cli_take_result(void); /* main's; NULL: there is none */

#endif
