/*
 * What the tokenizer's files share: vocabulary.c reads and indexes the vocabulary, tokenizer.c
 * drives and decodes, tokenizer_spm.c and tokenizer_bpe.c encode, merge.c merges for both,
 * pretokenize.c splits for BPE.
 */
#ifndef MODEL_TOKENIZER_PARTS_H
#define MODEL_TOKENIZER_PARTS_H

#include "model/gguf.h"
#include "model/pretokenize.h"
#include "model/tokenizer.h"

enum tokenizer_kind { TOKENIZER_SPM, TOKENIZER_BPE };

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
    float score; /* SPM */
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
    bool add_space_prefix;      /* SPM */
    bool before_mark[256];      /* SPM: some token holds U+2581 behind this byte */
    struct split_traits traits; /* BPE */
    struct token_merge *merges; /* BPE: by pair, open addressing */
    uint32_t merge_mask;
    struct tokenizer_split *split; /* BPE */
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

/* ---- vocabulary.c ---------------------------------------------------------------------------- */

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

/* ---- encoding -------------------------------------------------------------------------------- */

/* A growing list of ids. After a failed growth it stays `failed` and takes no more. */
struct tokenizer_ids {
    uint32_t *ids;
    size_t count, capacity;
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

/* Scratch memory of one encoding, grown as needed. */
struct tokenizer_work {
    const char *text;
    struct tokenizer_symbol *symbols;
    struct tokenizer_candidate *heap;
    size_t symbol_count, symbol_capacity, heap_count, heap_capacity;
    struct tokenizer_cached *cache; /* NULL: none */
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
enum takt_status tokenizer_bpe_encode(const struct tokenizer *tokenizer,
                                      struct tokenizer_work *work, const char *text, size_t length,
                                      struct tokenizer_ids *ids, struct takt_error *error);

#endif
