/* SPDX-License-Identifier: Apache-2.0
 *
 * Each role's fences on a live process, as root (where the test is) and as an ordinary
 * user: every attempt of the self-test comes out as promised, flags open what they
 * should and nothing else, and a violation is always reported.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/sockios.h>
#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "policy/landlock.h"
#include "sandboxed.h"

static char datagrams[64]; /* where somebody listens */

struct aim {
    enum kw_role role;
    const char *name;
};

static int attempt(const void *arg)
{
    const struct aim *aim = arg;
    kw_selftest_attempt(aim->role, aim->name);
}

static void judge(const struct kw_attempt *a, enum kw_role role, bool ordinary)
{
    const struct kw_expected *e = kw_attempt_expected(a, role);
    struct aim aim = {role, a->name};
    if (e->outcome == KW_O_NONE)
        return;
    struct ended x = run_child(ordinary, attempt, &aim);
    char name[64] = "";
    if (x.violated)
        kw_violation_name(&x.violation, name, sizeof name);
    bool killed =
        WIFSIGNALED(x.status) && (WTERMSIG(x.status) == SIGSYS || WTERMSIG(x.status) == SIGSEGV);
    bool promised = e->abi <= kw_landlock_abi();
    bool held = !promised;
    if (promised && e->outcome == KW_O_VIOLATION)
        held = x.violated && strcmp(name, e->call) == 0 && WIFEXITED(x.status) &&
               WEXITSTATUS(x.status) == KW_SANDBOX;
    else if (promised && e->outcome == KW_O_KILLED)
        held = killed && !x.said;
    else if (promised)
        held = x.said && x.tried.code == 0 &&
               x.tried.error == (e->outcome == KW_O_ERRNO ? e->error : 0);
    if (!held)
        fail_msg("%s, %s, uid %d: said %d (%s), errno %d, violation '%s', status %#x",
                 kw_role_name(role), a->name, ordinary ? NOBODY : (int)geteuid(), x.said,
                 x.tried.text, x.tried.error, name, (unsigned)x.status);
}

static void every_attempt(void **state)
{
    bool ordinary = *state != NULL;
    unsigned tried[KW_ROLES] = {0};
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++)
        for (const struct kw_attempt *a = kw_attempts; a->name != NULL; a++) {
            judge(a, (enum kw_role)role, ordinary);
            tried[role] += kw_attempt_expected(a, (enum kw_role)role)->outcome != KW_O_NONE;
        }
    assert_in_range(tried[KW_ROLE_EXCHANGER], 25, 200);
    assert_in_range(tried[KW_ROLE_KEEPER], 25, 200);
    assert_in_range(tried[KW_ROLE_DIALER], 25, 200);
    assert_in_range(tried[KW_ROLE_PROXY], 25, 200);
}

/* Takes the keeper's fences with flags, then makes a TCP socket and opens a file for
 * writing; the result's bits tell what worked. */
static int keeper_with(const void *arg)
{
    const unsigned *flags = arg;
    struct kw_fences f;
    struct kw_err err;
    if (kw_sandbox_begin(KW_ROLE_KEEPER, *flags, &f, &err) != 0 ||
        kw_sandbox_lock(KW_ROLE_KEEPER, *flags, &f, &err) != 0)
        return say(KW_SANDBOX, 0, err.text, "");
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int wrote = fd >= 0 && close(fd) == 0;
    fd = (*flags & KW_SB_NETWORK) != 0 ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    int made = fd >= 0 && close(fd) == 0;
    return say(0, wrote | made << 1, f.stands, f.missing);
}

static void keeper_flags(void **state)
{
    (void)state;
    static const unsigned flags[] = {0, KW_SB_STORE, KW_SB_NETWORK, KW_SB_STORE | KW_SB_NETWORK};
    for (size_t i = 0; i < 4; i++) {
        struct ended x = run_child(false, keeper_with, &flags[i]);
        assert_true(x.said);
        assert_int_equal(x.tried.code, 0);
        int wrote = (flags[i] & KW_SB_STORE) != 0, made = (flags[i] & KW_SB_NETWORK) != 0;
        assert_int_equal(x.tried.error, wrote | made << 1);
    }
}

static sem_t go;

static void *writes_later(void *arg)
{
    int *wrote = arg;
    (void)sem_wait(&go);
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    *wrote = fd >= 0 && close(fd) == 0;
    return NULL;
}

/* A thread that a module started before the lock is not bound by it: that is known, and
 * said. Whether the kernel would signal others for this process is another matter. */
static int keeper_with_thread(const void *arg)
{
    (void)arg;
    struct kw_fences f;
    struct kw_err err;
    pthread_t thread;
    int wrote = 0, bits;
    if (sem_init(&go, 0, 0) != 0 || kw_sandbox_begin(KW_ROLE_KEEPER, 0, &f, &err) != 0 ||
        pthread_create(&thread, NULL, writes_later, &wrote) != 0 ||
        kw_sandbox_lock(KW_ROLE_KEEPER, 0, &f, &err) != 0)
        return say(KW_SANDBOX, 0, "", "");
    (void)sem_post(&go);
    (void)pthread_join(thread, NULL);
    const struct f_owner_ex ex = {.type = F_OWNER_PID, .pid = getppid()};
    bits = wrote | (fcntl(KW_FD_CTL, F_SETOWN, getppid()) == 0) << 1 |
           (fcntl(KW_FD_CTL, F_SETOWN_EX, &ex) == 0) << 2 |
           (fcntl(KW_FD_CTL, F_SETSIG, SIGKILL) == 0) << 3;
    pid_t parent = getppid();
    bits |= (ioctl(KW_FD_CTL, FIOSETOWN, &parent) == 0) << 4 |
            (ioctl(KW_FD_CTL, SIOCSPGRP, &parent) == 0) << 5;
    return say(0, bits, f.stands, f.missing);
}

static void what_a_module_keeps(void **state)
{
    (void)state;
    struct ended x = run_child(true, keeper_with_thread, NULL);
    assert_true(x.said);
    assert_int_equal(x.tried.code, 0);
    if (kw_landlock_abi() == 0)
        return;
    assert_int_equal(x.tried.error, 1);
    if (strstr(x.tried.missing, "threads that the module has started (1)") == NULL)
        fail_msg("missing: %s", x.tried.missing);
}

/* Without a socket() of its own, a socket pair's end is a way to whoever listens for
 * datagrams under a name (syslog, say): it can be connected anew. */
static int reaches_by_pair(const void *arg)
{
    const enum kw_role *role = arg;
    struct kw_fences f;
    struct kw_err err;
    int bits = 0, pair[2];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", datagrams);
    if (kw_sandbox_begin(*role, 0, &f, &err) != 0 || kw_sandbox_lock(*role, 0, &f, &err) != 0)
        return say(KW_SANDBOX, 0, err.text, "");
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_RAW};
    for (unsigned i = 0; i < 4; i++) {
        if (socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, pair) != 0)
            continue;
        bits |= 1 << i; /* made, and connected to somebody else */
        if (connect(pair[0], (struct sockaddr *)&to, sizeof to) == 0 &&
            send(pair[0], "x", 1, 0) == 1)
            bits |= 16 << i;
    }
    return say(0, bits, f.stands, f.missing);
}

static void pairs_reach_nobody(void **state)
{
    (void)state;
    char dir[] = "/tmp/kw.XXXXXX";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    (void)snprintf(datagrams, sizeof datagrams, "%s/log", dir);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", datagrams);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int bound = bind(fd, (struct sockaddr *)&at, sizeof at);
    (void)chmod(datagrams, 0666);
    struct ended x[4];
    static const enum kw_role roles[] = {KW_ROLE_KEEPER, KW_ROLE_DIALER};
    for (int i = 0; i < 4; i++)
        x[i] = run_child(i % 2 == 1, reaches_by_pair, &roles[i / 2]);
    (void)close(fd);
    (void)unlink(datagrams);
    (void)rmdir(dir);
    assert_int_equal(bound, 0);
    for (int i = 0; i < 4; i++) {
        assert_true(x[i].said);
        assert_int_equal(x[i].tried.code, 0);
        assert_int_equal(x[i].tried.error, 3);
    }
}

/* Descriptors that a role doesn't own are gone after begin; a missing stdin is not. */
static int descriptors(const void *arg)
{
    const enum kw_role *role = arg;
    struct kw_fences f;
    struct kw_err err;
    const int last = *role == KW_ROLE_KEEPER   ? KW_FD_PROXY
                     : *role == KW_ROLE_DIALER ? KW_FD_PEER
                                               : KW_FD_DIAL;
    for (int fd = KW_FD_PEER; fd < 40; fd++)
        (void)dup2(KW_FD_CTL, fd);
    (void)close(STDIN_FILENO);
    if (kw_sandbox_begin(*role, 0, &f, &err) != 0)
        return say(KW_SANDBOX, 0, err.text, "");
    int wrong = 0;
    for (int fd = 0; fd < 300; fd++)
        wrong += (fcntl(fd, F_GETFD) >= 0) !=
                 (fd <= last || (*role == KW_ROLE_DIALER && fd == KW_FD_PROXY));
    struct rlimit core;
    wrong += getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0;
    wrong += prctl(PR_GET_DUMPABLE) != 0;
    wrong += prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
    return say(0, wrong, f.stands, f.missing);
}

static void only_own_descriptors(void **state)
{
    (void)state;
    for (unsigned r = KW_ROLE_KEEPER; r < KW_ROLES; r++) {
        enum kw_role role = (enum kw_role)r;
        struct ended x = run_child(true, descriptors, &role);
        assert_true(x.said);
        assert_string_not_equal(x.tried.text, "");
        assert_int_equal(x.tried.code, 0);
        assert_int_equal(x.tried.error, 0);
    }
}

/* Gives the exchanger all that it needs after its lock. */
static int exchanger_works(const void *arg)
{
    (void)arg;
    struct kw_fences f;
    struct kw_err err;
    int pair[2], bad = 0;
    char buf[64];
    if (kw_sandbox_begin(KW_ROLE_EXCHANGER, 0, &f, &err) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
        kw_sandbox_lock(KW_ROLE_EXCHANGER, 0, &f, &err) != 0)
        return say(KW_SANDBOX, 0, err.text, "");
    bad += send(pair[0], "hello", 5, MSG_NOSIGNAL) != 5;
    bad += recv(pair[1], buf, sizeof buf, 0) != 5;
    int flags = fcntl(pair[0], F_GETFL);
    bad += fcntl(pair[0], F_SETFL, flags | O_NONBLOCK) != 0;
    bad += connect(pair[0], (struct sockaddr *)buf, sizeof(struct sockaddr_un)) != 0;
    for (size_t n = 1; n < 64u << 20; n *= 4) { /* heap, by brk and by mmap */
        char *p = malloc(n), *q = p != NULL ? realloc(p, n * 2) : NULL;
        if (q == NULL)
            return say(0, 99, "malloc", "");
        q[n] = 'x';
        free(q);
    }
    bad += isatty(pair[0]) != 0 || errno != ENOTTY;
    bad += access("/etc/passwd", R_OK) == 0 || errno != EACCES;
    return say(0, bad, f.stands, f.missing);
}

static void exchanger_can_work(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct ended x = run_child(i == 1, exchanger_works, *state);
        char name[64] = "";
        if (x.violated)
            kw_violation_name(&x.violation, name, sizeof name);
        assert_string_equal(name, "");
        assert_true(x.said);
        assert_int_equal(x.tried.code, 0);
        assert_int_equal(x.tried.error, 0);
        assert_non_null(strstr(x.tried.text, "seccomp allow-list"));
    }
}

/* Resolves by the system's own means and connects, behind the dialer's fences. */
static int dialer_works(const void *arg)
{
    const struct sockaddr_in *to = arg;
    struct kw_fences f;
    struct kw_err err;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    if (kw_sandbox_begin(KW_ROLE_DIALER, 0, &f, &err) != 0 ||
        kw_sandbox_lock(KW_ROLE_DIALER, 0, &f, &err) != 0)
        return say(KW_SANDBOX, 0, err.text, "");
    int rc = getaddrinfo("localhost", NULL, &hints, &found);
    if (rc != 0)
        return say(0, 1, gai_strerror(rc), "");
    struct sockaddr_in at;
    memcpy(&at, found->ai_addr, sizeof at);
    freeaddrinfo(found);
    at.sin_port = to->sin_port;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        return say(0, errno, "connect", "");
    return say(0, 0, f.stands, f.missing);
}

static void dialer_can_work(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    for (int i = 0; i < 2; i++) {
        struct ended x = run_child(i == 1, dialer_works, &at);
        assert_true(x.said);
        if (x.tried.error != 0)
            fail_msg("%s: %s", x.tried.text, strerror(x.tried.error));
        assert_int_equal(x.tried.code, 0);
    }
    (void)close(fd);
}

/* abort() in the exchanger is told as what it is. */
static int aborts(const void *arg)
{
    (void)arg;
    struct kw_fences f;
    struct kw_err err;
    (void)signal(SIGABRT, SIG_DFL);
    if (kw_sandbox_begin(KW_ROLE_EXCHANGER, 0, &f, &err) != 0 ||
        kw_sandbox_lock(KW_ROLE_EXCHANGER, 0, &f, &err) != 0)
        return 97;
    abort();
}

static void abort_is_no_violation(void **state)
{
    struct ended x = run_child(true, aborts, *state);
    assert_false(x.violated);
    assert_true(WIFSIGNALED(x.status));
    assert_int_equal(WTERMSIG(x.status), SIGABRT);
}

/* With SIGSYS blocked or the pipe closed, a violation ends the process all the same. */
static int quiet_violation(const void *arg)
{
    const int *how = arg;
    struct kw_fences f;
    struct kw_err err;
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGSYS);
    if (kw_sandbox_begin(KW_ROLE_EXCHANGER, 0, &f, &err) != 0 ||
        kw_sandbox_lock(KW_ROLE_EXCHANGER, 0, &f, &err) != 0)
        return 97;
    if (*how == 0)
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
    else
        (void)close(KW_FD_VIOLATION);
    (void)syscall(SYS_execve, "/bin/true", NULL, NULL);
    return 96;
}

static void violation_can_not_be_hidden(void **state)
{
    (void)state;
    int how = 0;
    struct ended x = run_child(false, quiet_violation, &how);
    assert_true(WIFSIGNALED(x.status));
    assert_int_equal(WTERMSIG(x.status), SIGSYS);
    how = 1;
    x = run_child(false, quiet_violation, &how);
    assert_true(WIFEXITED(x.status));
    assert_int_equal(WEXITSTATUS(x.status), KW_SANDBOX);
}

static int openat_with_arguments(const void *arg)
{
    (void)arg;
    struct kw_fences f;
    struct kw_err err;
    if (kw_sandbox_begin(KW_ROLE_EXCHANGER, 0, &f, &err) != 0 ||
        kw_sandbox_lock(KW_ROLE_EXCHANGER, 0, &f, &err) != 0)
        return 97;
    (void)syscall(SYS_openat, 11, 22, O_RDWR, 44, 55, 66);
    return 96;
}

static void record_is_exact(void **state)
{
    struct ended x = run_child(true, openat_with_arguments, *state);
    assert_true(x.violated);
    assert_int_equal(x.violation.nr, SYS_openat);
    const uint64_t want[6] = {11, 22, O_RDWR, 44, 55, 66};
    assert_memory_equal(x.violation.args, want, sizeof want);
    char name[64];
    kw_violation_name(&x.violation, name, sizeof name);
    assert_string_equal(name, "openat");
    x.violation.nr = 999999;
    kw_violation_name(&x.violation, name, sizeof name);
    assert_non_null(strstr(name, "syscall 999999 of arch 0x"));
    x.violation.nr = UINT32_MAX;
    kw_violation_name(&x.violation, name, sizeof name);
    assert_non_null(strstr(name, "syscall 4294967295"));
}

static void no_record(void **state)
{
    (void)state;
    int p[2];
    struct kw_violation v;
    assert_int_equal(pipe(p), 0);
    assert_false(kw_violation_read(p[0], &v)); /* and doesn't wait */
    assert_int_equal(write(p[1], "short", 5), 5);
    assert_false(kw_violation_read(p[0], &v));
    (void)close(p[1]);
    assert_false(kw_violation_read(p[0], &v));
    (void)close(p[0]);
    assert_false(kw_violation_read(-1, &v));
}

int main(void)
{
    static int yes = 1;
    const struct CMUnitTest tests[] = {
        {"every_attempt, as started", every_attempt, NULL, NULL, NULL},
        {"every_attempt, as an ordinary user", every_attempt, NULL, NULL, &yes},
        cmocka_unit_test(keeper_flags),
        cmocka_unit_test(what_a_module_keeps),
        cmocka_unit_test(pairs_reach_nobody),
        cmocka_unit_test(only_own_descriptors),
        cmocka_unit_test(exchanger_can_work),
        cmocka_unit_test(dialer_can_work),
        cmocka_unit_test(abort_is_no_violation),
        cmocka_unit_test(violation_can_not_be_hidden),
        cmocka_unit_test(record_is_exact),
        cmocka_unit_test(no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
