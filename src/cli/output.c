/* What several commands share: JSON of texts and ids, standard input, grouped digits. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Length of the character at bytes, or 0 when it is not valid UTF-8. */
static size_t character_length(const char *bytes, size_t left)
{
    for (size_t length = 1; length <= 4 && length <= left; length++) {
        if (base_utf8_valid(bytes, length)) {
            return length;
        }
    }
    return 0;
}

json_t *cli_json_text(const char *bytes, size_t length)
{
    struct base_text text = {0};
    base_text_append(&text, "", 0);
    for (size_t i = 0; i < length;) {
        const size_t character = character_length(bytes + i, length - i);
        if (character > 0) {
            base_text_append(&text, bytes + i, character);
        } else {
            base_text_append(&text, "\xEF\xBF\xBD", 3);
        }
        i += BASE_MAX(character, 1);
    }
    json_t *value = json_stringn(text.data, text.length);
    base_text_free(&text);
    return value;
}

json_t *cli_json_ids(const uint32_t *ids, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array, json_integer((json_int_t)ids[i]));
    }
    return array;
}

bool cli_terminal(void)
{
    return isatty(STDERR_FILENO) != 0;
}

void cli_print_json(json_t *object)
{
    json_dumpf(object, stdout, 0);
    putchar('\n');
    json_decref(object);
}

void cli_read_input(struct base_text *text)
{
    char bytes[4096];
    size_t length;
    base_text_append(text, "", 0);
    while ((length = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
        base_text_append(text, bytes, length);
    }
}

const char *cli_grouped(uint64_t value, char *buffer)
{
    char digits[24];
    const size_t length =
        (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            buffer[out++] = ',';
        }
        buffer[out++] = digits[i];
    }
    buffer[out] = '\0';
    return buffer;
}
