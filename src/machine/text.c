/*
 * Machine files: "name = value" a line, over tsp1; '#' begins a comment. Every name at most once.
 * machine_write writes every parameter, so that what it wrote does not depend on tsp1.
 */
#include "machine/machine.h"

#include <string.h>

#define LINE_MAX_BYTES 256u /* a limit of takt, with the terminator */
#define NAME_MAX_BYTES 32u  /* of what the nearest name is sought for */

/* ---- one setting ----------------------------------------------------------------------------- */

/* The least cost of turning a into b: one row of the usual table. Adding a letter costs half of
 * what dropping or replacing one does, since a name cut short is the likely mistake. */
static uint32_t edit_distance(const char *a, const char *b)
{
    uint32_t row[NAME_MAX_BYTES + 1];
    size_t width = strlen(b);
    BASE_ASSERT(width <= NAME_MAX_BYTES);
    for (uint32_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        uint32_t diagonal = row[0];
        row[0] += 2;
        for (size_t j = 0; j < width; j++) {
            uint32_t replaced = diagonal + (a[i] == b[j] ? 0u : 2u);
            uint32_t moved = BASE_MIN(row[j] + 1, row[j + 1] + 2);
            diagonal = row[j + 1];
            row[j + 1] = BASE_MIN(replaced, moved);
        }
    }
    return row[width];
}

static const char *nearest_name(const char *name)
{
    const char *nearest = "name";
    uint32_t least = edit_distance(name, nearest);
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        uint32_t distance = edit_distance(name, machine_parameter(i)->name);
        if (distance < least) {
            least = distance;
            nearest = machine_parameter(i)->name;
        }
    }
    return nearest;
}

static enum takt_status set_name(struct machine *machine, const char *value,
                                 struct takt_error *error)
{
    char quoted[ISA_QUOTE_SIZE];
    size_t length = strlen(value);
    bool sound = length >= 3 && length - 2 < sizeof machine->name && value[0] == '"' &&
                 value[length - 1] == '"';
    for (size_t i = 1; sound && i < length - 1; i++) {
        sound = value[i] >= 0x20 && value[i] < 0x7f && value[i] != '"';
    }
    if (!sound) {
        return base_fail(error, TAKT_FORMAT,
                         "name = %s: expected 1..%zu printable characters in double quotes",
                         isa_quote(value, length, quoted), sizeof machine->name - 1);
    }
    memset(machine->name, 0, sizeof machine->name);
    memcpy(machine->name, value + 1, length - 2);
    return TAKT_OK;
}

enum takt_status machine_set(struct machine *machine, const char *name, const char *value,
                             struct takt_error *error)
{
    char quoted[ISA_QUOTE_SIZE];
    uint32_t index = 0;
    if (strcmp(name, "name") == 0) {
        return set_name(machine, value, error);
    }
    if (!machine_parameter_find(name, &index)) {
        return base_fail(error, TAKT_FORMAT, "%s: no such parameter; the nearest is %s",
                         isa_quote(name, strlen(name), quoted), nearest_name(name));
    }
    const struct machine_parameter *parameter = machine_parameter(index);
    int64_t number = 0;
    if (!base_parse_i64(value, INT64_MIN, INT64_MAX, &number)) {
        return base_fail(error, TAKT_FORMAT, "%s = %s: expected a whole number %u..%u (%s)", name,
                         isa_quote(value, strlen(value), quoted), parameter->minimum,
                         parameter->maximum, parameter->unit);
    }
    if (number < parameter->minimum || number > parameter->maximum) {
        return base_fail(error, TAKT_LIMIT, "%s = %lld: outside %u..%u (%s)", name,
                         (long long)number, parameter->minimum, parameter->maximum,
                         parameter->unit);
    }
    machine_parameter_put(machine, index, (uint32_t)number);
    return TAKT_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the comment and the spaces around the rest; '#' inside quotes is part of the text. */
static char *trim(char *line)
{
    bool quoted = false;
    size_t end = 0;
    while (is_space(*line)) {
        line++;
    }
    while (line[end] != '\0' && (quoted || line[end] != '#')) {
        quoted = quoted != (line[end] == '"');
        end++;
    }
    while (end > 0 && is_space(line[end - 1])) {
        end--;
    }
    line[end] = '\0';
    return line;
}

struct reading {
    struct machine *machine;
    uint64_t seen; /* a bit for each parameter given, and one for the name */
};

/* `line` is scratch: it is cut up. The message has no place yet. */
static enum takt_status read_line(struct reading *reading, char *line, struct takt_error *error)
{
    char quoted[ISA_QUOTE_SIZE];
    char *name = trim(line);
    if (*name == '\0') {
        return TAKT_OK;
    }
    char *equals = strchr(name, '=');
    if (equals == NULL) {
        return base_fail(error, TAKT_FORMAT, "%s: expected NAME = VALUE",
                         isa_quote(name, strlen(name), quoted));
    }
    char *value = equals + 1;
    while (is_space(*value)) {
        value++;
    }
    while (equals > name && is_space(equals[-1])) {
        equals--;
    }
    *equals = '\0';
    uint32_t index = machine_parameter_count();
    enum takt_status status = machine_set(reading->machine, name, value, error);
    if (status != TAKT_OK) {
        return status;
    }
    (void)machine_parameter_find(name, &index);
    if ((reading->seen >> index & 1u) != 0) {
        return base_fail(error, TAKT_FORMAT, "%s: given twice; keep one of the lines", name);
    }
    reading->seen |= UINT64_C(1) << index;
    return TAKT_OK;
}

enum takt_status machine_parse(struct machine *machine, const char *path, const char *text,
                               size_t length, struct takt_error *error)
{
    struct machine parsed;
    struct reading reading = {&parsed, 0};
    struct takt_error inner = {TAKT_OK, ""};
    size_t start = 0;
    BASE_ASSERT(machine_parameter_count() < 64);
    machine_tsp1(&parsed);
    for (size_t number = 1; start < length; number++) {
        char line[LINE_MAX_BYTES];
        const char *newline = memchr(text + start, '\n', length - start);
        size_t bytes = newline != NULL ? (size_t)(newline - (text + start)) : length - start;
        if (bytes >= sizeof line || memchr(text + start, '\0', bytes) != NULL) {
            return base_fail(error, TAKT_FORMAT,
                             "%s:%zu: a line of %zu bytes%s; expected text of at most %zu a line",
                             path, number, bytes, bytes < sizeof line ? " with a NUL byte" : "",
                             sizeof line - 1);
        }
        if (bytes > 0) {
            memcpy(line, text + start, bytes);
        }
        line[bytes] = '\0';
        enum takt_status status = read_line(&reading, line, &inner);
        if (status != TAKT_OK) {
            return base_fail(error, status, "%s:%zu: %s", path, number, inner.message);
        }
        start += bytes + 1;
    }
    enum takt_status status = machine_check(&parsed, &inner);
    if (status != TAKT_OK) {
        return base_fail(error, status, "%s: %s", path, inner.message);
    }
    *machine = parsed;
    return TAKT_OK;
}

enum takt_status machine_read(struct machine *machine, const char *path, struct takt_error *error)
{
    struct base_file file = {0};
    enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK) {
        return status;
    }
    status = machine_parse(machine, path, (const char *)file.data, file.size_bytes, error);
    base_file_unmap(&file);
    return status;
}

void machine_write(const struct machine *machine, struct base_text *out)
{
    base_text_format(out, "# A machine: name = value. What a file leaves out is as in tsp1.\n");
    base_text_format(out, "name = \"%s\"\n", machine->name);
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        const struct machine_parameter *parameter = machine_parameter(i);
        base_text_format(out, "%s = %u # %s, %u..%u: %s\n", parameter->name,
                         machine_parameter_get(machine, i), parameter->unit, parameter->minimum,
                         parameter->maximum, parameter->doc);
    }
}
