/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS client key: signs what a TLS 1.3 client signs to prove that it has the key, and
 * nothing else (RFC 8446 section 4.4.3: 64 spaces, a context string, a NUL, and the hash of
 * the handshake so far). Whose handshake that is can't be seen here; for which servers it
 * can be is what the dial policy bounds. */
#include <string.h>

#include "keeper.h"

static const char context[] = "TLS 1.3, client CertificateVerify";
enum { SPACES = 64, HEAD = SPACES + (int)sizeof context, SHA256_N = 32, SHA384_N = 48 };

bool kw_tls_content_ok(const unsigned char *p, size_t n)
{
    if (n != (size_t)HEAD + SHA256_N && n != (size_t)HEAD + SHA384_N)
        return false;
    for (size_t i = 0; i < SPACES; i++)
        if (p[i] != ' ')
            return false;
    return memcmp(p + SPACES, context, sizeof context) == 0;
}

static int prepare(struct kw_keeper *k, const struct kw_m_tls *m, struct kw_job *j)
{
    if (!k->tls.there)
        return kw_fail(&j->err, KW_POLICY, "no TLS client key is configured");
    if (!kw_tls_content_ok(m->content.p, m->content.len))
        return kw_fail(&j->err, KW_POLICY,
                       "the TLS client key signs the CertificateVerify of a TLS 1.3 client only");
    kw_put(&j->data, m->content.p, m->content.len);
    int r = kw_keeper_client_use(k, &j->err);
    return r != 0 ? r : kw_note_tls(k, &j->err);
}

int kw_keeper_tls(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_tls m;
    if (!kw_msg_get(&in->body, KW_S_TLS, &m))
        return kw_fail(err, KW_FAILED, "%s: malformed S_TLS", kw_channel_name(p->chan.name));
    struct kw_job *j = kw_job_new(KW_S_SIGNED);
    if (j == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    j->signer = &k->tls;
    j->result = prepare(k, &m, j);
    if (j->result != 0)
        kw_note_refusal(k, "tls", NULL, &j->err);
    kw_job_submit(k, p, j);
    return kw_keeper_patience(k, p, err);
}
