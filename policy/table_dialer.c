/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialer, from its start: the coarse rules, and sockets that the resolver and TCP
 * connections need. Where it may connect to is the dial policy's business; no filter
 * can look at an address behind a pointer.
 */
#include "table.h"

static const struct kw_group *const groups[] = {&kw_group_coarse, &kw_group_network, NULL};

const struct kw_table kw_table_dialer = {
    .role = KW_ROLE_DIALER,
    .otherwise = KW_ALLOW,
    .groups = groups,
    .title = "from its start",
};
