/* The takt binary from outside: what it prints where, and with which exit code. */
#include "tests.h"

#include "gguf_writer.h"
#include "takt.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FABLE "models/fable/fable-q8_0.gguf"

/* ---- running it ------------------------------------------------------------------------------ */

struct outcome {
    int exit_code; /* -1: a signal ended it */
    char *out, *err;
    size_t out_length;
};

static void outcome_free(struct outcome *outcome)
{
    free(outcome->out);
    free(outcome->err);
}

static char *read_back(FILE *file, size_t *length)
{
    rewind(file);
    char *data = NULL;
    size_t used = 0, got;
    do {
        data = realloc(data, used + 4097);
        assert_non_null(data);
        got = fread(data + used, 1, 4096, file);
        used += got;
    } while (got > 0);
    data[used] = '\0';
    fclose(file);
    if (length) {
        *length = used;
    }
    return data;
}

/* Runs takt with the words, ended by NULL, and input on standard input. */
static struct outcome takt(const char *input, const char *const *words)
{
    char *argv[32] = {(char *)(uintptr_t)TESTS_TAKT};
    for (int i = 0; words[i]; i++) {
        assert_true(i < 30);
        argv[i + 1] = (char *)(uintptr_t)words[i];
    }
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    assert_true(in && out && err);
    fwrite(input, 1, strlen(input), in);
    fflush(in);
    rewind(in);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(fileno(in), STDIN_FILENO);
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    fclose(in);
    struct outcome outcome = {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
    outcome.out = read_back(out, &outcome.out_length);
    outcome.err = read_back(err, NULL);
    return outcome;
}

#define TAKT(input, ...) takt(input, (const char *const[]){__VA_ARGS__, NULL})

/* Nothing on standard output, one line on standard error that holds `part`. */
static void assert_refused(struct outcome outcome, int exit_code, const char *part)
{
    const char *newline = strchr(outcome.err, '\n');
    if (outcome.exit_code != exit_code || !strstr(outcome.err, part) || !newline ||
        newline[1] != '\0' || outcome.out_length != 0) {
        fail_msg("exit %d, not %d with \"%s\"; out \"%s\"; err \"%s\"", outcome.exit_code,
                 exit_code, part, outcome.out, outcome.err);
    }
    outcome_free(&outcome);
}

static void assert_accepted(const struct outcome *outcome)
{
    if (outcome->exit_code != 0) {
        fail_msg("exit %d; err \"%s\"", outcome->exit_code, outcome->err);
    }
}

/* ---- models ---------------------------------------------------------------------------------- */

static const struct gguf_random shape = {.seed = 21,
                                         .layers = 2,
                                         .width = 48,
                                         .heads = 3,
                                         .kv_heads = 1,
                                         .ffn = 80,
                                         .vocab = 300,
                                         .context = 512};

/* The group's model: written by setup, removed by teardown; its path is the state. */
static int setup_model(void **state)
{
    char *path = calloc(1, 64);
    if (!path) {
        return -1;
    }
    strcpy(path, "/tmp/takt-cli-XXXXXX");
    const int file = mkstemp(path);
    if (file >= 0) {
        close(file);
    }
    *state = path;
    return file >= 0 && gguf_write_random(path, &shape) ? 0 : -1;
}

static int teardown_model(void **state)
{
    unlink(*state);
    free(*state);
    return 0;
}

static void copy_bytes(const char *from, const char *to, long most)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_true(in && out);
    for (long i = 0; i < most; i++) {
        const int c = fgetc(in);
        if (c == EOF) {
            break;
        }
        fputc(c, out);
    }
    fclose(in);
    fclose(out);
}

/* ---- the command line ------------------------------------------------------------------------ */

static void help_everywhere(void **state)
{
    (void)state;
    static const char *const names[] = {"run",     "tokenize", "detokenize", "compile", "asm",
                                        "disasm",  "exec",     "isa",        "synth",   "machine",
                                        "version", "help",     "completion", "inspect", "diff",
                                        "bench",   "pack"};
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        struct outcome a = TAKT("", names[i], "--help");
        struct outcome b = TAKT("", "help", names[i]);
        assert_accepted(&a);
        assert_accepted(&b);
        assert_string_equal(a.out, b.out);
        assert_non_null(strstr(a.out, names[i]));
        assert_string_equal(a.err, "");
        outcome_free(&a);
        outcome_free(&b);
    }
    struct outcome overview = TAKT("", "help");
    assert_accepted(&overview);
    assert_non_null(strstr(overview.out, "detokenize"));
    outcome_free(&overview);
}

static void version(void **state)
{
    (void)state;
    struct outcome outcome = TAKT("", "--version");
    assert_accepted(&outcome);
    assert_string_equal(outcome.out, "takt " TAKT_VERSION "\n");
    outcome_free(&outcome);
}

static void usage_errors(void **state)
{
    (void)state;
    assert_refused(TAKT("", "rum"), 2, "did you mean run?");
    assert_refused(TAKT("", "run"), 2, "missing");
    assert_refused(TAKT("", "run", "m.gguf"), 2, "-p TEXT");
    assert_refused(TAKT("", "run", "m.gguf", "extra"), 2, "unexpected extra");
    assert_refused(TAKT("", "run", "m.gguf", "-p", "a", "--tmep", "1"), 2, "did you mean --temp?");
    assert_refused(TAKT("", "run", "m.gguf", "-p", "a", "--temp", "warm"), 2, "--temp warm");
    assert_refused(TAKT("", "run", "m.gguf", "-p", "a", "-n", "-1"), 2, "-n -1");
    assert_refused(TAKT("", "run", "m.gguf", "-p", "a", "--chunk=0"), 2, "--chunk 0");
    assert_refused(TAKT("", "run", "m.gguf", "-p", "a", "--json=yes"), 2, "no value");
    assert_refused(TAKT("", "run", "m.gguf", "-p"), 2, "needs a value");
    assert_refused(TAKT("", "run", "m.gguf", "-p", "a", "--target", "gpu"), 2,
                   "chip, both or reference");
    assert_refused(TAKT("", "tokenize", "m.gguf", "--json5"), 2, "did you mean --json?");
    assert_refused(TAKT("", "asm", "a.s"), 2, "-o OUT");
}

static void completion(void **state)
{
    (void)state;
    struct outcome outcome = TAKT("", "completion", "bash");
    assert_accepted(&outcome);
    assert_non_null(strstr(outcome.out, "--all-logits"));
    assert_non_null(strstr(outcome.out, "complete -o default -F _takt takt"));
    outcome_free(&outcome);
    assert_refused(TAKT("", "completion", "fish"), 2, "fish");
}

static void inspecting(void **state)
{
    const char *model = *state, *program = "tests/asm/add_f32.s";
    assert_refused(TAKT("", "inspect"), 2, "missing");
    assert_refused(TAKT("", "inspect", "/nowhere.gguf"), 1, "cannot open");
    assert_refused(TAKT("", "inspect", model, "--layer", "3"), 2, "layers are 0 to 2");
    assert_refused(TAKT("", "inspect", model, "--chunk", "8", "--length", "4"), 2,
                   "a context of 4");
    assert_refused(TAKT("", "inspect", model, "--machine", "/no.machine"), 1, "/no.machine");
    assert_refused(TAKT("", "inspect", model, "--trace", "/nowhere/t.json"), 1, "/nowhere/t.json");
    assert_refused(TAKT("", "inspect", program, "--svg", "/tmp/never.svg"), 2,
                   "a program has none");
    assert_refused(TAKT("", "inspect", program, "--layer", "0"), 2, "a program has no layers");
    assert_refused(TAKT("", "diff", model, "/nowhere.s"), 1, "/nowhere.s");
    struct outcome text = TAKT("", "inspect", model);
    assert_accepted(&text);
    assert_non_null(strstr(text.out, "The critical path through layer 1"));
    outcome_free(&text);
    struct outcome same = TAKT("", "diff", model);
    assert_accepted(&same);
    assert_non_null(strstr(same.out, "Every instruction is the same, in the same cycle."));
    outcome_free(&same);
    struct outcome other = TAKT("", "diff", model, "--machine-b", "machines/slow.machine");
    assert_accepted(&other);
    assert_non_null(strstr(other.out, "They part at"));
    outcome_free(&other);
}

static void manuals(void **state)
{
    (void)state;
    struct outcome isa = TAKT("", "isa"), machine = TAKT("", "machine");
    assert_accepted(&isa);
    assert_accepted(&machine);
    assert_non_null(strstr(isa.out, "acc.out"));
    assert_non_null(strstr(machine.out, "superlanes"));
    outcome_free(&isa);
    outcome_free(&machine);
    assert_refused(TAKT("", "machine", "/nonexistent.machine"), 1, "/nonexistent.machine");
}

/* ---- wrong files ----------------------------------------------------------------------------- */

static void wrong_files(void **state)
{
    const char *model = *state;
    char other[80];
    snprintf(other, sizeof other, "%s.part", model);
    assert_refused(TAKT("", "run", "/nonexistent.gguf", "-p", "a"), 1, "/nonexistent.gguf");
    static const long lengths[] = {0, 3, 20, 900, 9000, 60000};
    for (size_t i = 0; i < BASE_COUNT(lengths); i++) {
        copy_bytes(model, other, lengths[i]);
        assert_refused(TAKT("", "run", other, "-p", "a", "--target", "reference"), 1, other);
        if (lengths[i] < 1000) {
            assert_refused(TAKT("a", "tokenize", other), 1, other);
        }
    }
    assert_refused(TAKT("", "run", "README.md", "-p", "a"), 1, "README.md");
    assert_refused(TAKT("", "run", "src", "-p", "a"), 1, "src");
    assert_refused(TAKT("", "run", model, "-p", "a", "--machine", "/nonexistent"), 1,
                   "/nonexistent");
    unlink(other);
}

static void unknown_architecture(void **state)
{
    char other[80];
    snprintf(other, sizeof other, "%s.other", (const char *)*state);
    struct gguf_writer writer = {0};
    struct base_text file = {0};
    gguf_writer_string(&writer, "general.architecture", "mamba");
    gguf_writer_finish(&writer, &file);
    assert_int_equal(base_file_write(other, file.data, file.length, NULL), TAKT_OK);
    assert_refused(TAKT("", "run", other, "-p", "a"), 1, "mamba");
    base_text_free(&file);
    gguf_writer_free(&writer);
    unlink(other);
}

static void prompt_too_long(void **state)
{
    char prompt[600];
    memset(prompt, 'x', sizeof prompt - 1);
    prompt[sizeof prompt - 1] = '\0';
    assert_refused(TAKT("", "run", *state, "-p", prompt, "--ctx", "16", "--target", "reference"), 1,
                   "the context holds 16");
}

/* ---- results --------------------------------------------------------------------------------- */

static json_t *json_of(const struct outcome *outcome)
{
    json_error_t error;
    assert_accepted(outcome);
    json_t *object = json_loadb(outcome->out, outcome->out_length, 0, &error);
    if (!json_is_object(object)) {
        fail_msg("not one JSON object: %s", error.text);
    }
    return object;
}

static void check_json(const char *model, const char *target)
{
    struct outcome outcome = TAKT("", "run", model, "-p", "hello there", "-n", "5", "--ctx", "64",
                                  "--chunk", "4", "--target", target, "--json");
    assert_string_equal(outcome.err, "");
    json_t *object = json_of(&outcome);
    static const char *const members[] = {
        "text",  "prompt_tokens", "tokens",       "logits_digest", "steps",        "target",
        "model", "machine",       "program_hash", "clock_hz",      "host_seconds", "finish"};
    for (size_t i = 0; i < BASE_COUNT(members); i++) {
        if (!json_object_get(object, members[i])) {
            fail_msg("no member %s", members[i]);
        }
    }
    assert_string_equal(json_string_value(json_object_get(object, "target")), target);
    assert_int_equal(json_string_length(json_object_get(object, "logits_digest")), 64);
    size_t prefilled = 0;
    json_t *steps = json_object_get(object, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        assert_true(json_integer_value(json_object_get(step, "cycles_compiled")) ==
                    json_integer_value(json_object_get(step, "cycles_executed")));
        if (strcmp(json_string_value(json_object_get(step, "kind")), "prefill") == 0) {
            prefilled += (size_t)json_integer_value(json_object_get(step, "tokens"));
        }
    }
    assert_int_equal(prefilled, json_array_size(json_object_get(object, "prompt_tokens")));
    json_decref(object);
    outcome_free(&outcome);
}

static void json_reference(void **state)
{
    check_json(*state, "reference");
}

static void json_chip(void **state)
{
    check_json(*state, "chip");
}

static void text_streams(void **state)
{
    struct outcome plain =
        TAKT("", "run", *state, "-p", "hello", "-n", "4", "--target", "reference");
    assert_accepted(&plain);
    assert_memory_equal(plain.out, "hello", 5); /* the prompt is echoed */
    assert_int_equal(plain.out[plain.out_length - 1], '\n');
    assert_non_null(strstr(plain.err, "new tokens"));
    struct outcome from_input =
        TAKT("hello", "run", *state, "-p", "-", "-n", "4", "--target", "reference");
    assert_string_equal(plain.out, from_input.out);
    struct outcome chat = TAKT("", "run", *state, "-p", "hello", "-n", "1", "--target", "reference",
                               "--chat", "--temp", "0.8", "--seed", "3");
    assert_accepted(&chat);
    assert_true(strncmp(chat.out, "hello", 5) != 0);
    outcome_free(&plain);
    outcome_free(&from_input);
    outcome_free(&chat);
}

/* What one kernel cannot join is refused before anything runs. */
static void beyond_one_kernel(void **state)
{
    assert_refused(TAKT("", "run", *state, "-p", "a", "--target", "chip", "--ctx", "65536"), 1,
                   "--ctx");
    assert_refused(TAKT("", "run", *state, "-p", "a", "--target", "chip", "--ctx", "7681"), 1,
                   "7680");
    struct gguf_random wide = shape;
    wide.ffn = 24 * 320 + 1;
    assert_true(gguf_write_random(*state, &wide));
    assert_refused(TAKT("", "run", *state, "-p", "a", "--target", "chip"), 1, "feed-forward");
    /* This CPU runs it all the same, and says why there are no cycles. */
    struct outcome native = TAKT("", "run", *state, "-p", "a", "-n", "3");
    assert_accepted(&native);
    assert_non_null(strstr(native.err, "no cycles: "));
    assert_non_null(strstr(native.err, "feed-forward"));
    outcome_free(&native);
}

static size_t count_lines(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

/* The account: a line for each program, one for each step when asked for, the total at the end. */
static void account(void **state)
{
    struct outcome plain =
        TAKT("", "run", *state, "-p", "hello", "-n", "4", "--chunk", "3", "--target", "chip");
    struct outcome steps = TAKT("", "run", *state, "-p", "hello", "-n", "4", "--chunk", "3",
                                "--target", "chip", "--steps");
    assert_accepted(&plain);
    assert_accepted(&steps);
    assert_string_equal(plain.out, steps.out);
    assert_int_equal(count_lines(plain.err, "cycles each"), 2); /* prefill and decode */
    assert_non_null(strstr(plain.err, "executed = compiled in every step"));
    assert_non_null(strstr(plain.err, " tokens/s\n"));
    assert_null(strstr(plain.err, "next token"));
    assert_non_null(strstr(steps.err, "next token\n     1  prefill       0-2 "));
    assert_int_equal(count_lines(steps.err, "  decode "), 3 + 1); /* three steps, one program */
    outcome_free(&plain);
    outcome_free(&steps);
}

static char *without(char *text, const char *from)
{
    char *at = strstr(text, from);
    assert_non_null(at);
    *at = '\0';
    return text;
}

/* Native prints the chip's lines of cycles, from compilation alone; both executes and compares. */
static void account_of_targets(void **state)
{
    static const char *const targets[] = {"chip", "native", "both"};
    struct outcome outcomes[3];
    for (size_t i = 0; i < 3; i++) {
        outcomes[i] = TAKT("", "run", *state, "-p", "hello there", "-n", "5", "--chunk", "3",
                           "--target", targets[i], "--threads", "2");
        assert_accepted(&outcomes[i]);
        assert_string_equal(outcomes[i].out, outcomes[0].out);
    }
    assert_non_null(strstr(outcomes[1].err, "as compiled for the chip"));
    assert_non_null(strstr(outcomes[1].err, ", as compiled: prompt "));
    without(outcomes[0].err, "  executed = compiled");
    assert_string_equal(outcomes[0].err, without(outcomes[1].err, "  as compiled"));
    assert_string_equal(outcomes[0].err, without(outcomes[2].err, "  executed = compiled"));
    for (size_t i = 0; i < 3; i++) {
        outcome_free(&outcomes[i]);
    }
}

static void memory_plan(void **state)
{
    struct outcome outcome = TAKT("", "run", *state, "--plan", "--ctx", "100", "--json");
    json_t *object = json_of(&outcome);
    json_int_t total = 0;
    static const char *const parts[] = {"weights", "cache", "rope", "work"};
    for (size_t i = 0; i < BASE_COUNT(parts); i++) {
        total += json_integer_value(json_object_get(object, parts[i]));
    }
    assert_int_equal(total, json_integer_value(json_object_get(object, "total")));
    /* Bytes of int8 weights, each once, are the least that the weights take. */
    const json_int_t weights = 2 * (48 * 48 * 2 + 16 * 48 * 2 + 3 * 48 * 80) + 300 * 48;
    assert_true(json_integer_value(json_object_get(object, "weights")) > weights);
    json_decref(object);
    outcome_free(&outcome);
    outcome = TAKT("", "run", *state, "--plan", "--target", "chip");
    assert_refused(outcome, 2, "native");
}

static void same_seed_same_text(void **state)
{
    const char *digest[2];
    json_t *object[2];
    for (int i = 0; i < 2; i++) {
        struct outcome outcome =
            TAKT("", "run", *state, "-p", "hello", "-n", "12", "--target", "reference", "--temp",
                 "1", "--top-k", "40", "--top-p", "0.9", "--seed", "77", "--json");
        object[i] = json_of(&outcome);
        digest[i] = json_string_value(json_object_get(object[i], "logits_digest"));
        outcome_free(&outcome);
    }
    assert_string_equal(digest[0], digest[1]);
    assert_true(
        json_equal(json_object_get(object[0], "tokens"), json_object_get(object[1], "tokens")));
    json_decref(object[0]);
    json_decref(object[1]);
}

static void tokens_round_trip(void **state)
{
    static const char text[] = " A fox,\n\tand a k\xC3\xA9y: 100%! ";
    struct outcome ids = TAKT(text, "tokenize", *state);
    assert_accepted(&ids);
    struct outcome back = TAKT(ids.out, "detokenize", *state);
    assert_accepted(&back);
    assert_string_equal(back.out, text);
    struct outcome json = TAKT(text, "tokenize", *state, "--json");
    struct outcome json_back = TAKT(json.out, "detokenize", *state, "--json");
    json_t *object = json_of(&json_back);
    assert_string_equal(json_string_value(json_object_get(object, "text")), text);
    json_decref(object);
    outcome_free(&ids);
    outcome_free(&back);
    outcome_free(&json);
    outcome_free(&json_back);
    assert_refused(TAKT("1 two 3", "detokenize", *state), 1, "two");
    assert_refused(TAKT("1 99999", "detokenize", *state), 2, "99999");
}

/* An interrupt after the first text: what there is, the account, exit 130. Greedily the model draws
 * no end token after this prompt, and the text of the whole context is more than the pipe holds:
 * the run cannot be over before the interrupt, however slow this side is. */
static void interrupt(void **state)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    assert_true(fcntl(out[1], F_SETPIPE_SZ, 4096) == 4096);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        const int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        execl(TESTS_TAKT, TESTS_TAKT, "run", (const char *)*state, "-p", "a", "-n", "100000",
              "--ctx", "4000", "--target", "reference", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    char bytes[256];
    assert_true(read(out[0], bytes, 1) == 1);
    kill(child, SIGINT);
    while (read(out[0], bytes, sizeof bytes) > 0) {
    }
    close(out[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
}

/* A reader that goes away ends it without a word. */
static void broken_pipe(void **state)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    FILE *err = tmpfile();
    assert_non_null(err);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        execl(TESTS_TAKT, TESTS_TAKT, "run", (const char *)*state, "-p", "hello", "-n", "20",
              "--target", "reference", (char *)NULL);
        _exit(127);
    }
    close(out[0]);
    close(out[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    char *text = read_back(err, NULL);
    assert_string_equal(text, "");
    free(text);
}

static void compile_prints_assembly(void **state)
{
    struct outcome once = TAKT("", "compile", *state, "--chunk", "4", "--ctx", "64");
    struct outcome again = TAKT("", "compile", *state, "--chunk", "4", "--ctx", "64");
    assert_accepted(&once);
    assert_non_null(strstr(once.out, ".queue"));
    assert_string_equal(once.out, again.out);
    outcome_free(&once);
    outcome_free(&again);
    assert_refused(TAKT("", "compile", *state, "--length", "900", "--ctx", "64"), 2, "900");
}

#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, setup_model, teardown_model)

TEST_GROUP(cli, cmocka_unit_test(help_everywhere), cmocka_unit_test(version),
           cmocka_unit_test(usage_errors), cmocka_unit_test(completion), WITH_MODEL(inspecting),
           cmocka_unit_test(manuals), WITH_MODEL(wrong_files), WITH_MODEL(unknown_architecture),
           WITH_MODEL(prompt_too_long), WITH_MODEL(json_reference), WITH_MODEL(json_chip),
           WITH_MODEL(text_streams), WITH_MODEL(account), WITH_MODEL(account_of_targets),
           WITH_MODEL(memory_plan), WITH_MODEL(beyond_one_kernel), WITH_MODEL(same_seed_same_text),
           WITH_MODEL(tokens_round_trip), WITH_MODEL(interrupt), WITH_MODEL(broken_pipe),
           WITH_MODEL(compile_prints_assembly));
