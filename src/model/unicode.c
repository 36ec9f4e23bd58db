/* Categories, scripts, case and UTF-8. */
#include "model/unicode.h"

#include "model/unicode_tables.h"

#include <string.h>

static const char category_names[UNICODE_CATEGORY_COUNT][3] = {
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

enum unicode_category unicode_run(uint32_t code, uint32_t *last)
{
    size_t low = 0, high = unicode_category_run_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (unicode_category_runs[middle] >> 5 <= code)
            low = middle;
        else
            high = middle;
    }
    *last =
        high == unicode_category_run_count ? UNICODE_MAX : (unicode_category_runs[high] >> 5) - 1;
    return (enum unicode_category)(unicode_category_runs[low] & 31);
}

enum unicode_category unicode_category(uint32_t code)
{
    uint32_t last;
    return unicode_run(code, &last);
}

uint32_t unicode_category_mask(const char *name, size_t length)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < UNICODE_CATEGORY_COUNT; i++)
        if (length != 0 && length <= 2 && memcmp(category_names[i], name, length) == 0)
            mask |= UNICODE_MASK(i);
    return mask;
}

bool unicode_is_space(uint32_t code)
{
    if (code <= 0x20)
        return code == 0x20 || (code >= 0x09 && code <= 0x0D);
    if (code < 0x1680)
        return code == 0x85 || code == 0xA0;
    return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

const struct unicode_range *unicode_script(const char *name, size_t length, size_t *count)
{
    for (size_t i = 0; i < unicode_script_count; i++) {
        const struct unicode_script *script = &unicode_scripts[i];
        if (strlen(script->name) == length && memcmp(script->name, name, length) == 0) {
            *count = script->count;
            return script->ranges;
        }
    }
    return NULL;
}

static size_t map_case(const struct unicode_case *cases, size_t count, uint32_t code,
                       uint32_t out[3])
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cases[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    out[0] = code;
    if (low == count || cases[low].code != code)
        return 1;
    memcpy(out, cases[low].to, 3 * sizeof(*out));
    return out[1] == 0 ? 1 : out[2] == 0 ? 2 : 3;
}

size_t unicode_lower(uint32_t code, uint32_t out[3])
{
    return map_case(unicode_lower_cases, unicode_lower_count, code, out);
}

size_t unicode_upper(uint32_t code, uint32_t out[3])
{
    return map_case(unicode_upper_cases, unicode_upper_count, code, out);
}

uint32_t unicode_decode(const char *text, size_t length, size_t *size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    *size = bytes[0] < 0x80 ? 1 : base_utf8_size(text, length);
    switch (*size) {
    case 1: return bytes[0];
    case 2: return (bytes[0] & 31u) << 6 | (bytes[1] & 63u);
    case 3: return (bytes[0] & 15u) << 12 | (bytes[1] & 63u) << 6 | (bytes[2] & 63u);
    case 4:
        return (bytes[0] & 7u) << 18 | (bytes[1] & 63u) << 12 | (bytes[2] & 63u) << 6 |
               (bytes[3] & 63u);
    default: *size = 1; return UNICODE_REPLACEMENT;
    }
}

size_t unicode_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i != 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 63));
    out[0] = (char)(leads[size] | code);
    return size;
}
