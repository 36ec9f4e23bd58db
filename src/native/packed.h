/*
 * Packed weights as a file, so that a model need not be quantised and laid out again: mapped, not
 * copied. docs/NATIVE.md has the format.
 *
 * A file is used when it is whole, of this version and byte order, of the model's bytes and of the
 * graph's matrices, and every byte of it has been checked; else the caller packs anew. It is
 * written beside its name and renamed, so under its name there is a whole one or none.
 */
#ifndef NATIVE_PACKED_H
#define NATIVE_PACKED_H

#include "native/native.h"

#define NATIVE_STAMPS_MAX 16u

/* The model that weights are of: the SHA-256 of its files in hex, and, where that can be relied on,
 * the stamps of these: a model whose files have the same is the same. */
struct native_packed_source {
    char sha256[65];
    uint32_t stamp_count; /* 0: only the digest tells */
    struct base_stamp stamps[NATIVE_STAMPS_MAX];
};

/* Maps the file and checks its beginning. IO when there is none; FORMAT: damaged, of another
 * version. */
enum takt_status native_packed_open(struct native_packed **packed, const char *path,
                                    struct takt_error *error);
const struct native_packed_source *native_packed_source(const struct native_packed *packed);
const char *native_packed_path(const struct native_packed *packed);
void native_packed_close(struct native_packed *packed); /* NULL is fine */

/* Writes the executor's weights. IO; MEMORY. */
enum takt_status native_packed_write(const struct native *native,
                                     const struct native_packed_source *source, const char *path,
                                     struct takt_error *error);

#endif
