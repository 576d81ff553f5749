/* SPDX-License-Identifier: Apache-2.0
 *
 * The threads that sign, and the order of answers. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"
#include "src/base/memory.h"

struct kw_job *kw_job_new(enum kw_msg answer)
{
    struct kw_job *j = calloc(1, sizeof *j);
    if (j != NULL) {
        j->answer = answer;
        j->sync_fd = -1;
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
    if (j->sync_fd >= 0 && fdatasync(j->sync_fd) != 0)
        return kw_fail_errno(&j->err, KW_FAILED, "audit log: could not sync it");
    int r = kw_p11_sign(p11, &s->key, j->data.p, j->data.len, j->sig, &j->sig_n, &j->err);
    if (r == 0 && (j->check || !atomic_load(&s->proven))) {
        r = kw_p11_check(&s->key, j->data.p, j->data.len, j->sig, j->sig_n, &j->err);
        if (r == 0 || !kw_memory_short()) /* else it could not be looked at */
            atomic_store(r == 0 ? &s->proven : &s->broken, true);
    }
    return r;
}

/* Waits for a job and takes it; NULL at the end. Under the lock. */
static struct kw_job *next_job(struct kw_workers *w, struct kw_worker *self)
{
    /* (Who wakes by itself stays in the list of the idle: enqueue() takes it off.) */
    while (!w->stop && (w->first == NULL || self->waits)) {
        if (!self->waits) {
            self->waits = true;
            self->below = w->idle;
            w->idle = self;
        }
        (void)pthread_cond_wait(&self->wake, &w->lock);
    }
    struct kw_job *j = w->first;
    if (j != NULL)
        w->first = j->later;
    if (w->first == NULL)
        w->last = NULL;
    return j;
}

static void *work(void *arg)
{
    struct kw_worker *self = arg;
    struct kw_workers *w = self->all;
    static const uint64_t one = 1;
    struct kw_job *j;
    (void)pthread_mutex_lock(&w->lock);
    while ((j = next_job(w, self)) != NULL) {
        (void)pthread_mutex_unlock(&w->lock);
        int r = sign(w->p11, j);
        (void)pthread_mutex_lock(&w->lock);
        j->result = r;
        j->done = true;
        /* The loop is woken without the lock, which it takes first of all. */
        (void)pthread_mutex_unlock(&w->lock);
        while (write(w->wake, &one, sizeof one) < 0 && errno == EINTR)
            continue; /* any other error: the counter is at its maximum, the loop has been woken */
        (void)pthread_mutex_lock(&w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

int kw_workers_start(struct kw_workers *w, struct kw_p11 *p11, unsigned n, int wake,
                     struct kw_err *err)
{
    w->p11 = p11;
    w->wake = wake;
    if (pthread_mutex_init(&w->lock, NULL) != 0)
        return kw_fail(err, KW_FAILED, "could not make a lock");
    while (w->n < n && w->n < sizeof w->workers / sizeof w->workers[0]) {
        struct kw_worker *one = &w->workers[w->n];
        one->all = w;
        if (pthread_cond_init(&one->wake, NULL) != 0 ||
            pthread_create(&one->thread, NULL, work, one) != 0)
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
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n; i++)
        (void)pthread_cond_signal(&w->workers[i].wake);
    for (unsigned i = 0; i < w->n; i++)
        (void)pthread_join(w->workers[i].thread, NULL);
    w->n = 0;
}

/* Returns whom to wake, which is done without the lock: the woken takes it first of all. */
static struct kw_worker *enqueue(struct kw_workers *w, struct kw_job *j)
{
    if (w->last != NULL)
        w->last->later = j;
    else
        w->first = j;
    w->last = j;
    struct kw_worker *idle = w->idle;
    if (idle != NULL) {
        w->idle = idle->below;
        idle->waits = false;
    }
    return idle;
}

void kw_job_queue(struct kw_workers *w, struct kw_job *j)
{
    (void)pthread_mutex_lock(&w->lock);
    struct kw_worker *idle = enqueue(w, j);
    (void)pthread_mutex_unlock(&w->lock);
    if (idle != NULL)
        (void)pthread_cond_signal(&idle->wake);
}

void kw_job_submit(struct kw_keeper *k, struct kw_peer *p, struct kw_job *j)
{
    struct kw_workers *w = &k->workers;
    struct kw_worker *idle = NULL;
    (void)pthread_mutex_lock(&w->lock);
    if (p->last != NULL)
        p->last->next = j;
    else
        p->first = j;
    p->last = j;
    p->pending++;
    /* Where nothing is signed, nothing is left to compute. */
    j->done = j->result != 0 || j->answer == KW_S_ALLOWED || j->answer == KW_P_ALLOWED;
    if (!j->done)
        idle = enqueue(w, j);
    (void)pthread_mutex_unlock(&w->lock);
    if (idle != NULL)
        (void)pthread_cond_signal(&idle->wake);
}

bool kw_job_done(struct kw_workers *w, const struct kw_job *j)
{
    (void)pthread_mutex_lock(&w->lock);
    bool done = j->done;
    (void)pthread_mutex_unlock(&w->lock);
    return done;
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
