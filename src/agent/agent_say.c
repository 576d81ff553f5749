/* SPDX-License-Identifier: Apache-2.0
 *
 * What the agent tells of itself. Nothing secret: who uses it, and how much. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

enum { SEND_MS = 2000, MOST = 256 * 1024 };

static const char *const wants[] = {"run", "request", "sign", "status", "metrics"};

/* The past, and what goes on. */
static struct kw_agent_totals totals(const struct kw_agent *a)
{
    struct kw_agent_totals t = a->totals;
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++) {
        const struct kw_m_count *c = &a->slots[i].count;
        t.requests += c->requests;
        t.refusals += c->refusals;
        t.tunnels += c->tunnels;
        t.renewals += c->renewals;
        t.signatures += c->signatures;
    }
    return t;
}

static bool may_see(const struct kw_slot *s, const struct kw_waiting *to)
{
    return s->state == KW_SLOT_BUSY &&
           (to->id.uid == 0 || to->id.uid == (uint32_t)geteuid() || to->id.uid == s->uid);
}

/* --- metrics ----------------------------------------------------------------------------- */

static void metric(struct kw_buf *b, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    char line[512];
    (void)snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name,
                   type, name, (unsigned long long)value);
    kw_put_str(b, line);
}

/* The text format of Prometheus, version 0.0.4. */
static void put_metrics(const struct kw_agent *a, struct kw_buf *b)
{
    struct kw_agent_totals t = totals(a);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } all[] = {
        {"keyward_agent_start_time_seconds", "gauge", "When the agent began.",
         (uint64_t)a->started_s},
        {"keyward_agent_jobs", "gauge", "Jobs that are being served.",
         kw_slots_in(a, KW_SLOT_BUSY)},
        {"keyward_agent_jobs_limit", "gauge", "Jobs that may be served at once.",
         a->config.agent_jobs},
        {"keyward_agent_spares", "gauge", "Processes that are ready for a job.",
         kw_slots_in(a, KW_SLOT_READY)},
        {"keyward_agent_jobs_total", "counter", "Jobs that were taken on.", t.jobs},
        {"keyward_agent_failures_total", "counter", "Jobs and starts that ended with an error.",
         t.failed},
        {"keyward_agent_refused_full_total", "counter", "Connections refused for want of room.",
         t.refused_full},
        {"keyward_agent_refused_user_total", "counter",
         "Connections of users that are not allowed.", t.refused_peer},
        {"keyward_agent_refused_hello_total", "counter", "Connections that asked for nonsense.",
         t.refused_hello},
        {"keyward_requests_total", "counter", "Requests of CMDs that were let through.",
         t.requests},
        {"keyward_refusals_total", "counter", "Requests of CMDs that were refused.", t.refusals},
        {"keyward_tunnels_total", "counter", "Connections passed on untouched.", t.tunnels},
        {"keyward_renewals_total", "counter", "Sessions that followed another.", t.renewals},
        {"keyward_calls_total", "counter", "Calls and signatures of request and sign.",
         t.signatures},
        {"keyward_agent_pin_refused", "gauge", "1 once a PIN was refused: nothing is started then.",
         a->exit_code == KW_PIN},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        metric(b, all[i].name, all[i].type, all[i].help, all[i].value);
}

/* --- status -------------------------------------------------------------------------------- */

static json_t *job_object(const struct kw_slot *s)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "what",
                     s->want < sizeof wants / sizeof wants[0] ? wants[s->want] : "?", "profile",
                     s->profile, "user", (json_int_t)s->uid, "process", (json_int_t)s->job_pid,
                     "seconds", (json_int_t)((kw_now_ms() - s->since_ms) / 1000), "requests",
                     (json_int_t)s->count.requests, "refused", (json_int_t)s->count.refusals,
                     "renewals", (json_int_t)s->count.renewals, "principal", s->count.principal);
}

static void put_json(const struct kw_agent *a, const struct kw_waiting *to, struct kw_buf *b)
{
    struct kw_agent_totals t = totals(a);
    json_t *jobs = json_array();
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        if (may_see(&a->slots[i], to))
            (void)json_array_append_new(jobs, job_object(&a->slots[i]));
    json_t *o = json_pack(
        "{s:s,s:s,s:I,s:b,s:i,s:i,s:i,s:o,s:I,s:I,s:I,s:I,s:I}", "version", KW_VERSION, "profile",
        a->config.profile, "seconds", (json_int_t)((kw_now_ms() - a->started_ms) / 1000),
        "stopping", a->stop_ms != 0, "jobs_now", (int)kw_slots_in(a, KW_SLOT_BUSY), "jobs_most",
        (int)a->config.agent_jobs, "spares", (int)kw_slots_in(a, KW_SLOT_READY), "jobs", jobs,
        "jobs_total", (json_int_t)t.jobs, "failed_total", (json_int_t)t.failed, "requests_total",
        (json_int_t)t.requests, "refused_total", (json_int_t)t.refusals, "renewals_total",
        (json_int_t)t.renewals);
    char *text = o != NULL ? json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
    kw_put_str(b, text != NULL ? text : "{}");
    kw_put_str(b, "\n");
    free(text);
    json_decref(o);
}

static void put_text(const struct kw_agent *a, const struct kw_waiting *to, struct kw_buf *b)
{
    struct kw_agent_totals t = totals(a);
    char line[1024];
    (void)snprintf(line, sizeof line,
                   "agent       keyward %s, profile %s, up %lld s%s\n"
                   "jobs        %u of %u now, %llu since the start, %llu failed\n"
                   "ready       %u\n"
                   "requests    %llu let through, %llu refused, %llu renewals\n",
                   KW_VERSION, a->config.profile, (long long)((kw_now_ms() - a->started_ms) / 1000),
                   a->stop_ms != 0 ? ", stopping" : "", kw_slots_in(a, KW_SLOT_BUSY),
                   a->config.agent_jobs, (unsigned long long)t.jobs, (unsigned long long)t.failed,
                   kw_slots_in(a, KW_SLOT_READY), (unsigned long long)t.requests,
                   (unsigned long long)t.refusals, (unsigned long long)t.renewals);
    kw_put_str(b, line);
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++) {
        const struct kw_slot *s = &a->slots[i];
        if (!may_see(s, to))
            continue;
        (void)snprintf(
            line, sizeof line,
            "job         %s of process %u (user %u), profile %s, %lld s, %u requests, %u "
            "refused; %s\n",
            s->want < sizeof wants / sizeof wants[0] ? wants[s->want] : "?", s->job_pid, s->uid,
            s->profile, (long long)((kw_now_ms() - s->since_ms) / 1000), s->count.requests,
            s->count.refusals, s->count.session != 0 ? s->count.principal : "no session yet");
        kw_put_str(b, line);
    }
}

static int send_pieces(struct kw_waiting *to, const char *text, struct kw_err *err)
{
    static struct kw_m_text m; /* large */
    int r = 0;
    do {
        size_t n = strlen(text), most = sizeof m.text - 1;
        size_t piece = n < most ? n : most;
        memcpy(m.text, text, piece);
        m.text[piece] = '\0';
        m.more = n > piece;
        r = kw_msg_send(&to->chan, KW_AM_TEXT, &m, NULL, 0, SEND_MS, err);
        text += piece;
    } while (r == 0 && m.more != 0);
    return r;
}

int kw_agent_say(struct kw_agent *a, struct kw_waiting *to)
{
    struct kw_buf b;
    struct kw_err ignored; /* who doesn't wait for the answer doesn't want it */
    kw_buf_init(&b, MOST);
    if (to->hello.want == KW_WANT_METRICS)
        put_metrics(a, &b);
    else if (to->hello.json != 0)
        put_json(a, to, &b);
    else
        put_text(a, to, &b);
    (void)send_pieces(to, kw_buf_str(&b), &ignored);
    kw_buf_free(&b);
    kw_waiting_free(to);
    return 0;
}
