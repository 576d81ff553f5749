/* SPDX-License-Identifier: Apache-2.0
 *
 * What a trust needs to know of an issuer of JWTs, for both clouds: where its keys are, which
 * claims say what is to be let in, and what of that is too wide. Pure functions.
 */
#ifndef KW_SETUP_PRESET_H
#define KW_SETUP_PRESET_H

#include <jansson.h>
#include <stdbool.h>

#include "src/base/err.h"

/* A claim that says whose a token is, and that no stranger's job can have as it likes: what it
 * begins with before the owner's name or number, and what ends that; '\0': nothing but it is there.
 */
struct kw_whose {
    const char *claim, *begins;
    char ends;
};

/* What is to be let in; members that were not given are NULL. */
struct kw_preset_ask {
    /* --issuer: github, gitlab, circleci, buildkite, kubernetes, token; or an issuer's
     * https URL, of which nothing is known but its subject */
    const char *issuer;
    const char *issuer_url;    /* --issuer-url: of an instance of one's own */
    const char *repository;    /* OWNER/REPO, GROUP/PROJECT, ORG/PIPELINE, NAMESPACE/ACCOUNT */
    const char *repository_id; /* numeric (CircleCI: the project's UUID) */
    const char *owner_id; /* numeric id of owner or group (CircleCI: the organization's UUID) */
    const char *branch, *environment;
    const char *subject; /* the whole sub */
};

struct kw_preset {
    char issuer[512];             /* iss of its tokens */
    char jwks_url[600];           /* "" : to be uploaded */
    bool shared;                  /* everybody's tokens come from there: a condition is a must */
    const struct kw_whose *whose; /* of a shared issuer, ended by a claim NULL; NULL: any may */
    const char *source;           /* [source] type of keyward.ini: "github"; "auto" */
    json_t *mapping;              /* Google: object, KEY: EXPRESSION */
    json_t *claims;       /* object: claim -> value, as [policy] claim.NAME has them ('/' nests) */
    char condition[4097]; /* Google: CEL; "": nothing was asked that could be one */
    char member[600];     /* Google: behind the pool's name, whom to grant: "subject/S",
                             "attribute.NAME/VALUE", "*" */
    json_t *rules;        /* OCI: array of rule texts ("sub eq repo:o/r:environment:e") */
    json_t *warnings;     /* array of strings: what is too wide, or can change its owner */
};

/* KW_USAGE naming the option where something is missing or malformed. *ret is to be freed, also
 * after an error. */
int kw_preset(const struct kw_preset_ask *ask, struct kw_preset *ret, struct kw_err *err);
void kw_preset_free(struct kw_preset *p);

/* What is too wide in a rule of OCI's that a person wrote: a reason for people, or NULL. */
const char *kw_preset_wide_rule(const char *rule);

#endif
