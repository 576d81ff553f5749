/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent's edges: who is at the other end, who may, the socket and what systemd is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/agent/agent.h"

static char dir[64], path[100];
static struct kw_err err;

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/kw.XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/sock", dir);
    (void)unsetenv("LISTEN_PID");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

/* --- who ------------------------------------------------------------------------------ */

static int connect_to(const char *where, int type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", where);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int listen_there(void)
{
    int fd = -1;
    bool made = false;
    assert_int_equal(kw_agent_listen(path, &fd, &made, &err), 0);
    assert_true(made);
    return fd;
}

static void test_peer_is_who_connected(void **state)
{
    (void)state;
    struct kw_peer_id id;
    int listener = listen_there(), mine = connect_to(path, SOCK_SEQPACKET);
    int fd = accept(listener, NULL, NULL);
    assert_int_equal(kw_peer_identify(fd, kw_boot_ms(), &id, &err), 0);
    assert_int_equal(id.uid, geteuid());
    assert_int_equal(id.gid, getegid());
    assert_int_equal(id.pid, getpid());
    struct pollfd p = {.fd = id.pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0); /* we live */
    (void)close(id.pidfd);
    (void)close(fd);
    (void)close(mine);
    (void)close(listener);
    (void)unlink(path);
}

/* A child that connects and ends; its end of the connection stays with nobody. */
static void test_peer_that_has_gone(void **state)
{
    (void)state;
    struct kw_peer_id id;
    int listener = listen_there();
    pid_t pid = fork();
    if (pid == 0)
        _exit(connect_to(path, SOCK_SEQPACKET) >= 0 ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    int fd = accept(listener, NULL, NULL);
    int r = kw_peer_identify(fd, kw_boot_ms(), &id, &err);
    /* The kernel may still give a pidfd of what was there: it then says that it has ended. */
    struct pollfd p = {.fd = id.pidfd, .events = POLLIN};
    assert_true(r == KW_POLICY || (r == 0 && poll(&p, 1, 0) == 1));
    if (r == 0)
        (void)close(id.pidfd);
    else
        assert_non_null(strstr(err.text, "no longer there"));
    (void)close(fd);
    (void)close(listener);
    (void)unlink(path);
}

/* Linux before 6.5, played by a filter: no SO_PEERPIDFD. */
static void old_kernel(int fd)
{
    struct kw_peer_id id;
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    bool loaded = f != NULL &&
                  seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOPROTOOPT), SCMP_SYS(getsockopt), 1,
                                   SCMP_A2(SCMP_CMP_EQ, 77)) == 0 &&
                  seccomp_load(f) == 0;
    bool known = loaded && kw_peer_identify(fd, kw_boot_ms(), &id, &err) == 0 && id.pidfd >= 0;
    /* Who began after the connection was there has only the number of who made it. */
    bool later = loaded && kw_peer_identify(fd, 0, &id, &err) == KW_POLICY;
    _exit(!loaded ? 1 : !known ? 2 : !later ? 3 : 0);
}

static void test_peer_by_number(void **state)
{
    (void)state;
    int listener = listen_there(), mine = connect_to(path, SOCK_SEQPACKET);
    int fd = accept(listener, NULL, NULL), status = -1;
    pid_t pid = fork();
    if (pid == 0)
        old_kernel(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(fd);
    (void)close(mine);
    (void)close(listener);
    (void)unlink(path);
}

static void test_not_a_socket(void **state)
{
    (void)state;
    struct kw_peer_id id;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(kw_peer_identify(ends[0], kw_boot_ms(), &id, &err), KW_POLICY);
    assert_int_equal(id.pidfd, -1);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* --- who may ---------------------------------------------------------------------------- */

static void test_allowed_words(void **state)
{
    (void)state;
    struct kw_allowed a;
    struct kw_peer_id id = {.uid = 1234, .gid = 77, .pid = 1, .pidfd = -1};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(kw_allowed_read("", &a, &err), 0);
    assert_true(kw_allowed_is(&a, pair[0], &id)); /* nobody named: the socket decides */
    assert_int_equal(kw_allowed_read("root 1234 @0", &a, &err), 0);
    assert_int_equal(a.n_uids, 2);
    assert_int_equal(a.n_gids, 1);
    assert_true(kw_allowed_is(&a, pair[0], &id));
    id.uid = 1235;
    assert_int_equal(kw_allowed_read("1234 @77", &a, &err), 0);
    assert_true(kw_allowed_is(&a, pair[0], &id)); /* by its group */
    assert_int_equal(kw_allowed_read("1234 @78", &a, &err), 0);
    assert_false(kw_allowed_is(&a, pair[0], &id));
    static const char *const bad[] = {"no-such-user-here", "@no-such-group-here", "root nobody-x",
                                      "99999999999", "12x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(kw_allowed_read(bad[i], &a, &err), KW_USAGE);
    char many[1024] = "";
    for (int i = 0; i < 65; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), "%s%d", i > 0 ? " " : "",
                       1000 + i);
    assert_int_equal(kw_allowed_read(many, &a, &err), KW_USAGE);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* --- the socket --------------------------------------------------------------------------- */

static void test_listen(void **state)
{
    (void)state;
    struct stat st;
    int first = listen_there(), second = -1;
    bool made = true;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(kw_agent_listen(path, &second, &made, &err), KW_FAILED); /* it is served */
    assert_false(made);
    (void)close(first); /* killed: the name stays, and is in nobody's way */
    second = listen_there();
    (void)close(second);
    (void)unlink(path);
    FILE *f = fopen(path, "w"); /* a file of somebody's is not taken away */
    assert_non_null(f);
    (void)fclose(f);
    assert_int_equal(kw_agent_listen(path, &second, &made, &err), KW_FAILED);
    assert_int_equal(stat(path, &st), 0);
    (void)unlink(path);
    char far[200];
    memset(far, 'x', sizeof far - 1);
    far[0] = '/';
    far[sizeof far - 1] = '\0';
    assert_int_equal(kw_agent_listen(far, &second, &made, &err), KW_USAGE);
    assert_int_equal(kw_agent_listen("", &second, &made, &err), KW_USAGE);
}

/* --- systemd -------------------------------------------------------------------------------- */

static void hears(const char *address, socklen_t n, const struct sockaddr_un *a)
{
    char text[256];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)a, n), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address, 1), 0);
    kw_agent_notify("READY=1", "serving");
    ssize_t got = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(got > 0);
    text[got] = '\0';
    assert_string_equal(text, "READY=1\nSTATUS=serving\n");
    (void)close(fd);
    (void)unsetenv("NOTIFY_SOCKET");
}

static void test_notify(void **state)
{
    (void)state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    hears(path, sizeof a, &a);
    (void)unlink(path);
    char name[128];
    a = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "kw-test-%d", (int)getpid());
    (void)snprintf(name, sizeof name, "@%s", a.sun_path + 1);
    hears(name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n), &a);
    kw_agent_notify("READY=1", "nobody listens"); /* and nothing happens */
    (void)setenv("NOTIFY_SOCKET", "relative", 1);
    kw_agent_notify("READY=1", "nor there");
    (void)unsetenv("NOTIFY_SOCKET");
}

/* --- what a profile needs ---------------------------------------------------------------- */

static void test_fits(void **state)
{
    (void)state;
    static struct kw_config c; /* large */
    c = (struct kw_config){.profile = "prod", .issuer = "https://i.example", .token_set = true};
    (void)snprintf(c.token_uri.pin_source, sizeof c.token_uri.pin_source, "/run/pin");
    (void)snprintf(c.source_type, sizeof c.source_type, "auto");
    assert_int_equal(kw_agent_fits(&c, &err), 0);
    c.issuer[0] = '\0';
    assert_int_equal(kw_agent_fits(&c, &err), KW_USAGE);
    c.issuer[0] = 'h';
    static const char *const pins[] = {"prompt", "protected", "fd:7"};
    for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        (void)snprintf(c.pin_source, sizeof c.pin_source, "%s", pins[i]);
        assert_int_equal(kw_agent_fits(&c, &err), KW_USAGE);
    }
    (void)snprintf(c.pin_source, sizeof c.pin_source, "credential:pin");
    assert_int_equal(kw_agent_fits(&c, &err), 0);
    (void)snprintf(c.client_secret_source, sizeof c.client_secret_source, "fd:3");
    assert_int_equal(kw_agent_fits(&c, &err), KW_USAGE);
    c.client_secret_source[0] = '\0';
    c.key_stored = true;
    assert_int_equal(kw_agent_fits(&c, &err), KW_USAGE);
    c.key_stored = false;
    (void)snprintf(c.source_type, sizeof c.source_type, "token");
    assert_int_equal(kw_agent_fits(&c, &err), KW_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_peer_is_who_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_that_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_by_number, setup, teardown),
        cmocka_unit_test(test_not_a_socket),
        cmocka_unit_test(test_allowed_words),
        cmocka_unit_test_setup_teardown(test_listen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notify, setup, teardown),
        cmocka_unit_test(test_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
