/* SPDX-License-Identifier: Apache-2.0
 *
 * How the dialer gets from a name to a connected socket: overrides, the resolver
 * within a deadline, TCP over all addresses, and a proxy's CONNECT.
 */
#ifndef KW_DIALER_CONNECT_H
#define KW_DIALER_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/ipc/talk.h"

struct addrinfo;

/* Starts the thread that asks the system's resolver. To be called before the sandbox
 * locks, which allows no further thread. */
int kw_resolver_start(struct kw_err *err);

/* All addresses of host, to be freed with freeaddrinfo(); KW_NET where there is none or
 * the resolver gives no answer by deadline_ms. Starts the thread if need be. */
int kw_resolver_ask(const char *host, uint32_t port, int64_t deadline_ms, struct addrinfo **ret,
                    struct kw_err *err);

/* Connects to what the policy in c allows; *ret_fd is non-blocking and close-on-exec,
 * address says what it leads to. KW_POLICY or KW_NET. */
int kw_dialer_connect(const struct kw_m_dialer_start *c, const struct kw_m_dial *want, int *ret_fd,
                      char *address, size_t size, struct kw_err *err);

/* Reads "http://host:port" (a slash may follow; IPv6 in brackets). KW_USAGE. */
int kw_proxy_parse(const char *text, char *host, size_t size, uint16_t *ret_port,
                   struct kw_err *err);

#define KW_PROXY_HEAD 8192u /* largest head of an answer to CONNECT, bytes */

/* The status of the answer to CONNECT. head is n bytes up to and with the empty line.
 * False if it is not strictly HTTP/1.0 or 1.1. */
bool kw_proxy_status(const char *head, size_t n, unsigned *ret_status);

#endif
