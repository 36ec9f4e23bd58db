/*
 * Tokenizers: text to ids and back. Kinds: SentencePiece-style (scores, byte fallback) and
 * GPT-2-style byte-level BPE with the pre-tokenizer the file names. A tokenizer never changes once
 * it is open, so threads may share it.
 */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include "base/base.h"

struct tokenizer;

#define TOKENIZER_NONE 0xFFFFFFFFu
#define TOKENIZER_ENDS_MAX 8u

struct tokenizer_special {
    uint32_t bos, eos; /* TOKENIZER_NONE when the file has none */
    bool add_bos;
    uint32_t ends[TOKENIZER_ENDS_MAX]; /* every token that ends generation: eos, eot, eom ... */
    uint32_t end_count;
};

/* A chat template of the file; name "" is the one without a name. */
struct tokenizer_template {
    const char *name, *text; /* NUL-terminated */
    size_t length;
};
/* NULL when the file has none of that name. */
const struct tokenizer_template *tokenizer_template(const struct tokenizer *tokenizer,
                                                    const char *name);
/* In the file's order; NULL beyond the last. */
const struct tokenizer_template *tokenizer_template_at(const struct tokenizer *tokenizer,
                                                       size_t index);
const struct tokenizer_special *tokenizer_special(const struct tokenizer *tokenizer);
uint32_t tokenizer_vocab(const struct tokenizer *tokenizer);

/* The tokenizer of a GGUF file alone: needs no tensors. IO, FORMAT, UNSUPPORTED, LIMIT, MEMORY. */
enum takt_status tokenizer_open_file(struct tokenizer **tokenizer, const char *path,
                                     struct takt_error *error);
/*
 * The tokenizer of a Hugging Face folder: tokenizer.json (BPE, Unigram, WordPiece), with
 * tokenizer_config.json, generation_config.json and chat_template.jinja where they are there. The
 * folder's files need not outlive the call. IO, FORMAT, UNSUPPORTED, LIMIT, MEMORY.
 */
enum takt_status tokenizer_open_folder(struct tokenizer **tokenizer, const char *folder,
                                       struct takt_error *error);
/* Only for a tokenizer of tokenizer_open_file or tokenizer_open_folder; a model closes its own.
 * NULL is fine. */
void tokenizer_close(struct tokenizer *tokenizer);

/*
 * Encodes length bytes (any bytes; invalid UTF-8 becomes byte tokens or unknown, never an error).
 * With parse_special, control tokens written in the text become their ids. BOS is added when
 * add_bos and the file asks for it (the file's add_eos_token is not: takt encodes what is to be
 * continued). *ids is malloc'ed, never NULL, *count its length; the caller frees. Fails for MEMORY
 * and LIMIT only.
 */
enum takt_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text,
                                  size_t length, bool add_bos, bool parse_special, uint32_t **ids,
                                  size_t *count, struct takt_error *error);
/* The same, but no byte i with foreign[i] != 0 becomes part of a control token (foreign == NULL:
 * all may). Control tokens are parsed. BOS is not added where the text begins with it. */
enum takt_status tokenizer_encode_chat(const struct tokenizer *tokenizer, const char *text,
                                       const unsigned char *foreign, size_t length, uint32_t **ids,
                                       size_t *count, struct takt_error *error);
/* Appends the bytes of one token (control and unknown tokens: nothing unless show_special).
 * SentencePiece's leading space of a text is dropped here when the caller says so: `first` = no
 * token before this one but control tokens. An id beyond the vocabulary gives nothing. */
void tokenizer_decode(const struct tokenizer *tokenizer, uint32_t id, bool first, bool show_special,
                      struct base_text *out);

#endif
