/* SPDX-License-Identifier: Apache-2.0
 *
 * The claim policy over foreign claims. Input: lines "NAME PATTERN..." up to an empty
 * line ("!iss TEXT" and "!aud TEXT" set issuer and audience), then the claims as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "policy/rules.h"
#include "src/config/config.h"
#include "src/wire/jwt.h"

/* Takes the rules of p[0..n); returns how many bytes they were. */
static size_t take_rules(struct kw_config *c, const char *p, size_t n)
{
    size_t at = 0;
    while (at < n && p[at] != '\n') {
        const char *nl = memchr(p + at, '\n', n - at);
        size_t len = nl != NULL ? (size_t)(nl - p) - at : n - at;
        const char *blank = memchr(p + at, ' ', len);
        size_t name = blank != NULL ? (size_t)(blank - p) - at : len;
        if (p[at] == '!' && blank != NULL) {
            bool iss = name == 4 && memcmp(p + at, "!iss", 4) == 0;
            (void)snprintf(iss ? c->issuer : c->audience, sizeof c->issuer, "%.*s",
                           (int)(len - name - 1), blank + 1);
        } else if (c->n_rules < KW_CLAIM_RULES) {
            struct kw_claim_rule *r = &c->rules[c->n_rules++];
            (void)snprintf(r->claim, sizeof r->claim, "%.*s", (int)name, p + at);
            if (blank != NULL)
                (void)snprintf(r->values, sizeof r->values, "%.*s", (int)(len - name - 1),
                               blank + 1);
        }
        at += len + (nl != NULL ? 1 : 0);
    }
    return at < n ? at + 1 : n;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_config c;
    struct kw_jwt j;
    struct kw_err err = {0};
    char decided[96];
    memset(&c, 0, sizeof c);
    fault_seed(data, &size);
    size_t at = take_rules(&c, (const char *)data, size);
    fault_begin();
    int r = kw_jwt_claims((const char *)data + at, size - at, "it", KW_SUBJECT, &j, NULL);
    if (r != 0) {
        (void)fault_end();
        return 0;
    }
    r = kw_claims_judge(&c, &j, 1700000000, decided, sizeof decided, &err);
    (void)fault_end();
    must(strlen(decided) < sizeof decided);
    must(r == 0 || (r == KW_POLICY && err.code == KW_POLICY && err.text[0] != '\0'));
    for (const char *p = decided; *p != '\0'; p++)
        must(*p >= ' ' && *p < 0x7f);
    /* accepted means that each rule alone accepts, and the token is in time */
    if (r == 0) {
        int64_t exp;
        must(kw_jwt_time(&j, "exp", &exp) && exp > 1700000000);
        must(kw_claims_judge_times(&j, 1700000000, NULL) == 0);
        must(kw_claims_judge_who(&c, &j, NULL) == 0);
        for (size_t i = 0; i < c.n_rules; i++)
            must(kw_claims_judge_rule(&c, i, &j, NULL) == 0);
    }
    kw_jwt_free(&j);
    return 0;
}
