/*
 * GEMM and LSTM laid out by hand: on random machines, and changed a little.
 */
#include "tests.h"

#include "mutate.h"
#include "run/bench.h"
#include "standalone_bench.h"

#include <string.h>

/* ---- any machine ----------------------------------------------------------------------------- */

/* A program with its operands; which the other one has stay empty. */
struct subject {
    struct bench bench;
    struct bench_gemm gemm;
    struct bench_lstm lstm;
    bool is_gemm;
};

static void subject_fill(struct subject *s)
{
    struct takt_error error;
    const struct program *program = &s->bench.program->program;
    const enum takt_status status = s->is_gemm
                                        ? bench_gemm_fill(s->bench.chip, program, &s->gemm, &error)
                                        : bench_lstm_fill(s->bench.chip, program, &s->lstm, &error);
    assert_int_equal(status, TAKT_OK);
}

static enum takt_status subject_check(struct subject *s)
{
    const struct program *program = &s->bench.program->program;
    return s->is_gemm ? bench_gemm_check(s->bench.chip, program, &s->gemm, NULL)
                      : bench_lstm_check(s->bench.chip, program, &s->lstm, NULL);
}

static void subject_drop(struct subject *s)
{
    struct bench_tensor *tensors[] = {&s->lstm.w, &s->lstm.bias, &s->lstm.x, &s->lstm.h,
                                      &s->lstm.c};
    for (size_t i = 0; i < BASE_COUNT(tensors); i++)
        bench_tensor_free(tensors[i]);
    bench_gemm_free(&s->gemm);
}

/* Refused, or executed without a fault in the cycles it was made for; with exact values if asked.
 */
static bool runs(enum takt_status status, struct compile_standalone **made, bool is_gemm,
                 bool values)
{
    struct subject s = {.is_gemm = is_gemm};
    struct takt_error error;
    if (status != TAKT_OK) {
        assert_int_equal(status, TAKT_LIMIT);
        return false;
    }
    bench_open(&s.bench, *made);
    if (values) {
        subject_fill(&s);
    } else {
        chip_destroy(s.bench.chip);
        assert_int_equal(chip_create_check_only(&s.bench.chip, &(*made)->program.machine, &error),
                         TAKT_OK);
    }
    bench_run(&s.bench);
    if (values)
        assert_int_equal(subject_check(&s), TAKT_OK);
    subject_drop(&s);
    bench_close(&s.bench);
    return true;
}

static void random_machines_are_obeyed(void **state)
{
    (void)state;
    uint32_t ran[3] = {0, 0, 0};
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct machine machine;
        struct compile_standalone *program;
        uint32_t cycles;
        machine_tsp1(&machine);
        for (uint32_t i = 0; i < machine_parameter_count(); i++) {
            const struct machine_parameter *p = machine_parameter(i);
            const uint64_t dice = base_random_u64(seed, 1, i);
            if (dice % 3 == 0)
                machine_parameter_put(&machine, i,
                                      p->minimum +
                                          (uint32_t)(dice / 3 % (p->maximum - p->minimum + 1u)));
        }
        if (seed % 3 == 0) /* small enough to run with values */
            machine.superlanes = 1 + (uint32_t)(seed / 3 % 6);
        if (machine.superlanes < 9) /* blocks so short come too late */
            machine.icu_buffer_blocks = 0;
        machine.mem_slices -= machine.mem_slices % 4;
        machine.mem_words -= machine.mem_words % 2;
        if (machine_check(&machine, NULL) != TAKT_OK)
            continue;
        const uint32_t m = 1 + (uint32_t)(base_random_u64(seed, 2, 0) % 900);
        const uint32_t k = 1 + (uint32_t)(base_random_u64(seed, 2, 1) % 900);
        const uint32_t n = 1 + (uint32_t)(base_random_u64(seed, 2, 2) % 200);
        const uint32_t hidden = 2 + 2 * (uint32_t)(base_random_u64(seed, 2, 3) % 300);
        ran[0] += runs(compile_gemm(&program, &machine, m, k, n, NULL), &program, true,
                       n >= 4 && machine.superlanes < 9);
        ran[1] += runs(compile_lstm(&program, &machine, hidden, NULL), &program, false,
                       machine.superlanes < 9);
        ran[2] += runs(compile_fill(&program, &machine, &cycles, NULL), &program, false, false);
    }
    assert_true(ran[0] > 40 && ran[1] > 20 && ran[2] > 40);
}

/* ---- mutations ------------------------------------------------------------------------------- */

/* False: a fault, other cycles, other values, or refused. */
static bool survives(struct subject *s, const struct mutant *mutant)
{
    struct takt_error error;
    struct chip_text *text = NULL;
    uint64_t cycles = 0;
    bool same = program_check(&mutant->program, &error) == TAKT_OK &&
                chip_text_create(&text, &mutant->program, &error) == TAKT_OK;
    if (same) {
        chip_destroy(s->bench.chip);
        assert_int_equal(chip_create(&s->bench.chip, &mutant->program.machine, &error), TAKT_OK);
        subject_fill(s);
        same = chip_run(s->bench.chip, text, &cycles, &error) == TAKT_OK &&
               cycles == s->bench.program->program.cycles && subject_check(s) == TAKT_OK;
        subject_drop(s);
    }
    chip_text_destroy(text);
    return same;
}

/*
 * The changes that may pass: one more Read, of a word that nobody takes; an IW while nothing
 * multiplies; a low bit of a constant, which the rounding to fp16 takes; the latency of a unit that
 * has no work.
 */
static bool is_harmless(const struct machine *machine, const struct mutation *mutation)
{
    static const char *const idle[] = {"sxm_", "c2c_", "icu_", "mem_gather", "vxm_"};
    switch (mutation->kind) {
    case MUTATION_REPEAT_COUNT: return machine_queue(machine, mutation->queue).unit == ISA_UNIT_MEM;
    case MUTATION_EARLIER:
    case MUTATION_LATER: return mutation->instruction.op == ISA_IW;
    case MUTATION_IMMEDIATE: return true;
    case MUTATION_LATENCY:
        for (size_t i = 0; i < BASE_COUNT(idle); i++)
            if (strncmp(mutation->text, idle[i], strlen(idle[i])) == 0)
                return true;
        return false;
    default: return false;
    }
}

static void mutations_are_noticed(void **state)
{
    (void)state;
    enum { MUTANTS = 500 };
    for (uint32_t kind = 0; kind < 2; kind++) {
        struct subject s = {.is_gemm = kind == 0};
        struct machine machine;
        struct mutation_source source;
        struct compile_standalone *program;
        uint32_t survivors = 0;
        machine_tsp1(&machine);
        machine.superlanes = 3;
        machine.icu_buffer_blocks = 0; /* blocks so short come too late */
        machine.mem_words = 128;
        assert_int_equal(s.is_gemm ? compile_gemm(&program, &machine, 90, 130, 40, NULL)
                                   : compile_lstm(&program, &machine, 96, NULL),
                         TAKT_OK);
        bench_open(&s.bench, program);
        mutation_source_create(&source, &program->program);
        for (uint64_t i = 0; i < MUTANTS; i++) {
            struct mutant mutant;
            mutant_create(&mutant, &source, 5, i);
            if (survives(&s, &mutant)) {
                if (!is_harmless(&machine, &mutant.mutation)) {
                    char queue[32], line[96];
                    machine_queue_name(&machine, mutant.mutation.queue, queue);
                    isa_print(&mutant.mutation.instruction, line, sizeof line);
                    fail_msg("%s: %s `%s`: %s goes unnoticed", s.is_gemm ? "gemm" : "lstm", queue,
                             line, mutant.mutation.text);
                }
                survivors++;
            }
            mutant_free(&mutant);
        }
        mutation_source_free(&source);
        bench_close(&s.bench);
        print_message("%s: %u of %u mutations survive, for the reasons that may be\n",
                      s.is_gemm ? "gemm" : "lstm", survivors, (unsigned)MUTANTS);
        assert_true(survivors < MUTANTS / 10);
    }
}

TEST_GROUP(standalone_machines, cmocka_unit_test(random_machines_are_obeyed),
           cmocka_unit_test(mutations_are_noticed));
