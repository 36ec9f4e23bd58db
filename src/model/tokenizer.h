/* Tokenizers: text to ids and back. Kinds: SentencePiece-style (scores, byte fallback) and GPT-2-style
 * byte-level BPE with the pre-tokenizer the file names. */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include "base/base.h"

struct tokenizer;

#define TOKENIZER_NONE 0xFFFFFFFFu
#define TOKENIZER_ENDS_MAX 8u

struct tokenizer_special {
    uint32_t bos, eos;               /* TOKENIZER_NONE when the file has none */
    bool add_bos;
    uint32_t ends[TOKENIZER_ENDS_MAX]; /* every token that ends generation: eos, eot, eom ... */
    uint32_t end_count;
};
const struct tokenizer_special *tokenizer_special(const struct tokenizer *tokenizer);
uint32_t tokenizer_vocab(const struct tokenizer *tokenizer);

/*
 * Encodes length bytes (any bytes; invalid UTF-8 becomes byte tokens or unknown, never an error). With
 * parse_special, control tokens written in the text become their ids. BOS is added when add_bos and
 * the file asks for it. *ids is malloc'ed, *count its length; the caller frees.
 */
enum takt_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                                  bool add_bos, bool parse_special, uint32_t **ids, size_t *count,
                                  struct takt_error *error);
/* Appends the bytes of one token (control tokens: nothing unless show_special). SentencePiece's leading
 * space of a text is the caller's to drop: `first` = this is the first token of the text. */
void tokenizer_decode(const struct tokenizer *tokenizer, uint32_t id, bool first, bool show_special,
                      struct base_text *out);

#endif
