/* A pattern, a zero byte and a text: refused, or matches that go forward within the text. */
#include "fuzz.h"

#include <string.h>

#include "model/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
    const size_t length = end == NULL ? size : (size_t)(end - data);
    const char *text =
        end == NULL ? "It's 12 o'clock,\n\xC3\x84\xE4\xB8\xAD  x" : (const char *)end + 1;
    const size_t text_length = end == NULL ? strlen(text) : size - length - 1;
    struct pattern *pattern;
    struct takt_error error;
    if (length > 2000 || !base_utf8_valid((const char *)data, length) ||
        !base_utf8_valid(text, text_length))
        return 0;
    if (pattern_compile(&pattern, "fuzz", (const char *)data, length, &error) != TAKT_OK)
        return 0;
    uint64_t steps = 1000000;
    size_t from = 0, start, stop;
    while (pattern_find(pattern, text, text_length, from, &start, &stop, &steps)) {
        BASE_ASSERT(start >= from && stop > start && stop <= text_length);
        from = stop;
    }
    pattern_destroy(pattern);
    return 0;
}
