/* SPDX-License-Identifier: Apache-2.0
 *
 * main as the roles can treat it: every message of theirs in any order (peers.h), while it
 * runs a whole command, which the first byte chooses. Channels: keeper, exchanger, dialer;
 * the fourth is how an ended role ended (wait status), and what it left as the record of a
 * violation, turn by turn. main ends with an exit code and, unless it is 0, one line. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peers.h"
#include "src/base/io.h"
#include "src/cli/args.h"
#include "src/crew/spawn.h"
#include "src/source/source.h"

enum { NOBODY = 0x7ffffff0 /* no pid is as large */, DOCTOR = 5 /* in lines[] */ };

const struct kw_command *const kw_commands[] = {
    &kw_cmd_exchange, &kw_cmd_request, &kw_cmd_sign, &kw_cmd_keys,
    &kw_cmd_doctor,   &kw_cmd_claims,  NULL,
};

static struct peers peers;
static char dir[] = "/tmp/keyward-fuzz-XXXXXX", ini[64], state[64];

/* --- what stands in for processes ---------------------------------------------------- */

static void child(struct kw_child *ch, enum kw_role role, enum kw_channel chan, size_t i)
{
    int violation[2];
    *ch = (struct kw_child){.role = role, .pid = NOBODY, .violation_fd = -1};
    kw_chan_init(&ch->ctl, chan, KW_ROLE_MAIN, fcntl(peers.fds[i], F_DUPFD_CLOEXEC, 3));
    struct kw_view v = kw_get_blob(&peers.side, 256);
    must(pipe2(violation, O_CLOEXEC | O_NONBLOCK) == 0);
    must(kw_write_all(violation[1], v.p, v.len) == 0);
    (void)close(violation[1]);
    ch->violation_fd = violation[0];
}

int __wrap_kw_crew_start(struct kw_crew *crew, unsigned roles, int audit_fd, int pin_fd,
                         const char *env, struct kw_err *err);
int __wrap_kw_crew_start(struct kw_crew *crew, unsigned roles, int audit_fd, int pin_fd,
                         const char *env, struct kw_err *err)
{
    (void)audit_fd, (void)pin_fd, (void)env;
    *crew = (struct kw_crew){.keeper = {.ctl.fd = -1, .violation_fd = -1},
                             .exchanger = {.ctl.fd = -1, .violation_fd = -1},
                             .dialer = {.ctl.fd = -1, .violation_fd = -1}};
    if (fault_now())
        return kw_fail(err, KW_FAILED, "could not start");
    bool armed = fault_pause();
    if ((roles & 1u << KW_ROLE_KEEPER) != 0)
        child(&crew->keeper, KW_ROLE_KEEPER, KW_CHAN_KEEPER, 0);
    if ((roles & 1u << KW_ROLE_EXCHANGER) != 0)
        child(&crew->exchanger, KW_ROLE_EXCHANGER, KW_CHAN_EXCHANGER, 1);
    if ((roles & 1u << KW_ROLE_DIALER) != 0)
        child(&crew->dialer, KW_ROLE_DIALER, KW_CHAN_DIALER, 2);
    fault_resume(armed);
    return 0;
}

pid_t __real_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    if (pid != NOBODY)
        return __real_waitpid(pid, status, options);
    struct kw_view v = kw_get_blob(&peers.side, 4);
    *status = v.len > 1 ? v.p[0] | v.p[1] << 8 : 0;
    return pid;
}

int __wrap_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig)
{
    (void)pid, (void)sig; /* there is nobody */
    return 0;
}

/* --- the surroundings: once for the process ------------------------------------------- */

/* Nothing is kept from one run to the next. */
static void forget(void)
{
    static const char *const names[] = {"session", "session.lock", "lock"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/default.%s", state, names[i]);
        (void)unlink(path);
    }
}

static void leave(void)
{
    forget();
    (void)unlink(ini);
    (void)rmdir(state);
    (void)rmdir(dir);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && kw_write_all(fd, text, strlen(text)) == 0 && close(fd) == 0);
}

static void prepare(void)
{
    static bool done;
    struct kw_err err;
    if (done)
        return;
    done = true;
    must(kw_secret_init(true, &err) == 0 && mkdtemp(dir) != NULL);
    (void)snprintf(ini, sizeof ini, "%s/k.ini", dir);
    (void)snprintf(state, sizeof state, "%s/state", dir);
    must(mkdir(state, 0700) == 0 && atexit(leave) == 0);
    must(setenv("STATE_DIRECTORY", state, 1) == 0 && setenv("KEYWARD_CONFIG", ini, 1) == 0 &&
         setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci.test/?x", 1) == 0 &&
         setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer", 1) == 0);
}

/* Bits 3 to 5 of the first byte choose among configurations. */
static void configure(unsigned which)
{
    static const char *const auth[] = {
        "client_secret_source = fd:0\n",
        "client_auth = signature\nclient_key = pkcs11:object=a\nclient_key_id = a/b/c\n"};
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "[token]\nuri = pkcs11:token=ci?module-path=/m.so&pin-source=/pin\n"
                   "[source]\ntype = github\n[key]\nstorage = %s\n[oci default]\n"
                   "domain_url = https://idcs.test\nclient_id = id\n%s",
                   (which & 1) != 0 ? "token" : "session", auth[which >> 1 & 1]);
    write_file(ini, text);
}

/* --- the run --------------------------------------------------------------------------- */

static int command(unsigned which, struct kw_err *err)
{
    static const char *const lines[][8] = {
        {"keyward", "exchange"},
        {"keyward", "request", "GET", "https://a.oraclecloud.com/n/"},
        {"keyward", "request", "PUT", "https://a.oraclecloud.com/n/", "-d", "body"},
        {"keyward", "sign", "GET", "https://a.oraclecloud.com/n/"},
        {"keyward", "keys", "--prune"},
        {"keyward", "doctor"},
        {"keyward", "claims"},
        {"keyward", "--json", "exchange", "--print-token"},
    };
    char *argv[9] = {NULL}, *words[9] = {NULL};
    int argc = 0;
    for (; argc < 8 && lines[which][argc] != NULL; argc++)
        must((argv[argc] = words[argc] = strdup(lines[which][argc])) != NULL);
    struct kw_cli cli = {0};
    struct kw_args args;
    const struct kw_command *c = NULL;
    must(kw_args_parse(argc, argv, &cli, &c, &args, err) == 0);
    fault_begin();
    int r = c->run(&cli, &args, err);
    (void)fault_end();
    json_decref(kw_cli_take_result());
    for (int i = 0; i < argc; i++)
        free(words[i]);
    return r;
}

/* Results go nowhere, and standard input holds the client's secret. */
static void swap(int *in, int *out, bool back)
{
    if (back) {
        must(fflush(stdout) == 0 && dup2(*in, 0) >= 0 && dup2(*out, 1) >= 0);
        (void)close(*in);
        (void)close(*out);
        return;
    }
    int secret = memfd_create("secret", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY);
    *in = fcntl(0, F_DUPFD_CLOEXEC, 3);
    *out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    must(secret >= 0 && null >= 0 && *in >= 0 && *out >= 0);
    must(kw_write_all(secret, "secret", 6) == 0 && lseek(secret, 0, SEEK_SET) == 0);
    must(fflush(stdout) == 0 && dup2(secret, 0) >= 0 && dup2(null, 1) >= 0);
    (void)close(secret);
    (void)close(null);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const enum kw_channel chans[] = {KW_CHAN_KEEPER, KW_CHAN_EXCHANGER, KW_CHAN_DIALER};
    struct kw_err err = {0};
    int in = -1, out = -1;
    prepare();
    fault_seed(data, &size);
    fault_no_waiting(peers_idle);
    if (size == 0)
        return 0;
    forget();
    configure(data[0] >> 3 & 3);
    peers_begin(&peers, KW_ROLE_MAIN, chans, 3, data + 1, size - 1);
    swap(&in, &out, false);
    int r = command(data[0] & 7, &err);
    swap(&in, &out, true);
    must(r >= 0 && r <= KW_SANDBOX);
    /* doctor has said what it found, and only has the code left to say */
    must(r == 0 || ((err.text[0] != '\0' || (data[0] & 7) == DOCTOR) &&
                    strpbrk(err.text, "\r\n\033") == NULL));
    for (size_t i = 0; i < 3; i++)
        (void)close(peers.fds[i]);
    peers_end(&peers);
    return 0;
}
