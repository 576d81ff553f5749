/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of CEL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cel_int.h"

void cel_lex_init(struct cel_lexer *x, const char *text, size_t n)
{
    *x = (struct cel_lexer){.text = text, .n = n};
    kw_buf_init(&x->str, KW_CEL_SOURCE);
}

void cel_lex_free(struct cel_lexer *x)
{
    kw_buf_free(&x->str);
}

void cel_lex_stop(struct cel_lexer *x, enum kw_cel_is is, size_t where, const char *reason)
{
    if (x->is == KW_CEL_VALUE) {
        x->is = is;
        x->where = where;
        x->reason = reason;
    }
    x->word = CEL_END;
}

size_t cel_position(const char *text, size_t offset)
{
    size_t n = 1;
    for (size_t i = 0; i < offset; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static char peek(const struct cel_lexer *x, size_t ahead)
{
    return x->n - x->at > ahead ? x->text[x->at + ahead] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void skip_blanks(struct cel_lexer *x)
{
    while (x->at < x->n) {
        char c = x->text[x->at];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f')
            x->at++;
        else if (c == '/' && peek(x, 1) == '/')
            while (x->at < x->n && x->text[x->at] != '\n')
                x->at++;
        else
            return;
    }
}

static void put_rune(struct cel_lexer *x, uint32_t c, size_t where)
{
    unsigned char b[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (c > 0x10ffff) {
        cel_lex_stop(x, KW_CEL_SYNTAX, where, "an escape beyond Unicode");
        return;
    }
    if (c >= 0xd800 && c < 0xe000) {
        cel_lex_stop(x, KW_CEL_UNKNOWN, where, "an escaped surrogate");
        return;
    }
    for (size_t i = n; i-- > 1; c >>= 6)
        b[i] = (unsigned char)(0x80 | (c & 0x3f));
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    b[0] = (unsigned char)(lead[n] | c);
    kw_put(&x->str, b, n);
}

/* digits of one base, exactly n of them */
static void put_number(struct cel_lexer *x, int base, unsigned n, size_t where)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++) {
        int d = hex(peek(x, 0));
        if (d < 0 || d >= base) {
            cel_lex_stop(x, KW_CEL_SYNTAX, where, "an escape that lacks digits");
            return;
        }
        v = v << (base == 16 ? 4 : 3) | (uint32_t)d;
        x->at++;
    }
    put_rune(x, v, where);
}

/* At the character behind a backslash. */
static void take_escape(struct cel_lexer *x)
{
    static const char from[] = "abfnrtv\\?\"'`", to[] = "\a\b\f\n\r\t\v\\?\"'`";
    size_t where = x->at - 1;
    char c = peek(x, 0);
    const char *simple = c != '\0' ? strchr(from, c) : NULL;
    if (c >= '0' && c <= '3') {
        put_number(x, 8, 3, where);
        return;
    }
    x->at++;
    if (simple != NULL)
        kw_put(&x->str, to + (simple - from), 1);
    else if (c == 'x' || c == 'X')
        put_number(x, 16, 2, where);
    else if (c == 'u')
        put_number(x, 16, 4, where);
    else if (c == 'U')
        put_number(x, 16, 8, where);
    else
        cel_lex_stop(x, KW_CEL_SYNTAX, where, "no such escape in a string");
}

/* At the opening quote. */
static void take_string(struct cel_lexer *x, bool raw)
{
    char quote = x->text[x->at];
    bool triple = peek(x, 1) == quote && peek(x, 2) == quote;
    size_t marks = triple ? 3 : 1;
    x->at += marks;
    kw_buf_reset(&x->str);
    while (x->is == KW_CEL_VALUE) {
        char c = peek(x, 0);
        if (x->at >= x->n || (!triple && (c == '\n' || c == '\r'))) {
            cel_lex_stop(x, KW_CEL_SYNTAX, x->start, "a string that isn't closed");
            return;
        }
        if (c == quote && (!triple || (peek(x, 1) == quote && peek(x, 2) == quote))) {
            x->at += marks;
            break;
        }
        if (c == '\r') { /* some make it a newline */
            cel_lex_stop(x, KW_CEL_UNKNOWN, x->at, "a carriage return in a string");
            return;
        }
        x->at++;
        if (c == '\\' && !raw)
            take_escape(x);
        else
            kw_put(&x->str, &c, 1);
    }
    if (x->str.bad)
        cel_lex_stop(x, KW_CEL_UNKNOWN, x->start, "there is no memory left");
}

static void take_quoted(struct cel_lexer *x)
{
    char a = peek(x, 0), b = peek(x, 1);
    bool bytes = a == 'b' || a == 'B' || ((a == 'r' || a == 'R') && (b == 'b' || b == 'B'));
    bool raw = a == 'r' || a == 'R' || ((a == 'b' || a == 'B') && (b == 'r' || b == 'R'));
    while (is_letter(x->text[x->at]))
        x->at++;
    take_string(x, raw);
    if (x->is == KW_CEL_VALUE)
        x->word = bytes ? CEL_BYTES : CEL_STRING;
}

/* Is there a string at the present place, with its prefix? */
static bool at_string(const struct cel_lexer *x)
{
    size_t i = 0;
    bool raw = false, bytes = false;
    for (;; i++) {
        char c = peek(x, i);
        if ((c == 'r' || c == 'R') && !raw)
            raw = true;
        else if ((c == 'b' || c == 'B') && !bytes && !raw)
            bytes = true;
        else
            return c == '"' || c == '\'';
    }
}

static size_t digits_from(const struct cel_lexer *x, size_t ahead)
{
    size_t n = 0;
    while (is_digit(peek(x, ahead + n)))
        n++;
    return n;
}

static void take_real(struct cel_lexer *x, size_t n)
{
    char copy[64];
    x->word = CEL_DOUBLE;
    if (n >= sizeof copy) {
        cel_lex_stop(x, KW_CEL_UNKNOWN, x->start, "a number that is too long");
        return;
    }
    memcpy(copy, x->text + x->at, n);
    copy[n] = '\0';
    errno = 0;
    x->real = strtod(copy, NULL); /* main never sets a locale */
    if (errno != 0)
        cel_lex_stop(x, KW_CEL_UNKNOWN, x->start, "a number that no double holds");
    x->at += n;
}

static void take_int(struct cel_lexer *x, size_t n)
{
    bool is_hex = n == 1 && peek(x, 0) == '0' && peek(x, 1) == 'x' && hex(peek(x, 2)) >= 0;
    int base = is_hex ? 16 : 10, d;
    x->at += is_hex ? 2 : 0;
    x->num = 0;
    x->overflow = false;
    for (; (d = hex(peek(x, 0))) >= 0 && d < base; x->at++) {
        x->overflow = x->overflow || x->num > (UINT64_MAX - (uint64_t)d) / (uint64_t)base;
        x->num = x->num * (uint64_t)base + (uint64_t)d;
    }
    x->word = CEL_INT;
    if (peek(x, 0) == 'u' || peek(x, 0) == 'U') {
        x->at++;
        x->word = CEL_UINT;
    }
}

static void take_number(struct cel_lexer *x)
{
    size_t n = digits_from(x, 0), fraction = peek(x, n) == '.' ? digits_from(x, n + 1) : 0;
    size_t end = fraction > 0 ? n + 1 + fraction : n, exponent = 0;
    if (peek(x, end) == 'e' || peek(x, end) == 'E') {
        size_t sign = peek(x, end + 1) == '+' || peek(x, end + 1) == '-' ? 1 : 0;
        exponent = digits_from(x, end + 1 + sign);
        if (exponent > 0)
            end += 1 + sign + exponent;
    }
    if (fraction > 0 || exponent > 0)
        take_real(x, end);
    else
        take_int(x, n);
    if (x->is == KW_CEL_VALUE && is_letter(peek(x, 0)))
        cel_lex_stop(x, KW_CEL_SYNTAX, x->at, "a letter right behind a number");
}

static void take_operator(struct cel_lexer *x)
{
    static const char *const twos[] = {"==", "!=", "<=", ">=", "&&", "||"};
    static const char ones[] = "<>!+-*/%?:.,()[]{}";
    char a = x->text[x->at], b = peek(x, 1);
    x->word = CEL_OPERATOR;
    for (size_t i = 0; i < sizeof twos / sizeof twos[0]; i++)
        if (a == twos[i][0] && b == twos[i][1]) {
            x->op = CEL_OP(a, b);
            x->at += 2;
            return;
        }
    if (a == '=')
        cel_lex_stop(x, KW_CEL_SYNTAX, x->at, "a single '='; equality is '=='");
    else if (a == '&' || a == '|')
        cel_lex_stop(x, KW_CEL_SYNTAX, x->at, "a single '&' or '|'; write '&&' or '||'");
    else if ((unsigned char)a >= 0x80) /* quotes of a word processor, as a rule */
        cel_lex_stop(x, KW_CEL_SYNTAX, x->at,
                     "a character that CEL doesn't have; its quotes are ' and \"");
    else if (a == '\0' || strchr(ones, a) == NULL)
        cel_lex_stop(x, KW_CEL_SYNTAX, x->at, "a character that CEL doesn't have");
    else {
        x->op = CEL_OP(a, '\0');
        x->at++;
    }
}

void cel_lex_next(struct cel_lexer *x)
{
    if (x->is != KW_CEL_VALUE)
        return;
    skip_blanks(x);
    x->start = x->at;
    x->word = CEL_END;
    char c = peek(x, 0);
    if (x->at == x->n)
        ;
    else if (at_string(x))
        take_quoted(x);
    else if (is_letter(c)) {
        while (is_letter(peek(x, 0)) || is_digit(peek(x, 0)))
            x->at++;
        x->word = CEL_IDENT;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(x, 1))))
        take_number(x);
    else if (c == '`')
        cel_lex_stop(x, KW_CEL_UNKNOWN, x->at, "a name in backquotes");
    else
        take_operator(x);
    x->end = x->at;
}
