/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing strings from hostile requests: method, host, target and header lines,
 * separated by NUL. What is accepted must be readable in one way only. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "src/wire/hdr.h"
#include "src/wire/httpdate.h"
#include "src/wire/oci_sign.h"

static const unsigned char *field(const unsigned char *p, const unsigned char *end, char *out,
                                  size_t room)
{
    const unsigned char *nul = p < end ? memchr(p, 0, (size_t)(end - p)) : NULL;
    size_t n = (size_t)((nul != NULL ? nul : end) - p);
    if (n >= room)
        n = room - 1;
    memcpy(out, p, n);
    out[n] = '\0';
    return nul != NULL ? nul + 1 : end;
}

/* As many lines as were given, each "name: value", one of them the request's target. */
static void check_string(const struct kw_m_sign *m, const char *s)
{
    size_t given = 0, made = 1, targets = 0;
    for (const char *p = m->headers; *p != '\0'; p++)
        given += *p == '\n';
    for (const char *p = s; *p != '\0'; p++)
        made += *p == '\n';
    must(given == made);
    for (const char *line = s; line != NULL;) {
        size_t n = strcspn(line, "\n");
        const char *colon = memchr(line, ':', n);
        must(colon != NULL && colon[1] == ' ' && n > (size_t)(colon - line) + 2);
        targets += strncmp(line, "(request-target): ", 18) == 0;
        for (size_t i = 0; i < n; i++)
            must((unsigned char)line[i] < 0x7f && (line[i] >= 0x20 || line[i] == '\t'));
        line = line[n] == '\n' ? line + n + 1 : NULL;
    }
    must(targets == 1);
}

static void sign_lines(const struct kw_m_sign *m, size_t size)
{
    static char sign[KW_LINES], send[KW_LINES];
    static struct kw_m_sign again;
    struct kw_err err;
    struct kw_buf b;
    struct kw_oci_request r = {m->method,
                               m->host,
                               m->target,
                               m->headers,
                               size % 2 == 0,
                               size,
                               "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                               (int64_t)size};
    if (kw_oci_header_lines(&r, sign, sizeof sign, send, sizeof send, &err) != 0)
        return;
    /* What we tell to sign is a legal list, whatever the caller's headers are: only their
     * values and the request itself can still be refused. */
    must(kw_hdr_count(sign, "host") == 1 && kw_hdr_count(sign, "(request-target)") == 1);
    must(kw_hdr_count(sign, "date") + kw_hdr_count(sign, "x-date") == 1);
    again = *m;
    memcpy(again.headers, sign, sizeof sign);
    kw_buf_init(&b, 1 << 20);
    if (kw_oci_signing_string(&again, &b, &err) == 0)
        check_string(&again, kw_buf_str(&b));
    kw_buf_reset(&b);
    kw_oci_authorization("ST$", "t", sign, (const unsigned char *)"x", 1, &b);
    must(strchr(kw_buf_str(&b), '\n') == NULL);
    kw_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_m_sign m;
    struct kw_err err;
    struct kw_buf b;
    fault_seed(data, &size);
    const unsigned char *end = data + size;
    const unsigned char *p = field(data, end, m.method, sizeof m.method);
    p = field(p, end, m.host, sizeof m.host);
    p = field(p, end, m.target, sizeof m.target);
    (void)field(p, end, m.headers, sizeof m.headers);
    kw_buf_init(&b, 1 << 20);
    fault_begin();
    int r = kw_oci_signing_string(&m, &b, &err);
    (void)fault_end();
    if (r == 0)
        check_string(&m, kw_buf_str(&b));
    kw_buf_free(&b);
    sign_lines(&m, size);

    char again[KW_HTTPDATE], date[64];
    int64_t t;
    (void)field(data, end, date, sizeof date);
    if (kw_httpdate_parse(date, &t))
        must(kw_httpdate_print(t, again) && strcmp(again, date) == 0);
    return 0;
}
