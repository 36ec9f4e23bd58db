/* Whole numbers between bounds, digit by digit; numbers. */
#include "run/schema.h"

#include <math.h>
#include <string.h>

/* Numbers of exactly `length` digits, from low to high (as digits). */
static uint32_t same_length(struct schema_compiler *c, const char *low, const char *high,
                            size_t length, uint32_t next)
{
    if (length == 0) {
        return next;
    }
    if (strspn(low, "0") >= length && strspn(high, "9") >= length) {
        return schema_bytes(c, "09", same_length(c, low + 1, high + 1, length - 1, next));
    }
    char first[3] = {low[0], low[0], '\0'}, last[3] = {high[0], high[0], '\0'};
    if (low[0] == high[0]) {
        return schema_bytes(c, first, same_length(c, low + 1, high + 1, length - 1, next));
    }
    static const char nines[] = "999999999999999999999999", zeros[] = "000000000000000000000000";
    uint32_t at = schema_bytes(c, first, same_length(c, low + 1, nines, length - 1, next));
    at = schema_either(c, at,
                       schema_bytes(c, last, same_length(c, zeros, high + 1, length - 1, next)));
    if (high[0] - low[0] > 1) {
        const char between[3] = {(char)(low[0] + 1), (char)(high[0] - 1), '\0'};
        at = schema_either(
            c, at, schema_bytes(c, between, same_length(c, zeros, nines, length - 1, next)));
    }
    return at;
}

/* Whole numbers from low to high, neither negative. */
static uint32_t natural_range(struct schema_compiler *c, int64_t low, int64_t high, uint32_t next)
{
    uint32_t at = RUN_NO_NODE;
    int64_t begin = low;
    while (begin <= high) {
        char from[24], to[24];
        const int length = snprintf(from, sizeof from, "%lld", (long long)begin);
        int64_t end = 1;
        for (int i = 0; i < length; i++) {
            end *= 10;
        }
        end = BASE_MIN(end - 1, high);
        snprintf(to, sizeof to, "%lld", (long long)end);
        at = schema_either(c, at, same_length(c, from, to, (size_t)length, next));
        begin = end + 1;
    }
    return at;
}

#define WHOLE_MAX INT64_C(999999999999999)

/* A bound as a whole number: the least not below it, or the most not above. */
static int64_t bound(struct schema_compiler *c, const json_t *schema, const char *key,
                     const char *exclusive, bool lower, int64_t absent)
{
    int64_t result = absent;
    const char *const keys[2] = {key, exclusive};
    for (int i = 0; i < 2; i++) {
        const json_t *value = json_object_get(schema, keys[i]);
        if (!value) {
            continue;
        }
        if (!json_is_number(value)) {
            run_schema_refuse(c, TAKT_USAGE, "'%s' must be a number", keys[i]);
            return absent;
        }
        const double real = json_number_value(value);
        double whole = lower ? ceil(real) : floor(real);
        if (i == 1 && whole == real) {
            whole += lower ? 1 : -1;
        }
        whole = fmin(fmax(whole, -(double)WHOLE_MAX - 1), (double)WHOLE_MAX + 1);
        const int64_t here = (int64_t)whole;
        result = lower ? BASE_MAX(result, here) : BASE_MIN(result, here);
    }
    return result;
}

uint32_t run_schema_integer(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {
        "type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", NULL};
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    const int64_t low = bound(c, schema, "minimum", "exclusiveMinimum", true, -WHOLE_MAX);
    const int64_t high = bound(c, schema, "maximum", "exclusiveMaximum", false, WHOLE_MAX);
    if (low == -WHOLE_MAX && high == WHOLE_MAX) {
        return schema_call(c, c->integer, next);
    }
    if (low > high) {
        return run_schema_refuse(c, TAKT_UNSUPPORTED,
                                 "no whole number of at most 15 digits is within its "
                                 "bounds");
    }
    uint32_t at = RUN_NO_NODE;
    if (high >= 0) {
        at = natural_range(c, BASE_MAX(low, 0), high, next);
    }
    if (low < 0) {
        at = schema_either(c, at,
                           schema_text(c, "-", natural_range(c, high < 0 ? -high : 1, -low, next)));
    }
    return at;
}

uint32_t run_schema_number(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type", NULL};
    return run_schema_only(c, schema, keys) ? schema_call(c, c->number, next) : 0;
}
