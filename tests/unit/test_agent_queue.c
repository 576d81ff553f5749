/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent's tables: who is served next, who has to make room, what a process that fails does to
 * the others, and one that doesn't end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/un.h>

#include "src/agent/agent.c"

enum { OTHER = 70000, THIRD = 70001 };

static struct kw_agent agent;
static int theirs[KW_AGENT_PENDING]; /* the clients' ends */

static void end_of(unsigned i, uint32_t uid, uint64_t number)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    agent.waiting[i] = (struct kw_waiting){.there = true,
                                           .hello_in = true,
                                           .id = {.uid = uid, .pid = 1, .pidfd = dup(pair[0])},
                                           .number = number};
    (void)snprintf(agent.waiting[i].hello.profile, sizeof agent.waiting[i].hello.profile, "p");
    agent.waiting[i].hello.cloud = KW_CLOUD_OCI;
    kw_chan_init(&agent.waiting[i].chan, KW_CHAN_AGENT, KW_ROLE_AGENT, pair[0]);
    theirs[i] = pair[1];
}

/* A slot whose process is this test. */
static int slot(unsigned i, enum kw_slot_state state, uint32_t uid)
{
    int pair[2];
    size_t max;
    unsigned n;
    struct kw_slot *s = &agent.slots[i];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    *s = (struct kw_slot){.state = state,
                          .cloud = KW_CLOUD_OCI,
                          .uid = uid,
                          .job_pid = state == KW_SLOT_BUSY ? 1 : 0,
                          .logged_in = state != KW_SLOT_STARTING};
    (void)snprintf(s->profile, sizeof s->profile, "p");
    kw_chan_init(&s->chan, KW_CHAN_JOB, KW_ROLE_AGENT, pair[0]);
    (void)kw_msg_legal(KW_JM_START, KW_CHAN_JOB, KW_ROLE_AGENT, 0, &s->chan.state, &max, &n);
    (void)kw_msg_legal(KW_JM_READY, KW_CHAN_JOB, KW_ROLE_JOB, s->chan.state, &s->chan.state, &max,
                       &n);
    return pair[1];
}

static int setup(void **state)
{
    static const struct kw_cli cli;
    (void)state;
    agent = (struct kw_agent){.cli = &cli, .listen_fd = -1, .signal_fd = -1};
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        agent.slots[i].chan.fd = -1;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++) {
        agent.waiting[i] = (struct kw_waiting){.chan.fd = -1, .id.pidfd = -1};
        theirs[i] = -1;
    }
    (void)snprintf(agent.config.profile, sizeof agent.config.profile, "p");
    agent.config.cloud = KW_CLOUD_OCI;
    agent.config.agent_jobs = 16;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++) {
        kw_waiting_free(&agent.waiting[i]);
        if (theirs[i] >= 0)
            (void)close(theirs[i]);
    }
    for (unsigned i = 0; i < KW_AGENT_SLOTS; i++)
        kw_slot_close(&agent.slots[i]);
    return 0;
}

static const char *told(unsigned i)
{
    static struct kw_m_error e;
    struct kw_err err;
    struct kw_in in;
    struct kw_chan c;
    kw_chan_init(&c, KW_CHAN_AGENT, KW_ROLE_CLIENT, theirs[i]);
    if (kw_chan_recv(&c, &in, 0, &err) != 0)
        return "";
    assert_int_equal(in.type, KW_MSG_ERROR);
    assert_true(kw_msg_get(&in.body, in.type, &e));
    kw_in_free(&in);
    return e.text;
}

/* --- whose turn it is --------------------------------------------------------------------- */

static void first_come_first_served(void **state)
{
    (void)state;
    int process = slot(0, KW_SLOT_READY, 0);
    end_of(0, OTHER, 5); /* came later, into a place that was free again */
    end_of(1, THIRD, 3);
    agent.config.agent_jobs = 1;
    kw_agent_dispatch(&agent);
    assert_int_equal(agent.slots[0].state, KW_SLOT_BUSY);
    assert_int_equal(agent.slots[0].uid, THIRD);
    assert_non_null(strstr(told(0), "as many jobs as it may"));
    (void)close(process);
}

static void jobs_of_one_user(void **state)
{
    (void)state;
    int busy = slot(0, KW_SLOT_BUSY, OTHER), process = slot(1, KW_SLOT_READY, 0);
    end_of(0, OTHER, 1);
    end_of(1, THIRD, 2);
    agent.config.agent_user_jobs = 1;
    kw_agent_dispatch(&agent);
    assert_non_null(strstr(told(0), "[agent] user_jobs"));
    assert_int_equal(agent.slots[1].state, KW_SLOT_BUSY);
    assert_int_equal(agent.slots[1].uid, THIRD);
    (void)close(busy);
    (void)close(process);
}

/* --- a full table --------------------------------------------------------------------------- */

static int connection(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t n = sizeof a;
    agent.listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(agent.listen_fd, (const struct sockaddr *)&a, sizeof a.sun_family), 0);
    assert_int_equal(listen(agent.listen_fd, 1), 0);
    assert_int_equal(getsockname(agent.listen_fd, (struct sockaddr *)&a, &n), 0);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, n), 0);
    return fd;
}

static void who_crowds_makes_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        end_of(i, i < 40 ? OTHER : THIRD, i == 7 ? 1000 : i + 1);
    int fd = connection();
    take_connection(&agent);
    assert_non_null(strstr(told(7), "too many wait for the agent")); /* the last of OTHER's */
    assert_int_equal(agent.waiting[7].id.uid, geteuid());
    assert_false(agent.waiting[7].hello_in);
    assert_int_equal(agent.totals.refused_full, 1);
    (void)close(fd);
    (void)close(agent.listen_fd);
}

/* Who has most places gets no more of them. */
static void who_crowds_gets_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        end_of(i, i < 32 ? (uint32_t)geteuid() : OTHER, i + 1);
    int fd = connection();
    char byte;
    take_connection(&agent);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    for (unsigned i = 0; i < KW_AGENT_PENDING; i++)
        assert_string_equal(told(i), "");
    (void)close(fd);
    (void)close(agent.listen_fd);
}

/* --- processes that fail ---------------------------------------------------------------------- */

static void fails(unsigned i, const char *profile)
{
    struct kw_slot *s = &agent.slots[i];
    int process = slot(i, KW_SLOT_STARTING, 0);
    (void)snprintf(s->profile, sizeof s->profile, "%s", profile);
    s->failed = true;
    (void)kw_fail(&s->why, KW_USAGE, "there is no such profile");
    (void)close(process);
    kw_slot_ended(&agent, s, KW_USAGE << 8);
    assert_int_equal(s->state, KW_SLOT_FREE);
}

/* What a client asks for and isn't there delays nobody's spare. */
static void another_profile_fails(void **state)
{
    (void)state;
    fails(0, "none");
    assert_int_equal(agent.next_spare_ms, 0);
    fails(0, "p");
    assert_true(agent.next_spare_ms > kw_now_ms());
}

/* The answer of a process with the former configuration is none for who waits for the new one. */
static void a_former_configuration_fails(void **state)
{
    (void)state;
    end_of(0, OTHER, 1);
    int process = slot(0, KW_SLOT_STARTING, 0);
    agent.generation = 1;
    (void)close(process);
    kw_slot_ended(&agent, &agent.slots[0], 256);
    assert_true(agent.waiting[0].there);
    agent.slots[0].state = KW_SLOT_FREE;
    process = slot(0, KW_SLOT_STARTING, 0);
    agent.slots[0].generation = 1;
    (void)close(process);
    kw_slot_ended(&agent, &agent.slots[0], 256);
    assert_false(agent.waiting[0].there);
    assert_non_null(strstr(told(0), "without saying why"));
}

static void a_process_that_does_not_end(void **state)
{
    (void)state;
    int status = 0, process = slot(0, KW_SLOT_READY, 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        for (;;)
            (void)pause();
    }
    agent.slots[0].pid = pid;
    kw_slot_end(&agent.slots[0]);
    kw_agent_hurry(&agent);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it has time */
    agent.slots[0].ending_ms -= 3600000;
    kw_agent_hurry(&agent);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_come_first_served, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_of_one_user, setup, teardown),
        cmocka_unit_test_setup_teardown(who_crowds_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(who_crowds_gets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(another_profile_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(a_former_configuration_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(a_process_that_does_not_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
