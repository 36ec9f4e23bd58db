/* takt pull: a model from a hub, resumed where it was left, checked before it gets its name. */
#include "cli/cli.h"
#include "hub/hub.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUB "https://huggingface.co"

struct settings {
    const char *output, *revision;
    bool list, json;
};

/* ---- progress -------------------------------------------------------------------------------- */

struct progress {
    bool terminal, shown;
    const char *file;
    double begin, last;   /* seconds: of this file, of the last line */
    uint64_t first_bytes; /* there before we began */
};

static void draw(struct progress *progress, uint64_t done, uint64_t total)
{
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    const double now = base_seconds(), seconds = now - progress->begin;
    const double rate = seconds > 0.0 ? (double)(done - progress->first_bytes) / seconds : 0.0;
    const uint64_t filled = total > 0 ? WIDTH * done / total : WIDTH;
    for (uint64_t i = 0; i < WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    const double left = rate > 1.0 ? (double)(total - done) / rate : 0.0;
    fprintf(stderr, "\r%.40s [%s] %3u%% of %.1f MB, %.1f MB/s, %u:%02u left\033[K", progress->file,
            bar, (unsigned)(total > 0 ? 100 * done / total : 100), (double)total / 1e6, rate / 1e6,
            (unsigned)(left / 60.0), (unsigned)left % 60);
    progress->shown = true;
    progress->last = now;
}

static bool on_progress(void *user, const char *file, uint64_t done, uint64_t total)
{
    struct progress *progress = user;
    if (progress->file != file) {
        progress->file = file;
        progress->begin = base_seconds();
        progress->first_bytes = done;
        progress->last = 0.0;
    }
    if (done < progress->first_bytes) {
        progress->first_bytes = done;
    }
    if (progress->terminal && *file && (base_seconds() - progress->last > 0.1 || done == total)) {
        draw(progress, done, total);
    }
    return !cli_interrupted();
}

/* ---- what and where -------------------------------------------------------------------------- */

/* "owner/name:file": the name's end, or NULL where the words are no repository. */
static bool split_name(const char *argument, char repository[256], const char **wanted)
{
    const char *colon = strchr(argument, ':');
    const size_t length = colon ? (size_t)(colon - argument) : strlen(argument);
    const char *slash = memchr(argument, '/', length);
    *wanted = colon && colon[1] ? colon + 1 : NULL;
    if (!slash || length >= 256 || slash == argument || slash + 1 == argument + length ||
        memchr(slash + 1, '/', length - (size_t)(slash + 1 - argument))) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        const char c = argument[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || strchr("-._/", c) != NULL;
        if (!plain) {
            return false;
        }
    }
    memcpy(repository, argument, length);
    repository[length] = '\0';
    return true;
}

static json_t *json_file(const struct hub_file *file, const char *folder)
{
    const char *slash = strrchr(file->path, '/');
    json_t *object = json_object();
    json_object_set_new(object, "file", cli_json_text(file->path, strlen(file->path)));
    json_object_set_new(object, "bytes", json_integer((json_int_t)file->size_bytes));
    if (file->sha256[0]) {
        json_object_set_new(object, "sha256", json_string(file->sha256));
    }
    if (folder) {
        struct base_text path = {0};
        base_text_format(&path, "%s/%s", folder, slash ? slash + 1 : file->path);
        json_object_set_new(object, "path", cli_json_text(path.data, path.length));
        base_text_free(&path);
    }
    return object;
}

static void print_files(const struct hub_listing *listing, const struct settings *settings,
                        const char *folder)
{
    json_t *list = json_array();
    for (size_t i = 0; i < listing->count; i++) {
        const struct hub_file *file = &listing->files[i];
        if (folder && !file->chosen) {
            continue;
        }
        if (settings->json) {
            json_array_append_new(list, json_file(file, folder));
        } else if (!folder) {
            printf("%14.1f MB  %s\n", (double)file->size_bytes / 1e6, file->path);
        } else {
            const char *slash = strrchr(file->path, '/');
            printf("%s/%s\n", folder, slash ? slash + 1 : file->path);
        }
    }
    if (settings->json) {
        json_t *object = json_object();
        json_object_set_new(object, "files", list);
        cli_print_json(object);
    } else {
        json_decref(list);
    }
}

static enum takt_status make_folder(const char *path, struct takt_error *error)
{
    struct stat status;
    if (mkdir(path, 0755) == 0 || (stat(path, &status) == 0 && S_ISDIR(status.st_mode))) {
        return TAKT_OK;
    }
    return base_fail(error, TAKT_IO, "%s: the folder cannot be made", path);
}

static enum takt_status pull(const char *repository, const char *wanted,
                             const struct settings *settings, const struct hub_options *options,
                             struct hub_listing *listing, struct takt_error *error)
{
    enum takt_status status = hub_list(repository, options, listing, error);
    bool is_folder = false;
    if (status != TAKT_OK || settings->list) {
        if (status == TAKT_OK) {
            print_files(listing, settings, NULL);
        }
        return status;
    }
    status = hub_choose(listing, repository, wanted, &is_folder, error);
    struct base_text folder = {0};
    base_text_format(&folder, "%s", settings->output ? settings->output : ".");
    if (is_folder) { /* a folder's files get one of their own */
        base_text_format(&folder, "/%s", strchr(repository, '/') + 1);
    }
    if (status == TAKT_OK && settings->output) {
        status = make_folder(settings->output, error);
    }
    if (status == TAKT_OK) {
        status = make_folder(folder.data, error);
    }
    for (size_t i = 0; status == TAKT_OK && i < listing->count; i++) {
        if (listing->files[i].chosen) {
            status = hub_fetch(repository, &listing->files[i], folder.data, options, error);
        }
    }
    if (((const struct progress *)options->user)->shown) {
        fputc('\n', stderr);
    }
    if (status == TAKT_OK) {
        print_files(listing, settings, folder.data);
    }
    base_text_free(&folder);
    return status;
}

static int run_pull(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    struct takt_error error;
    char repository[256], endpoint[512];
    const char *wanted;
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    if (!split_name(arguments.value[0], repository, &wanted)) {
        return cli_usage(command, "%s: OWNER/NAME or OWNER/NAME:FILE is expected",
                         arguments.value[0]);
    }
    const char *mirror = getenv("TAKT_HUB");
    mirror = mirror && *mirror ? mirror : getenv("HF_ENDPOINT");
    mirror = mirror && *mirror ? mirror : HUB;
    const size_t length = strlen(mirror) - (mirror[strlen(mirror) - 1] == '/' ? 1 : 0);
    if (length >= sizeof endpoint ||
        (strncmp(mirror, "http://", 7) != 0 && strncmp(mirror, "https://", 8) != 0)) {
        return cli_usage(command,
                         "TAKT_HUB or HF_ENDPOINT is %.100s: an address that begins with "
                         "http:// or https:// is expected",
                         mirror);
    }
    snprintf(endpoint, sizeof endpoint, "%.*s", (int)length, mirror);
    struct progress progress = {.terminal = isatty(STDERR_FILENO) != 0};
    const struct hub_options options = {.endpoint = endpoint,
                                        .token = getenv("HF_TOKEN"),
                                        .revision = settings.revision,
                                        .on_progress = on_progress,
                                        .user = &progress};
    struct hub_listing listing = {NULL, 0};
    cli_catch_interrupt();
    const enum takt_status status = pull(repository, wanted, &settings, &options, &listing, &error);
    hub_listing_free(&listing);
    if (status == TAKT_INTERRUPTED) {
        cli_fail(command, &error);
        return CLI_EXIT_INTERRUPTED;
    }
    return status == TAKT_OK ? CLI_EXIT_OK : cli_fail(command, &error);
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"-o", "--output", "FOLDER", CLI_TEXT, AT(output), 0, 0, "where the files go (here)"},
    {"--revision", NULL, "NAME", CLI_TEXT, AT(revision), 0, 0, "a branch, tag or commit (main)"},
    {"--list", NULL, NULL, CLI_FLAG, AT(list), 0, 0, "print the repository's files and sizes"},
    {"--json", NULL, NULL, CLI_FLAG, AT(json), 0, 0, "print one object with the files"},
};

const struct cli_command cli_pull = {
    .name = "pull",
    .arguments = "OWNER/NAME[:FILE] [OPTION]...",
    .summary = "Download a model from a hub",
    .details =
        "FILE is a file of the repository, or a part of its name such as Q4_K_M. Without it the\n"
        "GGUF file that suits takt best is taken, Q8_0 before others, and where there is none the\n"
        "safetensors folder. Prints the paths. A download that was stopped is continued by the\n"
        "same command; a file gets its name once its digest is right.\n"
        "\n"
        "  takt pull OWNER/NAME\n"
        "  takt pull OWNER/NAME:Q4_K_M -o models\n"
        "  TAKT_HUB=http://mirror.local:8080 takt pull OWNER/NAME --list\n"
        "\n"
        "TAKT_HUB or HF_ENDPOINT is the address of a mirror, HF_TOKEN a token for repositories\n"
        "that want one.",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_pull};
