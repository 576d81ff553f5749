/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an application's client secret goes: a file, a descriptor, the credentials' store. The
 * domain shows a secret once, and a new one voids the one in use: so the place is opened before
 * there is one, and what is in it already is looked at, by asking the domain for an access token
 * with it, as no other answer tells whose secret it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "setup_oci.h"
#include "src/base/log.h"
#include "src/base/workspace.h"

#define CREDSTORE "/etc/credstore" /* where systemd's LoadCredential=NAME looks */

enum { SECRET_MOST = 512, FD_DIGITS = 6 };

/* --- which ------------------------------------------------------------------------------- */

/* The number behind fd:, -1: it is no descriptor. */
static int descriptor(const char *place)
{
    size_t n = strncmp(place, "fd:", 3) == 0 ? strlen(place + 3) : 0;
    return n > 0 && n <= FD_DIGITS && strspn(place + 3, "0123456789") == n
               ? (int)strtol(place + 3, NULL, 10)
               : -1;
}

/* One that takes bytes. It is looked at before keyward has channels of its own, which are none.
 * What keyward itself prints goes to the standard ones, keyward.ini or the JSON among it. */
static int check_descriptor(int fd, struct kw_err *err)
{
    struct stat st = {0};
    if (fd <= STDERR_FILENO)
        return kw_fail(err, KW_USAGE,
                       "--client-secret: fd:%d is standard %s, where the secret would stand among "
                       "what keyward prints: give another one, as fd:9 with 9>FILE",
                       fd,
                       fd == STDIN_FILENO    ? "input"
                       : fd == STDOUT_FILENO ? "output"
                                             : "error");
    int mode = fcntl(fd, F_GETFL);
    if (mode < 0 || fstat(fd, &st) != 0 || (st.st_mode & S_IFMT) == 0)
        return kw_fail(err, KW_USAGE,
                       "--client-secret: descriptor %d is not open (%d>FILE opens it)", fd, fd);
    if ((mode & O_ACCMODE) == O_RDONLY)
        return kw_fail(err, KW_USAGE, "--client-secret: descriptor %d can't be written to", fd);
    if (isatty(fd) == 1)
        return kw_fail(err, KW_USAGE,
                       "--client-secret: descriptor %d is a terminal, which would show the secret",
                       fd);
    return 0;
}

/* What is no regular file could not hold a secret, nor be replaced by one. --destroy leaves it. */
static int check_file(const struct kw_setup *s, const struct kw_oci_setup *o, struct kw_err *err)
{
    struct stat st;
    char path[1100];
    kw_oci_place_file(o, path, sizeof path);
    if (s->commands || s->destroy || stat(path, &st) != 0 || S_ISREG(st.st_mode))
        return 0;
    return kw_fail(
        err, KW_USAGE,
        "--client-secret: %s is %s, no regular file: name the file that the secret is to "
        "be in",
        path, S_ISDIR(st.st_mode) ? "a directory" : "a device, a pipe or the like");
}

static int check(const struct kw_setup *s, const struct kw_oci_setup *o, struct kw_err *err)
{
    const char *place = o->secret;
    int fd = descriptor(place), r = kw_oci_check_text(place, "--client-secret", err);
    if (r != 0)
        return r;
    if (strncmp(place, "file:/", 6) == 0)
        return kw_workspace_refuse(place + 5, err) != 0 ? kw_err_wrap(err, "--client-secret")
                                                        : check_file(s, o, err);
    if (strncmp(place, "credential:", 11) == 0 && place[11] != '\0' && place[11] != '.' &&
        strchr(place, '/') == NULL)
        return check_file(s, o, err);
    if (fd >= 0)
        return s->commands || s->destroy ? 0 : check_descriptor(fd, err);
    return kw_fail(err, KW_USAGE,
                   "--client-secret is file:/PATH, fd:N or credential:NAME (which is written "
                   "to /etc/credstore), never a value");
}

int kw_oci_place_take(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    static char place[1100];
    const char *given = kw_arg(s->args, "client-secret"), *home = getenv("HOME");
    const char *configured = s->config->client_secret_source;
    if (given == NULL && configured[0] != '\0' && strncmp(configured, "fd:", 3) != 0)
        given = configured;
    if (given != NULL) {
        if ((size_t)snprintf(place, sizeof place, "%s", given) >= sizeof place)
            return kw_fail(err, KW_USAGE, "the value of --client-secret is too long");
    } else if (home == NULL || home[0] != '/')
        return kw_fail(err, KW_USAGE,
                       "where is the client secret to go? Give --client-secret file:/PATH, fd:N or "
                       "credential:NAME");
    else if ((size_t)snprintf(place, sizeof place, "file:%s/.config/keyward/%s.secret", home,
                              o->base) >= sizeof place)
        return kw_fail(err, KW_USAGE, "HOME is too long: give --client-secret file:/PATH");
    o->secret = place;
    return check(s, o, err);
}

void kw_oci_place_file(const struct kw_oci_setup *o, char *path, size_t size)
{
    bool file = strncmp(o->secret, "file:", 5) == 0;
    bool credential = strncmp(o->secret, "credential:", 11) == 0;
    (void)snprintf(path, size, "%s%s", credential ? CREDSTORE "/" : "",
                   file         ? o->secret + 5
                   : credential ? o->secret + 11
                                : "");
}

/* Do two paths lead to the same file, be it there or not yet? */
static bool same_path(const char *a, const char *b)
{
    char of_a[PATH_MAX], of_b[PATH_MAX], name_a[PATH_MAX], name_b[PATH_MAX];
    struct stat x, y;
    if (strcmp(a, b) == 0)
        return true;
    if (stat(a, &x) == 0 && stat(b, &y) == 0)
        return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    (void)snprintf(of_a, sizeof of_a, "%s", a);
    (void)snprintf(of_b, sizeof of_b, "%s", b);
    (void)snprintf(name_a, sizeof name_a, "%s", a);
    (void)snprintf(name_b, sizeof name_b, "%s", b);
    return strcmp(basename(name_a), basename(name_b)) == 0 && stat(dirname(of_a), &x) == 0 &&
           stat(dirname(of_b), &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int kw_oci_place_apart(const struct kw_oci_setup *o, const char *output, struct kw_err *err)
{
    char path[1100];
    struct stat x, y;
    if (o->secret == NULL || output == NULL || strcmp(output, "-") == 0)
        return 0;
    kw_oci_place_file(o, path, sizeof path);
    int fd = path[0] == '\0' ? descriptor(o->secret) : -1;
    bool same = path[0] != '\0' ? same_path(path, output)
                                : fd >= 0 && fstat(fd, &x) == 0 && stat(output, &y) == 0 &&
                                      x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    return same ? kw_fail(err, KW_USAGE,
                          "-o %s is where the client secret goes (%s): keyward.ini would take its "
                          "place; give each a file of its own",
                          output, o->secret)
                : 0;
}

/* --- what is there ----------------------------------------------------------------------- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool is_word(const struct kw_secret *secret)
{
    const char *p = kw_secret_bytes(secret);
    size_t n = kw_secret_len(secret);
    bool good = n > 0 && n <= SECRET_MOST;
    for (size_t i = 0; good && i < n; i++)
        good = p[i] > ' ' && p[i] < 0x7f;
    return good;
}

/* Is it that application's? What the domain doesn't clearly say no to isn't said to be another. */
static int ask(struct kw_setup *s, const char *id, struct kw_secret *secret, enum kw_oci_holds *ret,
               struct kw_err *err)
{
    struct kw_secret *token = NULL;
    struct kw_err why;
    bool wrong = false;
    int r = kw_oci_client_token(s, id, secret, "the client secret", &token, &wrong, &why);
    kw_secret_free(&token);
    *ret = r == 0 ? KW_HOLDS_IT : wrong ? KW_HOLDS_OTHER : KW_HOLDS_UNKNOWN;
    if (r == KW_CLOUD && !wrong)
        kw_log(KW_INFO, "whether it is the client secret that is in use can't be told: %s",
               why.text);
    if (r == 0 || r == KW_CLOUD)
        return 0;
    *err = why;
    return r;
}

int kw_oci_place_look(struct kw_setup *s, const char *id, bool active, struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    struct kw_oci_held *h = &o->held;
    struct kw_secret *secret = NULL;
    struct stat st, after;
    struct kw_err why;
    char path[1100];
    bool known = h->what == KW_HOLDS_IT || h->what == KW_HOLDS_OTHER;
    int r = 0;
    kw_oci_place_file(o, path, sizeof path);
    if (path[0] == '\0' || lstat(path, &st) != 0) {
        bool nothing = path[0] != '\0' && (errno == ENOENT || errno == ENOTDIR);
        *h = (struct kw_oci_held){.what = nothing ? KW_HOLDS_NOTHING : KW_HOLDS_UNKNOWN};
        return 0;
    }
    if (known && same_file(&st, &h->seen))
        return 0;
    *h = (struct kw_oci_held){.what = KW_HOLDS_UNKNOWN, .seen = st};
    if (kw_secret_read_file(path, SECRET_MOST + 2, KW_USAGE, &secret, &why) != 0)
        return 0;
    h->one_word = is_word(secret) && lstat(path, &after) == 0 && same_file(&st, &after);
    if (h->one_word && active && id[0] != '\0')
        r = ask(s, id, secret, &h->what, err);
    kw_secret_free(&secret);
    return r;
}

/* --- writing ----------------------------------------------------------------------------- */

/* Of the two places that we name ourselves: ~/.config/keyward and the credentials' store. If it
 * can't be, writing says why. */
static void make_folder(const char *path)
{
    static const char *const ours[] = {"/.config", "/.config/keyward", CREDSTORE};
    char folder[1100];
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        const char *at = strstr(path, ours[i]);
        size_t n = at != NULL ? (size_t)(at - path) + strlen(ours[i]) : 0;
        if (n == 0 || path[n] != '/')
            continue;
        (void)snprintf(folder, sizeof folder, "%.*s", (int)n, path);
        (void)mkdir(folder, 0700);
    }
}

int kw_oci_place_open(const struct kw_oci_setup *o, struct kw_oci_place *p, struct kw_err *err)
{
    char path[1100];
    *p = (struct kw_oci_place){.file = {.fd = -1}, .fd = -1};
    kw_oci_place_file(o, path, sizeof path);
    if (path[0] == '\0') {
        p->fd = descriptor(o->secret);
        return check_descriptor(p->fd, err);
    }
    make_folder(path);
    int r = kw_atomic_open(&p->file, path, 0600, err);
    return r != 0 ? kw_err_wrap(err, "there is no place for a client secret, so none was made") : 0;
}

int kw_oci_place_put(struct kw_oci_setup *o, struct kw_oci_place *p, const char *secret,
                     struct kw_err *err)
{
    int r = 0;
    if (kw_write_all(p->fd >= 0 ? p->fd : p->file.fd, secret, strlen(secret)) != 0)
        r = kw_fail_errno(err, KW_FAILED, "could not write the client secret to %s", o->secret);
    if (r == 0 && p->fd < 0)
        r = kw_atomic_commit(&p->file, err);
    o->told = r == 0;
    return r;
}

void kw_oci_place_close(struct kw_oci_place *p)
{
    kw_atomic_abort(&p->file);
}

int kw_oci_place_remove(const struct kw_oci_setup *o, struct kw_err *err)
{
    struct stat st;
    char path[1100];
    kw_oci_place_file(o, path, sizeof path);
    if (o->held.what != KW_HOLDS_IT || lstat(path, &st) != 0)
        return 0;
    if (!same_file(&st, &o->held.seen)) {
        kw_log(KW_WARN, "%s was changed meanwhile: it stays", path);
        return 0;
    }
    return unlink(path) == 0 ? 0 : kw_fail_errno(err, KW_FAILED, "could not remove %s", path);
}
