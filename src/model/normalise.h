/*
 * What is done to text before it is cut into pieces: a row of steps, each over the result of the
 * one before. Files describe them (tokenizer.json, SentencePiece's map of characters).
 */
#ifndef MODEL_NORMALISE_H
#define MODEL_NORMALISE_H

#include "base/base.h"

#define NORMALISE_STEPS_MAX 16u

struct normaliser;

enum normalise_kind {
    NORMALISE_NFC,
    NORMALISE_NFD,
    NORMALISE_NFKC,
    NORMALISE_NFKD,
    NORMALISE_LOWERCASE,
    NORMALISE_STRIP_ACCENTS, /* marks that take no room go */
    NORMALISE_STRIP_LEFT,    /* white space at the beginning */
    NORMALISE_STRIP_RIGHT,   /* and at the end */
    NORMALISE_CLEAN,         /* BERT: controls go, every white space is a space */
    NORMALISE_CHINESE,       /* BERT: spaces around each ideograph */
    NORMALISE_MARK_SPACES,   /* SentencePiece: U+2581 for each space */
    NORMALISE_MARK_WORDS,    /* the same, one in front of each word and no others */
    NORMALISE_MARK_FRONT,    /* the same as MARK_SPACES, and one before the first other character */
    NORMALISE_PREPEND,       /* texts: to any text but an empty one */
    NORMALISE_REPLACE,       /* pattern -> text */
    NORMALISE_REPLACE_LITERAL /* text -> text */
};

struct normaliser *normaliser_new(void); /* NULL when memory is short */
void normaliser_destroy(struct normaliser *normaliser);
/* from, to: as the kind needs them; copied. LIMIT, MEMORY, and pattern_compile's. */
enum takt_status normaliser_add(struct normaliser *normaliser, const char *where,
                                enum normalise_kind kind, const char *from, size_t from_length,
                                const char *to, size_t to_length, struct takt_error *error);
/* SentencePiece's precompiled map; FORMAT when it is none. The bytes are copied. */
enum takt_status normaliser_add_map(struct normaliser *normaliser, const char *where,
                                    const unsigned char *bytes, size_t length,
                                    struct takt_error *error);
/* *out, which is empty, becomes the result; *scratch is room. Invalid UTF-8 passes as it is. */
enum takt_status normaliser_run(const struct normaliser *normaliser, const char *text,
                                size_t length, struct base_text *out, struct base_text *scratch,
                                struct takt_error *error);

#endif
