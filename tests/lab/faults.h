/* SPDX-License-Identifier: Apache-2.0
 *
 * What the lab can be told to do wrong, by --fault and by POST /lab/faults.
 */
#ifndef KW_LAB_FAULTS_H
#define KW_LAB_FAULTS_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

enum lab_fault {
    /* before the answer */
    LAB_LATENCY, /* =MS: wait */
    LAB_STATUS,  /* =CODE: the vendor's error instead of the answer */
    LAB_DROP,    /* done as asked, then closed without a byte */
    LAB_CUT,     /* closed without a byte, and nothing done */
    LAB_LATE,    /* =CODE: done as asked, but the vendor's error instead of the answer */
    LAB_PAGE,    /* =N: a list of the domain has N at most, whatever was asked for */
    /* instead of the answer */
    LAB_NOT_JSON, /* 200, application/json, but no JSON */
    LAB_HTML,     /* 200, an HTML page (a captive portal) */
    LAB_REDIRECT, /* =URL: 302 */
    /* the answer, spoilt on the wire */
    LAB_TRUNCATE,    /* half of the announced body, then an orderly end */
    LAB_RESET,       /* half of the body, then a TCP reset */
    LAB_OVERLONG,    /* =BYTES: the body padded with spaces, announced so */
    LAB_ENDLESS,     /* chunked, until the peer goes away (at most =BYTES) */
    LAB_DRIP,        /* =MS between the bytes of the body */
    LAB_LONG_HEADER, /* =BYTES: one more header of that size */
    /* what is issued */
    LAB_JWK_WRONG,     /* session token with another key in jwk */
    LAB_JWK_MISSING,   /* session token without jwk */
    LAB_JWK_OBJECT,    /* jwk as an object, not a string (to be accepted) */
    LAB_TOKEN_EXPIRED, /* session token that expired ten minutes ago */
    LAB_TOKEN_LIFE,    /* =SECONDS: session token that lives so long */
    LAB_TOKEN_GARBAGE, /* "token" is no JWT */
    LAB_TOKEN_STALE,   /* Google: the subject token is too old, whatever it says */
    LAB_TOKEN_ABSENT,  /* 200 without "token" */
    LAB_JWT_WRONG_KEY, /* subject token signed by a key that is not in the JWKS */
    LAB_JWT_EXPIRED,   /* subject token that expired ten minutes ago */
    LAB_JWT_GARBAGE,   /* "value" is no JWT */
    LAB_LRO_FAILS,     /* Google: the operation that starts will end in an error */
    /* the lab itself */
    LAB_DENIED,    /* =RIGHT: nobody has the right of that name, a glob */
    LAB_LRO_POLLS, /* =N: Google: how often an operation is asked for before it is done */
    LAB_SPREAD,    /* =SECONDS: Google: what is made or granted counts that much later */
    LAB_CLOCK,     /* =SECONDS: the lab's clock is ahead by so much (or behind) */
    LAB_FAULTS
};

/* The faults that one request meets. */
struct lab_hit {
    bool on[LAB_FAULTS];
    int64_t value[LAB_FAULTS];
    char url[512]; /* of LAB_REDIRECT */
};

struct lab_fault_rule {
    enum lab_fault kind;
    int64_t value;
    char url[512];             /* or the right of LAB_DENIED */
    char path[256], host[256]; /* globs; "" = any */
    char method[16];
    uint64_t count; /* how often still; 0 = no end */
    uint64_t skip;  /* matching requests to let pass first */
    char text[512]; /* as it was given */
    bool spent;
};

#define LAB_FAULT_RULES 64
struct lab_fault_table {
    pthread_mutex_t lock;
    struct lab_fault_rule rule[LAB_FAULT_RULES];
    size_t n;
};

void lab_faults_init(struct lab_fault_table *t);

/* SPEC: KIND[=VALUE][,count=N][,skip=N][,path=GLOB][,host=GLOB][,method=M]. */
int lab_fault_parse(const char *spec, struct lab_fault_rule *f, struct kw_err *err);
int lab_faults_add(struct lab_fault_table *t, const char *spec, struct kw_err *err);
void lab_faults_clear(struct lab_fault_table *t);
json_t *lab_faults_list(struct lab_fault_table *t);

/* Which faults this request meets; counts them down. */
void lab_faults_take(struct lab_fault_table *t, const char *method, const char *host,
                     const char *path, struct lab_hit *hit);
/* Those that concern no request but the lab: the value now in force, or the usual one. */
int64_t lab_faults_standing(struct lab_fault_table *t, enum lab_fault kind, int64_t usual);
/* Is the right of that name taken away? Counts it down. */
bool lab_faults_denied(struct lab_fault_table *t, const char *right);
/* Seconds that the lab's clock is ahead. */
int64_t lab_faults_clock(struct lab_fault_table *t);

/* The help text's table. */
const char *lab_fault_name(enum lab_fault kind);
const char *lab_fault_help(enum lab_fault kind);

#endif
