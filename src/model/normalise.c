/* The steps of normalisers. */
#include "model/normalise.h"

#include "model/pattern.h"
#include "model/unicode.h"

#include <stdlib.h>
#include <string.h>

#define MARK "\xE2\x96\x81"
#define PATTERN_STEPS_PER_BYTE 2000u
#define GROWN_BYTES_MAX ((size_t)1 << 30) /* replacements may grow a text */

struct step {
    enum normalise_kind kind;
    bool map;
    struct pattern *pattern;
    char *from, *to; /* of a map: from is its bytes */
    size_t from_length, to_length;
};

struct normaliser {
    struct step steps[NORMALISE_STEPS_MAX];
    size_t count;
};

struct normaliser *normaliser_new(void)
{
    return calloc(1, sizeof(struct normaliser));
}

void normaliser_destroy(struct normaliser *normaliser)
{
    for (size_t i = 0; normaliser != NULL && i < normaliser->count; i++) {
        pattern_destroy(normaliser->steps[i].pattern);
        free(normaliser->steps[i].from);
        free(normaliser->steps[i].to);
    }
    free(normaliser);
}

static char *copy_of(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy != NULL && length != 0)
        memcpy(copy, text, length);
    if (copy != NULL)
        copy[length] = '\0';
    return copy;
}

enum takt_status normaliser_add(struct normaliser *normaliser, const char *where,
                                enum normalise_kind kind, const char *from, size_t from_length,
                                const char *to, size_t to_length, struct takt_error *error)
{
    struct step step = {.kind = kind, .from_length = from_length, .to_length = to_length};
    if (normaliser->count == NORMALISE_STEPS_MAX)
        return base_fail(error, TAKT_LIMIT, "%s: more than %u normalizers after one another", where,
                         NORMALISE_STEPS_MAX);
    if (kind == NORMALISE_REPLACE) {
        enum takt_status status = pattern_compile(&step.pattern, where, from, from_length, error);
        if (status != TAKT_OK)
            return status;
    }
    step.from = copy_of(from, from_length);
    step.to = copy_of(to, to_length);
    normaliser->steps[normaliser->count++] = step;
    if (step.from == NULL || step.to == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a normalizer; free some", where);
    return TAKT_OK;
}

/* ---- SentencePiece's map --------------------------------------------------------------------- */

static uint32_t read_u32(const unsigned char *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

enum takt_status normaliser_add_map(struct normaliser *normaliser, const char *where,
                                    const unsigned char *bytes, size_t length,
                                    struct takt_error *error)
{
    if (length < 4 || read_u32(bytes) % 4 != 0 || read_u32(bytes) > length - 4 ||
        (read_u32(bytes) != length - 4 && bytes[length - 1] != 0))
        return base_fail(error, TAKT_FORMAT,
                         "%s: the precompiled map of characters has %zu bytes, which its head "
                         "contradicts; convert the model again",
                         where, length);
    enum takt_status status =
        normaliser_add(normaliser, where, NORMALISE_NFC, (const char *)bytes, length, "", 0, error);
    if (status == TAKT_OK)
        normaliser->steps[normaliser->count - 1].map = true;
    return status;
}

/* A unit of the double array: bit 31 marks a value, bits 0..7 are the byte it was reached by, bit 8
 * says that a value hangs below, bits 10..30 are the offset, times 256 with bit 9. */
struct map {
    const unsigned char *units;
    size_t count;
    const char *texts;
    size_t texts_length;
};

static uint32_t unit_at(const struct map *map, size_t index)
{
    return index < map->count ? read_u32(map->units + 4 * index) : UINT32_C(0x80000000);
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The replacement of the longest prefix in the map; NULL when there is none. */
static const char *map_prefix(const struct map *map, const char *text, size_t length, size_t *taken)
{
    size_t node = offset_of(unit_at(map, 0));
    const char *found = NULL;
    for (size_t i = 0; map->count != 0 && i < length && text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];
        node ^= byte;
        uint32_t unit = unit_at(map, node);
        if ((unit & UINT32_C(0x800000FF)) != byte)
            break;
        node ^= offset_of(unit);
        uint32_t value = unit_at(map, node) & UINT32_C(0x7FFFFFFF);
        if ((unit >> 8 & 1) != 0 && node < map->count && value < map->texts_length) {
            found = map->texts + value;
            *taken = i + 1;
        }
    }
    return found;
}

static void run_map(const struct step *step, const char *text, size_t length, struct base_text *out)
{
    const unsigned char *bytes = (const unsigned char *)step->from;
    size_t units = read_u32(bytes);
    const struct map map = {bytes + 4, units / 4, step->from + 4 + units,
                            step->from_length - 4 - units};
    for (size_t i = 0; i < length;) {
        size_t taken = 0;
        const char *to = map_prefix(&map, text + i, length - i, &taken);
        if (to != NULL) { /* the last byte of the texts is a zero: add_map saw to it */
            base_text_append(out, to, strlen(to));
        } else {
            taken = base_utf8_size(text + i, length - i);
            if (taken != 0)
                base_text_append(out, text + i, taken);
            else
                base_text_append(out, "\xEF\xBF\xBD", 3);
            taken += taken == 0 ? 1 : 0;
        }
        i += taken;
    }
}

/* ---- the others ------------------------------------------------------------------------------ */

static void run_lowercase(const char *text, size_t length, struct base_text *out)
{
    size_t size;
    for (size_t i = 0; i < length; i += size) {
        uint32_t code = unicode_decode(text + i, length - i, &size), to[3];
        char bytes[4];
        if (code == UNICODE_REPLACEMENT) {
            base_text_append(out, text + i, size);
            continue;
        }
        size_t count = unicode_lower(code, to);
        for (size_t j = 0; j < count; j++) {
            size_t used = unicode_encode(to[j], bytes);
            base_text_append(out, bytes, used);
        }
    }
}

static bool is_ideograph(uint32_t code)
{
    return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
           (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
           (code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B920 && code <= 0x2CEAF) ||
           (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

/* Steps that look at one character at a time. */
static void run_characters(enum normalise_kind kind, const char *text, size_t length,
                           struct base_text *out)
{
    size_t size;
    for (size_t i = 0; i < length; i += size) {
        uint32_t code = unicode_decode(text + i, length - i, &size);
        enum unicode_category category = unicode_category(code);
        bool plain = code == '\t' || code == '\n' || code == '\r';
        bool other = category == UNICODE_CN || category >= UNICODE_CC;
        if (kind == NORMALISE_STRIP_ACCENTS && category == UNICODE_MN)
            continue;
        if (kind == NORMALISE_CLEAN &&
            (code == UNICODE_REPLACEMENT || (other && !plain && !unicode_is_space(code))))
            continue;
        if (kind == NORMALISE_CLEAN && unicode_is_space(code)) {
            base_text_append(out, " ", 1);
            continue;
        }
        bool apart = kind == NORMALISE_CHINESE && is_ideograph(code);
        base_text_append(out, " ", apart ? 1 : 0);
        base_text_append(out, text + i, size);
        base_text_append(out, " ", apart ? 1 : 0);
    }
}

static void run_strip(bool left, const char *text, size_t length, struct base_text *out)
{
    size_t size;
    while (left && length != 0 && unicode_is_space(unicode_decode(text, length, &size))) {
        text += size;
        length -= size;
    }
    while (!left && length != 0) {
        size_t at = length - 1;
        while (at != 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
            at--;
        if (!unicode_is_space(unicode_decode(text + at, length - at, &size)))
            break;
        length = at;
    }
    base_text_append(out, text, length);
}

static void run_marks(enum normalise_kind kind, const char *text, size_t length,
                      struct base_text *out)
{
    bool in_word = false, front = kind == NORMALISE_MARK_FRONT;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == ' ') {
            in_word = false;
            if (kind != NORMALISE_MARK_WORDS)
                base_text_append(out, MARK, 3);
            continue;
        }
        if (!in_word && (front || kind == NORMALISE_MARK_WORDS))
            base_text_append(out, MARK, 3);
        in_word = true;
        front = false;
        base_text_append(out, text + i, 1);
    }
}

static enum takt_status too_long(struct takt_error *error)
{
    return base_fail(error, TAKT_LIMIT,
                     "tokenizer: a normalizer makes more than %zu MiB of the text; encode less",
                     GROWN_BYTES_MAX >> 20);
}

static enum takt_status run_literal(const struct step *step, const char *text, size_t length,
                                    struct base_text *out, struct takt_error *error)
{
    while (length != 0) {
        const char *found =
            step->from_length == 0 ? NULL : memmem(text, length, step->from, step->from_length);
        size_t before = found == NULL ? length : (size_t)(found - text);
        base_text_append(out, text, before);
        if (found == NULL)
            break;
        base_text_append(out, step->to, step->to_length);
        if (out->length > GROWN_BYTES_MAX)
            return too_long(error);
        text += before + step->from_length;
        length -= before + step->from_length;
    }
    return TAKT_OK;
}

static enum takt_status run_pattern(const struct step *step, const char *text, size_t length,
                                    struct base_text *out, struct takt_error *error)
{
    uint64_t steps = 100000 + (uint64_t)PATTERN_STEPS_PER_BYTE * length;
    size_t done = 0, start, end;
    if (!base_utf8_valid(text, length)) {
        base_text_append(out, text, length);
        return TAKT_OK;
    }
    while (done < length && pattern_find(step->pattern, text, length, done, &start, &end, &steps)) {
        base_text_append(out, text + done, start - done);
        base_text_append(out, step->to, step->to_length);
        if (out->length > GROWN_BYTES_MAX)
            return too_long(error);
        done = end;
    }
    if (steps == 0)
        return base_fail(error, TAKT_LIMIT,
                         "tokenizer: a normalizer's pattern reads the text more than %u times; "
                         "encode it in parts",
                         PATTERN_STEPS_PER_BYTE);
    base_text_append(out, text + done, length - done);
    return TAKT_OK;
}

static enum takt_status run_step(const struct step *step, const char *text, size_t length,
                                 struct base_text *out, struct takt_error *error)
{
    static const enum unicode_form forms[] = {UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD};
    if (step->map) {
        run_map(step, text, length, out);
        return TAKT_OK;
    }
    switch (step->kind) {
    case NORMALISE_NFC:
    case NORMALISE_NFD:
    case NORMALISE_NFKC:
    case NORMALISE_NFKD: unicode_normalise(forms[step->kind], text, length, out); break;
    case NORMALISE_LOWERCASE: run_lowercase(text, length, out); break;
    case NORMALISE_STRIP_ACCENTS:
    case NORMALISE_CLEAN:
    case NORMALISE_CHINESE: run_characters(step->kind, text, length, out); break;
    case NORMALISE_STRIP_LEFT:
    case NORMALISE_STRIP_RIGHT:
        run_strip(step->kind == NORMALISE_STRIP_LEFT, text, length, out);
        break;
    case NORMALISE_MARK_SPACES:
    case NORMALISE_MARK_WORDS:
    case NORMALISE_MARK_FRONT: run_marks(step->kind, text, length, out); break;
    case NORMALISE_PREPEND:
        base_text_append(out, step->to, length == 0 ? 0 : step->to_length);
        base_text_append(out, text, length);
        break;
    case NORMALISE_REPLACE: return run_pattern(step, text, length, out, error);
    case NORMALISE_REPLACE_LITERAL: return run_literal(step, text, length, out, error);
    }
    return TAKT_OK;
}

enum takt_status normaliser_run(const struct normaliser *normaliser, const char *text,
                                size_t length, struct base_text *out, struct base_text *scratch,
                                struct takt_error *error)
{
    base_text_append(out, text, length);
    for (size_t i = 0; i < normaliser->count; i++) {
        struct base_text swap = *scratch;
        swap.length = 0;
        base_text_append(&swap, "", 0);
        enum takt_status status =
            run_step(&normaliser->steps[i], out->data, out->length, &swap, error);
        *scratch = *out;
        *out = swap;
        if (status != TAKT_OK)
            return status;
    }
    return TAKT_OK;
}
