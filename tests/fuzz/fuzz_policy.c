/* SPDX-License-Identifier: Apache-2.0
 *
 * The signing policy and its patterns. Input, separated by NUL: hosts, methods, paths,
 * then method, host and target of a request that somebody wants signed. Patterns match as
 * the plainest possible matcher has it; budgets are kept. */
#include <stdint.h>
#include <string.h>

#include "fuzz.h"
#include "policy/rules.h"

enum { TEXT = 512 };

static const unsigned char *field(const unsigned char *p, const unsigned char *end, char *out,
                                  size_t room)
{
    const unsigned char *nul = p < end ? memchr(p, 0, (size_t)(end - p)) : NULL;
    size_t n = (size_t)((nul != NULL ? nul : end) - p);
    n = n < room ? n : room - 1;
    memcpy(out, p, n);
    out[n] = '\0';
    return nul != NULL ? nul + 1 : end;
}

static char lower(char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Row by row: row[j] is whether the pattern so far matches the first j bytes of text. */
static bool plain_glob(const char *pattern, const char *text, bool nocase)
{
    bool row[TEXT + 1] = {true};
    size_t n = strlen(text);
    for (const char *p = pattern; *p != '\0'; p++) {
        bool before = row[0];
        row[0] = row[0] && *p == '*';
        for (size_t j = 1; j <= n; j++) {
            bool here = row[j];
            row[j] = *p == '*'
                         ? row[j] || row[j - 1]
                         : before && (*p == '?' || lower(*p, nocase) == lower(text[j - 1], nocase));
            before = here;
        }
    }
    return row[n];
}

static void judge(struct kw_sign_policy *p, const char *method, const char *host,
                  const char *target)
{
    char rule[2048];
    unsigned allowed = 0;
    struct kw_err err;
    for (int i = 0; i < 5; i++) {
        int r =
            kw_sign_judge(p, method, host, target, i < 4 ? 1000 : 61000, rule, sizeof rule, &err);
        must(r == 0 ? strncmp(rule, "sign.host=", 10) == 0
                    : r == KW_POLICY && err.text[0] != '\0' && rule[0] == '\0');
        allowed += r == 0;
    }
    must(p->max_count == 0 || allowed <= p->max_count);
    must(p->per_minute == 0 || allowed <= 2 * p->per_minute);
    if (allowed > 0)
        must(strstr(p->methods, method) != NULL && target[0] == '/');
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char hosts[TEXT], methods[TEXT], paths[2 * TEXT], method[16], host[KW_HOST],
        target[KW_TARGET];
    fault_seed(data, &size); /* nothing in it can fail */
    if (size == 0)
        return 0;
    const unsigned char *end = data + size;
    const unsigned char *p = field(data + 1, end, hosts, sizeof hosts);
    p = field(p, end, methods, sizeof methods);
    p = field(p, end, paths, sizeof paths);
    p = field(p, end, method, sizeof method);
    p = field(p, end, host, sizeof host);
    (void)field(p, end, target, sizeof target);
    struct kw_sign_policy policy = {.hosts = hosts,
                                    .methods = methods,
                                    .paths = paths,
                                    .per_minute = data[0] & 3,
                                    .max_count = data[0] >> 2 & 3};
    judge(&policy, method, host, target);
    must(kw_glob(hosts, host, true) == plain_glob(hosts, host, true));
    if (strlen(target) < TEXT)
        must(kw_glob(paths, target, false) == plain_glob(paths, target, false));
    must(!kw_host_match(hosts, host) || kw_host_in(hosts, host));
    return 0;
}
