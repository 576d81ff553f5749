/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy after its lock: what the exchanger may, but for libcurl's quirk; and it takes
 * connections from the listeners that main handed it, and waits for hundreds at once.
 */
#include <sys/socket.h>

#include "table.h"

static const struct kw_rule listening[] = {
    {ON(accept4), .limits = {EQ(3, SOCK_NONBLOCK | SOCK_CLOEXEC)},
     .why = "connections of CMD, from listeners it was handed"},
    {ON(epoll_wait), .why = "waiting"},
    {ON(epoll_pwait), .why = "waiting"},
    /* Without limits on purpose: add, change and remove is all there is, and beside fcntl's
     * rules libseccomp 2.5 makes a wrong filter of them for arm64 (test_sandbox_table). */
    {ON(epoll_ctl), .why = "what is waited for"},
};

static const struct kw_group group_listening = {RULES(listening), .title = "CMD's connections"};

static const struct kw_group *const groups[] = {&kw_group_io,
                                                &group_listening,
                                                &kw_group_memory,
                                                &kw_group_itself,
                                                &kw_group_probes,
                                                &kw_group_sanitizer,
                                                NULL};

const struct kw_table kw_table_proxy = {
    .role = KW_ROLE_PROXY,
    .otherwise = KW_VIOLATE,
    .groups = groups,
    .title = "after the certificate roots are loaded and the run's CA is made",
};
