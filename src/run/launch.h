/* SPDX-License-Identifier: Apache-2.0
 *
 * The process that becomes CMD of `run`: forked by main before the crew starts, it makes
 * the namespaces, the listeners inside them and the stand-in key, hands listeners and
 * public half to main, and waits. When the session stands, main says so; then it lays out
 * the decoys in a private file system, takes its fences up and executes CMD.
 *
 * main <-> launcher speak over a socketpair of their own with fixed structs: both are
 * our own code of one build, and the launcher holds nothing of main's.
 */
#ifndef KW_LAUNCH_H
#define KW_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "src/config/config.h"

struct kw_launch_want {
    enum kw_isolation isolation;
    bool share_home;      /* CMD sees the user's home, and with it credentials */
    const char *keep_env; /* names of variables (comma-separated) that would be taken out; "" */
    char *const *argv;    /* CMD and its arguments, NULL at the end */
    /* Names the files of keyward's that CMD is not to see, and roots that it is to trust. */
    const struct kw_config *config;
};

struct kw_launch {
    pid_t pid;
    int fd;            /* our end of the pair */
    int listeners[2];  /* proxy, metadata (-1: none); main's until handed on */
    unsigned port;     /* of the proxy's, on 127.0.0.1 as CMD sees it */
    bool isolated;     /* network, mount and user (or root's) namespaces stand */
    bool metadata;     /* 169.254.169.254:80 is ours in there */
    char missing[256]; /* what could not be had, and why; "" if all */
    int keeper_fd;     /* without a mount namespace: closed, it has the folder of decoys removed */
    unsigned char spki[KW_SPKI_MAX]; /* stand-in key, public half (DER) */
    size_t spki_len;
};

/* Forks. Returns at once; namespaces, listeners and key are made meanwhile. */
int kw_launch_start(const struct kw_launch_want *want, struct kw_launch *l, struct kw_err *err);

/* Waits for listeners and public key. KW_SANDBOX where isolation is required and the system
 * forbids it: names what forbids it (sysctl, AppArmor, container) and the cure. */
int kw_launch_ready(struct kw_launch *l, int64_t deadline_ms, struct kw_err *err);

/* What CMD is to find. Strings are copied. */
struct kw_launch_decoys {
    enum kw_cloud cloud;
    const char *ca_pem; /* the run's CA, lines */
    const char *token;  /* OCI: stand-in session token (a JWT); Google: stand-in bearer */
    const char *region, *tenancy, *user; /* OCI; user: any text */
    const char *project, *email;         /* Google, "" where there is none */
    const char *profile;                 /* name of keyward's profile, for the files' sections */
};

/* Lays out the decoys and executes CMD. 0 once CMD runs; *ret_code: 126 or 127 and *err where
 * it could not be executed. */
int kw_launch_go(struct kw_launch *l, const struct kw_launch_decoys *d, int *ret_code,
                 struct kw_err *err);

/* Whether the agent's socket can be hidden from an isolated CMD so that it stays hidden when the
 * agent makes it anew: in /run, or in a folder of its own. KW_USAGE says what to do. */
int kw_launch_can_hide(const char *socket, struct kw_err *err);

/* Ends what has not become CMD yet; closes descriptors. Idempotent. */
void kw_launch_abandon(struct kw_launch *l);

#endif
