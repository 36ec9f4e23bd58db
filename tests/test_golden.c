/*
 * Golden cycles: what the programs of a step cost, compared with bench/cycles.golden.
 *
 * A change of the compiler or the machine shows as a diff of that file. `make golden` (or
 * TAKT_UPDATE_GOLDEN=1 in the environment of this test) writes it again.
 */
#include "tests.h"

#include "compile/standalone.h"
#include "gguf_writer.h"
#include "run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "bench/cycles.golden"
#define FABLE "models/fable/fable-q8_0.gguf"

static const char heading[] =
    "# Cycles of one step, as compiled; `make golden` writes this file, bench/README.md explains "
    "it.\n"
    "# model machine chunk bucket cycles\n";

/* Sizes that are multiples of nothing; the model that tools/random_model writes for seed 11. */
static const struct gguf_random shape = {.seed = 11,
                                         .layers = 2,
                                         .width = 72,
                                         .heads = 6,
                                         .kv_heads = 2,
                                         .head_dim = 14,
                                         .ffn = 101,
                                         .vocab = 300,
                                         .context = 512};

/* One line: the program that takt run would use, in an engine with this prefill chunk. */
static void measure(struct base_text *text, const char *path, const char *name, uint32_t chunk,
                    uint32_t bucket)
{
    const struct takt_engine_options options = {.model_path = path, .context = 512, .chunk = chunk};
    struct takt_engine *engine;
    struct takt_error error = {0};
    const struct run_program *program = NULL;
    if (takt_engine_open(&engine, &options, &error) != TAKT_OK ||
        run_programs_get(engine, &(struct compile_step){chunk, bucket, false, 0, 1}, &program,
                         &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    char line[160];
    snprintf(line, sizeof line, "%s %s %u %u %llu\n", name, engine->machine.name, chunk, bucket,
             (unsigned long long)program->program->cycles);
    base_text_append(text, line, strlen(line));
    takt_engine_close(engine);
}

static void measure_model(struct base_text *text, const char *path, const char *name)
{
    static const uint32_t chunks[] = {1, 16, 64}, buckets[] = {320, 640};
    for (size_t i = 0; i < BASE_COUNT(chunks); i++) {
        for (size_t j = 0; j < BASE_COUNT(buckets); j++) {
            measure(text, path, name, chunks[i], buckets[j]);
        }
    }
}

/* Programs laid out by hand: "chunk" is the columns of the result, "bucket" has no meaning. */
static void measure_standalone(struct base_text *text)
{
    struct machine machine;
    struct compile_standalone *programs[3];
    uint32_t installed;
    machine_tsp1(&machine);
    assert_int_equal(compile_fill(&programs[0], &machine, &installed, NULL), TAKT_OK);
    assert_int_equal(compile_lstm(&programs[1], &machine, 512, NULL), TAKT_OK);
    assert_int_equal(compile_gemm(&programs[2], &machine, 2304, 4096, 1376, NULL), TAKT_OK);
    static const char *const names[] = {"install", "lstm-512", "gemm-2304x4096"};
    static const uint32_t columns[] = {0, 1, 1376};
    for (size_t i = 0; i < BASE_COUNT(programs); i++) {
        const uint64_t taken = i == 0 ? installed : programs[i]->program.cycles;
        base_text_format(text, "%s %s %u 0 %llu\n", names[i], machine.name, columns[i],
                         (unsigned long long)taken);
        compile_standalone_destroy(programs[i]);
    }
}

static size_t line_length(const char *text)
{
    const char *newline = strchr(text, '\n');
    return newline ? (size_t)(newline - text) : strlen(text);
}

/* Line by line; says each pair that differs. */
static void compare(const char *golden, const char *now)
{
    size_t differences = 0;
    while (*golden || *now) {
        const size_t a = line_length(golden), b = line_length(now);
        if (a != b || memcmp(golden, now, a) != 0) {
            print_error("%s: golden \"%.*s\", now \"%.*s\"\n", GOLDEN, (int)a, golden, (int)b, now);
            differences++;
        }
        golden += a + (golden[a] == '\n');
        now += b + (now[b] == '\n');
    }
    if (differences > 0) {
        fail_msg("%zu differences; where they are meant, `make golden` writes the file again",
                 differences);
    }
}

static void cycles(void **state)
{
    (void)state;
    char path[] = "/tmp/takt-golden-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    assert_true(gguf_write_random(path, &shape));
    struct base_text now = {0};
    base_text_append(&now, heading, strlen(heading));
    measure_model(&now, FABLE, "fable");
    measure_model(&now, path, "random-11");
    measure_standalone(&now);
    unlink(path);
    const char *update = getenv("TAKT_UPDATE_GOLDEN");
    struct takt_error error = {0};
    if (update && strcmp(update, "1") == 0) {
        assert_int_equal(base_file_write(GOLDEN, now.data, now.length, &error), TAKT_OK);
        print_message("%s is written\n", GOLDEN);
    } else {
        struct base_file golden;
        struct base_text text = {0};
        if (base_file_map(&golden, GOLDEN, &error) != TAKT_OK) {
            fail_msg("%s; `make golden` writes it", error.message);
        }
        base_text_append(&text, (const char *)golden.data, golden.size_bytes);
        base_file_unmap(&golden);
        compare(text.data, now.data);
        base_text_free(&text);
    }
    base_text_free(&now);
}

TEST_GROUP(golden, cmocka_unit_test(cycles));
