/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the launcher: launch.c is both sides of the pair, launch_ns.c the namespaces,
 * launch_key.c the stand-in key, launch_home.c what CMD finds in files, launch_sockets.c which
 * sockets it doesn't find, launch_env.c what it finds in variables, launch_node.c what Node.js
 * needs besides, launch_fence.c what it may do.
 */
#ifndef KW_LAUNCH_INT_H
#define KW_LAUNCH_INT_H

#include <openssl/evp.h>

#include "launch.h"

/* The launcher's first word, with the listeners. */
struct kw_hello {
    unsigned port;
    bool isolated, metadata;
    int failed; /* enum kw_exit; 0: all is well, or as well as was asked for */
    char text[KW_ERR_TEXT];
    char missing[256];
};

/* main's last word. */
struct kw_go {
    enum kw_cloud cloud;
    char ca_pem[4096], token[4096];
    char region[64], tenancy[256], user[64], project[64], email[256], profile[65];
};

/* What the launcher knows when it lays out the decoys. */
struct kw_stage_set {
    const struct kw_launch_want *want;
    struct kw_go go;
    bool isolated;
    unsigned port;
    EVP_PKEY *key;
    int keeper_fd;  /* ends when main has: then the folder, if it is on a disk, has to go */
    char dir[256];  /* the private folder */
    char home[300]; /* CMD's HOME: in there, or the user's */
    char bundle[300], node[300], key_file[300], token_file[300], oci_config[300];
    char fingerprint[48];
};

/* launch_ns.c. As far as want->isolation asks; *h says what stands. */
int kw_launch_namespaces(const struct kw_launch_want *want, struct kw_hello *h, struct kw_err *err);
int kw_launch_listen(struct kw_hello *h, int listeners[2], struct kw_err *err);

/* launch_key.c. The stand-in key: RSA-2048; NULL where there is no memory. */
EVP_PKEY *kw_launch_key(void);

/* launch_home.c. Makes the private folder, what in it doesn't depend on the session, and covers
 * what others keep for others: while the session is opened. Without a mount namespace nothing. */
int kw_launch_prepare(struct kw_stage_set *s, struct kw_err *err);
/* Then the decoys, and covers over what is keyward's own. */
int kw_launch_lay(struct kw_stage_set *s, struct kw_err *err);
/* An empty folder over a folder, an empty file over anything else; what isn't there needs none. */
int kw_launch_cover(const struct kw_stage_set *s, const char *path, struct kw_err *err);

/* launch_sockets.c. CMD's own /run, without the sockets that act for others; the agent's, too,
 * wherever it is (a CMD that came by a JWT shall ask through the proxy). */
int kw_launch_hide_sockets(const struct kw_stage_set *s, struct kw_err *err);

/* launch_env.c. The environment for execve(), NULL where there is no memory. */
char **kw_launch_env(const struct kw_stage_set *s);

/* launch_node.c. A script that Node.js loads before CMD's. */
extern const char kw_launch_node[];

/* launch_fence.c. The last thing before CMD is executed. */
int kw_launch_fence(struct kw_err *err);

#endif
