/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the configuration, chooses the profile, applies file and environment over
 * the defaults, and checks what belongs together.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_keys.h"
#include "src/base/io.h"

enum { PROFILES = KW_INI_SECTIONS, PROFILE_MAX = 40 };

/* "oci prod" -> "oci" and "prod"; name "" where there is none. */
static void split_section(const char *full, char base[KW_INI_SECTION], const char **name)
{
    size_t n = strcspn(full, " ");
    memcpy(base, full, n);
    base[n] = '\0';
    *name = full[n] == ' ' ? full + n + 1 : full + n;
}

static int check_section(const struct kw_ini *ini, size_t i, struct kw_err *err)
{
    char base[KW_INI_SECTION];
    const char *name;
    split_section(ini->sections[i].name, base, &name);
    unsigned line = ini->sections[i].line;
    if (!kw_section_known(base))
        return kw_fail(err, KW_USAGE,
                       "%s:%u: there is no section [%s]; `keyward --help config` lists them",
                       ini->path, line, base);
    if (kw_section_named(base) != (*name != '\0'))
        return kw_section_named(base)
                   ? kw_fail(err, KW_USAGE, "%s:%u: [%s] needs a profile's name: [%s default]",
                             ini->path, line, base, base)
                   : kw_fail(err, KW_USAGE, "%s:%u: [%s] takes no name", ini->path, line, base);
    if (strlen(name) > PROFILE_MAX || strchr(name, ' ') != NULL)
        return kw_fail(err, KW_USAGE, "%s:%u: a profile's name is one word of at most %d bytes",
                       ini->path, line, PROFILE_MAX);
    return 0;
}

/* Whether a section is that of a cloud: *name is then the profile's. */
static bool is_cloud(const char *section, const char **name)
{
    size_t n = strcspn(section, " ");
    *name = section[n] == ' ' ? section + n + 1 : "";
    return (n == 3 && strncmp(section, "oci", n) == 0) ||
           (n == 6 && strncmp(section, "google", n) == 0);
}

/* A [policy NAME] that belongs to no cloud's section is a slip that would leave a profile
 * without its policy. Without any such section (--from, environment) policies stand for
 * themselves. */
static int check_policies(const struct kw_ini *ini, struct kw_err *err)
{
    bool any = false;
    const char *name;
    for (size_t i = 0; i < ini->n_sections; i++)
        any = any || is_cloud(ini->sections[i].name, &name);
    for (size_t i = 0; any && i < ini->n_sections; i++) {
        if (strncmp(ini->sections[i].name, "policy ", 7) != 0)
            continue;
        bool found = false;
        for (size_t k = 0; k < ini->n_sections; k++)
            found = found || (is_cloud(ini->sections[k].name, &name) &&
                              strcmp(name, ini->sections[i].name + 7) == 0);
        if (!found)
            return kw_fail(
                err, KW_USAGE,
                "%s:%u: [%s] has no [oci %s] or [google %s] beside it; the names must be the same",
                ini->path, ini->sections[i].line, ini->sections[i].name, ini->sections[i].name + 7,
                ini->sections[i].name + 7);
    }
    return 0;
}

/* The distinct profile names of the file, in its order. */
static size_t list_profiles(const struct kw_ini *ini, const char *names[PROFILES])
{
    size_t n = 0;
    for (size_t i = 0; ini != NULL && i < ini->n_sections; i++) {
        char base[KW_INI_SECTION];
        const char *name;
        split_section(ini->sections[i].name, base, &name);
        bool known = !kw_section_named(base);
        for (size_t k = 0; k < n; k++)
            known = known || strcmp(names[k], name) == 0;
        if (!known)
            names[n++] = name;
    }
    return n;
}

static bool has_name(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* --profile, else "default", else the only one. Which of several isn't guessed:
 * profile stays "" and profiles says what there is. */
static int choose_profile(struct kw_config *c, const struct kw_ini *ini, const char *wanted,
                          struct kw_err *err)
{
    const char *names[PROFILES];
    size_t n = list_profiles(ini, names), at = 0;
    for (size_t i = 0; i < n && at < sizeof c->profiles; i++)
        at += (size_t)snprintf(c->profiles + at, sizeof c->profiles - at, "%s%s", i > 0 ? ", " : "",
                               names[i]);
    if (wanted != NULL && (*wanted == '\0' || strlen(wanted) > PROFILE_MAX))
        return kw_fail(err, KW_USAGE, "the profile's name must be 1 to %d bytes", PROFILE_MAX);
    for (const char *p = wanted; p != NULL && *p != '\0'; p++)
        if (strchr(KW_INI_NAME_BYTES, *p) == NULL)
            return kw_fail(err, KW_USAGE,
                           "the profile's name '%s' must be of letters, digits, '.', '_' and '-'",
                           wanted);
    if (wanted != NULL && n > 0 && !has_name(names, n, wanted))
        return kw_fail(err, KW_USAGE, "there is no profile '%s' in %s; it has: %s", wanted,
                       ini->path, c->profiles);
    if (wanted == NULL && has_name(names, n, "default"))
        wanted = "default";
    if (wanted == NULL && n == 1)
        wanted = names[0];
    if (wanted == NULL && n == 0)
        wanted = "default"; /* of the environment, or of --from */
    (void)snprintf(c->profile, sizeof c->profile, "%s", wanted != NULL ? wanted : "");
    return 0;
}

static void note_section(struct kw_config *c, const char *section)
{
    c->oci_set = c->oci_set || strcmp(section, "oci") == 0;
    c->google_set = c->google_set || strcmp(section, "google") == 0;
    c->policy_set = c->policy_set || strcmp(section, "policy") == 0;
}

static int unknown_key(const struct kw_ini_entry *e, const char *base, const char *path,
                       struct kw_err *err)
{
    const char *cure = kw_key_cure(e->name);
    return kw_fail(err, KW_USAGE, "%s:%u: [%s] has no key %s; %s", path, e->line, base, e->name,
                   cure != NULL ? cure : "`keyward --help config` lists them");
}

static int apply_entries(struct kw_config *c, struct kw_config *scratch, const struct kw_ini *ini,
                         struct kw_err *err)
{
    for (size_t i = 0; i < ini->n; i++) {
        const struct kw_ini_entry *e = &ini->entries[i];
        char base[KW_INI_SECTION];
        const char *name;
        split_section(e->section, base, &name);
        const struct kw_key *k = kw_key_find(base, e->name);
        if (k == NULL)
            return unknown_key(e, base, ini->path, err);
        /* Other profiles are checked as well, each value for itself. */
        bool other = *name != '\0' && strcmp(name, c->profile) != 0;
        if (other) {
            scratch->n_rules = 0;
            scratch->attribute_mapping[0] = scratch->oci_rules[0] = '\0';
        }
        int r = kw_key_set(other ? scratch : c, k, e->name, e->value, ini->path, e->line, err);
        if (r != 0)
            return r;
    }
    for (size_t i = 0; i < ini->n_sections; i++) {
        char base[KW_INI_SECTION];
        const char *name;
        split_section(ini->sections[i].name, base, &name);
        if (strcmp(name, c->profile) != 0 || *name == '\0')
            continue;
        note_section(c, base);
    }
    return 0;
}

static int apply_ini(struct kw_config *c, const struct kw_ini *ini, struct kw_err *err)
{
    struct kw_config *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL)
        return kw_fail(err, KW_FAILED, "there is no memory left for the configuration");
    int r = apply_entries(c, scratch, ini, err);
    free(scratch);
    return r;
}

/* The key that variable name[0..n) sets. *ours: it begins like one of our sections. */
static const struct kw_key *env_key(const char *name, size_t n, bool *ours)
{
    char full[128];
    *ours = false;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        if (kw_key_variable(k->section, "", full, sizeof full) && strlen(full) <= n &&
            strncmp(full, name, strlen(full)) == 0)
            *ours = true;
        if (k->env && kw_key_variable(k->section, k->name, full, sizeof full) &&
            strlen(full) == n && strncmp(full, name, n) == 0)
            return k;
    }
    return NULL;
}

static int unknown_variable(const char *name, size_t n, struct kw_err *err)
{
    char key[64];
    const char *tail = memchr(name + 8, '_', n - 8); /* behind the section */
    size_t len = tail != NULL ? (size_t)(name + n - tail) - 1 : 0;
    len = len < sizeof key ? len : sizeof key - 1;
    for (size_t i = 0; i < len; i++)
        key[i] = (char)(tail[1 + i] >= 'A' && tail[1 + i] <= 'Z' ? tail[1 + i] + 32 : tail[1 + i]);
    key[len] = '\0';
    const char *cure = kw_key_cure(key);
    return kw_fail(err, KW_USAGE, "environment variable %.*s sets no key; %s", (int)n, name,
                   cure != NULL ? cure : "unset it, or see `keyward --help config`");
}

static int apply_env(struct kw_config *c, char *const *list, struct kw_err *err)
{
    for (; list != NULL && *list != NULL; list++) {
        size_t n = strcspn(*list, "=");
        bool ours;
        if (strncmp(*list, "KEYWARD_", 8) != 0 || (*list)[n] != '=')
            continue;
        const struct kw_key *k = env_key(*list, n, &ours);
        if (k == NULL && !ours)
            continue;
        if (k == NULL)
            return unknown_variable(*list, n, err);
        char where[160];
        (void)snprintf(where, sizeof where, "environment variable %.*s", (int)n, *list);
        int r = kw_key_set(c, k, k->name, *list + n + 1, where, 0, err);
        if (r != 0)
            return r;
        if (kw_section_named(k->section) && c->profile[0] == '\0')
            return kw_fail(err, KW_USAGE,
                           "%s applies to the chosen profile, but none is chosen; give --profile "
                           "(there are: %s)",
                           where, c->profiles);
        note_section(c, k->section);
    }
    return 0;
}

int kw_config_build(struct kw_config *c, const struct kw_ini *ini, const char *profile,
                    char *const *environ_list, struct kw_err *err)
{
    memset(c, 0, sizeof *c);
    if (ini != NULL)
        (void)snprintf(c->path, sizeof c->path, "%s", ini->path);
    kw_printable(c->path); /* it is only shown */
    int r = 0;
    for (const struct kw_key *k = kw_keys; r == 0 && k->section != NULL; k++)
        if (k->dflt != NULL)
            r = kw_key_set(c, k, k->name, k->dflt, "built-in default", 0, err);
    for (size_t i = 0; r == 0 && ini != NULL && i < ini->n_sections; i++)
        r = check_section(ini, i, err);
    if (r == 0 && ini != NULL)
        r = check_policies(ini, err);
    if (r == 0)
        r = choose_profile(c, ini, profile, err);
    if (r == 0 && ini != NULL)
        r = apply_ini(c, ini, err);
    if (r == 0)
        r = apply_env(c, environ_list, err);
    return r != 0 ? r : kw_config_complete(c, environ_list, err);
}

/* Whoever can write this file chooses the module we load and where tokens go. */
static int check_file(int fd, const char *path, struct kw_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kw_fail_errno(err, KW_USAGE, "could not look at %s", path);
    if (!S_ISREG(st.st_mode))
        return kw_fail(err, KW_USAGE, "%s is not a regular file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return kw_fail(err, KW_USAGE,
                       "%s belongs to uid %u, who could change it; it must be yours or root's",
                       path, (unsigned)st.st_uid);
    if ((st.st_mode & 022) != 0)
        return kw_fail(err, KW_USAGE, "%s can be written by others (mode %04o); chmod go-w it",
                       path, (unsigned)st.st_mode & 07777);
    return 0;
}

/* *ret_fd is -1 where nothing was found by searching. */
static int open_named(const char *path, bool named, int *ret_fd, struct kw_err *err)
{
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*ret_fd >= 0)
        return check_file(*ret_fd, path, err);
    if (!named && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    return kw_fail_errno(err, KW_USAGE, "could not open the configuration %s", path);
}

static int find_file(const char *path, char *found, size_t size, int *ret_fd, struct kw_err *err)
{
    *ret_fd = -1;
    if (path == NULL)
        path = getenv("KEYWARD_CONFIG");
    if (path != NULL) {
        if ((size_t)snprintf(found, size, "%s", path) >= size || *path == '\0')
            return kw_fail(err, KW_USAGE, "the configuration's path is %s",
                           *path == '\0' ? "empty" : "too long");
        return open_named(path, true, ret_fd, err);
    }
    const char *home = getenv("HOME");
    int r = 0;
    if (home != NULL && home[0] == '/' &&
        (size_t)snprintf(found, size, "%s/.config/keyward/keyward.ini", home) < size)
        r = open_named(found, false, ret_fd, err);
    if (r != 0 || *ret_fd >= 0)
        return r;
    (void)snprintf(found, size, "/etc/keyward/keyward.ini");
    return open_named(found, false, ret_fd, err);
}

static int load_fd(struct kw_config *c, int fd, const char *path, const char *profile,
                   struct kw_buf *text, struct kw_err *err)
{
    struct kw_ini *ini = calloc(1, sizeof *ini);
    if (ini == NULL)
        return kw_fail(err, KW_FAILED, "there is no memory left for the configuration");
    int r = kw_read_fd(fd, text, path, KW_USAGE, err);
    if (r == 0)
        r = kw_ini_parse(text->p != NULL ? (const char *)text->p : "", text->len, path, ini, err);
    if (r == 0)
        r = kw_config_build(c, ini, profile, environ, err);
    kw_ini_free(ini);
    free(ini);
    return r;
}

/* fd -1: there is no file. */
static int load(struct kw_config *c, int fd, const char *path, const char *profile,
                struct kw_buf *text, struct kw_err *err)
{
    char asked[sizeof c->agent_profile] = "";
    memset(c, 0, sizeof *c);
    kw_buf_init(text, KW_INI_BYTES);
    if (profile == NULL)
        profile = getenv("KEYWARD_PROFILE");
    if (profile != NULL)
        (void)snprintf(asked, sizeof asked, "%s", profile);
    int r = fd < 0 ? kw_config_build(c, NULL, profile, environ, err)
                   : load_fd(c, fd, path, profile, text, err);
    memcpy(c->agent_profile, asked, sizeof asked);
    return r;
}

int kw_config_load_kept(struct kw_config *c, const char *path, const char *profile,
                        struct kw_buf *text, struct kw_err *err)
{
    char found[sizeof c->path];
    int fd;
    memset(c, 0, sizeof *c);
    kw_buf_init(text, KW_INI_BYTES);
    int r = find_file(path, found, sizeof found, &fd, err);
    if (r == 0)
        r = load(c, fd, found, profile, text, err);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

int kw_config_load_text(struct kw_config *c, int fd, const char *path, const char *profile,
                        struct kw_err *err)
{
    struct kw_buf text;
    struct stat st;
    memset(c, 0, sizeof *c);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) /* a file never makes wait */
        return kw_fail(err, KW_FAILED, "the configuration was not given as a file");
    int r = load(c, path[0] != '\0' ? fd : -1, path, profile, &text, err);
    kw_buf_free(&text);
    return r;
}

int kw_config_load(struct kw_config *c, const char *path, const char *profile, struct kw_err *err)
{
    struct kw_buf text;
    int r = kw_config_load_kept(c, path, profile, &text, err);
    kw_buf_free(&text);
    return r;
}

void kw_config_free(struct kw_config *c)
{
    kw_secret_free(&c->client_secret);
    kw_secret_free(&c->subject);
    explicit_bzero(c, sizeof *c);
}
