/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts a role's fences up, in this order: descriptors, attributes of the process,
 * Landlock, seccomp (which comes last because it forbids what the others need).
 *
 * Required are seccomp with TSYNC and Landlock of any ABI (Linux 5.13). What later
 * ABIs add (TCP rules in 6.7, scopes in 6.12) stands where the kernel has it and is
 * named in `missing` where it hasn't: keeper and exchanger are kept off the network by
 * seccomp in any case.
 */
#include "sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "landlock.h"
#include "limits.h"
#include "table.h"
#include "violation.h"

#define CAP(n) (1u << (n))
/* A root keeper's module may use files as root; it needs no other privilege. */
#define KEEPER_CAPS                                                                                \
    (CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_FOWNER) |         \
     CAP(CAP_IPC_LOCK) | CAP(CAP_IPC_OWNER))

/* Connections, and two pipes for each call. */
enum { EXCHANGER_FILES = 1024, DIALER_FILES = 256, KEEPER_FILES = 4096, PROXY_FILES = 4096 };

#ifdef KW_SANITIZE
/* The leak checker starts a tracer thread at exit; behind the fences that would be a
 * violation. Asked by the runtime at that moment; unfenced processes go on checking. */
static bool fenced;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return fenced;
}
#endif

static void note(char *text, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void note(char *text, size_t size, const char *fmt, ...)
{
    size_t n = strlen(text);
    va_list ap;
    if (n + 3 >= size)
        return;
    (void)snprintf(text + n, size - n, "%s", n > 0 ? ", " : "");
    n = strlen(text);
    va_start(ap, fmt);
    (void)vsnprintf(text + n, size - n, fmt, ap);
    va_end(ap);
}

#define STANDS(f, ...)  note((f)->stands, sizeof(f)->stands, __VA_ARGS__)
#define MISSING(f, ...) note((f)->missing, sizeof(f)->missing, __VA_ARGS__)

/* Says what Landlock offers here; 0 in *abi if nothing and that was accepted. */
static int landlock_offer(unsigned flags, int *abi, struct kw_fences *f, struct kw_err *err)
{
    *abi = kw_landlock_abi();
    if (*abi == 0) {
        const char *why = errno == EOPNOTSUPP
                              ? "is switched off; add landlock to lsm= on the kernel command line"
                              : "is not there; Linux 5.13 with CONFIG_SECURITY_LANDLOCK is needed";
        MISSING(f, "landlock");
        if ((flags & KW_SB_BEST_EFFORT) != 0)
            return 0;
        return kw_fail(err, KW_SANDBOX,
                       "the kernel's Landlock %s, or accept a weaker sandbox with [sandbox] "
                       "require = best-effort",
                       why);
    }
    STANDS(f, "landlock abi %d (files%s%s)", *abi, *abi >= 4 ? ", tcp" : "",
           *abi >= 6 ? ", scopes" : "");
    if (*abi < 4)
        MISSING(f, "landlock tcp rules (Linux 6.7)");
    if (*abi < 6)
        MISSING(f, "landlock scopes (Linux 6.12)");
    return 0;
}

/* The first layer of the keeper: no programs, no devices made, no TCP, nobody else's
 * signals and abstract sockets. Moving files between directories is what Landlock
 * denies unless told otherwise; a module may need it. */
static int landlock_keeper(unsigned flags, int abi, struct kw_err *err)
{
    static const struct kw_ll_path all[] = {{"/", KW_LL_REFER}, {NULL, 0}};
    bool network = (flags & KW_SB_NETWORK) != 0, local = network || (flags & KW_SB_LOCAL) != 0;
    struct kw_ll_layer l = {
        .fs = KW_LL_EXECUTE | KW_LL_MAKE_CHAR | KW_LL_MAKE_BLOCK | KW_LL_REFER,
        .net = network ? KW_LL_BIND_TCP : KW_LL_BIND_TCP | KW_LL_CONNECT_TCP,
        .scope = local ? KW_LL_SIGNAL : KW_LL_SIGNAL | KW_LL_ABSTRACT_UNIX,
        .except = all,
    };
    return kw_landlock_restrict(&l, abi, err);
}

/* The dialer reads what the resolver reads, file by file: as root, /etc would be the
 * password hashes too. Libraries are there because NSS loads its parts late. */
static int landlock_dialer(int abi, struct kw_err *err)
{
    static const struct kw_ll_path files[] = {
        {"/etc/resolv.conf", KW_LL_READ},
        {"/etc/hosts", KW_LL_READ},
        {"/etc/nsswitch.conf", KW_LL_READ},
        {"/etc/host.conf", KW_LL_READ},
        {"/etc/gai.conf", KW_LL_READ},
        {"/etc/services", KW_LL_READ},
        {"/etc/protocols", KW_LL_READ},
        {"/etc/networks", KW_LL_READ},
        {"/etc/hostname", KW_LL_READ},
        {"/etc/mdns.allow", KW_LL_READ},
        {"/etc/ld.so.cache", KW_LL_READ},
        {"/etc/localtime", KW_LL_READ},
        {"/run/systemd/resolve", KW_LL_READ},
        {"/run/resolvconf", KW_LL_READ},
        {"/run/NetworkManager", KW_LL_READ},
        {"/lib", KW_LL_READ},
        {"/lib64", KW_LL_READ},
        {"/usr/lib", KW_LL_READ},
        {"/usr/lib64", KW_LL_READ},
        {"/dev/urandom", KW_LL_READ},
        {"/dev/null", KW_LL_READ | KW_LL_WRITE_FILE},
        {NULL, 0},
    };
    struct kw_ll_layer l = {
        .fs = KW_LL_FS_ALL,
        .net = KW_LL_BIND_TCP,
        .scope = KW_LL_SIGNAL | KW_LL_ABSTRACT_UNIX,
        .except = files,
    };
    return kw_landlock_restrict(&l, abi, err);
}

/* FSIZE 0 would also stop messages where they go to a file. */
static bool logs_to_file(void)
{
    struct stat st;
    return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

static int plain_fences(enum kw_role role, struct kw_fences *f, struct kw_err *err)
{
    static const rlim_t files[KW_ROLES] = {[KW_ROLE_KEEPER] = KEEPER_FILES,
                                           [KW_ROLE_EXCHANGER] = EXCHANGER_FILES,
                                           [KW_ROLE_DIALER] = DIALER_FILES,
                                           [KW_ROLE_PROXY] = PROXY_FILES};
    int r = kw_limits_descriptors(role, err);
    if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        r = kw_fail_errno(err, KW_SANDBOX, "could not close the process to tracers");
    if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        r = kw_fail_errno(err, KW_SANDBOX, "could not set no_new_privs");
    if (r == 0)
        r = kw_limits_set(RLIMIT_CORE, 0, "CORE", err);
    if (r == 0)
        r = kw_limits_set(RLIMIT_NOFILE, files[role], "NOFILE", err);
    if (r == 0 && signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        r = kw_fail_errno(err, KW_SANDBOX, "could not ignore SIGPIPE");
    if (r == 0)
        r = kw_violation_watch(err);
    if (r != 0)
        return r;
    STANDS(f, "no_new_privs, not dumpable, no core, nofile %lu", (unsigned long)files[role]);
    int tracer = kw_limits_tracer();
    if (tracer != 0)
        MISSING(f, "process %d traces this one", tracer);
    return 0;
}

/* What takes processes and files away; as root, NPROC has no effect. */
static int no_more(struct kw_fences *f, struct kw_err *err)
{
    int r = kw_limits_set(RLIMIT_NPROC, 0, "NPROC", err);
    if (r == 0)
        STANDS(f, "nproc 0");
    if (r == 0 && !logs_to_file()) {
        r = kw_limits_set(RLIMIT_FSIZE, 0, "FSIZE", err);
        if (r == 0)
            STANDS(f, "fsize 0");
    }
    if (r == 0)
        r = kw_limits_capabilities(0, err);
    if (r == 0)
        STANDS(f, "no capabilities");
    return r;
}

/* 32 KiB of which the pages that are used are touched; too much for a stack. */
static struct kw_filter filter;

static int seccomp_build(enum kw_role role, unsigned flags, struct kw_err *err)
{
    return kw_seccomp_build(kw_table_of(role), flags, KW_SANITIZED, kw_arch_native, &filter, err);
}

void kw_sandbox_hide(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int kw_sandbox_begin(enum kw_role role, unsigned flags, struct kw_fences *f, struct kw_err *err)
{
    *f = (struct kw_fences){0};
    if (role == KW_ROLE_MAIN) {
        /* Runs what the user names and opens what the user names: only kept private. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
            return kw_fail_errno(err, KW_SANDBOX, "could not close the process to tracers");
        STANDS(f, "not dumpable");
        return 0;
    }
#ifdef KW_SANITIZE
    fenced = true;
#endif
    int r = plain_fences(role, f, err);
    if (r != 0 || role == KW_ROLE_EXCHANGER || role == KW_ROLE_PROXY)
        return r;
    if (role == KW_ROLE_KEEPER)
        r = kw_limits_capabilities(KEEPER_CAPS, err);
    int abi = 0;
    if (r == 0)
        r = landlock_offer(flags, &abi, f, err);
    if (r == 0 && abi > 0)
        r = role == KW_ROLE_KEEPER ? landlock_keeper(flags, abi, err) : landlock_dialer(abi, err);
    if (r == 0) /* the dialer always has a network: that is its job */
        r = seccomp_build(role, role == KW_ROLE_DIALER ? flags | KW_SB_NETWORK : flags, err);
    if (r == 0)
        r = kw_seccomp_install(&filter, role, err);
    if (r == 0)
        STANDS(f, "seccomp deny-list");
    return r;
}

static int lock_keeper(unsigned flags, struct kw_fences *f, struct kw_err *err)
{
    struct kw_ll_layer l = {.fs = KW_LL_WRITES};
    int abi = kw_landlock_abi();
    if ((flags & KW_SB_STORE) != 0 || abi == 0) /* its absence was settled in begin */
        return 0;
    int r = kw_landlock_restrict(&l, abi, err);
    if (r != 0)
        return r;
    /* Landlock binds this thread and those to come: not what the module has started. */
    unsigned others = kw_limits_threads();
    if (others > 1)
        MISSING(f, "files read-only in threads that the module has started (%u)", others - 1);
    else
        STANDS(f, "files read-only");
    return 0;
}

/* Exchanger and proxy: nothing but the descriptors that they hold. */
static int lock_strict(enum kw_role role, unsigned flags, struct kw_fences *f, struct kw_err *err)
{
    struct kw_ll_layer l = {
        .fs = KW_LL_FS_ALL,
        .net = KW_LL_BIND_TCP | KW_LL_CONNECT_TCP,
        .scope = KW_LL_SIGNAL | KW_LL_ABSTRACT_UNIX,
    };
    int abi = 0;
    int r = landlock_offer(flags, &abi, f, err);
    if (r == 0 && abi > 0)
        r = kw_landlock_restrict(&l, abi, err);
    if (r == 0) /* before FSIZE: libseccomp hands it over in a memory file */
        r = seccomp_build(role, flags, err);
    if (r == 0)
        r = no_more(f, err);
    if (r == 0)
        r = kw_seccomp_install(&filter, role, err);
    if (r == 0)
        STANDS(f, "seccomp allow-list");
    return r;
}

int kw_sandbox_lock(enum kw_role role, unsigned flags, struct kw_fences *f, struct kw_err *err)
{
    switch (role) {
    case KW_ROLE_KEEPER:
        return lock_keeper(flags, f, err);
    case KW_ROLE_EXCHANGER:
    case KW_ROLE_PROXY:
        return lock_strict(role, flags, f, err);
    case KW_ROLE_DIALER:
        return no_more(f, err); /* resolver and connect are needed to the end */
    case KW_ROLE_MAIN:
    case KW_ROLES: /* and mains with other names */
    case KW_ROLE_CLIENT:
    case KW_ROLE_AGENT:
    case KW_ROLE_JOB:
        break;
    }
    return kw_fail(err, KW_SANDBOX, "%s has no sandbox to lock", kw_role_name(role));
}
