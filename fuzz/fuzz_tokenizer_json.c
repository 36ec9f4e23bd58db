/* Any bytes as tokenizer.json: refused in one line, or a tokenizer whose ids are all tokens. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer_json.h"

static const char text[] = "Hello, w\xC3\xB6rld! it's 1234  <s>\n\n\t\xE4\xB8\xAD\xE6\x96\x87 "
                           "e\xCC\x81 \xF0\x9F\x98\x80\xFF ##ing \xE2\x96\x81";

static void encode_some(const struct tokenizer *tokenizer)
{
    uint32_t *ids;
    size_t count;
    struct takt_error error;
    if (tokenizer_encode(tokenizer, text, sizeof text - 1, true, true, &ids, &count, &error) !=
        TAKT_OK)
        return;
    struct base_text out = {0};
    for (size_t i = 0; i < count; i++) {
        BASE_ASSERT(ids[i] < tokenizer_vocab(tokenizer));
        tokenizer_decode(tokenizer, ids[i], i == 0, true, &out);
    }
    base_text_free(&out);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
    if (json_is_object(root)) {
        struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
        struct takt_error error = {TAKT_OK, ""};
        tokenizer->special.bos = tokenizer->special.eos = tokenizer->unknown = TOKENIZER_NONE;
        enum takt_status status = tokenizer_from_json(tokenizer, "fuzz", root, &error);
        if (status == TAKT_OK)
            status = tokenizer_index(tokenizer, "fuzz", &error);
        if (status == TAKT_OK)
            encode_some(tokenizer);
        else
            BASE_ASSERT(error.message[0] != '\0' && strchr(error.message, '\n') == NULL);
        tokenizer_close(tokenizer);
    }
    json_decref(root);
    return 0;
}
