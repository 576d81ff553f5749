/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of a set-up: for people, in colours where there is a terminal for them, for
 * programs as JSON, and for a shell elsewhere as commands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "setup.h"

enum { VALUE = 600 };

void kw_setup_quote(struct kw_buf *b, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./_-";
    if (text[0] != '\0' && strspn(text, plain) == strlen(text)) {
        kw_put_str(b, text);
        return;
    }
    kw_put_str(b, "'");
    for (const char *p = text; *p != '\0'; p++)
        if (*p == '\'')
            kw_put_str(b, "'\\''");
        else
            kw_put(b, p, 1);
    kw_put_str(b, "'");
}

const char *kw_setup_title(const struct kw_setup_step *t, char *text, size_t size)
{
    (void)snprintf(text, size, "%s %s", t->kind, t->name);
    kw_printable(text);
    return text;
}

size_t kw_setup_changes(const struct kw_setup *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct kw_setup_step *t = &s->steps[i];
        bool makes =
            t->state != KW_SETUP_SAME && t->state != KW_SETUP_FOREIGN && t->failed[0] == '\0';
        n += s->destroy ? kw_setup_goes(t) : makes;
    }
    return n;
}

/* --- for people ----------------------------------------------------------------------------- */

struct look {
    char sign;
    const char *colour, *word;
};

static struct look look_of(const struct kw_setup *s, const struct kw_setup_step *t)
{
    static const struct look looks[] = {
        [KW_SETUP_UNSEEN] = {'?', "\033[36m", "to be looked at once what comes before it is done"},
        [KW_SETUP_ABSENT] = {'+', "\033[32m", "to be made"},
        [KW_SETUP_DELETED] = {'+', "\033[32m", "deleted, to be brought back"},
        [KW_SETUP_DIFFERS] = {'~', "\033[33m", "to be changed"},
        [KW_SETUP_SAME] = {'=', "", "as wanted"},
        [KW_SETUP_FOREIGN] = {'!', "\033[1;31m", "not keyward's to change"},
    };
    static const struct look goes = {'-', "\033[31m", "to be removed"}, stays = {'=', "", "stays"},
                             others = {'=', "", "not made by keyward: stays"},
                             away = {' ', "", "is not there"}, not_there = {' ', "", "not there"};
    if (t->failed[0] != '\0')
        return (struct look){'!', "\033[1;31m", "can't be looked at"};
    if (s->revoke && t->state == KW_SETUP_SAME && t->found == NULL)
        return not_there;
    if (!s->destroy)
        return looks[t->state];
    if (kw_setup_goes(t))
        return goes;
    if (t->state <= KW_SETUP_DELETED)
        return away;
    return t->mine || t->undo == NULL || t->note[0] != '\0' ? stays : others;
}

/* One line, not too long, whatever it is. */
static void value(const json_t *v, char *text, size_t size)
{
    char *dump = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    if (v == NULL || json_is_null(v))
        (void)snprintf(text, size, "nothing");
    else if (dump != NULL && strlen(dump) > VALUE)
        (void)snprintf(text, size, "%.*s... (%zu bytes)", VALUE - 30, dump, strlen(dump));
    else
        (void)snprintf(text, size, "%s", dump != NULL ? dump : "?");
    kw_printable(text);
    free(dump);
}

static void print_diff(const struct kw_setup_step *t, FILE *out)
{
    const json_t *one;
    size_t i;
    json_array_foreach(t->diff, i, one)
    {
        char from[VALUE + 32], to[VALUE + 32];
        const json_t *old = json_object_get(one, "from");
        value(old, from, sizeof from);
        value(json_object_get(one, "to"), to, sizeof to);
        char field[200];
        (void)snprintf(field, sizeof field, "%s", json_string_value(json_object_get(one, "field")));
        kw_printable(field);
        (void)fprintf(out, "      %s: %s%s%s\n", field, json_is_null(old) ? "" : from,
                      json_is_null(old) ? "" : " -> ", to);
    }
}

static void print_step(const struct kw_setup *s, const struct kw_setup_step *t, bool colour,
                       FILE *out)
{
    char title[600];
    struct look k = look_of(s, t);
    bool coloured = colour && k.colour[0] != '\0';
    (void)fprintf(out, "%s  %c %s: %s%s\n", coloured ? k.colour : "", k.sign,
                  kw_setup_title(t, title, sizeof title), k.word, coloured ? "\033[0m" : "");
    if (t->failed[0] != '\0')
        (void)fprintf(out, "      %s\n", t->failed);
    if (t->note[0] != '\0')
        (void)fprintf(out, "      %s\n", t->note);
    bool stays = s->destroy && k.sign == '=' && t->stays != NULL;
    if (stays)
        (void)fprintf(out, "      %s\n", t->stays);
    if (!s->destroy)
        print_diff(t, out);
}

static void print_warnings(const struct kw_setup *s, bool colour, FILE *out)
{
    const json_t *one;
    size_t i;
    json_array_foreach(s->warnings, i, one)(void)
        fprintf(out, "%swarning:%s %s\n", colour ? "\033[33m" : "", colour ? "\033[0m" : "",
                json_string_value(one));
}

void kw_setup_print_plan(const struct kw_setup *s, FILE *out)
{
    const char *none = getenv("NO_COLOR");
    bool colour = isatty(fileno(out)) == 1 && (none == NULL || none[0] == '\0');
    size_t n = kw_setup_changes(s);
    size_t unseen = 0;
    bool foreign = false, left = false;
    for (size_t i = 0; i < s->n; i++) {
        const struct kw_setup_step *t = &s->steps[i];
        unseen += t->failed[0] != '\0';
        foreign = foreign || (t->state == KW_SETUP_FOREIGN && !s->destroy);
        left = left || (t->undo != NULL && strcmp(look_of(s, t).word, "stays") == 0);
    }
    for (size_t i = 0; i < s->n; i++)
        print_step(s, &s->steps[s->destroy ? s->n - 1 - i : i], colour, out);
    print_warnings(s, colour, out);
    if (unseen > 0 && !s->revoke) /* which goes on without those */
        (void)fprintf(out, "%zu to be %s, %zu could not be looked at; nothing was done\n", n,
                      s->destroy ? "removed" : "made or changed", unseen);
    else if (n == 0 && !foreign && unseen == 0)
        (void)fprintf(out, "%s\n",
                      !s->destroy ? "all is as wanted: nothing to be done"
                      : left      ? "nothing is to be removed"
                                  : "nothing of keyward's is there");
    else if (n > 0 && !s->apply && !s->destroy)
        (void)fprintf(out, "%zu to be made or changed; nothing was done: --apply does it\n", n);
}

void kw_setup_print_done(const struct kw_setup *s, const struct kw_setup_step *t)
{
    char title[600];
    (void)s;
    if (t->done != NULL)
        (void)fprintf(stderr, "keyward: %s %s\n", t->done, kw_setup_title(t, title, sizeof title));
}

/* --- for a shell ---------------------------------------------------------------------------- */

void kw_setup_commands(const struct kw_setup *s, struct kw_buf *b)
{
    if (s->cloud->commands != NULL && !s->revoke)
        s->cloud->commands(s, b);
    for (size_t i = 0; i < s->n; i++) {
        const struct kw_setup_step *t = &s->steps[s->destroy ? s->n - 1 - i : i];
        if (t->command != NULL && (!s->destroy || t->undo != NULL))
            t->command(s, t, s->destroy, b);
    }
    if (s->cloud->commands_end != NULL && !s->revoke)
        s->cloud->commands_end(s, b);
}

/* --- for programs --------------------------------------------------------------------------- */

static const char *state_word(enum kw_setup_state state)
{
    static const char *const words[] = {"unseen",  "absent", "deleted",
                                        "differs", "same",   "foreign"};
    return words[state];
}

static json_t *step_json(const struct kw_setup *s, const struct kw_setup_step *t)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:O?, s:s?, s:s?, s:s?, s:s?}", "kind", t->kind, "name",
                     t->name, "state", state_word(t->planned), "made_by_keyward", t->mine, "diff",
                     t->planned_diff, "note", t->note[0] != '\0' ? t->note : NULL, "stays",
                     s->destroy && t->undo == NULL ? t->stays : NULL, "error",
                     t->failed[0] != '\0' ? t->failed : NULL, "done", t->done);
}

json_t *kw_setup_json(const struct kw_setup *s, const char *commands, const char *ini)
{
    json_t *steps = json_array();
    size_t changes = 0;
    for (size_t i = 0; i < s->n; i++) {
        (void)json_array_append_new(steps, step_json(s, &s->steps[i]));
        changes += s->steps[i].done != NULL;
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:O?, s:s?, s:s?}", "cloud", s->cloud->name, "mode",
                     s->commands  ? "commands"
                     : s->restore ? "restore"
                     : s->revoke  ? "revoke"
                     : s->destroy ? "destroy"
                     : s->apply   ? "apply"
                                  : "plan",
                     "pending", (json_int_t)kw_setup_changes(s), "changed", (json_int_t)changes,
                     "steps", steps, "warnings", s->warnings, "commands",
                     commands[0] != '\0' ? commands : NULL, s->revoke ? "text" : "ini",
                     ini[0] != '\0' ? ini : NULL);
}

void kw_setup_put_way(const struct kw_config *c, struct kw_buf *b)
{
    if (c->ca_file[0] != '\0')
        kw_put_fmt(b, "\n[tls]\nca_file = %s\n", c->ca_file);
    if (c->resolve[0] != '\0' || c->proxy[0] != '\0')
        kw_put_str(b, "\n[dial]\n");
    if (c->resolve[0] != '\0')
        kw_put_fmt(b, "resolve = %s\n", c->resolve);
    if (c->proxy[0] != '\0')
        kw_put_fmt(b, "proxy = %s\n", c->proxy);
}
