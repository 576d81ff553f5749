/* SPDX-License-Identifier: Apache-2.0
 *
 * What CMD of `run` finds in files: the decoys, their modes and contents, and covers over
 * what is not for it. */
#include "launch_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

static char top[64];
static const char *at(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    char *p = path[turn++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", top, name);
    return p;
}

static void put_at(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void put(const char *name, const char *text)
{
    put_at(at(name), text);
}

static const char *text_of(const char *path)
{
    static char text[20000];
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f != NULL)
        (void)fclose(f);
    return f != NULL ? text : "(can't be read)";
}

static int set_up(void **state)
{
    static const char *const dirs[] = {
        "home",      "home/.oci", "home/.ssh",     "home/.config", "home/.config/gcloud",
        "home/work", "state",     "state/keyward", "tokens",       "runtime",
        "sdk"};
    static const char *const files[] = {"home/.oci/config",
                                        "home/.ssh/id_rsa",
                                        "home/.netrc",
                                        "home/.config/gcloud/credentials.db",
                                        "home/work/file",
                                        "state/keyward/session",
                                        "tokens/object",
                                        "runtime/bus",
                                        "sdk/cred",
                                        "pin",
                                        "own-pin",
                                        "ini",
                                        "audit",
                                        "jwt",
                                        "secret",
                                        "bearer",
                                        "netrc-there"};
    (void)state;
    (void)snprintf(top, sizeof top, "/tmp/kw-launch.XXXXXX");
    if (mkdtemp(top) == NULL)
        return -1;
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        if (mkdir(at(dirs[i]), 0700) != 0)
            return -1;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put(files[i], "secret\n");
    put("roots", "THE ROOTS\n");
    put("lab-ca", "THE LAB\n");
    char conf[600];
    (void)snprintf(conf, sizeof conf,
                   "# directories.tokendir = /none\n directories.tokendir = %s\n", at("tokens"));
    put("softhsm2.conf", conf);
    (void)unlink(at("home/.netrc")); /* a link: what it leads to is what counts */
    return symlink(at("netrc-there"), at("home/.netrc"));
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command) == 0 ? 0 : -1;
}

static int fresh_home(void **state)
{
    return fresh(state) == 0 ? setenv("HOME", at("home"), 1) : -1;
}

/* --- decoys ------------------------------------------------------------------------------- */

static void has_mode(const char *path, mode_t mode)
{
    struct stat st;
    if (lstat(path, &st) != 0 || (st.st_mode & (S_IFMT | 07777)) != mode)
        fail_msg("%s: mode %o", path, st.st_mode);
    assert_int_equal(st.st_uid, geteuid());
}

static const char *in_folder(const char *name)
{
    static char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", set.dir, name);
    return path;
}

static int lay_out(struct kw_err *err)
{
    int r = kw_launch_prepare(&set, err);
    return r == 0 ? kw_launch_lay(&set, err) : r;
}

/* Lays the decoys out without a mount namespace; *ret_pipe is main's end of the keeper. */
static int lay(int *ret_pipe, struct kw_err *err)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *ret_pipe = ends[1];
    /* All below it is closed by who waits for main's end, and main's own end is there. */
    set.keeper_fd = fcntl(ends[0], F_DUPFD_CLOEXEC, 64);
    (void)close(ends[0]);
    int r = lay_out(err);
    (void)close(set.keeper_fd);
    return r;
}

/* main ends, and so the folder goes. */
static void swept(int fd)
{
    const struct timespec t = {0, 20000000};
    struct stat st;
    assert_int_equal(stat(set.dir, &st), 0);
    (void)close(fd);
    for (int i = 0; i < 500 && stat(set.dir, &st) == 0; i++)
        (void)nanosleep(&t, NULL);
    assert_int_equal(stat(set.dir, &st), -1);
}

static void decoys_of_oci(void **state)
{
    static const char *const dirs[] = {"",    "none",  "home", "home/.oci", "home/.config",
                                       "run", "gcloud"};
    static const char *const files[] = {"nothing", "ca.pem", "key.pem", "token",
                                        "home/.oci/config"};
    struct kw_err err;
    unsigned char *der = NULL, md[EVP_MAX_MD_SIZE];
    unsigned md_n = 0;
    char print[64] = "", wanted[4096];
    int fd = -1;
    (void)state;
    (void)umask(0); /* no mode is left to it */
    (void)setenv("SSL_CERT_FILE", at("roots"), 1);
    (void)snprintf(config.ca_file, sizeof config.ca_file, "%s", at("lab-ca"));
    set.key = kw_launch_key();
    if (lay(&fd, &err) != 0)
        fail_msg("%s", err.text);
    (void)umask(077);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        has_mode(in_folder(dirs[i]), S_IFDIR | 0700);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        has_mode(in_folder(files[i]), S_IFREG | 0600);
    assert_string_equal(text_of(in_folder("nothing")), "");
    assert_string_equal(text_of(in_folder("token")), "a.stand.in");
    assert_string_equal(text_of(set.bundle), "THE ROOTS\n\nTHE LAB\n\nTHE RUN\n");
    assert_string_equal(set.home, in_folder("home"));
    FILE *f = fopen(set.key_file, "r");
    EVP_PKEY *k = f != NULL ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    assert_int_equal(EVP_PKEY_eq(k, set.key), 1);
    (void)fclose(f);
    EVP_PKEY_free(k);
    assert_non_null(
        strstr(text_of(set.key_file), "BEGIN RSA PRIVATE KEY")); /* as OCI's SDKs want it */
    int n = i2d_PUBKEY(set.key, &der);
    assert_int_equal(EVP_Digest(der, (size_t)n, md, &md_n, EVP_md5(), NULL), 1);
    OPENSSL_free(der);
    for (unsigned i = 0; i < md_n; i++)
        (void)snprintf(print + strlen(print), sizeof print - strlen(print), "%s%02x",
                       i > 0 ? ":" : "", md[i]);
    int at_n = 0;
    for (int i = 0; i < 2; i++)
        at_n += snprintf(wanted + at_n, sizeof wanted - (size_t)at_n,
                         "%s[%s]\ntenancy=ocid1.tenancy\nregion=eu-test-1\nfingerprint=%s\n"
                         "key_file=%s\nsecurity_token_file=%s\n",
                         i == 0 ? "" : "\n", i == 0 ? "DEFAULT" : "prod", print, set.key_file,
                         set.token_file);
    assert_string_equal(text_of(set.oci_config), wanted);
    swept(fd);
}

static void decoys_of_google(void **state)
{
    struct kw_err err;
    int fd = -1;
    (void)state;
    set.go.cloud = KW_CLOUD_GOOGLE;
    want.share_home = true;
    assert_int_equal(lay(&fd, &err), 0);
    has_mode(set.token_file, S_IFREG | 0600);
    assert_string_equal(text_of(set.token_file), "a.stand.in");
    assert_string_equal(set.home, at("home")); /* as it is */
    assert_int_equal(access(in_folder("key.pem"), F_OK), -1);
    assert_int_equal(access(in_folder("home/.oci"), F_OK), -1);
    swept(fd);
    /* a CA file that has gone is an error and not a shorter bundle */
    (void)snprintf(config.ca_file, sizeof config.ca_file, "%s", at("none"));
    assert_int_equal(lay(&fd, &err), KW_FAILED);
    assert_non_null(strstr(err.text, "none"));
    swept(fd);
}

/* --- what is covered ------------------------------------------------------------------------ */

static int covered(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return wrong(path, "is not there any more");
    if (S_ISDIR(st.st_mode)) {
        DIR *d = opendir(path);
        unsigned n = 0;
        while (d != NULL && readdir(d) != NULL)
            n++;
        char inside[600];
        (void)snprintf(inside, sizeof inside, "%s/new", path);
        int fd = open(inside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        return n != 2                      ? wrong(path, "is not empty")
               : fd >= 0 || errno != EROFS ? wrong(path, "can be written to")
                                           : 0;
    }
    if (strcmp(text_of(path), "") != 0)
        return wrong(path, "can be read");
    return open(path, O_WRONLY | O_CLOEXEC) >= 0 || errno != EROFS ? wrong(path, "can be written")
                                                                   : 0;
}

static int isolate_and_look(void)
{
    static const char *const always[] = {"ini",     "pin",    "own-pin",      "jwt",
                                         "secret",  "bearer", "tokens",       "softhsm2.conf",
                                         "runtime", "audit",  "state/keyward"};
    static const char *const home[] = {"home/.oci",   "home/.ssh",           "home/.netrc",
                                       "netrc-there", "home/.config/gcloud", "sdk"};
    struct kw_hello h = {.port = 0};
    struct kw_err err;
    struct stat before, after;
    int r = 0;
    if (kw_launch_namespaces(&want, &h, &err) != 0 || !h.isolated)
        return wrong("namespaces", err.text);
    set.isolated = true;
    if (stat("/dev/shm", &before) != 0 || lay_out(&err) != 0)
        return wrong("laying out", err.text);
    if (stat("/dev/shm", &after) != 0 || before.st_dev == after.st_dev ||
        strcmp(set.dir, "/dev/shm/keyward") != 0)
        r |= wrong("/dev/shm", "is no file system of our own");
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        r |= covered(at(always[i]));
    for (size_t i = 0; i < sizeof home / sizeof home[0]; i++)
        if (!want.share_home)
            r |= covered(at(home[i]));
        else if (strcmp(home[i], "home/.netrc") == 0 &&
                 strcmp(text_of(at(home[i])), "secret\n") != 0)
            r |= wrong(home[i], "is covered");
    if (strcmp(text_of(at("home/work/file")), "secret\n") != 0)
        r |= wrong("home/work/file", "is covered");
    int fd = open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        r |= wrong("core_pattern", "can be written");
    return r;
}

/* CMD's /run: what was there but for some, and what comes later doesn't come there. */
static int look_at_run(void)
{
    static const char *const gone[] = {"/run/user", "/run/dbus", "/run/docker.sock", "/run/new"};
    struct kw_hello h = {.port = 0};
    struct kw_err err;
    int r = 0;
    /* this process in the machine's place, with a /run that may be played with */
    if (kw_launch_namespaces(&want, &h, &err) != 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) != 0 || mkdir("/run/some", 0755) != 0 ||
        mkdir("/run/keyward", 0755) != 0 || mkdir("/run/user", 0755) != 0 ||
        mkdir("/run/dbus", 0755) != 0 || symlink("some", "/run/link") != 0)
        return wrong("/run", err.text);
    static const char *const files[] = {"/run/some/file",   "/run/keyward/agent.sock",
                                        "/run/file",        "/run/dbus/socket",
                                        "/run/docker.sock", "/run/user/1"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put_at(files[i], "secret\n");
    (void)snprintf(config.agent_socket, sizeof config.agent_socket, "/run/keyward/agent.sock");
    int machine = open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC);
    set.isolated = true;
    if (kw_launch_can_hide(config.agent_socket, &err) != 0 || lay_out(&err) != 0)
        return wrong("laying out", err.text);
    /* as who restarts does it: with the folder, and without */
    if (unlinkat(machine, "keyward/agent.sock", 0) != 0 ||
        unlinkat(machine, "keyward", AT_REMOVEDIR) != 0 || mkdirat(machine, "keyward", 0755) != 0 ||
        mknodat(machine, "keyward/agent.sock", S_IFIFO | 0600, 0) != 0 ||
        unlinkat(machine, "docker.sock", 0) != 0 ||
        mknodat(machine, "docker.sock", S_IFIFO | 0600, 0) != 0 ||
        mknodat(machine, "new", S_IFIFO | 0600, 0) != 0)
        return wrong("/run", strerror(errno));
    if (access("/run/keyward/agent.sock", F_OK) == 0)
        r = wrong("/run/keyward/agent.sock", "is there");
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        DIR *d = opendir(gone[i]);
        unsigned n = 0;
        while (d != NULL && readdir(d) != NULL)
            n++;
        if (n > 2 || (d == NULL && access(gone[i], F_OK) == 0))
            r = wrong(gone[i], "is not hidden");
        if (d != NULL)
            (void)closedir(d);
    }
    if (strcmp(text_of("/run/link/file"), "secret\n") != 0)
        r = wrong("/run/link/file", "is hidden");
    if (strcmp(text_of("/run/file"), "secret\n") != 0)
        r = wrong("/run/file", "is hidden");
    return r;
}

static void sockets_stay_hidden(void **state)
{
    struct kw_err err;
    char lone[600];
    (void)state;
    want.isolation = KW_ISOLATION_REQUIRED;
    set.key = kw_launch_key();
    assert_int_equal(in_child(look_at_run), 0);
    /* elsewhere, only in a folder of its own */
    assert_int_equal(kw_launch_can_hide(at("home/work/agent.sock"), &err), KW_USAGE);
    assert_non_null(strstr(err.text, "folder of its own"));
    (void)snprintf(lone, sizeof lone, "%s", at("lone"));
    assert_int_equal(mkdir(lone, 0755), 0);
    (void)snprintf(lone, sizeof lone, "%s", at("lone/agent.sock"));
    assert_int_equal(mknod(lone, S_IFSOCK | 0600, 0), 0);
    assert_int_equal(kw_launch_can_hide(lone, &err), 0);
    assert_int_equal(kw_launch_can_hide(at("not/there/agent.sock"), &err), 0);
}

static void credentials_are_covered(void **state)
{
    (void)state;
    want.isolation = KW_ISOLATION_REQUIRED;
    (void)snprintf(config.path, sizeof config.path, "%s", at("ini"));
    (void)snprintf(config.token_uri.pin_source, sizeof config.token_uri.pin_source, "%s",
                   at("pin"));
    (void)snprintf(config.audit_file, sizeof config.audit_file, "%s", at("audit"));
    (void)snprintf(config.source_path, sizeof config.source_path, "%s", at("jwt"));
    (void)snprintf(config.pin_source, sizeof config.pin_source, "file:%s", at("own-pin"));
    (void)snprintf(config.client_secret_source, sizeof config.client_secret_source, "file:%s",
                   at("secret"));
    (void)snprintf(config.source_bearer, sizeof config.source_bearer, "file:%s", at("bearer"));
    (void)setenv("XDG_STATE_HOME", at("state"), 1);
    (void)setenv("SOFTHSM2_CONF", at("softhsm2.conf"), 1);
    (void)setenv("XDG_RUNTIME_DIR", at("runtime"), 1);
    (void)setenv("CLOUDSDK_CONFIG", at("sdk"), 1);
    set.key = kw_launch_key();
    assert_int_equal(in_child(isolate_and_look), 0);
    want.share_home = true;
    assert_int_equal(in_child(isolate_and_look), 0);
    /* and none of it is seen outside of that process */
    assert_string_equal(text_of(at("pin")), "secret\n");
    assert_int_equal(access("/dev/shm/keyward", F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh_home)
    const struct CMUnitTest tests[] = {TEST(decoys_of_oci), TEST(decoys_of_google),
                                       TEST(sockets_stay_hidden), TEST(credentials_are_covered)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
