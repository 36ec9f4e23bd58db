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

struct cli_loading cli_loading(const struct cli_command *command)
{
    return (struct cli_loading){.command = command, .begin = base_seconds()};
}

static void clear_bar(struct cli_loading *loading)
{
    if (loading->shown) {
        fprintf(stderr, "\r\033[K");
    }
    loading->shown = false;
}

void cli_on_load(void *user, uint64_t done, uint64_t total)
{
    struct cli_loading *loading = user;
    if (!cli_terminal() || total == 0) {
        return;
    }
    if (done < total && base_seconds() - loading->begin > 1.0) {
        const int filled = (int)(40 * done / total);
        fprintf(stderr, "\rloading [%.*s%*s] %3d %%", filled,
                "########################################", 40 - filled, "",
                (int)(100 * done / total));
        loading->shown = true;
    } else if (done == total) {
        clear_bar(loading);
    }
}

void cli_on_notice(void *user, const char *text)
{
    struct cli_loading *loading = user;
    clear_bar(loading);
    fprintf(stderr, "takt %s: %s\n", loading->command->name, text);
}

const char *cli_pack_path(const char *option)
{
    return option && strcmp(option, "none") == 0 ? "" : option;
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
