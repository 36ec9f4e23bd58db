/*
 * What the tokenizer's files share: vocabulary.c reads a GGUF file's vocabulary, tokenizer_folder.c
 * and tokenizer_json.c a Hugging Face folder's, index.c makes what is looked things up in;
 * tokenizer.c drives and decodes; tokenizer_spm.c, _bpe.c, _unigram.c and _wordpiece.c encode,
 * merge.c merges for the first two; normalise.c and pretokenize.c come before all but the first.
 */
#ifndef MODEL_TOKENIZER_PARTS_H
#define MODEL_TOKENIZER_PARTS_H

#include "model/gguf.h"
#include "model/normalise.h"
#include "model/pretokenize.h"
#include "model/tokenizer.h"

enum tokenizer_kind { TOKENIZER_SPM, TOKENIZER_BPE, TOKENIZER_UNIGRAM, TOKENIZER_WORDPIECE };

#define VOCABULARY_MAX (1u << 24) /* tokens, and merges; files today have under 2^19 */
#define TOKEN_BYTES_MAX 65535u

/* As files number them. */
enum token_type {
    TOKEN_UNDEFINED,
    TOKEN_NORMAL,
    TOKEN_UNKNOWN,
    TOKEN_CONTROL,
    TOKEN_USER,
    TOKEN_UNUSED,
    TOKEN_BYTE
};

struct token {
    const char *text; /* inside the mapped file, not NUL-terminated */
    uint32_t length;  /* bytes */
    enum token_type type;
    float score; /* SPM, unigram */
    /* Of a token that stands for itself: white space beside it goes; letters beside it forbid it.
     */
    bool strips_left, strips_right, single_word;
};

struct token_merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX = a free slot */
    uint32_t rank, result;
};

struct tokenizer {
    enum tokenizer_kind kind;
    struct tokenizer_special special;
    uint32_t vocab, unknown; /* unknown: TOKENIZER_NONE when the file has none */
    uint32_t longest_bytes;  /* of any token */
    struct token *tokens;    /* [vocab] */
    uint32_t *slots;         /* text -> id, open addressing; TOKENIZER_NONE = free */
    uint32_t slot_mask;
    uint32_t byte_ids[256]; /* the token of a single byte, or TOKENIZER_NONE */
    /* Tokens that stand for themselves in text, sorted by it; where each first byte begins. */
    uint32_t *specials;
    uint32_t special_start[257];
    bool add_space_prefix; /* SPM */
    bool before_mark[256]; /* some token holds U+2581 behind this byte */
    bool cuts_words;       /* BPE: the mark is a token, so that words come apart before it */
    bool marks;            /* U+2581 in tokens is a space */
    bool byte_names;       /* tokens of single bytes are called <0x41> */
    bool fuses_unknown;    /* BPE of characters: neighbouring unknown ones are one token */
    const char *word_mark, *continuing_mark; /* WordPiece: in front of tokens; "" = nothing */
    struct token_prefixes *prefixes;         /* unigram */
    float unknown_score;
    struct normaliser *normaliser; /* NULL: none */
    struct split_traits traits;    /* BPE */
    struct token_merge *merges;    /* BPE: by pair, open addressing */
    uint32_t merge_mask;
    struct tokenizer_split *split; /* all but SPM */
    struct tokenizer_template *templates;
    size_t template_count;
    struct base_file file; /* only of tokenizer_open_file */
    struct base_arena arena;
};

/* ---- templates.c ----------------------------------------------------------------------------- */

enum takt_status tokenizer_load_templates(struct tokenizer *tokenizer, const struct gguf *gguf,
                                          struct takt_error *error);
/* Copies both; false when memory is short. */
bool tokenizer_add_template(struct tokenizer *tokenizer, const char *name, size_t name_length,
                            const char *text, size_t length);
void tokenizer_free_templates(struct tokenizer *tokenizer);

/* ---- index.c --------------------------------------------------------------------------------- */

/* Bytes of arena that the indices of so many tokens take. */
size_t tokenizer_index_bytes(size_t tokens, size_t merges);
/* Of texts: tokenizer_find works from then on. */
void tokenizer_index_texts(struct tokenizer *tokenizer);
/* Of bytes, marks and tokens that stand for themselves, once types are settled. */
enum takt_status tokenizer_index(struct tokenizer *tokenizer, const char *where,
                                 struct takt_error *error);
/* Tokens named <0x41> are bytes, where byte_names says so and no file says otherwise. */
void tokenizer_type_bytes(struct tokenizer *tokenizer);
void tokenizer_add_end(struct tokenizer *tokenizer, uint32_t id);
/* Chat models stop at any of these, though files often name only one end. */
void tokenizer_add_known_ends(struct tokenizer *tokenizer);

/* ---- vocabulary.c ---------------------------------------------------------------------------- */

/* BERT's normaliser and splitter; accents: they stay. */
enum takt_status tokenizer_add_bert(struct tokenizer *tokenizer, const char *where, bool accents,
                                    bool lowercase, struct takt_error *error);
enum takt_status tokenizer_add_bert_split(struct tokenizer *tokenizer, const char *where,
                                          struct takt_error *error);
/* The file behind *gguf must outlive the tokenizer. */
enum takt_status tokenizer_create(struct tokenizer **tokenizer, const struct gguf *gguf,
                                  struct takt_error *error);
/* The id of a text of any type, or TOKENIZER_NONE. */
uint32_t tokenizer_find(const struct tokenizer *tokenizer, const char *text, size_t length);

/* ---- tokenizer_bpe.c: GPT-2's alphabet of bytes ---------------------------------------------- */

/* The UTF-8 form (1 or 2 bytes) of the character that stands for a byte. */
size_t tokenizer_byte_character(unsigned char byte, char out[2]);
/* The byte that a character (size bytes of UTF-8) stands for; false when it stands for none. */
bool tokenizer_character_byte(const char *character, size_t size, unsigned char *byte);
enum takt_status tokenizer_bpe_load(struct tokenizer *tokenizer, const struct gguf *gguf,
                                    struct takt_error *error);
/* An empty table for so many merges, then each by its parts; parts that are no tokens can never
 * apply, and a pair that stands twice keeps its first rank. */
void tokenizer_merges_start(struct tokenizer *tokenizer, size_t count);
void tokenizer_merges_add(struct tokenizer *tokenizer, uint32_t rank, const char *left,
                          size_t left_length, const char *right, size_t right_length);

/* ---- tokenizer_unigram.c --------------------------------------------------------------------- */

enum takt_status tokenizer_unigram_load(struct tokenizer *tokenizer, const char *where,
                                        struct takt_error *error);
void tokenizer_unigram_free(struct tokenizer *tokenizer);

/* ---- encoding -------------------------------------------------------------------------------- */

/* A growing list of ids. After a failed growth it stays `failed` and takes no more. */
struct tokenizer_ids {
    uint32_t *ids;
    size_t count, capacity;
    size_t run; /* where the stretch of text now encoded begins */
    bool failed;
};
void tokenizer_ids_append(struct tokenizer_ids *list, uint32_t id);

/* Adjacent pieces of a text while they are merged: a list over an array, in the order of the text.
 */
struct tokenizer_symbol {
    uint32_t start, length;  /* bytes of the text; length 0 = merged away */
    uint32_t id;             /* TOKENIZER_NONE when the text is no token */
    uint32_t previous, next; /* indices; TOKENIZER_NONE at the ends */
};
struct tokenizer_candidate;
struct tokenizer_cached;
struct tokenizer_step;

/* Scratch memory of one encoding, grown as needed. */
struct tokenizer_work {
    const char *text;
    struct tokenizer_symbol *symbols;
    struct tokenizer_candidate *heap;
    size_t symbol_count, symbol_capacity, heap_count, heap_capacity;
    struct tokenizer_cached *cache; /* NULL: none */
    struct tokenizer_step *steps;   /* unigram */
    size_t step_capacity;
};
void tokenizer_work_free(struct tokenizer_work *work);
/* Makes room for that many symbols and starts anew; false when memory is short. */
bool tokenizer_work_start(struct tokenizer_work *work, const char *text, size_t symbols);
void tokenizer_work_add(struct tokenizer_work *work, uint32_t start, uint32_t length, uint32_t id);

/* Pieces met before in this encoding, with their ids: words come again. A cache is worth its memory
 * for long texts only; without one, nothing is ever found. */
void tokenizer_cache_create(struct tokenizer_work *work);
/* Appends the ids of a piece to the list; false when it is not known. */
bool tokenizer_cache_take(const struct tokenizer_work *work, const char *text, size_t length,
                          struct tokenizer_ids *ids);
/* ids->ids[from ...) are the piece's. */
void tokenizer_cache_put(struct tokenizer_work *work, const char *text, size_t length,
                         const struct tokenizer_ids *ids, size_t from);

/* The merge of two neighbours: false when there is none; smaller priorities go first. */
typedef bool (*tokenizer_pair)(const struct tokenizer *tokenizer, const struct tokenizer_work *work,
                               const struct tokenizer_symbol *left,
                               const struct tokenizer_symbol *right, uint32_t *priority,
                               uint32_t *result);
/* Merges until no pair merges, best priority first, ties from the left; O(n log n). */
void tokenizer_merge_all(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                         tokenizer_pair pair);

/* Encode a stretch of text without special tokens; MEMORY, LIMIT. */
enum takt_status tokenizer_spm_encode(const struct tokenizer *tokenizer,
                                      struct tokenizer_work *work, const char *text, size_t length,
                                      bool add_space, struct tokenizer_ids *ids,
                                      struct takt_error *error);
/* Encode a piece of text that is normalised and cut. */
enum takt_status tokenizer_bpe_piece(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                                     const char *text, size_t length, struct tokenizer_ids *ids,
                                     struct takt_error *error);
enum takt_status tokenizer_unigram_piece(const struct tokenizer *tokenizer,
                                         struct tokenizer_work *work, const char *text,
                                         size_t length, struct tokenizer_ids *ids,
                                         struct takt_error *error);
void tokenizer_wordpiece_piece(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                               const char *text, size_t length, struct tokenizer_ids *ids);

#endif
