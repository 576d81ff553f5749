/* SPDX-License-Identifier: Apache-2.0
 *
 * Own writer, because what it has to do is less than what a converter (help2man, pandoc)
 * needs to be told, and the build needs nothing more for it.
 */
#include "roff.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { WIDTH = 78, ROOM = 1024 };

/* The troff form of n bytes in to (cut off where there is no room); returns its length. */
static size_t escape(const char *text, size_t n, char *to, size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char one[2] = {text[i], '\0'};
        const char *form = one;
        switch (text[i]) {
        case '\\':
            form = "\\e";
            break;
        case '-':
            form = "\\-";
            break;
        case '\'':
            form = "\\(aq";
            break;
        case '`':
            form = "\\(ga";
            break;
        case '^':
            form = "\\(ha";
            break;
        case '~':
            form = "\\(ti";
            break;
        case '"': /* would end an argument of a macro */
            form = "\\(dq";
            break;
        default:
            break;
        }
        size_t len = strlen(form);
        if (used + len >= size)
            break;
        memcpy(to + used, form, len + 1);
        used += len;
    }
    return used;
}

static void put(FILE *out, const char *text, size_t n)
{
    char form[ROOM];
    (void)escape(text, n, form, sizeof form);
    (void)fputs(form, out);
}

/* Words of one line, on as many lines of input as it takes. A dot at the start of a line
 * would be a request. */
static void put_words(FILE *out, const char *p, size_t n)
{
    size_t column = 0;
    const char *end = p + n;
    while (p < end) {
        size_t len = 0;
        while (p + len < end && p[len] != ' ')
            len++;
        if (len > 0) {
            char form[ROOM];
            size_t width = escape(p, len, form, sizeof form);
            if (column > 0 && column + 1 + width > WIDTH) {
                (void)fputc('\n', out);
                column = 0;
            }
            const char *before = column > 0 ? " " : form[0] == '.' ? "\\&" : "";
            (void)fprintf(out, "%s%s", before, form);
            column += strlen(before) + width;
        }
        p += len;
        p += p < end ? 1 : 0;
    }
    (void)fputc('\n', out);
}

/* paragraph: the macro that begins another one. */
static void put_text(FILE *out, const char *text, const char *paragraph)
{
    bool sample = false, begun = false, gap = false;
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        bool as_is = text[0] == ' ';
        if (sample && !as_is) {
            (void)fputs(".fi\n.RE\n", out);
            sample = false;
            gap = gap || n > 0;
        }
        if (n == 0)
            gap = begun;
        else if (as_is) {
            if (!sample)
                (void)fprintf(out, "%s.RS 4\n.nf\n", gap ? ".PP\n" : "");
            sample = true;
            const char *line = text + strspn(text, " ");
            if (*line == '.')
                (void)fputs("\\&", out);
            put(out, line, n - (size_t)(line - text));
            (void)fputc('\n', out);
            gap = false;
            begun = true;
        } else {
            if (begun)
                (void)fprintf(out, "%s\n", gap ? paragraph : ".br");
            put_words(out, text, n);
            gap = false;
            begun = true;
        }
        text += n;
        text += *text == '\n' ? 1 : 0;
    }
    if (sample)
        (void)fputs(".fi\n.RE\n", out);
}

static void put_title(FILE *out, const char *macro, const char *title)
{
    (void)fprintf(out, "%s \"", macro);
    put(out, title, strlen(title));
    (void)fputs("\"\n", out);
}

void kw_roff_page(FILE *out, const char *name, int section, const char *purpose)
{
    (void)fputs(".TH ", out);
    for (const char *p = name; *p != '\0'; p++)
        (void)fputc(toupper((unsigned char)*p), out);
    (void)fprintf(out, " %d %s \"keyward %s\"\n.SH NAME\n", section, KW_DATE, KW_VERSION);
    put(out, name, strlen(name));
    (void)fputs(" \\- ", out);
    put(out, purpose, strlen(purpose));
    (void)fputc('\n', out);
}

void kw_roff_section(FILE *out, const char *title)
{
    put_title(out, ".SH", title);
}

void kw_roff_subsection(FILE *out, const char *title)
{
    put_title(out, ".SS", title);
}

void kw_roff_text(FILE *out, const char *text)
{
    put_text(out, text, ".PP");
}

void kw_roff_item(FILE *out, const char *tag, const char *text)
{
    (void)fputs(".TP\n", out);
    put_title(out, ".B", tag);
    put_text(out, text, ".IP");
}

void kw_roff_item_more(FILE *out, const char *text)
{
    (void)fputs(".IP\n", out);
    put_text(out, text, ".IP");
}
