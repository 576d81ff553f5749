/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward-lab: start, files, end. Nothing here is a secret outside the lab, so plain
 * memory will do; files that play secrets have mode 0600 all the same, because the
 * code under test refuses others.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"
#include "src/base/io.h"

static struct lab the_lab; /* one per process, shared by all threads */

static int report_ready(const struct lab *l, struct kw_err *err)
{
    char line[64];
    snprintf(line, sizeof line, "READY %u\n", l->port[LAB_DOOR_GOOD]);
    if (l->opt.ready_file != NULL) {
        struct kw_atomic a;
        if (kw_atomic_open(&a, l->opt.ready_file, 0644, err) != 0)
            return (int)err->code;
        if (kw_write_all(a.fd, line, strlen(line)) != 0) {
            kw_fail_errno(err, KW_FAILED, "writing %s", l->opt.ready_file);
            kw_atomic_abort(&a);
            return (int)err->code;
        }
        if (kw_atomic_commit(&a, err) != 0)
            return (int)err->code;
    }
    if (l->opt.ready_fd >= 0) {
        if (kw_write_all(l->opt.ready_fd, line, strlen(line)) != 0)
            return kw_fail_errno(err, KW_FAILED, "writing to descriptor %d", l->opt.ready_fd);
        close(l->opt.ready_fd);
    }
    if (l->opt.ready_file == NULL && l->opt.ready_fd < 0) {
        printf("keyward-lab: ready on 127.0.0.1:%u, files in %s\n", l->port[LAB_DOOR_GOOD],
               l->opt.dir);
        fflush(stdout);
    }
    return 0;
}

/* DIR, absolute, because it goes into files that are read from elsewhere. */
static int make_dir(struct lab *l, struct kw_err *err)
{
    static char absolute[3072];
    if (mkdir(l->opt.dir, 0700) != 0 && errno != EEXIST)
        return kw_fail_errno(err, KW_USAGE, "making the directory %s", l->opt.dir);
    char *real = realpath(l->opt.dir, NULL);
    if (real == NULL || strlen(real) >= sizeof absolute || strpbrk(real, "'\"\\\n;") != NULL) {
        free(real);
        return kw_fail(err, KW_USAGE,
                       "--dir %s: no directory, or its path is too long or has quotes, a "
                       "backslash, a semicolon or a line end",
                       l->opt.dir);
    }
    snprintf(absolute, sizeof absolute, "%s", real);
    free(real);
    l->opt.dir = absolute;
    return 0;
}

/* Signals: TERM and INT are read by the main loop; a peer that went away is an error
 * of SSL_write, not the end of the process. */
static int prepare(const struct lab_options *o, struct kw_err *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    pid_t parent = getppid();
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigaction(SIGPIPE, &ignore, NULL) != 0 || pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return kw_fail_errno(err, KW_FAILED, "setting up signals");
    if (!o->die_with_parent)
        return 0;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0)
        return kw_fail_errno(err, KW_FAILED, "asking to end with the parent");
    if (getppid() != parent)
        return kw_fail(err, KW_FAILED, "the parent ended during the start");
    return 0;
}

static int run(struct lab *l, struct kw_err *err)
{
    int rc = prepare(&l->opt, err);
    if (rc == 0)
        rc = make_dir(l, err);
    if (rc == 0)
        rc = lab_state_born(l, err);
    if (rc == 0)
        rc = lab_sites(l, err);
    if (rc == 0)
        rc = lab_state_load(l, err);
    if (rc == 0)
        rc = lab_tls_setup(l, err);
    if (rc == 0)
        rc = lab_server_open(l, err);
    if (rc == 0)
        rc = lab_files_write(l, err);
    if (rc == 0)
        rc = report_ready(l, err);
    return rc == 0 ? lab_server_run(l, err) : rc;
}

int main(int argc, char **argv)
{
    struct lab *l = &the_lab;
    struct kw_err err = {KW_OK, ""};
    int rc = lab_options_parse(argc, argv, &l->opt, &err);
    if (rc == 0 && l->opt.help) {
        lab_help();
    } else if (rc == 0 && l->opt.man) {
        lab_man();
    } else if (rc == 0) {
        lab_state_init(l);
        rc = run(l, &err);
    }
    if (rc != 0) {
        fprintf(stderr, "keyward-lab: %s\n", err.text);
        return rc == KW_USAGE ? 2 : 1; /* threads may still run: no clean-up */
    }
    lab_state_free(l);
    return 0;
}
