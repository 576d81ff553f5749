/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over files and folders of a corpus, for builds without
 * libFuzzer: every input found so far stays a regression test.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/buf.h"
#include "src/base/io.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static unsigned seeded; /* inputs that end with a seed: fuzz.h */

static unsigned replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        exit(1);
    }
    if (S_ISDIR(st.st_mode)) {
        unsigned n = 0;
        DIR *d = opendir(path);
        if (d == NULL)
            exit(1);
        for (struct dirent *e; (e = readdir(d)) != NULL;) {
            char sub[4096];
            if (e->d_name[0] == '.')
                continue;
            (void)snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
            n += replay(sub);
        }
        (void)closedir(d);
        return n;
    }
    struct kw_buf b;
    struct kw_err err;
    kw_buf_init(&b, 1 << 20);
    if (kw_read_file(path, &b, KW_FAILED, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    static const unsigned char none[1];
    seeded += b.len >= 5 && b.p[b.len - 5] == 0xfa;
    (void)LLVMFuzzerTestOneInput(b.p != NULL ? b.p : none, b.len);
    kw_buf_free(&b);
    return 1;
}

int main(int argc, char **argv)
{
    unsigned n = 0;
    for (int i = 1; i < argc; i++)
        n += replay(argv[i]);
    (void)printf("%u inputs replayed, calls may fail in %u\n", n, seeded);
    return n > 0 ? 0 : 1;
}
