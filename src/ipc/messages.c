/* SPDX-License-Identifier: Apache-2.0
 *
 * Two tables: what each message is allowed to be (who, where, when, how large), and
 * of which fields its body consists. messages_codec.c walks the second one. */
#include "messages_int.h"

/* --- fields ------------------------------------------------------------------- */

#define U32(s, f)                                                                                  \
    {                                                                                              \
        KW_F_U32, offsetof(struct s, f), 0                                                         \
    }
#define U64(s, f)                                                                                  \
    {                                                                                              \
        KW_F_U64, offsetof(struct s, f), 0                                                         \
    }
#define STR(s, f)                                                                                  \
    {                                                                                              \
        KW_F_STR, offsetof(struct s, f), sizeof(((struct s *)0)->f)                                \
    }
#define LINES(s, f)                                                                                \
    {                                                                                              \
        KW_F_LINES, offsetof(struct s, f), sizeof(((struct s *)0)->f)                              \
    }
#define VIEW(s, f, m)                                                                              \
    {                                                                                              \
        KW_F_VIEW, offsetof(struct s, f), m                                                        \
    }
#define SECRET(s, f, m)                                                                            \
    {                                                                                              \
        KW_F_SECRET, offsetof(struct s, f), m                                                      \
    }
#define FIELDS(name) (name), sizeof(name) / sizeof((name)[0])

static const struct kw_field f_error[] = {U32(kw_m_error, code), STR(kw_m_error, text)};
static const struct kw_field f_keeper_start[] = {
    U32(kw_m_keeper_start, purpose),       U32(kw_m_keeper_start, verbosity),
    U32(kw_m_keeper_start, best_effort),   U32(kw_m_keeper_start, network),
    STR(kw_m_keeper_start, module),        STR(kw_m_keeper_start, module_args),
    STR(kw_m_keeper_start, label),         STR(kw_m_keeper_start, manufacturer),
    STR(kw_m_keeper_start, serial),        STR(kw_m_keeper_start, model),
    U32(kw_m_keeper_start, pin_source),    STR(kw_m_keeper_start, pin_path),
    U32(kw_m_keeper_start, bits),          U32(kw_m_keeper_start, token_object),
    U32(kw_m_keeper_start, accept),        U32(kw_m_keeper_start, sessions),
    STR(kw_m_keeper_start, stored_id),     STR(kw_m_keeper_start, client_label),
    STR(kw_m_keeper_start, client_id_hex), STR(kw_m_keeper_start, client_host),
    STR(kw_m_keeper_start, client_target), STR(kw_m_keeper_start, client_name),
    STR(kw_m_keeper_start, client_kid),    STR(kw_m_keeper_start, tls_label),
    STR(kw_m_keeper_start, tls_id_hex),    STR(kw_m_keeper_start, issuer_label),
    STR(kw_m_keeper_start, issuer_id_hex), STR(kw_m_keeper_start, issuer_name),
    U32(kw_m_keeper_start, issuer_life),   STR(kw_m_keeper_start, audit_label),
    STR(kw_m_keeper_start, profile),       STR(kw_m_keeper_start, sign_host),
    STR(kw_m_keeper_start, sign_method),   STR(kw_m_keeper_start, sign_path),
    U32(kw_m_keeper_start, per_minute),    U32(kw_m_keeper_start, max_count),
    STR(kw_m_keeper_start, caller),
};
static const struct kw_field f_keeper_ready[] = {
    STR(kw_m_keeper_ready, label),     STR(kw_m_keeper_ready, manufacturer),
    STR(kw_m_keeper_ready, serial),    STR(kw_m_keeper_ready, model),
    STR(kw_m_keeper_ready, fences),    STR(kw_m_keeper_ready, missing),
    STR(kw_m_keeper_ready, mechanism), STR(kw_m_keeper_ready, secrets),
    U32(kw_m_keeper_ready, min_bits),  U32(kw_m_keeper_ready, max_bits),
};
static const struct kw_field f_key[] = {
    U32(kw_m_key, rung),
    STR(kw_m_key, id),
    STR(kw_m_key, attributes),
    VIEW(kw_m_key, spki, KW_SPKI_MAX),
};
static const struct kw_field f_verdict[] = {U32(kw_m_verdict, weaknesses), STR(kw_m_verdict, text)};
static const struct kw_field f_keeper_session[] = {
    U64(kw_m_keeper_session, not_after), STR(kw_m_keeper_session, principal),
    STR(kw_m_keeper_session, claims),    STR(kw_m_keeper_session, caller),
    U32(kw_m_keeper_session, direct),
};
static const struct kw_field f_sign[] = {
    U32(kw_m_sign, key),    STR(kw_m_sign, method),    STR(kw_m_sign, host),
    STR(kw_m_sign, target), LINES(kw_m_sign, headers),
};
static const struct kw_field f_signed[] = {VIEW(kw_m_signed, signature, 512)};
static const struct kw_field f_assert[] = {STR(kw_m_assert, audience)};
static const struct kw_field f_issue[] = {
    STR(kw_m_issue, audience),
    STR(kw_m_issue, subject),
    U32(kw_m_issue, lifetime),
    LINES(kw_m_issue, claims),
};
static const struct kw_field f_issued[] = {SECRET(kw_m_issued, jwt, KW_TOKEN_MAX)};
static const struct kw_field f_public[] = {VIEW(kw_m_public, spki, KW_SPKI_MAX)};
static const struct kw_field f_tls[] = {VIEW(kw_m_tls, content, KW_TLS_CONTENT)};
static const struct kw_field f_allow[] = {
    STR(kw_m_allow, method),
    STR(kw_m_allow, host),
    STR(kw_m_allow, target),
};
static const struct kw_field f_asserted[] = {SECRET(kw_m_asserted, jwt, 8192)};
static const struct kw_field f_destroy[] = {STR(kw_m_destroy, id)};
static const struct kw_field f_list_item[] = {
    STR(kw_m_list_item, id),
    STR(kw_m_list_item, label),
    U32(kw_m_list_item, bits),
    STR(kw_m_list_item, attributes),
};
static const struct kw_field f_closed[] = {
    U32(kw_m_closed, signatures),
    U32(kw_m_closed, refusals),
    U32(kw_m_closed, destroyed),
};
static const struct kw_field f_exchanger_start[] = {
    U32(kw_m_exchanger_start, verbosity),  U32(kw_m_exchanger_start, best_effort),
    U32(kw_m_exchanger_start, timeout_ms), U32(kw_m_exchanger_start, tls_key),
    STR(kw_m_exchanger_start, ca_file),
};
static const struct kw_field f_ready[] = {
    STR(kw_m_ready, fences),
    STR(kw_m_ready, missing),
    STR(kw_m_ready, secrets),
};
static const struct kw_field f_fetch[] = {
    STR(kw_m_fetch, url),
    STR(kw_m_fetch, field),
    LINES(kw_m_fetch, headers),
    SECRET(kw_m_fetch, bearer, KW_TOKEN_MAX),
};
static const struct kw_field f_fetched[] = {SECRET(kw_m_fetched, token, KW_TOKEN_MAX)};
static const struct kw_field f_exchange[] = {
    STR(kw_m_exchange, domain_url), U32(kw_m_exchange, auth),
    STR(kw_m_exchange, client_id),  STR(kw_m_exchange, client_key_id),
    U32(kw_m_exchange, requested),  STR(kw_m_exchange, res_type),
    U32(kw_m_exchange, rpst_exp),   SECRET(kw_m_exchange, client_secret, 4096),
};
static const struct kw_field f_go[] = {
    VIEW(kw_m_go, spki, KW_SPKI_MAX),
    SECRET(kw_m_go, subject, KW_TOKEN_MAX),
};
static const struct kw_field f_token[] = {
    STR(kw_m_token, correlation),
    SECRET(kw_m_token, token, KW_TOKEN_MAX),
};
static const struct kw_field f_session[] = {
    U32(kw_m_session, bearer),
    SECRET(kw_m_session, token, KW_TOKEN_MAX),
};
static const struct kw_field f_google[] = {
    STR(kw_m_google, sts_url),       STR(kw_m_google, iam_url),
    STR(kw_m_google, audience),      STR(kw_m_google, subject_type),
    STR(kw_m_google, scope),         STR(kw_m_google, service_account),
    STR(kw_m_google, delegates),     U32(kw_m_google, lifetime),
    STR(kw_m_google, quota_project), STR(kw_m_google, request_reason),
    STR(kw_m_google, id_audience),   U32(kw_m_google, include_email),
    LINES(kw_m_google, client_pem),  SECRET(kw_m_google, subject, KW_TOKEN_MAX),
};
static const struct kw_field f_bearer[] = {
    U64(kw_m_bearer, not_after),
    U64(kw_m_bearer, federated_for),
    SECRET(kw_m_bearer, token, KW_TOKEN_MAX),
};
static const struct kw_field f_call[] = {
    STR(kw_m_call, method),   STR(kw_m_call, url),      LINES(kw_m_call, headers),
    U64(kw_m_call, body_len), U32(kw_m_call, has_body), STR(kw_m_call, body_sha256),
};
static const struct kw_field f_head[] = {U32(kw_m_head, status), LINES(kw_m_head, headers)};
static const struct kw_field f_end[] = {U64(kw_m_end, body_len)};
static const struct kw_field f_dialer_start[] = {
    U32(kw_m_dialer_start, verbosity),  U32(kw_m_dialer_start, best_effort),
    U32(kw_m_dialer_start, timeout_ms), STR(kw_m_dialer_start, dial),
    STR(kw_m_dialer_start, resolve),    STR(kw_m_dialer_start, proxy),
    STR(kw_m_dialer_start, egress),
};
static const struct kw_field f_dial[] = {
    STR(kw_m_dial, host),
    U32(kw_m_dial, port),
    U32(kw_m_dial, timeout_ms),
};
static const struct kw_field f_dialed[] = {STR(kw_m_dialed, address)};

static const struct kw_field f_retire[] = {U32(kw_m_retire, generation)};
static const struct kw_field f_proxy_start[] = {
    U32(kw_m_proxy_start, verbosity),
    U32(kw_m_proxy_start, best_effort),
    STR(kw_m_proxy_start, ca_file),
    STR(kw_m_proxy_start, ca_names),
};
static const struct kw_field f_proxy_ready[] = {
    STR(kw_m_proxy_ready, fences),
    STR(kw_m_proxy_ready, missing),
    STR(kw_m_proxy_ready, secrets),
    LINES(kw_m_proxy_ready, ca_pem),
};
static const struct kw_field f_serve[] = {
    U32(kw_m_serve, cloud),       U32(kw_m_serve, metadata),
    U32(kw_m_serve, explain),     STR(kw_m_serve, sign_host),
    STR(kw_m_serve, egress),      VIEW(kw_m_serve, decoy_spki, KW_SPKI_MAX),
    STR(kw_m_serve, decoy_token), STR(kw_m_serve, email),
    STR(kw_m_serve, project),     STR(kw_m_serve, project_number),
    STR(kw_m_serve, universe),    STR(kw_m_serve, scope),
};
static const struct kw_field f_proxy_session[] = {
    U32(kw_m_proxy_session, generation),
    U64(kw_m_proxy_session, not_after),
    SECRET(kw_m_proxy_session, token, KW_TOKEN_MAX),
};
static const struct kw_field f_event[] = {
    U32(kw_m_event, kind),   U32(kw_m_event, status), U64(kw_m_event, number),
    STR(kw_m_event, method), STR(kw_m_event, host),   STR(kw_m_event, path),
    STR(kw_m_event, text),
};
static const struct kw_field f_want_id[] = {STR(kw_m_want_id, audience)};
static const struct kw_field f_id[] = {SECRET(kw_m_id, token, KW_TOKEN_MAX)};
static const struct kw_field f_proxy_closed[] = {
    U32(kw_m_proxy_closed, requests),
    U32(kw_m_proxy_closed, refusals),
    U32(kw_m_proxy_closed, tunnels),
    U32(kw_m_proxy_closed, replays),
};
static const struct kw_field f_psign[] = {
    U32(kw_m_psign, generation), STR(kw_m_psign, method),    STR(kw_m_psign, host),
    STR(kw_m_psign, target),     LINES(kw_m_psign, headers),
};
static const struct kw_field f_pnote[] = {
    STR(kw_m_pnote, method),
    STR(kw_m_pnote, host),
    STR(kw_m_pnote, target),
    STR(kw_m_pnote, text),
};
static const struct kw_field f_pdial[] = {
    U64(kw_m_pdial, id),
    STR(kw_m_pdial, host),
    U32(kw_m_pdial, port),
    U32(kw_m_pdial, timeout_ms),
};
static const struct kw_field f_pdialed[] = {
    U64(kw_m_pdialed, id),
    STR(kw_m_pdialed, address),
};
static const struct kw_field f_undialed[] = {
    U64(kw_m_undialed, id),
    U32(kw_m_undialed, code),
    STR(kw_m_undialed, text),
};

static const struct kw_field f_hello[] = {
    U32(kw_m_hello, protocol), U32(kw_m_hello, want),    U32(kw_m_hello, cloud),
    U32(kw_m_hello, json),     STR(kw_m_hello, profile), STR(kw_m_hello, host),
};
static const struct kw_field f_welcome[] = {
    U32(kw_m_welcome, cloud),
    STR(kw_m_welcome, profile),
    STR(kw_m_welcome, audience),
};
static const struct kw_field f_subject[] = {SECRET(kw_m_subject, token, KW_TOKEN_MAX)};
static const struct kw_field f_run[] = {
    U32(kw_m_run, metadata),
    U32(kw_m_run, explain),
    U32(kw_m_run, isolated),
    VIEW(kw_m_run, spki, KW_SPKI_MAX),
};
static const struct kw_field f_agent_go[] = {
    U32(kw_m_agent_go, cloud),  LINES(kw_m_agent_go, ca_pem), STR(kw_m_agent_go, token),
    STR(kw_m_agent_go, region), STR(kw_m_agent_go, tenancy),  STR(kw_m_agent_go, project),
    STR(kw_m_agent_go, email),  STR(kw_m_agent_go, profile),
};
static const struct kw_field f_authorization[] = {
    SECRET(kw_m_authorization, value, KW_TOKEN_MAX + KW_LINES)};
static const struct kw_field f_summary[] = {
    U32(kw_m_summary, requests), U32(kw_m_summary, refusals), U32(kw_m_summary, tunnels),
    U32(kw_m_summary, replays),  U32(kw_m_summary, renewals),
};
static const struct kw_field f_text[] = {LINES(kw_m_text, text), U32(kw_m_text, more)};
static const struct kw_field f_job_start[] = {
    STR(kw_m_job_start, profile),
    U32(kw_m_job_start, cloud),
    U32(kw_m_job_start, verbosity),
    STR(kw_m_job_start, path),
};
static const struct kw_field f_job[] = {
    U32(kw_m_job, want),
    U32(kw_m_job, uid),
    U32(kw_m_job, pid),
};
static const struct kw_field f_count[] = {
    U32(kw_m_count, requests),  U32(kw_m_count, refusals),   U32(kw_m_count, tunnels),
    U32(kw_m_count, renewals),  U32(kw_m_count, signatures), U32(kw_m_count, session),
    STR(kw_m_count, principal),
};

/* --- messages ----------------------------------------------------------------- */

#define M(type, chan, sender, states, next, nfds, str, f)                                          \
    [KW_##type] = {#type, KW_CHAN_##chan, KW_ROLE_##sender,   states,                              \
                   next,  nfds,           sizeof(struct str), FIELDS(f)}
#define EMPTY(type, chan, sender, states, next)                                                    \
    [KW_##type] = {                                                                                \
        #type, KW_CHAN_##chan, KW_ROLE_##sender, states, next, 0, sizeof(struct kw_m_empty), NULL, \
        0}

const struct kw_message kw_messages[KW_MSGS] = {
    [KW_MSG_ERROR] = {"ERROR", KW_CHANNELS, KW_ROLES, ~0u, STAY, 0, sizeof(struct kw_m_error),
                      FIELDS(f_error)},

    /* The keeper works on its own after START: KEY and VERDICT come when they are
     * there, in either order, while main may already ask for other things. */
    M(KM_START, KEEPER, MAIN, IN(NEW), STARTED, 0, kw_m_keeper_start, f_keeper_start),
    M(KM_READY, KEEPER, KEEPER, IN(STARTED), IDLE, 0, kw_m_keeper_ready, f_keeper_ready),
    M(KM_KEY, KEEPER, KEEPER, IN(IDLE) | IN(SIGNING) | IN(CLOSING), STAY, 0, kw_m_key, f_key),
    M(KM_VERDICT, KEEPER, KEEPER, IN(IDLE) | IN(SIGNING) | IN(CLOSING), STAY, 0, kw_m_verdict,
      f_verdict),
    M(KM_SESSION, KEEPER, MAIN, IN(IDLE), SIGNING, 0, kw_m_keeper_session, f_keeper_session),
    M(KM_SIGN, KEEPER, MAIN, IN(IDLE), SIGNING, 0, kw_m_sign, f_sign),
    M(KM_ISSUE, KEEPER, MAIN, IN(IDLE), SIGNING, 0, kw_m_issue, f_issue),
    EMPTY(KM_JWK, KEEPER, MAIN, IN(IDLE), SIGNING),
    M(KM_ISSUED, KEEPER, KEEPER, IN(SIGNING), IDLE, 0, kw_m_issued, f_issued),
    M(KM_PUBLIC, KEEPER, KEEPER, IN(SIGNING), IDLE, 0, kw_m_public, f_public),
    M(KM_DESTROY, KEEPER, MAIN, IN(IDLE), SIGNING, 0, kw_m_destroy, f_destroy),
    M(KM_GIVEN, KEEPER, MAIN, IN(IDLE), SIGNING, 0, kw_m_keeper_session, f_keeper_session),
    EMPTY(KM_OK, KEEPER, KEEPER, IN(SIGNING), IDLE),
    M(KM_SIGNED, KEEPER, KEEPER, IN(SIGNING), IDLE, 0, kw_m_signed, f_signed),
    M(KM_LIST_ITEM, KEEPER, KEEPER, IN(IDLE) | IN(CLOSING), STAY, 0, kw_m_list_item, f_list_item),
    EMPTY(KM_LIST_END, KEEPER, KEEPER, IN(IDLE) | IN(CLOSING), STAY),
    EMPTY(KM_CLOSE, KEEPER, MAIN, ~0u, CLOSING),
    M(KM_CLOSED, KEEPER, KEEPER, IN(CLOSING), CLOSING, 0, kw_m_closed, f_closed),

    M(XM_START, EXCHANGER, MAIN, IN(NEW), STARTED, 0, kw_m_exchanger_start, f_exchanger_start),
    M(XM_READY, EXCHANGER, EXCHANGER, IN(STARTED), IDLE, 0, kw_m_ready, f_ready),
    M(XM_FETCH, EXCHANGER, MAIN, IN(IDLE), FETCHING, 0, kw_m_fetch, f_fetch),
    M(XM_FETCHED, EXCHANGER, EXCHANGER, IN(FETCHING), IDLE, 0, kw_m_fetched, f_fetched),
    M(XM_EXCHANGE, EXCHANGER, MAIN, IN(IDLE), EXCHANGING, 0, kw_m_exchange, f_exchange),
    /* GO can cross an ERROR on its way: it is then legal, and without effect. */
    M(XM_GO, EXCHANGER, MAIN, IN(EXCHANGING) | IN(IDLE), GOING, 0, kw_m_go, f_go),
    M(XM_TOKEN, EXCHANGER, EXCHANGER, IN(GOING), IDLE, 0, kw_m_token, f_token),
    M(XM_SESSION, EXCHANGER, MAIN, IN(IDLE), IDLE, 0, kw_m_session, f_session),
    M(XM_GOOGLE, EXCHANGER, MAIN, IN(IDLE), GRANTING, 0, kw_m_google, f_google),
    M(XM_BEARER, EXCHANGER, EXCHANGER, IN(GRANTING), IDLE, 0, kw_m_bearer, f_bearer),
    M(XM_CALL, EXCHANGER, MAIN, IN(IDLE), CALLING, 2, kw_m_call, f_call),
    M(XM_HEAD, EXCHANGER, EXCHANGER, IN(CALLING), ANSWERING, 0, kw_m_head, f_head),
    M(XM_END, EXCHANGER, EXCHANGER, IN(ANSWERING), IDLE, 0, kw_m_end, f_end),
    EMPTY(XM_CLOSE, EXCHANGER, MAIN, ~0u, CLOSING),

    M(DM_START, DIALER, MAIN, IN(NEW), STARTED, 0, kw_m_dialer_start, f_dialer_start),
    M(DM_READY, DIALER, DIALER, IN(STARTED), IDLE, 0, kw_m_ready, f_ready),
    EMPTY(DM_CLOSE, DIALER, MAIN, ~0u, CLOSING),

    M(S_SIGN, SIGN, EXCHANGER, ~0u, ASKED, 0, kw_m_sign, f_sign),
    M(S_ASSERT, SIGN, EXCHANGER, ~0u, ASKED, 0, kw_m_assert, f_assert),
    M(S_TLS, SIGN, EXCHANGER, ~0u, ASKED, 0, kw_m_tls, f_tls),
    M(S_ALLOW, SIGN, EXCHANGER, ~0u, ASKED, 0, kw_m_allow, f_allow),
    M(S_IMPERSONATE, SIGN, EXCHANGER, ~0u, ASKED, 0, kw_m_allow, f_allow),
    EMPTY(S_ALLOWED, SIGN, KEEPER, ~0u, ANSWERED),
    M(S_SIGNED, SIGN, KEEPER, ~0u, ANSWERED, 0, kw_m_signed, f_signed),
    M(S_ASSERTED, SIGN, KEEPER, ~0u, ANSWERED, 0, kw_m_asserted, f_asserted),

    M(D_DIAL, DIAL, EXCHANGER, IN(NEW), CALLING, 0, kw_m_dial, f_dial),
    M(D_DIALED, DIAL, DIALER, IN(CALLING), NEW, 1, kw_m_dialed, f_dialed),

    EMPTY(KM_RENEW, KEEPER, MAIN, IN(IDLE), IDLE),
    M(KM_RETIRE, KEEPER, MAIN, IN(IDLE), SIGNING, 0, kw_m_retire, f_retire),

    /* The proxy tells what it sees whenever it sees it. */
    M(PM_START, PROXY, MAIN, IN(NEW), STARTED, 0, kw_m_proxy_start, f_proxy_start),
    M(PM_READY, PROXY, PROXY, IN(STARTED), IDLE, 0, kw_m_proxy_ready, f_proxy_ready),
    M(PM_SERVE, PROXY, MAIN, IN(IDLE), CALLING, 2, kw_m_serve, f_serve),
    M(PM_SESSION, PROXY, MAIN, IN(IDLE), CALLING, 0, kw_m_proxy_session, f_proxy_session),
    EMPTY(PM_OK, PROXY, PROXY, IN(CALLING), IDLE),
    M(PM_ID, PROXY, MAIN, IN(IDLE) | IN(CALLING), STAY, 0, kw_m_id, f_id),
    M(PM_EVENT, PROXY, PROXY, IN(IDLE) | IN(CALLING) | IN(CLOSING), STAY, 0, kw_m_event, f_event),
    EMPTY(PM_RENEW, PROXY, PROXY, IN(IDLE) | IN(CALLING) | IN(CLOSING), STAY),
    M(PM_WANT_ID, PROXY, PROXY, IN(IDLE) | IN(CALLING) | IN(CLOSING), STAY, 0, kw_m_want_id,
      f_want_id),
    EMPTY(PM_CLOSE, PROXY, MAIN, ~0u, CLOSING),
    M(PM_CLOSED, PROXY, PROXY, IN(CLOSING), CLOSING, 0, kw_m_proxy_closed, f_proxy_closed),

    M(P_SIGN, PSIGN, PROXY, ~0u, ASKED, 0, kw_m_psign, f_psign),
    M(P_ALLOW, PSIGN, PROXY, ~0u, ASKED, 0, kw_m_allow, f_allow),
    M(P_NOTE, PSIGN, PROXY, ~0u, STAY, 0, kw_m_pnote, f_pnote),
    EMPTY(P_ALLOWED, PSIGN, KEEPER, ~0u, ANSWERED),
    M(P_SIGNED, PSIGN, KEEPER, ~0u, ANSWERED, 0, kw_m_signed, f_signed),

    M(P_DIAL, PDIAL, PROXY, ~0u, ASKED, 0, kw_m_pdial, f_pdial),
    M(P_DIALED, PDIAL, DIALER, ~0u, ANSWERED, 1, kw_m_pdialed, f_pdialed),
    M(P_UNDIALED, PDIAL, DIALER, ~0u, ANSWERED, 0, kw_m_undialed, f_undialed),

    /* What the agent sends on its own (ASK, EVENT) may cross an END. */
    M(AM_HELLO, AGENT, CLIENT, IN(NEW), STARTED, 0, kw_m_hello, f_hello),
    M(AM_WELCOME, AGENT, AGENT, IN(STARTED), IDLE, 0, kw_m_welcome, f_welcome),
    M(AM_TEXT, AGENT, AGENT, IN(STARTED), STARTED, 0, kw_m_text, f_text),
    EMPTY(AM_ASK, AGENT, AGENT,
          IN(IDLE) | IN(CALLING) | IN(FETCHING) | IN(SIGNING) | IN(ANSWERING) | IN(CLOSING), STAY),
    M(AM_SUBJECT, AGENT, CLIENT,
      IN(IDLE) | IN(CALLING) | IN(FETCHING) | IN(SIGNING) | IN(ANSWERING), STAY, 0, kw_m_subject,
      f_subject),
    M(AM_RUN, AGENT, CLIENT, IN(IDLE), CALLING, 2, kw_m_run, f_run),
    M(AM_GO, AGENT, AGENT, IN(CALLING) | IN(CLOSING), ANSWERING, 0, kw_m_agent_go, f_agent_go),
    M(AM_EVENT, AGENT, AGENT, IN(CALLING) | IN(ANSWERING) | IN(CLOSING), STAY, 0, kw_m_event,
      f_event),
    M(AM_CALL, AGENT, CLIENT, IN(IDLE), FETCHING, 2, kw_m_call, f_call),
    M(AM_HEAD, AGENT, AGENT, IN(FETCHING), GOING, 0, kw_m_head, f_head),
    M(AM_DONE, AGENT, AGENT, IN(GOING), IDLE, 0, kw_m_end, f_end),
    M(AM_SIGN, AGENT, CLIENT, IN(IDLE), SIGNING, 0, kw_m_sign, f_sign),
    M(AM_SIGNED, AGENT, AGENT, IN(SIGNING), IDLE, 0, kw_m_authorization, f_authorization),
    EMPTY(AM_END, AGENT, CLIENT, ~0u, CLOSING),
    M(AM_SUMMARY, AGENT, AGENT, IN(CLOSING), CLOSING, 0, kw_m_summary, f_summary),

    M(JM_START, JOB, AGENT, IN(NEW), STARTED, 1, kw_m_job_start, f_job_start),
    EMPTY(JM_READY, JOB, JOB, IN(STARTED), IDLE),
    M(JM_JOB, JOB, AGENT, IN(IDLE), CALLING, 2, kw_m_job, f_job),
    M(JM_COUNT, JOB, JOB, IN(CALLING) | IN(CLOSING), STAY, 0, kw_m_count, f_count),
    EMPTY(JM_CLOSE, JOB, AGENT, ~0u, CLOSING),
};
