/*
 * Characters as JSON may spell them: UTF-8 as it stands, a short escape, \uXXXX in either case, and
 * two of those beyond U+FFFF. A set of characters becomes a rule; equal sets share one.
 */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

/* ---- numbers of so many digits, from low to high --------------------------------------------- */

/* Digits of some bits each, the leading one first. */
struct digits {
    unsigned bits;
    bool hexadecimal;   /* letters of either case; else bytes of UTF-8 */
    unsigned char lead; /* what the leading byte of UTF-8 begins with */
    uint32_t next;      /* behind them */
    uint32_t whole[5];  /* any digits, so many; RUN_NO_NODE until there is need */
};

static struct digits digits_of(unsigned bits, bool hexadecimal, unsigned char lead, uint32_t next)
{
    struct digits digits = {bits, hexadecimal, lead, next, {0}};
    for (size_t i = 0; i < BASE_COUNT(digits.whole); i++) {
        digits.whole[i] = RUN_NO_NODE;
    }
    return digits;
}

/* One digit from first to last. */
static uint32_t digit(struct schema_compiler *c, const struct digits *digits, uint32_t first,
                      uint32_t last, unsigned char lead, uint32_t next)
{
    uint64_t set[4] = {0};
    for (uint32_t i = first; i <= last; i++) {
        unsigned byte = lead | i;
        if (digits->hexadecimal) {
            byte = (unsigned char)"0123456789abcdef"[i];
            const unsigned upper = (unsigned char)"0123456789ABCDEF"[i];
            set[upper / 64] |= UINT64_C(1) << (upper % 64);
        }
        set[byte / 64] |= UINT64_C(1) << (byte % 64);
    }
    return run_graph_set(c->graph, set, next);
}

static uint32_t span(struct schema_compiler *c, struct digits *digits, uint32_t low, uint32_t high,
                     unsigned count, unsigned char lead)
{
    if (count == 0) {
        return digits->next;
    }
    const unsigned shift = digits->bits * (count - 1);
    const uint32_t rest = (1u << shift) - 1;
    const unsigned char tail = 0x80;
    uint32_t a = low >> shift, z = high >> shift, at = RUN_NO_NODE;
    const bool whole = (low & rest) == 0 && (high & rest) == rest;
    if (a == z || whole) {
        if (!whole) {
            const uint32_t inner = span(c, digits, low & rest, high & rest, count - 1, tail);
            return digit(c, digits, a, a, lead, inner);
        }
        uint32_t *shared = &digits->whole[count - 1];
        if (*shared == RUN_NO_NODE) {
            *shared = span(c, digits, 0, rest, count - 1, tail);
        }
        return digit(c, digits, a, z, lead, *shared);
    }
    if ((low & rest) != 0) {
        at = span(c, digits, low, (a << shift) | rest, count, lead);
        a++;
    }
    if ((high & rest) != rest) {
        at = schema_either(c, at, span(c, digits, z << shift, high, count, lead));
        z--;
    }
    return a > z ? at
                 : schema_either(c, at,
                                 span(c, digits, a << shift, (z << shift) | rest, count, lead));
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* The part of a range from first to last; false when there is none. */
static bool clip(struct run_range range, uint32_t first, uint32_t last, struct run_range *part)
{
    part->first = BASE_MAX(range.first, first);
    part->last = BASE_MIN(range.last, last);
    return part->first <= part->last;
}

/* As it stands. */
static uint32_t plain(struct schema_compiler *c, const struct run_range *ranges, uint32_t count,
                      uint32_t end)
{
    static const struct {
        uint32_t first, last;
        unsigned bytes;
        unsigned char lead;
    } lengths[] = {{0x80, 0x7FF, 2, 0xC0},
                   {0x800, 0xD7FF, 3, 0xE0},
                   {0xE000, 0xFFFF, 3, 0xE0},
                   {0x10000, RUN_CHARACTER_LAST, 4, 0xF0}};
    uint64_t set[4] = {0};
    uint32_t at = RUN_NO_NODE;
    struct run_range part;
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t byte = ' '; byte < 0x80; byte++) {
            if (byte >= ranges[i].first && byte <= ranges[i].last && byte != '"' && byte != '\\') {
                set[byte / 64] |= UINT64_C(1) << (byte % 64);
                any = true;
            }
        }
    }
    if (any) {
        at = run_graph_set(c->graph, set, end);
    }
    for (size_t j = 0; j < BASE_COUNT(lengths); j++) {
        struct digits digits = digits_of(6, false, lengths[j].lead, end);
        for (uint32_t i = 0; i < count; i++) {
            if (clip(ranges[i], lengths[j].first, lengths[j].last, &part)) {
                at = schema_either(
                    c, at,
                    span(c, &digits, part.first, part.last, lengths[j].bytes, lengths[j].lead));
            }
        }
    }
    return at;
}

static uint32_t hexadecimal(struct schema_compiler *c, uint32_t first, uint32_t last, uint32_t next)
{
    struct digits digits = digits_of(4, true, 0, next);
    return span(c, &digits, first, last, 4, 0);
}

/* Two surrogates, each of ten bits: characters from U+10000 + first to last. `all`: any second. */
static uint32_t surrogates(struct schema_compiler *c, uint32_t first, uint32_t last, uint32_t all,
                           uint32_t end)
{
    const uint32_t a = first >> 10, z = last >> 10;
    const bool whole = (first & 0x3FF) == 0 && (last & 0x3FF) == 0x3FF;
    if (whole) {
        return hexadecimal(c, 0xD800 + a, 0xD800 + z, all);
    }
    if (a == z) {
        const uint32_t second =
            hexadecimal(c, 0xDC00 + (first & 0x3FF), 0xDC00 + (last & 0x3FF), end);
        return hexadecimal(c, 0xD800 + a, 0xD800 + a, schema_text(c, "\\u", second));
    }
    uint32_t at = surrogates(c, first, a << 10 | 0x3FF, all, end);
    at = schema_either(c, at, surrogates(c, z << 10, last, all, end));
    return z - a < 2 ? at
                     : schema_either(c, at,
                                     surrogates(c, (a + 1) << 10, (z - 1) << 10 | 0x3FF, all, end));
}

/* Behind a backslash. */
static uint32_t escaped(struct schema_compiler *c, const struct run_range *ranges, uint32_t count,
                        uint32_t end)
{
    static const char values[] = "\"\\/\b\f\n\r\t", letters[] = "\"\\/bfnrt";
    uint32_t codes = RUN_NO_NODE, letter = RUN_NO_NODE, all = RUN_NO_NODE;
    struct run_range part;
    uint64_t set[4] = {0};
    for (uint32_t i = 0; i < count; i++) {
        for (size_t j = 0; values[j]; j++) {
            const unsigned byte = (unsigned char)letters[j];
            if (clip(ranges[i], (unsigned char)values[j], (unsigned char)values[j], &part)) {
                set[byte / 64] |= UINT64_C(1) << (byte % 64);
                letter = 0;
            }
        }
        if (clip(ranges[i], 1, 0xD7FF, &part)) {
            codes = schema_either(c, codes, hexadecimal(c, part.first, part.last, end));
        }
        if (clip(ranges[i], 0xE000, 0xFFFF, &part)) {
            codes = schema_either(c, codes, hexadecimal(c, part.first, part.last, end));
        }
        if (clip(ranges[i], 0x10000, RUN_CHARACTER_LAST, &part)) {
            if (all == RUN_NO_NODE) {
                all = schema_text(c, "\\u", hexadecimal(c, 0xDC00, 0xDFFF, end));
            }
            codes = schema_either(
                c, codes, surrogates(c, part.first - 0x10000, part.last - 0x10000, all, end));
        }
    }
    letter = letter == 0 ? run_graph_set(c->graph, set, end) : RUN_NO_NODE;
    return codes == RUN_NO_NODE ? letter : schema_either(c, letter, schema_text(c, "u", codes));
}

static uint32_t make(struct schema_compiler *c, const struct run_range *ranges, uint32_t count)
{
    const uint32_t rule = run_graph_rule(c->graph, false);
    const uint32_t end = run_graph_end(c->graph);
    const uint32_t escape = escaped(c, ranges, count, end);
    uint32_t at = plain(c, ranges, count, end);
    if (escape != RUN_NO_NODE) {
        at = schema_either(c, at, schema_text(c, "\\", escape));
    }
    schema_start(c, rule, at != RUN_NO_NODE ? at : schema_bytes(c, "", end));
    return rule;
}

uint32_t run_schema_characters(struct schema_compiler *c, const struct run_range *ranges,
                               uint32_t count)
{
    uint32_t hash = count;
    for (uint32_t i = 0; i < count; i++) {
        hash = ((hash ^ ranges[i].first) * 0x9E3779B1u ^ ranges[i].last) * 0x85EBCA77u;
    }
    struct schema_characters **slot = &c->characters[(hash >> 16) % SCHEMA_CHARACTERS_SLOTS];
    for (struct schema_characters *at = *slot; at; at = at->next) {
        if (at->count == count && memcmp(at->ranges, ranges, count * sizeof *ranges) == 0) {
            return at->rule;
        }
    }
    struct schema_characters *made = calloc(1, sizeof *made + count * sizeof *ranges);
    BASE_ASSERT(made);
    memcpy(made->ranges, ranges, count * sizeof *ranges);
    made->count = count;
    made->rule = make(c, ranges, count);
    made->next = *slot;
    *slot = made;
    return made->rule;
}

void run_schema_forget_characters(struct schema_compiler *c)
{
    for (size_t i = 0; i < SCHEMA_CHARACTERS_SLOTS; i++) {
        while (c->characters[i]) {
            struct schema_characters *next = c->characters[i]->next;
            free(c->characters[i]);
            c->characters[i] = next;
        }
    }
}
