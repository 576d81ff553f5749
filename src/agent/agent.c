/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/base/log.h"

enum { HELLO_MS = 5000, SEND_MS = 2000, TURN_MS = 1000 };

/* --- connections ---------------------------------------------------------------------- */

void kw_waiting_free(struct kw_waiting *w)
{
    if (w->chan.fd >= 0)
        (void)close(w->chan.fd);
    if (w->id.pidfd >= 0)
        (void)close(w->id.pidfd);
    *w = (struct kw_waiting){.chan.fd = -1, .id.pidfd = -1};
}

void kw_waiting_refuse(struct kw_waiting *w, const struct kw_err *why)
{
    kw_msg_send_error(&w->chan, why);
    kw_waiting_free(w);
}

static void refuse(struct kw_agent *a, struct kw_waiting *w, const struct kw_err *why)
{
    a->totals.refused_hello++;
    kw_log(KW_INFO, "process %u (user %u): %s", w->id.pid, w->id.uid, why->text);
    kw_waiting_refuse(w, why);
}

static unsigned waiting_of(const struct kw_agent *a, uint32_t uid)
{
    unsigned n = 0;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        n += a->waiting[i].there && a->waiting[i].id.uid == uid;
    return n;
}

/* Where all places are taken: the last that came of the user who has most of them, if that is
 * more than `uid` would have then. So nobody can keep others out by coming often. */
static struct kw_waiting *crowding(struct kw_agent *a, uint32_t uid)
{
    struct kw_waiting *last = NULL;
    unsigned most = waiting_of(a, uid) + 1;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++) {
        struct kw_waiting *w = &a->waiting[i];
        unsigned n = w->id.uid != uid ? waiting_of(a, w->id.uid) : 0;
        bool same = last != NULL && last->id.uid == w->id.uid;
        if (same ? w->number > last->number : n > most) {
            most = n;
            last = w;
        }
    }
    return last;
}

static void crowd_out(struct kw_agent *a, struct kw_waiting *w)
{
    struct kw_err why;
    a->totals.refused_full++;
    (void)kw_fail(&why, KW_NET,
                  "too many wait for the agent, and most of them are user %u's; try again later",
                  w->id.uid);
    kw_waiting_refuse(w, &why);
}

static void take_connection(struct kw_agent *a)
{
    int fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct kw_waiting *w = NULL;
    struct kw_waiting came = {
        .there = true, .deadline_ms = kw_now_ms() + HELLO_MS, .number = ++a->connections};
    int r = kw_peer_identify(fd, kw_boot_ms(), &came.id, &came.why);
    kw_chan_init(&came.chan, KW_CHAN_AGENT, KW_ROLE_AGENT, fd);
    for (unsigned i = 0; i < KW_AGENT_PENDING && w == NULL; i++)
        w = a->waiting[i].there ? NULL : &a->waiting[i];
    if (w == NULL && (w = crowding(a, came.id.uid)) != NULL)
        crowd_out(a, w);
    if (w == NULL) { /* they have seconds to say what they want: soon there is room */
        a->totals.refused_full++;
        kw_waiting_free(&came);
        return;
    }
    *w = came;
    if (r == 0 && !kw_allowed_is(&a->allowed, fd, &w->id))
        r = kw_fail(&w->why, KW_POLICY, "user %u may not use this agent ([agent] allow)",
                    w->id.uid);
    w->denied = r != 0;
    if (!w->denied)
        return;
    a->totals.refused_peer++;
    kw_log(KW_WARN, "process %u: %s", w->id.pid, w->why.text);
}

/* Which of the profile's clouds: the one named, or the one whose host is to be called. That
 * the profile is there, and good for an agent, says its process. */
static int settle(struct kw_agent *a, struct kw_m_hello *h, struct kw_err *err)
{
    const struct kw_config *c = &a->config;
    if (h->protocol != KW_AGENT_PROTOCOL)
        return kw_fail(err, KW_USAGE,
                       "this agent speaks version %u of the protocol, and the client %u: install "
                       "the same keyward for both",
                       KW_AGENT_PROTOCOL, h->protocol);
    if (h->want > KW_WANT_METRICS || h->cloud > KW_CLOUD_GOOGLE)
        return kw_fail(err, KW_USAGE, "the agent doesn't know what is asked for");
    if (h->profile[0] == '\0')
        memcpy(h->profile, c->profile, sizeof h->profile);
    if (strcmp(h->profile, c->profile) != 0 || h->cloud != KW_CLOUD_NONE)
        return 0;
    bool both = c->oci_set && c->google_set;
    if (both && h->host[0] == '\0' && h->want < KW_WANT_STATUS)
        return kw_fail(err, KW_USAGE,
                       "profile %s of the agent has both clouds: name one with --cloud=oci or "
                       "--cloud=google",
                       c->profile);
    h->cloud = (uint32_t)c->cloud;
    if (both && kw_config_googles(c, h->host))
        h->cloud = KW_CLOUD_GOOGLE;
    return 0;
}

static void take_hello(struct kw_agent *a, struct kw_waiting *w)
{
    struct kw_in in;
    struct kw_err err;
    int r = kw_chan_recv(&w->chan, &in, 0, &err);
    if (r == 0 && (in.type != KW_AM_HELLO || !kw_msg_get_shown(&in.body, in.type, &w->hello)))
        r = kw_fail(&err, KW_USAGE, "the agent was greeted in a way it doesn't understand");
    bool gone = r != 0 && in.type == KW_MSG_NONE;
    kw_in_free(&in);
    if (r == 0 && !w->denied)
        r = settle(a, &w->hello, &err);
    if (r == 0 && !w->denied && w->hello.want >= KW_WANT_STATUS)
        r = kw_agent_say(a, w);
    if (gone)
        kw_waiting_free(w);
    else if (w->denied)
        kw_waiting_refuse(w, &w->why);
    else if (r != 0)
        refuse(a, w, &err);
    else if (w->there)
        w->hello_in = true;
}

/* --- configuration ---------------------------------------------------------------------- */

/* The cloud of the default profile; of one with both, OCI, whose sessions take longest to make. */
static int configure(const struct kw_cli *cli, const char *path, struct kw_config *c,
                     struct kw_buf *text, struct kw_allowed *allowed, struct kw_err *err)
{
    int r = kw_config_load_kept(c, path, cli->profile, text, err);
    c->verbosity = cli->verbosity;
    if (r == 0)
        r = kw_agent_fits(c, err);
    c->cloud = c->google_set && !c->oci_set ? KW_CLOUD_GOOGLE : KW_CLOUD_OCI;
    return r == 0 ? kw_allowed_read(c->agent_allow, allowed, err) : r;
}

/* --- signals --------------------------------------------------------------------------- */

static void reload(struct kw_agent *a)
{
    static struct kw_config c; /* large */
    struct kw_buf text;
    struct kw_allowed allowed;
    struct kw_err err;
    kw_agent_notify("RELOADING=1", "reading the configuration");
    const char *path = a->config.path[0] != '\0' ? a->config.path : NULL;
    if (configure(a->cli, path, &c, &text, &allowed, &err) != 0) {
        kw_log(KW_WARN, "the configuration was not taken over, the one in use goes on: %s",
               err.text);
        kw_config_free(&c);
        kw_buf_free(&text);
        kw_agent_notify("READY=1", "serving; the new configuration was refused");
        return;
    }
    kw_config_free(&a->config);
    kw_buf_free(&a->text);
    a->config = c;
    a->text = text;
    a->allowed = allowed;
    a->generation++; /* jobs go on with what they began with; spares are made anew */
    a->next_spare_ms = 0;
    kw_log(KW_INFO, "the configuration was read again");
    kw_agent_notify("READY=1", "serving; the configuration was read again");
}

static void stop(struct kw_agent *a)
{
    int64_t now = kw_now_ms();
    /* A second time: at once. */
    a->stop_ms = a->stop_ms == 0 ? now + (int64_t)a->config.agent_grace * 1000 : now;
    kw_agent_notify("STOPPING=1", "waiting for jobs to end");
}

static void reap(struct kw_agent *a)
{
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
            if (a->slots[i].state != KW_SLOT_FREE && a->slots[i].pid == pid)
                kw_slot_ended(a, &a->slots[i], status);
}

static void take_signal(struct kw_agent *a)
{
    struct signalfd_siginfo si;
    if (read(a->signal_fd, &si, sizeof si) != (ssize_t)sizeof si)
        return;
    if (si.ssi_signo == SIGHUP && a->stop_ms == 0)
        reload(a);
    else if (si.ssi_signo == SIGINT || si.ssi_signo == SIGTERM)
        stop(a);
}

/* --- the loop --------------------------------------------------------------------------- */

/* Jobs that have had their time, once we stop. */
static void press(struct kw_agent *a)
{
    struct kw_err ignored;
    if (a->stop_ms == 0 || kw_now_ms() < a->stop_ms)
        return;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++) {
        struct kw_slot *s = &a->slots[i];
        if (s->state != KW_SLOT_BUSY && s->state != KW_SLOT_STARTING)
            continue;
        if (s->chan.fd < 0 ||
            kw_msg_send(&s->chan, KW_JM_CLOSE, NULL, NULL, 0, SEND_MS, &ignored) != 0)
            (void)kill(s->pid, SIGTERM);
        kw_slot_end(s);
    }
}

static void turn(struct kw_agent *a)
{
    static struct pollfd p[2 + KW_AGENT_SLOTS + KW_AGENT_PENDING];
    const unsigned slots = 2, waiting = 2 + KW_AGENT_SLOTS;
    p[0] = (struct pollfd){.fd = a->signal_fd, .events = POLLIN};
    /* Who comes while we stop is told so, but those at systemd's socket wait for our successor, if
     * there is to be one. */
    bool hears = a->stop_ms == 0 || a->made || a->exit_code != 0;
    p[1] = (struct pollfd){.fd = hears ? a->listen_fd : -1, .events = POLLIN};
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        p[slots + i] = (struct pollfd){
            .fd = a->slots[i].state != KW_SLOT_FREE ? a->slots[i].chan.fd : -1, .events = POLLIN};
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        p[waiting + i] = (struct pollfd){.fd = a->waiting[i].there ? a->waiting[i].chan.fd : -1,
                                         .events = POLLIN};
    (void)poll(p, 2 + KW_AGENT_SLOTS + KW_AGENT_PENDING, TURN_MS);
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        if (p[slots + i].revents != 0)
            kw_slot_hear(a, &a->slots[i]);
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++) {
        struct kw_waiting *w = &a->waiting[i];
        bool speaks = p[waiting + i].revents != 0;
        bool late = w->there && !w->hello_in && kw_now_ms() > w->deadline_ms;
        if (speaks && !w->hello_in)
            take_hello(a, w);
        else if (speaks || late) /* it has nothing to say now: it has gone, or should */
            kw_waiting_free(w);
    }
    if (p[0].revents != 0)
        take_signal(a);
    if (p[1].revents != 0)
        take_connection(a);
    reap(a);
    kw_agent_dispatch(a);
    press(a);
    kw_agent_hurry(a);
}

static bool running(const struct kw_agent *a)
{
    return a->stop_ms == 0 || kw_slots_in(a, KW_SLOT_FREE) < KW_AGENT_SLOTS;
}

static int watch(struct kw_agent *a, struct kw_err *err)
{
    sigset_t set;
    (void)signal(SIGCHLD, SIG_DFL); /* inherited as ignored, it would hide how a process ended */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    a->signal_fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0
                       ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
                       : -1;
    return a->signal_fd >= 0 ? 0 : kw_fail_errno(err, KW_FAILED, "could not watch signals");
}

static int begin(struct kw_agent *a, struct kw_err *err)
{
    int r = configure(a->cli, a->cli->config_path, &a->config, &a->text, &a->allowed, err);
    if (r == 0)
        r = watch(a, err);
    if (r == 0)
        r = kw_agent_listen(a->config.agent_socket, &a->listen_fd, &a->made, err);
    if (r == 0) {
        (void)fcntl(a->listen_fd, F_SETFL, O_NONBLOCK);
        (void)fcntl(a->listen_fd, F_SETFD, FD_CLOEXEC);
        memcpy(a->socket, a->config.agent_socket, sizeof a->socket);
    }
    return r;
}

int kw_agent(const struct kw_cli *cli, struct kw_err *err)
{
    static struct kw_agent a; /* large */
    a = (struct kw_agent){.cli = cli,
                          .listen_fd = -1,
                          .signal_fd = -1,
                          .started_s = (int64_t)time(NULL),
                          .started_ms = kw_now_ms()};
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        a.slots[i].chan.fd = -1;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        a.waiting[i] = (struct kw_waiting){.chan.fd = -1, .id.pidfd = -1};
    int r = begin(&a, err);
    if (r == 0) {
        kw_log(KW_INFO, "agent for profile %s", a.config.profile);
        kw_agent_notify("READY=1", "serving");
        while (running(&a))
            turn(&a);
        if (a.made)
            (void)unlink(a.socket);
        if (a.exit_code != 0) {
            *err = a.why;
            r = a.exit_code;
        }
    }
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        kw_waiting_free(&a.waiting[i]);
    if (a.listen_fd >= 0)
        (void)close(a.listen_fd);
    if (a.signal_fd >= 0)
        (void)close(a.signal_fd);
    kw_config_free(&a.config);
    kw_buf_free(&a.text);
    return r;
}
