/* SPDX-License-Identifier: Apache-2.0
 *
 * Own allocator because the arena must exist before a sandbox closes (no mmap,
 * mlock or madvise is possible behind the exchanger's), and because its bookkeeping
 * must lie outside the protected pages. First fit over at most 64 blocks. */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

enum { BLOCKS = 64, ALIGN = 16 };

struct kw_secret {
    size_t off, room; /* room includes the NUL; 0: free entry */
    size_t len;
};

static unsigned char *arena;
static const char *kind = "none";
static struct kw_secret blocks[BLOCKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool map_secretmem(void)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0)
        return false;
    void *p = MAP_FAILED;
    if (ftruncate(fd, KW_SECRET_ARENA) == 0)
        p = mmap(NULL, KW_SECRET_ARENA, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p == MAP_FAILED)
        return false;
    arena = p;
    kind = "memfd_secret";
    return true;
}

static int map_locked(bool best_effort, struct kw_err *err)
{
    void *p =
        mmap(NULL, KW_SECRET_ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return kw_fail_errno(err, KW_FAILED, "could not map memory for secrets");
    kind = "mlock";
    if (mlock2(p, KW_SECRET_ARENA, MLOCK_ONFAULT) != 0) {
        if (!best_effort) {
            int r = kw_fail_errno(err, KW_SANDBOX,
                                  "could not lock %u KiB of memory for secrets; raise "
                                  "RLIMIT_MEMLOCK (ulimit -l)",
                                  KW_SECRET_ARENA / 1024);
            (void)munmap(p, KW_SECRET_ARENA);
            return r;
        }
        kind = "unlocked";
    }
    arena = p;
    return 0;
}

int kw_secret_init(bool best_effort, struct kw_err *err)
{
    if (arena != NULL)
        return 0;
    if (!map_secretmem()) {
        int r = map_locked(best_effort, err);
        if (r != 0)
            return r;
    }
    if (madvise(arena, KW_SECRET_ARENA, MADV_DONTDUMP) != 0 ||
        madvise(arena, KW_SECRET_ARENA, MADV_DONTFORK) != 0) {
        int r = kw_fail_errno(err, KW_SANDBOX, "could not keep secrets out of dumps and children");
        (void)munmap(arena, KW_SECRET_ARENA);
        arena = NULL; /* a second attempt must not find an arena that is less than promised */
        kind = "none";
        return r;
    }
    return 0;
}

const char *kw_secret_kind(void)
{
    return kind;
}

/* The lowest offset with room free bytes; false if there is none. */
static bool find_gap(size_t room, size_t *ret_off)
{
    size_t off = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < BLOCKS; i++) {
            const struct kw_secret *b = &blocks[i];
            if (b->room != 0 && off < b->off + b->room && b->off < off + room) {
                off = (b->off + b->room + ALIGN - 1) / ALIGN * ALIGN;
                moved = true;
            }
        }
    }
    *ret_off = off;
    return off <= KW_SECRET_ARENA && room <= KW_SECRET_ARENA - off;
}

struct kw_secret *kw_secret_new(size_t max)
{
    if (arena == NULL || max == 0 || max > KW_SECRET_MAX)
        return NULL;
    struct kw_secret *s = NULL;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < BLOCKS && s == NULL; i++)
        if (blocks[i].room == 0)
            s = &blocks[i];
    size_t off = 0;
    if (s != NULL && find_gap(max + 1, &off))
        *s = (struct kw_secret){.off = off, .room = max + 1};
    else
        s = NULL;
    (void)pthread_mutex_unlock(&lock);
    if (s != NULL)
        arena[off] = '\0';
    return s;
}

struct kw_secret *kw_secret_from(const void *bytes, size_t n)
{
    struct kw_secret *s = kw_secret_new(n > 0 ? n : 1);
    if (s != NULL)
        (void)kw_secret_add(s, bytes, n);
    return s;
}

bool kw_secret_add(struct kw_secret *s, const void *bytes, size_t n)
{
    if (n > s->room - 1 - s->len)
        return false;
    if (n > 0)
        memcpy(arena + s->off + s->len, bytes, n);
    s->len += n;
    arena[s->off + s->len] = '\0';
    return true;
}

void kw_secret_cut(struct kw_secret *s, size_t n)
{
    if (n < s->len) {
        explicit_bzero(arena + s->off + n, s->len - n);
        s->len = n;
    }
}

void kw_secret_trim(struct kw_secret *s)
{
    size_t n = s->len;
    while (n > 0 && strchr("\r\n\t ", arena[s->off + n - 1]) != NULL &&
           arena[s->off + n - 1] != '\0')
        n--;
    kw_secret_cut(s, n);
}

const char *kw_secret_bytes(const struct kw_secret *s)
{
    return (const char *)arena + s->off;
}

size_t kw_secret_len(const struct kw_secret *s)
{
    return s->len;
}

void kw_secret_free(struct kw_secret **s)
{
    if (s == NULL || *s == NULL)
        return;
    explicit_bzero(arena + (*s)->off, (*s)->room);
    (void)pthread_mutex_lock(&lock);
    **s = (struct kw_secret){0};
    (void)pthread_mutex_unlock(&lock);
    *s = NULL;
}

/* Reads straight into the arena, so that no copy is left on the stack. */
static int fill(int fd, struct kw_secret *s, size_t max, const char *what, enum kw_exit code,
                struct kw_err *err)
{
    for (;;) {
        size_t left = s->room - 1 - s->len;
        ssize_t n = read(fd, arena + s->off + s->len, left);
        if (n < 0 && kw_may_go_on(fd, POLLIN))
            continue;
        if (n < 0)
            return kw_fail_errno(err, code, "could not read %s", what);
        if (n == 0)
            break;
        s->len += (size_t)n;
        if (s->len > max)
            return kw_fail(err, code, "%s is longer than %zu bytes", what, max);
    }
    arena[s->off + s->len] = '\0';
    kw_secret_trim(s);
    return 0;
}

int kw_secret_read_fd(int fd, size_t max, const char *what, enum kw_exit code,
                      struct kw_secret **ret, struct kw_err *err)
{
    *ret = NULL;
    struct kw_secret *s = kw_secret_new(max + 1); /* one more, to notice an excess */
    if (s == NULL)
        return kw_fail(err, KW_FAILED, "no room for the secret in %s", what);
    int r = fill(fd, s, max, what, code, err);
    if (r != 0)
        kw_secret_free(&s);
    *ret = s;
    return r;
}

int kw_secret_read_file(const char *path, size_t max, enum kw_exit code, struct kw_secret **ret,
                        struct kw_err *err)
{
    *ret = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        return kw_fail(err, code, "%s is a symbolic link; name the file itself", path);
    if (fd < 0)
        return kw_fail_errno(err, code, "could not open %s", path);
    struct stat st;
    int r;
    if (fstat(fd, &st) != 0)
        r = kw_fail_errno(err, code, "could not look at %s", path);
    else if (!S_ISREG(st.st_mode))
        r = kw_fail(err, code, "%s is not a regular file", path);
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        r = kw_fail(err, code, "%s belongs to uid %u; it must be yours or root's", path,
                    (unsigned)st.st_uid);
    else if ((st.st_mode & 077) != 0)
        r = kw_fail(err, code, "%s can be used by others (mode %04o); chmod 600 it", path,
                    (unsigned)st.st_mode & 07777);
    else
        r = kw_secret_read_fd(fd, max, path, code, ret, err);
    (void)close(fd);
    return r;
}
