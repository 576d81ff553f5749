/* SPDX-License-Identifier: Apache-2.0
 *
 * What an agent needs of a profile: all that it reads must be readable once for each job, and
 * jobs must be told apart. */
#include <string.h>

#include "agent.h"

static int from_source(const char *source, const char *what, struct kw_err *err)
{
    return source[0] == '\0' || strncmp(source, "file:", 5) == 0 ||
                   strncmp(source, "credential:", 11) == 0
               ? 0
               : kw_fail(err, KW_USAGE,
                         "an agent reads %s for each job: it must be file:/PATH or "
                         "credential:NAME",
                         what);
}

int kw_agent_fits(const struct kw_config *c, struct kw_err *err)
{
    int r = kw_config_check_profile(c, err);
    bool in_uri = c->token_uri.pin_source[0] != '\0'; /* which is a file */
    if (r == 0 && c->token_set && !in_uri && c->pin_source[0] == '\0')
        r = kw_fail(err, KW_USAGE,
                    "an agent has no terminal: set [token] pin_source = file:/PATH or "
                    "credential:NAME");
    if (r == 0 && c->token_set)
        r = from_source(c->pin_source, "[token] pin_source", err);
    if (r == 0)
        r = from_source(c->client_secret_source, "client_secret_source", err);
    if (r == 0 && (strcmp(c->source_type, "token") == 0 || c->client_cert[0] != '\0'))
        r = kw_fail(err, KW_USAGE,
                    "an agent serves jobs that say by a JWT of their own who they are; [source] "
                    "type = token and [google] client_cert would make all of them the same");
    if (r == 0 && c->issuer[0] == '\0')
        r = kw_fail(err, KW_USAGE,
                    "profile %s has no [policy %s] issuer: an agent serves jobs of several users, "
                    "so their JWTs must be judged (issuer, and claim rules)",
                    c->profile, c->profile);
    if (r == 0 && c->key_stored)
        r = kw_fail(err, KW_USAGE,
                    "[key] storage = token is for commands without an agent, whose sessions live "
                    "in its processes");
    return r;
}
