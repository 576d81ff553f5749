/* SPDX-License-Identifier: Apache-2.0
 *
 * What Google's administration answers to `setup google` and `revoke google`. Input: a letter
 * (p, a, d, v, r or c: plan, apply, destroy, revoke, restore, print commands), then a line an
 * answer: its status and its body. When there is no further answer, the network is gone. Whatever
 * it says, nothing is changed by a plan, only what has keyward's mark is ever changed or removed,
 * and a policy goes back with the etag that came with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "src/cli/args.h"
#include "src/config/config_keys.h"
#include "src/setup/setup.h"

const struct kw_command *const kw_commands[] = {&kw_cmd_setup, &kw_cmd_revoke, NULL};

enum { SEEN = 16 };

static struct {
    const char *next, *end;
    bool gone;
    char mode;
    struct seen {
        char url[1024];
        bool mark;
        char etag[256]; /* of the policy there */
    } seen[SEEN];       /* what was read last, by its URL without verb and query */
    size_t n;
} world;

int __wrap_kw_setup_admin(struct kw_setup *s, const char *variable, struct kw_err *err);
int __wrap_kw_setup_open(struct kw_setup *s, const char *hosts, struct kw_err *err);
int __wrap_kw_setup_close(struct kw_setup *s, int r, struct kw_err *err);
int __wrap_kw_setup_pause(struct kw_setup *s, const char *what, int64_t since, unsigned ms,
                          struct kw_err *err);
int __wrap_kw_setup_call(struct kw_setup *s, const struct kw_setup_request *q,
                         struct kw_setup_answer *a, struct kw_err *err);
void __wrap_kw_setup_print_done(const struct kw_setup *s, const struct kw_setup_step *t);

int __wrap_kw_setup_admin(struct kw_setup *s, const char *variable, struct kw_err *err)
{
    (void)s, (void)variable, (void)err;
    return 0;
}

int __wrap_kw_setup_open(struct kw_setup *s, const char *hosts, struct kw_err *err)
{
    (void)s, (void)hosts, (void)err;
    return 0;
}

int __wrap_kw_setup_close(struct kw_setup *s, int r, struct kw_err *err)
{
    (void)s, (void)err;
    return r;
}

int __wrap_kw_setup_pause(struct kw_setup *s, const char *what, int64_t since, unsigned ms,
                          struct kw_err *err)
{
    (void)s, (void)what, (void)since, (void)ms;
    return world.gone ? kw_fail(err, KW_FAILED, "interrupted") : 0;
}

void __wrap_kw_setup_print_done(const struct kw_setup *s, const struct kw_setup_step *t)
{
    (void)s, (void)t;
}

/* --- what may be asked ------------------------------------------------------------------------ */

static struct seen *seen(const char *url)
{
    char bare[1024];
    size_t i = 0;
    (void)snprintf(bare, sizeof bare, "%s", url);
    char *end = strpbrk(bare + sizeof "https://" - 1, "?:");
    if (end != NULL)
        *end = '\0';
    while (i < world.n && strcmp(world.seen[i].url, bare) != 0)
        i++;
    must(i < SEEN);
    if (i == world.n)
        memcpy(world.seen[world.n++].url, bare, sizeof bare);
    return &world.seen[i];
}

/* Is it below Google's administration, and one line? */
static void judge_url(const char *url)
{
    must(strncmp(url, "https://", 8) == 0 && strlen(url) < 1024);
    for (const char *p = url; *p != '\0'; p++)
        must(*p > ' ' && *p < 0x7f);
}

static void judge_write(const struct kw_setup_request *q)
{
    bool post = strcmp(q->method, "POST") == 0, bucket = strcmp(q->method, "PUT") == 0;
    must(world.mode != 'p' && world.mode != 'c');
    if (world.mode == 'v' || world.mode == 'r') {
        must(strcmp(q->method, "PATCH") == 0 && strstr(q->url, "?updateMask=disabled") != NULL);
        return;
    }
    must(world.mode == 'd' || strcmp(q->method, "DELETE") != 0);
    if (bucket || strstr(q->url, ":setIamPolicy") != NULL) {
        const json_t *policy = bucket ? q->body : json_object_get(q->body, "policy");
        const char *etag = json_string_value(json_object_get(policy, "etag"));
        must(json_is_object(policy) &&
             strncmp(etag != NULL ? etag : "", seen(q->url)->etag, 255) == 0);
        must(json_integer_value(json_object_get(policy, "version")) == 3);
    } else if (!post || strstr(q->url, ":undelete") != NULL)
        must(seen(q->url)->mark);
}

/* --- what is answered -------------------------------------------------------------------- */

/* The next line, as kw_setup_call() would take it. */
static int next(struct kw_setup_answer *a, struct kw_err *err)
{
    const char *nl =
        world.next < world.end ? memchr(world.next, '\n', (size_t)(world.end - world.next)) : NULL;
    const char *end = nl != NULL ? nl : world.end, *space = world.next;
    if (world.next >= world.end) {
        world.gone = true;
        return kw_fail(err, KW_NET, "no answer");
    }
    for (; space < end && *space >= '0' && *space <= '9' && a->status < 1000; space++)
        a->status = a->status * 10 + (unsigned)(*space - '0');
    a->body =
        space < end ? json_loadb(space, (size_t)(end - space), JSON_REJECT_DUPLICATES, NULL) : NULL;
    world.next = end + (nl != NULL);
    if (a->status < 200 || a->status >= 500 || a->status == 429)
        return kw_fail(err, KW_NET, "it answered %u", a->status);
    if (a->status < 400 && (a->status >= 300 || (a->body == NULL && space < end)))
        return kw_fail(err, KW_CLOUD, "it answered %u", a->status);
    return 0;
}

int __wrap_kw_setup_call(struct kw_setup *s, const struct kw_setup_request *q,
                         struct kw_setup_answer *a, struct kw_err *err)
{
    (void)s;
    *a = (struct kw_setup_answer){0};
    judge_url(q->url);
    if (!q->reads)
        judge_write(q);
    int r = next(a, err);
    bool policy = strstr(q->url, ":getIamPolicy") != NULL || strstr(q->url, "/iam?") != NULL;
    bool operation = strstr(q->url, "/operations/") != NULL;
    const char *etag = json_string_value(json_object_get(a->body, "etag"));
    const char *text = json_string_value(json_object_get(a->body, "description"));
    if (q->reads && policy)
        (void)snprintf(seen(q->url)->etag, 256, "%s", r == 0 && etag != NULL ? etag : "");
    else if (q->reads && !operation)
        seen(q->url)->mark = r == 0 && a->status < 300 && kw_setup_marked(text);
    return r;
}

/* --- a run ------------------------------------------------------------------------------- */

static const char *const *line_of(char mode, int *ret_n)
{
    static const char *const setup[] = {"keyward",
                                        "setup",
                                        "google",
                                        "--project",
                                        "lab-project",
                                        "--pool",
                                        "ci-pool",
                                        "--provider",
                                        "github",
                                        "--issuer",
                                        "github",
                                        "--repository-id",
                                        "592302719",
                                        "--service-account",
                                        "ci-deploy",
                                        "--grant",
                                        "roles/storage.objectViewer=gs://lab-bucket",
                                        "--grant",
                                        "roles/viewer=project"};
    static const char *const revoke[] = {"keyward",     "revoke", "google", "--project",
                                         "lab-project", "--pool", "ci-pool"};
    bool trust = mode == 'v' || mode == 'r';
    *ret_n = trust ? 7 : 19;
    return trust ? revoke : setup;
}

static void run(char mode)
{
    static struct kw_config config;
    static struct kw_setup s;
    static bool loaded;
    struct kw_cli cli = {.json = true};
    struct kw_args args;
    const struct kw_command *command;
    struct kw_err err = {0};
    int n;
    char *argv[24];
    const char *const *line = line_of(mode, &n);
    bool paused = fault_pause();
    for (int i = 0; i < n; i++)
        argv[i] = strdup(line[i]);
    if (!loaded)
        must(kw_config_build(&config, NULL, "lab", NULL, &err) == 0);
    loaded = true;
    must(kw_args_parse(n, argv, &cli, &command, &args, &err) == 0 && command != NULL);
    fault_resume(paused);
    s = (struct kw_setup){.cli = &cli,
                          .args = &args,
                          .config = &config,
                          .cloud = &kw_setup_google,
                          .apply = mode != 'p' && mode != 'd' && mode != 'c',
                          .commands = mode == 'c',
                          .destroy = mode == 'd',
                          .revoke = mode == 'v' || mode == 'r',
                          .restore = mode == 'r',
                          .yes = true,
                          .wait_s = 3600};
    int r = kw_setup_go(&s, &err);
    must(r == 0 || err.text[0] != '\0');
    json_decref(kw_cli_take_result());
    for (int i = 0; i < n; i++)
        free(argv[i]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    fault_seed(data, &size);
    if (size < 2 || strchr("padvrc", data[0]) == NULL || data[0] == '\0')
        return 0;
    memset(&world, 0, sizeof world);
    world.mode = (char)data[0];
    const char *nl = memchr(data, '\n', size);
    world.end = (const char *)data + size;
    world.next = nl != NULL ? nl + 1 : world.end;
    fault_begin();
    run(world.mode);
    (void)fault_end();
    return 0;
}
