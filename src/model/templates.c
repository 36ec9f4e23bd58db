/* The chat templates that come with a vocabulary: one without a name, or several by name. */
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "tokenizer.chat_template"

bool tokenizer_add_template(struct tokenizer *tokenizer, const char *name, size_t name_length,
                            const char *text, size_t length)
{
    size_t count = tokenizer->template_count;
    struct tokenizer_template *grown =
        realloc(tokenizer->templates, (count + 1) * sizeof(*tokenizer->templates));
    if (grown == NULL)
        return false;
    tokenizer->templates = grown;
    char *own_name = strndup(name, name_length), *own_text = malloc(length + 1);
    if (own_name == NULL || own_text == NULL) {
        free(own_name);
        free(own_text);
        return false;
    }
    memcpy(own_text, text, length);
    own_text[length] = '\0';
    grown[count] = (struct tokenizer_template){own_name, own_text, length};
    tokenizer->template_count++;
    return true;
}

void tokenizer_free_templates(struct tokenizer *tokenizer)
{
    for (size_t i = 0; i < tokenizer->template_count; i++) {
        free((char *)(uintptr_t)tokenizer->templates[i].name);
        free((char *)(uintptr_t)tokenizer->templates[i].text);
    }
    free(tokenizer->templates);
    tokenizer->templates = NULL;
    tokenizer->template_count = 0;
}

const struct tokenizer_template *tokenizer_template(const struct tokenizer *tokenizer,
                                                    const char *name)
{
    for (size_t i = 0; i < tokenizer->template_count; i++)
        if (strcmp(tokenizer->templates[i].name, name) == 0)
            return &tokenizer->templates[i];
    return NULL;
}

const struct tokenizer_template *tokenizer_template_at(const struct tokenizer *tokenizer,
                                                       size_t index)
{
    return index < tokenizer->template_count ? &tokenizer->templates[index] : NULL;
}

/* tokenizer.chat_template, and tokenizer.chat_template.NAME for others. */
enum takt_status tokenizer_load_templates(struct tokenizer *tokenizer, const struct gguf *gguf,
                                          struct takt_error *error)
{
    const size_t prefix = strlen(PREFIX);
    for (size_t i = 0; i < gguf->pair_count; i++) {
        const struct gguf_pair *pair = &gguf->pairs[i];
        if (pair->type != GGUF_STRING || pair->key.length < prefix ||
            memcmp(pair->key.text, PREFIX, prefix) != 0 ||
            (pair->key.length != prefix && pair->key.text[prefix] != '.'))
            continue;
        const unsigned char *cursor = pair->data;
        struct gguf_string text = model_gguf_next_string(&cursor);
        size_t skip = pair->key.length == prefix ? prefix : prefix + 1;
        if (!tokenizer_add_template(tokenizer, pair->key.text + skip, pair->key.length - skip,
                                    text.text, text.length))
            return base_fail(error, TAKT_MEMORY, "%s: no memory for its chat templates; free some",
                             gguf->path);
    }
    return TAKT_OK;
}
