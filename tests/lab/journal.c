/* SPDX-License-Identifier: Apache-2.0
 *
 * What was received, for tests to compare with what was signed: the last thousand
 * requests, without a secret (no Authorization, no body, no unknown header's value).
 */
#include <string.h>
#include <time.h>

#include "lab.h"

enum { KEPT = 1000 };

/* The signing string may be shown if it holds nothing but the well-known headers. */
static bool harmless(const char *names)
{
    static const char *const known[] = {"(request-target)", "host",           "date",
                                        "x-date",           "content-length", "content-type",
                                        "x-content-sha256"};
    for (const char *p = names; *p != 0;) {
        size_t n = strcspn(p, " "), i = 0;
        while (i < 7 && (strlen(known[i]) != n || strncasecmp(known[i], p, n) != 0))
            i++;
        if (i == 7)
            return false;
        p += n + (p[n] == ' ');
    }
    return names[0] != 0;
}

static json_t *words(const char *text)
{
    json_t *list = json_array();
    while (*text != 0) {
        size_t n = strcspn(text, " ");
        json_array_append_new(list, json_stringn(text, n));
        text += n + (text[n] == ' ');
    }
    return list;
}

static const char *fault_of(const struct lab_request *r)
{
    for (int k = 0; k < LAB_FAULTS; k++)
        if (r->hit.on[k])
            return lab_fault_name((enum lab_fault)k);
    return "";
}

static json_t *entry(struct lab *l, const struct lab_request *r, const struct lab_response *a)
{
    const char *id = lab_header(r, "opc-request-id");
    json_t *e = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:I, s:s?}", "time",
        (json_int_t)lab_now(l), "method", r->method == NULL ? "" : r->method, "host",
        r->authority == NULL ? "" : r->authority, "target", r->target == NULL ? "" : r->target,
        "sni", r->sni, "tls", r->tls, "port", (int)r->port, "status", a->status, "verdict",
        r->verdict, "principal", r->principal, "fault", fault_of(r), "body_bytes",
        (json_int_t)r->body.len, "opc_request_id", id);
    json_t *names = json_array();
    for (size_t i = 0; i < r->n_headers; i++)
        json_array_append_new(names, json_string(r->headers[i].name));
    json_object_set_new(e, "headers", names);
    json_object_set_new(e, "signed", words(r->signed_names));
    if (r->signing.len > 0 && !r->signing.bad && harmless(r->signed_names))
        json_object_set_new(e, "signing_string",
                            json_stringn((const char *)r->signing.p, r->signing.len));
    else
        json_object_set_new(e, "signing_string", json_null());
    return e;
}

void lab_journal_add(struct lab *l, const struct lab_request *r, const struct lab_response *a)
{
    json_t *e = entry(l, r, a);
    pthread_mutex_lock(&l->journal.lock);
    json_object_set_new(e, "n", json_integer((json_int_t)++l->journal.seen));
    if (json_array_size(l->journal.entries) == KEPT)
        json_array_remove(l->journal.entries, 0);
    json_array_append_new(l->journal.entries, e);
    pthread_mutex_unlock(&l->journal.lock);
}

json_t *lab_journal_copy(struct lab_journal *j)
{
    pthread_mutex_lock(&j->lock);
    json_t *copy = json_deep_copy(j->entries);
    pthread_mutex_unlock(&j->lock);
    return copy;
}

void lab_journal_clear(struct lab_journal *j)
{
    pthread_mutex_lock(&j->lock);
    json_array_clear(j->entries);
    j->seen = 0;
    pthread_mutex_unlock(&j->lock);
}
