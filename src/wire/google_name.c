/* SPDX-License-Identifier: Apache-2.0 */
#include "google_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define FORM   "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"

/* The next piece of a path into out; false at its end or where it does not fit. */
static bool piece(const char **p, char *out, size_t size)
{
    size_t n = strcspn(*p, "/");
    if (n == 0 || n >= size)
        return false;
    memcpy(out, *p, n);
    out[n] = '\0';
    *p += n;
    if (**p == '/')
        (*p)++;
    return true;
}

static bool literal(const char **p, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*p, word, n) != 0)
        return false;
    *p += n;
    return true;
}

/* Ids of pools and providers: 4 to 32 of [a-z0-9-]. */
static bool id_good(const char *id)
{
    size_t n = strlen(id);
    return n >= 4 && n <= 32 && id[strspn(id, LOWER DIGITS "-")] == '\0';
}

static int bad(const char *why, struct kw_err *err)
{
    return kw_fail(err, KW_USAGE, "the workload identity provider %s; it has the form " FORM, why);
}

static int take_number(const char **p, struct kw_google_provider *ret, struct kw_err *err)
{
    char text[64];
    if (!piece(p, text, sizeof text))
        return bad("names no project", err);
    if (text[strspn(text, DIGITS)] != '\0')
        return bad("has the project's ID where its number belongs (`gcloud projects describe ID "
                   "--format='value(projectNumber)'` prints it)",
                   err);
    if (strlen(text) >= sizeof ret->number || text[0] == '0')
        return bad("has no project number", err);
    memcpy(ret->number, text, strlen(text) + 1);
    return 0;
}

int kw_google_provider(const char *text, struct kw_google_provider *ret, struct kw_err *err)
{
    const char *p = text;
    char word[64];
    memset(ret, 0, sizeof *ret);
    if (!literal(&p, "//iam.googleapis.com/"))
        (void)literal(&p, "https://iam.googleapis.com/");
    if (strncmp(p, "locations/", 10) == 0)
        return bad("is of a workforce pool, which is for people", err);
    if (!literal(&p, "projects/"))
        return bad("is not the full resource name", err);
    int r = take_number(&p, ret, err);
    if (r != 0)
        return r;
    if (!literal(&p, "locations/global/workloadIdentityPools/"))
        return bad("has something else than locations/global/workloadIdentityPools behind the "
                   "project",
                   err);
    if (!piece(&p, ret->pool, sizeof ret->pool) || !id_good(ret->pool))
        return bad("has no good pool id (4 to 32 of a-z, 0-9 and '-')", err);
    if (*p == '\0')
        return bad("names the pool, not a provider in it", err);
    if (!piece(&p, word, sizeof word) || strcmp(word, "providers") != 0)
        return bad("has something else than providers/ behind the pool", err);
    if (!piece(&p, ret->provider, sizeof ret->provider) || !id_good(ret->provider))
        return bad("has no good provider id (4 to 32 of a-z, 0-9 and '-')", err);
    if (*p != '\0' || p[-1] == '/')
        return bad("goes on behind the provider's id", err);
    (void)snprintf(ret->name, sizeof ret->name,
                   "projects/%s/locations/global/workloadIdentityPools/%s/providers/%s",
                   ret->number, ret->pool, ret->provider);
    return 0;
}

void kw_google_audience(const struct kw_google_provider *p, char *out, size_t size)
{
    (void)snprintf(out, size, "//iam.googleapis.com/%s", p->name);
}

void kw_google_subject_audience(const struct kw_google_provider *p, char *out, size_t size)
{
    (void)snprintf(out, size, "https://iam.googleapis.com/%s", p->name);
}

int kw_google_account(const char *text, const char *what, char *out, size_t size,
                      struct kw_err *err)
{
    const char *p = text;
    (void)literal(&p, "projects/-/serviceAccounts/");
    const char *at = strchr(p, '@');
    size_t n = strlen(p);
    bool number = n >= 10 && n <= 24 && p[strspn(p, DIGITS)] == '\0';
    bool mail = at != NULL && at > p && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
                strchr(at, '.') != NULL && p[strspn(p, LOWER DIGITS "-._:@")] == '\0';
    if ((!number && !mail) || n >= size)
        return kw_fail(err, KW_USAGE,
                       "%s must be a service account's e-mail "
                       "(NAME@PROJECT.iam.gserviceaccount.com) or its numeric unique id",
                       what);
    memcpy(out, p, n + 1);
    return 0;
}
