/* tokenizer.json: the model's vocabulary and merges, the tokens added to it, and what is put around
 * a text. */
#include "model/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

#define MARK "\xE2\x96\x81"

struct loading {
    struct tokenizer *tokenizer;
    const char *where;
    const json_t *model, *added;
    struct takt_error *error;
};

/* ---- sizes ----------------------------------------------------------------------------------- */

struct sizes {
    uint64_t entries, highest, bytes, merges;
    const char *wrong;
};

static void count_token(struct sizes *sizes, const char *text, const json_t *id)
{
    json_int_t number = json_is_integer(id) ? json_integer_value(id) : -1;
    if (number < 0)
        sizes->wrong = "a token's id is no whole number";
    else
        sizes->highest = BASE_MAX(sizes->highest, (uint64_t)number);
    sizes->entries++;
    sizes->bytes += text == NULL ? 0 : strlen(text);
}

static void count_vocabulary(struct sizes *sizes, const json_t *vocabulary)
{
    const char *text;
    json_t *item;
    size_t index;
    if (json_is_object(vocabulary)) {
        json_object_foreach((json_t *)(uintptr_t)vocabulary, text, item)
            count_token(sizes, text, item);
    } else if (json_is_array(vocabulary)) { /* [["text", score], ...] */
        json_array_foreach(vocabulary, index, item)
        {
            const json_t *name = json_array_get(item, 0), *score = json_array_get(item, 1);
            if (!json_is_string(name) || !json_is_number(score))
                sizes->wrong = "model.vocab is no list of texts with scores";
            sizes->bytes += json_string_length(name);
        }
        sizes->entries += json_array_size(vocabulary);
        sizes->highest = json_array_size(vocabulary) == 0 ? 0 : json_array_size(vocabulary) - 1;
    } else {
        sizes->wrong = "model.vocab is missing";
    }
}

static enum takt_status measure(const struct loading *loading, struct sizes *sizes)
{
    size_t index;
    json_t *item;
    *sizes = (struct sizes){0};
    count_vocabulary(sizes, json_object_get(loading->model, "vocab"));
    json_array_foreach(loading->added, index, item)
        count_token(sizes, tokenizer_json_text(item, "content"), json_object_get(item, "id"));
    sizes->merges = json_array_size(json_object_get(loading->model, "merges"));
    /* Ids may have holes, but nobody makes a table of holes. */
    if (sizes->wrong == NULL && sizes->highest >= 2 * sizes->entries + 4096)
        sizes->wrong = "the highest id is far beyond the number of tokens";
    if (sizes->wrong == NULL && sizes->entries == 0)
        sizes->wrong = "there are no tokens";
    if (sizes->wrong == NULL &&
        (sizes->highest >= VOCABULARY_MAX || sizes->merges > VOCABULARY_MAX))
        sizes->wrong = "there are more tokens or merges than takt takes";
    return sizes->wrong == NULL
               ? TAKT_OK
               : base_fail(loading->error, TAKT_FORMAT, "%s: %s; download it again", loading->where,
                           sizes->wrong);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static enum takt_status put_token(const struct loading *loading, uint64_t id, const char *text,
                                  size_t length, struct token **put)
{
    struct tokenizer *tokenizer = loading->tokenizer;
    *put = &tokenizer->tokens[id];
    if (length > TOKEN_BYTES_MAX)
        return base_fail(loading->error, TAKT_LIMIT,
                         "%s: token %llu has %zu bytes; takt takes at most %u", loading->where,
                         (unsigned long long)id, length, TOKEN_BYTES_MAX);
    /* Added tokens usually stand in the vocabulary too. */
    if ((*put)->text != NULL && (*put)->length == length && memcmp((*put)->text, text, length) == 0)
        return TAKT_OK;
    float score = (*put)->score;
    **put = (struct token){.text = base_arena_text(&tokenizer->arena, text, length),
                           .length = (uint32_t)length,
                           .type = TOKEN_NORMAL,
                           .score = score};
    return TAKT_OK;
}

static enum takt_status load_vocabulary(const struct loading *loading)
{
    const json_t *vocabulary = json_object_get(loading->model, "vocab");
    enum takt_status status = TAKT_OK;
    const char *text;
    json_t *item;
    size_t index;
    struct token *token;
    if (json_is_object(vocabulary)) {
        json_object_foreach((json_t *)(uintptr_t)vocabulary, text, item)
        {
            if (status == TAKT_OK)
                status = put_token(loading, (uint64_t)json_integer_value(item), text, strlen(text),
                                   &token);
        }
        return status;
    }
    json_array_foreach(vocabulary, index, item)
    {
        const json_t *name = json_array_get(item, 0);
        if (status == TAKT_OK)
            status = put_token(loading, index, json_string_value(name), json_string_length(name),
                               &token);
        if (status == TAKT_OK)
            token->score = (float)json_number_value(json_array_get(item, 1));
    }
    return status;
}

static enum takt_status load_added(const struct loading *loading)
{
    size_t index;
    json_t *item;
    enum takt_status status = TAKT_OK;
    json_array_foreach(loading->added, index, item)
    {
        const json_t *content = json_object_get(item, "content");
        struct token *token;
        if (!json_is_string(content))
            return base_fail(loading->error, TAKT_FORMAT,
                             "%s: added_tokens[%zu] has no content; download it again",
                             loading->where, index);
        status = put_token(loading, (uint64_t)json_integer_value(json_object_get(item, "id")),
                           json_string_value(content), json_string_length(content), &token);
        if (status != TAKT_OK)
            return status;
        token->type = tokenizer_json_flag(item, "special", false) ? TOKEN_CONTROL : TOKEN_USER;
        token->strips_left = tokenizer_json_flag(item, "lstrip", false);
        token->strips_right = tokenizer_json_flag(item, "rstrip", false);
        token->single_word = tokenizer_json_flag(item, "single_word", false);
    }
    return status;
}

static enum takt_status load_merges(const struct loading *loading)
{
    const json_t *merges = json_object_get(loading->model, "merges");
    size_t index;
    json_t *item;
    tokenizer_merges_start(loading->tokenizer, json_array_size(merges));
    json_array_foreach(merges, index, item)
    {
        const json_t *left = json_array_get(item, 0), *right = json_array_get(item, 1);
        const char *line = json_string_value(item);
        const char *space = line == NULL || line[0] == '\0' ? NULL : strchr(line + 1, ' ');
        if (space != NULL)
            tokenizer_merges_add(loading->tokenizer, (uint32_t)index, line, (size_t)(space - line),
                                 space + 1, strlen(space + 1));
        else if (json_is_string(left) && json_is_string(right))
            tokenizer_merges_add(loading->tokenizer, (uint32_t)index, json_string_value(left),
                                 json_string_length(left), json_string_value(right),
                                 json_string_length(right));
        else
            return base_fail(loading->error, TAKT_FORMAT,
                             "%s: model.merges[%zu] is no pair of texts; download it again",
                             loading->where, index);
    }
    return TAKT_OK;
}

/* ---- the model ------------------------------------------------------------------------------- */

static enum takt_status read_kind(const struct loading *loading)
{
    const char *type = tokenizer_json_text(loading->model, "type");
    struct tokenizer *tokenizer = loading->tokenizer;
    const json_t *vocabulary = json_object_get(loading->model, "vocab");
    if (type == NULL) /* old files do not say */
        type = json_is_array(vocabulary)                           ? "Unigram"
               : json_object_get(loading->model, "merges") != NULL ? "BPE"
                                                                   : "WordPiece";
    if (strcmp(type, "BPE") == 0)
        tokenizer->kind = TOKENIZER_BPE;
    else if (strcmp(type, "Unigram") == 0)
        tokenizer->kind = TOKENIZER_UNIGRAM;
    else if (strcmp(type, "WordPiece") == 0)
        tokenizer->kind = TOKENIZER_WORDPIECE;
    else
        return base_fail(loading->error, TAKT_UNSUPPORTED,
                         "%s: the model is \"%.60s\"; takt has BPE, Unigram and WordPiece",
                         loading->where, type);
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; tokenizer->kind == TOKENIZER_BPE && i < BASE_COUNT(affixes); i++) {
        const char *affix = tokenizer_json_text(loading->model, affixes[i]);
        if (affix != NULL && affix[0] != '\0')
            return base_fail(loading->error, TAKT_UNSUPPORTED,
                             "%s: BPE with %s \"%.20s\" is not among what takt has", loading->where,
                             affixes[i], affix);
    }
    return TAKT_OK;
}

static enum takt_status read_model(const struct loading *loading)
{
    struct tokenizer *tokenizer = loading->tokenizer;
    const json_t *model = loading->model, *unknown = json_object_get(model, "unk_token");
    const json_t *unknown_id = json_object_get(model, "unk_id");
    if (json_is_string(unknown))
        tokenizer->unknown =
            tokenizer_find(tokenizer, json_string_value(unknown), json_string_length(unknown));
    if (json_is_integer(unknown_id) && json_integer_value(unknown_id) >= 0 &&
        json_integer_value(unknown_id) < (json_int_t)tokenizer->vocab)
        tokenizer->unknown = (uint32_t)json_integer_value(unknown_id);
    if (tokenizer->unknown != TOKENIZER_NONE &&
        tokenizer->tokens[tokenizer->unknown].type == TOKEN_NORMAL)
        tokenizer->tokens[tokenizer->unknown].type = TOKEN_UNKNOWN;
    tokenizer->fuses_unknown = tokenizer_json_flag(model, "fuse_unk", false);
    tokenizer->traits.whole_pieces = tokenizer_json_flag(model, "ignore_merges", false);
    bool characters = tokenizer->traits.characters || tokenizer->kind != TOKENIZER_BPE;
    tokenizer->traits.characters = characters;
    tokenizer->byte_names = characters;
    if (tokenizer_json_flag(model, "byte_fallback", false))
        tokenizer_type_bytes(tokenizer);
    if (characters && tokenizer->kind != TOKENIZER_WORDPIECE)
        tokenizer->marks = true;
    if (tokenizer->kind == TOKENIZER_BPE)
        return load_merges(loading);
    if (tokenizer->kind == TOKENIZER_UNIGRAM)
        return tokenizer_unigram_load(tokenizer, loading->where, loading->error);
    const char *prefix = tokenizer_json_text(model, "continuing_subword_prefix");
    prefix = prefix == NULL ? "##" : prefix;
    tokenizer->word_mark = "";
    tokenizer->continuing_mark =
        base_arena_text(&tokenizer->arena, prefix, BASE_MIN(strlen(prefix), (size_t)15));
    return TAKT_OK;
}

/* ---- around a text --------------------------------------------------------------------------- */

/* The token that a template puts in front of a single text. */
static const char *first_special(const json_t *processor)
{
    const char *type = tokenizer_json_text(processor, "type");
    if (type == NULL)
        return NULL;
    if (strcmp(type, "TemplateProcessing") == 0) {
        const json_t *first = json_array_get(json_object_get(processor, "single"), 0);
        return tokenizer_json_text(json_object_get(first, "SpecialToken"), "id");
    }
    if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
        return json_string_value(json_array_get(json_object_get(processor, "cls"), 0));
    const json_t *processors = json_object_get(processor, "processors");
    for (size_t i = 0; strcmp(type, "Sequence") == 0 && i < json_array_size(processors); i++) {
        const json_t *inner = json_array_get(processors, i);
        const char *inner_type = tokenizer_json_text(inner, "type");
        const char *found =
            inner_type != NULL && strcmp(inner_type, "Sequence") != 0 ? first_special(inner) : NULL;
        if (found != NULL)
            return found;
    }
    return NULL;
}

static void read_processor(const struct loading *loading, const json_t *processor)
{
    struct tokenizer *tokenizer = loading->tokenizer;
    const char *first = first_special(processor);
    uint32_t id = first == NULL ? TOKENIZER_NONE : tokenizer_find(tokenizer, first, strlen(first));
    if (id != TOKENIZER_NONE) {
        tokenizer->special.bos = id;
        tokenizer->special.add_bos = true;
    }
}

enum takt_status tokenizer_from_json(struct tokenizer *tokenizer, const char *where,
                                     const json_t *root, struct takt_error *error)
{
    const struct loading loading = {tokenizer, where, json_object_get(root, "model"),
                                    json_object_get(root, "added_tokens"), error};
    struct sizes sizes;
    enum takt_status status = read_kind(&loading);
    if (status == TAKT_OK)
        status = measure(&loading, &sizes);
    if (status != TAKT_OK)
        return status;
    tokenizer->vocab = (uint32_t)sizes.highest + 1;
    status = base_arena_create(&tokenizer->arena,
                               tokenizer_index_bytes(tokenizer->vocab, (size_t)sizes.merges) +
                                   (size_t)sizes.bytes + 128 * ((size_t)sizes.entries + 16),
                               error);
    if (status != TAKT_OK)
        return status;
    tokenizer->tokens = BASE_NEW(&tokenizer->arena, struct token, tokenizer->vocab);
    status = load_vocabulary(&loading);
    if (status == TAKT_OK)
        status = load_added(&loading);
    if (status != TAKT_OK)
        return status;
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        if (tokenizer->tokens[id].text == NULL) /* a hole */
            tokenizer->tokens[id] = (struct token){.text = "", .type = TOKEN_UNUSED};
    tokenizer_index_texts(tokenizer);
    status = tokenizer_json_stages(tokenizer, where, root, error);
    if (status == TAKT_OK)
        status = read_model(&loading);
    if (status == TAKT_OK)
        read_processor(&loading, json_object_get(root, "post_processor"));
    return status;
}
