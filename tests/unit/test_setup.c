/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine of `setup` against a cloud of three things that has moods: what it loses, shows
 * late, changes meanwhile or says is somebody else's. No process is started. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/setup/setup.h"

enum { THINGS = 3, FOR_EVER = 1000000 };

const struct kw_command *const kw_commands[] = {NULL}; /* main.c's */

/* What is there, as the cloud has it. */
static struct thing {
    enum kw_setup_state state;
    bool foreign_mark; /* not made by keyward */
    int looks, acts, undos;
    int lose;      /* so many acts are lost on the way */
    int unheard;   /* so many are done, but their answer is lost */
    int late;      /* so many looks after an act show what was before */
    int sulk;      /* so many looks after an act are refused */
    int hidden;    /* so many looks don't see it: UNSEEN */
    int deny_look; /* so many looks are refused */
    int deny_act;
    int stale; /* looks that are still to show .before */
    enum kw_setup_state before;
    bool change_after_plan;
    bool taken_after_plan; /* it has lost our mark, at the second look */
    bool repainted;        /* after an act it is not only not as wanted, but another way */
    bool only_new;
} things[THINGS];
static int order[64], n_order;
static struct kw_err err;
static struct kw_cli cli;
static struct kw_args args;
static struct kw_config config;
static struct kw_setup s;
static char text[65536];

static int look(struct kw_setup *setup, struct kw_setup_step *t, struct kw_err *e)
{
    struct thing *x = &things[t->arg];
    (void)setup;
    x->looks++;
    if (x->deny_look > 0) {
        x->deny_look--;
        return kw_fail(e, KW_CLOUD, "Permission 'things.get' denied");
    }
    if (x->hidden > 0) {
        x->hidden--;
        return 0;
    }
    if (x->acts + x->undos > 0 && x->sulk > 0) {
        x->sulk--;
        return kw_fail(e, KW_CLOUD, "not there yet");
    }
    if (x->change_after_plan && x->looks == 2)
        x->state = KW_SETUP_DIFFERS;
    x->foreign_mark = x->foreign_mark || (x->taken_after_plan && x->looks == 2);
    t->state = x->stale > 0 ? x->before : x->state;
    if (x->stale > 0)
        x->stale--;
    t->mine = t->state != KW_SETUP_ABSENT && !x->foreign_mark;
    if (t->state == KW_SETUP_DIFFERS || t->state == KW_SETUP_DELETED)
        (void)kw_setup_differs_text(t, "colour", x->repainted && x->acts > 0 ? "green" : "red",
                                    "blue");
    if (t->state == KW_SETUP_ABSENT)
        (void)kw_setup_differs_text(t, "colour", NULL, "blue");
    if (t->state == KW_SETUP_FOREIGN)
        (void)snprintf(t->note, sizeof t->note, "it is theirs");
    return 0;
}

static int deed(struct thing *x, int index, enum kw_setup_state to, struct kw_err *e)
{
    if (n_order < 64)
        order[n_order++] = index;
    if (x->deny_act > 0)
        return kw_fail(e, KW_CLOUD, "Permission 'things.set' denied");
    if (x->lose > 0) {
        x->lose--;
        return kw_fail(e, KW_NET, "lost");
    }
    x->before = x->state;
    x->stale = x->late;
    x->state = to;
    if (x->unheard > 0) {
        x->unheard--;
        return kw_fail(e, KW_NET, "unheard");
    }
    return 0;
}

static int act(struct kw_setup *setup, struct kw_setup_step *t, struct kw_err *e)
{
    struct thing *x = &things[t->arg];
    (void)setup;
    x->acts++;
    return deed(x, t->arg,
                x->state == KW_SETUP_DELETED ? KW_SETUP_DIFFERS /* in two steps */
                                             : KW_SETUP_SAME,
                e);
}

static int undo(struct kw_setup *setup, struct kw_setup_step *t, struct kw_err *e)
{
    struct thing *x = &things[t->arg];
    (void)setup;
    x->undos++;
    return deed(x, t->arg, t->arg == 0 ? KW_SETUP_DELETED : KW_SETUP_ABSENT, e);
}

static void command(const struct kw_setup *setup, const struct kw_setup_step *t, bool un,
                    struct kw_buf *b)
{
    (void)setup;
    kw_put_fmt(b, "tool %s ", un ? "rm" : "mk");
    kw_setup_quote(b, t->name);
    kw_put_str(b, "\n");
}

static int begin(struct kw_setup *setup, struct kw_err *e)
{
    static const char *const names[THINGS] = {"first", "the 'second'", "third"};
    for (int i = 0; i < THINGS; i++) {
        struct kw_setup_step *t = kw_setup_add(setup, e, "thing", "%s", names[i]);
        t->arg = i;
        t->look = look;
        t->act = act;
        t->only_new = things[i].only_new;
        t->undo = i == 2 ? NULL : undo;
        t->stays = "thirds stay";
        t->command = command;
    }
    kw_setup_warn(setup, "it is %s", "wide\n");
    kw_setup_warn(setup, "it is %s", "wide\n");
    return 0;
}

static int open_nothing(struct kw_setup *setup, struct kw_err *e)
{
    (void)setup, (void)e;
    return 0;
}

static int ini(const struct kw_setup *setup, struct kw_buf *b, struct kw_err *e)
{
    (void)setup, (void)e;
    kw_put_str(b, "[made]\n");
    return 0;
}

static void free_nothing(struct kw_setup *setup)
{
    (void)setup;
}

static const char *const no_options[] = {NULL};
static const struct kw_setup_cloud cloud = {.name = "test",
                                            .options = no_options,
                                            .begin = begin,
                                            .open = open_nothing,
                                            .ini = ini,
                                            .free = free_nothing};

/* What was written to standard output is in text. */
static int go(const char *mode)
{
    char path[] = "/tmp/kw-test-setup.XXXXXX";
    int fd = mkstemp(path), out = dup(STDOUT_FILENO);
    assert_true(fd >= 0 && out >= 0 && unlink(path) == 0);
    s = (struct kw_setup){.cli = &cli, .args = &args, .config = &config, .cloud = &cloud};
    s.wait_s = 2;
    s.apply = strcmp(mode, "apply") == 0;
    s.destroy = strcmp(mode, "destroy") == 0;
    s.commands = strncmp(mode, "commands", 8) == 0;
    s.destroy = s.destroy || strcmp(mode, "commands-destroy") == 0;
    s.yes = true;
    n_order = 0;
    err.text[0] = '\0';
    (void)fflush(stdout);
    assert_true(dup2(fd, STDOUT_FILENO) >= 0);
    int r = kw_setup_go(&s, &err);
    (void)fflush(stdout);
    assert_true(dup2(out, STDOUT_FILENO) >= 0);
    (void)close(out);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    return r;
}

static int blank(void **state)
{
    (void)state;
    memset(things, 0, sizeof things);
    for (int i = 0; i < THINGS; i++)
        things[i].state = KW_SETUP_ABSENT;
    return 0;
}

static bool has(const char *word)
{
    return strstr(text, word) != NULL;
}

static void all_there(void)
{
    for (int i = 0; i < THINGS; i++)
        assert_int_equal(things[i].state, KW_SETUP_SAME);
}

static void plans(void **state)
{
    (void)state;
    things[1].state = KW_SETUP_DIFFERS;
    assert_int_equal(go("plan"), 0);
    assert_true(has("+ thing first: to be made\n      colour: \"blue\"\n"));
    assert_true(has("~ thing the 'second': to be changed\n      colour: \"red\" -> \"blue\"\n"));
    assert_true(has("3 to be made or changed; nothing was done"));
    assert_true(has("warning: it is wide?\n"));
    assert_int_equal(n_order, 0);
    assert_false(has("[made]"));
}

static void applies(void **state)
{
    (void)state;
    assert_int_equal(go("apply"), 0);
    all_there();
    assert_int_equal(n_order, 3);
    assert_true(order[0] == 0 && order[1] == 1 && order[2] == 2);
    assert_string_equal(text, "[made]\n");
    assert_int_equal(go("apply"), 0);
    assert_int_equal(n_order, 0);
}

static void brings_back(void **state)
{
    (void)state;
    things[0].state = KW_SETUP_DELETED;
    assert_int_equal(go("apply"), 0);
    all_there();
    assert_int_equal(things[0].acts, 2); /* brought back, then put right */
}

/* What is brought back, and then isn't what the plan showed, isn't touched any more. */
static void brings_back_what_was_shown(void **state)
{
    (void)state;
    things[0].state = KW_SETUP_DELETED;
    assert_int_equal(go("plan"), 0);
    assert_true(has("+ thing first: deleted, to be brought back\n      colour: \"red\" -> "
                    "\"blue\"\n"));
    things[0].repainted = true;
    assert_int_equal(go("apply"), KW_FAILED);
    assert_non_null(strstr(err.text, "thing first is not what it was when the plan was made"));
    assert_int_equal(things[0].acts, 1);
}

/* What a plan could not see, or said it would make, and is there then. */
static void leaves_what_was_not_shown(void **state)
{
    static const enum kw_setup_state there[] = {KW_SETUP_DIFFERS, KW_SETUP_DELETED};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int strict = 0; strict < 2; strict++) {
            blank(NULL);
            things[1].state = there[i];
            things[1].hidden = 1;
            things[1].only_new = strict != 0;
            assert_int_equal(go("apply"), strict != 0 ? KW_FAILED : 0);
            assert_int_equal(things[1].acts, strict != 0 ? 0 : 1 + (int)i);
        }
    blank(NULL);
    things[1].state = KW_SETUP_SAME;
    things[1].hidden = 1;
    things[1].only_new = true;
    assert_int_equal(go("apply"), 0);
}

static void is_lost_and_late(void **state)
{
    (void)state;
    things[0].lose = 2;
    things[1].unheard = 1;
    things[2].late = 3;
    assert_int_equal(go("apply"), 0);
    all_there();
    assert_int_equal(things[0].acts, 3);
    assert_int_equal(things[1].acts, 1); /* it was seen, not made twice */
    assert_int_equal(things[2].acts, 1);
    blank(NULL);
    things[0].sulk = 2;
    things[1].hidden = 2;
    assert_int_equal(go("apply"), 0);
    all_there();
}

static void gives_up(void **state)
{
    (void)state;
    things[1].lose = FOR_EVER;
    assert_int_equal(go("apply"), KW_NET);
    assert_non_null(strstr(err.text, "thing the 'second' is not as wanted after 2 s"));
    assert_non_null(strstr(err.text, "lost"));
    assert_int_equal(things[0].state, KW_SETUP_SAME);
    assert_int_equal(things[2].acts, 0);
    things[1].lose = 0;
    things[0].acts = 0;
    assert_int_equal(go("apply"), 0); /* goes on */
    assert_int_equal(things[0].acts, 0);
    all_there();
}

static void lacks_rights(void **state)
{
    (void)state;
    things[0].deny_look = things[2].deny_look = 1;
    assert_int_equal(go("apply"), KW_CLOUD);
    assert_int_equal(n_order, 0);
    things[0].deny_look = things[2].deny_look = 1;
    assert_int_equal(go("plan"), KW_CLOUD);
    assert_true(has("! thing first: can't be looked at\n      Permission")); /* named once */
    assert_non_null(strstr(err.text, "thing first: Permission"));
    assert_null(strstr(err.text, "thing first: thing first"));
    assert_true(has("! thing third: can't be looked at"));
    blank(NULL);
    things[1].deny_act = 1;
    assert_int_equal(go("apply"), KW_CLOUD);
    assert_non_null(strstr(err.text, "thing the 'second': Permission 'things.set' denied"));
    assert_int_equal(things[1].acts, 1);
}

static void leaves_others_alone(void **state)
{
    (void)state;
    things[1].state = KW_SETUP_FOREIGN;
    assert_int_equal(go("apply"), KW_POLICY);
    assert_int_equal(n_order, 0);
    assert_non_null(strstr(err.text, "it is theirs"));
    assert_int_equal(go("plan"), KW_POLICY);
    assert_true(has("! thing the 'second': not keyward's to change\n      it is theirs"));
}

/* What was agreed to was the plan. */
static void stops_when_it_changed(void **state)
{
    (void)state;
    things[1].change_after_plan = true;
    assert_int_equal(go("apply"), KW_FAILED);
    assert_non_null(strstr(err.text, "not what it was when the plan was made"));
    assert_int_equal(things[1].acts, 0);
}

static void destroys(void **state)
{
    (void)state;
    for (int i = 0; i < THINGS; i++)
        things[i].state = KW_SETUP_SAME;
    things[0].unheard = 1;
    things[1].late = 2;
    assert_int_equal(go("destroy"), 0);
    assert_int_equal(things[0].state, KW_SETUP_DELETED);
    assert_int_equal(things[1].state, KW_SETUP_ABSENT);
    assert_int_equal(things[2].state, KW_SETUP_SAME);
    assert_true(n_order == 2 && order[0] == 1 && order[1] == 0); /* the last made goes first */
    assert_int_equal(go("destroy"), 0);
    assert_int_equal(n_order, 0);
    blank(NULL);
    things[0].state = things[1].state = KW_SETUP_SAME;
    things[0].foreign_mark = true;
    assert_int_equal(go("destroy"), 0);
    assert_int_equal(things[0].state, KW_SETUP_SAME);
    assert_int_equal(things[1].state, KW_SETUP_ABSENT);
    blank(NULL);
    things[1].state = KW_SETUP_SAME;
    things[1].taken_after_plan = true;
    assert_int_equal(go("destroy"), KW_FAILED);
    assert_non_null(strstr(err.text, "thing the 'second' is not what it was"));
    assert_int_equal(things[1].undos, 0);
}

static void prints_commands(void **state)
{
    (void)state;
    assert_int_equal(go("commands"), 0);
    assert_string_equal(text, "tool mk first\ntool mk 'the '\\''second'\\'''\ntool mk third\n");
    assert_int_equal(things[0].looks, 0);
    assert_int_equal(go("commands-destroy"), 0);
    assert_string_equal(text, "tool rm 'the '\\''second'\\'''\ntool rm first\n");
}

static void as_json(void **state)
{
    (void)state;
    cli.json = true;
    things[2].deny_look = 1;
    assert_int_equal(go("plan"), KW_CLOUD);
    json_t *o = kw_cli_take_result();
    const json_t *steps = json_object_get(o, "steps"), *third = json_array_get(steps, 2);
    assert_int_equal(json_array_size(steps), 3);
    assert_string_equal(json_string_value(json_object_get(o, "mode")), "plan");
    assert_string_equal(json_string_value(json_object_get(json_array_get(steps, 0), "state")),
                        "absent");
    assert_non_null(json_string_value(json_object_get(third, "error")));
    json_decref(o);
    assert_int_equal(go("apply"), 0);
    o = kw_cli_take_result();
    assert_string_equal(json_string_value(json_object_get(o, "ini")), "[made]\n");
    assert_int_equal(json_integer_value(json_object_get(o, "changed")), 3);
    assert_int_equal(json_integer_value(json_object_get(o, "pending")), 0);
    json_decref(o);
    assert_string_equal(text, "");
    cli.json = false;
}

static void tells_differences(void **state)
{
    (void)state;
    struct kw_setup_step t = {.kind = "x"};
    json_t *no = json_false(), *none = json_array(), *one = json_integer(1);
    assert_false(kw_setup_differs(&t, "a", NULL, no));
    assert_false(kw_setup_differs(&t, "a", none, NULL));
    assert_false(kw_setup_differs_text(&t, "a", "", NULL));
    assert_false(kw_setup_differs_text(&t, "a", "x", "x"));
    assert_true(kw_setup_differs(&t, "a", one, no));
    assert_true(kw_setup_differs_text(&t, "a", NULL, "x"));
    assert_int_equal(json_array_size(t.diff), 2);
    json_decref(t.diff);
    json_decref(none);
    json_decref(one);
    assert_true(kw_setup_marked("Made by keyward setup, for CI"));
    assert_false(kw_setup_marked("not Made by keyward setup"));
    assert_false(kw_setup_marked(NULL));
}

int main(void)
{
#define WITH_BLANK(f) cmocka_unit_test_setup(f, blank)
    const struct CMUnitTest tests[] = {
        WITH_BLANK(plans),
        WITH_BLANK(applies),
        WITH_BLANK(brings_back),
        WITH_BLANK(brings_back_what_was_shown),
        WITH_BLANK(leaves_what_was_not_shown),
        WITH_BLANK(is_lost_and_late),
        WITH_BLANK(gives_up),
        WITH_BLANK(lacks_rights),
        WITH_BLANK(leaves_others_alone),
        WITH_BLANK(stops_when_it_changed),
        WITH_BLANK(destroys),
        WITH_BLANK(prints_commands),
        WITH_BLANK(as_json),
        WITH_BLANK(tells_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
