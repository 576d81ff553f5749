/* SPDX-License-Identifier: Apache-2.0
 *
 * INI text by libinih, made strict. inih cuts silently (lines over its buffer,
 * section names over 49 bytes), ignores what follows ']', takes an indented line for
 * the last value's continuation and ':' for '='. So it reads through our reader,
 * which sees each line first and refuses what could be read in two ways. That reader
 * also knows the line numbers, which the library's interface lacks.
 */
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_keys.h"

struct reader {
    const char *at, *end;
    unsigned line;
    size_t keys; /* lines that inih must report */
    struct kw_ini *ini;
    struct kw_err *err;
    int r; /* the first error; nothing is read after it */
};

static int bad(struct reader *rd, const char *reason)
{
    rd->r = kw_fail(rd->err, KW_USAGE, "%s:%u: %s", rd->ini->path, rd->line, reason);
    return rd->r;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Control bytes, bad UTF-8, and characters that reorder text on a screen. */
static bool printable(const char *line)
{
    char copy[KW_INI_LINE + 1];
    size_t n = strlen(line);
    for (size_t i = 0; i <= n; i++)
        copy[i] = line[i] == '\t' ? ' ' : line[i];
    kw_printable(copy);
    for (size_t i = 0; i < n; i++)
        if (copy[i] != line[i] && line[i] != '\t')
            return false;
    return true;
}

static int vet_section(struct reader *rd, const char *line)
{
    struct kw_ini *ini = rd->ini;
    const char *end = strchr(line, ']');
    if (end == NULL)
        return bad(rd, "a section has no closing bracket");
    size_t n = (size_t)(end - line) - 1;
    if (n == 0 || n >= KW_INI_SECTION)
        return bad(rd, "a section's name must be 1 to 49 bytes");
    for (size_t i = 1; i <= n; i++)
        if (strchr(KW_INI_NAME_BYTES " ", line[i]) == NULL ||
            (line[i] == ' ' && (i == 1 || i == n || line[i - 1] == ' ')))
            return bad(rd, "a section's name is [section] or [section name], of letters, digits, "
                           "'.', '_' and '-'");
    const char *rest = end + 1 + strspn(end + 1, " \t");
    if (*rest != '\0' && *rest != ';' && *rest != '#')
        return bad(rd, "something follows the section's closing bracket");
    if (ini->n_sections == KW_INI_SECTIONS)
        return bad(rd, "there are too many sections");
    char *name = ini->sections[ini->n_sections].name;
    memcpy(name, line + 1, n);
    name[n] = '\0';
    for (size_t i = 0; i < ini->n_sections; i++)
        if (strcmp(ini->sections[i].name, name) == 0)
            return kw_fail(rd->err, KW_USAGE, "%s:%u: [%s] was begun before, in line %u; join them",
                           ini->path, rd->line, name, ini->sections[i].line);
    ini->sections[ini->n_sections++].line = rd->line;
    return 0;
}

/* Values that may begin with a quotation mark: a shell's command, an expression. */
static bool may_be_quoted(const char *name, size_t n)
{
    static const char *const names[] = {"command", "attribute_condition", "attribute_mapping."};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t m = strlen(names[i]);
        if (strncmp(name, names[i], m) == 0 && (n == m || (n > m && names[i][m - 1] == '.')))
            return true;
    }
    return false;
}

/* " ;" begins a comment for inih. Where that could be a slip, we ask. */
static int vet_value(struct reader *rd, const char *name, size_t n, const char *value)
{
    value += strspn(value, " \t");
    if (*value == '\0' || *value == ';')
        return kw_fail(rd->err, KW_USAGE, "%s:%u: %.*s has no value; give one or remove the line",
                       rd->ini->path, rd->line, (int)n, name);
    if (*value == '"' || *value == '\'')
        return may_be_quoted(name, n) ? 0
                                      : kw_fail(rd->err, KW_USAGE,
                                                "%s:%u: %.*s is quoted; values are taken as they "
                                                "stand, so remove the quotes",
                                                rd->ini->path, rd->line, (int)n, name);
    for (const char *p = value; *p != '\0'; p++) {
        if (!is_blank(p[0]) || p[1] != ';')
            continue;
        if (n == 7 && strncmp(name, "command", 7) == 0)
            return bad(rd, "' ;' would begin a comment and cut the command; write ';' without the "
                           "space before it");
        if (p[2] != '\0' && !is_blank(p[2]))
            return bad(rd, "' ;' begins a comment; put a space after it, or take the one before "
                           "it away if it belongs to the value");
        break;
    }
    return 0;
}

static int vet_key(struct reader *rd, const char *line)
{
    size_t n = strcspn(line, "=:");
    if (line[n] != '=')
        return bad(rd, line[n] == ':' ? "write name = value (a ':' stands before any '=')"
                                      : "is neither [section] nor name = value nor a comment");
    const char *value = line + n + 1;
    while (n > 0 && is_blank(line[n - 1]))
        n--;
    if (n == 0)
        return bad(rd, "there is no name before the '='");
    for (size_t i = 0; i < n; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/@$",
                   line[i]) == NULL)
            return bad(rd, "a name holds a byte that names don't have");
    if (rd->ini->n_sections == 0)
        return bad(rd, "stands before any [section]");
    rd->keys++;
    return vet_value(rd, line, n, value);
}

/* line: NUL-terminated, without its end. */
static int vet(struct reader *rd, const char *line)
{
    if (rd->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3; /* inih skips it as well */
    if (!printable(line))
        return bad(rd, "holds control characters or is no UTF-8");
    size_t blank = strspn(line, " \t");
    if (line[blank] == '\0' || line[blank] == ';' || line[blank] == '#')
        return 0;
    if (blank > 0)
        return bad(rd, "is indented, which would continue the value above; begin it in the first "
                       "column");
    return line[0] == '[' ? vet_section(rd, line) : vet_key(rd, line);
}

/* fgets() over the text, with a look at each line. */
static char *read_line(char *out, int num, void *stream)
{
    struct reader *rd = stream;
    if (rd->r != 0 || rd->at == rd->end)
        return NULL;
    const char *nl = memchr(rd->at, '\n', (size_t)(rd->end - rd->at));
    size_t n = (size_t)((nl != NULL ? nl : rd->end) - rd->at);
    size_t text = n > 0 && rd->at[n - 1] == '\r' ? n - 1 : n;
    char line[KW_INI_LINE + 1] = {0};
    rd->line++;
    if (text > KW_INI_LINE || num < 0 || text + 2 > (size_t)num) {
        (void)bad(rd, "is longer than 4096 bytes");
        return NULL;
    }
    if (memchr(rd->at, '\0', text) != NULL) {
        (void)bad(rd, "holds a NUL byte");
        return NULL;
    }
    memcpy(line, rd->at, text);
    line[text] = '\0';
    rd->at += n + (nl != NULL ? 1 : 0);
    rd->r = vet(rd, line);
    if (rd->r != 0)
        return NULL;
    memcpy(out, line, text);
    out[text] = '\n';
    out[text + 1] = '\0';
    return out;
}

static int take_entry(void *user, const char *section, const char *name, const char *value)
{
    struct reader *rd = user;
    struct kw_ini *ini = rd->ini;
    if (rd->r != 0)
        return 0;
    if (ini->n == KW_INI_ENTRIES)
        return bad(rd, "there are too many keys"), 0;
    struct kw_ini_entry e = {.name = strdup(name), .value = strdup(value), .line = rd->line};
    bool whole = e.name != NULL && e.value != NULL;
    (void)snprintf(e.section, sizeof e.section, "%s", section);
    ini->entries[ini->n++] = e;
    if (!whole) {
        rd->r = kw_fail(rd->err, KW_FAILED, "%s: there is no memory left", ini->path);
        return 0;
    }
    for (size_t i = 0; i + 1 < ini->n; i++)
        if (strcmp(ini->entries[i].section, section) == 0 &&
            strcmp(ini->entries[i].name, name) == 0) {
            rd->r = kw_fail(rd->err, KW_USAGE, "%s:%u: [%s] %s was given before, in line %u",
                            ini->path, rd->line, section, name, ini->entries[i].line);
            return 0;
        }
    return 1;
}

int kw_ini_parse(const char *text, size_t n, const char *path, struct kw_ini *ini,
                 struct kw_err *err)
{
    memset(ini, 0, sizeof *ini);
    (void)snprintf(ini->path, sizeof ini->path, "%s", path);
    if (n > KW_INI_BYTES)
        return kw_fail(err, KW_USAGE, "%s is longer than %d bytes", path, KW_INI_BYTES);
    /* Debian's build takes these at run time; its compiled-in line is 200 bytes. */
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_max_line = ini_initial_alloc = KW_INI_LINE + 3;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    struct reader rd = {.at = text, .end = text + n, .ini = ini, .err = err};
    int r = ini_parse_stream(read_line, &rd, take_entry, &rd);
    if (rd.r != 0)
        return rd.r;
    if (r != 0 || rd.keys != ini->n || rd.at != rd.end) /* the library saw something else */
        return kw_fail(err, KW_USAGE, "%s:%u: can't be read in one way only; rewrite this line",
                       path, r > 0 ? (unsigned)r : rd.line);
    return 0;
}

void kw_ini_free(struct kw_ini *ini)
{
    for (size_t i = 0; i < ini->n; i++) {
        free(ini->entries[i].name);
        free(ini->entries[i].value);
    }
    ini->n = ini->n_sections = 0;
}
