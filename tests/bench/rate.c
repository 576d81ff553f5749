/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures per second, and what one takes: the real keyward-keeper, asked over its channel
 * as the exchanger asks it, against the same PKCS#11 calls in a loop, with as many sessions.
 * Both are processes of their own and take turns, round by round, so that a drift of the
 * machine meets both.
 *
 *   kw-rate MODULE SESSIONS ROUNDS PER-ROUND [audit]
 *
 * Prints `name value` lines: medians over the rounds, and over single signatures. With
 * audit the keeper writes its log (to a file) as well.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "raw.h"
#include "src/wire/httpdate.h"
#include "src/wire/oci_sign.h"
#include "tests/unit/keeper_rig.h"

enum { THREADS = 64, ROUNDS = 1000, SINGLES = 20 };

static const char host[] = "objectstorage.eu-frankfurt-1.oraclecloud.com";
static const char target[] = "/n/mynamespace/b/mybucket/o/report-2026-11-25.json";

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Processor time of a process, all its threads. */
static double cpu_us(pid_t pid)
{
    clockid_t id = CLOCK_PROCESS_CPUTIME_ID;
    struct timespec t;
    MUST(clock_getcpuclockid(pid, &id) == 0 && clock_gettime(id, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Of n values; sorts them. */
static double quantile(double *v, size_t n, double q)
{
    qsort(v, n, sizeof *v, by_value);
    return v[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* --- the floor: a process that signs in a loop ------------------------------------ */

struct loop {
    struct raw key;
    unsigned sessions, count;
    CK_SESSION_HANDLE session[THREADS];
    char string[512];
    int ask, answer; /* pipes: a count, and microseconds */
    pid_t pid;
};

struct hand {
    struct loop *loop;
    unsigned i;
};

static void *sign_some(void *arg)
{
    const struct hand *h = arg;
    struct loop *l = h->loop;
    unsigned char sig[512];
    for (unsigned n = h->i; n < l->count; n += l->sessions)
        (void)raw_sign(&l->key, l->session[h->i], l->string, strlen(l->string), sig);
    return NULL;
}

static double sign_round(struct loop *l)
{
    pthread_t threads[THREADS];
    struct hand hands[THREADS];
    double start = now_us();
    for (unsigned i = 0; i < l->sessions; i++) {
        hands[i] = (struct hand){l, i};
        MUST(pthread_create(&threads[i], NULL, sign_some, &hands[i]) == 0);
    }
    for (unsigned i = 0; i < l->sessions; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    return now_us() - start;
}

/* A count of 0 asks for SINGLES signatures, each timed. */
static void loop_serve(struct loop *l) __attribute__((noreturn));

static void loop_serve(struct loop *l)
{
    double took[SINGLES];
    unsigned char sig[512];
    raw_open(&l->key);
    for (unsigned i = 0; i < l->sessions; i++)
        l->session[i] = raw_session(&l->key);
    while (read(l->ask, &l->count, sizeof l->count) == sizeof l->count) {
        if (l->count > 0)
            took[0] = sign_round(l);
        for (size_t i = 0; l->count == 0 && i < SINGLES; i++) {
            double start = now_us();
            (void)raw_sign(&l->key, l->session[0], l->string, strlen(l->string), sig);
            took[i] = now_us() - start;
        }
        size_t n = l->count > 0 ? sizeof *took : sizeof took;
        MUST(write(l->answer, took, n) == (ssize_t)n);
    }
    _exit(0);
}

static void loop_start(struct loop *l, const char *module, unsigned sessions)
{
    int ask[2], answer[2];
    *l = (struct loop){.key = {.module = module, .label = "rig", .pin = "1234"},
                       .sessions = sessions};
    (void)snprintf(l->string, sizeof l->string,
                   "date: Wed, 25 Nov 2026 00:00:00 GMT\n(request-target): get %s\nhost: %s",
                   target, host);
    MUST(pipe(ask) == 0 && pipe(answer) == 0);
    l->ask = ask[0];
    l->answer = answer[1];
    l->pid = fork();
    if (l->pid == 0) {
        (void)close(ask[1]);
        loop_serve(l);
    }
    (void)close(ask[0]);
    l->ask = ask[1];
    l->answer = answer[0];
}

static void loop_ask(const struct loop *l, unsigned count, double *took)
{
    size_t n = count > 0 ? sizeof *took : SINGLES * sizeof *took;
    MUST(write(l->ask, &count, sizeof count) == sizeof count);
    MUST(read(l->answer, took, n) == (ssize_t)n);
}

/* --- the keeper ------------------------------------------------------------------- */

static struct rig rig;
static struct kw_m_sign request;

static void expect(struct kw_chan *c, enum kw_msg type, void *m, struct kw_in *in)
{
    struct kw_err err;
    if (kw_msg_expect(c, type, m, in, RIG_MS, &err) != 0) {
        (void)fprintf(stderr, "bench: %s: %s\n", kw_msg_name(type), err.text);
        exit(1);
    }
}

static void keeper_start(const char *module, unsigned sessions, bool audit)
{
    struct kw_in in;
    struct kw_err err;
    struct kw_m_keeper_ready ready;
    struct kw_m_key key;
    struct kw_m_verdict verdict;
    struct kw_m_empty none = {0};
    struct kw_m_keeper_session session = {.not_after = (uint64_t)time(NULL) + 3600};
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.sessions = sessions;
    (void)snprintf(rig.cfg.module, sizeof rig.cfg.module, "%s", module);
    MUST(rig_spawn(&rig, audit));
    MUST(kw_msg_send(&rig.main, KW_KM_START, &rig.cfg, NULL, 0, RIG_MS, &err) == 0);
    expect(&rig.main, KW_KM_READY, &ready, &in);
    kw_in_free(&in);
    expect(&rig.main, KW_KM_KEY, &key, &in);
    kw_in_free(&in);
    expect(&rig.main, KW_KM_VERDICT, &verdict, &in);
    kw_in_free(&in);
    MUST(kw_msg_send(&rig.main, KW_KM_SESSION, &session, NULL, 0, RIG_MS, &err) == 0);
    expect(&rig.main, KW_KM_OK, &none, &in);
    kw_in_free(&in);
}

static void make_request(void)
{
    struct kw_err err;
    char send[KW_LINES];
    const struct kw_oci_request q = {.method = "GET",
                                     .host = host,
                                     .target = target,
                                     .headers = "",
                                     .body_sha256 = "",
                                     .now = time(NULL)};
    request = (struct kw_m_sign){.key = KW_SIGN_SESSION};
    (void)snprintf(request.method, sizeof request.method, "GET");
    (void)snprintf(request.host, sizeof request.host, "%s", host);
    (void)snprintf(request.target, sizeof request.target, "%s", target);
    MUST(kw_oci_header_lines(&q, request.headers, sizeof request.headers, send, sizeof send,
                             &err) == 0);
}

static void ask_one(void)
{
    struct kw_err err;
    MUST(kw_msg_send(&rig.sign, KW_S_SIGN, &request, NULL, 0, RIG_MS, &err) == 0);
}

static void hear_one(void)
{
    struct kw_in in;
    struct kw_m_signed answer;
    expect(&rig.sign, KW_S_SIGNED, &answer, &in);
    MUST(answer.signature.len == 256);
    kw_in_free(&in);
}

/* As many under way as keep every session busy. */
static double keeper_round(unsigned sessions, unsigned count)
{
    unsigned asked = 0, heard = 0, most = sessions * 3 < KW_SIGNS_MAX ? sessions * 3 : KW_SIGNS_MAX;
    double start = now_us();
    while (heard < count) {
        while (asked < count && asked - heard < most) {
            ask_one();
            asked++;
        }
        hear_one();
        heard++;
    }
    return now_us() - start;
}

static void keeper_singles(double *took)
{
    for (size_t i = 0; i < SINGLES; i++) {
        double start = now_us();
        ask_one();
        hear_one();
        took[i] = now_us() - start;
    }
}

/* Of the keeper, and of us who ask. */
static double keeper_cpu(void)
{
    return cpu_us(rig.pid) + cpu_us(0);
}

static long keeper_rss(void)
{
    char path[64], line[256];
    long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)rig.pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        (void)sscanf(line, "VmRSS: %ld", &kib);
    if (f != NULL)
        (void)fclose(f);
    return kib;
}

/* --- both in turn ----------------------------------------------------------------- */

static void measure(const struct loop *l, unsigned rounds, unsigned count)
{
    static double raw_rate[ROUNDS], our_rate[ROUNDS], ratio[ROUNDS];
    static double raw_one[ROUNDS * SINGLES], our_one[ROUNDS * SINGLES], added[ROUNDS];
    static double cpu[ROUNDS], cpu_ratio[ROUNDS];
    double took;
    make_request();
    loop_ask(l, count, &took); /* both are warm */
    (void)keeper_round(l->sessions, count);
    for (unsigned i = 0; i < rounds; i++) {
        double mine[SINGLES], theirs[SINGLES];
        make_request(); /* a date of now */
        double start[2] = {cpu_us(l->pid), 0};
        loop_ask(l, count, &took);
        raw_rate[i] = count / took * 1e6;
        start[0] = cpu_us(l->pid) - start[0];
        start[1] = keeper_cpu();
        our_rate[i] = count / keeper_round(l->sessions, count) * 1e6;
        start[1] = keeper_cpu() - start[1];
        cpu[i] = (start[1] - start[0]) / count;
        cpu_ratio[i] = start[0] / start[1];
        ratio[i] = our_rate[i] / raw_rate[i];
        loop_ask(l, 0, raw_one + (size_t)i * SINGLES);
        keeper_singles(our_one + (size_t)i * SINGLES);
        memcpy(theirs, raw_one + (size_t)i * SINGLES, sizeof theirs);
        memcpy(mine, our_one + (size_t)i * SINGLES, sizeof mine);
        added[i] = quantile(mine, SINGLES, 0.5) - quantile(theirs, SINGLES, 0.5);
    }
    size_t n = (size_t)rounds * SINGLES;
    printf("raw_per_second %.0f\n", quantile(raw_rate, rounds, 0.5));
    printf("keeper_per_second %.0f\n", quantile(our_rate, rounds, 0.5));
    printf("ratio %.3f\nratio_p10 %.3f\nratio_p90 %.3f\n", quantile(ratio, rounds, 0.5),
           quantile(ratio, rounds, 0.1), quantile(ratio, rounds, 0.9));
    printf("raw_us %.0f\nkeeper_us %.0f\n", quantile(raw_one, n, 0.5), quantile(our_one, n, 0.5));
    printf("added_us %.0f\nadded_us_p10 %.0f\nadded_us_p90 %.0f\n", quantile(added, rounds, 0.5),
           quantile(added, rounds, 0.1), quantile(added, rounds, 0.9));
    printf("added_cpu_us %.1f\ncpu_ratio %.3f\n", quantile(cpu, rounds, 0.5),
           quantile(cpu_ratio, rounds, 0.5));
    printf("keeper_rss_kib %ld\n", keeper_rss());
}

int main(int argc, char **argv)
{
    static struct loop l;
    MUST(argc >= 5);
    unsigned sessions = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10);
    unsigned count = (unsigned)strtoul(argv[4], NULL, 10);
    MUST(sessions >= 1 && sessions <= THREADS && rounds >= 1 && rounds <= ROUNDS && count >= 1);
    MUST(rig_set_up(NULL) == 0);
    loop_start(&l, argv[1], sessions);
    keeper_start(argv[1], sessions, argc > 5);
    measure(&l, rounds, count);
    struct kw_err err;
    struct kw_in in;
    struct kw_m_closed closed;
    (void)close(l.ask);
    MUST(kw_msg_send(&rig.main, KW_KM_CLOSE, &(struct kw_m_empty){0}, NULL, 0, RIG_MS, &err) == 0);
    expect(&rig.main, KW_KM_CLOSED, &closed, &in);
    kw_in_free(&in);
    int code = rig_end(&rig);
    MUST(rig_tear_down(NULL) == 0);
    return code;
}
