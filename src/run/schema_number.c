/*
 * Numbers between bounds and multiples, digit by digit: exact decimal arithmetic on whole numbers
 * of the last digit's unit. There are at most 15 digits in all, so that no two of the numbers are
 * one double and every reader sees what was written.
 */
#include "run/schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 15u
#define OPEN_DIGITS 9u /* before the point, where a side has no bound and fractions may follow */
#define STATES_MAX 8000u
#define LARGE UINT64_C(1000000000000000) /* 10^DIGITS_MAX: more than any of the numbers */

/* What is left of the number while its digits are written, the first one first. */
struct place {
    uint32_t range; /* whose bounds they are; 0 where none is near */
    uint32_t left;  /* digits still to come, with those of the fraction */
    bool low, high; /* so far the digits are those of the bound */
    uint64_t rest;  /* the value so far, in units of the last digit, modulo the multiple */
};

struct known {
    struct place place;
    uint32_t node;
};

struct decimal {
    struct schema_compiler *c;
    uint32_t whole, fraction;        /* digits before and behind the point, at most */
    uint64_t multiple;               /* of the last digit's unit */
    int64_t low, high;               /* of the numbers at work, all of one length */
    uint32_t ranges;                 /* of them so far */
    uint64_t powers[DIGITS_MAX + 1]; /* of ten */
    uint32_t next;
    struct known *known; /* places built already, a hash table */
    uint32_t known_count;
};

#define KNOWN_SLOTS 65536u

static uint32_t after_digit(struct decimal *decimal, struct place place);

static uint64_t power(const struct decimal *decimal, uint32_t exponent)
{
    return decimal->powers[exponent];
}

/* Bounds that can no longer be passed are forgotten, so that places become equal. */
static struct place loosen(const struct decimal *decimal, struct place place)
{
    const uint64_t unit = power(decimal, place.left);
    place.low = place.low && (uint64_t)decimal->low % unit != 0;
    place.high = place.high && (uint64_t)decimal->high % unit != unit - 1;
    place.range = place.low || place.high ? place.range : 0;
    return place;
}

/* A digit from `first` on, and what follows; digits that lead to one node are one set. */
static uint32_t one_digit(struct decimal *decimal, struct place place, uint32_t first)
{
    struct schema_compiler *c = decimal->c;
    const uint64_t unit = power(decimal, place.left - 1);
    const uint32_t from = place.low ? (uint32_t)((uint64_t)decimal->low / unit % 10) : 0;
    const uint32_t to = place.high ? (uint32_t)((uint64_t)decimal->high / unit % 10) : 9;
    uint32_t targets[10], at = RUN_NO_NODE;
    for (uint32_t digit = 0; digit < 10; digit++) {
        targets[digit] = RUN_NO_NODE;
        if (digit >= BASE_MAX(first, from) && digit <= to) {
            struct place then = place;
            then.left--;
            then.low = place.low && digit == from;
            then.high = place.high && digit == to;
            then.rest = (place.rest + digit * (unit % decimal->multiple)) % decimal->multiple;
            targets[digit] = after_digit(decimal, then);
        }
    }
    for (uint32_t digit = 0; digit < 10; digit++) {
        uint64_t set[4] = {0};
        const uint32_t target = targets[digit];
        for (uint32_t other = digit; other < 10 && target != RUN_NO_NODE; other++) {
            if (targets[other] == target) {
                set[0] |= UINT64_C(1) << ('0' + other);
                targets[other] = RUN_NO_NODE;
            }
        }
        if (target != RUN_NO_NODE) {
            at = schema_either(c, at, run_graph_set(c->graph, set, target));
        }
    }
    return at;
}

static uint32_t make_place(struct decimal *decimal, struct place place)
{
    struct schema_compiler *c = decimal->c;
    /* Ending here stands for zeros: not below the bound, unless its own digits go on. */
    const bool ends = place.left <= decimal->fraction && place.rest == 0 && !place.low;
    uint32_t at = RUN_NO_NODE;
    if (place.left > 0) {
        at = one_digit(decimal, place, 0);
        if (at != RUN_NO_NODE && place.left == decimal->fraction) {
            at = schema_text(c, ".", at);
        }
    }
    return ends ? schema_either(c, decimal->next, at) : at;
}

/* The node of the place; RUN_NO_NODE when no number comes of it. */
static uint32_t after_digit(struct decimal *decimal, struct place place)
{
    if (place.rest != 0 && decimal->multiple - place.rest >= power(decimal, place.left)) {
        return RUN_NO_NODE; /* too few digits to the next multiple */
    }
    place = loosen(decimal, place);
    uint64_t hash = place.rest * 31 + place.left;
    hash = (hash * 31 + place.range) * 4 + (place.low ? 2u : 0u) + (place.high ? 1u : 0u);
    uint32_t slot = (uint32_t)((hash * UINT64_C(0x9E3779B97F4A7C15)) >> 48) % KNOWN_SLOTS;
    for (; decimal->known[slot].node != 0; slot = (slot + 1) % KNOWN_SLOTS) {
        const struct place *other = &decimal->known[slot].place;
        if (other->range == place.range && other->left == place.left && other->low == place.low &&
            other->high == place.high && other->rest == place.rest) {
            return decimal->known[slot].node;
        }
    }
    if (decimal->c->graph->full || decimal->known_count == KNOWN_SLOTS / 2) {
        decimal->c->graph->full = true;
        return RUN_NO_NODE;
    }
    const uint32_t node = make_place(decimal, place);
    while (decimal->known[slot].node != 0) { /* others have come meanwhile */
        slot = (slot + 1) % KNOWN_SLOTS;
    }
    decimal->known[slot] = (struct known){place, node};
    decimal->known_count++;
    return node;
}

/* Numbers from low to high, neither negative, in units of the last digit. */
static uint32_t natural_range(struct decimal *decimal, int64_t low, int64_t high)
{
    uint32_t at = RUN_NO_NODE;
    for (uint32_t length = 1; length <= decimal->whole; length++) {
        const uint32_t all = length + decimal->fraction;
        const int64_t least = length > 1 ? (int64_t)power(decimal, all - 1) : 0;
        decimal->low = BASE_MAX(low, least);
        decimal->high = BASE_MIN(high, (int64_t)power(decimal, all) - 1);
        if (decimal->low <= decimal->high) {
            const struct place place = {
                .range = ++decimal->ranges, .left = all, .low = true, .high = true};
            at = schema_either(decimal->c, at, one_digit(decimal, place, length > 1));
        }
    }
    return at;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Places apart from each other, about, when numbers have so many digits in all. */
static uint64_t count_places(const struct decimal *decimal, uint32_t digits)
{
    uint64_t count = 0;
    for (uint32_t left = 1; left < digits; left++) {
        const uint64_t step = common_divisor(decimal->multiple, power(decimal, left));
        const uint64_t rests = BASE_MIN(decimal->multiple, power(decimal, left) + step) / step;
        count += BASE_MIN(rests, power(decimal, digits - left));
    }
    return count;
}

/* From low to high in units of the last digit, in as many digits as the multiple leaves room for.
 */
static uint32_t range(struct decimal *decimal, int64_t low, int64_t high, uint32_t next)
{
    struct schema_compiler *c = decimal->c;
    uint32_t at = RUN_NO_NODE;
    while (decimal->whole > 1 &&
           count_places(decimal, decimal->whole + decimal->fraction) > STATES_MAX) {
        decimal->whole--;
    }
    decimal->next = next;
    decimal->known = calloc(KNOWN_SLOTS, sizeof *decimal->known);
    BASE_ASSERT(decimal->known);
    if (high >= 0) {
        at = natural_range(decimal, BASE_MAX(low, 0), high);
    }
    if (low < 0) {
        const uint32_t below = natural_range(decimal, high < 0 ? -high : 1, -low);
        at = below == RUN_NO_NODE ? at : schema_either(c, at, schema_text(c, "-", below));
    }
    free(decimal->known);
    return at != RUN_NO_NODE || c->graph->full
               ? at
               : run_schema_refuse(
                     c, TAKT_UNSUPPORTED, "no %snumber of at most %u digits is within its bounds%s",
                     decimal->fraction == 0 ? "whole " : "", decimal->whole + decimal->fraction,
                     decimal->multiple > 1 ? " and a multiple" : "");
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/* sign * digits * 10^exponent. */
struct written {
    bool there, negative;
    uint64_t digits;
    int exponent;
};

static struct written trim(struct written written)
{
    while (written.digits != 0 && written.digits % 10 == 0) {
        written.digits /= 10;
        written.exponent++;
    }
    return written;
}

/* A keyword's number as it was written, in 15 digits. */
static struct written read_number(struct schema_compiler *c, const json_t *schema, const char *key)
{
    const json_t *value = json_object_get(schema, key);
    struct written written = {.there = value != NULL};
    char text[40];
    if (!value) {
        return written;
    }
    const double real = json_number_value(value);
    snprintf(text, sizeof text, "%.14e", real); /* -d.dddddddddddddde-xx */
    if (json_is_integer(value)) {
        const json_int_t whole = json_integer_value(value);
        written.negative = whole < 0;
        written.digits = whole < 0 ? 0 - (uint64_t)whole : (uint64_t)whole;
        return trim(written);
    }
    if (strtod(text, NULL) != real && fabs(real) < 1e15) { /* beyond, it is beyond all of ours */
        run_schema_refuse(c, TAKT_UNSUPPORTED, "'%s' of more than 15 digits is not supported", key);
        return written;
    }
    char *at = text;
    written.negative = *at == '-';
    for (at += written.negative; *at && *at != 'e'; at++) {
        written.digits = *at == '.' ? written.digits : written.digits * 10 + (uint64_t)(*at - '0');
    }
    written.exponent = (int)strtol(at + 1, NULL, 10) - 14;
    return trim(written);
}

/* Digits before the point; more than DIGITS_MAX when it is too large. */
static uint32_t whole_digits(struct written written)
{
    int count = written.exponent;
    for (uint64_t rest = written.digits; rest != 0; rest /= 10) {
        count++;
    }
    return count < 1 ? 1 : (uint32_t)count;
}

/* In units of 10^-fraction, towards the inside: up for a lower bound, down for an upper one. */
static int64_t scale(struct written written, uint32_t fraction, bool lower, bool exclusive)
{
    const bool up = lower != written.negative; /* of the magnitude */
    int shift = written.exponent + (int)fraction;
    uint64_t value = written.digits;
    bool exact = true;
    for (; shift > 0 && value != 0 && value < LARGE; shift--) {
        value *= 10;
    }
    for (; shift < 0 && value != 0; shift++) {
        exact = exact && value % 10 == 0;
        value /= 10;
    }
    value = BASE_MIN(value, 10 * LARGE) + (!exact && up);
    const int64_t result = written.negative ? -(int64_t)value : (int64_t)value;
    return result + (exclusive && exact ? (lower ? 1 : -1) : 0);
}

struct bounds {
    struct written low[3], high[3]; /* inclusive, exclusive, of a format */
};

static struct bounds read_bounds(struct schema_compiler *c, const json_t *schema)
{
    return (struct bounds){
        {read_number(c, schema, "minimum"), read_number(c, schema, "exclusiveMinimum"), {0}},
        {read_number(c, schema, "maximum"), read_number(c, schema, "exclusiveMaximum"), {0}}};
}

/* Digits before the point that the bounds take, and whether a side is open. */
static uint32_t bound_digits(const struct bounds *bounds, bool *open)
{
    uint32_t count = 1;
    bool low = false, high = false;
    for (size_t i = 0; i < 3; i++) {
        const struct written *below = &bounds->low[i], *above = &bounds->high[i];
        /* A bound beyond all our numbers, on its own side of them, is none. */
        const bool is_low = below->there && !(below->negative && whole_digits(*below) > DIGITS_MAX);
        const bool is_high =
            above->there && !(!above->negative && whole_digits(*above) > DIGITS_MAX);
        low = low || is_low;
        high = high || is_high;
        count = is_low ? BASE_MAX(count, whole_digits(*below)) : count;
        count = is_high ? BASE_MAX(count, whole_digits(*above)) : count;
    }
    *open = !low || !high;
    return BASE_MIN(count, DIGITS_MAX);
}

static uint32_t between(const struct bounds *bounds, struct decimal *decimal, uint32_t next)
{
    decimal->powers[0] = 1;
    for (uint32_t i = 1; i <= DIGITS_MAX; i++) {
        decimal->powers[i] = decimal->powers[i - 1] * 10;
    }
    const int64_t most = (int64_t)power(decimal, decimal->whole + decimal->fraction) - 1;
    int64_t low = -most, high = most;
    for (size_t i = 0; i < 3; i++) {
        if (bounds->low[i].there) {
            low = BASE_MAX(low, scale(bounds->low[i], decimal->fraction, true, i == 1));
        }
        if (bounds->high[i].there) {
            high = BASE_MIN(high, scale(bounds->high[i], decimal->fraction, false, i == 1));
        }
    }
    return range(decimal, low, high, next);
}

/* 'multipleOf' in units of 10^-fraction; 1 when it is not there, 0 when it is refused. */
static uint64_t read_multiple(struct schema_compiler *c, const json_t *schema, uint32_t fraction)
{
    struct written written = read_number(c, schema, "multipleOf");
    if (!written.there || c->failed) {
        return written.there ? 0 : 1;
    }
    if (written.negative || written.digits == 0) {
        return run_schema_refuse(c, TAKT_USAGE, "'multipleOf' must be more than 0");
    }
    int shift = written.exponent + (int)fraction;
    for (; shift > 0 && written.digits < LARGE; shift--) {
        written.digits *= 10;
    }
    /* Units that are multiples of a part of one: with each digit, what divides ten is in it. */
    for (; shift < 0; shift++) {
        written.digits /= common_divisor(written.digits, 10);
    }
    return written.digits;
}

static bool is_bounded(const json_t *schema)
{
    static const char *const keys[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
                                       "multipleOf"};
    bool is = false;
    for (size_t i = 0; i < BASE_COUNT(keys); i++) {
        is = is || json_object_get(schema, keys[i]);
    }
    return is;
}

/* ---- the types ------------------------------------------------------------------------------- */

static const char *const keywords[] = {
    "type",   "minimum",      "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "format", SCHEMA_FORMATS, NULL};

/* OpenAPI's formats of numbers: those of 32 bits ask for what ours might not be. */
static bool check_format(struct schema_compiler *c, const json_t *schema, struct bounds *bounds)
{
    const json_t *list = json_object_get(schema, SCHEMA_FORMATS);
    const json_t *format = json_object_get(schema, "format");
    for (size_t i = 0; i < json_array_size(list) + (format != NULL); i++) {
        const json_t *one = i < json_array_size(list) ? json_array_get(list, i) : format;
        const char *name = json_string_value(one);
        if (name && (strcmp(name, "int64") == 0 || strcmp(name, "double") == 0)) {
            continue;
        }
        if (!name || (strcmp(name, "int32") != 0 && strcmp(name, "float") != 0)) {
            run_schema_refuse(c, TAKT_UNSUPPORTED, "the format '%.60s' is not supported here",
                              name ? name : "");
            return false;
        }
        bounds->low[2] = (struct written){true, true, UINT64_C(2147483648), 0};
        bounds->high[2] = (struct written){true, false, UINT64_C(2147483647), 0};
    }
    return true;
}

static uint32_t number(struct schema_compiler *c, const json_t *schema, bool whole, uint32_t next)
{
    if (!run_schema_only(c, schema, keywords)) {
        return 0;
    }
    struct bounds bounds = read_bounds(c, schema);
    if (c->failed || !check_format(c, schema, &bounds)) {
        return 0;
    }
    if (!is_bounded(schema) && !bounds.low[2].there) {
        return schema_call(c, whole ? c->integer : c->number, next);
    }
    bool open;
    struct decimal decimal = {.c = c, .whole = bound_digits(&bounds, &open)};
    decimal.whole = open ? BASE_MAX(decimal.whole, OPEN_DIGITS) : decimal.whole;
    decimal.whole = whole ? DIGITS_MAX : decimal.whole;
    decimal.fraction = DIGITS_MAX - decimal.whole;
    decimal.multiple = read_multiple(c, schema, decimal.fraction);
    return c->failed ? 0 : between(&bounds, &decimal, next);
}

uint32_t run_schema_integer(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    return number(c, schema, true, next);
}

uint32_t run_schema_number(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    return number(c, schema, false, next);
}
