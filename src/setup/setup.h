/* SPDX-License-Identifier: Apache-2.0
 *
 * `keyward setup`: makes the trust at a cloud, and takes it away again. What a cloud needs
 * is a row of things that depend on each other (pool, provider, account, grant ...), each a
 * step below. The engine (setup_plan.c) looks at what is there, says what it would change,
 * asks, and then makes one thing after the other so. It keeps no state of its own: what is
 * there, and keyward's mark on it, is in the cloud, so an interrupted set-up goes on where
 * it was, and a second one changes nothing.
 *
 *   cmd_setup.c, cmd_revoke.c  options, dispatch
 *   setup_plan.c, setup_step.c look, plan, apply, destroy
 *   setup_print.c              the plan for people, programs and shells
 *   setup_call.c               the administrator's calls
 *   setup_preset*.c            what each kind of issuer needs
 *   setup_google*.c, setup_oci*.c  the steps
 *
 * Who calls: main reads and writes the JSON; the exchanger sends, with the administrator's
 * bearer, to the hosts that kw_setup_open() named and to no others; the keeper judges and
 * logs each call ([audit]), as it does for every bearer.
 */
#ifndef KW_SETUP_H
#define KW_SETUP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/buf.h"
#include "src/base/secret.h"
#include "src/cli/cmd.h"
#include "src/session/session.h"

/* What every description begins with of what keyward makes: by it `--destroy` knows its own. */
#define KW_SETUP_MARK "Made by keyward setup"
/* What every keyward.ini of its making begins with: by it `-o` knows what it may write over. */
#define KW_SETUP_INI "; made by keyward setup"

enum { KW_SETUP_STEPS = 48, KW_SETUP_ANSWER = 1 << 20 };

enum kw_setup_state {
    KW_SETUP_UNSEEN,  /* can't be looked at before an earlier step is done */
    KW_SETUP_ABSENT,  /* not there; .diff says what it would be */
    KW_SETUP_DELETED, /* as good as not there, but can be brought back */
    KW_SETUP_DIFFERS, /* there, and .diff says in what it is not as wanted */
    KW_SETUP_SAME,    /* as wanted */
    KW_SETUP_FOREIGN, /* there, not as wanted, and not ours to change; .note says why and what
                         to do: nothing is applied while there is one */
};

struct kw_setup;
struct kw_setup_step {
    const char *kind; /* "pool" */
    char name[512];   /* which one */
    /* Reads what is there, and fills state, mine, diff (kw_setup_differs()) and note, which are
     * blank at the call. It is called again before and after each act(). KW_CLOUD: may not be
     * looked at; the plan goes on and tells of all. */
    int (*look)(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err);
    /* One change towards what is wanted, from the state that look() found. 0: the cloud took
     * it. KW_NET: it may or may not have been done; the engine looks again and then decides.
     * NULL: can only be looked at. */
    int (*act)(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err);
    /* Removes it; asked for only what is there and `mine`. NULL: stays, and .stays says so. */
    int (*undo)(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err);
    /* The equivalent commands for a shell, whole lines, to make it (from nothing) or, with
     * `undo`, to remove it. No network: what look() found need not be there. May be NULL. */
    void (*command)(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                    struct kw_buf *b);
    const char *stays; /* told by --destroy of what has no undo(): "APIs stay enabled" */
    int arg;           /* the step's own */
    bool lost;         /* the same: an act()'s answer was, so what it made may be there unseen */
    unsigned taken;    /* the same: how often a name was said to be taken that isn't seen */
    bool only_new;     /* what the plan says is to be made, or could not see, is never changed or
                          brought back where it turns out to be there */
    /* what look() found */
    enum kw_setup_state state;
    bool mine;     /* it has keyward's mark */
    json_t *diff;  /* [{field, from, to}]; from or to null where there is nothing */
    json_t *found; /* what is there, for act() and undo(); owned */
    char note[512];
    /* the engine's */
    enum kw_setup_state planned;
    json_t *planned_diff;
    char failed[KW_ERR_TEXT]; /* why it could not be looked at */
    const char *done;         /* "made", "changed", "brought back", "removed", or NULL */
};

/* Who hears what `doctor` finds: r 0: good; above: a failure, by its exit code; -1: not tried. */
struct kw_setup_ear {
    void (*tell)(void *arg, const char *name, int r, const char *text);
    void *arg;
};
/* setup_examine.c: the same, printf-like; made printable. */
void kw_setup_say(const struct kw_setup_ear *ear, const char *name, int r, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

struct kw_setup_cloud;
struct kw_setup {
    const struct kw_cli *cli;
    const struct kw_args *args;
    struct kw_config *config; /* its sign_host, dial and policy become the administrator's */
    const struct kw_setup_cloud *cloud;
    bool apply, destroy, yes, commands;
    bool revoke, restore; /* `keyward revoke`: apply is set, and the steps are revoke()'s */
    unsigned wait_s;      /* --wait: how long one thing may take to show as wanted */
    int64_t until_ms;     /* when all calls are to be over (kw_now_ms()), 0: no such time */
    struct kw_setup_step steps[KW_SETUP_STEPS];
    size_t n;
    json_t *warnings;        /* [string] */
    struct kw_session *wire; /* NULL: not open */
    struct kw_secret *admin; /* the administrator's bearer */
    const char *who;         /* whose rights these are, for the audit log; NULL: the bearer's */
    const char *paths;       /* what may be called at the hosts (as sign.path); NULL: anything */
    void *own;               /* the cloud's */
};

/* A cloud: what `keyward setup NAME` does. */
struct kw_setup_cloud {
    const char *name;
    const char *const *options; /* of setup's options those for this cloud; NULL ends. Those
                                   for both are not named here. */
    /* Reads options and profile, checks all that can be checked without a network, sets own,
     * and adds the steps that need nothing to be known first. */
    int (*begin)(struct kw_setup *s, struct kw_err *err);
    /* The same for `keyward revoke`: steps that switch the trust off, or with s->restore on. */
    int (*revoke)(struct kw_setup *s, struct kw_err *err);
    /* --print-commands: what the steps' commands go by. NULL: nothing. */
    void (*commands)(const struct kw_setup *s, struct kw_buf *b);
    /* And what ends them. NULL: nothing. */
    void (*commands_end)(const struct kw_setup *s, struct kw_buf *b);
    /* What stays valid afterwards, and for how long: for people. */
    void (*revoked)(const struct kw_setup *s, struct kw_buf *b);
    /* Not with --print-commands. Opens the wire; may ask what later names depend on (a
     * project's number). Adds further steps. */
    int (*open)(struct kw_setup *s, struct kw_err *err);
    /* The keyward.ini that goes with it. The way there ([tls], [dial]) is put after it. */
    int (*ini)(const struct kw_setup *s, struct kw_buf *b, struct kw_err *err);
    void (*free)(struct kw_setup *s);
    /* After --apply or --destroy that failed: takes away what was only for as long as it took, or
     * says by name what is left of it. NULL: nothing is. */
    void (*abandon)(struct kw_setup *s);
    /* For `doctor`, with an administrator's rights: says of each thing at the cloud whether it is
     * what an exchange of this profile's needs. claims: the subject token's, NULL: there is none.
     * prepare() is as revoke(), but adds no steps. An error ends it. */
    int (*prepare)(struct kw_setup *s, struct kw_err *err);
    int (*examine)(struct kw_setup *s, const json_t *claims, const struct kw_setup_ear *ear,
                   struct kw_err *err);
};
extern const struct kw_setup_cloud kw_setup_google, kw_setup_oci;

/* Adds a step, blank but for kind and name (printf); NULL with *err if there are too many or
 * the name is too long. */
struct kw_setup_step *kw_setup_add(struct kw_setup *s, struct kw_err *err, const char *kind,
                                   const char *name, ...) __attribute__((format(printf, 4, 5)));

/* A warning for people, once each; printable. */
void kw_setup_warn(struct kw_setup *s, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* cmd_setup.c, for cmd_revoke.c too: operand and options into s, whose cli and args are set, the
 * configuration, and then all of it. */
int kw_setup_command(struct kw_setup *s, struct kw_err *err);

/* setup_examine.c: `doctor`'s look at the cloud, where an administrator's rights were given. */
int kw_setup_examine(const struct kw_cli *cli, const struct kw_args *args, struct kw_config *c,
                     const json_t *claims, const struct kw_setup_ear *ear, struct kw_err *err);

/* setup_plan.c: all of it but the options. Prints (results on stdout), asks, changes. */
int kw_setup_go(struct kw_setup *s, struct kw_err *err);

/* For look(): notes a field that is not as wanted. have and want may be NULL (nothing there;
 * nothing wanted) and are not stolen. JSON null, "", [] , {} and false are nothing (but where false
 * is wanted, the diff says so). True if they differ. */
bool kw_setup_differs(struct kw_setup_step *t, const char *field, const json_t *have,
                      const json_t *want);
bool kw_setup_differs_text(struct kw_setup_step *t, const char *field, const char *have,
                           const char *want);
/* Is the description ours? */
bool kw_setup_marked(const char *description);

/* --- setup_call.c: the administrator's calls ------------------------------------------------ */

struct kw_setup_request {
    const char *method, *url;
    const char *headers; /* lines "name: value\n"; NULL: accept and content-type of JSON */
    const json_t *body;  /* NULL: none */
    const char *text;    /* the body instead, if it is no JSON; headers say what it is */
    bool reads;          /* changes nothing: what is temporary is tried again */
    /* Authorizes just this request, before each try: hands the exchanger the whole header
     * (KW_BEARER_WHOLE), may add to headers what it covers. body: NULL for none. NULL: s->admin,
     * as it was handed over at the start. */
    int (*authorize)(struct kw_setup *s, const struct kw_setup_request *q, const char *body,
                     size_t n, char *headers, size_t size, struct kw_err *err);
    const struct kw_secret *bearer, *authorization; /* for authorize(): instead of the usual */
};
struct kw_setup_answer {
    unsigned status;
    char headers[KW_LINES]; /* lines, names in lower case */
    json_t *body;           /* NULL: none, or a status from 400 on whose body is no JSON */
};

/* The administrator's bearer by --admin-token-file or --admin-token-command, else by the file
 * that the variable names (NULL: none); into s->admin. KW_USAGE where there is none. */
int kw_setup_admin(struct kw_setup *s, const char *variable, struct kw_err *err);

/* Starts the processes. hosts: what may be called, separated by spaces. The bearer (s->admin)
 * goes to the exchanger, once; who needs it no more after that frees it. */
int kw_setup_open(struct kw_setup *s, const char *hosts, struct kw_err *err);
/* Idempotent. A sandbox that was violated takes the place of *err. */
int kw_setup_close(struct kw_setup *s, int r, struct kw_err *err);

/* One call. 0 with every status from 200 to 499 but 3xx, 408, 425 and 429: those, 5xx and all
 * trouble on the way are KW_NET; 3xx, more than KW_SETUP_ANSWER bytes and a good status with a body
 * that is no JSON are KW_CLOUD. *a is to be freed, also after an error. */
int kw_setup_call(struct kw_setup *s, const struct kw_setup_request *q, struct kw_setup_answer *a,
                  struct kw_err *err);
void kw_setup_answer_free(struct kw_setup_answer *a);

/* Waits; KW_FAILED when interrupted by a signal. `what` is shown on a terminal meanwhile, with
 * the seconds since `since` (kw_now_ms()). */
int kw_setup_pause(struct kw_setup *s, const char *what, int64_t since, unsigned ms,
                   struct kw_err *err);

/* --- setup_print.c -------------------------------------------------------------------------- */

/* The shell's word for a text: as it is, or in single quotes. */
void kw_setup_quote(struct kw_buf *b, const char *text);
/* "kind name" of a step for messages. */
const char *kw_setup_title(const struct kw_setup_step *t, char *text, size_t size);
/* How many steps there are to be made (or with --destroy, removed), of those that could be looked
 * at. */
size_t kw_setup_changes(const struct kw_setup *s);
/* Is it to be removed by --destroy? */
bool kw_setup_goes(const struct kw_setup_step *t);
void kw_setup_print_plan(const struct kw_setup *s, FILE *out);
/* A line of what was done, as it is done. */
void kw_setup_print_done(const struct kw_setup *s, const struct kw_setup_step *t);
void kw_setup_commands(const struct kw_setup *s, struct kw_buf *b);
json_t *kw_setup_json(const struct kw_setup *s, const char *commands, const char *ini);
/* [tls] and [dial] as this configuration has them, for the keyward.ini: a job's way is the
 * administrator's, through the same proxy and by the same roots. */
void kw_setup_put_way(const struct kw_config *c, struct kw_buf *b);

#endif
