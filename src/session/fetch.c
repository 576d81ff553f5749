/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "session.h"
#include "src/base/tty.h"
#include "src/crew/spawn.h"

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

static int fetch_alone(void *arg, const struct kw_m_fetch *request, struct kw_secret **ret,
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

/* --- the keeper alone --------------------------------------------------------------------- */

static int start_keeper(struct kw_crew *crew, const struct kw_config *c, enum kw_purpose purpose,
                        const char *caller, struct kw_err *err)
{
    struct kw_m_keeper_start ks;
    struct kw_m_keeper_ready ready;
    int pin_fd = -1, audit_fd = -1;
    int r = purpose == KW_FOR_ISSUE ? kw_config_check_issuer(c, err) : 0;
    if (r == 0)
        r = kw_keeper_config(c, purpose, caller, &ks, &pin_fd, err);
    if (r == 0)
        r = kw_audit_open(c, &audit_fd, err);
    if (r == 0) {
        if (ks.pin_source == KW_PIN_PROMPT)
            kw_tty_save();
        r = kw_crew_start(crew, 1u << KW_ROLE_KEEPER, audit_fd, pin_fd, c->token_env, err);
        (void)snprintf(crew->keeper.module, sizeof crew->keeper.module, "%s", ks.module);
    }
    if (audit_fd >= 0)
        (void)close(audit_fd);
    if (pin_fd >= 0)
        (void)close(pin_fd);
    bool person = r == 0 && (ks.pin_source == KW_PIN_PROMPT || ks.pin_source == KW_PIN_NONE);
    if (r == 0)
        r = kw_child_send(&crew->keeper, KW_KM_START, &ks, NULL, 0, err);
    struct kw_in in;
    if (r == 0) {
        r = kw_child_expect(&crew->keeper, KW_KM_READY, &ready, &in,
                            kw_deadline(c) + (person ? 270000 : 0), err);
        kw_in_free(&in);
    }
    return r;
}

/* Says goodbye, so that the audit log has its end. */
static int end_keeper(struct kw_crew *crew, const struct kw_config *c, int r, struct kw_err *err)
{
    struct kw_m_closed closed;
    struct kw_err at_end;
    if (r == 0)
        r = kw_child_send(&crew->keeper, KW_KM_CLOSE, NULL, NULL, 0, err);
    if (r == 0)
        r = expect(&crew->keeper, KW_KM_CLOSED, &closed, c, err);
    int ended = kw_crew_end(crew, &at_end);
    if (ended == KW_SANDBOX || (r == 0 && ended != 0)) {
        *err = at_end;
        r = ended;
    }
    return r;
}

int kw_issue_alone(const struct kw_config *c, const char *caller, const struct kw_m_issue *request,
                   struct kw_secret **ret, struct kw_err *err)
{
    struct kw_crew crew = {0};
    struct kw_m_issued answer = {0};
    int r = start_keeper(&crew, c, KW_FOR_ISSUE, caller, err);
    if (r == 0)
        r = kw_child_send(&crew.keeper, KW_KM_ISSUE, request, NULL, 0, err);
    if (r == 0)
        r = expect(&crew.keeper, KW_KM_ISSUED, &answer, c, err);
    r = end_keeper(&crew, c, r, err);
    if (r != 0)
        kw_secret_free(&answer.jwt);
    *ret = answer.jwt;
    return r;
}

int kw_public_alone(const struct kw_config *c, unsigned char *spki, size_t *ret_n,
                    struct kw_err *err)
{
    struct kw_crew crew = {0};
    struct kw_m_public answer;
    struct kw_in in;
    int r = start_keeper(&crew, c, KW_FOR_ISSUE, "jwks", err);
    if (r == 0)
        r = kw_child_send(&crew.keeper, KW_KM_JWK, NULL, NULL, 0, err);
    if (r == 0) {
        r = kw_child_expect(&crew.keeper, KW_KM_PUBLIC, &answer, &in, kw_deadline(c), err);
        if (r == 0) {
            *ret_n = answer.spki.len;
            memcpy(spki, answer.spki.p, answer.spki.len);
        }
        kw_in_free(&in);
    }
    return end_keeper(&crew, c, r, err);
}

#define GIVEN_AWAY_BY "exchange --format executable"

int kw_given_alone(const struct kw_config *c, const struct kw_m_keeper_session *what,
                   struct kw_err *err)
{
    struct kw_crew crew = {0};
    struct kw_m_empty none;
    if (c->audit_file[0] == '\0' || strcmp(c->source_type, "token") == 0)
        return 0;
    int r = start_keeper(&crew, c, KW_FOR_BEARER, GIVEN_AWAY_BY, err);
    if (r == 0)
        r = kw_child_send(&crew.keeper, KW_KM_GIVEN, what, NULL, 0, err);
    if (r == 0)
        r = expect(&crew.keeper, KW_KM_OK, &none, c, err);
    return end_keeper(&crew, c, r, err);
}

static int issue_to_show(void *arg, const struct kw_m_issue *request, struct kw_secret **ret,
                         struct kw_err *err)
{
    return kw_issue_alone(arg, "claims", request, ret, err);
}

static int issue_to_give(void *arg, const struct kw_m_issue *request, struct kw_secret **ret,
                         struct kw_err *err)
{
    return kw_issue_alone(arg, GIVEN_AWAY_BY, request, ret, err);
}

struct kw_source_ways kw_ways_alone(struct kw_config *c, bool given_away)
{
    return (struct kw_source_ways){fetch_alone, given_away ? issue_to_give : issue_to_show, c};
}
