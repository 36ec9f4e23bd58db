/*
 * Normal forms (UAX #15): characters are taken apart, each run of combining marks is put into the
 * order of their classes, and for the composed forms put together again.
 */
#include "model/unicode_tables.h"

#include <stdlib.h>
#include <string.h>

#define HANGUL_FIRST 0xAC00u
#define HANGUL_COUNT 11172u
#define HANGUL_L 0x1100u
#define HANGUL_V 0x1161u
#define HANGUL_T 0x11A7u
#define HANGUL_V_COUNT 21u
#define HANGUL_T_COUNT 28u

struct marked {
    uint32_t code, class;
};

/* Characters since the last one that nothing after it can change. */
struct buffer {
    struct marked *items;
    size_t count, capacity;
};

static uint32_t class_of(uint32_t code)
{
    size_t low = 0, high = unicode_combining_count;
    if (code < 0x300)
        return 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (unicode_combining[middle] >> 8 < code)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < unicode_combining_count && unicode_combining[low] >> 8 == code;
    return found ? unicode_combining[low] & 255 : 0;
}

static void push(struct buffer *buffer, uint32_t code)
{
    if (buffer->count == buffer->capacity) {
        buffer->capacity = buffer->capacity == 0 ? 64 : 2 * buffer->capacity;
        buffer->items = realloc(buffer->items, buffer->capacity * sizeof(*buffer->items));
        BASE_ASSERT(buffer->items != NULL); /* as base_text does */
    }
    buffer->items[buffer->count++] = (struct marked){code, class_of(code)};
}

static void decompose(struct buffer *buffer, uint32_t code, bool compatible)
{
    if (code < 0xA0) {
        push(buffer, code);
        return;
    }
    if (code - HANGUL_FIRST < HANGUL_COUNT) {
        uint32_t index = code - HANGUL_FIRST, t = index % HANGUL_T_COUNT;
        push(buffer, HANGUL_L + index / (HANGUL_V_COUNT * HANGUL_T_COUNT));
        push(buffer, HANGUL_V + index / HANGUL_T_COUNT % HANGUL_V_COUNT);
        if (t != 0)
            push(buffer, HANGUL_T + t);
        return;
    }
    size_t low = 0, high = unicode_decomposition_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (unicode_decompositions[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    const struct unicode_decomposition *found = &unicode_decompositions[low];
    if (low == unicode_decomposition_count || found->code != code ||
        (found->compatible != 0 && !compatible)) {
        push(buffer, code);
        return;
    }
    for (uint32_t i = 0; i < found->count;
         i++) /* the tables nest a few levels, never in a circle */
        decompose(buffer, unicode_sequences[found->start + i], compatible);
}

static int compare_marks(const void *a, const void *b)
{
    const struct marked *left = a, *right = b;
    return left->class < right->class ? -1 : left->class > right->class;
}

/* Stable, and fast on the hostile run of a million marks too: short ones by insertion. */
static void sort_marks(struct marked *items, size_t count)
{
    bool sorted = true;
    for (size_t i = 1; i < count; i++)
        sorted = sorted && items[i - 1].class <= items[i].class;
    if (sorted)
        return;
    if (count > 32) { /* stable by class: one pass for each of the 256 */
        struct marked *copy = malloc(count * sizeof(*copy));
        BASE_ASSERT(copy != NULL);
        size_t starts[257] = {0};
        for (size_t i = 0; i < count; i++)
            starts[items[i].class + 1]++;
        for (size_t c = 0; c < 256; c++)
            starts[c + 1] += starts[c];
        for (size_t i = 0; i < count; i++)
            copy[starts[items[i].class]++] = items[i];
        memcpy(items, copy, count * sizeof(*copy));
        free(copy);
        return;
    }
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j != 0 && compare_marks(&items[j - 1], &items[j]) > 0; j--) {
            struct marked swap = items[j];
            items[j] = items[j - 1];
            items[j - 1] = swap;
        }
}

static uint32_t compose_pair(uint32_t first, uint32_t second)
{
    if (first - HANGUL_L < 19 && second - HANGUL_V < HANGUL_V_COUNT)
        return HANGUL_FIRST +
               ((first - HANGUL_L) * HANGUL_V_COUNT + second - HANGUL_V) * HANGUL_T_COUNT;
    if (first - HANGUL_FIRST < HANGUL_COUNT && (first - HANGUL_FIRST) % HANGUL_T_COUNT == 0 &&
        second > HANGUL_T && second < HANGUL_T + HANGUL_T_COUNT)
        return first + second - HANGUL_T;
    size_t low = 0, high = unicode_composition_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct unicode_composition *at = &unicode_compositions[middle];
        if (at->first < first || (at->first == first && at->second < second))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == unicode_composition_count)
        return 0;
    const struct unicode_composition *at = &unicode_compositions[low];
    return at->first == first && at->second == second ? at->composite : 0;
}

static void compose(struct buffer *buffer)
{
    size_t used = 0, starter = SIZE_MAX;
    uint32_t last = 0; /* class of the character put down before, after the starter */
    for (size_t i = 0; i < buffer->count; i++) {
        struct marked item = buffer->items[i];
        bool adjacent = starter != SIZE_MAX && starter + 1 == used;
        if (starter != SIZE_MAX && (adjacent || (last < item.class && last != 0))) {
            uint32_t composite = compose_pair(buffer->items[starter].code, item.code);
            if (composite != 0) {
                buffer->items[starter].code = composite;
                continue;
            }
        }
        if (item.class == 0)
            starter = used;
        last = item.class;
        buffer->items[used++] = item;
    }
    buffer->count = used;
}

static void flush(struct buffer *buffer, bool composed, struct base_text *out)
{
    for (size_t i = 0; i < buffer->count;) {
        size_t end = i + 1;
        if (buffer->items[i].class != 0) {
            while (end < buffer->count && buffer->items[end].class != 0)
                end++;
            sort_marks(buffer->items + i, end - i);
        }
        i = end;
    }
    if (composed)
        compose(buffer);
    for (size_t i = 0; i < buffer->count; i++) {
        char bytes[4];
        size_t size = unicode_encode(buffer->items[i].code, bytes);
        base_text_append(out, bytes, size);
    }
    buffer->count = 0;
}

/* Can nothing before this character change it, or it what is before? */
static bool stands_alone(uint32_t code)
{
    if (class_of(code) != 0 || (code >= HANGUL_V && code < HANGUL_T + HANGUL_T_COUNT))
        return false;
    for (size_t i = 0; i < unicode_decomposition_count; i++) /* once in a thousand characters */
        if (unicode_decompositions[i].code == code)
            return false;
    for (size_t i = 0; i < unicode_composition_count; i++)
        if (unicode_compositions[i].second == code)
            return false;
    return true;
}

void unicode_normalise(enum unicode_form form, const char *text, size_t length,
                       struct base_text *out)
{
    bool composed = form == UNICODE_NFC || form == UNICODE_NFKC;
    bool compatible = form == UNICODE_NFKC || form == UNICODE_NFKD;
    struct buffer buffer = {NULL, 0, 0};
    for (size_t i = 0; i < length;) {
        size_t run = i;
        while (run < length && (unsigned char)text[run] < 0x80)
            run++;
        if (run != i) { /* ASCII: only its last character can meet a mark */
            flush(&buffer, composed, out);
            base_text_append(out, text + i, run - i - 1);
            push(&buffer, (unsigned char)text[run - 1]);
            i = run;
            continue;
        }
        size_t size = base_utf8_size(text + i, length - i);
        if (size == 0) {
            flush(&buffer, composed, out);
            base_text_append(out, text + i, 1);
            i++;
            continue;
        }
        uint32_t code = unicode_decode(text + i, length - i, &size);
        if (buffer.count >= 1024 && stands_alone(code))
            flush(&buffer, composed, out);
        decompose(&buffer, code, compatible);
        i += size;
    }
    flush(&buffer, composed, out);
    free(buffer.items);
}
