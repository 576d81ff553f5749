/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside `keyward setup oci`: what is wanted, what is known of what is there, and who asks.
 *
 *   setup_oci.c         the cloud: begin, open, ini      setup_oci_wish.c   options, --from
 *   setup_oci_let.c     whose tokens are let in
 *   setup_oci_admin.c   whose key that is                setup_oci_call.c   calls, authorized
 *   setup_oci_want.c    what each thing is made of       setup_oci_step.c   compare, make, remove
 *   setup_oci_app.c     application                      setup_oci_who.c    users, group, policy
 *   setup_oci_secret.c  where the client secret goes
 *   setup_oci_certificate.c  certificates of applications
 *   setup_oci_trust.c   the trust                        setup_oci_temp.c   the admin application
 *   setup_oci_left.c    what --destroy leaves
 *   setup_oci_print.c   commands                         setup_oci_ini.c     keyward.ini
 *   setup_oci_revoke.c `revoke oci`
 *   setup_oci_doctor.c  `doctor`
 *
 * All but the IAM policy is in the identity domain (SCIM, below /admin/v1).
 */
#ifndef KW_SETUP_OCI_H
#define KW_SETUP_OCI_H

#include <openssl/evp.h>
#include <sys/stat.h>

#include "setup.h"
#include "setup_preset.h"
#include "src/base/io.h"
#include "src/wire/oci_exchange.h"
#include "src/wire/scim.h"
#include "src/wire/url.h"

enum kw_oci_admin_kind {
    KW_ADMIN_NONE,   /* --print-commands */
    KW_ADMIN_BEARER, /* --admin-token-file, --admin-token-command */
    KW_ADMIN_KEY,    /* a profile of the OCI command line: its key file, or session token */
    KW_ADMIN_TOKEN,  /* an API key in the PKCS#11 token */
};

struct kw_oci_admin {
    enum kw_oci_admin_kind kind;
    EVP_PKEY *key;            /* KEY */
    struct kw_secret *key_id; /* tenancy/user/fingerprint, or ST$ and the session token */
    char who[512];            /* for people */
    char tenancy[256], region[64];
};

/* What is where the client secret goes. */
enum kw_oci_holds {
    KW_HOLDS_NOTHING,
    KW_HOLDS_UNKNOWN, /* something, or it can't be looked at; or a descriptor */
    KW_HOLDS_IT,      /* the application's secret, as the domain itself says */
    KW_HOLDS_OTHER,   /* something else, says the domain */
};
struct kw_oci_held {
    enum kw_oci_holds what;
    bool one_word;    /* a secret by its looks: a short word in a 0600 file */
    struct stat seen; /* the file, as it was then */
};

/* What looking at the application came to. */
struct kw_oci_app_plan {
    bool active, off;  /* off: somebody switched it off, and so it stays */
    bool makes_secret; /* a new one, which goes to its place */
};

struct kw_oci_setup {
    /* what is wanted; texts are of options, configuration or `from` */
    json_t *from;       /* setupConfig.ini, NULL: none */
    char base[96];      /* the set-up's name: what names begin with that were not given, and
                           what is marked as its own has */
    const char *domain; /* https://..., no slash at its end */
    struct kw_url url;  /* the same */
    char region[64];
    char identity[512]; /* https://identity.REGION...: IAM's */
    enum kw_client_auth auth;
    const char *app;    /* NULL: none (client_auth = signature) */
    const char *secret; /* where its secret goes: file:/PATH, fd:N, credential:NAME; NULL: none */
    const char *temp;   /* the admin application, NULL: none */
    const char *cert_file;
    char alias[128];                          /* of the certificate, "" for none */
    json_t *certificate;                      /* base64 of its DER */
    const char *user;                         /* of rules that name none */
    json_t *users;                            /* all, once each */
    const char *group, *policy, *compartment; /* NULL: none */
    json_t *statements;                       /* of the policy */
    const char *trust, *issuer, *jwks;
    json_t *key_pem;      /* instead of jwks: the issuer's public key */
    const char *audience; /* "": any */
    const char *res_type; /* NULL: no resource principals */
    uint32_t skew;
    json_t *rules;        /* [{rule, user}] in order */
    json_t *validations;  /* [{name, value}] */
    json_t *propagations; /* [string] */
    struct kw_preset preset;
    bool adopt, rotate; /* rotate: --new-client-secret */
    /* what is known */
    char client_id[KW_SCIM_ID + 1]; /* "" */
    json_t *ids;                    /* userName: short id */
    char group_id[KW_SCIM_ID + 1];
    bool clock_seen;
    int64_t clock_off; /* seconds that the domain's clock is before ours */
    struct kw_oci_app_plan app_plan;
    struct kw_oci_held held; /* what is where the secret goes */
    bool told, activated;    /* this run has handed the secret out; has switched the app on */
    json_t *trusts;          /* --destroy: all that there are */
    const char
        *shared;      /* --destroy: the issuer of a trust that stays, and needs what we have made */
    bool temp_wanted; /* something is to be done as the admin application */
    bool temp_planned; /* --destroy: that has been looked at */
    bool temp_used;    /* this run has made, or found, the admin application */
    struct kw_secret *temp_bearer;
    struct kw_oci_admin admin;
};

static inline struct kw_oci_setup *kw_oci(const struct kw_setup *s)
{
    return s->own;
}

/* --- setup_oci_wish.c -------------------------------------------------------------------- */

extern const char *const kw_oci_options[];
/* Reads options, setupConfig.ini and profile; KW_USAGE for what can't be meant. */
int kw_oci_wish(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err);
/* The same for `revoke`: domain, administrator, issuer, application. */
int kw_oci_wish_revoke(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err);
/* The realm that the domain is in: "oraclecloud.com". */
const char *kw_oci_realm(const struct kw_oci_setup *o);
/* A text that an option, else the file's key, else fallback (NULL: none) gives. */
enum { KW_OCI_TEXT = 255 };
int kw_oci_take(struct kw_setup *s, const char *option, const char *section, const char *key,
                const char *fallback, const char **ret, struct kw_err *err);
/* KW_USAGE for what would be taken for something else in JSON, a filter or a terminal; and for
 * blanks at its ends, which nobody sees. */
int kw_oci_check_text(const char *text, const char *what, struct kw_err *err);
/* setup_oci_let.c */
int kw_oci_wish_issuer(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err);
int kw_oci_wish_rules(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err);
/* "RULE" or "RULE -> USER" as an element of .rules, and its user among .users. */
int kw_oci_wish_rule(struct kw_oci_setup *o, const char *text, struct kw_err *err);

/* --- setup_oci_want.c: pure -------------------------------------------------------------- */

/* New objects: all that is compared, and made where nothing is. Ids that aren't known yet are
 * names of shell variables: "$CLIENT_ID". */
json_t *kw_oci_want_app(const struct kw_oci_setup *o);
json_t *kw_oci_want_certificate(const struct kw_oci_setup *o);
json_t *kw_oci_want_user(const char *name);
json_t *kw_oci_want_group(const struct kw_oci_setup *o);
json_t *kw_oci_want_policy(const struct kw_oci_setup *o);
json_t *kw_oci_want_trust(const struct kw_oci_setup *o);
json_t *kw_oci_member(const char *user_id, bool add); /* the whole PatchOp */
json_t *kw_oci_status(const char *app_id, bool active);
json_t *kw_oci_new_secret(const char *app_id);
json_t *kw_oci_temp_app(const char *name, const char *mark);
json_t *kw_oci_temp_grant(const char *app_id, const char *role_id);
/* The id of a user of the rules: its short id, or the variable's name in text. */
const char *kw_oci_user_id(const struct kw_oci_setup *o, const char *name, char *text, size_t size);

/* --- setup_oci_admin.c ------------------------------------------------------------------- */

/* Who asks: by options, the file's profile, or the OCI command line's default one. */
int kw_oci_admin(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err);
void kw_oci_admin_free(struct kw_oci_admin *a);

/* --- setup_oci_call.c -------------------------------------------------------------------- */

/* Starts the processes with what the administrator needs of them. */
int kw_oci_open(struct kw_setup *s, struct kw_err *err);

/* One call of the domain ("/admin/v1/...") or, with a whole URL, of IAM. A status from 400 on is
 * *err, with `what` in it; 404 only where `gone` is NULL, else it sets *gone. */
struct kw_oci_call {
    const char *method, *target, *what;
    const json_t *body;
    const char *match; /* if-match; NULL: none */
    bool *gone;
    bool temp;        /* as the admin application, where there is one */
    unsigned *status; /* the answer's goes there; NULL: isn't of interest */
};
int kw_oci_call(struct kw_setup *s, const struct kw_oci_call *c, json_t **ret, struct kw_err *err);

/* The one resource of that name, *ret NULL where there is none; it is the caller's, and has an
 * `id` that can be one. */
int kw_oci_find(struct kw_setup *s, const char *kind, const char *attribute, const char *value,
                const char *attributes, const char *what, json_t **ret, struct kw_err *err);

/* All of a kind: the ListResponse of `target`; KW_CLOUD where it is a part of it. */
int kw_oci_list(struct kw_setup *s, const char *target, const char *what, json_t **ret,
                struct kw_err *err);

/* An access token of the domain's for an application: client credentials. *wrong: it is not its
 * secret (or the application is off), says the domain, and that is the error. */
int kw_oci_client_token(struct kw_setup *s, const char *client_id, struct kw_secret *secret,
                        const char *what, struct kw_secret **ret, bool *wrong, struct kw_err *err);

/* setup_oci_secret.c: where the client secret goes. KW_USAGE for what is no place, or no
 * descriptor that can be written to. */
int kw_oci_place_take(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err);
/* KW_USAGE where keyward.ini (-o; may be NULL) would take the secret's place. */
int kw_oci_place_apart(const struct kw_oci_setup *o, const char *output, struct kw_err *err);
/* Its file, "" for a descriptor. */
void kw_oci_place_file(const struct kw_oci_setup *o, char *path, size_t size);
/* Fills o->held; asks the domain whether what is there is the secret of that application, if it
 * is active, once in a run. id: its client id, "" for none. */
int kw_oci_place_look(struct kw_setup *s, const char *id, bool active, struct kw_err *err);
/* Opens it for writing, so that what could go wrong does so before there is a secret; then writes.
 * close() is for all ends, and leaves what is there as it was unless it was put. */
struct kw_oci_place {
    struct kw_atomic file;
    int fd; /* the descriptor, -1 where it is a file */
};
int kw_oci_place_open(const struct kw_oci_setup *o, struct kw_oci_place *p, struct kw_err *err);
int kw_oci_place_put(struct kw_oci_setup *o, struct kw_oci_place *p, const char *secret,
                     struct kw_err *err);
void kw_oci_place_close(struct kw_oci_place *p);
/* Removes the file that holds the secret of the application, if it still is the one seen. */
int kw_oci_place_remove(const struct kw_oci_setup *o, struct kw_err *err);

/* Of an application: on or off, and a new secret (the old one is void then). */
int kw_oci_app_switch(struct kw_setup *s, const char *id, bool active, struct kw_err *err);
int kw_oci_app_secret(struct kw_setup *s, const char *id, json_t **ret, struct kw_err *err);

/* A member that is a text, or "". */
const char *kw_oci_text(const json_t *o, const char *name);
/* A member that has to be an id (kw_scim_is_id()), since it goes into a path, a filter or a file:
 * KW_CLOUD where it is none. *ret is `o`'s. */
int kw_oci_id(const json_t *o, const char *name, const char **ret, struct kw_err *err);

/* What a step is about: its .arg. */
enum kw_oci_thing {
    KW_OCI_CERTIFICATE,
    KW_OCI_APP,
    KW_OCI_TEMP,
    KW_OCI_USER,
    KW_OCI_GROUP,
    KW_OCI_MEMBER,
    KW_OCI_POLICY,
    KW_OCI_TRUST,
    KW_OCI_TEMP_END,
    KW_OCI_OLDER,
    KW_OCI_LEFT,
};

/* --- steps ------------------------------------------------------------------------------- */

int kw_oci_add_app(struct kw_setup *s, struct kw_err *err); /* and the next two */
int kw_oci_add_certificate(struct kw_setup *s, struct kw_err *err);
int kw_oci_add_older(struct kw_setup *s, struct kw_err *err);
int kw_oci_add_who(struct kw_setup *s, struct kw_err *err); /* users, group, members, policy */
int kw_oci_add_trust(struct kw_setup *s, struct kw_err *err);
int kw_oci_add_temp(struct kw_setup *s, bool end, struct kw_err *err);

/* For looks: fills state, mine, diff and found (taken over) from what is there (NULL: nothing)
 * and what is wanted (taken over); fixed as for kw_scim_changes(). What isn't ours and differs
 * is FOREIGN unless --adopt. */
int kw_oci_compare(struct kw_setup *s, struct kw_setup_step *t, json_t *have, json_t *want,
                   const char *const *fixed, struct kw_err *err);
/* The PATCH that makes it so, or the POST that makes it. */
int kw_oci_make(struct kw_setup *s, struct kw_setup_step *t, const char *kind, json_t *want,
                const char *const *fixed, json_t **ret, struct kw_err *err);
int kw_oci_remove(struct kw_setup *s, struct kw_setup_step *t, const char *kind,
                  struct kw_err *err);
/* What a POST with that status and result r came to: KW_NET, so that there will be another look,
 * where the name is taken (409) by what doesn't show yet. */
int kw_oci_again(struct kw_setup_step *t, unsigned status, int r, struct kw_err *err);

/* setup_oci_trust.c, for --destroy: the issuer of a trust that names that client or user and stays:
 * another issuer's, as a profile that lets in two has, or one that isn't this set-up's; NULL: there
 * is none. What it needs stays, too. */
int kw_oci_other_trust(struct kw_setup *s, const char *id, const char **ret, struct kw_err *err);
/* Does any trust name that client, now? */
int kw_oci_is_named(struct kw_setup *s, const char *id, bool *ret, struct kw_err *err);
void kw_oci_note_needed(struct kw_setup_step *t, const char *issuer);

/* setup_oci_revoke.c: the steps of `revoke`, and what it says at its end. */
int kw_oci_add_revoke(struct kw_setup *s, struct kw_err *err);
void kw_oci_revoked(const struct kw_setup *s, struct kw_buf *b);

/* setup_oci_doctor.c: kw_setup_cloud's examine(). */
int kw_oci_examine(struct kw_setup *s, const json_t *claims, const struct kw_setup_ear *ear,
                   struct kw_err *err);

/* setup_oci_left.c, for --destroy: what else has the set-up's mark. */
int kw_oci_add_left(struct kw_setup *s, struct kw_err *err);
bool kw_oci_sees_policies(const struct kw_oci_setup *o); /* can IAM be asked? */

/* The mark of the administrator application, which no application that stays has. */
const char *kw_oci_temp_mark(const struct kw_oci_setup *o, char *text, size_t size);
/* The temporary administrator's bearer, made at the first call that wants it. */
int kw_oci_temp_open(struct kw_setup *s, struct kw_err *err);
/* kw_setup_cloud's abandon(): the admin application goes, or it is said what is left of it. */
void kw_oci_abandon(struct kw_setup *s);

/* --- setup_oci_print.c ------------------------------------------------------------------- */

void kw_oci_commands(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                     struct kw_buf *b);
/* kw_setup_cloud's commands() and commands_end(). */
void kw_oci_commands_begin(const struct kw_setup *s, struct kw_buf *b);
void kw_oci_commands_end(const struct kw_setup *s, struct kw_buf *b);
/* For `revoke`: an application by that attribute, or a trust by its "issuer", on or off. */
void kw_oci_switch_command(const struct kw_oci_setup *o, const char *attribute, const char *name,
                           bool on, struct kw_buf *b);
int kw_oci_ini(const struct kw_setup *s, struct kw_buf *b, struct kw_err *err);

#endif
