/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be sent, signed and dialled. Pure functions over bounded inputs: no I/O,
 * linear-time matching. A refusal (KW_POLICY) names the rule and the value.
 */
#ifndef KW_RULES_H
#define KW_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/ipc/messages.h"

struct kw_config;
struct kw_jwt;

/* Whole-string glob: * any run, ? one byte, all else itself; case-insensitive for
 * host names if `nocase`. Linear in strlen(pattern) * strlen(text), no recursion. */
bool kw_glob(const char *pattern, const char *text, bool nocase);

/* Host patterns: "*.oraclecloud.com" matches sub-domains at any depth but not the
 * apex and never an IP literal; "host" matches itself. */
bool kw_host_match(const char *pattern, const char *host);
/* The same over a list of patterns separated by spaces. */
bool kw_host_in(const char *patterns, const char *host);

/* Claim policy (main, before a subject token is sent anywhere): times (exp in the
 * future, nbf and iat not more than 60 s ahead of now), issuer (exact), audience (one
 * of aud), each claim rule (one of its patterns). Numbers and booleans compare by
 * their JSON text; an array claim passes if one element does. `decided`, if not NULL,
 * receives "sub=... ref=..." for the audit. */
int kw_claims_judge(const struct kw_config *c, const struct kw_jwt *j, int64_t now, char *decided,
                    size_t size, struct kw_err *err);

/* The parts of it, for `claims`: times alone, issuer and audience alone, and claim
 * rule i alone. */
int kw_claims_judge_times(const struct kw_jwt *j, int64_t now, struct kw_err *err);
int kw_claims_judge_who(const struct kw_config *c, const struct kw_jwt *j, struct kw_err *err);
int kw_claims_judge_rule(const struct kw_config *c, size_t i, const struct kw_jwt *j,
                         struct kw_err *err);

/* Signing policy (keeper): host, method, path patterns, then the budgets. */
struct kw_sign_policy {
    const char *hosts, *methods, *paths; /* separated by spaces; paths "" = any */
    uint32_t per_minute, max_count;      /* 0 = none */
    /* state, zeroed at first */
    uint32_t count;
    double tokens; /* token bucket, refilled by the monotonic clock */
    int64_t refilled_ms;
};
/* Judges one request and, if allowed, takes it from the budgets. now_ms is
 * monotonic. `rule` receives which rule allowed it ("sign.host=*.oraclecloud.com"). */
int kw_sign_judge(struct kw_sign_policy *p, const char *method, const char *host,
                  const char *target, int64_t now_ms, char *rule, size_t size, struct kw_err *err);

/* Finds malformed entries in the two lists below, before anything is dialled:
 * KW_USAGE naming the entry. */
int kw_dial_check(const char *dial, const char *resolve, struct kw_err *err);

/* Dial policy (dialer): host:port against "pattern:port" pairs. */
int kw_dial_judge(const char *dial, const char *host, uint32_t port, struct kw_err *err);

/* resolve overrides (as curl's --connect-to): "host:port:address:port ...", host as in
 * the dial policy, IPv6 in brackets; true and the address and port if one matches
 * host:port. */
bool kw_dial_resolve(const char *resolve, const char *host, uint32_t port, char *address,
                     size_t size, uint32_t *ret_port);

#endif
