/* SPDX-License-Identifier: Apache-2.0
 *
 * Choice of the token, by what it says of itself and never by slot number (SoftHSM's
 * change when a token is made), and of the signature mechanism.
 */
#include <libp11.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define LOOKS 5

struct look {
    unsigned matches;
    CK_SLOT_ID slot;
    char label[33], manufacturer[33], serial[17], model[17];
    bool read_only;
    char there[512]; /* every token seen, for messages */
};

static bool is(const char *want, const char *have)
{
    return want[0] == '\0' || (have != NULL && strcmp(want, have) == 0);
}

static const char *text(const char *s)
{
    return s != NULL ? s : "";
}

static void consider(const struct kw_p11 *p, PKCS11_SLOT *slot, struct look *l)
{
    const PKCS11_TOKEN *t = slot->token;
    if (t == NULL || !t->initialized)
        return;
    size_t n = strlen(l->there);
    (void)snprintf(l->there + n, sizeof l->there - n, "%stoken=%s serial=%s model=%s",
                   n > 0 ? ", " : "", text(t->label), text(t->serialnr), text(t->model));
    if (!is(p->label, t->label) || !is(p->manufacturer, t->manufacturer) ||
        !is(p->serial, t->serialnr) || !is(p->model, t->model))
        return;
    if (l->matches++ > 0)
        return;
    l->slot = PKCS11_get_slotid_from_slot(slot);
    l->read_only = t->readOnly != 0;
    (void)snprintf(l->label, sizeof l->label, "%s", text(t->label));
    (void)snprintf(l->manufacturer, sizeof l->manufacturer, "%s", text(t->manufacturer));
    (void)snprintf(l->serial, sizeof l->serial, "%s", text(t->serialnr));
    (void)snprintf(l->model, sizeof l->model, "%s", text(t->model));
}

/* A module whose daemon is gone may have no slot at all (p11-kit-client), which libp11 takes
 * for a failure without a reason. */
static bool no_slots(const struct kw_p11 *p)
{
    CK_ULONG count = 0;
    CK_RV rv;
    KW_CK(rv, p, GetSlotList, CK_FALSE, NULL, &count);
    return rv == CKR_OK && count == 0;
}

/* One enumeration through libp11, over our function list. */
static int look(const struct kw_p11 *p, struct look *l, struct kw_err *err)
{
    memset(l, 0, sizeof *l);
    kw_p11_lend(p);
    uint64_t before = kw_progress_enter(KW_P11_LIBP11);
    PKCS11_SLOT *slots = NULL;
    unsigned n = 0;
    PKCS11_CTX *ctx = PKCS11_CTX_new();
    bool loaded = ctx != NULL && PKCS11_CTX_load(ctx, "") == 0;
    bool listed = loaded && PKCS11_enumerate_slots(ctx, &slots, &n) == 0;
    for (unsigned i = 0; listed && i < n; i++)
        consider(p, &slots[i], l);
    unsigned long reason = (unsigned long)ERR_GET_REASON(ERR_peek_last_error());
    if (listed)
        PKCS11_release_all_slots(ctx, slots, n);
    if (loaded) /* after a failed load it would crash */
        PKCS11_CTX_unload(ctx);
    if (ctx != NULL)
        PKCS11_CTX_free(ctx);
    ERR_clear_error();
    kw_progress_leave(before);
    kw_p11_lend(NULL);
    if (!listed && reason == 0 && no_slots(p))
        return 0;
    if (!listed)
        return kw_fail(err, KW_TOKEN, "cannot list the slots of module %s: libp11 says %s",
                       p->module, reason != 0 ? kw_ckr_name(reason) : "nothing");
    return 0;
}

static bool mech_signs(struct kw_p11 *p, CK_MECHANISM_TYPE m)
{
    CK_MECHANISM_INFO i = {0};
    CK_RV rv;
    KW_CK(rv, p, GetMechanismInfo, p->slot, m, &i);
    if (rv != CKR_OK || (i.flags & CKF_SIGN) == 0)
        return false;
    p->mech = m;
    p->mech_min_bits = i.ulMinKeySize;
    return true;
}

static int choose_mechanisms(struct kw_p11 *p, struct kw_m_keeper_ready *info, struct kw_err *err)
{
    CK_MECHANISM_INFO i = {0};
    CK_RV rv;
    if (!mech_signs(p, CKM_SHA256_RSA_PKCS) && !mech_signs(p, CKM_RSA_PKCS))
        return kw_fail(err, KW_TOKEN,
                       "token %s signs neither by CKM_SHA256_RSA_PKCS nor by CKM_RSA_PKCS; "
                       "use another token",
                       p->token);
    KW_CK(rv, p, GetMechanismInfo, p->slot, CKM_RSA_PKCS_KEY_PAIR_GEN, &i);
    if (rv == CKR_OK) {
        p->min_bits = i.ulMinKeySize;
        p->max_bits = i.ulMaxKeySize;
    } /* else the token may still hold keys for us; generation will say why it can't */
    char name[32];
    (void)snprintf(info->mechanism, sizeof info->mechanism, "%s", kw_ckm_name(p->mech, name));
    info->min_bits = (uint32_t)(p->min_bits > UINT32_MAX ? 0 : p->min_bits);
    info->max_bits = (uint32_t)(p->max_bits > UINT32_MAX ? 0 : p->max_bits);
    return 0;
}

static int missing(const struct kw_p11 *p, const struct look *l, struct kw_err *err)
{
    char want[192];
    (void)snprintf(want, sizeof want, "%s%s%s%s%s%s%s%s", p->label[0] != '\0' ? " token=" : "",
                   p->label, p->serial[0] != '\0' ? " serial=" : "", p->serial,
                   p->manufacturer[0] != '\0' ? " manufacturer=" : "", p->manufacturer,
                   p->model[0] != '\0' ? " model=" : "", p->model);
    if (l->matches > 1)
        return kw_fail(err, KW_TOKEN, "%u tokens match%s (there are: %s); name one by its serial",
                       l->matches, want, l->there);
    if (l->there[0] == '\0')
        return kw_fail(err, KW_TOKEN,
                       "no token%s in module %s (there is none at all); check the module's own "
                       "configuration, and that its daemon runs if it has one",
                       want, p->module);
    return kw_fail(err, KW_TOKEN, "no token%s in module %s (there are: %s); check the token's URI",
                   want, p->module, l->there);
}

int kw_p11_choose(struct kw_p11 *p, struct kw_m_keeper_ready *info, struct kw_err *err)
{
    struct look l = {0};
    int r = 0;
    for (unsigned i = 0; i < LOOKS; i++) {
        if (i > 0) {
            /* SoftHSM reads tokens at C_Initialize, and skips one that another process
             * is just rewriting at its login: look again with fresh eyes. No PIN try
             * is at stake. */
            struct timespec t = {0, 20000000L << i};
            (void)nanosleep(&t, NULL);
            CK_RV rv;
            KW_CK(rv, p, Finalize, NULL);
            (void)rv;
            if ((r = kw_p11_initialize(p, err)) != 0)
                return r;
        }
        r = look(p, &l, err);
        if (r == 0 && l.matches > 0)
            break;
    }
    if (r != 0)
        return r;
    if (l.matches != 1)
        return missing(p, &l, err);
    p->slot = l.slot;
    p->read_only = l.read_only;
    memcpy(p->has_label, l.label, sizeof p->has_label);
    memcpy(p->has_serial, l.serial, sizeof p->has_serial);
    p->chosen = true;
    (void)snprintf(p->token, sizeof p->token, "%s (serial %s)", l.label, l.serial);
    kw_printable(p->token);
    memcpy(info->label, l.label, sizeof info->label);
    memcpy(info->manufacturer, l.manufacturer, sizeof info->manufacturer);
    memcpy(info->serial, l.serial, sizeof info->serial);
    memcpy(info->model, l.model, sizeof info->model);
    kw_printable(info->label);
    kw_printable(info->manufacturer);
    kw_printable(info->serial);
    kw_printable(info->model);
    return choose_mechanisms(p, info, err);
}
