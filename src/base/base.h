/*
 * base: what every room stands on: errors, arenas, files, text, pseudo-random numbers, digests.
 *
 * Refuses to: know anything of models, machines or numbers' meaning.
 * Invariants: no mutable globals except the log level; no function exits the process; a failed
 * call leaves nothing allocated. Bugs of ours are asserts (BASE_ASSERT, on in every build).
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "takt_status.h"

/* ---- errors ---------------------------------------------------------------------------------- */

/* Sets *error (which may be NULL) to status and the formatted message, and returns status. */
enum takt_status base_fail(struct takt_error *error, enum takt_status status, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));

_Noreturn void base_assert_failed(const char *condition, const char *file, int line);
#define BASE_ASSERT(c) ((c) ? (void)0 : base_assert_failed(#c, __FILE__, __LINE__))

#define BASE_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BASE_MIN(a, b) ((a) < (b) ? (a) : (b))
#define BASE_MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- arenas ---------------------------------------------------------------------------------- */

/*
 * A bump allocator over one reserved range of addresses: pages are taken from the system when
 * first touched, nothing moves, everything is dropped at once. Creation may fail; an allocation
 * beyond the reserved capacity is a bug of the caller, who must have checked sizes (assert).
 * Memory comes zeroed and 64-byte aligned.
 */
struct base_arena {
    unsigned char *base;
    size_t used_bytes;
    size_t capacity_bytes;
};

enum takt_status base_arena_create(struct base_arena *arena, size_t capacity_bytes,
                                   struct takt_error *error);
void *base_arena_alloc(struct base_arena *arena, size_t count, size_t size_bytes);
#define BASE_NEW(arena, type, count) ((type *)base_arena_alloc((arena), (count), sizeof(type)))
char *base_arena_text(struct base_arena *arena, const char *text, size_t length); /* copy + NUL */
/* Memory that will be gone through far and wide: the system may back it with large pages. */
void base_memory_is_large(void *memory, size_t bytes);
size_t base_arena_resident_bytes(const struct base_arena *arena); /* of pages taken so far */
/* Forgets all that was allocated since used_bytes had this value; its memory is zero again. */
void base_arena_rewind(struct base_arena *arena, size_t used_bytes);
void base_arena_destroy(struct base_arena *arena); /* safe on a zeroed struct and twice */

/* ---- files ----------------------------------------------------------------------------------- */

/* Which file a path named, and since when it is as it is: a file that was written, replaced or
 * moved has another. Times in nanoseconds since 1970. */
struct base_stamp {
    uint64_t device, inode, size_bytes, written_ns, changed_ns;
};

/* A whole file, mapped read-only. */
struct base_file {
    const unsigned char *data;
    size_t size_bytes;
    struct base_stamp stamp; /* when it was mapped */
};

enum takt_status base_file_map(struct base_file *file, const char *path, struct takt_error *error);
void base_file_unmap(struct base_file *file); /* safe on a zeroed struct and twice */
/* Whole pages of these bytes, if they are the file's, leave the process's memory; reading brings
 * them back. */
void base_file_release(const struct base_file *file, const unsigned char *data, size_t size_bytes);
/* These bytes of the file will be read soon: the system may fetch them meanwhile. */
void base_file_expect(const struct base_file *file, const unsigned char *data, size_t size_bytes);
/* Writes to a temporary beside path, flushes, renames: the old file or the new one, never half. */
enum takt_status base_file_write(const char *path, const void *data, size_t size_bytes,
                                 struct takt_error *error);

/* ---- text ------------------------------------------------------------------------------------ */

/* A growing byte string on the heap; always NUL-terminated after the first append. Failed growth
 * aborts the process (a text of the size of memory is not a case takt has). */
struct base_text {
    char *data;
    size_t length;
    size_t capacity;
};

void base_text_append(struct base_text *text, const char *bytes, size_t length);
void base_text_format(struct base_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void base_text_free(struct base_text *text);

/* The same as base_file_write for a file that is made in pieces: between open and commit only the
 * temporary exists. A call that fails has discarded it. */
struct base_output {
    const char *path; /* the caller's; must outlive the output */
    struct base_text temporary;
    int descriptor; /* -1: closed */
    uint64_t written_bytes;
};
enum takt_status base_output_open(struct base_output *output, const char *path,
                                  struct takt_error *error);
enum takt_status base_output_write(struct base_output *output, const void *data, size_t size_bytes,
                                   struct takt_error *error);
enum takt_status base_output_commit(struct base_output *output, struct takt_error *error);
/* Removes the temporary; nothing after a failed call or a commit. */
void base_output_discard(struct base_output *output);

/* Length in bytes of the longest prefix of the bytes that ends at a whole UTF-8 character (an
 * invalid byte counts as a character of its own, so a stream never stalls on it). */
size_t base_utf8_whole_prefix(const char *bytes, size_t length);
/* Bytes (1..4) of the whole UTF-8 character in front; 0 when there is none (length 0, invalid,
 * cut). Strict: no overlong forms, surrogates, or values above U+10FFFF. */
size_t base_utf8_size(const char *bytes, size_t length);
/* Every byte belongs to a whole character, strictly as above. */
bool base_utf8_valid(const char *bytes, size_t length);

/* Whole-string decimal (or 0x) number within [minimum, maximum]; false when it is not one. */
bool base_parse_i64(const char *text, int64_t minimum, int64_t maximum, int64_t *value);
bool base_parse_f64(const char *text, double minimum, double maximum, double *value);

/* ---- pseudo-random numbers ------------------------------------------------------------------- */

/* Counter-based: a pure function of (seed, stream, counter), the same everywhere. */
uint64_t base_random_u64(uint64_t seed, uint64_t stream, uint64_t counter);
/* out[i] = base_random_u64(seed, stream, first + i), faster than one at a time. */
void base_random_fill(uint64_t seed, uint64_t stream, uint64_t first, uint64_t *out, size_t count);
/* Uniform in [0, 1) with 24 bits, of the same triple. */
float base_random_f32(uint64_t seed, uint64_t stream, uint64_t counter);

/* ---- digests (SHA-256) ----------------------------------------------------------------------- */

struct base_digest;                           /* opaque, on the heap */
struct base_digest *base_digest_create(void); /* NULL when memory is short */
void base_digest_update(struct base_digest *digest, const void *data, size_t size_bytes);
/* Lower-case hex of what was fed so far; feeding may go on. */
void base_digest_hex(const struct base_digest *digest, char hex[65]);
void base_digest_destroy(struct base_digest *digest);

/* ---- checksums ------------------------------------------------------------------------------- */

/* Of a multiple of 64 bytes, continuing from `seed`, at the rate of memory. Against damage, not
 * against intent: any change within one word of 8 bytes changes it, others all but certainly. */
uint64_t base_checksum(uint64_t seed, const void *data, size_t size_bytes);

/* ---- time (for reports only; nothing below run/ may call it) --------------------------------- */

double base_seconds(void);

#endif
