/* Any text as a machine file: refused with a message, or a machine whose written form reads as the
 * same machine and whose floor plan and queues can be walked. */
#include "fuzz.h"

#include <string.h>

#include "machine/machine.h"

static void walk(const struct machine *machine)
{
    BASE_ASSERT(machine_positions(machine) <= MACHINE_POSITIONS_MAX);
    for (uint32_t queue = 0; queue < machine_queue_count(machine); queue++) {
        char name[32];
        uint32_t found = 0;
        machine_queue_name(machine, queue, name);
        BASE_ASSERT(machine_queue_find(machine, name, &found) && found == queue);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine machine, again;
    struct takt_error error;
    struct base_text first = {0}, second = {0};
    if (machine_parse(&machine, "fuzz", (const char *)data, size, &error) != TAKT_OK) {
        return 0;
    }
    BASE_ASSERT(machine_check(&machine, &error) == TAKT_OK);
    walk(&machine);
    machine_write(&machine, &first);
    BASE_ASSERT(machine_parse(&again, "again", first.data, first.length, &error) == TAKT_OK);
    machine_write(&again, &second);
    BASE_ASSERT(first.length == second.length &&
                memcmp(first.data, second.data, first.length) == 0);
    base_text_free(&first);
    base_text_free(&second);
    return 0;
}
