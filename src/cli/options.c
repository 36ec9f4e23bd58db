/* Command lines: parsing by table, help from the same table, the nearest word to a wrong one. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 22

int cli_usage(const struct cli_command *command, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "takt %s: ", command->name);
    vfprintf(stderr, format, list);
    fprintf(stderr, "; see takt %s --help\n", command->name);
    va_end(list);
    return CLI_EXIT_USAGE;
}

int cli_fail(const struct cli_command *command, const struct takt_error *error)
{
    fprintf(stderr, "takt %s: %s\n", command->name, error->message);
    return error->status == TAKT_USAGE ? CLI_EXIT_USAGE : CLI_EXIT_ERROR;
}

/* Edits that turn one word into the other; words beyond 40 characters count as far. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    const size_t a_length = strlen(a), b_length = strlen(b);
    size_t row[LONGEST + 1];
    if (a_length > LONGEST || b_length > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            const size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = BASE_MIN(change, BASE_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_length];
}

const char *cli_nearest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 4; /* farther is no likeness */
    for (size_t i = 0; i < count; i++) {
        const size_t distance = edit_distance(word, words[i]);
        if (distance < best_distance && distance < strlen(words[i])) {
            best = words[i];
            best_distance = distance;
        }
    }
    return best;
}

static int unknown_option(const struct cli_command *command, const char *word)
{
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; i < command->option_count && count + 2 < BASE_COUNT(names); i++) {
        names[count++] = command->options[i].name;
        if (command->options[i].other) {
            names[count++] = command->options[i].other;
        }
    }
    names[count++] = "--help";
    const char *near = cli_nearest(word, names, count);
    if (near) {
        return cli_usage(command, "unknown option %s (did you mean %s?)", word, near);
    }
    return cli_usage(command, "unknown option %s", word);
}

static bool names_option(const struct cli_option *option, const char *word, size_t length)
{
    const char *names[2] = {option->name, option->other};
    for (size_t i = 0; i < 2; i++) {
        if (names[i] && strlen(names[i]) == length && memcmp(names[i], word, length) == 0) {
            return true;
        }
    }
    return false;
}

static const struct cli_option *find_option(const struct cli_command *command, const char *word,
                                            size_t length)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (names_option(&command->options[i], word, length)) {
            return &command->options[i];
        }
    }
    return NULL;
}

static const char *const targets[] = {[TAKT_TARGET_CHIP] = "chip",
                                      [TAKT_TARGET_REFERENCE] = "reference",
                                      [TAKT_TARGET_NATIVE] = "native",
                                      [TAKT_TARGET_BOTH] = "both"};

const char *cli_target_name(enum takt_target target)
{
    return targets[target];
}

static bool cli_target(const char *name, enum takt_target *target)
{
    for (size_t i = 0; i < BASE_COUNT(targets); i++) {
        if (strcmp(name, targets[i]) == 0) {
            *target = (enum takt_target)i;
            return true;
        }
    }
    return false;
}

static int wrong_value(const struct cli_command *command, const struct cli_option *option,
                       const char *value)
{
    if (option->kind == CLI_TARGET) {
        return cli_usage(command, "%s %s: native, chip, both or reference is expected",
                         option->name, value);
    }
    return cli_usage(command, "%s %s: a%s number from %.15g to %.15g is expected", option->name,
                     value, option->kind == CLI_F32 ? "" : " whole", option->minimum,
                     option->maximum);
}

/* The value goes by memcpy: a settings struct is bytes here. */
static int store_value(const struct cli_command *command, const struct cli_option *option,
                       const char *value, void *settings)
{
    unsigned char *place = (unsigned char *)settings + option->offset;
    int64_t whole = 0;
    double real = 0.0;
    if (option->kind == CLI_TEXT) {
        memcpy(place, &value, sizeof value);
    } else if (option->kind == CLI_TARGET) {
        enum takt_target target;
        if (!cli_target(value, &target)) {
            return wrong_value(command, option, value);
        }
        memcpy(place, &target, sizeof target);
    } else if (option->kind == CLI_F32) {
        if (!base_parse_f64(value, option->minimum, option->maximum, &real)) {
            return wrong_value(command, option, value);
        }
        const float narrow = (float)real;
        memcpy(place, &narrow, sizeof narrow);
    } else {
        const int64_t most = option->kind == CLI_U64 ? INT64_MAX : (int64_t)option->maximum;
        if (!base_parse_i64(value, (int64_t)option->minimum, most, &whole)) {
            return wrong_value(command, option, value);
        }
        const uint32_t narrow = (uint32_t)whole;
        const uint64_t wide = (uint64_t)whole;
        memcpy(place, option->kind == CLI_U64 ? (const void *)&wide : (const void *)&narrow,
               option->kind == CLI_U64 ? sizeof wide : sizeof narrow);
    }
    return CLI_GO;
}

/* Takes the option at argv[*at], and its value when that is the next word. */
static int take_option(const struct cli_command *command, int argc, char **argv, int *at,
                       void *settings)
{
    const char *word = argv[*at];
    const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
    const size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const struct cli_option *option = find_option(command, word, length);
    if (!option) {
        return unknown_option(command, word);
    }
    if (option->kind == CLI_FLAG) {
        if (equals) {
            return cli_usage(command, "%s takes no value", option->name);
        }
        const bool on = true;
        memcpy((unsigned char *)settings + option->offset, &on, sizeof on);
        return CLI_GO;
    }
    if (!equals && *at + 1 >= argc) {
        return cli_usage(command, "%s needs a value: %s", word, option->value);
    }
    const char *value = equals ? equals + 1 : argv[++*at];
    return store_value(command, option, value, settings);
}

static int check_count(const struct cli_command *command, const struct cli_arguments *arguments)
{
    if (arguments->count < command->arguments_min) {
        return cli_usage(command, "a word is missing: takt %s %s", command->name,
                         command->arguments);
    }
    return CLI_GO;
}

int cli_parse(const struct cli_command *command, int argc, char **argv, void *settings,
              struct cli_arguments *arguments)
{
    bool options = true; /* until "--" */
    *arguments = (struct cli_arguments){{NULL}, 0};
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            cli_help(command);
            return CLI_EXIT_OK;
        } else if (options && word[0] == '-' && word[1] != '\0') {
            const int result = take_option(command, argc, argv, &at, settings);
            if (result != CLI_GO) {
                return result;
            }
        } else if (arguments->count == command->arguments_max) {
            return cli_usage(command, "unexpected %s: a text with spaces wants quotes", word);
        } else {
            arguments->value[arguments->count++] = word;
        }
    }
    return check_count(command, arguments);
}

void cli_help(const struct cli_command *command)
{
    printf("takt %s%s%s\n\n%s.\n", command->name, *command->arguments ? " " : "",
           command->arguments, command->summary);
    if (command->details) {
        printf("\n%s\n", command->details);
    }
    if (command->option_count > 0) {
        printf("\n");
    }
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *option = &command->options[i];
        const int width = printf("  %s%s%s%s%s", option->name, option->other ? ", " : "",
                                 option->other ? option->other : "", option->value ? " " : "",
                                 option->value ? option->value : "");
        printf("%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 2, "", option->help);
    }
}
