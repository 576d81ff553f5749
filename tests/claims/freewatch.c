/* SPDX-License-Identifier: Apache-2.0
 *
 * For LD_PRELOAD: looks at every block that a program frees, for the lines of the file
 * KW_FREEWATCH (16 bytes from the middle of each; all of a line that begins with "=", for what
 * only the beginning is known of). At the end the file KW_FREEWATCH.out
 * says how many blocks there were, and in how many of them each line was.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINES = 16, WINDOW = 16 };

static char file[65536]; /* not on the heap */
static const char *marker[LINES];
static size_t length[LINES];
static int markers;
static atomic_uint looked_at, found[LINES];

void __libc_free(void *p);

static void look(const void *p, size_t n)
{
    atomic_fetch_add(&looked_at, 1);
    for (int i = 0; i < markers; i++)
        if (memmem(p, n, marker[i], length[i]) != NULL)
            atomic_fetch_add(&found[i], 1);
}

void free(void *p)
{
    if (p != NULL && markers > 0)
        look(p, malloc_usable_size(p));
    __libc_free(p);
}

/* What moves leaves its old block behind. */
void *realloc(void *p, size_t n)
{
    void *q = malloc(n);
    if (q != NULL && p != NULL) {
        size_t had = malloc_usable_size(p);
        memcpy(q, p, had < n ? had : n);
        free(p);
    }
    return q;
}

static void begin(void) __attribute__((constructor));
static void end(void) __attribute__((destructor));

static void begin(void)
{
    const char *path = getenv("KW_FREEWATCH");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, file, sizeof file - 1) : 0;
    if (fd >= 0)
        (void)close(fd);
    for (char *line = file; n > 0 && *line != '\0' && markers < LINES;) {
        size_t len = strcspn(line, "\n");
        if (line[0] == '=' && len > 1) {
            marker[markers] = line + 1;
            length[markers++] = len - 1;
        } else if (len >= WINDOW) {
            marker[markers] = line + (len - WINDOW) / 2;
            length[markers++] = WINDOW;
        }
        line += len + (line[len] == '\n');
    }
}

static void end(void)
{
    char path[4096];
    const char *name = getenv("KW_FREEWATCH");
    int n = markers;
    markers = 0;
    if (name == NULL || n == 0)
        return;
    (void)snprintf(path, sizeof path, "%s.out", name);
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return;
    (void)fprintf(out, "%u blocks\n", atomic_load(&looked_at));
    for (int i = 0; i < n; i++)
        (void)fprintf(out, "%u line %d\n", atomic_load(&found[i]), i + 1);
    (void)fclose(out);
}
