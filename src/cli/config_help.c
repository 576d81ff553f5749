/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration's reference, printed from the table of keys.
 */
#include <stdio.h>
#include <string.h>

#include "roff.h"
#include "src/config/config_keys.h"

enum { INDENT = 6, WIDTH = 78 };

static const char intro[] =
    "keyward.ini is read from --config, else $KEYWARD_CONFIG, else ~/.config/keyward/keyward.ini, "
    "else /etc/keyward/keyward.ini; never from the working directory. It must be a regular file "
    "that is yours or root's and that nobody else can write. It holds no secrets: it says where to "
    "read them. Unknown sections and keys, keys given twice and values out of bounds are errors. "
    "A line is a [section], name = value, or a comment that begins with ';' or '#'. A comment may "
    "follow a value as ' ; text' (space on both sides); a ';' without a space before it belongs to "
    "the value, as in a PKCS#11 URI.";
static const char profiles[] =
    "[oci NAME], [google NAME] and [policy NAME] make the profile NAME. It is chosen by --profile, "
    "else "
    "$KEYWARD_PROFILE, else it is the one named default, else the only one.";
static const char variables[] = "The variable under a key overrides the file; those of [oci], "
                                "[google] and [policy] apply to the chosen "
                                "profile.";

static void wrap(FILE *out, const char *text, int indent)
{
    int column = 0;
    for (const char *p = text; *p != '\0';) {
        int n = (int)strcspn(p, " ");
        if (column > 0 && column + 1 + n > WIDTH) {
            (void)fputc('\n', out);
            column = 0;
        }
        column += fprintf(out, "%*s%.*s", column == 0 ? indent : 1, "", n, p);
        p += (size_t)n + strspn(p + n, " ");
    }
    (void)fputc('\n', out);
}

/* Bounds, choices and default; "" if there are none. */
static void values(const struct kw_key *k, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    if (k->kind == KW_K_U32)
        n = (size_t)snprintf(text, size, "%u..%u", k->min, k->max);
    for (const struct kw_choice *o = k->choices; o != NULL && o->word != NULL; o++)
        if (n < size)
            n +=
                (size_t)snprintf(text + n, size - n, "%s%s", o == k->choices ? "" : " | ", o->word);
    if (k->dflt != NULL && n < size)
        (void)snprintf(text + n, size - n, "%sdefault: %s", n > 0 ? "; " : "", k->dflt);
}

static const char *name_of(const struct kw_key *k, char *text, size_t size)
{
    bool prefix = k->name[strlen(k->name) - 1] == '.';
    (void)snprintf(text, size, "%s%s", k->name, prefix ? "NAME" : "");
    return text;
}

static void print_key(FILE *out, const struct kw_key *k)
{
    char variable[128], text[512];
    (void)fprintf(out, "\n  %s\n", name_of(k, text, sizeof text));
    wrap(out, k->help, INDENT);
    values(k, text, sizeof text);
    if (text[0] != '\0')
        wrap(out, text, INDENT);
    if (k->env && kw_key_variable(k->section, k->name, variable, sizeof variable))
        wrap(out, variable, INDENT);
}

void kw_config_print_help(FILE *out)
{
    wrap(out, intro, 0);
    (void)fputc('\n', out);
    wrap(out, profiles, 0);
    wrap(out, variables, 0);
    const char *section = "";
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        if (strcmp(k->section, section) != 0)
            (void)fprintf(out, "\n[%s%s]\n", k->section,
                          kw_section_named(k->section) ? " NAME" : "");
        section = k->section;
        print_key(out, k);
    }
}

static void man_key(FILE *out, const struct kw_key *k)
{
    char variable[128], text[512];
    kw_roff_item(out, name_of(k, text, sizeof text), k->help);
    values(k, text, sizeof text);
    if (text[0] != '\0')
        kw_roff_item_more(out, text);
    if (k->env && kw_key_variable(k->section, k->name, variable, sizeof variable))
        kw_roff_item_more(out, variable);
}

void kw_config_print_man(FILE *out)
{
    char title[64];
    kw_roff_page(out, "keyward.ini", 5, "configuration of keyward");
    kw_roff_section(out, "DESCRIPTION");
    kw_roff_text(out, intro);
    kw_roff_section(out, "PROFILES AND VARIABLES");
    kw_roff_text(out, profiles);
    kw_roff_text(out, variables);
    kw_roff_section(out, "KEYS");
    const char *section = "";
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        (void)snprintf(title, sizeof title, "[%s%s]", k->section,
                       kw_section_named(k->section) ? " NAME" : "");
        if (strcmp(k->section, section) != 0)
            kw_roff_subsection(out, title);
        section = k->section;
        man_key(out, k);
    }
    kw_roff_section(out, "SEE ALSO");
    kw_roff_text(out, "keyward(1)");
}
