/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <stdio.h>

#include "run_child.h"
#include "run_serve.h"

struct running {
    const struct kw_run *run;
    struct kw_serving serving;
    struct kw_launch launch;
    int64_t started_ms;
};

/* --- what is told ----------------------------------------------------------------- */

void kw_run_show(bool explain, const struct kw_m_event *e)
{
    static const char *const kinds[] = {"allowed", "REFUSED", "tunnel", "answered"};
    if (e->kind >= sizeof kinds / sizeof kinds[0] || (!explain && e->kind != KW_EVENT_REFUSED))
        return;
    if (e->kind == KW_EVENT_ANSWERED)
        (void)fprintf(stderr, "keyward: #%llu answered %u, %s\n", (unsigned long long)e->number,
                      e->status, e->text);
    else
        (void)fprintf(stderr, "keyward: #%llu %s: %s %s%s: %s\n", (unsigned long long)e->number,
                      kinds[e->kind], e->method, e->host, e->path, e->text);
}

static void event(void *arg, const struct kw_m_event *e)
{
    const struct running *r = arg;
    kw_run_show(r->run->explain, e);
}

void kw_run_summary(const struct kw_run *run, enum kw_cloud cloud,
                    const struct kw_m_proxy_closed *p, unsigned renewals, int64_t started_ms)
{
    double seconds = (double)(kw_now_ms() - started_ms) / 1000;
    const char *what = cloud == KW_CLOUD_GOOGLE ? "given the access token" : "signed in the token";
    if (run->json)
        (void)fprintf(stderr,
                      "{\"requests\": %u, \"refused\": %u, \"tunnels\": %u, \"repeated\": %u, "
                      "\"renewals\": %u, \"seconds\": %.1f}\n",
                      p->requests, p->refusals, p->tunnels, p->replays, renewals, seconds);
    else
        (void)fprintf(stderr,
                      "keyward: %u requests %s, %u refused, %u tunnels, %u renewals, %.1f s\n",
                      p->requests, what, p->refusals, p->tunnels, renewals, seconds);
}

/* --- from start to end ------------------------------------------------------------ */

static int go(struct running *r, int *ret_code, struct kw_err *err)
{
    const struct kw_config *c = r->run->config;
    const struct kw_session *s = &r->serving.session;
    char project[64] = "";
    kw_decoy_project(c->service_account, project, sizeof project);
    const struct kw_launch_decoys d = {.cloud = c->cloud,
                                       .ca_pem = s->proxy.ca_pem,
                                       .token = kw_buf_str(&r->serving.decoy),
                                       .region = c->region,
                                       .tenancy = s->tenant[0] != '\0' ? s->tenant : c->tenancy,
                                       .user = "keyward-run",
                                       .project = project,
                                       .email = c->service_account,
                                       .profile = c->profile};
    return kw_launch_go(&r->launch, &d, ret_code, err);
}

static int begin(struct running *r, int *ret_code, struct kw_err *err)
{
    struct kw_launch *l = &r->launch;
    int result = kw_run_launched(l, kw_deadline(r->run->config), err);
    if (result != 0)
        return result;
    const struct kw_serve_want want = {.listeners = {l->listeners[0], l->listeners[1]},
                                       .metadata = l->metadata,
                                       .explain = r->run->explain,
                                       .spki = l->spki,
                                       .spki_len = l->spki_len,
                                       .event = event,
                                       .arg = r};
    result = kw_serving_begin(&r->serving, &want, err);
    return result == 0 ? go(r, ret_code, err) : result;
}

static int turn(void *arg, struct kw_err *err)
{
    struct running *r = arg;
    return kw_serving_turn(&r->serving, NULL, 0, err);
}

static int finish(struct running *r, struct kw_err *err)
{
    struct kw_m_proxy_closed p = {0};
    int result = kw_serving_end(&r->serving, &p, err);
    if (result == 0)
        kw_run_summary(r->run, r->run->config->cloud, &p, r->serving.renewals, r->started_ms);
    return result;
}

int kw_run(const struct kw_run *run, int *ret_code, struct kw_err *err)
{
    static struct running r; /* large */
    r = (struct running){.run = run, .started_ms = kw_now_ms()};
    *ret_code = KW_RUN_FAILED;
    int result = kw_run_launch(&run->want, &r.launch, err);
    if (result != 0)
        return result;
    result =
        kw_session_open(&r.serving.session, run->config, "run", KW_USE_FRESH | KW_USE_RUN, err);
    if (result != 0) {
        kw_launch_abandon(&r.launch);
        kw_witness_end();
        return result;
    }
    result = begin(&r, ret_code, err);
    if (result == 0)
        result = kw_run_attend(&r.launch, turn, &r, ret_code, err);
    kw_witness_end();
    kw_launch_abandon(&r.launch);
    if (result != 0) {
        kw_session_abandon(&r.serving.session, err);
    } else if (finish(&r, err) != 0) {
        result = (int)err->code;
        *ret_code = KW_RUN_FAILED;
    }
    kw_serving_free(&r.serving);
    return result;
}
