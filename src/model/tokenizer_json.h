/* A Hugging Face tokenizer's parts: the vocabulary and its model (tokenizer_json.c), what is done
 * before it (tokenizer_json_stages.c), and the files around it (tokenizer_folder.c). */
#ifndef MODEL_TOKENIZER_JSON_H
#define MODEL_TOKENIZER_JSON_H

#include "model/tokenizer_parts.h"

#include <jansson.h>

/* root: all of tokenizer.json; nothing of it is needed afterwards. where: the file, for messages.
 */
enum takt_status tokenizer_from_json(struct tokenizer *tokenizer, const char *where,
                                     const json_t *root, struct takt_error *error);
/* Normalisers and pre-tokenizers. */
enum takt_status tokenizer_json_stages(struct tokenizer *tokenizer, const char *where,
                                       const json_t *root, struct takt_error *error);

/* Small reads that take any type: NULL, or otherwise, where it is not there or another. */
const char *tokenizer_json_text(const json_t *object, const char *key);
bool tokenizer_json_flag(const json_t *object, const char *key, bool otherwise);

#endif
