/* SPDX-License-Identifier: Apache-2.0
 *
 * The script of mock.so (grammar: mock.c): which call does what, and the log of calls.
 */
#include "mock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RULES 64

/* NAME, NAME=VALUE, NAME@N=VALUE, NAME:TYPE@N=VALUE */
static struct rule {
    char name[32];
    char value[64];
    CK_ATTRIBUTE_TYPE type;
    unsigned from, to; /* which of the calls or readings; 0, 0: no number was given */
    unsigned seen;
} rules[RULES];
static unsigned n_rules, meeting;
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t met = PTHREAD_COND_INITIALIZER;

__attribute__((noreturn)) static void bad_script(const char *word)
{
    (void)fprintf(stderr, "mock: what is \"%s\"?\n", word);
    abort(); /* a test that asks for something else proves nothing */
}

/* "3", "3..", "*" */
static void read_number(struct rule *r, const char *text)
{
    char *end = NULL;
    r->from = 1;
    r->to = UINT32_MAX;
    if (strcmp(text, "*") == 0)
        return;
    r->from = (unsigned)strtoul(text, &end, 10);
    if (*end == '\0')
        r->to = r->from;
    if (r->from == 0 || (*end != '\0' && strcmp(end, "..") != 0))
        bad_script(text);
}

static void add_rule(const char *word)
{
    struct rule *r = &rules[n_rules];
    char text[128];
    if (n_rules == RULES || strlen(word) >= sizeof text)
        bad_script(word);
    memset(r, 0, sizeof *r);
    memcpy(text, word, strlen(word) + 1);
    char *value = strchr(text, '=');
    if (value != NULL) {
        *value = '\0';
        (void)snprintf(r->value, sizeof r->value, "%.63s", value + 1);
    }
    char *number = strchr(text, '@'), *type = strchr(text, ':');
    if (number != NULL) {
        *number = '\0';
        read_number(r, number + 1);
    }
    if (type != NULL) {
        *type = '\0';
        r->type = strtoul(type + 1, NULL, 0);
    }
    (void)snprintf(r->name, sizeof r->name, "%.31s", text);
    n_rules++;
}

static void read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (n < 0)
        bad_script(path);
    text[n] = '\0';
    (void)close(fd);
}

void mk_script_read(void)
{
    const char *script = getenv("KW_MOCK"), *log = getenv("KW_MOCK_LOG");
    char text[4096], *save = NULL;
    if (script != NULL && script[0] == '@')
        read_file(script + 1, text, sizeof text);
    else
        (void)snprintf(text, sizeof text, "%s", script != NULL ? script : "");
    n_rules = meeting = 0;
    for (char *w = strtok_r(text, " \n\t", &save); w != NULL; w = strtok_r(NULL, " \n\t", &save))
        add_rule(w);
    if (log_fd >= 0)
        (void)close(log_fd);
    log_fd = log == NULL ? -1 : open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

bool mk_told(const char *word)
{
    unsigned i = 0;
    return mk_next(word, &i) != NULL;
}

const char *mk_next(const char *word, unsigned *i)
{
    for (; *i < n_rules; (*i)++)
        if (strcmp(rules[*i].name, word) == 0)
            return rules[(*i)++].value;
    return NULL;
}

/* The rule of this name and type for its next reading. */
static const char *typed(const char *name, CK_ATTRIBUTE_TYPE type)
{
    const char *value = NULL;
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < n_rules; i++) {
        struct rule *r = &rules[i];
        if (strcmp(r->name, name) != 0 || r->type != type)
            continue;
        r->seen++;
        if (r->from == 0 || (r->seen >= r->from && r->seen <= r->to))
            value = r->value;
    }
    (void)pthread_mutex_unlock(&lock);
    return value;
}

const char *mk_shown(CK_ATTRIBUTE_TYPE type)
{
    return typed("show", type);
}

const char *mk_forced(CK_ATTRIBUTE_TYPE type)
{
    return typed("force", type);
}

bool mk_refused(CK_ATTRIBUTE_TYPE type)
{
    return typed("refuse", type) != NULL;
}

void mk_noise(int fd)
{
    static const char text[] = "noise from the module \x1b]0;owned\x07 {\"json\":1}\n";
    if (write(fd, text, sizeof text - 1) < 0)
        abort();
}

/* Waits until as many calls are here at once: no clock proves that they run side by side. */
static CK_RV meet(unsigned n)
{
    struct timespec until;
    int r = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    (void)pthread_mutex_lock(&lock);
    meeting++;
    (void)pthread_cond_broadcast(&met);
    while (meeting < n && r == 0)
        r = pthread_cond_timedwait(&met, &lock, &until);
    (void)pthread_mutex_unlock(&lock);
    return r == 0 ? CKR_OK : (CK_RV)CKR_FUNCTION_CANCELED;
}

__attribute__((noreturn)) static void crash(void)
{
    (void)signal(SIGSEGV, SIG_DFL); /* no sanitizer report of our own doing */
    (void)raise(SIGSEGV);
    _exit(99);
}

/* "name" or "name" and digits: then *ret_n. */
static bool is(const char *what, const char *name, unsigned *ret_n)
{
    size_t n = strlen(name);
    char *end = NULL;
    if (strncmp(what, name, n) != 0)
        return false;
    *ret_n = (unsigned)strtoul(what + n, &end, 10);
    return *end == '\0';
}

const char *mk_fate_of(const unsigned char *label, size_t n)
{
    static const char *const fates[] = {"hang", "crash"};
    for (size_t f = 0; f < sizeof fates / sizeof fates[0]; f++) {
        char word[32];
        unsigned i = 0;
        (void)snprintf(word, sizeof word, "%s-by", fates[f]);
        const char *who = mk_next(word, &i);
        if (who != NULL && strlen(who) == n && memcmp(who, label, n) == 0)
            return fates[f];
    }
    return "";
}

void mk_meet_fate(const char *what)
{
    if (strcmp(what, "crash") == 0)
        crash();
    while (strcmp(what, "hang") == 0)
        (void)pause();
}

static void act(struct mk_call *c, CK_SESSION_HANDLE h)
{
    const char *what = c->what;
    unsigned n = 0;
    if (strncmp(what, "0x", 2) == 0)
        c->rv = strtoul(what, NULL, 16);
    else if (strncmp(what, "late0x", 6) == 0)
        c->late = strtoul(what + 4, NULL, 16);
    else if (strcmp(what, "hang") == 0 || strcmp(what, "crash") == 0)
        mk_meet_fate(what);
    else if (strcmp(what, "abort") == 0)
        abort();
    else if (is(what, "exit", &n))
        exit((int)n);
    else if (is(what, "sleep", &n))
        (void)nanosleep(&(struct timespec){n / 1000, n % 1000 * 1000000L}, NULL);
    else if (is(what, "meet", &n))
        c->rv = meet(n);
    else if (strcmp(what, "stdout") == 0)
        mk_noise(STDOUT_FILENO);
    else if (strcmp(what, "stderr") == 0)
        mk_noise(STDERR_FILENO);
    else if (strcmp(what, "badsig") != 0 && strcmp(what, "shortsig") != 0 &&
             strcmp(what, "longsig") != 0 && strcmp(what, "many") != 0)
        c->rv = mk_fate(what, h);
}

struct mk_call mk_enter(const char *function, CK_SESSION_HANDLE h)
{
    struct mk_call c = {.rv = CKR_OK, .late = CKR_OK};
    char line[64];
    int n = snprintf(line, sizeof line, "%s\n", function);
    (void)pthread_mutex_lock(&lock);
    if (log_fd >= 0 && write(log_fd, line, (size_t)n) != n)
        abort(); /* a count that is wrong proves nothing */
    for (unsigned i = 0; i < n_rules; i++) {
        struct rule *r = &rules[i];
        if (r->from == 0 || (strcmp(r->name, function) != 0 && strcmp(r->name, "any") != 0))
            continue;
        r->seen++;
        if (r->seen >= r->from && r->seen <= r->to)
            (void)snprintf(c.what, sizeof c.what, "%.31s", r->value);
    }
    (void)pthread_mutex_unlock(&lock);
    if (c.what[0] != '\0')
        act(&c, h);
    if (c.rv == CKR_OK && !mk_initialized && strcmp(function, "C_Initialize") != 0 &&
        strcmp(function, "C_GetFunctionList") != 0)
        c.rv = CKR_CRYPTOKI_NOT_INITIALIZED;
    return c;
}
