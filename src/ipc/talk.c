/* SPDX-License-Identifier: Apache-2.0 */
#include "talk.h"

#include <string.h>

int kw_msg_send(struct kw_chan *c, enum kw_msg type, const void *m, const int *fds, unsigned nfds,
                int timeout_ms, struct kw_err *err)
{
    struct kw_buf body;
    kw_buf_init(&body, KW_IPC_MAX);
    int r;
    if (m != NULL && !kw_msg_put(&body, type, m))
        r = kw_fail(err, KW_USAGE, "%s: a field of %s is too long or holds control characters",
                    kw_channel_name(c->name), kw_msg_name(type));
    else
        r = kw_chan_send(c, type, &body, fds, nfds, timeout_ms, err);
    kw_buf_free(&body);
    return r;
}

static int peer_error(struct kw_buf *body, struct kw_err *err)
{
    struct kw_m_error e;
    if (!kw_msg_get(body, KW_MSG_ERROR, &e) || e.code == KW_OK || e.code > KW_SANDBOX)
        return kw_fail(err, KW_FAILED, "malformed error message");
    return kw_fail(err, (enum kw_exit)e.code, "%s", e.text);
}

int kw_msg_expect(struct kw_chan *c, enum kw_msg type, void *m, struct kw_in *in, int timeout_ms,
                  struct kw_err *err)
{
    int r = kw_chan_recv(c, in, timeout_ms, err);
    if (r != 0)
        return r;
    if (in->type == KW_MSG_ERROR)
        return peer_error(&in->body, err);
    struct kw_m_empty none;
    if (in->type != type || !kw_msg_get(&in->body, type, m != NULL ? m : &none))
        return kw_fail(err, KW_FAILED, "%s: malformed %s where %s was awaited",
                       kw_channel_name(c->name), kw_msg_name(in->type), kw_msg_name(type));
    return 0;
}

void kw_msg_send_error(struct kw_chan *c, const struct kw_err *err)
{
    struct kw_m_error e = {.code = err->code};
    memcpy(e.text, err->text, sizeof e.text);
    struct kw_err ignored;
    (void)kw_msg_send(c, KW_MSG_ERROR, &e, NULL, 0, 1000, &ignored);
}
