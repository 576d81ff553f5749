/* SPDX-License-Identifier: Apache-2.0
 *
 * One signed API call over an open session: `request`. Bodies go through pipes, so
 * that the exchanger never holds a descriptor of a file.
 */
#ifndef KW_CALL_H
#define KW_CALL_H

#include "session.h"
#include "src/cli/args.h"

/* What is sent: read from memory, a file or standard input (spooled). */
struct kw_body {
    int fd;          /* -1: no body; else positioned at its start */
    uint64_t len;    /* bytes */
    char sha256[64]; /* standard base64 */
};

/* Fills *b from curl-like data: "text", "@file", "@-" (standard input, at most
 * KW_BODY_SPOOL bytes). NULL: no body, the hash of nothing. */
#define KW_BODY_SPOOL (256u * 1024u * 1024u)
int kw_body_open(const char *data, struct kw_body *b, struct kw_err *err);
void kw_body_close(struct kw_body *b);

/* The method in upper case; KW_USAGE if it is none that OCI signs. */
int kw_method_check(const char *given, char *method, size_t size, struct kw_err *err);

/* Collects repeated -H options ("Name: value") into lines; KW_USAGE on bad ones and on
 * Host, Authorization, Content-Length, Transfer-Encoding and Connection, which are ours. */
int kw_header_options(const struct kw_args *args, char *lines, size_t size, struct kw_err *err);

/* What the profile wants told to Google with each call, unless the caller says otherwise. */
int kw_google_headers(const struct kw_config *c, char *lines, size_t size, struct kw_err *err);

/* Makes the call. begin() gets the status and headers, then data() each piece of the
 * body. After an error what came may be incomplete. Statuses are the caller's to judge. Of one
 * that was interrupted the exchanger `owes` its end (KW_XM_END). */
struct kw_sink {
    int (*begin)(void *arg, const struct kw_m_head *head, struct kw_err *err);
    int (*data)(void *arg, const void *bytes, size_t n, struct kw_err *err);
    void *arg;
};
int kw_call(struct kw_session *s, const char *method, const char *url, const char *headers,
            const struct kw_body *body, const struct kw_sink *sink, struct kw_err *err);

/* The same with the agent's session. */
struct kw_client;
int kw_call_by_agent(struct kw_client *k, const char *method, const char *url, const char *headers,
                     const struct kw_body *body, const struct kw_sink *sink, struct kw_err *err);

#endif
