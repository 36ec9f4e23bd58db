/*
 * The automaton of a grammar, made state by state. A state is a set of threads, (node, stack), that
 * all wait for a byte; stacks are lists that share their tails, equal ones being the same. When
 * there are too many states all are dropped but the one in use: they come again when needed.
 */
#include "run/grammar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX 4096u
#define THREADS_FIRST 1024u /* room of one state at first */
#define THREADS_MAX 65536u  /* beyond, a grammar is refused as too ambiguous */
#define CLOSURE_DEPTH 2000u
#define UNKNOWN 0xFFFFFFFFu
#define EMPTY 0u /* the stack of the root */

struct thread {
    uint32_t node, stack;
};

struct cell {
    uint32_t node, parent; /* return to node, then with parent */
    uint32_t least;        /* bytes to the very end from there */
    uint32_t nesting;      /* containers open */
};

struct state {
    struct thread *threads;
    uint32_t count, hash;
    bool accepts;
    uint32_t least;  /* bytes to an end */
    uint32_t *leads; /* [256], UNKNOWN where nobody asked; NULL until then */
    uint64_t *mask;  /* tokens allowed if there is room; NULL until asked for */
    uint32_t worst;  /* most bytes to an end after a token of the mask */
};

struct takt_grammar {
    struct run_graph graph;
    const struct takt_engine *engine;
    const struct run_trie *trie;
    struct cell *cells;
    uint32_t cell_count, cell_capacity;
    uint32_t *cell_slots, cell_slot_count; /* a hash table */
    struct state *states;
    uint32_t state_count, state_capacity;
    uint32_t *state_slots; /* [2 * state_capacity], a hash table */
    struct thread *work;   /* threads of the state being made */
    uint64_t *seen;        /* [4 * work_capacity] of them, with `stamp` above: a hash table */
    uint32_t *stamps, stamp;
    uint32_t work_count, work_capacity;
    bool work_accepts, overflow;
    bool *is_end; /* [vocab] */
};

/* ---- stacks ---------------------------------------------------------------------------------- */

static uint32_t mix(uint32_t hash, uint32_t word)
{
    const uint64_t product = (uint64_t)(hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(product >> 29) ^ (uint32_t)product;
}

static void rehash_cells(struct takt_grammar *grammar)
{
    free(grammar->cell_slots);
    grammar->cell_slot_count = grammar->cell_capacity * 2;
    grammar->cell_slots = malloc(grammar->cell_slot_count * sizeof *grammar->cell_slots);
    BASE_ASSERT(grammar->cell_slots);
    memset(grammar->cell_slots, 0xFF, grammar->cell_slot_count * sizeof *grammar->cell_slots);
    for (uint32_t i = 0; i < grammar->cell_count; i++) {
        uint32_t slot = mix(mix(7, grammar->cells[i].node), grammar->cells[i].parent) &
                        (grammar->cell_slot_count - 1);
        while (grammar->cell_slots[slot] != UNKNOWN) {
            slot = (slot + 1) & (grammar->cell_slot_count - 1);
        }
        grammar->cell_slots[slot] = i;
    }
}

static uint32_t add_cell(struct takt_grammar *grammar, struct cell cell)
{
    if (grammar->cell_count == grammar->cell_capacity) {
        grammar->cell_capacity = grammar->cell_capacity ? grammar->cell_capacity * 2 : 256;
        grammar->cells = realloc(grammar->cells, grammar->cell_capacity * sizeof *grammar->cells);
        BASE_ASSERT(grammar->cells);
        rehash_cells(grammar);
    }
    grammar->cells[grammar->cell_count] = cell;
    return grammar->cell_count++;
}

/* The stack that returns to node and goes on with parent. */
static uint32_t push(struct takt_grammar *grammar, uint32_t node, uint32_t parent, bool container)
{
    const struct cell *below = &grammar->cells[parent];
    const uint32_t least = grammar->graph.least[node];
    const struct cell cell = {
        .node = node,
        .parent = parent,
        .least = least >= RUN_NEVER || below->least >= RUN_NEVER ? RUN_NEVER : least + below->least,
        .nesting = below->nesting + (container ? 1 : 0)};
    uint32_t slot = mix(mix(7, node), parent) & (grammar->cell_slot_count - 1);
    while (grammar->cell_slots[slot] != UNKNOWN) {
        const struct cell *other = &grammar->cells[grammar->cell_slots[slot]];
        if (other->node == node && other->parent == parent && other->nesting == cell.nesting) {
            return grammar->cell_slots[slot];
        }
        slot = (slot + 1) & (grammar->cell_slot_count - 1);
    }
    const uint32_t capacity = grammar->cell_capacity;
    const uint32_t made = add_cell(grammar, cell);
    if (capacity == grammar->cell_capacity) {
        grammar->cell_slots[slot] = made;
    } else {
        rehash_cells(grammar); /* the table was made again before this one was in it */
    }
    return made;
}

/* ---- states ---------------------------------------------------------------------------------- */

/* The slot of the thread, or a free one. */
static uint32_t thread_slot(const struct takt_grammar *grammar, uint32_t node, uint32_t stack)
{
    const uint32_t slots = 4 * grammar->work_capacity - 1;
    const uint64_t key = (uint64_t)stack << 32 | node;
    uint32_t slot = mix(mix(1, node), stack) & slots;
    while (grammar->stamps[slot] == grammar->stamp && grammar->seen[slot] != key) {
        slot = (slot + 1) & slots;
    }
    return slot;
}

static void note_thread(struct takt_grammar *grammar, uint32_t slot, struct thread thread)
{
    grammar->stamps[slot] = grammar->stamp;
    grammar->seen[slot] = (uint64_t)thread.stack << 32 | thread.node;
}

static void grow_work(struct takt_grammar *grammar)
{
    grammar->work_capacity = grammar->work_capacity ? grammar->work_capacity * 4 : THREADS_FIRST;
    const size_t capacity = grammar->work_capacity;
    free(grammar->seen);
    free(grammar->stamps);
    grammar->work = realloc(grammar->work, capacity * sizeof *grammar->work);
    grammar->seen = malloc(4 * capacity * sizeof *grammar->seen);
    grammar->stamps = calloc(4 * capacity, sizeof *grammar->stamps);
    BASE_ASSERT(grammar->work && grammar->seen && grammar->stamps);
    grammar->stamp = 1;
    for (uint32_t i = 0; i < grammar->work_count; i++) {
        const struct thread thread = grammar->work[i];
        note_thread(grammar, thread_slot(grammar, thread.node, thread.stack), thread);
    }
}

static void add_thread(struct takt_grammar *grammar, uint32_t node, uint32_t stack)
{
    if (grammar->stamps[thread_slot(grammar, node, stack)] == grammar->stamp) {
        return;
    }
    if (grammar->work_count == THREADS_MAX) {
        grammar->overflow = true;
        return;
    }
    if (grammar->work_count == grammar->work_capacity) {
        grow_work(grammar);
    }
    const struct thread thread = {node, stack};
    note_thread(grammar, thread_slot(grammar, node, stack), thread);
    grammar->work[grammar->work_count++] = thread;
}

/* Follows a thread to the nodes that take a byte. It ends, for no rule begins with itself
 * (run_graph_begins_with_itself). */
static void close_over(struct takt_grammar *grammar, uint32_t node, uint32_t stack, uint32_t depth)
{
    while (!grammar->overflow) {
        const struct run_node *at = &grammar->graph.nodes[node];
        switch (at->kind) {
        case RUN_NODE_BYTES: add_thread(grammar, node, stack); return;
        case RUN_NODE_SPLIT:
            if (depth == CLOSURE_DEPTH) {
                grammar->overflow = true;
                return;
            }
            close_over(grammar, at->other, stack, depth + 1);
            node = at->next;
            break;
        case RUN_NODE_CALL: {
            const struct run_rule *rule = &grammar->graph.rules[at->other];
            if (rule->container && grammar->cells[stack].nesting >= RUN_NESTING_MAX) {
                return;
            }
            stack = push(grammar, at->next, stack, rule->container);
            node = rule->start;
            break;
        }
        case RUN_NODE_END:
            if (stack == EMPTY) {
                grammar->work_accepts = true;
                return;
            }
            node = grammar->cells[stack].node;
            stack = grammar->cells[stack].parent;
            break;
        }
    }
}

static int compare_threads(const void *a, const void *b)
{
    const struct thread *x = a, *y = b;
    if (x->node != y->node) {
        return x->node < y->node ? -1 : 1;
    }
    return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static uint32_t least_of_work(const struct takt_grammar *grammar)
{
    uint32_t least = grammar->work_accepts ? 0 : RUN_NEVER;
    for (uint32_t i = 0; i < grammar->work_count; i++) {
        const uint32_t here = grammar->graph.least[grammar->work[i].node];
        const uint32_t rest = grammar->cells[grammar->work[i].stack].least;
        if (here < RUN_NEVER && rest < RUN_NEVER) {
            least = BASE_MIN(least, here + rest);
        }
    }
    return BASE_MIN(least, RUN_NEVER);
}

static void free_states(struct takt_grammar *grammar, uint32_t from)
{
    for (uint32_t i = from; i < grammar->state_count; i++) {
        free(grammar->states[i].threads);
        free(grammar->states[i].leads);
        free(grammar->states[i].mask);
    }
    grammar->state_count = BASE_MIN(grammar->state_count, from);
}

static void clear_slots(struct takt_grammar *grammar)
{
    memset(grammar->state_slots, 0xFF,
           2 * (size_t)grammar->state_capacity * sizeof *grammar->state_slots);
}

static void grow_states(struct takt_grammar *grammar)
{
    grammar->state_capacity = grammar->state_capacity ? grammar->state_capacity * 2 : 512;
    const size_t capacity = grammar->state_capacity;
    grammar->states = realloc(grammar->states, capacity * sizeof *grammar->states);
    grammar->state_slots =
        realloc(grammar->state_slots, 2 * capacity * sizeof *grammar->state_slots);
    BASE_ASSERT(grammar->states && grammar->state_slots);
    clear_slots(grammar);
    for (uint32_t i = 1; i < grammar->state_count; i++) {
        uint32_t slot = grammar->states[i].hash & (2 * grammar->state_capacity - 1);
        while (grammar->state_slots[slot] != UNKNOWN) {
            slot = (slot + 1) & (2 * grammar->state_capacity - 1);
        }
        grammar->state_slots[slot] = i;
    }
}

/* The state of the threads at work, a new one if need be; RUN_DEAD when no end can be reached. */
static uint32_t intern(struct takt_grammar *grammar)
{
    const uint32_t least = least_of_work(grammar);
    if (grammar->overflow || least >= RUN_NEVER) {
        return RUN_DEAD;
    }
    qsort(grammar->work, grammar->work_count, sizeof *grammar->work, compare_threads);
    uint32_t hash = grammar->work_accepts ? 3 : 5;
    for (uint32_t i = 0; i < grammar->work_count; i++) {
        hash = mix(mix(hash, grammar->work[i].node), grammar->work[i].stack);
    }
    if (grammar->state_count == grammar->state_capacity) {
        grow_states(grammar);
    }
    const uint32_t slots = 2 * grammar->state_capacity - 1;
    uint32_t slot = hash & slots;
    const size_t bytes = grammar->work_count * sizeof *grammar->work;
    for (; grammar->state_slots[slot] != UNKNOWN; slot = (slot + 1) & slots) {
        const struct state *other = &grammar->states[grammar->state_slots[slot]];
        if (other->count == grammar->work_count && other->accepts == grammar->work_accepts &&
            (bytes == 0 || memcmp(other->threads, grammar->work, bytes) == 0)) {
            return grammar->state_slots[slot];
        }
    }
    struct state *made = &grammar->states[grammar->state_count];
    *made = (struct state){.count = grammar->work_count,
                           .hash = hash,
                           .accepts = grammar->work_accepts,
                           .least = least,
                           .threads = malloc(bytes + 1)};
    BASE_ASSERT(made->threads);
    memcpy(made->threads, grammar->work, bytes);
    grammar->state_slots[slot] = grammar->state_count;
    return grammar->state_count++;
}

static void begin_work(struct takt_grammar *grammar)
{
    grammar->work_count = 0;
    grammar->work_accepts = grammar->overflow = false;
    if (++grammar->stamp == 0) {
        memset(grammar->stamps, 0, 4 * (size_t)grammar->work_capacity * sizeof *grammar->stamps);
        grammar->stamp = 1;
    }
}

static uint32_t lead(struct takt_grammar *grammar, uint32_t from, unsigned char byte)
{
    if (from == RUN_DEAD) {
        return RUN_DEAD;
    }
    struct state *state = &grammar->states[from];
    if (!state->leads) {
        state->leads = malloc(256 * sizeof *state->leads);
        BASE_ASSERT(state->leads);
        memset(state->leads, 0xFF, 256 * sizeof *state->leads);
    }
    if (state->leads[byte] == UNKNOWN) {
        begin_work(grammar);
        for (uint32_t i = 0; i < state->count; i++) {
            const struct thread thread = state->threads[i];
            const struct run_node *node = &grammar->graph.nodes[thread.node];
            if (node->set[byte / 64] >> (byte % 64) & 1) {
                close_over(grammar, node->next, thread.stack, 0);
            }
        }
        const uint32_t made = intern(grammar); /* states may have moved */
        grammar->states[from].leads[byte] = made;
    }
    return grammar->states[from].leads[byte];
}

/* Room for as many states as one walk over the vocabulary may make: drops all but one when there
 * might not be. Returns the state's new number. */
static uint32_t make_room(struct takt_grammar *grammar, uint32_t state)
{
    if (grammar->state_count < STATES_MAX || state == RUN_DEAD) {
        return state;
    }
    const struct state kept = grammar->states[state];
    begin_work(grammar);
    memcpy(grammar->work, kept.threads, kept.count * sizeof *kept.threads);
    grammar->work_count = kept.count;
    grammar->work_accepts = kept.accepts;
    free_states(grammar, 1);
    clear_slots(grammar);
    return intern(grammar);
}

uint32_t run_grammar_start(struct takt_grammar *grammar)
{
    begin_work(grammar);
    close_over(grammar, grammar->graph.rules[grammar->graph.root].start, EMPTY, 0);
    return intern(grammar);
}

uint32_t run_grammar_step(struct takt_grammar *grammar, uint32_t state, const char *bytes,
                          size_t length)
{
    for (size_t i = 0; i < length && state != RUN_DEAD; i++) {
        state = lead(grammar, state, (unsigned char)bytes[i]);
    }
    return state;
}

uint32_t run_grammar_least(const struct takt_grammar *grammar, uint32_t state)
{
    return state == RUN_DEAD ? RUN_NEVER : grammar->states[state].least;
}

bool run_grammar_accepts(const struct takt_grammar *grammar, uint32_t state)
{
    return state != RUN_DEAD && grammar->states[state].accepts;
}

bool run_grammar_complete(struct takt_grammar *grammar, uint32_t state)
{
    return run_grammar_accepts(grammar, state) && grammar->states[state].count == 0;
}

/* ---- masks ----------------------------------------------------------------------------------- */

/* Marks the tokens that lead to a state from which an end is at most `room` bytes away. */
static uint32_t walk(struct takt_grammar *grammar, uint32_t state, uint32_t room, uint64_t *mask)
{
    const struct run_trie *trie = grammar->trie;
    uint32_t at[257];
    uint32_t worst = 0;
    at[0] = state;
    for (uint32_t i = 0; i < trie->node_count;) {
        const struct run_trie_node *node = &trie->nodes[i];
        const uint32_t next = lead(grammar, at[node->depth - 1], node->byte);
        at[node->depth] = next;
        if (next == RUN_DEAD) {
            i += node->skip;
            continue;
        }
        const uint32_t least = grammar->states[next].least;
        if (node->count > 0 && least <= room) {
            worst = BASE_MAX(worst, least);
            for (uint32_t j = 0; j < node->count; j++) {
                const uint32_t token = trie->tokens[node->first + j];
                mask[token / 64] |= UINT64_C(1) << (token % 64);
            }
        }
        i++;
    }
    return worst;
}

static void apply(const struct takt_grammar *grammar, const uint64_t *mask, bool accepts,
                  float *logits)
{
    for (uint32_t i = 0; i < grammar->trie->vocab; i++) {
        const bool allowed = mask[i / 64] >> (i % 64) & 1;
        if (!allowed && !(accepts && grammar->is_end[i])) {
            logits[i] = -INFINITY;
        }
    }
}

void run_grammar_mask(struct takt_grammar *grammar, uint32_t state, uint32_t tokens_left,
                      float *logits)
{
    const size_t words = grammar->trie->vocab / 64 + 1;
    const bool accepts = grammar->states[state].accepts;
    if (!grammar->states[state].mask) {
        uint64_t *mask = calloc(words, sizeof *mask);
        BASE_ASSERT(mask);
        const uint32_t worst = walk(grammar, state, RUN_NEVER - 1, mask);
        grammar->states[state].mask = mask;
        grammar->states[state].worst = worst;
    }
    if (grammar->states[state].worst <= tokens_left) {
        apply(grammar, grammar->states[state].mask, accepts, logits);
        return;
    }
    uint64_t *mask = calloc(words, sizeof *mask); /* the end is near: some tokens lead too far */
    BASE_ASSERT(mask);
    walk(grammar, state, tokens_left, mask);
    apply(grammar, mask, accepts, logits);
    free(mask);
}

bool run_grammar_allows(struct takt_grammar *grammar, uint32_t state, uint32_t token,
                        uint32_t tokens_left)
{
    char bytes[256];
    if (grammar->is_end[token]) {
        return run_grammar_accepts(grammar, state);
    }
    const size_t length = takt_token_bytes(grammar->engine, token, false, bytes, sizeof bytes);
    if (length == 0 || length > 255) {
        return false;
    }
    return run_grammar_least(grammar, run_grammar_step(grammar, state, bytes, length)) <=
           tokens_left;
}

uint32_t run_grammar_room(struct takt_grammar *grammar, uint32_t state)
{
    return make_room(grammar, state);
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool make_tables(struct takt_grammar *grammar)
{
    const uint32_t vocab = grammar->engine->graph.vocab;
    grammar->is_end = calloc(vocab, sizeof *grammar->is_end);
    if (!grammar->is_end) {
        return false;
    }
    grow_work(grammar);
    for (uint32_t i = 0; i < vocab; i++) {
        grammar->is_end[i] = run_is_end(grammar->engine, i);
    }
    grow_states(grammar);
    grammar->states[RUN_DEAD] = (struct state){.least = RUN_NEVER};
    grammar->state_count = 1;
    add_cell(grammar, (struct cell){.node = RUN_NO_NODE, .parent = 0});
    return true;
}

static enum takt_status open_parts(struct takt_grammar *grammar,
                                   const struct takt_grammar_options *options,
                                   struct takt_error *error)
{
    const enum takt_status status = run_schema_compile(&grammar->graph, options, error);
    if (status != TAKT_OK) {
        return status;
    }
    if (!run_graph_finish(&grammar->graph, grammar->trie->single) || !make_tables(grammar)) {
        return base_fail(error, TAKT_MEMORY, "no memory for a grammar");
    }
    if (grammar->graph.rule_least[grammar->graph.root] >= RUN_NEVER) {
        return base_fail(error, TAKT_UNSUPPORTED,
                         "nothing satisfies the schema (or the vocabulary cannot spell it)");
    }
    if (run_graph_begins_with_itself(&grammar->graph)) {
        return base_fail(error, TAKT_UNSUPPORTED,
                         "a part of the schema leads to itself before anything is written");
    }
    if (run_grammar_start(grammar) == RUN_DEAD) {
        return base_fail(error, TAKT_UNSUPPORTED,
                         "the schema is too ambiguous: too many readings at once");
    }
    return TAKT_OK;
}

enum takt_status takt_grammar_open(struct takt_grammar **grammar, struct takt_engine *engine,
                                   const struct takt_grammar_options *options,
                                   struct takt_error *error)
{
    *grammar = NULL;
    struct takt_grammar *opened = calloc(1, sizeof *opened);
    if (!opened || !engine->trie) {
        free(opened);
        return base_fail(error, TAKT_MEMORY, "no memory for a grammar, or no scheduler is open");
    }
    opened->engine = engine;
    opened->trie = engine->trie;
    const enum takt_status status = open_parts(opened, options, error);
    if (status != TAKT_OK) {
        takt_grammar_close(opened);
        return status;
    }
    *grammar = opened;
    return TAKT_OK;
}

uint32_t takt_grammar_least_tokens(struct takt_grammar *grammar)
{
    return run_grammar_least(grammar, run_grammar_start(grammar));
}

void takt_grammar_close(struct takt_grammar *grammar)
{
    if (!grammar) {
        return;
    }
    if (grammar->states) {
        free_states(grammar, 1);
    }
    run_graph_free(&grammar->graph);
    free(grammar->states);
    free(grammar->state_slots);
    free(grammar->cells);
    free(grammar->cell_slots);
    free(grammar->work);
    free(grammar->seen);
    free(grammar->stamps);
    free(grammar->is_end);
    free(grammar);
}
