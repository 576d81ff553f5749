/* SPDX-License-Identifier: Apache-2.0
 *
 * The private folder of a run, the decoys in it, and what is covered. In a mount namespace the
 * folder is a file system of its own that dies with CMD; without one it is a folder in the
 * machine's memory, taken away when main ends, however it ends. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <openssl/pem.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch_int.h"
#include "src/base/io.h"

#define SHM "/dev/shm"

/* --- the folder ----------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    (void)remove(path);
    return 0;
}

/* A process that waits for main's end and cleans up; it holds nothing else. */
static int leave_sweeper(const struct kw_stage_set *s)
{
    int status = 0;
    pid_t pid = fork();
    if (pid != 0)
        return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
    /* Twice, so that it is no child of CMD's, which may wait for all that it has. */
    pid = fork();
    if (pid != 0)
        _exit(pid > 0 ? 0 : 1);
    char c;
    (void)prctl(PR_SET_PDEATHSIG, 0);
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_IGN);
    for (int fd = 0; fd < s->keeper_fd; fd++)
        (void)close(fd);
    while (read(s->keeper_fd, &c, 1) < 0 && errno == EINTR)
        continue;
    (void)nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    _exit(0);
}

static int make_folder(struct kw_stage_set *s, struct kw_err *err)
{
    if (s->isolated) {
        /* Over /dev/shm, which is everywhere and which programs expect to be private memory. */
        if (mount("tmpfs", SHM, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=50%") != 0)
            return kw_fail_errno(err, KW_SANDBOX, "CMD's private folder could not be mounted");
        (void)snprintf(s->dir, sizeof s->dir, SHM "/keyward");
        return mkdir(s->dir, 0700) == 0
                   ? 0
                   : kw_fail_errno(err, KW_FAILED, "CMD's private folder could not be made");
    }
    (void)snprintf(s->dir, sizeof s->dir, SHM "/keyward-run.XXXXXX");
    if (mkdtemp(s->dir) == NULL || leave_sweeper(s) != 0)
        return kw_fail_errno(err, KW_FAILED, "CMD's private folder could not be made in " SHM);
    return 0;
}

static int folder(const char *path, struct kw_err *err)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST
               ? 0
               : kw_fail_errno(err, KW_FAILED, "could not make %s", path);
}

static int put_file(const char *path, const void *bytes, size_t n, struct kw_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd >= 0 && kw_write_all(fd, bytes, n) == 0 ? 0 : -1;
    if (r != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not write %s", path);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

/* --- the bundle of CAs ------------------------------------------------------------------- */

/* Where the distributions keep theirs; the variable that OpenSSL heeds goes first. */
static int put_roots(struct kw_buf *b, struct kw_err *err)
{
    static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *named = getenv("SSL_CERT_FILE");
    if (named != NULL && named[0] == '/' && access(named, R_OK) == 0)
        return kw_read_file(named, b, KW_FAILED, err);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], R_OK) == 0)
            return kw_read_file(places[i], b, KW_FAILED, err);
    return 0; /* a machine without any: the run's own is enough for what is served */
}

/* All but the run's own, which isn't there yet. */
static int lay_roots(struct kw_stage_set *s, struct kw_err *err)
{
    enum { MOST = 8 * 1024 * 1024 };
    const struct kw_config *c = s->want->config;
    struct kw_buf b;
    kw_buf_init(&b, MOST);
    int r = put_roots(&b, err);
    if (r == 0 && c != NULL && c->ca_file[0] != '\0') {
        kw_put_str(&b, "\n");
        r = kw_read_file(c->ca_file, &b, KW_FAILED, err);
    }
    kw_put_str(&b, "\n");
    (void)snprintf(s->bundle, sizeof s->bundle, "%s/ca.pem", s->dir);
    if (r == 0)
        r = put_file(s->bundle, b.p, b.len, err);
    kw_buf_free(&b);
    return r;
}

static int complete_roots(const struct kw_stage_set *s, struct kw_err *err)
{
    int fd = open(s->bundle, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    int r = fd >= 0 && kw_write_all(fd, s->go.ca_pem, strlen(s->go.ca_pem)) == 0
                ? 0
                : kw_fail_errno(err, KW_FAILED, "could not write %s", s->bundle);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

/* --- OCI --------------------------------------------------------------------------------- */

/* As OCI has it: MD5 of the public half's DER, in pairs. Says nothing here, but clients want one.
 */
static void fingerprint(struct kw_stage_set *s)
{
    unsigned char *der = NULL, md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int n = i2d_PUBKEY(s->key, &der);
    if (n > 0 && EVP_Digest(der, (size_t)n, md, &len, EVP_md5(), NULL) == 1)
        for (unsigned i = 0; i < len; i++) {
            size_t at = i > 0 ? 3 * i - 1 : 0;
            (void)snprintf(s->fingerprint + at, sizeof s->fingerprint - at, "%s%02x",
                           i > 0 ? ":" : "", md[i]);
        }
    OPENSSL_free(der);
}

static int lay_key(struct kw_stage_set *s, struct kw_err *err)
{
    char *text = NULL;
    BIO *out = BIO_new(BIO_s_mem());
    (void)snprintf(s->key_file, sizeof s->key_file, "%s/key.pem", s->dir);
    long n = out != NULL && PEM_write_bio_PrivateKey_traditional(out, s->key, NULL, NULL, 0, NULL,
                                                                 NULL) == 1
                 ? BIO_get_mem_data(out, &text)
                 : 0;
    int r = n > 0 ? put_file(s->key_file, text, (size_t)n, err)
                  : kw_fail(err, KW_FAILED, "the stand-in key could not be written");
    BIO_free(out);
    return r;
}

static int lay_oci(struct kw_stage_set *s, struct kw_err *err)
{
    char text[8192], folder_path[320], section[2048];
    fingerprint(s);
    int r = lay_key(s, err);
    (void)snprintf(s->token_file, sizeof s->token_file, "%s/token", s->dir);
    if (r == 0) /* no newline: clients read it as it is */
        r = put_file(s->token_file, s->go.token, strlen(s->go.token), err);
    (void)snprintf(section, sizeof section,
                   "tenancy=%s\nregion=%s\nfingerprint=%s\nkey_file=%s\nsecurity_token_file=%s\n",
                   s->go.tenancy, s->go.region, s->fingerprint, s->key_file, s->token_file);
    int n = snprintf(text, sizeof text, "[DEFAULT]\n%s", section);
    if (s->go.profile[0] != '\0' && strcasecmp(s->go.profile, "default") != 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "\n[%s]\n%s", s->go.profile, section);
    (void)snprintf(folder_path, sizeof folder_path, "%s/home/.oci", s->dir);
    (void)snprintf(s->oci_config, sizeof s->oci_config, "%s/home/.oci/config", s->dir);
    if (r == 0)
        r = folder(folder_path, err);
    return r != 0 ? r : put_file(s->oci_config, text, (size_t)n, err);
}

/* --- what is covered --------------------------------------------------------------------- */

int kw_launch_cover(const struct kw_stage_set *s, const char *path, struct kw_err *err)
{
    char empty[320];
    struct stat st;
    if (path[0] != '/' || stat(path, &st) != 0)
        return 0;
    (void)snprintf(empty, sizeof empty, "%s/%s", s->dir, S_ISDIR(st.st_mode) ? "none" : "nothing");
    if (mount(empty, path, NULL, MS_BIND, NULL) == 0 &&
        mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) == 0)
        return 0;
    return kw_fail_errno(err, KW_SANDBOX, "%s could not be hidden from CMD", path);
}

static int cover_in(const struct kw_stage_set *s, const char *dir, const char *name,
                    struct kw_err *err)
{
    char path[PATH_MAX];
    if (dir == NULL || dir[0] != '/' ||
        (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return 0;
    return kw_launch_cover(s, path, err);
}

/* "file:/path" */
static int cover_source(const struct kw_stage_set *s, const char *source, struct kw_err *err)
{
    return strncmp(source, "file:", 5) == 0 ? kw_launch_cover(s, source + 5, err) : 0;
}

/* The value of a line "directories.tokendir = /path" that isn't a comment; "" if there is none. */
static void token_folder(const char *text, char *out, size_t size)
{
    static const char key[] = "directories.tokendir";
    out[0] = '\0';
    for (const char *line = text; *line != '\0'; line += *line == '\n') {
        const char *p = line + strspn(line, " \t");
        if (strncmp(p, key, sizeof key - 1) == 0) {
            p += sizeof key - 1;
            p += strspn(p, " \t=");
            (void)snprintf(out, size, "%.*s", (int)strcspn(p, " \t\r\n"), p);
        }
        line += strcspn(line, "\n");
    }
}

/* One configuration of SoftHSM, and where it says that the tokens are: any process of the user
 * could open them with the PIN. */
static int cover_softhsm(const struct kw_stage_set *s, const char *conf, struct kw_err *err)
{
    char dir[PATH_MAX];
    struct kw_buf b;
    struct kw_err ignored;
    int r = 0;
    kw_buf_init(&b, 65536);
    if (conf != NULL && conf[0] == '/' && access(conf, R_OK) == 0 &&
        kw_read_file(conf, &b, KW_FAILED, &ignored) == 0) {
        token_folder(kw_buf_str(&b), dir, sizeof dir);
        r = kw_launch_cover(s, dir, err);
        if (r == 0)
            r = kw_launch_cover(s, conf, err);
    }
    kw_buf_free(&b);
    return r;
}

static int cover_tokens(const struct kw_stage_set *s, struct kw_err *err)
{
    char own[PATH_MAX];
    const char *home = getenv("HOME");
    (void)snprintf(own, sizeof own, "%s/.config/softhsm2/softhsm2.conf", home != NULL ? home : "");
    int r = cover_softhsm(s, getenv("SOFTHSM2_CONF"), err);
    if (r == 0)
        r = cover_softhsm(s, own, err);
    if (r == 0)
        r = cover_softhsm(s, "/etc/softhsm/softhsm2.conf", err);
    if (r == 0)
        r = cover_softhsm(s, "/etc/softhsm2.conf", err);
    return r == 0 ? kw_launch_cover(s, "/var/lib/softhsm", err) : r;
}

/* Some of it is made while the session is opened. */
static int cover_keyward(const struct kw_stage_set *s, struct kw_err *err)
{
    const struct kw_config *c = s->want->config;
    if (c == NULL)
        return 0;
    const char *const paths[] = {c->path, c->token_uri.pin_source, c->audit_file, c->source_path};
    const char *const sources[] = {c->pin_source, c->client_secret_source, c->source_bearer};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof paths / sizeof paths[0]; i++)
        r = kw_launch_cover(s, paths[i], err);
    for (size_t i = 0; r == 0 && i < sizeof sources / sizeof sources[0]; i++)
        r = cover_source(s, sources[i], err);
    if (r == 0)
        r = cover_in(s, getenv("XDG_STATE_HOME"), "keyward", err);
    if (r == 0)
        r = cover_in(s, getenv("STATE_DIRECTORY"), "", err);
    return r;
}

/* Root's user id is enough to write the kernel's settings (core_pattern is a program that the
 * kernel starts), whatever the capabilities: so there they can only be read. */
static int freeze(const char *path, struct kw_err *err)
{
    static const struct {
        unsigned long is, keep;
    } flags[] = {{ST_NOSUID, MS_NOSUID}, {ST_NODEV, MS_NODEV}, {ST_NOEXEC, MS_NOEXEC}};
    unsigned long keep = MS_BIND | MS_REMOUNT | MS_RDONLY;
    struct statvfs st;
    if (statvfs(path, &st) != 0)
        return 0;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        keep |= (st.f_flag & flags[i].is) != 0 ? flags[i].keep : 0;
    if ((st.f_flag & ST_RDONLY) != 0 ||
        (mount(path, path, NULL, MS_BIND | MS_REC, NULL) == 0 &&
         mount(NULL, path, NULL, keep, NULL) == 0) ||
        geteuid() != 0)
        return 0;
    return kw_fail_errno(err, KW_SANDBOX, "%s could not be made read-only for CMD", path);
}

static int cover_others(const struct kw_stage_set *s, struct kw_err *err)
{
    static const char *const home[] = {".oci",
                                       ".config/gcloud",
                                       ".config/keyward",
                                       ".local/state/keyward",
                                       ".aws",
                                       ".azure",
                                       ".kube",
                                       ".netrc",
                                       ".docker",
                                       ".git-credentials",
                                       ".config/git/credentials",
                                       ".npmrc",
                                       ".pypirc",
                                       ".terraform.d/credentials.tfrc.json",
                                       ".terraformrc",
                                       ".gnupg",
                                       ".ssh",
                                       ".softhsm",
                                       ".pki",
                                       ".password-store",
                                       ".vault-token",
                                       ".config/gh",
                                       ".config/hub"};
    static const char *const kernel[] = {"/proc/sys", "/proc/sysrq-trigger", "/sys"};
    int r = kw_launch_hide_sockets(s, err);
    if (r == 0 && s->want->config != NULL)
        r = cover_tokens(s, err);
    for (size_t i = 0; r == 0 && i < sizeof kernel / sizeof kernel[0]; i++)
        r = freeze(kernel[i], err);
    if (r == 0)
        r = cover_in(s, getenv("XDG_RUNTIME_DIR"), "", err);
    /* The user's home by the system's word as well: under sudo and in containers HOME is another.
     */
    const struct passwd *user = getpwuid(getuid());
    for (size_t i = 0; r == 0 && !s->want->share_home && i < sizeof home / sizeof home[0]; i++) {
        r = cover_in(s, getenv("HOME"), home[i], err);
        if (r == 0 && user != NULL)
            r = cover_in(s, user->pw_dir, home[i], err);
    }
    if (r == 0 && !s->want->share_home)
        r = cover_in(s, getenv("CLOUDSDK_CONFIG"), "", err);
    return r;
}

/* A folder that was opened before the covers came leads past them, too. */
static int no_folders(struct kw_err *err)
{
    static const char *const names[] = {"input", "output", "error"};
    for (int fd = 0; fd < 3; fd++) {
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
            return kw_fail(err, KW_SANDBOX,
                           "standard %s is a folder, which leads CMD past what is hidden from it: "
                           "give it another",
                           names[fd]);
    }
    return 0;
}

/* A working folder that was entered before a cover came over it, or over one above it, leads past
 * the cover: so it is entered anew. Where the way to it is closed to us (the folder is one that
 * was inherited), there is no cover of ours on it. */
static int enter_anew(struct kw_err *err)
{
    char path[PATH_MAX];
    if (getcwd(path, sizeof path) != NULL && (chdir(path) == 0 || errno == EACCES))
        return 0;
    return kw_fail_errno(err, KW_SANDBOX,
                         "the working folder is not there for CMD, or hidden from it: begin in "
                         "another");
}

/* --- all of it --------------------------------------------------------------------------- */

static int prepare(struct kw_stage_set *s, struct kw_err *err)
{
    char path[320];
    int r = make_folder(s, err);
    (void)snprintf(path, sizeof path, "%s/nothing", s->dir);
    if (r == 0)
        r = put_file(path, "", 0, err);
    static const char *const folders[] = {"none", "home", "run", "home/.config", "gcloud"};
    for (size_t i = 0; r == 0 && i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", s->dir, folders[i]);
        r = folder(path, err);
    }
    (void)snprintf(s->node, sizeof s->node, "%s/node.js", s->dir);
    if (r == 0)
        r = put_file(s->node, kw_launch_node, strlen(kw_launch_node), err);
    if (r == 0) /* before what they are in may be covered */
        r = lay_roots(s, err);
    return r == 0 && s->isolated ? cover_others(s, err) : r;
}

/* A folder that others see is made when it is needed: who is killed before that leaves none. */
int kw_launch_prepare(struct kw_stage_set *s, struct kw_err *err)
{
    return s->isolated ? prepare(s, err) : 0;
}

int kw_launch_lay(struct kw_stage_set *s, struct kw_err *err)
{
    const char *home = getenv("HOME");
    int r = s->isolated ? 0 : prepare(s, err);
    if (r == 0)
        r = complete_roots(s, err);
    if (r == 0 && s->go.cloud == KW_CLOUD_OCI)
        r = lay_oci(s, err);
    else if (r == 0 && !s->isolated) { /* there is no metadata service then: see launch_env.c */
        (void)snprintf(s->token_file, sizeof s->token_file, "%s/token", s->dir);
        r = put_file(s->token_file, s->go.token, strlen(s->go.token), err);
    }
    if (s->want->share_home && home != NULL)
        (void)snprintf(s->home, sizeof s->home, "%s", home);
    else
        (void)snprintf(s->home, sizeof s->home, "%s/home", s->dir);
    if (r == 0 && s->isolated)
        r = cover_keyward(s, err);
    if (r == 0 && s->isolated)
        r = no_folders(err);
    return r == 0 && s->isolated ? enter_anew(err) : r;
}
