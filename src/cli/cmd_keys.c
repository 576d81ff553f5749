/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward keys: lists and prunes what keyward left in a token (storage = token). */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "src/base/tty.h"
#include "src/session/session.h"
#include "src/session/state.h"

static const struct kw_option options[] = {
    {"prune", '\0', NULL,
     "destroy every key of keyward's in the token that no stored session of this profile uses"},
    {"all", '\0', NULL, "with --prune: destroy the stored session's key and its state file too"},
    {NULL, '\0', NULL, NULL},
};

enum { MOST = 256 };

struct keys {
    struct kw_m_list_item items[MOST];
    size_t n;
};

static int start(const struct kw_config *c, struct kw_crew *crew, struct kw_err *err)
{
    struct kw_m_keeper_start m;
    int pin_fd = -1, audit_fd = -1;
    int r = kw_keeper_config(c, KW_FOR_LIST, "keys", &m, &pin_fd, err);
    if (r == 0)
        r = kw_audit_open(c, &audit_fd, err);
    if (r == 0 && m.pin_source == KW_PIN_PROMPT)
        kw_tty_save();
    if (r == 0)
        r = kw_crew_start(crew, 1u << KW_ROLE_KEEPER, audit_fd, pin_fd, c->token_env, err);
    if (audit_fd >= 0)
        (void)close(audit_fd);
    if (pin_fd >= 0)
        (void)close(pin_fd);
    if (r != 0)
        return r;
    (void)snprintf(crew->keeper.module, sizeof crew->keeper.module, "%s", m.module);
    /* All of this destroys token objects: the module must be able to write. */
    m.token_object = 1;
    r = kw_child_send(&crew->keeper, KW_KM_START, &m, NULL, 0, err);
    struct kw_in in;
    struct kw_m_keeper_ready ready;
    if (r == 0) {
        int64_t typing = m.pin_source == KW_PIN_PROMPT ? 300000 : 0;
        r = kw_child_expect(&crew->keeper, KW_KM_READY, &ready, &in, kw_deadline(c) + typing, err);
        kw_in_free(&in);
    }
    return r;
}

static int list(const struct kw_config *c, struct kw_crew *crew, struct keys *k, struct kw_err *err)
{
    int r = 0;
    for (bool end = false; r == 0 && !end;) {
        struct kw_in in;
        r = kw_child_recv(&crew->keeper, &in, kw_deadline(c), err);
        if (r == 0 && in.type == KW_KM_LIST_END)
            end = true;
        else if (r == 0 && in.type == KW_KM_LIST_ITEM && k->n < MOST &&
                 kw_msg_get_shown(&in.body, in.type, &k->items[k->n]))
            k->n++;
        else if (r == 0)
            r = kw_fail(err, KW_TOKEN,
                        "more than %d keys of keyward's in this token, or a "
                        "malformed answer of the keeper",
                        MOST);
        kw_in_free(&in);
    }
    return r;
}

static void print_key(const struct kw_cli *cli, json_t *array, const struct kw_m_list_item *i,
                      const char *state)
{
    if (cli->json)
        (void)json_array_append_new(array, json_pack("{s:s,s:s,s:i,s:s,s:s}", "id", i->id, "label",
                                                     i->label, "bits", (int)i->bits, "attributes",
                                                     i->attributes, "state", state));
    else
        (void)printf("%s  %u bits  %s  %s  %s\n", i->id, i->bits, i->label, state, i->attributes);
}

static int destroy(const struct kw_config *c, struct kw_crew *crew, const char *id,
                   struct kw_err *err)
{
    struct kw_m_destroy d;
    struct kw_in in;
    (void)snprintf(d.id, sizeof d.id, "%s", id);
    int r = kw_child_send(&crew->keeper, KW_KM_DESTROY, &d, NULL, 0, err);
    if (r != 0)
        return r;
    r = kw_child_expect(&crew->keeper, KW_KM_OK, NULL, &in, kw_deadline(c), err);
    kw_in_free(&in);
    return r;
}

static int walk(const struct kw_cli *cli, const struct kw_config *c, struct kw_crew *crew,
                const struct keys *k, bool prune, bool all, struct kw_err *err)
{
    struct kw_state st;
    bool found;
    int r = kw_state_read(c, (int64_t)time(NULL), &st, &found, err);
    json_t *array = json_array();
    for (size_t i = 0; r == 0 && i < k->n; i++) {
        bool used = found && strcmp(st.key_id, k->items[i].id) == 0;
        bool gone = prune && (all || !used);
        if (gone)
            r = destroy(c, crew, k->items[i].id, err);
        if (r == 0)
            print_key(cli, array, &k->items[i],
                      gone   ? "destroyed"
                      : used ? "stored session"
                             : "left over");
    }
    if (r == 0 && prune && (all || !found))
        r = kw_state_remove(c, err);
    if (r == 0 && k->n == 0 && !cli->json)
        (void)fprintf(stderr, "keyward: no key of keyward's in this token\n");
    if (cli->json) { /* also on error: what was destroyed until then is told */
        struct kw_err bad;
        if (kw_cli_result(json_pack("{s:o}", "keys", array), &bad) != 0 && r == 0) {
            *err = bad;
            r = (int)bad.code;
        }
    } else
        json_decref(array);
    kw_state_free(&st);
    return r;
}

static int run(const struct kw_cli *cli, const struct kw_args *args, struct kw_err *err)
{
    struct kw_config c;
    struct kw_crew crew = {0};
    static struct keys k; /* large */
    bool prune = kw_arg(args, "prune") != NULL, all = kw_arg(args, "all") != NULL;
    if (all && !prune)
        return kw_fail(err, KW_USAGE, "--all goes with --prune");
    int r = kw_cli_config(cli, &c, err);
    int lock = -1; /* so that no key goes that is on its way to becoming a stored session */
    if (r == 0 && prune && (r = kw_state_lock_open(&c, &lock, err)) == 0)
        r = kw_state_lock(lock, KW_LOCK_RENEW, true, kw_deadline(&c), err);
    if (r == 0)
        r = start(&c, &crew, err);
    if (r == 0)
        r = list(&c, &crew, &k, err);
    if (r == 0)
        r = walk(cli, &c, &crew, &k, prune, all, err);
    struct kw_err at_end;
    if (kw_crew_end(&crew, &at_end) == KW_SANDBOX) {
        *err = at_end;
        r = KW_SANDBOX;
    }
    if (lock >= 0)
        (void)close(lock);
    kw_config_free(&c);
    return r;
}

const struct kw_command kw_cmd_keys = {
    .name = "keys",
    .operands = "",
    .summary = "list and prune what keyward left in the token",
    .text = "Lists the key pairs that keyward made in the token and that outlived their command: "
            "the stored session's (storage = token), and left-overs of commands that were killed. "
            "With storage = session there are none. --prune knows only this profile's session on "
            "this machine: keys of other profiles, users or machines that share the token count as "
            "left over, and whoever used them makes a new session.\n\n"
            "Example: keyward --profile prod keys --prune",
    .options = options,
    .run = run,
};
