/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.so: the page, and allocations that fail. malloc() and its family come first in
 * the order in which the loader looks for them, so every library gets these: the C
 * library's own users, OpenSSL, libcurl and jansson, C++ (without a sanitizer) and the
 * program itself. Memory comes from the sanitizer's allocator where there is one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include "page.h"

struct kw_faults_page *kw_faults;
_Thread_local int kw_faults_inside __attribute__((tls_model("initial-exec")));
static _Thread_local bool busy __attribute__((tls_model("initial-exec")));

/* Linked names instead of dlsym(), which may itself allocate. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void *__interceptor_malloc(size_t n) __attribute__((weak));
void *__interceptor_calloc(size_t n, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *p, size_t n) __attribute__((weak));
void *__interceptor_aligned_alloc(size_t align, size_t n) __attribute__((weak));

/* Called by gate.c around each call into the module. */
void kw_faults_module(int in);
void kw_faults_module(int in)
{
    kw_faults_inside += in;
}

/* --- who asked ------------------------------------------------------------------------ */

enum { OBJECTS = 96 };

struct callers {
    uintptr_t at[KW_FRAMES];
    unsigned n;
};

static struct range {
    uintptr_t from, to;
} own, assured, program;

static bool within(const struct range *r, uintptr_t at)
{
    return at >= r->from && at < r->to;
}

static _Unwind_Reason_Code note_caller(struct _Unwind_Context *c, void *arg)
{
    struct callers *callers = arg;
    uintptr_t at = _Unwind_GetIP(c);
    if (within(&own, at))
        return _URC_NO_REASON;
    if (at == 0 || callers->n == KW_FRAMES)
        return _URC_END_OF_STACK;
    callers->at[callers->n++] = at;
    return _URC_NO_REASON;
}

/* Not backtrace(), whose first call loads a library. */
static void find_callers(struct callers *callers)
{
    callers->n = 0;
    (void)_Unwind_Backtrace(note_caller, callers);
}

/* What is loaded, as far as somebody has asked for memory from there. */
static struct object {
    uintptr_t from, to, base;
    char name[48];
} objects[OBJECTS];
static unsigned n_objects;

static int note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    uintptr_t at = *(const uintptr_t *)arg;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type != PT_LOAD || at < from || at >= from + ph->p_memsz || n_objects == OBJECTS)
            continue;
        const char *slash = strrchr(info->dlpi_name, '/');
        struct object *o = &objects[n_objects];
        *o = (struct object){.from = from, .to = from + ph->p_memsz, .base = info->dlpi_addr};
        (void)snprintf(o->name, sizeof o->name, "%.47s", slash != NULL ? slash + 1 : "the program");
        n_objects++;
        return 1;
    }
    return 0;
}

/* Where code lies in this process is another place each time: object and offset are not. */
static const char *object_of(uintptr_t at, uintptr_t *ret_offset)
{
    for (int again = 0; again < 2; again++) {
        for (unsigned i = 0; i < n_objects; i++)
            if (at >= objects[i].from && at < objects[i].to) {
                *ret_offset = at - 1 - objects[i].base;
                return objects[i].name;
            }
        (void)dl_iterate_phdr(note_object, &at);
    }
    *ret_offset = 0;
    return "?";
}

static void tell_who(void)
{
    struct callers callers;
    find_callers(&callers);
    kw_faults->frames = callers.n;
    for (unsigned i = 0; i < callers.n; i++) {
        uintptr_t offset = 0;
        const char *object = object_of(callers.at[i], &offset);
        (void)snprintf(kw_faults->frame[i], KW_FRAME_TEXT, "%.60s+%#lx", object,
                       (unsigned long)offset);
    }
}

/* Threads may overwrite each other's entry: that stack is then looked up twice, or not at
 * all this time. */
static void note_stack(uint64_t nth)
{
    struct callers callers;
    find_callers(&callers);
    uint64_t hash = 14695981039346656037u;
    for (unsigned i = 0; i < callers.n; i++) {
        uintptr_t offset = 0;
        for (const char *c = object_of(callers.at[i], &offset); *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        hash = (hash ^ offset) * 1099511628211u;
    }
    hash |= 1;
    for (uint64_t i = 0; i < KW_STACKS; i++) {
        struct kw_fault_stack *s = &kw_faults->stacks[(hash + i) % KW_STACKS];
        if (s->hash == hash)
            return;
        if (s->hash == 0) {
            *s = (struct kw_fault_stack){hash, nth};
            return;
        }
    }
}

static int find_objects(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    struct range *r = info->dlpi_name[0] == '\0' && program.to == 0       ? &program
                      : strstr(info->dlpi_name, "/libseccomp.so") != NULL ? &assured
                      : strstr(info->dlpi_name, "/faults.so") != NULL     ? &own
                                                                          : NULL;
    for (int i = 0; r != NULL && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) != 0)
            *r = (struct range){from, from + ph->p_memsz};
    }
    return 0;
}

/* --- what fails ------------------------------------------------------------------------- */

bool kw_faults_assured(const void *caller)
{
    return within(&assured, (uintptr_t)caller);
}

bool kw_faults_program(const void *caller)
{
    return within(&program, (uintptr_t)caller);
}

static enum kw_fault_whose whose_is(const void *caller)
{
    return kw_faults_inside > 0 ? KW_MODULE : kw_faults_assured(caller) ? KW_ASSURED : KW_OURS;
}

static bool fails(const void *caller)
{
    struct kw_faults_page *p = kw_faults;
    if (p == NULL || busy)
        return false;
    enum kw_fault_whose whose = whose_is(caller);
    uint64_t nth = atomic_fetch_add(&p->allocations[whose], 1) + 1;
    if (p->survey != 0 && whose == KW_OURS) {
        busy = true;
        note_stack(nth);
        busy = false;
    }
    if (p->fail[whose] == 0 || nth < p->fail[whose] || (nth > p->fail[whose] && p->for_good == 0))
        return false;
    busy = true;
    if (atomic_fetch_add(&p->failed, 1) == 0)
        tell_who();
    busy = false;
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

static void *get(size_t n)
{
    return __interceptor_malloc != NULL ? __interceptor_malloc(n) : __libc_malloc(n);
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    return fails(CALLER) ? NULL : get(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    if (fails(CALLER))
        return NULL;
    return __interceptor_calloc != NULL ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
    if (n > 0 && fails(CALLER)) /* realloc(p, 0) frees */
        return NULL;
    return __interceptor_realloc != NULL ? __interceptor_realloc(p, n) : __libc_realloc(p, n);
}

__attribute__((visibility("default"))) void *reallocarray(void *p, size_t n, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(n, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, all);
}

static void *get_aligned(size_t align, size_t n)
{
    return __interceptor_aligned_alloc != NULL ? __interceptor_aligned_alloc(align, n)
                                               : __libc_memalign(align, n);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t align, size_t n)
{
    return fails(CALLER) ? NULL : get_aligned(align, n);
}

__attribute__((visibility("default"))) int posix_memalign(void **ret, size_t align, size_t n)
{
    void *p = fails(CALLER) ? NULL : get_aligned(align, n);
    if (p == NULL)
        return ENOMEM;
    *ret = p;
    return 0;
}

/* The sanitizer's own strdup() would go past malloc(). */
__attribute__((visibility("default"))) char *strndup(const char *s, size_t max)
{
    size_t n = strnlen(s, max);
    char *copy = malloc(n + 1);
    if (copy != NULL) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

__attribute__((visibility("default"))) char *strdup(const char *s)
{
    return strndup(s, strlen(s));
}

/* The sanitizer looks at each new thread by this, and dies where it fails. */
__attribute__((visibility("default"))) int pthread_getattr_np(pthread_t thread, pthread_attr_t *a)
{
    static __typeof__(pthread_getattr_np) *next;
    void *found = dlsym(RTLD_NEXT, "pthread_getattr_np");
    bool was = busy;
    memcpy(&next, &found, sizeof next);
    busy = true;
    int r = next(thread, a);
    busy = was;
    return r;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("KW_FAULTS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    (void)dl_iterate_phdr(find_objects, NULL);
    void *page = mmap(NULL, sizeof *kw_faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (page != MAP_FAILED)
        kw_faults = page;
}
