/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers that say anything to one another's real programs (claim 41). Conversations are made
 * up from a seed, in the form of tests/fuzz/peers.h: messages of every type, legal and not,
 * whole and broken, in any order, over every channel.
 *
 *   clash BIN ROLE SEED COUNT [MODULE LABEL PIN-FILE]
 *       COUNT times: starts BIN/keyward-ROLE with its descriptors, says so to it, goes; it
 *       must end by itself, with an exit code, inside its fences, and have said nothing
 *       that it may not say. The keeper needs a token.
 *   keyward-ROLE
 *       by that name, in the place of a role: says so to main, for the seed in the file
 *       `seed` beside it, and ends in one way or another.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11/progress.h"
#include "policy/sandbox.h"
#include "tests/fuzz/peers.h"

enum { PATIENCE_S = 60 };

static uint64_t state;

static unsigned any(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 20) % n;
}

/* --- conversations -------------------------------------------------------------------- */

static void byte(struct kw_buf *b, unsigned v)
{
    const unsigned char c = (unsigned char)v;
    kw_put(b, &c, 1);
}

/* Bytes as items of the script. */
static void raw(struct kw_buf *b, const unsigned char *p, size_t n)
{
    for (size_t part; n > 0; p += part, n -= part) {
        part = n < 255 ? n : 255;
        byte(b, 5);
        byte(b, (unsigned)part);
        kw_put(b, p, part);
    }
}

/* The message m (NULL: one whose fields are all zero or empty) as a packet of the script. */
static void whole(struct kw_buf *b, size_t chan, enum kw_msg type, unsigned nfds, const void *m)
{
    struct kw_buf body;
    void *zero = calloc(1, kw_msg_size(type) + 1);
    kw_buf_init(&body, KW_IPC_MAX);
    must(zero != NULL && kw_msg_put(&body, type, m != NULL ? m : zero));
    byte(b, (unsigned)chan | nfds << 2);
    byte(b, type);
    raw(b, body.p, body.len);
    byte(b, 0);
    kw_buf_free(&body);
    free(zero);
}

/* A packet in which something is wrong, or nothing. */
static void broken(struct kw_buf *b, size_t chan)
{
    unsigned op = (unsigned)chan | (any(4) == 0 ? any(4) << 2 : 0) | (any(8) == 0 ? 1u << 4 : 0) |
                  (any(8) == 0 ? 1u << 5 : 0) | (any(8) == 0 ? 1u << 6 : 0);
    byte(b, op);
    byte(b, any(KW_MSGS + 2));
    for (unsigned i = (op >> 4 & 1) + (op >> 5 & 1); i > 0; i--)
        byte(b, 1 + any(255));
    for (unsigned i = any(6); i > 0; i--) {
        unsigned char text[] = "0a0b https://h.test/ GET\n\033\x80";
        raw(b, text, any(sizeof text));
    }
    byte(b, 0);
}

/* A type that the peer may send over this channel in some state. */
static enum kw_msg legal(enum kw_channel chan, enum kw_role sender, unsigned *nfds)
{
    size_t max;
    unsigned next;
    for (;;) {
        enum kw_msg type = (enum kw_msg)(1 + any(KW_MSGS - 1));
        for (unsigned s = 0; s < 32; s++)
            if (kw_msg_legal(type, chan, sender, s, &next, &max, nfds))
                return type;
    }
}

/* A message that may come, whose body is not one. */
static void malformed(struct kw_buf *b, size_t chan, enum kw_msg type, unsigned nfds)
{
    const unsigned char text[] = "\x05\0\0\0a\033b\0c";
    byte(b, (unsigned)chan | nfds << 2);
    byte(b, type);
    raw(b, text, any(sizeof text));
    byte(b, 0);
}

static void converse(struct kw_buf *b, const enum kw_channel *chans, const enum kw_role *senders,
                     size_t n)
{
    for (unsigned i = any(12); i > 0; i--) {
        size_t chan = any((unsigned)n);
        unsigned nfds = 0, how = any(8);
        enum kw_msg type = legal(chans[chan], senders[chan], &nfds);
        if (how < 2)
            broken(b, chan);
        else if (how < 4)
            malformed(b, chan, type, nfds);
        else
            whole(b, chan, type, nfds, NULL);
    }
}

/* --- a role's peers -------------------------------------------------------------------- */

struct side {
    enum kw_role role;
    size_t n;
    enum kw_channel chans[PEERS];
    enum kw_role senders[PEERS];
    int fds[PEERS]; /* the role's numbers */
};

static const struct side sides[] = {
    {KW_ROLE_KEEPER,
     2,
     {KW_CHAN_KEEPER, KW_CHAN_SIGN},
     {KW_ROLE_MAIN, KW_ROLE_EXCHANGER},
     {KW_FD_CTL, KW_FD_PEER}},
    {KW_ROLE_EXCHANGER,
     3,
     {KW_CHAN_EXCHANGER, KW_CHAN_SIGN, KW_CHAN_DIAL},
     {KW_ROLE_MAIN, KW_ROLE_KEEPER, KW_ROLE_DIALER},
     {KW_FD_CTL, KW_FD_PEER, KW_FD_DIAL}},
    {KW_ROLE_DIALER,
     2,
     {KW_CHAN_DIALER, KW_CHAN_DIAL},
     {KW_ROLE_MAIN, KW_ROLE_EXCHANGER},
     {KW_FD_CTL, KW_FD_PEER}},
};

/* The start that lets a role come as far as it can here. Names lead nowhere: to a port of
 * this machine at which nobody listens. */
static void start(struct kw_buf *b, enum kw_role role, char **token)
{
    static struct kw_m_keeper_start k;
    static struct kw_m_dialer_start d = {.best_effort = 1, .timeout_ms = 1000};
    static const struct kw_m_exchanger_start x = {.best_effort = 1, .timeout_ms = 1000};
    if (role == KW_ROLE_EXCHANGER)
        whole(b, 0, KW_XM_START, 0, &x);
    else if (role == KW_ROLE_DIALER) {
        (void)snprintf(d.dial, sizeof d.dial, "h.test:443");
        (void)snprintf(d.resolve, sizeof d.resolve, "h.test:443:127.0.0.1:9");
        whole(b, 0, KW_DM_START, 0, &d);
        const struct kw_m_dial dial = {.host = "h.test", .port = 443, .timeout_ms = 1000};
        whole(b, 1, KW_D_DIAL, 0, &dial);
    } else {
        k = (struct kw_m_keeper_start){.purpose = any(4),
                                       .best_effort = 1,
                                       .pin_source = KW_PIN_FILE,
                                       .bits = 2048,
                                       .sessions = 1 + any(4)};
        (void)snprintf(k.module, sizeof k.module, "%s", token[0]);
        (void)snprintf(k.label, sizeof k.label, "%s", token[1]);
        (void)snprintf(k.pin_path, sizeof k.pin_path, "%s", token[2]);
        (void)snprintf(k.stored_id, sizeof k.stored_id, "00ff");
        (void)snprintf(k.sign_host, sizeof k.sign_host, "*.test");
        whole(b, 0, KW_KM_START, 0, &k);
    }
}

static void become(const char *path, const struct side *s, const int *ends, int violation)
    __attribute__((noreturn));

static void become(const char *path, const struct side *s, const int *ends, int violation)
{
    int want[KW_FD_END], page = memfd_create("progress", MFD_CLOEXEC);
    char name[] = "role";
    char *argv[] = {name, NULL};
    for (int i = 0; i < KW_FD_END; i++)
        want[i] = -1;
    for (size_t i = 0; i < s->n; i++)
        want[s->fds[i]] = ends[i];
    want[KW_FD_VIOLATION] = violation;
    if (s->role == KW_ROLE_KEEPER && ftruncate(page, sizeof(struct kw_progress)) == 0)
        want[KW_FD_PROGRESS] = page;
    for (int i = KW_FD_CTL; i < KW_FD_END; i++)
        want[i] = want[i] >= 0 ? fcntl(want[i], F_DUPFD_CLOEXEC, 64) : -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    for (int i = KW_FD_CTL; i < KW_FD_END; i++)
        if (want[i] >= 0 ? dup2(want[i], i) < 0 : close(i) != 0 && errno != EBADF)
            _exit(120);
    (void)execve(path, argv, environ);
    _exit(122);
}

/* How it ended: an exit code, or 1000 and more. */
static int await(pid_t pid)
{
    int status = 0, code = 1000;
    const struct timespec nap = {.tv_nsec = 2000000};
    int64_t deadline = kw_now_ms() + PATIENCE_S * 1000;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        peers_idle(true); /* what it has to say is heard, and then nobody is there */
        if (kw_left_ms(deadline) == 0) {
            (void)fprintf(stderr, "still there after %d s\n", PATIENCE_S);
            (void)kill(pid, SIGKILL);
        }
        (void)nanosleep(&nap, NULL);
    }
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "died: %s\n", strsignal(WTERMSIG(status)));
    else
        code = WEXITSTATUS(status);
    return code;
}

/* One conversation. Whether it went as it must. */
static bool clash(const char *path, const struct side *s, unsigned seed, char **token)
{
    struct peers p;
    struct kw_buf b;
    struct kw_violation v;
    int violation[2];
    state = (uint64_t)seed << 20 | 0x5eed;
    (void)any(2);
    kw_buf_init(&b, 1 << 20);
    if (any(5) > 0)
        start(&b, s->role, token);
    converse(&b, s->chans, s->senders, s->n);
    must(!b.bad);
    peers_begin(&p, s->role, s->chans, s->n, b.p, b.len);
    must(pipe2(violation, O_CLOEXEC | O_NONBLOCK) == 0);
    pid_t pid = fork();
    if (pid == 0)
        become(path, s, p.fds, violation[1]);
    for (size_t i = 0; i < s->n; i++)
        (void)close(p.fds[i]);
    (void)close(violation[1]);
    int code = await(pid);
    bool tried = kw_violation_read(violation[0], &v);
    (void)close(violation[0]);
    peers_end(&p);
    kw_buf_free(&b);
    if (code >= KW_SANDBOX || tried)
        (void)fprintf(stderr, "clash: %s, seed %u: exit code %d%s\n", kw_role_name(s->role), seed,
                      code, tried ? ", a forbidden call" : "");
    return code < KW_SANDBOX && !tried;
}

/* --- in the place of a role ------------------------------------------------------------- */

static const struct side *find_side(const char *role)
{
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++)
        if (strcmp(kw_role_name(sides[i].role), role) == 0)
            return &sides[i];
    return NULL;
}

static int play_role(const struct side *s)
{
    static const enum kw_msg ready[] = {[KW_ROLE_KEEPER] = KW_KM_READY,
                                        [KW_ROLE_EXCHANGER] = KW_XM_READY,
                                        [KW_ROLE_DIALER] = KW_DM_READY};
    char self[4000], path[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    (void)snprintf(path, sizeof path, "%s/seed", dirname(self));
    FILE *f = fopen(path, "re");
    unsigned seed = 0;
    if (f == NULL || fscanf(f, "%u", &seed) != 1)
        return 120;
    (void)fclose(f);
    (void)signal(SIGPIPE, SIG_IGN);
    state = (uint64_t)seed << 20 | s->role;
    (void)any(2);
    struct kw_buf b;
    kw_buf_init(&b, 1 << 20);
    if (any(4) > 0)
        whole(&b, 0, ready[s->role], 0, NULL);
    converse(&b, s->chans, &s->role, 1); /* with main; the others play as well */
    peers_say(s->fds, 1, b.p, b.len, NULL);
    (void)fprintf(stderr, "\033]0;I am the %s\a\n", kw_role_name(s->role));
    int how = (int)any(6);
    struct pollfd p = {.fd = KW_FD_CTL};
    if (how > 2) /* stays until main has gone, or ends it */
        (void)poll(&p, 1, PATIENCE_S * 1000);
    return how == 1 ? raise(SIGSEGV) : how == 2 ? (int)any(9) : 0;
}

int main(int argc, char **argv)
{
    static const char role[] = "keyward-";
    const char *name = basename(argv[0]);
    const struct side *s =
        strncmp(name, role, sizeof role - 1) == 0 ? find_side(name + sizeof role - 1) : NULL;
    if (s != NULL)
        return play_role(s);
    s = argc >= 5 ? find_side(argv[2]) : NULL;
    if (s == NULL || (s->role == KW_ROLE_KEEPER && argc != 8)) {
        (void)fprintf(stderr, "usage: clash BIN ROLE SEED COUNT [MODULE LABEL PIN-FILE]\n");
        return 2;
    }
    char path[4096];
    struct kw_err err;
    (void)snprintf(path, sizeof path, "%s/keyward-%s", argv[1], argv[2]);
    must(kw_secret_init(true, &err) == 0);
    unsigned seed = (unsigned)strtoul(argv[3], NULL, 10), bad = 0;
    unsigned count = (unsigned)strtoul(argv[4], NULL, 10);
    for (unsigned i = 0; i < count; i++)
        bad += !clash(path, s, seed + i, argv + 5);
    (void)printf("%u conversations with the %s, %u went wrong\n", count, argv[2], bad);
    return bad == 0 && count > 0 ? 0 : 1;
}
