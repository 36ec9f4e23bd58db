/* Deterministic automata over characters: made of lengths and words, cut, complemented, asked. */
#include "run/language.h"

#include <stdlib.h>
#include <string.h>

uint32_t run_character(const char *text, size_t *size)
{
    *size = base_utf8_size(text, strnlen(text, 4));
    const unsigned char *bytes = (const unsigned char *)text;
    switch (*size) {
    case 2: return (bytes[0] & 0x1Fu) << 6 | (bytes[1] & 0x3Fu);
    case 3: return (bytes[0] & 0x0Fu) << 12 | (bytes[1] & 0x3Fu) << 6 | (bytes[2] & 0x3Fu);
    case 4:
        return (bytes[0] & 0x07u) << 18 | (bytes[1] & 0x3Fu) << 12 | (bytes[2] & 0x3Fu) << 6 |
               (bytes[3] & 0x3Fu);
    default: *size = 1; return bytes[0];
    }
}

bool run_language_add_state(struct run_language *language, bool accepts)
{
    if (language->state_count == RUN_LANGUAGE_STATES_MAX) {
        return false;
    }
    if (language->state_count == language->state_capacity) {
        language->state_capacity = language->state_capacity ? language->state_capacity * 2 : 16;
        language->states =
            realloc(language->states, language->state_capacity * sizeof *language->states);
        BASE_ASSERT(language->states);
    }
    language->states[language->state_count++] =
        (struct run_language_state){.first_arc = language->arc_count, .accepts = accepts};
    return true;
}

bool run_language_add_arc(struct run_language *language, struct run_range on, uint32_t to)
{
    struct run_language_state *state = &language->states[language->state_count - 1];
    if (state->arc_count > 0) {
        struct run_arc *last = &language->arcs[language->arc_count - 1];
        if (last->to == to && last->on.last + 1 == on.first) {
            last->on.last = on.last;
            return true;
        }
    }
    if (language->arc_count == RUN_LANGUAGE_ARCS_MAX) {
        return false;
    }
    if (language->arc_count == language->arc_capacity) {
        language->arc_capacity = language->arc_capacity ? language->arc_capacity * 2 : 64;
        language->arcs = realloc(language->arcs, language->arc_capacity * sizeof *language->arcs);
        BASE_ASSERT(language->arcs);
    }
    language->arcs[language->arc_count++] = (struct run_arc){on, to};
    state->arc_count++;
    return true;
}

void run_language_free(struct run_language *language)
{
    free(language->states);
    free(language->arcs);
    *language = (struct run_language){0};
}

/* Which states lead to an accepting one. Arcs lead on mostly, so a few rounds from the back do. */
static bool *find_useful(const struct run_language *language)
{
    bool *useful = calloc((size_t)language->state_count + 1, sizeof *useful);
    BASE_ASSERT(useful);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = language->state_count; i > 0; i--) {
            const struct run_language_state *state = &language->states[i - 1];
            bool is = useful[i - 1] || state->accepts;
            for (uint32_t j = 0; j < state->arc_count && !is; j++) {
                is = useful[language->arcs[state->first_arc + j].to];
            }
            changed = changed || is != useful[i - 1];
            useful[i - 1] = is;
        }
    }
    return useful;
}

void run_language_trim(struct run_language *language)
{
    bool *useful = find_useful(language);
    uint32_t *numbers = calloc((size_t)language->state_count + 1, sizeof *numbers);
    uint32_t count = 0, arcs = 0;
    BASE_ASSERT(numbers);
    useful[0] = true;
    for (uint32_t i = 0; i < language->state_count; i++) {
        numbers[i] = useful[i] ? count++ : 0;
    }
    for (uint32_t i = 0; i < language->state_count; i++) {
        const struct run_language_state state = language->states[i];
        if (!useful[i]) {
            continue;
        }
        struct run_language_state *kept = &language->states[numbers[i]];
        *kept = (struct run_language_state){.first_arc = arcs, .accepts = state.accepts};
        for (uint32_t j = 0; j < state.arc_count; j++) {
            const struct run_arc arc = language->arcs[state.first_arc + j];
            if (useful[arc.to]) {
                language->arcs[arcs++] = (struct run_arc){arc.on, numbers[arc.to]};
                kept->arc_count++;
            }
        }
    }
    /* The first state is kept even when it leads nowhere: arcs back to it are then of no use. */
    language->state_count = count;
    language->arc_count = arcs;
    free(useful);
    free(numbers);
}

/* ---- made ------------------------------------------------------------------------------------ */

static const struct run_range any = {RUN_CHARACTER_FIRST, RUN_CHARACTER_LAST};

bool run_language_lengths(struct run_language *language, long least, long most)
{
    *language = (struct run_language){0};
    const long last = most < 0 ? least : most;
    bool fits = true;
    for (long i = 0; i <= last && fits; i++) {
        fits = run_language_add_state(language, i >= least);
        if (fits && i < last) {
            fits = run_language_add_arc(language, any, (uint32_t)i + 1);
        }
    }
    return fits && (most >= 0 || run_language_add_arc(language, any, (uint32_t)last));
}

struct word {
    const char *rest; /* what is left of it */
};

static int compare_words(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->rest, ((const struct word *)b)->rest);
}

/* The words list[first .. end) have led to the state that is next in order. */
struct bundle {
    size_t first, end;
};

/* UTF-8 sorts as its characters do, so words that go on alike stand together. */
static bool grow_words(struct run_language *language, struct word *list, struct bundle *queue)
{
    uint32_t queued = 1;
    for (uint32_t i = 0; i < queued; i++) {
        const struct bundle here = queue[i];
        size_t at = here.first;
        bool accepts = false;
        for (; at < here.end && list[at].rest[0] == '\0'; at++) {
            accepts = true;
        }
        if (!run_language_add_state(language, accepts)) {
            return false;
        }
        while (at < here.end) {
            size_t size, end = at;
            const uint32_t character = run_character(list[at].rest, &size);
            for (size_t other = size; end < here.end; end++) {
                if (run_character(list[end].rest, &other) != character) {
                    break;
                }
                list[end].rest += size;
            }
            if (queued == RUN_LANGUAGE_STATES_MAX ||
                !run_language_add_arc(language, (struct run_range){character, character}, queued)) {
                return false;
            }
            queue[queued++] = (struct bundle){at, end};
            at = end;
        }
    }
    return true;
}

bool run_language_words(struct run_language *language, const char *const *words, size_t count)
{
    *language = (struct run_language){0};
    struct word *list = calloc(count + 1, sizeof *list);
    struct bundle *queue = calloc(RUN_LANGUAGE_STATES_MAX, sizeof *queue);
    BASE_ASSERT(list && queue);
    for (size_t i = 0; i < count; i++) {
        list[i].rest = words[i];
    }
    qsort(list, count, sizeof *list, compare_words);
    queue[0] = (struct bundle){0, count};
    const bool fits = grow_words(language, list, queue);
    free(list);
    free(queue);
    return fits;
}

/* ---- of others ------------------------------------------------------------------------------- */

#define PAIR_SLOTS (4 * RUN_LANGUAGE_STATES_MAX)

struct pairs {
    uint64_t *list;  /* [RUN_LANGUAGE_STATES_MAX]: a's state, b's state */
    uint32_t *slots; /* [PAIR_SLOTS], a hash table: index + 1, or 0 */
    uint32_t count;
};

/* The pair's number, or RUN_LANGUAGE_STATES_MAX when there are too many. */
static uint32_t pair_of(struct pairs *pairs, uint32_t a, uint32_t b)
{
    const uint64_t key = (uint64_t)a << 32 | b;
    uint32_t slot = (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 40) % PAIR_SLOTS;
    for (; pairs->slots[slot]; slot = (slot + 1) % PAIR_SLOTS) {
        if (pairs->list[pairs->slots[slot] - 1] == key) {
            return pairs->slots[slot] - 1;
        }
    }
    if (pairs->count == RUN_LANGUAGE_STATES_MAX) {
        return RUN_LANGUAGE_STATES_MAX;
    }
    pairs->list[pairs->count] = key;
    pairs->slots[slot] = ++pairs->count;
    return pairs->count - 1;
}

/* The arcs of a pair: where arcs of both overlap. */
static bool pair_arcs(struct run_language *language, struct pairs *pairs,
                      const struct run_language *a, const struct run_language *b, uint64_t key)
{
    const struct run_language_state *x = &a->states[key >> 32], *y = &b->states[(uint32_t)key];
    uint32_t i = 0, j = 0;
    while (i < x->arc_count && j < y->arc_count) {
        const struct run_arc *p = &a->arcs[x->first_arc + i], *q = &b->arcs[y->first_arc + j];
        const struct run_range on = {BASE_MAX(p->on.first, q->on.first),
                                     BASE_MIN(p->on.last, q->on.last)};
        if (on.first <= on.last) {
            const uint32_t to = pair_of(pairs, p->to, q->to);
            if (to == RUN_LANGUAGE_STATES_MAX || !run_language_add_arc(language, on, to)) {
                return false;
            }
        }
        if (p->on.last <= q->on.last) {
            i++;
        } else {
            j++;
        }
    }
    return true;
}

bool run_language_both(struct run_language *language, const struct run_language *a,
                       const struct run_language *b)
{
    *language = (struct run_language){0};
    struct pairs pairs = {calloc(RUN_LANGUAGE_STATES_MAX, sizeof *pairs.list),
                          calloc(PAIR_SLOTS, sizeof *pairs.slots), 0};
    BASE_ASSERT(pairs.list && pairs.slots);
    pair_of(&pairs, 0, 0);
    bool fits = true;
    for (uint32_t i = 0; i < pairs.count && fits; i++) {
        const uint64_t key = pairs.list[i];
        fits = run_language_add_state(language, a->states[key >> 32].accepts &&
                                                    b->states[(uint32_t)key].accepts) &&
               pair_arcs(language, &pairs, a, b, key);
    }
    free(pairs.list);
    free(pairs.slots);
    if (fits) {
        run_language_trim(language);
    }
    return fits;
}

bool run_language_not(struct run_language *language, const struct run_language *a)
{
    *language = (struct run_language){0};
    const uint32_t nowhere = a->state_count; /* whence all is accepted now */
    for (uint32_t i = 0; i <= nowhere; i++) {
        const struct run_language_state state =
            i < nowhere ? a->states[i] : (struct run_language_state){0};
        if (!run_language_add_state(language, !state.accepts)) {
            return false;
        }
        uint32_t at = RUN_CHARACTER_FIRST;
        for (uint32_t j = 0; j < state.arc_count; j++) {
            const struct run_arc *arc = &a->arcs[state.first_arc + j];
            if ((arc->on.first > at &&
                 !run_language_add_arc(language, (struct run_range){at, arc->on.first - 1},
                                       nowhere)) ||
                !run_language_add_arc(language, arc->on, arc->to)) {
                return false;
            }
            at = arc->on.last + 1;
        }
        if (at <= RUN_CHARACTER_LAST &&
            !run_language_add_arc(language, (struct run_range){at, RUN_CHARACTER_LAST}, nowhere)) {
            return false;
        }
    }
    run_language_trim(language);
    return true;
}

bool run_language_is_empty(const struct run_language *language)
{
    for (uint32_t i = 0; i < language->state_count; i++) {
        if (language->states[i].accepts) {
            return false;
        }
    }
    return true;
}

bool run_language_takes(const struct run_language *language, const char *text)
{
    uint32_t at = 0;
    while (*text) {
        size_t size;
        const uint32_t character = run_character(text, &size);
        const struct run_language_state *state = &language->states[at];
        const struct run_arc *arcs = &language->arcs[state->first_arc];
        uint32_t i = 0;
        while (i < state->arc_count && arcs[i].on.last < character) {
            i++;
        }
        if (i == state->arc_count || arcs[i].on.first > character) {
            return false;
        }
        at = arcs[i].to;
        text += size;
    }
    return language->states[at].accepts;
}
