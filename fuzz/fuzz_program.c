/* Any bytes as a program file: refused with a message, or a program that gives the same bytes
 * again. The length in the header and the digest at the end are made right first, so that what lies
 * between is reached; the first byte says whether to. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "program/program.h"

#define ARENA_BYTES ((size_t)1 << 28)
#define LENGTH_AT 12u /* after magic and version */
#define HEADER_BYTES 20u
#define DIGEST_BYTES 64u

static void seal(uint8_t *file, size_t size)
{
    char hex[65];
    uint64_t length = size - HEADER_BYTES - DIGEST_BYTES;
    struct base_digest *digest = base_digest_create();
    BASE_ASSERT(digest != NULL);
    for (unsigned i = 0; i < 8; i++) {
        file[LENGTH_AT + i] = (uint8_t)(length >> (8 * i) & 0xffu);
    }
    base_digest_update(digest, file, size - DIGEST_BYTES);
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
    memcpy(file + size - DIGEST_BYTES, hex, DIGEST_BYTES);
}

static void decode(const uint8_t *file, size_t size)
{
    struct base_arena arena = {0};
    struct program program;
    struct program_image image;
    struct takt_error error;
    if (base_arena_create(&arena, ARENA_BYTES, &error) != TAKT_OK) {
        return;
    }
    if (program_decode("fuzz", file, size, &arena, &program, &image, &error) == TAKT_OK) {
        struct base_text bytes = {0};
        program_encode(&program, &image, &bytes);
        BASE_ASSERT(bytes.length == size && memcmp(bytes.data, file, size) == 0);
        base_text_free(&bytes);
    }
    base_arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    bool sealed = (data[0] & 1) != 0;
    size_t bytes = size - 1;
    uint8_t *file = malloc(bytes + 1);
    BASE_ASSERT(file != NULL);
    if (bytes > 0) {
        memcpy(file, data + 1, bytes);
    }
    if (sealed && bytes >= HEADER_BYTES + DIGEST_BYTES) {
        seal(file, bytes);
    }
    decode(file, bytes);
    free(file);
    return 0;
}
