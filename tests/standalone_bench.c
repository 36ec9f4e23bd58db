#include "standalone_bench.h"

#include "tests.h"

void bench_open(struct bench *bench, struct compile_standalone *program)
{
    struct takt_error error;
    bench->program = program;
    bench->lanes = machine_lanes(&program->program.machine);
    if (program_check(&program->program, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(chip_create(&bench->chip, &program->program.machine, &error), TAKT_OK);
    assert_int_equal(chip_text_create(&bench->text, &program->program, &error), TAKT_OK);
    chip_load_text(bench->chip, bench->text);
}

void bench_close(struct bench *bench)
{
    chip_text_destroy(bench->text);
    chip_destroy(bench->chip);
    compile_standalone_destroy(bench->program);
}

void bench_run(struct bench *bench)
{
    struct takt_error error;
    uint64_t cycles;
    if (chip_run(bench->chip, bench->text, &cycles, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(cycles, bench->program->program.cycles);
}
