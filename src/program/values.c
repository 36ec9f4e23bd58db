/* Vectors as assembly text: fill, iota, lists and hex of bytes, i16, i32 and f32. */
#include "program/source.h"

#include <float.h>
#include <string.h>

/* What bounds the terms of an f32 iota, so that no element of it leaves binary32. */
#define IOTA_LIMIT 1e30

enum element { ELEMENT_BYTE, ELEMENT_I16, ELEMENT_I32, ELEMENT_F32 };

static void put_element(uint8_t *planes, uint32_t width, uint32_t lanes, uint32_t lane,
                        uint32_t bits)
{
    for (uint32_t b = 0; b < width; b++) {
        planes[b * lanes + lane] = (uint8_t)(bits >> (8 * b) & 0xffu);
    }
}

static uint32_t bits_of(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static enum takt_status get_f64(struct program_source *source, double limit, double *value)
{
    struct program_token token = program_source_next(source);
    char text[64];
    bool fits = token.length > 0 && token.length < sizeof text;
    if (fits) {
        memcpy(text, token.start, token.length);
        text[token.length] = '\0';
    }
    if (!fits || !base_parse_f64(text, -limit, limit, value)) {
        return program_source_refuse(source, token, "a finite number of binary32");
    }
    return TAKT_OK;
}

/* An element of a fill or a list. A binary32 may be given by its bits, as 0x and hex digits. */
static enum takt_status get_element(struct program_source *source, enum element element,
                                    uint32_t *bits)
{
    static const struct {
        const char *what;
        int64_t minimum, maximum;
    } integers[] = {
        [ELEMENT_BYTE] = {"a byte", INT8_MIN, UINT8_MAX},
        [ELEMENT_I16] = {"16 bits", INT16_MIN, UINT16_MAX},
        [ELEMENT_I32] = {"32 bits", INT32_MIN, UINT32_MAX},
        [ELEMENT_F32] = {"the 32 bits of a binary32", 0, UINT32_MAX},
    };
    struct program_token token = program_source_peek(source);
    bool hex = token.length > 2 && token.start[0] == '0' && (token.start[1] | 0x20) == 'x';
    if (element == ELEMENT_F32 && !hex) {
        double value = 0;
        enum takt_status status = get_f64(source, (double)FLT_MAX, &value);
        *bits = bits_of((float)value);
        return status;
    }
    int64_t value = 0;
    enum takt_status status =
        program_source_number(source, integers[element].what, integers[element].minimum,
                              integers[element].maximum, &value);
    *bits = (uint32_t)((uint64_t)value & UINT32_MAX);
    return status;
}

static enum takt_status get_fill(struct program_source *source, enum element element,
                                 uint32_t width, uint32_t lanes, uint8_t *planes)
{
    uint32_t bits = 0;
    enum takt_status status = get_element(source, element, &bits);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        put_element(planes, width, lanes, lane, bits);
    }
    return status;
}

/* Lane l holds start + step * l: modular in integers, rounded once to binary32. */
static enum takt_status get_iota(struct program_source *source, enum element element,
                                 uint32_t width, uint32_t lanes, uint8_t *planes)
{
    enum takt_status status = TAKT_OK;
    if (element == ELEMENT_F32) {
        double start = 0, step = 0;
        status = get_f64(source, IOTA_LIMIT, &start);
        if (status == TAKT_OK) {
            status = get_f64(source, IOTA_LIMIT, &step);
        }
        for (uint32_t lane = 0; lane < lanes; lane++) {
            put_element(planes, width, lanes, lane, bits_of((float)(start + step * lane)));
        }
        return status;
    }
    int64_t start = 0, step = 0;
    status = program_source_number(source, "a first value", INT32_MIN, UINT32_MAX, &start);
    if (status == TAKT_OK) {
        status = program_source_number(source, "a step", INT32_MIN, UINT32_MAX, &step);
    }
    for (uint32_t lane = 0; lane < lanes; lane++) {
        put_element(planes, width, lanes, lane,
                    (uint32_t)((uint64_t)(start + step * lane) & UINT32_MAX));
    }
    return status;
}

static enum takt_status get_list(struct program_source *source, enum element element,
                                 uint32_t width, uint32_t lanes, uint8_t *planes)
{
    uint32_t lane = 0;
    for (; program_source_peek(source).length > 0; lane++) {
        uint32_t bits = 0;
        if (lane == lanes) {
            return program_source_refuse(source, program_source_peek(source),
                                         "no more values than lanes");
        }
        enum takt_status status = get_element(source, element, &bits);
        if (status != TAKT_OK) {
            return status;
        }
        put_element(planes, width, lanes, lane, bits);
    }
    return lane > 0 ? TAKT_OK
                    : program_source_refuse(source, program_source_peek(source), "values");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum takt_status get_hex(struct program_source *source, uint32_t lanes, uint8_t *planes)
{
    struct program_token token = program_source_next(source);
    bool sound = token.length == 2 * (size_t)lanes;
    for (uint32_t lane = 0; sound && lane < lanes; lane++) {
        int high = hex_digit(token.start[2 * lane]);
        int low = hex_digit(token.start[2 * lane + 1]);
        sound = high >= 0 && low >= 0;
        planes[lane] = sound ? (uint8_t)(16 * high + low) : 0;
    }
    if (!sound) {
        char expected[80];
        (void)snprintf(expected, sizeof expected, "%u lower-case hex digits, two a lane",
                       2 * lanes);
        return program_source_refuse(source, token, expected);
    }
    return TAKT_OK;
}

enum takt_status program_source_vector(struct program_source *source, uint32_t width,
                                       uint32_t lanes, uint8_t *planes)
{
    enum element element = width == 2 ? ELEMENT_I16 : ELEMENT_BYTE;
    struct program_token token = {NULL, 0};
    enum takt_status status = TAKT_OK;
    memset(planes, 0, (size_t)width * lanes);
    if (width > 1) {
        token = program_source_next(source);
        if (width == 4 && program_token_is(token, "f32")) {
            element = ELEMENT_F32;
        } else if (width == 4 && program_token_is(token, "i32")) {
            element = ELEMENT_I32;
        } else if (width != 2 || !program_token_is(token, "i16")) {
            return program_source_refuse(
                source, token, width == 2 ? "the element type i16" : "an element type, f32 or i32");
        }
    }
    token = program_source_next(source);
    if (program_token_is(token, "fill")) {
        status = get_fill(source, element, width, lanes, planes);
    } else if (program_token_is(token, "iota")) {
        status = get_iota(source, element, width, lanes, planes);
    } else if (program_token_is(token, width == 1 ? "bytes" : "list")) {
        status = get_list(source, element, width, lanes, planes);
    } else if (width == 1 && program_token_is(token, "hex")) {
        status = get_hex(source, lanes, planes);
    } else {
        return program_source_refuse(
            source, token, width == 1 ? "fill, iota, bytes or hex" : "fill, iota or list");
    }
    return status == TAKT_OK ? program_source_end(source) : status;
}
