/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels: names, and what may be said on which in which state. */
#include "messages_int.h"

static const struct {
    const char *name;
    enum kw_role serves; /* who may send ERROR */
    unsigned rest;       /* the state after it */
} channels[KW_CHANNELS] = {
    [KW_CHAN_KEEPER] = {"main-keeper", KW_ROLE_KEEPER, IDLE},
    [KW_CHAN_EXCHANGER] = {"main-exchanger", KW_ROLE_EXCHANGER, IDLE},
    [KW_CHAN_DIALER] = {"main-dialer", KW_ROLE_DIALER, IDLE},
    [KW_CHAN_SIGN] = {"exchanger-keeper", KW_ROLE_KEEPER, NEW},
    [KW_CHAN_DIAL] = {"exchanger-dialer", KW_ROLE_DIALER, NEW},
    [KW_CHAN_PROXY] = {"main-proxy", KW_ROLE_PROXY, IDLE},
    [KW_CHAN_PSIGN] = {"proxy-keeper", KW_ROLE_KEEPER, NEW},
    [KW_CHAN_PDIAL] = {"proxy-dialer", KW_ROLE_DIALER, NEW},
    [KW_CHAN_AGENT] = {"client-agent", KW_ROLE_AGENT, IDLE},
    [KW_CHAN_JOB] = {"agent-job", KW_ROLE_JOB, IDLE},
};

const char *kw_role_name(enum kw_role role)
{
    static const char *const names[KW_ROLES] = {"main", "keeper", "exchanger", "dialer", "proxy"};
    return (unsigned)role < KW_ROLES ? names[role]
           : role == KW_ROLE_CLIENT  ? "client"
           : role == KW_ROLE_AGENT   ? "agent"
           : role == KW_ROLE_JOB     ? "job"
                                     : "?";
}

const char *kw_channel_name(enum kw_channel chan)
{
    return (unsigned)chan < KW_CHANNELS ? channels[chan].name : "?";
}

const char *kw_msg_name(enum kw_msg msg)
{
    return (unsigned)msg < KW_MSGS && kw_messages[msg].name != NULL ? kw_messages[msg].name : "?";
}

size_t kw_msg_size(enum kw_msg type)
{
    return (unsigned)type < KW_MSGS ? kw_messages[type].size : 0;
}

/* Most bytes that a body with these fields can have. */
static size_t most(const struct kw_message *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_fields; i++) {
        const struct kw_field *f = &m->fields[i];
        n += f->kind == KW_F_U32 ? 4 : f->kind == KW_F_U64 ? 8 : 4 + f->max;
    }
    return n;
}

/* The state after an error, which ends what was waited for. */
static unsigned after_error(enum kw_channel chan, unsigned state)
{
    if (chan == KW_CHAN_SIGN || chan == KW_CHAN_PSIGN || chan == KW_CHAN_PDIAL)
        return state > 0 ? state - 1 : 0;
    bool waiting = state != NEW && state != STARTED && state != CLOSING;
    return waiting ? channels[chan].rest : state;
}

static bool legal_in(const struct kw_message *m, unsigned state)
{
    if (m->next == ASKED)
        return state < KW_SIGNS_MAX;
    if (m->next == ANSWERED)
        return state > 0;
    if (m->next == STAY && m->states == ~0u)
        return true;
    return state < 32 && (m->states & IN(state)) != 0;
}

bool kw_msg_legal(enum kw_msg type, enum kw_channel chan, enum kw_role sender, unsigned state,
                  unsigned *ret_next, size_t *ret_max, unsigned *ret_nfds)
{
    if ((unsigned)type >= KW_MSGS || (unsigned)chan >= KW_CHANNELS ||
        kw_messages[type].name == NULL)
        return false;
    const struct kw_message *m = &kw_messages[type];
    *ret_max = most(m);
    *ret_nfds = m->nfds;
    if (type == KW_MSG_ERROR) {
        *ret_next = after_error(chan, state);
        return sender == channels[chan].serves;
    }
    if (m->chan != chan || m->sender != sender || !legal_in(m, state))
        return false;
    *ret_next = m->next == STAY       ? state
                : m->next == ASKED    ? state + 1
                : m->next == ANSWERED ? state - 1
                                      : (unsigned)m->next;
    if (type == KW_XM_GO && state == IDLE)
        *ret_next = IDLE;
    return true;
}
