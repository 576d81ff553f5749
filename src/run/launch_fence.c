/* SPDX-License-Identifier: Apache-2.0
 *
 * What CMD may not do whatever its user may: have capabilities (a root CMD could enter the
 * host's namespaces), gain any by setuid programs, trace or signal processes outside. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch_int.h"
#include "policy/landlock.h"
#include "policy/limits.h"

enum { CAPABILITIES = 64 };

/* A domain that allows all files: being in one is what keeps a process from tracing others
 * (every ABI), and from signals and abstract sockets to the outside (ABI 6). ABI 1 can't allow
 * files to be moved between folders, which tools need. */
static int landlock(struct kw_err *err)
{
    static const struct kw_ll_path all[] = {{"/", KW_LL_REFER}, {NULL, 0}};
    const struct kw_ll_layer l = {
        .fs = KW_LL_REFER, .scope = KW_LL_SIGNAL | KW_LL_ABSTRACT_UNIX, .except = all};
    int abi = kw_landlock_abi();
    return abi < 2 ? 0 : kw_landlock_restrict(&l, abi, err);
}

int kw_launch_fence(struct kw_err *err)
{
    sigset_t none;
    for (int i = 0; i < CAPABILITIES; i++)
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 && errno != EINVAL && errno != EPERM)
            return kw_fail_errno(err, KW_SANDBOX, "could not give up capabilities for good");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL)
        return kw_fail_errno(err, KW_SANDBOX, "could not give up ambient capabilities");
    int r = kw_limits_capabilities(0, err);
    if (r != 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return kw_fail_errno(err, KW_SANDBOX, "could not set no_new_privs");
    r = landlock(err);
    if (r != 0)
        return r;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        return kw_fail_errno(err, KW_FAILED, "could not prepare CMD's process");
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    return 0;
}
