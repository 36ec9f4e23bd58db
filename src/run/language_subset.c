/*
 * A regular expression's graph made deterministic: a state is the set of steps that wait for a
 * character. Where a match has been found all strings follow, so such sets are one state. States,
 * and the work to make them, are limited: some expressions of a few bytes need very many.
 */
#include "run/language.h"

#include <stdlib.h>
#include <string.h>

#define KINDS_MAX 2048u    /* of characters that the expression tells apart */
#define ITEMS_MAX 4000000u /* steps in all sets */
#define SLOTS (4 * RUN_LANGUAGE_STATES_MAX)

struct subset {
    uint32_t first, count; /* of items, in order */
    bool accepts;
};

struct builder {
    const struct run_steps *steps;
    struct run_range *pieces; /* [piece_count], in order; each is of one kind */
    uint32_t *piece_kind;     /* [piece_count] */
    uint32_t piece_count, kind_count;
    bool *member; /* [kind][set] */
    struct subset *subsets;
    uint32_t subset_count;
    uint32_t *items, item_count, item_capacity;
    uint32_t *slots;               /* [SLOTS], a hash table: index + 1, or 0 */
    uint32_t *marks, mark, *stack; /* [steps] */
    uint32_t *found, found_count;  /* [steps], the set at work */
    bool found_match;
    uint64_t work, work_max; /* steps looked at */
};

/* ---- kinds of characters --------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool set_has(const struct run_steps *steps, uint32_t set, uint32_t character)
{
    const struct run_range *ranges = steps->ranges + steps->sets[set].first;
    for (uint32_t i = 0; i < steps->sets[set].count; i++) {
        if (character >= ranges[i].first && character <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Where any set begins or ends, a piece ends. */
static bool cut_pieces(struct builder *builder)
{
    const struct run_steps *steps = builder->steps;
    uint32_t *cuts = calloc(2 * (size_t)steps->range_count + 2, sizeof *cuts), count = 0, kept = 0;
    BASE_ASSERT(cuts);
    cuts[count++] = RUN_CHARACTER_FIRST;
    for (uint32_t i = 0; i < steps->range_count; i++) {
        cuts[count++] = steps->ranges[i].first;
        cuts[count++] = steps->ranges[i].last + 1;
    }
    qsort(cuts, count, sizeof *cuts, compare_numbers);
    builder->pieces = calloc(count, sizeof *builder->pieces);
    builder->piece_kind = calloc(count, sizeof *builder->piece_kind);
    BASE_ASSERT(builder->pieces && builder->piece_kind);
    for (uint32_t i = 0; i < count && kept < KINDS_MAX; i++) {
        const uint32_t end = i + 1 < count ? cuts[i + 1] : RUN_CHARACTER_LAST + 1;
        if (cuts[i] < end) {
            builder->pieces[kept++] = (struct run_range){cuts[i], end - 1};
        }
    }
    free(cuts);
    builder->piece_count = kept;
    return kept < KINDS_MAX;
}

/* Pieces that no set tells apart are of one kind. */
static bool find_kinds(struct builder *builder)
{
    const uint32_t sets = builder->steps->set_count;
    if (!cut_pieces(builder)) {
        return false;
    }
    builder->member = calloc((size_t)builder->piece_count * sets + 1, sizeof *builder->member);
    BASE_ASSERT(builder->member);
    for (uint32_t i = 0; i < builder->piece_count; i++) {
        bool *row = builder->member + (size_t)builder->kind_count * sets;
        uint32_t kind = 0;
        for (uint32_t set = 0; set < sets; set++) {
            row[set] = set_has(builder->steps, set, builder->pieces[i].first);
        }
        while (kind < builder->kind_count &&
               memcmp(builder->member + (size_t)kind * sets, row, sets * sizeof *row) != 0) {
            kind++;
        }
        builder->piece_kind[i] = kind;
        builder->kind_count = BASE_MAX(builder->kind_count, kind + 1);
    }
    return true;
}

/* ---- sets of steps --------------------------------------------------------------------------- */

static void begin(struct builder *builder)
{
    builder->mark++;
    builder->found_count = 0;
    builder->found_match = false;
}

/* Adds what waits for a character, or for the end, when `at` has been reached. */
static void follow(struct builder *builder, uint32_t at, bool first, bool last)
{
    uint32_t depth = 0;
    builder->stack[depth++] = at;
    while (depth > 0) {
        at = builder->stack[--depth];
        if (builder->marks[at] == builder->mark) {
            continue;
        }
        builder->marks[at] = builder->mark;
        builder->work++;
        const struct run_step *step = &builder->steps->steps[at];
        switch (step->kind) {
        case RUN_STEP_FOUND: builder->found_match = true; break;
        case RUN_STEP_SET: builder->found[builder->found_count++] = at; break;
        case RUN_STEP_SPLIT:
            builder->stack[depth++] = step->other;
            builder->stack[depth++] = step->next;
            break;
        case RUN_STEP_BEGIN:
            if (first) {
                builder->stack[depth++] = step->next;
            }
            break;
        case RUN_STEP_END:
            if (last) {
                builder->stack[depth++] = step->next;
            } else {
                builder->found[builder->found_count++] = at;
            }
            break;
        }
    }
}

/* Would a match be found if the string ended here? */
static bool ends_well(struct builder *builder, const struct subset *subset, bool first)
{
    begin(builder);
    for (uint32_t i = 0; i < subset->count; i++) {
        const uint32_t step = builder->items[subset->first + i];
        if (builder->steps->steps[step].kind == RUN_STEP_END) {
            follow(builder, step, first, true);
        }
    }
    return builder->found_match;
}

/* The number of the set at work; RUN_LANGUAGE_STATES_MAX when there are too many. */
static uint32_t intern(struct builder *builder)
{
    if (builder->found_match) {
        builder->found_count = 0; /* whatever follows is as good */
    }
    const bool match = builder->found_match;
    qsort(builder->found, builder->found_count, sizeof *builder->found, compare_numbers);
    uint64_t hash = match;
    for (uint32_t i = 0; i < builder->found_count; i++) {
        hash = (hash ^ builder->found[i]) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    builder->work += builder->found_count;
    const size_t bytes = builder->found_count * sizeof *builder->found;
    uint32_t slot = (uint32_t)(hash % SLOTS);
    for (; builder->slots[slot]; slot = (slot + 1) % SLOTS) {
        const struct subset *other = &builder->subsets[builder->slots[slot] - 1];
        if (other->count == builder->found_count &&
            (match == (other->count == 0 && other->accepts)) &&
            memcmp(builder->items + other->first, builder->found, bytes) == 0) {
            return builder->slots[slot] - 1;
        }
    }
    if (builder->subset_count == RUN_LANGUAGE_STATES_MAX ||
        builder->item_count + builder->found_count > ITEMS_MAX ||
        builder->work > builder->work_max) {
        return RUN_LANGUAGE_STATES_MAX;
    }
    if (builder->item_count + builder->found_count > builder->item_capacity) {
        builder->item_capacity = 2 * (builder->item_count + builder->found_count);
        builder->items = realloc(builder->items, builder->item_capacity * sizeof *builder->items);
        BASE_ASSERT(builder->items);
    }
    memcpy(builder->items + builder->item_count, builder->found, bytes);
    struct subset *made = &builder->subsets[builder->subset_count];
    *made = (struct subset){builder->item_count, builder->found_count, match};
    builder->item_count += builder->found_count;
    if (!match) {
        made->accepts = ends_well(builder, made, builder->subset_count == 0);
    }
    builder->slots[slot] = ++builder->subset_count;
    return builder->subset_count - 1;
}

/* Where a set leads with a character of the kind. */
static uint32_t lead(struct builder *builder, uint32_t from, uint32_t kind)
{
    const struct subset subset = builder->subsets[from];
    const bool *member = builder->member + (size_t)kind * builder->steps->set_count;
    begin(builder);
    builder->found_match = subset.count == 0 && subset.accepts;
    for (uint32_t i = 0; i < subset.count; i++) {
        const struct run_step *step = &builder->steps->steps[builder->items[subset.first + i]];
        builder->work++;
        if (step->kind == RUN_STEP_SET && member[step->other]) {
            follow(builder, step->next, false, false);
        }
    }
    return intern(builder);
}

static bool add_arcs(struct builder *builder, struct run_language *language, uint32_t state)
{
    uint32_t *to = calloc(builder->kind_count, sizeof *to);
    BASE_ASSERT(to);
    bool fits = true;
    for (uint32_t kind = 0; kind < builder->kind_count && fits; kind++) {
        to[kind] = lead(builder, state, kind);
        fits = to[kind] != RUN_LANGUAGE_STATES_MAX;
    }
    for (uint32_t i = 0; i < builder->piece_count && fits; i++) {
        fits = run_language_add_arc(language, builder->pieces[i], to[builder->piece_kind[i]]);
    }
    free(to);
    return fits;
}

static bool determine(struct builder *builder, struct run_language *language)
{
    begin(builder);
    follow(builder, builder->steps->start, true, false);
    bool fits = find_kinds(builder) && intern(builder) == 0;
    for (uint32_t i = 0; fits && i < builder->subset_count; i++) {
        fits = run_language_add_state(language, builder->subsets[i].accepts) &&
               add_arcs(builder, language, i);
    }
    return fits;
}

enum takt_status run_language_pattern(struct run_language *language, const char *pattern,
                                      uint64_t *work_left, struct takt_error *error)
{
    struct run_steps steps;
    *language = (struct run_language){0};
    enum takt_status status = run_steps_parse(&steps, pattern, error);
    if (status == TAKT_OK) {
        struct builder builder = {.steps = &steps, .work_max = *work_left};
        builder.subsets = calloc(RUN_LANGUAGE_STATES_MAX, sizeof *builder.subsets);
        builder.slots = calloc(SLOTS, sizeof *builder.slots);
        builder.marks = calloc(steps.count, sizeof *builder.marks);
        builder.stack = calloc(2 * (size_t)steps.count + 2, sizeof *builder.stack);
        builder.found = calloc(steps.count, sizeof *builder.found);
        builder.items = calloc(1, sizeof *builder.items);
        BASE_ASSERT(builder.subsets && builder.slots && builder.marks && builder.stack &&
                    builder.found && builder.items);
        if (determine(&builder, language)) {
            run_language_trim(language);
        } else {
            run_language_free(language);
            status = base_fail(error, TAKT_LIMIT,
                               "the pattern needs too large an automaton (more than %u states, or "
                               "too much work to make them)",
                               RUN_LANGUAGE_STATES_MAX);
        }
        *work_left -= BASE_MIN(builder.work, *work_left);
        free(builder.subsets);
        free(builder.slots);
        free(builder.marks);
        free(builder.stack);
        free(builder.found);
        free(builder.items);
        free(builder.pieces);
        free(builder.piece_kind);
        free(builder.member);
    }
    run_steps_free(&steps);
    return status;
}
