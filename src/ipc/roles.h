/* SPDX-License-Identifier: Apache-2.0
 *
 * The architecture on a page: who there is, what they hold, who may say what to
 * whom, and when.
 *
 *                    terminal, configuration, files the user named
 *                                       |
 *                                     main ------------------------+
 *                     CHAN_KEEPER    /    \    CHAN_EXCHANGER      | CHAN_DIALER
 *                                   /      \                       |
 *   PKCS#11 module, PIN, ---- keeper       exchanger ---------- dialer ---- DNS, TCP
 *   session key, audit log          \      /          CHAN_DIAL   (connect, then the
 *                                    ------                        descriptor is handed over)
 *                                   CHAN_SIGN
 *
 * Each role is a program of its own (keyward, keyward-keeper, keyward-exchanger,
 * keyward-dialer), started by fork and exec: every address space is fresh,
 * re-randomised, and links only the libraries that its job needs. A role finds
 * its descriptors at the fixed numbers below and closes everything else first.
 */
#ifndef KW_ROLES_H
#define KW_ROLES_H

#include <stdint.h>

enum kw_role {
    KW_ROLE_MAIN,      /* parses, opens what the user named, spawns, waits, prints; judges claims */
    KW_ROLE_KEEPER,    /* the PKCS#11 module, the PIN for one login, the keys, the signing policy */
    KW_ROLE_EXCHANGER, /* TLS, HTTP, JSON: the subject token and what the cloud answered */
    KW_ROLE_DIALER,    /* resolves and connects to host:port pairs that the dial policy allows */
    KW_ROLE_PROXY, /* `run`: speaks with CMD and for it; the session token, decoys, the run's CA */
    KW_ROLES,
    /* With an agent (agent.h) there are several mains, and those that speak with each other are
     * told apart by these names, for channels only: the job's main, the agent, and the agent's
     * main for that job, whose crew is a crew like any other. */
    KW_ROLE_CLIENT, /* `run`, `request`, `sign` of a job */
    KW_ROLE_AGENT,  /* the agent, and its process for a job */
    KW_ROLE_JOB     /* that process, towards the agent */
};

enum kw_channel {
    KW_CHAN_KEEPER,    /* main <-> keeper: control */
    KW_CHAN_EXCHANGER, /* main <-> exchanger: control */
    KW_CHAN_DIALER,    /* main <-> dialer: control */
    KW_CHAN_SIGN,      /* exchanger <-> keeper: signatures */
    KW_CHAN_DIAL,      /* exchanger <-> dialer: connected descriptors */
    KW_CHAN_PROXY,     /* main <-> proxy: control */
    KW_CHAN_PSIGN,     /* proxy <-> keeper: signatures for CMD's requests */
    KW_CHAN_PDIAL,     /* proxy <-> dialer: connected descriptors, several under way */
    KW_CHAN_AGENT, /* a job's keyward <-> the agent's: what the job wants, over a named socket */
    KW_CHAN_JOB,   /* agent <-> the process of its that serves one job: control */
    KW_CHANNELS
};

/* The descriptors a role starts with; any other is closed before main() works. */
enum kw_fd {
    KW_FD_CTL = 3,       /* all: channel to main */
    KW_FD_VIOLATION = 4, /* all: write end of the pipe for sandbox violation records */
    KW_FD_PEER = 5,      /* keeper: CHAN_SIGN; exchanger: CHAN_SIGN; dialer: CHAN_DIAL;
                            proxy: CHAN_PSIGN */
    KW_FD_DIAL = 6,      /* exchanger: CHAN_DIAL; proxy: CHAN_PDIAL */
    KW_FD_PROGRESS = 6,  /* keeper: one shared page: which PKCS#11 call is under way */
    KW_FD_AUDIT = 7,     /* keeper: the audit log, O_RDWR | O_APPEND (absent: no log) */
    KW_FD_PIN = 8,       /* keeper: where the PIN is read from (absent: other source) */
    KW_FD_PROXY = 9,     /* keeper: CHAN_PSIGN; dialer: CHAN_PDIAL (absent: no `run`) */
    KW_FD_END = 10
};

/* Every message. Names say who sends: KM = keeper's control channel, XM =
 * exchanger's, DM = dialer's, S = CHAN_SIGN, D = CHAN_DIAL. The table in
 * messages.c gives each its channel, sender, maximum size, whether it carries
 * descriptors, the states in which it is legal and the state it leads to. */
enum kw_msg {
    KW_MSG_NONE,
    /* any role -> main, any channel -> asker: what failed, with its exit code */
    KW_MSG_ERROR,

    /* main -> keeper */
    KW_KM_START,   /* configuration: load the module, find the token, log in, do .purpose */
    KW_KM_SESSION, /* the session is good: sign for it, or allow its bearer, until not_after */
    KW_KM_SIGN,    /* sign one request (same body as KW_S_SIGN) */
    KW_KM_DESTROY, /* destroy one key that keyward left in the token */
    KW_KM_ISSUE,   /* build a JWT and sign it with the issuer key */
    KW_KM_JWK,     /* the issuer key's public half, please */
    KW_KM_CLOSE,   /* destroy the session key, end the audit, exit */
    /* keeper -> main */
    KW_KM_READY,     /* token found, logged in, fences up */
    KW_KM_KEY,       /* the session key: public half, rung, mechanism, attributes as read back */
    KW_KM_VERDICT,   /* what the extraction self-test on the twin found */
    KW_KM_OK,        /* done (SESSION, DESTROY, GIVEN) */
    KW_KM_SIGNED,    /* the signature */
    KW_KM_ISSUED,    /* the JWT */
    KW_KM_PUBLIC,    /* the issuer key's public half */
    KW_KM_LIST_ITEM, /* one key for `keys` */
    KW_KM_LIST_END,
    KW_KM_CLOSED, /* key destroyed, counts */

    /* main -> exchanger */
    KW_XM_START,    /* CA file, timeouts: load roots, initialise TLS, lock */
    KW_XM_FETCH,    /* get a subject token from a URL (GitHub's request endpoint) */
    KW_XM_EXCHANGE, /* connect and shake hands with the token endpoint, then wait for GO */
    KW_XM_GO,       /* subject token and public key: send the exchange */
    KW_XM_SESSION,  /* use this stored session token, or this bearer of an administrator's */
    KW_XM_GOOGLE,   /* subject token for a bearer of Google's, and whom to impersonate */
    KW_XM_CALL,     /* one signed API call; carries two pipes: body in, body out */
    KW_XM_CLOSE,
    /* exchanger -> main */
    KW_XM_READY,   /* fences up */
    KW_XM_FETCHED, /* the subject token */
    KW_XM_TOKEN,   /* the session token that the cloud issued, correlation id */
    KW_XM_BEARER,  /* the access token that Google issued, and until when */
    KW_XM_HEAD,    /* status and headers of the answer */
    KW_XM_END,     /* the answer is complete */

    /* main -> dialer, dialer -> main */
    KW_DM_START, /* dial policy, resolve overrides, proxy */
    KW_DM_READY, /* fences up */
    KW_DM_CLOSE,

    /* exchanger -> keeper, keeper -> exchanger */
    KW_S_SIGN,     /* sign one request with the session key or the client key */
    KW_S_ASSERT,   /* build and sign a client assertion (JWT) with the client key */
    KW_S_TLS,      /* sign what a TLS 1.3 client signs in its handshake, with the TLS key */
    KW_S_ALLOW,    /* may this request go out with the bearer? */
    KW_S_SIGNED,   /* the signature */
    KW_S_ASSERTED, /* the whole JWT */
    KW_S_ALLOWED,  /* it may, and is in the audit log */

    /* exchanger -> dialer, dialer -> exchanger */
    KW_D_DIAL,   /* host and port */
    KW_D_DIALED, /* carries the connected descriptor */

    /* `run`. A proxy of its own: what reads CMD's bytes has never seen the subject token, and
     * CHAN_PSIGN signs with the session key only. */
    /* main -> keeper, keeper -> main: a session's successor */
    KW_KM_RENEW,  /* make another key; the one in use goes on. KM_KEY and KM_VERDICT follow */
    KW_KM_RETIRE, /* the last signature with the former key is done: destroy it */
    /* main -> proxy */
    KW_PM_START,   /* CA file, names the run's CA is for: load roots, make the CA, lock */
    KW_PM_SERVE,   /* carries the listeners; the decoys and the scope */
    KW_PM_SESSION, /* use this token from now on */
    KW_PM_ID,      /* the ID token that was asked for */
    KW_PM_CLOSE,
    /* proxy -> main */
    KW_PM_READY,   /* fences up; the CA's certificate */
    KW_PM_OK,      /* done (SERVE, SESSION) */
    KW_PM_EVENT,   /* a request, a refusal, a tunnel: for --explain and the summary */
    KW_PM_RENEW,   /* the cloud refused the session: is there another? */
    KW_PM_WANT_ID, /* an ID token for this audience, please */
    KW_PM_CLOSED,  /* counts */
    /* proxy -> keeper, keeper -> proxy */
    KW_P_SIGN, /* as S_SIGN, with the session key of a generation */
    KW_P_ALLOW,
    KW_P_NOTE, /* a refusal of the proxy's own, for the audit log; not answered */
    KW_P_SIGNED,
    KW_P_ALLOWED,
    /* proxy -> dialer, dialer -> proxy */
    KW_P_DIAL, /* answered in any order, by .id */
    KW_P_DIALED,
    KW_P_UNDIALED, /* it could not be: why */

    /* The agent. client -> agent */
    KW_AM_HELLO,   /* what the client wants, of which profile */
    KW_AM_SUBJECT, /* the subject token that was asked for */
    KW_AM_RUN,     /* serve this run; carries CMD's listeners */
    KW_AM_CALL,    /* as XM_CALL */
    KW_AM_SIGN,    /* as KM_SIGN */
    KW_AM_END,     /* CMD has ended */
    /* agent -> client */
    KW_AM_WELCOME, /* you are served; the subject token's audience */
    KW_AM_ASK,     /* a subject token, please: a fresh one */
    KW_AM_GO,      /* the session stands: the run's CA, the stand-in token */
    KW_AM_EVENT,   /* as PM_EVENT */
    KW_AM_HEAD,    /* as XM_HEAD */
    KW_AM_DONE,    /* as XM_END */
    KW_AM_SIGNED,  /* the Authorization header's value */
    KW_AM_SUMMARY, /* counts */
    KW_AM_TEXT,    /* a piece of status or metrics */
    /* agent -> its process for a job, and back */
    KW_JM_START, /* configuration and profile: start its roles, log in, make a key, wait */
    KW_JM_READY, /* done */
    KW_JM_JOB,   /* this job is yours; carries its connection and a pidfd of who made it */
    KW_JM_COUNT, /* how it goes */
    KW_JM_CLOSE, /* end it */

    /* main -> keeper: this subject token goes to another program; for the log */
    KW_KM_GIVEN,
    /* exchanger -> keeper: may the federated token go out for the service account's? Answered by
     * S_ALLOWED */
    KW_S_IMPERSONATE,

    KW_MSGS
};

const char *kw_role_name(enum kw_role role);       /* "keeper" */
const char *kw_channel_name(enum kw_channel chan); /* "main-keeper" */
const char *kw_msg_name(enum kw_msg msg);          /* "KM_START" */

#endif
