/* program: what a program may be, its binary and assembly forms, and how broken ones are refused.
 */
#include "tests.h"

#include <glob.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "program/assembly.h"
#include "program/program.h"

#define ARENA_BYTES ((size_t)64 << 20)

static void new_arena(struct base_arena *arena)
{
    assert_int_equal(base_arena_create(arena, ARENA_BYTES, NULL), TAKT_OK);
}

static void assemble(const char *source, struct base_arena *arena,
                     struct program_assembly *assembly)
{
    struct takt_error error = {TAKT_OK, ""};
    if (program_assemble("t.s", source, strlen(source), arena, assembly, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
}

static bool same_image(const struct program_image *a, const struct program_image *b, size_t lanes)
{
    bool same = a->segment_count == b->segment_count;
    for (uint32_t i = 0; same && i < a->segment_count; i++) {
        const struct program_segment *x = &a->segments[i], *y = &b->segments[i];
        same = x->slice == y->slice && x->address == y->address && x->count == y->count &&
               (x->count == 0 || memcmp(x->data, y->data, x->count * lanes) == 0);
    }
    return same;
}

/* ---- random programs --------------------------------------------------------------------- */

static uint32_t draw(uint64_t seed, uint64_t *counter, uint32_t below)
{
    return (uint32_t)(base_random_u64(seed, 9, (*counter)++) % below);
}

/* Operands within this machine; false when the row has no room for them in the queue. */
static bool draw_operands(const struct machine *machine, struct machine_queue queue,
                          struct isa_instruction *instruction, uint64_t seed, uint64_t *counter)
{
    const struct isa_op_info *info = isa_op_info((enum isa_op)instruction->op);
    for (size_t i = 0; i < ISA_FIELDS_MAX && info->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(info->fields[i]);
        uint32_t value = draw(seed, counter, 1u << (field->bits < 32 ? field->bits : 31));
        if (info->fields[i] == ISA_FIELD_ADDRESS || info->fields[i] == ISA_FIELD_ADDRESS2) {
            value %= machine->mem_words;
        } else if (info->fields[i] == ISA_FIELD_INDEX) {
            value %= info->unit == ISA_UNIT_MXM_WEIGHTS ? machine->superlanes
                                                        : machine->mxm_accumulators;
        } else if (info->fields[i] == ISA_FIELD_DISTANCE) {
            value %= machine_lanes(machine);
        } else if (info->fields[i] == ISA_FIELD_LINK) {
            if (machine->c2c_links < 2) {
                return false;
            }
            value = value % (machine->c2c_links / 2) * 2 + queue.hemisphere;
        } else if (info->fields[i] == ISA_FIELD_SUPERLANES) {
            value = 1 + value % machine->superlanes;
        } else if (field->kind == ISA_KIND_POSITIVE && value == 0) {
            value = 1;
        } else if (field->width > 0) {
            value -= value % field->width;
            if (queue.unit == ISA_UNIT_VXM || queue.unit == ISA_UNIT_VXM_LARGE) {
                /* into the first group of four that the row reaches */
                value = (value & 32u) | (8 * (queue.index / 4) + value % 4);
            }
        }
        isa_field_put(instruction, info->fields[i], value);
    }
    return true;
}

static void random_queue(struct program *program, uint32_t index, struct base_arena *arena,
                         uint64_t seed, uint64_t *counter)
{
    uint32_t words = draw(seed, counter, 12);
    struct machine_queue queue = machine_queue(&program->machine, index);
    bool own = false; /* the word before is of the queue's own unit */
    program->text[index] = BASE_NEW(arena, uint64_t, words);
    while (program->queue_words[index] < words) {
        struct isa_instruction instruction = {0};
        instruction.op = (uint8_t)draw(seed, counter, ISA_OP_COUNT);
        enum isa_op op = (enum isa_op)instruction.op;
        if (!machine_queue_accepts(queue.unit, op) || (op == ISA_REPEAT && !own) ||
            (op == ISA_ABC_F16 && queue.index != 0)) {
            continue;
        }
        if (!draw_operands(&program->machine, queue, &instruction, seed, counter)) {
            continue;
        }
        if (op == ISA_REPEAT) {
            instruction.step = 0;
        }
        own = isa_op_info(op)->unit != ISA_UNIT_ICU;
        program->text[index][program->queue_words[index]++] = isa_encode(&instruction);
    }
}

static void random_binding(struct program *program, uint32_t index, struct base_arena *arena,
                           uint64_t seed, uint64_t *counter)
{
    struct program_binding *binding = &program->bindings[index];
    uint32_t lanes = machine_lanes(&program->machine);
    (void)snprintf(binding->name, sizeof binding->name, "tensor.%u", index);
    binding->output = draw(seed, counter, 2) != 0;
    binding->element_bytes = 1u << draw(seed, counter, 3);
    binding->items = draw(seed, counter, 4);
    binding->rows = draw(seed, counter, 4);
    binding->elements = 1 + draw(seed, counter, 3 * lanes);
    binding->source = BASE_NEW(arena, int32_t, binding->rows * lanes);
    for (uint32_t i = 0; i < binding->rows * lanes; i++) {
        int32_t run = (int32_t)(i % binding->elements);
        binding->source[i] = draw(seed, counter, 8) != 0 ? run : -1;
    }
    uint32_t places = binding->items * binding->rows * binding->element_bytes;
    binding->places = BASE_NEW(arena, struct program_place, places);
    for (uint32_t i = 0; i < places; i++) {
        binding->places[i].slice = (uint16_t)draw(seed, counter, 2 * program->machine.mem_slices);
        binding->places[i].address = (uint16_t)draw(seed, counter, program->machine.mem_words);
    }
}

static void random_image(const struct machine *machine, struct program_image *image,
                         struct base_arena *arena, uint64_t seed, uint64_t *counter)
{
    uint32_t lanes = machine_lanes(machine);
    image->segment_count = draw(seed, counter, 5);
    image->segments = BASE_NEW(arena, struct program_segment, image->segment_count);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        struct program_segment *segment = &image->segments[i];
        uint32_t count = 1 + draw(seed, counter, 3);
        uint8_t *data = BASE_NEW(arena, uint8_t, count * lanes);
        for (uint32_t j = 0; j < count * lanes; j++) {
            data[j] = j < lanes ? 7 : (uint8_t)draw(seed, counter, 256);
        }
        *segment = (struct program_segment){(uint16_t)(3 * i), (uint16_t)(i + 2), count, data};
    }
}

/* Places for the blocks of half of the texts that have more than one. */
static void random_text_places(struct program *program, struct base_arena *arena, uint64_t seed,
                               uint64_t *counter)
{
    const struct machine *machine = &program->machine;
    program->text_blocks = BASE_NEW(arena, uint32_t, program->queue_count);
    program->text_places = BASE_NEW(arena, struct program_place *, program->queue_count);
    for (uint32_t i = 0; i < program->queue_count; i++) {
        const uint32_t blocks = program_text_block_count(program, i);
        if (blocks < 2 || draw(seed, counter, 2) == 0) {
            continue;
        }
        program->text_blocks[i] = blocks - 1;
        program->text_places[i] = BASE_NEW(arena, struct program_place, blocks - 1);
        for (uint32_t b = 0; b + 1 < blocks; b++) {
            program->text_places[i][b].slice =
                (uint16_t)draw(seed, counter, 2 * machine->mem_slices);
            program->text_places[i][b].address =
                (uint16_t)draw(seed, counter, machine->mem_words - 1);
        }
    }
}

static void random_program(struct program *program, struct program_image *image,
                           struct base_arena *arena, uint64_t seed)
{
    uint64_t counter = 0;
    memset(program, 0, sizeof *program);
    machine_tsp1(&program->machine);
    program->machine.superlanes = 1 + draw(seed, &counter, 4);
    program->machine.mem_slices = 20 + 4 * draw(seed, &counter, 4);
    program->machine.vxm_cycles = 1 + draw(seed, &counter, 4);
    program->cycles = base_random_u64(seed, 1, 1) >> (1 + draw(seed, &counter, 60));
    program->queue_count = machine_queue_count(&program->machine);
    program->queue_words = BASE_NEW(arena, uint32_t, program->queue_count);
    program->text = BASE_NEW(arena, uint64_t *, program->queue_count);
    for (uint32_t i = 0; i < program->queue_count; i++) {
        random_queue(program, i, arena, seed, &counter);
    }
    random_text_places(program, arena, seed, &counter);
    program->binding_count = draw(seed, &counter, 5);
    program->bindings = BASE_NEW(arena, struct program_binding, program->binding_count);
    for (uint32_t i = 0; i < program->binding_count; i++) {
        random_binding(program, i, arena, seed, &counter);
    }
    program->parameter_count = draw(seed, &counter, 4);
    program->parameters = BASE_NEW(arena, struct program_parameter, program->parameter_count);
    for (uint32_t i = 0; i < program->parameter_count; i++) {
        (void)snprintf(program->parameters[i].name, sizeof program->parameters[i].name, "p%u", i);
        uint64_t value = base_random_u64(seed, 2, i);
        memcpy(&program->parameters[i].value, &value, sizeof value);
    }
    random_image(&program->machine, image, arena, seed, &counter);
}

static void test_random_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct base_arena arena;
        struct program program, decoded;
        struct program_image image, decoded_image;
        struct program_assembly assembly;
        struct base_text bytes = {NULL, 0, 0}, text = {NULL, 0, 0}, again = {NULL, 0, 0};
        struct takt_error error = {TAKT_OK, ""};
        char hash[65], other[65];
        new_arena(&arena);
        random_program(&program, &image, &arena, seed);
        if (program_check(&program, &error) != TAKT_OK) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
        }
        program_hash(&program, hash);
        program_encode(&program, &image, &bytes);
        if (program_decode("p", bytes.data, bytes.length, &arena, &decoded, &decoded_image,
                           &error) != TAKT_OK) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
        }
        program_hash(&decoded, other);
        assert_string_equal(hash, other);
        assert_true(same_image(&image, &decoded_image, machine_lanes(&program.machine)));
        program_disassemble(&program, &image, &text);
        assemble(text.data, &arena, &assembly);
        program_hash(&assembly.program, other);
        assert_string_equal(hash, other);
        assert_true(same_image(&image, &assembly.image, machine_lanes(&program.machine)));
        program_disassemble(&assembly.program, &assembly.image, &again);
        assert_string_equal(text.data, again.data);
        base_text_free(&bytes);
        base_text_free(&text);
        base_text_free(&again);
        base_arena_destroy(&arena);
    }
}

/* ---- binary form --------------------------------------------------------------------------- */

static void check_refused(const char *bytes, size_t length)
{
    struct base_arena arena;
    struct program program;
    struct program_image image;
    struct takt_error error = {TAKT_OK, ""};
    new_arena(&arena);
    enum takt_status status = program_decode("p", bytes, length, &arena, &program, &image, &error);
    assert_true(status == TAKT_FORMAT || status == TAKT_UNSUPPORTED);
    assert_memory_equal(error.message, "p: ", 3);
    assert_null(strchr(error.message, '\n'));
    base_arena_destroy(&arena);
}

static void test_broken_files(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program program;
    struct program_image image;
    struct base_text bytes = {NULL, 0, 0};
    new_arena(&arena);
    random_program(&program, &image, &arena, 3);
    program_encode(&program, &image, &bytes);
    for (size_t cut = 0; cut < bytes.length; cut += cut < 200 ? 1 : 97) {
        check_refused(bytes.data, cut);
    }
    for (size_t i = 0; i < bytes.length; i += i < 200 ? 1 : 101) {
        bytes.data[i] = (char)(bytes.data[i] ^ (1 << (i % 8)));
        check_refused(bytes.data, bytes.length);
        bytes.data[i] = (char)(bytes.data[i] ^ (1 << (i % 8)));
    }
    base_text_append(&bytes, "x", 1);
    check_refused(bytes.data, bytes.length);
    base_text_free(&bytes);
    base_arena_destroy(&arena);
}

/* Bytes changed and the digest made anew: every length and value must still be checked. */
static void test_forged_files(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program program;
    struct program_image image;
    struct base_text bytes = {NULL, 0, 0};
    size_t refused = 0;
    new_arena(&arena);
    random_program(&program, &image, &arena, 5);
    program_encode(&program, &image, &bytes);
    size_t body = bytes.length - 64;
    size_t mark = arena.used_bytes;
    for (uint64_t i = 0; i < 3000; i++) {
        struct program decoded;
        struct program_image decoded_image;
        struct takt_error error = {TAKT_OK, ""};
        size_t at = 20 + (size_t)(base_random_u64(4, 0, i) % (body - 20));
        char before = bytes.data[at];
        bytes.data[at] = (char)(base_random_u64(4, 1, i) & 0x7f);
        struct base_digest *digest = base_digest_create();
        char hex[65];
        base_digest_update(digest, bytes.data, body);
        base_digest_hex(digest, hex);
        base_digest_destroy(digest);
        memcpy(bytes.data + body, hex, 64);
        enum takt_status status =
            program_decode("p", bytes.data, bytes.length, &arena, &decoded, &decoded_image, &error);
        refused += status != TAKT_OK;
        assert_true(status != TAKT_OK || program_check(&decoded, NULL) == TAKT_OK);
        bytes.data[at] = before;
        memset(arena.base + mark, 0, arena.used_bytes - mark);
        arena.used_bytes = mark;
    }
    assert_true(refused > 100);
    base_text_free(&bytes);
    base_arena_destroy(&arena);
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/takt-program-XXXXXX";
    struct base_arena arena;
    struct program program, decoded;
    struct program_image image, decoded_image;
    struct takt_error error = {TAKT_OK, ""};
    char hash[65], other[65];
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    new_arena(&arena);
    random_program(&program, &image, &arena, 8);
    assert_int_equal(program_write(&program, &image, path, &error), TAKT_OK);
    assert_int_equal(program_read(path, &arena, &decoded, &decoded_image, &error), TAKT_OK);
    program_hash(&program, hash);
    program_hash(&decoded, other);
    assert_string_equal(hash, other);
    assert_string_equal(decoded.machine.name, "tsp1");
    unlink(path);
    assert_int_equal(program_read(path, &arena, &decoded, &decoded_image, &error), TAKT_IO);
    struct base_text bytes = {NULL, 0, 0};
    struct base_arena small;
    assert_int_equal(base_arena_create(&small, 64, NULL), TAKT_OK);
    program_encode(&program, &image, &bytes);
    assert_int_equal(
        program_decode("p", bytes.data, bytes.length, &small, &decoded, &decoded_image, &error),
        TAKT_LIMIT);
    base_text_free(&bytes);
    base_arena_destroy(&small);
    base_arena_destroy(&arena);
}

/* ---- hash, look-up ----------------------------------------------------------------------------
 */

static void test_hash(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    char hash[65], other[65];
    new_arena(&arena);
    const char *const sources[] = {
        ".queue mem.e0\nread 1, e0\n",
        ".queue mem.e0\nread 2, e0\n",
        ".queue mem.e1\nread 1, e0\n",
        ".machine superlanes = 2\n.queue mem.e0\nread 1, e0\n",
        ".parameter a 1\n.queue mem.e0\nread 1, e0\n",
        ".parameter a 2\n.queue mem.e0\nread 1, e0\n",
        ".cycles 3\n.queue mem.e0\nread 1, e0\n",
        ".binding a input 1 0 0 0\n.queue mem.e0\nread 1, e0\n",
    };
    for (size_t i = 0; i < BASE_COUNT(sources); i++) {
        for (size_t j = 0; j < BASE_COUNT(sources); j++) {
            assemble(sources[i], &arena, &assembly);
            program_hash(&assembly.program, hash);
            assemble(sources[j], &arena, &assembly);
            program_hash(&assembly.program, other);
            assert_int_equal(strcmp(hash, other) == 0, i == j);
        }
    }
    assemble(".machine name = \"other ; name\"\n.data mem.e0 0 fill 1\n.queue mem.e0\nread 1, e0\n",
             &arena, &assembly);
    program_hash(&assembly.program, other);
    assemble(sources[0], &arena, &assembly);
    program_hash(&assembly.program, hash);
    assert_string_equal(hash, other);
    base_arena_destroy(&arena);
}

static void test_look_up(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    new_arena(&arena);
    assemble(".machine superlanes = 1\n.parameter chunk 16\n.parameter low -9223372036854775808\n"
             ".binding x input 2 1 1 8\n.source 7 8 -1\n.source -1 8 0\n"
             ".places mem.w3 17 mem.e0 18 ; the two byte planes\n"
             ".binding y output 1 0 0 0\n.queue vxm.0\nsync\n",
             &arena, &assembly);
    const struct program *program = &assembly.program;
    assert_int_equal(program_parameter(program, "chunk", -1), 16);
    assert_true(program_parameter(program, "low", -1) == INT64_MIN);
    assert_int_equal(program_parameter(program, "none", -1), -1);
    assert_null(program_binding(program, "z"));
    const struct program_binding *x = program_binding(program, "x");
    assert_non_null(x);
    assert_false(x->output);
    assert_int_equal(x->source[0], 7);
    assert_int_equal(x->source[7], 0);
    assert_int_equal(x->source[15], -1);
    assert_int_equal(x->places[0].slice, 3);
    assert_int_equal(x->places[1].slice, 44);
    assert_int_equal(x->places[1].address, 18);
    assert_true(program_binding(program, "y")->output);
    assert_int_equal(program_text_bytes(program), 1);
    base_arena_destroy(&arena);
}

/* ---- assembly form -----------------------------------------------------------------------------
 */

static void test_vectors(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    new_arena(&arena);
    assemble(".machine superlanes = 1\n"
             ".data mem.e0 0 fill -1\n"
             ".data mem.e0 1 iota 250 3\n"
             ".data mem.e0 2 bytes 1 0xff -128\n"
             ".data mem.e0 4 hex 000102030405060708090a0b0c0d0eff\n"
             ".data2 mem.w0 0 i16 iota -2 1\n"
             ".data4 mem.w4 0 f32 fill 1.5\n"
             ".data4 mem.w4 1 f32 list 0x7f800001 -0\n"
             ".data4 mem.w4 2 i32 iota -1 2\n"
             ".data4 mem.w4 3 f32 iota 1 0.5\n",
             &arena, &assembly);
    const struct program_image *image = &assembly.image;
    assert_int_equal(image->segment_count, 2 + 2 + 4 * 4);
    assert_int_equal(image->segments[0].count, 3); /* addresses 0, 1, 2 */
    const uint8_t *data = image->segments[0].data;
    assert_int_equal(data[15], 255);
    assert_int_equal(data[16 + 2], 0);
    assert_int_equal(data[32 + 1], 255);
    assert_int_equal(data[32 + 2], 128);
    assert_int_equal(data[32 + 3], 0);
    assert_int_equal(image->segments[1].address, 4);
    assert_int_equal(image->segments[1].data[15], 255);
    assert_int_equal(image->segments[2].data[0], 254);
    assert_int_equal(image->segments[3].data[0], 255);
    assert_int_equal(image->segments[3].data[2], 0);
    const struct program_segment *wide = image->segments + 4;
    assert_int_equal(wide[3].slice, 7);
    assert_int_equal(wide[3].data[5], 0x3f); /* 1.5 = 0x3fc00000 */
    assert_int_equal(wide[2].data[5], 0xc0);
    assert_int_equal(wide[4].data[0], 1);
    assert_int_equal(wide[7].data[0], 0x7f);
    assert_int_equal(wide[7].data[1], 0x80);
    assert_int_equal(wide[8].data[0], 255);
    assert_int_equal(wide[8].data[1], 1);
    assert_int_equal(wide[11].data[1], 0);
    assert_int_equal(wide[15].data[2], 0x40); /* 2.0 */
    base_arena_destroy(&arena);
}

static void test_expectations(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    new_arena(&arena);
    assemble(".machine superlanes = 1\n"
             ".expect mem.e1 5 fill 3\n"
             ".expect cycles 77\n"
             ".expect4 mem.e4 6 i32 fill 0x01020304\n"
             ".expect fault bank-conflict\n"
             ".expect fault range queue mem.e1 cycle 9 ; any order\n",
             &arena, &assembly);
    const struct program_expectation *e = assembly.expectations;
    assert_int_equal(assembly.expectation_count, 8);
    assert_int_equal(e[0].kind, PROGRAM_EXPECT_MEMORY);
    assert_int_equal(e[0].line, 2);
    assert_int_equal(e[0].place.slice, 45);
    assert_int_equal(e[0].place.address, 5);
    assert_int_equal(e[0].bytes[15], 3);
    assert_int_equal(e[1].kind, PROGRAM_EXPECT_CYCLES);
    assert_int_equal(e[1].cycles, 77);
    for (int b = 0; b < 4; b++) {
        assert_int_equal(e[2 + b].place.slice, 48 + b);
        assert_int_equal(e[2 + b].line, 4);
        assert_int_equal(e[2 + b].bytes[0], 4 - b);
    }
    assert_int_equal(e[6].kind, PROGRAM_EXPECT_FAULT);
    assert_string_equal(e[6].fault, "bank-conflict");
    assert_false(e[6].has_cycle || e[6].has_queue);
    assert_true(e[7].has_cycle && e[7].has_queue);
    assert_int_equal(e[7].fault_cycle, 9);
    assert_int_equal(e[7].fault_queue, 45);
    base_arena_destroy(&arena);
}

static void check_refusals(const char *const (*cases)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct base_arena arena;
        struct program_assembly assembly;
        struct takt_error error = {TAKT_OK, ""};
        new_arena(&arena);
        enum takt_status status =
            program_assemble("t.s", cases[i][0], strlen(cases[i][0]), &arena, &assembly, &error);
        assert_true(status == TAKT_FORMAT || status == TAKT_LIMIT);
        if (strstr(error.message, cases[i][1]) == NULL) {
            fail_msg("expected \"%s\" in \"%s\"", cases[i][1], error.message);
        }
        base_arena_destroy(&arena);
    }
}

static void test_refused_text(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"read 1, e0\n", "t.s:1:1: \"read\": expected .queue NAME before"},
        {".queue mem.e0\n  raed 1, e0\n", "t.s:2:3: \"raed\": expected an instruction"},
        {".queue mem.e0\n read 8192, e0", "t.s:2:2: read: ADDRESS = 8192 is outside 0..8191"},
        {".queue mem.e0\n read 1, e99", "t.s:2:10: \"e99\": expected a stream"},
        {".queue mem.e0\nrepeat 1, 1, 0\n", "t.s:2:1: repeat: must directly follow"},
        {".queue mem.e0\nnop 1\nrepeat 1, 1, 0\n", "t.s:3:1: repeat: must directly follow"},
        {".queue mem.e0\nread 1, e0\nrepeat 1, 1, 0\nrepeat 1, 1, 0", "t.s:4:1: repeat: must"},
        {".queue mem.e0\nread 8190, e0\nrepeat 2, 1, 1\n",
         "t.s:3:1: read: ADDRESS = 8192 in the last repetition is outside 0..8191"},
        {".queue mem.e0\nread 1, e0\nrepeat 2, 1, -1\n", "ADDRESS = -1 in the last"},
        {".queue mxm.e0.activations\nabc.i8 e0\nrepeat 2, 1, 1\n", "abc.i8 has no address"},
        {".queue mxm.e0.weights\nlw 20, e0\n", "lw: INDEX = 20 is outside 0..19"},
        {".queue mxm.e0.results\nacc.set 256\n", "acc.set: INDEX = 256 is outside 0..255"},
        {".queue mem.e0\nadd.f32 e0, e4, e8\n", "add.f32: an instruction of VXM, not of this"},
        {".queue vxm.1\nexp.f32 e0, e4\n", "exp.f32: an instruction of VXM large ALU"},
        {".queue vxm.4\nadd.f32 e0, e8, e8\n", "stream 0 (A4) is not one that row 1 of the VXM"},
        {".queue sxm.e.rotate\nread 0, e0\n", "read: an instruction of MEM"},
        {".queue mem.e44\n", "t.s:1:8: \"mem.e44\": expected a queue"},
        {".queue\n", "t.s:1:7: the line's end: expected a queue"},
        {".queue mem.e0 x\n", "t.s:1:15: \"x\": expected nothing more"},
        {".bogus\n", "t.s:1:1: \".bogus\": expected .machine"},
        {".queue mem.e0\n.machine superlanes = 1\n", "t.s:2:10: .machine: must come before"},
        {".machine superlanes 1\n", "t.s:1:21: \"1\": expected ="},
        {".machine superlanes = 65\n", "t.s:1:10: superlanes = 65: outside 1..64"},
        {".machine superlane = 2\n", "the nearest is superlanes"},
        {".machine mem_slices = 42\n", "mem_slices = 42 is not a multiple of 4"},
        {".machine superlanes = 2\n.machine superlanes = 2\n",
         "t.s:2:10: \"superlanes\": expected"},
        {".cycles -1\n", "t.s:1:9: \"-1\": expected cycles, 0.."},
        {".cycles 1\n.cycles 1\n", "expected one .cycles line"},
        {".parameter a 1\n.parameter a 2\n", "t.s:2:12: \"a\": expected each parameter once"},
        {".parameter a\n", "t.s:1:13: the line's end: expected a value"},
        {".parameter abcdefghijklmnopqrstuvwxyzabcdef 1\n", "one word of 1..31 characters"},
    };
    check_refusals(cases, BASE_COUNT(cases));
}

static void test_refused_data(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {".data mem.e0 8192 fill 0\n", "t.s:1:14: \"8192\": expected a word address, 0..8191"},
        {".data vxm.0 0 fill 0\n", "t.s:1:7: \"vxm.0\": expected a MEM slice"},
        {".data mem.e0 0 fill 256\n", "t.s:1:21: \"256\": expected a byte, -128..255"},
        {".data mem.e0 0 flood 1\n", "\"flood\": expected fill, iota, bytes or hex"},
        {".data mem.e0 0 fill 1 2\n", "t.s:1:23: \"2\": expected nothing more"},
        {".data mem.e0 0 hex 00\n", "expected 640 lower-case hex digits"},
        {".machine superlanes = 1\n.data mem.e0 0 bytes 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
         "t.s:2:61: \"17\": expected no more values than lanes"},
        {".machine superlanes = 1\n.data mem.e0 0 hex 000102030405060708090a0b0c0d0eFF\n",
         "expected 32 lower-case hex digits"},
        {".data mem.e0 0 fill 1\n.data mem.e0 0 fill 1\n",
         "t.s:2:7: \"mem.e0\": expected each word"},
        {".data4 mem.e41 0 f32 fill 1\n", "t.s:1:8: \"mem.e41\": expected a slice with room"},
        {".data4 mem.e0 0 fill 1\n", "\"fill\": expected an element type, f32 or i32"},
        {".data2 mem.e0 0 f32 fill 1\n", "\"f32\": expected the element type i16"},
        {".data4 mem.e0 0 f32 fill 1e39\n", "\"1e39\": expected a finite number"},
        {".data4 mem.e0 0 f32 iota 1e31 0\n", "\"1e31\": expected a finite number"},
        {".expect fault\n", "expected a kind of fault"},
        {".expect fault range queue mem.e0 queue mem.e1\n", "each once"},
        {".expect fault range cycle -1\n", "\"-1\": expected a cycle"},
        {".source 0 1 0\n", "expected no more entries"},
        {".places mem.e0 0\n", "expected no more places"},
        {".binding x inout 1 1 1 1\n", "\"inout\": expected input or output"},
        {".binding x input 3 1 1 1\n", "expected elements of 1, 2 or 4 bytes"},
        {".binding x input 1 1 1 1\n", "binding x lacks 320 source entries and 1 places"},
        {".binding x input 1 1 1 4\n.source 1 4 1\n", "expected entries that are elements, or -1"},
        {".binding x input 1 1 1 4\n.source 0 321 0\n", "t.s:2:11: \"321\": expected a count"},
        {".binding x input 1 1 1 4\n.places mem.e0 0 mem.e0 1\n",
         "t.s:2:18: \"mem.e0\": expected no"},
        {".binding x input 1 4294967295 4294967295 1\n", "than takt's limits"},
        {".binding x input 1 0 0 0\n.binding x input 1 0 0 0\n", "expected each binding once"},
    };
    check_refusals(cases, BASE_COUNT(cases));
}

static void test_refused_lines(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    struct takt_error error = {TAKT_OK, ""};
    struct base_text text = {NULL, 0, 0};
    new_arena(&arena);
    assert_int_equal(program_assemble("t.s", "; a\nno\0p", 8, &arena, &assembly, &error),
                     TAKT_FORMAT);
    assert_string_equal(error.message, "t.s:2:3: a NUL byte; expected text");
    for (int i = 0; i < 20000; i++) {
        base_text_append(&text, " ", 1);
    }
    assert_int_equal(program_assemble("t.s", text.data, text.length, &arena, &assembly, &error),
                     TAKT_LIMIT);
    assert_int_equal(program_assemble("t.s", "", 0, &arena, &assembly, &error), TAKT_OK);
    base_arena_destroy(&arena);
    assert_int_equal(base_arena_create(&arena, 64, NULL), TAKT_OK);
    const char *source = ".data mem.e0 0 fill 1\n.data mem.e0 1 fill 1\n.data mem.e0 2 fill 1\n"
                         ".queue mem.e0\nread 0, e0\n.binding x input 4 100 2 640\n";
    assert_int_equal(program_assemble("t.s", source, strlen(source), &arena, &assembly, &error),
                     TAKT_LIMIT);
    base_text_free(&text);
    base_arena_destroy(&arena);
}

/* Every assembly test of the machine survives the way to text and to bytes and back. */
static void test_assembly_files(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob("tests/asm/*.s", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct base_file file = {0};
        struct base_arena arena;
        struct program_assembly first, second;
        struct base_text text = {NULL, 0, 0};
        struct takt_error error = {TAKT_OK, ""};
        char hash[65], other[65];
        new_arena(&arena);
        assert_int_equal(base_file_map(&file, found.gl_pathv[i], &error), TAKT_OK);
        if (program_assemble(found.gl_pathv[i], (const char *)file.data, file.size_bytes, &arena,
                             &first, &error) != TAKT_OK) {
            fail_msg("%s", error.message);
        }
        program_disassemble(&first.program, &first.image, &text);
        assemble(text.data, &arena, &second);
        program_hash(&first.program, hash);
        program_hash(&second.program, other);
        assert_string_equal(hash, other);
        assert_true(same_image(&first.image, &second.image, machine_lanes(&first.program.machine)));
        base_text_free(&text);
        base_file_unmap(&file);
        base_arena_destroy(&arena);
    }
    globfree(&found);
}

/* The first example of the manual assembles. */
static void test_manual_example(void **state)
{
    (void)state;
    struct base_file file = {0};
    struct base_text text = {NULL, 0, 0};
    struct base_arena arena;
    struct program_assembly assembly;
    assert_int_equal(base_file_map(&file, "docs/ASSEMBLY.md", NULL), TAKT_OK);
    base_text_append(&text, (const char *)file.data, file.size_bytes);
    base_file_unmap(&file);
    char *start = strstr(text.data, "```\n");
    assert_non_null(start);
    char *end = strstr(start + 4, "```\n");
    assert_non_null(end);
    *end = '\0';
    new_arena(&arena);
    assemble(start + 4, &arena, &assembly);
    assert_int_equal(assembly.expectation_count, 2);
    base_arena_destroy(&arena);
    base_text_free(&text);
}

TEST_GROUP(program, cmocka_unit_test(test_random_round_trips), cmocka_unit_test(test_broken_files),
           cmocka_unit_test(test_forged_files), cmocka_unit_test(test_files),
           cmocka_unit_test(test_hash), cmocka_unit_test(test_look_up),
           cmocka_unit_test(test_vectors), cmocka_unit_test(test_expectations),
           cmocka_unit_test(test_refused_text), cmocka_unit_test(test_refused_data),
           cmocka_unit_test(test_refused_lines), cmocka_unit_test(test_assembly_files),
           cmocka_unit_test(test_manual_example));
