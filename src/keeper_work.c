/* SPDX-License-Identifier: Apache-2.0
 *
 * The threads that sign, and the order of answers. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"

struct kw_job *kw_job_new(enum kw_msg answer)
{
    struct kw_job *j = calloc(1, sizeof *j);
    if (j != NULL) {
        j->answer = answer;
        kw_buf_init(&j->data, KW_LINES + KW_TARGET + KW_HOST);
    }
    return j;
}

void kw_job_free(struct kw_job *j)
{
    if (j != NULL)
        kw_buf_free(&j->data);
    free(j);
}

/* The first signature of a key is checked against its public half: a module that signs
 * wrongly would otherwise show as a puzzling refusal by the cloud. */
static int sign(struct kw_p11 *p11, struct kw_job *j)
{
    struct kw_signer *s = j->signer;
    if (j->not_after != 0 && time(NULL) >= j->not_after)
        return kw_fail(&j->err, KW_POLICY, "the session has expired");
    if (atomic_load(&s->broken))
        return kw_fail(&j->err, KW_TOKEN, "the token signs wrongly with this key");
    int r = kw_p11_sign(p11, &s->key, j->data.p, j->data.len, j->sig, &j->sig_n, &j->err);
    if (r == 0 && !atomic_load(&s->proven)) {
        r = kw_p11_check(&s->key, j->data.p, j->data.len, j->sig, j->sig_n, &j->err);
        atomic_store(r == 0 ? &s->proven : &s->broken, true);
    }
    return r;
}

static void *work(void *arg)
{
    struct kw_workers *w = arg;
    static const uint64_t one = 1;
    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->first == NULL && !w->stop)
            (void)pthread_cond_wait(&w->work, &w->lock);
        struct kw_job *j = w->first;
        if (j == NULL)
            break;
        w->first = j->later;
        if (w->first == NULL)
            w->last = NULL;
        (void)pthread_mutex_unlock(&w->lock);
        int r = sign(w->p11, j);
        (void)pthread_mutex_lock(&w->lock);
        j->result = r;
        j->done = true;
        if (write(w->wake, &one, sizeof one) < 0)
            continue; /* the counter is at its maximum: the loop has been woken */
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

int kw_workers_start(struct kw_workers *w, struct kw_p11 *p11, unsigned n, int wake,
                     struct kw_err *err)
{
    w->p11 = p11;
    w->wake = wake;
    if (pthread_mutex_init(&w->lock, NULL) != 0 || pthread_cond_init(&w->work, NULL) != 0)
        return kw_fail(err, KW_FAILED, "could not make a lock");
    while (w->n < n && w->n < sizeof w->threads / sizeof w->threads[0]) {
        if (pthread_create(&w->threads[w->n], NULL, work, w) != 0)
            return kw_fail(err, KW_FAILED, "could not start a thread");
        w->n++;
    }
    return 0;
}

void kw_workers_stop(struct kw_workers *w)
{
    if (w->n == 0)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_broadcast(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n; i++)
        (void)pthread_join(w->threads[i], NULL);
    w->n = 0;
}

void kw_job_submit(struct kw_keeper *k, struct kw_peer *p, struct kw_job *j)
{
    struct kw_workers *w = &k->workers;
    (void)pthread_mutex_lock(&w->lock);
    if (p->last != NULL)
        p->last->next = j;
    else
        p->first = j;
    p->last = j;
    p->pending++;
    j->done = j->result != 0 || j->answer == KW_S_ALLOWED; /* nothing left to compute */
    if (!j->done) {
        if (w->last != NULL)
            w->last->later = j;
        else
            w->first = j;
        w->last = j;
        (void)pthread_cond_signal(&w->work);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

struct kw_job *kw_job_take(struct kw_keeper *k, struct kw_peer *p)
{
    (void)pthread_mutex_lock(&k->workers.lock);
    struct kw_job *j = p->first;
    if (j != NULL && j->done) {
        p->first = j->next;
        if (p->first == NULL)
            p->last = NULL;
        p->pending--;
    } else
        j = NULL;
    (void)pthread_mutex_unlock(&k->workers.lock);
    return j;
}
