/*
 * Parts in their order, each of which may be left out unless it is required, so many in all: the
 * properties of an object, the items of a set. A grid of nodes by the next part and the number that
 * is written; behind the last part come extras, any number of one kind.
 */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

#define GRID_MAX 65536u

/* The number written is counted to here, and no further where there is no bound. */
static uint32_t levels_of(const struct schema_parts *parts)
{
    return (uint32_t)(parts->most >= 0 ? parts->most : BASE_MAX(parts->least, 1));
}

static uint32_t comma(struct schema_compiler *c, bool is, uint32_t next)
{
    return is ? schema_text(c, ",", run_schema_space(c, next)) : next;
}

/* The nodes behind the last part, by the number written. How many of the extras differ nobody
 * knows: one of them counts towards the least number, and each towards the most. */
static void end_row(struct schema_compiler *c, const struct schema_parts *parts, uint32_t close,
                    uint32_t *row)
{
    const uint32_t levels = levels_of(parts), rule = parts->extra;
    const uint32_t least = (uint32_t)parts->least;
    uint32_t after = close; /* with as many extras as may be, or in a loop of them */
    if (parts->most < 0 && rule != RUN_NO_NODE) {
        after = run_schema_loop(c, close);
        schema_repeat(c, after, comma(c, true, schema_call(c, rule, after)));
    }
    for (uint32_t n = levels + 1; n > 0; n--) {
        const uint32_t written = n - 1;
        const bool may = rule != RUN_NO_NODE && (parts->most < 0 || written < levels);
        uint32_t at = RUN_NO_NODE;
        if (may && written + 1 >= least) {
            at = comma(c, written > 0, schema_call(c, rule, after));
        }
        row[written] = schema_either(c, written >= least ? close : RUN_NO_NODE, at);
        if (parts->most >= 0 && may) { /* for one fewer: an extra, then what may follow here */
            after = schema_either(c, close, comma(c, true, schema_call(c, rule, after)));
        }
    }
}

static uint32_t part_node(struct schema_compiler *c, const struct schema_part *part, bool not_first,
                          uint32_t next)
{
    uint32_t at = next;
    if (part->rule != RUN_NO_NODE) {
        at = schema_text(c, ":", run_schema_space(c, schema_call(c, part->rule, at)));
    }
    return comma(c, not_first, schema_text(c, part->text, at));
}

uint32_t run_schema_ordered(struct schema_compiler *c, const struct schema_parts *parts,
                            uint32_t close)
{
    const uint32_t levels = levels_of(parts);
    if (((uint64_t)parts->count + 1) * (levels + 1) > GRID_MAX) {
        return run_schema_refuse(c, TAKT_LIMIT, "too many properties or items to count them");
    }
    uint32_t *row = malloc((levels + 2) * sizeof *row);
    BASE_ASSERT(row);
    end_row(c, parts, close, row);
    for (uint32_t i = parts->count; i > 0; i--) {
        const struct schema_part *part = &parts->list[i - 1];
        const uint32_t reachable = BASE_MIN(i - 1, levels);
        for (uint32_t n = 0; n <= reachable; n++) { /* row[n + 1] is still that of the next part */
            const uint32_t more = parts->most < 0 ? BASE_MIN(n + 1, levels) : n + 1;
            const bool may = (more <= levels) && row[more] != RUN_NO_NODE;
            const uint32_t written = may ? part_node(c, part, n > 0, row[more]) : RUN_NO_NODE;
            /* The way past it first: the automaton follows a chain of those without a stack. */
            row[n] = schema_either(c, part->required ? RUN_NO_NODE : row[n], written);
        }
    }
    const uint32_t at = row[0];
    free(row);
    return at != RUN_NO_NODE ? at : schema_bytes(c, "", close);
}
