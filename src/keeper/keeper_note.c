/* SPDX-License-Identifier: Apache-2.0
 *
 * What the keeper writes into the audit log (fields: audit.h). */
#include <stdio.h>
#include <string.h>

#include "keeper.h"
#include "src/base/b64.h"
#include "src/base/log.h"

/* For what has happened already. Where a line before it was lost, that has been told. */
static void write_or_warn(struct kw_keeper *k, const char *event, json_t *fields, bool durable,
                          const char *what)
{
    struct kw_err err;
    bool known = k->audit.failed;
    if (kw_audit_write(&k->audit, event, fields, durable, &err) != 0 && !known)
        kw_log(KW_WARN, "%s was not logged: %s", what, err.text);
}

int kw_note_login(struct kw_keeper *k, struct kw_err *err)
{
    const struct kw_m_keeper_ready *r = &k->ready;
    json_t *o =
        json_pack("{s:o,s:o,s:o,s:s,s:o,s:o,s:s,s:s}", "token", kw_audit_text(r->label), "serial",
                  kw_audit_text(r->serial), "module", kw_audit_text(k->cfg.module), "mechanism",
                  r->mechanism, "profile", kw_audit_text(k->cfg.profile), "caller",
                  kw_audit_text(k->cfg.caller), "fences", r->fences, "missing", r->missing);
    /* Without a module there was no login, but a start. */
    return kw_audit_write(&k->audit, k->p11 != NULL ? "login" : "start", o, true, err);
}

int kw_note_key(struct kw_keeper *k, const char *what, const struct kw_p11_key *key,
                struct kw_err *err)
{
    char id[65];
    kw_hex(id, key->id, key->id_len);
    json_t *o =
        json_pack("{s:s,s:s,s:i,s:i,s:b,s:s,s:o}", "what", what, "id", id, "rung", (int)key->rung,
                  "bits", (int)key->bits, "stored", key->token_object, "attributes",
                  key->attributes, "spki", kw_audit_bytes(key->spki, key->spki_len));
    return kw_audit_write(&k->audit, "key", o, true, err);
}

int kw_note_verdict(struct kw_keeper *k, const struct kw_m_verdict *v, struct kw_err *err)
{
    json_t *o = json_pack("{s:i,s:i,s:o}", "weaknesses", (int)v->weaknesses, "accepted",
                          (int)k->cfg.accept, "text", kw_audit_text(v->text));
    return kw_audit_write(&k->audit, "verdict", o, true, err);
}

int kw_note_session(struct kw_keeper *k, struct kw_err *err)
{
    const struct kw_m_keeper_session *s = &k->session_info;
    json_t *o = json_pack("{s:o,s:o,s:I,s:o}", "principal", kw_audit_text(s->principal), "claims",
                          kw_audit_text(s->claims), "not_after", (json_int_t)s->not_after, "caller",
                          kw_audit_text(k->cfg.caller));
    return kw_audit_write(&k->audit, "session", o, true, err);
}

/* The parts of a request that are logged: of the target only the path, and of that only
 * its hash, because names of objects and queries can be secrets. */
static json_t *request(const struct kw_keeper *k, const struct kw_m_sign *m)
{
    char sha[65];
    struct kw_err ignored; /* whoever writes a line without fields says why it can't */
    if (kw_audit_sha256(m->target, strcspn(m->target, "?"), sha, &ignored) != 0)
        return NULL;
    const char *key = m->key == KW_SIGN_CLIENT   ? "client"
                      : m->key == KW_SIGN_BEARER ? "bearer"
                                                 : "session";
    return json_pack("{s:s,s:o,s:o,s:s,s:o}", "key", key, "method", kw_audit_text(m->method),
                     "host", kw_audit_text(m->host), "path_sha256", sha, "caller",
                     kw_audit_text(k->cfg.caller));
}

int kw_note_sign(struct kw_keeper *k, const struct kw_m_sign *m, const char *rule,
                 struct kw_err *err)
{
    json_t *o = request(k, m);
    if (json_object_set_new(o, "rule", kw_audit_text(rule)) != 0) {
        json_decref(o);
        o = NULL;
    }
    return kw_audit_write(&k->audit, m->key == KW_SIGN_BEARER ? "call" : "sign", o, false, err);
}

/* (The target is the account's name, which is no secret.) */
int kw_note_impersonate(struct kw_keeper *k, const struct kw_m_allow *m, struct kw_err *err)
{
    json_t *o = json_pack("{s:o,s:o,s:o}", "host", kw_audit_text(m->host), "target",
                          kw_audit_text(m->target), "caller", kw_audit_text(k->cfg.caller));
    return kw_audit_write(&k->audit, "impersonate", o, false, err);
}

int kw_note_given(struct kw_keeper *k, const struct kw_m_keeper_session *m, struct kw_err *err)
{
    json_t *o = json_pack("{s:o,s:o,s:I,s:o}", "subject", kw_audit_text(m->principal), "claims",
                          kw_audit_text(m->claims), "not_after", (json_int_t)m->not_after, "caller",
                          kw_audit_text(k->cfg.caller));
    return kw_audit_write(&k->audit, "given", o, true, err);
}

int kw_note_assert(struct kw_keeper *k, const char *audience, const char *jti, struct kw_err *err)
{
    json_t *o = json_pack("{s:o,s:s,s:o}", "audience", kw_audit_text(audience), "jti", jti,
                          "caller", kw_audit_text(k->cfg.caller));
    return kw_audit_write(&k->audit, "assert", o, false, err);
}

int kw_note_tls(struct kw_keeper *k, struct kw_err *err)
{
    json_t *o =
        json_pack("{s:s,s:o}", "what", "client handshake", "caller", kw_audit_text(k->cfg.caller));
    return kw_audit_write(&k->audit, "tls", o, false, err);
}

int kw_note_issue(struct kw_keeper *k, const struct kw_m_issue *m, const char *jti,
                  struct kw_err *err)
{
    char sha[65];
    int r = kw_audit_sha256(m->claims, strlen(m->claims), sha, err); /* too long for a line */
    if (r != 0)
        return r;
    json_t *o = json_pack("{s:o,s:o,s:s,s:i,s:s,s:o}", "subject", kw_audit_text(m->subject),
                          "audience", kw_audit_text(m->audience), "claims_sha256", sha, "lifetime",
                          (int)m->lifetime, "jti", jti, "caller", kw_audit_text(k->cfg.caller));
    return kw_audit_write(&k->audit, "issue", o, true, err);
}

void kw_note_refusal(struct kw_keeper *k, const char *what, const struct kw_m_sign *m,
                     const struct kw_err *why)
{
    json_t *o = m != NULL ? request(k, m) : json_object();
    k->refusals++;
    bool ok = json_object_set_new(o, "what", json_string(what)) == 0 &&
              json_object_set_new(o, "reason", kw_audit_text(why->text)) == 0;
    if (!ok) {
        json_decref(o);
        o = NULL;
    }
    write_or_warn(k, "refusal", o, false, "a refusal");
}

void kw_note_destroyed(struct kw_keeper *k, const char *id, const char *why,
                       const struct kw_err *failed)
{
    json_t *o = failed == NULL ? json_pack("{s:s,s:s}", "id", id, "why", why)
                               : json_pack("{s:s,s:s,s:o}", "id", id, "why", why, "failed",
                                           kw_audit_text(failed->text));
    write_or_warn(k, "destroyed", o, true, "the key's end");
}

void kw_note_end(struct kw_keeper *k)
{
    json_t *o = json_pack("{s:I,s:I}", "signatures", (json_int_t)k->signatures, "refusals",
                          (json_int_t)k->refusals);
    write_or_warn(k, "end", o, true, "the end");
}

/* --- the head ----------------------------------------------------------------- */

struct head {
    struct kw_keeper *k;
    struct kw_signer *signer;
};

static int sign_head(void *arg, const void *data, size_t n, unsigned char *sig, size_t *ret_n,
                     struct kw_err *err)
{
    const struct head *h = arg;
    int r = kw_p11_sign(h->k->p11, &h->signer->key, data, n, sig, ret_n, err);
    return r != 0 ? r : kw_p11_check(&h->signer->key, data, n, sig, *ret_n, err);
}

/* The audit key, else the session key once the token has shown that it keeps it. */
static struct kw_signer *head_signer(struct kw_keeper *k)
{
    if (k->auditor.there)
        return &k->auditor;
    return k->session->there && k->verdict_in && !atomic_load(&k->session->broken) ? k->session
                                                                                   : NULL;
}

/* Hands the head of what is in the log now to the clerk. That it is all on the disk is part of
 * what a head says. */
static int begin_head(struct kw_keeper *k, struct kw_signer *signer, struct kw_err *err)
{
    char bytes[128];
    struct kw_job *j = kw_job_new(KW_MSG_NONE);
    if (j == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    k->head_mark = kw_audit_mark(&k->audit);
    memcpy(k->head_key, k->audit_key, sizeof k->head_key);
    size_t n = kw_audit_head_bytes(k->head_mark.of, k->head_mark.hash, bytes);
    kw_put(&j->data, bytes, n);
    j->signer = signer;
    j->check = true;
    j->sync_fd = k->audit.fd;
    k->head = j;
    kw_job_queue(&k->clerk, j);
    return 0;
}

static void warn_head(const struct kw_err *err)
{
    kw_log(KW_WARN, "the audit log's head was not signed: %s", err->text);
}

void kw_note_head_step(struct kw_keeper *k)
{
    struct kw_job *j = k->head;
    if (j == NULL || !kw_job_done(&k->clerk, j))
        return;
    k->head = NULL;
    bool known = k->audit.failed;
    if (j->result == 0)
        j->result = kw_audit_head_line(&k->audit, &k->head_mark, k->head_key, j->sig, j->sig_n,
                                       false, &j->err);
    if (j->result != 0 && !known)
        warn_head(&j->err);
    kw_job_free(j);
}

void kw_note_head(struct kw_keeper *k, bool now)
{
    struct head h = {k, head_signer(k)};
    if (h.signer == NULL || k->audit.fd < 0 ||
        (!now && (k->head != NULL || k->audit.behind < KW_AUDIT_EVERY)))
        return;
    struct kw_err err;
    const struct kw_p11_key *key = &h.signer->key;
    int r = 0;
    bool known = k->audit.failed;
    if (k->audit_key[0] == '\0')
        r = kw_audit_key(&k->audit, key->spki, key->spki_len,
                         h.signer == &k->auditor ? "audit key" : "session key", k->audit_key, &err);
    if (r == 0 && now)
        r = kw_audit_head(&k->audit, k->audit_key, sign_head, &h, &err);
    else if (r == 0)
        r = begin_head(k, h.signer, &err);
    if (r != 0 && !known)
        warn_head(&err);
}
