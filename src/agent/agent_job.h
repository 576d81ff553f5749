/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the agent's process for one job: agent_serve.c is its life, agent_run.c and
 * agent_call.c what it does for `run`, and for `request` and `sign`. */
#ifndef KW_AGENT_JOB_H
#define KW_AGENT_JOB_H

#include "agent.h"
#include "src/run/run_serve.h"

struct kw_agent_job {
    struct kw_chan up;     /* to the agent */
    struct kw_chan client; /* to the job; fd -1: none yet */
    int pidfd;             /* readable once who connected has ended */
    uint32_t want;         /* enum kw_agent_want */
    bool spoken;           /* the agent has said something */
    bool open;             /* the session's roles live */
    bool ended;            /* the job has: nobody waits for an answer, */
    bool orderly;          /* but for the summary, if it said END */
    bool explain, changed;
    int64_t told_ms;
    char caller[128];
    struct kw_config config;
    struct kw_serving serving;
    struct kw_m_count count;
};

/* The session, for the JWT that the client gives. */
int kw_agent_job_open(struct kw_agent_job *j, struct kw_err *err);

/* An event of the proxy's: counted, and passed on. */
void kw_agent_job_event(void *arg, const struct kw_m_event *e);
/* Tells the agent how it goes, if there is news and it is time. */
void kw_agent_job_tell(struct kw_agent_job *j);

int kw_agent_job_run(struct kw_agent_job *j, struct kw_in *in, struct kw_err *err);
int kw_agent_job_call(struct kw_agent_job *j, struct kw_in *in, struct kw_err *err);
int kw_agent_job_sign(struct kw_agent_job *j, struct kw_in *in, struct kw_err *err);

#endif
