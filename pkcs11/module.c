/* SPDX-License-Identifier: Apache-2.0
 *
 * A module's life: dlopen, function list, C_Initialize, C_Finalize.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* Module and libraries below it may print; our standard output carries results. */
static int divert_stdout(struct kw_err *err)
{
    (void)fflush(stdout);
    if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return kw_fail_errno(err, KW_FAILED, "cannot point standard output to standard error");
    return 0;
}

static int open_module(struct kw_p11 *p, struct kw_err *err)
{
    uint64_t before = kw_progress_enter(KW_P11_DLOPEN);
    /* NODELETE: a module's threads and atexit handlers outlive dlclose */
    p->handle = dlopen(p->module, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    kw_progress_leave(before);
    if (p->handle == NULL) {
        const char *why = dlerror();
        return kw_fail(err, KW_TOKEN, "cannot load PKCS#11 module %s: %s; check module-path",
                       p->module, why != NULL ? why : "unknown reason");
    }
    CK_C_GetFunctionList get = NULL;
    void *symbol = dlsym(p->handle, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get); /* ISO C has no cast from object to function */
    if (get == NULL)
        return kw_fail(err, KW_TOKEN, "%s is no PKCS#11 module: it has no C_GetFunctionList",
                       p->module);
    before = kw_progress_enter(KW_P11_GetFunctionList);
    CK_RV rv = get(&p->f);
    kw_progress_leave(before);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_GetFunctionList", rv, "");
    if (p->f == NULL || p->f->version.major < 2 || p->f->version.major > 3)
        return kw_fail(err, KW_TOKEN, "%s does not speak PKCS#11 version 2 or 3", p->module);
    return 0;
}

int kw_p11_initialize(struct kw_p11 *p, struct kw_err *err)
{
    /* NSS reads one pointer more than the standard has, so there is one, NULL. */
    struct {
        CK_C_INITIALIZE_ARGS standard;
        void *nss_reserved;
    } args;
    memset(&args, 0, sizeof args);
    args.standard.flags = CKF_OS_LOCKING_OK;
    /* SoftHSM refuses anything but NULL here */
    args.standard.pReserved = p->module_args[0] != '\0' ? p->module_args : NULL;
    CK_RV rv;
    KW_CK(rv, p, Initialize, &args);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_Initialize", rv,
                          "check the module's own configuration, and that its daemon runs if it "
                          "has one");
    return 0;
}

int kw_p11_load(const struct kw_m_keeper_start *cfg, struct kw_p11 **ret, struct kw_err *err)
{
    *ret = NULL;
    if (cfg->module[0] != '/')
        return kw_fail(err, KW_USAGE, "PKCS#11 module \"%s\" is not an absolute path", cfg->module);
    struct kw_p11 *p = calloc(1, sizeof *p);
    if (p == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    memcpy(p->module, cfg->module, sizeof p->module);
    memcpy(p->module_args, cfg->module_args, sizeof p->module_args);
    memcpy(p->label, cfg->label, sizeof p->label);
    memcpy(p->manufacturer, cfg->manufacturer, sizeof p->manufacturer);
    memcpy(p->serial, cfg->serial, sizeof p->serial);
    memcpy(p->model, cfg->model, sizeof p->model);
    p->sessions = cfg->sessions < 1 ? 1 : cfg->sessions;
    if (p->sessions > KW_P11_SESSIONS)
        p->sessions = KW_P11_SESSIONS;
    (void)pthread_mutex_init(&p->pool.lock, NULL);
    (void)pthread_cond_init(&p->pool.freed, NULL);
    /* a module that talks to a daemon would kill us when the daemon dies */
    (void)signal(SIGPIPE, SIG_IGN);
    int r = divert_stdout(err);
    if (r == 0)
        r = open_module(p, err);
    if (r == 0)
        r = kw_p11_initialize(p, err);
    if (r != 0) {
        p->f = NULL; /* never initialised: nothing to finalise */
        kw_p11_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void kw_p11_free(struct kw_p11 *p)
{
    if (p == NULL)
        return;
    if (p->f != NULL) {
        CK_RV rv = CKR_OK;
        if (p->logged_in && p->pool.n > 0)
            KW_CK(rv, p, Logout, p->pool.all[0]);
        kw_pool_close(p);
        KW_CK(rv, p, Finalize, NULL);
        (void)rv; /* on the way out there is nobody left to tell */
    }
    if (p->handle != NULL)
        (void)dlclose(p->handle);
    (void)pthread_cond_destroy(&p->pool.freed);
    (void)pthread_mutex_destroy(&p->pool.lock);
    free(p);
}
