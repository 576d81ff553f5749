/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent's process for one job, as the job can treat it: every message of its in any order, with
 * descriptors of any kind, too few and too many (peers.h), one step whenever the process has
 * nothing to do. Channels: the agent, the job, and the exchanger (or, by the first byte, the
 * keeper: for `sign`); the fourth is what else happens, by the first byte's lowest bits:
 *   0  descriptors along are of another kind from now on (bits 4-7)
 *   1  the proxy tells of a request (bits 4-7: what became of it)
 *   2  the session is to be renewed: a JWT is asked for
 *   3  the session fails
 * The session itself is played. Whatever the job does: without a JWT of its own it gets neither
 * stand-ins nor a signature, and a running CMD never the session's token. */
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "peers.h"
#include "src/base/io.h"
#include "src/cli/args.h"
#include "src/ipc/messages_int.h"

#include "src/agent/agent_serve.c"

enum { NOBODY = 0x7ffffff0 /* no pid is as large */ };
enum { KIND, EVENT, RENEW, FAIL, HAPPENINGS };

const struct kw_command *const kw_commands[] = {NULL};

static const char token[] = "the-token-of-the-session";
static struct peers peers;
static bool plays_keeper, has_jwt, wants_renewal, fails, has_event;
static unsigned event_kind;
static const struct kw_serve_want *serve_want;

/* --- the session, played -------------------------------------------------------------------- */

static void role(struct kw_child *ch, enum kw_role r, enum kw_channel chan, bool played)
{
    *ch = (struct kw_child){.role = r, .pid = NOBODY, .violation_fd = -1};
    kw_chan_init(&ch->ctl, chan, KW_ROLE_MAIN,
                 played ? fcntl(peers.fds[2], F_DUPFD_CLOEXEC, 3) : -1);
    ch->ctl.state = IDLE;
}

static void close_roles(struct kw_session *s)
{
    struct kw_child *const all[] = {&s->crew.keeper, &s->crew.exchanger};
    for (size_t i = 0; i < 2; i++)
        if (all[i]->ctl.fd >= 0) {
            (void)close(all[i]->ctl.fd);
            all[i]->ctl.fd = -1;
        }
    kw_secret_free(&s->token);
}

static int trouble(struct kw_err *err)
{
    return fault_now() ? kw_fail(err, KW_TOKEN, "the session has trouble") : 0;
}

int __wrap_kw_session_prepare(struct kw_session *s, const struct kw_config *c, const char *caller,
                              unsigned use, struct kw_err *err);
int __wrap_kw_session_prepare(struct kw_session *s, const struct kw_config *c, const char *caller,
                              unsigned use, struct kw_err *err)
{
    *s = (struct kw_session){.config = c, .caller = caller, .run = (use & KW_USE_RUN) != 0};
    bool armed = fault_pause();
    role(&s->crew.keeper, KW_ROLE_KEEPER, KW_CHAN_KEEPER, plays_keeper);
    role(&s->crew.exchanger, KW_ROLE_EXCHANGER, KW_CHAN_EXCHANGER, !plays_keeper);
    role(&s->crew.dialer, KW_ROLE_DIALER, KW_CHAN_DIALER, false);
    role(&s->crew.proxy, KW_ROLE_PROXY, KW_CHAN_PROXY, false);
    fault_resume(armed);
    int r = trouble(err);
    if (r != 0)
        close_roles(s);
    return r;
}

static int ask(struct kw_session *s, struct kw_err *err)
{
    struct kw_secret *jwt = NULL;
    int r = s->ask(s->ask_arg, &jwt, err);
    must((r == 0) == (jwt != NULL && kw_secret_len(jwt) > 0));
    has_jwt = has_jwt || r == 0;
    kw_secret_free(&jwt);
    return r;
}

int __wrap_kw_session_go_on(struct kw_session *s, struct kw_err *err);
int __wrap_kw_session_go_on(struct kw_session *s, struct kw_err *err)
{
    int r = ask(s, err);
    if (r == 0)
        r = trouble(err);
    bool armed = fault_pause();
    s->token = r == 0 ? kw_secret_from(token, sizeof token - 1) : NULL;
    (void)snprintf(s->principal, sizeof s->principal, "ocid1.x");
    fault_resume(armed);
    if (r != 0)
        close_roles(s);
    return r;
}

int __wrap_kw_session_close(struct kw_session *s, struct kw_m_closed *closed, struct kw_err *err);
int __wrap_kw_session_close(struct kw_session *s, struct kw_m_closed *closed, struct kw_err *err)
{
    (void)closed;
    close_roles(s);
    return trouble(err);
}

int __wrap_kw_serving_begin(struct kw_serving *v, const struct kw_serve_want *want,
                            struct kw_err *err);
int __wrap_kw_serving_begin(struct kw_serving *v, const struct kw_serve_want *want,
                            struct kw_err *err)
{
    must(has_jwt && want->spki_len > 0);
    for (int i = 0; i < 2; i++) {
        int on = 0;
        socklen_t n = sizeof on;
        must(getsockopt(want->listeners[i], SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on == 1);
    }
    kw_buf_init(&v->decoy, 64);
    kw_put_str(&v->decoy, "a.stand.in");
    serve_want = want;
    return trouble(err);
}

int __wrap_kw_serving_turn(struct kw_serving *v, struct pollfd *own, unsigned n,
                           struct kw_err *err);
int __wrap_kw_serving_turn(struct kw_serving *v, struct pollfd *own, unsigned n, struct kw_err *err)
{
    for (unsigned i = 0; i < n; i++)
        own[i].revents = 0;
    if (poll(own, n, 1000) < 0)
        return errno == EINTR ? 0 : kw_fail_errno(err, KW_FAILED, "could not wait");
    if (has_event) {
        const struct kw_m_event e = {
            .kind = event_kind, .number = 1, .method = "GET", .host = "h", .text = "why"};
        has_event = false;
        serve_want->event(serve_want->arg, &e);
    }
    struct kw_err why; /* a renewal that fails is none of the job's errors */
    if (wants_renewal && ask(&v->session, &why) == 0)
        v->renewals++;
    wants_renewal = false;
    return fails ? kw_fail(err, KW_TOKEN, "the token is gone") : 0;
}

int __wrap_kw_serving_end(struct kw_serving *v, struct kw_m_proxy_closed *ret, struct kw_err *err);
int __wrap_kw_serving_end(struct kw_serving *v, struct kw_m_proxy_closed *ret, struct kw_err *err)
{
    *ret = (struct kw_m_proxy_closed){1, 2, 3, 4};
    close_roles(&v->session);
    return trouble(err);
}

pid_t __real_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    if (pid != NOBODY)
        return __real_waitpid(pid, status, options);
    *status = 0;
    return pid;
}

int __wrap_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig)
{
    (void)pid, (void)sig; /* there is nobody */
    return 0;
}

/* The descriptor that the agent gave is none of a connection: this is. */
void __real_kw_chan_init(struct kw_chan *c, enum kw_channel name, enum kw_role self, int fd);
void __wrap_kw_chan_init(struct kw_chan *c, enum kw_channel name, enum kw_role self, int fd);
void __wrap_kw_chan_init(struct kw_chan *c, enum kw_channel name, enum kw_role self, int fd)
{
    if (name == KW_CHAN_AGENT) {
        must(close(fd) == 0);
        fd = fcntl(peers.fds[1], F_DUPFD_CLOEXEC, 3);
        (void)close(peers.fds[1]);
        peers.fds[1] = -1;
        must(fd >= 0);
    }
    __real_kw_chan_init(c, name, self, fd);
}

/* --- the surroundings ------------------------------------------------------ */

static const char configuration[] =
    "[token]\nuri = pkcs11:token=ci?module-path=/m.so&pin-source=/pin\n[source]\ntype = github\n"
    "[oci default]\ndomain_url = https://idcs.test\nclient_id = id\n"
    "client_secret_source = file:/secret\n[policy default]\nissuer = https://ci.test\n"
    "[run]\nisolation = required\n";

/* Each time: who had the number before us may have given it back. */
static void prepare(void)
{
    struct kw_err err;
    must(kw_secret_init(true, &err) == 0);
    if (fcntl(UP_FD, F_GETFD) < 0) { /* it is the agent's, whenever that is there */
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        must(fd == UP_FD || (dup2(fd, UP_FD) == UP_FD && close(fd) == 0));
    }
}

static int listening(int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr sa;
    memcpy(&sa, &a, sizeof sa);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    if (type == SOCK_STREAM && bind(fd, &sa, sizeof sa) == 0)
        (void)listen(fd, 1);
    return fd;
}

static void change_kind(unsigned kind)
{
    int ends[2] = {-1, -1}, fd = -1;
    switch (kind % 5) {
    case 0: /* nothing to read, and never is: as the pidfd of a process that lives */
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        break;
    case 1:
        fd = memfd_create("given", MFD_CLOEXEC);
        must(fd >= 0 && kw_write_all(fd, configuration, sizeof configuration - 1) == 0 &&
             lseek(fd, 0, SEEK_SET) == 0);
        break;
    case 2:
    case 3:
        must(pipe2(ends, O_CLOEXEC) == 0);
        fd = ends[kind % 5 - 2];
        (void)close(ends[3 - kind % 5]);
        break;
    default:
        fd = listening((kind & 8) != 0 ? SOCK_DGRAM : SOCK_STREAM);
    }
    must(fd >= 0 && dup2(fd, peers.file) == peers.file);
    (void)close(fd);
}

/* What the step said on the side; whether the process could see it. */
static bool happen(void)
{
    struct kw_view v = kw_get_blob(&peers.side, 1 << 20);
    if (v.len == 0)
        return true; /* so time passes */
    unsigned what = (v.p[0] & 15) % HAPPENINGS;
    if (what == KIND)
        change_kind(v.p[0] >> 4);
    has_event = has_event || what == EVENT;
    event_kind = what == EVENT ? v.p[0] >> 4 : event_kind;
    wants_renewal = wants_renewal || what == RENEW;
    fails = fails || what == FAIL;
    return what != KIND;
}

static void idle(bool for_ever)
{
    bool more = true, seen = false;
    while (more && !seen) {
        more = peers_step(&peers);
        seen = peers.side.rd == peers.side.len || happen();
    }
    peers_idle(!more);
    (void)for_ever;
}

/* --- the run --------------------------------------------------------------- */

static int go(struct kw_err *err)
{
    int other = fcntl(UP_FD, F_DUPFD_CLOEXEC, 3);
    must(other >= 0 && dup2(peers.fds[0], UP_FD) == UP_FD);
    fault_begin();
    int r = kw_agent_serve(err);
    (void)fault_end();
    must(dup2(other, UP_FD) == UP_FD && close(other) == 0);
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    enum kw_channel chans[] = {KW_CHAN_JOB, KW_CHAN_AGENT, KW_CHAN_EXCHANGER};
    struct kw_err err = {0};
    prepare();
    fault_seed(data, &size);
    fault_no_waiting(idle);
    if (size == 0)
        return 0;
    plays_keeper = (data[0] & 1) != 0;
    chans[2] = plays_keeper ? KW_CHAN_KEEPER : KW_CHAN_EXCHANGER;
    has_jwt = wants_renewal = fails = has_event = false;
    peers_open(&peers, KW_ROLE_JOB, chans, 3, data + 1, size - 1);
    peers.roles[1] = KW_ROLE_AGENT;
    peers.serial[1] = 1; /* its HELLO was the agent's */
    peers.roles[2] = KW_ROLE_MAIN;
    change_kind(0);
    int r = go(&err);
    must(r >= 0 && r <= KW_SANDBOX);
    for (size_t i = 0; i < 3; i++)
        if (peers.fds[i] >= 0)
            (void)close(peers.fds[i]);
    peers_end(&peers);
    return 0;
}
