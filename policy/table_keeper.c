/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper, from before the vendor's module is loaded to its end: the coarse rules,
 * and no network unless [token] network = allow. UNIX sockets stay (pcscd, p11-kit,
 * tpm2-abrmd and syslog are reached by them); they lead to this machine only.
 */
#include <sys/socket.h>

#include "table.h"

static const struct kw_rule closed[] = {
    {ON(socket), .answer = KW_VIOLATE, .limits = {NE(0, AF_UNIX)},
     .why = "the network; a token that is reached by TCP needs [token] network = allow"},
};

static const struct kw_group group_closed = {RULES(closed), .unless = KW_SB_NETWORK,
                                             .title = "no network"};

static const struct kw_group *const groups[] = {&kw_group_coarse, &group_closed, &kw_group_network,
                                                NULL};

const struct kw_table kw_table_keeper = {
    .role = KW_ROLE_KEEPER,
    .otherwise = KW_ALLOW,
    .groups = groups,
    .title = "from its start, before the module is loaded",
};
