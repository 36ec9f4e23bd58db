/*
 * Splitting text before it is encoded: stages, each within the pieces of the one before. A file
 * names a row of them (pretokenize_names.c) or describes them (tokenizer_json.c).
 */
#ifndef MODEL_PRETOKENIZE_H
#define MODEL_PRETOKENIZE_H

#include "model/gguf.h"
#include "model/pattern.h"

#define SPLIT_STAGES_MAX 16u

struct tokenizer_split;

/* What becomes of a match of a pattern, and of what is between two. */
enum split_behaviour {
    SPLIT_ISOLATED, /* each a piece */
    SPLIT_REMOVED,  /* a match is no piece */
    SPLIT_WITH_PREVIOUS,
    SPLIT_WITH_NEXT,
    SPLIT_CONTIGUOUS /* neighbouring matches are one */
};

enum split_kind {
    SPLIT_PATTERN,
    SPLIT_THREES,          /* runs of digits in threes from the right */
    SPLIT_THREES_BOUNDED,  /* the same, of runs with no letter behind them */
    SPLIT_SPACE_AT_END,    /* white space at the end is a piece */
    SPLIT_LEADING_SPACE,   /* puts a space in front of a piece that has none */
    SPLIT_METASPACE,       /* U+2581 for spaces, in front of the text too; cut before each */
    SPLIT_METASPACE_WHOLE, /* the same without cutting */
    SPLIT_METASPACE_PLAIN, /* none in front; cut before each */
    SPLIT_METASPACE_PLAIN_WHOLE,
    SPLIT_METASPACE_FIRST, /* in front of the first piece of a text alone; cut before each */
    SPLIT_METASPACE_FIRST_WHOLE
};

/* Memory: NULL when it is short. */
struct tokenizer_split *tokenizer_split_new(void);
void tokenizer_split_destroy(struct tokenizer_split *split);
/* A stage of that kind (not a pattern); LIMIT. */
enum takt_status tokenizer_split_add(struct tokenizer_split *split, const char *where,
                                     enum split_kind kind, struct takt_error *error);
/* inverted: what does not match is what matches. */
enum takt_status tokenizer_split_add_pattern(struct tokenizer_split *split, const char *where,
                                             const char *source, size_t length,
                                             enum split_behaviour behaviour, bool inverted,
                                             struct takt_error *error);

/* What a named row implies beside its stages. */
struct split_traits {
    bool adds_bos;
    bool whole_pieces; /* a piece that is a token is not merged ("ignore_merges") */
    bool characters;   /* tokens are characters as they are, not GPT-2's alphabet of bytes */
    bool marks_spaces; /* with it: U+2581 stands for a space */
    bool newline_runs; /* with it: a run of line ends that is a token is not merged */
};
/* pre: the file's tokenizer.ggml.pre. UNSUPPORTED when takt does not know it. */
enum takt_status tokenizer_split_create(struct tokenizer_split **split, const char *path,
                                        struct gguf_string pre, struct split_traits *traits,
                                        struct takt_error *error);
/* The names takt knows; NULL beyond the last. */
const char *tokenizer_split_name(size_t index);

typedef enum takt_status (*tokenizer_piece)(void *user, const char *text, size_t length);
/* Calls with each piece in order. Stretches of invalid UTF-8 are pieces. first: the text begins
 * here. Stops at the first status but OK. */
enum takt_status tokenizer_split_run(const struct tokenizer_split *split, const char *text,
                                     size_t length, bool first, tokenizer_piece piece, void *user,
                                     struct takt_error *error);

#endif
