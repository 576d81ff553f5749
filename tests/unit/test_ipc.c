/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels between processes, seen from an honest end whose peer may be anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "src/ipc/talk.h"

static struct kw_chan here, there; /* exchanger and keeper on CHAN_SIGN, unless said otherwise */
static struct kw_err err;

static void open_chan(enum kw_channel name, enum kw_role a, enum kw_role b)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    kw_chan_init(&here, name, a, fds[0]);
    kw_chan_init(&there, name, b, fds[1]);
}

static int setup(void **state)
{
    (void)state;
    open_chan(KW_CHAN_SIGN, KW_ROLE_EXCHANGER, KW_ROLE_KEEPER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(here.fd);
    (void)close(there.fd);
    return 0;
}

static int descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n;
}

/* Sends bytes as they are, with nfds copies of standard input. */
static void raw(const void *bytes, size_t n, unsigned nfds)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 8)];
    } control = {.space = {0}};
    char copy[4096];
    assert_true(n <= sizeof copy && nfds <= 8);
    memcpy(copy, bytes, n);
    struct iovec iov = {.iov_base = copy, .iov_len = n};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds > 0) {
        mh.msg_control = control.space;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        const int fds[8] = {0}; /* standard input, so often */
        memcpy(CMSG_DATA(cm), fds, sizeof(int) * nfds);
    }
    assert_int_equal(sendmsg(there.fd, &mh, MSG_NOSIGNAL), n);
}

static void raw_header(uint32_t type, uint32_t serial, uint32_t len, unsigned nfds)
{
    struct kw_buf b;
    kw_buf_init(&b, 64);
    kw_put_u32(&b, type);
    kw_put_u32(&b, serial);
    kw_put_u32(&b, len);
    raw(b.p, b.len, nfds);
    kw_buf_free(&b);
}

static void refused(const char *why)
{
    struct kw_in in;
    int before = descriptors();
    assert_int_equal(kw_chan_recv(&here, &in, 1000, &err), KW_FAILED);
    assert_int_equal(in.type, KW_MSG_NONE);
    kw_in_free(&in);
    assert_int_equal(descriptors(), before); /* what came along is closed */
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" is not about %s", err.text, why);
    assert_int_equal(strncmp(err.text, kw_channel_name(here.name), 8), 0);
}

static void test_conversation(void **state)
{
    (void)state;
    struct kw_m_sign ask = {.key = KW_SIGN_CLIENT, .method = "GET", .host = "h", .target = "/"},
                     asked;
    struct kw_m_signed answer = {.signature = {(const unsigned char *)"sig", 3}}, answered;
    struct kw_in in;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 1000, &err), 0);
        assert_int_equal(kw_msg_expect(&there, KW_S_SIGN, &asked, &in, 1000, &err), 0);
        kw_in_free(&in);
        assert_memory_equal(&ask, &asked, sizeof ask);
        assert_int_equal(kw_msg_send(&there, KW_S_SIGNED, &answer, NULL, 0, 1000, &err), 0);
        assert_int_equal(kw_msg_expect(&here, KW_S_SIGNED, &answered, &in, 1000, &err), 0);
        assert_int_equal(answered.signature.len, 3);
        assert_memory_equal(answered.signature.p, "sig", 3);
        kw_in_free(&in);
    }
    assert_int_equal(here.tx, 3);
    assert_int_equal(here.rx, 3);
}

static void test_errors_end_the_wait(void **state)
{
    (void)state;
    struct kw_m_assert ask = {.audience = "a"};
    struct kw_in in;
    struct kw_err why = {KW_POLICY, "host evil.example is not allowed"};
    assert_int_equal(kw_msg_send(&here, KW_S_ASSERT, &ask, NULL, 0, 1000, &err), 0);
    assert_int_equal(kw_chan_recv(&there, &in, 1000, &err), 0);
    kw_in_free(&in);
    kw_msg_send_error(&there, &why);
    struct kw_m_asserted got;
    assert_int_equal(kw_msg_expect(&here, KW_S_ASSERTED, &got, &in, 1000, &err), KW_POLICY);
    assert_string_equal(err.text, why.text);
    kw_in_free(&in);
    /* and both may go on */
    assert_int_equal(kw_msg_send(&here, KW_S_ASSERT, &ask, NULL, 0, 1000, &err), 0);
    assert_int_equal(kw_chan_recv(&there, &in, 1000, &err), 0);
    kw_in_free(&in);
    /* an error that claims success, or a code that doesn't exist */
    why.code = KW_OK;
    kw_msg_send_error(&there, &why);
    assert_int_equal(kw_msg_expect(&here, KW_S_ASSERTED, &got, &in, 1000, &err), KW_FAILED);
    kw_in_free(&in);
    why.code = (enum kw_exit)(KW_SANDBOX + 1);
    kw_msg_send_error(&there, &why);
    assert_int_equal(kw_msg_expect(&here, KW_S_ASSERTED, &got, &in, 1000, &err), KW_FAILED);
    kw_in_free(&in);
}

/* Several requests under way, answered in their order; never more than the bound, whoever
 * breaks it. */
static void test_several_under_way(void **state)
{
    (void)state;
    struct kw_m_sign ask = {.method = "GET", .host = "h", .target = "/"};
    struct kw_m_signed answer = {.signature = {(const unsigned char *)"sig", 3}}, got;
    struct kw_err why = {KW_POLICY, "no"};
    struct kw_in in;
    for (unsigned i = 0; i < KW_SIGNS_MAX; i++) {
        assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 1000, &err), 0);
        assert_int_equal(kw_chan_recv(&there, &in, 1000, &err), 0);
        kw_in_free(&in);
    }
    assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 1000, &err), KW_FAILED);
    assert_non_null(strstr(err.text, "can't be sent now"));
    here.state = 0; /* an exchanger that doesn't count */
    assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 1000, &err), 0);
    assert_int_equal(kw_chan_recv(&there, &in, 1000, &err), KW_FAILED);
    assert_non_null(strstr(err.text, "malformed message from exchanger (S_SIGN)"));
    kw_in_free(&in);
    here.state = KW_SIGNS_MAX;
    for (unsigned i = 0; i < KW_SIGNS_MAX; i++) {
        if (i % 3 == 0)
            kw_msg_send_error(&there, &why);
        else
            assert_int_equal(kw_msg_send(&there, KW_S_SIGNED, &answer, NULL, 0, 1000, &err), 0);
        int r = kw_msg_expect(&here, KW_S_SIGNED, &got, &in, 1000, &err);
        assert_int_equal(r, i % 3 == 0 ? KW_POLICY : 0);
        kw_in_free(&in);
    }
    assert_int_equal(here.state, 0);
    assert_int_equal(there.state, 0);
    assert_int_equal(kw_msg_send(&there, KW_S_SIGNED, &answer, NULL, 0, 0, &err), KW_FAILED);
    raw_header(KW_S_SIGNED, here.rx, 0, 0); /* an answer that nobody asked for */
    refused("S_SIGNED");
}

static void test_only_what_is_legal_is_sent(void **state)
{
    (void)state;
    struct kw_m_sign ask = {.method = "GET"};
    struct kw_m_signed answer = {.signature = {(const unsigned char *)"", 0}};
    /* not its message; not now; wrong descriptors; a field beyond its bound */
    assert_int_equal(kw_msg_send(&here, KW_S_SIGNED, &answer, NULL, 0, 0, &err), KW_FAILED);
    assert_int_equal(kw_msg_send(&there, KW_S_SIGNED, &answer, NULL, 0, 0, &err), KW_FAILED);
    const int fd = 0;
    assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, &fd, 1, 0, &err), KW_FAILED);
    memset(ask.method, 'X', sizeof ask.method);
    assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 0, &err), KW_USAGE);
    ask.method[1] = '\0';
    ask.method[0] = '\n';
    assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 0, &err), KW_USAGE);
    assert_int_equal(here.tx, 0);
    assert_int_equal(here.state, 0);
    struct kw_in in;
    assert_int_equal(kw_chan_recv(&there, &in, 0, &err), KW_NET); /* nothing was sent */
    kw_in_free(&in);
}

static void test_malformed(void **state)
{
    (void)state;
    struct kw_m_sign ask = {.method = "GET"};
    assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 1000, &err), 0);
    unsigned awaiting = here.state;
    for (size_t n = 1; n < 12; n++) {
        raw("\x21\0\0\0\0\0\0\0\0\0\0\0", n, 0);
        refused("length");
    }
    raw_header(KW_S_SIGNED, 0, 1, 0);
    refused("length");
    raw_header(KW_S_SIGNED, 0, UINT32_MAX, 0);
    refused("length");
    raw_header(KW_S_SIGNED, 1, 0, 0);
    refused("serial");
    raw_header(KW_MSGS, 0, 0, 0);
    refused("type");
    raw_header(UINT32_MAX, 0, 0, 0);
    refused("type");
    raw_header(KW_MSG_NONE, 0, 0, 0);
    refused("malformed");
    raw_header(KW_S_SIGN, 0, 0, 0); /* the exchanger's own message, sent back */
    refused("S_SIGN");
    raw_header(KW_KM_SIGNED, 0, 0, 0); /* of another channel */
    refused("KM_SIGNED");
    for (unsigned n = 1; n <= 8; n++) { /* descriptors that nobody asked for */
        raw_header(KW_S_SIGNED, 0, 0, n);
        refused(n <= KW_IPC_FDS ? "descriptors" : "length");
    }
    char big[1024] = {KW_S_SIGNED, 0, 0, 0, 0, 0, 0, 0, (char)(1012 % 256), 1012 / 256, 0, 0};
    raw(big, sizeof big, 0);
    refused("too long");
    assert_int_equal(here.rx, 0);
    assert_int_equal(here.state, awaiting);
}

static void test_larger_than_any_message(void **state)
{
    (void)state;
    static char big[KW_IPC_MAX + 13];
    assert_int_equal(send(there.fd, big, sizeof big, 0), sizeof big);
    refused("length");
    assert_int_equal(send(there.fd, "", 0, 0), 0); /* an empty packet reads like the end */
    refused("has gone");
}

static void test_peer_gone(void **state)
{
    (void)state;
    struct kw_in in;
    raw_header(KW_MSG_ERROR, 0, 0, 0);
    (void)close(there.fd);
    struct kw_m_sign ask = {.method = "GET"};
    assert_int_equal(kw_msg_send(&here, KW_S_SIGN, &ask, NULL, 0, 1000, &err), KW_FAILED);
    assert_string_equal(err.text, "exchanger-keeper: keeper has gone");
    assert_int_equal(kw_chan_recv(&here, &in, 1000, &err), 0); /* its last words */
    assert_int_equal(in.type, KW_MSG_ERROR);
    kw_in_free(&in);
    assert_int_equal(kw_chan_recv(&here, &in, -1, &err), KW_FAILED);
    assert_string_equal(err.text, "exchanger-keeper: keeper has gone");
    kw_in_free(&in);
    (void)close(here.fd);
    there.fd = here.fd = -1; /* a channel that was closed: no wait without end */
    assert_int_equal(kw_chan_recv(&here, &in, -1, &err), KW_FAILED);
    kw_in_free(&in);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void test_time_out_under_signals(void **state)
{
    (void)state;
    struct sigaction sa = {.sa_handler = on_alarm}; /* no SA_RESTART: EINTR */
    (void)sigaction(SIGALRM, &sa, NULL);
    const struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_REAL, &often, NULL);
    struct kw_in in;
    int64_t start = kw_now_ms();
    assert_int_equal(kw_chan_recv(&here, &in, 100, &err), KW_NET);
    kw_in_free(&in);
    int64_t took = kw_now_ms() - start;
    assert_true(took >= 100 && took < 1000);
    /* a peer that reads nothing: its buffer fills, and that is told as well */
    struct kw_m_call call = {.method = "GET", .url = "u"};
    memset(call.headers, 'h', sizeof call.headers - 1);
    int fds[2] = {0, 0}, r = 0;
    for (int i = 0; r == 0 && i < 1000; i++) {
        here.name = there.name = KW_CHAN_EXCHANGER;
        here.self = KW_ROLE_MAIN;
        here.state = 2; /* IDLE */
        r = kw_msg_send(&here, KW_XM_CALL, &call, fds, 2, 100, &err);
    }
    (void)setitimer(ITIMER_REAL, &never, NULL); /* one may be late: the handler stays */
    assert_int_equal(r, KW_NET);
    assert_non_null(strstr(err.text, "takes no message"));
}

static void test_descriptors(void **state)
{
    (void)state;
    (void)teardown(NULL);
    open_chan(KW_CHAN_DIAL, KW_ROLE_EXCHANGER, KW_ROLE_DIALER);
    int before = descriptors();
    struct kw_m_dial ask = {.host = "h", .port = 443};
    struct kw_in in;
    assert_int_equal(kw_msg_send(&here, KW_D_DIAL, &ask, NULL, 0, 1000, &err), 0);
    assert_int_equal(kw_chan_recv(&there, &in, 1000, &err), 0);
    kw_in_free(&in);
    struct kw_m_dialed answer = {.address = "127.0.0.1:443"};
    /* without its descriptor it can't be sent, and when it comes it is ours */
    assert_int_equal(kw_msg_send(&there, KW_D_DIALED, &answer, NULL, 0, 1000, &err), KW_FAILED);
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(kw_msg_send(&there, KW_D_DIALED, &answer, &pipes[0], 1, 1000, &err), 0);
    assert_int_equal(kw_chan_recv(&here, &in, 1000, &err), 0);
    assert_int_equal(in.nfds, 1);
    assert_int_equal(fcntl(in.fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    char c = 0;
    assert_int_equal(read(in.fds[0], &c, 1), 1);
    kw_in_free(&in);
    kw_in_free(&in);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    /* one that comes without */
    assert_int_equal(kw_msg_send(&here, KW_D_DIAL, &ask, NULL, 0, 1000, &err), 0);
    raw_header(KW_D_DIALED, here.rx, 0, 0);
    refused("descriptors");
    assert_int_equal(descriptors(), before);
}

int main(void)
{
#define EACH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_conversation),      EACH(test_errors_end_the_wait),
        EACH(test_several_under_way), EACH(test_only_what_is_legal_is_sent),
        EACH(test_malformed),         EACH(test_larger_than_any_message),
        EACH(test_peer_gone),         EACH(test_time_out_under_signals),
        EACH(test_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
