/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets of the two roles that may have a network: TCP and UDP over IPv4 and IPv6,
 * the kernel's route table (getaddrinfo asks it), UNIX sockets. MPTCP and TCP fast
 * open reach a peer around Landlock's port rules, so they are violations, like
 * everything raw or exotic. These roles never listen. And pairs of sockets, for both.
 */
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "table.h"

#define NO_FAMILY(af)                                                                              \
    {                                                                                              \
        ON(socket), .answer = KW_VIOLATE, .limits = {INT_NAMED(0, af, #af)}, .why = "exotic"       \
    }
#define NO_RAW(af, type)                                                                           \
    {                                                                                              \
        ON(socket), .answer = KW_VIOLATE, .limits = {INT_NAMED(0, af, #af), BITS(1, 0xfu, type)},  \
                    .why = "packets of one's own making"                                           \
    }
#define NO_PROTOCOL(af)                                                                            \
    {                                                                                              \
        ON(socket), .answer = KW_VIOLATE, .limits = {INT_NAMED(0, af, #af), GT(2, IPPROTO_UDP)},   \
                    .why = "TCP and UDP only: MPTCP isn't bound by Landlock"                       \
    }

static const struct kw_rule network[] = {
    {ON(socket), .answer = KW_VIOLATE, .limits = {GT(0, AF_NETLINK)}, .why = "exotic"},
    NO_FAMILY(AF_AX25),
    NO_FAMILY(AF_IPX),
    NO_FAMILY(AF_APPLETALK),
    NO_FAMILY(AF_NETROM),
    NO_FAMILY(AF_BRIDGE),
    NO_FAMILY(AF_ATMPVC),
    NO_FAMILY(AF_X25),
    NO_FAMILY(AF_ROSE),
    NO_FAMILY(AF_DECnet),
    NO_FAMILY(AF_NETBEUI),
    NO_FAMILY(AF_SECURITY),
    NO_FAMILY(AF_KEY),
    NO_RAW(AF_INET, SOCK_RAW),
    NO_RAW(AF_INET, SOCK_PACKET),
    NO_RAW(AF_INET6, SOCK_RAW),
    NO_RAW(AF_INET6, SOCK_PACKET),
    NO_PROTOCOL(AF_INET),
    NO_PROTOCOL(AF_INET6),
    {ON(socket), .answer = KW_VIOLATE, .limits = {INT(0, AF_NETLINK), NE(2, NETLINK_ROUTE)},
     .why = "the route table is all that getaddrinfo asks"},
    {ON(sendto), .answer = KW_VIOLATE, .limits = {BITS(3, MSG_FASTOPEN, MSG_FASTOPEN)},
     .why = "connects around Landlock"},
    {ON(sendmsg), .answer = KW_VIOLATE, .limits = {BITS(2, MSG_FASTOPEN, MSG_FASTOPEN)},
     .why = "connects around Landlock"},
    {ON(sendmmsg), .answer = KW_VIOLATE, .limits = {BITS(3, MSG_FASTOPEN, MSG_FASTOPEN)},
     .why = "connects around Landlock"},
    {ON(listen), .answer = KW_VIOLATE, .why = "nobody connects to it"},
    {ON(accept), .answer = KW_VIOLATE, .why = "nobody connects to it"},
    {ON(accept4), .answer = KW_VIOLATE, .why = "nobody connects to it"},
};

/* Not only socket() makes sockets. Those of TIPC reach other machines. */
static const struct kw_rule pairs[] = {
    {ON(socketpair), .answer = KW_VIOLATE, .limits = {NE(0, AF_UNIX)},
     .why = "sockets of a network (TIPC)"},
};

const struct kw_group kw_group_pairs = {RULES(pairs), .title = "pairs of sockets"};

const struct kw_group kw_group_network = {RULES(network), .only = KW_SB_NETWORK,
                                          .title = "TCP, UDP and the resolver"};
