/*
 * Normalizers and pre-tokenizers of tokenizer.json. Where one has no place in takt's row of steps
 * it is refused by name, so that no text is encoded other than its author meant.
 */
#include "model/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

#define MARK "\xE2\x96\x81"
#define NESTING_MAX 8u

/* GPT-2's pattern, which ByteLevel stands for. */
static const char gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct reader {
    struct tokenizer *tokenizer;
    const char *where;
    struct takt_error *error;
    bool bytes; /* a ByteLevel was met */
};

const char *tokenizer_json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

bool tokenizer_json_flag(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static bool is(const char *type, const char *name)
{
    return strcmp(type, name) == 0;
}

static enum takt_status refuse(const struct reader *reader, const char *what, const char *type)
{
    return base_fail(reader->error, TAKT_UNSUPPORTED,
                     "%s: the %s \"%.60s\" is not among those takt has", reader->where, what,
                     type == NULL ? "" : type);
}

/* ---- normalizers ----------------------------------------------------------------------------- */

static enum takt_status step(const struct reader *reader, enum normalise_kind kind)
{
    return normaliser_add(reader->tokenizer->normaliser, reader->where, kind, "", 0, "", 0,
                          reader->error);
}

/* {"String": "x"} or {"Regex": "x"}; *literal says which. */
static const json_t *pattern_of(const json_t *node, bool *literal)
{
    const json_t *pattern = json_object_get(node, "pattern");
    const json_t *text = json_object_get(pattern, "String");
    *literal = text != NULL;
    return *literal ? text : json_object_get(pattern, "Regex");
}

static enum takt_status add_replace(const struct reader *reader, const json_t *node)
{
    bool literal;
    const json_t *pattern = pattern_of(node, &literal), *content = json_object_get(node, "content");
    if (!json_is_string(pattern) || !json_is_string(content))
        return refuse(reader, "normalizer", "Replace without pattern and content");
    return normaliser_add(reader->tokenizer->normaliser, reader->where,
                          literal ? NORMALISE_REPLACE_LITERAL : NORMALISE_REPLACE,
                          json_string_value(pattern), json_string_length(pattern),
                          json_string_value(content), json_string_length(content), reader->error);
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

static enum takt_status add_map(const struct reader *reader, const json_t *node)
{
    const json_t *text = json_object_get(node, "precompiled_charsmap");
    const char *source = json_string_value(text);
    size_t length = json_string_length(text), used = 0;
    if (source == NULL || length == 0)
        return TAKT_OK; /* an empty map changes nothing */
    unsigned char *bytes = malloc(length);
    if (bytes == NULL)
        return base_fail(reader->error, TAKT_MEMORY, "%s: no memory for a normalizer; free some",
                         reader->where);
    uint32_t held = 0, bits = 0;
    for (size_t i = 0; i < length && source[i] != '='; i++) {
        int digit = base64_digit(source[i]);
        if (digit < 0) {
            free(bytes);
            return base_fail(reader->error, TAKT_FORMAT, "%s: precompiled_charsmap is not base64",
                             reader->where);
        }
        held = held << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[used++] = (unsigned char)(held >> bits);
        }
    }
    enum takt_status status = normaliser_add_map(reader->tokenizer->normaliser, reader->where,
                                                 bytes, used, reader->error);
    free(bytes);
    return status;
}

static enum takt_status add_bert(const struct reader *reader, const json_t *node)
{
    bool lowercase = tokenizer_json_flag(node, "lowercase", true);
    enum takt_status status = TAKT_OK;
    if (tokenizer_json_flag(node, "clean_text", true))
        status = step(reader, NORMALISE_CLEAN);
    if (status == TAKT_OK && tokenizer_json_flag(node, "handle_chinese_chars", true))
        status = step(reader, NORMALISE_CHINESE);
    if (status == TAKT_OK && tokenizer_json_flag(node, "strip_accents", lowercase)) {
        status = step(reader, NORMALISE_NFD);
        if (status == TAKT_OK)
            status = step(reader, NORMALISE_STRIP_ACCENTS);
    }
    return status == TAKT_OK && lowercase ? step(reader, NORMALISE_LOWERCASE) : status;
}

static enum takt_status add_prepend(const struct reader *reader, const json_t *node)
{
    const json_t *text = json_object_get(node, "prepend");
    if (!json_is_string(text))
        return refuse(reader, "normalizer", "Prepend without a text");
    if (is(json_string_value(text), MARK))
        reader->tokenizer->add_space_prefix = true;
    return normaliser_add(reader->tokenizer->normaliser, reader->where, NORMALISE_PREPEND, "", 0,
                          json_string_value(text), json_string_length(text), reader->error);
}

static enum takt_status read_normalizer(const struct reader *reader, const json_t *node,
                                        unsigned depth)
{
    static const struct {
        const char *name;
        enum normalise_kind kind;
    } simple[] = {{"NFC", NORMALISE_NFC},
                  {"NFD", NORMALISE_NFD},
                  {"NFKC", NORMALISE_NFKC},
                  {"NFKD", NORMALISE_NFKD},
                  {"Lowercase", NORMALISE_LOWERCASE},
                  {"StripAccents", NORMALISE_STRIP_ACCENTS}};
    const char *type = tokenizer_json_text(node, "type");
    enum takt_status status = TAKT_OK;
    size_t index;
    json_t *item;
    if (node == NULL || json_is_null(node))
        return TAKT_OK;
    if (type == NULL || depth > NESTING_MAX)
        return refuse(reader, "normalizer", type);
    for (size_t i = 0; i < BASE_COUNT(simple); i++)
        if (is(type, simple[i].name))
            return step(reader, simple[i].kind);
    if (is(type, "Sequence")) {
        json_array_foreach(json_object_get(node, "normalizers"), index, item)
        {
            if (status == TAKT_OK)
                status = read_normalizer(reader, item, depth + 1);
        }
        return status;
    }
    if (is(type, "Strip")) {
        if (tokenizer_json_flag(node, "strip_left", true))
            status = step(reader, NORMALISE_STRIP_LEFT);
        if (status == TAKT_OK && tokenizer_json_flag(node, "strip_right", true))
            status = step(reader, NORMALISE_STRIP_RIGHT);
        return status;
    }
    if (is(type, "Replace"))
        return add_replace(reader, node);
    if (is(type, "Prepend"))
        return add_prepend(reader, node);
    if (is(type, "Precompiled"))
        return add_map(reader, node);
    if (is(type, "BertNormalizer"))
        return add_bert(reader, node);
    return refuse(reader, "normalizer", type);
}

/* ---- pre-tokenizers -------------------------------------------------------------------------- */

static bool read_behaviour(const json_t *node, enum split_behaviour *behaviour)
{
    static const struct {
        const char *name;
        enum split_behaviour behaviour;
    } names[] = {{"Isolated", SPLIT_ISOLATED},
                 {"Removed", SPLIT_REMOVED},
                 {"MergedWithPrevious", SPLIT_WITH_PREVIOUS},
                 {"MergedWithNext", SPLIT_WITH_NEXT},
                 {"Contiguous", SPLIT_CONTIGUOUS}};
    const char *name = tokenizer_json_text(node, "behavior");
    for (size_t i = 0; name != NULL && i < BASE_COUNT(names); i++)
        if (is(name, names[i].name)) {
            *behaviour = names[i].behaviour;
            return true;
        }
    return false;
}

static enum takt_status add_pattern(const struct reader *reader, const char *pattern, size_t length,
                                    enum split_behaviour behaviour, bool inverted)
{
    return tokenizer_split_add_pattern(reader->tokenizer->split, reader->where, pattern, length,
                                       behaviour, inverted, reader->error);
}

static enum takt_status add_text(const struct reader *reader, const char *pattern,
                                 enum split_behaviour behaviour, bool inverted)
{
    return add_pattern(reader, pattern, strlen(pattern), behaviour, inverted);
}

/* A text as a pattern of itself. */
static enum takt_status add_literal(const struct reader *reader, const json_t *text,
                                    enum split_behaviour behaviour, bool inverted)
{
    struct base_text pattern = {0};
    base_text_append(&pattern, "", 0);
    for (size_t i = 0; i < json_string_length(text); i++) {
        char c = json_string_value(text)[i];
        if (c != '\0' && strchr("\\^$.|?*+()[]{}", c) != NULL)
            base_text_append(&pattern, "\\", 1);
        base_text_append(&pattern, &c, 1);
    }
    enum takt_status status =
        add_pattern(reader, pattern.data, pattern.length, behaviour, inverted);
    base_text_free(&pattern);
    return status;
}

static enum takt_status add_split(const struct reader *reader, const json_t *node)
{
    enum split_behaviour behaviour;
    bool literal, inverted = tokenizer_json_flag(node, "invert", false);
    const json_t *pattern = pattern_of(node, &literal);
    if (!json_is_string(pattern) || !read_behaviour(node, &behaviour))
        return refuse(reader, "pre-tokenizer", "Split without a pattern and behavior");
    if (literal)
        return json_string_length(pattern) == 0 ? TAKT_OK
                                                : add_literal(reader, pattern, behaviour, inverted);
    /* Digits in threes from the right look ahead further than a pattern of takt's can. */
    static const char *const threes[] = {"\\d{1,3}(?=(?:\\d{3})*\\b)", "(?=(\\d{3})+(?!\\d))"};
    for (size_t i = 0; i < BASE_COUNT(threes); i++)
        if (is(json_string_value(pattern), threes[i]))
            return tokenizer_split_add(reader->tokenizer->split, reader->where,
                                       i == 0 ? SPLIT_THREES_BOUNDED : SPLIT_THREES, reader->error);
    if (is(json_string_value(pattern), "\\s+$") && behaviour == SPLIT_ISOLATED && !inverted)
        return tokenizer_split_add(reader->tokenizer->split, reader->where, SPLIT_SPACE_AT_END,
                                   reader->error);
    return add_pattern(reader, json_string_value(pattern), json_string_length(pattern), behaviour,
                       inverted);
}

static enum takt_status add_byte_level(struct reader *reader, const json_t *node)
{
    enum takt_status status = TAKT_OK;
    reader->bytes = true;
    if (tokenizer_json_flag(node, "add_prefix_space", true)) {
        status = tokenizer_split_add(reader->tokenizer->split, reader->where, SPLIT_LEADING_SPACE,
                                     reader->error);
        reader->tokenizer->add_space_prefix = true;
    }
    if (status == TAKT_OK && tokenizer_json_flag(node, "use_regex", true))
        status = add_text(reader, gpt2, SPLIT_ISOLATED, false);
    return status;
}

static enum takt_status add_metaspace(const struct reader *reader, const json_t *node)
{
    const char *replacement = tokenizer_json_text(node, "replacement");
    const char *scheme = tokenizer_json_text(node, "prepend_scheme");
    bool splits = tokenizer_json_flag(node, "split", true);
    if (replacement == NULL || !is(replacement, MARK))
        return refuse(reader, "pre-tokenizer", "Metaspace with another mark than U+2581");
    if (scheme == NULL)
        scheme = tokenizer_json_flag(node, "add_prefix_space", true) ? "always" : "never";
    enum split_kind kind = splits ? SPLIT_METASPACE : SPLIT_METASPACE_WHOLE;
    if (is(scheme, "never"))
        kind = splits ? SPLIT_METASPACE_PLAIN : SPLIT_METASPACE_PLAIN_WHOLE;
    else if (is(scheme, "first"))
        kind = splits ? SPLIT_METASPACE_FIRST : SPLIT_METASPACE_FIRST_WHOLE;
    else if (!is(scheme, "always"))
        return refuse(reader, "prepend_scheme", scheme);
    reader->tokenizer->marks = true;
    reader->tokenizer->add_space_prefix =
        reader->tokenizer->add_space_prefix || !is(scheme, "never");
    return tokenizer_split_add(reader->tokenizer->split, reader->where, kind, reader->error);
}

static enum takt_status add_delimiter(const struct reader *reader, const json_t *node)
{
    const json_t *text = json_object_get(node, "delimiter");
    return json_string_length(text) == 0
               ? refuse(reader, "pre-tokenizer", "CharDelimiterSplit without a delimiter")
               : add_literal(reader, text, SPLIT_REMOVED, false);
}

static enum takt_status read_pre_tokenizer(struct reader *reader, const json_t *node,
                                           unsigned depth)
{
    const char *type = tokenizer_json_text(node, "type");
    enum takt_status status = TAKT_OK;
    enum split_behaviour behaviour = SPLIT_ISOLATED;
    size_t index;
    json_t *item;
    if (node == NULL || json_is_null(node))
        return TAKT_OK;
    if (type == NULL || depth > NESTING_MAX)
        return refuse(reader, "pre-tokenizer", type);
    if (is(type, "Sequence")) {
        json_array_foreach(json_object_get(node, "pretokenizers"), index, item)
        {
            if (status == TAKT_OK)
                status = read_pre_tokenizer(reader, item, depth + 1);
        }
        return status;
    }
    if (is(type, "Split"))
        return add_split(reader, node);
    if (is(type, "ByteLevel"))
        return add_byte_level(reader, node);
    if (is(type, "Metaspace"))
        return add_metaspace(reader, node);
    if (is(type, "Digits"))
        return tokenizer_json_flag(node, "individual_digits", false)
                   ? add_text(reader, "\\p{N}", SPLIT_ISOLATED, false)
                   : add_text(reader, "\\p{N}+", SPLIT_ISOLATED, false);
    if (is(type, "Punctuation")) {
        (void)read_behaviour(node, &behaviour);
        return add_text(reader, "[!-/:-@\\[-`{-~\\p{P}]", behaviour, false);
    }
    if (is(type, "Whitespace"))
        return add_text(reader, "\\w+|[^\\w\\s]+", SPLIT_REMOVED, true);
    if (is(type, "WhitespaceSplit"))
        return add_text(reader, "\\s+", SPLIT_REMOVED, false);
    if (is(type, "BertPreTokenizer"))
        return tokenizer_add_bert_split(reader->tokenizer, reader->where, reader->error);
    if (is(type, "CharDelimiterSplit"))
        return add_delimiter(reader, node);
    return refuse(reader, "pre-tokenizer", type);
}

/* ByteLevel may be a normalizer's or the decoder's alone; then the alphabet is bytes all the same.
 */
static bool mentions_bytes(const json_t *node, unsigned depth)
{
    static const char *const lists[] = {"normalizers", "pretokenizers", "decoders"};
    const char *type = tokenizer_json_text(node, "type");
    if (type != NULL && is(type, "ByteLevel"))
        return true;
    for (size_t i = 0; depth < NESTING_MAX && i < BASE_COUNT(lists); i++) {
        size_t index;
        json_t *item;
        json_array_foreach(json_object_get(node, lists[i]), index, item)
        {
            if (mentions_bytes(item, depth + 1))
                return true;
        }
    }
    return false;
}

enum takt_status tokenizer_json_stages(struct tokenizer *tokenizer, const char *where,
                                       const json_t *root, struct takt_error *error)
{
    struct reader reader = {tokenizer, where, error, false};
    tokenizer->split = tokenizer_split_new();
    tokenizer->normaliser = normaliser_new();
    if (tokenizer->split == NULL || tokenizer->normaliser == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the tokenizer; free some", where);
    enum takt_status status = read_normalizer(&reader, json_object_get(root, "normalizer"), 0);
    if (status == TAKT_OK)
        status = read_pre_tokenizer(&reader, json_object_get(root, "pre_tokenizer"), 0);
    tokenizer->traits.characters =
        !reader.bytes && !mentions_bytes(json_object_get(root, "decoder"), 0);
    return status;
}
