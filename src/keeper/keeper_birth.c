/* SPDX-License-Identifier: Apache-2.0
 *
 * A key's birth: one thread makes (or finds) it, another tries to get a twin of it out
 * of the token, both at once, because each costs a key generation. KM_KEY goes out as
 * soon as there is a key, so that the exchange can start; nothing is signed with it
 * before the verdict but the fixed text that tries it (pkcs11/ladder.c). */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"
#include "src/base/b64.h"

static void wake(const struct kw_keeper *k)
{
    static const uint64_t one = 1;
    while (write(k->wake, &one, sizeof one) < 0 && errno == EINTR)
        continue; /* any other error: the counter is at its maximum, the loop has been woken */
}

static int find_stored(struct kw_keeper *k, struct kw_err *err)
{
    unsigned char id[32];
    size_t n = 0;
    if (!kw_unhex(id, sizeof id, &n, k->cfg.stored_id) || n == 0)
        return kw_fail(err, KW_TOKEN, "the stored session names no key; make a new one");
    return kw_p11_find(k->p11, "keyward session", id, n, true, k->cfg.accept, &k->birth.whose->key,
                       err);
}

static void *make(void *arg)
{
    struct kw_keeper *k = arg;
    struct kw_birth *b = &k->birth;
    b->make_result = k->cfg.purpose == KW_FOR_STORED
                         ? find_stored(k, &b->make_err)
                         : kw_p11_generate(k->p11, k->cfg.bits, k->cfg.token_object != 0,
                                           k->cfg.accept, &b->whose->key, &b->make_err);
    atomic_store(&b->made, true);
    wake(k);
    return NULL;
}

static void *extract(void *arg)
{
    struct kw_keeper *k = arg;
    struct kw_birth *b = &k->birth;
    bool stored = k->cfg.token_object != 0 && k->cfg.purpose != KW_FOR_STORED;
    int r = kw_p11_try_extract(k->p11, stored, k->cfg.accept, &b->verdict, &b->extract_err);
    /* The twin of a key that is there already is a session object where the token has
     * such; where it hasn't, nothing came out and nothing was proven: again, stored. */
    if (r != 0 && k->cfg.purpose == KW_FOR_STORED && b->verdict.weaknesses == 0)
        r = kw_p11_try_extract(k->p11, true, k->cfg.accept, &b->verdict, &b->extract_err);
    b->extract_result = r;
    atomic_store(&b->tried, true);
    wake(k);
    return NULL;
}

int kw_birth_start(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_birth *b = &k->birth;
    b->whose = k->session;
    b->make_started = pthread_create(&b->make, NULL, make, k) == 0;
    b->extract_started = b->make_started && pthread_create(&b->extract, NULL, extract, k) == 0;
    return b->extract_started ? 0 : kw_fail(err, KW_FAILED, "could not start a thread");
}

static int tell_key(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_signer *whose = k->birth.whose;
    const struct kw_p11_key *key = &whose->key;
    struct kw_m_key m = {.rung = key->rung, .spki = {key->spki, key->spki_len}};
    kw_hex(m.id, key->id, key->id_len);
    memcpy(m.attributes, key->attributes, sizeof m.attributes);
    whose->there = true;
    int r = kw_note_key(k, k->cfg.purpose == KW_FOR_STORED ? "found" : "born", key, err);
    if (r == 0)
        r = kw_tell_main(k, KW_KM_KEY, &m, err);
    k->key_told = r == 0;
    return r;
}

/* A successor of the session key. How this token keeps keys is known from the first. */
int kw_birth_again(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_birth *b = &k->birth;
    b->whose = k->other;
    if (b->make_started) /* is told when it is there */
        return 0;
    if (k->other->there) /* of a renewal that came to nothing: as good as new */
        return tell_key(k, err);
    *b->whose = (struct kw_signer){.there = false};
    atomic_store(&b->made, false);
    b->make_started = pthread_create(&b->make, NULL, make, k) == 0;
    k->key_told = false;
    return b->make_started ? 0 : kw_fail(err, KW_FAILED, "could not start a thread");
}

static int tell_verdict(struct kw_keeper *k, struct kw_err *err)
{
    const struct kw_m_verdict *v = &k->birth.verdict;
    int r = kw_note_verdict(k, v, err);
    if (r == 0)
        r = kw_tell_main(k, KW_KM_VERDICT, v, err);
    k->verdict_in = r == 0;
    if (r == 0 && k->cfg.purpose == KW_FOR_PROBE)
        r = kw_keeper_drop(k, "it was a probe", err);
    return r;
}

/* What is told when there is to be no session. That a token gives keys out is graver than
 * an attribute that it got wrong, but both are told: whoever takes the risk shall know all
 * of it. */
static int tell_failure(struct kw_keeper *k, struct kw_err *err)
{
    const struct kw_birth *b = &k->birth;
    struct kw_err ignored; /* the verdict itself is what is told */
    if (b->extract_result != 0)
        (void)kw_note_verdict(k, &b->verdict, &ignored);
    if (b->make_result != 0 && b->verdict.weaknesses != 0 && b->extract_result != 0)
        return kw_fail(err, b->extract_err.code, "%s. Besides, %s", b->extract_err.text,
                       b->make_err.text);
    *err = b->make_result != 0 ? b->make_err : b->extract_err;
    return (int)err->code;
}

int kw_birth_step(struct kw_keeper *k, struct kw_err *err)
{
    struct kw_birth *b = &k->birth;
    int r = 0;
    if (b->extract_started && atomic_load(&b->tried)) {
        (void)pthread_join(b->extract, NULL);
        b->extract_started = false;
    }
    if (b->make_started && atomic_load(&b->made)) {
        (void)pthread_join(b->make, NULL);
        b->make_started = false;
        b->whose->there = b->make_result == 0;
        /* No exchange is begun for a key that is known to be no good. */
        if (b->make_result == 0 && (b->extract_started || b->extract_result == 0))
            r = tell_key(k, err);
    }
    if (r == 0 && !b->make_started && b->make_result != 0 && b->whose == k->other) {
        /* A renewal that failed costs no session that is still good. */
        kw_msg_send_error(&k->main.chan, &b->make_err);
        b->make_result = 0;
        return 0;
    }
    if (r == 0 && !b->make_started && !b->extract_started &&
        (b->make_result != 0 || b->extract_result != 0))
        return tell_failure(k, err);
    /* The verdict follows the key, though it may have been there first. */
    if (r == 0 && k->key_told && !k->verdict_in && !b->extract_started)
        r = tell_verdict(k, err);
    return r;
}

void kw_birth_join(struct kw_keeper *k)
{
    struct kw_birth *b = &k->birth;
    if (b->make_started) {
        (void)pthread_join(b->make, NULL);
        b->whose->there = b->make_result == 0;
    }
    if (b->extract_started)
        (void)pthread_join(b->extract, NULL);
    b->make_started = b->extract_started = false;
}
