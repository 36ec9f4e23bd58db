/* takt bench chip: the chip beside what was published of it. */
#include "cli/cli.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct settings {
    const char *machine, *folder;
    bool json, all;
};

struct table {
    bool json, terminal;
    json_t *rows;
    const char *last; /* name of the row before */
    size_t gemms, slow;
    double worst, best; /* shares of the peak */
    uint64_t checked_cycles;
    double checked_seconds;
};

static double share(const struct takt_bench_row *row)
{
    return row->cycles > 0 ? (double)row->bound_cycles / (double)row->cycles : 0.0;
}

static void print_row(const struct takt_bench_row *row, bool first)
{
    char cycles[32], bound[32], limit[32], n[32] = "";
    if (first) {
        printf("%s\n", row->what);
    }
    if (row->n > 0) {
        snprintf(n, sizeof n, "N = %u", row->n);
    }
    printf("  %-10s %9s cycles  bound %8s = %5.1f %%  published: at most %8s  %s%s\n", n,
           cli_grouped(row->cycles, cycles), cli_grouped(row->bound_cycles, bound),
           100.0 * share(row), cli_grouped(row->limit_cycles, limit),
           row->cycles <= row->limit_cycles ? "held" : "MISSED",
           row->values ? ", values exact" : "");
    fflush(stdout);
}

static json_t *row_json(const struct takt_bench_row *row)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(row->name));
    json_object_set_new(object, "what", json_string(row->what));
    if (row->n > 0) {
        json_object_set_new(object, "n", json_integer(row->n));
    }
    json_object_set_new(object, "cycles", json_integer((json_int_t)row->cycles));
    json_object_set_new(object, "bound_cycles", json_integer((json_int_t)row->bound_cycles));
    json_object_set_new(object, "share_of_bound", json_real(share(row)));
    json_object_set_new(object, "published_cycles", json_integer((json_int_t)row->limit_cycles));
    json_object_set_new(object, "held", json_boolean(row->cycles <= row->limit_cycles));
    json_object_set_new(object, "values", json_boolean(row->values));
    json_object_set_new(object, "text_bytes", json_integer((json_int_t)row->text_bytes));
    json_object_set_new(object, "machine_seconds", json_real(row->machine_seconds));
    return object;
}

static bool on_row(void *user, const struct takt_bench_row *row)
{
    struct table *table = user;
    if (table->json) {
        json_array_append_new(table->rows, row_json(row));
        if (table->terminal) {
            fprintf(stderr, "\r%s %u\033[K", row->name, row->n);
        }
    } else {
        print_row(row, !table->last || strcmp(table->last, row->name) != 0);
    }
    table->last = row->name;
    table->slow += row->cycles > row->limit_cycles;
    if (row->n > 0) {
        table->worst = table->gemms > 0 ? BASE_MIN(table->worst, share(row)) : share(row);
        table->best = BASE_MAX(table->best, share(row));
        table->gemms++;
    }
    if (!row->values) {
        table->checked_cycles += row->cycles;
        table->checked_seconds += row->machine_seconds;
    }
    return !cli_interrupted();
}

static void print_summary(const struct table *table)
{
    printf("GEMM at %zu sizes: %.1f to %.1f %% of the fp16 peak, two [1 x lanes/2] x [lanes/2 x "
           "lanes] a cycle\n",
           table->gemms, 100.0 * table->worst, 100.0 * table->best);
    if (table->checked_seconds > 0) {
        printf("executed without values at %.1f million cycles a second\n",
               (double)table->checked_cycles / table->checked_seconds / 1e6);
    }
}

static int run_bench(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    struct takt_error error;
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    if (strcmp(arguments.value[0], "chip") != 0) {
        return cli_usage(command, "%s: chip is expected", arguments.value[0]);
    }
    struct table table = {
        .json = settings.json, .terminal = isatty(STDERR_FILENO) == 1, .rows = json_array()};
    const struct takt_bench_options options = {.machine_path = settings.machine,
                                               .folder = settings.folder,
                                               .all = settings.all,
                                               .clock = base_seconds,
                                               .on_row = on_row,
                                               .user = &table};
    cli_catch_interrupt();
    const enum takt_status status = takt_bench_chip(&options, &error);
    if (table.json && table.terminal) {
        fprintf(stderr, "\r\033[K");
    }
    if (status != TAKT_OK) {
        json_decref(table.rows);
        const int result = cli_fail(command, &error);
        return status == TAKT_INTERRUPTED ? CLI_EXIT_INTERRUPTED : result;
    }
    if (settings.json) {
        json_t *object = json_object();
        json_object_set_new(object, "rows", table.rows);
        json_object_set_new(object, "gemm_worst_share", json_real(table.worst));
        json_object_set_new(object, "held", json_boolean(table.slow == 0));
        cli_print_json(object);
    } else {
        json_decref(table.rows);
        print_summary(&table);
    }
    return table.slow == 0 ? CLI_EXIT_OK : CLI_EXIT_ERROR;
}

static const struct cli_option options[] = {
    {"--json", NULL, NULL, CLI_FLAG, offsetof(struct settings, json), 0, 0,
     "one object with every row, instead of the table"},
    {"--all", NULL, NULL, CLI_FLAG, offsetof(struct settings, all), 0, 0,
     "three of the products with values, each compared: half a minute more"},
    {"-o", "--output", "FOLDER", CLI_TEXT, offsetof(struct settings, folder), 0, 0,
     "write every program there, for takt inspect and takt disasm"},
    {"--machine", NULL, "FILE", CLI_TEXT, offsetof(struct settings, machine), 0, 0,
     "a machine file; tsp1 otherwise"},
};

const struct cli_command cli_bench_chip = {
    .name = "bench",
    .arguments = "chip [OPTION]...",
    .summary = "Run what was published of the chip, and print both numbers",
    .details =
        "All weights from memory to installed; a step of an LSTM of 512 units, fp16, with values;\n"
        "fp16 products [2304 x 4096] x [4096 x N] for N = 1376, 1408, ... 3488. Programs are laid\n"
        "out by hand and executed by the machine, without values but where a line says otherwise.\n"
        "Exit 1 when a published figure is missed.\n\n"
        "  takt bench chip\n"
        "  takt bench chip --all --json\n"
        "  mkdir programs && takt bench chip -o programs && takt inspect programs/lstm-512.takt",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_bench};
