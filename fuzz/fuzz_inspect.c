/* Any text as assembly: where it is a program, everything that can be told of it is told, and it
 * differs in nothing from itself. */
#include "fuzz.h"

#include <string.h>

#include "inspect/inspect.h"
#include "program/assembly.h"

#define ARENA_BYTES ((size_t)1 << 28)
#define ISSUES_MAX 2000000u /* of programs looked at: more only takes long */

static uint64_t count_issues(const struct program *program)
{
    uint64_t issues = 0;
    for (uint32_t q = 0; q < program->queue_count; q++) {
        for (uint32_t i = 0; i < program->queue_words[q]; i++) {
            struct isa_instruction in;
            BASE_ASSERT(isa_decode(program->text[q][i], &in, NULL) == TAKT_OK);
            issues += in.op == ISA_REPEAT || in.op == ISA_NOP ? in.count : 1;
        }
    }
    return issues;
}

static void tell(const struct program *program)
{
    struct inspect *inspect;
    struct takt_error error;
    if (inspect_create(&inspect, program, NULL, &error) != TAKT_OK) {
        return;
    }
    const struct inspect_facts facts = {.model = "fuzz", .machine = "fuzz", .clock_hz = 1e9};
    const struct inspect_side side = {"fuzz", inspect, &facts};
    struct base_text out = {0}, diff = {0};
    inspect_text(inspect, &facts, 0, &out);
    inspect_trace(inspect, &facts, &out);
    inspect_schedule(inspect, INSPECT_NONE, &out);
    inspect_diff(&side, &side, true, &diff);
    BASE_ASSERT(strstr(diff.data, "\"same\":true") != NULL);
    base_text_free(&out);
    base_text_free(&diff);
    inspect_destroy(inspect);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct base_arena arena = {0};
    struct program_assembly assembly = {0};
    struct takt_error error;
    if (base_arena_create(&arena, ARENA_BYTES, &error) != TAKT_OK) {
        return 0;
    }
    if (program_assemble("fuzz", (const char *)data, size, &arena, &assembly, &error) == TAKT_OK &&
        program_check(&assembly.program, &error) == TAKT_OK &&
        count_issues(&assembly.program) < ISSUES_MAX) {
        tell(&assembly.program);
    }
    base_arena_destroy(&arena);
    return 0;
}
