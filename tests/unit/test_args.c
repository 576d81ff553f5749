/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: GNU habits, nothing guessed, nothing echoed that could be a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "src/cli/args.h"

static int nothing(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    (void)cli, (void)args, (void)err;
    return 0;
}

static const struct kw_option options[] = {
    {"data", 'd', "TEXT", "body"},  {"header", 'H', "LINE", "header, repeatable"},
    {"force", 'f', NULL, "a flag"}, {"output", 'o', "FILE", "where to"},
    {NULL, '\0', NULL, NULL},
};
static const struct kw_command call = {"call",      "METHOD URL", 2,       2,    "calls",
                                       "It calls.", options,      nothing, false};
static const struct kw_command plain = {"plain", "", 0, 0, "plain", "Plain.", NULL, nothing, false};
static const struct kw_command many = {"many",  "WORD...", 0,       99,   "many",
                                       "Many.", NULL,      nothing, false};
const struct kw_command *const kw_commands[] = {&call, &plain, &many, NULL};

static struct kw_cli cli;
static struct kw_args args;
static const struct kw_command *command;
static struct kw_err err;

/* Parses "keyward" and the words (separated by '|') in place. */
static int parse(const char *words)
{
    static char text[2048];
    static char *argv[64];
    static char name[] = "keyward";
    (void)snprintf(text, sizeof text, "%s", words);
    int argc = 0;
    argv[argc++] = name;
    for (char *p = text; *words != '\0' && p != NULL;) {
        argv[argc++] = p;
        p = strchr(p, '|');
        if (p != NULL)
            *p++ = '\0';
    }
    argv[argc] = NULL;
    cli = (struct kw_cli){0};
    err = (struct kw_err){0};
    return kw_args_parse(argc, argv, &cli, &command, &args, &err);
}

static void refused(const char *words, const char *why)
{
    assert_int_equal(parse(words), KW_USAGE);
    assert_int_equal(err.code, KW_USAGE);
    assert_null(command);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: \"%s\" is not \"%s\"", words, err.text, why);
}

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(parse("call|GET|https://h/"), 0);
    assert_ptr_equal(command, &call);
    assert_int_equal(args.n_operands, 2);
    assert_string_equal(args.operands[1], "https://h/");
    assert_null(kw_arg(&args, "data"));
    assert_null(kw_arg(&args, "no-such-option"));

    assert_int_equal(parse("--config|c.ini|-vv|call|--data=a=b|-fv|GET|--json|-o-|u|--profile|p"),
                     KW_USAGE);
    assert_int_equal(parse("--config|c.ini|-vv|call|--data=a=b|-f|-v|GET|--json|-o-|u|--profile|p"),
                     0);
    assert_string_equal(cli.config_path, "c.ini");
    assert_string_equal(cli.profile, "p");
    assert_true(cli.json);
    assert_int_equal(cli.verbosity, 3);
    assert_string_equal(kw_arg(&args, "data"), "a=b");
    assert_string_equal(kw_arg(&args, "force"), "");
    assert_string_equal(kw_arg(&args, "output"), "-");
    assert_string_equal(args.operands[0], "GET");

    assert_int_equal(parse("call|-d|--|-|--|--data"), 0); /* values and operands that look alike */
    assert_string_equal(kw_arg(&args, "data"), "--");
    assert_string_equal(args.operands[0], "-");
    assert_string_equal(args.operands[1], "--data");
    assert_int_equal(parse("call|--data=|-dx|--data|y|a|b"), 0); /* the last one wins */
    assert_string_equal(kw_arg(&args, "data"), "y");
    assert_int_equal(parse("--|plain"), 0);
    assert_ptr_equal(command, &plain);
}

static void test_refused(void **state)
{
    (void)state;
    refused("", "no command given");
    refused("-v", "no command given");
    refused("nosuch", "unknown command nosuch");
    refused("cal", "unknown command cal"); /* no abbreviations */
    refused("call|--dat=x|a|b", "unknown option --dat");
    refused("call|--DATA=x|a|b", "unknown option --DATA");
    refused("call|-x|a|b", "unknown option -x");
    refused("call|--=x|a|b", "unknown option --");
    refused("--data=x|call|a|b", "unknown option --data"); /* a command's, before it */
    refused("call|a|b|--data", "a value is missing after --data");
    refused("call|a|b|-d", "a value is missing after -d");
    refused("call|--force=yes|a|b", "takes no value: --force");
    refused("call|--json=yes|a|b", "takes no value: --json");
    refused("call|-fx|a|b", "takes no value: -f");
    refused("call|-vx|a|b", "takes no value: -v");
    refused("call|a", "needs METHOD URL");
    refused("call|a|b|c", "unexpected operand c");
    refused("plain|x", "unexpected operand x");
    refused("many|1|2|3|4|5|6|7|8|9", "unexpected operand 9"); /* more than there is room for */
    refused("call|\x1b[2J|b|c\x1b[2J", "unexpected operand c?[2J");
}

/* What follows the name of an option may be a PIN that was put in the wrong place. */
static void test_no_echo(void **state)
{
    (void)state;
    static const char *const cases[] = {"--pin=123456",      "call|--pin=123456",
                                        "call|-p123456|a|b", "call|--json=123456|a|b",
                                        "-p123456",          "call|-f123456|a|b"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i]), KW_USAGE);
        assert_null(strstr(err.text, "123456"));
    }
}

static void test_each(void **state)
{
    (void)state;
    assert_int_equal(parse("-v|call|-Ha: 1|GET|--header|--|--json|-d|-H|--header=b: 2|u|--|-Hc: 3"),
                     KW_USAGE);
    assert_int_equal(parse("-v|call|-Ha: 1|GET|--header|--|--json|-d|-H|--header=b: 2|--|-Hc: 3"),
                     0);
    int pos = 0;
    assert_string_equal(kw_args_each(&args, "header", &pos), "a: 1");
    assert_string_equal(kw_args_each(&args, "header", &pos), "--");
    assert_string_equal(kw_args_each(&args, "header", &pos), "b: 2");
    assert_null(kw_args_each(&args, "header", &pos));
    assert_null(kw_args_each(&args, "header", &pos));
    pos = 0;
    assert_string_equal(kw_args_each(&args, "data", &pos), "-H");
    assert_null(kw_args_each(&args, "data", &pos));
    pos = 0;
    assert_null(kw_args_each(&args, "no-such-option", &pos));
    assert_int_equal(parse("plain"), 0);
    pos = 0;
    assert_null(kw_args_each(&args, "header", &pos));
}

/* What is printed to standard output by this command line. */
static const char *printed(const char *words)
{
    static char out[60000];
    char name[] = "/tmp/kw.XXXXXX";
    int fd = mkstemp(name), was = dup(STDOUT_FILENO);
    assert_true(fd >= 0 && was >= 0);
    (void)unlink(name);
    (void)fflush(stdout);
    (void)dup2(fd, STDOUT_FILENO);
    int r = parse(words);
    (void)fflush(stdout);
    (void)dup2(was, STDOUT_FILENO);
    ssize_t n = pread(fd, out, sizeof out - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    (void)close(was);
    assert_int_equal(r, 0);
    assert_null(command);
    return out;
}

static void test_help(void **state)
{
    (void)state;
    assert_string_equal(printed("--version"), "keyward " KW_VERSION "\n");
    assert_non_null(strstr(printed("--help"), "call"));
    assert_non_null(strstr(printed("call|--help"), "--data")); /* without the operands */
    assert_non_null(strstr(printed("--help|call"), "--data"));
    assert_non_null(strstr(printed("--help|config"), "[token]"));
    assert_non_null(strstr(printed("--help|man"), ".SH NAME"));
    refused("--help|nosuch", "no help on nosuch");
}

/* Each real command's options fit the room that kw_args has, and hide no global one. */
static void test_tables(void **state)
{
    (void)state;
    static const struct kw_command *const real[] = {
        &kw_cmd_exchange, &kw_cmd_request, &kw_cmd_sign, &kw_cmd_claims, &kw_cmd_doctor,
        &kw_cmd_selftest, &kw_cmd_policy,  &kw_cmd_keys, &kw_cmd_audit};
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++) {
        const struct kw_option *o = real[i]->options;
        assert_true(real[i]->max_operands <= 8);
        for (size_t k = 0; o != NULL && o[k].name != NULL; k++) {
            assert_true(k < sizeof args.values / sizeof args.values[0]);
            for (size_t g = 0; kw_global_options[g].name != NULL; g++) {
                assert_string_not_equal(o[k].name, kw_global_options[g].name);
                assert_true(o[k].letter == '\0' || o[k].letter != kw_global_options[g].letter);
            }
            for (size_t j = 0; j < k; j++) {
                assert_string_not_equal(o[k].name, o[j].name);
                assert_true(o[k].letter == '\0' || o[k].letter != o[j].letter);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_refused), cmocka_unit_test(test_no_echo),
        cmocka_unit_test(test_each), cmocka_unit_test(test_help),    cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
