/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures, sessions, threads, and the name of a call that hangs.
 * On a real SoftHSM, through the spy.
 */
#include "tests/mock/p11_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11/progress.h"

static void signs_by_two_calls(void **state)
{
    enum { N = 10 };
    struct kw_p11_key k;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    struct kw_p11 *p = ready("");
    (void)state;
    made(p, 2048, false, &k);
    unsigned before = count(NULL), init = count("C_SignInit"), sign = count("C_Sign");
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), 0);
    assert_int_equal(count("C_SignInit") - init, N);
    assert_int_equal(count("C_Sign") - sign, N);
    assert_int_equal(count(NULL) - before, 2 * N);
    assert_int_equal(n, 256);
    assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), 0);
    assert_int_equal(kw_p11_check(&k, "abd", 3, sig, n, &err), KW_TOKEN);
    sig[0] ^= 1;
    assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), KW_TOKEN);
    assert_int_equal(kw_p11_check(&k, "abc", 3, sig, 0, &err), KW_TOKEN);
    k.spki_len = 0;
    assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), KW_TOKEN);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

static void catches_wrong_signatures(void **state)
{
    struct kw_p11_key k;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    struct kw_p11 *p = ready("C_Sign@2..=badsig");
    (void)state;
    made(p, 1024, false, &k);
    assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), 0);
    assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), KW_TOKEN);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

/* Without CKM_SHA256_RSA_PKCS we hash and encode ourselves: the same signature. */
static void signs_with_our_own_digest_info(void **state)
{
    struct kw_m_keeper_ready info = {0};
    struct kw_p11_key k;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    struct kw_p11 *p = NULL;
    (void)state;
    configure(KW_SPY, "one", "C_GetMechanismInfo@1=0x70");
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &info, &err), 0);
    assert_string_equal(info.mechanism, "CKM_RSA_PKCS");
    assert_int_equal(log_in(p, "1234", &err), 0);
    made(p, 2048, false, &k);
    assert_int_equal(k.mech, CKM_RSA_PKCS);
    assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), 0);
    assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
    configure(KW_SPY, "one", "C_GetMechanismInfo@*=0x70");
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &info, &err), KW_TOKEN);
    done();
}

static void replaces_a_dead_session_once(void **state)
{
    struct kw_p11_key k;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    (void)state;
    struct kw_p11 *p = ready("C_SignInit@2=0xb3 C_Sign@3=0xb0");
    made(p, 1024, false, &k);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), 0);
        assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), 0);
    }
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();

    p = ready("C_SignInit@2..=0xb3"); /* the first is the trial of the new key */
    made(p, 1024, false, &k);
    assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), KW_TOKEN);
    assert_int_equal(count("C_SignInit"), 3);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();

    /* a failed C_Sign leaves no operation active in a session of the pool */
    configure(KW_SPY, "one", "");
    p = ready("C_Sign@2=0x30 C_Sign@3=0x30 C_Sign@4=0x30 C_Sign@5=0x30");
    made(p, 1024, false, &k);
    for (int i = 0; i < 4; i++)
        assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), KW_TOKEN);
    for (int i = 0; i < 4; i++)
        assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

struct job {
    struct kw_p11 *p;
    const struct kw_p11_key *k;
    bool extract;
    int r;
    struct kw_err err;
    struct kw_p11_key made;
    struct kw_m_verdict verdict;
};

static void *make_or_extract(void *arg)
{
    struct job *j = arg;
    j->r = j->extract ? kw_p11_try_extract(j->p, false, 0, &j->verdict, &j->err)
                      : kw_p11_generate(j->p, 2048, false, 0, &j->made, &j->err);
    return NULL;
}

static void *sign_many(void *arg)
{
    struct job *j = arg;
    unsigned char sig[512];
    char text[32];
    size_t n = 0;
    for (unsigned i = 0; j->r == 0 && i < 50; i++) {
        int len = snprintf(text, sizeof text, "%p %u", arg, i);
        j->r = kw_p11_sign(j->p, j->k, text, (size_t)len, sig, &n, &j->err);
        if (j->r == 0)
            j->r = kw_p11_check(j->k, text, (size_t)len, sig, n, &j->err);
    }
    return NULL;
}

/* 8 threads sign over 4 sessions while others make keys and attack twins. */
static void works_on_many_threads(void **state)
{
    enum { SIGN = 8, ALL = 12 };
    static struct job jobs[ALL];
    pthread_t threads[ALL];
    struct kw_p11_key k;
    struct kw_err err;
    struct kw_p11 *p = ready("");
    (void)state;
    made(p, 1024, false, &k);
    for (unsigned i = 0; i < ALL; i++) {
        jobs[i] = (struct job){.p = p, .k = &k, .extract = i % 2 == 1};
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < SIGN ? sign_many : make_or_extract, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < ALL; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (jobs[i].r != 0)
            fail_msg("thread %u: %s", i, jobs[i].err.text);
    }
    for (unsigned i = SIGN; i < ALL; i += 2)
        assert_int_equal(kw_p11_destroy(p, &jobs[i].made, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

/* A hung or crashing call is named on the shared page. */
static void names_the_call_that_hangs(void **state)
{
    static const struct {
        const char *does, *name;
        bool dies;
    } cases[] = {
        {"C_Sign@1=hang", "C_Sign", false}, /* the trial of a new key */
        {"C_Sign@2=hang", "C_Sign", false},
        {"C_Initialize@1=hang", "C_Initialize", false},
        {"C_GenerateKeyPair@1=crash", "C_GenerateKeyPair", true},
        {"C_Login@1=exit", "C_Login", true},
        {"C_WrapKey@2=abort", "C_WrapKey", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = memfd_create("progress", MFD_CLOEXEC), status = 0;
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 4096), 0);
        const struct kw_progress *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(page != MAP_FAILED);
        configure(KW_SPY, "one", cases[i].does);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            char me[32];
            (void)snprintf(me, sizeof me, "%d", fd);
            (void)fcntl(fd, F_SETFD, 0);
            (void)execl("/proc/self/exe", "test_p11", "--all", me, (char *)NULL);
            _exit(99);
        }
        for (int wait = 0; wait < 3000; wait++) {
            struct timespec t = {0, 10000000};
            if (waitpid(pid, &status, WNOHANG) == pid) {
                pid = 0;
                break;
            }
            (void)nanosleep(&t, NULL);
            if (!cases[i].dies &&
                strcmp(kw_progress_name(kw_progress_call(page)), cases[i].name) == 0 && wait > 20)
                break;
        }
        assert_string_equal(kw_progress_name(kw_progress_call(page)), cases[i].name);
        assert_true(page->count > 0);
        assert_int_equal(pid == 0, cases[i].dies);
        if (pid != 0) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            assert_int_equal(waitpid(pid, &status, 0), pid);
        }
        (void)munmap((void *)(uintptr_t)page, 4096);
        (void)close(fd);
    }
}

/* The child of the test above: everything once. */
static int all(int fd)
{
    struct kw_p11_key k;
    struct kw_m_verdict v;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    char does[64];
    (void)kw_progress_map(fd);
    (void)snprintf(does, sizeof does, "%s", getenv("KW_SPY_DO"));
    (void)snprintf(calls, sizeof calls, "%s", getenv("KW_SPY_LOG"));
    if (kw_secret_init(true, &err) != 0)
        return 98;
    struct kw_p11 *p = ready(does);
    made(p, 1024, false, &k);
    int r = kw_p11_sign(p, &k, "abc", 3, sig, &n, &err);
    if (r == 0)
        r = kw_p11_try_extract(p, false, 0, &v, &err);
    done();
    return r;
}

static void *enter_and_leave(void *arg)
{
    (void)arg;
    kw_progress_leave(kw_progress_enter(KW_P11_WrapKey));
    return NULL;
}

static void counts_threads_apart(void **state)
{
    pthread_t t;
    struct kw_progress *page = kw_progress_map(-1);
    (void)state;
    uint64_t a = kw_progress_enter(KW_P11_LIBP11);
    assert_string_equal(kw_progress_name(kw_progress_call(page)), "the enumeration of slots");
    uint64_t b = kw_progress_enter(KW_P11_GetTokenInfo);
    assert_string_equal(kw_progress_name(kw_progress_call(page)), "C_GetTokenInfo");
    kw_progress_leave(b);
    assert_int_equal(kw_progress_call(page), KW_P11_LIBP11);
    kw_progress_leave(a);
    assert_int_equal(kw_progress_call(page), KW_P11_NONE);
    /* another thread's call that is over does not hide ours */
    a = kw_progress_enter(KW_P11_Sign);
    assert_int_equal(pthread_create(&t, NULL, enter_and_leave, NULL), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(kw_progress_call(page), KW_P11_Sign);
    kw_progress_leave(a);
    assert_int_equal(kw_progress_call(page), KW_P11_NONE);
    assert_string_equal(kw_progress_name(KW_P11_NONE), "");
    assert_string_equal(kw_progress_name(100000), "");
    for (uint32_t i = 1; i < KW_P11_CALLS; i++)
        assert_true(kw_progress_name(i)[0] != '\0');
}

/* A thread in one call after the other, as far as the steps let it. */
struct caller {
    pthread_t thread;
    sem_t go, there;
};

static void *call_by_call(void *arg)
{
    struct caller *c = arg;
    static const enum kw_p11_call in[] = {KW_P11_Sign, KW_P11_GenerateKeyPair};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        (void)sem_wait(&c->go);
        uint64_t before = kw_progress_enter(in[i]);
        (void)sem_post(&c->there);
        (void)sem_wait(&c->go);
        kw_progress_leave(before);
        (void)sem_post(&c->there);
    }
    return NULL;
}

static void begin(struct caller *c)
{
    assert_int_equal(sem_init(&c->go, 0, 0), 0);
    assert_int_equal(sem_init(&c->there, 0, 0), 0);
    assert_int_equal(pthread_create(&c->thread, NULL, call_by_call, c), 0);
}

static void step(struct caller *c)
{
    assert_int_equal(sem_post(&c->go), 0);
    assert_int_equal(sem_wait(&c->there), 0);
}

static void end(struct caller *c)
{
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    assert_int_equal(sem_destroy(&c->go), 0);
    assert_int_equal(sem_destroy(&c->there), 0);
}

/* Of several threads in calls, the one that is there the longest is named: it hangs. What
 * others begin and end meanwhile hides it neither before nor after its slot. */
static void names_the_one_that_hangs(void **state)
{
    static struct caller first, hangs, last;
    struct kw_progress *page = kw_progress_map(-1);
    (void)state;
    begin(&first);
    begin(&hangs);
    begin(&last);
    step(&first); /* C_Sign */
    step(&hangs); /* C_Sign */
    step(&hangs); /* out, and */
    step(&hangs); /* C_GenerateKeyPair, and stays */
    step(&last);  /* C_Sign */
    assert_int_equal(kw_progress_call(page), KW_P11_Sign);
    step(&first); /* out */
    assert_int_equal(kw_progress_call(page), KW_P11_GenerateKeyPair);
    assert_true(kw_progress_inside(page, KW_P11_Sign));
    step(&first); /* C_GenerateKeyPair, after it, in a slot before it */
    step(&last);  /* out */
    assert_int_equal(kw_progress_call(page), KW_P11_GenerateKeyPair);
    assert_false(kw_progress_inside(page, KW_P11_Sign));
    /* What is inside another call of the same thread has a time of its own. */
    uint64_t a = kw_progress_enter(KW_P11_LIBP11), b = kw_progress_enter(KW_P11_GetTokenInfo);
    step(&first);
    step(&hangs);
    assert_int_equal(kw_progress_call(page), KW_P11_GetTokenInfo);
    step(&last); /* C_GenerateKeyPair: younger than all of ours */
    kw_progress_leave(b);
    assert_int_equal(kw_progress_call(page), KW_P11_LIBP11);
    kw_progress_leave(a);
    assert_int_equal(kw_progress_call(page), KW_P11_GenerateKeyPair);
    step(&last);
    assert_int_equal(kw_progress_call(page), KW_P11_NONE);
    end(&first);
    end(&hangs);
    end(&last);
}

/* Where all slots are taken, a thread isn't shown, and takes nothing from the others. */
static void shows_as_many_as_it_can(void **state)
{
    enum { MORE = KW_PROGRESS_SLOTS + 3 };
    static struct caller callers[MORE];
    struct kw_progress *page = kw_progress_map(-1);
    size_t shown = 0;
    (void)state;
    for (size_t i = 0; i < MORE; i++) {
        begin(&callers[i]);
        step(&callers[i]);
    }
    for (size_t i = 0; i < KW_PROGRESS_SLOTS; i++)
        shown += atomic_load(&page->slots[i]) != 0;
    assert_int_equal(shown, KW_PROGRESS_SLOTS);
    for (unsigned n = 1; n < 4; n++)
        for (size_t i = 0; i < MORE; i++)
            step(&callers[i]);
    assert_int_equal(kw_progress_call(page), KW_P11_NONE);
    for (size_t i = 0; i < KW_PROGRESS_SLOTS; i++)
        assert_true(atomic_load(&page->slots[i]) == 0);
    for (size_t i = 0; i < MORE; i++)
        end(&callers[i]);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--all") == 0)
        return all(atoi(argv[2]));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(signs_by_two_calls, drop),
        cmocka_unit_test_teardown(catches_wrong_signatures, drop),
        cmocka_unit_test_teardown(signs_with_our_own_digest_info, drop),
        cmocka_unit_test_teardown(replaces_a_dead_session_once, drop),
        cmocka_unit_test_teardown(works_on_many_threads, drop),
        cmocka_unit_test_teardown(names_the_call_that_hangs, drop),
        cmocka_unit_test_teardown(counts_threads_apart, drop),
        cmocka_unit_test_teardown(names_the_one_that_hangs, drop),
        cmocka_unit_test_teardown(shows_as_many_as_it_can, drop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
