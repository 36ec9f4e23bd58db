/* Faults: a program broke the machine's contract. Recorded once; the chip stays stopped. */
#include "chip/internal.h"

#include <string.h>

const char *chip_fault_name(enum chip_fault_kind kind)
{
    switch (kind) {
    case CHIP_FAULT_NONE: return "none";
#define CHIP_FAULT_NAME(name, text, doc)                                                           \
    case CHIP_FAULT_##name: return text;
        CHIP_FAULTS(CHIP_FAULT_NAME)
#undef CHIP_FAULT_NAME
    }
    return "unknown";
}

/* The instruction as the repetition issued it: with its own address. */
static struct isa_instruction effective(const struct chip_word *word, uint32_t repetition)
{
    struct isa_instruction instruction = word->instruction;
    int64_t moved = (int64_t)repetition * word->repeat_step;
    int64_t address = instruction.address + moved;
    int64_t address2 = instruction.address2 + moved;
    if (address >= 0 && address <= UINT16_MAX)
        instruction.address = (uint16_t)address;
    if (instruction.op == ISA_READ_WRITE && address2 >= 0 && address2 <= UINT16_MAX)
        instruction.address2 = (uint16_t)address2;
    return instruction;
}

bool chip_fault(struct chip *chip, enum chip_fault_kind kind, uint32_t queue,
                const struct chip_word *word, uint32_t repetition, const char *format, ...)
{
    struct chip_fault *fault = &chip->fault;
    BASE_ASSERT(fault->kind == CHIP_FAULT_NONE);
    memset(fault, 0, sizeof *fault);
    fault->kind = kind;
    fault->cycle = chip->cycle;
    fault->chip = chip->number;
    fault->queue = queue;
    if (word)
        fault->instruction = effective(word, repetition);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->reason, sizeof fault->reason, format, arguments);
    va_end(arguments);
    return false;
}

enum takt_status chip_fault_report(const struct chip *chip, struct takt_error *error)
{
    const struct chip_fault *fault = &chip->fault;
    char queue[32], line[96];
    machine_queue_name(&chip->machine, fault->queue, queue);
    isa_print(&fault->instruction, line, sizeof line);
    return base_fail(error, TAKT_FAULT, "%s fault at cycle %llu, chip %u, queue %s, `%s`: %s",
                     chip_fault_name(fault->kind), (unsigned long long)fault->cycle, fault->chip,
                     queue, line, fault->reason);
}

const struct chip_fault *chip_last_fault(const struct chip *chip)
{
    return &chip->fault;
}
