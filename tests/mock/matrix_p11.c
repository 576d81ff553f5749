/* SPDX-License-Identifier: Apache-2.0
 *
 * Claim 16, in process: every documented CKR at every PKCS#11 call that a session costs,
 * before the call's work and after it, and sessions that die, tokens that go, slots that
 * move, at every call. What keyward-keeper does with its module is done here by one thread,
 * so that the nth call is always the same one, and the leak checker sees all of it.
 *
 * usage: matrix_p11 MOCK.SO [full [WORKERS]]     full: all of it, else a sample of each
 *                                                call and each CKR
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "matrix.h"
#include "pkcs11/p11.h"

#define ID "\xab\xcd"

enum { MAX = 1000, SIGNATURES = 3, SAMPLE = 2 };

static const struct scenario {
    const char *name, *script;
    bool stored, found; /* the key is a token object; it is there already */
    unsigned objects;   /* in the token from the start */
} scenarios[] = {
    {"exchange and request, storage = session", "key=client,c1", false, false, 2},
    {"exchange, storage = token", "key=keyward.old,0b", true, false, 2},
    {"request, storage = token", "key=mine,abcd", true, true, 2},
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

/* How one run went. */
static struct {
    int code; /* of the first error, else 0 */
    unsigned errors, good;
    bool told;         /* that a key may be left */
    char text[4096];   /* all errors, one a line */
    unsigned from, to; /* calls in which the key was made or found */
} run;

/* Of a run without errors: its calls, and those (counted from 1) that make the key. The
 * page is shared, because the run is a child's: the parent of so many stays clean. */
static struct usual {
    char calls[MAX][32];
    unsigned n, key_from, key_to;
    bool good;
} * usual;

/* Notes an error; true if there was none. */
static bool well(int r, const struct kw_err *err)
{
    size_t n = strlen(run.text);
    if (r == 0)
        return true;
    if (run.errors++ == 0)
        run.code = r;
    if (r != (int)err->code || err->text[0] == '\0' || strchr(err->text, '\n') != NULL)
        run.code = 1000; /* not what err.h promises */
    (void)snprintf(run.text + n, sizeof run.text - n, "%d %s\n", r, err->text);
    return false;
}

static void sign(struct kw_p11 *p, const struct kw_p11_key *k)
{
    unsigned char sig[512];
    struct kw_err err;
    size_t n = 0;
    for (int i = 0; i < SIGNATURES; i++) {
        if (!well(kw_p11_sign(p, k, "abc", 3, sig, &n, &err), &err))
            continue;
        if (kw_p11_check(k, "abc", 3, sig, n, &err) == 0)
            run.good++;
        else
            run.code = 1001; /* OK, and a signature that is none */
    }
}

static void live(struct kw_p11 *p, const struct scenario *s)
{
    struct kw_p11_key k = {0}, client;
    struct kw_m_verdict v;
    struct kw_err err;
    char names[1][32];
    if (!s->stored && !well(kw_p11_find(p, "client", NULL, 0, false, 0, &client, &err), &err))
        return;
    run.from = mx_calls(names, 0);
    int r = s->found ? kw_p11_find(p, NULL, (const unsigned char *)ID, 2, true, 0, &k, &err)
                     : kw_p11_generate(p, 2048, s->stored, 0, &k, &err);
    run.to = mx_calls(names, 0);
    if (!well(r, &err))
        return;
    r = kw_p11_try_extract(p, s->stored && !s->found, 0, &v, &err);
    if (v.weaknesses != 0)
        run.code = 1002; /* it was safe: an error is no proof of the contrary */
    if (well(r, &err))
        sign(p, &k);
    if (!s->found && !well(kw_p11_destroy(p, &k, &err), &err))
        run.told = true; /* the keeper passes it on and logs it */
}

static void session(const struct scenario *s, const char *module)
{
    struct kw_m_keeper_start cfg = {.label = "mock", .sessions = 2};
    struct kw_m_keeper_ready info = {0};
    struct kw_p11 *p = NULL;
    struct kw_err err;
    (void)snprintf(cfg.module, sizeof cfg.module, "%s", module);
    memset(&run, 0, sizeof run);
    /* Secrets' memory is not inherited, so that each process has its own. */
    struct kw_secret *pin = kw_secret_init(true, &err) == 0 ? kw_secret_from("1234", 4) : NULL;
    if (pin != NULL && well(kw_p11_load(&cfg, &p, &err), &err) &&
        well(kw_p11_choose(p, &info, &err), &err) && well(kw_p11_login(p, pin, &err), &err))
        live(p, s);
    kw_secret_free(&pin);
    kw_p11_free(p);
}

/* --- what must hold ------------------------------------------------------------------------- */

static const char *module;

static void title(const struct mx_case *c, char *out, size_t size)
{
    (void)snprintf(out, size, "%s: call %u (%s) %s%s", scenarios[c->scenario].name, c->call,
                   usual[c->scenario].calls[c->call - 1], c->what,
                   c->from_here ? " from here on" : "");
}

/* A PIN that was or may have been refused is code 4, and nothing else is. */
static bool wrong_code(const struct mx_case *c, const char *at)
{
    static const char *const refused[] = {"0xa0", "0xa1", "0xa2", "0xa3", "0xa4", "0x102"};
    bool login = strcmp(at, "C_Login") == 0;
    /* (An error that lasts may meet the login, too.) */
    if (run.code != 0 && run.code != KW_TOKEN && (run.code != KW_PIN || !(login || c->from_here)))
        return mx_wrong("code %d: %s", run.code, run.text);
    for (size_t i = 0; login && i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(c->what, refused[i]) == 0 && run.code != KW_PIN)
            return mx_wrong("code %d where the PIN was refused: %s", run.code, run.text);
    return false;
}

/* What says of a new key that it can't sign, or of a session that it has ended. */
static bool is_cured(const char *what)
{
    static const CK_RV list[] = {CKR_MECHANISM_INVALID,      CKR_MECHANISM_PARAM_INVALID,
                                 CKR_KEY_TYPE_INCONSISTENT,  CKR_KEY_FUNCTION_NOT_PERMITTED,
                                 CKR_FUNCTION_NOT_SUPPORTED, CKR_FUNCTION_FAILED,
                                 CKR_SESSION_CLOSED,         CKR_SESSION_HANDLE_INVALID};
    CK_RV rv = strtoul(strstr(what, "0x"), NULL, 16);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (rv == list[i])
            return true;
    return false;
}

/* Calls whose error nobody may overlook; which ones may be is in the comments of pkcs11/. */
static bool overlooked(const struct mx_case *c, const char *at)
{
    static const char *const never[] = {"C_GetFunctionList", "C_Initialize", "C_Login"};
    bool key = c->call > usual[c->scenario].key_from && c->call <= usual[c->scenario].key_to;
    bool error = strncmp(c->what, "0x", 2) == 0 || strncmp(c->what, "late", 4) == 0;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (error && run.code == 0 && strcmp(at, never[i]) == 0)
            return mx_wrong("the error of %s was overlooked", at);
    /* What is true of a key is read one by one, and an answer that is an error is none. */
    if (error && run.code == 0 && key && strncmp(at, "C_FindObjects", 13) == 0)
        return mx_wrong("the error of %s was overlooked", at);
    /* A key that does not sign is not taken, unless another rung's is instead; a session that
     * died is replaced once. */
    if (error && run.code == 0 && key && strncmp(at, "C_Sign", 6) == 0 && !is_cured(c->what))
        return mx_wrong("the error of the trial's %s was overlooked", at);
    return false;
}

static bool case_wrong(const struct mx_case *c)
{
    const struct scenario *s = &scenarios[c->scenario];
    const char *at = usual[c->scenario].calls[c->call - 1];
    mx_prepare(s->script, c);
    session(s, module);
    unsigned logins = mx_count("C_Login"), left = mx_stored();
    if (logins > 1)
        return mx_wrong("%u logins", logins);
    if (run.errors > 1 + SIGNATURES)
        return mx_wrong("%u errors: %s", run.errors, run.text);
    if (run.code == 0 && run.good != SIGNATURES)
        return mx_wrong("no error, and %u good signatures", run.good);
    if (wrong_code(c, at) || overlooked(c, at))
        return true;
    /* The key is gone, or its owner hears that it may not be. */
    const char *said = mx_said();
    if (left > s->objects && !run.told && strstr(run.text, "keys --prune") == NULL &&
        strstr(said, "keys --prune") == NULL)
        return mx_wrong("%u objects are left in the token and nobody is told: %s%s",
                        left - s->objects, run.text, said);
    if (s->found && left < s->objects && left != 0)
        return mx_wrong("an object that is not ours has gone");
    return false;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void usual_run(unsigned i)
{
    struct usual *u = &usual[i];
    mx_prepare(scenarios[i].script, &(struct mx_case){.call = 0});
    session(&scenarios[i], module);
    u->n = mx_calls(u->calls, MAX);
    u->key_from = run.from;
    u->key_to = run.to;
    u->good = run.code == 0 && run.good == SIGNATURES && mx_stored() == scenarios[i].objects &&
              u->n > 50 && u->n < MAX;
    if (!u->good)
        (void)fprintf(stderr, "without errors: code %d, %u signatures, %u objects, %u calls\n%s",
                      run.code, run.good, mx_stored(), u->n, run.text);
}

static int whole(bool full, unsigned workers)
{
    struct mx_case *cases = NULL;
    unsigned n = 0, kept = 0;
    for (unsigned i = 0; i < SCENARIOS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            usual_run(i);
            exit(0);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) != pid || !usual[i].good)
            return 1;
        (void)printf("%s: %u calls\n", scenarios[i].name, usual[i].n);
        (void)fflush(stdout);
        n = mx_cases(&cases, n, i, usual[i].n, full);
    }
    for (unsigned i = 0; i < n; i++)
        if (full || i % SAMPLE == 0)
            cases[kept++] = cases[i];
    /* What the login answers decides whether anybody may try again: all of it, always. */
    for (unsigned call = 1; !full && call <= usual[0].n; call++)
        if (strcmp(usual[0].calls[call - 1], "C_Login") == 0)
            kept = mx_every(&cases, kept, 0, call);
    int r = mx_run("PKCS#11 layer", cases, kept, workers, title, case_wrong);
    free(cases);
    return r;
}

int main(int argc, char **argv)
{
    bool full = argc > 2 && strcmp(argv[2], "full") == 0;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned workers = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : (unsigned)cpus;
    usual = mmap(NULL, SCENARIOS * sizeof *usual, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc < 2 || usual == MAP_FAILED || !mx_begin())
        return 2;
    module = argv[1];
    int r = whole(full, workers);
    mx_end();
    return r;
}
