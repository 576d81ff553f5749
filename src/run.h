/* SPDX-License-Identifier: Apache-2.0
 *
 * `run`, from main's side: CMD and its proxy, from the stand-in credentials to the summary.
 *
 *   main ----fork----> launcher: namespaces, listeners, stand-in key ...... becomes CMD
 *     |  session as for any command (session.h), with a proxy beside the exchanger
 *     |  PM_SERVE: listeners, stand-in key's public half  ----> proxy
 *     |  PM_SESSION: the token                            ----> proxy
 *     |  go: the run's CA, the stand-in token             ----> launcher
 *     +- waits for CMD; renews the session before it ends
 */
#ifndef KW_RUN_H
#define KW_RUN_H

#include "launch.h"
#include "session.h"

#define KW_RUN_FAILED 125 /* exit code: keyward failed, as env(1) has it */

struct kw_run {
    const struct kw_config *config;
    struct kw_launch_want want;
    bool explain; /* each request on standard error */
    bool json;    /* the summary as an object */
};

/* Runs CMD to its end. 0: *ret_code is CMD's exit code (128+N for a signal). Else keyward
 * failed; *ret_code is 125, 126 or 127, and CMD, if it ran, was ended. */
int kw_run(const struct kw_run *run, int *ret_code, struct kw_err *err);

/* A message that the proxy sends on its own: events are shown, a wish is noted. */
int kw_run_told(struct kw_session *s, struct kw_in *in, struct kw_err *err);

/* run_decoy.c. A stand-in session token for OCI: a JWT in form (exp far ahead, tenancy), whose
 * signature is random: it is good for nothing but to be recognised by this run's proxy. */
int kw_decoy_jwt(const struct kw_session *s, int64_t now, struct kw_buf *out, struct kw_err *err);
/* The same for Google: an access token in form. */
int kw_decoy_bearer(struct kw_buf *out, struct kw_err *err);
/* The project of a service account's e-mail; "" where it names none. */
void kw_decoy_project(const char *email, char *out, size_t size);

#endif
