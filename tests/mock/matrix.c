/* SPDX-License-Identifier: Apache-2.0
 *
 * Running many cases in several processes; see the header.
 */
#include "matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ckr_all.h"

enum { WORKERS_MAX = 16, HANG_S = 120, SHOWN = 25, GIVE_UP = 500 };

char mx_dir[256];
struct mk_store *mx_store;

/* One page between the workers and who waits for them. */
static struct shared {
    unsigned at[WORKERS_MAX]; /* case under way */
    atomic_uint failed, done;
} * shared;
static int console = -1; /* standard error of the program; the workers' own is a file */
static char said[8192];
static const struct mx_case *running;
static void (*title_of)(const struct mx_case *c, char *out, size_t size);

const char *mx_file(const char *name)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", mx_dir, name);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* top: of the whole program; mx_dir: of one process, below it. */
static char top[200];

void mx_end(void)
{
    if (mx_store != NULL)
        (void)munmap(mx_store, sizeof *mx_store);
    mx_store = NULL;
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool open_dir(const char *name)
{
    (void)snprintf(mx_dir, sizeof mx_dir, "%s/%s", top, name);
    if (mkdir(mx_dir, 0700) != 0 && errno != EEXIST) /* a worker's after one that crashed */
        return false;
    (void)setenv("KW_MOCK_STORE", mx_file("store"), 1);
    (void)setenv("KW_MOCK_LOG", mx_file("calls"), 1);
    int fd = open(mx_file("store"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *m = fd >= 0 && ftruncate(fd, sizeof *mx_store) == 0
                  ? mmap(NULL, sizeof *mx_store, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                  : MAP_FAILED;
    (void)close(fd);
    if (mx_store != NULL)
        (void)munmap(mx_store, sizeof *mx_store);
    mx_store = m != MAP_FAILED ? m : NULL;
    return mx_store != NULL;
}

bool mx_begin(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(top, sizeof top, "%.150s/kw-matrix-XXXXXX", tmp != NULL ? tmp : "/tmp");
    return mkdtemp(top) != NULL && open_dir("first");
}

void mx_prepare(const char *base, const struct mx_case *c)
{
    char script[512];
    memset(mx_store, 0, sizeof *mx_store);
    (void)snprintf(script, sizeof script, "%s any@%u%s=%s", base, c->call, c->from_here ? ".." : "",
                   c->what);
    (void)setenv("KW_MOCK", c->call != 0 ? script : base, 1);
    if (truncate(mx_file("calls"), 0) != 0 && errno != ENOENT)
        abort();
}

unsigned mx_calls(char (*names)[32], unsigned max)
{
    char line[64];
    unsigned n = 0;
    FILE *f = fopen(mx_file("calls"), "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (n < max)
            (void)snprintf(names[n], sizeof names[n], "%.31s", line);
        n++;
    }
    if (f != NULL)
        (void)fclose(f);
    return n;
}

unsigned mx_count(const char *function)
{
    enum { MAX = 4000 };
    static char names[MAX][32];
    unsigned n = mx_calls(names, MAX), same = 0;
    for (unsigned i = 0; i < n && i < MAX; i++)
        same += strcmp(names[i], function) == 0;
    return same;
}

unsigned mx_stored(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < MK_OBJECTS; i++)
        n += mx_store->objects[i].handle != 0 && mx_store->objects[i].home == 0;
    return n;
}

const char *mx_said(void)
{
    int fd = open(mx_file("stderr"), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, said, sizeof said - 1) : 0;
    if (fd >= 0)
        (void)close(fd);
    said[n > 0 ? n : 0] = '\0';
    return said;
}

/* To the console, whatever standard error is. */
static void tell(const struct mx_case *c, const char *text)
{
    char name[256];
    title_of(c, name, sizeof name);
    if (atomic_fetch_add(&shared->failed, 1) < SHOWN)
        (void)dprintf(console, "not ok - %s\n    %s\n", name, text);
}

bool mx_wrong(const char *fmt, ...)
{
    char text[1600];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tell(running, text);
    return true;
}

/* --- the workers -------------------------------------------------------------------------- */

static bool quiet(void)
{
    int fd = open(mx_file("stderr"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && dup2(fd, STDERR_FILENO) >= 0;
    (void)close(fd);
    return ok;
}

__attribute__((noreturn)) static void worker(const struct mx_case *cases, unsigned n, unsigned from,
                                             unsigned w, unsigned step,
                                             bool (*run)(const struct mx_case *c))
{
    char name[16];
    (void)snprintf(name, sizeof name, "w%u", w);
    if (!open_dir(name) || !quiet())
        _exit(100);
    for (unsigned i = from; i < n; i += step) {
        shared->at[w] = i;
        running = &cases[i];
        if (ftruncate(STDERR_FILENO, 0) != 0)
            abort();
        (void)alarm(HANG_S);
        (void)run(running);
        (void)alarm(0);
        atomic_fetch_add(&shared->done, 1);
    }
    shared->at[w] = n;
    exit(0); /* by way of the leak checker */
}

/* One worker has ended. Not well: told with the case it was in, and it is the next case's
 * turn. */
static bool ended(const struct mx_case *cases, unsigned n, unsigned w, int status)
{
    char text[9000], name[16];
    unsigned at = shared->at[w];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    (void)snprintf(name, sizeof name, "w%u", w);
    (void)snprintf(mx_dir, sizeof mx_dir, "%s/%s", top, name);
    (void)snprintf(text, sizeof text, "the process ended with %s %d: %s",
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), mx_said());
    tell(&cases[at < n ? at : n - 1], text);
    return at >= n;
}

int mx_run(const char *name, const struct mx_case *cases, unsigned n, unsigned workers,
           void (*title)(const struct mx_case *c, char *out, size_t size),
           bool (*run)(const struct mx_case *c))
{
    pid_t pids[WORKERS_MAX] = {0};
    unsigned from[WORKERS_MAX], alive = 0;
    workers = workers < 1 ? 1 : workers > WORKERS_MAX ? WORKERS_MAX : workers;
    title_of = title;
    console = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || console < 0)
        return 1;
    for (unsigned w = 0; w < workers; w++)
        from[w] = w;
    for (;;) {
        for (unsigned w = 0; w < workers; w++) {
            if (pids[w] != 0 || from[w] >= n || shared->failed > GIVE_UP)
                continue;
            pids[w] = fork();
            if (pids[w] == 0)
                worker(cases, n, from[w], w, workers, run);
            alive++;
        }
        int status = 0;
        if (alive == 0)
            break;
        pid_t pid = wait(&status);
        for (unsigned w = 0; w < workers; w++) {
            if (pids[w] != pid)
                continue;
            pids[w] = 0;
            alive--;
            from[w] = ended(cases, n, w, status) ? n : shared->at[w] + workers;
        }
    }
    (void)printf("%s: %u of %u cases run, %u not ok\n", name, shared->done, n, shared->failed);
    return n > 0 && shared->failed == 0 && shared->done == n ? 0 : 1;
}

/* --- the cases ------------------------------------------------------------------------------ */

static unsigned add(struct mx_case **cases, unsigned n, struct mx_case c)
{
    static size_t room;
    if (n >= room || *cases == NULL) {
        room = n + 4096;
        struct mx_case *more = realloc(*cases, room * sizeof **cases);
        if (more == NULL)
            abort();
        *cases = more;
    }
    (*cases)[n] = c;
    return n + 1;
}

static unsigned add_ckr(struct mx_case **cases, unsigned n, struct mx_case c, CK_RV rv, bool late)
{
    (void)snprintf(c.what, sizeof c.what, "%s0x%lx", late ? "late" : "", rv);
    return add(cases, n, c);
}

unsigned mx_every(struct mx_case **cases, unsigned n, unsigned scenario, unsigned call)
{
    struct mx_case c = {.scenario = scenario, .call = call};
    for (unsigned r = 0; r < CKR_ALL; r++) {
        n = add_ckr(cases, n, c, ckr_all[r], false);
        n = add_ckr(cases, n, c, ckr_all[r], true);
    }
    return n;
}

unsigned mx_cases(struct mx_case **cases, unsigned n, unsigned scenario, unsigned calls, bool full)
{
    static const char *const fates[] = {"die", "reset", "remove", "renumber"};
    static const CK_RV lasting[] = {
        CKR_DEVICE_ERROR,       CKR_DEVICE_REMOVED, CKR_SESSION_HANDLE_INVALID,
        CKR_USER_NOT_LOGGED_IN, CKR_HOST_MEMORY,    CKR_GENERAL_ERROR};
    enum { FATES = sizeof fates / sizeof fates[0], LASTING = sizeof lasting / sizeof lasting[0] };
    static unsigned turn; /* the quick matrix takes the next one each time */
    for (unsigned call = 1; call <= calls; call++) {
        struct mx_case c = {.scenario = scenario, .call = call};
        if (full)
            n = mx_every(cases, n, scenario, call);
        else {
            n = add_ckr(cases, n, c, ckr_all[turn % CKR_ALL], false);
            n = add_ckr(cases, n, c, ckr_all[turn % CKR_ALL], true);
        }
        for (unsigned f = 0; f < FATES; f++) {
            if (!full && f != turn % FATES)
                continue;
            (void)snprintf(c.what, sizeof c.what, "%s", fates[f]);
            n = add(cases, n, c);
        }
        c.from_here = true;
        for (unsigned l = 0; l < LASTING; l++)
            if (full || l == turn % LASTING)
                n = add_ckr(cases, n, c, lasting[l], false);
        turn++;
    }
    return n;
}
