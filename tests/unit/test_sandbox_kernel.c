/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels that lack something. A filter put up beforehand answers for the kernel (no
 * switch of our own exists, least of all an environment variable): Landlock not there,
 * Landlock switched off, an older Landlock, no seccomp.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "policy/landlock.h"
#include "sandboxed.h"

struct lack {
    int nr, error; /* this call fails so */
    enum kw_role role;
    unsigned flags;
};

static bool answer_for_kernel(int nr, int error)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    bool ok = ctx != NULL && seccomp_rule_add(ctx, SCMP_ACT_ERRNO((uint32_t)error), nr, 0) == 0 &&
              seccomp_load(ctx) == 0;
    seccomp_release(ctx);
    return ok;
}

static int sandbox_on(const void *arg)
{
    const struct lack *l = arg;
    struct kw_fences f;
    struct kw_err err = {0};
    if (!answer_for_kernel(l->nr, l->error))
        return 97;
    (void)setenv("KEYWARD_SANDBOX_REQUIRE", "best-effort", 1); /* means nothing to a role */
    int r = kw_sandbox_begin(l->role, l->flags, &f, &err);
    if (r == 0)
        r = kw_sandbox_lock(l->role, l->flags, &f, &err);
    return say(r, 0, r != 0 ? err.text : f.stands, f.missing);
}

static void without_landlock(void **state)
{
    (void)state;
    static const int errors[] = {ENOSYS, EOPNOTSUPP};
    static const char *const cures[] = {"Linux 5.13", "lsm="};
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++)
        for (int i = 0; i < 2; i++) {
            struct lack l = {SCMP_SYS(landlock_create_ruleset), errors[i], (enum kw_role)role, 0};
            struct ended x = run_child(i == 1, sandbox_on, &l);
            assert_true(x.said);
            assert_int_equal(x.tried.code, KW_SANDBOX);
            assert_non_null(strstr(x.tried.text, "Landlock"));
            assert_non_null(strstr(x.tried.text, cures[i]));
            assert_non_null(strstr(x.tried.text, "best-effort"));
            assert_int_equal(WEXITSTATUS(x.status), KW_SANDBOX);

            l.flags = KW_SB_BEST_EFFORT;
            x = run_child(i == 1, sandbox_on, &l);
            assert_true(x.said);
            assert_int_equal(x.tried.code, 0);
            assert_non_null(strstr(x.tried.missing, "landlock"));
            assert_null(strstr(x.tried.text, "landlock"));
            assert_non_null(strstr(x.tried.text, "seccomp"));
        }
}

/* Seccomp is never optional: the exchanger's connect() rests on it. */
static void without_seccomp(void **state)
{
    (void)state;
    for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++)
        for (unsigned flags = 0; flags <= KW_SB_BEST_EFFORT; flags += KW_SB_BEST_EFFORT) {
            struct lack l = {SCMP_SYS(seccomp), EINVAL, (enum kw_role)role, flags};
            struct ended x = run_child(flags != 0, sandbox_on, &l);
            assert_true(x.said);
            assert_int_equal(x.tried.code, KW_SANDBOX);
            assert_non_null(strstr(x.tried.text, "CONFIG_SECCOMP_FILTER"));
        }
}

static void without_close_range(void **state)
{
    (void)state;
    struct lack l = {SCMP_SYS(close_range), ENOSYS, KW_ROLE_DIALER, 0};
    struct ended x = run_child(false, sandbox_on, &l);
    assert_true(x.said);
    assert_int_equal(x.tried.code, KW_SANDBOX);
    assert_non_null(strstr(x.tried.text, "close_range"));
}

/* --- older kernels ---------------------------------------------------------------------- */

/* What each ABI of Landlock knows: rights of files, of the network, scopes. */
struct known {
    uint64_t fs, net, scoped;
    size_t size; /* of the rule set's description */
};
static const struct known known[] = {
    {0, 0, 0, 0},       {0x1fff, 0, 0, 8},  {0x3fff, 0, 0, 8},  {0x7fff, 0, 0, 8},
    {0x7fff, 3, 0, 16}, {0xffff, 3, 0, 16}, {0xffff, 3, 3, 24},
};
enum { OLD_ABIS = sizeof known / sizeof known[0] };

static int old_abi; /* 0: the kernel answers itself */

/* The call as that kernel takes it: larger descriptions and unknown bits are refused, as
 * theirs are. In front of libc's, for all of the program under test. */
long syscall(long nr, ...)
{
    static long (*real)(long, ...);
    va_list ap;
    long a[6];
    va_start(ap, nr);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "syscall");
        memcpy(&real, &found, sizeof real);
    }
    if (nr == SYS_landlock_create_ruleset && old_abi != 0) {
        const struct known *k = &known[old_abi];
        uint64_t attr[3] = {0};
        if (a[0] == 0)
            return old_abi;
        if (a[1] < 8 || (size_t)a[1] > k->size)
            return errno = E2BIG, -1;
        memcpy(attr, (const void *)a[0], (size_t)a[1]);
        if ((attr[0] & ~k->fs) != 0 || (attr[1] & ~k->net) != 0 || (attr[2] & ~k->scoped) != 0)
            return errno = EINVAL, -1;
    }
    return real(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static bool opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    return fd >= 0 && close(fd) == 0;
}

/* What an older ABI doesn't know is masked away, what it knows holds. */
static int layer_on(const void *arg)
{
    const int *abi = arg;
    struct kw_err err = {0};
    static const struct kw_ll_path ok[] = {
        {"/dev/null", KW_LL_READ}, {"/does/not/exist", KW_LL_READ}, {NULL, 0}};
    struct kw_ll_layer l = {.fs = KW_LL_FS_ALL,
                            .net = KW_LL_BIND_TCP | KW_LL_CONNECT_TCP,
                            .scope = KW_LL_SIGNAL | KW_LL_ABSTRACT_UNIX,
                            .except = ok};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 97;
    old_abi = *abi;
    int r = kw_landlock_restrict(&l, kw_landlock_abi(), &err);
    int held = opens("/dev/null", O_RDONLY) && !opens("/etc/passwd", O_RDONLY) &&
               !opens("/dev/null", O_WRONLY);
    return say(r, held, err.text, "");
}

struct old {
    int abi;
    enum kw_role role;
};

/* A whole role there. */
static int role_on(const void *arg)
{
    const struct old *o = arg;
    struct kw_fences f;
    struct kw_err err = {0};
    old_abi = o->abi;
    int r = kw_sandbox_begin(o->role, 0, &f, &err);
    if (r == 0)
        r = kw_sandbox_lock(o->role, 0, &f, &err);
    return say(r, 0, r != 0 ? err.text : f.stands, f.missing);
}

static void older_landlock(void **state)
{
    (void)state;
    int top = kw_landlock_abi();
    assert_in_range(top, 1, 1000);
    for (int abi = 1; abi < OLD_ABIS && abi <= top; abi++) {
        struct ended x = run_child(abi % 2 == 0, layer_on, &abi);
        assert_true(x.said);
        assert_string_equal(x.tried.text, "");
        assert_int_equal(x.tried.code, 0);
        assert_int_equal(x.tried.error, 1);
        for (unsigned role = KW_ROLE_KEEPER; role < KW_ROLES; role++) {
            struct old o = {abi, (enum kw_role)role};
            char name[64];
            (void)snprintf(name, sizeof name, "landlock abi %d (files%s%s)", abi,
                           abi >= 4 ? ", tcp" : "", abi >= 6 ? ", scopes" : "");
            x = run_child(abi % 2 == 1, role_on, &o);
            assert_true(x.said);
            if (x.tried.code != 0 || strstr(x.tried.text, name) == NULL)
                fail_msg("%s, abi %d: %s", kw_role_name(o.role), abi, x.tried.text);
            assert_int_equal(strstr(x.tried.missing, "tcp rules") != NULL, abi < 4);
            assert_int_equal(strstr(x.tried.missing, "scopes") != NULL, abi < 6);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_landlock),
        cmocka_unit_test(without_seccomp),
        cmocka_unit_test(without_close_range),
        cmocka_unit_test(older_landlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
