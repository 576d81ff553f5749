/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden tables, tests/unit/golden/ROLE-ARCHITECTURE.txt: what the compiled filters
 * answer, written down for people. The interpreter asks them for every number, and for
 * calls with limits on both sides of each limit, 64 bits wide. A change of any answer
 * shows as a difference in these files, to be reviewed; after a deliberate one:
 *
 *   build/asan/tests/test_sandbox_golden --write
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "filters.h"

enum { NUMBERS = 1024, WIDE = 12, ANSWERS = 160, PAGE = 96 };

/* The columns of a role's file. */
struct columns {
    int first, n;
};

static struct columns columns_of(enum kw_role role)
{
    struct columns c = {0, 0};
    while (variants[c.first].role != role)
        c.first++;
    while (c.first + c.n < VARIANTS && variants[c.first + c.n].role == role)
        c.n++;
    return c;
}

static void answer_text(uint32_t answer, char *out, size_t size)
{
    if (answer == SECCOMP_RET_ALLOW)
        (void)snprintf(out, size, "allow");
    else if (answer == SECCOMP_RET_TRAP)
        (void)snprintf(out, size, "violation");
    else if (answer == SECCOMP_RET_KILL_PROCESS)
        (void)snprintf(out, size, "killed");
    else if (answer == SECCOMP_RET_ERRNO)
        (void)snprintf(out, size, "pretend");
    else if ((answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
        (void)snprintf(out, size, "%s", strerrorname_np((int)(answer & SECCOMP_RET_DATA)));
    else
        (void)snprintf(out, size, "%#x", answer);
}

/* "allow       violation   " for one call in all columns. */
static void answers(int arch, struct columns c, uint32_t nr, const uint64_t args[6], char *out)
{
    out[0] = '\0';
    for (int i = 0; i < c.n; i++) {
        char one[WIDE + 4];
        answer_text(ask(arch, c.first + i, nr, args), one, sizeof one);
        (void)snprintf(out + strlen(out), ANSWERS - strlen(out), "%-*s", WIDE, one);
    }
    while (out[0] != '\0' && out[strlen(out) - 1] == ' ')
        out[strlen(out) - 1] = '\0';
}

/* Whether some rule of the role's table limits this call's arguments, in any variant. */
static bool limited(const struct kw_table *t, int arch, int nr)
{
    for (size_t i = 0; t->groups[i] != NULL; i++)
        for (size_t j = 0; j < t->groups[i]->n; j++)
            if (kw_rule_number(&t->groups[i]->rules[j], archs[arch]) == nr &&
                t->groups[i]->rules[j].limits[0].op != KW_OP_NONE)
                return true;
    return false;
}

/* --- calls that are answered whatever their arguments ------------------------------- */

struct words {
    size_t n;
    char word[NUMBERS][40];
};

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* By their first letters a line each, so that a change of one is a change of one line. */
static void put_words(FILE *out, struct words *w)
{
    size_t column = 0;
    qsort(w->word, w->n, sizeof w->word[0], by_name);
    for (size_t i = 0; i < w->n; i++) {
        const char *word = w->word[i];
        if (i == 0 || column + 1 + strlen(word) > PAGE || word[0] != w->word[i - 1][0]) {
            (void)fputs("\n   ", out);
            column = 3;
        }
        (void)fprintf(out, " %s", word);
        column += 1 + strlen(word);
    }
    (void)fputc('\n', out);
}

/* Other numbers stay numbers, whatever this libseccomp calls them. */
static bool judged(int arch, uint32_t nr)
{
    return nr <= KW_NR_KNOWN && (nr < archs[arch]->gap_first || nr > archs[arch]->gap_last);
}

static void name_of(int arch, uint32_t nr, char *out, size_t size)
{
    char *name = seccomp_syscall_resolve_num_arch(archs[arch]->token, (int)nr);
    if (name != NULL)
        (void)snprintf(out, size, "%s", name);
    else
        (void)snprintf(out, size, "%u", nr);
    free(name);
}

/* Adds the call, or the run of unjudged numbers with the same answers that it begins. */
static void take(struct words *w, int arch, uint32_t nr, char all[][ANSWERS], bool *told)
{
    char *name = w->word[w->n++];
    uint32_t end = nr;
    told[nr] = true;
    if (judged(arch, nr)) {
        name_of(arch, nr, name, sizeof w->word[0]);
        return;
    }
    while (end + 1 < NUMBERS && !judged(arch, end + 1) && strcmp(all[end + 1], all[nr]) == 0)
        told[++end] = true;
    if (end == NUMBERS - 1)
        (void)snprintf(name, sizeof w->word[0], "%u and above", nr);
    else
        (void)snprintf(name, sizeof w->word[0], "%u-%u", nr, end);
}

/* Under each answer the calls that get it. */
static void put_plain(FILE *out, int arch, const struct kw_table *t, struct columns c)
{
    static const uint64_t zeros[6];
    static char all[NUMBERS][ANSWERS];
    static bool told[NUMBERS];
    static struct words w;
    for (uint32_t nr = 0; nr < NUMBERS; nr++) {
        answers(arch, c, nr, zeros, all[nr]);
        told[nr] = limited(t, arch, (int)nr);
    }
    for (uint32_t first = 0; first < NUMBERS; first++) {
        if (told[first])
            continue;
        w.n = 0;
        for (uint32_t nr = first; nr < NUMBERS; nr++)
            if (!told[nr] && strcmp(all[nr], all[first]) == 0)
                take(&w, arch, nr, all, told);
        (void)fprintf(out, "\n%s", all[first]);
        put_words(out, &w);
    }
}

/* --- calls whose arguments count ------------------------------------------------------ */

/* Stands for the process's own id, which is another each time. */
static uint64_t own(void)
{
    return (uint64_t)getpid();
}

static bool of_self(const struct kw_limit *l)
{
    return l->op == KW_OP_SELF || l->op == KW_OP_OTHER;
}

/* A value that meets the limit. */
static uint64_t meets(const struct kw_limit *l)
{
    switch (l->op) {
    case KW_OP_NE:
    case KW_OP_GT:
        return l->value + 1;
    case KW_OP_SELF:
        return own();
    case KW_OP_OTHER:
        return own() + 1;
    case KW_OP_EQ:
    case KW_OP_BITS:
    case KW_OP_NONE:
        break;
    }
    return l->value;
}

/* Its neighbours, on whichever side they are: next to it, at both ends of a mask, and
 * with a bit more in the upper half. */
static size_t near(const struct kw_limit *l, uint64_t to[6])
{
    const uint64_t high = UINT64_C(1) << 32;
    uint64_t at = meets(l);
    size_t n = 0;
    if (l->op == KW_OP_BITS) {
        to[n++] = at ^ (l->mask & (~l->mask + 1));
        if ((l->mask & (l->mask - 1)) != 0)
            to[n++] = at ^ UINT64_C(1) << (63 - __builtin_clzll(l->mask));
    } else {
        to[n++] = at - 1;
        to[n++] = at + 1;
    }
    if (n == 0 || (to[n - 1] != (at ^ high) && to[0] != (at ^ high)))
        to[n++] = at ^ high;
    return n;
}

static void value_text(const struct kw_limit *l, uint64_t v, char *out, size_t size)
{
    long long off = (long long)(v - own());
    if (!of_self(l))
        (void)snprintf(out, size, "%#llx", (unsigned long long)v);
    else if (off == 0)
        (void)snprintf(out, size, "own pid");
    else if (off >= -2 && off <= 2)
        (void)snprintf(out, size, "own pid %c %lld", off < 0 ? '-' : '+', off < 0 ? -off : off);
    else
        (void)snprintf(out, size, "own pid and bit 32");
}

static void put_line(FILE *out, int arch, struct columns c, uint32_t nr, const uint64_t args[6],
                     const char *text)
{
    char got[ANSWERS];
    answers(arch, c, nr, args, got);
    (void)fprintf(out, "%-60s %s\n", text, got);
}

static void put_rule(FILE *out, int arch, struct columns c, const struct kw_rule *r)
{
    uint32_t nr = (uint32_t)kw_rule_number(r, archs[arch]);
    uint64_t met[6] = {0};
    char text[512] = "  ";
    unsigned n = 0;
    for (; n < KW_LIMITS && r->limits[n].op != KW_OP_NONE; n++) {
        char value[40];
        const struct kw_limit *l = &r->limits[n];
        met[l->arg] = meets(l);
        value_text(l, met[l->arg], value, sizeof value);
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s [%s]",
                       n > 0 ? ", " : "", l->text, value);
    }
    if (strlen(text) > 60) {
        (void)fprintf(out, "%s\n", text);
        (void)snprintf(text, sizeof text, "    all of it");
    }
    put_line(out, arch, c, nr, met, text);
    for (unsigned i = 0; i < n; i++) {
        const struct kw_limit *l = &r->limits[i];
        uint64_t to[6];
        size_t k = near(l, to);
        for (size_t j = 0; j < k; j++) {
            uint64_t args[6];
            char value[40];
            memcpy(args, met, sizeof args);
            args[l->arg] = to[j];
            value_text(l, to[j], value, sizeof value);
            (void)snprintf(text, sizeof text, "    but a%u = %s", l->arg, value);
            put_line(out, arch, c, nr, args, text);
        }
    }
}

static void put_limited(FILE *out, int arch, const struct kw_table *t, struct columns c)
{
    static const uint64_t zeros[6];
    uint64_t ones[6];
    memset(ones, 0xff, sizeof ones);
    for (uint32_t nr = 0; nr < NUMBERS; nr++) {
        char name[64];
        if (!limited(t, arch, (int)nr))
            continue;
        name_of(arch, nr, name, sizeof name);
        (void)fputc('\n', out);
        put_line(out, arch, c, nr, zeros, name);
        put_line(out, arch, c, nr, ones, "  all bits set");
        for (size_t i = 0; t->groups[i] != NULL; i++)
            for (size_t j = 0; j < t->groups[i]->n; j++) {
                const struct kw_rule *r = &t->groups[i]->rules[j];
                if (kw_rule_number(r, archs[arch]) == (int)nr && r->limits[0].op != KW_OP_NONE)
                    put_rule(out, arch, c, r);
            }
    }
}

/* --- the files -------------------------------------------------------------------------- */

static void put_entry(FILE *out, int arch, struct columns c, const char *what, uint32_t by,
                      uint32_t nr)
{
    static const uint64_t zeros[6];
    char one[WIDE + 4];
    (void)fprintf(out, "%-60s", what);
    for (int i = 0; i < c.n; i++) {
        answer_text(ask_by(by, arch, c.first + i, nr, zeros), one, sizeof one);
        (void)fprintf(out, i + 1 < c.n ? " %-*s" : " %.*s", i > 0 ? WIDE - 1 : WIDE - 1, one);
    }
    (void)fputc('\n', out);
}

static char *page(enum kw_role role, int arch)
{
    const struct kw_table *t = kw_table_of(role);
    const struct columns c = columns_of(role);
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL)
        return NULL;
    (void)fprintf(out,
                  "# SPDX-License-Identifier: Apache-2.0\n#\n"
                  "# The %s's filter on %s, %s.\n"
                  "# What it answers; made and explained by tests/unit/test_sandbox_golden.c.\n"
                  "# Columns:",
                  kw_role_name(role), archs[arch]->name, t->title);
    for (int i = 0; i < c.n; i++)
        (void)fprintf(out, "%s %s", i > 0 ? "," : "", variants[c.first + i].name);
    (void)fputs(role == KW_ROLE_KEEPER ? " ([token] network).\n" : ".\n", out);
    (void)fputs("\n== By other entries ==\n\n", out);
    put_entry(out, arch, c, "read by the 32-bit entry",
              archs[arch]->x32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_ARM, 3);
    put_entry(out, arch, c, "read with the x32 bit (0x40000000)", archs[arch]->token, KW_NR_X32);
    put_entry(out, arch, c, "no call (-1): what a tracer leaves that skipped one",
              archs[arch]->token, UINT32_MAX);
    (void)fputs("\n== Whatever the arguments ==\n", out);
    put_plain(out, arch, t, c);
    (void)fputs("\n== By their arguments: all 0, then each limit met, and missed by little ==\n",
                out);
    put_limited(out, arch, t, c);
    return fclose(out) == 0 ? text : NULL;
}

static void path_of(enum kw_role role, int arch, char *out, size_t size)
{
    (void)snprintf(out, size, KW_GOLDEN "/%s-%s.txt", kw_role_name(role), archs[arch]->name);
}

/* Says where they part: the whole would fill the terminal. */
static void same(const char *path, const char *golden, const char *now)
{
    unsigned line = 1;
    for (; *golden != '\0' && *golden == *now; golden++, now++)
        line += *golden == '\n';
    if (*golden != *now)
        fail_msg("%s, line %u: golden '%.*s', filter '%.*s'", path, line,
                 (int)strcspn(golden, "\n"), golden, (int)strcspn(now, "\n"), now);
}

static void as_golden(void **state)
{
    (void)state;
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++)
        for (int arch = 0; arch < ARCHS; arch++) {
            static char golden[1 << 20];
            char path[4096], *now = page((enum kw_role)role, arch);
            assert_non_null(now);
            path_of((enum kw_role)role, arch, path, sizeof path);
            FILE *f = fopen(path, "re");
            if (f == NULL)
                fail_msg("%s: %s", path, strerror(errno));
            size_t n = fread(golden, 1, sizeof golden - 1, f);
            golden[n] = '\0';
            (void)fclose(f);
            same(path, golden, now);
            free(now);
        }
}

static int write_all(void)
{
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++)
        for (int arch = 0; arch < ARCHS; arch++) {
            char path[4096], *now = page((enum kw_role)role, arch);
            path_of((enum kw_role)role, arch, path, sizeof path);
            FILE *f = now != NULL ? fopen(path, "we") : NULL;
            if (f == NULL || fputs(now, f) < 0 || fclose(f) != 0) {
                (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return 1;
            }
            free(now);
        }
    return 0;
}

int main(int argc, char **argv)
{
    if (build_filters() != 0)
        return 1;
    if (argc == 2 && strcmp(argv[1], "--write") == 0)
        return write_all();
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
