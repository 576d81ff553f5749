/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the launcher share: a run as main has told it, and processes that may
 * spoil themselves. */
#ifndef KW_TEST_LAUNCH_SET_H
#define KW_TEST_LAUNCH_SET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/run/launch_int.h"

static struct kw_config config;
static struct kw_stage_set set;
static struct kw_launch_want want;

/* A run for OCI, as main has told it. */
static int fresh(void **state)
{
    (void)state;
    memset(&config, 0, sizeof config);
    want = (struct kw_launch_want){.keep_env = "", .config = &config};
    EVP_PKEY_free(set.key);
    set = (struct kw_stage_set){.want = &want, .port = 4711, .keeper_fd = -1};
    struct kw_go *g = &set.go;
    g->cloud = KW_CLOUD_OCI;
    (void)snprintf(g->ca_pem, sizeof g->ca_pem, "THE RUN\n");
    (void)snprintf(g->token, sizeof g->token, "a.stand.in");
    (void)snprintf(g->region, sizeof g->region, "eu-test-1");
    (void)snprintf(g->tenancy, sizeof g->tenancy, "ocid1.tenancy");
    (void)snprintf(g->profile, sizeof g->profile, "prod");
    (void)snprintf(set.dir, sizeof set.dir, "/private");
    (void)snprintf(set.home, sizeof set.home, "/private/home");
    (void)snprintf(set.bundle, sizeof set.bundle, "/private/ca.pem");
    (void)clearenv();
    return setenv("PATH", "/usr/bin:/bin", 1) == 0 && setenv("HOME", "/home/none", 1) == 0 ? 0 : -1;
}

/* Runs it in a process of its own, which says on standard error what is wrong. */
static int in_child(int (*what)(void))
{
    int status = -1;
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(what());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int wrong(const char *path, const char *how)
{
    (void)fprintf(stderr, "%s %s\n", path, how);
    return 1;
}

#endif
