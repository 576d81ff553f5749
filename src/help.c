/* SPDX-License-Identifier: Apache-2.0
 *
 * --help and the man page from the same tables as the parser. */
#include <string.h>

#include "args.h"

static const char description[] =
    "keyward trades a CI job's identity token (a JWT) for an Oracle Cloud session whose RSA key is "
    "made in a PKCS#11 token and never leaves it; API requests are signed through the module. The "
    "network is spoken by a separate sandboxed process that holds no key and no PIN.";

static const struct {
    int code;
    const char *meaning;
} exits[] = {
    {0, "done"},
    {1, "failed for another reason"},
    {2, "usage or configuration"},
    {3, "token (module, slot, key)"},
    {4, "PIN refused or locked: never restart on it"},
    {5, "subject token could not be had"},
    {6, "refused by our own policy"},
    {7, "refused by the cloud, or its answer can't be trusted"},
    {8, "network or temporary: worth a retry"},
    {9, "sandbox violated or unavailable"},
};
enum { N_EXITS = sizeof exits / sizeof exits[0] };

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

static void option_name(const struct kw_option *o, char *text, size_t size)
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
        option_name(options, name, sizeof name);
        (void)fprintf(out, "  %s\n", name);
        wrap(out, options->help, 6);
    }
}

void kw_help(FILE *out)
{
    (void)fprintf(out, "usage: keyward [OPTION]... COMMAND [ARGUMENT]...\n\n");
    wrap(out, description, 0);
    (void)fprintf(out, "\ncommands (keyward COMMAND --help tells more)\n");
    for (size_t i = 0; kw_commands[i] != NULL; i++)
        (void)fprintf(out, "  %-10s %s\n", kw_commands[i]->name, kw_commands[i]->summary);
    (void)fprintf(out, "\noptions of every command\n");
    print_options(out, kw_global_options);
    (void)fprintf(out, "\nkeyward --help config lists every key of the configuration.\n");
    (void)fprintf(out, "\nexit codes\n");
    for (size_t i = 0; i < N_EXITS; i++)
        (void)fprintf(out, "  %d  %s\n", exits[i].code, exits[i].meaning);
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

/* roff: a leading dot or quote is a request, a backslash and a dash need escapes. */
static void roff(FILE *out, const char *text)
{
    bool line_start = true;
    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            (void)fputs("\\&", out);
        if (*text == '\\')
            (void)fputs("\\e", out);
        else if (*text == '-')
            (void)fputs("\\-", out);
        else
            (void)fputc(*text, out);
        line_start = *text == '\n';
    }
    (void)fputc('\n', out);
}

static void roff_options(FILE *out, const struct kw_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char name[96];
        option_name(options, name, sizeof name);
        (void)fputs(".TP\n", out);
        roff(out, name);
        roff(out, options->help);
    }
}

void kw_help_man(FILE *out)
{
    (void)fprintf(out, ".TH KEYWARD 1 \"\" \"keyward %s\"\n.SH NAME\n", KW_VERSION);
    roff(out, "keyward - cloud sessions whose key never leaves the PKCS#11 token");
    (void)fputs(".SH SYNOPSIS\n", out);
    roff(out, "keyward [OPTION]... COMMAND [ARGUMENT]...");
    (void)fputs(".SH DESCRIPTION\n", out);
    roff(out, description);
    (void)fputs(".SH OPTIONS OF EVERY COMMAND\n", out);
    roff_options(out, kw_global_options);
    (void)fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; kw_commands[i] != NULL; i++) {
        (void)fprintf(out, ".SS %s %s\n", kw_commands[i]->name, kw_commands[i]->operands);
        (void)fputs(".nf\n", out);
        roff(out, kw_commands[i]->text);
        (void)fputs(".fi\n", out);
        roff_options(out, kw_commands[i]->options);
    }
    (void)fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < N_EXITS; i++)
        (void)fprintf(out, ".TP\n%d\n%s\n", exits[i].code, exits[i].meaning);
    (void)fputs(".SH CONFIGURATION\n.nf\n", out);
    kw_config_print_help(out);
    (void)fputs(".fi\n", out);
}
