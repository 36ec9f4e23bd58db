/* Growing byte strings, UTF-8 and numbers. */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct base_text *text, size_t more)
{
    BASE_ASSERT(more < SIZE_MAX / 4 && text->length < SIZE_MAX / 4);
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return;
    size_t capacity = text->capacity < 64 ? 64 : text->capacity;
    while (capacity < needed)
        capacity *= 2;
    char *grown = realloc(text->data, capacity);
    BASE_ASSERT(grown != NULL);
    text->data = grown;
    text->capacity = capacity;
}

void base_text_append(struct base_text *text, const char *bytes, size_t length)
{
    reserve(text, length);
    if (length != 0)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void base_text_format(struct base_text *text, const char *format, ...)
{
    BASE_ASSERT(format != NULL);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    BASE_ASSERT(length >= 0);
    reserve(text, (size_t)length);
    va_start(arguments, format);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

void base_text_free(struct base_text *text)
{
    free(text->data);
    *text = (struct base_text){0};
}

enum utf8_kind { UTF8_WHOLE, UTF8_CUT, UTF8_INVALID };

/* The second byte's range is what rules out overlong forms, surrogates and values above U+10FFFF.
 */
static unsigned utf8_shape(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (lead == 0xE0)
            *low = 0xA0;
        if (lead == 0xED)
            *high = 0x9F;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (lead == 0xF0)
            *low = 0x90;
        if (lead == 0xF4)
            *high = 0x8F;
        return 4;
    }
    return 0;
}

/* Classifies the character at the front of the bytes; CUT: a valid beginning that the end cuts. */
static enum utf8_kind utf8_front(const char *bytes, size_t length, size_t *size)
{
    unsigned char low, high;
    unsigned wanted = utf8_shape((unsigned char)bytes[0], &low, &high);
    *size = 1;
    if (wanted == 0)
        return UTF8_INVALID;
    for (unsigned i = 1; i < wanted; i++) {
        if (i >= length)
            return UTF8_CUT;
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < low || byte > high)
            return UTF8_INVALID;
        low = 0x80;
        high = 0xBF;
    }
    *size = wanted;
    return UTF8_WHOLE;
}

size_t base_utf8_whole_prefix(const char *bytes, size_t length)
{
    /* Only the last three bytes can begin a character that the end cuts. */
    size_t start = length > 3 ? length - 3 : 0;
    for (size_t i = start; i < length; i++) {
        size_t size;
        unsigned char lead = (unsigned char)bytes[i];
        if (lead >= 0xC0 && utf8_front(bytes + i, length - i, &size) == UTF8_CUT)
            return i;
    }
    return length;
}

size_t base_utf8_size(const char *bytes, size_t length)
{
    size_t size;
    return length != 0 && utf8_front(bytes, length, &size) == UTF8_WHOLE ? size : 0;
}

bool base_utf8_valid(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t size = base_utf8_size(bytes + i, length - i);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

static bool digits_only(const char *text, bool hexadecimal)
{
    size_t count = strspn(text, hexadecimal ? "0123456789abcdefABCDEF" : "0123456789");
    return count != 0 && text[count] == '\0';
}

bool base_parse_i64(const char *text, int64_t minimum, int64_t maximum, int64_t *value)
{
    const char *digits = text + (*text == '-' || *text == '+' ? 1 : 0);
    bool hexadecimal = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (!digits_only(digits + (hexadecimal ? 2 : 0), hexadecimal))
        return false;
    errno = 0;
    long long parsed = strtoll(text, NULL, hexadecimal ? 16 : 10);
    if (errno != 0 || parsed < minimum || parsed > maximum)
        return false;
    *value = parsed;
    return true;
}

/* [digits][.digits][e[sign]digits]: checked here so that no locale, "inf" or "nan" is accepted. */
static bool decimal_shape(const char *text)
{
    const char *digits = "0123456789";
    text += *text == '-' || *text == '+' ? 1 : 0;
    size_t whole = strspn(text, digits);
    text += whole;
    size_t fraction = 0;
    if (*text == '.') {
        text++;
        fraction = strspn(text, digits);
        text += fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+' ? 1 : 0;
        size_t exponent = strspn(text, digits);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

bool base_parse_f64(const char *text, double minimum, double maximum, double *value)
{
    if (!decimal_shape(text))
        return false;
    /* strtod reads the locale's decimal point; the library never calls setlocale, and a program
     * that does so with another point gets a refusal rather than a wrong number. */
    char *end;
    double parsed = strtod(text, &end);
    if (*end != '\0' || !isfinite(parsed) || parsed < minimum || parsed > maximum)
        return false;
    *value = parsed;
    return true;
}
