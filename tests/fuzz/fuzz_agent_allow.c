/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and groups that may use the agent: [agent] allow. The system knows one name of each.
 * Input: the value. What is taken has as many numbers as it has words, and each is what the
 * word says; nothing that is no name and no number lets anybody in. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "src/agent/agent.h"

enum { USER = 1234, GROUP = 4321 };

struct passwd *__wrap_getpwnam(const char *name);
struct group *__wrap_getgrnam(const char *name);

struct passwd *__wrap_getpwnam(const char *name)
{
    static struct passwd known = {.pw_uid = USER};
    return strcmp(name, "ci") == 0 ? &known : NULL;
}

struct group *__wrap_getgrnam(const char *name)
{
    static struct group known = {.gr_gid = GROUP};
    return strcmp(name, "jobs") == 0 ? &known : NULL;
}

/* The number that a word means. */
static uint32_t meant(const char *word, size_t n)
{
    uint64_t number = 0;
    if (n == 2 && memcmp(word, "ci", n) == 0)
        return USER;
    if (n == 4 && memcmp(word, "jobs", n) == 0)
        return GROUP;
    must(n > 0);
    for (size_t i = 0; i < n; i++) {
        must(word[i] >= '0' && word[i] <= '9');
        number = number * 10 + (uint64_t)(word[i] - '0');
        must(number <= UINT32_MAX);
    }
    return (uint32_t)number;
}

static void check(const char *text, const struct kw_allowed *a)
{
    unsigned users = 0, groups = 0;
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (*p == '@')
            must(groups < a->n_gids && a->gids[groups++] == meant(p + 1, n - 1));
        else
            must(users < a->n_uids && a->uids[users++] == meant(p, n));
        p += n + strspn(p + n, " ");
    }
    must(users == a->n_uids && groups == a->n_gids);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_allowed a;
    struct kw_err err = {0};
    fault_seed(data, &size); /* nothing in it can fail */
    char *text = malloc(size + 1);
    must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    int r = kw_allowed_read(text, &a, &err);
    must(r == 0 || (r == KW_USAGE && err.text[0] != '\0'));
    if (r == 0)
        check(text, &a);
    free(text);
    return 0;
}
