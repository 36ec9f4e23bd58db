/* Inspection: sums agree with each other and with the machine; pictures and traces are what they
 * should be; names and cycles of programs small enough to know. */
#include "tests.h"

#include "gguf_writer.h"
#include "inspect/inspect.h"
#include "run/run.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct gguf_random shape = {.seed = 31,
                                         .layers = 2,
                                         .width = 72,
                                         .heads = 6,
                                         .kv_heads = 2,
                                         .head_dim = 14,
                                         .ffn = 101,
                                         .vocab = 300,
                                         .context = 512};

struct scene {
    char path[64];
    struct takt_engine *engine;
    struct takt_inspection *steps[2]; /* a decode step; a prefill step of 8 tokens */
};

static void open_engine(struct takt_engine **engine, const char *path, const char *machine)
{
    const struct takt_engine_options options = {.model_path = path,
                                                .machine_path = machine,
                                                .target = TAKT_TARGET_CHIP,
                                                .context = 320,
                                                .chunk = 8};
    struct takt_error error = {0};
    if (takt_engine_open(engine, &options, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
}

static struct takt_inspection *inspect(struct takt_engine *engine, uint32_t chunk)
{
    const struct takt_inspect_options options = {.chunk = chunk};
    struct takt_inspection *inspection = NULL;
    struct takt_error error = {0};
    if (takt_inspect(&inspection, engine, &options, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    return inspection;
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    if (!scene) {
        return -1;
    }
    strcpy(scene->path, "/tmp/takt-inspect-XXXXXX");
    const int file = mkstemp(scene->path);
    if (file < 0 || close(file) != 0 || !gguf_write_random(scene->path, &shape)) {
        return -1;
    }
    open_engine(&scene->engine, scene->path, NULL);
    scene->steps[0] = inspect(scene->engine, 1);
    scene->steps[1] = inspect(scene->engine, 8);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    takt_inspection_close(scene->steps[0]);
    takt_inspection_close(scene->steps[1]);
    takt_engine_close(scene->engine);
    unlink(scene->path);
    free(scene);
    return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *parse(char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!value) {
        fail_msg("line %d, column %d: %s", error.line, error.column, error.text);
    }
    free(text);
    return value;
}

static json_int_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_number(value)) {
        fail_msg("no number \"%s\"", name);
    }
    return (json_int_t)json_number_value(value);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    if (!value) {
        fail_msg("no text \"%s\"", name);
    }
    return value;
}

static void units_add_up(void **state)
{
    struct scene *scene = *state;
    for (size_t s = 0; s < 2; s++) {
        json_t *root = parse(takt_inspection_json(scene->steps[s]));
        const json_int_t cycles = number(root, "cycles");
        json_int_t issues = 0;
        assert_true(cycles > 0);
        assert_int_equal(number(root, "cycles_executed"), cycles);
        size_t i;
        const json_t *unit;
        json_array_foreach(json_object_get(root, "units"), i, unit)
        {
            assert_int_equal(number(unit, "working") + number(unit, "moving") +
                                 number(unit, "waiting") + number(unit, "idle"),
                             cycles);
            assert_int_equal(number(unit, "issues"), number(unit, "issues_executed"));
            assert_true(number(unit, "working") <= number(unit, "issues"));
            issues += number(unit, "issues");
            json_int_t waits = 0;
            size_t k;
            const json_t *wait;
            json_array_foreach(json_object_get(unit, "waits"), k, wait)
            {
                waits += number(wait, "cycles");
            }
            assert_true(waits <= number(unit, "waiting"));
        }
        assert_int_equal(issues, number(root, "instructions"));
        const json_t *queue;
        json_int_t words = 0, bytes = 0, of_queues = 0;
        json_array_foreach(json_object_get(root, "queues"), i, queue)
        {
            assert_int_equal(number(queue, "issues"), number(queue, "issues_executed"));
            of_queues += number(queue, "issues");
            words += number(queue, "words");
            bytes += number(queue, "bytes");
        }
        assert_int_equal(of_queues, issues);
        assert_int_equal(bytes, number(root, "text_bytes"));
        assert_true(bytes < words * 8);
        json_decref(root);
    }
}

/* What units do: a ReadWrite is one instruction, and a Read and a Write. */
static json_int_t operations(const json_t *report)
{
    return number(report, "instructions") + number(report, "read_writes");
}

static void layers_add_up(void **state)
{
    struct scene *scene = *state;
    for (size_t s = 0; s < 2; s++) {
        json_t *root = parse(takt_inspection_json(scene->steps[s]));
        json_int_t sum = number(root, "start_cycles") + number(root, "end_cycles");
        json_int_t at = number(root, "start_cycles"), issues = 0;
        size_t i, k;
        const json_t *layer, *piece, *count;
        const char *key;
        assert_int_equal(json_array_size(json_object_get(root, "layers")), shape.layers + 1);
        json_array_foreach(json_object_get(root, "layers"), i, layer)
        {
            json_int_t path = 0, last = 0;
            sum += number(layer, "cycles");
            json_array_foreach(json_object_get(layer, "path"), k, piece)
            {
                assert_true(number(piece, "from") >= last);
                last = number(piece, "to");
                assert_int_equal(number(piece, "working") + number(piece, "moving") +
                                     number(piece, "waiting"),
                                 number(piece, "cycles"));
                path += number(piece, "cycles");
            }
            assert_int_equal(path, number(layer, "cycles"));
            assert_true(path > 0 && at <= last);
            json_object_foreach(json_object_get(layer, "issues"), key, count)
            {
                issues += json_integer_value(count);
            }
        }
        assert_int_equal(sum, number(root, "cycles"));
        assert_int_equal(issues + number(root, "text_reads"), operations(root));
        json_decref(root);
    }
}

static void bounds_and_memory(void **state)
{
    struct scene *scene = *state;
    json_t *root = parse(takt_inspection_json(scene->steps[0]));
    const json_t *bounds = json_object_get(root, "bounds"), *sram = json_object_get(root, "sram");
    /* q k v o gate up down of two layers, and the output. */
    const json_int_t layer = 72 * (6 + 2 + 2 + 6) * 14 + 3 * 72 * 101;
    const json_int_t weights = 2 * layer + 300 * 72;
    assert_int_equal(number(bounds, "weight_bytes"), weights);
    assert_int_equal(number(bounds, "multiply_adds"),
                     2 * weights + 2 * (2 * 2 * 6 * 14 * number(root, "bucket")));
    assert_true(number(bounds, "loaded_bytes") >= weights);
    assert_true(number(bounds, "issued_multiply_adds") >= number(bounds, "multiply_adds"));
    assert_true(number(bounds, "chain") <= number(root, "cycles"));
    assert_true(json_number_value(json_object_get(bounds, "ratio")) >= 1.0);
    json_int_t words = 0;
    size_t i;
    const json_t *slice;
    json_array_foreach(json_object_get(sram, "slices"), i, slice)
    {
        words += number(slice, "weights") + number(slice, "constants") + number(slice, "cache") +
                 number(slice, "temporary") + number(slice, "text");
    }
    assert_int_equal(words * number(sram, "word_bytes"), number(root, "sram_bytes"));
    assert_true(number(root, "compile_peak_bytes") > 0);
    json_decref(root);
}

static void compiles_alike(void **state)
{
    struct scene *scene = *state;
    struct takt_inspection *again = inspect(scene->engine, 8);
    struct takt_inspect_figures first, second;
    takt_inspection_figures(scene->steps[1], &first);
    takt_inspection_figures(again, &second);
    assert_string_equal(first.program_hash, second.program_hash);
    const struct run_program *plain = NULL; /* without an account */
    struct takt_error error;
    assert_int_equal(run_programs_get(scene->engine, &(struct compile_step){8, 320, false, 0, 1},
                                      &plain, &error),
                     TAKT_OK);
    assert_string_equal(plain->hash, first.program_hash);
    json_t *diff = parse(takt_inspection_diff(scene->steps[1], again, true));
    assert_true(json_is_true(json_object_get(diff, "same")));
    json_decref(diff);
    takt_inspection_close(again);
}

/* ---- trace, schedule, picture ---------------------------------------------------------------- */

static void trace_is_whole(void **state)
{
    struct scene *scene = *state;
    struct takt_inspect_figures figures;
    takt_inspection_figures(scene->steps[0], &figures);
    json_t *root = parse(takt_inspection_trace(scene->steps[0]));
    json_t *report = parse(takt_inspection_json(scene->steps[0]));
    json_int_t issues = 0, path = 0, end = number(report, "start_cycles");
    size_t i;
    const json_t *event;
    json_array_foreach(json_object_get(root, "traceEvents"), i, event)
    {
        const char *phase = text_of(event, "ph");
        const json_t *args = json_object_get(event, "args");
        assert_true(strcmp(phase, "X") == 0 || strcmp(phase, "M") == 0);
        assert_true(strlen(text_of(event, "name")) > 0);
        if (strcmp(phase, "M") == 0) {
            continue;
        }
        assert_true(number(event, "dur") > 0);
        assert_true(number(event, "ts") + number(event, "dur") <= (json_int_t)figures.cycles);
        if (number(event, "pid") == 1) { /* one piece after the other, none missing */
            assert_int_equal(number(event, "ts"), end);
            end += number(event, "dur");
            path += number(event, "dur");
        } else if (json_object_get(args, "issues")) {
            assert_int_equal(number(args, "issues"), number(event, "dur"));
            issues += number(args, "issues");
        }
    }
    assert_int_equal(issues, operations(report));
    assert_int_equal(path + number(report, "start_cycles") + number(report, "end_cycles"),
                     figures.cycles);
    json_decref(root);
    json_decref(report);
}

static json_int_t schedule_issues(const struct takt_inspection *inspection, uint32_t layer)
{
    json_t *root = parse(takt_inspection_schedule(inspection, layer));
    const json_int_t names = (json_int_t)json_array_size(json_object_get(root, "names"));
    json_int_t issues = 0;
    size_t i, k;
    const json_t *queue, *item;
    json_array_foreach(json_object_get(root, "queues"), i, queue)
    {
        json_int_t next = 0, last = -1;
        json_array_foreach(json_object_get(queue, "items"), k, item)
        {
            const json_int_t cycle = json_integer_value(json_array_get(item, 0));
            const json_int_t count = json_integer_value(json_array_get(item, 1));
            const json_int_t delay = json_integer_value(json_array_get(item, 2));
            const json_int_t name = json_integer_value(json_array_get(item, 3));
            assert_true((cycle >= next || cycle == last) && count > 0 && delay > 0);
            assert_true(name >= -1 && name < names); /* -1: a read of text */
            assert_true(json_is_string(json_array_get(item, 4)));
            next = cycle + (count - 1) * delay + 1;
            last = cycle; /* a ReadWrite is a Read and a Write of the same cycles */
            issues += count;
        }
    }
    json_decref(root);
    return issues;
}

static void schedule_is_whole(void **state)
{
    struct scene *scene = *state;
    json_t *report = parse(takt_inspection_json(scene->steps[0]));
    json_int_t layers = 0;
    for (uint32_t l = 0; l <= shape.layers; l++) {
        layers += schedule_issues(scene->steps[0], l);
    }
    assert_int_equal(layers + number(report, "text_reads"), operations(report));
    assert_int_equal(schedule_issues(scene->steps[0], UINT32_MAX), operations(report));
    json_decref(report);
}

/* Tags are closed in order, attributes quoted, and there is no markup in the text between. */
static void assert_well_formed(const char *svg)
{
    char open[64][16];
    size_t depth = 0, tags = 0;
    for (const char *at = svg; *at;) {
        if (*at != '<') {
            const char *semicolon = *at == '&' ? strchr(at, ';') : at;
            assert_true(*at != '&' || (semicolon && semicolon - at < 7));
            at++;
            continue;
        }
        const bool closing = at[1] == '/';
        const char *name = at + 1 + closing;
        const size_t length = strcspn(name, " \n/>");
        const char *p = name + length;
        for (; *p && *p != '>'; p++) {
            if (*p == '"') {
                p = strchr(p + 1, '"');
                assert_non_null(p);
            }
            assert_true(*p != '<');
        }
        assert_true(*p == '>' && length > 0 && length < sizeof open[0]);
        if (closing) {
            assert_true(depth > 0);
            depth--;
            assert_true(strlen(open[depth]) == length && memcmp(open[depth], name, length) == 0);
        } else if (p[-1] != '/') {
            assert_true(depth < 64);
            memcpy(open[depth], name, length);
            open[depth++][length] = '\0';
        }
        tags++;
        at = p + 1;
    }
    assert_int_equal(depth, 0);
    assert_true(tags > 100);
}

static void picture_is_well_formed(void **state)
{
    struct scene *scene = *state;
    for (size_t s = 0; s < 2; s++) {
        for (uint32_t l = 0; l <= shape.layers; l++) {
            char *svg = takt_inspection_svg(scene->steps[s], l);
            assert_memory_equal(svg, "<svg ", 5);
            assert_non_null(strstr(svg, "prefers-color-scheme:dark"));
            assert_null(strstr(svg, "nan"));
            assert_null(strstr(svg, "inf"));
            assert_well_formed(svg);
            free(svg);
        }
    }
}

/* ---- programs of a few lines ----------------------------------------------------------------- */

static void write_text(char path[64], const char *text)
{
    strcpy(path, "/tmp/takt-inspect-XXXXXX");
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static struct takt_inspection *inspect_text_of(const char *text)
{
    char path[64];
    struct takt_inspection *inspection = NULL;
    struct takt_error error = {0};
    write_text(path, text);
    const enum takt_status status = takt_inspect_file(&inspection, path, &error);
    unlink(path);
    if (status != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    return inspection;
}

/* mem.w0 at 17, an ALU of column 0 reads at 18 and writes at 19, mem.e0 at 27: read at 0, copy at
 * 2, at its stream at 4, stored at 12; parked at 13. `late` cycles of waiting in each queue but
 * mem.w0's are no dependence. */
static struct takt_inspection *three_trips(unsigned late)
{
    char text[400];
    snprintf(text, sizeof text,
             ".queue mem.w0\nread 0, e0\nsync\n.queue vxm.0\nnop %u\ncopy.b8 e0, e1\nsync\n"
             ".queue mem.e0\nnop %u\nwrite 1, e1\nnop %u\nread 1, e2\nsync\n",
             2u, 12u, 1u + late);
    return inspect_text_of(text);
}

static void a_chain_by_hand(void **state)
{
    (void)state;
    struct takt_inspect_figures figures;
    struct takt_inspection *tight = three_trips(0), *loose = three_trips(5);
    takt_inspection_figures(tight, &figures);
    /* The read follows the write a cycle later at the earliest; here there is one between. */
    assert_int_equal(figures.cycles, 16);
    assert_int_equal((int)figures.bound_chain, 15);
    takt_inspection_figures(loose, &figures);
    assert_int_equal(figures.cycles, 21);
    assert_int_equal((int)figures.bound_chain, 15);
    json_t *diff = parse(takt_inspection_diff(tight, loose, true));
    const json_t *parts = json_object_get(diff, "part");
    assert_false(json_is_true(json_object_get(diff, "same")));
    assert_int_equal(number(json_array_get(parts, 0), "cycle"), 14);
    assert_int_equal(number(json_array_get(parts, 1), "cycle"), 19);
    assert_string_equal(text_of(json_array_get(parts, 0), "queue"), "mem.e0");
    assert_string_equal(text_of(json_array_get(parts, 0), "instruction"), "read 1, e2");
    json_decref(diff);
    takt_inspection_close(tight);
    takt_inspection_close(loose);
}

/* Reads of text are no task's: everything else adds up all the same. */
static void text_in_memory(void **state)
{
    struct scene *scene = *state;
    char path[64];
    strcpy(path, "/tmp/takt-inspect-XXXXXX");
    const int file = mkstemp(path);
    static const char machine[] = "name = \"fetching\"\nicu_buffer_blocks = 8\n";
    assert_true(file >= 0 && write(file, machine, sizeof machine - 1) > 0);
    close(file);
    struct takt_engine *engine;
    open_engine(&engine, scene->path, path);
    struct takt_inspection *inspection = inspect(engine, 1);
    json_t *root = parse(takt_inspection_json(inspection));
    json_int_t sum = number(root, "start_cycles") + number(root, "end_cycles"), issues = 0;
    size_t i;
    const char *key;
    const json_t *layer, *count;
    json_array_foreach(json_object_get(root, "layers"), i, layer)
    {
        sum += number(layer, "cycles");
        assert_true(number(layer, "cycles") > 0);
        json_object_foreach(json_object_get(layer, "issues"), key, count)
        {
            issues += json_integer_value(count);
        }
    }
    assert_int_equal(sum, number(root, "cycles"));
    assert_true(issues < number(root, "instructions"));
    json_decref(root);
    takt_inspection_close(inspection);
    takt_engine_close(engine);
    unlink(path);
}

static void refusals(void **state)
{
    struct scene *scene = *state;
    struct takt_inspection *inspection = NULL;
    struct takt_error error;
    const struct takt_inspect_options chunk = {.chunk = 3}, context = {.chunk = 1, .context = 999};
    assert_int_equal(takt_inspect(&inspection, scene->engine, &chunk, &error), TAKT_USAGE);
    assert_int_equal(takt_inspect(&inspection, scene->engine, &context, &error), TAKT_USAGE);
    char path[64];
    write_text(path, ".queue mem.w0\nnop 65535\nread 0, e0\nrepeat 65535, 65535, 0\nsync\n");
    assert_int_equal(takt_inspect_file(&inspection, path, &error), TAKT_LIMIT);
    unlink(path);
    assert_null(inspection);
}

TEST_GROUP(inspect, cmocka_unit_test_setup_teardown(units_add_up, setup, teardown),
           cmocka_unit_test_setup_teardown(layers_add_up, setup, teardown),
           cmocka_unit_test_setup_teardown(bounds_and_memory, setup, teardown),
           cmocka_unit_test_setup_teardown(compiles_alike, setup, teardown),
           cmocka_unit_test_setup_teardown(trace_is_whole, setup, teardown),
           cmocka_unit_test_setup_teardown(schedule_is_whole, setup, teardown),
           cmocka_unit_test_setup_teardown(picture_is_well_formed, setup, teardown),
           cmocka_unit_test(a_chain_by_hand),
           cmocka_unit_test_setup_teardown(text_in_memory, setup, teardown),
           cmocka_unit_test_setup_teardown(refusals, setup, teardown));
