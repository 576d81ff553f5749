/* SPDX-License-Identifier: Apache-2.0
 *
 * COUNT signatures with raw Cryptoki, on SESSIONS sessions at once, when it is told to: what a
 * token alone costs a machine that has other things to do meanwhile (run.sh).
 *
 *   kw-raw MODULE LABEL SESSIONS COUNT     reads the PIN, prints "ready", reads a line, signs, ends
 */
#include <pthread.h>
#include <string.h>

#include "raw.h"

enum { THREADS = 64 };

static struct raw key;
static unsigned long sessions, count;

struct hand {
    CK_SESSION_HANDLE session;
    unsigned long first;
};

static void *sign_some(void *arg)
{
    static const char string[] = "date: Wed, 25 Nov 2026 00:00:00 GMT\n(request-target): get /n/\n"
                                 "host: objectstorage.eu-frankfurt-1.oraclecloud.com";
    const struct hand *h = arg;
    unsigned char sig[512];
    for (unsigned long n = h->first; n < count; n += sessions)
        MUST(raw_sign(&key, h->session, string, sizeof string - 1, sig) > 0);
    return NULL;
}

int main(int argc, char **argv)
{
    static char pin[64], go[8];
    pthread_t threads[THREADS];
    struct hand hands[THREADS];
    MUST(argc == 5);
    sessions = strtoul(argv[3], NULL, 10);
    count = strtoul(argv[4], NULL, 10);
    MUST(sessions >= 1 && sessions <= THREADS && fgets(pin, sizeof pin, stdin) != NULL);
    pin[strcspn(pin, "\n")] = '\0';
    key = (struct raw){.module = argv[1], .label = argv[2], .pin = pin};
    raw_open(&key);
    for (unsigned long i = 0; i < sessions; i++)
        hands[i] = (struct hand){raw_session(&key), i};
    (void)puts("ready");
    (void)fflush(stdout);
    MUST(fgets(go, sizeof go, stdin) != NULL);
    for (unsigned long i = 0; i < sessions; i++)
        MUST(pthread_create(&threads[i], NULL, sign_some, &hands[i]) == 0);
    for (unsigned long i = 0; i < sessions; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    return 0;
}
