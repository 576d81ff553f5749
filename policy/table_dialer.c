/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialer, from its start: the coarse rules, and sockets that the resolver and TCP
 * connections need. Where it may connect to is the dial policy's business; no filter
 * can look at an address behind a pointer.
 */
#include <errno.h>
#include <sys/socket.h>

#include "table.h"

/* Refused, not fatal: libc and NSS try nscd and systemd-resolved first, and then ask the
 * name servers of resolv.conf. Allowed, it would be a way out: the user's D-Bus starts
 * programs for whoever connects. */
static const struct kw_rule local[] = {
    {ON(socket), .answer = KW_REFUSE, .error = EAFNOSUPPORT, .limits = {EQ(0, AF_UNIX)},
     .why = "services of this machine, which act for whoever connects (D-Bus)"},
    NO_PAIR(SOCK_DGRAM, EAFNOSUPPORT),
    NO_PAIR(SOCK_RAW, EAFNOSUPPORT),
};

static const struct kw_group group_local = {RULES(local), .title = "no services of the machine"};

static const struct kw_group *const groups[] = {KW_GROUPS_COARSE, &kw_group_pairs, &group_local,
                                                &kw_group_network, NULL};

const struct kw_table kw_table_dialer = {
    .role = KW_ROLE_DIALER,
    .otherwise = KW_ALLOW,
    .groups = groups,
    .title = "from its start",
};
