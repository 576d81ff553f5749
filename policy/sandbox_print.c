/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables, for people and for programs: `keyward policy --sandbox`.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "sandbox.h"
#include "table.h"

/* What stands besides the system call filter. */
static const char *const besides[KW_ROLES][6] = {
    [KW_ROLE_MAIN] = {"no filter: it runs and opens what the user names", "not dumpable"},
    [KW_ROLE_KEEPER] = {"Landlock from the start: no program started, no device made, no TCP, no "
                        "signal and no abstract socket to others",
                        "Landlock after login: files read-only (unless storage = token)",
                        "as root: file capabilities only",
                        "no_new_privs, not dumpable, no core, limited descriptors"},
    [KW_ROLE_EXCHANGER] = {"Landlock: nothing at all",
                           "no process more (not for root), no byte into files, no capability",
                           "no_new_privs, not dumpable, no core, limited descriptors"},
    [KW_ROLE_DIALER] = {"Landlock: reads the resolver's files and libraries, no TCP port bound, no "
                        "signal and no abstract socket to others",
                        "no process more (not for root), no byte into files, no capability",
                        "no_new_privs, not dumpable, no core, limited descriptors"},
    [KW_ROLE_PROXY] = {"Landlock: nothing at all",
                       "no process more (not for root), no byte into files, no capability",
                       "no_new_privs, not dumpable, no core, limited descriptors"},
};

static void answer_text(enum kw_answer answer, int error, char *out, size_t size)
{
    if (answer == KW_ALLOW)
        (void)snprintf(out, size, "allow");
    else if (answer == KW_VIOLATE)
        (void)snprintf(out, size, "violation");
    else if (error == 0)
        (void)snprintf(out, size, "pretend");
    else
        (void)snprintf(out, size, "%s", strerrorname_np(error));
}

static void limits_text(const struct kw_rule *r, char *out, size_t size)
{
    out[0] = '\0';
    for (unsigned i = 0; i < KW_LIMITS && r->limits[i].op != KW_OP_NONE; i++) {
        size_t n = strlen(out);
        (void)snprintf(out + n, size - n, "%s%s", i > 0 ? ", " : "", r->limits[i].text);
    }
}

static const char *condition(const struct kw_group *g)
{
    if ((g->only & KW_SB_NETWORK) != 0)
        return "if it has a network: always for the dialer, [token] network = allow for the keeper";
    if ((g->unless & KW_SB_LOCAL) != 0)
        return "unless [token] network = local or allow";
    if ((g->unless & KW_SB_NETWORK) != 0)
        return "unless [token] network = allow";
    return g->sanitizer ? "never in a release" : "";
}

static void print_group(FILE *out, const struct kw_group *g)
{
    const char *when = condition(g);
    (void)fprintf(out, "  %s%s%s%s\n", g->title, when[0] != '\0' ? " (" : "", when,
                  when[0] != '\0' ? ")" : "");
    for (size_t i = 0; i < g->n; i++) {
        char answer[32], limits[512];
        answer_text(g->rules[i].answer, g->rules[i].error, answer, sizeof answer);
        limits_text(&g->rules[i], limits, sizeof limits);
        (void)fprintf(out, "    %-9s %-20s %s%s%s\n", answer, g->rules[i].name, limits,
                      limits[0] != '\0' ? "; " : "", g->rules[i].why);
    }
}

static void print_text(FILE *out)
{
    (void)fprintf(out,
                  "Of every process: calls by a foreign architecture (32-bit, x32) are killed; "
                  "numbers above\n%u are ENOSYS. a0..a5 are a call's arguments. A violation ends "
                  "the process, is reported\nby name, and is exit code 9.\n",
                  KW_NR_KNOWN);
    for (unsigned role = KW_ROLE_MAIN; role < KW_ROLES; role++) {
        const struct kw_table *t = kw_table_of((enum kw_role)role);
        (void)fprintf(out, "\n%s%s%s\n", kw_role_name((enum kw_role)role), t != NULL ? ": " : "",
                      t != NULL ? t->title : "");
        for (size_t i = 0; i < 6 && besides[role][i] != NULL; i++)
            (void)fprintf(out, "  %s\n", besides[role][i]);
        for (size_t i = 0; t != NULL && t->groups[i] != NULL; i++)
            if (kw_group_applies(t->groups[i], t->groups[i]->only, KW_SANITIZED))
                print_group(out, t->groups[i]);
        if (t != NULL)
            (void)fprintf(out, "  whatever isn't listed\n    %s\n",
                          t->otherwise == KW_ALLOW ? "allow" : "violation");
    }
}

static json_t *group_json(const struct kw_group *g)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < g->n; i++) {
        char answer[32], limits[512];
        answer_text(g->rules[i].answer, g->rules[i].error, answer, sizeof answer);
        limits_text(&g->rules[i], limits, sizeof limits);
        (void)json_array_append_new(rules, json_pack("{s:s,s:s,s:s,s:s}", "call", g->rules[i].name,
                                                     "limits", limits, "answer", answer, "why",
                                                     g->rules[i].why));
    }
    return json_pack("{s:s,s:s,s:o}", "title", g->title, "condition", condition(g), "rules", rules);
}

static json_t *role_json(enum kw_role role)
{
    const struct kw_table *t = kw_table_of(role);
    json_t *groups = json_array(), *fences = json_array();
    for (size_t i = 0; i < 6 && besides[role][i] != NULL; i++)
        (void)json_array_append_new(fences, json_string(besides[role][i]));
    for (size_t i = 0; t != NULL && t->groups[i] != NULL; i++)
        if (kw_group_applies(t->groups[i], t->groups[i]->only, KW_SANITIZED))
            (void)json_array_append_new(groups, group_json(t->groups[i]));
    return json_pack("{s:s,s:s,s:s,s:o,s:o}", "role", kw_role_name(role), "since",
                     t != NULL ? t->title : "", "otherwise",
                     t != NULL && t->otherwise == KW_VIOLATE ? "violation" : "allow", "fences",
                     fences, "groups", groups);
}

static void print_json(FILE *out)
{
    json_t *roles = json_array();
    for (unsigned role = KW_ROLE_MAIN; role < KW_ROLES; role++)
        (void)json_array_append_new(roles, role_json((enum kw_role)role));
    json_t *o = json_pack("{s:i,s:s,s:o}", "newest_call", (int)KW_NR_KNOWN, "foreign_architecture",
                          "kill", "roles", roles);
    if (o != NULL)
        (void)json_dumpf(o, out, JSON_COMPACT);
    (void)fputc('\n', out);
    json_decref(o);
}

void kw_sandbox_print(FILE *out, bool json)
{
    if (json)
        print_json(out);
    else
        print_text(out);
}
