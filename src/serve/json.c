/* JSON written as text: answers are made token by token, too often for a tree of values. */
#include "serve/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void append_escape(struct base_text *out, unsigned char byte)
{
    switch (byte) {
    case '"': base_text_append(out, "\\\"", 2); break;
    case '\\': base_text_append(out, "\\\\", 2); break;
    case '\n': base_text_append(out, "\\n", 2); break;
    case '\r': base_text_append(out, "\\r", 2); break;
    case '\t': base_text_append(out, "\\t", 2); break;
    default: base_text_format(out, "\\u%04x", byte);
    }
}

void serve_json_string(struct base_text *out, const char *bytes, size_t length)
{
    base_text_append(out, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t plain = i;
        while (plain < length && (unsigned char)bytes[plain] >= 0x20 && bytes[plain] != '"' &&
               bytes[plain] != '\\' && (unsigned char)bytes[plain] < 0x7F) {
            plain++;
        }
        base_text_append(out, bytes + i, plain - i);
        i = plain;
        if (i == length) {
            break;
        }
        const unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x80) {
            append_escape(out, byte);
            i++;
            continue;
        }
        const size_t size = base_utf8_size(bytes + i, length - i);
        if (size > 0) {
            base_text_append(out, bytes + i, size);
        } else {
            base_text_append(out, "\xEF\xBF\xBD", 3);
        }
        i += BASE_MAX(size, 1);
    }
    base_text_append(out, "\"", 1);
}

void serve_json_text(struct base_text *out, const char *text)
{
    if (text) {
        serve_json_string(out, text, strlen(text));
    } else {
        base_text_append(out, "null", 4);
    }
}

void serve_json_real(struct base_text *out, double value)
{
    char digits[40];
    if (!isfinite(value)) {
        value = value < 0 ? -9999.0 : 9999.0; /* JSON has no infinity; what other servers say */
    }
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    base_text_append(out, digits, strlen(digits));
}

void serve_make_id(const char *prefix, size_t letters, char id[SERVE_ID_BYTES])
{
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    unsigned char random[32];
    const size_t used = strlen(prefix);
    BASE_ASSERT(letters <= sizeof random && used + letters < SERVE_ID_BYTES);
    ssize_t got;
    do {
        got = getrandom(random, letters, 0);
    } while (got != (ssize_t)letters);
    memcpy(id, prefix, used);
    for (size_t i = 0; i < letters; i++) {
        id[used + i] = alphabet[random[i] % (sizeof alphabet - 1)];
    }
    id[used + letters] = '\0';
}

int64_t serve_unix_seconds(void)
{
    return (int64_t)time(NULL);
}
