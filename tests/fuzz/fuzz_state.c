/* SPDX-License-Identifier: Apache-2.0
 *
 * State files of hostile content, and a session kept over them: what is read is what was
 * written, or nothing. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "src/base/io.h"
#include "src/session/state.h"

enum { NOW = 1700000000 };

static char dir[] = "/tmp/keyward-fuzz-XXXXXX";
static struct kw_config c;

static int take_away(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void leave(void)
{
    (void)nftw(dir, take_away, 8, FTW_DEPTH | FTW_PHYS);
}

/* Where it is kept depends on what the environment has. */
static void choose(size_t which)
{
    static const char *const names[] = {"STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"};
    for (size_t i = 0; i < 3; i++)
        must((i == which ? setenv(names[i], dir, 1) : unsetenv(names[i])) == 0);
}

/* A scratch folder, once for the process. */
static void prepare(void)
{
    struct kw_err err;
    if (c.profile[0] != '\0')
        return;
    must(kw_secret_init(true, &err) == 0 && mkdtemp(dir) != NULL && atexit(leave) == 0);
    (void)snprintf(c.profile, sizeof c.profile, "fuzz");
    (void)snprintf(c.domain_url, sizeof c.domain_url, "https://idcs.test");
    must(kw_uri_parse("pkcs11:token=ci?module-path=/m.so", KW_URI_TOKEN, &c.token_uri, &err) == 0);
}

static void put(const unsigned char *data, size_t size)
{
    char path[4096];
    struct kw_err err;
    must(kw_state_path(&c, path, sizeof path, &err) == 0);
    must(kw_state_make_dirs(path, &err) == 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && kw_write_all(fd, data, size) == 0 && close(fd) == 0);
}

static int take(struct kw_state *s, bool *found)
{
    struct kw_err err = {0};
    int r = kw_state_read(&c, NOW, s, found, &err);
    must(r == 0 || (err.code == (enum kw_exit)r && err.text[0] != '\0' && s->token == NULL));
    must(!*found || r != 0 || (s->token != NULL && s->not_after > NOW));
    must(*found || s->token == NULL);
    must(strlen(s->key_id) < sizeof s->key_id);
    return r;
}

/* Writes a session over what is there, from what was read or from the input's bytes. */
static void keep(const struct kw_state *read, const unsigned char *data, size_t size)
{
    struct kw_state s = *read, again;
    bool found = false;
    struct kw_err err;
    s.token = read->token != NULL
                  ? kw_secret_from(kw_secret_bytes(read->token), kw_secret_len(read->token))
                  : kw_secret_from(data, size < 4096 ? size : 4096);
    if (s.key_id[0] == '\0')
        (void)snprintf(s.key_id, sizeof s.key_id, "00ff");
    fault_begin();
    int r = kw_state_write(&c, &s, &err);
    bool hit = fault_end();
    must(r == 0 || hit || read->token == NULL);
    if (r == 0) {
        must(take(&again, &found) == 0 && strcmp(s.key_id, again.key_id) == 0 &&
             again.not_after == s.not_after && found == (s.not_after > NOW + 30));
        must(!found || (kw_secret_len(s.token) == kw_secret_len(again.token) &&
                        strcmp(kw_secret_bytes(s.token), kw_secret_bytes(again.token)) == 0));
        kw_state_free(&again);
    }
    kw_state_free(&s);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kw_state s;
    struct kw_err err;
    bool found = false;
    fault_seed(data, &size);
    prepare();
    choose(size % 3);
    put(data, size);
    fault_begin();
    int r = take(&s, &found);
    (void)fault_end();
    if (r != 0)
        kw_state_free(&s);
    keep(&s, data, size);
    kw_state_free(&s);
    fault_begin();
    r = kw_state_remove(&c, &err);
    must(fault_end() || r == 0);
    return 0;
}
