/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests that run the real keyward-keeper: a SoftHSM token in a scratch directory,
 * the program with its descriptors, and both of its peers played by the test. */
#ifndef KW_TEST_KEEPER_RIG_H
#define KW_TEST_KEEPER_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11/progress.h"
#include "policy/sandbox.h"
#include "src/ipc/talk.h"

enum { RIG_MS = 60000 }; /* sanitizers and a busy machine */

struct rig {
    pid_t pid;
    int violation;
    struct kw_chan main, sign, proxy;
    struct kw_m_keeper_start cfg;
};

static char rig_dir[256], rig_log[300], rig_pin[300], rig_tokens[300];
static const char *rig_module;

/* Runs a program to its end, its output thrown away: the exit status. */
static inline int rig_run(const char *const *argv)
{
    char *args[32] = {NULL};
    posix_spawn_file_actions_t quiet;
    pid_t pid = 0;
    int status = -1;
    for (size_t i = 0; argv[i] != NULL && i < 31; i++)
        args[i] = strdup(argv[i]);
    (void)posix_spawn_file_actions_init(&quiet);
    (void)posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, args[0], &quiet, NULL, args, environ) == 0)
        (void)waitpid(pid, &status, 0);
    (void)posix_spawn_file_actions_destroy(&quiet);
    for (size_t i = 0; args[i] != NULL; i++)
        free(args[i]);
    return status;
}

static inline bool rig_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    bool ok = f != NULL && fputs(text, f) >= 0 && fchmod(fileno(f), 0600) == 0;
    return f != NULL && fclose(f) == 0 && ok;
}

static inline bool rig_make_key(const char *label, const char *id)
{
    const char *const argv[] = {
        "pkcs11-tool",  "--module", rig_module, "--token-label", "rig",
        "--login",      "--pin",    "1234",     "--keypairgen",  "--key-type",
        "rsa:2048",     "--label",  label,      "--id",          id,
        "--usage-sign", NULL};
    return rig_run(argv) == 0;
}

static inline int rig_set_up(void **state)
{
    static const char *const modules[] = {
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"};
    static const char *const init[] = {
        "softhsm2-util", "--init-token", "--free",   "--label", "rig",
        "--pin",         "1234",         "--so-pin", "5678",    NULL};
    char conf[300], text[400];
    const char *tmp = getenv("TMPDIR");
    (void)state;
    for (size_t i = 0; i < sizeof modules / sizeof modules[0] && rig_module == NULL; i++)
        if (access(modules[i], R_OK) == 0)
            rig_module = modules[i];
    (void)snprintf(rig_dir, sizeof rig_dir, "%.200s/kw-keeper-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (rig_module == NULL || mkdtemp(rig_dir) == NULL)
        return -1;
    (void)snprintf(rig_log, sizeof rig_log, "%s/audit", rig_dir);
    (void)snprintf(rig_pin, sizeof rig_pin, "%s/pin", rig_dir);
    (void)snprintf(rig_tokens, sizeof rig_tokens, "%s/tokens", rig_dir);
    (void)snprintf(conf, sizeof conf, "%s/conf", rig_dir);
    (void)snprintf(text, sizeof text, "directories.tokendir = %s\nlog.level = ERROR\n", rig_tokens);
    struct kw_err err;
    bool ok = mkdir(rig_tokens, 0700) == 0 && rig_file(conf, text) && rig_file(rig_pin, "1234\n") &&
              setenv("SOFTHSM2_CONF", conf, 1) == 0 && rig_run(init) == 0 &&
              rig_make_key("client", "c1") && rig_make_key("auditor", "a1") &&
              kw_secret_init(true, &err) == 0;
    return ok ? 0 : -1;
}

static inline int rig_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline int rig_tear_down(void **state)
{
    (void)state;
    return nftw(rig_dir, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void rig_child(const char *path, const int *theirs) __attribute__((noreturn));

static inline void rig_child(const char *path, const int *theirs)
{
    char name[] = "keyward-keeper";
    char *argv[] = {name, NULL};
    int high[KW_FD_END];
    for (int i = KW_FD_CTL; i < KW_FD_END; i++)
        high[i] = theirs[i] >= 0 ? fcntl(theirs[i], F_DUPFD_CLOEXEC, 64) : -1;
    for (int i = KW_FD_CTL; i < KW_FD_END; i++)
        if (high[i] >= 0 ? dup2(high[i], i) < 0 : close(i) != 0 && errno != EBADF)
            _exit(120);
    (void)execve(path, argv, environ);
    _exit(122);
}

/* Starts the program; the audit log is rig_log unless audit is false. */
static inline bool rig_spawn(struct rig *r, bool audit)
{
    char self[3000], path[4096];
    int theirs[KW_FD_END], ctl[2], sign[2], psign[2], violation[2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sign) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, psign) != 0 ||
        pipe2(violation, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    self[n] = '\0';
    (void)snprintf(path, sizeof path, "%s/../keyward-keeper", dirname(self));
    for (int i = 0; i < KW_FD_END; i++)
        theirs[i] = -1;
    theirs[KW_FD_CTL] = ctl[1];
    theirs[KW_FD_VIOLATION] = violation[1];
    theirs[KW_FD_PEER] = sign[1];
    theirs[KW_FD_PROXY] = psign[1];
    theirs[KW_FD_PROGRESS] = memfd_create("progress", MFD_CLOEXEC);
    if (ftruncate(theirs[KW_FD_PROGRESS], sizeof(struct kw_progress)) != 0)
        return false;
    if (audit)
        theirs[KW_FD_AUDIT] = open(rig_log, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    r->violation = violation[0];
    kw_chan_init(&r->main, KW_CHAN_KEEPER, KW_ROLE_MAIN, ctl[0]);
    kw_chan_init(&r->sign, KW_CHAN_SIGN, KW_ROLE_EXCHANGER, sign[0]);
    kw_chan_init(&r->proxy, KW_CHAN_PSIGN, KW_ROLE_PROXY, psign[0]);
    r->pid = fork();
    if (r->pid == 0)
        rig_child(path, theirs);
    for (int i = 0; i < KW_FD_END; i++)
        if (theirs[i] >= 0)
            (void)close(theirs[i]);
    return r->pid > 0;
}

/* The usual configuration; tests change what they are about. */
static inline void rig_config(struct rig *r, enum kw_purpose purpose)
{
    *r = (struct rig){.cfg = {.purpose = purpose,
                              .best_effort = 1,
                              .pin_source = KW_PIN_FILE,
                              .bits = 2048,
                              .sessions = 2}};
    struct kw_m_keeper_start *c = &r->cfg;
    (void)snprintf(c->module, sizeof c->module, "%s", rig_module);
    (void)snprintf(c->label, sizeof c->label, "rig");
    (void)snprintf(c->pin_path, sizeof c->pin_path, "%s", rig_pin);
    (void)snprintf(c->profile, sizeof c->profile, "test");
    (void)snprintf(c->sign_host, sizeof c->sign_host, "*.oraclecloud.com");
    (void)snprintf(c->sign_method, sizeof c->sign_method, "GET POST");
    (void)snprintf(c->caller, sizeof c->caller, "uid 0 pid 1 test");
}

/* Waits for the program's end: its exit code, or 1000 with a word on standard error. */
static inline int rig_end(struct rig *r)
{
    int status = 0, code = 1000;
    struct kw_violation v;
    char name[64];
    for (int i = 0; waitpid(r->pid, &status, WNOHANG) == 0; i++) {
        (void)usleep(10000);
        if (i == RIG_MS / 10)
            (void)kill(r->pid, SIGKILL);
    }
    if (kw_violation_read(r->violation, &v)) {
        kw_violation_name(&v, name, sizeof name);
        (void)fprintf(stderr, "sandbox violation: %s\n", name);
    } else if (WIFSIGNALED(status))
        (void)fprintf(stderr, "the keeper died: %s\n", strsignal(WTERMSIG(status)));
    else
        code = WEXITSTATUS(status);
    (void)close(r->violation);
    if (r->main.fd >= 0)
        (void)close(r->main.fd);
    if (r->sign.fd >= 0)
        (void)close(r->sign.fd);
    if (r->proxy.fd >= 0)
        (void)close(r->proxy.fd);
    return code;
}

#endif
