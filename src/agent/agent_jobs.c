/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes that serve jobs: started one at a time, handed their job, listened to. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "src/base/io.h"
#include "src/base/log.h"

enum { JOB_FD = 3, SEND_MS = 2000, FIRST_WAIT_MS = 5000, LONGEST_WAIT_MS = 300000, END_MS = 60000 };

unsigned kw_slots_in(const struct kw_agent *a, enum kw_slot_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        n += a->slots[i].state == state;
    return n;
}

/* --- a process ------------------------------------------------------------------------ */

static void become_job(int fd, pid_t parent) __attribute__((noreturn));

/* A clean start, as every role has one: the same program anew, with one descriptor. */
static void become_job(int fd, pid_t parent)
{
    char name[] = "keyward", agent[] = "agent", job[] = "--job";
    char *argv[] = {name, agent, job, NULL};
    sigset_t none;
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* (dup2() onto itself would leave it close-on-exec.) */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, JOB_FD + 1);
    if (getppid() == parent && high >= 0 && dup2(high, JOB_FD) == JOB_FD)
        (void)execv("/proc/self/exe", argv);
    static const char text[] = "keyward: could not start a process for a job\n";
    (void)kw_write_now(STDERR_FILENO, text, sizeof text - 1);
    _exit(KW_FAILED);
}

static struct kw_slot *free_slot(struct kw_agent *a)
{
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        if (a->slots[i].state == KW_SLOT_FREE)
            return &a->slots[i];
    return NULL;
}

/* The configuration as the agent has it, and not what its file has by now: it may be half
 * edited, or refused. */
static int start_job(const struct kw_agent *a, struct kw_slot *s, struct kw_err *err)
{
    static struct kw_m_job_start m;
    m = (struct kw_m_job_start){.cloud = s->cloud, .verbosity = (uint32_t)a->cli->verbosity};
    memcpy(m.profile, s->profile, sizeof m.profile);
    (void)snprintf(m.path, sizeof m.path, "%s", a->config.path);
    int fd = memfd_create("configuration", MFD_CLOEXEC);
    bool ok = fd >= 0 && (a->text.len == 0 || kw_write_all(fd, a->text.p, a->text.len) == 0) &&
              lseek(fd, 0, SEEK_SET) == 0;
    int r = ok ? kw_msg_send(&s->chan, KW_JM_START, &m, &fd, 1, SEND_MS, err)
               : kw_fail_errno(err, KW_FAILED, "no room for a job process's configuration");
    if (fd >= 0)
        (void)close(fd);
    return r;
}

int kw_slot_start(struct kw_agent *a, const char *profile, uint32_t cloud, struct kw_err *err)
{
    struct kw_slot *s = free_slot(a);
    int pair[2];
    if (s == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return kw_fail_errno(err, KW_FAILED, "no room for another job process");
    pid_t parent = getpid();
    *s = (struct kw_slot){.state = KW_SLOT_STARTING,
                          .cloud = cloud,
                          .generation = a->generation,
                          .since_ms = kw_now_ms()};
    (void)snprintf(s->profile, sizeof s->profile, "%s", profile);
    s->pid = fork();
    if (s->pid == 0)
        become_job(pair[1], parent);
    (void)close(pair[1]);
    kw_chan_init(&s->chan, KW_CHAN_JOB, KW_ROLE_AGENT, pair[0]);
    if (s->pid < 0) {
        kw_slot_close(s);
        s->state = KW_SLOT_FREE;
        return kw_fail_errno(err, KW_FAILED, "could not start a process for a job");
    }
    return start_job(a, s, err);
}

void kw_slot_close(struct kw_slot *s)
{
    if (s->chan.fd >= 0)
        (void)close(s->chan.fd);
    s->chan.fd = -1;
}

void kw_slot_end(struct kw_slot *s)
{
    s->state = KW_SLOT_ENDING;
    if (s->ending_ms == 0)
        s->ending_ms = kw_now_ms();
}

/* One that hangs would keep its place, and the agent from ending. (Its keeper notices that it has
 * gone, and destroys the key.) */
void kw_agent_hurry(struct kw_agent *a)
{
    int64_t patience = END_MS + (int64_t)a->config.timeout_s * 1000;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++) {
        struct kw_slot *s = &a->slots[i];
        if (s->state != KW_SLOT_ENDING || kw_now_ms() - s->ending_ms < patience)
            continue;
        kw_log(KW_WARN, "the process %d of a job does not end, and is killed", (int)s->pid);
        (void)kill(s->pid, SIGKILL);
        s->ending_ms = kw_now_ms();
    }
}

/* Whether a process is there of which it isn't known yet that its PIN is right: until it has
 * ended, for it may have something to say. */
static bool unproven(const struct kw_agent *a)
{
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        if (a->slots[i].state != KW_SLOT_FREE && !a->slots[i].logged_in)
            return true;
    return false;
}

static void ready(struct kw_agent *a, struct kw_slot *s)
{
    s->state = KW_SLOT_READY;
    s->logged_in = true;
    a->spare_failures = 0;
    kw_log(KW_INFO, "a process for profile %s is ready after %lld ms", s->profile,
           (long long)(kw_now_ms() - s->since_ms));
}

void kw_slot_hear(struct kw_agent *a, struct kw_slot *s)
{
    struct kw_in in;
    struct kw_err err;
    struct kw_m_error e;
    int r = kw_chan_recv(&s->chan, &in, 0, &err);
    if (r != 0) { /* it has ended, or talks nonsense: waitpid() will tell of it */
        if (in.type == KW_MSG_NONE && s->pid > 0)
            (void)kill(s->pid, SIGTERM);
        kw_slot_close(s);
        kw_slot_end(s);
    } else if (in.type == KW_JM_READY && s->state == KW_SLOT_STARTING) {
        ready(a, s);
    } else if (in.type == KW_JM_COUNT) {
        (void)kw_msg_get_shown(&in.body, in.type, &s->count);
    } else if (in.type == KW_MSG_ERROR && kw_msg_get_shown(&in.body, in.type, &e) && e.code != 0 &&
               e.code <= KW_SANDBOX) {
        s->failed = true;
        (void)kw_fail(&s->why, (enum kw_exit)e.code, "%s", e.text);
    }
    kw_in_free(&in);
}

static void add_up(struct kw_agent_totals *t, const struct kw_m_count *c)
{
    t->requests += c->requests;
    t->refusals += c->refusals;
    t->tunnels += c->tunnels;
    t->renewals += c->renewals;
    t->signatures += c->signatures;
}

/* Of the kind that is kept ready. */
static bool is_spare(const struct kw_agent *a, const struct kw_slot *s)
{
    return s->generation == a->generation && strcmp(s->profile, a->config.profile) == 0 &&
           s->cloud == (uint32_t)a->config.cloud;
}

/* A process that didn't come as far as a job: who waits for one of its kind hears why. */
static void failed_start(struct kw_agent *a, const struct kw_slot *s)
{
    struct kw_err why = s->why;
    bool told = false;
    if (!s->failed)
        (void)kw_fail(&why, KW_FAILED, "a process for profile %s ended without saying why",
                      s->profile);
    /* (One of an older configuration says nothing about the one in use.) */
    for (unsigned i = 0; i < KW_AGENT_PENDING && s->generation == a->generation; i++) {
        struct kw_waiting *w = &a->waiting[i];
        if (!w->there || !w->hello_in || strcmp(w->hello.profile, s->profile) != 0 ||
            w->hello.cloud != s->cloud)
            continue;
        kw_waiting_refuse(w, &why);
        told = true;
    }
    if (!told || why.code == KW_PIN)
        kw_log(KW_WARN, "profile %s: %s", s->profile, why.text);
    a->totals.failed++;
    if (why.code == KW_PIN) { /* nothing that logs in is started any more */
        a->exit_code = KW_PIN;
        a->why = why;
        if (a->stop_ms == 0)
            a->stop_ms = kw_now_ms() + (int64_t)a->config.agent_grace * 1000;
    }
    if (!is_spare(a, s)) /* what a client asked for is no reason to make others wait */
        return;
    int64_t wait = (int64_t)FIRST_WAIT_MS << (a->spare_failures < 8 ? a->spare_failures : 8);
    a->spare_failures++;
    a->next_spare_ms = kw_now_ms() + (wait < LONGEST_WAIT_MS ? wait : LONGEST_WAIT_MS);
}

void kw_slot_ended(struct kw_agent *a, struct kw_slot *s, int status)
{
    while (s->chan.fd >= 0) /* its last words */
        kw_slot_hear(a, s);
    bool had_job = s->job_pid != 0;
    add_up(&a->totals, &s->count);
    if (had_job) {
        kw_log(KW_INFO, "job of process %u (user %u) has ended: %s", s->job_pid, s->uid,
               s->failed ? s->why.text : "done");
        a->totals.failed += s->failed;
    } else if (s->failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        failed_start(a, s);
    }
    *s = (struct kw_slot){.state = KW_SLOT_FREE, .chan.fd = -1};
}

/* --- who gets what -------------------------------------------------------------------- */

static struct kw_slot *find(struct kw_agent *a, enum kw_slot_state state, const char *profile,
                            uint32_t cloud)
{
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++) {
        struct kw_slot *s = &a->slots[i];
        if (s->state == state && s->generation == a->generation && s->cloud == cloud &&
            strcmp(s->profile, profile) == 0)
            return s;
    }
    return NULL;
}

static void hand_over(struct kw_agent *a, struct kw_slot *s, struct kw_waiting *w)
{
    struct kw_m_job m = {.want = w->hello.want, .uid = w->id.uid, .pid = w->id.pid};
    const int fds[2] = {w->chan.fd, w->id.pidfd};
    struct kw_err err;
    if (kw_msg_send(&s->chan, KW_JM_JOB, &m, fds, 2, SEND_MS, &err) != 0) {
        kw_log(KW_WARN, "a process that was ready takes no job: %s", err.text);
        kw_slot_close(s); /* the connection waits for another one */
        kw_slot_end(s);
        return;
    }
    s->state = KW_SLOT_BUSY;
    s->since_ms = kw_now_ms();
    s->want = w->hello.want;
    s->uid = w->id.uid;
    s->job_pid = w->id.pid;
    a->totals.jobs++;
    kw_log(KW_INFO, "job of process %u (user %u), profile %s", s->job_pid, s->uid, s->profile);
    kw_waiting_free(w);
}

static void refuse_for(struct kw_waiting *w, enum kw_exit code, const char *text)
{
    struct kw_err why;
    (void)kw_fail(&why, code, "%s", text);
    kw_waiting_refuse(w, &why);
}

static unsigned jobs_of(const struct kw_agent *a, uint32_t uid)
{
    unsigned n = 0;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        n += a->slots[i].state == KW_SLOT_BUSY && a->slots[i].uid == uid;
    return n;
}

static void serve_waiting(struct kw_agent *a, struct kw_waiting *w)
{
    struct kw_err err;
    const struct kw_m_hello *h = &w->hello;
    struct kw_slot *s = find(a, KW_SLOT_READY, h->profile, h->cloud);
    if (a->exit_code == KW_PIN) {
        refuse_for(w, KW_PIN, a->why.text);
    } else if (a->stop_ms != 0) {
        refuse_for(w, KW_NET, "the agent is being stopped; try again when it is back");
    } else if (kw_slots_in(a, KW_SLOT_BUSY) >= a->config.agent_jobs) {
        a->totals.refused_full++;
        refuse_for(w, KW_NET,
                   "the agent serves as many jobs as it may ([agent] jobs); try again later");
    } else if (a->config.agent_user_jobs != 0 &&
               jobs_of(a, w->id.uid) >= a->config.agent_user_jobs) {
        a->totals.refused_full++;
        refuse_for(w, KW_NET,
                   "you have as many jobs as one user may ([agent] user_jobs); try again later");
    } else if (s != NULL) {
        hand_over(a, s, w);
    } else if (!unproven(a) && kw_slot_start(a, h->profile, h->cloud, &err) != 0) {
        kw_waiting_refuse(w, &err);
    }
}

/* One that is of no use any more: of an older configuration, or because we stop. */
static void end_spares(struct kw_agent *a)
{
    struct kw_err ignored;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++) {
        struct kw_slot *s = &a->slots[i];
        if (s->state != KW_SLOT_READY || (s->generation == a->generation && a->stop_ms == 0))
            continue;
        (void)kw_msg_send(&s->chan, KW_JM_CLOSE, NULL, NULL, 0, SEND_MS, &ignored);
        kw_slot_end(s);
    }
}

static void keep_spares(struct kw_agent *a)
{
    const struct kw_config *c = &a->config;
    struct kw_err err;
    if (a->stop_ms != 0 || unproven(a) || kw_now_ms() < a->next_spare_ms)
        return;
    unsigned have = 0;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        have += a->slots[i].state == KW_SLOT_READY && is_spare(a, &a->slots[i]);
    if (have < c->agent_spare && kw_slot_start(a, c->profile, c->cloud, &err) != 0) {
        kw_log(KW_WARN, "%s", err.text);
        a->next_spare_ms = kw_now_ms() + FIRST_WAIT_MS;
    }
}

/* Who came next after `number`: who comes again and again doesn't overtake those who wait. */
static struct kw_waiting *next_waiting(struct kw_agent *a, uint64_t number)
{
    struct kw_waiting *first = NULL;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++) {
        struct kw_waiting *w = &a->waiting[i];
        if (w->there && w->hello_in && w->number > number &&
            (first == NULL || w->number < first->number))
            first = w;
    }
    return first;
}

void kw_agent_dispatch(struct kw_agent *a)
{
    end_spares(a);
    struct kw_waiting *w;
    for (uint64_t served = 0; (w = next_waiting(a, served)) != NULL;) {
        served = w->number;
        serve_waiting(a, w);
    }
    keep_spares(a);
}
