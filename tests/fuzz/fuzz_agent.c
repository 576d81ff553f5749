/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent as its clients and its own processes for jobs can treat it: every message of theirs in
 * any order (peers.h), one step whenever it has nothing to do. Channels: two clients, and one of
 * the processes; the fourth is what else happens, by the first byte's lowest bits:
 *   0  a client connects (0 or 1, by bit 4), anew if it had
 *   1  a process ends (which: bits 4-7), with the wait status that follows
 *   2  the channel of processes is that one's from now on (bits 4-7)
 *   3  a signal comes (bits 4-7: which of the list)
 *   4  the configuration on disk is another one (bits 4-7)
 * When all is said, the agent is stopped and all processes end. Whatever they do: never are two
 * processes there of which it isn't known that their PIN is right, none is started after one was
 * refused, and no more jobs are served than may be. */
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "peers.h"
#include "src/base/io.h"

#include "src/agent/agent.c"

enum { NOBODY = 0x7fffff00 /* no pid is as large */, PROCESSES = 16 };
enum { CONNECT, END, TURN_TO, SIGNAL, CONFIGURE, EVENTS };

static struct peers peers;
static struct kw_agent agent;
static int listener = -1, signals = -1;
static char dir[] = "/tmp/keyward-fuzz-XXXXXX", ini[64];

static struct process {
    bool there, ended;
    int fd, status;
    uint32_t serial, heard;
} processes[PROCESSES];
static unsigned current, started;
static bool in_agent; /* and not in what plays its peers */

/* --- what stands in for processes ----------------------------------------------------------- */

static void turn_to(unsigned i)
{
    if (i >= PROCESSES || !processes[i].there)
        return;
    if (current < PROCESSES) {
        processes[current].serial = peers.serial[2];
        processes[current].heard = peers.heard[2];
    }
    current = i;
    peers.mine[2] = processes[i].fd;
    peers.serial[2] = processes[i].serial;
    peers.heard[2] = processes[i].heard;
}

int __real_socketpair(int domain, int type, int protocol, int *fds);
int __wrap_socketpair(int domain, int type, int protocol, int *fds);
int __wrap_socketpair(int domain, int type, int protocol, int *fds)
{
    if (in_agent && (started == PROCESSES || fault_now())) {
        errno = EMFILE;
        return -1;
    }
    int r = __real_socketpair(domain, type, protocol, fds);
    if (in_agent && r == 0) { /* the end that fork() would have given away */
        must(!processes[started].there);
        processes[started].fd = fcntl(fds[1], F_DUPFD_CLOEXEC, 3);
        must(processes[started].fd >= 0);
    }
    return r;
}

static unsigned unproven(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        n += agent.slots[i].state != KW_SLOT_FREE && !agent.slots[i].logged_in;
    return n;
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    if (!in_agent)
        return __real_fork();
    struct process *p = &processes[started];
    must(agent.stop_ms == 0 && agent.exit_code == 0);
    must(unproven() == 1); /* this one */
    if (fault_now()) {
        (void)close(p->fd);
        errno = EAGAIN;
        return -1;
    }
    *p = (struct process){.there = true, .fd = p->fd};
    turn_to(started);
    return NOBODY + (pid_t)started++;
}

pid_t __real_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    if (!in_agent)
        return __real_waitpid(pid, status, options);
    for (unsigned i = 0; i < started; i++)
        if (processes[i].there && processes[i].ended) {
            processes[i].there = false;
            *status = processes[i].status;
            return NOBODY + (pid_t)i;
        }
    return 0;
}

static void end(unsigned i, int status)
{
    if (i >= started || !processes[i].there || processes[i].ended)
        return;
    (void)shutdown(processes[i].fd, SHUT_WR);
    processes[i].ended = true;
    processes[i].status = status;
}

int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig)
{
    must(pid >= NOBODY && pid < NOBODY + (pid_t)started && processes[pid - NOBODY].there);
    if (sig == SIGKILL) /* others may take their time */
        end((unsigned)(pid - NOBODY), SIGKILL);
    return 0;
}

/* --- the surroundings ------------------------------------------------------ */

#define GOOGLE                                                                                     \
    "[google default]\nprovider = //iam.googleapis.com/projects/1/locations/global/"               \
    "workloadIdentityPools/p/providers/q\n"

static const char *const variants[] = {
    "",
    "[agent]\njobs = 2\nuser_jobs = 1\nspare = 0\n",
    "[agent]\nallow = 4294967294\n",
    GOOGLE,
    "[agent]\ngrace = 0\nspare = 8\n",
    "nonsense\n",
    "[policy default]\nissuer =\n",
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static void path_of(unsigned which, char out[80])
{
    (void)snprintf(out, 80, "%s/%u", dir, which);
}

static void leave(void)
{
    char path[80];
    for (unsigned i = 0; i < VARIANTS; i++) {
        path_of(i, path);
        (void)unlink(path);
    }
    (void)unlink(ini);
    (void)rmdir(dir);
}

static void change(unsigned which)
{
    char path[80];
    path_of(which % VARIANTS, path);
    (void)unlink(ini);
    must(link(path, ini) == 0);
}

static void write_variant(unsigned which)
{
    char text[1024], path[80];
    (void)snprintf(text, sizeof text,
                   "[token]\nuri = pkcs11:token=ci?module-path=/m.so&pin-source=/pin\n"
                   "[source]\ntype = github\n[oci default]\ndomain_url = https://idcs.test\n"
                   "client_id = id\nclient_secret_source = file:/secret\n"
                   "[policy default]\nissuer = https://ci.test\n%s",
                   variants[which]);
    path_of(which, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && kw_write_all(fd, text, strlen(text)) == 0 && close(fd) == 0);
}

/* The configurations are written once, and are on disk under one name by turns. */
static void prepare(void)
{
    static bool done;
    struct kw_err err;
    if (done)
        return;
    done = true;
    must(kw_secret_init(true, &err) == 0 && mkdtemp(dir) != NULL && atexit(leave) == 0);
    (void)snprintf(ini, sizeof ini, "%s/k.ini", dir);
    for (unsigned i = 0; i < VARIANTS; i++)
        write_variant(i);
    (void)unsetenv("NOTIFY_SOCKET");
}

static int listen_somewhere(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}; /* the kernel gives it a name */
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a.sun_family) == 0 &&
         listen(fd, 64) == 0);
    return fd;
}

/* --- what happens ---------------------------------------------------------- */

static void connect_anew(unsigned i)
{
    struct sockaddr_un a;
    socklen_t n = sizeof a;
    must(getsockname(listener, (struct sockaddr *)&a, &n) == 0);
    (void)close(peers.mine[i]);
    peers.mine[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    peers.serial[i] = peers.heard[i] = 0;
    must(peers.mine[i] >= 0);
    (void)connect(peers.mine[i], (const struct sockaddr *)&a, n); /* the queue may be full */
}

static void signal_comes(unsigned which)
{
    static const unsigned all[] = {SIGHUP, SIGTERM, SIGINT, SIGCHLD};
    const struct signalfd_siginfo si = {.ssi_signo = all[which % 4]};
    must(write(signals, &si, sizeof si) == sizeof si);
}

static void happen(void)
{
    struct kw_view v = kw_get_blob(&peers.side, 1 << 20);
    if (v.len == 0)
        return; /* so time passes */
    unsigned what = (v.p[0] & 15) % EVENTS, which = v.p[0] >> 4;
    int status = v.len > 2 ? v.p[1] | v.p[2] << 8 : 0;
    if (what == CONNECT)
        connect_anew(which & 1);
    else if (what == END)
        end(which, status);
    else if (what == TURN_TO)
        turn_to(which);
    else if (what == SIGNAL)
        signal_comes(which);
    else
        change(which);
}

static void check(void)
{
    must(unproven() <= 1 && kw_slots_in(&agent, KW_SLOT_BUSY) <= 200);
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++) {
        const struct kw_slot *s = &agent.slots[i];
        must(s->state != KW_SLOT_FREE || s->chan.fd < 0);
        must(s->state != KW_SLOT_BUSY || (s->logged_in && s->job_pid != 0));
    }
}

static void idle(bool for_ever)
{
    (void)for_ever;
    in_agent = false;
    check();
    if (peers_step(&peers)) {
        if (peers.side.rd < peers.side.len)
            happen();
    } else {
        signal_comes(1);
        for (unsigned i = 0; i < started; i++)
            end(i, 0);
    }
    peers_idle(false);
    in_agent = true;
}

/* --- the run --------------------------------------------------------------- */

static void go(struct kw_agent *a, struct kw_err *err)
{
    int ends[2];
    must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    a->signal_fd = ends[0];
    signals = ends[1];
    a->listen_fd = listener;
    in_agent = true;
    fault_begin();
    if (configure(a->cli, ini, &a->config, &a->text, &a->allowed, err) == 0)
        while (running(a))
            turn(a);
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        kw_waiting_free(&a->waiting[i]);
    kw_config_free(&a->config);
    kw_buf_free(&a->text);
    (void)fault_end();
    in_agent = false;
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const enum kw_channel chans[] = {KW_CHAN_AGENT, KW_CHAN_AGENT, KW_CHAN_JOB};
    static const struct kw_cli cli = {.config_path = ini};
    struct kw_err err = {0};
    prepare();
    fault_seed(data, &size);
    fault_no_waiting(idle);
    if (size == 0)
        return 0;
    change(data[0]);
    agent = (struct kw_agent){.cli = &cli, .listen_fd = -1, .signal_fd = -1};
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        agent.slots[i].chan.fd = -1;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        agent.waiting[i] = (struct kw_waiting){.chan.fd = -1, .id.pidfd = -1};
    memset(processes, 0, sizeof processes);
    started = 0;
    current = PROCESSES;
    peers_open(&peers, KW_ROLE_AGENT, chans, 3, data + 1, size - 1);
    for (size_t i = 0; i < 3; i++)
        (void)close(peers.fds[i]); /* it gets others */
    int unused = peers.mine[2];
    listener = listen_somewhere();
    go(&agent, &err);
    (void)close(listener);
    for (unsigned i = 0; i < started; i++)
        if (processes[i].fd != peers.mine[2])
            (void)close(processes[i].fd);
    if (peers.mine[2] != unused)
        (void)close(unused);
    peers_end(&peers);
    return 0;
}
