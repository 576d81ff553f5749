/* SPDX-License-Identifier: Apache-2.0
 *
 * Command line parsing from the command table: GNU style long options (with
 * unambiguous abbreviation refused: scripts must not break when an option is added),
 * "--" ends options, global options before or after the command.
 */
#ifndef KW_ARGS_H
#define KW_ARGS_H

#include "cmd.h"

/* The options that every command takes (--config, --profile, --json, -v, --help). */
extern const struct kw_option kw_global_options[];

/* Parses. *command is NULL when --help or --version was asked for and printed. */
int kw_args_parse(int argc, char **argv, struct kw_cli *cli, const struct kw_command **command,
                  struct kw_args *args, struct kw_err *err);

#endif
