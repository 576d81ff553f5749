/* SPDX-License-Identifier: Apache-2.0
 *
 * JWTs by the issuer key: the token as identity provider. As everywhere, what is signed is
 * built here from fields: issuer and longest life are fixed at the start, registered claims
 * are ours, and what main adds are claims of other names. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "keeper.h"
#include "src/base/b64.h"
#include "src/wire/jwk.h"

enum { ISSUES_MAX = 64, BACKDATED = 5 };

int kw_jws_part(struct kw_buf *b, json_t *o, struct kw_err *err)
{
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    if (text != NULL)
        kw_b64url_put(b, text, strlen(text));
    bool ok = text != NULL && !b->bad;
    free(text);
    json_decref(o);
    return ok ? 0 : kw_fail(err, KW_FAILED, "could not build the JWT: it is too large");
}

static bool ours(const char *name)
{
    static const char *const registered[] = {"iss", "sub", "aud", "exp", "nbf", "iat", "jti"};
    for (size_t i = 0; i < sizeof registered / sizeof registered[0]; i++)
        if (strcmp(registered[i], name) == 0)
            return true;
    return name[0] == '\0';
}

/* Lines "name\tvalue\n". */
static int add_claims(json_t *o, const char *lines, struct kw_err *err)
{
    char name[128], value[4096];
    for (const char *p = lines; *p != '\0';) {
        size_t n = strcspn(p, "\t\n"), line = strcspn(p, "\n");
        if (p[n] != '\t' || n >= sizeof name || line - n - 1 >= sizeof value)
            return kw_fail(err, KW_USAGE, "a claim for the JWT is malformed or too long");
        memcpy(name, p, n);
        name[n] = '\0';
        memcpy(value, p + n + 1, line - n - 1);
        value[line - n - 1] = '\0';
        if (ours(name) || json_object_get(o, name) != NULL)
            return kw_fail(err, KW_USAGE, "the claim %s is %s", name,
                           ours(name) ? "set by keyward" : "given twice");
        if (json_object_set_new(o, name, json_string(value)) != 0)
            return kw_fail(err, KW_USAGE, "the claim %s is not UTF-8", name);
        p += line + (p[line] == '\n');
    }
    return 0;
}

static int text(struct kw_keeper *k, const struct kw_m_issue *m, struct kw_buf *b, const char *jti,
                struct kw_err *err)
{
    const struct kw_m_keeper_start *cfg = &k->cfg;
    char kid[KW_KID];
    const char *alg = "";
    int64_t now = (int64_t)time(NULL);
    int r = kw_jwk_public(k->issuer.key.spki, k->issuer.key.spki_len, NULL, kid, &alg, err);
    if (r == 0)
        r = kw_jws_part(b, json_pack("{s:s,s:s,s:s}", "alg", alg, "typ", "JWT", "kid", kid), err);
    if (r != 0)
        return r;
    kw_put_str(b, ".");
    json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:s}", "iss", cfg->issuer_name, "sub",
                          m->subject, "aud", m->audience, "iat", (json_int_t)(now - BACKDATED),
                          "nbf", (json_int_t)(now - BACKDATED), "exp",
                          (json_int_t)(now + m->lifetime), "jti", jti);
    r = o != NULL ? add_claims(o, m->claims, err)
                  : kw_fail(err, KW_USAGE, "subject or audience of the JWT are not UTF-8");
    if (r != 0) {
        json_decref(o);
        return r;
    }
    return kw_jws_part(b, o, err);
}

static int prepare(struct kw_keeper *k, const struct kw_m_issue *m, struct kw_job *j)
{
    unsigned char bytes[16];
    char jti[33];
    const struct kw_m_keeper_start *cfg = &k->cfg;
    if (!k->issuer.there)
        return kw_fail(&j->err, KW_POLICY, "no issuer key is configured");
    if (k->issues >= ISSUES_MAX)
        return kw_fail(&j->err, KW_POLICY, "%d JWTs were issued in this run already", ISSUES_MAX);
    if (m->lifetime < 1 || m->lifetime > cfg->issuer_life)
        return kw_fail(&j->err, KW_POLICY, "a JWT may live %u s at most ([issuer] lifetime)",
                       cfg->issuer_life);
    if (m->subject[0] == '\0' || m->audience[0] == '\0')
        return kw_fail(&j->err, KW_USAGE, "a JWT needs a subject and an audience");
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return kw_fail_errno(&j->err, KW_FAILED, "could not get random bytes");
    kw_hex(jti, bytes, sizeof bytes);
    int r = text(k, m, &j->data, jti, &j->err);
    k->issues += r == 0;
    return r != 0 ? r : kw_note_issue(k, m, jti, &j->err);
}

int kw_keeper_issue(struct kw_keeper *k, struct kw_in *in, struct kw_err *err)
{
    static struct kw_m_issue m; /* large */
    if (!kw_msg_get(&in->body, KW_KM_ISSUE, &m))
        return kw_fail(err, KW_FAILED, "main-keeper: malformed KM_ISSUE");
    struct kw_job *j = kw_job_new(KW_KM_ISSUED);
    if (j == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    j->signer = &k->issuer;
    j->result = prepare(k, &m, j);
    if (j->result != 0)
        kw_note_refusal(k, "issue", NULL, &j->err);
    kw_job_submit(k, &k->main, j);
    return 0;
}

int kw_keeper_public(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_m_public m = {.spki = {k->issuer.key.spki, k->issuer.key.spki_len}};
    struct kw_err why;
    if (k->issuer.there)
        return kw_tell_main(k, KW_KM_PUBLIC, &m, err);
    (void)kw_fail(&why, KW_POLICY, "no issuer key is configured");
    kw_msg_send_error(&k->main.chan, &why);
    return 0;
}
