/*
 * See packed.h. The file: a header of 4096 bytes; the weights as layout.c places them; what bounds
 * follow from. Both parts have a checksum made of those of their blocks, so that threads share the
 * work; the header has one of itself.
 */
#include "native/packed.h"

#include <stdlib.h>
#include <string.h>

#include "native/internal.h"

/* To be raised with every change of the layout of weights, of how they are quantised, or of what
 * is kept for bounds. */
#define VERSION 1u
#define ORDER 0x0102030405060708u
#define HEADER_BYTES 4096u
#define BLOCK_BYTES ((uint64_t)1 << 20)
#define AHEAD_BYTES ((uint64_t)16 << 20)

static const char magic[8] = "taktpack";

struct header {
    char magic[8];
    uint64_t order, version;
    uint64_t file_bytes, weight_bytes, fact_bytes;
    uint64_t weight_checksum, fact_checksum;
    char shape[72]; /* SHA-256, hex, of the matrices' names and sizes */
    uint64_t stamp_count;
    struct base_stamp stamps[NATIVE_STAMPS_MAX];
    char sha256[72];
    uint64_t checksum; /* of all 4096 bytes but these */
};
_Static_assert(sizeof(struct header) <= HEADER_BYTES - 64, "the header has grown");

struct native_packed {
    char path[1024];
    struct base_file file;
    struct header header;
    struct native_packed_source source;
};

/* ---- the header ------------------------------------------------------------------------------ */

/* Of the file's first bytes, with zeros where it stands itself. */
static uint64_t header_checksum(const unsigned char begin[HEADER_BYTES])
{
    unsigned char bytes[HEADER_BYTES];
    memcpy(bytes, begin, sizeof bytes);
    memset(bytes + offsetof(struct header, checksum), 0, sizeof(uint64_t));
    return base_checksum(VERSION, bytes, sizeof bytes);
}

/* What the layout follows from, as text, digested. */
static bool digest_shape(const struct native *native, char hex[65])
{
    struct base_digest *digest = base_digest_create();
    if (digest == NULL)
        return false;
    for (uint32_t i = 0; i < native->matrix_count; i++) {
        const struct graph_matrix *m = native->matrices[i].source;
        char line[256];
        const int length = snprintf(line, sizeof line, "%s %u %u %u %u %d %d %d %u\n", m->name,
                                    m->inputs, m->outputs, m->head_dim, m->rotary, m->bias != NULL,
                                    m->magnitudes != NULL, m->powers != NULL, NATIVE_PANEL);
        base_digest_update(digest, line, (size_t)length);
    }
    base_digest_update(digest, &native->graph->model->gain_offset, sizeof(float));
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
    return true;
}

static enum takt_status check_header(struct native_packed *packed, struct takt_error *error)
{
    const struct header *header = &packed->header;
    const char *wrong = NULL;
    if (packed->file.size_bytes < HEADER_BYTES || memcmp(header->magic, magic, sizeof magic) != 0)
        wrong = "is no file of packed weights";
    else if (header->order != ORDER || header->version != VERSION)
        wrong = "was written by another version of takt";
    else if (header->checksum != header_checksum(packed->file.data) ||
             header->stamp_count > NATIVE_STAMPS_MAX || header->sha256[64] != '\0' ||
             header->shape[64] != '\0')
        wrong = "is damaged at its beginning";
    else if (header->file_bytes != packed->file.size_bytes ||
             header->weight_bytes > header->file_bytes - HEADER_BYTES ||
             header->fact_bytes != header->file_bytes - HEADER_BYTES - header->weight_bytes)
        wrong = "is cut short";
    if (wrong != NULL)
        return base_fail(error, TAKT_FORMAT, "%s %s", packed->path, wrong);
    packed->source.stamp_count = (uint32_t)header->stamp_count;
    memcpy(packed->source.stamps, header->stamps, sizeof packed->source.stamps);
    memcpy(packed->source.sha256, header->sha256, sizeof packed->source.sha256);
    return TAKT_OK;
}

enum takt_status native_packed_open(struct native_packed **out, const char *path,
                                    struct takt_error *error)
{
    *out = NULL;
    struct native_packed *packed = calloc(1, sizeof *packed);
    if (packed == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory to open it", path);
    snprintf(packed->path, sizeof packed->path, "%s", path); /* for messages */
    enum takt_status status = base_file_map(&packed->file, path, error);
    if (status == TAKT_OK) {
        if (packed->file.size_bytes > 0) /* an empty file has no data */
            memcpy(&packed->header, packed->file.data,
                   BASE_MIN(packed->file.size_bytes, sizeof packed->header));
        status = check_header(packed, error);
    }
    if (status != TAKT_OK) {
        native_packed_close(packed);
        return status;
    }
    *out = packed;
    return TAKT_OK;
}

const struct native_packed_source *native_packed_source(const struct native_packed *packed)
{
    return &packed->source;
}

const char *native_packed_path(const struct native_packed *packed)
{
    return packed->path;
}

void native_packed_close(struct native_packed *packed)
{
    if (packed == NULL)
        return;
    base_file_unmap(&packed->file);
    free(packed);
}

/* ---- facts: what the graph keeps of each output for its bounds ------------------------------- */

static uint64_t up64(uint64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static uint64_t fact_bytes(const struct native *native)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < native->matrix_count; i++) {
        const struct graph_matrix *m = native->matrices[i].source;
        bytes += m->magnitudes != NULL ? up64(m->outputs * sizeof(double)) : 0;
        bytes += m->powers != NULL ? up64(m->outputs * sizeof(double)) : 0;
    }
    return bytes;
}

/* From the graph to `to`, or from `from` to the graph. */
static void move_facts(const struct native *native, unsigned char *to, const unsigned char *from)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < native->matrix_count; i++) {
        const struct graph_matrix *m = native->matrices[i].source;
        double *const facts[] = {m->magnitudes, m->powers};
        for (size_t j = 0; j < BASE_COUNT(facts); j++) {
            if (facts[j] == NULL)
                continue;
            if (to != NULL)
                memcpy(to + at, facts[j], m->outputs * sizeof(double));
            else
                memcpy(facts[j], from + at, m->outputs * sizeof(double));
            at += up64(m->outputs * sizeof(double));
        }
    }
}

/* ---- checksums on all threads ---------------------------------------------------------------- */

struct summing {
    const struct native *native;
    const struct base_file *file; /* NULL: the weights are in memory */
    const unsigned char *data;
    uint64_t bytes, blocks;
    uint64_t *sums; /* [blocks] */
};

static void sum_share(void *user, uint32_t index)
{
    const struct summing *summing = user;
    const struct native_options *options = &summing->native->options;
    const uint64_t first = summing->blocks * index / options->threads;
    const uint64_t end = summing->blocks * (index + 1) / options->threads;
    for (uint64_t i = first; i < end; i++) {
        const uint64_t at = i * BLOCK_BYTES, bytes = BASE_MIN(summing->bytes - at, BLOCK_BYTES);
        const uint64_t ahead = BASE_MIN(summing->bytes - at, AHEAD_BYTES);
        if (summing->file != NULL && (i - first) * BLOCK_BYTES % AHEAD_BYTES == 0)
            base_file_expect(summing->file, summing->data + at, ahead);
        summing->sums[i] = base_checksum(i, summing->data + at, bytes);
        if (index == 0 && options->on_load)
            options->on_load(options->user, (i - first) * BLOCK_BYTES * options->threads,
                             summing->bytes * options->threads);
    }
}

/* False without memory. */
static bool sum_weights(const struct native *native, const struct base_file *file,
                        const unsigned char *data, uint64_t bytes, uint64_t *sum)
{
    struct summing summing = {.native = native,
                              .file = file,
                              .data = data,
                              .bytes = bytes,
                              .blocks = (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES};
    const size_t room = up64(summing.blocks * sizeof *summing.sums);
    summing.sums = calloc(1, room + 64);
    if (summing.sums == NULL)
        return false;
    native_pool_run(native->pool, sum_share, &summing);
    *sum = base_checksum(bytes, summing.sums, room);
    free(summing.sums);
    return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum takt_status native_packed_accept(const struct native_packed *packed,
                                      const struct native *native, unsigned char **base,
                                      struct takt_error *error)
{
    char shape[65];
    if (!digest_shape(native, shape))
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a digest", packed->path);
    if (packed->header.weight_bytes != native->memory.weights ||
        packed->header.fact_bytes != fact_bytes(native) || strcmp(shape, packed->header.shape) != 0)
        return base_fail(error, TAKT_FORMAT, "%s has matrices of other sizes", packed->path);
    *base = (unsigned char *)(uintptr_t)packed->file.data + HEADER_BYTES;
    return TAKT_OK;
}

enum takt_status native_packed_check(struct native *native, struct takt_error *error)
{
    const struct native_packed *packed = native->options.packed;
    const struct header *header = &packed->header;
    const unsigned char *weights = packed->file.data + HEADER_BYTES;
    const unsigned char *facts = weights + header->weight_bytes;
    uint64_t sum;
    if (!sum_weights(native, &packed->file, weights, header->weight_bytes, &sum))
        return base_fail(error, TAKT_MEMORY, "%s: no memory to check it", packed->path);
    if (sum != header->weight_checksum ||
        base_checksum(VERSION, facts, header->fact_bytes) != header->fact_checksum)
        return base_fail(error, TAKT_FORMAT, "%s is damaged", packed->path);
    if (!*native->graph->bounded) {
        move_facts(native, NULL, facts);
        graph_bounds(native->graph);
    }
    const struct native_options *options = &native->options;
    if (options->on_load)
        options->on_load(options->user, header->weight_bytes, header->weight_bytes);
    return TAKT_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool fill_header(const struct native *native, const struct native_packed_source *source,
                        const unsigned char *facts, struct header *header)
{
    char shape[65];
    *header = (struct header){.order = ORDER,
                              .version = VERSION,
                              .weight_bytes = native->memory.weights,
                              .fact_bytes = fact_bytes(native),
                              .stamp_count = source->stamp_count};
    header->file_bytes = HEADER_BYTES + header->weight_bytes + header->fact_bytes;
    memcpy(header->magic, magic, sizeof magic);
    memcpy(header->stamps, source->stamps, sizeof header->stamps);
    memcpy(header->sha256, source->sha256, sizeof source->sha256);
    if (!digest_shape(native, shape) ||
        !sum_weights(native, NULL, native->weights.base, header->weight_bytes,
                     &header->weight_checksum))
        return false;
    memcpy(header->shape, shape, sizeof shape);
    header->fact_checksum = base_checksum(VERSION, facts, header->fact_bytes);
    return true;
}

enum takt_status native_packed_write(const struct native *native,
                                     const struct native_packed_source *source, const char *path,
                                     struct takt_error *error)
{
    BASE_ASSERT(native->options.packed == NULL);
    const uint64_t bytes = fact_bytes(native);
    struct header header;
    unsigned char begin[HEADER_BYTES] = {0};
    unsigned char *facts = calloc(1, bytes + 64);
    if (facts != NULL)
        move_facts(native, facts, NULL);
    if (facts == NULL || !fill_header(native, source, facts, &header)) {
        free(facts);
        return base_fail(error, TAKT_MEMORY, "%s: no memory to write it", path);
    }
    memcpy(begin, &header, sizeof header);
    header.checksum = header_checksum(begin);
    memcpy(begin, &header, sizeof header);
    struct base_output output;
    enum takt_status status = base_output_open(&output, path, error);
    if (status == TAKT_OK)
        status = base_output_write(&output, begin, sizeof begin, error);
    if (status == TAKT_OK)
        status = base_output_write(&output, native->weights.base, header.weight_bytes, error);
    if (status == TAKT_OK)
        status = base_output_write(&output, facts, bytes, error);
    if (status == TAKT_OK)
        status = base_output_commit(&output, error);
    free(facts);
    return status;
}
