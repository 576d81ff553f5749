/* SPDX-License-Identifier: Apache-2.0
 *
 * The scratch tokens and the modules of the PKCS#11 tests; see the header.
 */
#include "p11_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char conf[300], calls[300];
static char dir[256], tokens[300];
static const char *softhsm;

/* ---- the scratch token ---- */

static const char *find_softhsm(void)
{
    static const char *const paths[] = {
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    fail_msg("no SoftHSM module found; install softhsm2");
    return NULL;
}

static void make_token(const char *label)
{
    char *argv[] = {(char[]){"softhsm2-util"},
                    (char[]){"--init-token"},
                    (char[]){"--free"},
                    (char[]){"--label"},
                    strdup(label),
                    (char[]){"--pin"},
                    (char[]){"1234"},
                    (char[]){"--so-pin"},
                    (char[]){"5678"},
                    NULL};
    posix_spawn_file_actions_t quiet;
    pid_t pid = 0;
    int status = 1;
    (void)posix_spawn_file_actions_init(&quiet);
    (void)posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)posix_spawn_file_actions_destroy(&quiet);
    free(argv[4]);
}

int set_up(void **state)
{
    struct kw_err err;
    const char *tmp = getenv("TMPDIR");
    (void)state;
    softhsm = find_softhsm();
    (void)snprintf(dir, sizeof dir, "%.200s/kw-p11-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(tokens, sizeof tokens, "%s/tokens", dir);
    (void)snprintf(conf, sizeof conf, "%s/conf", dir);
    (void)snprintf(calls, sizeof calls, "%s/calls", dir);
    assert_int_equal(mkdir(tokens, 0700), 0);
    FILE *f = fopen(conf, "we");
    assert_non_null(f);
    (void)fprintf(f, "directories.tokendir = %s\nlog.level = ERROR\n", tokens);
    (void)fclose(f);
    (void)setenv("SOFTHSM2_CONF", conf, 1);
    (void)setenv("KW_SPY_MODULE", softhsm, 1);
    (void)setenv("KW_SPY_LOG", calls, 1);
    make_token("one");
    make_token("two");
    return kw_secret_init(true, &err);
}

/* Calls visit(path) for every file below path, and rmdir's if `remove`. */
static void walk(const char *path, void (*visit)(const char *path, void *arg), void *arg,
                 bool remove_dirs)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char sub[1024];
        struct stat st;
        (void)snprintf(sub, sizeof sub, "%.500s/%.250s", path, names[i]->d_name);
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0) {
            if (lstat(sub, &st) == 0 && S_ISDIR(st.st_mode))
                walk(sub, visit, arg, remove_dirs);
            else
                visit(sub, arg);
        }
        free(names[i]);
    }
    free(names);
    if (remove_dirs)
        (void)rmdir(path);
}

static void unlink_it(const char *path, void *arg)
{
    (void)arg;
    (void)unlink(path);
}

int tear_down(void **state)
{
    (void)state;
    walk(dir, unlink_it, NULL, true);
    return access(dir, F_OK) == 0;
}

static void hash_it(const char *path, void *arg)
{
    unsigned char bytes[4096];
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(EVP_DigestUpdate(arg, path, strlen(path) + 1), 1);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        assert_int_equal(EVP_DigestUpdate(arg, bytes, n), 1);
    (void)fclose(f);
}

void hash_tokens(unsigned char out[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL), 1);
    walk(tokens, hash_it, ctx, false);
    assert_int_equal(EVP_DigestFinal_ex(ctx, out, NULL), 1);
    EVP_MD_CTX_free(ctx);
}

/* ---- loading ---- */

struct kw_m_keeper_start cfg;
static struct kw_p11 *current;

void configure(const char *module, const char *label, const char *spy_does)
{
    memset(&cfg, 0, sizeof cfg);
    (void)snprintf(cfg.module, sizeof cfg.module, "%s", module);
    (void)snprintf(cfg.label, sizeof cfg.label, "%s", label);
    cfg.sessions = 4;
    (void)setenv("KW_SPY_DO", spy_does, 1);
    (void)unlink(calls);
}

int log_in(struct kw_p11 *p, const char *pin, struct kw_err *err)
{
    struct kw_secret *s = kw_secret_from(pin, strlen(pin));
    assert_non_null(s);
    int r = kw_p11_login(p, s, err);
    kw_secret_free(&s);
    return r;
}

struct kw_p11 *loaded(void)
{
    struct kw_err err;
    assert_null(current);
    if (kw_p11_load(&cfg, &current, &err) != 0)
        fail_msg("%s", err.text);
    return current;
}

void done(void)
{
    kw_p11_free(current);
    current = NULL;
}

int drop(void **state)
{
    (void)state;
    done();
    return 0;
}

struct kw_p11 *chosen(const char *spy_does)
{
    struct kw_m_keeper_ready info;
    struct kw_err err;
    configure(KW_SPY, "one", spy_does);
    memset(&info, 0, sizeof info);
    if (kw_p11_choose(loaded(), &info, &err) != 0)
        fail_msg("%s", err.text);
    return current;
}

struct kw_p11 *ready(const char *spy_does)
{
    struct kw_err err;
    struct kw_p11 *p = chosen(spy_does);
    if (log_in(p, "1234", &err) != 0)
        fail_msg("%s", err.text);
    return p;
}

void made(struct kw_p11 *p, unsigned bits, bool stored, struct kw_p11_key *k)
{
    struct kw_err err;
    if (kw_p11_generate(p, bits, stored, 0, k, &err) != 0)
        fail_msg("%s", err.text);
}

unsigned count(const char *function)
{
    char line[64];
    unsigned n = 0;
    FILE *f = fopen(calls, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        n += function == NULL || strcmp(line, function) == 0;
    }
    (void)fclose(f);
    return n;
}
