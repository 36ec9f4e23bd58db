/* takt tokenize, takt detokenize: text to ids and back, through standard input and output. */
#include "cli/cli.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct settings {
    const char *bench;
    bool json, no_bos, parse_special, show_special;
};

static void print_ids(const uint32_t *ids, size_t count, bool json)
{
    if (json) {
        json_t *object = json_object();
        json_object_set_new(object, "tokens", cli_json_ids(ids, count));
        cli_print_json(object);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        printf("%s%u", i > 0 ? " " : "", ids[i]);
    }
    putchar('\n');
}

static double processor_seconds(void)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Tokens and processor time of a file's text, the best of a few times. */
static int run_bench(const struct cli_command *command, const struct takt_vocabulary *vocabulary,
                     const struct settings *settings)
{
    struct takt_error error;
    struct base_file file;
    if (base_file_map(&file, settings->bench, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    double best = 0.0;
    size_t count = 0;
    for (int i = 0; i < 5; i++) {
        uint32_t *ids = NULL;
        const double begin = processor_seconds();
        if (takt_vocabulary_encode(vocabulary, (const char *)file.data, file.size_bytes,
                                   !settings->no_bos, settings->parse_special, &ids, &count,
                                   &error) != TAKT_OK) {
            base_file_unmap(&file);
            return cli_fail(command, &error);
        }
        const double seconds = processor_seconds() - begin;
        best = i == 0 || seconds < best ? seconds : best;
        free(ids);
    }
    const double rate = best > 0.0 ? (double)file.size_bytes / best / 1e6 : 0.0;
    if (settings->json) {
        cli_print_json(json_pack("{s:I,s:I,s:f,s:f}", "bytes", (json_int_t)file.size_bytes,
                                 "tokens", (json_int_t)count, "seconds", best, "mb_per_second",
                                 rate));
    } else {
        printf("%zu bytes, %zu tokens in %.3f ms: %.1f MB/s\n", file.size_bytes, count, best * 1e3,
               rate);
    }
    base_file_unmap(&file);
    return CLI_EXIT_OK;
}

static int run_tokenize(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    struct takt_error error;
    struct takt_vocabulary *vocabulary;
    if (takt_vocabulary_open(&vocabulary, arguments.value[0], &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    if (settings.bench) {
        const int benched = run_bench(command, vocabulary, &settings);
        takt_vocabulary_close(vocabulary);
        return benched;
    }
    struct base_text text = {0};
    cli_read_input(&text);
    uint32_t *ids = NULL;
    size_t count = 0;
    const enum takt_status status =
        takt_vocabulary_encode(vocabulary, text.data, text.length, !settings.no_bos,
                               settings.parse_special, &ids, &count, &error);
    if (status == TAKT_OK) {
        print_ids(ids, count, settings.json);
    }
    free(ids);
    base_text_free(&text);
    takt_vocabulary_close(vocabulary);
    return status == TAKT_OK ? CLI_EXIT_OK : cli_fail(command, &error);
}

struct id_list {
    uint32_t *ids;
    size_t count, capacity;
};

static bool append_id(struct id_list *list, int64_t id)
{
    if (id < 0 || id > UINT32_MAX) {
        return false;
    }
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? list->capacity * 2 : 64;
        uint32_t *grown = realloc(list->ids, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        list->ids = grown;
        list->capacity = capacity;
    }
    list->ids[list->count++] = (uint32_t)id;
    return true;
}

/* Numbers between spaces and commas; *bad: the first word that is none. Changes the text. */
static bool read_plain(char *text, struct id_list *list, const char **bad)
{
    static const char separators[] = " \t\r\n,";
    char *rest = NULL;
    for (char *word = strtok_r(text, separators, &rest); word;
         word = strtok_r(NULL, separators, &rest)) {
        int64_t id;
        if (!base_parse_i64(word, 0, UINT32_MAX, &id) || !append_id(list, id)) {
            *bad = word;
            return false;
        }
    }
    return true;
}

/* A JSON array of ids, or an object with one as its "tokens". */
static bool read_json(const char *text, struct id_list *list, const char **bad)
{
    json_t *root = json_loads(text, 0, NULL);
    const json_t *array = json_is_object(root) ? json_object_get(root, "tokens") : root;
    bool good = json_is_array(array);
    for (size_t i = 0; good && i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        good = json_is_integer(item) && append_id(list, json_integer_value(item));
    }
    json_decref(root);
    *bad = "the JSON";
    return good;
}

static int run_detokenize(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    struct takt_error error;
    struct takt_vocabulary *vocabulary;
    if (takt_vocabulary_open(&vocabulary, arguments.value[0], &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    struct base_text input = {0};
    struct id_list list = {0};
    cli_read_input(&input);
    char *begin = input.data + strspn(input.data, " \t\r\n");
    const char *bad = "";
    const bool good = *begin == '[' || *begin == '{' ? read_json(begin, &list, &bad)
                                                     : read_plain(begin, &list, &bad);
    char *text = NULL;
    size_t length = 0;
    enum takt_status status = TAKT_OK;
    if (!good) {
        status = base_fail(&error, TAKT_FORMAT,
                           "standard input: %.60s is not a token id or a list of them", bad);
    } else {
        status = takt_vocabulary_decode(vocabulary, list.ids, list.count, settings.show_special,
                                        &text, &length, &error);
    }
    if (status == TAKT_OK && settings.json) {
        json_t *object = json_object();
        json_object_set_new(object, "text", cli_json_text(text, length));
        cli_print_json(object);
    } else if (status == TAKT_OK) {
        fwrite(text, 1, length, stdout);
    }
    free(text);
    free(list.ids);
    base_text_free(&input);
    takt_vocabulary_close(vocabulary);
    return status == TAKT_OK ? CLI_EXIT_OK : cli_fail(command, &error);
}

static const struct cli_option tokenize_options[] = {
    {"--json", NULL, NULL, CLI_FLAG, offsetof(struct settings, json), 0, 0,
     "print {\"tokens\": [...]} instead of numbers between spaces"},
    {"--bench", NULL, "FILE", CLI_TEXT, offsetof(struct settings, bench), 0, 0,
     "processor time of encoding FILE, the best of five, instead of ids"},
    {"--no-bos", NULL, NULL, CLI_FLAG, offsetof(struct settings, no_bos), 0, 0,
     "leave out the token that the model file wants at the beginning"},
    {"--parse-special", NULL, NULL, CLI_FLAG, offsetof(struct settings, parse_special), 0, 0,
     "control tokens written in the text become their ids"},
};

const struct cli_command cli_tokenize = {.name = "tokenize",
                                         .arguments = "MODEL [OPTION]... < TEXT",
                                         .summary =
                                             "Print the token ids of the text on standard input",
                                         .options = tokenize_options,
                                         .option_count = BASE_COUNT(tokenize_options),
                                         .arguments_min = 1,
                                         .arguments_max = 1,
                                         .run = run_tokenize};

static const struct cli_option detokenize_options[] = {
    {"--json", NULL, NULL, CLI_FLAG, offsetof(struct settings, json), 0, 0,
     "print {\"text\": \"...\"}; bytes that are not UTF-8 become U+FFFD"},
    {"--show-special", NULL, NULL, CLI_FLAG, offsetof(struct settings, show_special), 0, 0,
     "print control tokens too"},
};

const struct cli_command cli_detokenize = {
    .name = "detokenize",
    .arguments = "MODEL [OPTION]... < IDS",
    .summary = "Print the text of the token ids on standard input",
    .details = "The ids are numbers between spaces or commas, a JSON array, or what tokenize "
               "--json prints.",
    .options = detokenize_options,
    .option_count = BASE_COUNT(detokenize_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_detokenize};
