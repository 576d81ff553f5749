/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward(1), and what bash completes, from the tables of the parser. */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "roff.h"

static void put_options(FILE *out, const struct kw_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char name[96];
        kw_option_name(options, name, sizeof name);
        kw_roff_item(out, name, options->help);
    }
}

static void put_commands(FILE *out)
{
    char title[96];
    for (size_t i = 0; kw_commands[i] != NULL; i++) {
        const struct kw_command *c = kw_commands[i];
        (void)snprintf(title, sizeof title, "%s%s%s", c->name, c->operands[0] != '\0' ? " " : "",
                       c->operands);
        kw_roff_subsection(out, title);
        kw_roff_text(out, c->text);
        put_options(out, c->options);
    }
}

void kw_help_man(FILE *out)
{
    kw_roff_page(out, "keyward", 1, "cloud sessions whose key never leaves the PKCS#11 token");
    kw_roff_section(out, "SYNOPSIS");
    kw_roff_text(out,
                 "keyward [OPTION]... COMMAND [ARGUMENT]...\nkeyward --help [COMMAND | config]");
    kw_roff_section(out, "DESCRIPTION");
    kw_roff_text(out, kw_description);
    kw_roff_section(out, "OPTIONS OF EVERY COMMAND");
    put_options(out, kw_global_options);
    kw_roff_section(out, "COMMANDS");
    put_commands(out);
    kw_roff_section(out, "EXIT STATUS");
    for (int code = 0; kw_exit_meaning(code) != NULL; code++) {
        char tag[16];
        (void)snprintf(tag, sizeof tag, "%d", code);
        kw_roff_item(out, tag, kw_exit_meaning(code));
    }
    kw_roff_section(out, "ENVIRONMENT");
    kw_roff_item(out, "KEYWARD_CONFIG", "the configuration file, where --config names none");
    kw_roff_item(out, "KEYWARD_PROFILE", "the profile, where --profile names none");
    kw_roff_item(out, "KEYWARD_SECTION_KEY",
                 "instead of a key of the configuration; keyward.ini(5) has their names");
    kw_roff_section(out, "FILES");
    kw_roff_item(out, "~/.config/keyward/keyward.ini", "the user's configuration");
    kw_roff_item(out, "/etc/keyward/keyward.ini", "the machine's, where the user has none");
    kw_roff_item(out, "$STATE_DIRECTORY, else $XDG_STATE_HOME/keyward, else ~/.local/state/keyward",
                 "PROFILE.session: the session token of a stored session ([key] storage = token), "
                 "worth nothing without its key");
    kw_roff_section(out, "SEE ALSO");
    kw_roff_text(out, "keyward.ini(5), keyward-lab(1)");
}

static void put_names(FILE *out, const struct kw_option *options)
{
    for (; options != NULL && options->name != NULL; options++)
        (void)fprintf(out, " --%s", options->name);
}

void kw_help_bash(FILE *out)
{
    (void)fputs("# bash completion for keyward: made by `keyward --help bash`\n"
                "_keyward() {\n"
                "    local word words='' command=''\n"
                "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                "        case $word in\n        ",
                out);
    for (size_t i = 0; kw_commands[i] != NULL; i++)
        (void)fprintf(out, "%s%s", i > 0 ? " | " : "", kw_commands[i]->name);
    (void)fputs(") command=${command:-$word} ;;\n        esac\n    done\n    case $command in\n",
                out);
    (void)fputs("    '') words='", out);
    for (size_t i = 0; kw_commands[i] != NULL; i++)
        (void)fprintf(out, "%s%s", i > 0 ? " " : "", kw_commands[i]->name);
    (void)fputs("' ;;\n", out);
    for (size_t i = 0; kw_commands[i] != NULL; i++) {
        (void)fprintf(out, "    %s) words='", kw_commands[i]->name);
        put_names(out, kw_commands[i]->options);
        (void)fputs("' ;;\n", out);
    }
    (void)fputs("    esac\n    words+='", out);
    put_names(out, kw_global_options);
    (void)fputs(
        "'\n"
        "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
        "}\n"
        "complete -o default -F _keyward keyward\n",
        out);
}
