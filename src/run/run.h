/* SPDX-License-Identifier: Apache-2.0
 *
 * `run`, from main's side: CMD and its proxy, from the stand-in credentials to the summary.
 *
 *   main ----fork----> launcher: namespaces, listeners, stand-in key ...... becomes CMD
 *     |  session as for any command (session.h), with a proxy beside the exchanger
 *     |  PM_SERVE: listeners, stand-in key's public half  ----> proxy      (run_serve.h)
 *     |  PM_SESSION: the token                            ----> proxy
 *     |  go: the run's CA, the stand-in token             ----> launcher
 *     +- waits for CMD; renews the session before it ends
 *
 * With an agent the right-hand side is the agent's: see agent.h.
 */
#ifndef KW_RUN_H
#define KW_RUN_H

#include "launch.h"
#include "src/session/session.h"

#define KW_RUN_FAILED 125 /* exit code: keyward failed, as env(1) has it */

struct kw_run {
    struct kw_config *config;
    struct kw_launch_want want;
    bool explain; /* each request on standard error */
    bool json;    /* the summary as an object */
};

/* Runs CMD to its end. 0: *ret_code is CMD's exit code (128+N for a signal). Else keyward
 * failed; *ret_code is 125, 126 or 127, and CMD, if it ran, was ended. */
int kw_run(const struct kw_run *run, int *ret_code, struct kw_err *err);

/* The same with the agent's session: run_agent.c. */
int kw_run_by_agent(const struct kw_run *run, int *ret_code, struct kw_err *err);

/* --- what both share -------------------------------------------------------------- */

/* One request on standard error: refusals always, the rest with --explain. */
void kw_run_show(bool explain, const struct kw_m_event *e);

/* The last line, or object. */
void kw_run_summary(const struct kw_run *run, enum kw_cloud cloud,
                    const struct kw_m_proxy_closed *p, unsigned renewals, int64_t started_ms);

/* run_child.c. CMD from its launcher to its end: the launcher, before there is a secret; when its
 * listeners are there; once it is CMD, turn after turn until it has ended. A turn that fails is the
 * end of the run: CMD is ended, and *ret_code is 125. */
int kw_run_launch(const struct kw_launch_want *want, struct kw_launch *l, struct kw_err *err);
int kw_run_launched(struct kw_launch *l, int64_t deadline_ms, struct kw_err *err);
int kw_run_attend(struct kw_launch *l, int (*turn)(void *arg, struct kw_err *err), void *arg,
                  int *ret_code, struct kw_err *err);

/* CMD gets 5 s between SIGTERM and SIGKILL where keyward failed. */
enum { KW_RUN_END_MS = 5000 };

#endif
