/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log: one JSON object a line, one line an event that matters, chained by
 * hash across runs and processes. No secret, no URL query, no session token is ever
 * in it.
 *
 * Every line has, in this order,
 *   seq    1, 2, 3 ... in the file
 *   time   "2026-01-31T23:59:59.123Z" by the keeper's clock
 *   run    random id of the keeper process that wrote it, hex
 *   event  what happened; its own fields follow
 *   prev   SHA-256 (hex) of the line before, without its newline; 64 zeros in line 1
 *
 * Events and their fields:
 *   login      token, serial, module, mechanism, profile, caller, fences, missing
 *   key        what ("born", "found", "client key", "audit key"), id, rung, bits, stored,
 *              attributes (as read back), spki (base64)
 *   verdict    weaknesses, accepted (bit sets, enum kw_accept), text
 *   session    principal, claims, not_after, caller
 *   sign       key ("session" or "client"), method, host, path_sha256, caller, rule
 *   call       key ("bearer"), method, host, path_sha256, caller, rule
 *   impersonate  host, target, caller     the federated token goes out for an account's
 *   given      subject, claims, not_after, caller    a subject token, to another program
 *   assert     audience, jti                                   client assertion
 *   refusal    what, reason; for requests method, host, path_sha256, caller
 *   destroyed  id, why; or failed (the error)
 *   end        signatures (of requests: not those that try a new key), refusals
 *   audit-key  key (SHA-256 of spki, hex), spki (base64), is   who signs the head
 *   head       of (a seq), hash (of that line), key, sig (base64)
 *   torn       bytes, sha256, text (base64, the first 1024)    a line cut by a crash or
 *              a full disk was found at the end of the file and taken out
 *
 * A head's signature (RSASSA-PKCS1-v1_5, SHA-256) is over the bytes
 * "keyward audit head 1\n<of>\n<hash>": no request's signing string and no JWT can
 * look like that. It vouches for all lines up to `of`.
 *
 * Each line is appended under flock(LOCK_EX), so that processes can share a file. Two
 * keepers must not share one open file description (open it anew for each).
 */
#ifndef KW_AUDIT_H
#define KW_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

#define KW_AUDIT_LINE  (32u * 1024u) /* longest line, bytes, with its newline */
#define KW_AUDIT_EVERY 64            /* lines of one process between two heads */

struct kw_audit {
    int fd; /* -1: there is no log, and every call below succeeds and does nothing */
    char run[33];
    uint64_t seq;    /* last line written by this process, 0: none yet */
    char hash[65];   /* its SHA-256 */
    int64_t end;     /* how long the file was after it */
    unsigned behind; /* own lines since the last head */
    bool failed;     /* a line could not be written */
};

/* Takes over fd (O_RDWR | O_APPEND on a regular file; -1: no log), and looks at its
 * end, so that a broken log is an error before anything is done. A torn last line is
 * repaired as told above. KW_FAILED on error. */
int kw_audit_begin(struct kw_audit *a, int fd, struct kw_err *err);

/* A JSON string of text; bytes that are not UTF-8 become '?'. */
json_t *kw_audit_text(const char *text);

/* A JSON string of bytes in base64 (section 4 of RFC 4648); NULL where there is no memory, so
 * that json_pack() fails and no line says less than it should. */
json_t *kw_audit_bytes(const unsigned char *p, size_t n);

/* Appends one event. fields (an object) is taken over, also on error; its members go
 * between `event` and `prev`; NULL is an error, so that a failed json_pack() can be
 * passed on. durable: fsync before returning. On error
 * (disk full, lock not to be had) the file is as it was before, where possible, and
 * the caller must not do what it wanted to be logged. */
int kw_audit_write(struct kw_audit *a, const char *event, json_t *fields, bool durable,
                   struct kw_err *err);

/* Signs n bytes with the key whose public half was announced by kw_audit_key(). */
typedef int kw_audit_signer(void *arg, const void *data, size_t n, unsigned char *sig,
                            size_t *ret_n, struct kw_err *err);

/* Announces the key that will sign the heads ("is": "session key", "audit key"). */
int kw_audit_key(struct kw_audit *a, const unsigned char *spki, size_t n, const char *is,
                 char ret_id[65], struct kw_err *err);

/* Appends a head over the last line of this process, signed by `sign`, whose key has
 * key_id, and syncs. Nothing to do where no line was written since the last one. */
int kw_audit_head(struct kw_audit *a, const char *key_id, kw_audit_signer *sign, void *arg,
                  struct kw_err *err);

/* The same in two steps, for a signature that is made elsewhere meanwhile: what is to be
 * signed (kw_audit_head_bytes() of these), and the line once it is, which is not synced. */
struct kw_audit_mark {
    uint64_t of;
    char hash[65];
    unsigned lines; /* own ones that this head is the first to cover */
};
struct kw_audit_mark kw_audit_mark(const struct kw_audit *a);
int kw_audit_head_line(struct kw_audit *a, const struct kw_audit_mark *m, const char *key_id,
                       const unsigned char *sig, size_t sig_n, bool durable, struct kw_err *err);

/* What kw_audit_verify() found. */
struct kw_audit_report {
    uint64_t lines, runs_ended, heads, torn;
    uint64_t proven;   /* lines 1..proven are covered by a good head */
    uint64_t bad_line; /* 0: none; else the number in the file, from 1 */
    char keys[512];    /* ids of the keys that signed heads, separated by spaces */
};

/* Reads the log at path and checks every line: form, seq, hash chain, the signature
 * and claim of each head. key_path: a PEM file with the public key (or NULL); then
 * only heads by that key count as proof, and without one of them the log is refused.
 * Without key_path the keys are those that the log itself announces: that shows
 * damage, not a forgery of the whole. KW_FAILED with the first bad line's number and
 * the reason in *err (and bad_line); KW_USAGE where a file can't be read. */
int kw_audit_verify(const char *path, const char *key_path, struct kw_audit_report *ret,
                    struct kw_err *err);

/* The bytes that a head's signature is over; out has room for 128. Returns how many. */
size_t kw_audit_head_bytes(uint64_t of, const char *hash, char out[128]);

/* Hex SHA-256 of n bytes into out; KW_FAILED where OpenSSL can't (no memory). */
int kw_audit_sha256(const void *bytes, size_t n, char out[65], struct kw_err *err);

#endif
