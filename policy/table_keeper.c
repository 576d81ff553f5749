/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper, from before the vendor's module is loaded to its end: the coarse rules,
 * and no network unless [token] network = allow. UNIX sockets (pcscd, p11-kit and
 * tpm2-abrmd are reached by them) only with network = local: behind one there may be a
 * daemon that starts programs or speaks to the network for whoever asks.
 */
#include <errno.h>
#include <sys/socket.h>

#include "table.h"

static const struct kw_rule closed[] = {
    {ON(socket), .answer = KW_VIOLATE, .limits = {NE(0, AF_UNIX)},
     .why = "the network; a token that is reached by TCP needs [token] network = allow"},
};

/* Refused, not a violation: libc's syslog() and name service try one on their own. */
static const struct kw_rule alone[] = {
    {ON(socket), .answer = KW_REFUSE, .error = EACCES, .limits = {EQ(0, AF_UNIX)},
     .why = "a token that is reached by a local daemon needs [token] network = local"},
    NO_PAIR(SOCK_DGRAM, EACCES),
    NO_PAIR(SOCK_RAW, EACCES),
};

static const struct kw_group group_alone = {RULES(alone), .unless = KW_SB_LOCAL | KW_SB_NETWORK,
                                            .title = "no local daemons"};

static const struct kw_group group_closed = {RULES(closed), .unless = KW_SB_NETWORK,
                                             .title = "no network"};

static const struct kw_group *const groups[] = {KW_GROUPS_COARSE, &kw_group_pairs,   &group_closed,
                                                &group_alone,     &kw_group_network, NULL};

const struct kw_table kw_table_keeper = {
    .role = KW_ROLE_KEEPER,
    .otherwise = KW_ALLOW,
    .groups = groups,
    .title = "from its start, before the module is loaded",
};
