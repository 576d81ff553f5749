/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks for secrets where they must not be. For the claim tests; each of them first has it
 * find the same secret planted, because a search that can't find proves nothing.
 *
 *   hunt key KEY.der PATH...      parts of that RSA private key, 16 bytes being enough
 *   hunt text MARKERS PATH...     the lines of the file MARKERS
 *   hunt factor HEX PATH...       128 bytes that divide this modulus (an unknown key's prime)
 *   hunt memory PID MARKERS       the lines, in all memory of the process that can be read
 *
 * A PATH is a file or a directory with all in it. Every form counts: bytes (numbers also
 * with the least byte first), hex of either case, base64 in all its three alignments. A
 * file *.trace is an output of strace: what its quoted strings stand for is searched too.
 * Ends with 0 if nothing was found, 1 if something was, 2 if it could not look.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRIME = 128, BUCKETS = 1 << 16, LONGEST = 80, LEAST = 8, SHOWN = 10, MOST = 1 << 30 };

struct needle {
    unsigned char bytes[LONGEST];
    size_t n;
    char what[48];
    struct needle *next;
};

static struct needle *buckets[BUCKETS];
static BIGNUM *modulus; /* factor: instead of needles */
static size_t found, files, searched;

static void die(const char *what)
{
    (void)fprintf(stderr, "hunt: %s: %s\n", what, errno != 0 ? strerror(errno) : "bad input");
    exit(2);
}

static void *must(void *p)
{
    if (p == NULL)
        die("no memory");
    return p;
}

static unsigned bucket(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return (unsigned)(v * 0x9e3779b97f4a7c15u >> 48);
}

static void add(const char *what, const char *form, const void *bytes, size_t n)
{
    struct needle *e = must(calloc(1, sizeof *e));
    if (n < LEAST || n > LONGEST)
        die("a secret of this length can't be searched for");
    memcpy(e->bytes, bytes, n);
    e->n = n;
    (void)snprintf(e->what, sizeof e->what, "%.20s as %s", what, form);
    struct needle **b = &buckets[bucket(e->bytes)];
    e->next = *b;
    *b = e;
}

static void add_hex(const char *what, const unsigned char *p, size_t n)
{
    char low[LONGEST + 1], up[LONGEST + 1];
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(low + 2 * i, 3, "%02x", p[i]);
        (void)snprintf(up + 2 * i, 3, "%02X", p[i]);
    }
    add(what, "hex", low, 2 * n);
    add(what, "HEX", up, 2 * n);
}

static void add_base64(const char *what, const unsigned char *p, size_t n)
{
    unsigned char text[LONGEST + 8];
    int len = EVP_EncodeBlock(text, p, (int)n);
    add(what, "base64", text, (size_t)len);
    for (int i = 0; i < len; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    add(what, "base64url", text, (size_t)len);
}

/* Every window of the secret: a piece of it is enough. Base64 of a window is the same
 * wherever it stands if it is of whole triples and at the right alignment; as there is a
 * window at every offset, one of them is. */
static void add_windows(const char *what, const unsigned char *p, size_t n, size_t window)
{
    size_t triples = n < 17 ? (n - 2) / 3 * 3 : 15;
    for (size_t i = 0; i + window <= n; i++) {
        add(what, "bytes", p + i, window);
        add_hex(what, p + i, window > LONGEST / 2 ? LONGEST / 2 : window);
    }
    for (size_t i = 0; i + triples <= n; i++)
        add_base64(what, p + i, triples);
}

/* --- what is searched for ------------------------------------------------------- */

static void add_number(const EVP_PKEY *key, const char *param)
{
    unsigned char be[1024], le[1024];
    BIGNUM *b = NULL;
    if (EVP_PKEY_get_bn_param(key, param, &b) != 1)
        die(param);
    size_t n = (size_t)BN_num_bytes(b);
    if (BN_bn2bin(b, be) != (int)n || BN_bn2lebinpad(b, le, (int)n) != (int)n)
        die(param);
    add_windows(param, be, n, 16);
    for (size_t i = 0; i + 16 <= n; i++)
        add(param, "bytes, least first", le + i, 16);
    BN_free(b);
}

static void load_key(const char *path)
{
    static const char *const parts[] = {
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    FILE *f = fopen(path, "rbe");
    EVP_PKEY *key = f != NULL ? d2i_PrivateKey_fp(f, NULL) : NULL;
    if (key == NULL)
        die(path);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        add_number(key, parts[i]);
    EVP_PKEY_free(key);
    (void)fclose(f);
}

static void load_markers(const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t size = 0, lines = 0;
    ssize_t n;
    if (f == NULL)
        die(path);
    while ((n = getline(&line, &size, f)) > 0) {
        if (line[n - 1] == '\n')
            n--;
        if (n < 12)
            die("a marker is shorter than 12 bytes");
        add_windows("a marker", (unsigned char *)line, (size_t)n, n > 24 ? 24 : (size_t)n);
        lines++;
    }
    free(line);
    (void)fclose(f);
    if (lines == 0)
        die("no markers");
}

/* --- searching ------------------------------------------------------------------ */

static void tell(const char *what, const char *where, size_t at)
{
    if (found++ < SHOWN)
        printf("found %s in %s at %zu\n", what, where, at);
}

static bool divides(const unsigned char *p, bool least_first)
{
    static BN_CTX *ctx;
    static BIGNUM *w, *rest;
    if (ctx == NULL) {
        ctx = must(BN_CTX_new());
        w = must(BN_new());
        rest = must(BN_new());
    }
    const unsigned char top = least_first ? p[PRIME - 1] : p[0];
    const unsigned char low = least_first ? p[0] : p[PRIME - 1];
    if ((top & 0x80) == 0 || (low & 1) == 0) /* a prime of 1024 bits has both */
        return false;
    if ((least_first ? BN_lebin2bn(p, PRIME, w) : BN_bin2bn(p, PRIME, w)) == NULL ||
        BN_mod(rest, modulus, w, ctx) != 1)
        die("BN_mod");
    return BN_is_zero(rest);
}

static void search_factor(const unsigned char *p, size_t n, const char *where)
{
    for (size_t i = 0; i + PRIME <= n; i++)
        if (divides(p + i, false) || divides(p + i, true))
            tell("a prime of the modulus", where, i);
}

static int hex_digit(unsigned char c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

static int base64_digit(unsigned char c)
{
    if (isupper(c))
        return c - 'A';
    if (islower(c))
        return c - 'a' + 26;
    if (isdigit(c))
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Decodes runs of digits (line ends don't end one: PEM) from each phase of a byte. */
static void search_decoded(const unsigned char *p, size_t n, const char *where,
                           int (*digit)(unsigned char), unsigned bits)
{
    unsigned char *bytes = must(malloc(n + 1));
    const unsigned phases = bits == 4 ? 2 : 4;
    for (unsigned phase = 0; phase < phases; phase++) {
        size_t have = 0, digits = 0;
        uint32_t hold = 0;
        unsigned held = 0;
        for (size_t i = 0; i <= n; i++) {
            int v = i < n ? digit(p[i]) : -1;
            if (v >= 0 && digits++ >= phase) {
                hold = hold << bits | (uint32_t)v;
                held += bits;
                if (held >= 8) {
                    held -= 8;
                    bytes[have++] = (unsigned char)(hold >> held);
                }
            } else if (v < 0 && (i == n || (p[i] != '\n' && p[i] != '\r'))) {
                search_factor(bytes, have, where);
                have = digits = held = 0;
            }
        }
    }
    free(bytes);
}

static void search(const unsigned char *p, size_t n, const char *where)
{
    searched += n;
    if (modulus != NULL) {
        search_factor(p, n, where);
        search_decoded(p, n, where, hex_digit, 4);
        search_decoded(p, n, where, base64_digit, 6);
        return;
    }
    for (size_t i = 0; i + LEAST <= n; i++)
        for (const struct needle *e = buckets[bucket(p + i)]; e != NULL; e = e->next)
            if (e->n <= n - i && memcmp(e->bytes, p + i, e->n) == 0)
                tell(e->what, where, i);
}

/* The byte that an escape of strace stands for; *p is behind the backslash. */
static unsigned char unescape(const unsigned char **p, const unsigned char *end)
{
    static const char names[] = "nrtvf", values[] = "\n\r\t\v\f";
    unsigned v = 0;
    if (**p == 'x') {
        for (++*p; *p < end && hex_digit(**p) >= 0; ++*p)
            v = v << 4 | (unsigned)hex_digit(**p);
        return (unsigned char)v;
    }
    if (**p >= '0' && **p <= '7') {
        for (int i = 0; i < 3 && *p < end && **p >= '0' && **p <= '7'; i++)
            v = v << 3 | (unsigned)(*(*p)++ - '0');
        return (unsigned char)v;
    }
    const unsigned char c = *(*p)++;
    const char *name = strchr(names, c);
    return name != NULL && c != 0 ? (unsigned char)values[name - names] : c;
}

static void search_trace(const unsigned char *p, size_t n, const char *where)
{
    const unsigned char *end = p + n;
    unsigned char *bytes = must(malloc(n + 1));
    while (p < end) {
        size_t have = 0;
        if (*p++ != '"')
            continue;
        while (p < end && *p != '"' && *p != '\n') {
            if (*p != '\\' || p + 1 == end)
                bytes[have++] = *p++;
            else {
                p++;
                bytes[have++] = unescape(&p, end);
            }
        }
        p += p < end;
        search(bytes, have, where);
    }
    free(bytes);
}

static void search_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    size_t room = 1 << 16, n = 0, got;
    if (f == NULL)
        die(path);
    unsigned char *p = must(malloc(room));
    while ((got = fread(p + n, 1, room - n, f)) > 0)
        if ((n += got) == room)
            p = must(realloc(p, room *= 2));
    if (ferror(f))
        die(path);
    (void)fclose(f);
    search(p, n, path);
    const char *dot = strrchr(path, '.');
    if (dot != NULL && strcmp(dot, ".trace") == 0)
        search_trace(p, n, path);
    free(p);
    files++;
}

static int on_path(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    if (kind == FTW_NS || kind == FTW_DNR)
        die(path);
    if (kind == FTW_F && S_ISREG(st->st_mode))
        search_file(path);
    return 0;
}

static void search_memory(const char *pid)
{
    char path[64], line[512];
    (void)snprintf(path, sizeof path, "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "re");
    (void)snprintf(path, sizeof path, "/proc/%s/mem", pid);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    size_t denied = 0;
    if (maps == NULL || mem < 0)
        die(path);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || strstr(line, "[vsyscall]"))
            continue;
        if (to - from > MOST) { /* a sanitizer's shadow: it has no bytes of the program */
            denied += to - from;
            continue;
        }
        unsigned char *p = must(malloc(to - from));
        ssize_t n = pread(mem, p, to - from, (off_t)from);
        if (n > 0)
            search(p, (size_t)n, line);
        denied += to - from - (n > 0 ? (size_t)n : 0);
        free(p);
        files++;
    }
    (void)fclose(maps);
    (void)close(mem);
    printf("%zu bytes could not be read\n", denied);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        die("usage: hunt key|text|factor|memory ... (see the source)");
    if (strcmp(argv[1], "memory") == 0) {
        load_markers(argv[3]);
        search_memory(argv[2]);
    } else {
        if (strcmp(argv[1], "key") == 0)
            load_key(argv[2]);
        else if (strcmp(argv[1], "text") == 0)
            load_markers(argv[2]);
        else if (strcmp(argv[1], "factor") != 0 || BN_hex2bn(&modulus, argv[2]) != 2 * 2 * PRIME ||
                 BN_num_bits(modulus) != 2 * 8 * PRIME)
            die("factor: a modulus of 2048 bits in hex is needed");
        for (int i = 3; i < argc; i++)
            if (nftw(argv[i], on_path, 32, FTW_PHYS) != 0)
                die(argv[i]);
    }
    printf("searched %zu bytes in %zu places, found %zu\n", searched, files, found);
    if (files == 0 || searched == 0)
        die("there was nothing to search");
    return found > 0 ? 1 : 0;
}
