/* SPDX-License-Identifier: Apache-2.0
 *
 * The reading half of the audit log: `keyward audit verify`. It believes nothing that
 * the file says but what follows from the hashes and from a key it was given. */
#include "audit.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/b64.h"

enum { SPKI = 1024, KEYS = 4096 };

struct announced {
    char id[65];
    size_t n;
    unsigned char spki[SPKI];
};

struct verify {
    const char *path;
    FILE *f;
    uint64_t number; /* of the line at hand, from 1; equals its seq */
    char (*hashes)[65];
    size_t room;
    struct announced *keys;
    size_t n_keys;
    char trusted[65]; /* id of the key that was given, "" if none */
    bool trusted_used;
    struct kw_audit_report *report;
    struct kw_err *err;
};

static int bad(struct verify *v, const char *why)
{
    v->report->bad_line = v->number;
    return kw_fail(v->err, KW_FAILED, "%s:%" PRIu64 ": %s", v->path, v->number, why);
}

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

/* --- keys --------------------------------------------------------------------- */

static int add_key(struct verify *v, const unsigned char *spki, size_t n, const char *id)
{
    for (size_t i = 0; i < v->n_keys; i++)
        if (strcmp(v->keys[i].id, id) == 0)
            return 0;
    struct announced *more =
        v->n_keys < KEYS && n <= SPKI ? realloc(v->keys, (v->n_keys + 1) * sizeof *more) : NULL;
    if (more == NULL)
        return bad(v, "too many keys");
    v->keys = more;
    struct announced *k = &more[v->n_keys++];
    memcpy(k->spki, spki, n);
    k->n = n;
    (void)snprintf(k->id, sizeof k->id, "%s", id);
    return 0;
}

/* The key that the user trusts, from a PEM file with a public key. */
static int load_trusted(struct verify *v, const char *path)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return kw_fail_errno(v->err, KW_USAGE, "could not open %s", path);
    EVP_PKEY *pk = PEM_read_PUBKEY(f, NULL, NULL, NULL);
    (void)fclose(f);
    unsigned char *der = NULL;
    int n = pk != NULL ? i2d_PUBKEY(pk, &der) : -1;
    int r;
    if (n <= 0)
        r = kw_fail(v->err, KW_USAGE, "%s holds no public key in PEM form (BEGIN PUBLIC KEY)",
                    path);
    else {
        r = kw_audit_sha256(der, (size_t)n, v->trusted, v->err);
        if (r == 0)
            r = add_key(v, der, (size_t)n, v->trusted);
    }
    OPENSSL_free(der);
    EVP_PKEY_free(pk);
    return r;
}

static int judge_key(struct verify *v, const json_t *o)
{
    const char *spki = text(o, "spki");
    struct kw_buf der;
    char id[65];
    kw_buf_init(&der, SPKI);
    int r = 0;
    if (!kw_b64_get(&der, spki, strlen(spki)) || der.len == 0)
        r = bad(v, "audit-key: spki is no base64 of a key");
    if (r == 0)
        r = kw_audit_sha256(der.p, der.len, id, v->err);
    if (r == 0)
        r = strcmp(id, text(o, "key")) == 0 ? add_key(v, der.p, der.len, id)
                                            : bad(v, "audit-key: key is not the hash of spki");
    kw_buf_free(&der);
    return r;
}

/* --- heads -------------------------------------------------------------------- */

static bool signature_good(const struct announced *k, const char *bytes, size_t n,
                           const struct kw_buf *sig)
{
    const unsigned char *p = k->spki;
    EVP_PKEY *pk = d2i_PUBKEY(NULL, &p, (long)k->n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = pk != NULL && ctx != NULL && EVP_PKEY_get_base_id(pk) == EVP_PKEY_RSA &&
                EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pk) == 1 &&
                EVP_DigestVerify(ctx, sig->p, sig->len, (const unsigned char *)bytes, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pk);
    return good;
}

/* Notes the key in the report, once. */
static void note_signer(struct verify *v, const char *id)
{
    char *keys = v->report->keys;
    size_t have = strlen(keys);
    if (strstr(keys, id) == NULL)
        (void)snprintf(keys + have, sizeof v->report->keys - have, "%s%s", have > 0 ? " " : "", id);
}

static int judge_head(struct verify *v, const json_t *o)
{
    json_int_t of = json_integer_value(json_object_get(o, "of"));
    const char *sig64 = text(o, "sig"), *id = text(o, "key");
    const struct announced *key = NULL;
    for (size_t i = 0; i < v->n_keys; i++)
        if (strcmp(v->keys[i].id, id) == 0)
            key = &v->keys[i];
    if (of <= 0 || (uint64_t)of >= v->number)
        return bad(v, "head: it is of no line before it");
    if (strcmp(v->hashes[of - 1], text(o, "hash")) != 0)
        return bad(v, "head: the line that it vouches for was changed");
    if (key == NULL)
        return bad(v, "head: its key was not announced");
    char bytes[128];
    size_t n = kw_audit_head_bytes((uint64_t)of, v->hashes[of - 1], bytes);
    struct kw_buf sig;
    kw_buf_init(&sig, 1024);
    bool good = kw_b64_get(&sig, sig64, strlen(sig64)) && signature_good(key, bytes, n, &sig);
    kw_buf_free(&sig);
    if (!good)
        return bad(v, "head: the signature is wrong");
    v->report->heads++;
    note_signer(v, id);
    bool counts = v->trusted[0] == '\0' || strcmp(v->trusted, id) == 0;
    v->trusted_used |= counts;
    if (counts && (uint64_t)of > v->report->proven)
        v->report->proven = (uint64_t)of;
    return 0;
}

/* --- lines -------------------------------------------------------------------- */

static int judge_fields(struct verify *v, const json_t *o)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    const char *prev = v->number > 1 ? v->hashes[v->number - 2] : zeros;
    const char *event = text(o, "event");
    const json_t *seq = json_object_get(o, "seq");
    if (!json_is_integer(seq) || *event == '\0' || *text(o, "time") == '\0' ||
        strlen(text(o, "run")) != 32)
        return bad(v, "seq, time, run or event is missing");
    if ((uint64_t)json_integer_value(seq) != v->number)
        return bad(v, "seq does not follow: a line is missing, doubled or out of its place");
    if (strcmp(prev, text(o, "prev")) != 0)
        return bad(v, v->number > 1 ? "prev is not the hash of the line before: one was changed"
                                    : "prev of the first line must be zeros: lines before it were "
                                      "taken away");
    if (strcmp(event, "audit-key") == 0)
        return judge_key(v, o);
    if (strcmp(event, "head") == 0)
        return judge_head(v, o);
    v->report->torn += strcmp(event, "torn") == 0;
    v->report->runs_ended += strcmp(event, "end") == 0;
    return 0;
}

static int remember_hash(struct verify *v, const char *line, size_t n)
{
    if (v->number > v->room) {
        size_t room = v->room > 0 ? v->room * 2 : 1024;
        char(*more)[65] = realloc(v->hashes, room * sizeof *more);
        if (more == NULL)
            return kw_fail(v->err, KW_FAILED, "out of memory");
        v->hashes = more;
        v->room = room;
    }
    return kw_audit_sha256(line, n, v->hashes[v->number - 1], v->err);
}

static int judge_line(struct verify *v, const char *line, size_t n)
{
    v->number++;
    if (n == 0 || line[n - 1] != '\n')
        return bad(v, "torn: no newline at its end; a crash, a full disk, or somebody cut the "
                      "file (the next run of keyward on this log says what was there)");
    n--;
    if (n >= KW_AUDIT_LINE)
        return bad(v, "longer than any audit line");
    int r = remember_hash(v, line, n);
    if (r != 0)
        return r;
    json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    r = json_is_object(o) ? judge_fields(v, o) : bad(v, "no JSON object");
    json_decref(o);
    if (r == 0)
        v->report->lines = v->number;
    return r;
}

static int judge_all(struct verify *v)
{
    char *line = NULL;
    size_t room = 0;
    int r = 0;
    ssize_t n;
    while (r == 0 && (n = getline(&line, &room, v->f)) > 0)
        r = judge_line(v, line, (size_t)n);
    free(line);
    /* Without memory for a line, getline() stops as if that were the end. */
    if (r == 0 && feof(v->f) == 0)
        r = kw_fail_errno(v->err, KW_USAGE, "could not read %s", v->path);
    if (r == 0 && v->number == 0)
        r = kw_fail(v->err, KW_FAILED, "%s is empty: no audit log", v->path);
    if (r == 0 && v->trusted[0] != '\0' && !v->trusted_used)
        r = kw_fail(v->err, KW_FAILED,
                    "%s: no head is signed by the key given (SHA-256 %s): nothing is proven",
                    v->path, v->trusted);
    return r;
}

int kw_audit_verify(const char *path, const char *key_path, struct kw_audit_report *ret,
                    struct kw_err *err)
{
    *ret = (struct kw_audit_report){0};
    struct verify v = {.path = path, .report = ret, .err = err};
    v.f = fopen(path, "re");
    if (v.f == NULL)
        return kw_fail_errno(err, KW_USAGE, "could not open %s", path);
    int r = key_path != NULL ? load_trusted(&v, key_path) : 0;
    if (r == 0)
        r = judge_all(&v);
    (void)fclose(v.f);
    free(v.hashes);
    free(v.keys);
    return r;
}
