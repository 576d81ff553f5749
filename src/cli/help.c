/* SPDX-License-Identifier: Apache-2.0
 *
 * --help from the same tables as the parser; man.c has the man page. */
#include <string.h>

#include "args.h"

const char kw_description[] =
    "keyward trades a CI job's identity token (a JWT) for an Oracle Cloud session whose RSA key is "
    "made in a PKCS#11 token and never leaves it, and signs API requests through the module; or "
    "for an access token of Google Cloud, which it adds to requests. The network is spoken by a "
    "separate sandboxed process that holds no key and no PIN.";

/* By code. */
static const char *const exits[] = {
    "done",
    "failed for another reason",
    "usage or configuration",
    "token (module, slot, key)",
    "PIN refused or locked: never restart on it",
    "subject token could not be had",
    "refused by our own policy",
    "refused by the cloud, or its answer can't be trusted",
    "network or temporary: worth a retry",
    "sandbox violated or unavailable",
};

const char *kw_exit_meaning(int code)
{
    return code >= 0 && (size_t)code < sizeof exits / sizeof exits[0] ? exits[code] : NULL;
}

/* Prints text wrapped at 78 columns behind an indent; "\n" in text starts a line. */
static void wrap(FILE *out, const char *text, int indent)
{
    int column = 0;
    while (*text != '\0') {
        if (*text == '\n') {
            (void)fputc('\n', out);
            column = 0;
            text++;
            continue;
        }
        if (*text == ' ' && column > 0) {
            text++;
            continue;
        }
        int n = (int)strcspn(text, " \n");
        if (column == 0 && n == 0) { /* leading blanks of a preformatted line */
            (void)fprintf(out, "%*s", indent, "");
            n = (int)strcspn(text, "\n");
            (void)fprintf(out, "%.*s", n, text);
            column = 1;
        } else {
            if (column > 0 && column + 1 + n > 78) {
                (void)fputc('\n', out);
                column = 0;
            }
            if (column == 0)
                column = indent + fprintf(out, "%*s%.*s", indent, "", n, text) - indent;
            else
                column += fprintf(out, " %.*s", n, text);
        }
        text += n;
    }
    (void)fputc('\n', out);
}

void kw_option_name(const struct kw_option *o, char *text, size_t size)
{
    int n = 0;
    if (o->letter != '\0')
        n = snprintf(text, size, "-%c, ", o->letter);
    (void)snprintf(text + n, size - (size_t)n, "--%s%s%s", o->name, o->arg != NULL ? "=" : "",
                   o->arg != NULL ? o->arg : "");
}

static void print_options(FILE *out, const struct kw_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char name[96];
        kw_option_name(options, name, sizeof name);
        (void)fprintf(out, "  %s\n", name);
        wrap(out, options->help, 6);
    }
}

void kw_help(FILE *out)
{
    (void)fprintf(out, "usage: keyward [OPTION]... COMMAND [ARGUMENT]...\n\n");
    wrap(out, kw_description, 0);
    (void)fprintf(out, "\ncommands (keyward COMMAND --help tells more)\n");
    for (size_t i = 0; kw_commands[i] != NULL; i++)
        (void)fprintf(out, "  %-10s %s\n", kw_commands[i]->name, kw_commands[i]->summary);
    (void)fprintf(out, "\noptions of every command\n");
    print_options(out, kw_global_options);
    (void)fprintf(out, "\nkeyward --help config lists every key of the configuration.\n");
    (void)fprintf(out, "\nexit codes\n");
    for (int code = 0; kw_exit_meaning(code) != NULL; code++)
        (void)fprintf(out, "  %d  %s\n", code, kw_exit_meaning(code));
}

void kw_help_command(FILE *out, const struct kw_command *c)
{
    (void)fprintf(out, "usage: keyward [OPTION]... %s [OPTION]...%s%s\n\n", c->name,
                  c->operands[0] != '\0' ? " " : "", c->operands);
    wrap(out, c->text, 0);
    if (c->options != NULL && c->options[0].name != NULL) {
        (void)fprintf(out, "\noptions\n");
        print_options(out, c->options);
    }
    (void)fprintf(out, "\noptions of every command\n");
    print_options(out, kw_global_options);
    (void)fprintf(out, "\nkeyward --help lists the exit codes, keyward --help config the keys of "
                       "the configuration.\n");
}
