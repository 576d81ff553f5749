/* SPDX-License-Identifier: Apache-2.0 */
#include "dialer_pool.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialer_connect.h"
#include "policy/limits.h"
#include "src/base/log.h"

enum { STACK = 256 * 1024, SEND_MS = 1000 };

/* The channel's state moves with each message either way, so the lock is around both. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct kw_chan chan;
static const struct kw_m_dialer_start *config;
static struct kw_m_pdial queue[KW_SIGNS_MAX]; /* as many as can be under way */
static size_t first, waiting;

static void answer(const struct kw_m_pdial *want, int fd, const char *address,
                   const struct kw_err *why)
{
    struct kw_err err;
    struct kw_m_pdialed yes = {.id = want->id};
    struct kw_m_undialed no = {.id = want->id};
    int r;
    (void)pthread_mutex_lock(&lock);
    if (fd >= 0) {
        (void)snprintf(yes.address, sizeof yes.address, "%s", address);
        r = kw_msg_send(&chan, KW_P_DIALED, &yes, &fd, 1, SEND_MS, &err);
    } else {
        no.code = (uint32_t)why->code;
        (void)snprintf(no.text, sizeof no.text, "%s", why->text);
        r = kw_msg_send(&chan, KW_P_UNDIALED, &no, NULL, 0, SEND_MS, &err);
    }
    (void)pthread_mutex_unlock(&lock);
    if (r != 0)
        kw_log(KW_DEBUG, "%s", err.text);
}

static void dial(const struct kw_m_pdial *want)
{
    struct kw_m_dial m = {.port = want->port, .timeout_ms = want->timeout_ms};
    struct kw_err why = {0};
    char address[64];
    int fd = -1;
    memcpy(m.host, want->host, sizeof m.host);
    if (kw_dialer_connect(config, &m, &fd, address, sizeof address, &why) != 0) {
        fd = -1;
        kw_log(KW_INFO, "%s", why.text);
    } else
        kw_log(KW_INFO, "%s:%u is %s", m.host, (unsigned)m.port, address);
    answer(want, fd, address, &why);
    if (fd >= 0)
        (void)close(fd);
}

/* The next question, waited for. */
static void dial_next(void)
{
    (void)pthread_mutex_lock(&lock);
    while (waiting == 0)
        (void)pthread_cond_wait(&more, &lock);
    const struct kw_m_pdial want = queue[first];
    first = (first + 1) % KW_SIGNS_MAX;
    waiting--;
    (void)pthread_mutex_unlock(&lock);
    dial(&want);
}

static void *work(void *arg)
{
    struct kw_err err;
    (void)arg;
    /* Capabilities belong to threads: the lock of the main one does not take ours. */
    if (kw_limits_capabilities(0, &err) != 0)
        return NULL;
    for (;;)
        dial_next();
    return NULL;
}

int kw_dialer_pool_start(const struct kw_m_dialer_start *c, int fd, struct kw_err *err)
{
    pthread_attr_t attr;
    pthread_t thread;
    int r = 0;
    config = c;
    kw_chan_init(&chan, KW_CHAN_PDIAL, KW_ROLE_DIALER, fd);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK);
    for (unsigned i = 0; i < KW_DIALERS && r == 0; i++)
        r = pthread_create(&thread, &attr, work, NULL);
    (void)pthread_attr_destroy(&attr);
    return r == 0 ? 0 : kw_fail(err, KW_FAILED, "could not start a thread: %s", strerror(r));
}

int kw_dialer_pool_take(struct kw_err *err)
{
    struct kw_in in;
    struct kw_m_pdial want;
    (void)pthread_mutex_lock(&lock);
    int r = kw_msg_expect(&chan, KW_P_DIAL, &want, &in, 0, err);
    if (r == 0 && (want.host[0] == '\0' || want.port < 1 || want.port > 65535))
        r = kw_fail(err, KW_FAILED, "%s: malformed P_DIAL", kw_channel_name(chan.name));
    if (r == 0 && waiting < KW_SIGNS_MAX) { /* the table lets no more through */
        queue[(first + waiting) % KW_SIGNS_MAX] = want;
        waiting++;
        (void)pthread_cond_signal(&more);
    }
    (void)pthread_mutex_unlock(&lock);
    kw_in_free(&in);
    return r;
}

/* Threads may be about to answer: so the descriptor's number must not become another's, which
 * they would write to. */
void kw_dialer_pool_end(void)
{
    (void)shutdown(chan.fd, SHUT_RDWR);
}
