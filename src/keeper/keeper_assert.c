/* SPDX-License-Identifier: Apache-2.0
 *
 * Client assertions (RFC 7523 section 3, as OCI identity domains want them): the
 * keeper builds header and claims from its own configuration; the one thing that the
 * exchanger says, the audience, must be the domain that the client key is for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "keeper.h"
#include "src/base/b64.h"

enum { LIFE = 300, BACKDATED = 30 };

/* https://HOST, alone or with a path; no query, no user, no other port. */
static bool audience_ok(const struct kw_m_keeper_start *cfg, const char *audience)
{
    size_t n = strlen(cfg->client_host);
    return n > 0 && strncmp(audience, "https://", 8) == 0 &&
           strncasecmp(audience + 8, cfg->client_host, n) == 0 &&
           (audience[8 + n] == '\0' || audience[8 + n] == '/') &&
           strpbrk(audience, "?#@\\ \"") == NULL;
}

int kw_assertion_text(const struct kw_m_keeper_start *cfg, const char *audience, const char *jti,
                      int64_t now, struct kw_buf *b, struct kw_err *err)
{
    if (cfg->client_name[0] == '\0' || cfg->client_kid[0] == '\0')
        return kw_fail(err, KW_POLICY, "an assertion needs a client id and the key's kid");
    if (!audience_ok(cfg, audience))
        return kw_fail(err, KW_POLICY, "assertions are for https://%s only", cfg->client_host);
    int r = kw_jws_part(
        b, json_pack("{s:s,s:s,s:s}", "alg", "RS256", "typ", "JWT", "kid", cfg->client_kid), err);
    if (r != 0)
        return r;
    kw_put_str(b, ".");
    /* A domain's clock may be a little behind ours. */
    return kw_jws_part(b,
                       json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:s}", "iss", cfg->client_name, "sub",
                                 cfg->client_name, "aud", audience, "iat", (json_int_t)now, "nbf",
                                 (json_int_t)(now - BACKDATED), "exp",
                                 (json_int_t)(now + LIFE - BACKDATED), "jti", jti),
                       err);
}

static int prepare(struct kw_keeper *k, const char *audience, struct kw_job *j)
{
    unsigned char bytes[16];
    char jti[33];
    if (!k->client.there)
        return kw_fail(&j->err, KW_POLICY, "no client key is configured");
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return kw_fail_errno(&j->err, KW_FAILED, "could not get random bytes");
    kw_hex(jti, bytes, sizeof bytes);
    int r = kw_assertion_text(&k->cfg, audience, jti, time(NULL), &j->data, &j->err);
    if (r == 0)
        r = kw_keeper_client_use(k, &j->err);
    return r != 0 ? r : kw_note_assert(k, audience, jti, &j->err);
}

int kw_keeper_assert(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_assert m;
    if (!kw_msg_get(&in->body, KW_S_ASSERT, &m))
        return kw_fail(err, KW_FAILED, "%s: malformed S_ASSERT", kw_channel_name(p->chan.name));
    struct kw_job *j = kw_job_new(KW_S_ASSERTED);
    if (j == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    j->signer = &k->client;
    j->result = prepare(k, m.audience, j);
    if (j->result != 0)
        kw_note_refusal(k, "assert", NULL, &j->err);
    kw_job_submit(k, p, j);
    return kw_keeper_patience(k, p, err);
}
