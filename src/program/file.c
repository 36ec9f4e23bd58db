/*
 * The binary form of a program. All numbers little-endian, nothing aligned:
 *
 *   "taktprog" | u32 version | u64 bytes of everything after this number but the digest
 *   machine name[32] | hashed part | image | SHA-256 of everything before it, 64 hex digits
 *
 *   hashed part: u32 parameters of the machine, each name[32] u32 | u64 cycles
 *                u32 queues, each: u32 words, words u64,
 *                                  u32 blocks in memory, places (u16 slice, u16 address)
 *                u32 bindings, each: name[48], u8 output, u32 element_bytes items rows elements,
 *                                    sources i32, places (u16 slice, u16 address)
 *                u32 parameters, each: name[32], i64
 *   image:       u32 segments, each: u16 slice, u16 address, u32 count, count vectors
 *
 * program_hash is the digest of the hashed part: image and machine name do not make another
 * program.
 */
#include "program/program.h"
#include "program/rules.h"

#include <string.h>

#define MAGIC "taktprog"
#define MAGIC_BYTES 8u
#define VERSION 2u
#define HEADER_BYTES (MAGIC_BYTES + 4u + 8u)
#define DIGEST_BYTES 64u
#define MACHINE_NAME_BYTES sizeof(((struct machine *)0)->name)
#define BINDING_NAME_BYTES sizeof(((struct program_binding *)0)->name)
#define PARAMETER_NAME_BYTES sizeof(((struct program_parameter *)0)->name)
#define ROW_NAME_BYTES 32u /* of a machine parameter */

/* ---- writing --------------------------------------------------------------------------------- */

/* Bytes go to a text or a digest, through a buffer, since most pieces are small. */
struct sink {
    struct base_text *text;
    struct base_digest *digest;
    size_t used;
    unsigned char buffer[4096];
};

static void flush(struct sink *sink)
{
    if (sink->text != NULL) {
        base_text_append(sink->text, (const char *)sink->buffer, sink->used);
    }
    if (sink->digest != NULL) {
        base_digest_update(sink->digest, sink->buffer, sink->used);
    }
    sink->used = 0;
}

static void put_bytes(struct sink *sink, const void *data, size_t size_bytes)
{
    const unsigned char *bytes = data;
    while (size_bytes > 0) {
        size_t piece = BASE_MIN(size_bytes, sizeof sink->buffer - sink->used);
        memcpy(sink->buffer + sink->used, bytes, piece);
        sink->used += piece;
        bytes += piece;
        size_bytes -= piece;
        if (sink->used == sizeof sink->buffer) {
            flush(sink);
        }
    }
}

static void put_number(struct sink *sink, uint64_t value, unsigned size_bytes)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < size_bytes; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i) & 0xffu);
    }
    put_bytes(sink, bytes, size_bytes);
}

/* size_bytes of a name, zeros after its end whatever the array holds there. */
static void put_name(struct sink *sink, const char *name, size_t size_bytes)
{
    char padded[64] = {0};
    size_t length = strlen(name);
    BASE_ASSERT(length < size_bytes && size_bytes <= sizeof padded);
    memcpy(padded, name, length);
    put_bytes(sink, padded, size_bytes);
}

static void put_binding(struct sink *sink, const struct program_binding *binding, uint32_t lanes)
{
    put_name(sink, binding->name, BINDING_NAME_BYTES);
    put_number(sink, binding->output, 1);
    put_number(sink, binding->element_bytes, 4);
    put_number(sink, binding->items, 4);
    put_number(sink, binding->rows, 4);
    put_number(sink, binding->elements, 4);
    uint64_t sources = program_rules_sources(binding, lanes);
    for (uint64_t i = 0; i < sources; i++) {
        put_number(sink, (uint32_t)binding->source[i], 4);
    }
    uint64_t places = program_rules_places(binding);
    for (uint64_t i = 0; i < places; i++) {
        put_number(sink, binding->places[i].slice, 2);
        put_number(sink, binding->places[i].address, 2);
    }
}

static void put_program(struct sink *sink, const struct program *program)
{
    put_number(sink, machine_parameter_count(), 4);
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        put_name(sink, machine_parameter(i)->name, ROW_NAME_BYTES);
        put_number(sink, machine_parameter_get(&program->machine, i), 4);
    }
    put_number(sink, program->cycles, 8);
    put_number(sink, program->queue_count, 4);
    for (uint32_t i = 0; i < program->queue_count; i++) {
        put_number(sink, program->queue_words[i], 4);
        for (uint32_t j = 0; j < program->queue_words[i]; j++) {
            put_number(sink, program->text[i][j], 8);
        }
        uint32_t blocks = program->text_blocks == NULL ? 0 : program->text_blocks[i];
        put_number(sink, blocks, 4);
        for (uint32_t j = 0; j < blocks; j++) {
            put_number(sink, program->text_places[i][j].slice, 2);
            put_number(sink, program->text_places[i][j].address, 2);
        }
    }
    put_number(sink, program->binding_count, 4);
    for (uint32_t i = 0; i < program->binding_count; i++) {
        put_binding(sink, &program->bindings[i], machine_lanes(&program->machine));
    }
    put_number(sink, program->parameter_count, 4);
    for (uint32_t i = 0; i < program->parameter_count; i++) {
        put_name(sink, program->parameters[i].name, PARAMETER_NAME_BYTES);
        put_number(sink, (uint64_t)program->parameters[i].value, 8);
    }
}

static void put_image(struct sink *sink, const struct program_image *image, uint32_t lanes)
{
    uint32_t count = image == NULL ? 0 : image->segment_count;
    put_number(sink, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        const struct program_segment *segment = &image->segments[i];
        put_number(sink, segment->slice, 2);
        put_number(sink, segment->address, 2);
        put_number(sink, segment->count, 4);
        put_bytes(sink, segment->data, (size_t)segment->count * lanes);
    }
}

static void digest_hex(const void *bytes, size_t size_bytes, char hex[65])
{
    struct base_digest *digest = base_digest_create();
    BASE_ASSERT(digest != NULL); /* a few hundred bytes; as with texts, no case takt has */
    base_digest_update(digest, bytes, size_bytes);
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
}

void program_hash(const struct program *program, char hex[65])
{
    struct sink sink = {.digest = base_digest_create()};
    BASE_ASSERT(sink.digest != NULL);
    put_program(&sink, program);
    flush(&sink);
    base_digest_hex(sink.digest, hex);
    base_digest_destroy(sink.digest);
}

void program_encode(const struct program *program, const struct program_image *image,
                    struct base_text *out)
{
    char hex[65];
    size_t start = out->length;
    struct sink sink = {.text = out};
    put_bytes(&sink, MAGIC, MAGIC_BYTES);
    put_number(&sink, VERSION, 4);
    put_number(&sink, 0, 8); /* the length: filled in when it is known */
    put_name(&sink, program->machine.name, MACHINE_NAME_BYTES);
    put_program(&sink, program);
    put_image(&sink, image, machine_lanes(&program->machine));
    flush(&sink);
    uint64_t length = out->length - start - HEADER_BYTES;
    for (unsigned i = 0; i < 8; i++) {
        unsigned char byte = (unsigned char)(length >> (8 * i) & 0xffu);
        memcpy(out->data + start + MAGIC_BYTES + 4 + i, &byte, 1);
    }
    digest_hex(out->data + start, out->length - start, hex);
    base_text_append(out, hex, DIGEST_BYTES);
}

enum takt_status program_write(const struct program *program, const struct program_image *image,
                               const char *path, struct takt_error *error)
{
    struct base_text text = {NULL, 0, 0};
    program_encode(program, image, &text);
    enum takt_status status = base_file_write(path, text.data, text.length, error);
    base_text_free(&text);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The first failure sticks: after it every get gives zeros, and loops end by their own checks. */
struct source {
    const unsigned char *bytes;
    size_t size_bytes;
    size_t at;
    struct base_arena *arena;
    enum takt_status status;
    struct takt_error error;
};

static void fail(struct source *source, enum takt_status status, const char *what)
{
    if (source->status == TAKT_OK) {
        source->status = base_fail(&source->error, status, "byte %zu: %s", source->at, what);
    }
}

static size_t left(const struct source *source)
{
    return source->size_bytes - source->at;
}

/* The next size_bytes bytes, or NULL. */
static const unsigned char *get_bytes(struct source *source, uint64_t size_bytes)
{
    if (source->status != TAKT_OK || size_bytes > left(source)) {
        fail(source, TAKT_FORMAT, "the data ends early; write the file again");
        return NULL;
    }
    const unsigned char *bytes = source->bytes + source->at;
    source->at += (size_t)size_bytes;
    return bytes;
}

static uint64_t get_number(struct source *source, unsigned size_bytes)
{
    const unsigned char *bytes = get_bytes(source, size_bytes);
    uint64_t value = 0;
    for (unsigned i = 0; bytes != NULL && i < size_bytes; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static uint32_t get_u32(struct source *source)
{
    return (uint32_t)get_number(source, 4);
}

/* A number of things of at least `least_bytes` each, of which the file must have that many. */
static uint32_t get_count(struct source *source, size_t least_bytes, const char *what)
{
    uint32_t count = get_u32(source);
    if (count > left(source) / least_bytes) {
        fail(source, TAKT_FORMAT, what);
        return 0;
    }
    return count;
}

static void get_name(struct source *source, char *name, size_t size_bytes)
{
    const unsigned char *bytes = get_bytes(source, size_bytes);
    memset(name, 0, size_bytes);
    if (bytes == NULL) {
        return;
    }
    size_t length = 0;
    while (length < size_bytes && bytes[length] != 0) {
        length++;
    }
    for (size_t i = length; i < size_bytes; i++) {
        if (bytes[i] != 0) {
            fail(source, TAKT_FORMAT, "a name has bytes after its end");
            return;
        }
    }
    if (length == size_bytes) {
        fail(source, TAKT_FORMAT, "a name does not end");
        return;
    }
    memcpy(name, bytes, length);
}

static void *take(struct source *source, uint64_t count, size_t size_bytes)
{
    if (source->status != TAKT_OK) {
        return NULL;
    }
    void *memory = program_rules_take(source->arena, count, size_bytes);
    if (memory == NULL) {
        fail(source, TAKT_LIMIT, "the program does not fit the memory reserved for it");
    }
    return memory;
}

static void get_machine(struct source *source, struct machine *machine)
{
    char name[ROW_NAME_BYTES];
    uint32_t count = get_u32(source);
    if (count != machine_parameter_count()) {
        fail(source, TAKT_FORMAT, "another number of machine parameters than this version has");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        get_name(source, name, sizeof name);
        uint32_t value = get_u32(source);
        if (strcmp(name, machine_parameter(i)->name) != 0) {
            fail(source, TAKT_FORMAT, "another machine parameter than this version has here");
            return;
        }
        machine_parameter_put(machine, i, value);
    }
    struct takt_error inner = {TAKT_OK, ""};
    if (source->status == TAKT_OK && machine_check(machine, &inner) != TAKT_OK) {
        fail(source, TAKT_FORMAT, inner.message);
    }
}

static void get_text(struct source *source, struct program *program)
{
    uint32_t count = get_count(source, 4, "more queues than data");
    if (source->status == TAKT_OK && count != machine_queue_count(&program->machine)) {
        fail(source, TAKT_FORMAT, "another number of queues than the machine has");
        return;
    }
    program->queue_words = take(source, count, sizeof *program->queue_words);
    program->text = take(source, count, sizeof *program->text);
    program->text_blocks = take(source, count, sizeof *program->text_blocks);
    program->text_places = take(source, count, sizeof *program->text_places);
    for (uint32_t i = 0; i < count && source->status == TAKT_OK; i++) {
        uint32_t words = get_count(source, 8, "more words in a queue than data");
        uint64_t *text = take(source, words, sizeof *text);
        for (uint32_t j = 0; j < words && source->status == TAKT_OK; j++) {
            text[j] = get_number(source, 8);
        }
        uint32_t blocks = get_count(source, 4, "more blocks of text than data");
        struct program_place *places = take(source, blocks, sizeof *places);
        for (uint32_t j = 0; j < blocks && source->status == TAKT_OK; j++) {
            places[j].slice = (uint16_t)get_number(source, 2);
            places[j].address = (uint16_t)get_number(source, 2);
        }
        if (source->status != TAKT_OK) {
            return;
        }
        program->text_blocks[i] = blocks;
        program->text_places[i] = places;
        program->queue_words[i] = words;
        program->text[i] = text;
    }
    program->queue_count = count;
}

static void get_binding(struct source *source, struct program_binding *binding, uint32_t lanes)
{
    get_name(source, binding->name, sizeof binding->name);
    uint64_t output = get_number(source, 1);
    binding->output = output == 1;
    binding->element_bytes = get_u32(source);
    binding->items = get_u32(source);
    binding->rows = get_u32(source);
    binding->elements = get_u32(source);
    if (output > 1 || binding->element_bytes > 4) {
        fail(source, TAKT_FORMAT, "a binding's direction or element size is not one there is");
        return;
    }
    uint64_t sources = program_rules_sources(binding, lanes);
    uint64_t places = program_rules_places(binding);
    if (sources > left(source) / 4 || places > left(source) / 4) {
        fail(source, TAKT_FORMAT, "a binding has more entries than data");
        return;
    }
    binding->source = take(source, sources, sizeof *binding->source);
    for (uint64_t i = 0; i < sources && source->status == TAKT_OK; i++) {
        uint32_t bits = get_u32(source);
        memcpy(&binding->source[i], &bits, sizeof bits);
    }
    binding->places = take(source, places, sizeof *binding->places);
    for (uint64_t i = 0; i < places && source->status == TAKT_OK; i++) {
        binding->places[i].slice = (uint16_t)get_number(source, 2);
        binding->places[i].address = (uint16_t)get_number(source, 2);
    }
}

static void get_names(struct source *source, struct program *program)
{
    uint32_t count = get_count(source, BINDING_NAME_BYTES, "more bindings than data");
    program->bindings = take(source, count, sizeof *program->bindings);
    for (uint32_t i = 0; i < count && source->status == TAKT_OK; i++) {
        get_binding(source, &program->bindings[i], machine_lanes(&program->machine));
    }
    program->binding_count = count;
    count = get_count(source, PARAMETER_NAME_BYTES, "more parameters than data");
    program->parameters = take(source, count, sizeof *program->parameters);
    for (uint32_t i = 0; i < count && source->status == TAKT_OK; i++) {
        struct program_parameter *parameter = &program->parameters[i];
        get_name(source, parameter->name, sizeof parameter->name);
        uint64_t bits = get_number(source, 8);
        memcpy(&parameter->value, &bits, sizeof bits);
    }
    program->parameter_count = count;
}

static void get_image(struct source *source, const struct machine *machine,
                      struct program_image *image)
{
    uint32_t count = get_count(source, 8, "more segments than data");
    image->segments = take(source, count, sizeof *image->segments);
    for (uint32_t i = 0; i < count && source->status == TAKT_OK; i++) {
        struct program_segment *segment = &image->segments[i];
        segment->slice = (uint16_t)get_number(source, 2);
        segment->address = (uint16_t)get_number(source, 2);
        segment->count = get_u32(source);
        uint64_t size_bytes = (uint64_t)segment->count * machine_lanes(machine);
        const unsigned char *bytes = get_bytes(source, size_bytes);
        uint8_t *data = bytes == NULL ? NULL : take(source, size_bytes, 1);
        if (data != NULL && size_bytes > 0) {
            memcpy(data, bytes, (size_t)size_bytes);
        }
        segment->data = data;
    }
    image->segment_count = count;
}

/* Magic, version, length and digest: after this the bytes are what program_encode made of some
 * program, or somebody took the trouble to compute a digest; so the rest is checked all the same.
 */
static void open_envelope(struct source *source)
{
    char hex[65];
    const unsigned char *magic = get_bytes(source, MAGIC_BYTES);
    if (magic != NULL && memcmp(magic, MAGIC, MAGIC_BYTES) != 0) {
        fail(source, TAKT_FORMAT, "not a program file: it does not begin with \"" MAGIC "\"");
    }
    uint32_t version = get_u32(source);
    if (source->status == TAKT_OK && version != VERSION) {
        fail(source, TAKT_UNSUPPORTED, "another version of the program format; compile it again");
    }
    uint64_t length = get_number(source, 8);
    if (source->status != TAKT_OK) {
        return;
    }
    if (left(source) < DIGEST_BYTES || length != left(source) - DIGEST_BYTES) {
        fail(source, TAKT_FORMAT, "the file is shorter or longer than it says; write it again");
        return;
    }
    source->size_bytes -= DIGEST_BYTES;
    digest_hex(source->bytes, source->size_bytes, hex);
    if (memcmp(hex, source->bytes + source->size_bytes, DIGEST_BYTES) != 0) {
        fail(source, TAKT_FORMAT, "the digest does not match: the file was changed");
    }
}

bool program_is_file(const void *bytes, size_t size_bytes)
{
    return size_bytes >= MAGIC_BYTES && memcmp(bytes, MAGIC, MAGIC_BYTES) == 0;
}

enum takt_status program_decode(const char *path, const void *bytes, size_t size_bytes,
                                struct base_arena *arena, struct program *program,
                                struct program_image *image, struct takt_error *error)
{
    struct source source = {.bytes = bytes, .size_bytes = size_bytes, .arena = arena};
    struct takt_error inner = {TAKT_OK, ""};
    memset(program, 0, sizeof *program);
    memset(image, 0, sizeof *image);
    open_envelope(&source);
    get_name(&source, program->machine.name, sizeof program->machine.name);
    get_machine(&source, &program->machine);
    program->cycles = get_number(&source, 8);
    if (source.status == TAKT_OK) {
        get_text(&source, program);
    }
    if (source.status == TAKT_OK) {
        get_names(&source, program);
    }
    if (source.status == TAKT_OK) {
        get_image(&source, &program->machine, image);
    }
    if (source.status == TAKT_OK && left(&source) != 0) {
        fail(&source, TAKT_FORMAT, "data after the last segment");
    }
    enum takt_status status = source.status;
    if (status != TAKT_OK) {
        return base_fail(error, status, "%s: %s", path, source.error.message);
    }
    status = program_check(program, &inner);
    if (status == TAKT_OK) {
        status = program_image_check(&program->machine, image, &inner);
    }
    return status == TAKT_OK ? TAKT_OK : base_fail(error, status, "%s: %s", path, inner.message);
}

enum takt_status program_read(const char *path, struct base_arena *arena, struct program *program,
                              struct program_image *image, struct takt_error *error)
{
    struct base_file file = {0};
    enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK) {
        return status;
    }
    status = program_decode(path, file.data, file.size_bytes, arena, program, image, error);
    base_file_unmap(&file);
    return status;
}
