/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <stdio.h>

#include "session.h"
#include "spawn.h"

static int expect(struct kw_child *ch, enum kw_msg type, void *m, const struct kw_config *c,
                  struct kw_err *err)
{
    struct kw_in in;
    int r = kw_child_expect(ch, type, m, &in, kw_deadline(c), err);
    kw_in_free(&in);
    return r;
}

static int start(struct kw_crew *crew, const struct kw_config *c, struct kw_err *err)
{
    struct kw_m_exchanger_start xs = {.verbosity = (uint32_t)c->verbosity,
                                      .best_effort = c->best_effort,
                                      .timeout_ms = c->timeout_s * 1000};
    struct kw_m_dialer_start ds = {.verbosity = (uint32_t)c->verbosity,
                                   .best_effort = c->best_effort,
                                   .timeout_ms = c->timeout_s * 1000};
    struct kw_m_ready ready;
    (void)snprintf(xs.ca_file, sizeof xs.ca_file, "%s", c->ca_file);
    (void)snprintf(ds.dial, sizeof ds.dial, "%s", c->dial);
    (void)snprintf(ds.resolve, sizeof ds.resolve, "%s", c->resolve);
    (void)snprintf(ds.proxy, sizeof ds.proxy, "%s", c->proxy);
    int r = kw_crew_start(crew, 1u << KW_ROLE_EXCHANGER | 1u << KW_ROLE_DIALER, -1, -1, "", err);
    if (r == 0)
        r = kw_child_send(&crew->exchanger, KW_XM_START, &xs, NULL, 0, err);
    if (r == 0)
        r = kw_child_send(&crew->dialer, KW_DM_START, &ds, NULL, 0, err);
    if (r == 0)
        r = expect(&crew->exchanger, KW_XM_READY, &ready, c, err);
    return r != 0 ? r : expect(&crew->dialer, KW_DM_READY, &ready, c, err);
}

int kw_fetch_alone(void *arg, const struct kw_m_fetch *request, struct kw_secret **ret,
                   struct kw_err *err)
{
    const struct kw_config *c = arg;
    struct kw_crew crew = {0};
    struct kw_m_fetched answer = {0};
    struct kw_err at_end;
    int r = start(&crew, c, err);
    if (r == 0)
        r = kw_child_send(&crew.exchanger, KW_XM_FETCH, request, NULL, 0, err);
    if (r == 0)
        r = expect(&crew.exchanger, KW_XM_FETCHED, &answer, c, err);
    int ended = kw_crew_end(&crew, &at_end);
    if (ended == KW_SANDBOX || (r == 0 && ended != 0)) {
        r = ended;
        if (err != NULL)
            *err = at_end;
    }
    if (r != 0)
        kw_secret_free(&answer.token);
    *ret = answer.token;
    return r;
}
