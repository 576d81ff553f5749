/* SPDX-License-Identifier: Apache-2.0
 *
 * Message bodies: every type goes through the codec and comes back the same; every excess,
 * lack and illegal byte is refused; who may say what, when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/ipc/talk.h"

/* A body of zeros is legal for every type: all fields empty. Its length tells the fields. */
static size_t empty_body(enum kw_msg type, struct kw_buf *b)
{
    void *m = calloc(1, kw_msg_size(type));
    kw_buf_init(b, KW_IPC_MAX);
    assert_true(kw_msg_put(b, type, m));
    free(m);
    return b->len;
}

static void test_every_type(void **state)
{
    (void)state;
    for (unsigned t = KW_MSG_ERROR; t < KW_MSGS; t++) {
        enum kw_msg type = (enum kw_msg)t;
        struct kw_buf b, again;
        size_t n = empty_body(type, &b);
        void *m = malloc(kw_msg_size(type));
        assert_string_not_equal(kw_msg_name(type), "?");
        assert_true(kw_msg_get(&b, type, m));
        kw_buf_init(&again, KW_IPC_MAX);
        assert_true(kw_msg_put(&again, type, m));
        assert_int_equal(again.len, n);
        if (n > 0)
            assert_memory_equal(again.p, b.p, n);
        kw_msg_free(type, m);
        for (size_t cut = 0; cut < n; cut++) { /* every prefix is a lack */
            b.len = cut;
            b.rd = 0;
            b.bad = false;
            assert_false(kw_msg_get(&b, type, m));
        }
        b.len = n;
        b.rd = 0;
        b.bad = false;
        kw_put(&b, "", 1); /* and one more byte an excess */
        assert_false(kw_msg_get(&b, type, m));
        free(m);
        kw_buf_free(&b);
        kw_buf_free(&again);
    }
}

static void test_unknown(void **state)
{
    (void)state;
    unsigned next, nfds;
    size_t max;
    assert_string_equal(kw_msg_name(KW_MSG_NONE), "?");
    assert_string_equal(kw_msg_name(KW_MSGS), "?");
    assert_string_equal(kw_role_name(KW_ROLES), "?");
    assert_string_equal(kw_channel_name(KW_CHANNELS), "?");
    assert_int_equal(kw_msg_size(KW_MSGS), 0);
    for (unsigned chan = 0; chan <= KW_CHANNELS; chan++)
        for (unsigned role = 0; role <= KW_ROLES; role++) {
            assert_false(kw_msg_legal(KW_MSG_NONE, (enum kw_channel)chan, (enum kw_role)role, 0,
                                      &next, &max, &nfds));
            assert_false(kw_msg_legal(KW_MSGS, (enum kw_channel)chan, (enum kw_role)role, 0, &next,
                                      &max, &nfds));
        }
    assert_false(kw_msg_legal(KW_KM_CLOSE, KW_CHAN_KEEPER, KW_ROLE_MAIN, 32, &next, &max, &nfds));
    assert_false(
        kw_msg_legal(KW_KM_CLOSE, KW_CHAN_KEEPER, KW_ROLE_MAIN, UINT32_MAX, &next, &max, &nfds));
}

/* What main shows people drives no terminal, and keeps its lines. */
static void test_shown(void **state)
{
    (void)state;
    static struct kw_m_head sent = {.status = 200}, head;
    static const char lines[] = "a: \xc2\x9b"
                                "31m\tx\nb: \xe2\x80\xaegnp\nc: \xc3\xa9\n";
    memcpy(sent.headers, lines, sizeof lines);
    struct kw_m_verdict verdict = {.text = "ok \xc2\x9dQ \xff"}, v;
    struct kw_buf b;
    kw_buf_init(&b, KW_IPC_MAX);
    assert_true(kw_msg_put(&b, KW_XM_HEAD, &sent));
    assert_true(kw_msg_get_shown(&b, KW_XM_HEAD, &head));
    assert_string_equal(head.headers, "a: ??31m?x\nb: ???gnp\nc: \xc3\xa9\n");
    kw_buf_reset(&b);
    assert_true(kw_msg_put(&b, KW_KM_VERDICT, &verdict));
    assert_true(kw_msg_get_shown(&b, KW_KM_VERDICT, &v));
    assert_string_equal(v.text, "ok ??Q ?");
    kw_buf_reset(&b);
    kw_put_u32(&b, 1);
    assert_false(kw_msg_get_shown(&b, KW_KM_VERDICT, &v));
    kw_buf_free(&b);
}

/* Whatever is legal somewhere fits the channel, and every type is legal somewhere. */
static void test_limits(void **state)
{
    (void)state;
    for (unsigned t = KW_MSG_ERROR; t < KW_MSGS; t++) {
        unsigned places = 0;
        for (unsigned c = 0; c < KW_CHANNELS; c++)
            for (unsigned r = 0; r <= KW_ROLE_JOB; r++)
                for (unsigned s = 0; s < 11; s++) {
                    unsigned next = 99, nfds = 99;
                    size_t max = SIZE_MAX;
                    if (!kw_msg_legal((enum kw_msg)t, (enum kw_channel)c, (enum kw_role)r, s, &next,
                                      &max, &nfds))
                        continue;
                    places++;
                    assert_true(max <= KW_IPC_MAX && nfds <= KW_IPC_FDS && next <= 11);
                    assert_true(t == KW_MSG_ERROR || c != KW_CHAN_DIAL || r != KW_ROLE_KEEPER);
                }
        assert_true(places > 0);
    }
}

/* main never sends an error, nobody speaks on a channel that isn't his. */
static void test_who(void **state)
{
    (void)state;
    unsigned next, nfds;
    size_t max;
    for (unsigned s = 0; s < 11; s++)
        for (unsigned c = 0; c < KW_CHANNELS; c++) {
            assert_false(kw_msg_legal(KW_MSG_ERROR, (enum kw_channel)c, KW_ROLE_MAIN, s, &next,
                                      &max, &nfds));
            for (unsigned t = KW_MSG_ERROR; t < KW_MSGS; t++) {
                if (c != KW_CHAN_SIGN)
                    continue;
                assert_false(kw_msg_legal((enum kw_msg)t, KW_CHAN_SIGN, KW_ROLE_DIALER, s, &next,
                                          &max, &nfds));
                assert_false(kw_msg_legal((enum kw_msg)t, KW_CHAN_SIGN, KW_ROLE_MAIN, s, &next,
                                          &max, &nfds));
            }
        }
}

/* A conversation walked by names: each step's answer decides the next state. */
static void walk(enum kw_channel chan, const char *steps)
{
    static const enum kw_role peer[] = {KW_ROLE_KEEPER, KW_ROLE_EXCHANGER, KW_ROLE_DIALER};
    char copy[512], *save = NULL;
    (void)snprintf(copy, sizeof copy, "%s", steps);
    unsigned now = 0;
    for (char *s = strtok_r(copy, " ", &save); s != NULL; s = strtok_r(NULL, " ", &save)) {
        bool legal = s[0] != '!'; /* !NAME: not legal here */
        const char *name = s + !legal;
        bool known = false, ok = false;
        for (unsigned t = KW_MSG_ERROR; t < KW_MSGS; t++) {
            if (strcmp(kw_msg_name((enum kw_msg)t), name) != 0)
                continue;
            known = true;
            for (int side = 0; side < 2 && !ok; side++) {
                unsigned next, nfds;
                size_t max;
                ok = kw_msg_legal((enum kw_msg)t, chan, side == 0 ? KW_ROLE_MAIN : peer[chan], now,
                                  &next, &max, &nfds);
                now = ok ? next : now;
            }
        }
        if (!known || ok != legal)
            fail_msg("%s in \"%s\": %s", name, steps, known ? "wrong" : "unknown");
    }
}

static void test_conversations(void **state)
{
    (void)state;
    walk(KW_CHAN_KEEPER,
         "!KM_READY !KM_SIGN KM_START !KM_START !KM_KEY KM_READY KM_KEY KM_VERDICT "
         "KM_SESSION !KM_SIGN KM_OK !KM_OK KM_SIGN KM_SIGNED !KM_SIGNED KM_CLOSE KM_CLOSED");
    /* key and verdict cross main's messages */
    walk(KW_CHAN_KEEPER, "KM_START KM_READY KM_SESSION KM_VERDICT KM_KEY KM_OK KM_CLOSE KM_VERDICT "
                         "!KM_SIGN KM_CLOSED");
    walk(KW_CHAN_KEEPER, "KM_START KM_READY KM_LIST_ITEM KM_LIST_END KM_DESTROY KM_OK KM_DESTROY "
                         "ERROR KM_DESTROY KM_OK");
    walk(KW_CHAN_KEEPER, "KM_START ERROR !KM_SIGN KM_CLOSE");
    walk(KW_CHAN_EXCHANGER,
         "XM_START XM_READY XM_FETCH !XM_EXCHANGE XM_FETCHED XM_EXCHANGE XM_GO XM_TOKEN XM_CALL "
         "!XM_END XM_HEAD !XM_HEAD XM_END XM_CLOSE !XM_CALL");
    /* GO crosses an error: legal, without effect */
    walk(KW_CHAN_EXCHANGER, "XM_START XM_READY XM_EXCHANGE ERROR XM_GO XM_CALL ERROR XM_CALL "
                            "XM_HEAD ERROR XM_SESSION XM_CALL");
    walk(KW_CHAN_DIALER, "!DM_READY DM_START DM_READY !DM_START DM_CLOSE !DM_READY");
}

static void test_strings(void **state)
{
    (void)state;
    struct kw_m_destroy d;
    struct kw_buf b;
    static const struct {
        const char *text;
        size_t n;
        bool ok;
    } cases[] = {
        {"", 0, true},       {"00ff", 4, true},  {"a\tb", 3, true}, {"gr\xc3\xbc", 4, true},
        {"a\nb", 3, false},  {"a\0b", 3, false}, {"\0", 1, false},  {"a\x1b", 2, false},
        {"a\x7f", 2, false}, {"a\r", 2, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kw_buf_init(&b, 100);
        kw_put_blob(&b, cases[i].text, cases[i].n);
        assert_int_equal(kw_msg_get(&b, KW_KM_DESTROY, &d), cases[i].ok);
        if (cases[i].ok)
            assert_string_equal(d.id, cases[i].text);
        kw_buf_free(&b);
        if (strlen(cases[i].text) != cases[i].n)
            continue;
        (void)snprintf(d.id, sizeof d.id, "%s", cases[i].text);
        kw_buf_init(&b, 100);
        assert_int_equal(kw_msg_put(&b, KW_KM_DESTROY, &d), cases[i].ok);
        kw_buf_free(&b);
    }
    char text[66];
    memset(text, 'a', sizeof text);
    for (size_t n = 64; n <= 65; n++) { /* 64 fit into id[65], 65 don't */
        kw_buf_init(&b, 100);
        kw_put_blob(&b, text, n);
        assert_int_equal(kw_msg_get(&b, KW_KM_DESTROY, &d), n == 64);
        kw_buf_free(&b);
    }
    memset(d.id, 'a', sizeof d.id); /* not terminated */
    kw_buf_init(&b, 100);
    assert_false(kw_msg_put(&b, KW_KM_DESTROY, &d));
    kw_buf_free(&b);
    /* lines may have line ends */
    static struct kw_m_head head = {.status = 200, .headers = "a: b\nc: d\n"}, got;
    kw_buf_init(&b, KW_IPC_MAX);
    assert_true(kw_msg_put(&b, KW_XM_HEAD, &head));
    assert_true(kw_msg_get(&b, KW_XM_HEAD, &got));
    assert_string_equal(got.headers, head.headers);
    kw_buf_free(&b);
}

static void test_views_and_secrets(void **state)
{
    (void)state;
    static unsigned char bytes[KW_TOKEN_MAX + 1];
    struct kw_buf b;
    struct kw_m_key key = {.rung = 1, .spki = {bytes, KW_SPKI_MAX}}, key_got;
    kw_buf_init(&b, KW_IPC_MAX);
    assert_true(kw_msg_put(&b, KW_KM_KEY, &key));
    assert_true(kw_msg_get(&b, KW_KM_KEY, &key_got));
    assert_int_equal(key_got.spki.len, KW_SPKI_MAX);
    kw_buf_reset(&b);
    key.spki.len++;
    assert_false(kw_msg_put(&b, KW_KM_KEY, &key));
    kw_buf_free(&b);

    for (size_t n = KW_TOKEN_MAX; n <= KW_TOKEN_MAX + 1; n++) {
        struct kw_m_session s = {.token = kw_secret_from(bytes, n)}, got;
        kw_buf_init(&b, KW_IPC_MAX);
        bool fits = n == KW_TOKEN_MAX;
        assert_int_equal(kw_msg_put(&b, KW_XM_SESSION, &s), fits);
        b.rd = 0;
        b.bad = false;
        assert_int_equal(kw_msg_get(&b, KW_XM_SESSION, &got), fits);
        if (fits)
            assert_int_equal(kw_secret_len(got.token), n);
        kw_msg_free(KW_XM_SESSION, &got);
        assert_null(got.token);
        kw_msg_free(KW_XM_SESSION, &s);
        kw_buf_free(&b);
    }
}

/* A message that fails behind its secret must not keep the arena: a hostile peer would
 * fill it. And a full arena is a refusal, not a crash. */
static void test_arena(void **state)
{
    (void)state;
    struct kw_buf b;
    struct kw_m_token got;
    for (int i = 0; i < 200; i++) {
        kw_buf_init(&b, KW_IPC_MAX);
        kw_put_blob(&b, "id", 2);
        kw_put_blob(&b, "secret", 6);
        kw_put(&b, "", 1); /* excess */
        assert_false(kw_msg_get(&b, KW_XM_TOKEN, &got));
        assert_null(got.token);
        kw_buf_free(&b);
    }
    struct kw_secret *all[64];
    size_t n = 0;
    while (n < 64 && (all[n] = kw_secret_new(1)) != NULL)
        n++;
    assert_int_equal(n, 64);
    kw_buf_init(&b, KW_IPC_MAX);
    kw_put_blob(&b, "id", 2);
    kw_put_blob(&b, "secret", 6);
    assert_false(kw_msg_get(&b, KW_XM_TOKEN, &got));
    while (n > 0)
        kw_secret_free(&all[--n]);
    b.rd = 0;
    assert_true(kw_msg_get(&b, KW_XM_TOKEN, &got));
    kw_msg_free(KW_XM_TOKEN, &got);
    kw_buf_free(&b);
}

static int setup(void **state)
{
    (void)state;
    struct kw_err err;
    return kw_secret_init(true, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_shown),
        cmocka_unit_test(test_who),        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_strings),    cmocka_unit_test(test_views_and_secrets),
        cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
