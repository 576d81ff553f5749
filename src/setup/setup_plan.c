/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine of `setup`: looks at every step, then makes what is not as wanted, one after the
 * other, and waits until the cloud shows it. It believes what it sees, not what a call
 * answered: a lost answer, an answer that came too early and an interrupted run are all cured
 * by looking again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "setup.h"
#include "src/base/io.h"
#include "src/base/log.h"
#include "src/base/memory.h"
#include "src/ipc/ipc.h"

enum { PAUSE_MS = 100, PAUSE_MOST_MS = 5000 };

/* --- looking -------------------------------------------------------------------------------- */

static int look(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    json_decref(t->diff);
    json_decref(t->found);
    t->diff = t->found = NULL;
    t->note[0] = t->failed[0] = '\0';
    t->mine = false;
    t->state = KW_SETUP_UNSEEN;
    int r = t->look(s, t, err);
    kw_printable(t->note);
    /* What there was no memory to compare would read as the same. */
    return r == 0 && kw_memory_short() ? kw_fail(err, KW_FAILED, "out of memory") : r;
}

/* Says whose error it is: once, where it leaves this file. */
static int of_step(const struct kw_setup_step *t, int r, struct kw_err *err)
{
    char title[600];
    return r != 0 ? kw_err_wrap(err, "%s", kw_setup_title(t, title, sizeof title)) : 0;
}

/* Is it an error of one thing only, so that the others can be gone on with? In a panic also one
 * of the network. */
static bool tells(const struct kw_setup *s, int r)
{
    return r == KW_CLOUD || (s->revoke && r == KW_NET);
}

/* All of it, so that whoever lacks rights is told of each that he lacks. */
static int look_at_all(struct kw_setup *s, struct kw_err *err)
{
    struct kw_err why;
    unsigned unseen = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct kw_setup_step *t = &s->steps[i];
        int r = look(s, t, &why);
        if (r != 0)
            (void)snprintf(t->failed, sizeof t->failed, "%s", why.text);
        if (r != 0 && (unseen == 0 || !tells(s, r))) {
            *err = why;
            (void)of_step(t, r, err);
        }
        if (r != 0 && !tells(s, r))
            return r;
        unseen += r != 0;
        t->planned = t->state;
        json_decref(t->planned_diff);
        t->planned_diff = json_deep_copy(t->diff);
    }
    return unseen > 0 ? (int)err->code : 0;
}

/* --- asking --------------------------------------------------------------------------------- */

/* On a terminal a person is asked; without one the option was the consent. */
static int consent(const struct kw_setup *s, size_t changes, struct kw_err *err)
{
    char line[16];
    if (s->yes || isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1)
        return 0;
    (void)fprintf(stderr,
                  "%s %zu thing%s at %s? Type yes: ", s->destroy ? "Remove" : "Make or change",
                  changes, changes == 1 ? "" : "s", s->cloud->name);
    (void)fflush(stderr);
    bool yes = fgets(line, sizeof line, stdin) != NULL && strcmp(line, "yes\n") == 0;
    return yes ? 0 : kw_fail(err, KW_FAILED, "not agreed to; nothing was changed");
}

/* --- applying ------------------------------------------------------------------------------- */

struct waiting {
    int64_t since, deadline;
    unsigned pause;
    char title[600];
};

static struct waiting wait_from_now(const struct kw_setup *s, const struct kw_setup_step *t)
{
    struct waiting w = {.since = kw_now_ms(), .pause = PAUSE_MS};
    w.deadline = w.since + (int64_t)s->wait_s * 1000;
    (void)kw_setup_title(t, w.title, sizeof w.title);
    return w;
}

/* One pause. KW_NET when time is up: why is the last that was heard, or "". */
static int wait_more(struct kw_setup *s, struct waiting *w, const char *why, struct kw_err *err)
{
    char last[600];
    (void)snprintf(last, sizeof last, "%s%.590s", why[0] != '\0' ? ": " : "", why);
    if (kw_left_ms(w->deadline) == 0)
        return kw_fail(err, KW_NET,
                       "%s is not as wanted after %u s (--wait)%s; what was done stays, and the "
                       "same command goes on from there",
                       w->title, s->wait_s, last);
    int r = kw_setup_pause(s, w->title, w->since, w->pause, err);
    w->pause = w->pause * 2 < PAUSE_MOST_MS ? w->pause * 2 : PAUSE_MOST_MS;
    return r;
}

/* Is each of these differences among those? */
static bool within(const json_t *some, const json_t *all)
{
    const json_t *one, *other;
    size_t i, k;
    json_array_foreach(some, i, one)
    {
        bool found = false;
        json_array_foreach(all, k, other) found = found || json_equal(one, other);
        if (!found)
            return false;
    }
    return true;
}

/* May it be touched, being what it is now? The consent was for the plan; after an act of ours
 * (acted), what is left to be done must have been in it. */
static int as_planned(const struct kw_setup_step *t, bool acted, struct kw_err *err)
{
    char title[600];
    (void)kw_setup_title(t, title, sizeof title);
    if (t->state == KW_SETUP_FOREIGN)
        return kw_fail(err, KW_POLICY, "%s: %s", title, t->note);
    bool shown = within(t->diff, t->planned_diff), more = !t->only_new && t->mine;
    bool fits = t->planned == t->state && shown && (acted || within(t->planned_diff, t->diff));
    if (t->planned == KW_SETUP_UNSEEN)
        fits =
            t->state == KW_SETUP_ABSENT || more || (t->state == KW_SETUP_DELETED && !t->only_new);
    else if (t->planned == KW_SETUP_DELETED)
        fits = fits || (t->mine && shown);
    else if (t->planned == KW_SETUP_ABSENT)
        fits = fits || (acted && more);
    return fits ? 0
                : kw_fail(err, KW_FAILED,
                          "%s is not what it was when the plan was made (somebody else is at it, "
                          "or it could not be seen then); look at the plan again",
                          title);
}

/* Until an earlier step lets it be seen. */
static int look_until_seen(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct waiting w = wait_from_now(s, t);
    int r = look(s, t, err);
    while ((r == 0 && t->state == KW_SETUP_UNSEEN) || r == KW_NET) {
        const struct kw_err why = *err;
        int late = wait_more(s, &w, r != 0 ? why.text : t->note, err);
        if (late != 0)
            return late;
        r = look(s, t, err);
    }
    return of_step(t, r, err);
}

static const char *deed(enum kw_setup_state from)
{
    return from == KW_SETUP_DIFFERS   ? "changed"
           : from == KW_SETUP_DELETED ? "brought back"
                                      : "made";
}

/* Looks until it is as wanted, or has moved on from `before`, or (the call was lost) still is
 * as before after one pause: then there is to be another act. Errors of looking may pass: what
 * was just made may be hidden from its own maker for a while. */
static int settle(struct kw_setup *s, struct kw_setup_step *t, enum kw_setup_state before,
                  bool lost, struct waiting *w, struct kw_err *err)
{
    struct kw_err why = *err;
    for (;;) {
        int r = look(s, t, err);
        if (r == 0 && t->state == KW_SETUP_SAME)
            return 0;
        if (r != 0 && r != KW_NET && r != KW_CLOUD)
            return of_step(t, r, err);
        if (r == 0 && t->state == KW_SETUP_FOREIGN)
            return kw_fail(err, KW_POLICY, "%s: %s", w->title, t->note);
        if (r == 0 && t->state != before && t->state != KW_SETUP_UNSEEN)
            return 0;
        if (r != 0)
            why = *err;
        r = wait_more(s, w, why.text, err);
        if (r != 0 || lost)
            return r != 0 ? r : of_step(t, look(s, t, err), err);
    }
}

static int make(struct kw_setup *s, struct kw_setup_step *t, bool *changed, struct kw_err *err)
{
    int r = 0;
    if (*changed || t->state != KW_SETUP_SAME) /* who was asked may have taken his time */
        r = look_until_seen(s, t, err);
    struct waiting w = wait_from_now(s, t);
    for (bool acted = false; r == 0 && t->state != KW_SETUP_SAME; acted = true) {
        enum kw_setup_state before = t->state;
        r = as_planned(t, acted, err);
        if (r != 0)
            return r;
        err->text[0] = '\0';
        r = t->act(s, t, err);
        if (r != 0 && r != KW_NET)
            return of_step(t, r, err);
        if (r != 0)
            kw_log(KW_INFO, "%s: %s; looking again", w.title, err->text);
        *changed = true;
        if (t->done == NULL)
            t->done = deed(before);
        r = settle(s, t, before, r == KW_NET, &w, err);
    }
    if (r == 0)
        kw_setup_print_done(s, t);
    return r;
}

static int apply(struct kw_setup *s, struct kw_err *err)
{
    bool changed = false;
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->n; i++)
        r = make(s, &s->steps[i], &changed, err);
    return r;
}

/* Switches off what can be: one thing that can't be is no reason to leave the others on. seen: what
 * looking came to, in *err. The first error is the result, the others are told. */
static int switch_each(struct kw_setup *s, int seen, struct kw_err *err)
{
    struct kw_err why;
    bool changed = false;
    int r = seen;
    for (size_t i = 0; i < s->n && !kw_interrupted(); i++) {
        if (s->steps[i].failed[0] != '\0')
            continue;
        int one = make(s, &s->steps[i], &changed, &why);
        if (one != 0 && r != 0)
            kw_log(KW_WARN, "%s", why.text);
        else if (one != 0)
            *err = why;
        r = r != 0 ? r : one;
    }
    return r;
}

/* --- destroying ----------------------------------------------------------------------------- */

static bool gone(const struct kw_setup_step *t)
{
    return t->state == KW_SETUP_ABSENT || t->state == KW_SETUP_DELETED;
}

bool kw_setup_goes(const struct kw_setup_step *t)
{
    return !gone(t) && t->state != KW_SETUP_UNSEEN && t->mine && t->undo != NULL;
}

static int unmake(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err)
{
    struct waiting w = wait_from_now(s, t);
    int r = look_until_seen(s, t, err);
    if (r != 0 || gone(t))
        return r;
    if (!kw_setup_goes(t))
        return kw_fail(err, KW_FAILED,
                       "%s is not what it was when the plan was made, and stays: %s; look at the "
                       "plan again",
                       w.title, t->note[0] != '\0' ? t->note : "it is not keyward's any more");
    t->done = "removed";
    while (r == 0 && kw_setup_goes(t)) {
        err->text[0] = '\0';
        r = t->undo(s, t, err);
        if (r != 0 && r != KW_NET)
            return of_step(t, r, err);
        struct kw_err why = *err;
        bool lost = r != 0;
        do {
            r = look(s, t, err);
            if (r == 0 && gone(t))
                break;
            if (r != 0 && r != KW_NET)
                return of_step(t, r, err);
            r = wait_more(s, &w, why.text, err);
        } while (r == 0 && !lost);
    }
    if (r == 0)
        kw_setup_print_done(s, t);
    return r;
}

static int destroy(struct kw_setup *s, struct kw_err *err)
{
    int r = 0;
    for (size_t i = s->n; r == 0 && i > 0; i--)
        if (kw_setup_goes(&s->steps[i - 1]))
            r = unmake(s, &s->steps[i - 1], err);
    return r;
}

/* --- all of it ------------------------------------------------------------------------------ */

static int refuse_foreign(const struct kw_setup *s, struct kw_err *err)
{
    char title[600];
    for (size_t i = 0; i < s->n && !s->destroy; i++)
        if (s->steps[i].state == KW_SETUP_FOREIGN)
            return kw_fail(err, KW_POLICY, "%s: %s",
                           kw_setup_title(&s->steps[i], title, sizeof title), s->steps[i].note);
    return 0;
}

static int act(struct kw_setup *s, struct kw_err *err)
{
    struct kw_err no;
    int r = look_at_all(s, err);
    bool acts = s->apply || s->destroy;
    if (!s->cli->json && (r == 0 || tells(s, r)))
        kw_setup_print_plan(s, acts ? stderr : stdout);
    if (r == 0)
        r = refuse_foreign(s, err);
    size_t changes = kw_setup_changes(s);
    if ((r != 0 && !(s->revoke && tells(s, r))) || !acts || changes == 0)
        return r;
    if (consent(s, changes, &no) != 0) {
        *err = no;
        return (int)no.code;
    }
    r = s->revoke ? switch_each(s, r, err) : s->destroy ? destroy(s, err) : apply(s, err);
    if (r != 0 && s->cloud->abandon != NULL)
        s->cloud->abandon(s);
    return r;
}

/* Where the configuration goes: a file, or standard output. */
static int hand_out(const struct kw_setup *s, const char *ini, struct kw_err *err)
{
    const char *output = kw_arg(s->args, "output");
    struct kw_atomic file = {.fd = -1};
    if (output == NULL || strcmp(output, "-") == 0) {
        if (!s->cli->json)
            (void)fputs(ini, stdout);
        return 0;
    }
    int r = kw_atomic_result(&file, output, 0600, err);
    if (r == 0 && kw_write_all(file.fd, ini, strlen(ini)) != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not write %s", output);
    if (r == 0)
        r = kw_atomic_commit(&file, err);
    kw_atomic_abort(&file);
    return r;
}

/* Was anything brought to where it was wanted? */
static bool any_done(const struct kw_setup *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->steps[i].done != NULL && s->steps[i].state == KW_SETUP_SAME)
            return true;
    return false;
}

static int show_commands(struct kw_setup *s, struct kw_buf *commands, struct kw_err *err)
{
    kw_setup_commands(s, commands);
    if (commands->bad)
        return kw_fail(err, KW_FAILED, "the commands are too long");
    const json_t *one;
    size_t i;
    if (s->cli->json)
        return 0;
    json_array_foreach(s->warnings, i, one)(void)
        fprintf(stderr, "warning: %s\n", json_string_value(one));
    (void)fputs(kw_buf_str(commands), stdout);
    return 0;
}

/* Where the configuration is to go: over one that keyward wrote, but not over somebody's own, which
 * has more in it than could be put back. */
static int spare_output(const struct kw_setup *s, struct kw_err *err)
{
    const char *output = kw_arg(s->args, "output");
    char line[sizeof KW_SETUP_INI] = "";
    struct stat st;
    if (output == NULL || stat(output, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    FILE *f = fopen(output, "re");
    if (f == NULL)
        return kw_fail_errno(err, KW_FAILED, "could not open %s", output);
    size_t n = fread(line, 1, sizeof line - 1, f);
    (void)fclose(f);
    return n == sizeof line - 1 && strcmp(line, KW_SETUP_INI) == 0
               ? 0
               : kw_fail(err, KW_USAGE,
                         "%s is there, and not by keyward setup (which begins with \"%s\"): it "
                         "would be lost; write to another file, or move it away",
                         output, KW_SETUP_INI);
}

int kw_setup_go(struct kw_setup *s, struct kw_err *err)
{
    struct kw_buf ini, commands;
    struct kw_err why = {0};
    kw_buf_init(&ini, KW_LINES);
    kw_buf_init(&commands, 1 << 18);
    int r = s->revoke ? s->cloud->revoke(s, err) : s->cloud->begin(s, err);
    if (r == 0)
        r = spare_output(s, err);
    if (r == 0 && !s->commands)
        r = s->cloud->open(s, err);
    if (r == 0)
        r = s->commands ? show_commands(s, &commands, err) : act(s, err);
    bool wanted = (s->apply || s->cli->json) && !s->destroy && !s->commands;
    if (wanted && s->revoke && (r == 0 || any_done(s)))
        s->cloud->revoked(s, &ini);
    else if (r == 0 && wanted) {
        r = s->cloud->ini(s, &ini, err);
        kw_setup_put_way(s->config, &ini);
        if (r == 0 && ini.bad)
            r = kw_fail(err, KW_FAILED, "keyward.ini would be too long");
    }
    if (wanted && s->apply && ini.len > 0) {
        int out = hand_out(s, kw_buf_str(&ini), r == 0 ? err : &why);
        r = r == 0 ? out : r;
    }
    if (s->cli->json && s->n > 0) {
        int told = kw_cli_result(kw_setup_json(s, kw_buf_str(&commands), kw_buf_str(&ini)), &why);
        if (told != 0 && r == 0) {
            *err = why;
            r = told;
        }
    }
    r = kw_setup_close(s, r, err);
    kw_buf_free(&ini);
    kw_buf_free(&commands);
    s->cloud->free(s);
    for (size_t i = 0; i < s->n; i++) {
        json_decref(s->steps[i].diff);
        json_decref(s->steps[i].found);
        json_decref(s->steps[i].planned_diff);
    }
    json_decref(s->warnings);
    return r;
}
