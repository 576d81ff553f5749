/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent: one process, as a user of its own, that serves the `run`, `request` and `sign` of
 * other users' jobs over a named socket, so that a job has neither the PKCS#11 token nor its PIN
 * nor the client's secret.
 *
 *   job: keyward run -- CMD                 agent                      job process (per job)
 *    | HELLO what, which profile  --------> | who is it (kernel's word)
 *    |                                      | JM_JOB, connection -----> | a crew of its own:
 * keeper, | <----------------------------------------------- WELCOME, ASK    | exchanger, dialer,
 * proxy | SUBJECT: the job's own JWT, RUN: CMD's listeners --------------> | claim policy, exchange
 *    | <------------------------------------- GO: run's CA, stand-ins   |
 *    | END, or its death -----------------------------------------------> all ends, key destroyed
 *
 * Each job has a crew of its own rather than one keeper for all: what a job's bytes could do to
 * a parser or a module ends with that job, and nobody can be given another's signature. The price
 * is a login for each; so that it costs no time, a crew for the default profile is kept ready,
 * logged in and with a key, before anybody asks. And so that no PIN is ever tried twice, one
 * process at a time is between its start and its login, and the first refusal ends the agent.
 *
 * The agent itself (agent.c) opens no token, sees no JWT and speaks to no network.
 */
#ifndef KW_AGENT_H
#define KW_AGENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/base/buf.h"
#include "src/cli/cmd.h"
#include "src/ipc/talk.h"

#define KW_AGENT_SLOTS   256 /* jobs and spares at most, whatever [agent] says */
#define KW_AGENT_PENDING 64  /* connections that have not said or not got what they want */

/* --- agent_peer.c: who is at the other end ------------------------------------------- */

struct kw_peer_id {
    uint32_t uid, gid, pid;
    int pidfd; /* owned */
};

/* By SO_PEERCRED and SO_PEERPIDFD (Linux 6.5), else pidfd_open() and a second look: whoever
 * connected must still live, and not have begun after `accepted_ms` (CLOCK_BOOTTIME).
 * KW_POLICY where nobody is there any more. */
int kw_peer_identify(int fd, int64_t accepted_ms, struct kw_peer_id *id, struct kw_err *err);
int64_t kw_boot_ms(void);

/* Users and @groups of [agent] allow as numbers; KW_USAGE for a name that isn't known. */
struct kw_allowed {
    uint32_t uids[64], gids[64];
    unsigned n_uids, n_gids;
};
int kw_allowed_read(const char *words, struct kw_allowed *a, struct kw_err *err);
/* May this one be served? Nobody named: all whom the socket's own permissions let connect. */
bool kw_allowed_is(const struct kw_allowed *a, int fd, const struct kw_peer_id *id);

/* --- agent_systemd.c: socket activation and readiness -------------------------------- */

/* The listening socket: systemd's, if it gave one, else made at `path` (mode 0660), where a
 * socket that nobody serves is replaced and one that is served is an error. *ret_made: ours. */
int kw_agent_listen(const char *path, int *ret_fd, bool *ret_made, struct kw_err *err);
/* "READY=1", "RELOADING=1", "STOPPING=1", with a line for `systemctl status`; without systemd
 * nothing happens. */
void kw_agent_notify(const char *state, const char *status);

/* --- the agent's tables ---------------------------------------------------------------- */

enum kw_slot_state { KW_SLOT_FREE, KW_SLOT_STARTING, KW_SLOT_READY, KW_SLOT_BUSY, KW_SLOT_ENDING };

/* A job process: a spare until it gets a job. */
struct kw_slot {
    enum kw_slot_state state;
    pid_t pid;
    struct kw_chan chan;
    char profile[65];
    uint32_t cloud;      /* enum kw_cloud, as asked for */
    unsigned generation; /* of the configuration that it was started with */
    int64_t since_ms;
    int64_t ending_ms;           /* since when it is to end; 0: it isn't */
    uint32_t want, uid, job_pid; /* BUSY */
    struct kw_m_count count;
    bool logged_in; /* it was ready once: its PIN was right */
    bool failed;    /* it has told an error */
    struct kw_err why;
};

/* A connection that waits: for its first word (no hello), or for a job process. */
struct kw_waiting {
    bool there, hello_in;
    bool denied;       /* it is told why once it has said something: bytes unread would take the */
    struct kw_err why; /* answer with them when the connection is closed */
    struct kw_chan chan;
    struct kw_peer_id id;
    struct kw_m_hello hello;
    int64_t deadline_ms; /* for the first word */
    uint64_t number;     /* they are served in the order in which they came */
};

struct kw_agent_totals {
    uint64_t jobs, refused_full, refused_peer, refused_hello, failed;
    uint64_t requests, refusals, tunnels, renewals, signatures;
};

struct kw_agent {
    const struct kw_cli *cli;
    struct kw_config config;
    struct kw_buf text; /* of the configuration: its processes have what it has */
    struct kw_allowed allowed;
    int listen_fd, signal_fd;
    bool made;                                                /* the socket is ours to remove, */
    char socket[sizeof((struct kw_config *)0)->agent_socket]; /* whatever is configured since */
    struct kw_slot slots[KW_AGENT_SLOTS];
    struct kw_waiting waiting[KW_AGENT_PENDING];
    struct kw_agent_totals totals;
    int64_t started_s, started_ms, next_spare_ms, stop_ms; /* stop_ms 0: not stopping */
    uint64_t connections;
    unsigned spare_failures, generation;
    int exit_code; /* KW_PIN once a PIN was refused */
    struct kw_err why;
};

/* agent.c. Serves until it is told to stop. */
int kw_agent(const struct kw_cli *cli, struct kw_err *err);

/* agent_jobs.c: the job processes. */
int kw_slot_start(struct kw_agent *a, const char *profile, uint32_t cloud, struct kw_err *err);
/* A message, or the end, of its process. */
void kw_slot_hear(struct kw_agent *a, struct kw_slot *s);
/* The process has ended (waitpid). */
void kw_slot_ended(struct kw_agent *a, struct kw_slot *s, int status);
void kw_slot_close(struct kw_slot *s);
unsigned kw_slots_in(const struct kw_agent *a, enum kw_slot_state state);
/* Gives those who wait what there is, starts what is missing. */
void kw_agent_dispatch(struct kw_agent *a);
/* Is to end, and is ended if it doesn't in time. */
void kw_slot_end(struct kw_slot *s);
void kw_agent_hurry(struct kw_agent *a);
/* Ends a conversation with an error that the client will show. */
void kw_waiting_refuse(struct kw_waiting *w, const struct kw_err *why);
void kw_waiting_free(struct kw_waiting *w);

/* agent_say.c: status for people and programs, metrics for Prometheus. `to` is who asks: only
 * root and the agent's own user see the jobs of others. */
int kw_agent_say(struct kw_agent *a, struct kw_waiting *to);

/* agent_serve.c: `keyward agent --job`: serves one job, over descriptor 3. */
int kw_agent_serve(struct kw_err *err);
/* What a profile needs for it; KW_USAGE says what is missing. */
int kw_agent_fits(const struct kw_config *c, struct kw_err *err);

/* --- agent_client.c: the other side ----------------------------------------------------- */

struct kw_client {
    struct kw_config *config; /* of the job: [agent] socket, [source] */
    struct kw_chan chan;      /* fd -1: not connected */
    struct kw_m_welcome welcome;
};

/* Connects, says what is wanted and takes the welcome. Errors of the agent pass as they are. */
int kw_client_open(struct kw_client *k, struct kw_config *c, enum kw_agent_want want,
                   const char *host, struct kw_err *err);
/* Takes the next message that isn't ASK: that is answered with a subject token from [source].
 * If nothing else came until the deadline, in->type is KW_MSG_NONE; after an error *in is empty.
 * KW_MSG_ERROR is turned into *err. */
int kw_client_recv(struct kw_client *k, struct kw_in *in, int64_t deadline_ms, struct kw_err *err);
int kw_client_send(struct kw_client *k, enum kw_msg type, const void *m, const int *fds,
                   unsigned nfds, struct kw_err *err);
void kw_client_close(struct kw_client *k);
/* `keyward agent --status`, `--metrics`: to standard output. */
int kw_client_print(struct kw_config *c, enum kw_agent_want want, bool json, struct kw_err *err);

#endif
