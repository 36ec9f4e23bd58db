/*
 * Tables of a pattern's program. A state is a list of places in the program, the preferred first,
 * before anything is decided about the character that follows; a step takes the character's class,
 * follows jumps and lookahead with it, notes whether the pattern matches before the character, and
 * moves the places that take it. What is less preferred than a match is dropped.
 */
#include "model/pattern_parts.h"

#include <stdlib.h>
#include <string.h>

#define STATES_MAX 8192u
#define CLASSES_MAX 200u
#define WORK_MAX 100000000u /* steps of making the tables: less than a second */
#define PAGE 256u
#define PAGES ((UNICODE_MAX + 1) / PAGE)
#define MATCHED 0x80000000u
#define DEAD 0u /* the state of no places */

struct pattern {
    uint32_t classes;            /* the end of the text is one more */
    uint16_t pages[PAGES];       /* of code points -> row of page_classes */
    unsigned char *page_classes; /* [][PAGE] */
    unsigned char ascii[128];
    uint32_t start[2];     /* in the text, and at its beginning */
    uint32_t *transitions; /* [state][classes + 1]: state, with MATCHED when it matched before */
};

/* ---- classes --------------------------------------------------------------------------------- */

struct maker {
    struct pattern_program program;
    struct pattern *pattern;
    uint64_t *class_sets; /* [classes] a bit for each set that holds it */
    /* Lists of places: [state] -> offset and length in `places`. */
    uint32_t *places, *offsets, *lengths;
    size_t place_count, place_capacity;
    uint32_t states, state_capacity;
    uint32_t *table; /* hash -> state + 1 */
    uint32_t table_mask;
    uint32_t *seen, mark; /* [program] */
    uint32_t *list, *stack;
    uint64_t work;
};

static int by_code(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Where membership of any set changes, ascending and each once; NULL when memory is short. */
static uint32_t *boundaries(const struct pattern_program *program, size_t *count)
{
    size_t total = 1;
    for (uint32_t i = 0; i < program->set_count; i++)
        total += 2 * program->sets[i].count;
    uint32_t *codes = malloc(total * sizeof(*codes));
    if (codes == NULL)
        return NULL;
    size_t used = 0;
    codes[used++] = 0;
    for (uint32_t i = 0; i < program->set_count; i++)
        for (size_t j = 0; j < program->sets[i].count; j++) {
            codes[used++] = program->sets[i].ranges[j].first;
            codes[used++] = program->sets[i].ranges[j].last + 1;
        }
    qsort(codes, used, sizeof(*codes), by_code);
    *count = 0;
    for (size_t i = 0; i < used; i++)
        if ((*count == 0 || codes[*count - 1] != codes[i]) && codes[i] <= UNICODE_MAX)
            codes[(*count)++] = codes[i];
    return codes;
}

/* The class of that membership, a new one if need be; CLASSES_MAX when there are too many. */
static uint32_t class_of(struct maker *maker, uint64_t sets)
{
    for (uint32_t i = 0; i < maker->pattern->classes; i++)
        if (maker->class_sets[i] == sets)
            return i;
    if (maker->pattern->classes == CLASSES_MAX)
        return CLASSES_MAX;
    maker->class_sets[maker->pattern->classes] = sets;
    return maker->pattern->classes++;
}

/* Gives every code point its class; pages that are alike are kept once. */
static bool fill_pages(struct pattern *pattern, const unsigned char *classes)
{
    size_t rows = 0, capacity = 0;
    for (uint32_t page = 0; page < PAGES; page++) {
        const unsigned char *row = classes + (size_t)page * PAGE;
        size_t found = 0;
        while (found < rows && memcmp(pattern->page_classes + found * PAGE, row, PAGE) != 0)
            found++;
        if (found == rows) {
            if (rows == capacity) {
                capacity = capacity == 0 ? 64 : 2 * capacity;
                unsigned char *grown = realloc(pattern->page_classes, capacity * PAGE);
                if (grown == NULL)
                    return false;
                pattern->page_classes = grown;
            }
            memcpy(pattern->page_classes + rows++ * PAGE, row, PAGE);
        }
        pattern->pages[page] = (uint16_t)found;
    }
    memcpy(pattern->ascii, classes, sizeof(pattern->ascii));
    return true;
}

static enum takt_status make_classes(struct maker *maker, const char *where,
                                     struct takt_error *error)
{
    const struct pattern_program *program = &maker->program;
    size_t count, next[PATTERN_SETS_MAX] = {0};
    uint32_t *codes = boundaries(program, &count);
    unsigned char *classes = malloc(UNICODE_MAX + 1);
    enum takt_status status = TAKT_OK;
    for (size_t i = 0; codes != NULL && classes != NULL && i < count; i++) {
        uint64_t sets = 0;
        for (uint32_t s = 0; s < program->set_count; s++) {
            const struct pattern_set *set = &program->sets[s];
            while (next[s] < set->count && set->ranges[next[s]].last < codes[i])
                next[s]++;
            if (next[s] < set->count && set->ranges[next[s]].first <= codes[i])
                sets |= UINT64_C(1) << s;
        }
        uint32_t class = class_of(maker, sets);
        if (class == CLASSES_MAX) {
            status = base_fail(error, TAKT_LIMIT, "%s: pattern: more than %u kinds of characters",
                               where, CLASSES_MAX);
            break;
        }
        uint32_t end = i + 1 == count ? UNICODE_MAX + 1 : codes[i + 1];
        memset(classes + codes[i], (int)class, end - codes[i]);
    }
    if (codes == NULL || classes == NULL ||
        (status == TAKT_OK && !fill_pages(maker->pattern, classes)))
        status = base_fail(error, TAKT_MEMORY, "%s: no memory for a pattern; free some", where);
    free(codes);
    free(classes);
    return status;
}

/* ---- states ---------------------------------------------------------------------------------- */

/* The state of a list of places, a new one if need be; UINT32_MAX when there is no room. */
static uint32_t state_of(struct maker *maker, const uint32_t *list, uint32_t length)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ list[i]) * UINT64_C(0x100000001B3);
    hash ^= hash >> 31;
    maker->work += length;
    uint32_t slot = (uint32_t)hash & maker->table_mask;
    for (; maker->table[slot] != 0; slot = (slot + 1) & maker->table_mask) {
        uint32_t state = maker->table[slot] - 1;
        if (maker->lengths[state] == length &&
            memcmp(maker->places + maker->offsets[state], list, length * sizeof(*list)) == 0)
            return state;
    }
    if (maker->states == STATES_MAX)
        return UINT32_MAX;
    if (maker->place_count + length >= maker->place_capacity) {
        size_t capacity = 2 * (maker->place_capacity + length) + 1024;
        uint32_t *grown = realloc(maker->places, capacity * sizeof(*grown));
        if (grown == NULL)
            return UINT32_MAX;
        maker->places = grown;
        maker->place_capacity = capacity;
    }
    memcpy(maker->places + maker->place_count, list, length * sizeof(*list));
    maker->offsets[maker->states] = (uint32_t)maker->place_count;
    maker->lengths[maker->states] = length;
    maker->place_count += length;
    maker->table[slot] = maker->states + 1;
    return maker->states++;
}

/* Follows a place through jumps that this class (`end`: none) and beginning allow; collects in
 * maker->list, from *used on, the places behind the sets that take the class. True when a match was
 * met: what follows counts no more. */
static bool follow(struct maker *maker, uint32_t place, uint32_t class, bool end, bool begins,
                   uint32_t *used)
{
    uint32_t depth = 0;
    maker->stack[depth++] = place;
    while (depth != 0) {
        place = maker->stack[--depth];
        maker->work++;
        if (maker->seen[place] == maker->mark)
            continue;
        maker->seen[place] = maker->mark;
        const struct pattern_instruction *at = &maker->program.instructions[place];
        bool holds = !end && at->a < 64 && (maker->class_sets[class] >> (at->a & 63) & 1) != 0;
        switch (at->kind) {
        case PATTERN_MATCH: return true;
        case PATTERN_JUMP: maker->stack[depth++] = at->a; break;
        case PATTERN_FORK:
            maker->stack[depth++] = at->b; /* the preferred one is on top */
            maker->stack[depth++] = at->a;
            break;
        case PATTERN_SET:
            if (holds)
                maker->list[(*used)++] = place + 1;
            break;
        case PATTERN_AHEAD:
        case PATTERN_NOT_AHEAD:
            if (holds == (at->kind == PATTERN_AHEAD))
                maker->stack[depth++] = place + 1;
            break;
        case PATTERN_START:
        case PATTERN_END:
            if (at->kind == PATTERN_START ? begins : end)
                maker->stack[depth++] = place + 1;
            break;
        }
    }
    return false;
}

/* The transition of a state by a class; false when there is no room. */
static bool step(struct maker *maker, uint32_t state, uint32_t class, bool begins, uint32_t *to)
{
    bool end = class == maker->pattern->classes, matched = false;
    uint32_t used = 0;
    maker->mark++;
    for (uint32_t i = 0; i < maker->lengths[state] && !matched; i++)
        matched =
            follow(maker, maker->places[maker->offsets[state] + i], class, end, begins, &used);
    /* One place may come twice by way of two sets; the first is the preferred one. */
    uint32_t kept = 0;
    maker->mark++;
    for (uint32_t i = 0; i < used; i++)
        if (maker->seen[maker->list[i]] != maker->mark) {
            maker->seen[maker->list[i]] = maker->mark;
            maker->list[kept++] = maker->list[i];
        }
    uint32_t next = state_of(maker, maker->list, kept);
    *to = next | (matched ? MATCHED : 0);
    return next != UINT32_MAX && maker->work < WORK_MAX;
}

static bool make_states(struct maker *maker)
{
    const uint32_t width = maker->pattern->classes + 1;
    size_t capacity = 0;
    const uint32_t first = 0;
    if (state_of(maker, &first, 0) != DEAD)
        return false;
    maker->pattern->start[0] = state_of(maker, &first, 1);
    /* The beginning of the text is a state of its own, whatever its places: the last one. */
    for (uint32_t state = 0; state < maker->states; state++) {
        if (state >= capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            uint32_t *grown =
                realloc(maker->pattern->transitions, (capacity + 1) * width * sizeof(*grown));
            if (grown == NULL)
                return false;
            maker->pattern->transitions = grown;
        }
        for (uint32_t class = 0; class < width; class ++)
            if (!step(maker, state, class, false,
                      &maker->pattern->transitions[(size_t)state * width + class]))
                return false;
        if (state + 1 == maker->states && maker->pattern->start[1] == 0) {
            /* All states of the middle are known; its successors may be new ones. */
            uint32_t beginning = maker->states;
            if (beginning == STATES_MAX)
                return false;
            maker->offsets[beginning] = maker->offsets[maker->pattern->start[0]];
            maker->lengths[beginning] = 1;
            maker->pattern->start[1] = beginning;
            maker->states++;
            for (uint32_t class = 0; class < width; class ++)
                if (!step(maker, beginning, class, true,
                          &maker->pattern->transitions[(size_t)beginning * width + class]))
                    return false;
            state++; /* it is done; what it found comes next */
        }
    }
    return true;
}

static bool make_room(struct maker *maker)
{
    size_t program = maker->program.count;
    uint32_t slots = 2 * STATES_MAX;
    maker->table_mask = slots - 1;
    maker->offsets = malloc(STATES_MAX * sizeof(uint32_t));
    maker->lengths = malloc(STATES_MAX * sizeof(uint32_t));
    maker->table = calloc(slots, sizeof(uint32_t));
    maker->seen = calloc(program, sizeof(uint32_t));
    maker->list = malloc(program * sizeof(uint32_t));
    maker->stack = malloc((2 * program + 2) * sizeof(uint32_t));
    return maker->offsets != NULL && maker->lengths != NULL && maker->table != NULL &&
           maker->seen != NULL && maker->list != NULL && maker->stack != NULL;
}

static void free_room(struct maker *maker)
{
    free(maker->places);
    free(maker->offsets);
    free(maker->lengths);
    free(maker->table);
    free(maker->seen);
    free(maker->list);
    free(maker->stack);
    free(maker->class_sets);
    pattern_program_free(&maker->program);
}

enum takt_status pattern_compile(struct pattern **out, const char *where, const char *source,
                                 size_t length, struct takt_error *error)
{
    *out = NULL;
    struct maker maker = {0};
    enum takt_status status = pattern_parse(&maker.program, where, source, length, error);
    if (status != TAKT_OK)
        return status;
    maker.pattern = calloc(1, sizeof(*maker.pattern));
    maker.class_sets = malloc(CLASSES_MAX * sizeof(uint64_t));
    if (maker.pattern == NULL || maker.class_sets == NULL || !make_room(&maker))
        status = base_fail(error, TAKT_MEMORY, "%s: no memory for a pattern; free some", where);
    if (status == TAKT_OK)
        status = make_classes(&maker, where, error);
    if (status == TAKT_OK && !make_states(&maker))
        status = base_fail(error, TAKT_LIMIT,
                           "%s: a pattern needs more than %u states, or too long to make", where,
                           STATES_MAX);
    free_room(&maker);
    if (status != TAKT_OK) {
        pattern_destroy(maker.pattern);
        return status;
    }
    *out = maker.pattern;
    return TAKT_OK;
}

void pattern_destroy(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    free(pattern->page_classes);
    free(pattern->transitions);
    free(pattern);
}

/* ---- running --------------------------------------------------------------------------------- */

/* The class of the character at a place in valid UTF-8, and its size. */
static inline uint32_t class_at(const struct pattern *pattern, const unsigned char *at,
                                size_t *size)
{
    uint32_t code;
    if (at[0] < 0x80) {
        *size = 1;
        return pattern->ascii[at[0]];
    }
    if (at[0] < 0xE0) {
        *size = 2;
        code = (at[0] & 31u) << 6 | (at[1] & 63u);
    } else if (at[0] < 0xF0) {
        *size = 3;
        code = (at[0] & 15u) << 12 | (at[1] & 63u) << 6 | (at[2] & 63u);
    } else {
        *size = 4;
        code = (at[0] & 7u) << 18 | (at[1] & 63u) << 12 | (at[2] & 63u) << 6 | (at[3] & 63u);
    }
    return pattern->page_classes[(size_t)pattern->pages[code / PAGE] * PAGE + code % PAGE];
}

bool pattern_find(const struct pattern *pattern, const char *text, size_t length, size_t from,
                  size_t *start, size_t *end, uint64_t *steps)
{
    const unsigned char *bytes = (const unsigned char *)text;
    const uint32_t width = pattern->classes + 1;
    for (size_t begin = from, size = 1; begin < length; begin += size) {
        uint32_t state = pattern->start[begin == 0 ? 1 : 0];
        size_t last = begin, at = begin, left = *steps;
        for (;;) {
            size_t step = 0;
            uint32_t class = at < length ? class_at(pattern, bytes + at, &step) : pattern->classes;
            uint32_t to = pattern->transitions[(size_t)state * width + class];
            last = (to & MATCHED) != 0 ? at : last;
            state = to & ~MATCHED;
            if (state == DEAD || left == 0)
                break;
            at += step;
            left--;
        }
        *steps = left;
        if (last > begin) {
            *start = begin;
            *end = last;
            return true;
        }
        if (left == 0)
            return false;
        (void)class_at(pattern, bytes + begin, &size);
    }
    return false;
}
