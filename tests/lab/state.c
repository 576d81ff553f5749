/* SPDX-License-Identifier: Apache-2.0
 *
 * The lab's state: made at the start, freed at the end, and the few functions that
 * everything uses.
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lab.h"
#include "src/base/b64.h"

int64_t lab_now(struct lab *l)
{
    return (int64_t)time(NULL) + lab_faults_clock(&l->faults);
}

void lab_random_hex(char *out, size_t n_bytes)
{
    unsigned char bytes[32];
    if (n_bytes > sizeof bytes || RAND_bytes(bytes, (int)n_bytes) != 1)
        abort(); /* no randomness: nothing that follows would mean anything */
    kw_hex(out, bytes, n_bytes);
}

bool lab_same(const char *a, const char *b)
{
    size_t n = strlen(b);
    return strlen(a) == n && CRYPTO_memcmp(a, b, n) == 0;
}

int lab_state_load(struct lab *l, struct kw_err *err)
{
    struct lab_options *o = &l->opt;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < o->n_api_key; i++)
        rc = lab_key_load(&l->api_keys, o->api_key[i].name, o->api_key[i].path, err);
    for (size_t i = 0; rc == 0 && i < o->n_assertion_key; i++)
        rc = lab_key_load(&l->assertion_keys, o->assertion_key[i].name, o->assertion_key[i].path,
                          err);
    for (size_t i = 0; rc == 0 && i < o->n_trust; i++) {
        struct lab_trust *t = &l->trust[l->n_trust++];
        snprintf(t->issuer, sizeof t->issuer, "%s", o->trust[i].name);
        rc = lab_jwks_load(&t->jwks, o->trust[i].path, err);
    }
    struct lab_provider p;
    if (rc == 0 && o->google_provider != NULL) { /* a wrong one is told at once */
        rc = kw_google_map_init(&p.map, err);
        if (rc == 0)
            rc = lab_provider_read(o->google_provider, &p.map, err);
        kw_google_map_free(&p.map);
    }
    for (size_t i = 0; rc == 0 && i < o->n_rule; i++)
        rc = lab_rule_parse(o->rule[i], &l->rule[l->n_rule++], err);
    for (size_t i = 0; rc == 0 && i < o->n_fault; i++)
        rc = lab_faults_add(&l->faults, o->fault[i], err);
    return rc;
}

/* The lab's own keys and names, new at each start. */
int lab_state_born(struct lab *l, struct kw_err *err)
{
    struct lab_options *o = &l->opt;
    char random[17], day[16];
    time_t now = time(NULL);
    struct tm tm;
    strftime(day, sizeof day, "%Y%m%d", gmtime_r(&now, &tm));
    lab_random_hex(random, 8);
    snprintf(l->issuer_kid, sizeof l->issuer_kid, "lab-issuer-%s", random);
    snprintf(l->session_kid, sizeof l->session_kid, "asw_lab_%s_%s", day, random);
    snprintf(l->domain_url, sizeof l->domain_url, "https://%s", o->domain_host);
    snprintf(l->ns, sizeof l->ns, "labnamespace");
    snprintf(l->bucket, sizeof l->bucket, "lab-bucket");
    lab_random_hex(l->client_secret, 32);
    lab_random_hex(l->request_token, 32);
    lab_random_hex(l->control_token, 32);
    if (o->n_audience == 0) {
        o->audience[o->n_audience++] = l->domain_url;
        o->audience[o->n_audience++] = "https://cloud.oracle.com";
    }
    if (o->n_rule == 0)
        o->rule[o->n_rule++] = "sub eq repo:keyward/demo:*";
    l->issuer_key = lab_rsa_new();
    l->session_key = lab_rsa_new();
    l->stranger_key = lab_rsa_new();
    if (l->issuer_key == NULL || l->session_key == NULL || l->stranger_key == NULL)
        return kw_fail(err, KW_FAILED, "generating RSA keys failed");
    lab_scim_born(l);
    lab_gadmin_born(l);
    struct lab_trust *t = &l->trust[l->n_trust++]; /* the lab's own issuer */
    snprintf(t->issuer, sizeof t->issuer, "%s", o->issuer);
    snprintf(t->jwks.key[0].id, sizeof t->jwks.key[0].id, "%s", l->issuer_kid);
    EVP_PKEY_up_ref(l->issuer_key);
    t->jwks.key[0].pkey = l->issuer_key;
    t->jwks.n = 1;
    for (size_t i = 0; i < LAB_SHAPES; i++) {
        struct lab_trust *s = &l->trust[l->n_trust++];
        snprintf(s->issuer, sizeof s->issuer, "%s", lab_shapes[i].issuer);
        s->jwks.key[0] = t->jwks.key[0];
        EVP_PKEY_up_ref(l->issuer_key);
        s->jwks.n = 1;
    }
    return 0;
}

void lab_state_init(struct lab *l)
{
    pthread_mutex_init(&l->claims_lock, NULL);
    pthread_mutex_init(&l->journal.lock, NULL);
    pthread_mutex_init(&l->store.lock, NULL);
    pthread_mutex_init(&l->google.lock, NULL);
    pthread_mutex_init(&l->scim.lock, NULL);
    lab_gadmin_init(l);
    lab_faults_init(&l->faults);
    l->journal.entries = json_array();
    l->claims = json_deep_copy(l->opt.claims);
}

void lab_state_free(struct lab *l)
{
    for (int door = 0; door < LAB_DOORS; door++)
        SSL_CTX_free(l->ctx[door]);
    for (size_t i = 0; i < l->n_trust; i++)
        lab_keys_free(&l->trust[i].jwks);
    lab_keys_free(&l->api_keys);
    lab_keys_free(&l->assertion_keys);
    EVP_PKEY_free(l->issuer_key);
    EVP_PKEY_free(l->session_key);
    EVP_PKEY_free(l->stranger_key);
    lab_store_free(&l->store);
    lab_scim_free(l);
    lab_gadmin_free(l);
    json_decref(l->journal.entries);
    json_decref(l->claims);
    json_decref(l->opt.claims);
}
