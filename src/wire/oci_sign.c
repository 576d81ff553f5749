/* SPDX-License-Identifier: Apache-2.0
 *
 * The signing string and what goes around it. Every doubt is an error: a string that
 * two readers could understand differently must never be signed. */
#include "oci_sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hdr.h"
#include "httpdate.h"
#include "src/base/b64.h"

enum { NAME = 128, VALUE = 8192 };

static const char request_target[] = "(request-target)";

/* --- what has a signed body ----------------------------------------------------- */

/* Object Storage answers under a host with the label "objectstorage": the regional
 * name, the namespace's own name and private endpoints, in every realm. */
static bool is_object_storage(const char *host)
{
    static const char label[] = "objectstorage";
    size_t n = sizeof label - 1;
    for (const char *p = host; *p != '\0';) {
        size_t len = strcspn(p, ".:");
        if (len == n && strncasecmp(p, label, n) == 0 && p[len] == '.')
            return true;
        p += len;
        if (*p != '.')
            break;
        p++;
    }
    return false;
}

/* Steps over one non-empty path segment and the slash after it; NULL if there is none. */
static const char *skip_segment(const char *p)
{
    size_t n = strcspn(p, "/?");
    return n > 0 && p[n] == '/' ? p + n + 1 : NULL;
}

/* PUT /n/{namespace}/b/{bucket}/o/{object} (PutObject) and .../u/{object} (UploadPart);
 * an object's name may hold slashes but isn't empty. */
static bool is_object_upload(const char *method, const char *target)
{
    if (strcmp(method, "PUT") != 0 || strncmp(target, "/n/", 3) != 0)
        return false;
    const char *p = skip_segment(target + 3);
    if (p == NULL || strncmp(p, "b/", 2) != 0)
        return false;
    p = skip_segment(p + 2);
    if (p == NULL || (strncmp(p, "o/", 2) != 0 && strncmp(p, "u/", 2) != 0))
        return false;
    return p[2] != '\0' && p[2] != '?';
}

bool kw_oci_signs_body(const char *method, const char *host, const char *target)
{
    if (strcmp(method, "POST") != 0 && strcmp(method, "PUT") != 0 && strcmp(method, "PATCH") != 0)
        return false;
    return !(is_object_storage(host) && is_object_upload(method, target));
}

/* --- the signing string --------------------------------------------------------- */

/* Which of the lines that matter have been seen. */
enum seen {
    SEEN_TARGET = 1,
    SEEN_HOST = 2,
    SEEN_DATE = 4,
    SEEN_X_DATE = 8,
    SEEN_LENGTH = 16,
    SEEN_TYPE = 32,
    SEEN_HASH = 64,
};
static const struct {
    const char *name;
    unsigned bit;
} known[] = {
    {request_target, SEEN_TARGET},
    {"host", SEEN_HOST},
    {"date", SEEN_DATE},
    {"x-date", SEEN_X_DATE},
    {"content-length", SEEN_LENGTH},
    {"content-type", SEEN_TYPE},
    {"x-content-sha256", SEEN_HASH},
};

static unsigned known_bit(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcasecmp(known[i].name, name) == 0)
            return known[i].bit;
    return 0;
}

static void lower(char *s)
{
    for (; *s != '\0'; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

/* A method is upper-case letters; a target starts with a slash; a host is what a Host
 * header can be. No byte of them may end a line or mean two things. */
static bool request_ok(const struct kw_m_sign *m)
{
    if (*m->method == '\0' || m->method[strspn(m->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0')
        return false;
    if (*m->host == '\0' ||
        m->host[strspn(m->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789.-_:[]")] != '\0')
        return false;
    if (m->target[0] != '/')
        return false;
    for (const char *p = m->target; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p > 0x7e || *p == '#')
            return false;
    return true;
}

/* One line of the string. The pseudo-lines have no value of their own: it comes from
 * the request, so that it can't differ from what policy judged. */
static int put_line(const struct kw_m_sign *m, const char *name, const char *value, unsigned bit,
                    struct kw_buf *b, struct kw_err *err)
{
    bool pseudo = bit == SEEN_TARGET || bit == SEEN_HOST;
    size_t n = strlen(value);
    if (pseudo != (n == 0) || (n > 0 && (strchr(" \t", value[0]) || strchr(" \t", value[n - 1]))))
        return kw_fail(err, KW_FAILED, "request to be signed: header %s has %s", name,
                       pseudo   ? "a value, which must come from the request itself"
                       : n == 0 ? "no value"
                                : "white space around its value");
    if (b->len > 0)
        kw_put_str(b, "\n");
    kw_put_str(b, name);
    kw_put_str(b, ": ");
    if (bit == SEEN_TARGET) {
        char method[sizeof m->method];
        (void)snprintf(method, sizeof method, "%s", m->method);
        lower(method);
        kw_put_str(b, method);
        kw_put_str(b, " ");
    }
    kw_put_str(b, bit == SEEN_TARGET ? m->target : bit == SEEN_HOST ? m->host : value);
    return 0;
}

/* Whether name occurs among the lines in [from, until). */
static bool seen_before(const char *from, const char *until, const char *name)
{
    char n[NAME], v[VALUE];
    while (from < until && kw_hdr_next(&from, n, sizeof n, v, sizeof v) == 1)
        if (strcasecmp(n, name) == 0)
            return true;
    return false;
}

static int require(unsigned seen, const struct kw_m_sign *m, struct kw_err *err)
{
    unsigned need = SEEN_TARGET | SEEN_HOST;
    if (kw_oci_signs_body(m->method, m->host, m->target))
        need |= SEEN_LENGTH | SEEN_TYPE | SEEN_HASH;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if ((need & ~seen & known[i].bit) != 0)
            return kw_fail(err, KW_FAILED, "request to be signed: %s to %s must sign %s", m->method,
                           m->host, known[i].name);
    if ((seen & (SEEN_DATE | SEEN_X_DATE)) == 0)
        return kw_fail(err, KW_FAILED, "request to be signed: neither date nor x-date is signed");
    return 0;
}

int kw_oci_signing_string(const struct kw_m_sign *m, struct kw_buf *b, struct kw_err *err)
{
    if (!request_ok(m))
        return kw_fail(err, KW_FAILED, "request to be signed: malformed method, host or target");
    char name[NAME], value[VALUE];
    unsigned seen = 0;
    const char *cursor = m->headers, *line = cursor;
    int more;
    struct kw_buf s; /* b may already hold something; a line break depends on what is ours */
    kw_buf_init(&s, KW_LINES + KW_TARGET + KW_HOST);
    int r = 0;
    while ((more = kw_hdr_next(&cursor, name, sizeof name, value, sizeof value)) == 1 && r == 0) {
        unsigned bit = known_bit(name);
        lower(name);
        if ((bit & seen) != 0 || (bit == 0 && seen_before(m->headers, line, name)))
            r = kw_fail(err, KW_FAILED, "request to be signed: header %s occurs twice", name);
        else
            r = put_line(m, name, value, bit, &s, err);
        seen |= bit;
        line = cursor;
    }
    if (r == 0 && more < 0)
        r = kw_fail(err, KW_FAILED, "request to be signed: malformed header line");
    if (r == 0)
        r = require(seen, m, err);
    if (r == 0 && s.len > 0)
        kw_put(b, s.p, s.len);
    if (r == 0 && (s.bad || b->bad))
        r = kw_fail(err, KW_FAILED, "request to be signed: too long");
    kw_buf_free(&s);
    return r;
}

/* --- the header lines of a request ---------------------------------------------- */

struct lines {
    const struct kw_oci_request *r;
    char *sign, *send;
    size_t sign_size, send_size;
    bool full;
};

static void add_pseudo(struct lines *l, const char *name)
{
    size_t have = strlen(l->sign);
    if (strlen(name) + 2 > l->sign_size - have)
        l->full = true;
    else
        (void)snprintf(l->sign + have, l->sign_size - have, "%s\n", name);
}

/* Signs name with the caller's value, else with `value`, which then must be sent too. */
static void add(struct lines *l, const char *name, const char *value)
{
    char own[VALUE];
    bool given = kw_hdr_find(l->r->headers, name, own, sizeof own);
    if (!kw_hdr_add(l->sign, l->sign_size, name, given ? own : value) ||
        (!given && !kw_hdr_add(l->send, l->send_size, name, value)))
        l->full = true;
}

static int contradiction(const char *name, const char *why, struct kw_err *err)
{
    return kw_fail(err, KW_USAGE, "header %s %s; leave it out", name, why);
}

/* The caller's value of name must be `must`, if there is one. */
static int agree(const char *headers, const char *name, const char *must, struct kw_err *err)
{
    char own[VALUE];
    if (!kw_hdr_find(headers, name, own, sizeof own) || strcasecmp(own, must) == 0)
        return 0;
    return contradiction(name, "contradicts the request", err);
}

static int check_caller(const struct kw_oci_request *r, bool body, const char *length,
                        struct kw_err *err)
{
    static const char *const once[] = {
        "host",          "date",           "x-date",
        "content-type",  "content-length", "x-content-sha256",
        "opc-obo-token", "x-subscription", "x-cross-tenancy-request"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        int n = kw_hdr_count(r->headers, once[i]);
        if (n < 0)
            return kw_fail(err, KW_USAGE, "malformed header; give each as \"Name: value\"");
        if (n > 1)
            return contradiction(once[i], "is given twice", err);
    }
    if (kw_hdr_count(r->headers, "authorization") != 0)
        return contradiction("authorization", "is what keyward makes", err);
    if (body && kw_hdr_count(r->headers, "transfer-encoding") != 0)
        return contradiction("transfer-encoding", "can't go with a signed length", err);
    int bad = agree(r->headers, "host", r->host, err);
    if (bad == 0 && (body || r->has_body))
        bad = agree(r->headers, "content-length", length, err);
    char hash[128]; /* base64 has two cases, so agree() won't do */
    if (bad == 0 && body && kw_hdr_count(r->headers, "x-content-sha256") == 1 &&
        (!kw_hdr_find(r->headers, "x-content-sha256", hash, sizeof hash) ||
         strcmp(hash, r->body_sha256) != 0))
        bad = contradiction("x-content-sha256", "is not the body's hash", err);
    return bad;
}

int kw_oci_header_lines(const struct kw_oci_request *r, char *sign, size_t sign_size, char *send,
                        size_t send_size, struct kw_err *err)
{
    struct lines l = {r, sign, send, sign_size, send_size, false};
    bool body = kw_oci_signs_body(r->method, r->host, r->target);
    char date[KW_HTTPDATE], length[24];
    sign[0] = send[0] = '\0';
    (void)snprintf(length, sizeof length, "%" PRIu64, r->has_body ? r->body_len : 0);
    int bad = check_caller(r, body, length, err);
    if (bad != 0)
        return bad;
    if (!kw_httpdate_print(r->now, date))
        return kw_fail(err, KW_FAILED, "the clock is outside of the years 1970 to 9999");

    /* A caller's x-date decides at the server, and is the TypeScript SDK's way, whose
     * body part has the type before the length. */
    bool x_date = kw_hdr_count(r->headers, "x-date") == 1;
    add(&l, x_date ? "x-date" : "date", date);
    add_pseudo(&l, request_target);
    add_pseudo(&l, "host");
    if (body && x_date)
        add(&l, "content-type", "application/json");
    if (body)
        add(&l, "content-length", length);
    if (body && !x_date)
        add(&l, "content-type", "application/json");
    if (body)
        add(&l, "x-content-sha256", r->body_sha256);

    /* What the Java SDK appends: these change who asks, so they must not go unsigned. */
    static const char *const who[] = {"opc-obo-token", "x-cross-tenancy-request", "x-subscription"};
    for (size_t i = 0; i < sizeof who / sizeof who[0]; i++)
        if (kw_hdr_count(r->headers, who[i]) == 1)
            add(&l, who[i], "");
    return l.full ? kw_fail(err, KW_USAGE, "the request's headers are malformed or too long") : 0;
}

/* --- Authorization -------------------------------------------------------------- */

void kw_oci_authorization(const char *key_id_prefix, const char *key_id, const char *sign_lines,
                          const unsigned char *signature, size_t n, struct kw_buf *b)
{
    char name[NAME], value[VALUE];
    const char *space = "";
    kw_put_str(b, "Signature version=\"1\",keyId=\"");
    kw_put_str(b, key_id_prefix);
    kw_put_str(b, key_id);
    kw_put_str(b, "\",algorithm=\"rsa-sha256\",headers=\"");
    while (kw_hdr_next(&sign_lines, name, sizeof name, value, sizeof value) == 1) {
        kw_put_str(b, space);
        kw_put_str(b, name);
        space = " ";
    }
    kw_put_str(b, "\",signature=\"");
    kw_b64_put(b, signature, n);
    kw_put_str(b, "\"");
}
