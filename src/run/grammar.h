/*
 * Grammars: what an answer must be, byte by byte.
 *
 * A grammar is a set of rules, each a graph of nodes; a call pushes the node to return to. An
 * automaton over sets of (node, stack) is made as it is needed: its states are numbered, and a
 * state knows what each byte leads to, which tokens it allows, and how many more bytes a valid end
 * takes at least. With as many tokens left as bytes are needed, every answer can be ended in time,
 * for the vocabulary spells every byte that counts.
 */
#ifndef RUN_GRAMMAR_H
#define RUN_GRAMMAR_H

#include "run/run.h"

/* ---- the vocabulary as a trie (trie.c) ------------------------------------------------------- */

/* Nodes in preorder: the children of a node follow it, and `skip` nodes on comes its sibling. */
struct run_trie_node {
    uint32_t skip;         /* nodes of this subtree */
    uint32_t first, count; /* tokens that end here: `tokens` from first */
    unsigned char byte, depth;
};

struct run_trie {
    struct run_trie_node *nodes;
    uint32_t node_count;
    uint32_t *tokens;
    uint32_t vocab;
    bool single[256]; /* is there a token of this one byte? */
};
/* Tokens that show nothing are left out; of longer ones than 255 bytes too. */
enum takt_status run_trie_create(struct run_trie **trie, const struct takt_engine *engine,
                                 struct takt_error *error);
void run_trie_destroy(struct run_trie *trie);

/* ---- the graph ------------------------------------------------------------------------------- */

enum run_node_kind {
    RUN_NODE_BYTES, /* one byte of the set, then next */
    RUN_NODE_SPLIT, /* next or other */
    RUN_NODE_CALL,  /* a rule, then next */
    RUN_NODE_END,   /* of the rule */
};

struct run_node {
    enum run_node_kind kind;
    uint32_t next, other; /* CALL: other is the rule */
    uint64_t set[4];      /* BYTES: 256 bits */
};

#define RUN_NO_NODE 0xFFFFFFFFu
#define RUN_NEVER 0x3FFFFFFFu /* bytes to an end that cannot be reached */
#define RUN_NODES_MAX 262144u
#define RUN_RULES_MAX 65536u
#define RUN_NESTING_MAX 64u /* of arrays and objects in free JSON */

struct run_rule {
    uint32_t start;
    bool container; /* an array or object of free JSON: their nesting is bounded */
};

struct run_graph {
    struct run_node *nodes;
    uint32_t node_count, node_capacity;
    struct run_rule *rules;
    uint32_t rule_count, rule_capacity;
    uint32_t *least; /* [node_count] bytes to the end of the rule, at least */
    uint32_t *rule_least;
    uint32_t root; /* rule */
    bool full;     /* a limit was passed: what was built is of no use */
};

uint32_t run_graph_rule(struct run_graph *graph, bool container); /* start is set later */
/* Each returns a node that leads to next; parts are built from the end. */
uint32_t run_graph_end(struct run_graph *graph);
uint32_t run_graph_bytes(struct run_graph *graph, const char *ranges, uint32_t next);
uint32_t run_graph_set(struct run_graph *graph, const uint64_t set[4], uint32_t next);
uint32_t run_graph_except(struct run_graph *graph, const char *ranges, uint32_t next);
uint32_t run_graph_literal(struct run_graph *graph, const char *text, size_t length, uint32_t next);
uint32_t run_graph_split(struct run_graph *graph, uint32_t a, uint32_t b);
uint32_t run_graph_call(struct run_graph *graph, uint32_t rule, uint32_t next);
/* Counts bytes to the ends, by the bytes that the vocabulary can spell one by one. */
bool run_graph_finish(struct run_graph *graph, const bool single[256]);
/* Does a rule call itself before it has taken a byte? To be asked of a finished graph. */
bool run_graph_begins_with_itself(const struct run_graph *graph);
void run_graph_free(struct run_graph *graph);

/* schema.c: fills in the graph. */
enum takt_status run_schema_compile(struct run_graph *graph,
                                    const struct takt_grammar_options *options,
                                    struct takt_error *error);

/* ---- the automaton (grammar.c) --------------------------------------------------------------- */

#define RUN_DEAD 0u /* the state from which nothing leads to an end */

/* Where an answer stands: a state of its grammar. */
uint32_t run_grammar_start(struct takt_grammar *grammar);
uint32_t run_grammar_step(struct takt_grammar *grammar, uint32_t state, const char *bytes,
                          size_t length);
uint32_t run_grammar_least(const struct takt_grammar *grammar, uint32_t state);
bool run_grammar_accepts(const struct takt_grammar *grammar, uint32_t state);
/* Is nothing possible but to end here? */
bool run_grammar_complete(struct takt_grammar *grammar, uint32_t state);
/* To be called before each draw: too many states are dropped here. Returns the state's number. */
uint32_t run_grammar_room(struct takt_grammar *grammar, uint32_t state);
/* Sets the logits of what may not follow to minus infinity; tokens_left: after this one. */
void run_grammar_mask(struct takt_grammar *grammar, uint32_t state, uint32_t tokens_left,
                      float *logits);
/* May the token follow? */
bool run_grammar_allows(struct takt_grammar *grammar, uint32_t state, uint32_t token,
                        uint32_t tokens_left);

#endif
