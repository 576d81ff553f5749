/* SPDX-License-Identifier: Apache-2.0
 *
 * From KM_START to KM_READY: fences, module, token, login, keys that are there already.
 * The order matters: the coarse fence stands before the vendor's code is loaded, the
 * PIN lives from here to here, and the last lock falls before a thread is started. */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "keeper.h"
#include "src/base/b64.h"
#include "src/base/log.h"
#include "src/base/memory.h"
#include "src/base/tty.h"

static unsigned sandbox_flags(const struct kw_m_keeper_start *cfg)
{
    bool stores = cfg->token_object != 0 || cfg->purpose == KW_FOR_LIST;
    return (cfg->best_effort != 0 ? (unsigned)KW_SB_BEST_EFFORT : 0U) |
           (cfg->network == KW_REACH_TCP ? (unsigned)KW_SB_NETWORK : 0U) |
           (cfg->network == KW_REACH_LOCAL ? (unsigned)KW_SB_LOCAL : 0U) |
           (stores ? (unsigned)KW_SB_STORE : 0U);
}

static int check(const struct kw_m_keeper_start *cfg, struct kw_err *err)
{
    if (cfg->purpose > KW_FOR_RUN || cfg->pin_source > KW_PIN_PROMPT || cfg->network > KW_REACH_TCP)
        return kw_fail(err, KW_FAILED, "KM_START: unknown purpose, PIN source or network");
    if (cfg->sessions < 1 || cfg->sessions > 64)
        return kw_fail(err, KW_USAGE, "[token] sessions must be 1 to 64, not %u", cfg->sessions);
    return 0;
}

static int login(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_secret *pin = NULL;
    int r = kw_pin_read(&k->cfg, &pin, err);
    kw_tty_leave(); /* the PIN was asked for: the module has no business there */
    if (r == 0)
        r = kw_p11_login(k->p11, pin, err);
    kw_secret_free(&pin);
    return r;
}

/* A key that speaks for its owner for years should not be one that can be copied. It is the
 * user's, who may have made it so: told each time, refused never. */
static void warn_copyable(const char *what, const struct kw_p11_key *key)
{
    bool sensitive = strstr(key->attributes, " SENSITIVE=1") != NULL;
    bool stays = strstr(key->attributes, " EXTRACTABLE=0") != NULL;
    if (!sensitive || !stays)
        kw_log(KW_WARN,
               "the %s can be taken out of the token by who has the PIN (%s%s%s): make one there "
               "that is sensitive and not extractable, and have the cloud know that",
               what, sensitive ? "" : "not CKA_SENSITIVE", sensitive || stays ? "" : ", ",
               stays ? "" : "CKA_EXTRACTABLE");
}

/* A long-lived key of the user: not ours, so only its use is ours to judge. */
static int find_key(struct kw_keeper *k, const char *what, const char *label, const char *id_hex,
                    bool any, struct kw_signer *s, struct kw_err *err)
{
    unsigned char id[32];
    size_t n = 0;
    if (label[0] == '\0' && id_hex[0] == '\0')
        return 0;
    if (id_hex[0] != '\0' && !kw_unhex(id, sizeof id, &n, id_hex))
        return kw_fail(err, KW_USAGE, "%s: \"%s\" is no id of a key", what, id_hex);
    const char *by_label = label[0] != '\0' ? label : NULL;
    int r = any ? kw_p11_find_any(k->p11, by_label, id, n, &s->key, err)
                : kw_p11_find(k->p11, by_label, id, n, false, 0, &s->key, err);
    s->there = r == 0;
    if (r == 0 && any) /* those that identities are made of */
        warn_copyable(what, &s->key);
    return r != 0 ? kw_err_wrap(err, "%s", what) : kw_note_key(k, what, &s->key, err);
}

/* Some modules are only the near end of a daemon, and say little where they can't reach
 * it. */
static int hint(const struct kw_keeper *k, struct kw_err *err)
{
    if (k->cfg.network != KW_REACH_NONE || err->code != KW_TOKEN)
        return (int)err->code;
    return kw_fail(err, err->code,
                   "%s (if this module works through a daemon, such as pcscd, p11-kit or "
                   "tpm2-abrmd, it needs [token] network = local)",
                   err->text);
}

static int open_token(struct kw_keeper *k, struct kw_err *err)
{
    if (k->cfg.pin_source != KW_PIN_PROMPT)
        kw_tty_leave();
    if (k->cfg.purpose == KW_FOR_BEARER && k->cfg.module[0] == '\0') {
        (void)snprintf(k->ready.mechanism, sizeof k->ready.mechanism, "none");
        return 0; /* policy and log only: no module, no PIN */
    }
    kw_memory_openssl();
    kw_memory_must(0, NULL);
    int r = kw_p11_load(&k->cfg, &k->p11, err);
    if (r == 0)
        r = kw_p11_choose(k->p11, &k->ready, err);
    return r != 0 ? hint(k, err) : login(k, err);
}

int kw_keeper_start(struct kw_keeper *k, int audit_fd, struct kw_err *err)
{
    const struct kw_m_keeper_start *cfg = &k->cfg;
    unsigned flags = sandbox_flags(cfg);
    k->policy = (struct kw_sign_policy){.hosts = cfg->sign_host,
                                        .methods = cfg->sign_method,
                                        .paths = cfg->sign_path,
                                        .per_minute = cfg->per_minute,
                                        .max_count = cfg->max_count};
    kw_log_init("keeper", (int)cfg->verbosity);
    kw_memory_must(KW_EXIT_MEMORY, NULL); /* until there is something to put in order */
    int r = kw_sandbox_begin(KW_ROLE_KEEPER, flags, &k->fences, err);
    if (r == 0) { /* not before: the sandbox closes what isn't in roles.h */
        k->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = k->wake >= 0 ? check(cfg, err) : kw_fail_errno(err, KW_FAILED, "eventfd");
    }
    if (r == 0)
        r = kw_secret_init(cfg->best_effort != 0, err);
    if (r == 0 && (r = kw_audit_begin(&k->audit, audit_fd, err)) != 0)
        k->audit.fd = -1; /* what follows from this error can't be logged either */
    if (r == 0)
        r = open_token(k, err);
    if (r == 0)
        r = kw_sandbox_lock(KW_ROLE_KEEPER, flags, &k->fences, err);
    if (r != 0)
        return r;
    (void)snprintf(k->ready.fences, sizeof k->ready.fences, "%s", k->fences.stands);
    (void)snprintf(k->ready.missing, sizeof k->ready.missing, "%s", k->fences.missing);
    (void)snprintf(k->ready.secrets, sizeof k->ready.secrets, "%s", kw_secret_kind());
    r = kw_note_login(k, err);
    if (r == 0)
        r = find_key(k, "client key", cfg->client_label, cfg->client_id_hex, false, &k->client,
                     err);
    if (r == 0)
        r = find_key(k, "audit key", cfg->audit_label, "", false, &k->auditor, err);
    if (r == 0)
        r = find_key(k, "TLS client key", cfg->tls_label, cfg->tls_id_hex, true, &k->tls, err);
    if (r == 0)
        r = find_key(k, "issuer key", cfg->issuer_label, cfg->issuer_id_hex, true, &k->issuer, err);
    if (r == 0)
        r = kw_workers_start(&k->workers, k->p11, k->p11 != NULL ? cfg->sessions : 0, k->wake, err);
    if (r == 0 && audit_fd >= 0 && k->p11 != NULL)
        r = kw_workers_start(&k->clerk, k->p11, 1, k->wake, err);
    return r;
}
